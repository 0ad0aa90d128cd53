"""Settings from the environment: where the servers are, and the secrets. Nothing here is read at import."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from dotenv import dotenv_values
from limits import parse_many

from credits.config.access import ProviderAccess, Tenant, read_access
from credits.config.redis_urls import is_cluster
from credits.config.servers import wrong_with_database, wrong_with_redis
from credits.errors import ConfigError
from credits.units import MAX_AMOUNT

__all__ = ["ProviderAccess", "Settings", "Tenant", "WebhookSecret", "load_settings", "read_environment"]

DATA_FOLDER: Final = Path(".creditgate")
"""Where `credits dev` keeps its database, its Redis and its secrets, below the folder it was started in."""

DEFAULT_RATE_LIMIT: Final = "2000/second"
"""For each API key; far above what one service asks for, and below what would leave nothing for the others."""

DEV_ENV_FILE: Final = DATA_FOLDER / "dev.env"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSecret:
    """One signing secret of one endpoint at a provider. Several may be active while they are rotated."""

    tenant: Tenant
    """Whose events the endpoint carries: its provider-side mode (live or test)."""
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One installation's settings. Made once, at the edge, and passed on."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    config_path: Path
    tenant: Tenant
    """What commands and the library work on when nothing else is said."""
    secret_key: str = field(repr=False)
    base_url: str
    log_format: str
    webhook_secrets: Mapping[str, tuple[WebhookSecret, ...]] = field(repr=False)
    """By provider name."""
    access: Mapping[tuple[Tenant, str], ProviderAccess] = field(default_factory=dict, repr=False)
    """By tenant and provider name: where credits can be sold."""
    alarm_age_s: int
    """An event that has waited longer than this for its credits raises the alarm."""
    max_exposure: int = MAX_AMOUNT
    """Unsettled credits of one account above which every commit waits for the ledger."""
    receipt_s: int = 3_600
    """How long Redis remembers a hold that ended."""
    notify_networks: str = ""
    """Networks that are not public and where notifications may go all the same, as CIDR names separated by commas."""
    smtp_url: str = field(default="", repr=False)
    """The mail server for destinations that are mailto: addresses."""
    mail_from: str = ""
    idle_unload_s: int = 3_600
    """An account that nobody used for so long leaves Redis; it comes back on demand."""
    reconciles: bool = True
    """Whether workers look by themselves for payments that we were never told of."""
    reconcile_every_s: int = 21_600
    """How often they look through a provider that tries a webhook for days; one that does not, every five minutes."""
    rate_limit: str = ""
    """How many requests an API key may send, such as `1000/second; 20000/minute`; empty: as many as it likes."""
    buy_url: str = ""
    """Where an account buys credits; `{account}` in it stands for the account. Empty: answers name no such place."""

    def secrets_of(self, provider: str) -> tuple[WebhookSecret, ...]:
        """The signing secrets of `provider`, live and sandbox; empty if none is configured."""
        return self.webhook_secrets.get(provider, ())


def read_environment(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """
    The variables that count in `folder`: what `credits dev` wrote, overridden by `.env`, overridden by the environment.
    """
    merged: dict[str, str] = {}
    for file in (folder / DEV_ENV_FILE, folder / ".env"):
        merged.update({name: value for name, value in dotenv_values(file).items() if value is not None})
    merged.update(environ)
    return merged


def load_settings(env: Mapping[str, str], folder: Path) -> Settings:
    """
    Make the settings out of the variables `env`; relative paths are below `folder`.

    Raises ConfigError that lists every variable at fault.
    """
    problems: dict[str, str] = {}
    data_folder = folder / DATA_FOLDER
    redis_url = _first(env, "CREDITGATE_REDIS_URL", "REDIS_URL") or "redis://127.0.0.1:6379/0"
    tenant = _tenant(env.get("CREDITGATE_TENANT", Tenant.LIVE.value), problems)
    log_format = env.get("CREDITGATE_LOG_FORMAT", "json")
    if log_format not in {"json", "console"}:
        problems["CREDITGATE_LOG_FORMAT"] = f"must be json or console, got {log_format!r}"
    alarm_age_s = _positive_int(env, "CREDITGATE_ALARM_AGE_S", 300, problems)
    settings = Settings(
        database_url=_first(env, "CREDITGATE_DATABASE_URL", "DATABASE_URL")
        or f"sqlite:///{data_folder / 'creditgate.sqlite3'}",
        redis_url=redis_url,
        broker_url=env.get("CREDITGATE_BROKER_URL") or redis_url,
        config_path=folder / env.get("CREDITGATE_CONFIG", "credits.toml"),
        tenant=tenant,
        secret_key=env.get("CREDITGATE_SECRET_KEY", ""),
        base_url=_url(env, "CREDITGATE_BASE_URL", problems, default="http://127.0.0.1:8000").rstrip("/"),
        log_format=log_format,
        webhook_secrets=_webhook_secrets(env),
        access=read_access(env, problems),
        alarm_age_s=alarm_age_s,
        max_exposure=_positive_int(env, "CREDITGATE_MAX_EXPOSURE", MAX_AMOUNT, problems, largest=MAX_AMOUNT),
        receipt_s=_positive_int(env, "CREDITGATE_RECEIPT_S", 3_600, problems, smallest=900, largest=86_400),
        notify_networks=_networks(env, "CREDITGATE_NOTIFY_NETWORKS", problems),
        smtp_url=env.get("CREDITGATE_SMTP_URL", ""),
        mail_from=env.get("CREDITGATE_MAIL_FROM", ""),
        idle_unload_s=_positive_int(env, "CREDITGATE_IDLE_UNLOAD_S", 3_600, problems, smallest=60),
        reconciles=_on_or_off(env, "CREDITGATE_RECONCILE", problems),
        reconcile_every_s=_positive_int(env, "CREDITGATE_RECONCILE_EVERY_S", 21_600, problems, smallest=300),
        rate_limit=_rate_limit(env, problems),
        buy_url=_url(env, "CREDITGATE_BUY_URL", problems),
    )
    _check_servers(settings, problems)
    if problems:
        raise ConfigError(problems)
    return settings


def _check_servers(settings: Settings, problems: dict[str, str]) -> None:
    if is_cluster(settings.broker_url):
        problems["CREDITGATE_BROKER_URL"] = "Celery cannot use a Redis Cluster: name another Redis, or RabbitMQ"
    found = {
        "CREDITGATE_REDIS_URL": wrong_with_redis(settings.redis_url),
        "CREDITGATE_DATABASE_URL": wrong_with_database(settings.database_url),
    }
    problems.update({name: wrong for name, wrong in found.items() if wrong is not None})


def secret_variable(provider: str, tenant: Tenant) -> str:
    """The variable of a provider's signing secrets, several separated by commas: `STRIPE_TEST_WEBHOOK_SECRETS`."""
    mode = "_TEST" if tenant is Tenant.SANDBOX else ""
    return f"{provider.upper()}{mode}_WEBHOOK_SECRETS"


