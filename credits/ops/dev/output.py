"""What the terminal shows: each line with the name of the service it came from."""

import sys
from collections.abc import Mapping
from typing import Final, TextIO

_COLOURS: Final = ("36", "33", "32", "35", "34", "31")
_LONGEST_LINE: Final = 64 * 1024


class Terminal:
    """Prints lines of several services to `stream`. Once nobody reads any more, `is_gone` and it prints nothing."""

    def __init__(self, names: tuple[str, ...], environ: Mapping[str, str], stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._width = max(len(name) for name in names)
        is_coloured = stream.isatty() and not environ.get("NO_COLOR")
        self._colours = {name: _COLOURS[i % len(_COLOURS)] if is_coloured else "" for i, name in enumerate(names)}
        self.is_gone = False

    def show(self, name: str, line: str) -> None:
        """One line of the service `name`."""
        label = f"{name:<{self._width}} |"
        colour = self._colours[name]
        self.write(f"\x1b[{colour}m{label}\x1b[0m {line}\n" if colour else f"{label} {line}\n")

    def write(self, text: str) -> None:
        """Text as it is."""
        if self.is_gone:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # The terminal was closed, or the reader of a pipe went away.
            self.is_gone = True


class Lines:
    """Cuts a stream of bytes into lines of text."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes. A line beyond all measure is cut where it stands."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            whole, self._rest = [*whole, self._rest], b""
        return [line.decode("utf-8", "replace").rstrip("\r") for line in whole]
