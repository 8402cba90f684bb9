"""Splitting of text into sentences of limited length, also of a stream that is still being written.

    splitter = SentenceSplitter("en-us", max_characters=200)
    for sentence in splitter.feed("Dr. Bell paid $3.50. Then he le"): print(sentence.text)   # Dr. Bell paid $3.50.

The text is processed character by character, so its division into pieces does not matter. A mark that may end a
sentence waits for the next letter or digit, and for the whole word only after a possible abbreviation. Everything but
white space is in exactly one sentence, in order; left out are paragraphs and pieces of the length limit that have
nothing to pronounce: no letter, digit, currency sign or pictograph.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from text import marks
from text.abbreviations import ORDINAL_LANGUAGES, TABLES, Rules

LONGEST = 5000  # characters; the default limit, so that text without any mark is still split

# They end a sentence whatever follows, with or without a space.
FULL_STOPS = marks.FULL_STOPS + "".join(sorted(set(marks.EXCLAMATIONS + marks.QUESTIONS) - set("‼⁇⁈⁉‽")))
MARKS = frozenset(".!?…‼⁇⁈⁉‽．\u037e" + FULL_STOPS)  # U+037E is the Greek question mark
CLOSERS = "\"'”’“‘»«›‹)]}」』）】》〉］｝｣"  # behind a mark without a space each of them closes, „so“ and »so« too
COMMAS = frozenset(",;:،؛、，；：")  # behind the closing quote: the sentence goes on
BULLETS = frozenset("-–*+•‣◦▪●")
LINE_BREAKS = frozenset("\n\r\v\f\x85\u2028\u2029")
VOWELS = frozenset("aeiouyæøœıаеёиоуыэюяіїєαεηιουωաեէըիոօևაეიოუ")
WORD_LENGTH = 24  # characters; no word that begins sentences is longer

# What closes or repeats a mark, without a space or as a group of its own: 'no.' Then | « Non. » Puis | so . . . Then
_TAIL = re.compile(rf"[^ ]+(?: [{re.escape(''.join(MARKS))}\"'”’»›)\]}}]+(?= ))*")
_TIGHT_TAIL = re.compile(rf"[{re.escape(''.join(MARKS))}]+[\"'”’»›)\]}}」』）】》〉］｝｣]*")  # in Chinese “ opens
_LAST_WORD = re.compile(r"(?:(?<![^\W_])[^\W\d_]\. )*\S*$")  # with the letters before it: J. R. R, z. B
_ITEM = re.compile(r"\(?(\d{1,3}|[^\W\d_]|[ivx]{1,5})", re.IGNORECASE)
_ITEM_HEAD = re.compile(r"\(?(\d{1,3})[.)]")
_LETTERS = re.compile(r"[^\W\d_]|(?:[^\W\d_]\.)+[^\W\d_]{1,2}")  # J, U.S, p.m
_ROMAN = re.compile(r"[IVXLC]+")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
                       r"\U00020000-\U0003ffff]")  # Thai, Lao, Burmese, Khmer, kana, Han


class Sentence(NamedTuple):
    """A sentence and its position in the text."""

    text: str  # as written, but white space within it is one space
    start: int  # index of its first character
    end: int  # behind its last
    ends_paragraph: bool  # an empty line, or the end of the text, follows
    is_cut = False  # whether the length limit ended it, within a sentence


class CutSentence(Sentence):
    """A part of a sentence that the length limit ended."""

    __slots__ = ()
    is_cut = True


def split_sentences(text: str, language: str = "en-us", max_characters: int | None = None) -> list[Sentence]:
    """Split a complete text into sentences; see `SentenceSplitter`."""
    splitter = SentenceSplitter(language, max_characters)
    return splitter.feed(text) + splitter.finish()


class SentenceSplitter:
    """Incremental splitter, which returns sentences as soon as they are complete.

    Args:
        language: espeak-ng's name; languages without a table use the English one.
        max_characters: longer sentences are cut near pauses, at twice this length even before they are complete.
            None: `LONGEST`.
    """

    def __init__(self, language: str = "en-us", max_characters: int | None = None) -> None:
        if max_characters is not None and max_characters < 1:
            raise ValueError(f"max_characters is {max_characters}; expected None or at least 1 (about the length of "
                             "the voice's training texts, such as 200)")
        self._rules = rules_of(language)
        self._longest = max_characters or LONGEST
        self._start_over()

    def feed(self, piece: str) -> list[Sentence]:
        """Add a piece of text and return the sentences that it completes."""
        for character in piece:
            if character.isspace():
                self._skip_space(character)
            else:
                self._put(character)
            self._position += 1
        done, self._done = self._done, []
        return done

    def finish(self) -> list[Sentence]:
        """End the text and return the remaining sentences; the splitter can then take another text."""
        self._end_paragraph()
        done = self._done
        self._start_over()
        return done

    def _start_over(self) -> None:
        self._position = 0  # in the text
        self._done: list[Sentence] = []
        self._after_return = False
        self._start_paragraph()

    def _start_paragraph(self) -> None:
        self._characters: list[str] = []  # of the sentence so far, white space as one space, none at the end
        self._places: list[int] = []  # of each in the text
        self._first_letter = ""
        self._has_sound = False
        self._mark: int | None = None  # index of the first mark of those that may end the sentence
        self._ahead: int | None = None  # index of the first letter or digit behind, while its word is awaited
        self._line: int | None = 0  # index at which the line begins, while its first group is not complete
        self._item = 0  # number of the list's last item
        self._gap = False  # white space came since the last character
        self._breaks = 0  # line breaks in it

    def _skip_space(self, character: str) -> None:
        if self._ahead is not None:
            self._decide(complete=True)
        if character in LINE_BREAKS and not (character == "\n" and self._after_return):
            self._breaks += 2 if character == "\u2029" else 1
            if self._breaks >= 2:
                self._end_paragraph()
        self._gap = True
        self._after_return = character == "\r"

    def _put(self, character: str) -> None:
        """Add the next character that is not white space."""
        self._after_return = False
        if self._ahead is not None and not (character.isalnum() and len(self._characters) - self._ahead < WORD_LENGTH):
            self._decide(complete=True)
        if self._gap:
            self._put_space()
        place = len(self._characters)
        self._characters.append(character)
        self._places.append(self._position)
        if self._mark is None:
            if character in MARKS:
                if self._has_sound:
                    self._mark = place
            elif not self._first_letter and character.isalpha():
                self._first_letter = character
            self._has_sound = self._has_sound or is_sound(character)
        elif self._ahead is None and (character.isalnum() or unicodedata.category(character) == "Sc"):
            self._ahead = place
            self._decide(complete=False)
        if len(self._characters) >= 2 * self._longest:
            self._cut(0.75 * self._longest)

    def _put_space(self) -> None:
        """Add a space for the white space before the next character."""
        if self._characters:
            if self._line is not None:
                self._begin_item(self._line)
            self._characters.append(" ")
            self._places.append(self._position - 1)
        if self._breaks:
            self._line = len(self._characters)
        self._gap = False
        self._breaks = 0

    def _begin_item(self, line: int) -> None:
        """End the sentence before a line that begins with a bullet or the next number of a list."""
        self._line = None
        head = "".join(self._characters[line:line + 6])
        begins = head in BULLETS
        if found := _ITEM_HEAD.fullmatch(head):
            number = int(found[1])
            listed = self._item > 0 or line < 2 or not self._characters[line - 2].isalnum()
            begins = listed and number == self._item + 1
            if begins or line == 0:
                self._item = number
        if begins and line > 0:
            self._leave(line - 1)

    def _decide(self, complete: bool) -> None:
        """End the sentence at the mark, or not, or wait for the whole word behind it."""
        mark, ahead = self._mark, self._ahead
        behind = "".join(self._characters[mark:ahead])
        word = "".join(self._characters[ahead:]) if complete else None
        tail, ends = self._sentence_end(behind, self._characters[ahead], word)
        if ends is None:
            return
        self._mark = self._ahead = None
        if ends:
            self._leave(mark + tail)

    def _sentence_end(self, behind: str, first: str, word: str | None) -> tuple[int, bool | None]:
        """Number of characters from the mark on that belong to the sentence, and whether it ends there.

        Args:
            behind: from the mark up to the first letter or digit.
            first: that letter or digit.
            word: its whole word, None if it is not complete yet.
        """
        spaced = " " in behind
        full_stop = any(character in FULL_STOPS for character in behind.partition(" ")[0])
        tail = (_TAIL if spaced else _TIGHT_TAIL).match(behind)[0]
        if any(character in COMMAS for character in behind[:len(tail) + 1]):
            return 0, False
        closed = any(character in CLOSERS for character in tail)
        if full_stop:
            if tail.endswith('"') and not spaced and self._characters[:self._mark].count('"') % 2 == 0:
                tail = tail[:-1]  # it opens the next sentence
            return len(tail), not (closed and first in "とっ")  # 「…！」と言う: direct speech, and its speaker
        if not spaced:
            tight = len(behind) == len(tail) and _CJK.match(first) is not None  # 你好!我很好 but not example.com
            return len(tail), tight and (closed or tail[-1] not in ".．" or not _is_ascii_word(self._before(1)))
        lower = first.islower()
        if lower and closed:
            return 0, False  # "Stop!" he said
        found = [character for character in tail if character in MARKS]
        if any(character not in ".…．" for character in found):
            return len(tail), not lower or not self._first_letter.isupper()  # Yahoo! in; text all in lower case
        if "…" in found or len(found) > 1:
            return len(tail), not lower
        return len(tail), self._point_ends_sentence(first, word)

    def _point_ends_sentence(self, first: str, word: str | None) -> bool | None:
        """Whether a point ends the sentence before a word that begins with `first`; None if the word is needed."""
        rules, lower = self._rules, first.islower()
        before = self._before(40).rstrip()
        found = _LAST_WORD.search(before)
        last = found[0].replace(" ", "").lstrip("\"'“”„‘‚«»‹›([{¿¡*_—–-")
        name = last.lower()
        at_start = self._mark <= 40 and not any(map(is_sound, before[:found.start()]))
        if at_start and _ITEM.fullmatch(last):
            self._item = int(last) if last.isdecimal() else self._item
            return False
        if name in rules.never:
            return False
        if name in rules.before_number:
            return not (lower or first.isdigit())
        if name in rules.before_capital:
            return not lower
        if not self._is_doubtful(last, name):
            return True
        if last == "I" and rules.i_is_a_word and not before[:found.start()].rstrip().rpartition(" ")[2][:1].isupper():
            return True
        if lower or first.isdigit():
            return False
        return word if word is None else word.lower() in rules.starters

    def _is_doubtful(self, last: str, name: str) -> bool:
        """Whether a point after this word may belong to the word."""
        rules = self._rules
        if rules.ordinals and (last.isdecimal() and len(last) <= 3 or _ROMAN.fullmatch(last)):
            return True
        return (name in rules.perhaps or name.endswith(rules.endings) or _LETTERS.fullmatch(last) is not None
                or _looks_shortened(last))

    def _before(self, count: int) -> str:
        """The last characters before the mark."""
        return "".join(self._characters[max(0, self._mark - count):self._mark])

    def _leave(self, end: int) -> None:
        """Complete the first `end` characters as a sentence."""
        while end > self._longest:
            end -= self._cut(end / -(-end // self._longest), end)
        self._give_out(end, False)

    def _cut(self, ideal: float, length: int | None = None) -> int:
        """Complete a piece of about `ideal` of the first `length` characters; returns how many were removed."""
        text = "".join(self._characters[:length])
        place = cut_place(text, self._longest, ideal, self._rules.conjunctions)
        return self._give_out(place, False, is_cut=True)

    def _give_out(self, end: int, ends_paragraph: bool, is_cut: bool = False) -> int:
        """Complete the first `end` characters, and drop a space after them; returns how many were removed."""
        characters, places = self._characters, self._places
        if any(map(is_sound, characters[:end])):
            kind = CutSentence if is_cut else Sentence
            self._done.append(kind("".join(characters[:end]), places[0], places[end - 1] + 1, ends_paragraph))
        gone = end + (characters[end:end + 1] == [" "])
        del characters[:gone], places[:gone]
        self._mark, self._ahead, self._line = (
            None if index is None or index < gone else index - gone for index in (self._mark, self._ahead, self._line))
        if self._mark is None:
            self._ahead = None
        self._first_letter = next(filter(str.isalpha, characters), "")
        self._has_sound = any(map(is_sound, characters))
        return gone

    def _end_paragraph(self) -> None:
        """Complete everything so far."""
        if self._ahead is not None:
            self._decide(complete=True)
        end = len(self._characters)
        while end > self._longest:
            end -= self._cut(end / -(-end // self._longest))
        if end:
            self._give_out(end, True)
        self._start_paragraph()


@lru_cache(maxsize=32)
def rules_of(language: str) -> Rules:
    """The rules of a language by espeak-ng's name of it or of a variant."""
    code = language.lower().replace("_", "-").split("-")[0]
    return TABLES.get(code) or TABLES["en"]._replace(ordinals=code in ORDINAL_LANGUAGES)


