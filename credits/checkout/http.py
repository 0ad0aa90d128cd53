"""Ask a provider's API to make a checkout: JSON over HTTP, typed errors, and one checkout however often we ask."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
import stamina

from credits.checkout.cleaning import cleaned
from credits.checkout.model import CheckoutOrder
from credits.config.settings import ProviderAccess
from credits.errors import ProviderKeyRefusedError, ProviderRefusedError, ProviderUnavailableError

_TIMEOUT_S: Final = 10.0
_ATTEMPTS: Final = 3
# No attempt begins later than this: somebody waits for the answer.
_PATIENCE_S: Final = 8.0
_MAY_WORK_LATER: Final = frozenset({408, 409, 425, 429})

Found = Mapping[str, Any]


class JsonApi:
    """One provider's API with the access of one tenant. Safe to share between threads."""

    def __init__(
        self,
        provider: str,
        base_url: str,
        access: ProviderAccess,
        *,
        headers: Mapping[str, str],
        reason_of: Callable[[Any], str],
    ) -> None:
        """`reason_of` reads what an error's document says; it may raise for one of another shape."""
        self._provider, self._api_key, self._reason_of = provider, access.api_key, reason_of
        self._client = httpx.Client(
            base_url=base_url,
            timeout=_TIMEOUT_S,
            headers={"Authorization": f"Bearer {access.api_key}", **headers},
            # The fakes run on this machine, where no proxy leads.
            trust_env=access.api_base is None,
        )

    def ask(self, method: str, path: str, **options: Any) -> Found:
        """
        The JSON document with `data` that answers.

        Raises ProviderUnavailableError where the same may succeed later, ProviderKeyRefusedError, ProviderRefusedError.
        """
        try:
            response = self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise ProviderUnavailableError(self._provider, f"did not answer ({type(error).__name__})") from None
        if response.is_success:
            try:
                answer = response.json()
            except ValueError:
                answer = None
            if isinstance(answer, dict) and answer.get("data") is not None:
                return answer
            raise ProviderUnavailableError(self._provider, "answered what is no JSON document with data")
        status, message = response.status_code, cleaned(self._reason(response), self._api_key)
        if status in {401, 403}:
            raise ProviderKeyRefusedError(self._provider, message)
        if status in _MAY_WORK_LATER or status >= 500:
            raise ProviderUnavailableError(self._provider, f"{status} {message}")
        raise ProviderRefusedError(self._provider, message)

    def _reason(self, response: httpx.Response) -> str:
        try:
            return self._reason_of(response.json())
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"answered {response.status_code}"


def found_or_made(
    order: CheckoutOrder, *, find: Callable[[CheckoutOrder], Found | None], make: Callable[[CheckoutOrder], Found]
) -> Found:
    """
    The order's checkout at a provider that knows no idempotency keys.

    A call that was cut off, this one's or an earlier one's, may have left it there: then it is looked for first.
    Raises what `find` and `make` raise, ProviderUnavailableError after three attempts.
    """
    may_be_there = order.is_repeat
    for attempt in stamina.retry_context(on=ProviderUnavailableError, attempts=_ATTEMPTS, timeout=_PATIENCE_S):
        with attempt:
            found = find(order) if may_be_there else None
            may_be_there = True
            return make(order) if found is None else found
    raise AssertionError("the loop above returns or raises")
