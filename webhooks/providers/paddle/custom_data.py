"""
Our own words in Paddle's custom data, as far as they can be believed.

A payer can replace a checkout's custom data in the browser (Paddle.js: `customData`). So an account counts only if it
is signed, and what was bought only by the quote that is stored here and compared with what was asked.
"""

from credits.checkout.marks import QUOTE, REFERENCE
from credits.facts import Payer
from webhooks.fields import Node


def payer_of(node: Node, subscription_id: str | None) -> Payer:
    """Whose transaction or subscription it is."""
    return Payer(
        client_reference=_custom_data(node).text(REFERENCE),
        customer_id=node.text("customer_id"),
        subscription_id=subscription_id,
    )


def quote_of(node: Node) -> str | None:
    """The quote that a checkout of ours was made for."""
    return _custom_data(node).text(QUOTE)


def _custom_data(node: Node) -> Node:
    # Others' custom data may be of any kind.
    values = node.values.get("custom_data")
    return Node(values if isinstance(values, dict) else {}, "data.custom_data")
