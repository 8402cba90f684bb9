"""The text front-end: cleaning (normalisation, phonemes), encoding to token ids, and decoding.

    text = TextProcessor.from_config(config.data)
    ids = text.encode(text.clean(["How are you?"])[0])

A symbol that the table lacks is never dropped silently: `encode` raises, for the preparation of data; `encode_lenient`
substitutes and lists it, for synthesis. Only cleaners in `DROPPING` drop such symbols.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from config import DataConfig
from text.cleaners import DROPPING, PHONEMIZING, get_cleaner
from text.normalisation.unicode import script_name, unreadable_letters
from text.symbols import PUBLISHED, SymbolTable
from text.words import is_said

if TYPE_CHECKING:
    import numpy as np

RARE = 20  # a symbol that training sees fewer times keeps an embedding that is nearly random
ENOUGH = 10_000  # symbols of a corpus, about 200 sentences: in a smaller one most symbols are rare

# Unknown punctuation -> the most similar symbols, best first.
NEAR_MARKS = {
    "–": "—-,", "‒": "—-,", "―": "—-,", "—": "-,", "-": "—", "‐": "-", "‑": "-", "…": ".", "‘": "'’", "’": "'",
    "‚": "',", "‛": "'", "`": "'", "´": "'", "'": "’", "“": '"«', "”": '"»', "„": '“"', "‟": '“"', '"': "“", "«": '“"',
    "»": '”"', "‹": "«“'", "›": "»”'", "。": ".", "、": ",", "،": ",", "؛": ";", "؟": "?", "।": ".", "·": ".", "(": ",",
    ")": ",", "[": ",", "]": ",", "{": ",", "}": ",", "/": ",", "|": ",", ";": ",", ":": ",", "!": ".", "?": ".",
}


class UnknownSymbolError(ValueError):
    """A text has symbols that the table lacks."""

    def __init__(self, text: str, positions: tuple[int, ...], table: str) -> None:
        super().__init__(text, positions, table)  # all arguments, so that it can be pickled
        self.text = text
        self.positions = positions
        self.table = table

    @property
    def symbol(self) -> str:
        """The first unknown symbol."""
        return self.text[self.position]

    @property
    def position(self) -> int:
        """Its index in the text."""
        return self.positions[0]

    def __str__(self) -> str:
        places: dict[str, list[str]] = {}
        for position in self.positions:
            places.setdefault(self.text[position], []).append(str(position))
        found = ", ".join(f"{symbol!r} (U+{ord(symbol):04X}) at {' '.join(at)}" for symbol, at in places.items())
        return (f"{self.text!r} has symbols that the table {self.table!r} lacks: {found}; change the text, choose "
                "data.text_cleaners that write it otherwise, or name a table with them in data.symbols "
                "(a file of one symbol a line)")


class Encoded(NamedTuple):
    """Ids of a text, its unknown symbols (with repetitions), and the origin of each id."""

    ids: list[int]
    unknown: list[str]
    places: list[int]  # index in the cleaned text of the symbol of each id; -1 for a blank, the begin and the end


class EncodedTexts(NamedTuple):
    """Concatenated ids of many texts, without blanks, begin and end, and the errors of faulty texts."""

    ids: np.ndarray  # of the smallest sufficient integer type; 0 for unknown symbols
    lengths: np.ndarray  # [N] int64, symbols of each text
    faults: list[tuple[int, ValueError]]  # (index of the text, the error that `encode` raises)


@dataclass(frozen=True)
class TextProcessor:
    """Cleaners, language and symbols of a model; shared by preparation, training and synthesis."""

    cleaners: tuple[str, ...]
    language: str  # espeak-ng's name
    symbols: SymbolTable
    add_blank: bool  # id 0 before, between and after the symbols
    begin_end: tuple[str, str] | None = None  # symbols before and after all these
    rare: frozenset[str] = frozenset()  # symbols that training hardly saw

    def __post_init__(self) -> None:
        for name in self.cleaners:
            get_cleaner(name)
        for symbol in self.begin_end or ():
            if symbol not in self.symbols.ids:
                raise ValueError(f"data.begin_end has {symbol!r}, which the table {self.symbols.name!r} lacks; name "
                                 "two of its symbols, or a table that has them in data.symbols")

    @classmethod
    def from_config(cls, data: DataConfig) -> TextProcessor:
        """The processor of a configuration; raises ValueError for an unknown cleaner or a bad table."""
        return cls(tuple(data.text_cleaners), data.language, SymbolTable.load(data.symbols), data.add_blank,
                   data.begin_end, frozenset(data.rare_symbols))

    def clean(self, lines: list[str]) -> list[str]:
        """Written lines -> as many lines of symbols, through all cleaners in order. Give many lines at once."""
        if unread := self.unreadable("".join(lines)):
            warnings.warn(f"letters that espeak-ng's language {self.language!r} has no rules for: {unread}; it says "
                          "their names, or nothing; write them in a script of the language", stacklevel=2)
        for name in self.cleaners:
            lines = get_cleaner(name)(lines, self.language)
        if DROPPING.isdisjoint(self.cleaners):
            return lines
        lost = sorted({symbol for symbol in set("".join(lines)) if is_said(symbol) and symbol not in self.symbols.ids})
        if lost:
            shown = " ".join(lost[:20])
            warnings.warn(f"letters, digits and signs that this voice was not trained on are left out: {shown}; write "
                          "numbers as words, and words in the voice's own letters", stacklevel=2)
        return ["".join(symbol for symbol in line if symbol in self.symbols.ids).strip() for line in lines]

    def joined(self, line: str) -> list[tuple[int, int]]:
        """Start and end of stretches of a written line that the cleaners read as one, such as a date or an amount."""
        from text.normalisation import readings
        from text.normalisation.unicode import composed

        if not any(name.startswith("normalised") for name in self.cleaners) or composed(line, self.language) != line:
            return []
        return [(reading.start, reading.end) for reading in readings(line, self.language)]

    def unreadable(self, text: str) -> str:
        """Letters of scripts that espeak-ng's language cannot read, as messages name them; "" if there are none."""
        if text.isascii() or PHONEMIZING.isdisjoint(self.cleaners):
            return ""
        language = self.language if not self.cleaners[0].startswith("english") else "en-us"
        return ", ".join(f"{letters[:10]} ({script_name(script)})" for script, letters
                         in unreadable_letters(text, language).items())

    def clean_each(self, lines: Sequence[str]) -> tuple[list[str], dict[int, str]]:
        """As `clean`, but lines that fail, such as a number of 5000 digits, do not affect the others.

        Returns:
            The cleaned lines, empty for those that failed, and index -> error of each of them.

        Raises:
            ValueError: all lines fail, because of the cleaners or the language.
        """
        try:
            return self.clean(list(lines)), {}
        except (ValueError, ArithmeticError, RuntimeError) as error:
            self.clean(["a"])
            if len(lines) == 1:
                what = f"{type(error).__name__}: {str(error)[:100]}"
                return [""], {0: f"its text cannot be normalised ({what}); change the text"}
        cleaned, faults = [], {}
        step = min(256, -(-len(lines) // 2))  # halving alone would repeat the good lines too often
        for start in range(0, len(lines), step):
            part, others = self.clean_each(lines[start:start + step])
            cleaned += part
            faults |= {start + place: fault for place, fault in others.items()}
        return cleaned, faults

    def encode(self, cleaned: str) -> list[int]:
        """Ids of a cleaned text.

        Raises:
            UnknownSymbolError: with every symbol that the table lacks.
            ValueError: the text is empty.
        """
        if not cleaned.strip():
            raise ValueError(f"the cleaned text is empty ({cleaned!r}); remove the line, or look at what the cleaners "
                             f"{', '.join(self.cleaners) or '(none)'} make of it")
        ids = self.symbols.ids
        unknown = tuple(position for position, symbol in enumerate(cleaned) if symbol not in ids)
        if unknown:
            raise UnknownSymbolError(cleaned, unknown, self.symbols.name)
        return self.add_special_ids([ids[symbol] for symbol in cleaned])

    def rare_in(self, ids: Iterable[int]) -> list[str]:
        """Symbols of encoded text that training hardly saw, in order of their first occurrence."""
        if not self.rare:
            return []
        return [symbol for symbol in dict.fromkeys(self.symbols.symbols[each] for each in ids) if symbol in self.rare]

    def hardly_seen(self, counts: Sequence[int]) -> tuple[str, ...]:
        """Symbols that a corpus has fewer than RARE times, or never, by the counts of the table's rows."""
        special = {" ", *(self.begin_end or ()), *("" if self.symbols.pad.isalpha() else self.symbols.pad)}
        seen = {symbol: counts[row] for symbol, row in self.symbols.ids.items()}
        return tuple(symbol for symbol, count in seen.items() if count < RARE and symbol not in special)

    def encode_all(self, cleaned: Sequence[str]) -> EncodedTexts:
        """Ids of many cleaned texts, ten times faster than `encode`; errors are returned, not raised."""
        import numpy as np  # here, for a quick start of commands that only clean texts

        codes = np.frombuffer("".join(cleaned).encode("utf-32-le", "surrogatepass"), dtype="<u4")
        ids = self.symbols.ids_by_code.take(codes, mode="clip")  # the last row is for all codes beyond the table
        lengths = np.fromiter(map(len, cleaned), dtype=np.int64, count=len(cleaned))
        unknown = np.flatnonzero(ids < 0)
        faulty = set(np.searchsorted(np.cumsum(lengths), unknown, side="right").tolist())
        if not all(map(str.strip, cleaned)):
            faulty.update(place for place, text in enumerate(cleaned) if not text.strip())
        ids[unknown] = 0
        faults = []
        for place in sorted(faulty):
            try:
                self.encode(cleaned[place])
            except ValueError as error:
                faults.append((place, error))
        return EncodedTexts(ids.astype(self.symbols.dtype), lengths, faults)

    def encode_lenient(self, cleaned: str) -> Encoded:
        """Ids of any text; symbols that the table lacks are replaced by similar ones, and listed.

        The ids are empty if no symbol but spaces is left.
        """
        table = self.symbols.ids
        ids, unknown, places = [], [], []
        for place, symbol in enumerate(cleaned):
            known = symbol
            if symbol not in table:
                unknown.append(symbol)
                known = _substitute(symbol, self.symbols)
            ids.extend(table[each] for each in known)
            places.extend(place for _ in known)
        if not "".join(self.symbols.symbols[each] for each in ids).strip():
            return Encoded([], unknown, [])
        spread, following = self.add_special_ids(ids), iter(places)
        return Encoded(spread, unknown, [next(following) if own else -1 for own in self.are_symbols(spread)])

    def decode(self, ids: Iterable[int]) -> str:
        """The cleaned text of ids, without blanks, begin, end and padding.

        Blanks are found by their position, because row 0 of some tables is also a letter (MMS). There, padding looks
        like that letter, so remove it before.
        """
        ids = [int(symbol_id) for symbol_id in ids]
        wrong = next((place for place, symbol_id in enumerate(ids) if not 0 <= symbol_id < len(self.symbols)), None)
        if wrong is not None:
            raise ValueError(f"id {ids[wrong]} at {wrong} is not in the table {self.symbols.name!r} of "
                             f"{len(self.symbols)} rows; the ids belong to another table")
        if self.begin_end is not None:
            ids = self._between_begin_and_end(ids)
        if self.add_blank:
            wrong = next((place for place in range(0, len(ids), 2) if ids[place] != 0), None)
            if wrong is not None:
                raise ValueError(f"id {ids[wrong]} at {wrong} should be a blank (0); these ids were made without "
                                 "data.add_blank")
            ids = ids[1::2]
        text = "".join(self.symbols.symbols[symbol_id] for symbol_id in ids)
        return text if self.symbols.pad.isalpha() else text.rstrip(self.symbols.pad)

    def add_special_ids(self, ids: Sequence[int]) -> list[int]:
        """Add blanks, begin and end to symbols' ids, as far as the model has them."""
        spread = intersperse(ids, 0) if self.add_blank else list(ids)
        if self.begin_end is None:
            return spread
        begin, end = (self.symbols.ids[symbol] for symbol in self.begin_end)
        return [begin, *spread, end]

    def are_symbols(self, ids: Sequence[int]) -> list[bool]:
        """For each id of `add_special_ids`, whether it is a symbol of the text: no blank, begin or end."""
        offset = 0 if self.begin_end is None else 1
        is_blank = [self.add_blank and (place - offset) % 2 == 0 and each == 0 for place, each in enumerate(ids)]
        around = set() if self.begin_end is None else {0, len(ids) - 1}
        return [place not in around and not blank for place, blank in enumerate(is_blank)]

    def _between_begin_and_end(self, ids: list[int]) -> list[int]:
        """The ids between the begin and the last end, without padding."""
        begin, end = (self.symbols.ids[symbol] for symbol in self.begin_end)
        last = max((place for place, symbol_id in enumerate(ids) if symbol_id == end), default=0)
        if not ids or ids[0] != begin or last == 0:
            raise ValueError(f"ids of this voice begin with {begin} ({self.begin_end[0]!r}) and end with {end} "
                             f"({self.begin_end[1]!r}); found {ids[:4]} ...; these were made without data.begin_end")
        return ids[1:last]


def rare_symbols(counts: Mapping[str, int]) -> str:
    """Symbols that a corpus has, but too seldom for a voice to learn them, with their counts; "" if there are none."""
    rare = sorted((count, symbol) for symbol, count in counts.items() if 0 < count < RARE and not symbol.isspace())
    return ", ".join(f"{symbol!r} {count}" for count, symbol in rare)


def intersperse(ids: Sequence[int], blank: int) -> list[int]:
    """Insert `blank` before, between and after n ids: 2n + 1 ids."""
    spread = [blank] * (2 * len(ids) + 1)
    spread[1::2] = ids
    return spread


def text_to_sequence(text: str, cleaner_names: Sequence[str]) -> list[int]:
    """As published: ids of a written text by the published table, without blanks."""
    processor = _published(tuple(cleaner_names))
    return processor.encode(processor.clean([text])[0])


def cleaned_text_to_sequence(cleaned_text: str) -> list[int]:
    """As published: ids of a cleaned text by the published table, without blanks."""
    return _published(()).encode(cleaned_text)


def sequence_to_text(ids: Iterable[int]) -> str:
    """As published: the cleaned text of ids by the published table, without blanks."""
    return _published(()).decode(ids)


@lru_cache(maxsize=8)
def _published(cleaners: tuple[str, ...]) -> TextProcessor:
    return TextProcessor(cleaners, "en-us", SymbolTable.load(PUBLISHED), add_blank=False)


def _substitute(symbol: str, table: SymbolTable) -> str:
    """The symbols most similar to an unknown one; else a space, or nothing for accents and joiners."""
    base = unicodedata.normalize("NFKD", symbol)
    forms = (base, symbol.casefold(), base.casefold(), symbol.upper(), base.upper(), *NEAR_MARKS.get(symbol, ""))
    for form in forms:
        kept = "".join(character for character in form if not unicodedata.combining(character)
                       or character in table.ids)
        if kept.strip() and all(character in table.ids for character in kept):
            return kept
    joins = unicodedata.category(symbol) in ("Mn", "Mc", "Me", "Cf")  # a space would split a word
    return " " if " " in table.ids and not joins else ""
