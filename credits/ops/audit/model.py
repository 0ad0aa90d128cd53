"""What an audit finds: disagreements, each with a stable code."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """Every disagreement there is."""

    ENTRY_NUMBERS = "entry_numbers"
    """The entries of an account and type are not numbered 1, 2, 3 …"""
    ENTRY_BALANCE = "entry_balance"
    """An entry's balance after it is not the sum of the entries up to it."""
    ENTRY_LOTS = "entry_lots"
    """What an entry moved in lots and debt is not its amount."""
    ENTRY_KEY = "entry_key"
    """Two entries of a tenant have one key."""
    BALANCE_SUM = "balance_sum"
    """A balance is not the sum of its entries."""
    BALANCE_LAST = "balance_last"
    """A balance's debt or number is not that of its last entry."""
    BALANCE_LOTS = "balance_lots"
    """A balance is not what remains of the lots, less the debt."""
    LOT_BOUNDS = "lot_bounds"
    """What remains of a lot is below 0 or above what was granted, or more of it is frozen than remains."""
    LOT_MOVES = "lot_moves"
    """What remains of a lot is not what the entries put into it and took from it."""
    LOT_FROZEN = "lot_frozen"
    """More of a lot is frozen than its payment's open disputes ask for."""
    LOT_CLAWED = "lot_clawed"
    """More of a lot was taken back than its payment's refunds and disputes ask for."""
    TENANT = "tenant"
    """A row belongs to another tenant than its account."""
    OUTBOX_NUMBERS = "outbox_numbers"
    """The credits that wait for the gate are not the account's last ones, without a gap."""
    OUTBOX_AMOUNT = "outbox_amount"
    """A credit that waits for the gate is not what was granted."""
    MEMBER_USAGE = "member_usage"
    """What a member has used in all is not the sum of its entries."""
    MEMBER_CHANGE_LATE = "member_change_late"
    """A change of a member's limits has waited for the gate for more than a minute."""
    OUTBOX_LATE = "outbox_late"
    """A credit has waited for the gate for more than a minute."""
    ORDER_LATE = "order_late"
    """A debit that SQL ordered has been open for more than a minute."""
    SUSPENSE = "suspense"
    """Credits are taken and nobody knows for what; a person has to look."""
    GATE_OWNER = "gate_owner"
    """A shard of this Redis was filled from another database."""
    JOURNAL_UNREADABLE = "journal_unreadable"
    """A line of a shard's journal cannot be read; its account waits."""
    JOURNAL_ACCOUNT = "journal_account"
    """A line of a shard's journal is about an account that the database does not have, or of another shard."""
    JOURNAL_COUNT = "journal_count"
    """A shard's journal does not have as many lines as the gate has counted."""
    GATE_UNREADABLE = "gate_unreadable"
    """A record of the gate cannot be read."""
    GATE_SIZES = "gate_sizes"
    """Lots or holds of an account are more or fewer than the gate has counted."""
    GATE_AVAILABLE = "gate_available"
    """What is available is not the sum of the lots."""
    GATE_HELD = "gate_held"
    """What is held is not the sum of the open holds."""
    GATE_UNSETTLED = "gate_unsettled"
    """What is unsettled is not the sum of the account's lines in the journal."""
    GATE_CREDITS = "gate_credits"
    """The gate has applied credits that the ledger does not have."""
    GATE_MEMBER_HELD = "gate_member_held"
    """What the gate counts as held for a member is not what its holds have."""
    GATE_MEMBER_USED = "gate_member_used"
    """What the gate counts as used by a member is not what entries and journal say."""
    GATE_MEMBER_LIMITS = "gate_member_limits"
    """The gate has other limits of a member than the ledger's database, and nothing waits to tell it."""
    GATE_LEDGER = "gate_ledger"
    """What the gate says an account has is not what the ledger says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One disagreement."""

    code: Code
    tenant: str
    account: str
    """Empty where it is about no account."""
    subject: str
    """Which row, line or figure."""
    expected: str
    found: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Report:
    """What was looked at, and what disagrees."""

    findings: list[Finding] = field(default_factory=list)
    entries: int = 0
    accounts: int = 0
    gate_accounts: int = 0
    """Accounts that are loaded in the gate and were compared with the ledger."""
    journal_lines: int = 0
    is_gate_read: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": not self.findings and self.is_gate_read,
            "checked": {
                "entries": self.entries,
                "accounts": self.accounts,
                "gate_accounts": self.gate_accounts,
                "journal_lines": self.journal_lines,
                "gate": self.is_gate_read,
            },
            "findings": [finding.as_json() for finding in self.findings],
        }
