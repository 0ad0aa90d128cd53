"""Finds what credits.toml and the environment do not say together: settings that a policy counts on."""

from typing import Final

from credits.config.access import access_variable
from credits.config.catalogue import Catalogue
from credits.config.settings import Settings, Tenant

_CUT_OFF: Final = "of an invoice with more lines than its webhook carries, those alone are credited"


def warnings_together(settings: Settings, catalogue: Catalogue) -> dict[str, str]:
    """What works without an API key of Stripe, where its webhooks come in and plans are sold there, and how far."""
    plans = [plan for plan in catalogue.plans.values() if plan.product_ids.get("stripe")]
    skipping = [plan.key for plan in plans if plan.zero_invoice.out_of_band == "skip"]
    costs = [_CUT_OFF]
    if skipping:
        costs.append(
            f'zero_invoice.out_of_band = "skip" of {", ".join(skipping)} counts for events before 2025-03-31.basil '
            "alone: later ones do not say how they were paid"
        )
    receiving = {secret.tenant for secret in settings.secrets_of("stripe")} if plans else set()
    return {
        access_variable("stripe", tenant, "API_KEY"): f"is not set for the workers: {'; '.join(costs)}"
        for tenant in Tenant
        if tenant in receiving and (tenant, "stripe") not in settings.access
    }
