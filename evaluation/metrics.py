"""Objective measures of speech: how a sound compares with a recording, and what machine listeners make of it.

    meters, absent = open_meters(language="en-us", rivals=texts)
    values = {name: value for meter in meters for name, value in meter.measure(heard).items()}

A meter whose package is not installed, or that does not know the language, is absent with its reason.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from audio.io import Wav
from audio.resampling import resample, trim_silence
from evaluation import cepstra, listeners
from evaluation.scorecard import Measure
from utils import Registry

# Shapes: S samples, W windows, F FFT bins.

ENDS_DB = 40  # what is quieter than this below the loudest 10 ms at the ends is no speech
SHORTEST = 0.05  # seconds that can be analysed

LINES = (1500, 6000)  # Hz, where lines are looked for: below, harmonics of a voice hide them
LINE_FRAMES = 10  # of a window, so that a bin is a tenth of the frame rate wide
HIGHEST_LINE = 0.45  # of the sampling rate
LINE_FLOOR_DB = 100  # below the loudest bin

PESQ_RATE = 16000  # Hz, of its wideband mode
LONG_TEXT = 20  # characters, from which on a speaking rate can be judged
RATES = (8, 25)  # characters a second of people who read aloud
QUIETEST = -40  # dBFS, root mean square
SYLLABLE_SCRIPTS = "\u2e80"  # from here on a character is a syllable or more, and RATES does not hold


class Heard(NamedTuple):
    """What is measured: a sound, what it should say, and the recording that says the same."""

    samples: np.ndarray  # [S] float32
    sampling_rate: int  # Hz
    text: str
    language: str = "en-us"  # as espeak calls it
    reference: np.ndarray | None = None  # [S'] the recording at the same rate; None for itself and where there is none
    keeps_time: bool = False  # timed as the reference, as copy synthesis and Griffin-Lim are: PESQ and STOI make sense
    speaker: str | None = None  # whose voice it should be
    hop_length: int = 0  # samples from frame to frame of the network that made it; 0 where that is not known


class Setting(NamedTuple):
    """What meters may need to know beforehand."""

    language: str = "en-us"
    rivals: Sequence[str] = ()  # about 100 sentences, those measured among them, of which listeners find the right one
    recordings: Mapping[str | None, Sequence[Wav]] = {}  # speaker -> some of the voice's, for who `needs_recordings`


class Meter:
    """One tool that measures; a subclass says what it gives and how."""

    measures: tuple[Measure, ...] = ()
    needs: tuple[str, ...] = ()  # packages, as they are imported
    needs_recordings = False  # whether it listens to Setting.recordings, which are not read for nothing

    def __init__(self, setting: Setting):
        """Make ready.

        Raises:
            ImportError: a package is missing.
            ValueError: it cannot work in that setting; the message says why.
        """

    def measure(self, heard: Heard) -> dict[str, float]:
        """Measure's name -> value, without those that do not apply to this sound."""
        raise NotImplementedError

    def notes(self, heard: Heard) -> str:
        """What was found, in words, for reading; empty where there is nothing to say."""
        return ""


METERS: Registry[Meter] = Registry("meter")
ALL = ("sanity", "timing", "world", "lines", "pesq", "stoi", "sentence", "words", "quality", "speaker", "whisper")


def measures_of(meters: Iterable[str]) -> dict[str, Measure]:
    """What meters may measure, installed or not, by the names that validation gives: "valid/mcd" and the like."""
    return {f"valid/{measure.name}": measure for meter in meters for measure in METERS.get(meter).measures}


def open_meters(names: Sequence[str] | None = None, language: str = "en-us", rivals: Sequence[str] = (),
                recordings: Mapping[str | None, Sequence[Wav]] | None = None) -> tuple[list[Meter], dict[str, str]]:
    """Make the meters that can be had, `ALL` unless named: (meters, measure's name -> why it is absent).

    Raises:
        ValueError: a name that no meter has.
    """
    setting = Setting(language, rivals, recordings or {})
    meters: list[Meter] = []
    absent: dict[str, str] = {}
    for kind in [METERS.get(name) for name in (ALL if names is None else names)]:
        missing = [package for package in kind.needs if importlib.util.find_spec(package) is None]
        try:
            if missing:
                raise ValueError(f'needs {", ".join(missing)}: pip install -e ".[evaluate]"')
            meters.append(kind(setting))
        except Exception as error:  # others than those of `Meter` too: what a package does when it is broken
            reason = str(error) if isinstance(error, (ImportError, ValueError)) else f"{type(error).__name__}: {error}"
            absent |= {measure.name: reason for measure in kind.measures}
    return meters, absent


