"""`.creditgate/dev.env`: the addresses and secrets `credits dev` makes at its first start and keeps from then on."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from dotenv import dotenv_values

from credits.config.settings import DATA_FOLDER, DEV_ENV_FILE, Tenant, secret_variable

API_KEY: Final = "CREDITGATE_API_KEY"
DATABASE_URL: Final = "CREDITGATE_DATABASE_URL"
REDIS_URL: Final = "CREDITGATE_REDIS_URL"

# Either name of a pair, given by the user, stands for the whole pair; our own value would hide theirs.
_PAIRS: Final = {DATABASE_URL: "DATABASE_URL", REDIS_URL: "REDIS_URL"}

_PROVIDERS: Final = ("stripe", "lemonsqueezy", "paddle", "fake")

_FAKE_ACCESS: Final[Mapping[str, Mapping[str, str]]] = {
    "stripe": {"STRIPE_TEST_API_KEY": "sk_test_fake", "STRIPE_TEST_API_BASE": "{base}"},
    "lemonsqueezy": {
        "LEMONSQUEEZY_TEST_API_KEY": "fake",
        "LEMONSQUEEZY_TEST_STORE_ID": "1",
        "LEMONSQUEEZY_TEST_VARIANT_ID": "900001",
        "LEMONSQUEEZY_TEST_API_BASE": "{base}/lemonsqueezy",
    },
    "paddle": {"PADDLE_TEST_API_KEY": "fake", "PADDLE_TEST_API_BASE": "{base}/paddle"},
}
"""What leads to the fakes, for each provider of which the user has given no key."""

_HEADER: Final = """\
# Written by `credits dev` for this folder only. Every line may be overridden in .env or in the environment.
# It holds secrets: keep it out of version control.
"""


def given_environment(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What the user has set: `.env`, overridden by the environment. What `credits dev` wrote does not count."""
    values = {name: value for name, value in dotenv_values(folder / ".env").items() if value}
    return values | {name: value for name, value in environ.items() if value}


def without_written(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """`environ` without what it has from dev.env: a shell that has read the file has set nothing by that."""
    written = read_dev_env(folder)
    return {name: value for name, value in environ.items() if written.get(name) != value}


def is_given(given: Mapping[str, str], name: str) -> bool:
    """Whether the user has set the variable `name`, or the general name that means the same."""
    return name in given or _PAIRS.get(name, name) in given


def fakes_used(given: Mapping[str, str]) -> list[str]:
    """
    The providers that are faked: those to which the user has given no key for the sandbox.

    None of them where the user works on live: nothing that grants for nothing runs beside real money.
    """
    if given.get("CREDITGATE_TENANT", Tenant.SANDBOX.value) != Tenant.SANDBOX.value:
        return []
    return [provider for provider in _FAKE_ACCESS if f"{provider.upper()}_TEST_API_KEY" not in given]


def port_of_fakes(known: Mapping[str, str]) -> int | None:
    """The port of the last start; None before the first."""
    for provider in _FAKE_ACCESS:
        name = f"{provider.upper()}_TEST_API_BASE"
        if known.get(name):
            return urlsplit(known[name]).port
    return None


def complete(
    known: Mapping[str, str],
    *,
    given: Mapping[str, str],
    folder: Path,
    port: int,
    fakes_port: int | None,
    redis_url: str,
    new_secret: Callable[[], str],
) -> dict[str, str]:
    """
    The variables to write: secrets are kept once made, addresses follow this start.

    What the user has set is left out, so that removing it from `.env` brings back a value of our own.
    """
    values = {
        "CREDITGATE_TENANT": Tenant.SANDBOX.value,
        DATABASE_URL: f"sqlite:///{folder.absolute() / DATA_FOLDER / 'creditgate.sqlite3'}",
        REDIS_URL: redis_url,
        "CREDITGATE_BASE_URL": f"http://127.0.0.1:{port}",
        # Where CreditsClient asks; the receiver itself does not read it.
        "CREDITGATE_URL": f"http://127.0.0.1:{port}",
        "CREDITGATE_LOG_FORMAT": "console",
        "CREDITGATE_SECRET_KEY": known.get("CREDITGATE_SECRET_KEY") or new_secret(),
    }
    for provider in _PROVIDERS:
        name = secret_variable(provider, Tenant.SANDBOX)
        # Stripe's secrets begin like this, and so do the ones people paste: one look for all.
        values[name] = known.get(name) or f"whsec_{new_secret()}"
    if fakes_port is not None:
        # No app is there yet that sells credits; the fakes lead to the hosted page.
        values["CREDITGATE_BUY_URL"] = f"http://127.0.0.1:{fakes_port}/buy?account={{account}}"
        for provider in fakes_used(given):
            base = f"http://127.0.0.1:{fakes_port}"
            values |= {name: text.replace("{base}", base) for name, text in _FAKE_ACCESS[provider].items()}
    if known.get(API_KEY):
        values[API_KEY] = known[API_KEY]
    return {name: value for name, value in values.items() if not (name in _PAIRS and is_given(given, name))}


def read_dev_env(folder: Path) -> dict[str, str]:
    """What an earlier start wrote; empty before the first."""
    return {name: value for name, value in dotenv_values(folder / DEV_ENV_FILE).items() if value}


def write_dev_env(folder: Path, values: Mapping[str, str]) -> None:
    """Replace the file by `values`, at once and readable by its owner only."""
    file = folder / DEV_ENV_FILE
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as output:
        output.write(_HEADER)
        output.writelines(f"{name}={_quoted(value)}\n" for name, value in values.items())
    new.replace(file)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
