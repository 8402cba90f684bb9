"""What a reader gets: a text, or markup, as sentences of token ids that know how each of their tokens is to be said.

    reader = ScriptReader(voice.text, max_characters=190)
    for item in reader.read("Good <morning>."):      # Utterance or Silence; a long text is read as it is needed
        ...

A text that still grows, such as what a language model writes, is read piece by piece: `reader.read(iterator)`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from text import TextProcessor
from text.lexicon import Lexicon
from text.markup import (
    Break,
    Mark,
    Pause,
    Segment,
    Spoken,
    check_phonemes,
    is_ssml,
    parse_inline,
    parse_ssml,
    too_long,
)
from text.prosody import Manner
from text.sentences import LONGEST, Sentence, SentenceSplitter, cut_place, split_sentences
from text.words import align_words, is_said

# Shapes: L text tokens.

# An utterance of more symbols than so many for each character that a sentence may have is cut once more.
SYMBOLS_OF_A_CHARACTER, SHORTEST_LIMIT = 4, 400
LONGEST_UTTERANCE = 2000  # symbols, whatever a voice's own settings claim: memory grows with the square of them

# Seconds on either side of a cut that the length guard made, behind a word and behind a comma or another mark.
SILENCE_AT_WORD, SILENCE_AT_MARK = 0.01, 0.04


class Word(NamedTuple):
    """A written word and the tokens that say it."""

    text: str
    first: int  # token
    end: int  # behind its last token; equal to `first` if nothing says it


@dataclass(frozen=True)
class Utterance:
    """What is said in one breath, by one speaker."""

    text: str  # as written
    ids: tuple[int, ...]  # [L], blanks included
    symbols: tuple[str, ...]  # [L], "" for a blank, the begin and the end
    manners: tuple[Manner, ...]  # [L]
    words: tuple[Word, ...] = ()
    bookmarks: tuple[tuple[str, int], ...] = ()  # SSML's marks: name, and the token before which they stand
    unknown: tuple[str, ...] = ()  # symbols that the table lacks, said as what comes nearest
    silence_before: float | None = None  # seconds at most, where the length guard cut a sentence; None: the voice's own
    silence_after: float | None = None  # the same behind it

    place: str = field(default="", compare=False)  # where its first word stands in SSML, as messages name it

    @property
    def is_join(self) -> bool:
        """Whether it is a piece of a sentence that was too long."""
        return self.silence_before is not None or self.silence_after is not None

    @property
    def speaker(self) -> str | None:
        """Who says it; None for whom the caller wants."""
        return self.manners[0].speaker


class Silence(NamedTuple):
    """Nothing is said for some time."""

    seconds: float
    bookmarks: tuple[str, ...] = ()  # SSML's marks before it


@dataclass(frozen=True)
class ScriptReader:
    """Reads texts for one voice."""

    processor: TextProcessor
    max_characters: int | None = None  # of a sentence; a longer one is cut where a reader would breathe
    sentence_pause: float = 0.2  # seconds between two sentences
    paragraph_pause: float = 0.6  # seconds between two paragraphs
    lexicon: Lexicon | None = None

    def __post_init__(self) -> None:
        if self.lexicon is not None:
            self.lexicon.check(self.processor.symbols.ids, self.longest)

    @property
    def longest(self) -> int:
        """Symbols of the longest utterance: several for each character, as numbers have when they are written out."""
        wanted = max(SYMBOLS_OF_A_CHARACTER * (self.max_characters or LONGEST), SHORTEST_LIMIT)
        return min(wanted, LONGEST_UTTERANCE)

    def read(self, source: str | Iterable[str]) -> Iterator[Utterance | Silence]:
        """Sentences and the pauses between them, in order.

        Args:
            source: SSML if it begins with <speak>; else plain text, in which [[these]] are phonemes. Pieces of plain
                text if it is no str: a sentence leaves as soon as it is complete.

        Raises:
            MarkupError: SSML that is wrong, or phonemes that the voice does not know, with the place.
        """
        items = self._items(source)
        waiting: _PauseBetween | None = None  # a pause is due only if something follows
        for item in items:
            if isinstance(item, _PauseBetween):
                waiting = item if waiting is None or waiting.is_join else waiting
                continue
            if isinstance(item, Utterance) and waiting is not None:  # a pause that is asked for replaces it
                if waiting.is_join:
                    item = replace(item, silence_before=waiting.seconds)
                elif waiting.seconds > 0:
                    yield Silence(waiting.seconds)
            waiting = None
            yield item

    def _items(self, source: str | Iterable[str]) -> Iterator[Utterance | Silence | _PauseBetween]:
        if isinstance(source, str):
            if is_ssml(source):
                yield from self._read_segments(parse_ssml(source, self.processor.language))
                return
            if "[[" in source:
                yield from self._read_segments(parse_inline(source))
                return
        splitter = SentenceSplitter(self.processor.language, self.max_characters)
        for piece in [source] if isinstance(source, str) else source:
            for start in range(0, len(piece), 10_000):  # so that the first sentence of a book need not wait for it
                for sentence in splitter.feed(piece[start : start + 10_000]):
                    yield from self._read_plain(sentence)
        for sentence in splitter.finish():
            yield from self._read_plain(sentence)

    def _read_plain(self, sentence: Sentence) -> Iterator[Utterance | Silence | _PauseBetween]:
        text = sentence.text
        segments = parse_inline(text) if "[[" in text else [Spoken(text, None, None, Manner(), 1, 1)]
        pause = _join(text) if sentence.is_cut else self._pause(sentence.ends_paragraph)
        yield from self._utterance([each for each in self._pronounced(segments) if isinstance(each, Spoken)], [], pause)
        yield pause

    def _pronounced(self, segments: list[Segment]) -> list[Segment]:
        return segments if self.lexicon is None else self.lexicon.apply(segments)

    def _pause(self, ends_paragraph: bool) -> _PauseBetween:
        return _PauseBetween(self.paragraph_pause if ends_paragraph else self.sentence_pause)

    def _read_segments(self, segments: list[Segment]) -> Iterator[Utterance | Silence | _PauseBetween]:
        """Cut at pauses, marked ends and changes of the speaker; what is between them may be several sentences."""
        stretches: list[Spoken] = []
        marks: list[tuple[str, int]] = []  # name, and the stretch before which it stands
        for segment in self._pronounced(segments):
            if isinstance(segment, Mark):
                marks.append((segment.name, len(stretches)))
                continue
            if isinstance(segment, Spoken):
                if stretches and stretches[-1].manner.speaker != segment.manner.speaker:
                    yield from self._sentences(stretches, marks)
                    stretches, marks = [], []
                stretches.append(segment)
                continue
            held = [name for name, place in marks if place == len(stretches)]  # nothing is said behind them
            yield from self._sentences(stretches, marks[: len(marks) - len(held)], isinstance(segment, Break))
            stretches, marks = [], []
            if isinstance(segment, Pause):
                yield Silence(segment.seconds, tuple(held))
            else:
                if held:
                    yield Silence(0.0, tuple(held))
                yield self._pause(segment.kind == "paragraph")
        held = [name for name, place in marks if place == len(stretches)]
        yield from self._sentences(stretches, marks[: len(marks) - len(held)])
        if held:
            yield Silence(0.0, tuple(held))

    def _sentences(self, stretches: list[Spoken], marks: list[tuple[str, int]],
                   is_sentence: bool = False) -> Iterator[Utterance | Silence | _PauseBetween]:
        """One group of stretches as the sentences in it; one that is marked as a sentence is cut only if too long."""
        borders = _borders(stretches)
        start, pause = 0, None
        for end, is_cut in _sentence_ends(stretches, self.processor.language, self.max_characters, is_sentence):
            part, first = _cut(stretches, start, end)
            inside = [(name, place - first) for name, place in marks if start <= borders[place] < end]
            if pause is not None:
                yield pause
            pause = _join(_text_of(part)) if is_cut else self._pause(ends_paragraph=False)
            yield from self._utterance(part, inside, pause)
            start = end

    def _utterance(self, stretches: list[Spoken], marks: list[tuple[str, int]],
                   pause: _PauseBetween) -> Iterator[Utterance | Silence | _PauseBetween]:
        """Stretches as tokens, before a pause; nothing if there is nothing in them to say, parts if it is too long."""
        for stretch in stretches:
            said_instead = stretch.phonemes or stretch.respelling or ""
            if len(said_instead) > self.longest:
                raise too_long(said_instead, self.longest, stretch.place)
        said = _say(stretches, self.processor)
        if len(said.cleaned) > self.longest:
            yield from self._halves(stretches, marks, pause)
            return
        encoded = self.processor.encode_lenient(said.cleaned)
        table, own = self.processor.symbols.symbols, zip(encoded.ids, encoded.places)
        if not any(place >= 0 and is_said(table[each]) for each, place in own):
            if marks:
                yield Silence(0.0, tuple(name for name, _ in marks))
            return  # punctuation alone has no sound
        owners = [said.owners[place] if place >= 0 else None for place in encoded.places]
        owners = _filled(owners)
        first_token = {place: token for token, place in reversed(list(enumerate(encoded.places))) if place >= 0}
        last_token = {place: token for token, place in enumerate(encoded.places) if place >= 0}
        words = []
        for text, start, end in said.words:
            spoken = [place for place in range(start, end) if place in first_token]
            nowhere = words[-1].end if words else 0
            words.append(Word(text, first_token[spoken[0]], last_token[spoken[-1]] + 1) if spoken
                         else Word(text, nowhere, nowhere))
        bookmarks = [(name, next((token for token, owner in enumerate(owners) if owner >= stretch), len(owners)))
                     for name, stretch in marks]
        yield Utterance(
            text=_text_of(stretches), ids=tuple(encoded.ids),
            symbols=tuple(said.cleaned[place] if place >= 0 else "" for place in encoded.places),
            manners=tuple(stretches[owner].manner for owner in owners), words=tuple(words),
            bookmarks=tuple(bookmarks), unknown=tuple(encoded.unknown),
            silence_after=pause.seconds if pause.is_join else None, place=stretches[0].place)


    def _halves(self, stretches: list[Spoken], marks: list[tuple[str, int]],
                pause: _PauseBetween) -> Iterator[Utterance | Silence | _PauseBetween]:
        """Stretches that have too many symbols, cut in two; MarkupError if they cannot be."""
        middle, borders = _middle(stretches), _borders(stretches)
        if middle is None:
            raise too_long(stretches[0].respelling or stretches[0].text, self.longest, stretches[0].place)
        for start, end in ((0, middle), (middle, borders[-1])):
            part, first = _cut(stretches, start, end)
            behind = _join(_text_of(part)) if start == 0 else pause
            inside = [(name, place - first) for name, place in marks if start <= borders[place] < end]
            yield from self._utterance(part, inside, behind)
            if start == 0:
                yield behind


def utterance_of_ids(ids: Iterable[int], processor: TextProcessor) -> Utterance:
    """Ids that the caller made; their symbols are the table's, and there are no words."""
    ids = tuple(ids)
    symbols = tuple(processor.symbols.symbols[each] if is_symbol else ""
                    for each, is_symbol in zip(ids, processor.are_symbols(ids)))
    return Utterance("".join(symbols), ids, symbols, (Manner(),) * len(ids))


