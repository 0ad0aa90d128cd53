"""A fake Paddle Billing: its API, its payment page, its webhooks."""
