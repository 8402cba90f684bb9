"""Pronunciation lexicon of the user: words with phonemes or respellings, its file, and its application to text.

    lexicon = Lexicon.load("names.txt")
    segments = lexicon.apply(parse_inline("Nginx runs in New York."))

A file has one entry a line: the word or words, a tab (or two spaces and more), the pronunciation. `#` begins a line of
comment. A pronunciation in [[double brackets]] is the voice's own symbols, one between /slashes/ is IPA, anything else
is a respelling, which is read as any text. A JSON object of the same pairs is accepted too.

    nginx       engine ex
    New York    /nuː ˈjɔːɹk/
    GIF         [[dʒˈɪf]]

An entry in lower case matches in any case; one with a capital only as it is written, so that "Polish" does not match
"polish". Entries match whole words, the longest first; 's after a word belongs to the text. In scripts
without spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) they match anywhere.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from text.io import read_text
from text.markup import Segment, TextSpan, check_phonemes, from_ipa, too_long

# Letters of scripts without spaces, each of which counts as a word.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff" \
           "\uff66-\uff9f\U00020000-\U0003ffff"

_SEPARATOR = re.compile(r"(?<![^\S\n])[^\S\n]*\t[^\S\n]*|  +")


class Pronunciation(NamedTuple):
    """The pronunciation of a word: phonemes or a respelling."""

    phonemes: str | None
    respelling: str | None
    place: str  # "file:line", for messages


class Lexicon:
    """Entries of words and pronunciations, and their application to text."""

    def __init__(self, entries: Mapping[str, str], name: str = "lexicon") -> None:
        """From words and pronunciations as in a file; raises ValueError with every faulty one."""
        self.name = name
        self._add_all((f"{name}: {word!r}", word, said) for word, said in entries.items())

    @classmethod
    def load(cls, path: str | Path) -> Lexicon:
        """Read a lexicon.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: with every faulty line.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no lexicon {path}; give the path of a file with lines of a word, a tab "
                                    "and its pronunciation")
        source = read_text(path)
        lexicon = cls({}, str(path))
        lexicon._add_all(_json_rows(source, path) if source.lstrip().startswith("{") else _rows(source, path))
        return lexicon

    def __len__(self) -> int:
        return len(self._entries)

    def check(self, known: Container[str], longest: int | None = None) -> None:
        """Raise ValueError for all entries with unknown phonemes or longer than `longest`."""
        faults = []
        for entry in self._entries:
            try:
                said = entry.phonemes or entry.respelling or ""
                if longest is not None and len(said) > longest:
                    raise too_long(said, longest, entry.place)
                check_phonemes(entry.phonemes or "", known, entry.place)
            except ValueError as error:
                faults.append(str(error))
        if faults:
            raise ValueError("\n".join(faults))

    def apply(self, segments: Iterable[Segment]) -> list[Segment]:
        """Split segments at words with an entry; segments with phonemes or a respelling stay as they are."""
        applied: list[Segment] = []
        for segment in segments:
            if isinstance(segment, TextSpan) and segment.phonemes is None and segment.respelling is None:
                applied.extend(self._split(segment))
            else:
                applied.append(segment)
        return applied

    def _split(self, stretch: TextSpan) -> Iterator[TextSpan]:
        """The stretch in pieces; as everywhere, white space stands at the end of the piece before it."""
        tokens = list(_tokens(stretch.text))
        done = index = 0
        while index < len(tokens):
            end, entry = self._longest(tokens, index)
            if entry is None:
                index += 1
                continue
            if done < index:
                yield stretch._replace(text="".join(tokens[done:index]))
            done = end + 1 if end < len(tokens) and tokens[end].isspace() else end
            yield stretch._replace(text="".join(tokens[index:done]), phonemes=entry.phonemes,
                                   respelling=entry.respelling)
            index = done
        if done < len(tokens):
            yield stretch._replace(text="".join(tokens[done:]))

    def _longest(self, tokens: list[str], start: int) -> tuple[int, Pronunciation | None]:
        """The longest entry that begins with a token, and the index behind it."""
        node, found, end = self._root, None, start
        for index in range(start, len(tokens)):
            node = node.followers.get(_folded(tokens[index]))
            if node is None:
                break
            if node.entries:
                exact = "".join(map(_written, tokens[start:index + 1]))
                entry = node.entries.get(exact) or node.entries.get(None)
                if entry:
                    found, end = entry, index + 1
        return end, found

    def _add_all(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Add rows of (place, word, pronunciation); raises one ValueError for all faults."""
        self._root = _Node()
        self._entries: list[Pronunciation] = []
        faults = []
        for place, word, said in rows:
            try:
                self._add(place, word, said)
            except ValueError as error:
                faults.append(f"{place}: {error}")
        if faults:
            raise ValueError("\n".join(faults))

    def _add(self, place: str, word: str, said: str) -> None:
        entry = _entry(said, place)
        word = _written(" ".join(word.split()))
        if not word:
            raise ValueError("there is no word; write the word that is meant before its pronunciation")
        node = self._root
        for token in _tokens(word):
            node = node.followers.setdefault(_folded(token), _Node())
        form = None if word == word.lower() else word
        if form in node.entries:
            raise ValueError(f"{word!r} is in {node.entries[form].place} already; remove one of them")
        node.entries[form] = entry
        self._entries.append(entry)


class _Node:
    """A node of the prefix tree of entries, by their tokens."""

    __slots__ = ("followers", "entries")

    def __init__(self) -> None:
        self.followers: dict[str, _Node] = {}
        self.entries: dict[str | None, Pronunciation] = {}  # those that end here: as written, or None for any case


def _entry(said: str, place: str) -> Pronunciation:
    """Parse a pronunciation."""
    said = " ".join(said.split())
    for opening, closing in (("[[", "]]"), ("/", "/")):
        if not said.startswith(opening):
            continue
        inner = said[len(opening):-len(closing)].strip()
        if len(said) < len(opening + closing) or not said.endswith(closing) or closing in inner:
            raise ValueError(f"the pronunciation {said!r} begins with {opening} and does not end with the next "
                             f"{closing}; write one pronunciation as {opening}phonemes{closing}")
        phonemes = from_ipa(inner) if opening == "/" else inner
        if not phonemes:
            raise ValueError(f"the pronunciation {said!r} has no phonemes; write {opening}phonemes{closing}")
        return Pronunciation(phonemes, None, place)
    if not said:
        raise ValueError("there is no pronunciation; write the word, a tab or two spaces, and then [[phonemes]], /IPA/ "
                         "or a respelling")
    return Pronunciation(None, said, place)


def _rows(source: str, path: Path) -> Iterator[tuple[str, str, str]]:
    """Place, word and pronunciation of each line; missing ones are empty."""
    for number, line in enumerate(source.split("\n"), start=1):
        line = line.strip()
        if line and not line.startswith("#"):
            word, *said = _SEPARATOR.split(line, maxsplit=1)
            yield f"{path}:{number}", word, said[0] if said else ""


def _json_rows(source: str, path: Path) -> Iterator[tuple[str, str, str]]:
    """Place, word and pronunciation from a JSON object, with repeated words."""
    try:
        pairs = json.loads(source, object_pairs_hook=list)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: this begins like JSON but is not JSON: {error.msg}, column "
                         f"{error.colno}") from None
    except RecursionError:
        raise ValueError(f"{path}: this JSON is nested too deeply to be read; expected one object of words") from None
    for word, said in pairs:
        if not isinstance(said, str):
            raise ValueError(f"{path}: {word!r} has {said!r}; a pronunciation is a string")
        yield f"{path}: {word!r}", word, said


def _tokens(text: str) -> Iterator[str]:
    """Words, white space and single signs, which put together are the text."""
    return (match[0] for match in _token_pattern().finditer(text))


@cache
def _token_pattern() -> re.Pattern:
    """Python takes accents and vowel signs for no part of a word, so they are named here; made when first needed."""
    marks = "".join(chr(code) for code in range(0x300, 0x20000) if unicodedata.category(chr(code))[0] == "M")
    letter = rf"[\w{marks}\u00ad\u200c\u200d]"  # with what joins letters without being seen
    spaced = rf"(?:(?![{UNSPACED}]){letter})"
    possessive = rf"['’][sS](?!{letter})"
    word = rf"{spaced}+(?:(?!{possessive})['’]{spaced}+)*"
    return re.compile(rf"\s+|[{UNSPACED}][{marks}]*|{word}|(?<={letter}){possessive}|.", flags=re.DOTALL)


def _written(token: str) -> str:
    """In one of the forms that Unicode has for the same letters."""
    if token.isspace():
        return " "
    return token if token.isascii() else unicodedata.normalize("NFC", token).replace("’", "'")


def _folded(token: str) -> str:
    """The same in every case."""
    return _written(token).casefold()
