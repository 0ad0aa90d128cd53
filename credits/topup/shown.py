"""Automatic top-ups as JSON, in the one shape that every face shows."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import RowMapping

from credits.clock import iso
from credits.topup.model import AttemptState, Decision, Reason, Situation
from credits.topup.service import shown

SENTENCES: Final = {
    Reason.SHORTAGE: "fewer credits than the threshold are available: the card is charged",
    Reason.ENOUGH: "enough credits are available",
    Reason.IN_FLIGHT: "a charge is in flight; no other one begins before its credits are there or it has failed",
    Reason.JUST_TOPPED_UP: "a top-up has just been granted; the next one waits some minutes",
    Reason.BACK_OFF: "the card was declined for now; it is tried again later, after ever longer pauses",
    Reason.MONTHLY_CAP: "one more top-up would pass the cap of this month",
    Reason.OFF: "automatic top-up is off",
    Reason.ACCOUNT_BLOCKED: "the account is blocked after a clawback",
    Reason.REFUNDED: "a payment was refunded or disputed; somebody has to say that charging may go on",
    Reason.CARD_DECLINED: "the card was declined for good, or there is none; it is charged again when it is replaced",
    Reason.AUTHENTICATION_NEEDED: "the bank wants to see its customer, who can pay by the link",
    Reason.DECLINED_TOO_OFTEN: "the card was declined too often in a row",
    Reason.CAP_TOO_SMALL: "one top-up costs more than the cap of a month",
    Reason.NOT_FOR_SALE: "the amount is not for sale",
}


def topup_json(
    row: RowMapping, situation: Situation, decision: Decision, attempts: Sequence[RowMapping]
) -> dict[str, Any]:
    """A policy, what would be decided now, what the last sweep decided, and the last attempts."""
    word, reason, until_ms = shown(decision)
    last = row["reason"]
    return {
        "account": row["account"],
        "credit_type": row["credit_type"],
        "is_on": bool(row["is_on"]),
        "provider": row["provider"],
        "threshold": row["threshold"],
        "amount": row["amount"],
        "target": row["target"],
        "monthly_cap_minor": row["cap_minor"],
        "currency": row["currency"],
        "customer_id": row["customer_id"],
        "payment_method": row["payment_method"],
        "available": situation.available,
        "spent_this_month_minor": situation.spent_minor,
        "decision": word,
        "reason": reason.value,
        "sentence": SENTENCES[reason],
        "until": iso(until_ms),
        "last_decision": None
        if last is None
        else {
            "decision": row["decision"],
            "reason": last,
            "sentence": SENTENCES[Reason(last)],
            "detail": row["detail"] or None,
            "since": iso(row["decided_at_ms"]),
            "until": iso(row["until_ms"]),
        },
        "finish_url": next(iter(_links(attempts)), None),
        "attempts": [_attempt_json(one) for one in attempts],
    }


def _links(attempts: Sequence[RowMapping]) -> list[str]:
    """The link of the newest attempt, if its payer still has to finish it."""
    return [one["finish_url"] for one in attempts[:1] if one["state"] == AttemptState.HANDED_OFF and one["finish_url"]]


def _attempt_json(row: RowMapping) -> dict[str, Any]:
    return {
        "charge_id": row["charge_id"],
        "state": row["state"],
        "amount": row["amount"],
        "cost_minor": row["cost_minor"],
        "currency": row["currency"],
        "kind": row["kind"],
        "reason": row["reason"] or None,
        "payment": row["payment_id"],
        "purchase_id": row["finish_purchase_id"] or row["quote_id"],
        "begun_at": iso(row["begun_at_ms"]),
        "ended_at": iso(row["ended_at_ms"]),
    }
