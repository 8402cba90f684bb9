"""SSML (a subset), or plain text with [[phonemes]] -> a flat list of spans of text with their prosody, and pauses.

    segments = parse_ssml("<speak>Wait <break time='1.5s'/> <prosody rate='slow'>for it.</prosody></speak>")
    segments = parse_inline("I said [[təmˈɑːtoʊ]].")

White space is collapsed. The texts of all spans up to a Break, put together, are the text of a sentence: a span
never begins with a space, and one that ends with a space ends a word.
"""

from __future__ import annotations

import bisect
import re
import unicodedata
from collections.abc import Callable, Container
from dataclasses import replace
from typing import Literal, NamedTuple
from xml.parsers import expat

from text.prosody import (
    EMPHASIS,
    LONGEST_SILENCE,
    PAUSES,
    Prosody,
    nearest_hint,
    read_label,
    read_rate,
    read_seconds,
    read_semitones,
    read_volume_db,
)
from text.say_as import respelled

# Slips that people make in IPA -> what is meant. A point parts syllables in IPA and would be a stop for a voice.
IPA_SLIPS = {"g": "ɡ", "'": "ˈ", ":": "ː", "ʤ": "dʒ", "ʧ": "tʃ", "t͡ʃ": "tʃ", "d͡ʒ": "dʒ", ".": "", "‿": ""}

_XML_DECLARATION = re.compile(r"[\s\ufeff]*(?:<\?xml\s(?:[^?]|\?(?!>))*\?>)?")
_COMMENTS = re.compile(r"(?:\s|<!--(?:[^-]|-(?!->))*-->)*")
_SPEAK = re.compile(r"<(?:!DOCTYPE\s+)?speak(?![\w.:-])")


class MarkupError(ValueError):
    """Wrong markup; the message begins with the place."""


class TextSpan(NamedTuple):
    """A span of text with one prosody. At most one of `phonemes` and `respelling` is set."""

    text: str  # as written; what word timings show
    phonemes: str | None  # its pronunciation, instead of cleaning the text
    respelling: str | None  # a text to pronounce instead
    prosody: Prosody
    line: int  # its place in the source, from 1
    column: int

    @property
    def place(self) -> str:
        """As messages name it."""
        return f"line {self.line}, column {self.column}"


class Pause(NamedTuple):
    """Silence."""

    seconds: float


class Bookmark(NamedTuple):
    """SSML's <mark>: a place in the text whose time the timings hold."""

    name: str


class Break(NamedTuple):
    """The end of a sentence or paragraph that was marked as such."""

    kind: Literal["sentence", "paragraph"]


Segment = TextSpan | Pause | Bookmark | Break


def is_ssml(source: str) -> bool:
    """Whether a text begins with <speak>; white space, an XML declaration and comments may stand before."""
    beginning = _XML_DECLARATION.match(source).end()
    return _SPEAK.match(source, _COMMENTS.match(source, beginning).end()) is not None


def parse_ssml(source: str, language: str = "en-us") -> list[Segment]:
    """Segments of an SSML document.

    Args:
        source: the document. Its elements are listed in ELEMENTS; xml:lang is accepted on <speak> and changes nothing,
            as a voice has the language of its training.
        language: espeak-ng's name of that language, in which <say-as> writes numbers out.

    Raises:
        MarkupError: naming line and column.
    """
    # Blanked, so that places stay: expat wants a declaration at the very beginning, and the text is no bytes any more.
    declaration = _XML_DECLARATION.match(source).end()
    source = re.sub(r"[^\r\n]", " ", source[:declaration]) + source[declaration:]
    try:
        data = source.encode()
    except UnicodeEncodeError as error:
        line, column = _Places(source).of(error.start)
        raise MarkupError(f"line {line}, column {column}: {source[error.start]!r} is half of a character; the text was "
                          "read with a wrong encoding") from None
    reader = _Reader(language)
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise MarkupError(f"line {error.lineno}, column {error.offset + 1}: {expat.ErrorString(error.code)}; "
                          f"{reader.hint(error.code)}") from None
    return reader.segments.finished()


def parse_inline(source: str) -> list[Segment]:
    """Segments of plain text: [[phonemes]] stay as they are, and blank lines separate paragraphs.

    Brackets that do not close in their paragraph, or with nothing between them, are text.
    """
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    places, segments, offset = _Places(source), _Segments(), 0
    for part in re.split(r"(\n[^\S\n]*\n\s*)", source):
        if part.isspace() and part.count("\n") > 1:
            segments.end("paragraph")
        else:
            _add_inline(segments, part, offset, places)
        offset += len(part)
    return segments.finished()


