"""Plain text or SSML -> sentences of token ids with the prosody of each token, and the pauses between them.

    reader = ScriptReader(voice.text, max_characters=190)
    for item in reader.read("Good <morning>."):      # SentenceTokens or Silence; a long text is read as it is needed
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
    Bookmark,
    Break,
    Pause,
    Segment,
    TextSpan,
    check_phonemes,
    is_ssml,
    parse_inline,
    parse_ssml,
    too_long,
)
from text.prosody import Prosody
from text.sentences import LONGEST, Sentence, SentenceSplitter, cut_place, split_sentences
from text.words import align_words, is_said

# Shapes: L text tokens.

# An utterance of more symbols than so many for each character that a sentence may have is cut once more.
SYMBOLS_OF_A_CHARACTER, SHORTEST_LIMIT = 4, 400
LONGEST_UTTERANCE = 2000  # symbols, whatever a voice's own settings claim: memory grows with the square of them

# Seconds on either side of a cut that the length guard made, behind a word and behind a comma or another mark.
SILENCE_AT_WORD, SILENCE_AT_MARK = 0.01, 0.04


class Word(NamedTuple):
    """A written word and its tokens."""

    text: str
    first: int  # token
    end: int  # behind its last token; equal to `first` if it has none


@dataclass(frozen=True)
class SentenceTokens:
    """A sentence, or a part of a long one, of one speaker, as token ids; what the network takes at a time."""

    text: str  # as written
    ids: tuple[int, ...]  # [L], blanks included
    symbols: tuple[str, ...]  # [L], "" for a blank, the begin and the end
    token_prosody: tuple[Prosody, ...]  # [L]
    words: tuple[Word, ...] = ()
    bookmarks: tuple[tuple[str, int], ...] = ()  # SSML's marks: name, and the token before which they stand
    unknown: tuple[str, ...] = ()  # symbols that the table lacks, replaced by what comes nearest
    silence_before: float | None = None  # seconds at most, where the length guard cut a sentence; None: the voice's own
    silence_after: float | None = None  # the same behind it

    place: str = field(default="", compare=False)  # where its first word stands in SSML, as messages name it

    @property
    def is_join(self) -> bool:
        """Whether it is a part of a sentence that was too long."""
        return self.silence_before is not None or self.silence_after is not None

    @property
    def speaker(self) -> str | int | None:
        """Its speaker; None for the caller's."""
        return self.token_prosody[0].speaker

    @property
    def rates(self) -> list[float]:
        """Speed of each token, [L]; 2 is twice as fast."""
        return [prosody.rate for prosody in self.token_prosody]

    def within(self, outer: Prosody) -> SentenceTokens:
        """The same with its prosody inside of an outer one, such as that of the whole text."""
        inner = {prosody: prosody.inside(outer) for prosody in set(self.token_prosody)}
        return replace(self, token_prosody=tuple(inner[prosody] for prosody in self.token_prosody))


class Silence(NamedTuple):
    """A pause."""

    seconds: float
    bookmarks: tuple[str, ...] = ()  # SSML's marks before it


AWAITED = Silence(0.0)  # given out where more text is awaited, so that the caller need not wait with it


