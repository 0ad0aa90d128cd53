"""The inbox: every webhook as it arrived, its state, and what came of it."""
