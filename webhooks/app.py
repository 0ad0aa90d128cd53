"""The web application: the receiver, the API and the health checks in one Flask app."""

import os
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from flask import Flask, Response
from prometheus_client import REGISTRY, CollectorRegistry
from sqlalchemy import Engine
from werkzeug.exceptions import HTTPException

from credits.api.connect import open_api
from credits.api.docs import docs_routes
from credits.api.express import ExpressLane
from credits.api.health import health_routes
from credits.api.openapi import document
from credits.api.paths import SegmentConverter, with_encoded_paths
from credits.api.payment_page import payment_page
from credits.api.problems import problem, problem_of
from credits.api.return_pages import return_pages
from credits.api.routes import AREAS, ENDPOINTS
from credits.clock import Clock, system_clock_ms
from credits.config.settings import Settings, load_settings, read_environment
from credits.db import open_engine
from credits.db_patience import HURRIED
from credits.log import get_logger, set_up_logging
from credits.ops.migrate import pending_migrations
from credits.portal.embed import embed_routes
from credits.portal.pages import portal_routes
from credits.portal.visit import Portal
from credits.queues import QUEUE_OF, Task, make_celery
from webhooks.doorbell import Doorbell
from webhooks.providers import REGISTRY as PROVIDERS
from webhooks.receiver import receiver

log = get_logger(__name__)

_FIX_OF: Final = {
    404: "Compare the path with /openapi.json, which lists them all; ids in it are percent-encoded one by one.",
    405: "Use one of the methods that the header Allow names.",
}


def create_app(
    settings: Settings,
    *,
    engine: Engine | None = None,
    doorbell: Doorbell | None = None,
    clock: Clock = system_clock_ms,
    registry: CollectorRegistry = REGISTRY,
) -> Flask:
    """
    The application for `settings`. Connects to nothing yet: a server that is down is found out request by request.

    Raises ConfigError if credits.toml is wrong.
    """
    app = Flask("creditgate", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    # `a//b` is an account of its own, not another way to write `a/b`.
    app.url_map.merge_slashes = False
    api_engine = engine or open_engine(settings.database_url, pool_size=16, patience=HURRIED)
    # SQLite's writers take turns by engine.
    is_shared = engine is not None or api_engine.dialect.name == "sqlite"
    engine = api_engine if is_shared else open_engine(settings.database_url, pool_size=16)
    doorbell = doorbell or ring_workers(settings.broker_url)
    app.register_blueprint(
        receiver(engine=engine, settings=settings, providers=PROVIDERS, doorbell=doorbell, clock=clock)
    )
    app.url_map.converters["segment"] = SegmentConverter
    api = open_api(settings, api_engine, clock=clock)
    app.register_blueprint(api.blueprint(ENDPOINTS))
    lane = ExpressLane(app, api, ENDPOINTS, answer_error=_answer_error, others=app.wsgi_app)
    app.wsgi_app = with_encoded_paths(lane)  # type: ignore[method-assign,assignment]
    app.register_blueprint(
        docs_routes(partial(document, AREAS, credit_types=api.credit_types, version=version("creditgate")))
    )
    portal = Portal(credits_of=api.credits_of, secret_key=settings.secret_key, base_url=settings.base_url, clock=clock)
    for pages in (portal_routes(portal), embed_routes(portal), return_pages(), payment_page(settings, api_engine)):
        app.register_blueprint(pages)
    has_secret = any(settings.secrets_of(name) for name in PROVIDERS)
    app.register_blueprint(
        health_routes(
            engine=api_engine,
            clock=clock,
            alarm_age_s=settings.alarm_age_s,
            ready={
                "a webhook signing secret": lambda: has_secret,
                "the tables of this release (credits migrate)": lambda: not pending_migrations(engine),
            },
            registry=registry,
        )
    )
    app.register_error_handler(Exception, _answer_error)
    return app


def app_from_env() -> Flask:
    """The application as the environment of this process configures it; sets up its logs, too."""
    folder = Path.cwd()
    settings = load_settings(read_environment(os.environ, folder), folder)
    set_up_logging(settings.log_format)
    return create_app(settings)


def sandbox_app(settings: Settings, engine: Engine, clock: Clock) -> Flask:
    """The application of a sandbox within one process: it rings for nobody, and its metrics are its own."""
    silent = Doorbell(lambda _: None)
    return create_app(settings, engine=engine, doorbell=silent, clock=clock, registry=CollectorRegistry())


def ring_workers(broker_url: str) -> Doorbell:
    """A doorbell that sends ids to the workers' queue, by the task's name alone."""
    celery = make_celery(broker_url)

    def send(event_ids: list[int]) -> None:
        celery.send_task(
            Task.PROCESS_EVENTS.value, args=[event_ids], queue=QUEUE_OF[Task.PROCESS_EVENTS], ignore_result=True
        )

    return Doorbell(send)


def _what_to_do(status: int | None) -> dict[str, Any]:
    fix = _FIX_OF.get(status or 500)
    return {} if fix is None else {"fix": fix}


def _answer_error(error: Exception) -> Response:
    if isinstance(error, HTTPException):
        code = (error.name or "error").lower().replace(" ", "_")
        answer = problem(error.code or 500, code, error.description or "", **_what_to_do(error.code))
        for name, value in error.get_headers():
            if name in {"Allow", "Retry-After"}:
                answer.headers[name] = value
        return answer
    answer = problem_of(error)
    if answer.status_code >= 500:
        log.error("request.failed", exc_info=error)
    return answer
