"""Every answer that a verb can give is given, by a call that earns it; the headers and the enum say the same."""

import re
from collections.abc import Callable
from importlib import resources

import pytest

from credits.reservations.model import ANSWERS_OF, Answer, Overage
from credits.reservations.scripts import Verb
from tests.support.gate import A_TYPE, GateDriver, LotSpec, Words

Scenario = Callable[[GateDriver], Words]

ON_ACCOUNTS = frozenset(Verb) - {
    Verb.ARM,
    Verb.HANDOVER,
    Verb.ADOPT,
    Verb.BEGIN_LOAD,
    Verb.FINISH_LOAD,
    Verb.LEAD,
    Verb.SETTLED,
    Verb.TELL,
    Verb.USED,
}
"""Verbs that need a loaded account."""


def _led(gate: GateDriver) -> GateDriver:
    assert gate.lead("one") == ("LEADING", "0")
    return gate


def _loaded(gate: GateDriver) -> GateDriver:
    assert gate.load(100) == ("LOADED", "0")
    return gate


def _held(gate: GateDriver) -> GateDriver:
    assert _loaded(gate).reserve(60)[0] == "HELD"
    return gate


def _limited(gate: GateDriver) -> GateDriver:
    """Ada may use 10 credits a day."""
    assert _loaded(gate).load_member("ada", "d10") == ("LOADED",)
    return gate


def _committed(gate: GateDriver) -> GateDriver:
    assert _held(gate).commit(50)[0] == "COMMITTED"
    return gate


def _handed(gate: GateDriver) -> GateDriver:
    assert gate.handover() == ("HANDED",)
    return gate


def _drained_cold(gate: GateDriver) -> GateDriver:
    """A new epoch over a journal that survived."""
    assert _committed(gate).arm() == ("ARMED",)
    return gate


def _begun(gate: GateDriver) -> GateDriver:
    assert gate.begin_load() == ("BEGUN",)
    return gate


def _overdue(gate: GateDriver) -> GateDriver:
    gate = _held(gate)
    gate.clock.advance_ms(60_000)
    assert gate.spend(100)[0] == "COMMITTED"
    return gate


LOT_9 = LotSpec(grant_id=9, amount=5)
TOO_MUCH = LotSpec(grant_id=9, amount=2**53 - 1)

