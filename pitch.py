"""Pitch: measured in recordings, predicted from the latent, and rendered as harmonics with a continuous phase.

    measured = measure_pitch(wav, data)                                  # of recordings
    predicted = PitchPredictor(channels)(z)                              # of latents
    z = with_contour(z, predicted.spoken(), mask, data)                  # input of a generator of harmonics
    wav = harmonics(z[:, -N_CONTOUR:], data.hop_length)                  # every multiple of the pitch, equally loud

Everything about a frame's pitch stands in that frame, the phase at its start too, so that speech can be made in pieces.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from config import DataConfig
from modules import in_float32, same_padding

# Shapes: B batch, C latent channels, T frames, S = T * hop samples, W samples of a window, K lags.

LOWEST, HIGHEST = 60.0, 500.0  # Hz
REFERENCE = 200.0  # Hz; octaves count from here
N_CONTOUR = 5  # channels that `with_contour` adds
PHASE_STEPS = 2**24  # of a turn: phases add up in whole numbers, alike on every machine
HIGHEST_HARMONIC = 0.49  # of the sampling rate
SMALLEST_SINE = 1e-5  # below, the sum of harmonics is their number
LOUDNESS = 0.3
# Added to the logit of a voice: it is less certain of a text than of a recording, and missing harmonics are more
# audible than superfluous ones, see docs/training-small.md.
VOICING_BIAS = 1.5
# YIN's numbers (de Cheveigne and Kawahara 2002): the dip that ends the search, and the one that still is a voice.
CLEAR_DIP, VOICED_DIP, QUIETEST = 0.15, 0.45, 1e-3


class Pitch(NamedTuple):
    """Pitch of each frame: octaves above `REFERENCE`, and voicing (measured: 0 or 1), both [B, T]."""

    octaves: Tensor
    voicing: Tensor

    def spoken(self) -> Pitch:
        """A prediction with its voicing as a probability instead of a logit."""
        return Pitch(self.octaves, torch.sigmoid(self.voicing + VOICING_BIAS))

    def taught_by(self, measured: Pitch) -> Pitch:
        """A prediction with the recording's pitch where that is voiced (teacher forcing), its own elsewhere."""
        return Pitch(torch.where(measured.voicing > 0, measured.octaves, self.octaves), measured.voicing)


class PitchPredictor(nn.Module):
    """Predicts pitch from the latent; its loss makes the posterior encoder keep pitch in the latent."""

    HIDDEN, KERNEL = 32, 7

    def __init__(self, channels: int):
        super().__init__()
        self.context_frames = self.KERNEL // 2 + 1  # on either side; the contour depends on one more before
        self.conv = nn.Conv1d(channels, self.HIDDEN, self.KERNEL, padding=same_padding(self.KERNEL))
        self.proj = nn.Conv1d(self.HIDDEN, 2, 1)

    @in_float32
    def forward(self, z: Tensor) -> Pitch:
        """z [B, C, T] -> octaves, and voicing as a logit."""
        octaves, logit = self.proj(F.gelu(self.conv(z))).unbind(dim=1)
        return Pitch(octaves, logit)


def pitch_loss(predicted: Pitch, measured: Pitch, mask: Tensor) -> Tensor:
    """L1 error of octaves where there is a voice, plus cross-entropy of voicing; a scalar.

    Args:
        predicted: of `PitchPredictor`.
        measured: of `measure_pitch`.
        mask: [B, 1, T], which frames count.
    """
    mask = mask[:, 0]
    off = (predicted.octaves - measured.octaves).abs() * measured.voicing
    wrong = F.binary_cross_entropy_with_logits(predicted.voicing, measured.voicing, reduction="none")
    return ((off + wrong) * mask).sum() / mask.sum()


def with_contour(z: Tensor, pitch: Pitch, mask: Tensor, data: DataConfig) -> Tensor:
    """Latent with the pitch contour: [B, C, T] -> [B, C + N_CONTOUR, T]; no gradient passes to the pitch.

    A frame leads from the pitch of the frame before it to its own; both in cycles a sample, then voicing likewise, then
    the phase at its start in turns. So a frame does not depend on those behind it, and padding changes nothing.

    Args:
        z: latent.
        pitch: voicing between 0 and 1.
        mask: [B, 1, T]; frames outside are silent.
        data: sampling rate and hop.
    """
    contour = _contour(Pitch(*(values.detach().float() for values in pitch)), mask, data)
    return torch.cat([z, contour.to(torch.promote_types(z.dtype, torch.float32))], dim=1)


def _contour(pitch: Pitch, mask: Tensor, data: DataConfig) -> Tensor:
    """[B, N_CONTOUR, T]."""
    lowest, highest = math.log2(LOWEST / REFERENCE), math.log2(HIGHEST / REFERENCE)
    end = REFERENCE / data.sampling_rate * torch.exp2(pitch.octaves.clamp(lowest, highest))
    start = torch.cat([end[:, :1], end[:, :-1]], dim=1)
    loud = pitch.voicing
    loud_before = torch.cat([loud[:, :1], loud[:, :-1]], dim=1)
    turns = torch.round((start + end) * (data.hop_length / 2 * PHASE_STEPS)).long()  # of each frame
    phase = ((turns.cumsum(dim=1) - turns) % PHASE_STEPS).float() / PHASE_STEPS
    return torch.stack([start, end, loud_before * mask[:, 0], loud * mask[:, 0], phase], dim=1)


