"""The Celery app of the workers: `celery -A workers.app worker`, `celery -A workers.app beat`."""

import os
from pathlib import Path

from celery.signals import setup_logging

from credits.config.settings import load_settings, read_environment
from credits.log import set_up_logging
from credits.queues import make_celery
from workers import hearing, heartbeat, reconnect

_settings = load_settings(read_environment(os.environ, Path.cwd()), Path.cwd())

app = make_celery(_settings.broker_url)
_TASKS = ("inbox", "gate", "notifications", "plans", "topups", "backfill")
app.conf.imports = tuple(f"workers.tasks.{name}" for name in _TASKS)
reconnect.install(app)
heartbeat.install(app)
hearing.install(app)


@setup_logging.connect
def _our_logs(**_: object) -> None:
    """Log as the rest of Creditgate does, instead of Celery's own way."""
    set_up_logging(_settings.log_format)
