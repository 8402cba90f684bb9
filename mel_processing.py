"""Waveform -> linear spectrogram -> log-mel, as published: reflect padding, magnitude with a floor, slaney mels."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from config import DataConfig

# Shapes: B batch, S samples, T frames, F FFT bins, M mel bands.

POWER_FLOOR = 1e-6  # added below the square root, so that its gradient stays finite
MEL_FLOOR = 1e-5


@lru_cache(maxsize=32)
def _window(win_length: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # what synthesis caches, training must be able to use
        return torch.hann_window(win_length, device=device)


@lru_cache(maxsize=32)
def _filterbank(
    filter_length: int, n_mels: int, sampling_rate: int, fmin: float, fmax: float, device: torch.device
) -> Tensor:
    """Slaney-normalised triangular filters, [M, F]."""
    with torch.inference_mode(False):  # see _window
        if sampling_rate % 2:  # torchaudio rounds half of it down, which moves every filter
            from librosa.filters import mel

            filters = mel(sr=sampling_rate, n_fft=filter_length, n_mels=n_mels, fmin=fmin, fmax=fmax)
            return torch.from_numpy(filters).to(device)
        import torchaudio.functional  # slow to import, and speaking needs no mels

        filters = torchaudio.functional.melscale_fbanks(
            filter_length // 2 + 1, fmin, fmax, n_mels, sampling_rate, norm="slaney", mel_scale="slaney")
        return filters.T.contiguous().to(device)


def stft_magnitude(wav: Tensor, filter_length: int, hop_length: int, win_length: int) -> Tensor:
    """Magnitudes sqrt(|STFT|^2 + 1e-6) in float32, frames centred on hops: wav [B, S] -> [B, F, S // hop].

    Computed in float32 under autocast too: half precision has neither the range nor, on most devices, the FFT.
    """
    padding = (filter_length - hop_length) // 2
    with torch.autocast(wav.device.type, enabled=False):
        wav = _reflect(wav.float(), padding)
        frames = torch.stft(wav, filter_length, hop_length, win_length, _window(win_length, wav.device),
                            center=False, return_complex=True)
        return torch.view_as_real(frames).pow(2).sum(-1).add(POWER_FLOOR).sqrt()


def spectrogram(wav: Tensor, data: DataConfig, wav_lengths: Tensor | None = None) -> Tensor:
    """Linear magnitude spectrogram, [B, S] -> [B, F, T] with T = S // hop, at least 1.

    Args:
        wav: [B, S] in [-1, 1].
        data: FFT, hop and window sizes in samples.
        wav_lengths: [B] samples. If given, each item comes out as if it had been alone, that is, reflected at its own
            end, and frames from `length // hop` on are zero.
    """
    n_frames = max(1, wav.shape[1] // data.hop_length)
    if wav_lengths is None:
        return stft_magnitude(wav, data.filter_length, data.hop_length, data.win_length)[:, :, :n_frames]
    padding = (data.filter_length - data.hop_length) // 2
    spec = stft_magnitude(_mirror_ends(wav, wav_lengths, padding), data.filter_length, data.hop_length,
                          data.win_length)
    frames = wav_lengths // data.hop_length
    inside = torch.arange(spec.shape[2], device=spec.device)[None, None, :] < frames[:, None, None]
    return (spec * inside)[:, :, :n_frames]


def spec_to_mel(spec: Tensor, data: DataConfig) -> Tensor:
    """Log-mel of a linear spectrogram, floored at 1e-5: [B, F, T] -> [B, M, T]."""
    fmax = data.mel_fmax if data.mel_fmax is not None else data.sampling_rate / 2
    with torch.autocast(spec.device.type, enabled=False):
        filters = _filterbank(data.filter_length, data.n_mel_channels, data.sampling_rate, data.mel_fmin, fmax,
                              spec.device)
        return torch.log(torch.clamp(filters @ spec.float(), min=MEL_FLOOR))


def mel_spectrogram(wav: Tensor, data: DataConfig) -> Tensor:
    """Log-mel of a waveform: [B, S] -> [B, M, S // hop]."""
    return spec_to_mel(spectrogram(wav, data), data)


def _reflect(wav: Tensor, padding: int) -> Tensor:
    """Mirror both ends; a wav too short to mirror is lengthened by silence first."""
    if wav.shape[1] <= padding:
        wav = F.pad(wav, (0, padding + 1 - wav.shape[1]))
    return F.pad(wav[:, None], (padding, padding), mode="reflect")[:, 0]


def _mirror_ends(wav: Tensor, lengths: Tensor, padding: int) -> Tensor:
    """Continue each item past its own end by its mirror image, as `_reflect`: [B, S] -> [B, S + padding]."""
    position = torch.arange(wav.shape[1] + padding, device=wav.device)[None, :]
    last = lengths[:, None].clamp(min=padding + 1) - 1
    mirrored = torch.where(position <= last, position, 2 * last - position)
    is_sound = (mirrored >= 0) & (mirrored < lengths[:, None])
    return wav.gather(1, mirrored.clamp(0, wav.shape[1] - 1)) * is_sound
