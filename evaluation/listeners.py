"""Machine listeners: which sentence, which words, how clean, whose voice. All run offline on the CPU.

    listener = WordListener(sentences)
    word_errors(spoken_words(text), listener.hear(samples, sampling_rate)).rate  # %

Each takes float samples [S] of any rate and length, nothing at all and sounds that are not finite (heard as silence)
included. Making one raises ImportError where its package is not installed.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from math import log10
from pathlib import Path
from typing import NamedTuple

import numpy as np

from audio.io import Wav
from audio.resampling import resample, trim_silence
from text import english

# Shapes: S samples, W words, E embedding channels.

LISTENER_RATE = 16000  # Hz; what each of these models was trained at
WHISPER_MODELS = ("openai/whisper-small", "openai/whisper-base", "openai/whisper-tiny")  # the first that is there
SPOKEN_DB = 40  # quieter than this below the loudest 10 ms is silence at the ends
SHORTEST = 0.4  # seconds of sound that a voice can be known by


class WordErrors(NamedTuple):
    """What the fewest edits from the words said to the words heard are."""

    hits: int
    substitutions: int
    insertions: int  # heard, but not said
    deletions: int  # said, but not heard

    @property
    def rate(self) -> float:
        """Word error rate in per cent of the words said; above 100 where more was heard than said, NaN without any."""
        return self._share(self.substitutions + self.insertions + self.deletions)

    @property
    def hit_rate(self) -> float:
        """Per cent of the words said that were heard in their places, NaN without any."""
        return self._share(self.hits)

    def _share(self, count: int) -> float:
        said = self.hits + self.substitutions + self.deletions
        return 100 * count / said if said else float("nan")


def spoken_words(text: str, language: str = "en-us") -> list[str]:
    """Words [W] as they are said: lowercase, without marks, numbers written out, English abbreviations too."""
    if language.startswith("en"):
        found = re.findall(r"[a-z']+", english.normalise(text).lower())
    else:
        found = re.findall(r"[^\W_]+(?:'[^\W_]+)*", _numbers_in_words(text, language).lower().replace("’", "'"))
    return [word for word in (word.strip("'") for word in found) if word]


def word_errors(said: Sequence[str], heard: Sequence[str]) -> WordErrors:
    """Count hits and errors along the fewest edits (Levenshtein)."""
    # best[j]: (edits, hits, substitutions, insertions, deletions) from said[:i] to heard[:j]
    best = [(j, 0, 0, j, 0) for j in range(len(heard) + 1)]
    for i, word in enumerate(said, start=1):
        row = [(i, 0, 0, 0, i)]
        for j, other in enumerate(heard, start=1):
            edits, hits, substitutions, insertions, deletions = best[j - 1]
            wrong = word != other
            row.append(min((edits + wrong, hits + (not wrong), substitutions + wrong, insertions, deletions),
                           _one_more(row[j - 1], 3), _one_more(best[j], 4), key=lambda counts: counts[0]))
        best = row
    return WordErrors(*best[-1][1:])


class SentenceListener:
    """Tells which sentence of a closed set was spoken, by pocketsphinx with a grammar of them all.

    Chance is one in the number of sentences. It forgives a blurred sound, and words it does not know make it fail:
    all must be in the CMU pronouncing dictionary (see `recognisable`).

    Raises:
        ImportError: pocketsphinx is not installed.
        ValueError: there are no sentences, two of them are the same to the listener, or it lacks a word.
    """

    def __init__(self, sentences: Sequence[str]):
        self._keys = [" ".join(spoken_words(sentence)) for sentence in sentences]
        self._decoder = _decoder()
        if not self._keys or len(set(self._keys)) != len(self._keys):
            raise ValueError(f"expected different sentences, found {len(self._keys)}, {len(set(self._keys))} different")
        if not all(self._keys):
            raise ValueError(f"sentence {self._keys.index('') + 1} has no word in it")
        words = sorted({word for key in self._keys for word in key.split()})
        unknown = [word for word in words if self._decoder.lookup_word(word) is None]
        if unknown:
            raise ValueError(f"the listener's dictionary lacks {', '.join(unknown)}; choose other sentences")
        grammar = "#JSGF V1.0; grammar g; public <s> = " + " | ".join(self._keys) + ";"
        self._decoder.add_jsgf_string("sentences", grammar)

    def index(self, sentence: str) -> int | None:
        """Which of the set's sentences has these words, None if none has."""
        key = " ".join(spoken_words(sentence))
        return self._keys.index(key) if key in self._keys else None

    def identify(self, samples: np.ndarray, sampling_rate: int) -> int | None:
        """Index of the sentence heard in float samples [S], None if none was."""
        key = " ".join(_decoded(self._decoder, "sentences", samples, sampling_rate))
        return self._keys.index(key) if key in self._keys else None


