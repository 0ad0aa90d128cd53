"""API keys in use: cheap for requests, revoked within seconds everywhere, valid through a database's outage."""

import hashlib
import time
from dataclasses import replace

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.exc import OperationalError

from credits.api import keyring, keys
from credits.api.keyring import TRUSTED_S, KeyRing
from credits.api.tables import api_keys
from credits.clock import system_clock_ms
from credits.config.settings import Settings, Tenant
from credits.db import snapshot, transaction
from credits.errors import AuthenticationError
from tests.support.api import Caller, app_on, caller_of, new_key
from tests.support.clock import VirtualClock
from tests.support.processes import wait_until


@pytest.fixture
def settings(settings: Settings, redis_url: str) -> Settings:
    return replace(settings, redis_url=redis_url)


@pytest.fixture
def key(engine: Engine) -> str:
    return make_key(engine)


def make_key(engine: Engine) -> str:
    with transaction(engine) as connection:
        return keys.create_key(connection, tenant=Tenant.SANDBOX, name="app", scopes=["read"], now_ms=system_clock_ms())


def test_a_revoked_key_stops_working_everywhere_within_five_seconds(settings: Settings, engine: Engine) -> None:
    processes = [app_on(settings, engine).test_client() for _ in range(2)]
    one = caller_of(processes[0], engine)
    callers = [one, Caller(client=processes[1], key=one.key)]

    before = [caller.account("user_1", "entries").status_code for caller in callers]
    with transaction(engine) as connection:
        keys.revoke_key(connection, Tenant.SANDBOX, one.key.split("_")[2], now_ms=system_clock_ms())
    revoked_at_s = last_admitted_at_s = time.monotonic()

    def is_refused_by_both() -> bool:
        nonlocal last_admitted_at_s
        asked_at_s = time.monotonic()
        refused = [caller.account("user_1", "entries").status_code == 401 for caller in callers]
        last_admitted_at_s = last_admitted_at_s if all(refused) else asked_at_s
        return all(refused)

    wait_until(is_refused_by_both, what="the key is refused by both")

    assert before == [200, 200]
    # However long a request takes: when it begins counts.
    assert last_admitted_at_s - revoked_at_s < 5


def test_a_key_in_use_costs_its_requests_no_query(engine: Engine, key: str) -> None:
    ring, statements = KeyRing(engine, system_clock_ms), []
    ring.authenticate(key)
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    for _ in range(100):
        ring.authenticate(key)

    assert [text for text in statements if "api_keys" in text] == []


def test_a_new_key_works_at_once_and_a_wrong_secret_never(engine: Engine, key: str) -> None:
    ring = KeyRing(engine, system_clock_ms)
    other = make_key(engine)
    mixed = with_checksum(key[:17] + other[17:60])

    with pytest.raises(AuthenticationError):
        ring.authenticate(mixed)
    assert ring.authenticate(key).kid == key.split("_")[2]


def test_the_last_use_is_written_down_once_a_minute_and_not_by_requests(
    engine: Engine, key: str, clock: VirtualClock
) -> None:
    ring = KeyRing(engine, clock)
    ring.authenticate(key)
    at_request = last_used(engine, key)
    seen = []
    for _ in range(5):
        ring.refresh(dict(ring._known))
        seen.append(last_used(engine, key))
        clock.advance_ms(20_000)

    assert at_request is None
    assert [at_ms - seen[0] for at_ms in seen] == [0, 0, 0, 60_000, 60_000]