SCENARIOS: dict[tuple[Verb, Answer], Scenario] = {
    (Verb.ARM, Answer.ARMED): lambda gate: gate.arm(),
    (Verb.ARM, Answer.OLD): lambda gate: gate.arm(gate.epoch),
    (Verb.HANDOVER, Answer.HANDED): lambda gate: gate.handover(),
    (Verb.ADOPT, Answer.ADOPTED): lambda gate: _handed(gate).adopt(),
    (Verb.BEGIN_LOAD, Answer.BEGUN): lambda gate: gate.begin_load(),
    (Verb.BEGIN_LOAD, Answer.LOADED): lambda gate: _loaded(gate).begin_load(),
    (Verb.BEGIN_LOAD, Answer.LOADING): lambda gate: _begun(gate).begin_load("another"),
    (Verb.BEGIN_LOAD, Answer.DRAIN): lambda gate: _drained_cold(gate).begin_load(),
    (Verb.FINISH_LOAD, Answer.LOADED): lambda gate: _begun(gate).finish_load([LOT_9]),
    (Verb.FINISH_LOAD, Answer.LOST_TOKEN): lambda gate: _begun(gate).finish_load([LOT_9], token="another"),
    (Verb.FINISH_LOAD, Answer.BAD): lambda gate: _begun(gate).finish_load([LOT_9, TOO_MUCH]),
    (Verb.APPLY, Answer.APPLIED): lambda gate: _loaded(gate).apply(1, LOT_9),
    (Verb.APPLY, Answer.DUP): lambda gate: _loaded(gate).apply(0, LOT_9),
    (Verb.APPLY, Answer.GAP): lambda gate: _loaded(gate).apply(2, LOT_9),
    (Verb.APPLY, Answer.BAD): lambda gate: _loaded(gate).apply(1, TOO_MUCH),
    (Verb.RESERVE, Answer.HELD): lambda gate: _loaded(gate).reserve(100),
    (Verb.RESERVE, Answer.REPLAYED): lambda gate: _held(gate).reserve(60),
    (Verb.RESERVE, Answer.CONFLICT): lambda gate: _held(gate).reserve(60, fingerprint="b2"),
    (Verb.RESERVE, Answer.INSUFFICIENT): lambda gate: _loaded(gate).reserve(101),
    (Verb.RESERVE, Answer.BAD): lambda gate: _loaded(gate).reserve(0),
    (Verb.COMMIT, Answer.COMMITTED): lambda gate: _held(gate).commit(50),
    (Verb.COMMIT, Answer.RESCUED): lambda gate: _loaded(gate).commit(50),
    (Verb.COMMIT, Answer.REPLAYED): lambda gate: _committed(gate).commit(50),
    (Verb.COMMIT, Answer.CONFLICT): lambda gate: _committed(gate).commit(50, fingerprint="b2"),
    (Verb.COMMIT, Answer.INSUFFICIENT): lambda gate: _held(gate).commit(101, overage=Overage.IF_AVAILABLE),
    (Verb.COMMIT, Answer.GONE): lambda gate: _overdue(gate).commit(60),
    (Verb.COMMIT, Answer.BAD): lambda gate: _held(gate).commit({A_TYPE: -1}),
    (Verb.RELEASE, Answer.RELEASED): lambda gate: _held(gate).release(),
    (Verb.RELEASE, Answer.ENDED): lambda gate: _committed(gate).release(),
    (Verb.RELEASE, Answer.NONE): lambda gate: _loaded(gate).release(),
    (Verb.EXTEND, Answer.EXTENDED): lambda gate: _held(gate).extend(),
    (Verb.EXTEND, Answer.ENDED): lambda gate: _committed(gate).extend(),
    (Verb.EXTEND, Answer.NONE): lambda gate: _loaded(gate).extend(),
    (Verb.SPEND, Answer.COMMITTED): lambda gate: _loaded(gate).spend(100),
    (Verb.SPEND, Answer.REPLAYED): lambda gate: (_loaded(gate).spend(100), gate.spend(100))[1],
    (Verb.SPEND, Answer.CONFLICT): lambda gate: _held(gate).spend(1, hold="h1"),
    (Verb.SPEND, Answer.INSUFFICIENT): lambda gate: _held(gate).spend(41),
    (Verb.SPEND, Answer.BAD): lambda gate: _loaded(gate).spend(2**53),
    (Verb.TAKE_LOTS, Answer.TAKEN): lambda gate: _loaded(gate).take_lots(100, 1),
    (Verb.TAKE_LOTS, Answer.REPLAYED): lambda gate: (_loaded(gate).take_lots(100, 1), gate.take_lots(100, 1))[1],
    (Verb.TAKE_LOTS, Answer.CONFLICT): lambda gate: (
        _loaded(gate).take_lots(100, 1),
        gate.take_lots(100, 1, fingerprint="b2"),
    )[1],
    (Verb.TAKE_LOTS, Answer.BAD): lambda gate: _loaded(gate).take_lots(0, 1),
    (Verb.LEAD, Answer.LEADING): lambda gate: _led(gate).lead("one"),
    (Verb.LEAD, Answer.LED): lambda gate: _led(gate).lead("two"),
    (Verb.TELL, Answer.TOLD): lambda gate: _led(gate).tell("one"),
    (Verb.SETTLED, Answer.SETTLED): lambda gate: _committed(gate).settle_all(),
    (Verb.READ, Answer.READ): lambda gate: _loaded(gate).read(),
    (Verb.LIST_HOLDS, Answer.HOLDS): lambda gate: _held(gate).list_holds(),
    (Verb.UNLOAD, Answer.UNLOADED): lambda gate: _loaded(gate).unload(),
    (Verb.UNLOAD, Answer.BUSY): lambda gate: _held(gate).unload(),
    (Verb.USED, Answer.USED): lambda gate: gate.call(Verb.USED, keys=()),
    (Verb.RESERVE, Answer.LIMIT): lambda gate: _limited(gate).reserve(11, member="ada"),
    (Verb.RESERVE, Answer.MEMBER): lambda gate: _loaded(gate).reserve(1, member="ada"),
    (Verb.COMMIT, Answer.LIMIT): lambda gate: _limited(gate).commit(11, member="ada"),
    (Verb.COMMIT, Answer.MEMBER): lambda gate: _loaded(gate).commit(1, member="ada"),
    (Verb.SPEND, Answer.LIMIT): lambda gate: _limited(gate).spend(11, member="ada"),
    (Verb.SPEND, Answer.MEMBER): lambda gate: _loaded(gate).spend(1, member="ada"),
    (Verb.LOAD_MEMBER, Answer.LOADED): lambda gate: _loaded(gate).load_member(),
    (Verb.LOAD_MEMBER, Answer.RELOADED): lambda gate: _loaded(gate).load_member(load="0.0"),
    (Verb.LOAD_MEMBER, Answer.BAD): lambda gate: _loaded(gate).load_member(limits="x9"),
    (Verb.READ_MEMBER, Answer.READ): lambda gate: _limited(gate).read_member(),
    (Verb.READ_MEMBER, Answer.MEMBER): lambda gate: _loaded(gate).read_member(),
    (Verb.VOID_LOAD, Answer.VOIDED): lambda gate: _loaded(gate).void_load(),
}