@dataclass(frozen=True)
class ScriptReader:
    """Reader of texts as sentences of one voice's tokens."""

    processor: TextProcessor
    max_characters: int | None = None  # of a sentence; a longer one is cut at a comma or a space
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

    def read(self, source: str | Iterable[str | None]) -> Iterator[SentenceTokens | Silence]:
        """Sentences and the pauses between them, in order.

        Args:
            source: SSML if it begins with <speak>; else plain text, in which [[these]] are phonemes. Pieces of plain
                text if it is no str: a sentence is yielded as soon as it is complete, and for None, which stands for
                text that has not arrived, `AWAITED`.

        Raises:
            MarkupError: SSML that is wrong, or phonemes outside the voice's symbols, with the place.
        """
        items = self._items(source)
        waiting: _PauseBetween | None = None  # a pause is due only if something follows
        for item in items:
            if isinstance(item, _PauseBetween):
                waiting = item if waiting is None or waiting.is_join else waiting
                continue
            if item is AWAITED:
                yield item
                continue
            if isinstance(item, SentenceTokens) and waiting is not None:  # an explicit pause replaces it
                if waiting.is_join:
                    item = replace(item, silence_before=waiting.seconds)
                elif waiting.seconds > 0:
                    yield Silence(waiting.seconds)
            waiting = None
            yield item

    def _items(self, source: str | Iterable[str | None]) -> Iterator[SentenceTokens | Silence | _PauseBetween]:
        if isinstance(source, str):
            if is_ssml(source):
                yield from self._read_segments(parse_ssml(source, self.processor.language))
                return
            if "[[" in source:
                yield from self._read_segments(parse_inline(source))
                return
        splitter = SentenceSplitter(self.processor.language, self.max_characters)
        for piece in [source] if isinstance(source, str) else source:
            if piece is None:
                yield AWAITED
                continue
            for start in range(0, len(piece), 10_000):  # so that the first sentence of a book need not wait for it
                for sentence in splitter.feed(piece[start : start + 10_000]):
                    yield from self._read_plain(sentence)
        for sentence in splitter.finish():
            yield from self._read_plain(sentence)

    def _read_plain(self, sentence: Sentence) -> Iterator[SentenceTokens | Silence | _PauseBetween]:
        text = sentence.text
        segments = parse_inline(text) if "[[" in text else [TextSpan(text, None, None, Prosody(), 1, 1)]
        pause = _join(text) if sentence.is_cut else self._pause(sentence.ends_paragraph)
        spans = [each for each in self._pronounced(segments) if isinstance(each, TextSpan)]
        yield from self._utterance(spans, [], pause)
        yield pause

    def _pronounced(self, segments: list[Segment]) -> list[Segment]:
        return segments if self.lexicon is None else self.lexicon.apply(segments)

    def _pause(self, ends_paragraph: bool) -> _PauseBetween:
        return _PauseBetween(self.paragraph_pause if ends_paragraph else self.sentence_pause)

    def _read_segments(self, segments: list[Segment]) -> Iterator[SentenceTokens | Silence | _PauseBetween]:
        """Cut at pauses, marked ends and changes of the speaker; what is between them may be several sentences."""
        spans: list[TextSpan] = []
        marks: list[tuple[str, int]] = []  # name, and the span before which it stands
        for segment in self._pronounced(segments):
            if isinstance(segment, Bookmark):
                marks.append((segment.name, len(spans)))
                continue
            if isinstance(segment, TextSpan):
                if spans and spans[-1].prosody.speaker != segment.prosody.speaker:
                    yield from self._sentences(spans, marks)
                    spans, marks = [], []
                spans.append(segment)
                continue
            held = [name for name, place in marks if place == len(spans)]  # no text follows them
            yield from self._sentences(spans, marks[: len(marks) - len(held)], isinstance(segment, Break))
            spans, marks = [], []
            if isinstance(segment, Pause):
                yield Silence(segment.seconds, tuple(held))
            else:
                if held:
                    yield Silence(0.0, tuple(held))
                yield self._pause(segment.kind == "paragraph")
        held = [name for name, place in marks if place == len(spans)]
        yield from self._sentences(spans, marks[: len(marks) - len(held)])
        if held:
            yield Silence(0.0, tuple(held))

    def _sentences(self, spans: list[TextSpan], marks: list[tuple[str, int]],
                   is_sentence: bool = False) -> Iterator[SentenceTokens | Silence | _PauseBetween]:
        """One group of spans as the sentences in it; one that is marked as a sentence is cut only if too long."""
        borders = _borders(spans)
        start, pause = 0, None
        for end, is_cut in _sentence_ends(spans, self.processor.language, self.max_characters, is_sentence):
            part, first = _cut(spans, start, end)
            inside = [(name, place - first) for name, place in marks if start <= borders[place] < end]
            if pause is not None:
                yield pause
            pause = _join(_text_of(part)) if is_cut else self._pause(ends_paragraph=False)
            yield from self._utterance(part, inside, pause)
            start = end

    def _utterance(self, spans: list[TextSpan], marks: list[tuple[str, int]],
                   pause: _PauseBetween) -> Iterator[SentenceTokens | Silence | _PauseBetween]:
        """Spans as a sentence of tokens before a pause; none if they have no sound, parts if they are too long."""
        for span in spans:
            replacement = span.phonemes or span.respelling or ""
            if len(replacement) > self.longest:
                raise too_long(replacement, self.longest, span.place)
        joined = _clean_spans(spans, self.processor)
        if len(joined.cleaned) > self.longest:
            yield from self._halves(spans, marks, pause)
            return
        encoded = self.processor.encode_lenient(joined.cleaned)
        table, own = self.processor.symbols.symbols, zip(encoded.ids, encoded.places)
        if not any(place >= 0 and is_said(table[each]) for each, place in own):
            if marks:
                yield Silence(0.0, tuple(name for name, _ in marks))
            return  # punctuation alone has no sound
        owners = [joined.owners[place] if place >= 0 else None for place in encoded.places]
        owners = _filled(owners)
        first_token = {place: token for token, place in reversed(list(enumerate(encoded.places))) if place >= 0}
        last_token = {place: token for token, place in enumerate(encoded.places) if place >= 0}
        words = []
        for text, start, end in joined.words:
            spoken = [place for place in range(start, end) if place in first_token]
            nowhere = words[-1].end if words else 0
            words.append(Word(text, first_token[spoken[0]], last_token[spoken[-1]] + 1) if spoken
                         else Word(text, nowhere, nowhere))
        bookmarks = [(name, next((token for token, owner in enumerate(owners) if owner >= span), len(owners)))
                     for name, span in marks]
        yield SentenceTokens(
            text=_text_of(spans), ids=tuple(encoded.ids),
            symbols=tuple(joined.cleaned[place] if place >= 0 else "" for place in encoded.places),
            token_prosody=tuple(spans[owner].prosody for owner in owners), words=tuple(words),
            bookmarks=tuple(bookmarks), unknown=tuple(encoded.unknown),
            silence_after=pause.seconds if pause.is_join else None, place=spans[0].place)

    def _halves(self, spans: list[TextSpan], marks: list[tuple[str, int]],
                pause: _PauseBetween) -> Iterator[SentenceTokens | Silence | _PauseBetween]:
        """Spans that have too many symbols, cut in two; MarkupError if they cannot be."""
        middle, borders = _middle(spans), _borders(spans)
        if middle is None:
            raise too_long(spans[0].respelling or spans[0].text, self.longest, spans[0].place)
        for start, end in ((0, middle), (middle, borders[-1])):
            part, first = _cut(spans, start, end)
            behind = _join(_text_of(part)) if start == 0 else pause
            inside = [(name, place - first) for name, place in marks if start <= borders[place] < end]
            yield from self._utterance(part, inside, behind)
            if start == 0:
                yield behind


