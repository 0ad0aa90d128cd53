"""
Versions of the gate's library beside each other: how a new release takes over, and what becomes of an old one.

Each version has its own volatile table of the epochs that it serves, and starts with an empty one. Where another
version of the same layout serves a shard, both may: they write the same keys in the same way, and whatever ends the
epoch of the one ends that of the other. So the new one adopts the epoch on the old one's word, in one transaction of
Redis, and no hold is lost; the old one goes on serving the processes of its release until they are gone.
"""

from typing import Any, Final

import redis
from redis.exceptions import RedisError, ResponseError

from credits.errors import GateUnavailableError
from credits.reservations.keys import shard_keys
from credits.reservations.model import Answer
from credits.reservations.scripts import FAMILY, LAYOUT, Library, Verb, layout_of

IDLE_MS: Final = 24 * 3_600_000
"""A version that nobody called for so long is deleted. Whoever comes with it after all loads it again."""

_HANDED_OVER: Final = "ho"


def take_over(client: redis.Redis, code: Library, shard: int, epoch: int) -> bool:
    """
    Serve an epoch beside whichever version serves it; False if none of this layout does.

    Raises GateUnavailableError if a newer layout has been here: this release would misread what it wrote.
    """
    names = library_names(client)
    if max((layout_of(name) or 0 for name in names), default=0) > LAYOUT:
        raise GateUnavailableError(
            "a newer release keeps this Redis in another layout: start this process with that release"
        )
    others = [name for name in names if name != code.name and layout_of(name) == LAYOUT]
    if not others:
        return False
    key = shard_keys(shard).shard
    with client.pipeline(transaction=True) as pipeline:
        # A mark may have been left behind by a transaction in which the adopting version had just been deleted, and be
        # older than what this Redis remembers.
        pipeline.execute_command("HDEL", key, _HANDED_OVER)  # type: ignore[no-untyped-call]
        for name in others:
            pipeline.execute_command("FCALL", f"{name}_{Verb.HANDOVER.value}", 1, key, epoch)  # type: ignore[no-untyped-call]
        pipeline.execute_command("FCALL", code.function(Verb.ADOPT), 1, key, epoch)  # type: ignore[no-untyped-call]
        try:
            *_, adopted = pipeline.execute(raise_on_error=False)
        except ResponseError:
            return False
    return bool(adopted == [Answer.ADOPTED])


def delete_idle(client: redis.Redis, code: Library, *, now_ms: int) -> list[str]:
    """Delete the other versions that nobody called for a day; answers their names."""
    deleted = []
    for name in library_names(client):
        if name == code.name or not _is_idle(client, name, now_ms):
            continue
        try:
            client.function_delete(name)
        except ResponseError:
            # Somebody else was faster.
            continue
        deleted.append(name)
    return deleted


def library_names(client: redis.Redis) -> list[str]:
    """Every version that is loaded."""
    found: Any = client.function_list(library=f"{FAMILY}*")
    return [one[one.index("library_name") + 1] if isinstance(one, list) else one["library_name"] for one in found]


def _is_idle(client: redis.Redis, name: str, now_ms: int) -> bool:
    try:
        answer: Any = client.execute_command("FCALL", f"{name}_{Verb.USED.value}", 0)  # type: ignore[no-untyped-call]
    except RedisError:
        # One that cannot say so stays.
        return False
    return int(answer[1]) < now_ms - IDLE_MS
