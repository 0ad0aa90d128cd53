"""Reversals: money that goes back, by refunds and disputes, and the credits that go with it."""
