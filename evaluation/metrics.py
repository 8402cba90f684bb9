"""Objective measures of speech: distance to a recording, intelligibility, quality, speaker similarity.

    meters, absent = open_meters(context=MeterContext("en-us", candidates=texts))
    values = {name: value for meter in meters for name, value in meter.measure(audio).items()}

A meter whose package is not installed, or that lacks the language, is absent with its reason. Any other error of a
meter is raised.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from audio.io import Wav
from audio.resampling import resample, trim_silence
from evaluation import cepstra, listeners
from evaluation.prosody import Prosody, prosody_of, syllables_of
from evaluation.scorecard import AS_RECORDED, Measure
from utils import Registry

# Shapes: S samples, W windows, F FFT bins.

ENDS_DB = 40  # below the loudest 10 ms; quieter ends are not speech
SHORTEST = 0.05  # seconds that can be analysed

LINES = (1500, 6000)  # Hz, band in which lines are measured; below, harmonics of a voice mask them
LINE_FRAMES = 10  # of a window, so that a bin is a tenth of the frame rate wide
HIGHEST_LINE = 0.45  # of the sampling rate
LINE_FLOOR_DB = 100  # below the loudest bin

PESQ_RATE = 16000  # Hz, of its wideband mode
LONG_TEXT = 20  # characters; shorter texts have no reliable speaking rate
RATES = (8, 25)  # characters a second of people who read aloud
QUIETEST = -40  # dBFS, root mean square
SYLLABLE_SCRIPTS = "\u2e80"  # from here on a character is a syllable or more, and RATES does not hold


class AnalysedAudio(NamedTuple):
    """A sound to be measured, its text, and the recording of the same text."""

    samples: np.ndarray  # [S] float32
    sampling_rate: int  # Hz
    text: str
    language: str = "en-us"  # as espeak calls it
    reference: np.ndarray | None = None  # [S'] the recording at the same rate; None for itself and where there is none
    keeps_time: bool = False  # has the reference's timing, as copies and Griffin-Lim have; PESQ and STOI need it
    speaker: str | None = None  # the intended speaker
    hop_length: int = 0  # samples per frame of the model that generated it; 0 if unknown


class MeterContext(NamedTuple):
    """Language, candidate sentences and reference recordings that meters are constructed with."""

    language: str = "en-us"  # as espeak calls it
    candidates: Sequence[str] = ()  # about 100 sentences for closed-set recognition, the measured texts among them
    recordings: Mapping[str | None, Sequence[Wav]] = {}  # speaker -> recordings, for meters with `needs_recordings`
    whisper_model: str | None = None  # folder or name; None: see `listeners.find_whisper`


class Meter:
    """Base of all meters; a subclass names its measures and computes them."""

    measures: tuple[Measure, ...] = ()
    needs: tuple[str, ...] = ()  # import names of optional packages or their modules
    listener: str = ""  # name and version of the speech recogniser whose transcripts it counts
    needs_recordings = False  # whether it uses MeterContext.recordings; they are read only if one does

    def __init__(self, context: MeterContext):
        """Load what the meter needs.

        Raises:
            AbsentError: the language, candidates or recordings do not suffice.
        """

    def measure(self, audio: AnalysedAudio) -> dict[str, float]:
        """Return measure name -> value, without measures that do not apply to this sound."""
        raise NotImplementedError

    def notes(self, audio: AnalysedAudio) -> str:
        """A remark for people, such as the recognised words; may be empty."""
        return ""


METERS: Registry[Meter] = Registry("meter")
ALL = ("quality", "whisper", "words", "sentence", "sanity", "prosody", "timing", "world", "lines", "pesq", "stoi",
       "speaker")  # in the order in which reports list them: naturalness and words lead


def measures_of(meters: Iterable[str]) -> dict[str, Measure]:
    """The measures of meters, installed or not, by their names in validation, such as "valid/mcd"."""
    return {f"valid/{measure.name}": measure for meter in meters for measure in METERS.get(meter).measures}


def open_meters(names: Sequence[str] | None = None,
                context: MeterContext | None = None) -> tuple[list[Meter], dict[str, str]]:
    """Construct the available meters, by default of `ALL`; return (meters, measure name -> reason of absence).

    Raises:
        ValueError: unknown meter name.
        RuntimeError: a meter fails though its packages can be imported; its cause is attached.
    """
    context = context or MeterContext()
    meters: list[Meter] = []
    absent: dict[str, str] = {}
    for name in ALL if names is None else names:
        kind = METERS.get(name)
        reason = _missing_package(kind.needs)
        try:
            if reason is None:
                meters.append(kind(context))
        except listeners.AbsentError as error:
            reason = str(error)
        except Exception as error:
            raise RuntimeError(f"the meter {name} cannot be opened: {type(error).__name__}: {error}") from error
        absent |= {measure.name: reason for measure in kind.measures if reason is not None}
    return meters, absent


def _missing_package(needs: Iterable[str]) -> str | None:
    """Why a package cannot be imported; None if all can."""
    for module in needs:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the packages' own imports, such as pkg_resources
                importlib.import_module(module)
        except ImportError as error:
            package = module.partition(".")[0]
            return f'needs {package}, which cannot be imported ({error}): pip install -e ".[evaluate]"'
    return None


@METERS.register("sanity")
class SanityMeter(Meter):
    """Plausibility as speech: finite, peak below 1, above -40 dBFS, 8 to 25 characters a second."""

    measures = (Measure("sane", "Sane sounds", "%", "higher"),)

    def measure(self, audio: AnalysedAudio) -> dict[str, float]:
        return {"sane": 0.0 if self.notes(audio) else 100.0}

    def notes(self, audio: AnalysedAudio) -> str:
        if not _is_sound(audio.samples):
            return "no sound" if np.isfinite(audio.samples).all() else "not finite"
        faults = []
        peak = np.abs(audio.samples).max()
        loudness = 20 * np.log10(np.sqrt(np.square(audio.samples, dtype=np.float64).mean()))
        if peak >= 1:
            faults.append(f"peak {peak:.2f}")
        if loudness < QUIETEST:
            faults.append(f"{loudness:.0f} dBFS")
        rate = len(audio.text) / _speech_seconds(audio.samples, audio.sampling_rate)
        if len(audio.text) >= LONG_TEXT and max(audio.text) < SYLLABLE_SCRIPTS and not RATES[0] <= rate <= RATES[1]:
            faults.append(f"{rate:.0f} characters a second")
        return ", ".join(faults)


@METERS.register("timing")
class TimingMeter(Meter):
    """Duration and speaking rate relative to the recording, without silence at the ends."""

    measures = (Measure("duration_ratio", "Duration relative to the recording", "", "near 1"),
                Measure("rate_error", "Speaking-rate error", "%", "lower"))

    def measure(self, audio: AnalysedAudio) -> dict[str, float]:
        """Return the ratio of durations, and the error of characters per second in per cent."""
        if audio.reference is None or not _is_sound(audio.samples) or not _is_sound(audio.reference):
            return {}
        ratio = (_speech_seconds(audio.samples, audio.sampling_rate)
                 / _speech_seconds(audio.reference, audio.sampling_rate))
        return {"duration_ratio": ratio, "rate_error": 100 * abs(1 / ratio - 1)}


@METERS.register("world")
class WorldMeter(Meter):
    """Mel-cepstral distortion, pitch error and voicing error against the recording, by WORLD and time warping.

    Silence at the ends is cut from both. Frames of 5 ms; DIO and StoneMask for the pitch, CheapTrick for the envelope;
    mel cepstra of order 24 (see `mel_cepstra`). The path is the one of least Euclidean distance between c1 to c24, by
    steps of one frame in either or both, and each pair on it counts once in each of the means:
    mel-cepstral distortion 10 sqrt(2) / ln 10 |c - c'| without c0 in dB; root mean square of the pitch's error in cents
    over pairs that are voiced in both; share of pairs of which one is voiced and the other is not.
    """

    measures = (Measure("mcd", "Mel-cepstral distortion", "dB", "lower"),
                Measure("f0_rmse", "Pitch error", "cents", "lower"),
                Measure("voicing_error", "Voicing error", "%", "lower"))
    needs = ("pyworld", "librosa.sequence")

    def measure(self, audio: AnalysedAudio) -> dict[str, float]:
        if audio.reference is None:
            return {}
        sounds = [_speech(sound, audio.sampling_rate) for sound in (audio.samples, audio.reference) if _is_sound(sound)]
        if len(sounds) < 2 or min(map(len, sounds)) < SHORTEST * audio.sampling_rate:
            return {}
        ours, theirs = (cepstra.analyse(sound, audio.sampling_rate) for sound in sounds)
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


@METERS.register("prosody")
class ProsodyMeter(Meter):
    """Pitch movement, articulation rate, pauses and noise floor; see `evaluation.prosody`.

    No direction of them is better by itself: they are compared with the recordings'.
    """

    measures = (Measure("f0_sd", "Pitch movement", "semitones", AS_RECORDED),
                Measure("articulation", "Articulation rate", "syllables/s", AS_RECORDED),
                Measure("pauses", "Pauses in 10 s", "", AS_RECORDED),
                Measure("pause_length", "Mean pause", "s", AS_RECORDED),
                Measure("noise_floor", "Noise floor below speech", "dB", AS_RECORDED))
    needs = ("pyworld",)

    def measure(self, audio: AnalysedAudio) -> dict[str, float]:
        if not _is_sound(audio.samples) or len(audio.samples) < SHORTEST * audio.sampling_rate:
            return {}
        found = prosody_of(audio.samples, audio.sampling_rate, syllables_of(audio.text, audio.language))
        return {name: value for name, value in zip(Prosody._fields, found) if np.isfinite(value)}


@METERS.register("lines")
class LineMeter(Meter):
    """Steady spectral lines at multiples of the frame rate, a generator artefact that sounds metallic.

    By how much the multiples stand out above what lies half way between two of them, in dB, mean over windows of ten
    frames and over `LINES`. Speech has none (near 0), unless its pitch stays at a multiple of the frame rate.
    """

    measures = (Measure("frame_lines", "Lines at the frame rate", "dB", "near 0"),)

    def measure(self, audio: AnalysedAudio) -> dict[str, float]:
        if audio.hop_length == 0 or not _is_sound(audio.samples):
            return {}
        frame_rate = audio.sampling_rate / audio.hop_length
        lines = LINE_FRAMES * np.arange(np.ceil(LINES[0] / frame_rate), LINES[1] // frame_rate, dtype=int)
        lines = lines[lines < LINE_FRAMES * audio.hop_length * HIGHEST_LINE]
        size = LINE_FRAMES * audio.hop_length
        sound = _speech(audio.samples, audio.sampling_rate).astype(np.float64)
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
    """PESQ (ITU-T P.862.2, wideband) against the recording, for sounds with the recording's timing."""

    measures = (Measure("pesq", "PESQ, wideband", "", "higher"),)
    needs = ("pesq",)

    def __init__(self, context: MeterContext):
        from pesq import PesqError, pesq

        self._score, self._no_speech = pesq, PesqError

    def measure(self, audio: AnalysedAudio) -> dict[str, float]:
        pair = _same_time(audio, PESQ_RATE)
        if pair is None:
            return {}
        try:
            return {"pesq": float(self._score(PESQ_RATE, *pair, "wb"))}
        except self._no_speech:  # less than a quarter of a second, or no speech in it
            return {}


