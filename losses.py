"""The objective of VITS as pure functions (sections 2.1 to 2.3), and the table of its terms.

    terms = reconstruction_terms(inputs)          # unweighted scalars by name
    terms.update(adversarial_terms(of_discriminators))
    terms.total(config.train).backward()

A new term is one row of `TERMS`: its function, the field of `config.LossSettings` that weights it, what it is a mean
over, and whether it needs the discriminators. It then trains, is logged as train/NAME, and adds up over batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from config import TrainConfig
from discriminators import DiscriminatorOutput
from mel_processing import stft_magnitude
from models import SynthesizerOutput

# Shapes: B batch, C channels, T frames, M mel bands, S samples.


class LossScale(NamedTuple):
    """A batch's share of a step's batches, over all processes and accumulated batches, times the number of processes.

    Losses are means over a batch. Times their share they add up, over batches and in the mean over processes, to the
    means over everything in the step.
    """

    utterances: float
    frames: float
    tokens: float


class ReconstructionInputs(NamedTuple):
    """What the terms without discriminators are computed from."""

    output: SynthesizerOutput
    wav_real: Tensor  # [B, 1, S], segments of the recordings
    wav_fake: Tensor  # [B, 1, S], the same segments from the generator, float32
    mel_real: Tensor  # [B, M, T] of wav_real
    mel_fake: Tensor  # [B, M, T] of wav_fake
    train: TrainConfig
    bands_real: Tensor | None = None  # [B, N, S / N] of wav_real; None where the output has no bands


class AdversarialInputs(NamedTuple):
    """What the terms with discriminators are computed from: one output of each."""

    real: list[DiscriminatorOutput]
    fake: list[DiscriminatorOutput]


class LossTerm(NamedTuple):
    """One term of the generator's objective."""

    compute: Callable[[Any], Tensor]  # of ReconstructionInputs; with `is_adversarial`, of AdversarialInputs; scalar
    weight: str | float  # a field of the train section, or a number
    mean_over: str = "utterances"  # a field of LossScale
    is_adversarial: bool = False  # 0 before train.adversarial_start, times the discriminators' warm-up after it
    is_optional: bool = False  # not computed where its weight is 0
    with_teacher: bool | None = None  # whether it is of runs with a train.teacher only, or without; None: of all
    of_bands: bool = False  # whether it is of generators that have bands only

    def weight_in(self, train: TrainConfig) -> float:
        """Its weight by the settings."""
        return getattr(train, self.weight) if isinstance(self.weight, str) else self.weight


TERMS = {
    "mel": LossTerm(lambda x: mel_loss(x.mel_real, x.mel_fake), "c_mel"),
    "kl": LossTerm(lambda x: kl_loss(x.output.z_p, x.output.posterior_logstd, x.output.prior_mean,
                                     x.output.prior_logstd, x.output.spec_mask), "c_kl", "frames", with_teacher=False),
    "duration": LossTerm(lambda x: x.output.duration_loss.float().sum(), "c_dur", "tokens"),
    "adversarial": LossTerm(lambda x: adversarial_loss(x.fake), "c_adv", is_adversarial=True),
    "features": LossTerm(lambda x: feature_loss(x.real, x.fake), "c_fm", is_adversarial=True),
    "stft": LossTerm(lambda x: stft_loss(x.wav_real[:, 0], x.wav_fake[:, 0], x.train.stft_sizes), "c_stft",
                     is_optional=True),
    "subband": LossTerm(lambda x: subband_loss(x.bands_real, x.output.bands_fake, x.train), "c_subband",
                        is_optional=True, of_bands=True),
    "pitch": LossTerm(lambda x: x.output.pitch_loss.float(), "c_pitch", "frames"),
    "teacher_prior": LossTerm(lambda x: x.output.teacher_prior, "c_teacher_prior", "tokens", with_teacher=True),
    "teacher_flow": LossTerm(lambda x: x.output.teacher_flow, "c_teacher_flow", "frames", with_teacher=True),
}
"""The terms of the generator's objective by the names that they are logged under."""


class Losses(dict[str, Tensor]):
    """Scalars by name."""

    def detached_sum(self, total: Losses | None) -> Losses:
        """These plus a total, if there is one, without gradients."""
        return type(self)({name: value.detach() if total is None else total[name] + value.detach()
                           for name, value in self.items()})


