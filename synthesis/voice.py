"""Text to speech by torch: a trained voice, loaded and ready.

    voice = Voice.load("runs/demo")
    voice.speak("Good morning.", seed=1).save("good_morning.wav")
    for audio in voice.stream("A long text, in chunks as they are decoded.", speed=1.2):
        play(audio.samples)
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import checkpoint
import formats
import utils
from audio.io import read_wav
from audio.resampling import resample
from commons import choose_device
from config import Config
from mel_processing import mel_spectrogram, spectrogram
from models import NO_POSTERIOR, SynthesizerTrn
from modules import fold_weight_norm
from pitch import in_phase
from synthesis.base import (
    TEXT_ERRORS,
    Audio,
    BaseVoice,
    NothingToSayError,
    SentenceLatent,
    SynthesisOptions,
    find_voice,
)
from synthesis.chunking import DEFAULT_CHUNKS, WHOLE, ChunkSizes, plan_chunks
from synthesis.controls import frames_at_rates, token_frames
from synthesis.noise import SeededNoise, best_of, candidate_seed, prior_noise
from synthesis.rescoring import text_likelihood
from synthesis.speakers import SpeakerCondition, batch_condition, condition_of, find_speaker
from synthesis.streaming import context_of, decode_batch, decode_in_chunks, pad_to_multiple
from text import TextProcessor
from text.utterances import SentenceTokens, Silence

# Shapes: B batch, L text tokens, T frames, S samples, C latent channels, G speaker channels.

FRAMES_OF_A_SHAPE = 64  # compiled generators are given multiples of it


@dataclass(frozen=True)
class TorchLatent(SentenceLatent):
    """A sentence before the generator."""

    z: Tensor  # [1, C, T]
    g: Tensor | None  # [1, G, 1] or [1, G, T]


class Voice(BaseVoice):
    """A trained model with the text processing that it was trained with, on one device."""

    def __init__(self, config: Config, model: SynthesizerTrn, device: torch.device, compiled: bool = False):
        self.config = config
        self.device = device
        self.text = TextProcessor.from_config(config.data)
        self.model = model.to(device).eval()
        self.compiled = compiled
        fold_weight_norm(self.model)
        self._generator = torch.compile(self.model.dec, dynamic=False) if compiled else self.model.dec

    @classmethod
    def load(cls, path: str | Path | None = None, device: str = "auto", overrides: Sequence[str] = (),
             compiled: bool = False, trust_plugins: bool = False) -> Voice:
        """Load a run folder (its best checkpoint, else its newest), one checkpoint file, or a release folder.

        Args:
            path: of a run, a checkpoint, a release or a Piper voice (VOICE.onnx with VOICE.onnx.json), or the name of
                a voice in voices/; without it, en_joe.
            device: "auto", "cpu", "cuda", "mps".
            overrides: changes to the configuration that it was trained with, as `section.key=value`.
            compiled: compile the generator, for lengths in steps of 64 frames; pays on a GPU under steady load.
            trust_plugins: run the Python files that the voice's configuration names in model.plugins.

        Raises:
            FileNotFoundError: there is nothing to load.
            CheckpointError: the file is damaged or not ours; FormatError if it is an ONNX file.
            ConfigError: the configuration, or an override, does not fit.
            PluginError: the voice names Python files that are not trusted.
        """
        weights = formats.read_weights(find_voice(path))
        config = checkpoint.config_of(weights, overrides, trust_plugins)
        return cls(config, checkpoint.network_of(weights, config), choose_device(device), compiled)

    def _speak_all(self, texts: Sequence[str], options: SynthesisOptions, seeds: Sequence[int],
                   batch_size: int) -> list[Audio | ValueError]:
        """Sentences of similar length in a batch; one after the other if there are several candidates."""
        if options.candidates > 1:
            return super()._speak_all(texts, options, seeds, batch_size)
        if self.device.type == "cpu" and batch_size > 1:
            utils.keep_freed_memory()  # clearing the pages of each batch anew took more time than the batch
        parts: list[list[Audio | None] | ValueError] = []
        wanted: list[tuple[int, int, SentenceTokens, int]] = []  # text, its part, sentence, seed
        for place, text in enumerate(texts):
            try:
                items = list(self._read(text, options))
                sentences = [(part, item) for part, item in enumerate(items) if isinstance(item, SentenceTokens)]
                if not sentences:
                    raise NothingToSayError(text)
            except TEXT_ERRORS as error:
                parts.append(error)
                continue
            seed = seeds[place]
            wanted.extend((place, part, item, candidate_seed(seed, number) if number else seed)
                          for number, (part, item) in enumerate(sentences))
            parts.append([self._pause(item) if isinstance(item, Silence) else None for item in items])
        wanted.sort(key=lambda each: len(each[2].ids))
        for start in range(0, len(wanted), batch_size):
            chosen = wanted[start : start + batch_size]
            spoken = self._speak_batch([each[2] for each in chosen], [each[3] for each in chosen], options)
            for (place, part, _, _), audio in zip(chosen, spoken):
                parts[place][part] = audio
        return [part if isinstance(part, ValueError) else Audio.joined(part) for part in parts]

    def _speak_batch(self, sentences: list[SentenceTokens], seeds: list[int],
                     options: SynthesisOptions) -> list[Audio]:
        """Sentences as one batch, each as if it were alone."""
        latents = self._latents(sentences, seeds, options)
        lengths = [each.z.shape[2] for each in latents]
        wavs: list[np.ndarray]
        if any(each.g is not None and each.g.shape[2] > 1 for each in latents):  # speakers that change on the way
            wavs = [next(self._decode(each, WHOLE)) for each in latents]
        else:
            z = torch.nn.utils.rnn.pad_sequence([each.z[0].mT for each in latents], batch_first=True).mT.contiguous()
            g = None if latents[0].g is None else torch.cat([each.g for each in latents])
            wav = self._decoded(z, lengths, g)[:, 0].float().cpu().numpy()
            wavs = [row[: length * self.config.data.hop_length] for row, length in zip(wav, lengths)]
        return [audio for each, wav in zip(latents, wavs) for audio in self._finished(each, [wav])]

    @torch.inference_mode()
    def _latents(self, sentences: Sequence[SentenceTokens], seeds: Sequence[int], options: SynthesisOptions,
                 durations: Sequence[int] | None = None) -> list[TorchLatent]:
        """Text to latent of a batch of sentences; `durations` are frames of a single one."""
        lengths = [len(sentence.ids) for sentence in sentences]
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(each.ids) for each in sentences], batch_first=True)
        speakers = [self.speaker_condition(sentence.speaker) for sentence in sentences]

        def to_frames(predicted: Tensor) -> Tensor:
            rows = zip(predicted.cpu().numpy(), lengths, sentences)
            return torch.nn.utils.rnn.pad_sequence(
                [torch.from_numpy(token_frames(row[:length], sentence)) for row, length, sentence in rows],
                batch_first=True)

        given = None if durations is None else torch.from_numpy(frames_at_rates(durations, sentences[0].rates))[None]
        latent = self.model.text_to_latent(
            ids.to(self.device), torch.tensor(lengths, device=self.device), partial(batch_condition, speakers),
            SeededNoise(seeds, options.strategy), durations=to_frames if given is None else given,
            noise_scale=options.noise_scale, noise_scale_duration=options.noise_scale_duration)
        return [TorchLatent(sentence, frames[:length], z[None, :, :n_frames],
                            None if speaker is None else speaker.over(n_frames))
                for sentence, frames, length, z, n_frames, speaker in zip(
                    sentences, latent.durations.cpu().numpy(), lengths, latent.z, latent.lengths.tolist(), speakers)]

    def _latent(self, sentence: SentenceTokens, seed: int, options: SynthesisOptions,
                durations: Sequence[int] | None) -> TorchLatent:
        """The sentence's latent; of several candidates the one whose sound fits its text best."""
        if options.candidates > 1 and self.model.enc_q is None:  # before anything is synthesized
            raise ValueError(NO_POSTERIOR)

        def score(latent: TorchLatent) -> float:
            wav = torch.from_numpy(next(self._decode(latent, WHOLE)))
            return text_likelihood(self.model, self.config.data, torch.tensor(sentence.ids),
                                   torch.from_numpy(latent.frames), wav, latent.g)

        return best_of(options.candidates, seed, lambda candidate: self._latents(
            [sentence], [candidate], options, durations)[0], score)

    @torch.inference_mode()
    def _decode(self, latent: TorchLatent, chunks: ChunkSizes) -> Iterator[np.ndarray]:
        """Samples of a sentence, float32; none for no frames."""
        n_samples = int(latent.frames.sum()) * self.config.data.hop_length
        if not n_samples:
            yield np.zeros(0, np.float32)
        elif self.compiled:
            yield self._decoded(latent.z, [latent.z.shape[2]], latent.g)[0, 0].float().cpu().numpy()
        else:
            for wav in decode_in_chunks(self.model.dec, latent.z, latent.g, chunks):
                yield wav[0, 0].float().cpu().numpy()

    @torch.inference_mode()
    def _decoded(self, z: Tensor, lengths: list[int], g: Tensor | None) -> Tensor:
        """[B, 1, S] of items that are not equally long; a compiled generator is given few shapes."""
        n_samples = z.shape[2] * self.config.data.hop_length
        z = pad_to_multiple(z, FRAMES_OF_A_SHAPE) if self.compiled and (g is None or g.shape[2] == 1) else z
        return decode_batch(self._generator, z, lengths, g)[:, :, :n_samples]

    def convert(self, path: str | Path, speaker: str | int, target: str | int, seed: int | None = None) -> Audio:
        """Voice conversion: a recording of one trained speaker in the voice of another.

        Args:
            path: a recording in any format and rate.
            speaker: who speaks in it.
            target: who shall speak; may be a mix or a new speaker.
            seed: the same seed, the same sound.
        """
        return Audio.joined(list(self.stream_conversion(path, speaker, target, seed, WHOLE)))

    @torch.inference_mode()
    def stream_conversion(self, path: str | Path, speaker: str | int, target: str | int, seed: int | None = None,
                          chunks: ChunkSizes = DEFAULT_CHUNKS) -> Iterator[Audio]:
        """As `convert`, in chunks; joined they equal its audio."""
        if not self.config.multispeaker:
            raise ValueError("voice conversion needs a voice of several speakers; this one has one")
        wav = read_wav(path)
        samples = torch.as_tensor(resample(wav.samples, wav.sampling_rate, self.sample_rate), device=self.device)[None]
        hop = self.config.data.hop_length
        if samples.shape[1] < hop:
            raise ValueError(f"{path} has {samples.shape[1]} samples at {self.sample_rate} Hz; expected at least {hop}")
        spec = spectrogram(samples, self.config.data)
        n_frames = spec.shape[2]
        source, goal = (self.speaker_condition(each).over(n_frames) for each in (speaker, target))
        channels = self.config.model.inter_channels
        seed = secrets.randbits(62) if seed is None else seed
        noise = prior_noise("prior", [seed], channels, [n_frames]).to(self.device)
        context = self.model.conversion_context
        anchor, phase = 0, None  # a frame that two chunks have, and the phase of its pitch
        for chunk in plan_chunks(n_frames, context or 0, WHOLE if context is None else chunks):
            part = slice(chunk.low, chunk.high)
            source_part, goal_part = (g if g.shape[2] == 1 else g[:, :, part] for g in (source, goal))
            length = torch.tensor([chunk.high - chunk.low], device=self.device)
            z = self.model.converted(spec[:, :, part], length, source_part, goal_part, noise[:, :, part])
            if self.model.pitch is not None:
                z = z if phase is None else in_phase(z, anchor - chunk.low, phase)
                anchor = max(0, chunk.end - (context_of(self.model.dec) or 0))
                phase = z[:, -1, anchor - chunk.low]
            out = self.model.dec(z, goal_part)[0, 0].float().clamp(-1, 1).cpu().numpy()
            yield self._audio(out[(chunk.start - chunk.low) * hop : (chunk.end - chunk.low) * hop], None)

    def mel(self, audio: Audio) -> np.ndarray:
        """Log-mel spectrogram of speech by this voice's settings, [M, T], for pictures."""
        return mel_spectrogram(torch.from_numpy(audio.samples)[None], self.config.data)[0].numpy()

    def speaker_condition(self, speaker: str | int | None) -> SpeakerCondition | None:
        """Condition of a speaker that users name; None for a voice of one. ValueError if there is no such speaker."""
        spec = find_speaker(speaker, self.speakers)
        return None if spec is None else condition_of(spec, self.speakers, self.model.emb_g.weight)
