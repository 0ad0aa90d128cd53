"""Plans: what a subscription earns, and subscriptions as last seen."""