class DiscriminatorLosses(Losses):
    """Least-squares terms "real" and "fake", each summed over the discriminators."""

    def total(self) -> Tensor:
        """What the discriminator minimises."""
        return self["real"] + self["fake"]

    def scaled(self, scale: LossScale) -> DiscriminatorLosses:
        """Both terms times the share of the utterances."""
        return DiscriminatorLosses({name: scale.utterances * value for name, value in self.items()})


class GeneratorLosses(Losses):
    """Terms of the generator's objective by their names in `TERMS`, unweighted scalars."""

    def total(self, train: TrainConfig, adversarial_factor: float = 1.0) -> Tensor:
        """What the generator minimises (eq. 13), with the weights of the configuration.

        Args:
            train: holds the weights.
            adversarial_factor: on the terms with discriminators, below 1 while these warm up.
        """
        weighted = {name: TERMS[name].weight_in(train) * value for name, value in self.items()}
        adversarial = [name for name in self if TERMS[name].is_adversarial]
        return (sum(value for name, value in weighted.items() if name not in adversarial)
                + adversarial_factor * sum(weighted[name] for name in adversarial))

    def scaled(self, scale: LossScale) -> GeneratorLosses:
        """Each term times the share of what it is a mean over."""
        return GeneratorLosses({name: getattr(scale, TERMS[name].mean_over) * value for name, value in self.items()})


def reconstruction_terms(inputs: ReconstructionInputs) -> GeneratorLosses:
    """All terms of one batch; those with discriminators are 0."""
    zero, has_teacher = inputs.wav_fake.new_zeros(()), inputs.output.teacher_prior is not None
    return GeneratorLosses({name: zero if term.is_adversarial or term.is_optional and not term.weight_in(inputs.train)
                            else term.compute(inputs) for name, term in TERMS.items()
                            if term.with_teacher in (None, has_teacher)
                            and (inputs.bands_real is not None or not term.of_bands)})


def adversarial_terms(inputs: AdversarialInputs) -> dict[str, Tensor]:
    """The terms with discriminators."""
    return {name: term.compute(inputs) for name, term in TERMS.items() if term.is_adversarial}


def discriminator_losses(real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> DiscriminatorLosses:
    """Real logits towards 1, fake ones towards 0 (eq. 10)."""
    return DiscriminatorLosses(
        real=sum((1 - output.logits.float()).square().mean() for output in real),
        fake=sum(output.logits.float().square().mean() for output in fake))


def adversarial_loss(fake: list[DiscriminatorOutput]) -> Tensor:
    """Fake logits towards 1, summed over the discriminators (eq. 11)."""
    return sum((1 - output.logits.float()).square().mean() for output in fake)


def feature_loss(real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> Tensor:
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


def subband_loss(bands_real: Tensor, bands_fake: Tensor, train: TrainConfig) -> Tensor:
    """Spectral convergence plus log-magnitude L1 of all bands of an item, averaged over resolutions (Kawamura 2023).

    The published convergence is a ratio of the whole batch; here it is one of each item, for the reason of `stft_loss`.
    Of a batch of one they are equal.

    Args:
        bands_real, bands_fake: [B, N, S / N].
        train: FFT, hop and window sizes, in samples of a band.
    """
    total = bands_fake.new_zeros((), dtype=torch.float32)
    resolutions = list(zip(train.fft_sizes, train.hop_sizes, train.win_lengths))
    for sizes in resolutions:
        real, fake = (_band_magnitude(bands, *sizes) for bands in (bands_real, bands_fake))  # [B, N, F, T]
        distance, size_of_real = (x.flatten(1).norm(dim=1) for x in (real - fake, real))  # [B]
        total = total + (distance / size_of_real).mean() + F.l1_loss(fake.log(), real.log())
    return total / len(resolutions)


def _band_magnitude(bands: Tensor, n_fft: int, hop_length: int, win_length: int) -> Tensor:
    """STFT magnitude of each band, frames centred with reflection, power floored at 1e-7: [B, N, S] -> [B, N, F, T]."""
    with torch.autocast(bands.device.type, enabled=False):
        window = torch.hann_window(win_length, device=bands.device)
        frames = torch.stft(bands.float().flatten(0, 1), n_fft, hop_length, win_length, window, return_complex=True)
        power = torch.view_as_real(frames).square().sum(-1)
        return power.clamp(min=1e-7).sqrt().unflatten(0, bands.shape[:2])
