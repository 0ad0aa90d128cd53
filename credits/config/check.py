"""Checks credits.toml without using it: every problem and every warning at once, each under its key."""

from collections.abc import Mapping
from pathlib import Path

from credits.config.findings import Findings, Report
from credits.config.load import read_catalogue, read_toml
from credits.config.settings import Settings
from credits.config.together import warnings_together
from credits.errors import ConfigError


def check_together(path: Path, settings: Settings) -> Mapping[str, str]:
    """Warnings about settings that policies of the file `path` count on; none while the file has problems."""
    report = Report()
    try:
        catalogue = read_catalogue(read_toml(path), path.parent, report)
    except ConfigError:
        return {}
    return {} if report.findings().problems else warnings_together(settings, catalogue)


def check_catalogue(path: Path) -> Findings:
    """What is wrong with the file `path`, and what is probably not meant. Raises nothing about the file."""
    report = Report()
    try:
        raw = read_toml(path)
    except ConfigError as error:
        return Findings(problems=error.problems)
    read_catalogue(raw, path.parent, report)
    return report.findings()
