"""Text cleaners, from written lines to lines of symbols; chosen by name in `data.text_cleaners`.

    @cleaner("shouting")
    def shouting(lines, language):
        return [line.upper() for line in lines]

A cleaner takes a batch of lines and espeak-ng's name of the language, and returns as many lines.
"""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from text.espeak import phonemize, phonemize_clauses, split_at_pauses

Cleaner = Callable[[list[str], str], list[str]]

CLEANERS: dict[str, Cleaner] = {}  # filled by @cleaner

# Cleaners whose voices were trained on texts from which every symbol that the table lacks had been dropped in silence.
DROPPING = frozenset({"mms_cleaners"})

# Cleaners that ask espeak-ng, which names the letters of scripts that a language has no rules for.
PHONEMIZING = frozenset({"espeak", "espeak_clauses", "normalised_espeak", "english_espeak", "english_cleaners",
                         "english_cleaners2"})

# The table of the published cleaners, misspelling included: models were trained on what it sounds like.
PUBLISHED_ABBREVIATIONS = {
    "mrs": "misess", "mr": "mister", "dr": "doctor", "st": "saint", "co": "company", "jr": "junior", "maj": "major",
    "gen": "general", "drs": "doctors", "rev": "reverend", "lt": "lieutenant", "hon": "honorable", "sgt": "sergeant",
    "capt": "captain", "esq": "esquire", "ltd": "limited", "col": "colonel", "ft": "fort",
}


_PHONEMES_OF_A_WORD = re.compile(r"[^\s.,:;!?¡¿—…\"«»“”]+")
_DEVOICED = str.maketrans("zɾ", "st")  # use, excuse and house differ in that alone


def cleaner(name: str) -> Callable[[Cleaner], Cleaner]:
    """Decorator that registers a cleaner under its name in configurations."""
    def register(function: Cleaner) -> Cleaner:
        if name in CLEANERS:
            raise ValueError(f"there is a cleaner {name!r} already; choose another name")
        CLEANERS[name] = function
        return function

    return register


def get_cleaner(name: str) -> Cleaner:
    """The cleaner of a name; raises ValueError with the nearest name for an unknown one."""
    if name in CLEANERS:
        return CLEANERS[name]
    match = difflib.get_close_matches(name, CLEANERS, n=1, cutoff=0.4)
    hint = f"; did you mean {match[0]!r}?" if match else ";"
    raise ValueError(f"no text cleaner {name!r}{hint} there are {', '.join(CLEANERS)}")


@cleaner("basic_cleaners")
def basic_cleaners(lines: list[str], language: str) -> list[str]:
    """Lowercase and single spaces; for voices of letters in any language."""
    return [_collapse(line.lower()).strip() for line in lines]


@cleaner("transliteration_cleaners")
def transliteration_cleaners(lines: list[str], language: str) -> list[str]:
    """As basic, with every letter written in ASCII."""
    return [_collapse(_to_ascii(line).lower()).strip() for line in lines]


@cleaner("english")
def english(lines: list[str], language: str) -> list[str]:
    """English with numbers, money, times, abbreviations and initials written out, in lowercase ASCII."""
    from text.english import normalise

    return [normalise(line) for line in lines]


@cleaner("espeak")
def espeak(lines: list[str], language: str) -> list[str]:
    """Phonemes of the language, with stress and punctuation."""
    return [_collapse(line).strip() for line in phonemize(lines, language)]


@cleaner("espeak_clauses")
def espeak_clauses(lines: list[str], language: str) -> list[str]:
    """Phonemes as Piper's voices were trained on: espeak-ng reads marks too, and ends each clause with one."""
    return [_collapse(line) for line in phonemize_clauses(lines, language)]


@cleaner("mms_cleaners")
def mms_cleaners(lines: list[str], language: str) -> list[str]:
    """For MMS's voices: lowercase; unknown symbols are dropped afterwards (see DROPPING)."""
    lowered = [line.lower() for line in lines]
    # Romanian is written with a comma below ț, and was trained on with a cedilla.
    return [line.replace("ț", "ţ") for line in lowered] if language in ("ro", "ron") else lowered


@cleaner("uroman")
def uroman(lines: list[str], language: str) -> list[str]:
    """Romanisation of any script by the library uroman, as for many of MMS's voices.

    Raises:
        ValueError: the library is not installed.
    """
    romaniser = _romaniser()
    return [romaniser.romanize_string(line, lcode=language) for line in lines]


@functools.lru_cache(maxsize=1)
def _romaniser() -> Any:
    """The library with its tables, cached because they take seconds to load."""
    from utils import import_package  # with NumPy, which a text is read without

    return import_package("uroman", otherwise="write the text in Latin letters and set data.text_cleaners="
                                              '["mms_cleaners"]').Uroman()


