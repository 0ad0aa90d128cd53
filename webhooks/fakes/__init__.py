"""Fake providers for one developer's machine: their APIs, their checkout pages, and the webhooks that follow."""
