"""The ledger against itself: every statement here is written by hand, and selects what must not be there."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text

from credits.ops.audit.model import Code, Finding

LATE_MS: Final = 60_000

_LIMIT: Final = 1000
"""Findings of one code that are listed."""

_WITH: Final = """
    WITH running AS (
        SELECT e.id, e.account_id, e.credit_type, e.seq, e.amount, e.balance_after, e.debt_after,
               ROW_NUMBER() OVER w AS number,
               SUM(e.amount) OVER (PARTITION BY e.account_id, e.credit_type ORDER BY e.seq, e.id
                                   ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running,
               COALESCE(LAG(e.debt_after) OVER w, 0) AS debt_before,
               COALESCE((SELECT SUM(m.amount) FROM entry_lots m WHERE m.entry_id = e.id), 0) AS moved
        FROM entries e WINDOW w AS (PARTITION BY e.account_id, e.credit_type ORDER BY e.seq, e.id)
    ), sums AS (
        SELECT account_id, credit_type, SUM(amount) AS total FROM entries GROUP BY account_id, credit_type
    )
"""


@dataclass(frozen=True, slots=True)
class _Check:
    """A statement that selects disagreements as (tenant, account, subject, expected, found)."""

    code: Code
    statement: str


_CHECKS: Final = (
    _Check(
        Code.ENTRY_NUMBERS,
        """SELECT a.tenant, a.external_id, 'entry ' || r.id || ' of ' || r.credit_type, r.number, r.seq
            FROM running r JOIN accounts a ON a.id = r.account_id WHERE r.seq <> r.number""",
    ),
    _Check(
        Code.ENTRY_BALANCE,
        """SELECT a.tenant, a.external_id, 'entry ' || r.id || ' of ' || r.credit_type, r.running, r.balance_after
            FROM running r JOIN accounts a ON a.id = r.account_id WHERE r.balance_after <> r.running""",
    ),
    _Check(
        Code.ENTRY_LOTS,
        """SELECT a.tenant, a.external_id, 'entry ' || r.id || ' of ' || r.credit_type,
                   r.amount, r.moved - (r.debt_after - r.debt_before)
            FROM running r JOIN accounts a ON a.id = r.account_id
            WHERE r.amount <> r.moved - (r.debt_after - r.debt_before)""",
    ),
    _Check(
        Code.ENTRY_KEY,
        "SELECT tenant, '', 'key ' || key, 1, COUNT(*) FROM entries GROUP BY tenant, key HAVING COUNT(*) > 1",
    ),
    _Check(
        Code.BALANCE_SUM,
        """SELECT a.tenant, a.external_id, 'balance of ' || b.credit_type, COALESCE(s.total, 0), b.balance
            FROM balances b JOIN accounts a ON a.id = b.account_id
            LEFT JOIN sums s ON s.account_id = b.account_id AND s.credit_type = b.credit_type
            WHERE b.balance <> COALESCE(s.total, 0)
            UNION ALL
            SELECT a.tenant, a.external_id, 'balance of ' || s.credit_type, s.total, NULL
            FROM sums s JOIN accounts a ON a.id = s.account_id
            LEFT JOIN balances b ON b.account_id = s.account_id AND b.credit_type = s.credit_type
            WHERE b.account_id IS NULL""",
    ),
    _Check(
        Code.BALANCE_LAST,
        """SELECT a.tenant, a.external_id, 'debt and number of ' || b.credit_type,
                  e.debt_after || ' after entry ' || e.seq, b.debt || ' after entry ' || b.seq
           FROM balances b JOIN accounts a ON a.id = b.account_id
           JOIN entries e ON e.account_id = b.account_id AND e.credit_type = b.credit_type
            AND e.seq = (SELECT MAX(l.seq) FROM entries l
                         WHERE l.account_id = b.account_id AND l.credit_type = b.credit_type)
           WHERE e.seq <> b.seq OR e.debt_after <> b.debt""",
    ),
    _Check(
        Code.BALANCE_LOTS,
        """SELECT a.tenant, a.external_id, 'balance of ' || b.credit_type, COALESCE(g.remaining, 0) - b.debt, b.balance
           FROM balances b JOIN accounts a ON a.id = b.account_id
           LEFT JOIN (SELECT account_id, credit_type, SUM(remaining) AS remaining
                      FROM grants GROUP BY account_id, credit_type) g
             ON g.account_id = b.account_id AND g.credit_type = b.credit_type
           WHERE b.balance <> COALESCE(g.remaining, 0) - b.debt""",
    ),
    _Check(
        Code.LOT_BOUNDS,
        """SELECT a.tenant, a.external_id, 'lot ' || g.id || ' of ' || g.credit_type,
                  '0 to ' || g.amount || ', frozen no more', g.remaining || ', frozen ' || g.frozen
           FROM grants g JOIN accounts a ON a.id = g.account_id
           WHERE g.remaining < 0 OR g.remaining > g.amount OR g.frozen < 0 OR g.frozen > g.remaining""",
    ),
    _Check(
        Code.LOT_MOVES,
        """SELECT a.tenant, a.external_id, 'lot ' || g.id || ' of ' || g.credit_type, COALESCE(m.total, 0), g.remaining
           FROM grants g JOIN accounts a ON a.id = g.account_id
           LEFT JOIN (SELECT grant_id, SUM(amount) AS total FROM entry_lots GROUP BY grant_id) m ON m.grant_id = g.id
           WHERE g.remaining <> COALESCE(m.total, 0)""",
    ),
    _Check(
        Code.LOT_FROZEN,
        """SELECT a.tenant, a.external_id, 'frozen of lot ' || g.id || ' of ' || g.credit_type,
                  'at most ' || COALESCE(r.wanted_frozen, 0), g.frozen
           FROM grants g JOIN accounts a ON a.id = g.account_id LEFT JOIN reversed_lots r ON r.grant_id = g.id
           WHERE g.frozen > COALESCE(r.wanted_frozen, 0) AND r.op IS NULL""",
    ),
    _Check(
        Code.LOT_CLAWED,
        """SELECT a.tenant, a.external_id, 'taken back of lot ' || g.id || ' of ' || g.credit_type,
                  r.wanted_clawed || ' at most, with what remains within ' || g.amount,
                  r.clawed || ', and ' || g.remaining || ' remain'
           FROM reversed_lots r JOIN grants g ON g.id = r.grant_id JOIN accounts a ON a.id = g.account_id
           WHERE r.op IS NULL AND (r.clawed < 0 OR r.forgiven < 0 OR r.clawed + r.forgiven > r.wanted_clawed
              OR r.clawed + g.remaining > g.amount)""",
    ),
    _Check(
        Code.TENANT,
        """SELECT a.tenant, a.external_id, t.subject, a.tenant, t.tenant
           FROM accounts a JOIN (
             SELECT account_id, tenant, 'entry ' || id AS subject FROM entries
             UNION ALL SELECT account_id, tenant, 'lot ' || id FROM grants
             UNION ALL SELECT account_id, tenant, 'balance of ' || credit_type FROM balances
             UNION ALL SELECT account_id, tenant, 'credit ' || sv FROM outbox
             UNION ALL SELECT account_id, tenant, 'order ' || id FROM commands
           ) t ON t.account_id = a.id WHERE t.tenant <> a.tenant""",
    ),
    _Check(
        Code.OUTBOX_NUMBERS,
        """SELECT a.tenant, a.external_id, 'credits that wait', 'up to ' || a.sv || ' without a gap',
                  o.number || ' of them from ' || o.first || ' to ' || o.last
           FROM accounts a JOIN (SELECT account_id, MIN(sv) AS first, MAX(sv) AS last, COUNT(*) AS number
                                 FROM outbox GROUP BY account_id) o ON o.account_id = a.id
           WHERE o.last <> a.sv OR o.number <> a.sv - o.first + 1""",
    ),
    _Check(
        Code.OUTBOX_AMOUNT,
        """SELECT a.tenant, a.external_id, 'credit ' || o.sv || ' of lot ' || g.id, g.amount, o.amount + o.debt_repaid
           FROM outbox o JOIN accounts a ON a.id = o.account_id JOIN grants g ON g.id = o.grant_id
           WHERE g.account_id <> o.account_id OR g.amount < o.amount + o.debt_repaid
              OR (g.amount <> o.amount + o.debt_repaid
                  AND NOT EXISTS (SELECT 1 FROM reversed_lots r WHERE r.grant_id = g.id))""",
    ),
    _Check(
        Code.MEMBER_USAGE,
        """SELECT a.tenant, a.external_id, 'member ' || k.member || ', ' || k.credit_type,
                  COALESCE(e.total, 0), COALESCE(u.used, 0)
           FROM (SELECT account_id, member, credit_type FROM member_usage
                 UNION SELECT account_id, member, credit_type FROM entries WHERE member IS NOT NULL) k
           JOIN accounts a ON a.id = k.account_id
           LEFT JOIN member_usage u
             ON u.account_id = k.account_id AND u.member = k.member AND u.credit_type = k.credit_type
           LEFT JOIN (SELECT account_id, member, credit_type, SUM(-amount) AS total FROM entries
                      WHERE member IS NOT NULL GROUP BY account_id, member, credit_type) e
             ON e.account_id = k.account_id AND e.member = k.member AND e.credit_type = k.credit_type
           WHERE COALESCE(e.total, 0) <> COALESCE(u.used, 0)""",
    ),
    _Check(
        Code.MEMBER_CHANGE_LATE,
        """SELECT a.tenant, a.external_id, 'change ' || c.mv, 'told to the gate within a minute',
                  'waiting for ' || (:now_ms - c.created_at_ms) / 1000 || ' s'
           FROM member_changes c JOIN accounts a ON a.id = c.account_id WHERE c.created_at_ms < :now_ms - :late_ms""",
    ),
    _Check(
        Code.OUTBOX_LATE,
        """SELECT a.tenant, a.external_id, 'credit ' || o.sv, 'brought within a minute',
                  'waiting for ' || (:now_ms - o.created_at_ms) / 1000 || ' s'
           FROM outbox o JOIN accounts a ON a.id = o.account_id WHERE o.created_at_ms < :now_ms - :late_ms""",
    ),
    _Check(
        Code.ORDER_LATE,
        """SELECT a.tenant, a.external_id, 'order ' || c.id || ': ' || c.kind || ' of ' || c.credit_type,
                  'carried out within a minute', 'open for ' || (:now_ms - c.created_at_ms) / 1000 || ' s'
           FROM commands c JOIN accounts a ON a.id = c.account_id
           WHERE c.state = 'open' AND c.created_at_ms < :now_ms - :late_ms""",
    ),
    _Check(
        Code.SUSPENSE,
        """SELECT a.tenant, a.external_id, 'entry ' || e.id || ' of ' || e.credit_type || ': ' || e.key,
                  'cleared by a grant with the key suspense-' || e.id, e.amount
           FROM entries e JOIN accounts a ON a.id = e.account_id
           WHERE e.kind = 'suspense' AND NOT EXISTS (
             SELECT 1 FROM entries c WHERE c.tenant = e.tenant AND c.key = 'manual:suspense-' || e.id)""",
    ),
)


def read_ledger(connection: Connection, *, now_ms: int) -> list[Finding]:
    """All that disagrees inside the ledger, up to a thousand of each code. Run it in a snapshot."""
    values: dict[str, Any] = {"now_ms": now_ms, "late_ms": LATE_MS, "most": _LIMIT}
    found: list[Finding] = []
    for check in _CHECKS:
        statement = f"{_WITH} SELECT * FROM ({check.statement}) AS disagreements LIMIT :most"  # noqa: S608
        used = {name: value for name, value in values.items() if f":{name}" in statement}
        for tenant, account, subject, expected, actual in connection.execute(text(statement), used):
            found.append(
                Finding(
                    code=check.code,
                    tenant=tenant,
                    account=account,
                    subject=str(subject),
                    expected=str(expected),
                    found=str(actual),
                )
            )
    return found


def counts(connection: Connection) -> tuple[int, int]:
    """How many entries and accounts there are."""
    row = connection.execute(text("SELECT (SELECT COUNT(*) FROM entries), (SELECT COUNT(*) FROM accounts)")).one()
    return int(row[0]), int(row[1])
