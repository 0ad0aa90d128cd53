"""The ledger: who has how many credits, since when and why. SQL is the truth."""
