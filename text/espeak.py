"""espeak-ng: text to phonemes (through phonemizer) and formant synthesis (through its C interface).

The only module that uses phonemizer and espeak-ng; both are installed by pip. espeak-ng has one global engine per
process and is not thread safe: a lock serialises threads here, so use processes for speed. phonemizer works on its own
copy of the library, independent of the synthesizer's.
"""

from __future__ import annotations

import ctypes
import difflib
import os
import re
import threading
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from text.sentences import split_sentences

if TYPE_CHECKING:
    import numpy as np
    from phonemizer.backend import EspeakBackend

SAMPLING_RATE = 22050  # Hz, of speak()

# The marks kept as they are written; everything else goes to espeak-ng. A point or comma between two digits is part of
# a number ("3.14"). phonemizer has its own list and puts marks back by searching for them, which splits such numbers
# at the wrong place and has lost lines, so text is split here and phonemizer sees only what lies between the marks.
_MARKS = re.compile(r'((?:(?<!\s)\s+)?(?:[;:!?¡¿—…"«»“”]|(?<![0-9])[,.]|[,.](?![0-9]))+\s*)')

# Latin letters within a word of other scripts: espeak-ng 1.52 dies of some, such as a Cherokee letter, "Cowboy" and a
# Han character in Hindi, so they become a word of their own.
_OF_OTHERS = r"[^\x00-\u024f\u2000-\u206f\s]"
_LATIN_BETWEEN = re.compile(rf"(?<={_OF_OTHERS})([A-Za-z\u00c0-\u024f]+)(?={_OF_OTHERS})")

# The mark that ended a clause, the first of several, and what espeak-ng reads after it to find the end.
_CLAUSE_END = re.compile(r"(\.{2,}|[,.:;!?…—–])[,.:;!?…—–'\"”’»)\]}]*(?:\s+\S)?\s*$")
_LANGUAGE_SWITCH = re.compile(r"\([^)]+\)")  # around words that espeak-ng reads in another language

# Numbers parted by commas alone, in which each comma is a pause ("7,8,9"). Thousands ("1,000", "12,34,567") are not,
# nor is one comma where it can be a decimal one ("3,5" in German).
_COMMAS = re.compile(r"(?<![0-9,])[0-9]+(?:,[0-9]+)+")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}")

_ENGINE = threading.RLock()
# A process forks only while no thread is inside the engine; else the child would wait for that thread for ever.
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_ENGINE.acquire, after_in_parent=_ENGINE.release, after_in_child=_ENGINE.release)

# espeak-ng's name -> how else people write the language: other codes (ISO 639), countries, what its speakers
# call it, and what English, German, French and other neighbours do.
_OTHER_NAMES = {
    "ar": "ara العربية arabisch arabe", "be": "bel", "bg": "bul български bulgarisch", "bn": "ben বাংলা",
    "ca": "cat català katalanisch", "cmn": "zh zho chi cn 中文 汉语 漢語 普通话 chinese mandarin tw chinesisch chinois",
    "cs": "cz ces cze čeština tschechisch tchèque", "cy": "wel cym cymraeg", "da": "dk dan dansk dänisch danois",
    "de": "deu ger deutsch at ch gsw bar hochdeutsch österreichisch schweizerdeutsch allemand alemán tedesco",
    "el": "gr ell gre ελληνικά griechisch grec", "en-gb": "uk british gb au nz britisch",
    "en-us": "en eng english american us usa simple englisch anglais inglés inglese amerikanisch",
    "es": "spa español castellano spanisch espagnol spagnolo", "es-419": "mx latam mexican",
    "et": "est eesti ee estnisch", "eu": "baq eus euskara", "fa": "per fas farsi فارسی persisch",
    "fi": "fin suomi finnisch finnois",
    "fr-fr": "fr fra fre français francais französisch franzoesisch francés francese", "ga": "gle irish gaeilge",
    "he": "iw heb עברית il hebräisch", "hi": "hin हिन्दी indisch", "hr": "hrv hrvatski kroatisch",
    "hu": "hun magyar ungarisch hongrois", "hy": "arm hye", "id": "in ind bahasa", "is": "ice isl íslenska",
    "it": "ita italiano italienisch italien", "ja": "jp jpn 日本語 japanisch japonais", "ka": "geo kat", "kk": "kaz",
    "ko": "kr kor 한국어 koreanisch coréen", "lt": "lit lietuvių", "lv": "lav latviešu", "mk": "mac mkd",
    "ms": "may msa", "my": "bur mya burmese", "nb": "no nor nob norsk bokmål norwegian norwegisch norvégien",
    "nl": "nld dut nederlands flemish holländisch niederländisch hollands néerlandais",
    "pl": "pol polski polnisch polonais", "pt": "por português portugiesisch portugais",
    "pt-br": "brazilian br brasilianisch brasileiro", "ro": "mo rum ron română rumänisch roumain",
    "ru": "rus русский russisch russe", "sk": "slo slk slovenčina slowakisch", "sl": "slv slovenščina slowenisch",
    "sq": "alb sqi shqip", "sr": "srp српски rs serbisch", "sv": "se swe svenska schwedisch suédois",
    "sw": "swa kiswahili", "ta": "tam தமிழ்", "te": "tel", "th": "tha ไทย", "tr": "tur türkçe turkce türkisch turc",
    "uk": "ua ukr українська ukrainisch", "ur": "urd اردو", "vi": "vn vie vietnamesisch",
    "yue": "zh-hk zh-yue 粵語 粤语 cantonese",
}
_NOT_SPOKEN = {"Tagalog (Filipino)": "tl fil tgl tagalog filipino pilipino", "Norwegian Nynorsk": "nn nno nynorsk"}


