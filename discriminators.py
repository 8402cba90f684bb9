"""Discriminators of real and generated speech: by period, by scale, by spectrogram at several resolutions."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from config import DiscriminatorConfig
from mel_processing import stft_magnitude
from modules import LEAKY_SLOPE, same_padding, weight_norm
from utils import Registry

# Shapes: B batch, S samples, C channels, P period.

DISCRIMINATORS: Registry[list[nn.Module]] = Registry("discriminator")
"""Builders `(config: DiscriminatorConfig) -> list of modules`, each module `(wav [B, 1, S]) -> DiscriminatorOutput`."""


class DiscriminatorOutput(NamedTuple):
    """What one discriminator computes of a batch: logits [B, N], and the feature map of each layer."""

    logits: Tensor
    features: list[Tensor]


class ScaleDiscriminator(nn.Module):
    """Strided, grouped convolutions over the waveform, average-pooled `n_poolings` times before (MelGAN, HiFi-GAN)."""

    def __init__(self, config: DiscriminatorConfig, n_poolings: int, use_spectral_norm: bool):
        super().__init__()
        norm = spectral_norm if use_spectral_norm else weight_norm
        self.n_poolings = n_poolings
        self.convs = nn.ModuleList()
        before = 1
        for channels, kernel, stride, groups in zip(
                config.scale_channels, config.scale_kernel_sizes, config.scale_strides, config.scale_groups):
            self.convs.append(norm(
                nn.Conv1d(before, channels, kernel, stride, groups=groups, padding=same_padding(kernel))))
            before = channels
        self.conv_post = norm(nn.Conv1d(before, 1, 3, padding=1))

    def forward(self, wav: Tensor) -> DiscriminatorOutput:
        """wav [B, 1, S]."""
        for _ in range(self.n_poolings):
            wav = F.avg_pool1d(wav, 4, 2, padding=2)
        return _logits_and_features(wav, self.convs, self.conv_post)


class PeriodDiscriminator(nn.Module):
    """Convolutions over every P-th sample: the waveform folded to [B, 1, S / P, P] (HiFi-GAN)."""

    KERNEL, STRIDE = 5, 3

    def __init__(self, config: DiscriminatorConfig, period: int):
        super().__init__()
        norm = spectral_norm if config.use_spectral_norm else weight_norm
        self.period = period
        self.convs = nn.ModuleList()
        before = 1
        for i, channels in enumerate(config.period_channels):
            stride = 1 if i == len(config.period_channels) - 1 else self.STRIDE
            self.convs.append(norm(nn.Conv2d(before, channels, (self.KERNEL, 1), (stride, 1),
                                             padding=(same_padding(self.KERNEL), 0))))
            before = channels
        self.conv_post = norm(nn.Conv2d(before, 1, (3, 1), padding=(1, 0)))

    def forward(self, wav: Tensor) -> DiscriminatorOutput:
        """wav [B, 1, S]; reflected at the end to a multiple of the period."""
        missing = -wav.shape[2] % self.period
        if missing:
            wav = F.pad(wav, (0, missing), mode="reflect")
        return _logits_and_features(wav.unflatten(2, (-1, self.period)), self.convs, self.conv_post)


class StftDiscriminator(nn.Module):
    """2-D convolutions over a magnitude spectrogram (UnivNet, Jang et al. 2021)."""

    def __init__(self, config: DiscriminatorConfig, n_fft: int):
        super().__init__()
        norm = spectral_norm if config.use_spectral_norm else weight_norm
        width = config.stft_channels
        self.n_fft = n_fft
        self.convs = nn.ModuleList([
            norm(nn.Conv2d(1, width, (3, 9), padding=(1, 4))),
            *(norm(nn.Conv2d(width, width, (3, 9), stride=(1, 2), padding=(1, 4))) for _ in range(3)),
            norm(nn.Conv2d(width, width, (3, 3), padding=(1, 1)))])
        self.conv_post = norm(nn.Conv2d(width, 1, (3, 3), padding=(1, 1)))

    def forward(self, wav: Tensor) -> DiscriminatorOutput:
        """wav [B, 1, S]."""
        magnitude = stft_magnitude(wav[:, 0], self.n_fft, self.n_fft // 4, self.n_fft)
        return _logits_and_features(magnitude.mT[:, None], self.convs, self.conv_post)  # [B, 1, T, F]


def _logits_and_features(x: Tensor, convs: nn.ModuleList, conv_post: nn.Module) -> DiscriminatorOutput:
    features = []
    for conv in convs:
        x = F.leaky_relu(conv(x), LEAKY_SLOPE)
        features.append(x)
    x = conv_post(x)
    features.append(x)
    return DiscriminatorOutput(x.flatten(1), features)


@DISCRIMINATORS.register("scale")
def build_scale_discriminators(config: DiscriminatorConfig) -> list[nn.Module]:
    """One of the full rate, and each further one of half; with several, the first is spectrally normed (HiFi-GAN)."""
    return [ScaleDiscriminator(config, i, config.use_spectral_norm or (config.n_scales > 1 and i == 0))
            for i in range(config.n_scales)]


@DISCRIMINATORS.register("period")
def build_period_discriminators(config: DiscriminatorConfig) -> list[nn.Module]:
    """One for each period."""
    return [PeriodDiscriminator(config, period) for period in config.periods]


@DISCRIMINATORS.register("stft")
def build_stft_discriminators(config: DiscriminatorConfig) -> list[nn.Module]:
    """One for each FFT size."""
    return [StftDiscriminator(config, n_fft) for n_fft in config.stft_sizes]


class Discriminators(nn.Module):
    """All discriminators of a configuration, in the order of its kinds; the default is the published set."""

    def __init__(self, config: DiscriminatorConfig):
        super().__init__()
        self.discriminators = nn.ModuleList(  # public checkpoint key
            part for kind in config.kinds for part in DISCRIMINATORS.get(kind)(config))

    def forward(self, wav: Tensor) -> list[DiscriminatorOutput]:
        """wav [B, 1, S] -> one output of each discriminator."""
        return [discriminator(wav) for discriminator in self.discriminators]


def split_outputs(outputs: list[DiscriminatorOutput]) -> tuple[list[DiscriminatorOutput], list[DiscriminatorOutput]]:
    """Undo `torch.cat([real, fake])` over the batch: the outputs of each half."""
    real, fake = ([DiscriminatorOutput(output.logits.chunk(2)[half], [each.chunk(2)[half] for each in output.features])
                   for output in outputs] for half in (0, 1))
    return real, fake


def real_accuracy(real: list[DiscriminatorOutput]) -> Tensor:
    """Share of a batch of recordings that are classified as real, a scalar; see `training.augmentation.Augmenter`.

    Classified as real: the mean logit over all discriminators is above 0.5, half way from 0, fake, to 1, real (eq. 9).
    """
    means = torch.stack([output.logits.detach().float().mean(dim=1) for output in real]).mean(dim=0)  # [B]
    return ((means > 0.5) + 0 * means).mean()  # the zeros make it NaN, not a small share, where a logit is not finite


def set_trainable(module: nn.Module, is_trainable: bool) -> None:
    """Freeze or thaw all parameters; a frozen network passes gradients on and computes none of its own."""
    for parameter in module.parameters():
        parameter.requires_grad_(is_trainable)
