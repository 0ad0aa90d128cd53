"""What a notification says in a mail: a subject and a few sentences, for people."""

from typing import Any, Final

from credits.notifications.model import Kind, Notification

_SUBJECTS: Final = {
    Kind.PURCHASE_COMPLETED: "Credits bought: {amount} {credit_type} for {account}",
    Kind.ALLOCATION_FAILED: "A payment was not credited: {code}",
    Kind.BALANCE_LOW: "Running low: {credit_type} of {account}",
    Kind.BALANCE_RECOVERED: "No longer low: {credit_type} of {account}",
    Kind.CREDITS_LAPSE_SOON: "{amount} {credit_type} of {account} lapse soon",
    Kind.TOPUP_FAILED: "Automatic top-up failed: {account}",
    Kind.DISPUTE_OPENED: "Payment disputed: {account}",
    Kind.PING: "Creditgate: a test",
}


def subject_of(notification: Notification) -> str:
    """One line, without line breaks whatever the account is called."""
    words = _Words(account=notification.account or "nobody known", **notification.data)
    text = _SUBJECTS[notification.kind].format_map(words)
    return "".join(char if char.isprintable() else " " for char in text)[:200]


def text_of(notification: Notification) -> str:
    """The facts, a line each."""
    facts: dict[str, Any] = {"account": notification.account, **notification.data}
    lines = [f"{name.replace('_', ' ')}: {value}" for name, value in facts.items() if value is not None]
    return "\n".join([subject_of(notification), "", *lines, "", f"notification {notification.name}", ""])


class _Words(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return "?"