def tokens_of_ids(ids: Iterable[int], processor: TextProcessor) -> SentenceTokens:
    """Token ids of the caller as a sentence; their symbols are the table's, and there are no words."""
    ids = tuple(ids)
    symbols = tuple(processor.symbols.symbols[each] if is_symbol else ""
                    for each, is_symbol in zip(ids, processor.are_symbols(ids)))
    return SentenceTokens("".join(symbols), ids, symbols, (Prosody(),) * len(ids))


class _PauseBetween(NamedTuple):
    """A pause that is due if a sentence follows."""

    seconds: float
    is_join: bool = False  # within a sentence that was too long: at most so much silence on either side of the cut


def _join(text: str) -> _PauseBetween:
    """Pause between the parts of a sentence that was too long: short, longer behind a punctuation mark."""
    return _PauseBetween(SILENCE_AT_WORD if text[-1:].isalnum() else SILENCE_AT_MARK, is_join=True)


def _text_of(spans: Iterable[TextSpan]) -> str:
    return "".join(span.text for span in spans).strip()


class _CleanedSpans(NamedTuple):
    """Spans as one cleaned text."""

    cleaned: str
    owners: list[int]  # index of the span of each symbol
    words: list[tuple[str, int, int]]  # as written, first symbol, behind the last


def _clean_spans(spans: list[TextSpan], processor: TextProcessor) -> _CleanedSpans:
    """Clean spans together, as context of each other; phonemes stay as they are."""
    joined = _CleanedSpans("", [], [])
    start = 0
    while start < len(spans):
        span, end = spans[start], start + 1
        if span.phonemes is not None:
            check_phonemes(span.phonemes, processor.symbols.ids, span.place)
            part = _CleanedSpans(span.phonemes, [start] * len(span.phonemes),
                                 [(span.text.strip(), 0, len(span.phonemes))])
        else:
            while end < len(spans) and spans[end].phonemes is None:
                end += 1
            part = _cleaned(spans, start, end, processor)
        parted = spans[start - 1].text[-1:].isspace() if start else False
        joined = _append(joined, part, " " if parted and joined.cleaned and part.cleaned else "")
        start = end
    return joined


