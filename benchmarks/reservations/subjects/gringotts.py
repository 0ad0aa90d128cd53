"""gringotts-api: credits of a FastAPI app in its database. It has no holds; so only charging."""

import os

GRANTED = 10**9


def setup(config, accounts):
    """Make the tables and a user for each account."""
    crud, db, _ = parts(config)
    db.Base.metadata.create_all(db.engine)
    with db.SessionLocal() as session:
        for account in accounts:
            crud.create_user(session, account, f"hash of {account}", credits=GRANTED)


def connect(config, variant, _threads, _accounts):
    """`spend` is what its dependency does for a request: find the user, charge it."""
    crud, db, _ = parts(config)

    def spend(account, _key):
        with db.SessionLocal() as session:
            user = crud.get_user_by_username(session, account)
            assert crud.charge_user(session, user, 1, endpoint="/benchmark")

    return {"spend": spend}[variant]


def spent(config):
    """What is missing from the users. Raises if its own check finds a balance that does not add up."""
    crud, db, models = parts(config)
    with db.SessionLocal() as session:
        assert crud.find_balance_discrepancies(session) == []
        return sum(GRANTED - user.credits for user in session.query(models.User))


def parts(config):
    """Its modules; they open the database that the environment names when they are imported."""
    os.environ["DATABASE_URL"] = config["database_url"].replace("postgresql://", "postgresql+psycopg://")
    from gringotts import crud, db, models

    return crud, db, models