def _add_inline(segments: _Segments, paragraph: str, offset: int, places: _Places) -> None:
    """Add a paragraph that begins at an offset of the source."""
    def add_plain(start: int, end: int) -> None:
        written = paragraph[start:end]
        segments.add_text(written, Prosody(), places.of(offset + end - len(written.lstrip())))

    position = 0
    last_closing = paragraph.rfind("]]")  # to look no farther keeps a million open brackets from taking minutes
    for match in re.compile(r"\[\[(.*?)\]\]", re.DOTALL).finditer(paragraph, 0, last_closing + 2):
        phonemes = " ".join(match[1].split())
        if phonemes:
            add_plain(position, match.start())
            segments.add_text(phonemes, Prosody(), places.of(offset + match.start()), phonemes)
            position = match.end()
    add_plain(position, len(paragraph))


def from_ipa(written: str) -> str:
    """IPA as people type it -> as espeak-ng writes it: /ˈdi.ʤən/ -> ˈdidʒən, g -> ɡ, ẽ -> e and tilde."""
    written = " ".join(written.split())
    if len(written) > 1 and (written[0], written[-1]) in {("/", "/"), ("[", "]")}:
        written = written[1:-1].strip()
    for slip, meant in IPA_SLIPS.items():
        written = written.replace(slip, meant)
    composed = unicodedata.normalize("NFC", written)
    return "".join(symbol if symbol in "çä" else unicodedata.normalize("NFD", symbol) for symbol in composed)


def check_phonemes(phonemes: str, known: Container[str], place: str) -> None:
    """Raise MarkupError for phonemes that are not among a voice's symbols.

    Args:
        phonemes: one symbol a character.
        known: the voice's symbols.
        place: where they stand, as messages name it.

    Raises:
        MarkupError: listing every unknown symbol.
    """
    unknown = [symbol for symbol in dict.fromkeys(phonemes) if symbol not in known]
    if not unknown:
        return
    listed = ", ".join(f"{symbol!r} (U+{ord(symbol):04X} {unicodedata.name(symbol, 'without a name').lower()})"
                       for symbol in unknown)
    untied = unicodedata.normalize("NFKD", from_ipa(phonemes)).replace("\u0361", "").replace("\u035c", "")
    near = next((form for form in (from_ipa(phonemes), untied) if all(symbol in known for symbol in form)), "")
    advice = f"write {near!r}" if near.strip() else "write them with symbols of the voice's table"
    raise MarkupError(f"{place}: the phonemes {phonemes!r} have symbols that are not in the voice's table: {listed}; "
                      f"{advice}")


def too_long(written: str, longest: int, place: str) -> MarkupError:
    """The error for phonemes, or a respelling, that are longer than a voice takes at a time.

    They cannot be cut, and the memory that a network takes grows with the square of the length.
    """
    shown = repr(written[:20]) + "..." * (len(written) > 20)
    return MarkupError(f"{place}: {shown} has too many symbols ({len(written)} as written); this voice takes at most "
                       f"{longest} without a place to cut; write it in several parts, or as text")


