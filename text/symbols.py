"""Symbol tables: the symbols of a model and their ids.

A table is a UTF-8 file of one symbol in each line, whose number (from 0) is the id. Built-in tables are in `tables/`:
`published` (VITS 2021: IPA, letters and punctuation), `ipa` (the same rows, then phonemes of espeak-ng's other
languages: nasals, tones, affricates) and `characters` (letters and punctuation).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

TABLES_DIR = Path(__file__).parent / "tables"
PUBLISHED = "published"
LARGEST_TABLE = 2**20  # bytes of a file
SHOWN = 10  # faults of a table, and characters of a symbol, in a message


@dataclass(frozen=True)
class SymbolTable:
    """The symbols of a model in the order of their ids; row 0 is the pad, which also serves as the blank."""

    name: str  # a built-in table's name, a file's path, or another origin of the symbols
    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        _refuse(self.name, _row_faults(self.symbols) + _duplicate_faults(self.symbols))

    @classmethod
    def load(cls, spec: str | tuple[str, ...]) -> SymbolTable:
        """Load a table.

        Args:
            spec: a built-in table's name, the path of a file of one symbol a line, or the symbols themselves.

        Raises:
            ValueError: an unknown table, or faulty lines.
        """
        if not isinstance(spec, str):
            return cls("data.symbols", tuple(spec))
        if spec in builtin_tables():
            return cls(spec, _read_rows(TABLES_DIR / f"{spec}.txt"))
        if Path(spec).is_file():
            rows = _read_rows(Path(spec))
            _refuse(spec, _row_faults(rows, quotes=False) + _duplicate_faults(rows, quotes=False))
            return cls(spec, rows)
        known = builtin_tables()
        match = difflib.get_close_matches(spec, known, n=1, cutoff=0.5)
        hint = f"; did you mean {match[0]!r}?" if match else ""
        raise ValueError(f"symbols {spec!r} is neither a file nor a known table ({', '.join(known)}){hint}")

    def __len__(self) -> int:
        """Number of rows, the size of the embedding; a symbol in two rows counts twice."""
        return len(self.symbols)

    @property
    def pad(self) -> str:
        """The symbol of id 0."""
        return self.symbols[0]

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Symbol -> id. Of a symbol on two rows (the published apostrophe, 174 and 176) the later row counts."""
        return MappingProxyType({symbol: row for row, symbol in enumerate(self.symbols)})

    @property
    def dtype(self) -> np.dtype:
        """The smallest integer type for all ids."""
        import numpy as np

        return np.min_scalar_type(len(self) - 1)

    @cached_property
    def ids_by_code(self) -> np.ndarray:
        """Id of each Unicode code point up to one beyond the table's highest; -1 for unknown ones."""
        import numpy as np

        rows = np.full(max(map(ord, self.symbols)) + 2, -1, dtype=np.int32)
        for symbol, row in self.ids.items():
            rows[ord(symbol)] = row
        return rows

    def __getstate__(self) -> dict:
        """The state without cached values, which cannot be pickled."""
        return {"name": self.name, "symbols": self.symbols}


def builtin_tables() -> tuple[str, ...]:
    """Names of the built-in tables."""
    return tuple(sorted(path.stem for path in TABLES_DIR.glob("*.txt")))


def check_inside(spec: str | tuple[str, ...], source: str | Path) -> None:
    """Check that a voice of others contains its symbols, so that no file of this machine is read for them.

    Raises:
        ValueError: `spec` is neither the symbols nor the name of a built-in table.
    """
    if isinstance(spec, str) and spec not in builtin_tables():
        raise ValueError(f"{source}: data.symbols is {spec!r}; a voice has its symbols in its configuration, or names "
                         f"a table of this project ({', '.join(builtin_tables())}). No file is read for it: give one "
                         "yourself by --set data.symbols=FILE")


def __getattr__(name: str) -> list[str]:
    """`symbols`, the published list, for code that was written for the 2021 module; read when it is asked for."""
    if name == "symbols":
        return list(SymbolTable.load(PUBLISHED).symbols)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _read_rows(path: Path) -> tuple[str, ...]:
    """Lines of a table without line feeds; other Unicode line breaks and spaces may be symbols."""
    if path.stat().st_size > LARGEST_TABLE:
        raise ValueError(f"symbol table {path}: expected one symbol a line, found {path.stat().st_size} bytes")
    try:
        rows = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"symbol table {path}: it is not UTF-8 text; expected one symbol a line") from None
    return tuple(rows[:-1] if rows[-1] == "" else rows)


def _refuse(name: str, faults: list[str]) -> None:
    """Raise ValueError with the first of a table's faults, if there are any."""
    if faults:
        more = [f"and {len(faults) - SHOWN} more"] * (len(faults) > SHOWN)
        raise ValueError("\n".join(f"symbol table {name}: {fault}" for fault in [*faults[:SHOWN], *more]))


def _row_faults(symbols: tuple[str, ...], quotes: bool = True) -> list[str]:
    """Faults of rows without exactly one symbol; rows of a file, which may be any file, are not quoted."""
    if not symbols:
        return ["it is empty; it needs at least a pad in its first row"]
    faults = []
    for line, symbol in enumerate(symbols, start=1):
        if symbol == "":
            faults.append(f"line {line} is empty; each line holds one symbol (a space there may have been trimmed by "
                          "an editor: put it back)")
        elif len(symbol) > 1:
            codepoints = " ".join(f"U+{ord(character):04X}" for character in symbol[:SHOWN])
            found = f"is {symbol[:SHOWN]!r} ({codepoints}), {len(symbol)}" if quotes else f"has {len(symbol)}"
            faults.append(f"line {line} {found} characters; text is encoded one character at a time, so give each a "
                          "line of its own")
    return faults


def _duplicate_faults(symbols: tuple[str, ...], quotes: bool = True) -> list[str]:
    """Faults of repeated symbols, except those of the published table and its extensions."""
    published = _read_rows(TABLES_DIR / f"{PUBLISHED}.txt") if "'" in symbols[174:175] else ()
    settled = len(published) if symbols[:len(published)] == published else 0
    first_lines: dict[str, int] = {}
    faults = []
    for line, symbol in enumerate(symbols, start=1):
        if symbol in first_lines and line > settled:
            what = f"{symbol[:SHOWN]!r} of line" if quotes else "line"
            faults.append(f"line {line} repeats {what} {first_lines[symbol]}; remove one of them")
        first_lines.setdefault(symbol, line)
    return faults
