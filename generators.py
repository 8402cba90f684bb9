"""Generators from latent to waveform: HiFi-GAN as published, and faster ones that end in an inverse STFT.

These are HiFi-GAN's stack with fewer stages and one inverse STFT, or one for each of several bands; and a ConvNeXt
stack, used alone, or with harmonics whose pitch is part of the latent.
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
that has `takes_pitch` = True gets z with the pitch's course, [B, C + N_CONTOUR, T] (see pitch.py). One that has `pqmf`
returns the bands too if it is asked `with_bands`, for `losses.subband_loss`.
"""


class HifiGanStack(nn.Module):
    """HiFi-GAN (Kong et al. 2020) without its output layer: transposed convolutions, each before residual blocks."""

    def __init__(self, model: ModelConfig, conv_pre: nn.Module):
        super().__init__()
        width = model.upsample_initial_channel
        self.n_kernels = len(model.resblock_kernel_sizes)
        self.conv_pre = conv_pre
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()  # index = stage * n_kernels + kernel
        block = ResBlock1 if model.resblock == "1" else ResBlock2
        for rate, kernel in zip(model.upsample_rates, model.upsample_kernel_sizes):
            self.ups.append(weight_norm(
                nn.ConvTranspose1d(width, width // 2, kernel, rate, padding=(kernel - rate) // 2)))
            width //= 2
            for block_kernel, dilations in zip(model.resblock_kernel_sizes, model.resblock_dilation_sizes):
                self.resblocks.append(block(width, block_kernel, dilations))
        self.out_channels = width

    def hidden(self, z: Tensor, g: Tensor | None = None) -> Tensor:
        """z [B, C, T], g [B, G, 1] -> input of the output layer [B, out_channels, T * product of the rates]."""
        x = self.conv_pre(z)
        if g is not None:
            x = x + self.cond(g)
        for stage, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, LEAKY_SLOPE))
            blocks = self.resblocks[stage * self.n_kernels : (stage + 1) * self.n_kernels]
            x = sum(block(x) for block in blocks) / self.n_kernels
        return F.leaky_relu(x)  # slope 0.01 here, as published


@GENERATORS.register("hifigan")
class HifiGanGenerator(HifiGanStack):
    """HiFi-GAN: its stack up to the sampling rate, and one convolution."""

    def __init__(self, model: ModelConfig, data: DataConfig):
        super().__init__(model, nn.Conv1d(model.inter_channels, model.upsample_initial_channel, 7, padding=3))
        self.conv_post = nn.Conv1d(self.out_channels, 1, 7, padding=3, bias=False)
        self.context_frames = _context_of_stack(model, -3, math.prod(model.upsample_rates) - 1 + 3)
        if model.gin_channels:
            self.cond = nn.Conv1d(model.gin_channels, model.upsample_initial_channel, 1)

    def forward(self, z: Tensor, g: Tensor | None = None) -> Tensor:
        """z [B, C, T], g [B, G, 1] -> waveform [B, 1, S] in [-1, 1]."""
        return torch.tanh(self.conv_post(self.hidden(z, g)))


def _context_of_stack(model: ModelConfig, first: int, last: int) -> int:
    """Frames on either side that the samples of a frame depend on: back through all layers of `HifiGanStack`.

    Args:
        model: its sizes.
        first, last: steps of the stack's output that the samples of frame 0 depend on, counted from its own first.
    """
    per_pair = 2 if model.resblock == "1" else 1  # a dilated convolution, and in the larger block one more behind it
    reach = max(sum(same_padding(kernel, dilation) + (per_pair - 1) * same_padding(kernel) for dilation in dilations)
                for kernel, dilations in zip(model.resblock_kernel_sizes, model.resblock_dilation_sizes))
    for rate, kernel in reversed(list(zip(model.upsample_rates, model.upsample_kernel_sizes))):
        first, last = first - reach, last + reach
        padding = (kernel - rate) // 2  # output o depends on inputs i with o = i * rate - padding + j, 0 <= j < kernel
        first, last = -((kernel - 1 - padding - first) // rate), (last + padding) // rate
    return max(3 - first, last + 3)  # conv_pre


@GENERATORS.register("istft_hifigan")
class IstftHifiGanGenerator(HifiGanStack):
    """HiFi-GAN's stack with fewer stages, then an inverse STFT of few bins (iSTFT-VITS, Kawamura et al. 2023).

    Unlike the published code, which ignores the speaker here, it is conditioned as HiFi-GAN is.
    """

    def __init__(self, model: ModelConfig, data: DataConfig):
        super().__init__(model, weight_norm(
            nn.Conv1d(model.inter_channels, model.upsample_initial_channel, 7, padding=3)))
        self.istft = InverseStft(model.gen_istft_n_fft, model.gen_istft_hop_size)
        self._add_output(model)
        if model.gin_channels:
            self.cond = nn.Conv1d(model.gin_channels, model.upsample_initial_channel, 1)

    def _add_output(self, model: ModelConfig) -> None:
        self.conv_post = self._spectrum_layer(1)
        self.context_frames = self._context(model, 0, model.samples_of_frame - 1)

    def _spectrum_layer(self, n_bands: int) -> nn.Module:
        return weight_norm(nn.Conv1d(self.out_channels, n_bands * 2 * self.istft.n_bins, 7, padding=3))

    def _context(self, model: ModelConfig, first: int, last: int) -> int:
        """`context_frames`, from the samples of the inverse STFT that those of frame 0 depend on."""
        first, last = self.istft.frames_of(first, last)
        return _context_of_stack(model, first - 4, last + 2)  # a kernel of 7, one step late

    def forward(self, z: Tensor, g: Tensor | None = None) -> Tensor:
        """z [B, C, T], g [B, G, 1] -> waveform [B, 1, S]."""
        return self.istft(*self.spectrum(z, g))[:, None]

    def spectrum(self, z: Tensor, g: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Magnitude and phase, [B * bands, F, frames] each: one frame more than the stack has steps, as published."""
        x = F.pad(self.hidden(z, g), (1, 0), mode="reflect")
        return self.istft.magnitude_and_phase(self.output_layer(x))

    @property
    def output_layer(self) -> nn.Module:
        """The convolution to magnitudes and phases."""
        return self.conv_post


class _SubbandGenerator(IstftHifiGanGenerator):
    """Several bands at a fraction of the rate, each from an inverse STFT of its own."""

    def _add_output(self, model: ModelConfig) -> None:
        self.n_bands = model.subbands
        self.subband_conv_post = self._spectrum_layer(self.n_bands)
        reach = self._add_synthesis(model)
        last = model.samples_of_frame - 1
        self.context_frames = self._context(model, -(reach // self.n_bands), (last + reach) // self.n_bands)

    def _add_synthesis(self, model: ModelConfig) -> int:
        """Add the synthesis filter; return its reach to each side, in samples."""
        raise NotImplementedError

    @property
    def output_layer(self) -> nn.Module:
        """The convolution to magnitudes and phases of all bands."""
        return self.subband_conv_post

    def bands(self, z: Tensor, g: Tensor | None = None) -> Tensor:
        """z [B, C, T], g [B, G, 1] -> bands [B, N, S / N], the lowest first."""
        return self.istft(*self.spectrum(z, g)).unflatten(0, (-1, self.n_bands))


@GENERATORS.register("multiband")
class MultiBandGenerator(_SubbandGenerator):
    """Bands that a fixed filter bank joins (MB-iSTFT-VITS, Kawamura et al. 2023)."""

    def _add_synthesis(self, model: ModelConfig) -> int:
        self.pqmf = Pqmf(model.subbands, model.pqmf)
        return self.pqmf.reach

    def forward(self, z: Tensor, g: Tensor | None = None, with_bands: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """z [B, C, T], g [B, G, 1] -> waveform [B, 1, S]; with bands [B, N, S / N] behind it, for their loss."""
        bands = self.bands(z, g)
        wav = self.pqmf.synthesis(bands)
        return (wav, bands) if with_bands else wav


@GENERATORS.register("multistream")
class MultiStreamGenerator(_SubbandGenerator):
    """Streams that a trained filter joins (MS-iSTFT-VITS, Kawamura et al. 2023)."""

    def _add_synthesis(self, model: ModelConfig) -> int:
        self.multistream_conv_post = weight_norm(nn.Conv1d(model.subbands, 1, 63, padding=31, bias=False))
        return 31

    def forward(self, z: Tensor, g: Tensor | None = None) -> Tensor:
        """z [B, C, T], g [B, G, 1] -> waveform [B, 1, S]."""
        return join_bands(self.bands(z, g), self.multistream_conv_post.weight[0])


class InverseStft(nn.Module):
    """Inverse STFT of few bins as one transposed convolution; frames are centred on hops, windows periodic Hann."""

    MAX_LOG_MAGNITUDE = 20.0  # keeps exp finite, as published code does not; that of loud speech is below 3

    def __init__(self, n_fft: int, hop_length: int):
        super().__init__()
        self.n_fft, self.hop_length, self.n_bins = n_fft, hop_length, n_fft // 2 + 1
        window = torch.hann_window(n_fft, dtype=torch.float64)
        angle = 2 * math.pi / n_fft * torch.outer(torch.arange(self.n_bins), torch.arange(n_fft)).double()
        weight = torch.full((self.n_bins, 1), 2 / n_fft, dtype=torch.float64)  # a bin is its mirror image too
        weight[[0, -1]] = 1 / n_fft
        basis = torch.cat([angle.cos() * weight, -angle.sin() * weight]) * window  # [2F, n_fft]
        self.register_buffer("basis", basis[:, None].float(), persistent=False)
        self.register_buffer("squared_window", window.square()[None, None].float(), persistent=False)

    def frames_of(self, first: int, last: int) -> tuple[int, int]:
        """The first and the last frame that samples `first` to `last` depend on."""
        middle = self.n_fft // 2  # of a window whose first sample is 0
        return -((self.n_fft - 1 - middle - first) // self.hop_length), (last + middle - 1) // self.hop_length

    @in_float32
    def magnitude_and_phase(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Output of a network, [B, N * 2F, frames] -> magnitude and phase, [B * N, F, frames] each, in float32."""
        log_magnitude, phase = x.unflatten(1, (-1, 2 * self.n_bins)).flatten(0, 1).chunk(2, dim=1)
        return log_magnitude.clamp(max=self.MAX_LOG_MAGNITUDE).exp(), math.pi * phase.sin()

    @in_float32
    def forward(self, magnitude: Tensor, phase: Tensor) -> Tensor:
        """[B, F, frames] each -> samples [B, (frames - 1) * hop]."""
        spectrum = torch.cat([magnitude * phase.cos(), magnitude * phase.sin()], dim=1)
        sizes = {"stride": self.hop_length, "padding": self.n_fft // 2}
        total = F.conv_transpose1d(spectrum, self.basis, **sizes)
        envelope = F.conv_transpose1d(torch.ones_like(magnitude[:1, :1]), self.squared_window, **sizes)
        return (total / envelope)[:, 0]


class Pqmf(nn.Module):
    """Pseudo quadrature mirror filters: a waveform to bands of equal width at a fraction of the rate, and back.

    Cosine-modulated Kaiser-windowed sinc (Nguyen 1994). The published filters ("published") have their phase centre
    half a sample early and a cut-off of 0.15: back comes a signal one sample late, 16 dB above its error. The corrected
    ones give 64 dB, without delay.
    """

    BETA = 9.0
    TAPS_OF_BAND = 15.5  # 62 for four bands

    def __init__(self, n_bands: int, kind: str = "corrected"):
        super().__init__()
        self.n_bands = n_bands
        taps = 2 * round(self.TAPS_OF_BAND * n_bands / 2)
        self.reach = taps // 2
        # Half a band, and a share of the slope's width that makes neighbours' powers add up to 1.
        cutoff, centre = 1 / (2 * n_bands) + 1.054 / taps, self.reach
        if kind == "published":
            cutoff, centre = 0.15, self.reach - 0.5
        time = torch.arange(taps + 1, dtype=torch.float64)
        window = torch.kaiser_window(taps + 1, periodic=False, beta=self.BETA, dtype=torch.float64)
        prototype = cutoff * torch.sinc(cutoff * (time - self.reach)) * window
        band = torch.arange(n_bands, dtype=torch.float64)[:, None]
        angle, turn = (2 * band + 1) * math.pi / (2 * n_bands) * (time - centre), (-1) ** band * math.pi / 4
        for name, sign in (("analysis_filter", 1), ("synthesis_filter", -1)):  # [N, taps + 1]
            self.register_buffer(name, (2 * prototype * torch.cos(angle + sign * turn)).float(), persistent=False)

    @in_float32
    def analysis(self, wav: Tensor) -> Tensor:
        """Waveform [B, 1, S] -> bands [B, N, S / N], the lowest first; S is a multiple of N."""
        return F.conv1d(wav, self.analysis_filter[:, None], stride=self.n_bands, padding=self.reach)

    def synthesis(self, bands: Tensor) -> Tensor:
        """Bands [B, N, S / N] -> waveform [B, 1, S]."""
        return join_bands(bands, self.synthesis_filter)


def join_bands(bands: Tensor, filters: Tensor) -> Tensor:
    """Sum of bands, each upsampled by their number N and filtered: [B, N, S / N], [N, 2R + 1] -> [B, 1, S].

    Zeros between the samples times N, and a convolution: one transposed convolution.
    """
    n_bands = bands.shape[1]
    with torch.autocast(bands.device.type, enabled=False):
        kernel = n_bands * filters.to(bands.dtype).flip(-1)[:, None]
        return F.conv_transpose1d(bands, kernel, stride=n_bands, padding=filters.shape[1] // 2,
                                  output_padding=n_bands - 1)


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
