"""All of speaking but the network: how a text is delivered, sentence by sentence, and the sound that comes out.

    class Robot(Speaking):                     # `synthesis.Voice` and `synthesis.onnx.OnnxVoice` are such voices
        def _latent(self, utterance, seed, delivery, durations): ...
        def _decode(self, latent, pieces): ...

Nothing here imports torch, so that a voice that does without it starts without it.
"""

from __future__ import annotations

import dataclasses
import math
import secrets
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audio import loudness, resampling
from audio import output as sound
from config import Config
from synthesis import noise
from synthesis.chunking import PIECES, WHOLE, Pieces
from synthesis.controls import changes_pitch, tightened, timings_of, with_volume_and_pitch
from synthesis.speakers import find_speaker
from synthesis.timings import Mark, Timings
from text import TextProcessor
from text.lexicon import Lexicon
from text.markup import MarkupError
from text.prosody import Manner
from text.utterances import ScriptReader, Silence, Utterance, utterance_of_ids

# Shapes: L text tokens, S samples.

LARGEST_SPEED, SMALLEST_SPEED = 10.0, 0.1
VOICES = Path(__file__).parents[1] / "voices"
DEFAULT_VOICE = "en_joe"


class NothingToSayError(ValueError):
    """A text has no sound."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    @property
    def summary(self) -> str:
        """Short, for a warning."""
        return f"nothing to say in {self.text[:80]!r}"

    def __str__(self) -> str:
        return (f"{self.summary}: it is empty, or punctuation alone, or this voice knows none of its characters; write "
                "words that it can say")


TEXT_ERRORS = (NothingToSayError, MarkupError)  # of one text; others may be said


@dataclass(frozen=True)
class Audio:
    """Speech, and what is said when."""

    samples: np.ndarray  # float32 [S], in [-1, 1]
    sample_rate: int  # Hz
    durations: np.ndarray  # int64 [L], samples for each of `text_ids`; pauses between sentences are not among them
    text_ids: tuple[int, ...] = ()
    timings: Timings | None = None  # of a piece of a stream: those of its sentence, with the sentence's first piece

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / self.sample_rate

    def save(self, path: str | Path, bits: int = 16) -> None:
        """Write .wav, .flac, .ogg or raw samples, as the path ends; folders are made. See `audio.output.save`."""
        sound.save(path, self.samples, self.sample_rate, bits)

    def at_rate(self, sample_rate: int) -> Audio:
        """The same at another sampling rate, in Hz."""
        timings = None if self.timings is None else self.timings.scaled(sample_rate)
        samples = resampling.at_rate(self.samples, self.sample_rate, sample_rate)
        ends = np.round(np.cumsum(self.durations) * (sample_rate / self.sample_rate)).astype(np.int64)
        return Audio(samples, sample_rate, np.diff(ends, prepend=0), self.text_ids, timings)

    def at_loudness(self, lufs: float = -23.0) -> Audio:
        """The same at a loudness by ITU-R BS.1770; see `audio.loudness.at_loudness`."""
        return dataclasses.replace(self, samples=loudness.at_loudness(self.samples, self.sample_rate, lufs))

    @staticmethod
    def joined(parts: Sequence[Audio]) -> Audio:
        """One after another.

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
class Delivery:
    """How a text is delivered; each may be given to `speak` and its like by name."""

    speaker: str | int | None = None  # name, id, "alice:0.7+bob:0.3", "alice->bob" within a sentence, "new:7"
    speed: float | None = None  # 2 is twice as fast; None for this and the next two: as the voice is meant
    noise_scale: float | None = None  # how much the sound varies, 0 to about 1
    noise_scale_duration: float | None = None  # how much the rhythm varies (stochastic duration predictor)
    seed: int | None = None  # the same seed, the same sound
    strategy: str = "prior"  # how noise is drawn, a name in `synthesis.noise.STRATEGIES`
    candidates: int = 1  # best of so many, by `synthesis.rescoring.reading_score`
    volume_db: float = 0.0
    pitch_semitones: float = 0.0  # the duration stays
    sentence_pause: float = 0.2  # seconds
    paragraph_pause: float = 0.6  # seconds
    max_characters: int | None = None  # of a sentence; None: what the voice was trained for
    lexicon: Lexicon | None = None  # words and how they are said

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
    def manner(self) -> Manner:
        """Speed, volume, pitch and speaker of the whole text, around what markup says of its parts."""
        return Manner(self.speed or 1.0, self.volume_db, self.pitch_semitones, self.speaker)