def is_sound(character: str) -> bool:
    """Whether a character is pronounced: a letter, a digit, a currency sign or a pictograph."""
    return character.isalnum() or unicodedata.category(character) in ("Sc", "So")


def cut_place(text: str, longest: int, ideal: float, conjunctions: frozenset[str] = frozenset()) -> int:
    """The length of the first piece, at most `longest`: near `ideal`, at the best place for a pause."""
    def cost(place: int) -> float:
        return _roughness(text, place, conjunctions) + abs(place - ideal) / longest

    return min(range(max(1, longest // 4), min(longest, len(text) - 1) + 1), key=cost)


def _roughness(text: str, place: int, conjunctions: frozenset[str]) -> float:
    """The cost of a cut before text[place], from 0 (none); 1 is as bad as a piece of no length."""
    before, after = text[place - 1], text[place]
    if after == " ":
        if before.isdigit() and text[place + 1:place + 2].isdigit():
            return 1.0  # 1 000 000
        mark = text[max(0, place - 4):place].rstrip(CLOSERS)[-1:]
        if mark in MARKS:
            return 0.0
        if mark in COMMAS or mark in "—–-":
            return 0.15 if mark in ",،、，" else 0.05
        following = text[place + 1:place + 1 + WORD_LENGTH].partition(" ")[0]
        return 0.3 if following.lower() in conjunctions or before in CLOSERS else 0.45
    if before == " " or are_joined(text, place):
        return 100.0
    if before in FULL_STOPS or before in "、，；：—" and after not in CLOSERS:
        return 0.15
    if _UNSPACED.match(before) and _UNSPACED.match(after):
        return 0.8
    return 3.0


def are_joined(text: str, place: int) -> bool:
    """Whether text[place] forms one visible character with the one before: an accent, a joined emoji, a flag."""
    before, after = text[place - 1], text[place]
    if unicodedata.category(after) in ("Mn", "Mc", "Me", "Cf") or before == "\u200d" or after == "\u0e33":
        return True
    if unicodedata.combining(before) == 9:  # a virama: the next consonant is written into this one
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff":  # the colour of a skin
        return True
    if "\U0001f1e6" <= after <= "\U0001f1ff":  # two letters make a flag
        letters = re.search("[\U0001f1e6-\U0001f1ff]*$", text[max(0, place - 64):place])[0]
        return len(letters) % 2 == 1
    if "\u1160" <= after <= "\u11ff" and "\u1100" <= before <= "\u11ff":  # letters of one Korean syllable
        return True
    return "\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff"  # halves that JSON left behind


def _looks_shortened(word: str) -> bool:
    """Whether a word is short, not all in capitals, and without a vowel: Kfz, Blvd."""
    if not (1 < len(word) <= 5 and word.isalpha() and word.lower() != word.upper() and not word.isupper()):
        return False
    letters = unicodedata.normalize("NFD", word.lower())
    return max(letters) < "\u1100" and not VOWELS & set(letters)  # above are syllables, as of Cherokee


def _is_ascii_word(character: str) -> bool:
    return character.isascii() and character.isalnum()
