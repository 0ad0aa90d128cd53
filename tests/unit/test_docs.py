"""The documents tell the truth about the repository: what they name is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECISIONS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

PACKAGES = ("credits", "webhooks", "workers")
PLACES = "credits|webhooks|workers|tests|docs|examples|scripts|benchmarks"
NAMED_PATH = re.compile(rf"`((?:{PLACES})/[\w./-]*)(?:::(\w+))?`")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_what_a_document_names_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")

    missing = [
        f"{path}::{function}" if function else path
        for path, function in NAMED_PATH.findall(text)
        if not (ROOT / path).exists() or (function and function not in _functions(ROOT / path))
    ]
    dead = [target for target in LINK.findall(text) if not (document.parent / target).exists()]

    assert missing + dead == []


def test_every_limit_that_is_documented_is_one_of_the_code() -> None:
    limits = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## Limits")[2]
    code = "\n".join(path.read_text(encoding="utf-8") for name in PACKAGES for path in (ROOT / name).rglob("*.py"))

    named = re.findall(r"`(_?[A-Z][A-Z_]+)`", limits)

    assert len(named) > 20
    assert [name for name in named if not re.search(rf"^{name}\b.* = ", code, flags=re.MULTILINE)] == []


@pytest.mark.parametrize("decision", DECISIONS, ids=_name)
def test_a_decision_has_its_five_parts_and_a_check(decision: Path) -> None:
    text = decision.read_text(encoding="utf-8")

    parts = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)

    assert parts == ["Context", "Decision", "Consequences", "Alternatives", "Check"]
    assert "`tests/" in text.partition("## Check")[2]


def test_decisions_are_numbered_without_a_gap_and_listed() -> None:
    listed = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")

    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    assert [path.name for path in DECISIONS if path.name not in listed] == []
