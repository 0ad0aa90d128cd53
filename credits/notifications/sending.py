"""Sends one notification: an HTTP POST to a checked address, or a mail."""

import asyncio
import smtplib
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

import httpx

from credits.errors import ConfigError, DestinationRefusedError
from credits.log import redact
from credits.notifications import mail
from credits.notifications.addresses import Network, Resolve, Target, target_of
from credits.notifications.model import Answered, Destination, Notification

CONNECT_S: Final = 5
TOTAL_S: Final = 15
MAX_ANSWER_BYTES: Final = 16_384
_SHOWN: Final = 200
_MAIL_TAKEN: Final = 250


class Sender(Protocol):
    """Brings a body to a destination; answers what came of it, and raises nothing."""

    async def send(
        self, destination: Destination, notification: Notification, body: bytes, headers: Mapping[str, str]
    ) -> Answered: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """How this installation sends."""

    allowed: Sequence[Network] = ()
    smtp_url: str = field(default="", repr=False)
    mail_from: str = ""
    resolve: Resolve | None = None
    verify: ssl.SSLContext | bool = True

    async def send(
        self, destination: Destination, notification: Notification, body: bytes, headers: Mapping[str, str]
    ) -> Answered:
        """One attempt, within 15 s however slowly the other side answers. What goes wrong is in the answer."""
        began_s = time.monotonic()
        status: int | None = None
        try:
            async with asyncio.timeout(TOTAL_S):
                if destination.is_mail:
                    await asyncio.to_thread(self._mail, destination, notification)
                    status, detail = _MAIL_TAKEN, "taken by the mail server"
                else:
                    status, detail = await self._post(destination.url, body, headers)
        except (DestinationRefusedError, ConfigError) as error:
            detail = str(error)
        except TimeoutError:
            detail = f"no answer within {TOTAL_S} s"
        except (httpx.HTTPError, smtplib.SMTPException, ssl.SSLError, OSError) as error:
            detail = f"no answer ({type(error).__name__})"
        duration_ms = round((time.monotonic() - began_s) * 1000)
        return Answered(status=status, detail=redact(detail)[:500], duration_ms=duration_ms)

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        target = await asyncio.to_thread(target_of, url, self.allowed, self.resolve)
        sent = {
            "host": _host_header(target),
            "content-type": "application/json",
            "user-agent": "Creditgate-Notifications/1",
            **headers,
        }
        # No proxy and no redirect: both would choose another address than the checked one.
        async with (
            httpx.AsyncClient(
                verify=self.verify,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx.Timeout(TOTAL_S, connect=CONNECT_S),
            ) as client,
            client.stream(
                "POST",
                _address_url(target),
                content=body,
                headers=sent,
                extensions={"sni_hostname": target.host},
            ) as answer,
        ):
            return answer.status_code, await _first_words(answer)

    def _mail(self, destination: Destination, notification: Notification) -> None:
        if not self.smtp_url or not self.mail_from:
            raise ConfigError({"CREDITGATE_SMTP_URL": "must be set, with CREDITGATE_MAIL_FROM, to send mails"})
        message = EmailMessage()
        message["From"] = self.mail_from
        message["To"] = unquote(destination.url.removeprefix("mailto:"))
        message["Subject"] = mail.subject_of(notification)
        # The same for every attempt: a mail server that took it twice can tell.
        message["Message-ID"] = f"<{notification.name}@creditgate>"
        message.set_content(mail.text_of(notification))
        with _smtp(self.smtp_url) as server:
            server.send_message(message)


def _smtp(url: str) -> smtplib.SMTP:
    """A session at `smtp://user:password@host:port` (STARTTLS where the server has it) or `smtps://…`."""
    parts = urlsplit(url)
    host, context = parts.hostname or "localhost", ssl.create_default_context()
    server: smtplib.SMTP
    if parts.scheme == "smtps":
        server = smtplib.SMTP_SSL(host, parts.port or 465, timeout=TOTAL_S, context=context)
    else:
        server = smtplib.SMTP(host, parts.port or 587, timeout=TOTAL_S)
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
    if parts.username:
        server.login(unquote(parts.username), unquote(parts.password or ""))
    return server


def _address_url(target: Target) -> str:
    host = f"[{target.address}]" if ":" in target.address else target.address
    return f"{target.scheme}://{host}:{target.port}{target.path}"


def _host_header(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = 443 if target.scheme == "https" else 80
    return host if target.port == usual else f"{host}:{target.port}"


async def _first_words(answer: httpx.Response) -> str:
    """The beginning of the answer; no more than 16 KB are read."""
    read = b""
    async for chunk in answer.aiter_raw():
        read += chunk
        if len(read) >= MAX_ANSWER_BYTES:
            break
    text = read[:_SHOWN].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else " " for char in text)
