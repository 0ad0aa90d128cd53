"""Celery tasks that spend, for tests."""

import itertools
from collections.abc import Callable
from typing import Any

from celery import Celery, Task

from credits import spends
from credits.engine import Credits
from tests.support.library import OTHER, TYPE

_numbers = itertools.count()


def nothing(account: str) -> None:
    """A task that does nothing."""


def for_order(account: str, order: int) -> None:
    """A task about one order."""


def for_nobody(user: str) -> None:
    """A task whose account has another name."""


def make(app: Celery, fun: Callable[..., Any], library: Credits, **options: Any) -> Task[..., Any]:
    """A task of `fun` that spends one image, if not said otherwise."""
    said = {name: options.pop(name) for name in ("bind", "base", "autoretry_for", "retry_kwargs") if name in options}
    wanted = options if {"items", TYPE, OTHER} & set(options) else {TYPE: 1, **options}
    task: Task[..., Any] = app.task(**said, name=f"task-{next(_numbers)}")(spends(using=library, **wanted)(fun))
    return task
