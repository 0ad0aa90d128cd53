"""`@spends_credits(image_generation=1)`: a Flask view that holds credits before it runs and pays after a 2xx."""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any, ParamSpec

from flask import Response, current_app, jsonify
from werkzeug.wrappers import Response as AnyResponse

from credits.errors import (
    AccountBlockedError,
    CreditsError,
    DependencyError,
    HoldEndedError,
    IdempotencyConflictError,
    InsufficientCreditsError,
    InvalidIdError,
    MemberLimitExceededError,
)
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
    current_hold,
    current_job,
    items_for,
    library_of,
    value_of,
)
from credits.log import get_logger
from credits.reservations.checks import checked_ttl_ms
from credits.reservations.hold import chosen
from credits.reservations.model import Durability, Overage

__all__ = ["current_hold", "current_job", "problem_response", "spends_credits"]

P = ParamSpec("P")

PAY_PATIENCE_S = 5.0
"""Somebody is waiting for the answer."""

_STATUS_OF = {
    InsufficientCreditsError: 402,
    # The view took longer than its hold lasted, and what is available does not suffice any more.
    HoldEndedError: 402,
    MemberLimitExceededError: 403,
    AccountBlockedError: 403,
    IdempotencyConflictError: 409,
    InvalidIdError: 422,
    DependencyError: 503,
}

log = get_logger(__name__)


def spends_credits(
    items: Items | None = None,
    *,
    account: Named[str] = "account",
    member: Named[str | None] | None = None,
    key: Callable[[Arguments], str] | None = None,
    ttl_s: float = 60.0,
    overage: Overage | str = Overage.DENY,
    durability: Durability | str = Durability.LEDGER,
    using: SpendsCredits | Callable[[], SpendsCredits] | None = None,
    **amounts: Amount,
) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """
    Let a view hold credits while it runs, and pay when it has answered 2xx. Put it below the route.

    Any other answer, and an exception, charge nothing. A streamed answer is paid when it ends, however it ends, for its
    2xx has gone out: all that is held, or what the view has said by then with `current_job().spent = …`. Whoever cannot
    pay is answered 402, and 503 if the gate is away; the view is not called.

    - Amounts, `account`, `member`, `overage` and `using` are those of `@spends`; functions get the view's arguments by
      name. Past a member's budget the answer is 403.
    - `key` names the job. Without one each request is a job of its own; with one, a request whose job is paid already
      is answered 409, for nobody shall have the work twice for one charge. Do not take it from the caller as it is.
    """

    def decorate(view: Callable[P, Any]) -> Callable[P, Any]:
        signature, library = inspect.signature(view), library_of(using)
        policy, level = chosen(Overage, overage, "overage"), chosen(Durability, durability, "durability")
        check_amounts(view, items, amounts, "@spends_credits(image_generation=1)")
        checked_ttl_ms(ttl_s)
        check_named(view, account, "account", "@spends_credits(account=lambda said: g.user.id)")
        check_named(view, member, "member", "@spends_credits(member=lambda said: g.user.id)")

        def terms(arguments: Arguments) -> Terms:
            return Terms(
                account=value_of(account, arguments),
                items=items_for(items, amounts, arguments),
                name=new_id() if key is None else key(arguments),
                ttl_s=ttl_s,
                overage=policy,
                durability=level,
                member=None if member is None else value_of(member, arguments),
            )

        @functools.wraps(view)
        def paid(*args: P.args, **kwargs: P.kwargs) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            wanted = terms(bound.arguments)
            call = current_app.ensure_sync(view)
            if not wanted.items:
                return call(*args, **kwargs)
            try:
                job = _begin(library(), wanted)
            except CreditsError as error:
                return problem_response(error)
            return _run(job, lambda: call(*args, **kwargs))

        return paid

    return decorate


def problem_response(error: CreditsError) -> Response:
    """An error of ours as a problem+json: 402 with what is short and where to buy, 403, 409, 503, else 500."""
    status = _status_of(error)
    body: dict[str, Any] = {"type": f"about:blank#{error.code}", "code": error.code, "status": status}
    body |= {"detail": str(error), "fix": error.fix}
    if isinstance(error, InsufficientCreditsError | HoldEndedError):
        body |= {"shortages": [asdict(one) for one in error.shortages], "buy_url": error.buy_url}
    response = jsonify(body)
    response.status_code, response.content_type = status, "application/problem+json"
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response


def _status_of(error: CreditsError) -> int:
    return next((status for kind, status in _STATUS_OF.items() if isinstance(error, kind)), 500)


def _begin(library: SpendsCredits, terms: Terms) -> Job:
    job = Job(library, terms)
    if job.was_paid_before:
        raise IdempotencyConflictError(terms.name, first="a request that was answered and paid for", now="this one")
    return job


def _run(job: Job, view: Callable[[], Any]) -> Any:
    """The view's answer, paid for; or the problem that kept it from being paid."""
    beating = job.hold.kept_alive()
    beating.__enter__()
    is_streaming = False
    try:
        with as_current(job):
            response = current_app.make_response(view())
        if not 200 <= response.status_code < 300:
            job.give_back()
        elif response.is_streamed:
            is_streaming = True
            response.response = _Paying(response, job, beating)
        else:
            return _paid(job, response)
    except Exception:
        job.give_back()
        raise
    finally:
        if not is_streaming:
            beating.__exit__(None, None, None)
    return response


def _paid(job: Job, response: AnyResponse) -> AnyResponse:
    try:
        job.pay(patience_s=PAY_PATIENCE_S)
    except DependencyError as error:
        # It may be charged or not; the deadline frees what is not.
        return problem_response(error)
    except CreditsError as error:
        job.give_back()
        return problem_response(error)
    return response


class _Paying:
    """The parts of a streamed answer; the job is paid when they end, or when nobody wants more of them."""

    def __init__(self, response: AnyResponse, job: Job, beating: Any) -> None:
        self._parts: Iterable[Any] = response.response
        self._job = job
        self._beating = beating
        self._is_over = False

    def __iter__(self) -> Iterator[Any]:
        with as_current(self._job):
            yield from self._parts

    def close(self) -> None:
        """Called by every WSGI server, whatever became of the answer."""
        if self._is_over:
            return
        self._is_over = True
        close = getattr(self._parts, "close", None)
        try:
            if close is not None:
                close()
        finally:
            try:
                self._job.pay(patience_s=PAY_PATIENCE_S)
            except CreditsError as error:
                # The answer is out. Somebody has to hear of it.
                terms = self._job.terms
                log.warning("job.not_paid", job=terms.name, account=terms.account, code=error.code)
            self._beating.__exit__(None, None, None)