def phonemize(lines: list[str], language: str, with_stress: bool = True, preserve_punctuation: bool = True,
              split: Callable[[str], list[str]] | None = None) -> list[str]:
    """Phonemes in IPA, exactly one line for each line given (an empty one for an empty one).

    Args:
        lines: any text; pictographs become spaces. One call with many lines is faster than many calls.
        language: espeak-ng's name, such as "en-us", "de", "fr-fr".
        with_stress: keep the stress marks ˈ and ˌ.
        preserve_punctuation: keep ;:,.!?¡¿—…"«»“” in their places, else they become spaces.
        split: parts a line into text and marks in turn; None: at every mark outside of a decimal number.

    Raises:
        ValueError: espeak-ng has no such language.
    """
    with _ENGINE:
        backend = _backend(language, with_stress)
        fewest = 1 if language.startswith("en") else 2  # commas of a list
        lines = [_COMMAS.sub(lambda numbers: _parted(numbers[0], fewest), _readable(line)) for line in lines]
        split = split or _MARKS.split
        pieces = [split(line) if preserve_punctuation else [_MARKS.sub(" ", line)] for line in lines]
        # The odd ones are marks. phonemizer takes time in proportion to the square of a run of spaces.
        chunks = [re.sub(r"\s{2,}", " ", piece) for line in pieces for piece in line[::2]]
        spoken = iter(backend.phonemize(chunks, strip=True))
    phonemes = []
    for line in pieces:
        line[::2] = [next(spoken).replace("-", "") for _ in line[::2]]  # joins words, is no phoneme
        phonemes.append("".join(line))
    return phonemes


def phonemize_clauses(lines: list[str], language: str) -> list[str]:
    """Phonemes in IPA as Piper's voices were trained on: espeak-ng divides a line, each clause ends with one mark.

    espeak-ng reads abbreviations, times and addresses with their marks, and leaves quotes and brackets out. A point
    that ends a clause but no sentence ("Dr. Smith") is left out too.

    Args:
        lines: any text; pictographs become spaces.
        language: espeak-ng's name.

    Raises:
        ValueError: espeak-ng has no such language.
    """
    with _ENGINE:
        return [_joined_clauses(_readable(line), language) for line in lines]


def _joined_clauses(line: str, language: str) -> str:
    ends, end, phonemes = _sentence_ends(line, language), 0, ""
    for text, spoken in _speaker().clauses(line, language):
        end += len(text)
        mark = ""
        if found := _CLAUSE_END.search(text):
            ends_sentence = end - len(text) + found.start() in ends
            mark = found[1]
            if len(mark) > 1 or mark in "—–…":  # the one pause that Piper's voices have for these
                mark = "." if ends_sentence else ";"
            elif mark == "." and not ends_sentence:
                mark = ""
        phonemes += _LANGUAGE_SWITCH.sub("", spoken) + mark + " "
    return phonemes.strip()


def _sentence_ends(line: str, language: str) -> set[int]:
    """Indices of the marks that end the sentences of a line with points."""
    ends: set[int] = set()
    for sentence in split_sentences(line, language) if "." in line or "…" in line else ():
        place = sentence.end - 1
        while place >= 0 and not line[place].isalnum() and place not in ends:
            ends.add(place)
            place -= 1
    return ends


