"""Which provider is looked through now: the workers' tick, for every provider that there is an API key of."""

from collections.abc import Mapping, Sequence
from typing import Final

from credits.allocation.model import Runtime
from credits.backfill.connect import LISTED, open_listing
from credits.backfill.service import Search, is_due, reconcile
from credits.config.settings import Settings, Tenant
from credits.errors import ProviderRefusedError, ProviderUnavailableError
from credits.log import get_logger

EACH_TICK: Final = frozenset({"lemonsqueezy"})
"""Forgets a failed delivery after three minutes; the others try for three days, and are looked through less often."""

_LEAST_MS: Final = 2_000
"""What a search is given at the least: a page is kept, so the next tick goes on."""

log = get_logger(__name__)


def searches_of(settings: Settings, here: Runtime) -> tuple[Search, ...]:
    """A search for each provider that a tenant has an API key of; none where that is switched off."""
    wanted = [(tenant, name) for tenant in Tenant for name in LISTED if (tenant, name) in settings.access]
    return tuple(
        Search(
            engine=here.engine,
            tenant=tenant,
            provider=here.providers[name],
            listing=open_listing(settings, tenant, name),
            clock=here.clock,
            every_ms=0 if name in EACH_TICK else settings.reconcile_every_s * 1000,
        )
        for tenant, name in wanted
        if settings.reconciles
    )


def reconcile_due(searches: Sequence[Search], *, longest_ms: int) -> Mapping[str, int]:
    """
    Look through those that are due, within `longest_ms` in all; answers how many events of each are new.

    One provider that does not answer keeps no other one waiting: its place is kept, and the next tick tries again.
    """
    due = [search for search in searches if is_due(search)]
    found: dict[str, int] = {}
    for number, search in enumerate(due):
        now_ms = search.clock()
        share_ms = max(longest_ms // (len(due) - number), _LEAST_MS)
        try:
            report = reconcile(search, until_ms=now_ms + share_ms)
            found[f"{search.tenant.value}:{search.provider.name}"] = len(report.event_ids)
        except (ProviderUnavailableError, ProviderRefusedError) as error:
            log.warning(
                "reconcile.failed",
                provider=search.provider.name,
                tenant=search.tenant.value,
                code=error.code,
                detail=str(error),
                fix=error.fix,
            )
        longest_ms -= search.clock() - now_ms
    return found
