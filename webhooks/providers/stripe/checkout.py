"""Single purchases: checkout sessions, and the top-ups for which we charge a saved card ourselves."""

from collections.abc import Callable
from enum import StrEnum

from credits.checkout.marks import KIND, TOPUP
from credits.errors import MalformedPayloadError
from credits.facts import CustomerLinked, Fact, NothingToDo, Payer, PurchasePaid, PurchasePending, PurchaseVoided
from credits.inbox.provider import Payload
from credits.units import Money
from webhooks.fields import Node
from webhooks.metadata import read_metadata
from webhooks.providers.stripe.shapes import created_ms, event_object, known_as, reference


class _Mode(StrEnum):
    """What a session is for. A mode that is none of these sells nothing we know."""

    PAYMENT = "payment"
    SUBSCRIPTION = "subscription"
    SETUP = "setup"
    UNKNOWN = "unknown"


def session_completed(payload: Payload) -> tuple[Fact, ...]:
    """The payer went through the checkout. A delayed payment method has not paid yet."""

    def purchase(session: Node) -> Fact:
        # Sessions had no payment_status before 2020; without delayed methods a complete session was a paid one.
        status = session.text("payment_status") or "paid"
        if status == "paid":
            return _purchase(payload, session, paid=_money(session, "amount_total"))
        if status == "no_payment_required":
            return _purchase(payload, session, paid=_nothing(session))
        return PurchasePending(
            key=_key(session), reason=f"the session's payment_status is {status}", quote_id=_quote_id(session)
        )

    return _by_mode(payload, purchase, subscription=_customer_linked)


def session_paid_late(payload: Payload) -> tuple[Fact, ...]:
    """A delayed payment arrived. The event's type says so, whatever the session in it says."""

    def purchase(session: Node) -> Fact:
        return _purchase(payload, session, paid=_money(session, "amount_total"))

    return _by_mode(payload, purchase, subscription=_customer_linked)


def session_failed(payload: Payload) -> tuple[Fact, ...]:
    """A delayed payment failed for good."""
    return _by_mode(payload, lambda session: _voided(session, "the delayed payment failed"), subscription=_not_begun)


def session_expired(payload: Payload) -> tuple[Fact, ...]:
    """Nobody went through the checkout in time."""
    return _by_mode(payload, _expired, subscription=_not_begun)


def payment_intent_succeeded(payload: Payload) -> tuple[Fact, ...]:
    """Our own top-up was charged. Payments of sessions and invoices come as events of those, and count there."""
    intent = event_object(payload)
    metadata = intent.child("metadata")
    invoice_id = reference(intent, "invoice")
    if metadata.values.get(KIND) != TOPUP or invoice_id is not None:
        return (NothingToDo(reason=f"not a payment of ours by itself ({KIND} is not {TOPUP}, or it pays an invoice)"),)
    ours = read_metadata(metadata.values)
    fact = PurchasePaid(
        key=f"stripe:pi:{intent.required_text('id')}",
        payer=Payer(account=ours.account, customer_id=reference(intent, "customer")),
        credit_type=ours.credit_type,
        amount=ours.amount,
        quote_id=ours.quote_id,
        asked=_money(intent, "amount"),
        paid=_money(intent, "amount_received") or _money(intent, "amount"),
        also_known_as=_charge_of(intent),
        occurred_at_ms=created_ms(payload),
    )
    return (fact,)


def _by_mode(
    payload: Payload, purchase: Callable[[Node], Fact], *, subscription: Callable[[Node], Fact]
) -> tuple[Fact, ...]:
    session = event_object(payload)
    match _mode_of(session):
        case _Mode.PAYMENT:
            return (purchase(session),)
        case _Mode.SUBSCRIPTION:
            return (subscription(session),)
        case _Mode.SETUP:
            return (NothingToDo(reason="a session that only saves a payment method"),)
        case _Mode.UNKNOWN:
            return (NothingToDo(reason=f"a session of mode {session.text('mode')} sells nothing we know"),)


def _mode_of(session: Node) -> _Mode:
    """The session's mode; for those of 2019, which had none, what the session points at tells."""
    mode = session.text("mode")
    if mode is not None:
        return _Mode(mode) if mode in set(_Mode) else _Mode.UNKNOWN
    if session.has("subscription"):
        return _Mode.SUBSCRIPTION
    if session.has("setup_intent") and not session.has("payment_intent"):
        return _Mode.SETUP
    return _Mode.PAYMENT


def _purchase(payload: Payload, session: Node, *, paid: Money | None) -> PurchasePaid:
    ours = read_metadata(session.values.get("metadata"))
    return PurchasePaid(
        key=_key(session),
        payer=_payer(session, ours.account),
        credit_type=ours.credit_type,
        amount=ours.amount,
        quote_id=ours.quote_id,
        asked=_asked(session),
        paid=paid,
        also_known_as=known_as(("pi", reference(session, "payment_intent")), ("in", reference(session, "invoice"))),
        occurred_at_ms=created_ms(payload),
    )


def _voided(session: Node, reason: str) -> PurchaseVoided:
    return PurchaseVoided(key=_key(session), reason=reason, quote_id=_quote_id(session))


def _expired(session: Node) -> PurchaseVoided:
    return PurchaseVoided(
        key=_key(session), reason="the checkout session expired", quote_id=_quote_id(session), is_expired=True
    )


def _quote_id(session: Node) -> str | None:
    return read_metadata(session.values.get("metadata")).quote_id


def _customer_linked(session: Node) -> Fact:
    """A subscription began. Its invoices grant; the session only tells whose customer it is."""
    ours = read_metadata(session.values.get("metadata"))
    payer = _payer(session, ours.account)
    if payer.customer_id is None and payer.subscription_id is None:
        raise MalformedPayloadError(f"{session.path}.customer is missing; a subscription's session must name it")
    return CustomerLinked(payer=payer, quote_id=ours.quote_id, key=_key(session) if ours.quote_id else "")


def _not_begun(session: Node) -> Fact:
    if _quote_id(session) is None:
        return NothingToDo(reason="a subscription that never began")
    return _expired(session)


def _key(session: Node) -> str:
    return f"stripe:cs:{session.required_text('id')}"


def _payer(session: Node, account: str | None) -> Payer:
    return Payer(
        account=account,
        client_reference=session.text("client_reference_id"),
        customer_id=reference(session, "customer"),
        subscription_id=reference(session, "subscription"),
    )


def _asked(session: Node) -> Money | None:
    """The price in the currency we set it in: until basil, a session shown in the payer's currency keeps ours apart."""
    converted = session.child("currency_conversion")
    currency = converted.text("source_currency")
    if currency is not None and converted.has("amount_subtotal"):
        return converted.money("amount_subtotal", currency)
    return _money(session, "amount_subtotal") or _money(session, "amount_total")


def _money(node: Node, name: str) -> Money | None:
    return node.money(name, node.required_text("currency")) if node.has(name) else None


def _nothing(session: Node) -> Money | None:
    currency = session.text("currency")
    return None if currency is None else Money(amount_minor=0, currency=currency.upper())


def _charge_of(intent: Node) -> tuple[str, ...]:
    """The charge that paid. Until 2022-08-01 the intent listed its charges, the latest first."""
    listed = intent.child("charges").children("data")
    return known_as(("ch", reference(intent, "latest_charge") or (listed[0].text("id") if listed else None)))
