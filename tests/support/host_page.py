"""An app of another origin with the web components in its pages: the examples of docs/pages.md, run as they stand."""

import importlib.util
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from flask import Flask, Response, redirect, request, session
from werkzeug.serving import make_server

from tests.support.dev import clean_environment

ROOT: Final = Path(__file__).parents[2]
FRONTENDS: Final = ROOT / "tests" / "browser" / "frontends"
_INSTALL: Final = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1")
_NO_NETWORK: Final = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "ETIMEDOUT")

CREDITS_HOST: Final = "https://credits.example.com"


def example(language: str, mark: str) -> str:
    """The block of docs/pages.md in that language that has `mark` in it."""
    text = (ROOT / "docs" / "pages.md").read_text("utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return next(str(block) for block in blocks if mark in block)


class HostPage:
    """The app as a browser reaches it; `page` is what it serves at `/`."""

    def __init__(self, url: str, credits_url: str, app: Flask) -> None:
        self.url = url
        self.credits_url = credits_url
        self.html = example("html", "credits.js").replace(CREDITS_HOST, credits_url)
        self.policy: str | None = None
        self.built: dict[str, str] = {}
        for rule, show in {
            "/": self._show,
            "/login/<account>": self._login,
            "/built/<name>": lambda name: Response(self.built[name], mimetype="text/javascript"),
            "/<name>/app": self._app,
            "/favicon.ico": lambda: Response(status=204),
        }.items():
            app.add_url_rule(rule, rule, show)

    def as_logged_in(self, account: str, path: str = "/") -> str:
        """Where a browser goes to be that account's, and on to `path`."""
        return f"{self.url}/login/{account}?to={path}"

    def _show(self) -> Response:
        response = Response(self.html, mimetype="text/html")
        if self.policy:
            response.headers["Content-Security-Policy"] = self.policy
        return response

    def _login(self, account: str) -> Any:
        session["user_id"] = account
        return redirect(request.args.get("to", "/"))

    def _app(self, name: str) -> str:
        tag = f'<script type="module" src="{self.credits_url}/embed/credits.js" data-token-url="/credits-token">'
        built = f'<script type="module" src="/built/{name}.js">'
        return f'<!doctype html><html lang="en"><title>{name}</title>{tag}</script><div id="app"></div>{built}</script>'


@contextmanager
def host_page(folder: Path, credits_url: str) -> Iterator[HostPage]:
    """The Flask app of docs/pages.md, served beside the installation whose folder is given."""
    code = folder / "documented_app.py"
    code.write_text(example("python", "embed_token"))
    spec = importlib.util.spec_from_file_location(code.stem, code)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in os.environ.keys() - clean_environment().keys():
            patch.delenv(name)
        patch.setenv("APP_SECRET_KEY", "a key for tests only")
        spec.loader.exec_module(module)
    app: Flask = module.app
    server = make_server("127.0.0.1", 0, app, threaded=True)
    url = f"http://localhost:{server.port}"
    shown = HostPage(url, credits_url, app)
    os.environ["APP_ORIGIN"] = url
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield shown
    finally:
        del os.environ["APP_ORIGIN"]
        server.shutdown()
        module.credits.close()


def build_frontends(folder: Path) -> dict[str, str]:
    """The examples for React and Vue as scripts. Skips the test where there is no npm, as the document says."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("npm is not on PATH")
    shutil.copytree(FRONTENDS, folder, dirs_exist_ok=True)
    (folder / "Credits.jsx").write_text(example("jsx", "credit-balance"))
    (folder / "Credits.vue").write_text(example("vue", "credit-balance"))
    installed = subprocess.run([npm, *_INSTALL], cwd=folder, capture_output=True, text=True, check=False)
    if installed.returncode != 0 and any(sign in installed.stderr for sign in _NO_NETWORK):
        pytest.skip("npm cannot reach its registry")
    assert installed.returncode == 0, installed.stderr
    subprocess.run([node, "build.mjs"], cwd=folder, check=True)
    return {f"{name}.js": (folder / f"{name}.js").read_text() for name in ("react", "vue")}
