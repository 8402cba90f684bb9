"""Text to audio but for the network: sentences, options, volume, pitch, timings and pauses of every kind of voice.

    class MyVoice(BaseVoice):                    # as `synthesis.Voice` and `synthesis.onnx.OnnxVoice` are
        def _latent(self, sentence, seed, options, durations): ...
        def _decode(self, latent, chunks): ...

Nothing here imports torch, so that an ONNX voice starts without it.
"""

from __future__ import annotations

import dataclasses
import math
import secrets
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from audio import loudness, resampling
from audio import output as sound
from config import Config
from synthesis import noise
from synthesis.chunking import DEFAULT_CHUNKS, WHOLE, ChunkSizes
from synthesis.controls import changes_pitch, timings_of, trim_cut_ends, with_volume_and_pitch
from synthesis.speakers import find_speaker
from synthesis.timings import TimedLabel, Timings
from text import TextProcessor
from text.lexicon import Lexicon
from text.markup import MarkupError, TextSpan, check_phonemes, is_ssml, parse_inline, parse_ssml
from text.prosody import Prosody
from text.utterances import ScriptReader, SentenceTokens, Silence, tokens_of_ids

# Shapes: L text tokens, S samples.

LARGEST_SPEED, SMALLEST_SPEED = 10.0, 0.1
VOICES = Path(__file__).parents[1] / "voices"
DEFAULT_VOICE = "en_joe"


