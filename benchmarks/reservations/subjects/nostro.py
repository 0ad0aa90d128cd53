"""hf-nostro: an append-only ledger in PostgreSQL. It has no holds, and a debit never refuses; so only spending."""

import subprocess
import sys

from nostro import AccountKey, Ledger

GRANTED = 10**9


def setup(config, accounts):
    """Migrate, then credit each account."""
    command = [sys.executable, "-m", "nostro", "migrate", "--dsn", config["database_url"], "--scale", "0"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    ledger = opened(config)
    for account in accounts:
        ledger.accounts.get_or_create("benchmark", account)
        ledger.credit(key_of(account), ledger.amount(GRANTED), category="first", idempotency_key=f"first {account}")
    config["accounts"] = list(accounts)


def connect(config, variant, _threads, accounts):
    """`spend` is a debit; the accounts are read once, as its documentation advises."""
    ledger = opened(config)
    known = {account: ledger.accounts.get_or_create("benchmark", account) for account in accounts}
    one = ledger.amount(1)

    def spend(account, key):
        ledger.debit(known[account], one, category="work", idempotency_key=key)

    return {"spend": spend}[variant]


def spent(config):
    """What is missing from the accounts."""
    ledger = opened(config)
    balances = [ledger.accounts.get_or_create("benchmark", account).balance for account in config["accounts"]]
    return sum(GRANTED - int(str(balance)) for balance in balances)


def opened(config):
    """A ledger over the stage's database."""
    return Ledger(dsn=config["database_url"], scale=0)


def key_of(account):
    """An account by our name."""
    return AccountKey("benchmark", account)
