"""The providers we speak. A new one is a folder beside these and a line in REGISTRY."""