def split_at_pauses(line: str, language: str) -> list[str]:
    """Text and marks in turn; a point that ends no sentence, and a colon between digits, belong to the text."""
    ends = _sentence_ends(line, language)
    pieces, here = [], 0
    for match in _MARKS.finditer(line):
        mark = match[0].strip()
        around = line[max(0, match.start() - 1):match.start()] + line[match.end():match.end() + 1]
        if (mark == "." and match.start() + match[0].index(".") not in ends) or (
                match[0] == ":" and len(around) == 2 and around.isdecimal()):
            continue
        pieces += [line[here:match.start()], match[0]]
        here = match.end()
    return [*pieces, line[here:]]


def _parted(numbers: str, fewest: int) -> str:
    """A list of numbers with a space after each comma, so that commas count as marks; a single number stays."""
    if numbers.count(",") < fewest or _THOUSANDS.fullmatch(numbers):
        return numbers
    return numbers.replace(",", ", ")


def _readable(text: str) -> str:
    """A text without the characters that espeak-ng cannot process."""
    if text.isascii():
        return text.replace("\0", " ")
    if not any(unicodedata.category(character) in ("So", "Cs", "Cc") for character in text):
        return _LATIN_BETWEEN.sub(r" \1 ", text)  # the other pattern takes longer to make than a sentence to read
    return _LATIN_BETWEEN.sub(r" \1 ", _unreadable().sub(" ", text))


@cache
def _unreadable() -> re.Pattern:
    """Characters that espeak-ng cannot process: NUL, which ends C strings, surrogates, and pictographs.

    The names of some pictographs switch to another language ("Gesicht mit Cowboyhut"). After one, espeak-ng 1.52 reads
    from a wrong address, even in later calls: wrong phonemes, or a segmentation fault.
    """
    signs = [chr(code) for code in range(0xA6, 0x20000) if unicodedata.category(chr(code)) == "So"]
    pictographs = "".join(sign for sign in signs if sign not in "°℃℉№")
    return re.compile(f"[\\0\ud800-\udfff{pictographs}][\\ufe0e\\ufe0f\\u200d\\u20e3\U0001f3fb-\U0001f3ff]*")


def languages() -> dict[str, str]:
    """Languages of espeak-ng: its name for each -> the English name."""
    with _ENGINE:
        return dict(_languages())


def speak(lines: list[str], voice: str = "en-us", words_per_minute: int = 175) -> Iterator[np.ndarray]:
    """Speak each line with espeak-ng's formant synthesizer; for test corpora, not for listening.

    The same lines in a new process give the same samples. After other lines a line may differ by some milliseconds,
    because the engine keeps a state.

    Args:
        lines: any text.
        voice: espeak-ng's name of a voice or language.
        words_per_minute: 80 to 450.

    Yields:
        int16 samples at SAMPLING_RATE, one array for each line, in order.

    Raises:
        ValueError: an unknown voice or a rate out of range, at the first line.
    """
    import numpy as np

    if not 80 <= words_per_minute <= 450:
        raise ValueError(f"words_per_minute is {words_per_minute}; expected 80 to 450, as espeak-ng takes")
    for line in lines:
        with _ENGINE:
            engine = _speaker()
            samples = engine.speak(line, voice, words_per_minute)
        yield np.frombuffer(samples, dtype=np.int16)


@cache
def _backend(language: str, with_stress: bool) -> EspeakBackend:
    """One cached backend for each pair, because each loads a copy of the library that is never freed."""
    known = _languages()
    if language not in known:
        raise ValueError(f"espeak-ng has no language {language!r}{_nearest_languages(language, known)}")
    from phonemizer.backend import EspeakBackend

    return EspeakBackend(language, with_stress=with_stress, preserve_punctuation=False,
                         punctuation_marks=';!?¡¿—…"«»“”', language_switch="remove-flags", logger=_quiet_logger())


# Listed by the bundled espeak-ng 1.52, but it lacks their dictionaries and ends the process, or returns nothing.
_BROKEN = frozenset({"fo", "kaa", "kl", "xex"})


@cache
def _languages() -> dict[str, str]:
    import espeakng_loader
    from phonemizer.backend import EspeakBackend
    from phonemizer.backend.espeak.wrapper import EspeakWrapper

    if "PHONEMIZER_ESPEAK_LIBRARY" not in os.environ:  # a user's own library is kept
        EspeakWrapper.set_library(espeakng_loader.get_library_path())
        EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    return {code: name for code, name in EspeakBackend.supported_languages().items() if code not in _BROKEN}


@cache
def _identifier(voice: str) -> str:
    """The file of a language's voice, e.g. gmw/en+f3 for en-gb+f3; `voice` itself if it is no language."""
    _languages()
    from phonemizer.backend.espeak.wrapper import EspeakWrapper

    language, plus, variant = voice.partition("+")
    files = {known.language: known.identifier for known in EspeakWrapper().available_voices()}
    return files.get(language, language) + plus + variant


