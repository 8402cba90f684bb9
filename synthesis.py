"""The only road from text to sound: a loaded voice that speaks.

    voice = Voice.load("runs/demo")
    voice.speak("Good morning.", seed=1).save("good_morning.wav")
    for audio in voice.stream("A long text. It is heard while it is made.", speed=1.2):
        play(audio.samples)
"""

from __future__ import annotations

import dataclasses
import math
import secrets
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import audio as sound
import checkpoint
import config as settings
import latents
from commons import choose_device, uninitialised
from config import Config
from mel_processing import mel_spectrogram, spectrogram
from models import SynthesizerTrn
from modules import fold_weight_norm
from rendering import gains_of, paced, pitched, timings_of
from rescoring import reading_score
from script import ScriptReader, Silence, Utterance, utterance_of_ids
from speakers import Timbre, find_timbre, parse_speaker
from streaming import PIECES, Pieces, bucketed, decode_batch, decode_in_pieces, plan
from text import TextProcessor
from text.lexicon import Lexicon
from timings import Mark, Timings
from utils import read_wav, resample

# Shapes: B batch, L text tokens, T frames, S samples, C latent channels, G speaker channels.

WHOLE = Pieces(first=2**31, most=2**31)
FRAMES_OF_A_SHAPE = 64  # compiled generators hear multiples of it
LARGEST_SPEED, SMALLEST_SPEED = 10.0, 0.1


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
        """Write .wav, .flac, .ogg or raw samples, as the path ends; folders are made. See `audio.save`."""
        sound.save(path, self.samples, self.sample_rate, bits)

    def at_rate(self, sample_rate: int) -> Audio:
        """The same at another sampling rate, in Hz."""
        timings = None if self.timings is None else self.timings.scaled(sample_rate)
        samples = sound.at_rate(self.samples, self.sample_rate, sample_rate)
        ends = np.round(np.cumsum(self.durations) * (sample_rate / self.sample_rate)).astype(np.int64)
        return Audio(samples, sample_rate, np.diff(ends, prepend=0), self.text_ids, timings)

    def at_loudness(self, lufs: float = -23.0) -> Audio:
        """The same at a loudness by ITU-R BS.1770; see `audio.at_loudness`."""
        return dataclasses.replace(self, samples=sound.at_loudness(self.samples, self.sample_rate, lufs))

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
    speed: float = 1.0  # 2 is twice as fast
    noise_scale: float = 0.667  # how much the sound varies, 0 to about 1
    noise_scale_duration: float = 0.8  # how much the rhythm varies (stochastic duration predictor)
    seed: int | None = None  # the same seed, the same sound
    strategy: str = "prior"  # how noise is drawn, a name in `latents.STRATEGIES`
    candidates: int = 1  # best of so many, by `rescoring.reading_score`
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
            if not low <= value <= high or value == math.inf:
                expected = f"{low:g} or more" if high == math.inf else f"from {low:g} to {high:g}"
                raise ValueError(f"{name} is {value}; it must be {expected}")
        latents.STRATEGIES.get(self.strategy)
        if self.seed is not None:
            latents.checked_seed(self.seed)


class Prepared(NamedTuple):
    """An utterance that the generator has only to say."""

    utterance: Utterance
    frames: np.ndarray  # int64 [L]
    z: Tensor  # [1, C, T]
    g: Tensor | None  # [1, G, 1] or [1, G, T]


