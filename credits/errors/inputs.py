"""Input that can never be right: values, names, the configuration."""

from collections.abc import Mapping

from credits.errors.tree import CreditsError, shown


class InvalidInputError(CreditsError):
    """Something a caller sent is outside its bounds. The message names the field, the bound and the value."""

    code = "invalid_input"
    fix = "Send a value inside the bound that the message names."

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class InvalidAmountError(InvalidInputError):
    code = "invalid_amount"

    def __init__(self, field: str, value: object, maximum: int, minimum: int = 1) -> None:
        super().__init__(field, f"must be a whole number from {minimum} to {maximum}, got {shown(value)}")
        self.maximum = maximum


class InvalidSumError(InvalidInputError):
    """A sum of money as people type it cannot be read."""

    code = "invalid_sum"
    fix = "Write a sum such as 20 or 20.50."

    def __init__(self, field: str, value: str, currency: str) -> None:
        super().__init__(field, f"must be a sum in {currency}, such as 20 or 20.50; got {shown(value)}")
        self.currency = currency


class InvalidCurrencyError(InvalidInputError):
    code = "invalid_currency"

    def __init__(self, value: object) -> None:
        super().__init__("currency", f"must be a three-letter ISO 4217 code in capitals, got {shown(value)}")


class InvalidIdError(InvalidInputError):
    code = "invalid_id"


class UnknownCreditTypeError(InvalidInputError):
    code = "unknown_credit_type"
    fix = "Declare the credit type in credits.toml, or use one that is declared there."

    def __init__(self, credit_type: str, known: object, field: str = "credit_type") -> None:
        super().__init__(field, f"{shown(credit_type)} is not declared; declared are: {known}")
        self.credit_type = credit_type


class UnknownPlanError(InvalidInputError):
    code = "unknown_plan"
    fix = "Declare the plan in credits.toml, or use one that is declared there."

    def __init__(self, plan: str, known: object) -> None:
        super().__init__("plan", f"{shown(plan)} is not declared; declared are: {known}")
        self.plan = plan


class ConfigError(CreditsError):
    """The configuration or the environment is wrong; `problems` lists every finding by key."""

    code = "config_invalid"
    fix = "Run `credits config check`: it lists every problem by key and reason."

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{key}: {reason}" for key, reason in problems.items()))
        self.problems = dict(problems)
