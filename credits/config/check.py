"""Checks credits.toml without using it: every problem and every warning at once, each under its key."""

from pathlib import Path

from credits.config.findings import Findings, Report
from credits.config.load import read_catalogue, read_toml
from credits.errors import ConfigError


def check_catalogue(path: Path) -> Findings:
    """What is wrong with the file `path`, and what is probably not meant. Raises nothing about the file."""
    report = Report()
    try:
        raw = read_toml(path)
    except ConfigError as error:
        return Findings(problems=error.problems)
    read_catalogue(raw, path.parent, report)
    return report.findings()
