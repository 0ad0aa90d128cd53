"""Passes: what lets a browser in, for a while, to the page of one account."""
