"""`credits config check`, as a person and as a program call it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from credits.ops.cli.config import config_app
from tests.unit.config.conftest import SOUND

CLIFF = 'slabs = [{ from = 1, to = 100, price_per_unit = "0.10" }, { from = 101, price_per_unit = "0.08" }]\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command is started in an empty folder, with an environment that says nothing about Creditgate."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CREDITGATE_CONFIG", raising=False)
    return tmp_path


def test_problems_are_shown_by_key_and_reason_and_end_with_code_1(folder: Path) -> None:
    (folder / "credits.toml").write_text(f"{SOUND}\n[planes.pro]\n")

    result = CliRunner().invoke(config_app, ["check"])

    assert result.exit_code == 1
    assert "planes" in result.stdout
    assert "is not a key of this table; did you mean plans?" in result.stdout
    assert "1 problem, 0 warnings" in result.stdout


def test_warnings_alone_end_with_code_0(folder: Path) -> None:
    (folder / "credits.toml").write_text(SOUND + CLIFF)

    result = CliRunner().invoke(config_app, ["check"])

    assert result.exit_code == 0
    assert "credit_types.image_generation.slabs[1]" in result.stdout
    assert "0 problems, 1 warning" in result.stdout


def test_another_file_is_checked_where_one_is_named(folder: Path) -> None:
    (folder / "other.toml").write_text(SOUND)

    result = CliRunner().invoke(config_app, ["check", "--file", "other.toml"])

    assert result.exit_code == 0
    assert "other.toml: 0 problems, 0 warnings" in result.stdout


def test_the_file_that_the_environment_names_is_checked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "mine.toml").write_text(SOUND)
    monkeypatch.setenv("CREDITGATE_CONFIG", "mine.toml")

    result = CliRunner().invoke(config_app, ["check"])

    assert result.exit_code == 0
    assert "mine.toml: 0 problems" in result.stdout


def test_findings_can_be_had_as_json(folder: Path) -> None:
    (folder / "credits.toml").write_text(f"other_price = []\n{SOUND}{CLIFF}")

    result = CliRunner().invoke(config_app, ["check", "--json"])

    findings = json.loads(result.stdout)
    assert result.exit_code == 1
    assert findings["file"] == str(folder / "credits.toml")
    assert list(findings["problems"]) == ["other_price"]
    assert list(findings["warnings"]) == ["credit_types.image_generation.slabs[1]"]


def test_the_environment_is_checked_along_with_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "credits.toml").write_text(SOUND)
    monkeypatch.setenv("CREDITGATE_TENANT", "test")

    result = CliRunner().invoke(config_app, ["check"])

    assert result.exit_code == 1
    assert "must be live or sandbox, got 'test'" in result.stdout


PLAN = """
[plans.pro]
name = "Pro"
stripe_prices = ["price_1"]
zero_invoice = { out_of_band = "skip" }
"""


@pytest.mark.parametrize(
    ("variables", "warned"),
    [
        ({"STRIPE_WEBHOOK_SECRETS": "whsec_1"}, "STRIPE_API_KEY"),
        ({"STRIPE_TEST_WEBHOOK_SECRETS": "whsec_1"}, "STRIPE_TEST_API_KEY"),
        ({"STRIPE_TEST_WEBHOOK_SECRETS": "whsec_1", "STRIPE_TEST_API_KEY": "sk_test_1"}, None),
        ({}, None),
    ],
    ids=repr,
)
def test_what_stripes_webhooks_leave_out_without_an_api_key_is_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], warned: str | None
) -> None:
    (folder / "credits.toml").write_text(SOUND + PLAN)
    for name in ("STRIPE_WEBHOOK_SECRETS", "STRIPE_TEST_WEBHOOK_SECRETS", "STRIPE_API_KEY", "STRIPE_TEST_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    result = CliRunner().invoke(config_app, ["check", "--json"])

    warnings = json.loads(result.stdout)["warnings"]
    assert result.exit_code == 0
    assert list(warnings) == ([] if warned is None else [warned])
    assert all("more lines" in reason and "out_of_band" in reason for reason in warnings.values())
