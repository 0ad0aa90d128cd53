"""When a call is tried again: what helps, how long to wait, and when to give up."""

import json
from dataclasses import dataclass, field

import pytest

from credits.client import calls
from credits.client.attempts import Again, Answer, Attempts, Done
from credits.client.calls import Call
from credits.errors import CreditsError, GateUnavailableError, InsufficientCreditsError, UnexpectedAnswerError
from credits.reservations.records import HoldRecord

CALL: Call[bool] = calls.release("user_1", "job")
YES = Answer(status=200, body=b'{"released": true}')


@dataclass
class Watch:
    """A clock that a test moves."""

    at_s: float = 100.0
    chances: list[float] = field(default_factory=list)

    def now_s(self) -> float:
        return self.at_s

    def attempts(self, call: Call[bool] = CALL, *, patience_s: float = 10, chance: float = 0.0) -> Attempts[bool]:
        return Attempts(call, timeout_s=4, patience_s=patience_s, now_s=self.now_s, chance=lambda: chance)


def problem(status: int, code: str, retry_after: str = "", **more: object) -> Answer:
    body = json.dumps({"code": code, "status": status, "detail": "said so", **more}).encode()
    return Answer(status=status, body=body, retry_after=retry_after)


def test_a_yes_is_read() -> None:
    assert Watch().attempts().hear(YES) == Done(value=True)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_that_is_busy_or_away_is_asked_again(status: int) -> None:
    heard = Watch().attempts().hear(problem(status, "gate_unavailable"))

    assert isinstance(heard, Again)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 410, 422, 500])
def test_a_no_is_raised_at_once(status: int) -> None:
    with pytest.raises(CreditsError, match="said so"):
        Watch().attempts().hear(problem(status, "some_code"))


def test_it_waits_as_long_as_the_server_says_at_least() -> None:
    heard = Watch().attempts().hear(problem(503, "gate_unavailable", "5"))

    assert isinstance(heard, Again)
    assert 5 <= heard.pause_s < 6


def test_a_wait_that_is_longer_than_the_patience_is_not_begun() -> None:
    with pytest.raises(GateUnavailableError, match="said so"):
        Watch().attempts().hear(problem(503, "gate_unavailable", "11"))


def test_pauses_grow_to_a_bound_and_are_spread_by_chance() -> None:
    lucky, unlucky = Watch().attempts(patience_s=1000), Watch().attempts(patience_s=1000, chance=1.0)

    short = [lucky.miss(OSError("gone")).pause_s for _ in range(9)]
    long = [unlucky.miss(OSError("gone")).pause_s for _ in range(9)]

    assert short[:3] == [0.025, 0.05, 0.1]
    assert long[:3] == [0.05, 0.1, 0.2]
    assert (max(short), max(long)) == (1.0, 2.0)


def test_all_tries_together_last_no_longer_than_the_patience() -> None:
    watch = Watch()
    attempts = watch.attempts(patience_s=10)
    timeouts_s = []

    def until_it_gives_up() -> None:
        while True:
            timeouts_s.append(attempts.next_timeout_s)
            watch.at_s += attempts.next_timeout_s
            watch.at_s += attempts.miss(OSError("silence")).pause_s

    with pytest.raises(GateUnavailableError, match="did not answer") as caught:
        until_it_gives_up()

    assert watch.at_s <= 110
    assert timeouts_s[:2] == [4, 4]
    assert timeouts_s[2] < 4
    assert isinstance(caught.value.__cause__, OSError)


def test_the_last_answer_is_what_is_raised_in_the_end() -> None:
    watch = Watch()
    attempts = watch.attempts(patience_s=1)
    attempts.miss(OSError("gone"))
    watch.at_s += 0.99

    with pytest.raises(GateUnavailableError, match="said so"):
        attempts.hear(problem(503, "gate_unavailable"))


def test_a_beat_is_given_up_before_the_next_one_is_due() -> None:
    call = calls.extend("user_1", "job", ttl_s=60)

    assert call.patience_s == 10


def test_a_page_of_a_proxy_is_no_answer() -> None:
    page = b"<html>Bad Gateway</html>"

    again = Watch().attempts().hear(Answer(status=502, body=page))
    with pytest.raises(UnexpectedAnswerError, match="<html>"):
        Watch().attempts().hear(Answer(status=200, body=page))
    with pytest.raises(UnexpectedAnswerError, match="redirects are not followed"):
        Watch().attempts().hear(Answer(status=301, body=b""))

    assert isinstance(again, Again)


@pytest.mark.parametrize("body", [b"[]", b"{}", b"null", b"7", b'{"released"', b"\xff\xfe"])
def test_json_that_says_something_else_is_unexpected(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswerError):
        Watch().attempts().hear(Answer(status=200, body=body))


def test_a_hold_that_nobody_knows_is_none_and_a_wrong_address_is_an_error() -> None:
    call: Call[HoldRecord | None] = calls.find("user_1", "job")

    def hear(code: str) -> object:
        tries = Attempts(call, timeout_s=1, patience_s=1, now_s=lambda: 0.0, chance=lambda: 0.0)
        return tries.hear(problem(404, code))

    found = hear("reservation_not_found")
    with pytest.raises(UnexpectedAnswerError, match="said so"):
        hear("not_found")

    assert found == Done(value=None)


def test_what_is_short_is_told_with_the_refusal() -> None:
    short = [{"credit_type": "tokens", "needed": 7, "available": 3}]

    with pytest.raises(InsufficientCreditsError) as caught:
        Watch().attempts().hear(problem(402, "insufficient_credits", shortages=short))

    assert caught.value.shortages[0].available == 3
