"""What a run measures while it trains: on held-out utterances, the same numbers in however many processes.

    jury = Jury(config)                                        # meters and test sentences, for the whole run
    found = validate(model, batches, config, jury)              # found.values["valid/mcd"], found.samples[0].spoken

Losses and alignment health are of all held-out utterances; what the meters say is of the few that are spoken, and of
test sentences. QUALITY makes one number of them, for train.best_measure.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from commons import path_from_durations, slice_segments
from config import Config, DataConfig
from data_utils import Batch
from evaluation import alignment
from evaluation.alignment import Aligned, AlignmentHealth, Longest
from losses import kl_loss, mel_loss
from mel_processing import mel_spectrogram, spec_to_mel, spectrogram
from models import SynthesizerTrn
from synthesis.noise import SeededNoise
from text import TextProcessor
from training import distributed
from training.callbacks import SpokenSample, SpokenSentence
from training.jury import Jury
from training.step import autocast, eagerly
from utils import set_seed

# Shapes: B batch, L text tokens, T frames, S samples, M mel bands.

SPOKEN_SAMPLES = 2  # utterances that each validation speaks for people to hear,
MEASURED_SAMPLES = 4  # and those that the meters hear
LONGEST_SPEECH = 4  # times the recording; an untrained predictor may ask for hours
VALIDATED = ("mel", "kl", "duration", "speaking_rate")

# valid/quality is the mean of those that were measured, each divided by its number here. The numbers were chosen by
# hand, so that a voice whose words are clear and whose sound is rough has about 1 in each; docs/guide/evaluating.md.
QUALITY = {"valid/mel": 0.5, "valid/mcd": 6.0, "valid/f0_rmse": 300.0, "valid/voicing_error": 20.0,
           "valid/rate_error": 20.0}


class Validation(NamedTuple):
    """What was found, and what was spoken in the process that has batch 0."""

    values: dict[str, float]
    samples: list[SpokenSample]
    sentences: list[SpokenSentence]


@torch.no_grad()
def validate(model: SynthesizerTrn, batches: Iterable[tuple[int, Batch]], config: Config, jury: Jury | None = None,
             is_full: bool = False) -> Validation:
    """Held-out utterances: numbers averaged over them; a few and the test sentences are spoken and measured.

    Args:
        model: what will speak.
        batches: this process's share, each with its place among those of all processes; every process must validate.
        config: the run's.
        jury: who listens; without one nothing but losses and alignment health is measured.
        is_full: with the costly meters too.

    Returns:
        the numbers, the same however many processes share the work: mel, L1 of log-mels of segments decoded from the
        posterior; kl and duration, the losses; speaking_rate, frames predicted for the texts over frames recorded;
        health/..., see evaluation/alignment.py; the meters' means; quality, see `QUALITY`.
    """
    model.eval()
    device, text = next(model.parameters()).device, TextProcessor.from_config(config.data)
    sums, health, samples, sentences = [0.0] * (len(VALIDATED) + 1), AlignmentHealth(), [], []
    for place, batch in batches:
        batch = batch.to(device)
        set_seed(config.train.seed, place)  # the same noise at every validation, in whatever process
        with eagerly(config.train), autocast(config.train, device):
            numbers, aligned = _numbers(model, batch, config)
        health += alignment.measure(aligned, batch, text, config.data)
        for i, number in enumerate([*numbers, 1.0]):
            sums[i] += number * len(batch.names)
        if place == 0:
            with eagerly(config.train):
                samples = _speak(model, batch, aligned.durations, config)
                sentences = jury.speak(model, is_full) if jury else []
    *sums, total = distributed.sum_over_processes(sums)
    values = {f"valid/{name}": value / total for name, value in zip(VALIDATED, sums)}
    values |= over_processes(health).as_dict()
    if jury:
        values |= jury.measure(samples, sentences, is_full)
        values["valid/quality"] = quality(values, jury.names)
    return Validation(values, samples[:SPOKEN_SAMPLES], _one_of_each_kind(sentences))


def _one_of_each_kind(sentences: list[SpokenSentence]) -> list[SpokenSentence]:
    """Few enough to keep the sound of each validation."""
    return list({sentence.kind: sentence for sentence in reversed(sentences)}.values())[::-1]


def quality(values: Mapping[str, float], asked: Collection[str] = ()) -> float:
    """One number for how far a voice is from good, lower is better: see `QUALITY`; NaN where too little was measured.

    Of silence nothing but the losses can be measured, and those alone would flatter it. The rate of speech tells that,
    if it was asked for, since to measure it needs no package.
    """
    if "valid/rate_error" in asked and "valid/rate_error" not in values:
        return math.nan
    found = [values[name] / scale for name, scale in QUALITY.items() if math.isfinite(values.get(name, math.nan))]
    return sum(found) / len(found) if found else math.nan


def _numbers(model: SynthesizerTrn, batch: Batch, config: Config) -> tuple[tuple[float, ...], Aligned]:
    """Of a batch: numbers in the order of `VALIDATED`, and what the alignment search found."""
    spec = spectrogram(batch.wav, config.data, batch.wav_lengths)
    frames = batch.wav_lengths // config.data.hop_length
    out = model(batch.text_ids, batch.text_lengths, spec, frames, batch.speaker_ids)
    mel_real = slice_segments(spec_to_mel(spec, config.data), out.segment_starts, config.segment_frames)
    mel_fake = mel_spectrogram(out.wav_fake[:, 0].float(), config.data)
    prior = model.enc_p(batch.text_ids, batch.text_lengths)
    noise = 0.8 * torch.randn_like(prior.hidden[:, :2])
    predicted = model.predict_durations(prior, model.speaker_embedding(batch.speaker_ids), noise).ceil()
    kl = kl_loss(out.z_p, out.posterior_logstd, out.prior_mean, out.prior_logstd, out.spec_mask)
    numbers = (float(mel_loss(mel_real, mel_fake)), float(kl), float(out.duration_loss.sum()),
               float(predicted.sum() / frames.sum()))
    return numbers, Aligned(out.z_p, prior, out.durations)


def _speak(model: SynthesizerTrn, batch: Batch, durations: Tensor, config: Config) -> list[SpokenSample]:
    """Speak some utterances of a batch, beside their recordings: spread over it, as it is in order of length."""
    data = config.data
    path = path_from_durations(durations, int((batch.wav_lengths // data.hop_length).max()))
    chosen = np.unique(np.linspace(0, len(batch.names) - 1, MEASURED_SAMPLES).round().astype(int))
    samples = []
    for i in chosen.tolist():
        n_ids, n_samples = int(batch.text_lengths[i]), int(batch.wav_lengths[i])
        speaker = None if batch.speaker_ids is None else batch.speaker_ids[i : i + 1]
        spoken = model.infer(batch.text_ids[i : i + 1, :n_ids], batch.text_lengths[i : i + 1], speaker,
                             max_frames=LONGEST_SPEECH * (n_samples // data.hop_length),
                             noise=SeededNoise([config.train.seed])).wav[:, 0].float()
        recorded = batch.wav[i : i + 1, :n_samples]
        samples.append(SpokenSample(
            batch.names[i], recorded[0].cpu().numpy(), spoken[0].cpu().numpy(), data.sampling_rate,
            path[i, : n_samples // data.hop_length, :n_ids].cpu().numpy(),
            mel_spectrogram(recorded, data)[0].cpu().numpy(), mel_spectrogram(spoken, data)[0].cpu().numpy(),
            None if speaker is None else _speaker_name(int(speaker), data)))
    return samples


def _speaker_name(speaker_id: int, data: DataConfig) -> str:
    """As the filelist calls a speaker; the number where it has no names."""
    return data.speakers[speaker_id] if data.speakers else str(speaker_id)


def over_processes(health: AlignmentHealth) -> AlignmentHealth:
    """The sums of all processes, in every process; all must call it."""
    sums, longest = astuple(health)[:-1], health.longest
    slots = [0.0] * (2 * distributed.world_size())  # one for each process, as the longest of all is no sum
    slots[2 * distributed.rank() : 2 * distributed.rank() + 2] = map(float, longest)
    total = distributed.sum_over_processes([*sums, *slots])
    found = (int(each) for each in total[len(sums):])
    return AlignmentHealth(*total[: len(sums)], longest=max(Longest(*each) for each in zip(found, found)))
