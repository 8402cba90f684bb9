"""The objective of VITS as pure functions with named terms (sections 2.1 to 2.3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from config import TrainConfig
from discriminators import Judgement
from mel_processing import stft_magnitude

# Shapes: B batch, C channels, T frames, M mel bands, S samples.


class Share(NamedTuple):
    """What one batch is of a step's batches, over all processes and all that accumulate, times the number of processes.

    Losses are means over a batch. Times their share they add up, over batches and in the mean over processes, to the
    means over everything that the step heard.
    """

    utterances: float
    frames: float
    tokens: float


class DiscriminatorLosses(NamedTuple):
    """Least-squares terms, each summed over the discriminators."""

    real: Tensor
    fake: Tensor

    def total(self) -> Tensor:
        """What the discriminator minimises."""
        return self.real + self.fake

    def scaled(self, share: Share) -> DiscriminatorLosses:
        """Both terms times the share of the utterances."""
        return DiscriminatorLosses(share.utterances * self.real, share.utterances * self.fake)


class GeneratorLosses(NamedTuple):
    """Terms of the generator's objective, unweighted scalars."""

    mel: Tensor
    kl: Tensor
    duration: Tensor
    adversarial: Tensor
    features: Tensor
    stft: Tensor
    pitch: Tensor

    def total(self, weights: TrainConfig, adversarial_factor: float = 1.0) -> Tensor:
        """What the generator minimises (eq. 13), with the weights of the configuration.

        Args:
            weights: the `c_*` are used.
            adversarial_factor: on what the discriminators say, below 1 while they warm up.
        """
        return (weights.c_mel * self.mel + weights.c_kl * self.kl + weights.c_dur * self.duration
                + adversarial_factor * (weights.c_adv * self.adversarial + weights.c_fm * self.features)
                + weights.c_stft * self.stft + weights.c_pitch * self.pitch)

    def scaled(self, share: Share) -> GeneratorLosses:
        """Each term times the share of what it is a mean over."""
        return GeneratorLosses(
            mel=share.utterances * self.mel, kl=share.frames * self.kl, duration=share.tokens * self.duration,
            adversarial=share.utterances * self.adversarial, features=share.utterances * self.features,
            stft=share.utterances * self.stft, pitch=share.frames * self.pitch)


def discriminator_losses(real: list[Judgement], fake: list[Judgement]) -> DiscriminatorLosses:
    """Real logits towards 1, fake ones towards 0 (eq. 10)."""
    return DiscriminatorLosses(
        real=sum((1 - judgement.logits.float()).square().mean() for judgement in real),
        fake=sum(judgement.logits.float().square().mean() for judgement in fake))


def adversarial_loss(fake: list[Judgement]) -> Tensor:
    """Fake logits towards 1, summed over the discriminators (eq. 11)."""
    return sum((1 - judgement.logits.float()).square().mean() for judgement in fake)


def feature_loss(real: list[Judgement], fake: list[Judgement]) -> Tensor:
    """Twice the L1 distance of all feature maps, summed over layers and discriminators (eq. 12)."""
    pairs = ((r, f) for real_j, fake_j in zip(real, fake) for r, f in zip(real_j.features, fake_j.features))
    return 2 * sum(F.l1_loss(f.float(), r.detach().float()) for r, f in pairs)


def kl_loss(z_p: Tensor, posterior_logstd: Tensor, prior_mean: Tensor, prior_logstd: Tensor, mask: Tensor) -> Tensor:
    """KL(q || p) per valid frame, channels summed, from one sample of z (eq. 3). All [B, C, T], mask [B, 1, T]."""
    z_p, prior_mean, prior_logstd = z_p.float(), prior_mean.float(), prior_logstd.float()
    kl = prior_logstd - posterior_logstd.float() - 0.5
    kl = kl + 0.5 * (z_p - prior_mean).square() * torch.exp(-2 * prior_logstd)
    mask = mask.float()
    return (kl * mask).sum() / mask.sum()


def mel_loss(mel_real: Tensor, mel_fake: Tensor) -> Tensor:
    """L1 distance of log-mels [B, M, T] (eq. 2)."""
    return F.l1_loss(mel_fake.float(), mel_real.float())


def stft_loss(wav_real: Tensor, wav_fake: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Spectral convergence plus log-magnitude L1, averaged over items and FFT sizes (Yamamoto et al. 2020).

    The convergence is a ratio of each item, as published, not of the batch: so a loud item hides no other, and
    a batch's loss is the mean of its items' losses.

    Args:
        wav_real, wav_fake: [B, S].
        sizes: FFT sizes in samples; hop and window are a quarter and the whole of each.
    """
    total = wav_fake.new_zeros((), dtype=torch.float32)
    for size in sizes:
        real, fake = (stft_magnitude(wav, size, size // 4, size) for wav in (wav_real, wav_fake))
        distance, size_of_real = (torch.linalg.vector_norm(x, dim=(1, 2)) for x in (real - fake, real))  # [B]
        total = total + (distance / size_of_real).mean() + F.l1_loss(fake.log(), real.log())
    return total / len(sizes)
