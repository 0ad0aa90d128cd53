"""How fast reservations are over HTTP, beside a route of the same server that does nothing."""
