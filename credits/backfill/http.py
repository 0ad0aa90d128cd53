"""Ask a provider's API for a page: timeouts, retries, rate limits, and typed errors."""

from collections.abc import Mapping
from typing import Any, Final

import httpx
import stamina

from credits.checkout.cleaning import cleaned
from credits.config.settings import ProviderAccess
from credits.errors import ProviderKeyRefusedError, ProviderRefusedError, ProviderUnavailableError

_TIMEOUT_S: Final = 10.0
_ATTEMPTS: Final = 4
_LONGEST_PAUSE_S: Final = 30.0
_TRY_AGAIN: Final = frozenset({408, 409, 425, 429})


class _TryAgainError(Exception):
    """The provider may answer later."""

    def __init__(self, message: str, pause_s: float | None = None) -> None:
        super().__init__(message)
        self.pause_s = pause_s


def _again(error: Exception) -> bool | float:
    if not isinstance(error, _TryAgainError):
        return False
    return True if error.pause_s is None else error.pause_s


class Asker:
    """One provider's API, for reading."""

    def __init__(self, provider: str, base_url: str, access: ProviderAccess, headers: Mapping[str, str]) -> None:
        self._provider, self._api_key = provider, access.api_key
        self._client = httpx.Client(
            base_url=base_url,
            timeout=_TIMEOUT_S,
            headers={"Authorization": f"Bearer {access.api_key}", **headers},
            # The fakes run on this machine, where no proxy leads.
            trust_env=access.api_base is None,
        )

    def get(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        """A JSON document with a list `data`. Raises ProviderUnavailableError or ProviderRefusedError."""
        try:
            for attempt in stamina.retry_context(on=_again, attempts=_ATTEMPTS, timeout=_LONGEST_PAUSE_S):
                with attempt:
                    return self._get(path, params)
        except _TryAgainError as error:
            raise ProviderUnavailableError(self._provider, str(error)) from None
        raise AssertionError("the loop above returns or raises")

    def _get(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        try:
            response = self._client.get(path, params=dict(params))
        except httpx.HTTPError as error:
            raise _TryAgainError(f"did not answer ({type(error).__name__})") from None
        status = response.status_code
        if status in _TRY_AGAIN or status >= 500:
            raise _TryAgainError(f"answered {status}", _pause_s(response))
        if not response.is_success:
            message = cleaned(f"{path} answered {status}: {response.text[:300]}", self._api_key)
            if status in {401, 403}:
                raise ProviderKeyRefusedError(self._provider, message)
            raise ProviderRefusedError(self._provider, message)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
            raise ProviderUnavailableError(self._provider, f"{path} answered what is no list")
        return answer


def _pause_s(response: httpx.Response) -> float | None:
    """What the provider asks us to wait; a longer wait than ours is another run's."""
    text = response.headers.get("Retry-After", "")
    if not (text.isascii() and text.isdigit()):
        return None
    return min(float(text), _LONGEST_PAUSE_S)
