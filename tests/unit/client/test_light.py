"""Whoever calls over HTTP has no server in their process."""

import subprocess
import sys

SERVER_PARTS = {
    "alembic",
    "babel",
    "celery",
    "flask",
    "gunicorn",
    "kombu",
    "prometheus_client",
    "pydantic",
    "redis",
    "sqlalchemy",
    "stripe",
    "typer",
}

OUR_SERVER = {
    "credits.api",
    "credits.db",
    "credits.engine",
    "credits.inbox",
    "credits.ops",
    "credits.portal",
    "credits.reservations.gate",
    "webhooks",
    "workers",
}

PROGRAM = """
import sys
from credits import AsyncCreditsClient, CreditsClient
import credits.errors
client = CreditsClient("http://127.0.0.1:1", "ck_test_key", patience_s=0.01)
try:
    client.reserve("user_1", image_generation=1)
except credits.errors.GateUnavailableError:
    print(*sys.modules)
"""


def test_a_process_that_uses_the_client_has_loaded_no_server_code() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)

    loaded = set(done.stdout.split())

    assert "httpx" in loaded
    assert loaded & (SERVER_PARTS | OUR_SERVER) == set()
