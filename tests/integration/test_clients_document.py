"""The Python in docs/clients.md runs as it is printed."""

import ast
import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from celery import Celery
from fastapi import Depends, FastAPI, Request
from flask import Flask, request
from sqlalchemy import Engine

from credits import AsyncCreditsClient
from credits.config.settings import Settings
from tests.support.api import app_on, new_key
from tests.support.library import OTHER, TYPE, Shop, figures
from tests.support.served import served

DOCUMENT = Path(__file__).parents[2] / "docs" / "clients.md"


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


async def render(prompt: str) -> str:
    return prompt.upper()


def test_the_examples_run_as_they_are_printed(
    shop: Shop, settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = shop.process()
    library.add("user_1", TYPE, 10, key="a")
    library.add("user_1", OTHER, 1000, key="b")
    settings = replace(settings, redis_url=shop.redis_url)
    server = app_on(settings, engine)
    sync, aio, celery, flask, fastapi = re.findall(
        r"^```python\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )

    with served(server) as url:
        monkeypatch.setenv("CREDITGATE_URL", url)
        monkeypatch.setenv("CREDITGATE_API_KEY", new_key(engine, scopes=["reserve"]))
        run(sync, render=str.upper, prompt="a tower")
        run(aio, render=render, prompt="a tower")
        tasks = run(celery, app=Celery("doc"), model=lambda prompt, _: prompt, count_tokens=len)
        tasks["render"].apply(("user_1", "a tower"), throw=True)
        tasks["write"].apply(("user_1", "a tower"), throw=True)
        views = Flask(__name__)
        run(flask, app=views, request=request, render=str.upper, current_user=_User)
        answers = [views.test_client().post("/images", json={"prompt": "a tower"}).status_code]
        routes = FastAPI()
        routes.state.credits = AsyncCreditsClient()
        run(
            fastapi,
            app=routes,
            render=render,
            Request=Request,
            Annotated=Annotated,
            Depends=Depends,
            AsyncIterator=AsyncIterator,
            signed_in_user=lambda: "user_1",
        )
        answers.append(asyncio.run(post(routes, "/images?prompt=a+tower")))

    assert answers == [200, 200]
    assert figures(library, "user_1") == (5, 0, 0, 5, 0)
    assert figures(library, "user_1", OTHER) == (993, 0, 0, 993, 0)


class _User:
    id = "user_1"


async def post(app: FastAPI, path: str) -> int:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as caller:
        return (await caller.post(path)).status_code


def run(block: str, **names: Any) -> dict[str, Any]:
    """Run a block as a module would be, `await` at the top included; answers its names."""
    code = compile(block, str(DOCUMENT), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    work = eval(code, names)  # noqa: S307
    if work is not None:

        async def awaited() -> None:
            await work

        asyncio.run(awaited())
    return names