class Voice:
    """A trained model with the text code that it was trained with, ready to speak."""

    def __init__(self, config: Config, model: SynthesizerTrn, device: torch.device, compiled: bool = False):
        self.config = config
        self.device = device
        self.text = TextProcessor.from_config(config.data)
        self.model = model.to(device).eval()
        self.compiled = compiled
        fold_weight_norm(self.model)
        self._generator = torch.compile(self.model.dec, dynamic=False) if compiled else self.model.dec

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", overrides: Sequence[str] = (),
             compiled: bool = False) -> Voice:
        """Load a run folder (its best checkpoint, else its newest), one checkpoint file, or a release folder.

        Args:
            path: of a run, a checkpoint or a release.
            device: "auto", "cpu", "cuda", "mps".
            overrides: changes to the configuration that it was trained with, as `section.key=value`.
            compiled: compile the generator, for lengths in steps of 64 frames; pays on a GPU that speaks a lot.

        Raises:
            FileNotFoundError: there is nothing to load.
            CheckpointError: the file is damaged or not ours.
            ConfigError: an override does not fit.
        """
        weights = checkpoint.read_weights(Path(path))
        config = settings.from_dict(weights.config, overrides)
        with uninitialised():
            model = SynthesizerTrn(len(TextProcessor.from_config(config.data).symbols), config)
        checkpoint.load_state(model, weights.generator, weights.source, "generator")
        return cls(config, model, choose_device(device), compiled)

    @property
    def sample_rate(self) -> int:
        """Hz of all that this voice says."""
        return self.config.data.sampling_rate

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names by id; numbers where training had no names; empty for one voice."""
        if not self.config.multispeaker:
            return ()
        return self.config.data.speakers or tuple(str(i) for i in range(self.config.data.n_speakers))

    def speak(self, text: str, delivery: Delivery | None = None, **changes: Any) -> Audio:
        """Say a text, whole.

        Args:
            text: as people write it, with [[phonemes]] where wanted; or SSML.
            delivery: how.
            changes: of its fields, by name: `speak("Hello.", speed=1.2, seed=1)`.

        Raises:
            ValueError: there is nothing to say, no such speaker, a number out of range; MarkupError for bad SSML.
        """
        said = list(self._stream(text, _delivery(delivery, changes), WHOLE))
        if not any(piece.text_ids for piece in said):
            raise ValueError(f"nothing to say in {text[:80]!r}: the text is empty, or no symbol of it is in the "
                             f"voice's table {self.text.symbols.name!r}")
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
        return self._stream(text, _delivery(delivery, changes), pieces)

    def _stream(self, text: str | Iterable[str], delivery: Delivery, pieces: Pieces) -> Iterator[Audio]:
        seed = secrets.randbits(62) if delivery.seed is None else delivery.seed
        reader = ScriptReader(self.text, delivery.max_characters or self.config.data.max_text_len,
                              delivery.sentence_pause, delivery.paragraph_pause, delivery.lexicon)
        number = 0
        for item in reader.read(text):
            if isinstance(item, Silence):
                yield self._pause(item)
                continue
            self._warn_of_unknown(item)
            yield from self._say(item, latents.candidate_seed(seed, number) if number else seed, delivery, pieces)
            number += 1

    def speak_all(self, texts: Sequence[str], delivery: Delivery | None = None, seeds: Sequence[int] | None = None,
                  batch_size: int = 16, **changes: Any) -> list[Audio]:
        """Say many texts, sentences of similar length together; each sounds as `speak` says it with its own seed.

        Args:
            texts: as for `speak`.
            delivery: how.
            seeds: one for each text, else the delivery's for all.
            batch_size: sentences at a time.
            changes: as for `speak`.
        """
        delivery = _delivery(delivery, changes)
        if seeds is not None and len(seeds) != len(texts):
            raise ValueError(f"found {len(seeds)} seeds for {len(texts)} texts; expected one for each")
        if delivery.candidates > 1:
            return [self.speak(text, delivery, seed=seed) for text, seed in zip(texts, seeds or [delivery.seed])]
        shared = secrets.randbits(62) if delivery.seed is None else delivery.seed
        reader = ScriptReader(self.text, delivery.max_characters or self.config.data.max_text_len,
                              delivery.sentence_pause, delivery.paragraph_pause, delivery.lexicon)
        parts: list[list[Audio | None]] = []
        wanted: list[tuple[int, int, Utterance, int]] = []  # text, its part, what to say, seed
        for place, text in enumerate(texts):
            said, number = [], 0
            for item in reader.read(text):
                if isinstance(item, Utterance):
                    self._warn_of_unknown(item)
                    seed = shared if seeds is None else seeds[place]
                    wanted.append((place, len(said), item, latents.candidate_seed(seed, number) if number else seed))
                    number += 1
                said.append(self._pause(item) if isinstance(item, Silence) else None)
            if not number:
                raise ValueError(f"nothing to say in text {place}, {text[:80]!r}")
            parts.append(said)
        wanted.sort(key=lambda each: len(each[2].ids))
        for start in range(0, len(wanted), batch_size):
            chosen = wanted[start : start + batch_size]
            spoken = self._say_together([each[2] for each in chosen], [each[3] for each in chosen], delivery)
            for (place, part, _, _), audio in zip(chosen, spoken):
                parts[place][part] = audio
        return [Audio.joined(said) for said in parts]

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
        delivery = _delivery(delivery, changes)
        seed = secrets.randbits(62) if delivery.seed is None else delivery.seed
        return self._say(utterance_of_ids((int(i) for i in ids), self.text), seed, delivery, pieces, durations)

    def _say(self, utterance: Utterance, seed: int, delivery: Delivery, pieces: Pieces,
             durations: Sequence[int] | None = None) -> Iterator[Audio]:
        """One utterance, in pieces if it can be."""
        if delivery.candidates > 1:
            prepared = self._best(utterance, seed, delivery, durations)
        else:
            [prepared] = self._prepare([utterance], [seed], delivery, durations)
        is_pitched = any(delivery.pitch_semitones + manner.pitch_semitones for manner in utterance.manners)
        gains = gains_of(utterance, prepared.frames, self.config.data.hop_length, self.sample_rate, delivery.volume_db)
        done = 0
        for wav in self._decode(prepared, WHOLE if is_pitched else pieces):
            samples = wav
            if is_pitched:
                samples = pitched(wav, utterance, prepared.frames, self.sample_rate, sound.pitch_shifted,
                                  delivery.pitch_semitones)
            if gains is not None:
                samples = samples * gains[done : done + len(samples)]
            yield self._audio(samples.clip(-1, 1), prepared if done == 0 else None)
            done += len(wav)

    def _say_together(self, utterances: list[Utterance], seeds: list[int], delivery: Delivery) -> list[Audio]:
        """Several utterances at once, each as if it were alone."""
        prepared = self._prepare(utterances, seeds, delivery)
        lengths = [each.z.shape[2] for each in prepared]
        wavs: list[np.ndarray]
        if any(each.g is not None and each.g.shape[2] > 1 for each in prepared):  # speakers that change on the way
            wavs = [next(self._decode(each, WHOLE)) for each in prepared]
        else:
            z = torch.nn.utils.rnn.pad_sequence([each.z[0].mT for each in prepared], batch_first=True).mT.contiguous()
            g = None if prepared[0].g is None else torch.cat([each.g for each in prepared])
            wav = self._decoded(z, lengths, g)[:, 0].float().cpu().numpy()
            wavs = [row[: length * self.config.data.hop_length] for row, length in zip(wav, lengths)]
        spoken = []
        for each, samples in zip(prepared, wavs):
            samples = pitched(samples, each.utterance, each.frames, self.sample_rate, sound.pitch_shifted,
                              delivery.pitch_semitones)
            gains = gains_of(each.utterance, each.frames, self.config.data.hop_length, self.sample_rate,
                             delivery.volume_db)
            spoken.append(self._audio((samples if gains is None else samples * gains).clip(-1, 1), each))
        return spoken

    def _audio(self, samples: np.ndarray, prepared: Prepared | None) -> Audio:
        """Samples; with what was prepared, the utterance's timings too."""
        if prepared is None:
            return Audio(samples, self.sample_rate, np.empty(0, np.int64))
        hop = self.config.data.hop_length
        return Audio(samples, self.sample_rate, prepared.frames * hop, prepared.utterance.ids,
                     timings_of(prepared.utterance, prepared.frames, hop, self.sample_rate))

    def _pause(self, silence: Silence) -> Audio:
        n_samples = round(silence.seconds * self.sample_rate)
        timings = dataclasses.replace(Timings.pause(self.sample_rate, n_samples),
                                      bookmarks=tuple(Mark(name, 0, 0) for name in silence.bookmarks))
        return Audio(np.zeros(n_samples, np.float32), self.sample_rate, np.empty(0, np.int64), (), timings)

    @torch.inference_mode()
    def _prepare(self, utterances: Sequence[Utterance], seeds: Sequence[int], delivery: Delivery,
                 durations: Sequence[int] | None = None) -> list[Prepared]:
        """All but the generator, for several utterances at once; `durations` are frames of a single one."""
        lengths = [len(utterance.ids) for utterance in utterances]
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(each.ids) for each in utterances], batch_first=True)
        timbres = [self._timbre(utterance.speaker, delivery.speaker) for utterance in utterances]
        prior = self.model.enc_p(ids.to(self.device), torch.tensor(lengths, device=self.device))
        if durations is None:
            noise = latents.duration_noise(seeds, lengths, delivery.strategy).to(self.device)
            predicted = self.model.predict_durations(prior, _stacked(timbres, lengths),
                                                     delivery.noise_scale_duration * noise).cpu().numpy()
        else:
            predicted = np.asarray([durations], np.float64)
        frames = [paced(row[:length], [delivery.speed * manner.rate for manner in utterance.manners])
                  for row, length, utterance in zip(predicted, lengths, utterances)]
        padded = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(each) for each in frames], batch_first=True)
        n_frames = [max(1, int(each.sum())) for each in frames]
        noise = latents.prior_noise(delivery.strategy, seeds, prior.mean.shape[1], n_frames).to(self.device)
        latent = self.model.latent(prior, padded.to(self.device), _stacked(timbres, n_frames),
                                   delivery.noise_scale * noise)
        return [Prepared(utterance, each, latent.z[i : i + 1, :, : n_frames[i]],
                         None if timbre is None else timbre.over(n_frames[i]))
                for i, (utterance, each, timbre) in enumerate(zip(utterances, frames, timbres))]

    def _best(self, utterance: Utterance, seed: int, delivery: Delivery, durations: Sequence[int] | None) -> Prepared:
        """The candidate that the voice itself reads back best."""

        def make(candidate: int) -> Prepared:
            [prepared] = self._prepare([utterance], [candidate], delivery, durations)
            return prepared

        def score(prepared: Prepared) -> float:
            wav = torch.from_numpy(next(self._decode(prepared, WHOLE)))
            return reading_score(self.model, self.config.data, torch.tensor(utterance.ids),
                                 torch.from_numpy(prepared.frames), wav, prepared.g)

        return latents.best_of(delivery.candidates, seed, make, score)

    @torch.inference_mode()
    def _decode(self, prepared: Prepared, pieces: Pieces) -> Iterator[np.ndarray]:
        """Samples of an utterance, float32; those of an utterance of no frames are none."""
        n_samples = int(prepared.frames.sum()) * self.config.data.hop_length
        if not n_samples:
            yield np.zeros(0, np.float32)
        elif self.compiled:
            yield self._decoded(prepared.z, [prepared.z.shape[2]], prepared.g)[0, 0].float().cpu().numpy()
        else:
            for wav in decode_in_pieces(self.model.dec, prepared.z, prepared.g, pieces):
                yield wav[0, 0].float().cpu().numpy()

    @torch.inference_mode()
    def _decoded(self, z: Tensor, lengths: list[int], g: Tensor | None) -> Tensor:
        """[B, 1, S] of items that are not equally long; a compiled generator hears few shapes."""
        n_samples = z.shape[2] * self.config.data.hop_length
        z = bucketed(z, FRAMES_OF_A_SHAPE) if self.compiled and (g is None or g.shape[2] == 1) else z
        return decode_batch(self._generator, z, lengths, g)[:, :, :n_samples]

    def convert(self, path: str | Path, speaker: str | int, target: str | int, seed: int | None = None) -> Audio:
        """Say a recording of one trained speaker in the voice of another.

        Args:
            path: a recording in any format and rate.
            speaker: who is heard in it.
            target: who shall be heard; a mix or somebody new too.
            seed: the same seed, the same sound.
        """
        return Audio.joined(list(self.stream_conversion(path, speaker, target, seed, WHOLE)))

    @torch.inference_mode()
    def stream_conversion(self, path: str | Path, speaker: str | int, target: str | int, seed: int | None = None,
                          pieces: Pieces = PIECES) -> Iterator[Audio]:
        """The same piece by piece; joined they are what `convert` says."""
        if not self.config.multispeaker:
            raise ValueError("voice conversion needs a voice of several speakers; this one has one")
        wav = read_wav(path)
        samples = torch.as_tensor(resample(wav.samples, wav.sampling_rate, self.sample_rate), device=self.device)[None]
        hop = self.config.data.hop_length
        if samples.shape[1] < hop:
            raise ValueError(f"{path} has {samples.shape[1]} samples at {self.sample_rate} Hz; {hop} is the least")
        spec = spectrogram(samples, self.config.data)
        n_frames = spec.shape[2]
        source, goal = self._timbre(None, speaker).over(n_frames), self._timbre(None, target).over(n_frames)
        channels = self.config.model.inter_channels
        seed = secrets.randbits(62) if seed is None else seed
        noise = latents.prior_noise("prior", [seed], channels, [n_frames]).to(self.device)
        context = self.model.conversion_context
        planned = plan(n_frames, n_frames if context is None else context, pieces)
        for piece in planned:
            part = slice(piece.low, piece.high)
            source_part, goal_part = (g if g.shape[2] == 1 else g[:, :, part] for g in (source, goal))
            length = torch.tensor([piece.high - piece.low], device=self.device)
            z = self.model.converted(spec[:, :, part], length, source_part, goal_part, noise[:, :, part])
            out = self.model.dec(z, goal_part)[0, 0].float().clamp(-1, 1).cpu().numpy()
            yield self._audio(out[(piece.start - piece.low) * hop : (piece.end - piece.low) * hop], None)

    def mel(self, audio: Audio) -> np.ndarray:
        """Log-mel of speech in this voice's own settings, [M, T], for pictures."""
        return mel_spectrogram(torch.from_numpy(audio.samples)[None], self.config.data)[0].numpy()

    def _timbre(self, named: str | None, wanted: str | int | None) -> Timbre | None:
        """Who speaks: whom the text names, else whom the caller wants; None for one voice."""
        speaker = wanted if named is None else named
        if not self.config.multispeaker:
            if speaker is not None:
                raise ValueError(f"this voice has one speaker; leave speaker={speaker!r} out")
            return None
        if speaker is None:
            raise ValueError(f"this voice has {len(self.speakers)} speakers; choose one of {', '.join(self.speakers)}")
        table = self.model.emb_g.weight
        spec = str(speaker)
        is_id = spec not in self.speakers and spec.isdecimal()  # a number is an id, names or not
        if is_id or isinstance(speaker, int):
            if not 0 <= int(spec) < len(table):
                raise ValueError(f"speaker id {spec} is not from 0 to {len(table) - 1}")
            return Timbre(table[int(spec)])
        return find_timbre(parse_speaker(spec, self.speakers), self.speakers, table)

    def _warn_of_unknown(self, utterance: Utterance) -> None:
        if utterance.unknown:
            names = ", ".join(f"{symbol!r} (U+{ord(symbol):04X})" for symbol in dict.fromkeys(utterance.unknown))
            warnings.warn(f"not in the voice's symbol table {self.text.symbols.name!r}, spoken as what comes nearest: "
                          f"{names}", stacklevel=3)


def _delivery(delivery: Delivery | None, changes: dict[str, Any]) -> Delivery:
    """The delivery with changes, whose names are its fields."""
    return dataclasses.replace(delivery or Delivery(), **changes)


def _stacked(timbres: Sequence[Timbre | None], lengths: Sequence[int]) -> Tensor | None:
    """Speakers of a batch over tokens or frames: [B, G, 1], or [B, G, T] if one of them changes on the way."""
    if timbres[0] is None:
        return None
    over = [timbre.over(length) for timbre, length in zip(timbres, lengths)]
    longest = max(each.shape[2] for each in over)
    if longest == 1:
        return torch.cat(over)
    longest = max(lengths)
    return torch.cat([each.expand(-1, -1, longest) if each.shape[2] == 1
                      else torch.nn.functional.pad(each, (0, longest - each.shape[2]), mode="replicate")
                      for each in over])
