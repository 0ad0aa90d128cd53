"""The fake Stripe reads the forms that Stripe's library writes."""

import pytest

from webhooks.fakes.stripe.form import MalformedFormError, nested


def test_a_form_of_stripes_is_read_back_as_it_was() -> None:
    read = nested([("a[0][b]", "1"), ("a[1][b]", "2"), ("c[d][e]", "x"), ("f", "")])

    assert read == {"a": [{"b": "1"}, {"b": "2"}], "c": {"d": {"e": "x"}}, "f": ""}
    for key in ("[a]", "a[b", "a]b["):
        with pytest.raises(MalformedFormError):
            nested([(key, "1")])
