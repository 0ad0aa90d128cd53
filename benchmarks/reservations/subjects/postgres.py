"""PostgreSQL by hand: careful (one statement a step), as functions (one call a step), and the usual way."""

import threading

import psycopg
from sqlalchemy import create_engine, text

GRANTED = 10**9

TABLES = """
CREATE TABLE accounts (id bigserial PRIMARY KEY, name text UNIQUE NOT NULL,
    balance bigint NOT NULL CHECK (balance >= held), held bigint NOT NULL DEFAULT 0 CHECK (held >= 0));
CREATE TABLE holds (id text PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts, amount bigint NOT NULL,
    state text NOT NULL, expires_at timestamptz NOT NULL);
CREATE INDEX ON holds (expires_at) WHERE state = 'held';
CREATE TABLE entries (id bigserial PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts, amount bigint NOT NULL,
    balance_after bigint NOT NULL, key text UNIQUE NOT NULL, at timestamptz NOT NULL DEFAULT now());
"""
RESERVE = """
WITH taken AS (UPDATE accounts SET held = held + {amount} WHERE name = {account} AND balance - held >= {amount}
    RETURNING id)
INSERT INTO holds (id, account_id, amount, state, expires_at)
    SELECT {key}, id, {amount}, 'held', now() + interval '60 s' FROM taken RETURNING id
"""
COMMIT = """
WITH ended AS (UPDATE holds SET state = 'committed' WHERE id = {key} AND state = 'held' RETURNING account_id, amount),
paid AS (UPDATE accounts SET balance = balance - ended.amount, held = held - ended.amount FROM ended
    WHERE accounts.id = ended.account_id RETURNING accounts.id, accounts.balance, ended.amount)
INSERT INTO entries (account_id, amount, balance_after, key) SELECT id, -amount, balance, {key} FROM paid RETURNING id
"""
SPEND = """
WITH paid AS (UPDATE accounts SET balance = balance - {amount} WHERE name = {account} AND balance - held >= {amount}
    RETURNING id, balance)
INSERT INTO entries (account_id, amount, balance_after, key) SELECT id, -{amount}, balance, {key} FROM paid RETURNING id
"""
FUNCTION = "CREATE FUNCTION {name}(a text, k text, n bigint) RETURNS TABLE (done text) LANGUAGE sql AS $$ {body} $$"
STATEMENTS = {"reserve": RESERVE, "commit": COMMIT, "spend": SPEND}


def setup(config, accounts):
    """Make tables, functions and accounts."""
    with psycopg.connect(config["database_url"]) as connection:
        connection.execute(TABLES)
        for name, statement in STATEMENTS.items():
            body = statement.format(account="a", key="k", amount="n").replace("RETURNING id", "RETURNING id::text")
            # In the inner steps the id stays a number.
            inner, _, last = body.rpartition("RETURNING id::text")
            body = inner.replace("RETURNING id::text", "RETURNING id") + "RETURNING id::text" + last
            connection.execute(FUNCTION.format(name=f"do_{name}", body=body))
        for account in accounts:
            connection.execute("INSERT INTO accounts (name, balance) VALUES (%s, %s)", (account, GRANTED))


def connect(config, variant, threads, _accounts):
    """`careful`, `function` and `usual`, each as a pair or a spend; a connection for each thread."""
    way, _, verb = variant.partition(" ")
    if way == "usual":
        return usual(config, threads)
    local = threading.local()
    if way == "careful":
        words = {"account": "%(account)s", "key": "%(key)s", "amount": "%(amount)s::bigint"}
        statements = {name: statement.format(**words) for name, statement in STATEMENTS.items()}
    else:
        statements = dict.fromkeys(STATEMENTS, "SELECT * FROM do_{}(%(account)s, %(key)s, %(amount)s)")
        statements = {name: statement.format(name) for name, statement in statements.items()}
    steps = [statements[name] for name in (("reserve", "commit") if verb == "pair" else ("spend",))]

    def call(account, key):
        connection = getattr(local, "connection", None)
        if connection is None:
            connection = local.connection = psycopg.connect(config["database_url"], autocommit=True)
        values = {"account": account, "key": key, "amount": 1}
        for step in steps:
            assert connection.execute(step, values).fetchone() is not None

    return call


def usual(config, threads):
    """SELECT … FOR UPDATE, look, write, commit: through SQLAlchemy, a transaction for each step."""
    url = config["database_url"].replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url, pool_size=threads)
    lock = text("SELECT id, balance, held FROM accounts WHERE name = :account FOR UPDATE")
    hold = text(
        "INSERT INTO holds (id, account_id, amount, state, expires_at) "
        "VALUES (:key, :id, 1, 'held', now() + interval '60 s')"
    )
    set_held = text("UPDATE accounts SET held = :held WHERE id = :id")
    find = text("SELECT amount, state FROM holds WHERE id = :key FOR UPDATE")
    end = text("UPDATE holds SET state = 'committed' WHERE id = :key")
    pay = text("UPDATE accounts SET balance = :balance, held = :held WHERE id = :id")
    enter = text("INSERT INTO entries (account_id, amount, balance_after, key) VALUES (:id, -1, :balance, :key)")

    def pair(account, key):
        with engine.begin() as connection:
            row = connection.execute(lock, {"account": account}).one()
            assert row.balance - row.held >= 1
            connection.execute(hold, {"key": key, "id": row.id})
            connection.execute(set_held, {"held": row.held + 1, "id": row.id})
        with engine.begin() as connection:
            row = connection.execute(lock, {"account": account}).one()
            assert connection.execute(find, {"key": key}).one().state == "held"
            connection.execute(end, {"key": key})
            connection.execute(pay, {"balance": row.balance - 1, "held": row.held - 1, "id": row.id})
            connection.execute(enter, {"id": row.id, "balance": row.balance - 1, "key": key})

    return pair


def spent(config):
    """What is missing from the accounts; it must be what the entries say, and nothing may be held."""
    with psycopg.connect(config["database_url"]) as connection:
        sums = "SELECT sum(%s - balance)::bigint, sum(held) FROM accounts"
        missing, held = connection.execute(sums, (GRANTED,)).fetchone()
        entered = connection.execute("SELECT coalesce(-sum(amount), 0)::bigint FROM entries").fetchone()[0]
    assert held == 0, held
    assert entered == missing, (entered, missing)
    return missing
