"""Will a Celery task run again after it failed, and may another run of it be alive? Pure functions of its settings."""

from datetime import UTC, datetime
from typing import Any

from celery.exceptions import Ignore, Reject, Retry


def next_run_in_s(task: Any, error: BaseException) -> float | None:
    """In how many seconds at most the next run of the same job is to begin; None if there will be none."""
    if isinstance(error, Retry):
        return seconds_until(error.when)
    if isinstance(error, Reject):
        return 0.0 if getattr(error, "requeue", False) else None
    if isinstance(error, Ignore) or not _is_retried_by_celery(task, error):
        return None
    return _longest_countdown_s(task)


def is_alone(task: Any, *, has_found_hold: bool) -> bool:
    """
    Whether this is the only run of the job, as far as that can be known.

    A message that was delivered again, or whose first run finds the hold made by a run, may have another run at work:
    the broker hands a long task out a second time while the first one lives.
    """
    if (task.request.delivery_info or {}).get("redelivered"):
        return False
    return bool(task.request.retries) or not has_found_hold


def seconds_until(when: Any) -> float:
    """How long a message with this countdown or `eta` waits at least; 0 for none."""
    if isinstance(when, int | float):
        return max(0.0, float(when))
    if isinstance(when, datetime):
        moment = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    return 0.0


def _is_retried_by_celery(task: Any, error: BaseException) -> bool:
    """Whether `autoretry_for` catches it: Celery's own wrapper is around ours and has not seen it yet."""
    if not isinstance(error, tuple(getattr(task, "autoretry_for", ()))):
        return False
    if isinstance(error, tuple(getattr(task, "dont_autoretry_for", ()))):
        return False
    most = getattr(task, "retry_kwargs", {}).get("max_retries", task.max_retries)
    return most is None or task.request.retries < most


def _longest_countdown_s(task: Any) -> float:
    if getattr(task, "retry_backoff", False):
        factor = max(1.0, float(task.retry_backoff))
        longest: float = min(float(getattr(task, "retry_backoff_max", 600)), factor * 2.0**task.request.retries)
        return longest
    return float(getattr(task, "retry_kwargs", {}).get("countdown") or task.default_retry_delay)
