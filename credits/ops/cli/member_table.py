"""Members as a table: what each may spend, has used, and when that begins anew."""

from collections.abc import Iterable
from typing import Final

from credits.clock import iso
from credits.members.model import Member

COLUMNS: Final = ("member", "credit_type", "per", "limit", "used", "left", "begins anew", "raised until")


def member_rows(members: Iterable[Member]) -> list[list[object]]:
    """A row per limit, and one per type that a member has used without a limit."""
    return [row for member in members for row in _rows(member)]


def _rows(member: Member) -> list[list[object]]:
    rows: list[list[object]] = [
        [
            member.member,
            one.credit_type,
            one.per.value,
            one.limit,
            one.used,
            one.left,
            iso(one.ends_at_ms) or "",
            iso(one.raised_until_ms) or "",
        ]
        for one in member.limits
    ]
    limited = {one.credit_type for one in member.limits}
    rows += [
        [member.member, kind, "ever", "", used, "", "", ""] for kind, used in member.used.items() if kind not in limited
    ]
    return rows or [[member.member, "", "", "", "", "", "", ""]]
