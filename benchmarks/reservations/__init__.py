"""How fast credits are reserved, committed and spent, beside the bare calls, PostgreSQL by hand, and peers."""
