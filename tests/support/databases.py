"""On which databases a test runs that need not run on both each time."""

import pytest

ON_SQLITE = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.proof)], indirect=True
)
"""On SQLite; and on PostgreSQL among the proofs, for what touches SQL no differently from what runs on both."""
