"""A server that does not answer is tried by one caller at a time; all others are told at once."""

from credits.circuit import TRIAL_S, Circuit


class Times:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_everybody_is_let_through_while_the_server_answers() -> None:
    circuit = Circuit(monotonic=Times())

    assert [circuit.lets_through() for _ in range(3)] == [True, True, True]


def test_after_a_failure_nobody_is_let_through_for_a_moment_and_then_one() -> None:
    times = Times()
    circuit = Circuit(pause_s=0.5, monotonic=times)

    circuit.failed()
    at_once = circuit.lets_through()
    times.now_s += 0.5
    later = [circuit.lets_through() for _ in range(3)]

    assert at_once is False
    assert later == [True, False, False]


def test_one_answer_opens_it_for_everybody() -> None:
    times = Times()
    circuit = Circuit(pause_s=0.5, monotonic=times)
    circuit.failed()
    times.now_s += 0.5

    circuit.lets_through()
    circuit.answered()

    assert [circuit.lets_through() for _ in range(3)] == [True, True, True]


def test_one_that_never_reports_back_shuts_nobody_out_for_good() -> None:
    times = Times()
    circuit = Circuit(pause_s=0.5, monotonic=times)
    circuit.failed()
    times.now_s += 0.5
    circuit.lets_through()

    times.now_s += TRIAL_S

    assert circuit.lets_through() is True
