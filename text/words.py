"""Alignment of written words with the cleaned text, for times of words and a speed of each word.

    cleaned = processor.clean(["One of the 21 cats."])[0]                     # "wˈʌn ʌvðə twˈɛnti wˈʌn kˈæts."
    words = align_words("One of the 21 cats.", cleaned, processor.clean)      # of: "ʌv", the: "ðə", 21: "twˈɛnti wˈʌn"

espeak-ng merges words and writes numbers out, so white space is not enough. Each word is also cleaned alone, and the
concatenated words are aligned with the sentence by their longest common subsequence. All vowels count as equal, because
they change within a sentence; stress, length and accents are ignored.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

SPOKEN_MARKS = frozenset("%‰&@§")  # punctuation in Unicode, but read aloud

# Scripts without spaces: each Han character is a word; so is a run of kana, Thai, Lao, Burmese or Khmer.
_HAN = r"\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_RUNS = r"\u3040-\u30ff", r"\u0e00-\u0e7f", r"\u0e80-\u0eff", r"\u1000-\u109f", r"\u1780-\u17ff"
_UNSPACED = re.compile("|".join([rf"[{_HAN}]", *(rf"[{run}]+" for run in _RUNS), rf"[^{_HAN}{''.join(_RUNS)}]+"]))

# Characters that separate words without a space, as several points do; a comma between two digits does not.
_BETWEEN = r"—–…;!?¡¿\"“”„«»()\[\]{}。、，．！？；：।॥؟،؛۔"
_GROUP = re.compile(rf"(?:[^\s,.{_BETWEEN}]|(?<!\.)\.(?!\.)|(?<=\d),(?=\d))+")

_STRESS = frozenset("ˈˌ")  # part of what follows
_LENGTHS = frozenset("ːˑ")  # part of what is before, as accents are
_VOWELS = str.maketrans(dict.fromkeys("aeiouyæɑɒɐəɚɜɝɛɪɔʊʌɨʉɯɤøœɶɵɘɞᵻ", "a"))


class AlignedWord(NamedTuple):
    """A written word and its span in the cleaned text."""

    text: str  # as written, with no surrounding punctuation
    start: int  # in the written text
    end: int
    cleaned_start: int  # in the cleaned text
    cleaned_end: int  # equal to the start if nothing is left of the word


def written_words(text: str) -> list[tuple[int, int]]:
    """Start and end of each word of a text, without the punctuation around it.

    Words are separated by spaces, commas, dashes, brackets and quotes, and keep hyphens, apostrophes and points. In
    scripts without spaces each Han character is a word, and each run of kana, Thai, Lao, Burmese or Khmer.
    """
    spans = []
    for group in _GROUP.finditer(text):
        for part in _UNSPACED.finditer(text, *group.span()):
            start, end = part.span()
            while start < end and not is_said(text[start]):
                start += 1
            while start < end and not is_said(text[end - 1]):
                end -= 1
            if start < end:
                spans.append((start, end))
    return spans


def align_words(text: str, cleaned: str, clean: Callable[[list[str]], list[str]],
                joined: Sequence[tuple[int, int]] = ()) -> list[AlignedWord]:
    """Where each word of a text stands in the text that the cleaners made of it.

    The spans are in order and do not overlap, and everything in the cleaned text that is neither white space nor
    punctuation is in one of them. A text that has only punctuation is one word if the cleaners read it out.

    Args:
        text: as written.
        cleaned: what `clean` makes of it.
        clean: cleans lines, such as `TextProcessor.clean`; called once, with the distinct words.
        joined: start and end of stretches that are read as one, such as "5 m²", in order; see `TextProcessor.joined`.

    Raises:
        ValueError: `clean` does not return as many lines as it gets.
    """
    spans = written_words(text)
    sounds = _sounds(cleaned)
    if not spans and sounds and text.strip():
        start = len(text) - len(text.lstrip())
        return [AlignedWord(text.strip(), start, start + len(text.strip()), sounds[0].place, sounds[-1].place + 1)]
    if not spans:
        return []
    units = _units(spans, joined)
    borders = [(spans[first][0], spans[end - 1][1]) for first, end in units]
    written = [text[start:end + (text[end:end + 2].rstrip() == ".")] for start, end in spans + borders]  # "e.g." whole
    distinct = list(dict.fromkeys(written))
    alone = clean(distinct)
    if len(alone) != len(distinct):
        raise ValueError(f"`clean` returned {len(alone)} lines for {len(distinct)} words; expected one line for each")
    alone = dict(zip(distinct, map(_sounds, alone)))
    gaps = _gaps(text, spans)
    of_units = _owners([alone[unit] for unit in written[len(spans):]], [gaps[first] for first, _ in units], sounds)
    owners = []
    for unit, own in groupby(range(len(sounds)), key=of_units.__getitem__):
        first, end = units[unit]
        inside = [sounds[place] for place in own]
        shares = [0] * len(inside)
        if end - first > 1:
            shares = _owners([alone[word] for word in written[first:end]], gaps[first:end], inside)
        owners += [first + share for share in shares]
    return _with_places(text, spans, owners, sounds)


def _units(spans: list[tuple[int, int]], joined: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """First and last (behind it) of the words that are aligned as one: those of a joined stretch, or each alone."""
    units, place, number = [], 0, 0
    while place < len(spans):
        while number < len(joined) and joined[number][1] <= spans[place][0]:
            number += 1
        end = place + 1
        if number < len(joined) and joined[number][0] <= spans[place][0]:
            while end < len(spans) and spans[end][0] < joined[number][1]:
                end += 1
        units.append((place, end))
        place = end
    return units


class _Sound(NamedTuple):
    """A character that is neither white space nor silent punctuation."""

    place: int  # in the cleaned text
    group: int  # number of separators before it
    symbol: str  # for comparison; "" for stress, lengths and accents
    leads: bool  # whether it is stress


def is_said(character: str) -> bool:
    """Whether a character is pronounced: neither white space nor silent punctuation."""
    if character.isalnum():
        return True
    return not character.isspace() and (unicodedata.category(character)[0] != "P" or character in SPOKEN_MARKS)


def _sounds(cleaned: str) -> list[_Sound]:
    """The pronounced characters of a cleaned text, in order."""
    sounds = []
    for group, match in enumerate(_GROUP.finditer(cleaned)):
        for place, character in enumerate(match[0], match.start()):
            if is_said(character):
                leads = character in _STRESS
                carried = leads or character in _LENGTHS or unicodedata.category(character)[0] == "M"
                symbol = "" if carried else character.lower()[0].translate(_VOWELS)
                sounds.append(_Sound(place, group, symbol, leads))
    return sounds


def _gaps(text: str, spans: list[tuple[int, int]]) -> list[str]:
    """The separator before each word for the comparison: a space, or nothing between Han characters."""
    ends = [0] + [end for _, end in spans[:-1]]
    return [" " if end < start else "" for end, (start, _) in zip(ends, spans)]


def _owners(words: list[list[_Sound]], gaps: list[str], sounds: list[_Sound]) -> list[int]:
    """The index of the word of each sound of the sentence, never decreasing."""
    symbols, writers = "", []  # of the concatenated words, and the word of each symbol
    for number, (word, gap) in enumerate(zip(words, gaps)):
        added = _symbols(word)
        added = gap * bool(symbols and added) + added
        symbols += added
        writers += [number] * len(added)
    matches = match_characters(symbols, _symbols(sounds))
    groups = _groups(sounds)
    if len(groups) == len(words) and all(len(_groups(word)) == 1 for word in words):
        pairs = [match_characters(_symbols(word), _symbols(group)) for word, group in zip(words, groups)]
        if sum(len(pair) - pair.count(-1) for pair in pairs) + len(pairs) - 1 >= len(matches) - matches.count(-1):
            return [number for number, group in enumerate(groups) for _ in group]
    found = iter([-1 if match < 0 or symbols[match] == " " else writers[match]
                  for symbol, match in zip(_symbols(sounds), matches) if symbol != " "])
    owners = [next(found) if sound.symbol else -1 for sound in sounds]
    _lead_on(owners, sounds)
    _fill(owners, sounds, len(words))
    return _without_scraps(owners, groups)


def _groups(sounds: list[_Sound]) -> list[list[_Sound]]:
    return [list(group) for _, group in groupby(sounds, key=attrgetter("group"))]


def _symbols(sounds: list[_Sound]) -> str:
    """The symbols for comparison, with a space between groups."""
    joined = ("".join(sound.symbol for sound in group) for group in _groups(sounds))
    return " ".join(filter(None, joined))


def match_characters(written: str, other: str) -> list[int]:
    """Index in `written` of the counterpart of each character of `other`, -1 for none (longest common subsequence).

    A column of the table is the bits of one integer (Hyyrö 2004): where a bit is 0, one more character of `written` is
    one more match.
    """
    masks: dict[str, int] = {}
    for place, character in enumerate(written):
        masks[character] = masks.get(character, 0) | 1 << place
    every = (1 << len(written)) - 1
    columns = [every]
    for character in other:
        idle = columns[-1]
        taken = idle & masks.get(character, 0)
        columns.append((idle + taken | idle - taken) & every)
    matches = [-1] * len(other)
    row, column = len(written), len(other)
    while row and column:
        bit = 1 << row - 1
        if columns[column] & bit:
            row -= 1
            continue
        column -= 1
        if columns[column] & bit:
            row -= 1
            matches[column] = row
    return matches


def _lead_on(owners: list[int], sounds: list[_Sound]) -> None:
    """Assign stress marks to the word of the following sound in their group."""
    for place in reversed(range(len(sounds) - 1)):
        if sounds[place].leads and sounds[place].group == sounds[place + 1].group:
            owners[place] = owners[place + 1]


def _fill(owners: list[int], sounds: list[_Sound], n_words: int) -> None:
    """Assign sounds without a word (-1) to a neighbour's in the group, else to a word without sounds, else left."""
    place = 0
    while place < len(owners):
        end = place
        while end < len(owners) and owners[end] < 0:
            end += 1
        if end > place:
            left = owners[place - 1] if place else -1
            right = owners[end] if end < len(owners) else n_words
            left_group = sounds[place - 1].group if place else -1
            right_group = sounds[end].group if end < len(owners) else -1
            groups = [sound.group for sound in sounds[place:end]]
            spare = sorted(set(groups) - {left_group, right_group})  # groups of their own
            for at, group in zip(range(place, end), groups):
                if left == right or group == left_group:
                    owners[at] = left
                elif group == right_group:
                    owners[at] = right
                elif right - left > 1:  # words in between without sounds
                    owners[at] = left + 1 + spare.index(group) * (right - left - 1) // len(spare)
                else:
                    owners[at] = left if left >= 0 else right
        place = end + 1


