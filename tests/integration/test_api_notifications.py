"""Destinations over HTTP: made once per key, told, silenced, rotated, replayed; each change in the audit log."""

from typing import Any

import pytest
from sqlalchemy import Engine, select

from credits.audit_log import audit_log
from credits.clock import system_clock_ms
from credits.config.settings import Settings
from credits.db import snapshot
from credits.notifications import service
from credits.notifications.addresses import networks
from credits.notifications.sending import Sending
from credits.notifications.service import NotifyRuntime
from tests.support.api import Caller, app_on, assert_problem, caller_of
from tests.support.databases import ON_SQLITE
from tests.support.hooks import listening

HOOK = "https://app.example.com/hooks"
LOCAL = "127.0.0.0/8"


@pytest.fixture
def caller(settings: Settings, redis_url: str, engine: Engine) -> Caller:
    return _caller(settings, redis_url, engine)


def _caller(settings: Settings, redis_url: str, engine: Engine, **changes: Any) -> Caller:
    app = app_on(settings, engine, redis_url=redis_url, **changes)
    return caller_of(app.test_client(), engine, scopes=["admin"])


def _acts(engine: Engine) -> list[tuple[str, str, str]]:
    with snapshot(engine) as connection:
        rows = connection.execute(select(audit_log).order_by(audit_log.c.id)).mappings()
        return [(row["action"], row["subject"], row["reason"]) for row in rows]


def test_a_destination_is_made_once_per_key_and_its_secret_is_shown_there_alone(caller: Caller, engine: Engine) -> None:
    body = {"url": HOOK, "kinds": ["balance.low"], "key": "app", "reason": "the app wants to know"}

    made = caller.post("/v1/destinations", body)
    again = caller.post("/v1/destinations", {name: body[name] for name in ("url", "kinds")}, headers=_named("app"))
    other = caller.post("/v1/destinations", {**body, "url": "https://elsewhere.example.com/"})
    shown = caller.get("/v1/destinations")

    name = made.get_json()["destination"]
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.get_json()["secret"].startswith("whsec_")
    assert again.get_json() == {**made.get_json(), "replayed": True}
    assert_problem(other, 409, "idempotency_conflict")
    assert [one["destination"] for one in shown.get_json()["items"]] == [name]
    assert "whsec_" not in shown.text + caller.get(f"/v1/destinations/{name}").text
    assert _acts(engine) == [("destination.create", name, "the app wants to know")]


def test_a_destination_is_silenced_told_again_and_removed(caller: Caller, engine: Engine) -> None:
    name = caller.post("/v1/destinations", {"url": HOOK}).get_json()["destination"]

    disabled = caller.post(f"/v1/destinations/{name}/disable", {"reason": "too loud"})
    enabled = caller.post(f"/v1/destinations/{name}/enable", {})
    removed = [caller.send("DELETE", f"/v1/destinations/{name}", {}) for _ in range(2)]

    assert disabled.get_json()["disabled_reason"] == "too loud"
    assert enabled.get_json()["disabled_reason"] is None
    assert removed[0].get_json() == {"destination": name, "deleted": True}
    assert_problem(removed[1], 404, "destination_not_found")
    assert [action for action, _, _ in _acts(engine)] == [
        "destination.create",
        "destination.disable",
        "destination.enable",
        "destination.delete",
    ]


def test_a_repeated_rotation_rotates_once(caller: Caller, engine: Engine) -> None:
    made = caller.post("/v1/destinations", {"url": HOOK}).get_json()
    path = f"/v1/destinations/{made['destination']}/secret"

    present = caller.send("PUT", path, {"version": 1}).get_json()
    rotated = [caller.send("PUT", path, {"version": 2}).get_json() for _ in range(2)]
    too_far = caller.send("PUT", path, {"version": 4})

    assert present["secret"] == made["secret"]
    assert rotated[0]["secret"] == rotated[1]["secret"] != made["secret"]
    assert rotated[1]["previous_secret_until"] is not None
    assert_problem(too_far, 409, "secret_version_conflict")
    assert [action for action, _, _ in _acts(engine)] == ["destination.create", "destination.rotate"]


@ON_SQLITE
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "http://app.example.com/"}, "url"),
        ({"url": "https://192.168.0.1/"}, "url"),
        ({"url": "https://169.254.169.254/latest"}, "url"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"kinds": ["balance.high"]}, "kinds"),
        ({"kinds": "balance.low"}, "kinds"),
        ({"kinds": ["ping"]}, "kinds"),
    ],
)
def test_what_cannot_be_told_is_refused_by_field(caller: Caller, change: dict[str, Any], field: str) -> None:
    answer = caller.post("/v1/destinations", {"url": HOOK, **change})

    assert answer.status_code == 422
    assert answer.get_json()["detail"].startswith(f"{field}: ")
    assert caller.get("/v1/destinations").get_json()["items"] == []


def test_a_delivery_is_seen_with_its_attempts_and_sent_again(
    settings: Settings, redis_url: str, engine: Engine
) -> None:
    caller = _caller(settings, redis_url, engine, notify_networks=LOCAL)
    telling = NotifyRuntime(
        engine=engine, secret_key=settings.secret_key, sender=Sending(allowed=networks(LOCAL)), clock=system_clock_ms
    )
    with listening() as listener:
        listener.statuses = [500, 200]
        name = caller.post("/v1/destinations", {"url": listener.url}).get_json()["destination"]
        pings = [caller.post(f"/v1/destinations/{name}/ping", {}, headers=_named("once")) for _ in range(2)]
        service.sweep(telling, until_ms=0)
        [failed] = caller.get("/v1/deliveries", state="pending", destination=name).get_json()["items"]
        caller.post(f"/v1/deliveries/{failed['id']}/retry", {"reason": "mended"})
        service.sweep(telling, until_ms=0)
        shown = caller.get(f"/v1/deliveries/{failed['id']}").get_json()

    assert {ping.get_json()["delivery"] for ping in pings} == {failed["id"]}
    assert failed["status"] == 500
    assert (shown["state"], [attempt["status"] for attempt in shown["log"]]) == ("delivered", [500, 200])
    assert len({heard.headers["webhook-id"] for heard in listener.heard}) == 1
    assert _acts(engine)[-1] == ("delivery.retry", str(failed["id"]), "mended")


def test_what_was_sent_to_somebody_who_hears_nothing_any_more_is_not_sent_again(caller: Caller) -> None:
    name = caller.post("/v1/destinations", {"url": HOOK}).get_json()["destination"]
    delivery = caller.post(f"/v1/destinations/{name}/ping", {}).get_json()["delivery"]
    caller.post(f"/v1/destinations/{name}/disable", {})

    one = caller.post(f"/v1/deliveries/{delivery}/retry", {})
    all_of_it = caller.post(f"/v1/destinations/{name}/retry", {})
    missing = caller.post("/v1/deliveries/999999/retry", {})

    assert one.get_json()["detail"] == f"delivery: {name} is disabled or deleted; enable it first"
    assert all_of_it.get_json()["retried"] == 0
    assert_problem(missing, 404, "delivery_not_found")


def _named(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}
