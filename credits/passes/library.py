"""The part of the library that lets browsers in: links to the hosted page, tokens for the web components."""

from collections.abc import Sequence

from credits.clock import Clock
from credits.config.settings import Tenant
from credits.passes.issuing import DEFAULT_TTL_S, embed_token, portal_link


class Admitting:
    """Makes passes of one tenant. Nothing is stored for them."""

    tenant: Tenant
    base_url: str
    _secret_key: str
    _clock: Clock

    def portal_link(
        self,
        account: str,
        *,
        ttl_s: int = DEFAULT_TTL_S,
        return_url: str | None = None,
        locale: str | None = None,
        email: str | None = None,
    ) -> tuple[str, int]:
        """
        A URL that opens the hosted page of `account`, and until when (milliseconds) it does.

        `email` is that of its checkouts, as for `checkout`; the URL then has it in it, for whoever looks.

        Raises ConfigError if CREDITGATE_SECRET_KEY is not set, InvalidInputError that names the field.
        """
        return portal_link(
            tenant=self.tenant,
            account=account,
            secret_key=self._secret_key,
            base_url=self.base_url,
            now_ms=self._clock(),
            ttl_s=ttl_s,
            return_url=return_url,
            locale=locale,
            email=email,
        )

    def embed_token(
        self,
        account: str,
        *,
        origins: Sequence[str],
        ttl_s: int = DEFAULT_TTL_S,
        locale: str | None = None,
        email: str | None = None,
    ) -> tuple[str, int]:
        """
        A token for the web components on pages of `origins`, and until when (milliseconds) it is good.

        It reads the balances of `account` and opens checkouts for it, with `email`. Errors as `portal_link`.
        """
        return embed_token(
            tenant=self.tenant,
            account=account,
            secret_key=self._secret_key,
            now_ms=self._clock(),
            origins=origins,
            ttl_s=ttl_s,
            locale=locale,
            email=email,
        )