class WordListener:
    """Writes down English words, by pocketsphinx: with its own language model, or among a few words.

    Among few words it recognises more of a voice that is hard to understand, so the two together say more than either.

    Args:
        sentences: the words of `hear_among`; those that are not in the dictionary are left out.

    Raises:
        ImportError: pocketsphinx is not installed.
    """

    def __init__(self, sentences: Iterable[str] = ()):
        self._decoder = _decoder()
        words = {word for sentence in sentences for word in spoken_words(sentence)}
        self.vocabulary = sorted(word for word in words if self._decoder.lookup_word(word) is not None)
        self._among = _decoder_of(self.vocabulary, self._decoder) if self.vocabulary else None

    def hear(self, samples: np.ndarray, sampling_rate: int) -> list[str]:
        """Words [W] of any English."""
        return _decoded(self._decoder, "_default", samples, sampling_rate)

    def hear_among(self, samples: np.ndarray, sampling_rate: int) -> list[str]:
        """Words [W] of the sentences given at first, each as likely as the others.

        Raises:
            ValueError: there were none that the listener knows.
        """
        if self._among is None:
            raise ValueError("the listener was given no sentence with a word that it knows")
        return _decoded(self._among, "_default", samples, sampling_rate)


class QualityListener:
    """Rates the sound from 1 to 5 without knowing what was said, by DNSMOS (speechmos).

    For differences only: made for telephone noise, it finds clear speech of the wrong words good.

    Raises:
        ImportError: speechmos is not installed.
    """

    def __init__(self):
        from speechmos import dnsmos

        self._rate = dnsmos.run

    def rate(self, samples: np.ndarray, sampling_rate: int) -> dict[str, float]:
        """ovrl (overall), sig (speech), bak (background) and p808 (overall, by another model); nothing for no sound."""
        wav = at_listener_rate(samples, sampling_rate)
        if not len(wav):  # it would repeat it for ever to fill its nine seconds
            return {}
        return {name.removesuffix("_mos"): float(score) for name, score in self._rate(wav, LISTENER_RATE).items()}


