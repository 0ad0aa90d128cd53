"""`@spends(image_generation=1)`: a Celery task that holds credits while it runs and pays for what it used, once."""

import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, ParamSpec, TypeVar

from celery import signals
from celery.exceptions import TimeLimitExceeded, WorkerLostError
from celery.utils import uuid

from credits.errors import CreditsError, DependencyError
from credits.integrations.jobs import (
    MAX_KEPT_S,
    Amount,
    Arguments,
    Items,
    Named,
    SpendsCredits,
    current_hold,
    current_job,
    library_of,
)
from credits.integrations.reruns import seconds_until
from credits.integrations.spending import (
    MARK,
    HoldsAtPublication,
    Spending,
    release_by_name,
    running_task,
    spending_of,
)
from credits.log import get_logger
from credits.reservations.hold import chosen
from credits.reservations.model import Durability, Overage

__all__ = ["SpendingTask", "current_hold", "current_job", "spends"]

P = ParamSpec("P")
R = TypeVar("R")

QUEUE_TTL_S: Final = 3600.0
"""How long credits that are held at publication wait for a worker."""

log = get_logger(__name__)


def spends(
    items: Items | None = None,
    *,
    account: Named[str] = "account",
    member: Named[str | None] | None = None,
    key: Literal["id", "root"] | Callable[[Arguments], str] = "id",
    when: Literal["start", "publish"] = "start",
    ttl_s: float = 60.0,
    queue_ttl_s: float = QUEUE_TTL_S,
    overage: Overage | str = Overage.DENY,
    durability: Durability | str = Durability.LEDGER,
    if_paid: Literal["run", "skip"] = "run",
    retry_on: tuple[type[CreditsError], ...] = (DependencyError,),
    retry_in_s: float = 10.0,
    using: SpendsCredits | Callable[[], SpendsCredits] | None = None,
    **amounts: Amount,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """
    Let a task hold credits while it runs, and pay when it is done. Put it below `@app.task` or `@shared_task`.

    Nothing is charged for a run that fails, and a job that is retried, redelivered or run twice is charged once: the
    hold has the job's name.

    - Amounts are numbers, or functions of the task's arguments by name: `tokens=lambda said: said["max_tokens"]`;
      or all of them as `items`. The task says what it used, `current_job().spent = {"tokens": 120}`, or pays for all.
    - `account` names the argument that has the account, or is a function of the arguments; so does `member`, if the
      job counts against a member's budget; past it, reserving fails with MemberLimitExceededError.
    - `key` is the job's name: the task's id, the id of the workflow's first task (`"root"`), or a function.
    - `when="publish"` holds credits when the task is sent, for up to `queue_ttl_s`; its base must be `SpendingTask`.
    - `retry_on` errors of reserving let Celery retry the task `retry_in_s` later; others fail it.
    - `if_paid` says what a run does that finds the job paid by an earlier one: it runs for free, or is skipped.
    - `using` is `Credits`, `CreditsClient` or what makes one in each process; as the environment says, if left out.

    Raises TypeError if the task has no such argument.
    """

    def decorate(fun: Callable[P, R]) -> Callable[P, R]:
        spending = Spending(
            fun=fun,
            items=items,
            amounts=amounts,
            account=account,
            member=member,
            key=key,
            when=when,
            ttl_s=ttl_s,
            queue_ttl_s=queue_ttl_s,
            overage=chosen(Overage, overage, "overage"),
            durability=chosen(Durability, durability, "durability"),
            if_paid=if_paid,
            retry_on=retry_on,
            retry_in_s=retry_in_s,
            library=library_of(using),
        )

        @functools.wraps(fun)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            result: R = spending.run(args, kwargs)
            return result

        setattr(run, MARK, spending)
        # Celery checks the arguments of a call by it.
        run.__signature__ = inspect.signature(fun)  # type: ignore[attr-defined]
        signals.task_revoked.connect(_release_revoked, weak=False, dispatch_uid="credits.task_revoked")
        signals.task_failure.connect(_release_lost, weak=False, dispatch_uid="credits.task_failure")
        return run

    return decorate


class SpendingTask(HoldsAtPublication):
    """A task that holds its credits when it is sent: `@app.task(base=SpendingTask)` above `@spends(when="publish")`."""

    abstract = True

    def apply_async(  # type: ignore[override]
        self,
        args: Any = None,
        kwargs: Any = None,
        task_id: str | None = None,
        **options: Any,
    ) -> Any:
        """
        Hold the credits, then send the task.

        Raises what `reserve` raises: InsufficientCreditsError, and nothing is sent. If the task cannot be sent, the
        credits go back.
        """
        spending = spending_of(self)
        if spending is None or spending.when != "publish" or options.get("retries"):
            return super().apply_async(args, kwargs, task_id=task_id, **options)
        name = task_id or uuid()
        terms = spending.terms(
            spending.arguments(self, args or (), kwargs or {}), task_id=name, root_id=_root_id(options)
        )
        waits_s = spending.queue_ttl_s + seconds_until(options.get("countdown") or options.get("eta"))
        spending.library().reserve(
            terms.account,
            terms.items,
            reservation_id=terms.name,
            ttl_s=min(waits_s, MAX_KEPT_S),
            member=terms.member,
        )
        try:
            return super().apply_async(args, kwargs, task_id=name, **options)
        except Exception:
            # Should it have been sent all the same, its run holds the credits anew.
            release_by_name(spending, terms)
            raise


def _root_id(options: Mapping[str, Any]) -> str | None:
    """The first task of the workflow that a message is sent in, as Celery finds it."""
    parent = running_task()
    found: str | None = options.get("root_id") or (parent and (parent.request.root_id or parent.request.id))
    return found


def _release_revoked(sender: Any, request: Any, **_: Any) -> None:
    """Give back what a task holds that was revoked or has expired, before it ran or while it did."""
    _release_later(sender, request.args, request.kwargs, task_id=request.id, root_id=request.root_id)


def _release_lost(sender: Any, task_id: str, exception: BaseException, args: Any, kwargs: Any, **_: Any) -> None:
    """Give back what a task held whose process was killed, or ran out of time. Others have done so by themselves."""
    if isinstance(exception, WorkerLostError | TimeLimitExceeded):
        _release_later(sender, args, kwargs, task_id=task_id, root_id=getattr(sender.request, "root_id", None))


def _release_later(task: Any, args: Any, kwargs: Any, *, task_id: str, root_id: str | None) -> None:
    spending = spending_of(task)
    if spending is None:
        return
    try:
        terms = spending.terms(spending.arguments(task, args or (), kwargs or {}), task_id=task_id, root_id=root_id)
    # What the task's own functions make of arguments that never ran is not ours to judge; the deadline frees the hold.
    except Exception as error:
        log.warning("hold.not_released", job=task_id, exc_info=error)
        return
    # This is the worker's main loop; a gate that is away must not hold it up.
    threading.Thread(target=release_by_name, args=(spending, terms), name="credits-release", daemon=True).start()
