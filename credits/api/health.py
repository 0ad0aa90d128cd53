"""Health: is this process alive, can it do its work, does any event or top-up grow old? Also the metrics."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from flask import Blueprint, Response, jsonify
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import Engine

from credits.api.problems import problem
from credits.clock import Clock
from credits.db import snapshot
from credits.inbox.health import InboxHealth, inbox_health
from credits.topup.health import InFlight, topup_health


@dataclass(frozen=True, slots=True, kw_only=True)
class _Health:
    """What is read from SQL for a check or a scrape."""

    inbox: InboxHealth
    topups: tuple[InFlight, ...]

    def alarms(self, alarm_age_s: int) -> list[str]:
        """What somebody should look at, in sentences."""
        return self.inbox.alarms(alarm_age_s) + [part.alarm for part in self.topups if part.alarm is not None]


def health_routes(
    *,
    engine: Engine,
    clock: Clock,
    alarm_age_s: int,
    ready: Mapping[str, Callable[[], bool]],
    registry: CollectorRegistry,
) -> Blueprint:
    """
    `/healthz`, `/readyz` and `/metrics`.

    `ready` names what has to be there before any work can be done (a signing secret, the schema of this release); each
    is asked for until it is.
    """
    routes = Blueprint("health", __name__)
    found: set[str] = set()

    def missing_parts() -> list[str]:
        for name, is_there in ready.items():
            if name not in found and is_there():
                found.add(name)
        return [name for name in ready if name not in found]

    @routes.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @routes.get("/readyz")
    def readyz() -> Response:
        """503 if the receiver cannot store events; 200 with `degraded` and the alarms if events wait too long."""
        health = _read(engine, clock)
        try:
            missing = missing_parts()
        # As below: a health check reports what is wrong, it has no error of its own.
        except Exception:  # noqa: BLE001
            health, missing = None, []
        if missing:
            return problem(503, "not_ready", f"missing: {', '.join(missing)}", retry_after_s=5)
        if health is None:
            return problem(503, "database_unavailable", "the database does not answer", retry_after_s=5)
        alarms = health.alarms(alarm_age_s)
        return jsonify(status="degraded" if alarms else "ok", alarms=alarms)

    @routes.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type="text/plain; version=0.0.4")

    registry.register(_InboxCollector(engine, clock))
    return routes


class _InboxCollector:
    """Gauges read from SQL at scrape time, so that they are true however many processes there are."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        health = _read(self._engine, self._clock)
        up = GaugeMetricFamily("creditgate_database_up", "1 if the database answered this scrape")
        up.add_metric([], 0 if health is None else 1)
        yield up
        if health is None:
            return
        count = GaugeMetricFamily(
            "creditgate_events", "Events that are not finished, by state", labels=["tenant", "state"]
        )
        for part in health.inbox.states:
            count.add_metric([part.tenant, part.state], part.count)
        yield count
        age = GaugeMetricFamily(
            "creditgate_event_oldest_age_seconds", "Age of the oldest unfinished event", labels=["tenant", "state"]
        )
        for part in health.inbox.states:
            age.add_metric([part.tenant, part.state], part.oldest_age_s)
        yield age
        yield from _about_topups(health)


def _about_topups(health: _Health) -> Iterator[Metric]:
    labels = ["tenant", "state"]
    count = GaugeMetricFamily("creditgate_topups_in_flight", "Top-ups that are not over, by state", labels=labels)
    age = GaugeMetricFamily("creditgate_topup_oldest_age_seconds", "Age of the oldest top-up in flight", labels=labels)
    for part in health.topups:
        count.add_metric([part.tenant, part.state], part.count)
        age.add_metric([part.tenant, part.state], part.oldest_age_s)
    yield count
    yield age


def _read(engine: Engine, clock: Clock) -> _Health | None:
    try:
        with snapshot(engine) as connection:
            now_ms = clock()
            return _Health(
                inbox=inbox_health(connection, now_ms=now_ms), topups=topup_health(connection, now_ms=now_ms)
            )
    # A health check reports; it has no error of its own.
    except Exception:  # noqa: BLE001
        return None