def _webhook_secrets(env: Mapping[str, str]) -> dict[str, tuple[WebhookSecret, ...]]:
    found: dict[str, list[WebhookSecret]] = {}
    for name, text in env.items():
        if not name.endswith("_WEBHOOK_SECRETS"):
            continue
        owner = name.removesuffix("_WEBHOOK_SECRETS")
        tenant = Tenant.SANDBOX if owner.endswith("_TEST") else Tenant.LIVE
        provider = owner.removesuffix("_TEST").lower()
        values = [part.strip() for part in text.split(",") if part.strip()]
        found.setdefault(provider, []).extend(WebhookSecret(tenant=tenant, value=value.encode()) for value in values)
    return {provider: tuple(secrets) for provider, secrets in found.items()}


def _first(env: Mapping[str, str], *names: str) -> str | None:
    return next((env[name] for name in names if env.get(name)), None)


def _networks(env: Mapping[str, str], name: str, problems: dict[str, str]) -> str:
    text = env.get(name, "")
    try:
        for part in text.split(","):
            if part.strip():
                ip_network(part.strip())
    except ValueError as error:
        problems[name] = f"must be networks such as 10.0.0.0/8, separated by commas: {error}"
        return ""
    return text


def _tenant(text: str, problems: dict[str, str]) -> Tenant:
    try:
        return Tenant(text)
    except ValueError:
        problems["CREDITGATE_TENANT"] = f"must be live or sandbox, got {text!r}"
        return Tenant.LIVE


def _on_or_off(env: Mapping[str, str], name: str, problems: dict[str, str]) -> bool:
    text = env.get(name, "on").strip().lower()
    if text not in {"on", "off"}:
        problems[name] = f"must be on or off, got {text[:40]!r}"
    return text != "off"


def _rate_limit(env: Mapping[str, str], problems: dict[str, str]) -> str:
    text = env.get("CREDITGATE_RATE_LIMIT", DEFAULT_RATE_LIMIT).strip()
    try:
        limits = [] if text == "none" else parse_many(text)
    except ValueError:
        limits = None
    if limits is None or any(limit.amount < 1 for limit in limits):
        example = "1000/second; 20000/minute"
        problems["CREDITGATE_RATE_LIMIT"] = f'must be such as "{example}", each at least 1, or none, got {text[:40]!r}'
        return ""
    return text if limits else ""


def _url(env: Mapping[str, str], name: str, problems: dict[str, str], *, default: str = "") -> str:
    text = env.get(name, default).strip()
    if text and not text.startswith(("https://", "http://")):
        problems[name] = f"must begin with https:// or http://, got {text[:40]!r}"
    return text


def _positive_int(
    env: Mapping[str, str],
    name: str,
    default: int,
    problems: dict[str, str],
    *,
    smallest: int = 1,
    largest: int | None = None,
) -> int:
    text = env.get(name, str(default))
    is_number = text.isascii() and text.isdigit() and len(text) <= 16
    if not is_number or int(text) < smallest or (largest is not None and int(text) > largest):
        bound = f"of at least {smallest}" if largest is None else f"from {smallest} to {largest}"
        problems[name] = f"must be a whole number {bound}, got {text[:40]!r}"
        return default
    return int(text)
