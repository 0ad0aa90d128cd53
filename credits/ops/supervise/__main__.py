"""`python -m credits.ops.supervise --name worker --judge heartbeat -- celery …`: keep one program alive."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Final

from credits.config.settings import Settings, load_settings, read_environment
from credits.log import get_logger, set_up_logging
from credits.ops.supervise.loop import Program, supervise
from credits.ops.supervise.probes import (
    HEARTBEAT_VARIABLE,
    HeartbeatProbe,
    HttpProbe,
    Probe,
    RedisProbe,
    server_answers,
)

_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(argv: Sequence[str] | None = None) -> int:
    """Read the arguments, supervise until told to stop, return the exit status."""
    arguments = _parser().parse_args(argv)
    stops: SimpleQueue[str] = SimpleQueue()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        stops.put(signal.Signals(number).name)

    for number in _STOP_SIGNALS:
        signal.signal(number, on_signal)
    if arguments.lifeline:
        threading.Thread(target=_watch_lifeline, args=(stops,), daemon=True).start()
    settings = load_settings(read_environment(os.environ, Path.cwd()), Path.cwd())
    set_up_logging(settings.log_format)
    # The runner of `credits dev` reads what its supervisors say; anywhere else it is a log like the others.
    say = _print if arguments.lifeline else _log
    return supervise(_program(arguments, settings), stops, say)


def _program(arguments: argparse.Namespace, settings: Settings) -> Program:
    env = dict(os.environ)
    folder = Path(arguments.run_folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A container names the file itself, so that its health check can look at it too.
    heartbeat_file = Path(env.get(HEARTBEAT_VARIABLE) or folder.absolute() / f"{arguments.name}.heartbeat")
    env[HEARTBEAT_VARIABLE] = str(heartbeat_file)

    def broker_answers() -> bool:
        return server_answers(settings.broker_url)

    def broker_is_away() -> bool:
        # Without its broker a worker cannot do anything, and starting it again would not help.
        return not broker_answers()

    return Program(
        name=arguments.name,
        argv=arguments.command,
        env=env,
        record=folder / f"{arguments.name}.pid",
        probe=_probe(arguments.judge, arguments.url, settings, heartbeat_file),
        silence_s=arguments.silence_s,
        may_be_silent=broker_is_away if arguments.judge == "heartbeat" else _never,
        may_start=broker_answers if arguments.after_broker else _always,
        patience_s=arguments.patience_s,
    )


def _probe(judge: str, url: str, settings: Settings, heartbeat_file: Path) -> Probe:
    if judge == "http":
        return HttpProbe(url)
    if judge == "redis":
        return RedisProbe(settings.redis_url)
    return HeartbeatProbe(heartbeat_file)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m credits.ops.supervise", description=__doc__)
    parser.add_argument("--name", required=True, help="what to call the program in messages and file names")
    parser.add_argument("--judge", choices=("heartbeat", "http", "redis"), default="heartbeat")
    parser.add_argument("--url", default="", help="what --judge http asks")
    parser.add_argument("--run-folder", required=True, help="where the record and the heartbeat file lie")
    parser.add_argument("--silence-s", type=float, default=30.0, help="kill it after this long without a sign of life")
    parser.add_argument("--patience-s", type=float, default=75.0, help="how long it may take to stop when asked")
    parser.add_argument("--after-broker", action="store_true", help="start it only once the broker answers")
    parser.add_argument("--lifeline", action="store_true", help="stop when standard input ends (the parent is gone)")
    parser.add_argument("command", nargs="+", help="the program and its arguments, after --")
    return parser


def _watch_lifeline(stops: SimpleQueue[str]) -> None:
    # The parent holds the other end and never writes. Read without a buffer: a buffered reader of a thread that is
    # still waiting cannot be closed when the interpreter exits.
    while os.read(0, 64):
        pass
    stops.put("the parent is gone")


def _print(line: str) -> None:
    try:
        print(line, flush=True)
    except OSError:
        # Nobody is listening any more. That must not keep the supervisor from clearing up.
        return


def _log(line: str) -> None:
    get_logger("credits.ops.supervise").info("supervisor", said=line)


def _never() -> bool:
    return False


def _always() -> bool:
    return True


if __name__ == "__main__":
    sys.exit(main())