def in_phase(z: Tensor, frame: int, phase: Tensor) -> Tensor:
    """A part of a latent with contour, all phases shifted so that one frame begins with `phase` [B] turns.

    So a part whose own count began at its first frame goes on where another one, which has that frame too, left off.
    """
    turns = (z[:, -1] * PHASE_STEPS).long()  # [B, T]
    turns = (turns - turns[:, frame, None] + (phase * PHASE_STEPS).long()[:, None]) % PHASE_STEPS
    return torch.cat([z[:, :-1], (turns.float() / PHASE_STEPS)[:, None].to(z.dtype)], dim=1)


def harmonics(contour: Tensor, hop_length: int) -> Tensor:
    """Cosines of all multiples of the pitch below half the sampling rate, equally loud: [B, N_CONTOUR, T] -> [B, S]."""
    start, end, loud_before, loud, phase = (channel[:, :, None] for channel in contour.float().unbind(dim=1))
    sample = torch.arange(hop_length, device=contour.device)  # [hop]
    turns = phase + start * sample + (end - start) * (sample.square() / (2 * hop_length))  # [B, T, hop]
    share = sample / hop_length
    frequency = (start + (end - start) * share).clamp(min=LOWEST / 1e6)
    n_harmonics = torch.floor(HIGHEST_HARMONIC / frequency).clamp(min=1)
    # The sum of cos(k x) for k from 1 to K, in closed form.
    half_angle = math.pi * (turns - turns.round())
    denominator = half_angle.sin()
    is_pulse = denominator.abs() < SMALLEST_SINE
    ratio = ((2 * n_harmonics + 1) * half_angle).sin() / torch.where(is_pulse, 1.0, denominator)
    total = torch.where(is_pulse, n_harmonics, (ratio - 1) / 2)
    loudness = (loud_before + (loud - loud_before) * share) * LOUDNESS
    return (total * n_harmonics.rsqrt() * loudness).flatten(1)


@torch.no_grad()
def measure_pitch(wav: Tensor, data: DataConfig) -> Pitch:
    """Pitch in the middle of each frame, by YIN and a median over five frames: [B, S] -> [B, S // hop] each.

    Args:
        wav: in [-1, 1].
        data: sampling rate and hop.
    """
    n_lags = math.ceil(data.sampling_rate / LOWEST) + 2
    window = max(n_lags, round(0.032 * data.sampling_rate), data.hop_length)
    # A lag compares a window with one that begins as much later, so what is measured lies in the middle of both.
    before = (window + round(data.sampling_rate / REFERENCE) - data.hop_length) // 2
    n_frames = max(1, wav.shape[1] // data.hop_length)
    wav = F.pad(wav.float(), (before, window + n_lags))
    frames = wav.unfold(1, window + n_lags, data.hop_length)[:, :n_frames]  # [B, T, W + K]
    dips = _normalised_difference(frames, window, n_lags)  # [B, T, K]
    first = max(2, math.floor(data.sampling_rate / HIGHEST))
    inner = dips[..., first:-1]
    is_valley = (inner <= dips[..., first - 1 : -2]) & (inner < dips[..., first + 1 :])
    is_clear = is_valley & (inner < CLEAR_DIP)
    lag = torch.where(is_clear.any(dim=-1), is_clear.byte().argmax(dim=-1), inner.argmin(dim=-1)) + first
    left, here, right = (dips.gather(-1, (lag + step)[..., None])[..., 0] for step in (-1, 0, 1))
    bend = left - 2 * here + right
    shift = torch.where(bend.abs() > 1e-9, (left - right) / (2 * torch.where(bend == 0, 1.0, bend)), 0.0)
    octaves = torch.log2(data.sampling_rate / REFERENCE / (lag + shift.clamp(-0.5, 0.5)))
    is_loud = frames[..., :window].square().mean(dim=-1).sqrt() > QUIETEST
    voicing = ((here < VOICED_DIP) & is_loud).float()
    return Pitch(_median(octaves), _median(voicing))


def _normalised_difference(frames: Tensor, window: int, n_lags: int) -> Tensor:
    """YIN's cumulative mean normalised difference: [..., W + K] -> [..., K], 1 at lag 0."""
    size = 2 ** math.ceil(math.log2(2 * window + n_lags))
    head = torch.fft.rfft(frames[..., :window], size)
    products = torch.fft.irfft(torch.fft.rfft(frames, size) * head.conj(), size)[..., :n_lags]
    energy = F.pad(frames.square().cumsum(dim=-1), (1, 0))
    energies = energy[..., window : window + n_lags] - energy[..., :n_lags]
    difference = (energies[..., :1] + energies - 2 * products).clamp(min=0)
    lags = torch.arange(1, n_lags, device=frames.device)
    mean = difference[..., 1:].cumsum(dim=-1) / lags
    return F.pad(difference[..., 1:] / mean.clamp(min=1e-9), (1, 0), value=1.0)


def _median(values: Tensor) -> Tensor:
    """Over five frames, [B, T]."""
    return F.pad(values[:, None], (2, 2), mode="replicate")[:, 0].unfold(1, 5, 1).median(dim=-1).values
