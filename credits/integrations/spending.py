"""What a decorated Celery task spends: terms for a message, and one run that is paid for."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from celery import Task
from celery._state import get_current_task
from celery.exceptions import Ignore

from credits.errors import CreditsError, DependencyError, InvalidInputError
from credits.errors.tree import shown
from credits.ids import new_id
from credits.integrations.jobs import (
    Amount,
    Arguments,
    Items,
    Job,
    Named,
    SpendsCredits,
    Terms,
    as_current,
    check_amounts,
    check_named,
    items_for,
    value_of,
)
from credits.integrations.reruns import is_alone, next_run_in_s
from credits.log import get_logger
from credits.reservations.checks import checked_ttl_ms
from credits.reservations.model import Durability, Overage

MARK: Final = "__credits_spending__"
"""The attribute of a task's function that has its Spending."""

log = get_logger(__name__)


class HoldsAtPublication(Task):  # type: ignore[type-arg]
    """Base of `SpendingTask`, by which a run knows that its credits were held when it was sent."""

    abstract = True


@dataclass(frozen=True, kw_only=True)
class Spending:
    """What a decorated task spends, and how."""

    fun: Callable[..., Any]
    items: Items | None
    amounts: Mapping[str, Amount]
    account: Named[str]
    member: Named[str | None] | None
    key: Literal["id", "root"] | Callable[[Arguments], str]
    when: Literal["start", "publish"]
    ttl_s: float
    queue_ttl_s: float
    overage: Overage
    durability: Durability
    if_paid: Literal["run", "skip"]
    retry_on: tuple[type[CreditsError], ...]
    retry_in_s: float
    library: Callable[[], SpendsCredits]
    signature: inspect.Signature = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "signature", inspect.signature(self.fun))
        check_named(self.fun, self.account, "account", "@spends(account=lambda said: said['user'].id)")
        check_named(self.fun, self.member, "member", "@spends(member=lambda said: said['user'].id)")
        check_amounts(self.fun, self.items, self.amounts, "@spends(image_generation=1)")
        self._check_what_is_said_once()

    def _check_what_is_said_once(self) -> None:
        """Find what would fail every run, or mean something else, when the task is declared."""
        said = (("when", self.when, ("start", "publish")), ("if_paid", self.if_paid, ("run", "skip")))
        for name, value, choices in (*said, *(() if callable(self.key) else (("key", self.key, ("id", "root")),))):
            if value not in choices:
                raise InvalidInputError(name, f"must be one of {', '.join(choices)}, got {shown(value)}")
        checked_ttl_ms(self.ttl_s)
        checked_ttl_ms(self.queue_ttl_s, "queue_ttl_s")

    def run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """One run of the task's function, paid for."""
        task = running_task()
        if task is None or spending_of(task) is not self:
            # Called as a plain function, perhaps by another task: a job of its own.
            return self._paid(None, self._bound(args, kwargs), args, kwargs)
        if self.when == "publish" and not isinstance(task, HoldsAtPublication):
            raise TypeError(f"{task.name} holds credits when it is published: give @app.task base=SpendingTask")
        return self._paid(task, self._bound(args, kwargs), args, kwargs)

    def terms(self, arguments: Arguments, *, task_id: str, root_id: str | None) -> Terms:
        """What a job with these arguments holds, and under which name."""
        return Terms(
            account=value_of(self.account, arguments),
            items=items_for(self.items, self.amounts, arguments),
            name=self._name(arguments, task_id, root_id),
            ttl_s=self.ttl_s,
            overage=self.overage,
            durability=self.durability,
            member=None if self.member is None else value_of(self.member, arguments),
        )

    def _name(self, arguments: Arguments, task_id: str, root_id: str | None) -> str:
        if callable(self.key):
            return self.key(arguments)
        return root_id if self.key == "root" and root_id else task_id

    def arguments(self, task: Any, args: Any, kwargs: Any) -> Arguments:
        """The arguments of a message, which has no `self`, by name."""
        is_bound = not isinstance(inspect.getattr_static(type(task), "run"), staticmethod)
        return self._bound((task, *args) if is_bound else tuple(args), kwargs)

    def _paid(self, task: Any, arguments: Arguments, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        request = None if task is None else task.request
        task_id = (request.id if request is not None else None) or new_id()
        terms = self.terms(arguments, task_id=task_id, root_id=None if request is None else request.root_id)
        if not terms.items:
            return self.fun(*args, **kwargs)
        job = self._begin(task, terms)
        if job.was_paid_before and self.if_paid == "skip":
            # The result of the run that was paid for stays what it is.
            raise Ignore(f"{terms.name} was done and paid for before")
        with as_current(job), job.hold.kept_alive():
            try:
                result = self.fun(*args, **kwargs)
            except BaseException as error:
                self._end_unpaid(job, task, error)
                raise
            self._pay(job)
        return result

    def _begin(self, task: Any, terms: Terms) -> Job:
        try:
            return Job(self.library(), terms)
        except self.retry_on as error:
            if task is None or task.request.called_directly:
                raise
            # Nothing has been done yet. Raises Retry, or the error itself if there are no tries left.
            task.retry(exc=error, countdown=self.retry_in_s)
            raise
        except CreditsError:
            raise
        except Exception as error:
            # The soft time limit strikes anywhere: the hold may be made, and nobody has it in hand.
            if task is not None and next_run_in_s(task, error) is None and is_alone(task, has_found_hold=False):
                release_by_name(self, terms)
            raise

    def _end_unpaid(self, job: Job, task: Any, error: BaseException) -> None:
        again_in_s = None if task is None else next_run_in_s(task, error)
        if again_in_s is not None:
            job.keep(again_in_s + self.ttl_s)
        elif isinstance(error, Exception) and (task is None or is_alone(task, has_found_hold=self._found(job))):
            job.give_back()
        # Otherwise the worker is being stopped, or another run may be at it with the same hold, which must not lose it.
        # The deadline frees what nobody extends.

    def _found(self, job: Job) -> bool:
        """Whether another run has made the hold; not the publisher, who always does."""
        return job.hold.replayed and self.when == "start"

    def _pay(self, job: Job) -> None:
        try:
            job.pay()
        except DependencyError:
            # It may be charged or not. Another run of the job, if there is one, finds out.
            raise
        except CreditsError:
            job.give_back()
            raise

    def _bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments


def running_task() -> Any:
    """The Celery task that is running here; None outside of one."""
    return get_current_task()


def spending_of(task: Any) -> Spending | None:
    """What a task spends; None if it is not decorated."""
    found: Spending | None = getattr(getattr(task, "run", None), MARK, None)
    return found


def release_by_name(spending: Spending, terms: Terms) -> None:
    """Give back a job's hold from outside the job; what cannot be given back is left to its deadline."""
    try:
        spending.library().release(terms.account, terms.name)
    except CreditsError as error:
        log.warning("hold.not_released", account=terms.account, reservation=terms.name, code=error.code)