@METERS.register("sanity")
class SanityMeter(Meter):
    """Is it a sound that can be speech at all: finite, peak below 1, not too quiet, 8 to 25 characters a second?"""

    measures = (Measure("sane", "Sane sounds", "%", "higher"),)

    def measure(self, heard: Heard) -> dict[str, float]:
        return {"sane": 0.0 if self.notes(heard) else 100.0}

    def notes(self, heard: Heard) -> str:
        if not _is_sound(heard.samples):
            return "no sound" if np.isfinite(heard.samples).all() else "not finite"
        faults = []
        peak = np.abs(heard.samples).max()
        loudness = 20 * np.log10(np.sqrt(np.square(heard.samples, dtype=np.float64).mean()))
        if peak >= 1:
            faults.append(f"peak {peak:.2f}")
        if loudness < QUIETEST:
            faults.append(f"{loudness:.0f} dBFS")
        rate = len(heard.text) / _speech_seconds(heard.samples, heard.sampling_rate)
        if len(heard.text) >= LONG_TEXT and max(heard.text) < SYLLABLE_SCRIPTS and not RATES[0] <= rate <= RATES[1]:
            faults.append(f"{rate:.0f} characters a second")
        return ", ".join(faults)


@METERS.register("timing")
class TimingMeter(Meter):
    """How long it is beside the recording, silence at the ends left out."""

    measures = (Measure("duration_ratio", "Duration beside the recording", "", "near 1"),
                Measure("rate_error", "Speaking-rate error", "%", "lower"))

    def measure(self, heard: Heard) -> dict[str, float]:
        """The ratio of durations, and by how much the characters per second differ from the recording's."""
        if heard.reference is None or not _is_sound(heard.samples) or not _is_sound(heard.reference):
            return {}
        ratio = (_speech_seconds(heard.samples, heard.sampling_rate)
                 / _speech_seconds(heard.reference, heard.sampling_rate))
        return {"duration_ratio": ratio, "rate_error": 100 * abs(1 / ratio - 1)}


@METERS.register("world")
class WorldMeter(Meter):
    """Sound, pitch and voicing beside the recording, by WORLD's analysis of both and dynamic time warping.

    Silence at the ends is cut from both. Frames of 5 ms; DIO and StoneMask for the pitch, CheapTrick for the envelope;
    mel cepstra of order 24 (see `mel_cepstra`). The path is the one of least Euclidean distance between c1 to c24, by
    steps of one frame in either or both, and each pair on it counts once in each of the means:
    mel-cepstral distortion 10 sqrt(2) / ln 10 |c - c'| without c0 in dB; root mean square of the pitch's error in cents
    over pairs that are voiced in both; share of pairs of which one is voiced and the other is not.
    """

    measures = (Measure("mcd", "Mel-cepstral distortion", "dB", "lower"),
                Measure("f0_rmse", "Pitch error", "cents", "lower"),
                Measure("voicing_error", "Voicing error", "%", "lower"))
    needs = ("pyworld",)

    def __init__(self, setting: Setting):
        import librosa.sequence  # noqa: F401 -- what is installed and cannot be imported is absent too

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pkg_resources, which it needs and newer setuptools lack
            import pyworld  # noqa: F401

    def measure(self, heard: Heard) -> dict[str, float]:
        if heard.reference is None:
            return {}
        sounds = [_speech(sound, heard.sampling_rate) for sound in (heard.samples, heard.reference) if _is_sound(sound)]
        if len(sounds) < 2 or min(map(len, sounds)) < SHORTEST * heard.sampling_rate:
            return {}
        ours, theirs = (cepstra.analyse(sound, heard.sampling_rate) for sound in sounds)
        i, j = cepstra.align(ours.cepstra, theirs.cepstra)
        distance = np.linalg.norm(ours.cepstra[i, 1:] - theirs.cepstra[j, 1:], axis=1)
        voiced, reference_voiced = ours.pitch[i] > 0, theirs.pitch[j] > 0
        values = {"mcd": float(cepstra.DECIBELS * distance.mean()),
                  "voicing_error": float(100 * (voiced != reference_voiced).mean())}
        both = voiced & reference_voiced
        if both.any():
            cents = 1200 * np.log2(ours.pitch[i][both] / theirs.pitch[j][both])
            values["f0_rmse"] = float(np.sqrt(np.square(cents).mean()))
        return values


