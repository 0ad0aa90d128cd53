"""The test suite: unit, contract, integration, faults, e2e."""
