"""What a supervisor does about a program that ended or fell silent. Pure decisions; the loop acts on them."""

from dataclasses import dataclass
from typing import Final

FIRST_DELAY_S: Final = 0.5
LONGEST_DELAY_S: Final = 30.0

LONGEST_DELAY_AFTER_LIFE_S: Final = 2.0
"""What came up once is configured well and will come up again; making it wait would only lengthen the outage."""

STEADY_AFTER_S: Final = 60.0
"""A run that lasted this long was a good one: the next failure counts as the first again."""

TRIES_BEFORE_FIRST_SIGN: Final = 5
"""What never once showed life is misconfigured; after this many tries its last words help more than another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one run of a program ended."""

    ran_s: float
    detail: str
    """For people: the exit status, or how long nothing was heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """Start the program again after a pause."""

    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """Leave the program stopped: it cannot be started the way it is configured."""

    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a supervisor remembers between two runs."""

    failures_in_a_row: int = 0
    has_shown_life: bool = False

    def after(self, ending: Ending, *, showed_life: bool) -> "History":
        """The history with one more run in it."""
        steady = showed_life and ending.ran_s >= STEADY_AFTER_S
        return History(
            failures_in_a_row=1 if steady else self.failures_in_a_row + 1,
            has_shown_life=self.has_shown_life or showed_life,
        )


def next_step(history: History) -> Restart | GiveUp:
    """Decide what follows the latest run in `history`, which has at least one."""
    if not history.has_shown_life and history.failures_in_a_row >= TRIES_BEFORE_FIRST_SIGN:
        return GiveUp(tries=history.failures_in_a_row)
    # Bounded before the power is taken: 2 ** 10_000 would be a number of three thousand digits.
    doublings = min(history.failures_in_a_row - 1, 10)
    longest_s = LONGEST_DELAY_AFTER_LIFE_S if history.has_shown_life else LONGEST_DELAY_S
    return Restart(delay_s=min(FIRST_DELAY_S * 2**doublings, longest_s))


def is_silent(*, now_s: float, last_sign_s: float, limit_s: float) -> bool:
    """Whether nothing was heard for longer than `limit_s`."""
    return now_s - last_sign_s > limit_s
