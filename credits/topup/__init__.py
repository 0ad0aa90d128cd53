"""Automatic top-up: a saved card is charged when credits run low, once for each shortage."""
