"""Stripe: what it signs, what its events say in every API version, and how to simulate them."""

from webhooks.providers.assembly import AssembledProvider
from webhooks.providers.stripe.interpret import READERS, read_envelope
from webhooks.providers.stripe.simulate import SIMULATORS
from webhooks.providers.stripe.verify import signed, verified_tenants

PROVIDER = AssembledProvider(
    name="stripe",
    verifier=verified_tenants,
    envelope_reader=read_envelope,
    readers=READERS,
    simulators=SIMULATORS,
    signer=signed,
)