@cleaner("decomposed")
def decomposed(lines: list[str], language: str) -> list[str]:
    """Accents as separate symbols after their letters (NFD); after `espeak`, for Piper's voices."""
    return [unicodedata.normalize("NFD", line) for line in lines]


@cleaner("english_espeak")
def english_espeak(lines: list[str], language: str) -> list[str]:
    """`english`, then `espeak`."""
    return espeak(english(lines, language), language)


@cleaner("normalised")
def normalised(lines: list[str], language: str) -> list[str]:
    """Numbers, dates, amounts, addresses, acronyms and abbreviations as words, in every language that has data."""
    from text.normalisation import normalise

    return [normalise(line, language) for line in lines]


@cleaner("normalised_espeak")
def normalised_espeak(lines: list[str], language: str) -> list[str]:
    """`normalised`, then phonemes as of `espeak`; marks of every script, brackets and dashes are pauses."""
    from text.normalisation import normalise_for_espeak
    from text.normalisation.unicode import stretches

    parts = [stretches(line, language) for line in lines]
    spoken = [normalise_for_espeak(part, language) for line in parts for part in line]
    phonemes = phonemize([_with_pauses(text) for text, _ in spoken], language,
                         split=functools.partial(split_at_pauses, language=language))
    said = iter([_with_pronounced(_collapse(part).strip(), len(text.split()), known)
                 for part, (text, known) in zip(phonemes, spoken)])
    return [" ".join(filter(None, [next(said) for _ in line])) for line in parts]


def _with_pronounced(phonemes: str, n_words: int, known: list[Any]) -> str:
    """Phonemes in which words that are said in two ways are said in the known one: the nearest with such consonants."""
    groups = phonemes.split(" ")
    skeletons = [_skeleton(group) for group in groups] if known else []
    for place, wanted in known:
        near = [at for at, skeleton in enumerate(skeletons) if skeleton == _skeleton(wanted)]
        if near:
            at = min(near, key=lambda each: abs(each / len(groups) - place / n_words))
            groups[at] = _PHONEMES_OF_A_WORD.sub(lambda match, wanted=wanted: wanted, groups[at], count=1)
    return " ".join(groups)


def _skeleton(phonemes: str) -> str:
    """Consonants alone, voiced and voiceless alike."""
    phonemes = phonemes.replace("ɚ", "ɹ").replace("ɜː", "ɹ")
    return re.sub("[^bcdfghjklmnpqrstvwxzɡɹʃʒθðŋɾɫ]", "", phonemes).translate(_DEVOICED)


def _with_pauses(line: str) -> str:
    """Brackets and dashes between words as commas; a German opening quote as the one that symbol tables have."""
    if "„" in line:
        line = line.replace("“", "”").replace("„", "“")
    line = re.sub(r"(?<=[^\s([{,.;:!?])\s?[(\[{]+|(?<=[^\s,.;:!?])\s[–-](?=\s)|[)\]}]+(?=\s[\w–-])|[)\]}]+(?=\w)",
                  ", ", line)
    return re.sub(r",\s+(?=[,.;:!?])", "", re.sub(r"[()\[\]{}]", "", line))


@cleaner("english_cleaners")
def english_cleaners(lines: list[str], language: str) -> list[str]:
    """As published: American phonemes without stress or punctuation; numbers are left to espeak-ng."""
    return _published_english(lines, with_stress=False, preserve_punctuation=False)


@cleaner("english_cleaners2")
def english_cleaners2(lines: list[str], language: str) -> list[str]:
    """As published: American phonemes with stress and punctuation; numbers are left to espeak-ng."""
    return _published_english(lines, with_stress=True, preserve_punctuation=True)


def _published_english(lines: list[str], with_stress: bool, preserve_punctuation: bool) -> list[str]:
    plain = [_expand_published_abbreviations(_to_ascii(line).lower()) for line in lines]
    return [_collapse(line) for line in phonemize(plain, "en-us", with_stress, preserve_punctuation)]


def _expand_published_abbreviations(line: str) -> str:
    names = "|".join(PUBLISHED_ABBREVIATIONS)
    return re.sub(rf"\b({names})\.", lambda match: PUBLISHED_ABBREVIATIONS[match[1].lower()], line,
                  flags=re.IGNORECASE)


def _to_ascii(line: str) -> str:
    from unidecode import unidecode

    return unidecode(line)


def _collapse(line: str) -> str:
    return re.sub(r"\s+", " ", line)
