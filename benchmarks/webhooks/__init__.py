"""How fast webhooks are accepted, and how fast they become credits."""
