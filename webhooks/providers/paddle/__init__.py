"""Paddle Billing: signed by `Paddle-Signature`; transactions bill, adjustments give back, money is written as text."""

from webhooks.providers.assembly import AssembledProvider
from webhooks.providers.paddle.envelope import read_envelope
from webhooks.providers.paddle.interpret import READERS
from webhooks.providers.paddle.simulate import SIMULATORS
from webhooks.providers.paddle.verify import signed, verified_tenants

PROVIDER = AssembledProvider(
    name="paddle",
    verifier=verified_tenants,
    envelope_reader=read_envelope,
    readers=READERS,
    simulators=SIMULATORS,
    signer=signed,
)
