"""Rules of the house that a program can check. Size is a smell: what is too long lacks an idea, not a line break."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from credits.queues import QUEUE_OF, Task

REPOSITORY = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("credits", "webhooks", "workers") for path in (REPOSITORY / folder).rglob("*.py"))
TESTS = sorted((REPOSITORY / "tests").rglob("*.py"))
BENCHMARKS = sorted((REPOSITORY / "benchmarks").rglob("*.py"))
# A migration is the schema of one day, written out.
WRITTEN_OUT = re.compile(r"migrations/versions/")

MAX_FUNCTION_LINES = 40
MAX_FILE_LINES = 300
MAX_TEST_FILE_LINES = 400


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of what it does: without its signature, which may be a table of options, and its docstring."""
    statements = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not statements:
        return 0
    nested = sum((node.end_lineno or 0) - node.lineno for node in statements if isinstance(node, ast.FunctionDef))
    return (function.end_lineno or 0) - statements[0].lineno + 1 - nested


def is_written_out(path: Path) -> bool:
    return WRITTEN_OUT.search(path.as_posix()) is not None


def named(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def test_no_function_is_longer_than_a_screen() -> None:
    offenders = {
        f"{named(path)}:{function.lineno} {function.name}": body_lines(function)
        for path in SOURCES + BENCHMARKS
        if not is_written_out(path)
        for function in functions(path)
        if body_lines(function) > MAX_FUNCTION_LINES
    }

    assert offenders == {}


def test_no_file_is_longer_than_a_few_screens() -> None:
    offenders = {
        named(path): lines
        for path in SOURCES + BENCHMARKS + TESTS
        if not is_written_out(path)
        and (lines := len(path.read_text().splitlines())) > (MAX_TEST_FILE_LINES if path in TESTS else MAX_FILE_LINES)
    }

    assert offenders == {}


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_a_module_starts_with_a_sentence(path: Path) -> None:
    tree = ast.parse(path.read_text())
    docstring = ast.get_docstring(tree)

    assert docstring or not tree.body
    assert (docstring or "A.").split("\n\n")[0].rstrip().endswith((".", "!", "?", "`", ")"))


def test_nothing_is_put_off_in_a_comment() -> None:
    word = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    offenders = [
        f"{named(path)}:{token.start[0]}"
        for path in SOURCES + TESTS + BENCHMARKS
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
        if token.type == tokenize.COMMENT and word.search(token.string)
    ]

    assert offenders == []


def test_the_tasks_that_workers_define_are_those_that_have_a_queue() -> None:
    defined = {
        decorator.keywords[0].value.value.attr
        for path in (REPOSITORY / "workers" / "tasks").glob("*.py")
        for function in functions(path)
        for decorator in function.decorator_list
        if isinstance(decorator, ast.Call)
        and isinstance(decorator.keywords[0].value, ast.Attribute)
        and isinstance(decorator.keywords[0].value.value, ast.Attribute)
    }

    assert defined == {task.name for task in Task} == {task.name for task in QUEUE_OF}


def test_what_catches_everything_says_so() -> None:
    """`except Exception` is for the places where an attempt is recorded or an error becomes an answer."""
    offenders = [
        f"{named(path)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.match(r"\s*except\s*(BaseException\s*)?:", line)
    ]

    assert offenders == []
