"""Differentiable augmentation of the discriminators' input, with a probability that can adapt.

    draws = augmenter.draw(batch_size, device)                                 # once for a step
    real, fake = augmenter.apply(wav_real, draws), augmenter.apply(wav_fake, draws)

Little data lets discriminators learn the recordings by heart. Recordings and synthesis are changed alike (DiffAugment,
Zhao et al. 2020), and only as often as the discriminators' certainty asks for (ADA, Karras et al. 2020). An utterance
and its synthesis get the same change, because the feature-matching loss compares them pair by pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from config import DiscriminatorConfig
from utils import Registry

# Shapes: B batch, S samples, K filter taps.

GAIN_DB = 6.0  # to both sides; what differs between recordings of one session
SHIFT_SECONDS = 0.005  # to both sides; some periods of every period discriminator, less than a frame of 256 samples
LOWEST_CUT_OFF = 0.25  # of half the sampling rate; 1 lets everything pass
FILTER_TAPS = 129  # odd, so that nothing is delayed; 40 dB down 2.5 % of half the sampling rate above the cut-off
NOISE_DBFS = (-60.0, -35.0)  # root mean square of the noise, full scale being 1: hardly audible to plainly audible
RECORDINGS_FROM_0_TO_1 = 500_000  # recordings over which an adapting probability crosses its range (ADA, section 3.1)

AUGMENTATIONS: Registry[Tensor] = Registry("augmentation")
"""Functions `(wav [B, 1, S], draw: Draw, sampling_rate: int) -> wav [B, 1, S]`, differentiable in `wav`.

All randomness comes from `draw`, so that a second call does the same. Where `draw.is_on` says no, the result is unused.
"""


class Draw(NamedTuple):
    """Random numbers of one augmentation in one step."""

    is_on: Tensor  # bool [B]
    amount: Tensor  # [B], uniform in [0, 1)
    seed: int  # for an augmentation that needs more random numbers


class Augmenter:
    """The augmentations of a configuration in their order, each on for an item with the current probability."""

    def __init__(self, config: DiscriminatorConfig, sampling_rate: int):
        self.functions = [AUGMENTATIONS.get(name) for name in config.augmentations]
        self.sampling_rate = sampling_rate
        self.target = config.augment_target
        self.probability = torch.tensor(config.augment_probability)  # a tensor: adapting waits for no GPU
        self.is_adaptive = self.target is not None
        self.is_active = bool(self.functions) and (self.is_adaptive or config.augment_probability > 0)

    def draw(self, batch_size: int, device: torch.device) -> tuple[Draw, ...]:
        """Random numbers of a step for each item; drawn on the CPU, so that every device gets the same."""
        return tuple(self._draw_one(batch_size, device) for _ in self.functions) if self.is_active else ()

    def _draw_one(self, batch_size: int, device: torch.device) -> Draw:
        chance, amount = torch.rand(2, batch_size).to(device, non_blocking=True)
        return Draw(chance < self.probability.to(device, non_blocking=True), amount, int(torch.randint(2**62, ())))

    def apply(self, wav: Tensor, draws: tuple[Draw, ...]) -> Tensor:
        """Augment [B, 1, S]; in float32 under autocast too; without draws the same tensor."""
        if not draws:
            return wav
        with torch.autocast(wav.device.type, enabled=False):
            wav = wav.to(torch.promote_types(wav.dtype, torch.float32))  # doubles stay doubles
            for function, draw in zip(self.functions, draws):
                wav = torch.where(draw.is_on[:, None, None], function(wav, draw, self.sampling_rate), wav)
        return wav

    def update(self, share_real: float | Tensor, n_seen: int) -> None:
        """Move the probability a little, up where too many recordings are classified as real, else down.

        Args:
            share_real: of recordings, over all processes; NaN, of a step that went wrong, changes nothing. See
                `discriminators.real_accuracy`.
            n_seen: recordings since the last update, over all processes.
        """
        if not self.is_adaptive:
            return
        share = torch.as_tensor(share_real, dtype=torch.float32).detach()
        direction = torch.sign(share - self.target).nan_to_num(nan=0.0)
        moved = self.probability.to(share.device) + direction * (n_seen / RECORDINGS_FROM_0_TO_1)
        self.probability = moved.clamp(0, 1)

    def state_dict(self) -> dict[str, float]:
        """The probability."""
        return {"probability": float(self.probability)}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Take up where `state_dict` was; a probability that does not adapt is the configuration's.

        An empty state, of a checkpoint from before there was augmentation, leaves where the configuration starts.
        """
        if self.is_adaptive and state:
            self.probability = torch.tensor(float(state["probability"]))


@AUGMENTATIONS.register("gain")
def gain(wav: Tensor, draw: Draw, sampling_rate: int) -> Tensor:
    """Louder or softer by up to 6 dB, even in decibels."""
    decibels = (2 * draw.amount - 1) * GAIN_DB  # [B]
    return wav * _factor(decibels, wav)


@AUGMENTATIONS.register("polarity")
def polarity(wav: Tensor, draw: Draw, sampling_rate: int) -> Tensor:
    """Sign flipped for one half of the items."""
    return wav * torch.where(draw.amount < 0.5, -1, 1).to(wav)[:, None, None]


@AUGMENTATIONS.register("shift")
def shift(wav: Tensor, draw: Draw, sampling_rate: int) -> Tensor:
    """Earlier or later by up to 5 ms in whole samples; silence comes in."""
    most = max(1, round(SHIFT_SECONDS * sampling_rate))
    later = (draw.amount * (2 * most + 1)).floor().long() - most  # [B], -most to most
    source = torch.arange(wav.shape[2], device=wav.device)[None, :] - later[:, None]  # [B, S]
    is_inside = (source >= 0) & (source < wav.shape[2])
    moved = wav.gather(2, source.clamp(0, wav.shape[2] - 1)[:, None])
    return moved * is_inside[:, None]


@AUGMENTATIONS.register("band_limit")
def band_limit(wav: Tensor, draw: Draw, sampling_rate: int) -> Tensor:
    """Low-pass by a windowed sinc, its cut-off even between 1/4 and all of half the sampling rate."""
    cut_off = LOWEST_CUT_OFF + (1 - LOWEST_CUT_OFF) * draw.amount.to(wav)  # [B], of half the sampling rate
    taps = torch.arange(FILTER_TAPS, device=wav.device, dtype=wav.dtype) - FILTER_TAPS // 2  # [K]
    window = torch.hann_window(FILTER_TAPS, periodic=False, device=wav.device, dtype=wav.dtype)
    kernels = torch.sinc(cut_off[:, None] * taps) * window  # [B, K]
    kernels = kernels / kernels.sum(dim=1, keepdim=True)  # 0 Hz passes unchanged
    filtered = F.conv1d(wav.transpose(0, 1), kernels[:, None], padding=FILTER_TAPS // 2, groups=len(wav))
    return filtered.transpose(0, 1)


@AUGMENTATIONS.register("noise")
def noise(wav: Tensor, draw: Draw, sampling_rate: int) -> Tensor:
    """White noise of an absolute level, the same in recording and synthesis, however loud each of them is."""
    low, high = NOISE_DBFS
    generator = torch.Generator(wav.device).manual_seed(draw.seed)
    white = torch.randn(wav.shape, generator=generator, device=wav.device)
    return wav + white.to(wav) * _factor(low + (high - low) * draw.amount, wav)


def _factor(decibels: Tensor, wav: Tensor) -> Tensor:
    """Factors on amplitudes of `wav`'s kind: [B] -> [B, 1, 1]."""
    return (10 ** (decibels.to(wav) / 20))[:, None, None]