class _Places:
    """Offsets in a text -> its lines and columns, from 1."""

    def __init__(self, source: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", source))]

    def of(self, offset: int) -> tuple[int, int]:
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


class _Segments:
    """Collects segments, with white space at the end of the span before it."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._last: int | None = None  # the last span, if nothing has ended its sentence yet
        self._end: int | None = None  # the last Break

    def add_text(self, written: str, prosody: Prosody, place: tuple[int, int], phonemes: str | None = None,
                 respelling: str | None = None) -> None:
        """Add a span; white space alone only separates its neighbours."""
        text = " ".join(written.split())
        if written[:1].isspace():
            self._part()
        if text:
            self._last = len(self._segments)
            self._segments.append(TextSpan(text, phonemes, respelling, prosody, *place))
            if written[-1].isspace():
                self._part()

    def add(self, segment: Pause | Bookmark) -> None:
        self._segments.append(segment)

    def end(self, kind: Literal["sentence", "paragraph"]) -> None:
        """End a sentence or paragraph that has text; a paragraph's end replaces that of its last sentence."""
        if self._last is not None:
            self._trim()
            self._last, self._end = None, len(self._segments)
            self._segments.append(Break(kind))
        elif self._end is not None and kind == "paragraph":
            self._segments[self._end] = Break(kind)

    def finished(self) -> list[Segment]:
        if self._last is not None:
            self._trim()
        return self._segments

    def _part(self) -> None:
        if self._last is not None and not self._segments[self._last].text.endswith(" "):
            self._rewrite(self._segments[self._last].text + " ")

    def _trim(self) -> None:
        self._rewrite(self._segments[self._last].text.rstrip())

    def _rewrite(self, text: str) -> None:
        self._segments[self._last] = self._segments[self._last]._replace(text=text)


class Element(NamedTuple):
    """Attributes and content that an element of SSML may have."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    holds: Literal["elements", "text", "nothing"] = "elements"


ELEMENTS = {
    "speak": Element((), ("version", "xmlns", "xml:lang")),
    "p": Element(),
    "s": Element(),
    "break": Element((), ("time", "strength"), "nothing"),
    "prosody": Element((), ("rate", "volume", "pitch")),
    "emphasis": Element((), ("level",)),
    "voice": Element(("name",)),
    "phoneme": Element(("ph",), ("alphabet",), "text"),
    "sub": Element(("alias",), (), "text"),
    "say-as": Element(("interpret-as",), ("format",), "text"),
    "mark": Element(("name",), (), "nothing"),
}

# What expat finds wrong -> what to do.
XML_HINTS = {
    expat.errors.XML_ERROR_INVALID_TOKEN: "write & as &amp; and < as &lt; where they are text, and leave out "
                                          "control characters",
    expat.errors.XML_ERROR_UNDEFINED_ENTITY: "only &amp; &lt; &gt; &quot; &apos; and numbers such as &#233; are "
                                             "known, so write the character itself",
    expat.errors.XML_ERROR_NO_ELEMENTS: "a document begins with <speak> and ends with </speak>",
}


class _Open(NamedTuple):
    """An element whose end is still to come."""

    name: str
    attributes: dict[str, str]
    prosody: Prosody  # of what stands in it
    within: str | None  # the nearest p or s: itself, or around it
    value: float | str | None  # what replaces its text
    place: tuple[int, int]


class _Reader:
    """Handlers of expat's events. The open elements are a list, so that depth has no limit."""

    def __init__(self, language: str) -> None:
        self.segments = _Segments()
        self._language = language
        self._open: list[_Open] = []
        self._silence = 0.0  # seconds of all breaks so far
        self._chunks: list[str] = []  # of the text since the last tag
        self._chunks_place: tuple[int, int] | None = None  # of its first character that is no white space
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype

    def hint(self, code: int) -> str:
        """Advice for a document that is not well-formed XML."""
        error = expat.ErrorString(code)
        if self._open and error not in (expat.errors.XML_ERROR_INVALID_TOKEN, expat.errors.XML_ERROR_UNDEFINED_ENTITY):
            line, column = self._open[-1].place
            return f"the <{self._open[-1].name}> of line {line}, column {column} is still open"
        return XML_HINTS.get(error, "put everything into one <speak>")

    def _place(self) -> tuple[int, int]:
        return self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1

    def _fail(self, message: str, place: tuple[int, int] | None = None) -> MarkupError:
        line, column = place or self._place()
        return MarkupError(f"line {line}, column {column}: {message}")

    def _refuse_doctype(self, *_: object) -> None:
        raise self._fail("a document type is not supported, nor are entities that it declares; remove <!DOCTYPE ...>")

    def _text(self, chunk: str) -> None:
        if self._chunks_place is None and not chunk.isspace():
            line, column = self._place()
            self._chunks_place = line, column + len(chunk) - len(chunk.lstrip())
            name = self._open[-1].name
            if ELEMENTS[name].holds == "nothing":
                raise self._fail(f"<{name}> holds nothing; close it as <{name} .../>", self._chunks_place)
        self._chunks.append(chunk)

    def _taken_text(self) -> tuple[str, tuple[int, int]]:
        """The text since the last tag, and its place."""
        written, place = "".join(self._chunks), self._chunks_place or self._place()
        self._chunks, self._chunks_place = [], None
        return written, place

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._open:
            written, place = self._taken_text()
            self.segments.add_text(written, self._open[-1].prosody, place)
        self._check(name, attributes)
        outer = self._open[-1] if self._open else None
        within = outer.within if outer else None
        if name in ("p", "s"):
            self.segments.end("paragraph" if name == "p" else "sentence")  # of what stands loose before it
            within = name
        prosody = self._prosody(name, attributes, outer.prosody if outer else Prosody())
        self._open.append(_Open(name, attributes, prosody, within, self._value(name, attributes), self._place()))

    def _end(self, name: str) -> None:
        element = self._open.pop()
        written, place = self._taken_text()
        if name == "break":
            self._silence += element.value
            if self._silence > LONGEST_SILENCE:
                raise self._fail(f"<break>: all breaks together last more than {LONGEST_SILENCE:g} s; make them "
                                 "shorter, or synthesize the document in parts", element.place)
            self.segments.add(Pause(element.value))
        elif name == "mark":
            self.segments.add(Bookmark(element.value))
        elif ELEMENTS[name].holds == "text":
            self._add_replacement(element, written)
        else:
            self.segments.add_text(written, element.prosody, place)
        if name in ("p", "s"):
            self.segments.end("paragraph" if name == "p" else "sentence")

    def _check(self, name: str, attributes: dict[str, str]) -> None:
        """Raise for an element that is unknown, misplaced, or has wrong attributes."""
        if name not in ELEMENTS:
            raise self._fail(f"<{name}> is not supported; {nearest_hint(name, ELEMENTS)}supported are "
                             f"{', '.join(ELEMENTS)}")
        outer = self._open[-1] if self._open else None
        if (name == "speak") != (outer is None):
            raise self._fail(f"<{name}> is outside of <speak>; put one <speak> around everything" if outer is None else
                             "<speak> is inside another <speak>; put one around everything")
        if outer and ELEMENTS[outer.name].holds != "elements":
            raise self._fail(f"<{name}> is inside <{outer.name}>, which holds {ELEMENTS[outer.name].holds}"
                             f"{' only' if ELEMENTS[outer.name].holds == 'text' else ''}; move it out")
        if outer and (name, outer.within) in {("p", "p"), ("p", "s"), ("s", "s")}:
            raise self._fail(f"<{name}> is inside <{outer.within}>; close </{outer.within}> before it")
        required, optional, _ = ELEMENTS[name]
        known = required + optional
        for attribute in attributes:
            if attribute not in known and not (name == "speak" and attribute.startswith(("xmlns:", "xsi:"))):
                raise self._fail(f"<{name}> has an attribute {attribute!r} that is not supported; "
                                 f"{nearest_hint(attribute, known)}it takes {', '.join(known) or 'none'}")
        for attribute in required:
            if not attributes.get(attribute, "").strip():
                raise self._fail(f"<{name}> has no {attribute}; write <{name} {attribute}='...'>")

    def _prosody(self, name: str, attributes: dict[str, str], outer: Prosody) -> Prosody:
        """Prosody inside of an element."""
        if name == "voice":
            return replace(outer, speaker=attributes["name"].strip())
        if name == "emphasis":
            rate, volume_db = self._read(name, attributes, "level", lambda value: read_label(value, EMPHASIS),
                                         "moderate")
            changes = {"rate": rate, "volume_db": volume_db}
        elif name == "prosody":
            changes = {"rate": self._read(name, attributes, "rate", read_rate),
                       "volume_db": self._read(name, attributes, "volume", read_volume_db),
                       "pitch_semitones": self._read(name, attributes, "pitch", read_semitones)}
        else:
            return outer
        try:
            return outer.nested(**changes)
        except ValueError as error:
            raise self._fail(f"<{name}> makes {error}") from None

    def _read(self, name: str, attributes: dict[str, str], attribute: str, read: Callable, default: str = "medium"):
        """Value of an attribute by its reader; MarkupError with the place."""
        value = attributes.get(attribute, default).strip()
        try:
            return read(value)
        except ValueError as error:
            raise self._fail(f"<{name}> has {attribute}={value!r}; {error}") from None

    def _value(self, name: str, attributes: dict[str, str]) -> float | str | None:
        """Value of an element: seconds of a <break>, phonemes, an alias, a name."""
        if name == "break":
            seconds = self._read(name, attributes, "strength", lambda value: read_label(value, PAUSES))
            return self._read(name, attributes, "time", read_seconds) if "time" in attributes else seconds
        if name == "phoneme":
            read = self._read(name, attributes, "alphabet", lambda value: read_label(value, ALPHABETS), "ipa")
            phonemes = read(attributes["ph"])
            if not phonemes:
                raise self._fail(f"<phoneme> has ph={attributes['ph']!r}, which has no phoneme; write phonemes")
            return phonemes
        value = {"sub": "alias", "mark": "name"}.get(name)
        return " ".join(attributes[value].split()) if value else None

    def _add_replacement(self, element: _Open, written: str) -> None:
        """Add the span of a <phoneme>, <sub> or <say-as>."""
        value, phonemes = element.value, None
        if element.name == "say-as":
            try:
                value = respelled(written, element.attributes["interpret-as"].strip(),
                                  element.attributes.get("format", "").strip() or None, self._language)
            except ValueError as error:
                raise self._fail(f"<say-as>: {error}", element.place) from None
        elif element.name == "phoneme":
            value, phonemes = None, value
        self.segments.add_text(written if written.strip() else element.value, element.prosody, element.place, phonemes,
                               value)


# alphabet -> reader of its symbols. "vits" are the voice's own symbols, unchanged.
ALPHABETS: dict[str, Callable[[str], str]] = {"ipa": from_ipa, "vits": lambda written: " ".join(written.split())}
