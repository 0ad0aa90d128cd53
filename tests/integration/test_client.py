"""Both clients do over HTTP what the library does in the process, with the same answers and the same errors."""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import Engine

from credits import AsyncCreditsClient, CreditsClient
from credits.clock import system_clock_ms
from credits.config.settings import Settings
from credits.engine import Credits
from credits.errors import (
    AuthenticationError,
    GateUnavailableError,
    HoldEndedError,
    IdempotencyConflictError,
    InsufficientCreditsError,
    InvalidAmountError,
    InvalidInputError,
    PermissionDeniedError,
    Shortage,
    UnknownCreditTypeError,
)
from credits.ledger.model import Balance
from credits.passes.seals import Purpose, unseal
from credits.reservations.model import Durability, HoldState
from tests.support.api import app_on, new_key
from tests.support.in_loop import InLoop
from tests.support.library import OTHER, TYPE, Shop, figures
from tests.support.pace import Pace
from tests.support.processes import wait_until
from tests.support.served import served


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def library(shop: Shop) -> Credits:
    library = shop.process()
    library.add("user_1", TYPE, 100, key="a")
    return library


@pytest.fixture
def url(settings: Settings, redis_url: str, engine: Engine) -> Iterator[str]:
    app = app_on(settings, engine, redis_url=redis_url, buy_url="https://app.example.com/buy?for={account}")
    with served(app) as url:
        yield url


def key_of(engine: Engine, *scopes: str) -> str:
    return new_key(engine, scopes=scopes)


@pytest.fixture(params=["threads", "asyncio"])
def client(request: pytest.FixtureRequest, url: str, engine: Engine, library: Credits) -> Iterator[Any]:
    """Either client, with a key that may do everything."""
    key = key_of(engine, "reserve", "read", "grant")
    made = CreditsClient(url, key) if request.param == "threads" else InLoop(AsyncCreditsClient(url, key))
    yield made
    made.close()


def test_a_hold_is_made_and_pays_for_what_was_used(client: Any, library: Credits) -> None:
    with client.reserve("user_1", image_generation=10, ttl_s=30) as hold:
        held = figures(library, "user_1")
        committed = hold.commit(image_generation=4)

    assert held == (100, 10, 0, 90, 0)
    assert (hold.items, hold.state, hold.replayed) == ({TYPE: 10}, HoldState.COMMITTED, False)
    assert (committed.durability, committed.rescued, committed.replayed) == (Durability.LEDGER, False, False)
    assert figures(library, "user_1") == (96, 0, 0, 96, 0)


def test_a_block_that_raises_or_forgets_gives_everything_back(client: Any, library: Credits) -> None:
    with pytest.raises(OSError, match="away"), client.reserve("user_1", image_generation=10):
        raise OSError("the renderer is away")
    with client.reserve("user_1", image_generation=10):
        pass

    assert figures(library, "user_1") == (100, 0, 0, 100, 0)


def test_parts_are_committed_one_after_the_other(client: Any, library: Credits) -> None:
    with client.reserve("user_1", {TYPE: 10}) as hold:
        hold.commit({TYPE: 3}, step="page-1", final=False)
        hold.commit({TYPE: 2}, step="page-2", final=False)
        again = hold.commit({TYPE: 2}, step="page-2", final=False)
        hold.commit(image_generation=0)

    assert again.replayed
    assert figures(library, "user_1") == (95, 0, 0, 95, 0)


def test_names_that_differ_by_outer_spaces_are_different_names(client: Any, library: Credits) -> None:
    accounts = (" a", "a ", "a", " ")
    for number, account in enumerate(accounts, start=1):
        client.add(account, TYPE, 10 * number, key=f"{account}:given")

    made = [client.reserve(account, {TYPE: 1}, reservation_id=name) for account in accounts for name in ("x", " x")]
    made[1].commit()

    assert not any(hold.replayed for hold in made)
    assert [client.balances(account)[TYPE].available for account in accounts] == [8, 18, 28, 38]
    assert [hold.reservation_id for hold in client.holds(" a")] == ["x"]