@METERS.register("stoi")
class StoiMeter(Meter):
    """Short-time objective intelligibility against the recording, for sounds with the recording's timing."""

    measures = (Measure("stoi", "STOI", "", "higher"),)
    needs = ("pystoi",)

    def __init__(self, context: MeterContext):
        from pystoi import stoi

        self._score = stoi

    def measure(self, audio: AnalysedAudio) -> dict[str, float]:
        pair = _same_time(audio, audio.sampling_rate)
        if pair is None:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # raised where there is too little speech
            try:
                return {"stoi": float(self._score(*pair, audio.sampling_rate))}
            except (RuntimeWarning, np.exceptions.AxisError):  # the latter for less than one frame
                return {}


@METERS.register("sentence")
class SentenceMeter(Meter):
    """Closed-set sentence identification among the candidates, without those that the dictionary does not cover."""

    measures = (Measure("sentence_id", "Sentence identified", "%", "higher", is_costly=True),)
    needs = ("pocketsphinx",)

    def __init__(self, context: MeterContext):
        _expect_english(context.language)
        known = listeners.recognisable_sentences(context.candidates)
        if len(known) < 2:
            raise listeners.AbsentError(f"the dictionary covers {len(known)} candidate sentences, expected two or more")
        self._listener = listeners.SentenceListener(known)

    def measure(self, audio: AnalysedAudio) -> dict[str, float]:
        right = self._listener.index(audio.text)
        if right is None:
            return {}
        return {"sentence_id": 100.0 * (self._listener.identify(audio.samples, audio.sampling_rate) == right)}


