"""The supervisor on real processes: what exits or hangs is started again, and what is stopped leaves nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import pytest

from credits.ops.supervise.group import end_group, is_alive, start_group
from credits.ops.supervise.loop import EXIT_GAVE_UP, Program, supervise
from credits.ops.supervise.probes import HeartbeatProbe, server_answers
from tests.support.processes import PATIENCE_S, free_port, wait_until
from tests.support.valkey import ValkeyServer

# Touches the heartbeat every 50 ms, with a child that would outlive it.
BEATING = """
import pathlib, subprocess, sys, time
child = subprocess.Popen(["sleep", "300"], close_fds=False)
pathlib.Path(sys.argv[1]).with_name("child.pid").write_text(str(child.pid))
while True:
    pathlib.Path(sys.argv[1]).touch()
    time.sleep(0.05)
"""


class Supervised:
    """A supervisor in a thread, and what it said."""

    def __init__(self, folder: Path, script: str) -> None:
        heartbeat = folder / "heartbeat"
        self.said: list[str] = []
        self.statuses: list[int] = []
        self.stops: SimpleQueue[str] = SimpleQueue()
        self.program = Program(
            name="program",
            argv=[sys.executable, "-c", script, str(heartbeat)],
            env=os.environ,
            record=folder / "program.pid",
            probe=HeartbeatProbe(heartbeat),
            silence_s=PATIENCE_S,
            may_be_silent=lambda: False,
            may_start=lambda: True,
            patience_s=2.0,
        )
        self._thread = Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stops.put("stop")
        self._thread.join(PATIENCE_S)

    def leader(self) -> int:
        return int(self.program.record.read_text())

    def child(self) -> int:
        return int(self.program.record.with_name("child.pid").read_text())

    def ready_times(self) -> int:
        return self.said.count("program is ready")

    def _run(self) -> None:
        self.statuses.append(supervise(self.program, self.stops, self.said.append))


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    """Makes supervisors and stops them at the end."""
    made: list[Supervised] = []

    def make(script: str = BEATING) -> Supervised:
        made.append(Supervised(tmp_path, script))
        return made[-1]

    yield make
    for one in made:
        one.stop()
        end_group(one.program.record, patience_s=0)


def test_a_program_that_is_killed_is_started_again_without_its_old_children(
    supervised: Callable[..., Supervised],
) -> None:
    one = supervised()
    one.start()
    wait_until(lambda: one.ready_times() == 1, what="the first sign of life")
    old, old_child = one.leader(), one.child()

    os.kill(old, signal.SIGKILL)

    wait_until(lambda: one.ready_times() == 2, what="life again")
    assert one.leader() != old
    assert "was killed by SIGKILL" in "\n".join(one.said)
    assert not _runs(old_child)


def test_a_program_that_hangs_is_killed_and_started_again(supervised: Callable[..., Supervised]) -> None:
    one = supervised()
    one.program = replace(one.program, silence_s=1.5)
    one.start()
    wait_until(lambda: one.ready_times() >= 1, what="the first sign of life")
    old = one.leader()

    os.killpg(old, signal.SIGSTOP)

    # On a slow machine more than once: whoever is silent for so long is taken to hang.
    wait_until(lambda: one.ready_times() >= 2 and one.leader() != old, what="life again")
    assert "no sign of life" in "\n".join(one.said)


def test_a_program_may_be_silent_while_its_broker_is_away(supervised: Callable[..., Supervised]) -> None:
    one = supervised()
    one.program = replace(one.program, silence_s=1.5, may_be_silent=lambda: True)
    one.start()
    wait_until(lambda: one.ready_times() == 1, what="the first sign of life")
    old = one.leader()

    os.killpg(old, signal.SIGSTOP)
    time.sleep(one.program.silence_s * 2)

    assert one.leader() == old
    assert one.ready_times() == 1


def test_when_told_to_stop_nothing_of_the_program_is_left(supervised: Callable[..., Supervised]) -> None:
    one = supervised()
    one.start()
    wait_until(lambda: one.ready_times() == 1, what="the first sign of life")
    child = one.child()

    one.stop()

    assert one.statuses == [0]
    assert not is_alive(one.program.record)
    assert not _runs(child)


def test_a_program_that_ignores_the_request_is_killed_after_its_patience(
    supervised: Callable[..., Supervised],
) -> None:
    one = supervised("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + BEATING)
    one.program = replace(one.program, patience_s=0.5)
    one.start()
    wait_until(lambda: one.ready_times() == 1, what="the first sign of life")

    one.stop()

    assert one.statuses == [0]
    assert not is_alive(one.program.record)


def test_a_program_that_never_comes_up_is_given_up(supervised: Callable[..., Supervised]) -> None:
    one = supervised("raise SystemExit(9)")

    one.start()

    wait_until(lambda: one.statuses == [EXIT_GAVE_UP], what="it gives up")
    assert "exited with status 9" in one.said[-1]


def test_a_program_is_not_started_before_what_it_needs_is_there(supervised: Callable[..., Supervised]) -> None:
    one = supervised()
    is_there: list[bool] = []
    one.program = replace(one.program, may_start=lambda: bool(is_there))
    one.start()
    wait_until(lambda: "program waits for its broker to answer" in one.said, what="it waits")
    assert not one.program.record.exists()

    is_there.append(True)

    wait_until(lambda: one.ready_times() == 1, what="the first sign of life")


def test_a_group_is_alive_until_its_last_process_is_gone(tmp_path: Path) -> None:
    record = tmp_path / "group.pid"
    leader = start_group(["sh", "-c", "sleep 300 & exit 0"], record, os.environ)
    leader.wait()
    assert is_alive(record)

    assert end_group(record, patience_s=1.0) is True

    assert not is_alive(record)
    assert end_group(record, patience_s=1.0) is False


def test_a_supervisor_stops_its_program_when_its_parent_is_gone(tmp_path: Path) -> None:
    supervisor = subprocess.Popen(
        [
            *(sys.executable, "-m", "credits.ops.supervise", "--name", "program", "--run-folder", str(tmp_path)),
            *("--lifeline", "--patience-s", "2", "--", sys.executable, "-c", BEATING, tmp_path / "program.heartbeat"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    record = tmp_path / "program.pid"
    wait_until(lambda: is_alive(record), what="the program runs")

    assert supervisor.stdin is not None
    supervisor.stdin.close()

    assert supervisor.wait(PATIENCE_S) == 0
    assert not is_alive(record)


def test_a_server_answers_only_while_it_runs_and_is_not_frozen(tmp_path: Path) -> None:
    server = ValkeyServer(tmp_path)
    server.start()
    running = server_answers(server.url)
    server.freeze()
    frozen = server_answers(server.url)
    server.stop()

    assert (running, frozen, server_answers(server.url)) == (True, False, False)
    assert not server_answers(f"amqp://127.0.0.1:{free_port()}")


def _runs(pid: int) -> bool:
    """Whether the process is there and is no zombie that only waits to be counted by its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
