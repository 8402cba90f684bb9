"""Generators from latent to waveform: HiFi-GAN as published, and faster ConvNeXt stacks with inverse-STFT head.

The ConvNeXt stack is used alone, or with harmonics whose pitch is part of the latent.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from config import DataConfig, ModelConfig
from modules import LEAKY_SLOPE, ConvNeXtBlock, ResBlock1, ResBlock2, in_float32, same_padding, weight_norm
from pitch import N_CONTOUR, harmonics
from utils import Registry

# Shapes: B batch, C latent channels, G speaker channels, T frames, S = T * hop samples, F FFT bins.

GENERATORS: Registry[nn.Module] = Registry("generator")
"""Builders `(model: ModelConfig, data: DataConfig) -> module(z [B, C, T], g [B, G, 1] | None) -> wav [B, 1, S]`.

A module that has `context_frames`, the frames on either side that a frame's samples depend on, can be streamed. One
that has `takes_pitch` = True gets z with the pitch's course, [B, C + N_CONTOUR, T] (see pitch.py).
"""


@GENERATORS.register("hifigan")
class HifiGanGenerator(nn.Module):
    """HiFi-GAN (Kong et al. 2020): transposed convolutions, each followed by parallel residual blocks."""

    def __init__(self, model: ModelConfig, data: DataConfig):
        super().__init__()
        width = model.upsample_initial_channel
        self.n_kernels = len(model.resblock_kernel_sizes)
        self.conv_pre = nn.Conv1d(model.inter_channels, width, 7, padding=3)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()  # index = stage * n_kernels + kernel
        block = ResBlock1 if model.resblock == "1" else ResBlock2
        for rate, kernel in zip(model.upsample_rates, model.upsample_kernel_sizes):
            self.ups.append(weight_norm(
                nn.ConvTranspose1d(width, width // 2, kernel, rate, padding=(kernel - rate) // 2)))
            width //= 2
            for block_kernel, dilations in zip(model.resblock_kernel_sizes, model.resblock_dilation_sizes):
                self.resblocks.append(block(width, block_kernel, dilations))
        self.conv_post = nn.Conv1d(width, 1, 7, padding=3, bias=False)
        self.context_frames = _context_of_hifigan(model)
        if model.gin_channels:
            self.cond = nn.Conv1d(model.gin_channels, model.upsample_initial_channel, 1)

    def forward(self, z: Tensor, g: Tensor | None = None) -> Tensor:
        """z [B, C, T], g [B, G, 1] -> waveform [B, 1, S] in [-1, 1]."""
        x = self.conv_pre(z)
        if g is not None:
            x = x + self.cond(g)
        for stage, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, LEAKY_SLOPE))
            blocks = self.resblocks[stage * self.n_kernels : (stage + 1) * self.n_kernels]
            x = sum(block(x) for block in blocks) / self.n_kernels
        return torch.tanh(self.conv_post(F.leaky_relu(x)))  # slope 0.01 here, as published


def _context_of_hifigan(model: ModelConfig) -> int:
    """Frames on either side that the samples of a frame depend on: from those samples back through all layers."""
    hop = math.prod(model.upsample_rates)
    first, last = -3, hop - 1 + 3  # conv_post; positions in the signal of the layer at hand, the frame is [0, hop)
    per_pair = 2 if model.resblock == "1" else 1  # a dilated convolution, and in the larger block one more behind it
    reach = max(sum(same_padding(kernel, dilation) + (per_pair - 1) * same_padding(kernel) for dilation in dilations)
                for kernel, dilations in zip(model.resblock_kernel_sizes, model.resblock_dilation_sizes))
    for rate, kernel in reversed(list(zip(model.upsample_rates, model.upsample_kernel_sizes))):
        first, last = first - reach, last + reach
        padding = (kernel - rate) // 2  # output o depends on inputs i with o = i * rate - padding + j, 0 <= j < kernel
        first, last = -((kernel - 1 - padding - first) // rate), (last + padding) // rate
    return max(3 - first, last + 3)  # conv_pre


@GENERATORS.register("istft")
class IstftGenerator(nn.Module):
    """ConvNeXt blocks at frame rate, then magnitudes and phases for an inverse STFT (Vocos, Siuzdak 2023)."""

    def __init__(self, model: ModelConfig, data: DataConfig):
        super().__init__()
        width = model.istft_channels
        self.embed = nn.Conv1d(model.inter_channels, width, model.istft_kernel_size,
                               padding=same_padding(model.istft_kernel_size))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(width, model.istft_kernel_size, model.istft_expansion, scale=1 / model.istft_layers)
            for _ in range(model.istft_layers))
        self.final_norm = nn.LayerNorm(width, eps=1e-6)
        self.head = IstftHead(width, data.filter_length, data.hop_length)
        self.context_frames = ((model.istft_layers + 1) * same_padding(model.istft_kernel_size)
                               + context_of_overlap_add(data.filter_length, data.hop_length))
        if model.gin_channels:
            self.cond = nn.Conv1d(model.gin_channels, width, 1)

    def forward(self, z: Tensor, g: Tensor | None = None) -> Tensor:
        """z [B, C, T], g [B, G, 1] -> waveform [B, 1, S]."""
        return self.head(self.hidden(z, g))

    def hidden(self, z: Tensor, g: Tensor | None = None) -> Tensor:
        """Input of the head, [B, T, width]."""
        x = self.embed(z)
        if g is not None:
            x = x + self.cond(g)
        x = self.norm(x.mT).mT
        for block in self.blocks:
            x = block(x)
        return self.final_norm(x.mT)


@GENERATORS.register("harmonic")
class HarmonicGenerator(IstftGenerator):
    """IstftGenerator with added harmonics of the pitch, filtered by the stack for each frame.

    Harmonics whose phase runs on are a neural source-filter model's (Wang, Takaki and Yamagishi 2019); to filter them
    as spectra is HiFTNet's (Li, Han and Mesgarani 2023). What they change: docs/lab/harmonic-generator.md.
    """

    takes_pitch = True

    def __init__(self, model: ModelConfig, data: DataConfig):
        super().__init__(model, data)
        self.filter = HarmonicFilter(model.istft_channels, data.filter_length, data.hop_length)
        overlap = context_of_overlap_add(data.filter_length, data.hop_length)
        self.context_frames = max(self.context_frames, 2 * overlap)  # a spectrum of harmonics looks as far as it sounds

    def forward(self, z: Tensor, g: Tensor | None = None) -> Tensor:
        """z [B, C + N_CONTOUR, T], g [B, G, 1] -> waveform [B, 1, S]."""
        z, contour = z.split([z.shape[1] - N_CONTOUR, N_CONTOUR], dim=1)
        x = self.hidden(z.to(self.embed.weight.dtype), g)
        return self.head(x, self.filter(x, contour))


class HarmonicFilter(nn.Module):
    """Harmonics of the pitch with loudness and phase at `BANDS` + 1 frequencies, linear in between."""

    BANDS = 64
    QUIET = -3.0  # log of the gain at first

    def __init__(self, channels: int, n_fft: int, hop_length: int):
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.out = nn.Linear(channels, 2 * (self.BANDS + 1))
        nn.init.normal_(self.out.weight, 0, 0.002)
        nn.init.zeros_(self.out.bias)
        with torch.no_grad():
            self.out.bias[: self.BANDS + 1] = self.QUIET
        place = torch.linspace(0, self.BANDS, n_fft // 2 + 1)  # of each bin
        distance = (place[None, :] - torch.arange(self.BANDS + 1)[:, None]).abs()
        self.register_buffer("lines", (1 - distance).clamp(min=0), persistent=False)  # [BANDS + 1, F]
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    @in_float32
    def forward(self, x: Tensor, contour: Tensor) -> Tensor:
        """Hidden [B, T, C], the pitch's course [B, N_CONTOUR, T] -> spectrum [B, T, F] of one windowed frame each."""
        overhang = self.n_fft - self.hop_length
        with torch.no_grad():
            source = F.pad(harmonics(contour, self.hop_length), (overhang // 2, overhang - overhang // 2))
            spectrum = torch.fft.rfft(source.unfold(1, self.n_fft, self.hop_length) * self.window)
        log_gain, phase = (places @ self.lines.float() for places in self.out(x).float().chunk(2, dim=-1))
        gain = log_gain.clamp(max=IstftHead.MAX_LOG_MAGNITUDE).exp()
        return torch.complex(gain * phase.cos(), gain * phase.sin()) * spectrum


def context_of_overlap_add(n_fft: int, hop_length: int) -> int:
    """Frames on either side whose windows reach into the samples of a frame; see `IstftHead`."""
    cut = (n_fft - hop_length) // 2
    before, after = (n_fft - 1 - cut) // hop_length, (hop_length - 1 + cut) // hop_length
    return max(before, after)


class IstftHead(nn.Module):
    """Linear layer to log-magnitude and phase of every bin, then overlap-add that keeps T frames to T hops."""

    MAX_LOG_MAGNITUDE = 4.6  # e^4.6 = 100; keeps exp finite while the network is untrained

    def __init__(self, channels: int, n_fft: int, hop_length: int):
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.out = nn.Linear(channels, 2 * (n_fft // 2 + 1))
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    @in_float32  # a phase of many turns, rounded to half precision, is another phase
    def forward(self, x: Tensor, more: Tensor | None = None) -> Tensor:
        """[B, T, C] -> waveform [B, 1, S], in float32 under autocast too; `more` [B, T, F] joins the spectrum."""
        log_magnitude, phase = self.out(x).float().chunk(2, dim=-1)  # [B, T, F] each
        magnitude = log_magnitude.clamp(max=self.MAX_LOG_MAGNITUDE).exp()
        spectrum = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
        spectrum = spectrum if more is None else spectrum + more
        frames = torch.fft.irfft(spectrum, self.n_fft, dim=-1) * self.window  # [B, T, n_fft]
        wav = self._overlap_add(frames)
        envelope = self._overlap_add(self.window.square().expand(1, frames.shape[1], -1))
        return wav / envelope.clamp(min=1e-11)

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """Sum frames at their hops and cut the overhang evenly: [B, T, n_fft] -> [B, 1, S]."""
        n_samples = frames.shape[1] * self.hop_length
        overhang = self.n_fft - self.hop_length
        full = F.fold(frames.mT, (1, n_samples + overhang), (1, self.n_fft), stride=(1, self.hop_length))
        return full[:, :, 0, overhang // 2 : overhang // 2 + n_samples]