class _TranscribingMeter(Meter):
    """Base of meters with a transcript; the last one is cached, since values and notes share it."""

    def __init__(self):
        self._last: tuple[np.ndarray, list[str]] | None = None

    def notes(self, audio: AnalysedAudio) -> str:
        """The recognised words."""
        return " ".join(self._transcript(audio))

    def _transcript(self, audio: AnalysedAudio) -> list[str]:
        if self._last is None or self._last[0] is not audio.samples:
            self._last = audio.samples, self._listener.transcribe(audio.samples, audio.sampling_rate)
        return self._last[1]

    def _errors(self, audio: AnalysedAudio, words: Sequence[str]) -> listeners.WordErrors | None:
        reference = listeners.spoken_words(audio.text, audio.language)
        return listeners.word_errors(reference, words) if reference else None


@METERS.register("words")
class WordMeter(_TranscribingMeter):
    """Word error rate with pocketsphinx' own language model, and share of words recognised in a closed vocabulary.

    Both are of one sound. A mean over sounds weighs a short text as much as a long one, so it is not the rate of all
    words together: it is higher where short texts are recognised worse.
    """

    measures = (Measure("wer", "Word error rate by pocketsphinx", "%", "lower", is_costly=True),
                Measure("words_heard", "Words recognised, closed vocabulary", "%", "higher", is_costly=True))
    needs = ("pocketsphinx", "jiwer")

    def __init__(self, context: MeterContext):
        super().__init__()
        _expect_english(context.language)
        self._listener = listeners.WordListener(context.candidates)
        self.listener = self._listener.name

    def measure(self, audio: AnalysedAudio) -> dict[str, float]:
        errors = self._errors(audio, self._transcript(audio))
        if errors is None:
            return {}
        values = {"wer": errors.rate}
        if self._listener.vocabulary:
            closed = self._listener.transcribe_closed(audio.samples, audio.sampling_rate)
            values["words_heard"] = self._errors(audio, closed).hit_rate
        return values


