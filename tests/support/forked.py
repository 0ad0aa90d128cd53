"""Python in a process of its own that starts at once: forked from one that has imported everything before."""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from credits import failpoints
from tests.support.processes import PATIENCE_S

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.support.forked", "credits", "workers.runtime", "psycopg"])


def run_forked(
    script: str,
    *,
    env: Mapping[str, str],
    cwd: Path,
    argv: tuple[str, ...] = (),
    stdout: Path | None = None,
    stderr: Path | None = None,
    timeout_s: float = PATIENCE_S,
) -> int:
    """
    Run `script` as a program of its own would, with this environment and nothing else; answers how it ended.

    That is its exit status, negative for the signal that killed it. It shares no memory, connection or lock with this
    process; importing alone, which would cost more than what it does, was done before.
    """
    process = _CONTEXT.Process(target=_run, args=(script, dict(env), str(cwd), argv, stdout, stderr))
    process.start()
    process.join(timeout_s)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f"not over within {timeout_s:g} s: {script}")
    return process.exitcode


def _run(
    script: str,
    env: dict[str, str],
    cwd: str,
    argv: tuple[str, ...],
    stdout: Path | None,
    stderr: Path | None,
) -> None:
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for path, descriptor in ((stdout, 1), (stderr, 2)):
        if path is not None:
            with path.open("wb") as file:
                os.dup2(file.fileno(), descriptor)
    sys.argv = ["-c", *argv]
    # Read when the module is imported, for nothing to be looked up later: here that was before.
    failpoints._ACTIVE = failpoints._read(env.get(failpoints.VARIABLE, ""))  # type: ignore[misc]
    exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})  # noqa: S102