def plain(gate: GateDriver, verb: Verb) -> Words:
    """A call of `verb` that nothing speaks against but the gate's state."""
    calls: dict[Verb, Callable[[], Words]] = {
        Verb.HANDOVER: gate.handover,
        Verb.ADOPT: gate.adopt,
        Verb.BEGIN_LOAD: gate.begin_load,
        Verb.FINISH_LOAD: gate.finish_load,
        Verb.APPLY: lambda: gate.apply(1, LOT_9),
        Verb.RESERVE: gate.reserve,
        Verb.COMMIT: gate.commit,
        Verb.RELEASE: gate.release,
        Verb.EXTEND: gate.extend,
        Verb.SPEND: gate.spend,
        Verb.TAKE_LOTS: lambda: gate.take_lots(1, 1),
        Verb.LEAD: lambda: gate.lead("one"),
        Verb.SETTLED: lambda: gate.settled(("1-1", False)),
        Verb.TELL: lambda: gate.tell("one"),
        Verb.READ: gate.read,
        Verb.LIST_HOLDS: gate.list_holds,
        Verb.UNLOAD: gate.unload,
        Verb.LOAD_MEMBER: gate.load_member,
        Verb.READ_MEMBER: gate.read_member,
        Verb.VOID_LOAD: gate.void_load,
    }
    return calls[verb]()


@pytest.mark.parametrize(("verb", "answer"), SCENARIOS, ids=lambda word: word.value)
def test_an_answer_is_given_where_it_is_earned(verb: Verb, answer: Answer, gate: GateDriver) -> None:
    words = SCENARIOS[verb, answer](gate)

    assert words[0] == answer


@pytest.mark.parametrize("verb", sorted(frozenset(Verb) - {Verb.ARM, Verb.USED}))
def test_a_caller_of_another_epoch_is_stale_and_changes_nothing(verb: Verb, gate: GateDriver) -> None:
    _held(gate)
    before = gate.dump()

    for epoch in (0, gate.epoch + 1):
        stranger = GateDriver(client=gate.client, clock=gate.clock, epoch=epoch, code=gate.code, is_loading=False)
        assert plain(stranger, verb) == ("STALE",)

    assert gate.dump() == before


@pytest.mark.parametrize("verb", sorted(ON_ACCOUNTS))
def test_an_account_that_is_not_loaded_is_cold_and_nothing_is_created(verb: Verb, gate: GateDriver) -> None:
    before = gate.dump()

    assert plain(gate, verb) == ("COLD",)

    assert gate.dump() == before


def test_every_answer_of_every_verb_has_its_test() -> None:
    everywhere = {(verb, Answer.STALE) for verb in frozenset(Verb) - {Verb.ARM, Verb.USED}}
    on_accounts = {(verb, Answer.COLD) for verb in ON_ACCOUNTS}

    tested = set(SCENARIOS) | everywhere | on_accounts

    assert tested == {(verb, answer) for verb, answers in ANSWERS_OF.items() for answer in answers}


@pytest.mark.parametrize("verb", Verb)
def test_a_scripts_header_names_exactly_its_answers(verb: Verb) -> None:
    text = (resources.files("credits.reservations") / "lua" / f"{verb}.lua").read_text("utf-8")
    header = text.partition("--[[")[2].partition("]]")[0]

    named = re.findall(r"^    ([A-Z_]+)(?:\s{2,}|$)", header.partition("  Returns\n")[2], flags=re.MULTILINE)

    assert len(named) == len(set(named))
    assert set(named) == set(ANSWERS_OF[verb])


@pytest.mark.parametrize("verb", Verb)
def test_a_script_answers_with_words_of_its_header_only(verb: Verb) -> None:
    text = (resources.files("credits.reservations") / "lua" / f"{verb}.lua").read_text("utf-8")
    # Words that Redis itself is told are none of ours.
    body = re.sub(r"redis\.call\([^)]*\)", "", text.partition("]]")[2])

    said = set(re.findall(r"'([A-Z][A-Z_]+)'", body)) & {answer.value for answer in Answer}

    assert said <= set(ANSWERS_OF[verb])