class NothingToSayError(ValueError):
    """A text that has no sound: it is empty, punctuation alone, or of unknown characters."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    @property
    def summary(self) -> str:
        """Short form of the message, for a warning."""
        return f"nothing to say in {self.text[:80]!r}"

    def __str__(self) -> str:
        return (f"{self.summary}: it is empty, or punctuation alone, or the voice's symbol table has none of its "
                "characters; write words in the voice's language")


TEXT_ERRORS = (NothingToSayError, MarkupError)  # faults of one text; others may be spoken


@dataclass(frozen=True)
class Audio:
    """Synthesized speech with its timings."""

    samples: np.ndarray  # float32 [S], in [-1, 1]
    sample_rate: int  # Hz
    durations: np.ndarray  # int64 [L], samples for each of `text_ids`; pauses between sentences are not among them
    text_ids: tuple[int, ...] = ()
    timings: Timings | None = None  # of a chunk of a stream: those of its sentence, with the sentence's first chunk

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.sample_rate

    def save(self, path: str | Path, bits: int = 16) -> None:
        """Write .wav, .flac, .ogg or raw samples, as the path ends; folders are made. See `audio.output.save`."""
        sound.save(path, self.samples, self.sample_rate, bits)

    def at_rate(self, sample_rate: int) -> Audio:
        """Resampled to another sampling rate, in Hz."""
        timings = None if self.timings is None else self.timings.scaled(sample_rate)
        samples = resampling.at_rate(self.samples, self.sample_rate, sample_rate)
        ends = np.round(np.cumsum(self.durations) * (sample_rate / self.sample_rate)).astype(np.int64)
        return Audio(samples, sample_rate, np.diff(ends, prepend=0), self.text_ids, timings)

    def at_loudness(self, lufs: float = -23.0) -> Audio:
        """Scaled to a loudness by ITU-R BS.1770; see `audio.loudness.at_loudness`."""
        return dataclasses.replace(self, samples=loudness.at_loudness(self.samples, self.sample_rate, lufs))

    @staticmethod
    def joined(parts: Sequence[Audio]) -> Audio:
        """Audio of parts one after another.

        Raises:
            ValueError: there is none.
        """
        if not parts:
            raise ValueError("there is no audio to join")
        timings = [part.timings for part in parts if part.timings is not None]
        return Audio(np.concatenate([part.samples for part in parts]), parts[0].sample_rate,
                     np.concatenate([part.durations for part in parts]),
                     tuple(i for part in parts for i in part.text_ids), Timings.joined(timings) if timings else None)


@dataclass(frozen=True)
class SynthesisOptions:
    """Options of synthesis: speaker, speed, noise, seed, volume, pitch, pauses; `speak` takes each by name too."""

    speaker: str | int | None = None  # name, id, "alice:0.7+bob:0.3", "alice->bob" within a sentence, "new:7"
    speed: float | None = None  # 2 is twice as fast; None for this and the next two: the voice's own
    noise_scale: float | None = None  # how much the sound varies, 0 to about 1
    noise_scale_duration: float | None = None  # how much the rhythm varies (stochastic duration predictor)
    seed: int | None = None  # the same seed, the same sound
    strategy: str = "prior"  # how noise is drawn, a name in `synthesis.noise.STRATEGIES`
    candidates: int = 1  # best of so many, by `synthesis.rescoring.text_likelihood`
    volume_db: float = 0.0
    pitch_semitones: float = 0.0  # the duration stays
    sentence_pause: float = 0.2  # seconds
    paragraph_pause: float = 0.6  # seconds
    max_characters: int | None = None  # of a sentence; None: what the voice was trained for
    lexicon: Lexicon | None = None  # words and their pronunciations

    def __post_init__(self) -> None:
        limits = {"speed": (SMALLEST_SPEED, LARGEST_SPEED), "noise_scale": (0, math.inf),
                  "noise_scale_duration": (0, math.inf), "candidates": (1, 1000), "volume_db": (-math.inf, 24),
                  "pitch_semitones": (-12, 12), "sentence_pause": (0, 600), "paragraph_pause": (0, 600)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is None:
                continue
            if not low <= value <= high or value == math.inf:
                expected = f"{low:g} or more" if high == math.inf else f"from {low:g} to {high:g}"
                raise ValueError(f"{name} is {value}; it must be {expected}")
        noise.STRATEGIES.get(self.strategy)
        if self.seed is not None:
            noise.checked_seed(self.seed)

    @property
    def prosody(self) -> Prosody:
        """Speed, volume, pitch and speaker of the whole text, within which SSML changes parts."""
        return Prosody(self.speed or 1.0, self.volume_db, self.pitch_semitones, self.speaker)


@dataclass(frozen=True)
class SentenceLatent:
    """A sentence before decoding; each kind of voice adds what its decoder takes."""

    sentence: SentenceTokens
    frames: np.ndarray  # int64 [L]


class BaseVoice(ABC):
    """A voice: text to audio, by a network that a subclass runs."""

    config: Config
    text: TextProcessor

    @abstractmethod
    def _latent(self, sentence: SentenceTokens, seed: int, options: SynthesisOptions,
                durations: Sequence[int] | None) -> SentenceLatent:
        """Text to latent of one sentence; `durations` are frames for each token, instead of predicted ones."""

    @abstractmethod
    def _decode(self, latent: SentenceLatent, chunks: ChunkSizes) -> Iterator[np.ndarray]:
        """Latent to samples, a chunk at a time, float32 [S of the chunk]; of no frames, one chunk of no samples."""

    @property
    def sample_rate(self) -> int:
        """Sampling rate of the audio, in Hz."""
        return self.config.data.sampling_rate

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names by id; numbers where training had no names; empty for one voice."""
        return self.config.speaker_names

    def speak(self, text: str, options: SynthesisOptions | None = None, **changes: Any) -> Audio:
        """Synthesize a text, whole.

        Args:
            text: plain, in which [[these]] are phonemes; or SSML.
            options: speaker, speed, seed and so on.
            changes: of their fields, by name: `speak("Hello.", speed=1.2, seed=1)`.

        Raises:
            NothingToSayError: the text has no sound.
            MarkupError: SSML, or [[phonemes]], that are wrong, with the place.
            ValueError: no such speaker, or a number out of range.
        """
        parts = list(self._stream(text, self._options(options, changes), WHOLE))
        if not any(part.text_ids for part in parts):
            raise NothingToSayError(text)
        return Audio.joined(parts)

    def check_markup(self, text: str) -> None:
        """Check SSML, or [[phonemes]], of a whole text, of which `stream` finds the faults only when it is there.

        Raises:
            MarkupError: the first fault, with its place.
        """
        segments = parse_ssml(text, self.text.language) if is_ssml(text) else parse_inline(text)
        for each in segments:
            if isinstance(each, TextSpan):
                self._check_speaker(each.prosody.speaker, each.place)
                check_phonemes(each.phonemes or "", self.text.symbols.ids, each.place)

    def stream(self, text: str | Iterable[str | None], options: SynthesisOptions | None = None,
               chunks: ChunkSizes = DEFAULT_CHUNKS, **changes: Any) -> Iterator[Audio]:
        """Synthesize a text in chunks, each yielded as soon as it is decoded; joined they equal `speak`'s audio.

        Args:
            text: as for `speak`, or pieces of text in order, e.g. from a language model: a sentence is synthesized as
                soon as it is complete. A piece may be None, "no text yet", which yields a chunk of no samples.
            options: as for `speak`. Best of several candidates, and a changed pitch, need each sentence whole.
            chunks: how many frames are decoded at a time.
            changes: as for `speak`.
        """
        return self._stream(text, self._options(options, changes), chunks)

    def _stream(self, text: str | Iterable[str | None], options: SynthesisOptions,
                chunks: ChunkSizes) -> Iterator[Audio]:
        seed = secrets.randbits(62) if options.seed is None else options.seed
        number = 0
        for item in self._read(text, options):
            if isinstance(item, Silence):
                yield self._pause(item)
                continue
            sentence_seed = noise.candidate_seed(seed, number) if number else seed
            yield from self._speak_sentence(item, sentence_seed, options, chunks)
            number += 1

    def speak_all(self, texts: Sequence[str], options: SynthesisOptions | None = None,
                  seeds: Sequence[int] | None = None, batch_size: int = 16, **changes: Any) -> list[Audio]:
        """Synthesize many texts, each as by `speak` with its own seed.

        Args:
            texts: as for `speak`.
            options: as for `speak`.
            seeds: one for each text, else the options' for all.
            batch_size: sentences at a time, for a voice that computes several together.
            changes: as for `speak`.

        Raises:
            ValueError: as in `speak`, or not as many seeds as texts.
        """
        spoken = self.try_all(texts, options, seeds, batch_size, **changes)
        for number, each in enumerate(spoken):
            if isinstance(each, NothingToSayError):
                raise ValueError(f"nothing to say in text {number}, {each.text[:80]!r}") from None
            if isinstance(each, ValueError):
                raise each
        return spoken

    def try_all(self, texts: Sequence[str], options: SynthesisOptions | None = None,
                seeds: Sequence[int] | None = None, batch_size: int = 16, **changes: Any) -> list[Audio | ValueError]:
        """As `speak_all`, but for a text that has no sound or wrong markup the list holds its error."""
        options = self._options(options, changes)
        if seeds is None:
            seeds = [secrets.randbits(62) if options.seed is None else options.seed] * len(texts)
        if len(seeds) != len(texts):
            raise ValueError(f"found {len(seeds)} seeds for {len(texts)} texts; expected one for each")
        return self._speak_all(texts, options, seeds, batch_size)

    def _speak_all(self, texts: Sequence[str], options: SynthesisOptions, seeds: Sequence[int],
                   batch_size: int) -> list[Audio | ValueError]:
        """One after the other; a subclass may compute batches."""
        spoken: list[Audio | ValueError] = []
        for text, seed in zip(texts, seeds):
            try:
                spoken.append(self.speak(text, options, seed=seed))
            except TEXT_ERRORS as error:
                spoken.append(error)
        return spoken

    def _read(self, text: str | Iterable[str | None], options: SynthesisOptions) -> Iterator[SentenceTokens | Silence]:
        """A text as sentences with the options' speed, volume, pitch and speaker, and the pauses between them."""
        reader = ScriptReader(self.text, options.max_characters or self.config.data.max_text_len,
                              options.sentence_pause, options.paragraph_pause, options.lexicon)
        for item in reader.read(text):
            if isinstance(item, SentenceTokens):
                self._check_speaker(item.speaker, item.place)
                self._warn_of_unknown(item)
                item = item.within(options.prosody)
            yield item

    def _options(self, options: SynthesisOptions | None, changes: dict[str, Any]) -> SynthesisOptions:
        """The options with changes; what they leave open comes from the voice's configuration."""
        options = merged_options(options, changes)
        defaults = dataclasses.asdict(self.config.speaking)
        return dataclasses.replace(options, **{name: value for name, value in defaults.items()
                                               if getattr(options, name, "not an option") is None})

    def speak_ids(self, ids: Sequence[int], options: SynthesisOptions | None = None, *,
                  durations: Sequence[int] | None = None, **changes: Any) -> Audio:
        """Synthesize token ids (blanks included), e.g. `audio.text_ids`.

        Args:
            ids: rows of the symbol table.
            options: as for `speak`.
            durations: whole frames for each id, instead of predicting them: `audio.durations // hop_length`, edited.
            changes: as for `speak`.

        Raises:
            ValueError: as in `speak`, ids that no row has, or durations of another length.
        """
        return Audio.joined(list(self.stream_ids(ids, options, WHOLE, durations=durations, **changes)))

    def stream_ids(self, ids: Sequence[int], options: SynthesisOptions | None = None,
                   chunks: ChunkSizes = DEFAULT_CHUNKS, *, durations: Sequence[int] | None = None,
                   **changes: Any) -> Iterator[Audio]:
        """As `speak_ids`, in chunks."""
        if durations is not None and (len(durations) != len(ids) or min(durations, default=0) < 0):
            raise ValueError(f"durations must be {len(ids)} numbers of frames, 0 or more, one for each id; found "
                             f"{len(durations)}, the smallest {min(durations, default=0)}")
        rows = len(self.text.symbols)
        if not len(ids) or not all(0 <= i < rows for i in ids):
            wrong = next((i for i in ids if not 0 <= i < rows), "none")
            raise ValueError(f"ids must be one or more numbers from 0 to {rows - 1}, the rows of the symbol table; "
                             f"found {wrong}")
        options = self._options(options, changes)
        seed = secrets.randbits(62) if options.seed is None else options.seed
        sentence = tokens_of_ids((int(i) for i in ids), self.text).within(options.prosody)
        return self._speak_sentence(sentence, seed, options, chunks, durations)

    def _speak_sentence(self, sentence: SentenceTokens, seed: int, options: SynthesisOptions, chunks: ChunkSizes,
                        durations: Sequence[int] | None = None) -> Iterator[Audio]:
        """One sentence, in chunks unless its pitch changes or an end of it was cut, which need it whole."""
        latent = self._latent(sentence, seed, options, durations)
        is_whole = changes_pitch(sentence) or sentence.is_join
        yield from self._finished(latent, self._decode(latent, WHOLE if is_whole else chunks))

    def _finished(self, latent: SentenceLatent, decoded: Iterable[np.ndarray]) -> Iterator[Audio]:
        """Decoded samples of one sentence -> Audio with the voice's level, and pitch, volume and timings."""
        changed = with_volume_and_pitch(decoded, latent.sentence, latent.frames, self.config.data.hop_length,
                                        self.sample_rate, self.config.speaking.gain_db)
        for number, samples in enumerate(changed):
            yield self._audio(samples, None if number else latent)

    def _audio(self, samples: np.ndarray, latent: SentenceLatent | None) -> Audio:
        """Samples as Audio; with a sentence's latent, with its timings too, and trimmed where it was cut.

        Raises:
            ValueError: samples are not finite.
        """
        if not np.isfinite(samples).all():
            raise ValueError("the voice's sound is not finite (NaN or infinity): its weights are damaged; take another "
                             "checkpoint, or make the release or the ONNX files anew")
        if latent is None:
            return Audio(samples, self.sample_rate, np.empty(0, np.int64))
        hop, sentence = self.config.data.hop_length, latent.sentence
        samples, frames = trim_cut_ends(samples, sentence, latent.frames, hop, self.sample_rate)
        return Audio(samples, self.sample_rate, frames * hop, sentence.ids,
                     timings_of(sentence, frames, hop, self.sample_rate))

    def _pause(self, silence: Silence) -> Audio:
        n_samples = round(silence.seconds * self.sample_rate)
        timings = dataclasses.replace(Timings.pause(self.sample_rate, n_samples),
                                      bookmarks=tuple(TimedLabel(name, 0, 0) for name in silence.bookmarks))
        return Audio(np.zeros(n_samples, np.float32), self.sample_rate, np.empty(0, np.int64), (), timings)

    def _check_speaker(self, speaker: str | int | None, place: str) -> None:
        """Raise MarkupError, with the place, for a <voice> that this voice does not have."""
        if speaker is None:
            return
        try:
            if not self.config.multispeaker:
                raise ValueError("this voice has one speaker; leave the <voice> element out")
            find_speaker(speaker, self.speakers)
        except ValueError as error:
            raise MarkupError(f"{place}: <voice name={speaker!r}>: {error}") from None

    def _warn_of_unknown(self, sentence: SentenceTokens) -> None:
        if sentence.unknown:
            names = ", ".join(f"{symbol!r} (U+{ord(symbol):04X})" for symbol in dict.fromkeys(sentence.unknown))
            warnings.warn(f"not in the voice's symbol table {self.text.symbols.name!r}, replaced by what comes "
                          f"nearest: {names}", stacklevel=3)
        warned = _warned_of(self.text.rare)
        if rare := [symbol for symbol in self.text.rare_in(sentence.ids) if symbol not in warned]:
            warned.update(rare)  # once of each in a process
            more = f" and {len(rare) - 12} more" if len(rare) > 12 else ""
            warnings.warn(f"rare in the voice's training texts, and may sound wrong: {', '.join(map(repr, rare[:12]))}"
                          f"{more}; respell such words, best in a lexicon", stacklevel=3)


