"""Ask an installation's own calculator for a price: it may raise, hang or answer nonsense, and nobody else suffers."""

import threading
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from credits.config.calculators import Calculator
from credits.errors import PriceCalculatorError

PATIENCE_S: Final = 2.0
"""How long a calculator may take."""

# A calculator that hangs keeps its thread: Python cannot end it. This many, and no further price is asked for.
_MOST_AT_ONCE: Final = 16
_DIGITS: Final = 24

_slots = threading.BoundedSemaphore(_MOST_AT_ONCE)


@dataclass
class _Asked:
    """One question, and its answer once there is one."""

    calculator: Calculator
    amount: int
    plan: str | None
    answer: object = None
    fault: str = "did not answer"
    is_over: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        try:
            self.answer = self.calculator(self.amount, self.plan)
            self.fault = ""
        # Other people's code: whatever it raises is a finding about it, not a failure of ours.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            self.fault = f"raised {type(error).__name__}: {error}"[:300]
        finally:
            _slots.release()
            self.is_over.set()


def calculated_price(
    calculator: Calculator, name: str, amount: int, plan: str | None, *, patience_s: float = PATIENCE_S
) -> Decimal:
    """
    What the calculator `name` says `amount` credits cost.

    Raises PriceCalculatorError if it raises, takes longer than `patience_s`, or answers anything but a Decimal of at
    least 0 with at most 24 digits on either side of the point.
    """
    if not _slots.acquire(timeout=patience_s):
        raise PriceCalculatorError(name, amount, f"{_MOST_AT_ONCE} calls of calculators hang; restart the program")
    asked = _Asked(calculator=calculator, amount=amount, plan=plan)
    threading.Thread(target=asked.ask, name=f"price:{name}", daemon=True).start()
    if not asked.is_over.wait(patience_s):
        raise PriceCalculatorError(name, amount, f"did not answer within {patience_s:g} s")
    if asked.fault:
        raise PriceCalculatorError(name, amount, asked.fault)
    return _checked(asked.answer, name, amount)


def _checked(answer: object, name: str, amount: int) -> Decimal:
    if not isinstance(answer, Decimal):
        raise PriceCalculatorError(name, amount, f"answered {type(answer).__name__}, and must answer a Decimal")
    if not answer.is_finite():
        raise PriceCalculatorError(name, amount, f"answered {answer}, which is no price")
    # Before anything is computed with it: a billion digits are as easily written as one.
    exponent = answer.as_tuple().exponent
    if answer.adjusted() >= _DIGITS or not isinstance(exponent, int) or exponent < -_DIGITS:
        raise PriceCalculatorError(name, amount, f"answered a number of more than {_DIGITS} digits beside the point")
    if answer < 0:
        raise PriceCalculatorError(name, amount, f"answered {answer:f}, and a price is at least 0")
    return answer
