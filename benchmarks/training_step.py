"""Training step against the published one, measured in turn, and against a lower bound from matrix products.

    python -m benchmarks.training_step                                       # configs/ljs.json, batch 4, one thread
    python -m benchmarks.training_step --batch-size 2 --repeats 3 --threads 2

The published arrangement is rebuilt from this project's own networks, so that only the arrangement differs: recordings
and synthesis go through the discriminators separately, in both halves; the discriminators gather gradients in the
generator's half; the alignment is a dense float path and the prior is stretched by matrix products; AdamW walks over
the parameters one by one; each gradient's norm is read alone. It gets its spectrograms for nothing, as if a disk that
costs no time held them. That both compute the same losses is checked before anything is timed.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import config as settings
import monotonic_align
from benchmarks.timing import alternate, machine, markdown, ratio
from commons import random_segment_starts, slice_segments
from config import Config
from data_utils import Batch
from losses import (
    DiscriminatorLosses,
    GeneratorLosses,
    adversarial_loss,
    discriminator_losses,
    feature_loss,
    kl_loss,
    mel_loss,
)
from mel_processing import mel_spectrogram, spec_to_mel, spectrogram
from models import HALF_LOG_2PI, SynthesizerOutput, SynthesizerTrn
from training.step import Networks, TrainState, loss_scales, new_networks, new_state, train_step
from utils import set_seed

# Shapes: B batch, L text tokens, T frames, S samples, C latent channels.

N_VOCAB = 178  # of the published symbol table
FRAMES, TOKENS = (600, 580, 560, 540), (221, 201, 191, 181)  # utterances of one bucket of LJSpeech, with blanks
TOLERANCE = 1e-4  # relative, of every loss


class Losses(NamedTuple):
    """Losses of a step, of either implementation."""

    generator: GeneratorLosses
    discriminator: DiscriminatorLosses


def made_up_batch(config: Config, batch_size: int) -> Batch:
    """Make a batch of noise and random text with the lengths of real utterances."""
    random = torch.Generator().manual_seed(0)
    repeated = [i % len(FRAMES) for i in range(batch_size)]
    wav_lengths = torch.tensor([FRAMES[i] * config.data.hop_length for i in repeated])
    text_lengths = torch.tensor([TOKENS[i] for i in repeated])
    wav = 0.1 * torch.randn(batch_size, int(wav_lengths.max()), generator=random)
    text_ids = torch.randint(1, N_VOCAB, (batch_size, int(text_lengths.max())), generator=random)
    return Batch([str(i) for i in range(batch_size)],
                 text_ids * (torch.arange(text_ids.shape[1]) < text_lengths[:, None]), text_lengths,
                 wav * (torch.arange(wav.shape[1]) < wav_lengths[:, None]), wav_lengths, None)


class PublishedStep:
    """The training step of the published `train.py` (2021)."""

    def __init__(self, networks: Networks, config: Config):
        self.networks, self.config, self.step = networks, config, 0
        train = config.train
        self.optimizers = [
            torch.optim.AdamW(side.parameters(), train.learning_rate, train.betas, train.eps, train.weight_decay,
                              foreach=False, fused=False) for side in networks]

    def __call__(self, batch: Batch, spec: Tensor) -> Losses:
        """Move both networks; spec [B, F, T] is what the published loader reads from its cache."""
        config, (generator, discriminators) = self.config, self.networks
        move_generator, move_discriminators = self.optimizers
        set_seed(config.train.seed, self.step, 0, 0, 0)  # draws the noise of `training.step.run_generator`
        self.step += 1
        out = published_pass(generator, batch, spec, batch.wav_lengths // config.data.hop_length)
        mel_real = slice_segments(spec_to_mel(spec, config.data), out.segment_starts, config.segment_frames)
        mel_fake = mel_spectrogram(out.wav_fake[:, 0], config.data)
        wav_real = slice_segments(batch.wav[:, None], out.segment_starts * config.data.hop_length,
                                  config.train.segment_size)

        judged = discriminator_losses(discriminators(wav_real), discriminators(out.wav_fake.detach()))
        move_discriminators.zero_grad()
        judged.total().backward()
        norm_by_parameter(discriminators)
        move_discriminators.step()

        real, fake = discriminators(wav_real), discriminators(out.wav_fake)
        losses = GeneratorLosses(
            mel=mel_loss(mel_real, mel_fake),
            kl=kl_loss(out.z_p, out.posterior_logstd, out.prior_mean, out.prior_logstd, out.spec_mask),
            duration=out.duration_loss.sum(), adversarial=adversarial_loss(fake), features=feature_loss(real, fake),
            stft=torch.zeros(()), pitch=torch.zeros(()))
        move_generator.zero_grad()
        losses.total(config.train).backward()
        norm_by_parameter(generator)
        move_generator.step()
        return Losses(losses, judged)


def published_pass(model: SynthesizerTrn, batch: Batch, spec: Tensor, spec_lengths: Tensor) -> SynthesizerOutput:
    """The generator's pass with the alignment as a dense path of floats, [B, T, L]; see `SynthesizerTrn.forward`."""
    g = model.speaker_embedding(batch.speaker_ids)
    prior = model.enc_p(batch.text_ids, batch.text_lengths, g)
    posterior = model.enc_q(spec, spec_lengths, g)
    z_p = model.flow(posterior.z, posterior.mask, g)
    with torch.no_grad():
        precision = torch.exp(-2 * prior.logstd)  # [B, C, L]
        scores = ((-HALF_LOG_2PI - prior.logstd).sum(dim=1, keepdim=True)  # [B, 1, L]
                  + (-0.5 * z_p.square()).mT @ precision  # [B, T, L]
                  + z_p.mT @ (prior.mean * precision)
                  + (-0.5 * prior.mean.square() * precision).sum(dim=1, keepdim=True))
        path = monotonic_align.maximum_path(scores, posterior.mask.mT * prior.mask)
    durations = path.sum(dim=1)  # [B, L]
    duration_loss = model.dp.loss(prior.hidden, prior.mask, durations[:, None], g) / prior.mask.sum()
    starts = random_segment_starts(spec_lengths, model.segment_frames)
    return SynthesizerOutput(
        wav_fake=model.dec(slice_segments(posterior.z, starts, model.segment_frames), g), segment_starts=starts,
        durations=durations, duration_loss=duration_loss, text_mask=prior.mask, spec_mask=posterior.mask,
        z=posterior.z, z_p=z_p, prior_mean=prior.mean @ path.mT, prior_logstd=prior.logstd @ path.mT,
        posterior_mean=posterior.mean, posterior_logstd=posterior.logstd, pitch_loss=torch.zeros(()))


