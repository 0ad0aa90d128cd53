"""Notifications: what happened is told to destinations outside, as signed webhooks or by e-mail."""
