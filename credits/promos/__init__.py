"""Credits that nobody paid for: promo codes, and what new accounts are welcomed with."""
