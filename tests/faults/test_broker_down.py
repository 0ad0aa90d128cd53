"""Without its broker the receiver answers as fast as ever, and every payment is credited once the broker is back."""

from sqlalchemy import Engine

from tests.support.installation import Installation, signed_purchase
from tests.support.ledger import assert_ledger_is_sound, balance_of
from tests.support.pace import Pace
from tests.support.processes import wait_until
from tests.support.valkey import ValkeyServer

# The figure to hold is 50 ms. A test machine that runs other tests beside it hiccups, but a broker that is waited for
# costs two seconds and more.
_QUICK_S = 1.0


def test_a_frozen_broker_delays_credits_but_no_answer(
    installation: Installation, broker: ValkeyServer, engine: Engine
) -> None:
    installation.start_receiver()
    installation.start_worker()
    installation.start_beat()
    _pay_and_wait(installation, engine, payments=1)

    broker.freeze()
    with Pace() as pace:
        answers = [installation.post(signed_purchase(f"frozen-{number}")) for number in range(20)]
    broker.thaw()

    assert {answer.status for answer in answers} == {200}
    assert max(pace.fair(answer.duration_s) for answer in answers) < _QUICK_S
    wait_until(lambda: balance_of(engine, "user_1") == 2100, what="all credits are there")
    assert_ledger_is_sound(engine)


def test_a_killed_broker_forgets_its_queue_and_no_payment_is_lost(
    installation: Installation, broker: ValkeyServer, engine: Engine
) -> None:
    installation.start_receiver()
    installation.start_worker()
    installation.start_beat()
    _pay_and_wait(installation, engine, payments=1)

    broker.kill()
    with Pace() as pace:
        answers = [installation.post(signed_purchase(f"killed-{number}")) for number in range(20)]
    broker.start()

    assert {answer.status for answer in answers} == {200}
    assert max(pace.fair(answer.duration_s) for answer in answers) < _QUICK_S
    wait_until(lambda: balance_of(engine, "user_1") == 2100, what="all credits are there")
    assert_ledger_is_sound(engine)


def _pay_and_wait(installation: Installation, engine: Engine, *, payments: int) -> None:
    for number in range(payments):
        assert installation.post(signed_purchase(f"before-{number}")).status == 200
    wait_until(lambda: balance_of(engine, "user_1") == 100 * payments, what="credits before the fault")
