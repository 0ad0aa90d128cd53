"""Selling: a quote that expires, a checkout at a provider, and what became of it."""
