"""Routes that put credits in and take them out by hand, with reason and key."""

from credits.api.endpoint import Answer, Area, Call
from credits.api.keys import Scope
from credits.api.models import DeductBody, GrantBody, Posting
from credits.errors import (
    BalanceLimitError,
    IdempotencyConflictError,
    InsufficientCreditsError,
    LedgerPendingError,
    UnknownCreditTypeError,
)
from credits.ledger.model import Posted

area = Area("Grants and deductions", "Credits put in and taken out by hand.")

GRANT = (Scope.GRANT,)
POSTED = {201: Posting, 200: Posting}


@area.post(
    "/v1/accounts/{account}/grants",
    scopes=GRANT,
    body=GrantBody,
    answers=POSTED,
    errors=(IdempotencyConflictError, UnknownCreditTypeError, BalanceLimitError),
)
def grant(call: Call, body: GrantBody) -> Answer:
    """
    Put credits in. Once per key, for ever.

    201 the first time, 200 with the first answer after that. They can be spent at once; with Redis away they are
    granted all the same, and can be spent when it is back.
    """
    key = call.needed_name("key", body.key)
    posted = call.credits.add(
        call.account,
        body.credit_type,
        body.amount,
        key=key,
        reason=body.reason,
        actor=call.actor,
        expires_at_ms=body.expires_at,
    )
    return _answer(posted, key)


@area.post(
    "/v1/accounts/{account}/deductions",
    scopes=GRANT,
    body=DeductBody,
    answers=POSTED,
    errors=(IdempotencyConflictError, UnknownCreditTypeError, InsufficientCreditsError, LedgerPendingError),
)
def deduct(call: Call, body: DeductBody) -> Answer:
    """
    Take credits out, in burn order. Once per key, for ever.

    201 the first time, 200 with the first answer after that. A refusal for lack of credits is not remembered: the key
    may be used again.
    """
    key = call.needed_name("key", body.key)
    posted = call.credits.deduct(
        call.account, body.credit_type, body.amount, key=key, reason=body.reason, actor=call.actor
    )
    return _answer(posted, key)


def _answer(posted: Posted, key: str) -> Answer:
    return Answer(
        status=200 if posted.replayed else 201,
        body={
            "account": posted.account,
            "credit_type": posted.credit_type,
            # As the caller sent it; in the ledger it has a prefix.
            "key": key,
            "seq": posted.seq,
            "amount": posted.amount,
            "balance_after": posted.balance_after,
            "replayed": posted.replayed,
        },
    )