def _nearest_languages(language: str, known: dict[str, str]) -> str:
    """A hint with languages of that name elsewhere, of the same family, or of a similar code or name."""
    wanted = language.lower().replace("_", "-")
    code, *further = re.split(r"[-\s()]+", wanted)
    for name, others in _NOT_SPOKEN.items():
        if code in others.split():
            return f", for it does not speak {name}; data.text_cleaners=[\"basic_cleaners\"] reads a text's letters"
    family = [each for each in known if each.split("-")[0] == code]
    names = {name.lower(): code for code, name in known.items()}
    forms = (wanted, code) if family else (wanted, code, *further)
    alike = [each for form in forms for each, others in _OTHER_NAMES.items() if form in others.split()][:1]
    if not (alike or family) and len(wanted) > 3:  # shorter ones look like many
        alike = difflib.get_close_matches(wanted, list(known), n=3) or [
            names[name] for name in names if name.startswith(wanted) or wanted.startswith(name)
        ] or [names[name] for name in difflib.get_close_matches(wanted, list(names), n=3)]
    nearest = list(dict.fromkeys(alike + family))[:6]
    if nearest:
        return "; did you mean " + ", ".join(f"{code!r} ({known[code]})" for code in nearest) + "?"
    return f"; it has {', '.join(known)}"


def _quiet_logger():
    """A logger without phonemizer's warnings about each word that it read in another language."""
    from phonemizer.logger import get_logger

    return get_logger("quiet", name="phonemizer.quiet")


@cache
def _speaker() -> _Speaker:
    return _Speaker()


class _Speaker:
    """The C interface of espeak-ng (speak_lib.h), synchronous: samples arrive in a callback while Synth runs."""

    SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS
    DO_NOT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT, else a missing data folder ends the process
    RATE = 1  # espeakRATE
    UTF8 = 1  # espeakCHARS_UTF8
    CHARACTERS = 1  # POS_CHARACTER
    IPA = 2  # espeakPHONEMES_IPA

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data_path = espeakng_loader.get_data_path()
        rate = self._library.espeak_Initialize(self.SYNCHRONOUS, 0, data_path.encode(), self.DO_NOT_EXIT)
        if rate != SAMPLING_RATE:
            raise RuntimeError(f"espeak-ng with the data in {data_path} reports {rate} Hz, expected {SAMPLING_RATE}; "
                               "reinstall espeakng-loader (a path over 150 characters is too long for espeak-ng)")
        self._library.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
            ctypes.c_void_p, ctypes.c_void_p]
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int]
        self._samples = bytearray()
        callback_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        self._callback = callback_type(self._receive)  # espeak-ng keeps only a pointer; this keeps it alive
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, wav: int | None, n_samples: int, _events: int | None) -> int:
        if wav and n_samples > 0:
            self._samples += ctypes.string_at(wav, 2 * n_samples)
        return 0  # go on

    def clauses(self, text: str, voice: str) -> Iterator[tuple[str, str]]:
        """Clauses of a text: the characters that espeak-ng took for each, and its phonemes in IPA.

        It takes a character more than a clause has, where it needs that to find the end.
        """
        self._set_voice(voice)
        data = text.encode()
        held = ctypes.create_string_buffer(data)
        start, taken = ctypes.addressof(held), 0
        place = ctypes.c_void_p(start)
        while place.value is not None:
            phonemes = self._library.espeak_TextToPhonemes(ctypes.byref(place), self.UTF8, self.IPA)
            end = len(data) if place.value is None else place.value - start
            yield data[taken:end].decode(), (phonemes or b"").decode()
            taken = end

    def _set_voice(self, voice: str) -> None:
        names = (voice, _identifier(voice))  # it expects file names, which differ from some languages' names
        if all(self._library.espeak_SetVoiceByName(name.encode()) != 0 for name in names):
            raise ValueError(f"espeak-ng has no voice {voice!r}{_nearest_languages(voice, _languages())}")

    def speak(self, text: str, voice: str, words_per_minute: int) -> bytes:
        """int16 samples of one text."""
        self._set_voice(voice)
        self._library.espeak_SetParameter(self.RATE, words_per_minute, 0)
        self._samples.clear()
        data = _readable(text).encode() + b"\0"
        status = self._library.espeak_Synth(data, len(data), 0, self.CHARACTERS, 0, self.UTF8, None, None)
        if status != 0 or self._library.espeak_Synchronize() != 0:
            raise RuntimeError(f"espeak-ng could not speak {text!r} (status {status})")
        return bytes(self._samples)
