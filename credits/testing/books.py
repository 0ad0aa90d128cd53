"""The assertion that no test about credits should be without."""

from credits.ops.lifecycle.sandbox import Sandbox


def assert_books_balance(sandbox: Sandbox) -> None:
    """
    Let the workers finish, then audit everything: ledger against itself, gate against itself and the ledger.

    Raises AssertionError that lists each disagreement, with what was expected and what was found.
    """
    sandbox.work()
    report = sandbox.audit()
    if not report.is_gate_read:
        raise AssertionError("the sandbox's Redis did not answer: the gate could not be audited")
    told = [
        f"{one.code.value} at {one.account}, {one.subject}: expected {one.expected}, found {one.found}"
        for one in report.findings
    ]
    if told:
        raise AssertionError("the books do not balance:\n" + "\n".join(told))
