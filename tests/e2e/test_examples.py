"""The examples of every stack run as their first lines say, and charge what they should."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from credits.config.catalogue import Catalogue
from credits.db import open_engine
from credits.engine import Credits
from tests.conftest import CONFIG_FILE
from tests.support.api import new_key
from tests.support.installation import Installation
from tests.support.library import OTHER, TYPE, Shop, figures
from tests.support.processes import PATIENCE_S, free_port, signal_group, start, wait_until
from tests.support.valkey import ValkeyServer

pytestmark = [pytest.mark.proof, pytest.mark.timeout(600)]

REPOSITORY = Path(__file__).parents[2]
ACCOUNTS = (f"user_{number}" for number in itertools.count(1))


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running Creditgate, and what an app is told of it."""

    folder: Path
    library: Credits
    broker_url: str
    env: dict[str, str]

    def new_account(self, *, images: int = 2, tokens: int = 100) -> str:
        """An account of the test's own."""
        account = next(ACCOUNTS)
        self.library.add(account, TYPE, images, key=f"{account}-images")
        self.library.add(account, OTHER, tokens, key=f"{account}-tokens")
        return account

    def wait_for(self, account: str, credit_type: str, wanted: tuple[int, int, int, int, int]) -> None:
        """Wait until these are the account's figures: a commit is in the ledger a moment after it has left its hold."""
        wait_until(lambda: figures(self.library, account, credit_type) == wanted, what=f"{account} has {wanted}")

    @contextmanager
    def running(self, *argv: str, port: int | None = None, ready: str = "") -> Iterator[Path]:
        """Run a program while the block does, from when it listens or has said `ready`; answers its log."""
        log = self.folder / f"{next(_numbers)}.log"
        process = start(argv, log=log, env=self.env, cwd=REPOSITORY)
        try:
            wait_until(
                lambda: process.poll() is not None or (_listens(port) if port else ready in log.read_text()),
                what=f"{argv} runs: {log.read_text()}",
            )
            assert process.poll() is None, log.read_text()
            yield log
        finally:
            signal_group(process, signal.SIGKILL)
            process.wait()


_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def site(migrated_sqlite_file: Path, catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    file = folder / "creditgate.sqlite3"
    shutil.copy(migrated_sqlite_file, file)
    server, engine = ValkeyServer(folder / "valkey"), open_engine(f"sqlite:///{file}")
    server.start()
    library = Shop(engine=engine, redis_url=server.url, catalogue=catalogue).process()
    key = new_key(engine, scopes=["reserve", "read"])
    with Installation(folder / "run", database_url=f"sqlite:///{file}", broker_url=server.url) as installation:
        installation.start_receiver()
        env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "CREDITGATE_URL": f"http://127.0.0.1:{installation.port}",
            "CREDITGATE_API_KEY": key,
        }
        yield Site(folder=folder, library=library, broker_url=server.url, env=env)
    library.close()
    server.stop()


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    kind: str
    text: str


def post(port: int, path: str, **query: Any) -> Answer:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}?{urlencode(query)}", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return Answer(status=answer.status, kind=answer.headers.get_content_type(), text=answer.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(status=error.code, kind=error.headers.get_content_type(), text=error.read().decode())


def _listens(port: int) -> bool:
    try:
        return post(port, "/is-anybody-there").status > 0
    except OSError:
        return False


def _node() -> str:
    node = shutil.which("node")
    assert node is not None, "node is not on PATH; the example of a Node service needs version 18 or newer to be tested"
    return node


def web_apps() -> dict[str, Sequence[str]]:
    """How each example is started, `PORT` in place of the port."""
    return {
        "flask": ("flask", "--app", "examples.flask_app", "run", "--port", "PORT"),
        "fastapi": ("uvicorn", "examples.fastapi_app:app", "--port", "PORT"),
        "django": (sys.executable, "-m", "examples.django_view", "runserver", "PORT", "--noreload"),
        "node": ("node", "examples/node_service.mjs", "PORT"),
    }


