"""A fake Lemon Squeezy: checkouts, orders and subscriptions over its API, a checkout page, and the webhooks of both."""
