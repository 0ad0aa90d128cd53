"""Errors that only a request over HTTP can meet; leaves of the tree in `credits.errors`."""

from typing import Final

from credits.errors import CreditsError, PermissionDeniedError
from credits.errors.tree import shown

# An id of 200 characters may take 2.4 KB percent-encoded, and a path has three.
MAX_REQUEST_LINE_BYTES: Final = 8_190
MAX_HEADER_BYTES: Final = 8_190
MAX_HEADERS: Final = 100


class BodyTooLargeError(CreditsError):
    code = "body_too_large"
    fix = "Send a smaller body."

    def __init__(self, maximum_bytes: int) -> None:
        super().__init__(f"body: is larger than {maximum_bytes} bytes")
        self.field = "body"
        self.maximum = maximum_bytes


class UnsupportedBodyError(CreditsError):
    code = "unsupported_body"
    fix = "Send the body as it is, with `Content-Type: application/json`."

    def __init__(self, message: str) -> None:
        super().__init__(f"body: {message}")
        self.field = "body"


class MalformedBodyError(CreditsError):
    """The body is no JSON, or JSON that two readers could read differently."""

    code = "malformed_body"
    fix = "Send one JSON object in UTF-8, each name once, numbers as JSON has them."

    def __init__(self, message: str) -> None:
        super().__init__(f"body: {message}")
        self.field = "body"


class MalformedRequestError(CreditsError):
    """It is no request of HTTP, or one that two servers could read differently."""

    code = "malformed_request"
    fix = "Send it with a common HTTP client, and through no proxy that changes it."

    def __init__(self) -> None:
        super().__init__("the request cannot be read as HTTP/1.1")


class UrlTooLongError(CreditsError):
    code = "url_too_long"
    fix = "Shorten the URL; an id has at most 200 characters."

    def __init__(self) -> None:
        super().__init__(f"the first line of the request is longer than {MAX_REQUEST_LINE_BYTES} bytes")


class HeadersTooLargeError(CreditsError):
    code = "headers_too_large"
    fix = "Send fewer and shorter headers; cookies are among them."

    def __init__(self) -> None:
        super().__init__(f"there are more than {MAX_HEADERS} headers, or one is longer than {MAX_HEADER_BYTES} bytes")


class UnknownFieldError(CreditsError):
    """A field that the route does not know: misspelt, or of another version."""

    code = "unknown_field"
    fix = "Leave the field out, or use one of those that the message lists."

    def __init__(self, field: str, known: str) -> None:
        super().__init__(f"{shown(field)}: is not a field of this request; its fields are: {known}")
        self.field = field


class MissingFieldError(CreditsError):
    code = "missing_field"
    fix = "Send the field that the message names."

    def __init__(self, field: str, place: str = "the request") -> None:
        super().__init__(f"{field}: is missing in {place}")
        self.field = field


class RateLimitedError(CreditsError):
    """The key has sent more requests than it may."""

    code = "rate_limited"
    fix = "Wait as long as Retry-After says; the limit is CREDITGATE_RATE_LIMIT."

    def __init__(self, limit: str, retry_after_s: int) -> None:
        super().__init__(f"this key may send {limit}; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class ReservationNotFoundError(CreditsError):
    """There is no such hold of this account, or Redis has forgotten that it ended."""

    code = "reservation_not_found"
    fix = "Check account and id. What a hold that ended long ago has cost is in the account's entries."

    def __init__(self, reservation_id: str) -> None:
        super().__init__(f"there is no reservation {reservation_id!r} of this account")
        self.reservation_id = reservation_id


class AccountDeniedError(PermissionDeniedError):
    """The key is for other accounts. It is said of accounts that do not exist, too, so that it tells nothing."""

    code = "account_denied"
    fix = "Use a key that is not limited to other accounts; `credits keys list` shows the limits."

    def __init__(self) -> None:
        CreditsError.__init__(self, "this key is not for this account")