@pytest.mark.parametrize("stack", web_apps())
def test_a_web_app_pays_for_an_image_once_it_is_made(site: Site, stack: str) -> None:
    if stack == "node":
        _node()
    account, port = site.new_account(images=2), free_port()
    argv = [str(port) if part == "PORT" else part for part in web_apps()[stack]]
    with site.running(*argv, port=port):
        refused = post(port, "/images", user=account, prompt="")
        site.wait_for(account, TYPE, (2, 0, 0, 2, 0))
        made = [post(port, "/images", user=account, prompt="a cat") for _ in range(3)]

    assert refused.status == 400
    assert [answer.status for answer in made] == [200, 200, 402], made
    assert json.loads(made[0].text) == {"image": "an image of a cat"}
    assert (made[2].kind, json.loads(made[2].text)["code"]) == ("application/problem+json", "insufficient_credits")
    site.wait_for(account, TYPE, (0, 0, 0, 0, 0))


def test_a_flask_view_streams_and_pays_by_the_word(site: Site) -> None:
    account, port = site.new_account(tokens=250), free_port()
    with site.running("flask", "--app", "examples.flask_app", "run", "--port", str(port), port=port):
        story = post(port, "/stories", user=account)
        site.wait_for(account, OTHER, (241, 0, 0, 241, 0))

    assert story.text == "Once upon a time there was a ledger . "


def test_the_proxy_of_a_language_model_pays_as_tokens_flow(site: Site) -> None:
    account, poor, port = site.new_account(tokens=200), site.new_account(tokens=50), free_port()
    with site.running("uvicorn", "examples.llm_proxy:app", "--port", str(port), port=port):
        answers = [
            # Less than the estimate; more than it; more than there is.
            post(port, "/chat", user=account, prompt="tell me more", tokens=25),
            post(port, "/chat", user=account, prompt="tell me more", tokens=63),
            post(port, "/chat", user=poor, prompt="tell me more", tokens=63),
        ]
        # An answer's last byte is there before its hold is paid.
        site.wait_for(account, OTHER, (112, 0, 0, 112, 0))
        site.wait_for(poor, OTHER, (0, 0, 0, 0, 0))
        answers.append(post(port, "/chat", user=poor, prompt="tell me more", tokens=63))

    words = [len(answer.text.split()) for answer in answers[:2]]
    assert [answer.status for answer in answers] == [200, 200, 200, 402]
    assert words == [25, 63]
    assert answers[2].text.endswith("[out of credits]")
    assert len(answers[2].text.split()) == 50 + 3
    assert figures(site.library, poor, OTHER) == (0, 0, 0, 0, 0)
    steps = [entry["amount"] for entry in site.library.entries(account, credit_type=OTHER)]
    assert sorted(steps) == [-10] * 8 + [-5, -3, 200]


@pytest.mark.parametrize("by", ["client", "library"])
def test_a_celery_worker_pays_for_its_tasks(site: Site, by: str) -> None:
    account = site.new_account(images=2)
    env = {**site.env, "CELERY_BROKER_URL": site.broker_url}
    if by == "library":
        del env["CREDITGATE_URL"]
        env |= {
            "CREDITGATE_DATABASE_URL": site.library.engine.url.render_as_string(hide_password=False),
            "CREDITGATE_REDIS_URL": site.broker_url,
            "CREDITGATE_CONFIG": str(CONFIG_FILE),
            "CREDITGATE_TENANT": "sandbox",
        }
    beside = Site(folder=site.folder, library=site.library, broker_url=site.broker_url, env=env)
    worker = ("celery", "-A", "examples.celery_worker", "worker", "--concurrency", "2")
    send = [sys.executable, "-m", "examples.celery_worker", account, "a cat"]
    with beside.running(*worker, "--loglevel", "INFO", ready=" ready.") as log:
        for _ in range(3):
            subprocess.run(send, env=env, cwd=REPOSITORY, check=True, timeout=PATIENCE_S)
        refusal = "image_generation: 1 needed, 0 available"
        wait_until(
            lambda: log.read_text().count("succeeded in") == 2 and refusal in log.read_text(),
            what="two tasks have succeeded and the third one is refused",
        )
        site.wait_for(account, TYPE, (0, 0, 0, 0, 0))

    assert log.read_text().count("succeeded in") == 2
    assert "InsufficientCreditsError" in log.read_text()
