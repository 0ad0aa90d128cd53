"""Pages in a real browser: the installation that serves them, what a page asks for and says, and what axe finds."""

import json
import urllib.request
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from credits.ops.dev.environment import API_KEY
from tests.support.dev import DevRun
from tests.support.processes import PATIENCE_S, wait_until


class Stand:
    """A running installation as an app's backend sees it: with the API key."""

    def __init__(self, run: DevRun) -> None:
        self.run = run
        self.url = run.url

    def post(self, path: str, sent: dict[str, Any]) -> dict[str, Any]:
        """What a route of the API answers."""
        return self._ask(path, json.dumps(sent).encode())

    def get(self, path: str) -> dict[str, Any]:
        """What a route that reads answers."""
        return self._ask(path, None)

    def _ask(self, path: str, body: bytes | None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/v1{path}", body, headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            answered: dict[str, Any] = json.load(response)
        return answered

    @property
    def key(self) -> str:
        return self.run.environment[API_KEY]

    def link(self, account: str, **options: Any) -> str:
        """A link to the account's page."""
        return str(self.post(f"/accounts/{account}/portal-links", options)["url"])

    def grant(self, account: str, amount: int, *, key: str = "gift", reason: str | None = None) -> None:
        """Give credits by hand, and wait until the gate has them."""
        before = self.run.balance(account)
        sent = {"credit_type": "image_generation", "amount": amount, "key": f"{account}:{key}", "reason": reason}
        self.post(f"/accounts/{account}/grants", {name: value for name, value in sent.items() if value is not None})
        wait_until(lambda: self.run.balance(account) >= before + amount, what="the credits are there")

    def spend(self, account: str, amount: int, *, key: str) -> None:
        """Spend credits."""
        self.post(f"/accounts/{account}/spends", {"items": {"image_generation": amount}, "key": f"{account}:{key}"})


class Watch:
    """What a page asked for and said while a test had it."""

    def __init__(self, page: Page) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(str(error)))

    def elsewhere(self, *urls: str) -> set[str]:
        """Requests to any other host."""
        return {one for one in self.asked if not one.startswith((*urls, "data:"))}


def serious_faults(page: Page) -> list[str]:
    """What axe finds serious or critical on the page as it is now."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {[node['html'] for node in one['nodes']]}"
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]
