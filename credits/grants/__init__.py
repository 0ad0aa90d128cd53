"""Grants: what a payment for credits earns."""