def test_while_the_database_is_away_a_key_known_before_goes_on_and_others_wait(
    engine: Engine, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [100.0]
    ring = KeyRing(engine, system_clock_ms, monotonic=lambda: now_s[0])
    unseen = make_key(engine)
    ring.authenticate(key)

    def is_away(*_: object) -> None:
        raise OperationalError("select", {}, Exception("no route to host"))

    monkeypatch.setattr(keyring, "find_keys", is_away)
    now_s[0] += TRUSTED_S + 1

    assert ring.authenticate(key).kid == key.split("_")[2]
    with pytest.raises(OperationalError):
        ring.authenticate(unseen)
    now_s[0] += keyring.TRUSTED_WITHOUT_DATABASE_S
    with pytest.raises(OperationalError):
        ring.authenticate(key)


def test_two_keys_are_valid_while_one_replaces_the_other(engine: Engine, key: str) -> None:
    kid, now_ms = key.split("_")[2], system_clock_ms()
    with transaction(engine) as connection:
        ends_at_ms = now_ms + 60_000
        successor = keys.rotate_key(connection, Tenant.SANDBOX, kid, now_ms=now_ms, old_ends_at_ms=ends_at_ms).key

    during = [KeyRing(engine, lambda: now_ms).authenticate(one).scopes for one in (key, successor)]
    after = KeyRing(engine, lambda: now_ms + 60_000)

    assert during[0] == during[1]
    assert after.authenticate(successor).kid != kid
    with pytest.raises(AuthenticationError):
        after.authenticate(key)


def test_a_key_that_expires_sooner_ends_then_and_its_successor_with_it(engine: Engine) -> None:
    now_ms = system_clock_ms()
    kid = new_key(engine, expires_at_ms=now_ms + 1_000).split("_")[2]

    with transaction(engine) as connection:
        made = keys.rotate_key(connection, Tenant.SANDBOX, kid, now_ms=now_ms, old_ends_at_ms=now_ms + 60_000)

    assert (made.old_ends_at_ms, made.expires_at_ms) == (now_ms + 1_000, now_ms + 1_000)


def test_only_a_hash_of_a_key_is_stored(engine: Engine, key: str) -> None:
    with snapshot(engine) as connection:
        (row,) = connection.execute(select(api_keys)).mappings().all()

    assert key[17:] not in repr(dict(row))
    assert len(key[17:60]) == 43


def test_keys_of_the_two_tenants_are_told_apart_by_sight(engine: Engine) -> None:
    with transaction(engine) as connection:
        made = {
            tenant: keys.create_key(connection, tenant=tenant, name="app", scopes=["read"], now_ms=1)
            for tenant in Tenant
        }

    assert made[Tenant.LIVE].startswith("ck_live_")
    assert made[Tenant.SANDBOX].startswith("ck_test_")


def test_the_hash_of_a_key_is_compared_in_constant_time(
    settings: Settings, engine: Engine, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Threads of other rings in this process may look after keys of theirs meanwhile.
    its_hash, compared = hashlib.sha256(key.encode()).hexdigest(), []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr(keys.hmac, "compare_digest", lambda one, other: compare(one, other) or len(one) < 64)

    answer = (
        app_on(settings, engine)
        .test_client()
        .get("/v1/accounts/user_1/balances", headers={"Authorization": f"Bearer {key}"})
    )

    # Equal as they are, the hashes open nothing: nothing but this comparison decides.
    assert answer.status_code == 401
    assert {one == other for one, other in compared if its_hash in {one, other}} == {True}


def test_no_key_is_in_any_log_line_or_answer(
    settings: Settings, engine: Engine, key: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    client = app_on(settings, engine).test_client()
    revoked = make_key(engine)
    with transaction(engine) as connection:
        keys.revoke_key(connection, Tenant.SANDBOX, revoked.split("_")[2], now_ms=system_clock_ms())
    mistyped = key[:-1] + ("a" if key[-1] != "a" else "b")

    answers = [
        client.open(path, method=method, headers={"Authorization": f"Bearer {one}"}, data=body)
        for one in (key, revoked, mistyped)
        for method, path, body in (
            ("GET", f"/v1/accounts/{one}/balances", b""),
            ("GET", f"/v1/accounts/user_1/entries?key={one}", b""),
            ("POST", "/v1/accounts/user_1/grants", one.encode()),
            ("POST", "/v1/accounts/user_1/balances", b""),
        )
    ]
    logged = caplog.text + "".join(capsys.readouterr())

    assert {answer.status_code for answer in answers} == {200, 401, 403, 405, 422}
    for one in (key, revoked, mistyped):
        assert one[17:60] not in logged
        assert not any(one[17:60] in answer.text for answer in answers if answer.status_code != 200)
        assert not any(one[17:60] in str(answer.headers) for answer in answers)


def last_used(engine: Engine, key: str) -> int | None:
    with snapshot(engine) as connection:
        query = select(api_keys.c.last_used_at_ms).where(api_keys.c.kid == key.split("_")[2])
        found: int | None = connection.execute(query).scalar_one()
        return found


def with_checksum(body: str) -> str:
    return body + keys._checksum(body)