def test_the_same_reservation_is_the_same_hold(client: Any, library: Credits) -> None:
    first = client.reserve("user_1", image_generation=10, reservation_id="job")
    second = client.reserve("user_1", image_generation=10, reservation_id="job")
    with pytest.raises(IdempotencyConflictError) as caught:
        client.reserve("user_1", image_generation=11, reservation_id="job")
    first.commit()
    third = client.reserve("user_1", image_generation=10, reservation_id="job")

    assert (first.replayed, second.replayed, third.state) == (False, True, HoldState.COMMITTED)
    assert caught.value.key == "job"
    assert figures(library, "user_1") == (90, 0, 0, 90, 0)


def test_more_than_held_is_refused_or_owed_as_the_policy_says(client: Any, library: Credits) -> None:
    hold = client.reserve("user_1", image_generation=60)
    with pytest.raises(InsufficientCreditsError) as caught:
        hold.commit(image_generation=61)
    hold.commit(image_generation=110, overage="allow_debt")

    assert caught.value.shortages == (Shortage(TYPE, 61, 60),)
    assert figures(library, "user_1") == (-10, 0, 0, 0, 10)


def test_too_few_credits_are_told_by_type_and_where_there_are_more(client: Any) -> None:
    with pytest.raises(InsufficientCreditsError) as caught:
        client.reserve("user_1", {TYPE: 101, OTHER: 1})

    assert caught.value.shortages == (Shortage(TYPE, 101, 100), Shortage(OTHER, 1, 0))
    assert caught.value.fix == InsufficientCreditsError.fix
    assert caught.value.buy_url == "https://app.example.com/buy?for=user_1"


def test_what_is_out_of_bounds_is_refused_by_field(client: Any) -> None:
    with pytest.raises(InvalidAmountError) as amount:
        client.reserve("user_1", image_generation=0)
    with pytest.raises(UnknownCreditTypeError) as kind:
        client.reserve("user_1", gold=1)
    with pytest.raises(InvalidInputError) as both:
        client.reserve("user_1", {TYPE: 1}, image_generation=1)
    with pytest.raises(InvalidInputError) as ttl:
        client.reserve("user_1", image_generation=1, ttl_s=0.5)

    fields = [caught.value.field for caught in (amount, kind, both, ttl)]
    assert fields == [f"items.{TYPE}", "items", "items", "ttl_s"]
    assert (amount.value.maximum, kind.value.credit_type) == (2**53 - 1, "gold")


def test_a_hold_is_released_and_extended(client: Any, library: Credits) -> None:
    hold = client.reserve("user_1", image_generation=10, ttl_s=30)
    until_ms = hold.extend(600)
    released = [hold.release(), hold.release()]
    with pytest.raises(HoldEndedError):
        hold.extend(60)

    assert until_ms - time.time() * 1000 > 500_000
    assert released[0]
    assert (hold.state, figures(library, "user_1")) == (HoldState.RELEASED, (100, 0, 0, 100, 0))


def test_holds_are_committed_and_released_by_name_from_elsewhere(client: Any, library: Credits) -> None:
    for name in ("job-1", "job/2 %", ".."):
        client.reserve("user_1", image_generation=10, reservation_id=name)
    open_ = {record.reservation_id for record in client.holds("user_1")}

    client.commit("user_1", "job-1", image_generation=4)
    client.commit("user_1", "job/2 %")
    released = client.release("user_1", "..")

    assert open_ == {"job-1", "job/2 %", ".."}
    assert released
    assert client.release("user_1", "never-made") is False
    assert figures(library, "user_1") == (86, 0, 0, 86, 0)


