"""Allocation: from an event to the credits it earns, in one transaction."""