class _PauseBetween(NamedTuple):
    """A pause that is due if something follows that is said."""

    seconds: float
    is_join: bool = False  # within a sentence that was too long: at most so much silence on either side of the cut


def _join(text: str) -> _PauseBetween:
    """Between a piece of a sentence that the length guard cut and the next one: short, but for a breath at a mark."""
    return _PauseBetween(SILENCE_AT_WORD if text[-1:].isalnum() else SILENCE_AT_MARK, is_join=True)


def _text_of(stretches: Iterable[Spoken]) -> str:
    return "".join(stretch.text for stretch in stretches).strip()


class _Said(NamedTuple):
    """Stretches as one cleaned text."""

    cleaned: str
    owners: list[int]  # the stretch of each of its symbols
    words: list[tuple[str, int, int]]  # as written, first symbol, behind the last


def _say(stretches: list[Spoken], processor: TextProcessor) -> _Said:
    """Clean stretches together, so that they influence each other as in a sentence; phonemes stay as they are."""
    said = _Said("", [], [])
    start = 0
    while start < len(stretches):
        stretch, end = stretches[start], start + 1
        if stretch.phonemes is not None:
            check_phonemes(stretch.phonemes, processor.symbols.ids, stretch.place)
            part = _Said(stretch.phonemes, [start] * len(stretch.phonemes),
                         [(stretch.text.strip(), 0, len(stretch.phonemes))])
        else:
            while end < len(stretches) and stretches[end].phonemes is None:
                end += 1
            part = _cleaned(stretches, start, end, processor)
        parted = stretches[start - 1].text[-1:].isspace() if start else False
        said = _joined(said, part, " " if parted and said.cleaned and part.cleaned else "")
        start = end
    return said


