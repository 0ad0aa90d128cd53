"""Logs: one JSON object a line, with ids and codes, and without secrets or personal data."""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

_SECRETS: Final = re.compile(
    r"""whsec_\w+ | \b[sr]k_(?:live|test)_\w+ | \bck_(?:live|test)_\w+ | (?<=://)[^/@\s]+(?=@)
        | \b[\w.+-]+@[\w-]+\.[\w.]+\b | (?<![\w:./-])(?:\d[ -]?){12,18}\d(?![\w.-])""",
    re.VERBOSE,
)


# They tell of every message, every tick and every part that is loaded; what came of those is in our own lines.
_CHATTERERS: Final = (
    "alembic.runtime.plugins",
    "celery.worker.strategy",
    "celery.app.trace",
    "celery.beat",
    "httpx",
    "httpcore",
)


def redact(text: str) -> str:
    """`text` without signing secrets, API keys, passwords in URLs, e-mail addresses, numbers that look like cards."""
    return _SECRETS.sub("[redacted]", text)


def get_logger(name: str) -> Any:
    """A structured logger: `log.info("event.processed", inbox_id=17, state="done")`."""
    return structlog.stdlib.get_logger(name)


def set_up_logging(log_format: str, *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """
    Send the logs of this process, libraries included, to `stream` (standard error) as JSON or for a console.

    Every line passes the redaction, whoever wrote it. Repeating it replaces the handlers.
    """
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _stack_without_values,
        _redact_all,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer(default=str)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatterer in _CHATTERERS:
        logging.getLogger(chatterer).setLevel(max(level, logging.WARNING))


def _stack_without_values(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """
    Turn an exception into its class and the lines it passed.

    Its text is left out unless it is one of ours: a database's message quotes the row, and the row has names in it.
    """
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        if type(error).__module__.startswith("credits."):
            event["message"] = str(error)
        frames = traceback.extract_tb(error.__traceback__)[-8:]
        # Not under the key "stack", which the console's renderer takes for text of its own.
        event["trace"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def _redact_all(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = _redacted(value)
    return event


def _redacted(value: Any) -> Any:
    """`value` with every text in it redacted; of what is no JSON, the text it would be shown as."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(str(name)): _redacted(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))