@dataclass(frozen=True)
class SentenceLatent:
    """A sentence before decoding; each kind of voice adds what its decoder takes."""

    utterance: Utterance
    frames: np.ndarray  # int64 [L]


class Speaking(ABC):
    """A voice that speaks, whatever computes its sound."""

    config: Config
    text: TextProcessor

    @abstractmethod
    def _latent(self, utterance: Utterance, seed: int, delivery: Delivery,
                durations: Sequence[int] | None) -> SentenceLatent:
        """All but the decoding of one utterance; `durations` are frames for each token, if the caller has them."""

    @abstractmethod
    def _decode(self, latent: SentenceLatent, pieces: Pieces) -> Iterator[np.ndarray]:
        """Samples of an utterance, float32 [S of the piece] each; of an utterance of no frames, one piece of none."""

    @property
    def sample_rate(self) -> int:
        """Hz of all that this voice says."""
        return self.config.data.sampling_rate

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names by id; numbers where training had no names; empty for one voice."""
        names, n_speakers = self.config.data.speakers, self.config.data.n_speakers
        return (*names, *map(str, range(len(names), n_speakers))) if self.config.multispeaker else ()

    def speak(self, text: str, delivery: Delivery | None = None, **changes: Any) -> Audio:
        """Say a text, whole.

        Args:
            text: as people write it, with [[phonemes]] where wanted; or SSML.
            delivery: how.
            changes: of its fields, by name: `speak("Hello.", speed=1.2, seed=1)`.

        Raises:
            NothingToSayError: the text has no sound.
            MarkupError: SSML, or [[phonemes]], that are wrong, with the place.
            ValueError: no such speaker, or a number out of range.
        """
        said = list(self._stream(text, self._delivery(delivery, changes), WHOLE))
        if not any(piece.text_ids for piece in said):
            raise NothingToSayError(text)
        return Audio.joined(said)

    def stream(self, text: str | Iterable[str], delivery: Delivery | None = None, pieces: Pieces = PIECES,
               **changes: Any) -> Iterator[Audio]:
        """Say a text piece by piece, each given out as soon as it is decoded; joined they are what `speak` says.

        Args:
            text: as for `speak`, or its pieces in order, e.g. from a language model: a sentence is said as soon as it
                is complete.
            delivery: how. Best of several candidates, and a changed pitch, need each sentence whole.
            pieces: how many frames are decoded at a time.
            changes: as for `speak`.
        """
        return self._stream(text, self._delivery(delivery, changes), pieces)

    def _stream(self, text: str | Iterable[str], delivery: Delivery, pieces: Pieces) -> Iterator[Audio]:
        seed = secrets.randbits(62) if delivery.seed is None else delivery.seed
        number = 0
        for item in self._read(text, delivery):
            if isinstance(item, Silence):
                yield self._pause(item)
                continue
            yield from self._say(item, noise.candidate_seed(seed, number) if number else seed, delivery, pieces)
            number += 1

    def speak_all(self, texts: Sequence[str], delivery: Delivery | None = None, seeds: Sequence[int] | None = None,
                  batch_size: int = 16, **changes: Any) -> list[Audio]:
        """Say many texts, each as `speak` says it with its own seed.

        Args:
            texts: as for `speak`.
            delivery: how.
            seeds: one for each text, else the delivery's for all.
            batch_size: sentences at a time, for a voice that says several together.
            changes: as for `speak`.

        Raises:
            ValueError: as in `speak`, or not as many seeds as texts.
        """
        spoken = self.try_all(texts, delivery, seeds, batch_size, **changes)
        for number, each in enumerate(spoken):
            if isinstance(each, NothingToSayError):
                raise ValueError(f"nothing to say in text {number}, {each.text[:80]!r}") from None
            if isinstance(each, ValueError):
                raise each
        return spoken

    def try_all(self, texts: Sequence[str], delivery: Delivery | None = None, seeds: Sequence[int] | None = None,
                batch_size: int = 16, **changes: Any) -> list[Audio | ValueError]:
        """The same, but a text that has no sound, or wrong markup, does not stop the others: its error is returned."""
        delivery = self._delivery(delivery, changes)
        if seeds is None:
            seeds = [secrets.randbits(62) if delivery.seed is None else delivery.seed] * len(texts)
        if len(seeds) != len(texts):
            raise ValueError(f"found {len(seeds)} seeds for {len(texts)} texts; expected one for each")
        return self._speak_all(texts, delivery, seeds, batch_size)

    def _speak_all(self, texts: Sequence[str], delivery: Delivery, seeds: Sequence[int],
                   batch_size: int) -> list[Audio | ValueError]:
        """One after the other, unless a voice can do better."""
        spoken: list[Audio | ValueError] = []
        for text, seed in zip(texts, seeds):
            try:
                spoken.append(self.speak(text, delivery, seed=seed))
            except TEXT_ERRORS as error:
                spoken.append(error)
        return spoken

    def _read(self, text: str | Iterable[str], delivery: Delivery) -> Iterator[Utterance | Silence]:
        """A text as sentences with the delivery's speed, volume, pitch and speaker, and the pauses between them."""
        reader = ScriptReader(self.text, delivery.max_characters or self.config.data.max_text_len,
                              delivery.sentence_pause, delivery.paragraph_pause, delivery.lexicon)
        for item in reader.read(text):
            if isinstance(item, Utterance):
                self._check_speaker(item)
                self._warn_of_unknown(item)
                item = item.within(delivery.manner)
            yield item

    def _delivery(self, delivery: Delivery | None, changes: dict[str, Any]) -> Delivery:
        """The delivery with its changes; what it leaves open is as the voice is meant to be spoken."""
        delivery = with_changes(delivery, changes)
        meant = dataclasses.asdict(self.config.speaking)
        return dataclasses.replace(delivery, **{name: value for name, value in meant.items()
                                                if getattr(delivery, name) is None})

    def speak_ids(self, ids: Sequence[int], delivery: Delivery | None = None, *,
                  durations: Sequence[int] | None = None, **changes: Any) -> Audio:
        """Say token ids (blanks included), e.g. `audio.text_ids`.

        Args:
            ids: rows of the symbol table.
            delivery: how.
            durations: whole frames for each id, instead of predicting them: `audio.durations // hop_length`, edited.
            changes: as for `speak`.

        Raises:
            ValueError: as in `speak`, ids that no row has, or durations of another length.
        """
        return Audio.joined(list(self.stream_ids(ids, delivery, WHOLE, durations=durations, **changes)))

    def stream_ids(self, ids: Sequence[int], delivery: Delivery | None = None, pieces: Pieces = PIECES, *,
                   durations: Sequence[int] | None = None, **changes: Any) -> Iterator[Audio]:
        """The same piece by piece."""
        if durations is not None and (len(durations) != len(ids) or min(durations, default=0) < 0):
            raise ValueError(f"durations must be {len(ids)} numbers of frames, 0 or more, one for each id; "
                             f"found {len(durations)}")
        rows = len(self.text.symbols)
        if not len(ids) or not all(0 <= i < rows for i in ids):
            raise ValueError(f"ids must be one or more numbers from 0 to {rows - 1}, the rows of the symbol table")
        delivery = self._delivery(delivery, changes)
        seed = secrets.randbits(62) if delivery.seed is None else delivery.seed
        utterance = utterance_of_ids((int(i) for i in ids), self.text).within(delivery.manner)
        return self._say(utterance, seed, delivery, pieces, durations)

    def _say(self, utterance: Utterance, seed: int, delivery: Delivery, pieces: Pieces,
             durations: Sequence[int] | None = None) -> Iterator[Audio]:
        """One utterance, in pieces if it can be: not if its pitch is changed, or its ends join others."""
        latent = self._latent(utterance, seed, delivery, durations)
        is_whole = changes_pitch(utterance) or utterance.is_join
        return self._finished(latent, self._decode(latent, WHOLE if is_whole else pieces))

    def _finished(self, latent: SentenceLatent, decoded: Iterable[np.ndarray]) -> Iterator[Audio]:
        """Decoded samples of one utterance with its pitch, volume and timings."""
        changed = with_volume_and_pitch(decoded, latent.utterance, latent.frames, self.config.data.hop_length,
                                        self.sample_rate)
        for number, samples in enumerate(changed):
            yield self._audio(samples, None if number else latent)

    def _audio(self, samples: np.ndarray, latent: SentenceLatent | None) -> Audio:
        """Samples; with an utterance's latent, its timings too, and its ends as they join others.

        Raises:
            ValueError: samples are not finite.
        """
        if not np.isfinite(samples).all():
            raise ValueError("the voice's sound is not finite (NaN or infinity): its weights are damaged; take another "
                             "checkpoint, or make the release or the ONNX files anew")
        if latent is None:
            return Audio(samples, self.sample_rate, np.empty(0, np.int64))
        hop, utterance = self.config.data.hop_length, latent.utterance
        samples, frames = tightened(samples, utterance, latent.frames, hop, self.sample_rate)
        return Audio(samples, self.sample_rate, frames * hop, utterance.ids,
                     timings_of(utterance, frames, hop, self.sample_rate))

    def _pause(self, silence: Silence) -> Audio:
        n_samples = round(silence.seconds * self.sample_rate)
        timings = dataclasses.replace(Timings.pause(self.sample_rate, n_samples),
                                      bookmarks=tuple(Mark(name, 0, 0) for name in silence.bookmarks))
        return Audio(np.zeros(n_samples, np.float32), self.sample_rate, np.empty(0, np.int64), (), timings)

    def _check_speaker(self, utterance: Utterance) -> None:
        """Refuse a <voice> that there is not; MarkupError names its place."""
        if utterance.speaker is None:
            return
        try:
            if not self.config.multispeaker:
                raise ValueError("this voice has one speaker; leave the <voice> element out")
            find_speaker(utterance.speaker, self.speakers)
        except ValueError as error:
            raise MarkupError(f"{utterance.place}: <voice name={utterance.speaker!r}>: {error}") from None

    def _warn_of_unknown(self, utterance: Utterance) -> None:
        if utterance.unknown:
            names = ", ".join(f"{symbol!r} (U+{ord(symbol):04X})" for symbol in dict.fromkeys(utterance.unknown))
            warnings.warn(f"not in the voice's symbol table {self.text.symbols.name!r}, spoken as what comes nearest: "
                          f"{names}", stacklevel=3)


def find_voice(run: str | Path | None = None) -> Path:
    """The path itself if there is something, else the voice of that name that comes with the project.

    Raises:
        ValueError: no voice was named, and none came along.
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


def with_changes(delivery: Delivery | None, changes: dict[str, Any]) -> Delivery:
    """The delivery, else the usual one, with changes, whose names are its fields.

    Raises:
        TypeError: what should be a delivery is something else, such as a speaker's name.
    """
    if not isinstance(delivery, Delivery | None):
        raise TypeError(f"the delivery is {delivery!r}; expected a Delivery, or its fields by name: speak(text, "
                        "speaker='alice', speed=1.2)")
    return dataclasses.replace(delivery or Delivery(), **changes)