def _joined(said: _Said, part: _Said, between: str) -> _Said:
    offset = len(said.cleaned) + len(between)
    owners = said.owners + [said.owners[-1] for _ in between] + part.owners
    return _Said(said.cleaned + between + part.cleaned, owners,
                 said.words + [(text, start + offset, end + offset) for text, start, end in part.words])


def _cleaned(stretches: list[Spoken], first: int, end: int, processor: TextProcessor) -> _Said:
    """Neighbouring stretches that are text, cleaned as one line; words of a respelling count as what was written."""
    line, owner_of = "", []  # the stretch of each character of the line
    for place in range(first, end):
        stretch = stretches[place]
        piece = stretch.text if stretch.respelling is None else stretch.respelling + " " * stretch.text[-1:].isspace()
        line += piece
        owner_of.extend(place for _ in piece)
    [cleaned] = processor.clean([line])
    cleaned = cleaned.strip()
    words: list[tuple[str, int, int]] = []
    owners: list[int | None] = [None] * len(cleaned)
    respelled = -1  # whose words are put together
    for word in align_words(line, cleaned, processor.clean, processor.joined(line)):
        owner = owner_of[word.start]
        owners[word.cleaned_start : word.cleaned_end] = [owner] * (word.cleaned_end - word.cleaned_start)
        if stretches[owner].respelling is None:
            words.append((word.text, word.cleaned_start, word.cleaned_end))
        elif owner == respelled:
            words[-1] = (words[-1][0], words[-1][1], word.cleaned_end)
        else:
            words.append((stretches[owner].text.strip(), word.cleaned_start, word.cleaned_end))
            respelled = owner
    return _Said(cleaned, _filled(owners, first), words)


