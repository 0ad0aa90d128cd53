"""escrowmint: quota in Redis scripts; it keeps no ledger."""

from escrowmint import Client, ClientConfig

GRANTED = 10**9


def setup(config, accounts):
    """Top each account up."""
    with opened(config) as client:
        for account in accounts:
            client.top_up(account, GRANTED)
    config["accounts"] = list(accounts)


def connect(config, variant, _threads, _accounts):
    """`pair` is reserve and commit, `spend` is try_consume with a key."""
    client = opened(config)

    def pair(account, key):
        client.reserve(account, 1, ttl_ms=60_000, reservation_id=key)
        client.commit(account, key)

    def spend(account, key):
        client.try_consume(account, 1, idempotency_key=key)

    return {"pair": pair, "spend": spend}[variant]


def spent(config):
    """What is missing from the accounts."""
    with opened(config) as client:
        states = [client.get_state(account) for account in config["accounts"]]
    assert all(state.reserved == 0 for state in states)
    return sum(GRANTED - state.available for state in states)


def opened(config):
    """A client over the stage's server."""
    return Client(ClientConfig(redis_url=config["redis_url"], idempotency_ttl_ms=3_600_000))
