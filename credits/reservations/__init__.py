"""The gate: Redis answers for the ledger whether a job may spend, in one atomic step."""