def _filled(owners: list[int | None], default: int = 0) -> list[int]:
    """What has no owner goes with what is before it; at the beginning with what follows."""
    current = next((owner for owner in owners if owner is not None), default)
    filled = []
    for owner in owners:
        current = current if owner is None else owner
        filled.append(current)
    return filled


def _sentence_ends(stretches: list[Spoken], language: str, max_characters: int | None,
                   is_sentence: bool) -> list[tuple[int, bool]]:
    """Where sentences end in the stretches' text put together, and whether the length guard made that end.

    Never within phonemes or a respelling.
    """
    text = "".join(stretch.text for stretch in stretches)
    if not text.strip():
        return [(len(text), False)] if any(stretch.phonemes or stretch.respelling for stretch in stretches) else []
    if is_sentence and (max_characters is None or len(text) <= max_characters):
        return [(len(text), False)]
    ends, position, borders = [], 0, _borders(stretches)
    for sentence in split_sentences(text, language, max_characters):
        end = sentence.end
        for stretch, low, high in zip(stretches, borders, borders[1:]):
            if low < end < high and (stretch.phonemes or stretch.respelling):
                end = high
        if end > position:
            ends.append((end, sentence.is_cut))
            position = end
    return [*ends[:-1], (len(text), False)] if ends else []


def _middle(stretches: list[Spoken]) -> int | None:
    """Where stretches are best cut in two, as a place in their texts put together; None if nowhere."""
    text, borders = "".join(stretch.text for stretch in stretches), _borders(stretches)
    if len(text) < 2:
        return None
    place = cut_place(text, max(1, 3 * len(text) // 4), len(text) / 2)
    for stretch, low, high in zip(stretches, borders, borders[1:]):
        if low < place < high and (stretch.phonemes or stretch.respelling):
            place = low if 0 < low and (high == len(text) or place - low < high - place) else high
    return place if 0 < place < len(text) else None


def _borders(stretches: list[Spoken]) -> list[int]:
    """Where each stretch begins in their texts put together, and where the last one ends."""
    return [0, *itertools.accumulate(len(stretch.text) for stretch in stretches)]


def _cut(stretches: list[Spoken], start: int, end: int) -> tuple[list[Spoken], int]:
    """What lies in characters [start, end) of the texts put together, and which stretch is the first of it."""
    borders, part, first = _borders(stretches), [], None
    for place, (stretch, low) in enumerate(zip(stretches, borders)):
        if low >= end > start:
            break
        text = stretch.text[max(0, start - low) : max(0, end - low)]
        if part or text.strip() or (start <= low < end and stretch.respelling):
            part.append(stretch._replace(text=text if part else text.lstrip()))
            first = place if first is None else first
    return [each for each in part if each.text or each.respelling], first or 0
