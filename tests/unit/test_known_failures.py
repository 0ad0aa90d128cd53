"""What went wrong in systems like this one, each a test here that says so."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

KNOWN = {
    "concurrent spends both pass": "open-saas #727",
    "the same invoice under another event id grants twice": "open-saas #688",
    "an event is marked done before its grant": "XMem #212",
    "errors are answered 200": "octopus #577",
    "a chargeback leaves credits spendable": "eliza #10920",
    "a won dispute is taken once more": "eliza #10997",
    "a won dispute restores more than was taken": "#11155",
    "a renewal keyed by its subscription grants nothing": "keyed by its subscription's id",
    "a reset wipes purchased credits": "Polar #8451",
    "upgrade, burn, downgrade, repeat": "Polar #5826",
    "holds leak after a crash": "new-api #4429",
    "spent credits expire again": "fountain #1126",
    "an automatic top-up charges 15 times": "Lago #6177",
    "a locked flag never clears": "fal #1163",
    "a delayed payment is treated as a failure": "Platform #1216",
    "an unattributable payment is retried for ever, then lost": "worldmonitor #6191",
    "invoice.upcoming has no id": "sync-engine #121",
}
"""What happened, and how the test that keeps it from happening here names it."""


@pytest.fixture(scope="module")
def sources() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py") if path != Path(__file__))


@pytest.mark.parametrize("named", KNOWN.values(), ids=list(KNOWN))
def test_a_known_failure_has_a_test_that_names_it(named: str, sources: str) -> None:
    assert named in sources
