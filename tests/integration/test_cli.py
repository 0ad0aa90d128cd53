"""The command `credits`: what it shows, what it changes and what it only would, and errors that say what to do."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update

from credits.audit_log import audit_log
from credits.db import metadata, open_engine, snapshot, transaction
from credits.inbox.model import EventState
from credits.inbox.tables import events
from credits.ops.cli.app import build
from credits.ops.cli.context import errors_as_sentences
from tests.conftest import CONFIG_FILE
from tests.support.clock import NOON_MS
from tests.support.webhooks import simulation
from webhooks.providers import REGISTRY

TYPE = "image_generation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What the command said, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def database_kind() -> str:
    """What the command does to a database is shown elsewhere, on both."""
    return "sqlite"


@pytest.fixture
def run(
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs the command in an empty folder, as an operator called ada would."""
    variables = {
        "CREDITGATE_DATABASE_URL": database_url,
        "CREDITGATE_REDIS_URL": redis_url,
        "CREDITGATE_CONFIG": str(CONFIG_FILE),
        "CREDITGATE_TENANT": "sandbox",
        "LOGNAME": "ada",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Ran:
        capsys.readouterr()
        status: int | str | None = 0
        try:
            with errors_as_sentences():
                build(REGISTRY)([str(word) for word in words])
        except SystemExit as left:
            status = left.code
        shown = capsys.readouterr()
        return Ran(status=int(status or 0), out=shown.out, err=shown.err)

    return run


def test_a_balance_as_json_has_the_one_shape_that_every_face_shows(run: Run) -> None:
    run("grant", "user_1", TYPE, 100, "--reason", "a gift", "--key", "g1")

    assert run("balance", "user_1", "--json").json == {
        "account": "user_1",
        "balances": {TYPE: {"balance": 100, "held": 0, "pending": 0, "available": 100, "debt": 0}},
    }
    assert run("balance", "nobody", "--json").json == {"account": "nobody", "balances": {}}


def test_a_balance_is_told_to_people_as_a_table(run: Run) -> None:
    run("grant", "user_1", TYPE, 100, "--reason", "a gift", "--key", "g1")

    shown = run("balance", "user_1")
    none = run("balance", "nobody")

    assert TYPE in shown.out
    assert "100" in shown.out
    assert "never had credits" in none.out


@pytest.mark.parametrize("command", ["entries", "grants"])
def test_listings_as_json_have_their_items(run: Run, command: str) -> None:
    run("grant", "user_1", TYPE, 100, "--reason", "a gift", "--key", "g1")
    run("grant", "user_1", "tokens", 7, "--reason", "another", "--key", "g2")

    every = run(command, "user_1", "--json").json
    one = run(command, "user_1", "--type", "tokens", "--limit", 1, "--json").json

    assert [item["amount"] for item in every["items"]] == [7, 100]
    assert [(item["credit_type"], item["key"]) for item in one["items"]] == [("tokens", "manual:g2")]
    assert "manual:g1" in run(command, "user_1").out


def test_a_grant_and_a_deduction_say_what_they_did_and_answer_a_repetition_as_before(run: Run) -> None:
    granted = run("grant", "user_1", TYPE, 100, "--reason", "a gift", "--key", "g", "--json").json
    again = run("grant", "user_1", TYPE, 100, "--reason", "a gift", "--key", "g", "--json").json
    deducted = run("deduct", "user_1", TYPE, 30, "--reason", "a mistake", "--key", "d", "--json").json

    assert granted == {
        "account": "user_1",
        "credit_type": TYPE,
        "amount": 100,
        "balance_after": 100,
        "seq": 1,
        "key": "manual:g",
        "replayed": False,
        "dry_run": False,
    }
    assert again == {**granted, "replayed": True}
    assert (deducted["amount"], deducted["balance_after"]) == (-30, 70)


def test_every_change_by_hand_is_in_the_audit_log(run: Run, engine: Engine) -> None:
    event_id = unattributed(run)
    run("grant", "user_1", TYPE, 100, "--reason", "a gift", "--key", "g", "--by", "grace")
    run("deduct", "user_1", TYPE, 30, "--reason", "a mistake", "--key", "d")
    run("events", "retry", event_id, "--reason", "look again")
    run("events", "attach", event_id, "user_1", "--reason", "asked her")
    run("events", "skip", event_id, "--reason", "paid back")
    kid = run("keys", "create", "app", "--json").json["kid"]
    run("keys", "revoke", kid, "--reason", "leaked")

    with snapshot(engine) as connection:
        logged = [(row.actor, row.action, row.reason) for row in connection.execute(select(audit_log))]
    assert logged[1:] == [
        ("operator:grace", "ledger.grant", "a gift"),
        ("operator:ada", "ledger.deduct", "a mistake"),
        ("operator:ada", "event.retry", "look again"),
        ("operator:ada", "event.attach", "asked her"),
        ("operator:ada", "event.skip", "paid back"),
        ("operator:ada", "key.create", "key for app"),
        ("operator:ada", "key.revoke", "leaked"),
    ]


CHANGES: Mapping[str, Callable[[Run, int], Ran]] = {
    "grant": lambda run, _: run("grant", "user_1", TYPE, 1, "--reason", "r", "--key", "new", "--dry-run"),
    "deduct": lambda run, _: run("deduct", "user_1", TYPE, 1, "--reason", "r", "--key", "new", "--dry-run"),
    "retry": lambda run, event: run("events", "retry", event, "--dry-run"),
    "retry all": lambda run, _: run("events", "retry", "--all", "--dry-run"),
    "attach": lambda run, event: run("events", "attach", event, "user_1", "--reason", "r", "--dry-run"),
    "skip": lambda run, event: run("events", "skip", event, "--reason", "r", "--dry-run"),
    "replay": lambda run, event: run("events", "replay", "--event", event, "--dry-run"),
    "replay file": lambda run, _: run("events", "replay", webhook("file.json"), "--provider", "fake", "--dry-run"),
    "keys create": lambda run, _: run("keys", "create", "app", "--dry-run"),
    "keys rotate": lambda run, _: run(
        "keys", "rotate", run("keys", "list", "--json").json["items"][0]["kid"], "--dry-run"
    ),
    "keys revoke": lambda run, _: run(
        "keys", "revoke", run("keys", "list", "--json").json["items"][0]["kid"], "--dry-run"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_dry_run_says_what_would_happen_and_changes_nothing(run: Run, engine: Engine, change: str) -> None:
    run("grant", "user_1", TYPE, 100, "--reason", "a gift", "--key", "g")
    run("keys", "create", "app")
    event_id = unattributed(run)
    before = counts(engine)

    shown = CHANGES[change](run, event_id)

    assert (shown.status, shown.err) == (0, "")
    assert "would" in shown.out
    assert counts(engine) == before
    assert run("balance", "user_1", "--json").json["balances"][TYPE]["balance"] == 100


def test_events_are_listed_with_state_reason_and_what_to_do(run: Run) -> None:
    event_id = unattributed(run)

    (item,) = run("events", "list", "--status", "unattributed,failed", "--provider", "fake", "--json").json["items"]
    table = run("events", "list", "--status", "stuck")
    shown = run("events", "show", event_id, "--json").json

    assert (item["id"], item["state"], item["attempts"]) == (event_id, "unattributed", 0)
    assert "credits events attach" in item["fix"]
    assert f"→ {item['code']}: {item['fix']}" in table.out
    assert json.loads(shown.pop("body"))["type"] == "purchase.paid"
    assert shown == {**item, "candidates": []}
    assert run("events", "list", "--status", "done", "--json").json == {"items": []}


def test_an_event_is_retried_attached_and_skipped_by_its_number(run: Run) -> None:
    event_id = unattributed(run)

    retried = run("events", "retry", event_id, "--json").json
    attached = run("events", "attach", event_id, "user_1", "--reason", "r", "--json").json
    skipped = run("events", "skip", event_id, "--reason", "r", "--json").json
    finished = run("events", "retry", event_id)

    assert retried == {
        "items": [{"id": event_id, "state_before": "unattributed", "requeued": True}],
        "dry_run": False,
    }
    assert attached["items"][0]["state_before"] == "received"
    assert skipped["items"][0]["requeued"] is False
    assert "was skipped: left as it is" in finished.out


def test_a_body_from_a_file_is_processed_once_however_often_it_is_replayed(run: Run) -> None:
    file = webhook("purchase.json")

    first = run("events", "replay", file, "--provider", "fake", "--json").json
    second = run("events", "replay", file, "--provider", "fake", "--json").json

    assert [first["items"][0]["requeued"], second["items"][0]["requeued"]] == [True, False]
    assert first["items"][0]["id"] == second["items"][0]["id"]


def test_a_replayed_body_that_nobody_reads_is_kept_as_ignored(run: Run) -> None:
    body = json.loads(Path(webhook("event.json")).read_text()) | {"type": "weather.changed"}
    Path("event.json").write_text(json.dumps(body))

    (item,) = run("events", "replay", "event.json", "--provider", "fake", "--json").json["items"]

    assert (item["state_before"], item["requeued"]) == ("ignored", False)


def test_a_rotated_key_has_a_successor_like_it_and_ends_later(run: Run) -> None:
    old = run("keys", "create", "app", "--scope", "reserve", "--account-prefix", "org_1/", "--json").json
    new = run("keys", "rotate", old["kid"], "--hours", 1, "--json").json
    listed = {item["kid"]: item for item in run("keys", "list", "--json").json["items"]}

    assert (new["replaces"], new["key"].split("_")[2]) == (old["kid"], new["kid"])
    assert [listed[one["kid"]]["state"] for one in (old, new)] == ["valid", "valid"]
    assert listed[old["kid"]]["expires_at"] == new["old_ends_at"]
    assert listed[new["kid"]] == {
        **listed[old["kid"]],
        "kid": new["kid"],
        "created_at": listed[new["kid"]]["created_at"],
        "expires_at": None,
    }


def test_keys_are_shown_once_listed_without_their_secret_and_revoked(run: Run) -> None:
    made = run("keys", "create", "app", "--scope", "read", "--scope", "grant", "--days", 3, "--json").json
    revoked = run("keys", "revoke", made["kid"], "--json").json
    listed = run("keys", "list", "--json")

    assert made["key"].startswith("ck_test_")
    (item,) = listed.json["items"]
    assert (item["kid"], item["state"], sorted(item["scopes"])) == (made["kid"], "revoked", ["grant", "read"])
    assert made["key"] not in listed.out
    assert revoked == {"kid": made["kid"], "revoked": True, "dry_run": False}


ERRORS = {
    "amount": (("grant", "u", TYPE, 0, "--reason", "r", "--key", "k"), "invalid_amount", "bound"),
    "fraction": (("grant", "u", TYPE, "1.5", "--reason", "r", "--key", "k"), "from 1 to 9007199254740991", "bound"),
    "below": (("deduct", "u", TYPE, "-5", "--reason", "r", "--key", "k"), "9007199254740991, got '-5'", "bound"),
    "far below": (("grant", "u", TYPE, "-50.5", "--reason", "r", "--key", "k"), "amount: must be a whole", "bound"),
    "price below": (("price", TYPE, "-1"), "amount: must be a whole number from 1 to", "bound"),
    "limit below": (("members", "set", "u", "ada", TYPE, "-1", "--per", "day"), "whole number from 0 to", "bound"),
    "word": (("can-deduct", "u", TYPE, "many"), "amount: must be a whole number from 1 to", "bound"),
    "limit": (("members", "set", "u", "ada", TYPE, "1e3", "--per", "day"), "whole number from 0 to", "bound"),
    "type": (("grant", "u", "gold", 1, "--reason", "r", "--key", "k"), "unknown_credit_type", "credits.toml"),
    "reason": (("grant", "u", TYPE, 1, "--reason", " ", "--key", "k"), "invalid_input: reason", "bound"),
    "long reason": (("grant", "u", TYPE, 1, "--reason", "r" * 501, "--key", "k"), "at most 500", "bound"),
    "odd reason": (("grant", "u", TYPE, 1, "--reason", "\udcff", "--key", "k"), "surrogates", "bound"),
    "expiry": (
        ("grant", "u", TYPE, 1, "--reason", "r", "--key", "k", "--expires-at", "soon"),
        "invalid_input: expires_at",
        "bound",
    ),
    "expiry over": (
        ("grant", "u", TYPE, 1, "--reason", "r", "--key", "k", "--expires-at", "2020-01-01T00:00Z"),
        "expires_at: must lie ahead, got 2020-01-01T00:00:00.000Z; leave it out",
        "bound",
    ),
    "account": (("balance", "a\nb"), "invalid_id", "bound"),
    "instant": (("balance", "u", "--at", "yesterday"), "invalid_input: at", "bound"),
    "too little": (("deduct", "u", TYPE, 1, "--reason", "r", "--key", "k"), "insufficient_credits", "Buy or grant"),
    "no event": (("events", "show", 7), "event_not_found", "credits events list"),
    "status": (("events", "list", "--status", "lost"), "invalid_input: status", "bound"),
    "retry what": (("events", "retry"), "invalid_input: event_id", "bound"),
    "retry both": (("events", "retry", 1, "--all"), "invalid_input: event_id", "bound"),
    "replay what": (("events", "replay"), "invalid_input: file", "bound"),
    "replay whose": (("events", "replay", "x.json"), "unknown_provider", "message lists"),
    "no file": (("events", "replay", "x.json", "--provider", "fake"), "invalid_input: file", "bound"),
    "scope": (("keys", "create", "app", "--scope", "all"), "invalid_input: scopes", "bound"),
    "no key": (("keys", "revoke", "nothing"), "invalid_input: kid", "bound"),
    "no key to rotate": (("keys", "rotate", "nothing"), "invalid_input: kid", "bound"),
    "prefix": (("keys", "create", "app", "--account-prefix", ""), "invalid_id: account_prefix", "bound"),
    "provider": (("simulate", "paypal"), "unknown_provider", "message lists"),
    "event type": (("simulate", "fake", "weather.changed"), "invalid_input: event", "bound"),
    "no secret": (("simulate", "fake", "purchase.paid"), "FAKE_TEST_WEBHOOK_SECRETS", "credits config check"),
}


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_is_a_sentence_with_a_fix_and_status_1(run: Run, error: str) -> None:
    words, sentence, fix = ERRORS[error]

    ran = run(*words)

    assert ran.status == 1
    assert sentence in ran.err
    assert "fix " in ran.err
    assert fix in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    "words",
    [
        ("events", "show", 2**63),
        ("events", "show", 0),
        ("events", "retry", 2**64),
        ("events", "replay", "--event", 10**30),
        ("events", "list", "--limit", 1001),
        ("grant", "u", TYPE, 1, "--key", "k"),
        ("balance",),
        ("no-such-command",),
    ],
)
def test_a_command_line_that_cannot_be_is_status_2_and_no_stack(run: Run, words: tuple[object, ...]) -> None:
    ran = run(*words)

    assert ran.status == 2
    assert "Traceback" not in ran.err


def test_without_its_database_the_command_says_how_to_start_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDITGATE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")

    ran = run("entries", "user_1")

    assert ran.status == 3
    assert "database" in ran.err
    assert "credits dev" in ran.err


def test_migrate_makes_the_tables_and_may_be_repeated(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'fresh.sqlite3'}"
    monkeypatch.setenv("CREDITGATE_DATABASE_URL", url)

    first, second = run("migrate"), run("migrate")

    assert (first.status, second.status) == (0, 0)
    assert run("balance", "user_1", "--json").json == {"account": "user_1", "balances": {}}


def webhook(name: str, **changes: Any) -> str:
    """Write a webhook's body to a file of that name; answers the name."""
    said = {"at_ms": NOON_MS, "started_at_ms": NOON_MS, **changes}
    Path(name).write_bytes(REGISTRY["fake"].simulate(simulation("purchase.paid", **said)))
    return name


def unattributed(run: Run) -> int:
    """An event that waits for somebody to say whose payment it is."""
    file = webhook("nobody.json", account=None, delivery="nobody")
    event_id: int = run("events", "replay", file, "--provider", "fake", "--json").json["items"][0]["id"]
    engine = open_engine(os.environ["CREDITGATE_DATABASE_URL"])
    with transaction(engine) as connection:
        connection.execute(
            update(events).values(state=EventState.UNATTRIBUTED, code="nobody_to_credit", due_at_ms=None)
        )
    engine.dispose()
    return event_id


def counts(engine: Engine) -> dict[str, int]:
    """How many rows each table has."""
    with snapshot(engine) as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }
