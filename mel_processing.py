"""Linear and log-mel spectrograms as published: reflect padding, magnitude with a floor, slaney mel filters.

And back, without a network: Griffin-Lim.
"""

from __future__ import annotations

import logging
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from config import DataConfig
from utils import PackageError, import_package

logger = logging.getLogger("vits")

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
        try:
            torchaudio = import_package("torchaudio", beside="torch")  # slow to import, and speaking needs no mels
        except PackageError as error:
            logger.warning("%s; librosa makes the mel filters instead, with equal values", error)
            torchaudio = None
        if torchaudio is None or sampling_rate % 2:  # torchaudio rounds half of it down, which moves every filter
            filters = import_package("librosa.filters").mel(
                sr=sampling_rate, n_fft=filter_length, n_mels=n_mels, fmin=fmin, fmax=fmax)
            return torch.from_numpy(filters).to(device)
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
    """Pad both ends by reflection; a wav that is too short is lengthened by silence first."""
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


def griffin_lim(wav: np.ndarray, data: DataConfig, iterations: int = 60) -> np.ndarray:
    """Griffin-Lim: a waveform [S] from the log-mels of wav [S], with estimated phases.

    What a voice loses that has its mels right and its phases from no network. The mels are inverted by non-negative
    least squares. Sounds too short for a frame become silence.
    """
    import librosa

    wav = np.asarray(wav, np.float32)
    if len(wav) <= data.filter_length:
        return np.zeros_like(wav)
    mel = mel_spectrogram(torch.from_numpy(wav)[None], data)[0].exp().numpy()  # [M, T]
    fmax = data.mel_fmax if data.mel_fmax is not None else data.sampling_rate / 2
    filters = librosa.filters.mel(sr=data.sampling_rate, n_fft=data.filter_length, n_mels=data.n_mel_channels,
                                  fmin=data.mel_fmin, fmax=fmax)
    spec = librosa.util.nnls(filters, mel)  # [F, T]
    sound = librosa.griffinlim(spec, n_iter=iterations, hop_length=data.hop_length, win_length=data.win_length,
                               n_fft=data.filter_length, random_state=0)
    start = data.hop_length // 2  # our first frame is centred there, librosa's on the first sample
    return np.pad(sound, (start, max(0, len(wav) - start - len(sound))))[:len(wav)].astype(np.float32)
