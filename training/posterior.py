"""A posterior encoder for a voice that was published without one, so that it can be trained further."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from config import Config
from models import PosteriorEncoder, SynthesizerTrn

# Shapes: F FFT bins, T frames, C latent channels, G speaker channels.

BATCH, FRAMES = 8, 96  # segments of a step, frames of each
LEARNING_RATE, GRAD_CLIP = 1e-3, 10.0


class SpokenExample(NamedTuple):
    """Speech of a voice, and the latent that it was decoded from."""

    spec: Tensor  # [F, T]
    z: Tensor  # [C, T]
    g: Tensor | None  # [G, 1], of who speaks among several


def fit_posterior(model: SynthesizerTrn, config: Config, examples: Sequence[SpokenExample],
                    steps: int) -> Iterator[float]:
    """Train a posterior encoder for a network that has none, by maximum likelihood of the latents of its own speech.

    No discriminators and no alignment are needed, for the latent of the voice's own speech is known. The encoder fits
    this sound only, until further training on recordings.

    Args:
        model: on the CPU; it gets a new `enc_q`; nothing else of it changes.
        config: of the voice.
        examples: each of FRAMES or more.
        steps: of BATCH segments each.

    Yields:
        the share of the latents' variance that is not explained, after each step.
    """
    random = torch.Generator().manual_seed(config.train.seed)
    sizes = config.model if config.multispeaker else dataclasses.replace(config.model, gin_channels=0)
    model.enc_q = PosteriorEncoder(config.posterior_channels, sizes)
    optimizer = torch.optim.AdamW(model.enc_q.parameters(), LEARNING_RATE, betas=config.train.betas)
    lengths = torch.full((BATCH,), FRAMES)
    for _ in range(steps):
        chosen = [examples[i] for i in torch.randint(len(examples), (BATCH,), generator=random)]
        starts = [int(torch.randint(each.z.shape[1] - FRAMES + 1, (), generator=random)) for each in chosen]
        spec, z = (torch.stack([values[:, start : start + FRAMES] for values, start in zip(column, starts)])
                   for column in ([each.spec for each in chosen], [each.z for each in chosen]))
        g = None if chosen[0].g is None else torch.stack([each.g for each in chosen])
        found = model.encode_posterior(spec, lengths, g)
        error = (z - found.mean).square()
        loss = (found.logstd + 0.5 * error * torch.exp(-2 * found.logstd)).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.enc_q.parameters(), GRAD_CLIP)
        optimizer.step()
        yield float(error.detach().mean() / z.var())