def test_a_hold_is_found_by_its_id(client: Any, library: Credits) -> None:
    client.reserve("user_1", image_generation=10, reservation_id="job").commit(image_generation=1)

    found, ours = client.find_hold("user_1", "job"), library.find_hold("user_1", "job")

    assert ours is not None
    assert replace(found, hold=ours.hold) == ours
    assert client.find_hold("user_1", "other") is None


def test_a_hold_is_for_a_member_who_is_named_with_it(client: Any, library: Credits) -> None:
    hold = client.reserve("user_1", image_generation=10, reservation_id="job", member="ada")
    client.spend("user_1", image_generation=1, key="other", member="ada")
    found = client.find_hold("user_1", "job")
    hold.commit()

    assert (hold.member, found.member) == ("ada", "ada")
    assert {entry["member"] for entry in client.entries("user_1", limit=2)} == {"ada"}


def test_credits_are_put_in_and_taken_out_by_hand_once(client: Any, library: Credits) -> None:
    until_ms = int(time.time() * 1000) + 3_600_000
    added = client.add("user_2", TYPE, 50, key="welcome", reason="hello", expires_at_ms=until_ms)
    again = client.add("user_2", TYPE, 50, key="welcome", reason="hello", expires_at_ms=until_ms)
    taken = client.deduct("user_2", TYPE, 20, key="ticket", reason="by hand")
    with pytest.raises(IdempotencyConflictError):
        client.deduct("user_2", TYPE, 21, key="ticket", reason="by hand")

    assert (added.amount, added.balance_after, added.replayed, again.replayed) == (50, 50, False, True)
    assert (taken.amount, taken.seq, taken.balance_after) == (-20, 2, 30)
    assert library.grants("user_2")[0]["expires_at_ms"] == until_ms


def test_a_spend_is_made_once_per_key(client: Any, library: Credits) -> None:
    first = client.spend("user_1", image_generation=7, key="job")
    second = client.spend("user_1", image_generation=7, key="job", durability="ledger")

    assert (first.replayed, second.replayed) == (False, True)
    assert figures(library, "user_1") == (93, 0, 0, 93, 0)


def test_balances_entries_and_grants_are_read_in_pages(client: Any, library: Credits) -> None:
    past_ms = int(time.time() * 1000)
    for number in range(3):
        client.spend("user_1", image_generation=1, key=f"job-{number}")

    newest = client.entries("user_1", limit=2)
    older = client.entries("user_1", before_id=newest[-1]["id"], credit_type=TYPE)

    assert [entry["seq"] for entry in newest + older] == [4, 3, 2, 1]
    assert client.grants("user_1")[0]["remaining"] == 97
    assert client.balances("user_1") == library.balances("user_1")
    assert client.balances("user_1", at_ms=past_ms)[TYPE] == Balance(balance=100, available=100)
    assert client.balances("nobody") == {}
    assert (client.can_deduct("user_1", TYPE, 97), client.can_deduct("user_1", TYPE, 98)) == (True, False)


def test_a_link_and_a_token_let_a_browser_in_as_those_of_the_library_do(client: Any, settings: Settings) -> None:
    now_ms = system_clock_ms()

    asked = {"ttl_s": 60, "return_url": "https://app.example.com/", "locale": "de", "email": "a@example.com"}
    url, ends_at_ms = client.portal_link("user_1", **asked)
    token, _ = client.embed_token("user_1", origins=["https://app.example.com"], email="b@example.com")

    sealed = parse_qs(urlsplit(url).query)["link"][0]
    visitor = unseal(Purpose.LINK, sealed, settings.secret_key, now_ms=now_ms)
    guest = unseal(Purpose.EMBED, token, settings.secret_key, now_ms=now_ms)
    assert (visitor.account, visitor.locale, visitor.expires_at_ms) == ("user_1", "de", ends_at_ms)
    assert (guest.account, guest.origins) == ("user_1", ("https://app.example.com",))
    assert (visitor.email, guest.email) == ("a@example.com", "b@example.com")


