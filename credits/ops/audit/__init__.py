"""The audit: everything re-added from the rows and from Redis, by a reader that shares no code with the writers."""