def _append(joined: _CleanedSpans, part: _CleanedSpans, between: str) -> _CleanedSpans:
    offset = len(joined.cleaned) + len(between)
    owners = joined.owners + [joined.owners[-1] for _ in between] + part.owners
    return _CleanedSpans(joined.cleaned + between + part.cleaned, owners,
                         joined.words + [(text, start + offset, end + offset) for text, start, end in part.words])


def _cleaned(spans: list[TextSpan], first: int, end: int, processor: TextProcessor) -> _CleanedSpans:
    """Neighbouring spans that are text, cleaned as one line; words of a respelling count as what was written."""
    line, owner_of = "", []  # the span of each character of the line
    for place in range(first, end):
        span = spans[place]
        piece = span.text if span.respelling is None else span.respelling + " " * span.text[-1:].isspace()
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
        if spans[owner].respelling is None:
            words.append((word.text, word.cleaned_start, word.cleaned_end))
        elif owner == respelled:
            words[-1] = (words[-1][0], words[-1][1], word.cleaned_end)
        else:
            words.append((spans[owner].text.strip(), word.cleaned_start, word.cleaned_end))
            respelled = owner
    return _CleanedSpans(cleaned, _filled(owners, first), words)


def _filled(owners: list[int | None], default: int = 0) -> list[int]:
    """Owners without None: the one before; at the beginning the one that follows."""
    current = next((owner for owner in owners if owner is not None), default)
    filled = []
    for owner in owners:
        current = current if owner is None else owner
        filled.append(current)
    return filled


def _sentence_ends(spans: list[TextSpan], language: str, max_characters: int | None,
                   is_sentence: bool) -> list[tuple[int, bool]]:
    """Where sentences end in the spans' text put together, and whether the length guard made that end.

    Never within phonemes or a respelling.
    """
    text = "".join(span.text for span in spans)
    if not text.strip():
        return [(len(text), False)] if any(span.phonemes or span.respelling for span in spans) else []
    if is_sentence and (max_characters is None or len(text) <= max_characters):
        return [(len(text), False)]
    ends, position, borders = [], 0, _borders(spans)
    for sentence in split_sentences(text, language, max_characters):
        end = sentence.end
        for span, low, high in zip(spans, borders, borders[1:]):
            if low < end < high and (span.phonemes or span.respelling):
                end = high
        if end > position:
            ends.append((end, sentence.is_cut))
            position = end
    return [*ends[:-1], (len(text), False)] if ends else []


def _middle(spans: list[TextSpan]) -> int | None:
    """Where spans are best cut in two, as a place in their texts put together; None if nowhere."""
    text, borders = "".join(span.text for span in spans), _borders(spans)
    if len(text) < 2:
        return None
    place = cut_place(text, max(1, 3 * len(text) // 4), len(text) / 2)
    for span, low, high in zip(spans, borders, borders[1:]):
        if low < place < high and (span.phonemes or span.respelling):
            place = low if 0 < low and (high == len(text) or place - low < high - place) else high
    return place if 0 < place < len(text) else None


def _borders(spans: list[TextSpan]) -> list[int]:
    """Where each span begins in their texts put together, and where the last one ends."""
    return [0, *itertools.accumulate(len(span.text) for span in spans)]


def _cut(spans: list[TextSpan], start: int, end: int) -> tuple[list[TextSpan], int]:
    """Characters [start, end) of the spans' texts put together, as spans, and the index of the first."""
    borders, part, first = _borders(spans), [], None
    for place, (span, low) in enumerate(zip(spans, borders)):
        if low >= end > start:
            break
        text = span.text[max(0, start - low) : max(0, end - low)]
        if part or text.strip() or (start <= low < end and span.respelling):
            part.append(span._replace(text=text if part else text.lstrip()))
            first = place if first is None else first
    return [each for each in part if each.text or each.respelling], first or 0
