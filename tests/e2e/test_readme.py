"""The README's tour is true: every command of it runs, and prints what the README shows."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dev import clean_environment, dev_run
from tests.support.processes import PATIENCE_S, wait_until

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
_STEP = re.compile(r"^\$ ((?:[^\n]*\\\n)*[^\n]*)\n((?:(?!\$ )[^\n]*\n)*)", re.MULTILINE)
_READS = re.compile(r"credits (balance|entries|grants|events (list|show)|config check)\b")

# What is different each time: instants, made-up payments, the folder, the user.
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{3}Z)?"), "<instant>"),
    # An event that waits is looked at again after 2 s, 10 s …: more often on a busy machine until it is shown.
    (re.compile(r"(<instant> +)\d+( +<instant>)"), r"\1<tries>\2"),
    (re.compile(r"(payment )[0-9a-f]{12}(; .*--payment )[0-9a-f]{12}"), r"\1<payment>\2<payment>"),
    (re.compile(r"/\S+/credits\.toml"), "<folder>/credits.toml"),
    (re.compile(r"operator:\S+ +"), "operator:<user>  "),
)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tour_runs_as_it_is_written(tmp_path: Path) -> None:
    before_restart, after_restart = _tour()
    program = _program_folder(tmp_path)
    folder = _copied_folder(tmp_path)

    with dev_run(folder) as run:
        differences = [text for block in before_restart for text in _differences(block, folder, program)]
        run.stop()
    _repair_as_told(folder / "credits.toml")
    with dev_run(folder):
        differences += [text for block in after_restart for text in _differences(block, folder, program)]

    assert not differences, "\n\n".join(differences)


def _tour() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The tour's blocks (language, text), those before and those after everything is started again."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tour = readme.partition("## A tour of five minutes")[2].partition("### Real webhooks")[0]
    before, _, after = tour.partition("stop `make dev` with Ctrl-C and start it again")
    assert after, "the README no longer says when to start again"
    assert tour.count("\n$ credits ") > 15, "the README's commands are no longer found"
    return _BLOCK.findall(before), _BLOCK.findall(after)


def _program_folder(tmp_path: Path) -> Path:
    """A folder for PATH that has `credits` and `python`, as an activated environment has."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, start in (("credits", "-c 'from workers.command import main; main()'"), ("python", "")):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {start} "$@"\n')
        script.chmod(0o755)
    return folder


def _copied_folder(tmp_path: Path) -> Path:
    """What the tour needs of the repository."""
    folder = tmp_path / "creditgate"
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copy(ROOT / "credits.toml", folder)
    return folder


def _repair_as_told(config: Path) -> None:
    config.write_text(config.read_text(encoding="utf-8").replace("from = 12,", "from = 11,"), encoding="utf-8")


def _differences(block: tuple[str, str], folder: Path, program: Path) -> Iterator[str]:
    """How the block's commands differ from what the README says of them; nothing if all is true."""
    language, text = block
    if language == "python":
        # As it says itself: however often it runs.
        printed = [_run(["python", "-c", text], folder, program).stdout.strip() for _ in range(2)]
        if not all(f"# {one}, however often" in text for one in printed):
            yield f"the Python of the tour printed {printed}"
    elif language == "sh" and "activate" not in text:
        _run(["sh", "-c", text], folder, program)
    elif language == "console":
        for command, shown in _STEP.findall(text):
            if command.startswith("credits "):
                yield from _difference(command, _normal(shown), folder, program)


def _difference(command: str, shown: str, folder: Path, program: Path) -> Iterator[str]:
    done = _run(["sh", "-c", command], folder, program)

    def is_as_shown() -> bool:
        return _normal(done.stdout) == shown if shown else done.returncode == 0

    def is_as_shown_now() -> bool:
        nonlocal done
        done = _run(["sh", "-c", command], folder, program)
        return is_as_shown()

    if not is_as_shown() and _READS.match(command):
        # The workers need their fraction of a second, more on a machine that is busy with other tests.
        with contextlib.suppress(AssertionError):
            wait_until(is_as_shown_now, what=command)
    if not is_as_shown():
        yield f"$ {command}\n--- the README shows\n{shown}\n--- it printed\n{_normal(done.stdout)}"


def _normal(text: str) -> str:
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _run(argv: list[str], folder: Path, program: Path) -> subprocess.CompletedProcess[str]:
    environment = {**clean_environment(), "PATH": f"{program}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(argv, cwd=folder, env=environment, text=True, timeout=PATIENCE_S, **output)