class SpeakerListener:
    """Says how alike two voices are, by the cosine of Resemblyzer's embeddings.

    Of other clips of the same reader it is about 0.9, so the recordings' own value is what to compare with.

    Raises:
        ImportError: resemblyzer is not installed.
    """

    def __init__(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its own imports
            from resemblyzer import VoiceEncoder

        self._encoder = VoiceEncoder("cpu", verbose=False)

    def embed(self, samples: np.ndarray, sampling_rate: int) -> np.ndarray | None:
        """Embedding [E] of length 1, None where there is too little sound."""
        wav = at_listener_rate(samples, sampling_rate)
        if not len(wav) or not np.ptp(wav):
            return None
        wav = trim_silence(wav, LISTENER_RATE, SPOKEN_DB, 0.05)
        if len(wav) < SHORTEST * LISTENER_RATE:
            return None
        return self._encoder.embed_utterance(wav / np.abs(wav).max() * 0.5)

    def embed_voice(self, recordings: Iterable[Wav]) -> np.ndarray | None:
        """The mean embedding [E] of several recordings, of length 1; None if none has enough sound."""
        embeddings = [self.embed(*recording) for recording in recordings]
        found = [embedding for embedding in embeddings if embedding is not None]
        if not found:
            return None
        mean = np.mean(found, axis=0)
        return mean / np.linalg.norm(mean)


class WhisperListener:
    """Writes down words of many languages, by a Whisper model that is on this machine already.

    Args:
        models: folders, or names in the local cache of Hugging Face; the first that is there is used. Nothing is
            downloaded.

    Raises:
        ImportError: transformers is not installed.
        ValueError: no model is there, or it lacks the language.
    """

    def __init__(self, models: Sequence[str] = WHISPER_MODELS, language: str = "en-us"):
        from transformers import pipeline

        folder = next(filter(None, map(_local_folder, models)), None)
        if folder is None:
            raise ValueError(f"none of {', '.join(models)} is in the local cache; nothing is downloaded for this")
        self._language, name = language, _whisper_name(language)
        self._pipeline = pipeline("automatic-speech-recognition", model=folder, device="cpu")
        known = getattr(self._pipeline.model.generation_config, "lang_to_id", {})  # "<|de|>" -> id
        if f"<|{name}|>" not in known:
            raise ValueError(f"Whisper in {folder} does not know the language {language}")
        self._settings = {"language": name, "task": "transcribe"}

    def hear(self, samples: np.ndarray, sampling_rate: int) -> list[str]:
        """Words [W]."""
        wav = at_listener_rate(samples, sampling_rate)
        if not len(wav):
            return []
        heard = self._pipeline({"raw": wav, "sampling_rate": LISTENER_RATE}, return_timestamps=True,
                               generate_kwargs=self._settings)
        return spoken_words(heard["text"], self._language)


def recognisable(sentences: Iterable[str]) -> list[str]:
    """Those that a SentenceListener takes: each once, and all of its words in the dictionary.

    Raises:
        ImportError: pocketsphinx is not installed.
    """
    decoder = _decoder()
    kept = {}
    for sentence in sentences:
        words = spoken_words(sentence)
        if words and all(decoder.lookup_word(word) is not None for word in words):
            kept.setdefault(" ".join(words), sentence)
    return list(kept.values())


def at_listener_rate(samples: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Float32 [S] at 16 kHz within [-1, 1]; silence in place of what is not finite."""
    samples = np.asarray(samples, np.float32)
    if not len(samples):
        return samples
    if not np.isfinite(samples).all():
        samples = np.zeros_like(samples)
    return np.asarray(resample(samples, sampling_rate, LISTENER_RATE), np.float32).clip(-1, 1)


def _decoder():
    from pocketsphinx import Decoder

    return Decoder(loglevel="FATAL")


def _decoder_of(words: Sequence[str], known):
    """A decoder of these words alone, said as the decoder `known` has them.

    With a dictionary of its own, because to add a language model to the whole one takes 11 CPU-seconds.
    """
    from pocketsphinx import Decoder

    sounds = {}
    for word in words:
        names = [word, *(f"{word}({i})" for i in range(2, 6))]  # read(2) is read, said otherwise
        sounds |= {name: said for name in names if (said := known.lookup_word(name)) is not None}
    with tempfile.TemporaryDirectory() as folder:
        model, dictionary = Path(folder) / "words.arpa", Path(folder) / "words.dict"
        model.write_text(_equal_words(words), encoding="utf-8")
        dictionary.write_text("".join(f"{name} {said}\n" for name, said in sounds.items()), encoding="utf-8")
        return Decoder(loglevel="FATAL", lm=str(model), dict=str(dictionary))


def _decoded(decoder, search: str, samples: np.ndarray, sampling_rate: int) -> list[str]:
    """Words heard with a language model or grammar that the decoder has under this name."""
    wav = at_listener_rate(samples, sampling_rate)
    if not len(wav):  # pocketsphinx would neither take it nor start another utterance afterwards
        return []
    decoder.activate_search(search)
    decoder.reinit_feat()  # or the mean of what it heard before would have a say
    decoder.start_utt()
    decoder.process_raw((wav * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    words = re.sub(r"\(\d+\)", "", hypothesis.hypstr).split() if hypothesis else []
    return [word.strip("'") for word in words if not word.startswith(("<", "["))]  # noises


def _equal_words(words: Sequence[str]) -> str:
    """A unigram language model, as ARPA text; a grammar that loops over the words would be far slower."""
    each = log10(1 / (len(words) + 1))
    rows = [f"{each:.4f} {word}" for word in ("</s>", *words)]
    return "\n".join(["\\data\\", f"ngram 1={len(rows) + 1}", "", "\\1-grams:", "-99 <s>", *rows, "", "\\end\\", ""])


def _numbers_in_words(text: str, language: str) -> str:
    """Digits written out where num2words knows the language, and the number in it."""
    from num2words import num2words

    def in_words(match: re.Match) -> str:
        try:
            return num2words(int(match[0]), lang=language.split("-")[0])
        except (NotImplementedError, OverflowError, KeyError, ValueError):  # each language refuses in its own way
            return match[0]

    return re.sub(r"\d+", in_words, text)


def _one_more(counts: tuple[int, ...], place: int) -> tuple[int, ...]:
    """The same counts with one more edit, of the kind that is counted in this place."""
    return tuple(count + (i in (0, place)) for i, count in enumerate(counts))


def _whisper_name(language: str) -> str:
    """What Whisper calls a language of espeak."""
    name = language.split("-")[0]
    return {"cmn": "zh", "nb": "no"}.get(name, name)


def _local_folder(model: str) -> str | None:
    """Where a model is on this machine, None if nowhere."""
    if Path(model).is_dir():
        return model
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return snapshot_download(model, local_files_only=True)
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError):
        return None
