"""`credits config check`: what is wrong in credits.toml and the environment, by key and reason."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from credits.config.check import check_catalogue, check_together
from credits.config.findings import Findings
from credits.config.settings import load_settings, read_environment
from credits.errors import ConfigError

config_app: Final = typer.Typer(no_args_is_help=True, help="Look at the configuration.")


@config_app.callback()
def config() -> None:
    """Look at the configuration."""


@config_app.command()
def check(
    file: Annotated[
        Path | None, typer.Option("--file", help="The file to check; CREDITGATE_CONFIG or credits.toml if left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """
    Check credits.toml and the environment: every problem and every warning at once.

    Changes nothing; price calculators are imported. Exit code 1 if there are problems, 0 with warnings alone.
    """
    folder = Path.cwd()
    env = read_environment(os.environ, folder)
    path = file or folder / (env.get("CREDITGATE_CONFIG") or "credits.toml")
    in_file = check_catalogue(path)
    problems, warnings = dict(in_file.problems), dict(in_file.warnings)
    try:
        warnings |= check_together(path, load_settings(env, folder))
    except ConfigError as error:
        problems = {**error.problems, **problems}
    findings = Findings(problems=problems, warnings=warnings)
    if as_json:
        typer.echo(json.dumps({"file": str(path), "problems": findings.problems, "warnings": findings.warnings}))
    else:
        _show(path, findings)
    raise typer.Exit(1 if findings.problems else 0)


def _show(path: Path, findings: Findings) -> None:
    console = Console(soft_wrap=True)
    for label, style, found in (("problem", "bold red", findings.problems), ("warning", "yellow", findings.warnings)):
        for key, reason in found.items():
            # As Text, because a key such as slabs[1] would be read as markup.
            console.print(Text.assemble((f"{label}  ", style), (key, "bold"), f"\n         {reason}"))
    if findings.problems or findings.warnings:
        console.print()
    counts = f"{_counted(findings.problems, 'problem')}, {_counted(findings.warnings, 'warning')}"
    console.print(Text.assemble(f"{path}: ", (counts, "bold red" if findings.problems else "bold green")))


def _counted(found: Mapping[str, str], noun: str) -> str:
    return f"{len(found)} {noun}{'' if len(found) == 1 else 's'}"
