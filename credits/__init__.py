"""Creditgate, a prepaid-credits engine: payments come in, credits go out, exactly once."""