def norm_by_parameter(module: torch.nn.Module) -> float:
    """The gradient's norm as the published `clip_grad_value_` computes it, for its log."""
    return math.sqrt(sum(p.grad.norm().item() ** 2 for p in module.parameters() if p.grad is not None))


class OurStep:
    """`training.step.train_step`, on a state of its own."""

    def __init__(self, networks: Networks, config: Config):
        self.state, self.config = new_state(config, networks), config

    def __call__(self, batch: Batch) -> Losses:
        """Move both networks."""
        losses = train_step(self.state, [batch], loss_scales([batch], self.config.data), self.config, epoch=0)
        self.state.step += 1
        return Losses(losses.generator, losses.discriminator)


@torch.no_grad()
def largest_difference(ours: Losses, published: Losses) -> float:
    """The largest relative difference of the losses."""
    pairs = [(side[name], other[name]) for side, other in zip(ours, published) for name in side]
    return max(float((a - b).abs() / b.abs().clamp(min=1e-9)) for a, b in pairs)


def check_same(ours: OurStep, published: PublishedStep, batch: Batch, spec: Tensor) -> float:
    """Run one step of each from equal networks and noise, and compare.

    Raises:
        AssertionError: a loss differs.
    """
    difference = largest_difference(ours(batch), published(batch, spec))
    assert difference < TOLERANCE, f"the two arrangements compute other losses: they differ by {difference:.2g}"
    return difference


class Floor(NamedTuple):
    """Lower bound of a step: all products at the rate of a large matrix product."""

    flops: float  # of products and convolutions, forward and backward
    rate: float  # of one large matrix product, in FLOP/s

    @property
    def seconds(self) -> float:
        """The floor."""
        return self.flops / self.rate


def floor_of(state: TrainState, batch: Batch, config: Config) -> Floor:
    """Count the operations of a step, and measure the matrix rate of this many threads."""
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: _backward_flops}) as count:
        train_step(state, [batch], loss_scales([batch], config.data), config, epoch=0)
    size, seconds = 2048, []
    left, right = torch.randn(size, size), torch.randn(size, size)
    for _ in range(6):
        start = time.perf_counter()
        left @ right
        seconds.append(time.perf_counter() - start)
    return Floor(count.get_total_flops(), 2 * size**3 / statistics.median(seconds[1:]))


def _backward_flops(grad: list[int], x: list[int], weight: list[int], _bias: object, _stride: object, _padding: object,
                    _dilation: object, transposed: bool, _output_padding: object, _groups: int,
                    output_mask: list[bool], out_shape: object = None) -> int:
    """Operations of a convolution's backward pass; torch's own count ignores groups."""
    places = x if transposed else grad
    return 2 * places[0] * math.prod(places[2:]) * math.prod(weight) * sum(output_mask[:2])


def main() -> None:
    """Compare, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--config", type=Path, default=Path("configs/ljs.json"))
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    settings.add_arguments(parser)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    # The published code keeps no average, and 16-bit floats would only be emulated.
    config = settings.load(args.config, ["train.ema_decay=0", "train.precision=fp32", *args.overrides])
    cpu = torch.device("cpu")
    ours = OurStep(new_networks(config, N_VOCAB, cpu), config)
    published = PublishedStep(new_networks(config, N_VOCAB, cpu), config)
    batch = made_up_batch(config, args.batch_size)
    spec = spectrogram(batch.wav, config.data, batch.wav_lengths)
    difference = check_same(ours, published, batch, spec)
    floor = floor_of(ours.state, batch, config)
    timings = alternate({"ours": lambda: ours(batch), "published": lambda: published(batch, spec)}, args.repeats,
                        warmup=2)  # the first steps still ask the system for memory
    rows = [[name, f"{timing.median:.2f} ± {timing.noise:.2f}", f"{timings['published'].median / timing.median:.2f}",
             f"{floor.seconds / timing.median:.0%}"] for name, timing in timings.items()]
    print(markdown(["training step", "s", "times faster", "of the floor's rate"], rows))
    print(f"\nOurs {ratio(timings, 'ours', 'published'):.2f} times faster; losses differ by {difference:.1g} at most. "
          f"The floor: {floor.flops / 1e9:.0f} GFLOP at {floor.rate / 1e9:.0f} GFLOP/s, {floor.seconds:.2f} s. "
          f"{machine()}")


if __name__ == "__main__":
    main()
