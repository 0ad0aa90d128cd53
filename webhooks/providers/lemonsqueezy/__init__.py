"""Lemon Squeezy: signed by `X-Signature`, no timestamp, JSON:API bodies, money in minor units."""

from webhooks.providers.assembly import AssembledProvider
from webhooks.providers.lemonsqueezy.envelope import read_envelope
from webhooks.providers.lemonsqueezy.interpret import READERS
from webhooks.providers.lemonsqueezy.simulate import SIMULATORS
from webhooks.providers.lemonsqueezy.verify import signed, verified_tenants

PROVIDER = AssembledProvider(
    name="lemonsqueezy",
    verifier=verified_tenants,
    envelope_reader=read_envelope,
    readers=READERS,
    simulators=SIMULATORS,
    signer=signed,
)