def _without_scraps(owners: list[int], groups: list[list[_Sound]]) -> list[int]:
    """Remove small parts of a group from a word that also has a neighbouring group."""
    end = 0
    for group in groups:
        start, end = end, end + len(group)
        first, last = owners[start], owners[end - 1]
        if first == last:
            continue
        n_first, n_last = owners[start:end].count(first), owners[start:end].count(last)
        if start and owners[start - 1] == first and 2 * n_first < len(group):
            owners[start:start + n_first] = [owners[start + n_first]] * n_first
        if end < len(owners) and owners[end] == last and 2 * n_last < len(group):
            owners[end - n_last:end] = [owners[end - n_last - 1]] * n_last
    return owners


def _with_places(text: str, spans: list[tuple[int, int]], owners: list[int], sounds: list[_Sound]) -> list[AlignedWord]:
    """The words with their spans in the cleaned text, from first to last sound."""
    places: dict[int, list[int]] = {}
    for owner, sound in zip(owners, sounds):
        places.setdefault(owner, []).append(sound.place)
    words, here = [], 0
    for number, (start, end) in enumerate(spans):
        own = places.get(number)
        cleaned_start, here = (own[0], own[-1] + 1) if own else (here, here)
        words.append(AlignedWord(text[start:end], start, end, cleaned_start, here))
    return words
