"""A fake Stripe: enough of its API for Stripe's own library to sell with, a checkout page, and the events of both."""
