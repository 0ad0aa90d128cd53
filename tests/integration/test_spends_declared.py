"""`@spends` where a task is declared and sent: held at publication, mistakes found early."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery

from credits import spends
from credits.engine import Credits
from credits.errors import InsufficientCreditsError, InvalidInputError, UnknownCreditTypeError
from credits.integrations.celery import SpendingTask, current_job
from tests.support.library import OTHER, TYPE, Shop, figures
from tests.support.spending import for_nobody, make, nothing


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def library(shop: Shop) -> Credits:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    library.add("user_1", OTHER, 100, key="b")
    return library


@pytest.fixture
def app() -> Celery:
    return Celery("tests", broker="memory://", backend="cache+memory://", set_as_current=False)


def test_credits_are_held_when_the_task_is_published(app: Celery, library: Credits) -> None:
    task = make(app, nothing, library, base=SpendingTask, when="publish", image_generation=10)

    sent = task.apply_async(("user_1",))
    held = figures(library, "user_1")[1]
    ran = task.apply(("user_1",), task_id=sent.id)

    assert (held, ran.state) == (10, "SUCCESS")
    assert figures(library, "user_1") == (90, 0, 0, 90, 0)


@pytest.mark.parametrize("said", ["countdown", "eta"])
def test_credits_are_held_until_a_task_that_begins_later(app: Celery, library: Credits, said: str) -> None:
    begins = {"countdown": 7200, "eta": datetime.now(UTC) + timedelta(hours=2)}[said]
    task = make(app, nothing, library, base=SpendingTask, when="publish", queue_ttl_s=60, image_generation=10)

    sent = task.apply_async(("user_1",), **{said: begins})

    hold = library.find_hold("user_1", sent.id)
    assert hold is not None
    assert hold.due_at_ms - hold.made_at_ms == pytest.approx(7_260_000, abs=30_000)


def test_a_task_that_nobody_can_pay_for_is_not_published(app: Celery, library: Credits) -> None:
    task = make(app, nothing, library, base=SpendingTask, when="publish", image_generation=101)

    with pytest.raises(InsufficientCreditsError):
        task.delay("user_1")


def test_a_task_that_cannot_be_sent_gives_its_credits_back(library: Credits) -> None:
    app = Celery("tests", broker="redis://127.0.0.1:1/0", set_as_current=False)
    app.conf.update(task_publish_retry=False, broker_transport_options={"socket_connect_timeout": 1})
    task = make(app, nothing, library, base=SpendingTask, when="publish", image_generation=10)

    with pytest.raises(Exception, match=r"refused|Error"):
        task.apply_async(("user_1",), retry=False)

    assert figures(library, "user_1") == (100, 0, 0, 100, 0)


def test_mistakes_are_found_when_the_task_is_declared(app: Celery, library: Credits) -> None:
    with pytest.raises(TypeError, match="has no argument 'account'"):
        spends(image_generation=1)(for_nobody)
    with pytest.raises(TypeError, match="say what"):
        spends()(nothing)
    with pytest.raises(TypeError, match="not both"):
        spends(dict, image_generation=1)(nothing)
    task = make(app, nothing, library, when="publish")
    with pytest.raises(TypeError, match="base=SpendingTask"):
        task.apply(("user_1",), throw=True)
    with pytest.raises(UnknownCreditTypeError):
        make(app, nothing, library, items={"gold": 1}).apply(("user_1",), throw=True)


def test_celery_still_checks_the_arguments_of_a_call(app: Celery, library: Credits) -> None:
    def render(self: Any, account: str, prompt: str) -> None: ...

    task = make(app, render, library, bind=True)

    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        task.apply_async(("user_1",))
    with pytest.raises(RuntimeError, match="no job is running"):
        current_job()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"when": "pubish"}, "when: must be one of start, publish, got 'pubish'"),
        ({"if_paid": "stop"}, "if_paid: must be one of run, skip"),
        ({"key": "task"}, "key: must be one of id, root"),
        ({"ttl_s": 0}, "ttl_s: must be a number from 1 to 86400 seconds, got 0"),
        ({"queue_ttl_s": 90_000}, "queue_ttl_s: must be a number from 1 to 86400"),
        ({"image_generation": 1.5}, "items.image_generation: must be a whole number from 0"),
        ({"image_generation": "1"}, "items.image_generation: must be a whole number from 0"),
    ],
)
def test_what_no_run_could_be_paid_by_is_refused_where_the_task_is_declared(
    app: Celery, library: Credits, said: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidInputError, match=sentence):
        make(app, nothing, library, **{"image_generation": 1, **said})
