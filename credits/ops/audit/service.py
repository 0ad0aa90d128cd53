"""One audit of an installation: the ledger against itself, the gate against itself and against the ledger."""

import redis
from sqlalchemy import Engine

from credits.db import snapshot
from credits.ops.audit.gate import read_gate
from credits.ops.audit.ledger import counts, read_ledger
from credits.ops.audit.model import Report
from credits.redis_client import RedisClient


def audit(engine: Engine, client: RedisClient, *, now_ms: int) -> Report:
    """
    Re-add everything, of both tenants. Changes nothing; safe while everything runs.

    A Redis that does not answer leaves `is_gate_read` false; the ledger is audited all the same.
    """
    report = Report()
    with snapshot(engine) as connection:
        report.entries, report.accounts = counts(connection)
        report.findings += read_ledger(connection, now_ms=now_ms)
    try:
        read_gate(engine, client, report)
    except (redis.RedisError, OSError):
        report.is_gate_read = False
    return report