def test_a_key_that_is_none_or_may_not_is_told_so(url: str, engine: Engine, library: Credits) -> None:
    with pytest.raises(AuthenticationError):
        CreditsClient(url, "ck_test_nobody").balances("user_1")
    with pytest.raises(PermissionDeniedError, match="grant"):
        CreditsClient(url, key_of(engine, "read")).add("user_1", TYPE, 1, key="k")


def test_a_block_is_extended_while_it_runs(url: str, engine: Engine, library: Credits) -> None:
    client = CreditsClient(url, key_of(engine, "reserve"))

    async def elsewhere() -> HoldState:
        async with (
            AsyncCreditsClient(url, key_of(engine, "reserve")) as other,
            other.reserve("user_1", image_generation=10, ttl_s=3) as hold,
        ):
            first_end_ms = hold.expires_at_ms
            while hold.expires_at_ms == first_end_ms:
                await asyncio.sleep(0.02)
            assert not (await hold.commit()).rescued
        return hold.state

    with client.reserve("user_1", image_generation=20, ttl_s=3) as hold:
        first_end_ms = hold.expires_at_ms
        state = asyncio.run(elsewhere())
        wait_until(lambda: hold.expires_at_ms > first_end_ms, what="the hold is extended")
        committed = hold.commit()

    assert (state, committed.rescued) == (HoldState.COMMITTED, False)
    assert figures(library, "user_1") == (70, 0, 0, 70, 0)


def test_a_task_that_is_cancelled_gives_its_credits_back(url: str, engine: Engine, library: Credits) -> None:
    async def cancelled() -> None:
        async with AsyncCreditsClient(url, key_of(engine, "reserve")) as client:
            is_held = asyncio.Event()

            async def job() -> None:
                async with client.reserve("user_1", image_generation=10):
                    is_held.set()
                    await asyncio.sleep(60)

            task = asyncio.create_task(job())
            await is_held.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancelled())

    assert figures(library, "user_1") == (100, 0, 0, 100, 0)


def test_a_hundred_tasks_share_a_client(url: str, engine: Engine, library: Credits) -> None:
    async def all_at_once() -> list[int]:
        async with AsyncCreditsClient(url, key_of(engine, "reserve")) as client:

            async def job(number: int) -> int:
                try:
                    async with client.reserve("user_1", image_generation=2, reservation_id=f"job-{number}") as hold:
                        await hold.commit(image_generation=1, durability="redis")
                except InsufficientCreditsError:
                    return 0
                return 1

            return list(await asyncio.gather(*map(job, range(100))))

    paid = sum(asyncio.run(all_at_once()))

    assert 0 < paid <= 100
    assert figures(library, "user_1")[3] == 100 - paid


def test_a_client_survives_a_fork_and_another_event_loop(url: str, engine: Engine, library: Credits) -> None:
    client = CreditsClient(url, key_of(engine, "reserve", "read"))
    client.reserve("user_1", image_generation=1, reservation_id="parent")
    child = os.fork()
    if child == 0:
        try:
            client.reserve("user_1", image_generation=1, reservation_id="child")
            os._exit(0)
        finally:
            os._exit(1)
    ended = os.waitpid(child, 0)[1]
    other = AsyncCreditsClient(url, key_of(engine, "read"))

    found = [asyncio.run(other.balances("user_1")) for _ in range(2)]

    assert ended == 0
    assert client.holds("user_1", limit=1)[0].reservation_id == "parent"
    assert found[0][TYPE].held == found[1][TYPE].held == 2


def test_nobody_there_is_said_in_time(redis_url: str) -> None:
    client = CreditsClient("http://127.0.0.1:1", "ck_test_key", patience_s=0.3)

    with Pace() as pace, pytest.raises(GateUnavailableError, match="did not answer"):
        client.reserve("user_1", image_generation=1)

    assert pace.fair_s < 1
