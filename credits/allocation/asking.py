"""Which events leave out what decides about credits, so that their provider is asked before the transaction."""

from collections.abc import Sequence

from credits.allocation.model import Runtime
from credits.config.catalogue import Catalogue
from credits.errors import UnknownProviderError
from credits.facts import Fact, PlanPaid
from credits.inbox.model import ClaimedEvent
from credits.inbox.provider import Gap
from credits.payload import parse


def facts_of(runtime: Runtime, event: ClaimedEvent) -> Sequence[Fact]:
    """What the webhook says by itself. Raises UnknownProviderError, and what `Provider.interpret` does."""
    provider = runtime.providers.get(event.provider)
    if provider is None:
        raise UnknownProviderError(event.provider, sorted(runtime.providers))
    return provider.interpret(parse(event.body))


def gaps_to_ask(runtime: Runtime, event: ClaimedEvent, facts: Sequence[Fact]) -> frozenset[Gap]:
    """What its provider is to be asked for; nothing without access to its API: then the webhook alone counts."""
    if (event.tenant, event.provider) not in runtime.completers:
        return frozenset()
    return gaps_of(facts, runtime.catalogue, event.provider)


def completed_facts_of(runtime: Runtime, event: ClaimedEvent) -> Sequence[Fact]:
    """
    What the webhook says, and its provider to complete it. No transaction may be open.

    Raises ProviderUnavailableError, ProviderRefusedError, and what `facts_of` does.
    """
    facts = facts_of(runtime, event)
    gaps = gaps_to_ask(runtime, event, facts)
    if not gaps:
        return facts
    completed = runtime.completers[event.tenant, event.provider](parse(event.body), gaps)
    return runtime.providers[event.provider].interpret(completed)


def gaps_of(facts: Sequence[Fact], catalogue: Catalogue, provider: str) -> frozenset[Gap]:
    """What `facts` leave open that makes a difference to credits."""
    paid = [fact for fact in facts if isinstance(fact, PlanPaid)]
    gaps = {Gap.LINES} if any(fact.is_cut_off for fact in paid) else set()
    if any(fact.is_out_of_band is None and _depends_on_it(fact, catalogue, provider) for fact in paid):
        gaps.add(Gap.OUT_OF_BAND)
    return frozenset(gaps)


def _depends_on_it(fact: PlanPaid, catalogue: Catalogue, provider: str) -> bool:
    """Whether a plan that the invoice may bill earns nothing by what is paid past the provider."""
    if fact.is_cut_off or any(line.product_id is None for line in fact.lines):
        plans = list(catalogue.plans.values())
    else:
        found = (catalogue.plan_of(provider, line.product_id) for line in fact.lines if line.product_id is not None)
        plans = [plan for plan in found if plan is not None]
    return any(plan.zero_invoice.out_of_band == "skip" for plan in plans)