@METERS.register("lines")
class LineMeter(Meter):
    """Steady lines in the spectrogram at multiples of the frame rate: what a generator leaves that sounds metallic.

    By how much the multiples stand out above what lies half way between two of them, in dB, mean over windows of ten
    frames and over `LINES`. Speech has none (near 0), unless its pitch stays at a multiple of the frame rate.
    """

    measures = (Measure("frame_lines", "Lines at the frame rate", "dB", "near 0"),)

    def measure(self, heard: Heard) -> dict[str, float]:
        if heard.hop_length == 0 or not _is_sound(heard.samples):
            return {}
        frame_rate = heard.sampling_rate / heard.hop_length
        lines = LINE_FRAMES * np.arange(np.ceil(LINES[0] / frame_rate), LINES[1] // frame_rate, dtype=int)
        lines = lines[lines < LINE_FRAMES * heard.hop_length * HIGHEST_LINE]
        size = LINE_FRAMES * heard.hop_length
        sound = _speech(heard.samples, heard.sampling_rate).astype(np.float64)
        if len(sound) < size or not len(lines):
            return {}
        windows = np.lib.stride_tricks.sliding_window_view(sound, size)[:: size // 4]  # [W, size]
        power = np.abs(np.fft.rfft(windows * np.hanning(size))) ** 2  # [W, F], bins of a tenth of the frame rate
        level = 10 * np.log10(power + power.max() * 10 ** (-LINE_FLOOR_DB / 10))
        half = LINE_FRAMES // 2
        between = (level[:, lines - half] + level[:, lines + half]) / 2
        return {"frame_lines": float((level[:, lines] - between).mean())}


@METERS.register("pesq")
class PesqMeter(Meter):
    """ITU-T P.862.2 beside the recording, of sounds that keep its time."""

    measures = (Measure("pesq", "PESQ, wideband", "", "higher"),)
    needs = ("pesq",)

    def __init__(self, setting: Setting):
        from pesq import PesqError, pesq

        self._score, self._no_speech = pesq, PesqError

    def measure(self, heard: Heard) -> dict[str, float]:
        pair = _same_time(heard, PESQ_RATE)
        if pair is None:
            return {}
        try:
            return {"pesq": float(self._score(PESQ_RATE, *pair, "wb"))}
        except self._no_speech:  # less than a quarter of a second, or no speech in it
            return {}


@METERS.register("stoi")
class StoiMeter(Meter):
    """Short-time objective intelligibility beside the recording, of sounds that keep its time."""

    measures = (Measure("stoi", "STOI", "", "higher"),)
    needs = ("pystoi",)

    def __init__(self, setting: Setting):
        from pystoi import stoi

        self._score = stoi

    def measure(self, heard: Heard) -> dict[str, float]:
        pair = _same_time(heard, heard.sampling_rate)
        if pair is None:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # is how it says that there is too little speech
            try:
                return {"stoi": float(self._score(*pair, heard.sampling_rate))}
            except (RuntimeWarning, np.exceptions.AxisError):  # the latter for less than one frame
                return {}


@METERS.register("sentence")
class SentenceMeter(Meter):
    """Is it recognised among the rivals? Of those, the ones with words that the listener lacks are left out."""

    measures = (Measure("sentence_id", "Right sentence of the set", "%", "higher", is_costly=True),)
    needs = ("pocketsphinx",)

    def __init__(self, setting: Setting):
        _expect_english(setting.language)
        known = listeners.recognisable(setting.rivals)
        if len(known) < 2:
            raise ValueError(f"the listener knows the words of {len(known)} sentences; it needs two or more to choose")
        self._listener = listeners.SentenceListener(known)

    def measure(self, heard: Heard) -> dict[str, float]:
        right = self._listener.index(heard.text)
        if right is None:
            return {}
        return {"sentence_id": 100.0 * (self._listener.identify(heard.samples, heard.sampling_rate) == right)}


class _Dictation(Meter):
    """A listener that writes down words; the last sound's are kept, for values and notes to share."""

    def __init__(self):
        self._last: tuple[np.ndarray, list[str]] | None = None

    def notes(self, heard: Heard) -> str:
        """The words heard."""
        return " ".join(self._heard(heard))

    def _heard(self, heard: Heard) -> list[str]:
        if self._last is None or self._last[0] is not heard.samples:
            self._last = heard.samples, self._listener.hear(heard.samples, heard.sampling_rate)
        return self._last[1]

    def _errors(self, heard: Heard, words: Sequence[str]) -> listeners.WordErrors | None:
        said = listeners.spoken_words(heard.text, heard.language)
        return listeners.word_errors(said, words) if said else None


@METERS.register("words")
class WordMeter(_Dictation):
    """Word error rate with pocketsphinx' own language model, and words heard among those of the rivals.

    Both are of one sound. Their mean over sounds counts a short text as much as a long one, so it is not the rate of
    all words together: it is higher where short texts are heard worse.
    """

    measures = (Measure("wer", "Word error rate", "%", "lower", is_costly=True),
                Measure("words_heard", "Words heard among the set's", "%", "higher", is_costly=True))
    needs = ("pocketsphinx",)

    def __init__(self, setting: Setting):
        super().__init__()
        _expect_english(setting.language)
        self._listener = listeners.WordListener(setting.rivals)

    def measure(self, heard: Heard) -> dict[str, float]:
        errors = self._errors(heard, self._heard(heard))
        if errors is None:
            return {}
        values = {"wer": errors.rate}
        if self._listener.vocabulary:
            among = self._listener.hear_among(heard.samples, heard.sampling_rate)
            values["words_heard"] = self._errors(heard, among).hit_rate
        return values


@METERS.register("whisper")
class WhisperMeter(_Dictation):
    """Word error rate by Whisper, of many languages, where its weights are on this machine."""

    measures = (Measure("whisper_wer", "Word error rate by Whisper", "%", "lower", is_costly=True),)
    needs = ("transformers",)

    def __init__(self, setting: Setting):
        super().__init__()
        self._listener = listeners.WhisperListener(language=setting.language)

    def measure(self, heard: Heard) -> dict[str, float]:
        errors = self._errors(heard, self._heard(heard))
        return {} if errors is None else {"whisper_wer": errors.rate}


@METERS.register("quality")
class QualityMeter(Meter):
    """DNSMOS: for differences between voices, never alone."""

    measures = (Measure("dnsmos_ovrl", "DNSMOS, overall", "", "higher", is_costly=True),
                Measure("dnsmos_sig", "DNSMOS, speech", "", "higher", is_costly=True),
                Measure("dnsmos_bak", "DNSMOS, background", "", "higher", is_costly=True),
                Measure("dnsmos_p808", "DNSMOS P.808", "", "higher", is_costly=True))
    needs = ("speechmos",)

    def __init__(self, setting: Setting):
        self._listener = listeners.QualityListener()

    def measure(self, heard: Heard) -> dict[str, float]:
        rated = self._listener.rate(heard.samples, heard.sampling_rate)
        return {f"dnsmos_{name}": value for name, value in rated.items()}


@METERS.register("speaker")
class SpeakerMeter(Meter):
    """Cosine between the embeddings of the sound and of the voice's recordings."""

    measures = (Measure("speaker_similarity", "Speaker similarity", "", "higher", is_costly=True),)
    needs = ("resemblyzer",)
    needs_recordings = True

    def __init__(self, setting: Setting):
        if not any(setting.recordings.values()):
            raise ValueError("there are no recordings of the voice to compare with")
        self._listener = listeners.SpeakerListener()
        self._voices = {speaker: self._listener.embed_voice(wavs) for speaker, wavs in setting.recordings.items()}

    def measure(self, heard: Heard) -> dict[str, float]:
        voice = self._voices.get(heard.speaker)
        found = None if voice is None else self._listener.embed(heard.samples, heard.sampling_rate)
        return {} if found is None else {"speaker_similarity": float(found @ voice)}


def _expect_english(language: str) -> None:
    if not language.startswith("en"):
        raise ValueError(f"the listener knows English only, not {language}")


def _is_sound(samples: np.ndarray) -> bool:
    """Whether there is anything but silence, all of it finite."""
    return len(samples) > 0 and bool(np.isfinite(samples).all()) and np.ptp(samples) > 0


def _speech(samples: np.ndarray, sampling_rate: int) -> np.ndarray:
    return trim_silence(samples, sampling_rate, ENDS_DB, 0.0)


def _speech_seconds(samples: np.ndarray, sampling_rate: int) -> float:
    return len(_speech(samples, sampling_rate)) / sampling_rate


def _same_time(heard: Heard, sampling_rate: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Reference and sound [S] at a sampling rate, None unless both are there and keep the same time."""
    if not heard.keeps_time or heard.reference is None:
        return None
    if not _is_sound(heard.samples) or not _is_sound(heard.reference):
        return None
    length = min(len(heard.reference), len(heard.samples))
    return tuple(np.asarray(resample(np.asarray(sound[:length], np.float32), heard.sampling_rate, sampling_rate))
                 for sound in (heard.reference, heard.samples))
