"""Deliver the fakes' webhooks: signed as the provider signs, in order, tried again when nobody answers 200."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from credits.inbox.provider import SignedWebhook
from credits.log import get_logger
from webhooks.providers import REGISTRY

log = get_logger(__name__)

_PAUSES_S: Final = (1.0, 5.0, 25.0)

Post = Callable[[str, SignedWebhook], int]
"""Posts a webhook to an address and answers the status; 0 if nobody was there."""


def post(url: str, webhook: SignedWebhook) -> int:
    """Over HTTP."""
    try:
        # The receiver runs on this machine, where no proxy leads.
        response = httpx.post(url, content=webhook.body, headers=webhook.headers, timeout=5, trust_env=False)
    except httpx.HTTPError:
        return 0
    return response.status_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliverer:
    """Sends webhooks to one receiver, from a thread: whoever clicked does not wait."""

    receiver_url: str
    secrets: Mapping[str, bytes]
    """By provider name."""
    post: Post = post
    pauses_s: Sequence[float] = _PAUSES_S

    def send(self, provider: str, bodies: Sequence[bytes]) -> threading.Thread:
        """Deliver `bodies` one after the other; returns at once."""
        thread = threading.Thread(target=self._send_all, args=(provider, bodies), name="fakes.delivery", daemon=True)
        thread.start()
        return thread

    def _send_all(self, provider: str, bodies: Sequence[bytes]) -> None:
        for body in bodies:
            self._send(provider, body)

    def _send(self, provider: str, body: bytes) -> None:
        for pause_s in (*self.pauses_s, None):
            webhook = REGISTRY[provider].sign(body, self.secrets[provider], int(time.time()))
            status = self.post(f"{self.receiver_url}/webhooks/{provider}", webhook)
            if status == 200:
                return
            log.warning("fakes.not_delivered", provider=provider, status=status, again_in_s=pause_s)
            if pause_s is not None:
                time.sleep(pause_s)
