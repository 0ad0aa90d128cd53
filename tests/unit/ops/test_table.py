"""Listings stay one row a line, aligned, in any script and in any terminal."""

from credits.ops.cli.table import lines_of


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    lines = lines_of(("credit type", "balance", "debt"), [("tokens", 2_000_000, 0), ("image_generation", 5, 10)])

    assert lines == [
        "credit type       balance  debt",
        "tokens            2000000     0",
        "image_generation        5    10",
    ]


def test_no_line_ends_in_blanks() -> None:
    lines = lines_of(("id", "reason"), [(1, "a reason that is long"), (2, None), (3, "short")])

    assert lines == ["id  reason", " 1  a reason that is long", " 2", " 3  short"]


def test_wide_scripts_are_aligned_by_the_cells_they_take() -> None:
    lines = lines_of(("account", "type"), [("顧客", "tokens"), ("user", "tokens")])

    assert lines == ["account  type", "顧客     tokens", "user     tokens"]


def test_without_rows_there_is_the_head_alone() -> None:
    assert lines_of(("id", "state"), []) == ["id  state"]