@METERS.register("whisper")
class WhisperMeter(_TranscribingMeter):
    """Word error rate by Whisper, if a model for the language is on this machine."""

    measures = (Measure("whisper_wer", "Word error rate by Whisper", "%", "lower", is_costly=True),)
    needs = ("faster_whisper", "jiwer")

    def __init__(self, context: MeterContext):
        super().__init__()
        self._listener = listeners.WhisperListener(context.whisper_model, context.language)
        self.listener = self._listener.name

    def measure(self, audio: AnalysedAudio) -> dict[str, float]:
        errors = self._errors(audio, self._transcript(audio))
        return {} if errors is None else {"whisper_wer": errors.rate}


@METERS.register("quality")
class QualityMeter(Meter):
    """DNSMOS, predictors of opinion scores, for differences between voices.

    P.808 leads: it separates synthesizers from recordings (docs/lab/voices.md). The other three were made for noise
    suppression, and hardly differ between a robot and a recording.
    """

    measures = (Measure("dnsmos_p808", "Naturalness, DNSMOS P.808", "", "higher", is_costly=True),
                Measure("dnsmos_ovrl", "DNSMOS, overall", "", "higher", is_costly=True),
                Measure("dnsmos_sig", "DNSMOS, speech", "", "higher", is_costly=True),
                Measure("dnsmos_bak", "DNSMOS, background", "", "higher", is_costly=True))
    needs = ("speechmos.dnsmos",)

    def __init__(self, context: MeterContext):
        self._listener = listeners.QualityListener()

    def measure(self, audio: AnalysedAudio) -> dict[str, float]:
        rated = self._listener.rate(audio.samples, audio.sampling_rate)
        return {f"dnsmos_{name}": value for name, value in rated.items()}


@METERS.register("speaker")
class SpeakerMeter(Meter):
    """Speaker similarity: cosine between the embeddings of the sound and of the speaker's recordings."""

    measures = (Measure("speaker_similarity", "Speaker similarity", "", "higher", is_costly=True),)
    needs = ("resemblyzer",)
    needs_recordings = True

    def __init__(self, context: MeterContext):
        if not any(context.recordings.values()):
            raise listeners.AbsentError("there are no recordings of the speaker to compare with: expected some in the "
                                        "filelist of data.training_files")
        self._listener = listeners.SpeakerListener()
        self._voices = {speaker: self._listener.embed_speaker(wavs) for speaker, wavs in context.recordings.items()}

    def measure(self, audio: AnalysedAudio) -> dict[str, float]:
        voice = self._voices.get(audio.speaker)
        found = None if voice is None else self._listener.embed(audio.samples, audio.sampling_rate)
        return {} if found is None else {"speaker_similarity": float(found @ voice)}


def _expect_english(language: str) -> None:
    if not language.startswith("en"):
        raise listeners.AbsentError(f"pocketsphinx recognises English only, the language is {language}")


def _is_sound(samples: np.ndarray) -> bool:
    """Whether all samples are finite and not constant."""
    return len(samples) > 0 and bool(np.isfinite(samples).all()) and np.ptp(samples) > 0


def _speech(samples: np.ndarray, sampling_rate: int) -> np.ndarray:
    return trim_silence(samples, sampling_rate, ENDS_DB, 0.0)


def _speech_seconds(samples: np.ndarray, sampling_rate: int) -> float:
    return len(_speech(samples, sampling_rate)) / sampling_rate


def _same_time(audio: AnalysedAudio, sampling_rate: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Reference and sound [S] at a sampling rate; None unless both exist and have the same timing."""
    if not audio.keeps_time or audio.reference is None:
        return None
    if not _is_sound(audio.samples) or not _is_sound(audio.reference):
        return None
    length = min(len(audio.reference), len(audio.samples))
    return tuple(np.asarray(resample(np.asarray(sound[:length], np.float32), audio.sampling_rate, sampling_rate))
                 for sound in (audio.reference, audio.samples))
