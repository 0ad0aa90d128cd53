"""The floor: as many empty EVALSHA calls through redis-py and hiredis as the work takes round trips."""

import redis

EMPTY = "return 1"


def setup(_config, _accounts):
    """Nothing to set up."""


def connect(config, variant, _threads, _accounts):
    """`pair` is two calls, `spend` one, each with as many keys and arguments as a careful script needs."""
    client = redis.Redis.from_url(config["redis_url"], decode_responses=True)
    digest = client.script_load(EMPTY)
    calls = 2 if variant == "pair" else 1

    def call(account, key):
        for _ in range(calls):
            client.evalsha(digest, 2, account, key, 1, 60000)

    return call


def spent(_config):
    """There are no books."""
    return
