"""A provider that exists only here: for trying out and testing, and the folder to copy for a new one."""

from webhooks.providers.assembly import AssembledProvider
from webhooks.providers.fake.interpret import READERS, read_envelope
from webhooks.providers.fake.simulate import SIMULATORS
from webhooks.providers.fake.verify import signed, verified_tenants

PROVIDER = AssembledProvider(
    name="fake",
    verifier=verified_tenants,
    envelope_reader=read_envelope,
    readers=READERS,
    simulators=SIMULATORS,
    signer=signed,
)
