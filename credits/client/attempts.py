"""When a call is tried again, and what its answer comes to. Decisions only: the clients do the waiting and sending."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from credits.client.calls import Call
from credits.client.problems import error_of
from credits.errors import CreditsError, GateUnavailableError, UnexpectedAnswerError

T = TypeVar("T")

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
"""More than any page of the API."""

_UNKNOWN_HOLD: Final = "reservation_not_found"
_AGAIN_AT: Final = frozenset({429, 502, 503, 504})
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for one try."""

    status: int
    body: bytes
    retry_after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Generic[T]):
    """The call has its answer."""

    value: T


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The call is to be tried again after a pause."""

    pause_s: float


class Attempts(Generic[T]):
    """
    The tries of one call, within its patience. All may be repeated: every call is idempotent by a name in it.

    `now_s` is a monotonic clock, `chance` answers numbers from 0 to 1.
    """

    def __init__(
        self,
        call: Call[T],
        *,
        timeout_s: float,
        patience_s: float,
        now_s: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self.call = call
        self._timeout_s = timeout_s
        self._now_s = now_s
        self._chance = chance
        whole_s = patience_s if call.patience_s is None else min(patience_s, call.patience_s)
        self._deadline_s = now_s() + whole_s
        self._failed = 0

    @property
    def next_timeout_s(self) -> float:
        """How long the next try may take."""
        return max(0.05, min(self._timeout_s, self._deadline_s - self._now_s()))

    def hear(self, answer: Answer) -> Done[T] | Again:
        """What an answer comes to. Raises the error that it stands for, unless trying again may help."""
        if 200 <= answer.status < 300:
            return Done(value=self._read(answer))
        problem = _problem(answer)
        if answer.status == 404 and problem.get("code") == _UNKNOWN_HOLD:
            for value in self.call.if_unknown:
                return Done(value=value)
        error = error_of(answer.status, problem) if problem else _no_problem(answer)
        if answer.status not in _AGAIN_AT:
            raise error
        return self._again(error, at_least_s=_seconds(answer.retry_after))

    def miss(self, why: Exception) -> Again:
        """What no answer comes to. Raises GateUnavailableError when the patience is over."""
        error = GateUnavailableError(
            f"{self.call.method} {self.call.path}: the Creditgate server did not answer "
            f"({type(why).__name__}: {why}) in {self._failed + 1} tries"
        )
        error.__cause__ = why
        return self._again(error, at_least_s=0.0)

    def _again(self, error: CreditsError, *, at_least_s: float) -> Again:
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**self._failed)
        # Half of it by chance, so that those who lost a server together do not come back together.
        pause_s = max(at_least_s, pause_s / 2) + self._chance() * pause_s / 2
        self._failed += 1
        if self._now_s() + pause_s >= self._deadline_s:
            raise error
        return Again(pause_s=pause_s)

    def _read(self, answer: Answer) -> T:
        try:
            return self.call.read(json.loads(answer.body))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnexpectedAnswerError(
                answer.status, f"{self.call.method} {self.call.path} was answered with {_shown(answer.body)}"
            ) from error


def _problem(answer: Answer) -> Mapping[str, Any]:
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and "code" in found else {}


def _no_problem(answer: Answer) -> CreditsError:
    """An answer that no Creditgate gives: something in front of it spoke, or it is another server altogether."""
    message = f"the server answered {answer.status} with {_shown(answer.body)}"
    if answer.status in _AGAIN_AT:
        return GateUnavailableError(message)
    if 300 <= answer.status < 400:
        message += "; redirects are not followed: give the address that answers itself"
    return UnexpectedAnswerError(answer.status, message)


def _seconds(retry_after: str) -> float:
    # The other form, a date, would need the clocks to agree; no answer of ours has it.
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 7 else 0.0


def _shown(body: bytes) -> str:
    text = body[:120].decode("utf-8", "replace")
    return repr(text) if text else "nothing"
