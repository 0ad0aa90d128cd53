"""The gate's key names, and nothing else's: made of our own ids, all of one shard under one hash tag."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

SHARD_COUNT: Final = 64

PREFIX: Final = "cg:"


def shard_of(account_id: int) -> int:
    """The shard an account lives in, for ever."""
    return account_id % SHARD_COUNT


@dataclass(frozen=True, slots=True)
class ShardKeys:
    """Keys of one shard."""

    shard: str
    journal: str
    lead: str
    told: str
    owner: str


@dataclass(frozen=True, slots=True)
class AccountKeys:
    """Keys of one account, and of the shard it lives in."""

    shard: str
    account: str
    lots: str
    holds: str
    due: str
    journal: str
    token: str

    all: tuple[str, ...] = field(init=False)
    """The keys that a verb on an account takes, in their order."""

    def __post_init__(self) -> None:
        keys = (self.shard, self.account, self.lots, self.holds, self.due, self.journal, self.token)
        object.__setattr__(self, "all", keys)

    def of_account(self) -> tuple[str, str, str, str]:
        """The four keys that `settled` takes for each account."""
        return (self.account, self.lots, self.holds, self.due)


@lru_cache(maxsize=SHARD_COUNT)
def shard_keys(shard: int) -> ShardKeys:
    """The keys of `shard`."""
    tag = f"{PREFIX}{{{shard}}}:"
    return ShardKeys(
        shard=f"{tag}shard", journal=f"{tag}journal", lead=f"{tag}lead", told=f"{tag}told", owner=f"{tag}owner"
    )


@lru_cache(maxsize=16_384)
def account_keys(account_id: int) -> AccountKeys:
    """The keys of an account."""
    shard = shard_of(account_id)
    tag = f"{PREFIX}{{{shard}}}:"
    return AccountKeys(
        shard=f"{tag}shard",
        account=f"{tag}account:{account_id}",
        lots=f"{tag}lots:{account_id}",
        holds=f"{tag}holds:{account_id}",
        due=f"{tag}due:{account_id}",
        journal=f"{tag}journal",
        token=f"{tag}token:{account_id}",
    )
