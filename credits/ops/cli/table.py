"""Lay out a listing as lines of text: one row a line, however narrow the terminal, and no blanks at its end."""

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len

_GAP: Final = "  "


def lines_of(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """The head and the rows, aligned: columns of whole numbers to the right, all others to the left."""
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(cell_len(text) for text in column) for column in zip(columns, *texts, strict=True)]
    is_number = [bool(rows) and all(type(row[index]) is int for row in rows) for index in range(len(columns))]
    return [
        _GAP.join(
            _padded(text, width, to_right=right) for text, width, right in zip(line, widths, is_number, strict=True)
        )
        # A terminal would break the blanks at the end of a short row into an empty line.
        .rstrip()
        for line in (columns, *texts)
    ]


def _padded(text: str, width: int, *, to_right: bool) -> str:
    # Cells, not characters: some scripts take two of a terminal's cells for each.
    blanks = " " * (width - cell_len(text))
    return blanks + text if to_right else text + blanks
