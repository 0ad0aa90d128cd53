"""Who is measured: each contender with its client program, in an interpreter that has its packages."""

import json
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

CLIENT: Final = Path(__file__).with_name("client.py")
REPOSITORY: Final = Path(__file__).parents[2]
ENVIRONMENTS: Final = REPOSITORY / ".creditgate" / "benchmark-peers"


class ContenderError(Exception):
    """A contender cannot be installed or run here. It is named, and the others go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A program that is measured, and what it stands on."""

    name: str
    packages: tuple[str, ...] = ()
    """From PyPI, in an environment of their own; none: this repository's."""
    has_redis: bool = False
    has_database: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table: a subject doing one thing in one way."""

    label: str
    subject: str
    variant: str
    settles: bool = False
    """Whether a settler runs beside it, and the round lasts until it has settled everything."""
    threads: int = 1


SUBJECTS: Final = (
    Subject(name="bare_redis", has_redis=True),
    Subject(name="creditgate", has_redis=True, has_database=True),
    Subject(name="postgres", has_database=True),
    Subject(name="escrowmint", packages=("escrowmint==0.5.0", "hiredis"), has_redis=True),
    Subject(name="nostro", packages=("hf-nostro[postgres]==0.2.0",), has_database=True),
    Subject(name="gringotts", packages=("gringotts-api==0.4.0", "psycopg[binary]"), has_database=True),
)

BARE: Final = Row(label="two empty EVALSHA", subject="bare_redis", variant="pair")
OURS: Final = Row(label="Creditgate redis", subject="creditgate", variant="pair redis")
SETTLED: Final = Row(label="Creditgate redis, settled", subject="creditgate", variant="pair redis", settles=True)
LEDGER: Final = Row(label="Creditgate ledger", subject="creditgate", variant="pair ledger")
ESCROWMINT: Final = Row(label="escrowmint (no ledger)", subject="escrowmint", variant="pair")
CAREFUL: Final = Row(label="PostgreSQL careful", subject="postgres", variant="careful pair")
USUAL: Final = Row(label="PostgreSQL FOR UPDATE", subject="postgres", variant="usual pair")
PAIRS: Final = (
    BARE,
    OURS,
    SETTLED,
    LEDGER,
    ESCROWMINT,
    CAREFUL,
    Row(label="PostgreSQL functions", subject="postgres", variant="function pair"),
    USUAL,
)
SPENDS: Final = (
    Row(label="one empty EVALSHA", subject="bare_redis", variant="spend"),
    Row(label="Creditgate redis", subject="creditgate", variant="spend redis"),
    Row(label="Creditgate ledger", subject="creditgate", variant="spend ledger"),
    Row(label="escrowmint (no ledger)", subject="escrowmint", variant="spend"),
    Row(label="PostgreSQL careful", subject="postgres", variant="careful spend"),
    Row(label="PostgreSQL functions", subject="postgres", variant="function spend"),
    Row(label="hf-nostro", subject="nostro", variant="spend"),
    Row(label="gringotts-api", subject="gringotts", variant="spend"),
)
WAITING: Final = (
    Row(label="Creditgate ledger", subject="creditgate", variant="pair ledger", threads=64),
    Row(label="PostgreSQL careful", subject="postgres", variant="careful pair", threads=64),
)

NOT_HERE: Final = {
    "bursar": "needs Python 3.12 and PostgreSQL 16 with the extension pg_partman 5; this stage has neither",
}


class Client:
    """A subject's client processes."""

    def __init__(self, subject: Subject, config: Mapping[str, Any], log: Path) -> None:
        python = _interpreter(subject)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [python, CLIENT, subject.name, json.dumps(config)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=log.parent,
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY) if not subject.packages else ""},
                text=True,
            )
        self._subject, self._log = subject, log

    def ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Have an order carried out. Raises ContenderError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or '{"error": "it ended"}')
        if "error" in answer:
            raise ContenderError(f"{self._subject.name}: {answer['error']} (see {self._log})")
        return answer

    def close(self) -> None:
        """End its processes."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=30)


def _interpreter(subject: Subject) -> Path:
    """The interpreter that has the subject's packages, which are installed on first use and kept."""
    if not subject.packages:
        return Path(sys.executable)
    folder = ENVIRONMENTS / subject.name
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    if not stamp.exists() or stamp.read_text() != "\n".join(subject.packages):
        venv.create(folder, clear=True, with_pip=True)
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *subject.packages]
        made = subprocess.run(command, check=False, capture_output=True, text=True)
        if made.returncode != 0:
            raise ContenderError(f"{subject.name}: pip could not install it: {made.stderr.strip()[-300:]}")
        stamp.write_text("\n".join(subject.packages))
    return python
