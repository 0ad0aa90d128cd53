"""Prices: what credits cost, and quotes that a payment is held against."""
