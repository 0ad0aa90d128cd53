"""The whole life of a subscription in a sandbox of its own, on a virtual clock."""
