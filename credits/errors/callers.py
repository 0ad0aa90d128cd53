"""Who calls the API, and what a client of it gets to hear."""

from credits.errors.tree import CreditsError


class AuthenticationError(CreditsError):
    """No key, or none that is valid now. It does not say which, so that nobody can probe for keys."""

    code = "unauthenticated"
    fix = "Send `Authorization: Bearer <key>` with a key that is neither expired nor revoked."


class PassExpiredError(AuthenticationError):
    """A link, session or token of ours whose time is over. Nobody changed it: where it leads back to can be trusted."""

    code = "pass_expired"
    fix = "Ask the app's server for a new one; docs/pages.md says how long each lasts."

    def __init__(self, return_url: str | None) -> None:
        super().__init__("it is over")
        self.return_url = return_url


class PermissionDeniedError(CreditsError):
    """The key is valid, but not for this."""

    code = "permission_denied"
    fix = "Use a key that has the scope named in the message."

    def __init__(self, *scopes: str) -> None:
        super().__init__(f"this needs the scope {' or '.join(repr(scope) for scope in scopes)}")
        self.scopes = scopes


class UnexpectedAnswerError(CreditsError):
    """What answered was no Creditgate, or said something that this version of the client cannot read."""

    code = "unexpected_answer"
    fix = "Check CREDITGATE_URL, and what stands between client and server; then compare the versions of both."

    def __init__(self, http_status: int, message: str) -> None:
        super().__init__(message)
        self.http_status = http_status
