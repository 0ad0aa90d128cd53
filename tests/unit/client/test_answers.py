"""The clients' types of purchases, which need no pydantic, are the API's models field by field."""

from typing import Any, get_type_hints

import pytest
from pydantic import BaseModel

from credits.api import selling_models as models
from credits.checkout import answers


@pytest.mark.parametrize(
    ("said", "model"), [(answers.Purchase, models.PurchaseFound), (answers.Checkout, models.CheckoutMade)]
)
def test_a_client_is_told_every_field_that_the_api_answers(said: Any, model: type[BaseModel]) -> None:
    assert get_type_hints(said) == {name: field.annotation for name, field in model.model_fields.items()}
