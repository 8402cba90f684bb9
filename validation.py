"""What a run measures while it trains: on held-out utterances, the same numbers in however many processes."""

from __future__ import annotations

from collections.abc import Iterable

import torch

import distributed
from callbacks import SpokenSample
from commons import path_from_durations, slice_segments
from config import Config
from data_utils import Batch
from losses import kl_loss, mel_loss
from mel_processing import mel_spectrogram, spec_to_mel, spectrogram
from models import SynthesizerTrn
from training_step import autocast, eagerly
from utils import set_seed

# Shapes: B batch, L text tokens, T frames, S samples, M mel bands.

SPOKEN_SAMPLES = 2  # utterances that each validation speaks
VALIDATED = ("mel", "kl", "duration", "speaking_rate")


@torch.no_grad()
def validate(model: SynthesizerTrn, batches: Iterable[tuple[int, Batch]],
             config: Config) -> tuple[dict[str, float], list[SpokenSample]]:
    """Held-out utterances: numbers averaged over them, and the first few spoken, by the process that has batch 0.

    Args:
        model: what will speak.
        batches: this process's share, each with its place among those of all processes; every process must validate.
        config: the run's.

    Returns:
        the numbers, the same however many processes share the work: mel, L1 of log-mels of segments decoded from the
        posterior; kl and duration, the losses; speaking_rate, frames predicted for the texts over frames recorded.
    """
    model.eval()
    device = next(model.parameters()).device
    sums, samples = [0.0] * (len(VALIDATED) + 1), []
    for place, batch in batches:
        batch = batch.to(device)
        set_seed(config.train.seed, place)  # the same noise at every validation, in whatever process
        with eagerly(config.train), autocast(config.train, device):
            numbers = _numbers(model, batch, config)
        for i, number in enumerate([*numbers, 1.0]):
            sums[i] += number * len(batch.names)
        if place == 0:
            with eagerly(config.train):
                samples = _speak(model, batch, config)
    *sums, total = distributed.sum_over_processes(sums)
    return {f"valid/{name}": value / total for name, value in zip(VALIDATED, sums)}, samples


def _numbers(model: SynthesizerTrn, batch: Batch, config: Config) -> tuple[float, ...]:
    """Of a batch, in the order of `VALIDATED`."""
    spec = spectrogram(batch.wav, config.data, batch.wav_lengths)
    frames = batch.wav_lengths // config.data.hop_length
    out = model(batch.text_ids, batch.text_lengths, spec, frames, batch.speaker_ids)
    mel_real = slice_segments(spec_to_mel(spec, config.data), out.segment_starts, config.segment_frames)
    mel_fake = mel_spectrogram(out.wav_fake[:, 0].float(), config.data)
    prior = model.enc_p(batch.text_ids, batch.text_lengths)
    noise = 0.8 * torch.randn_like(prior.hidden[:, :2])
    predicted = model.predict_durations(prior, model.speaker_embedding(batch.speaker_ids), noise).ceil()
    kl = kl_loss(out.z_p, out.posterior_logstd, out.prior_mean, out.prior_logstd, out.spec_mask)
    return (float(mel_loss(mel_real, mel_fake)), float(kl), float(out.duration_loss.sum()),
            float(predicted.sum() / frames.sum()))


def _speak(model: SynthesizerTrn, batch: Batch, config: Config) -> list[SpokenSample]:
    """Speak the first utterances of a batch, beside their recordings."""
    data = config.data
    spec = spectrogram(batch.wav, data, batch.wav_lengths)
    out = model(batch.text_ids, batch.text_lengths, spec, batch.wav_lengths // data.hop_length, batch.speaker_ids)
    path = path_from_durations(out.durations, spec.shape[2])
    samples = []
    for i, name in enumerate(batch.names[:SPOKEN_SAMPLES]):
        n_ids, n_samples = int(batch.text_lengths[i]), int(batch.wav_lengths[i])
        speaker = None if batch.speaker_ids is None else batch.speaker_ids[i : i + 1]
        spoken = model.infer(batch.text_ids[i : i + 1, :n_ids], batch.text_lengths[i : i + 1], speaker,
                             seed=config.train.seed).wav[:, 0].float()
        recorded = batch.wav[i : i + 1, :n_samples]
        samples.append(SpokenSample(
            name, recorded[0].cpu().numpy(), spoken[0].cpu().numpy(), data.sampling_rate,
            path[i, : n_samples // data.hop_length, :n_ids].cpu().numpy(),
            mel_spectrogram(recorded, data)[0].cpu().numpy(), mel_spectrogram(spoken, data)[0].cpu().numpy()))
    return samples