@cache
def _warned_of(rare: frozenset[str]) -> set[str]:
    """Symbols of which a voice with these rare symbols has warned."""
    return set()


def find_voice(run: str | Path | None = None) -> Path:
    """Path of a voice: the path itself if it exists, else the shipped voice of that name.

    Raises:
        ValueError: no voice was named, and the default one is missing.
        FileNotFoundError: there is neither a path nor a voice of this name.
    """
    if run is not None and Path(run).exists():
        return Path(run)
    shipped = VOICES / (DEFAULT_VOICE if run is None else Path(run).name)
    if run is None and not shipped.is_dir():
        raise ValueError(f"{shipped} is missing; name a voice by -m")
    if run is None or (shipped.is_dir() and str(run) == shipped.name):
        return shipped
    if str(run) == shipped.name:
        names = ", ".join(sorted(folder.name for folder in VOICES.glob("*") if folder.is_dir())) or "none"
        raise FileNotFoundError(f"no run or checkpoint {run}, and no voice of that name, there are {names}; a run is "
                                f"made by, e.g., python train.py -c configs/demo.json -m {run}")
    return Path(run)


def merged_options(options: SynthesisOptions | None, changes: dict[str, Any]) -> SynthesisOptions:
    """The options, or the defaults, with fields changed by name.

    Raises:
        TypeError: something else stands in the options' place, such as a speaker's name.
    """
    if not isinstance(options, SynthesisOptions | None):
        raise TypeError(f"options is {options!r}; expected SynthesisOptions, or its fields by name: speak(text, "
                        "speaker='alice', speed=1.2)")
    return dataclasses.replace(options or SynthesisOptions(), **changes)
