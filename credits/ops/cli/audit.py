"""The command `credits audit`."""

import typer

from credits.clock import system_clock_ms
from credits.db import open_engine
from credits.ops.audit.service import audit as run_audit
from credits.ops.cli.context import AsJson, this
from credits.redis_client import open_redis


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(audit)


def audit(context: typer.Context, as_json: AsJson = False) -> None:
    """Re-add everything, ledger and gate, and list each disagreement: exit status 1. Without Redis: 3."""
    command = this(context)
    engine = open_engine(command.settings.database_url, pool_size=1, statement_s=0)
    client = open_redis(command.settings.redis_url, max_connections=4)
    report = run_audit(engine, client, now_ms=system_clock_ms())
    if as_json:
        command.print_json(report.as_json())
    else:
        command.say(
            f"{report.entries} entries of {report.accounts} accounts; {report.gate_accounts} accounts and "
            f"{report.journal_lines} journal lines in the gate."
        )
        if report.findings:
            rows = [(f.code.value, f.tenant, f.account, f.subject, f.expected, f.found) for f in report.findings]
            columns = ("code", "tenant", "account", "what", "expected", "found")
            command.print_table(f"{len(rows)} disagreements", columns, rows)
        elif report.is_gate_read:
            command.say("Everything agrees.")
        if not report.is_gate_read:
            command.say("Redis did not answer: the gate was not audited.")
    if report.findings or not report.is_gate_read:
        raise typer.Exit(1 if report.findings else 3)
