"""What the hosted page asks of the ledger, on both databases."""

import pytest

from credits.checkout.shown import STATES
from credits.config.settings import Tenant
from credits.db import snapshot
from credits.errors import (
    CreditsError,
    InvalidCurrencyError,
    InvalidIdError,
    InvalidInputError,
    ProviderUnavailableError,
)
from credits.ledger.model import DebitKind, EntryKind
from credits.portal import store
from credits.portal.faults import told
from credits.portal.store import DAY_MS, Owner
from credits.portal.texts import LANGUAGES, Words
from credits.topup.model import Reason
from tests.support.clock import VirtualClock
from tests.support.pipeline import Pipeline

HOUR_MS = 3_600_000


def owner(pipeline: Pipeline, account: str) -> Owner:
    with snapshot(pipeline.runtime.engine) as connection:
        found = store.find_owner(connection, Tenant.SANDBOX, account)
    assert found is not None
    return found


def test_spending_is_counted_by_the_days_of_the_account_s_zone(pipeline: Pipeline, clock: VirtualClock) -> None:
    noon_ms = clock()
    pipeline.credits.add("user_1", "tokens", 100, key="a")
    for hours, amount in ((0, 3), (1, 4), (11, 5), (13, 6)):
        clock.set_ms(noon_ms + hours * HOUR_MS)
        pipeline.credits.spend("user_1", tokens=amount, key=f"job-{hours}")

    with snapshot(pipeline.runtime.engine) as connection:
        utc, ahead = (
            store.spent_by_day(connection, owner(pipeline, "user_1").id, "tokens", since_ms=0, offset_ms=offset_ms)
            for offset_ms in (0, 2 * HOUR_MS)
        )

    today = noon_ms // DAY_MS
    assert utc == {today: 12, today + 1: 6}
    assert ahead == {today: 7, today + 1: 11}


def test_what_lapses_next_is_summed_by_type_and_instant_and_what_is_used_up_is_left_out(
    pipeline: Pipeline, clock: VirtualClock
) -> None:
    soon_ms, later_ms = clock() + DAY_MS, clock() + 9 * DAY_MS
    for key, expires_at_ms in (("a", later_ms), ("b", soon_ms), ("c", later_ms), ("d", None)):
        pipeline.credits.add("user_1", "tokens", 10, key=key, expires_at_ms=expires_at_ms)
    pipeline.credits.spend("user_1", tokens=10, key="job")

    with snapshot(pipeline.runtime.engine) as connection:
        found = store.lapses(connection, owner(pipeline, "user_1").id, now_ms=clock())

    assert [(row["credit_type"], row["expires_at_ms"], int(row["amount"])) for row in found] == [
        ("tokens", later_ms, 20)
    ]


def test_a_search_finds_words_whatever_their_case_and_takes_wildcards_as_text(pipeline: Pipeline) -> None:
    for key, reason in (("a", "Summer Gift"), ("b", "100% back"), ("c", "plain")):
        pipeline.credits.add("user_1", "tokens", 10, key=key, reason=reason)

    with snapshot(pipeline.runtime.engine) as connection:
        account_id = owner(pipeline, "user_1").id
        found = [
            [
                row["reason"]
                for row in store.history(connection, account_id, credit_type=None, text=text, before_id=None, limit=9)
            ]
            for text in ("gift", "%", "_", None)
        ]

    assert found == [["Summer Gift"], ["100% back"], [], ["plain", "100% back", "Summer Gift"]]


def test_a_search_finds_the_kinds_whose_words_were_read_on_the_page(pipeline: Pipeline) -> None:
    pipeline.credits.add("user_1", "tokens", 10, key="a", reason="plain")

    with snapshot(pipeline.runtime.engine) as connection:
        account_id = owner(pipeline, "user_1").id
        found = [
            len(
                store.history(
                    connection,
                    account_id,
                    credit_type=None,
                    text=text,
                    kinds=words.kinds_called(text),
                    before_id=None,
                    limit=9,
                )
            )
            for words, text in ((Words("en"), "ADDED"), (Words("de"), "gutge"), (Words("en"), "lapsed"))
        ]

    assert found == [1, 1, 0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_state_and_reason_has_words_in_every_language(language: str) -> None:
    kinds = {*EntryKind, *DebitKind} - {DebitKind.FREEZE}
    names = [f"kind_{one}" for one in kinds] + [f"state_{one}" for one in STATES]
    names += [f"topup_{one}" for one in Reason]

    assert [name for name in names if not Words(language).has(name)] == []


@pytest.mark.parametrize(
    ("error", "german"),
    [
        (InvalidInputError("provider", "must be one of ours"), "Das verstehen wir nicht"),
        (InvalidCurrencyError("usd"), "Das verstehen wir nicht"),
        (InvalidIdError("account", "must not begin or end with white space"), "Hier gibt es nichts zu kaufen"),
        (ProviderUnavailableError("stripe", "timed out"), "Das hat nicht geklappt"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_no_form_of_ours_sends_is_answered_in_the_visitors_language(
    pipeline: Pipeline, error: CreditsError, german: str
) -> None:
    said = told(error, pipeline.credits, Words("de"))

    assert said.startswith(german)
