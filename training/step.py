"""What one training step does: the state that it changes, and its two half-steps, discriminators first.

A step may hear several batches (`train.accumulate`, and those of other processes); its gradients are those of one
large batch.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import importlib.util
import logging
import math
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.profiler import record_function

import checkpoint
from checkpoint import CheckpointError
from commons import slice_segments
from config import Config, DataConfig, TrainConfig
from data_utils import Batch
from discriminators import Discriminators, set_trainable, share_told_real, split_judgements
from losses import (
    DiscriminatorLosses,
    GeneratorLosses,
    Share,
    adversarial_loss,
    discriminator_losses,
    feature_loss,
    kl_loss,
    mel_loss,
    stft_loss,
)
from mel_processing import mel_spectrogram, spec_to_mel, spectrogram
from models import SynthesizerOutput, SynthesizerTrn
from pitch import measure_pitch
from training import distributed
from training.augmentation import Augmenter
from training.finetuning import RowMask, select_trainable
from training.optimizers import (
    Updater,
    discriminator_lr_factor,
    generator_lr_factor,
    update_average,
)
from utils import set_seed

logger = logging.getLogger("vits")

# Shapes: B batch, T frames, S samples, F FFT bins.


@dataclass
class TrainState:
    """All that a step changes; each field survives a restart but the last three, which say how to call the others."""

    generator: SynthesizerTrn
    discriminators: Discriminators
    average: SynthesizerTrn | None  # moving average of the generator
    generator_updater: Updater
    discriminator_updater: Updater
    augmenter: Augmenter
    step: int = 0
    rollbacks: int = 0  # how often the run has gone back to an earlier checkpoint
    rolled_back_to: list[int] = field(default_factory=list)  # the steps of those checkpoints
    bad_steps_in_a_row: int = 0  # whose loss or gradient was not finite, up to now
    new_rows: dict[str, list[int]] = field(default_factory=dict)  # of parameters that grew when fine-tuning began
    row_mask: RowMask | None = None
    wrapped_generator: nn.Module | None = None
    wrapped_discriminators: nn.Module | None = None

    @property
    def device(self) -> torch.device:
        """Where the networks live."""
        return next(self.generator.parameters()).device

    def state_dict(self) -> dict[str, Any]:
        """Tensors and JSON types."""
        return {"generator": self.generator.state_dict(), "discriminators": self.discriminators.state_dict(),
                "average": self.average.state_dict() if self.average is not None else None,
                "generator_updater": self.generator_updater.state_dict(),
                "discriminator_updater": self.discriminator_updater.state_dict(),
                "augmenter": self.augmenter.state_dict(), "rollbacks": self.rollbacks,
                "rolled_back_to": self.rolled_back_to, "bad_steps_in_a_row": self.bad_steps_in_a_row,
                "new_rows": self.new_rows}

    def load_state_dict(self, payload: dict[str, Any], path: Path) -> None:
        """Restore from a checkpoint's payload; see `checkpoint.load_state` for what may be wrong with it."""
        checkpoint.load_state(self.generator, payload["generator"], path, "generator")
        checkpoint.load_state(self.discriminators, payload["discriminators"], path, "discriminators")
        if self.average is not None:  # a run that began without an average starts one here
            checkpoint.load_state(self.average, payload["average"] or payload["generator"], path, "average")
        try:
            self.generator_updater.load_state_dict(payload["generator_updater"])
            self.discriminator_updater.load_state_dict(payload["discriminator_updater"])
            self.augmenter.load_state_dict(payload.get("augmenter", {}))
        except ValueError as error:
            raise CheckpointError(f"{path}: {error}") from None
        except (AttributeError, LookupError, RuntimeError, TypeError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise CheckpointError(f"{path}: the state of its optimizers is not what training "
                                  "wrote; take another checkpoint") from error
        self.step = payload["step"]
        self.rollbacks = payload.get("rollbacks", 0)
        self.rolled_back_to = list(payload.get("rolled_back_to", ()))
        self.bad_steps_in_a_row = payload.get("bad_steps_in_a_row", 0)

    @property
    def is_lowering_scale(self) -> bool:
        """Whether fp16's loss scale can still fall, so that a gradient that overflows is no fault yet."""
        return self.generator_updater.is_lowering_scale or self.discriminator_updater.is_lowering_scale

    @property
    def speaking_model(self) -> SynthesizerTrn:
        """What validation and synthesis use: the average if there is one."""
        return self.average if self.average is not None else self.generator


class Networks(NamedTuple):
    """Both sides of the game."""

    generator: SynthesizerTrn
    discriminators: Discriminators


def new_networks(config: Config, n_vocab: int, device: torch.device) -> Networks:
    """Networks at step 0, a function of the configuration's seed."""
    set_seed(config.train.seed)
    return Networks(SynthesizerTrn(n_vocab, config).to(device), Discriminators(config.discriminator).to(device))


def new_state(config: Config, networks: Networks, new_rows: dict[str, list[int]] | None = None) -> TrainState:
    """Step 0 with these networks: what trains is chosen, optimizers are made, processes are joined."""
    train, (generator, discriminators) = config.train, networks
    device = next(generator.parameters()).device
    average = copy.deepcopy(generator).requires_grad_(False) if train.ema_decay else None
    if train.compile:
        compile_fixed_shapes(networks, device)
    row_mask = select_trainable(generator, train.trainable, train.frozen, new_rows or {})
    uses_scaler = effective_precision(train, device) == "fp16"
    return TrainState(
        generator, discriminators, average,
        Updater(generator, train.learning_rate, train, uses_scaler),
        Updater(discriminators, train.discriminator_learning_rate or train.learning_rate, train, uses_scaler),
        Augmenter(config.discriminator, config.data.sampling_rate), new_rows=new_rows or {}, row_mask=row_mask,
        wrapped_generator=distributed.wrap(generator), wrapped_discriminators=distributed.wrap(discriminators))


def compile_fixed_shapes(networks: Networks, device: torch.device) -> None:
    """Compile, in place, what hears segments of one length; keys of state dicts stay. Without a compiler, warn."""
    missing = missing_compiler(device)
    if missing:
        logger.warning("train.compile: there is no %s here; training goes on without compiling", missing)
        return
    # One compilation for each shape: discriminators hear recordings and synthesis in one batch and apart, and code for
    # any batch size is slower, where torch's compiler can make it at all.
    networks.generator.dec.compile(dynamic=False)
    networks.discriminators.compile(dynamic=False)


def missing_compiler(device: torch.device) -> str | None:
    """What torch.compile needs for this device and does not find; None where nothing is missing."""
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        return "Triton (pip install triton)"
    compiler = os.environ.get("CXX", {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++"))
    return None if shutil.which(compiler) else f"C++ compiler ({compiler})"


def eagerly(train: TrainConfig) -> AbstractContextManager:
    """Within it nothing runs compiled: each length of speech or batch would ask for a compilation of its own."""
    return torch.compiler.set_stance("force_eager") if train.compile else contextlib.nullcontext()


def effective_precision(train: TrainConfig, device: torch.device) -> str:
    """The precision that this device really trains in: fp16 needs CUDA (CPUs only emulate it), bf16 one that has it."""
    if train.precision == "fp16" and device.type != "cuda":
        return "fp32"
    has_bf16 = device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
    if train.precision == "bf16" and not has_bf16:
        return "fp32"
    return "fp32" if train.precision == "bf16" and device.type == "mps" else train.precision


def autocast(train: TrainConfig, device: torch.device) -> torch.autocast:
    """Mixed precision as configured; spline, KL, spectrograms and losses stay float32 by themselves."""
    precision = effective_precision(train, device)
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": None}[precision]
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


class StepLosses(NamedTuple):
    """What a step computed, on this process's share; the discriminators' part is None where they did not move."""

    generator: GeneratorLosses
    discriminator: DiscriminatorLosses | None
    generator_norm: Tensor
    discriminator_norm: Tensor | None

    @property
    def is_finite(self) -> bool:
        """Whether both gradients were, so that both networks moved; the same on all processes. Waits for the device."""
        return all(norm is None or math.isfinite(norm) for norm in (self.generator_norm, self.discriminator_norm))

    def as_tensors(self) -> dict[str, Tensor]:
        """Named scalars for a tracker, still on the device."""
        values = {f"train/{name}": value for name, value in self.generator._asdict().items()}
        values["train/generator_grad_norm"] = self.generator_norm
        if self.discriminator is not None:
            values["train/discriminator"] = self.discriminator.total()
            values["train/discriminator_grad_norm"] = self.discriminator_norm
        return values

    def as_floats(self) -> dict[str, float]:
        """The same as numbers of this process; waits for the device."""
        return {name: float(value) for name, value in self.as_tensors().items()}


def shares_of(batches: Sequence[Batch], data: DataConfig) -> list[Share]:
    """What each of this process's batches is of all that the step hears; every process must ask."""
    counts = [(len(batch.names), int((batch.wav_lengths // data.hop_length).sum()), int(batch.text_lengths.sum()))
              for batch in batches]
    totals = distributed.sum_over_processes([float(sum(column)) for column in zip(*counts)])
    world_size = distributed.world_size()
    return [Share(*(world_size * count / total for count, total in zip(row, totals))) for row in counts]


def alignment_prior(train: TrainConfig, step: int) -> float:
    """Weight of the prior for even reading at this step, fading linearly to 0."""
    if not train.alignment_prior_steps:
        return 0.0
    return train.alignment_prior_weight * max(0.0, 1 - step / train.alignment_prior_steps)


def adversarial_factor(train: TrainConfig, step: int) -> float:
    """Weight of what the discriminators say while they warm up, growing linearly to 1."""
    if not train.discriminator_warmup_steps:
        return 1.0
    return min(1.0, (step - train.adversarial_start) / train.discriminator_warmup_steps)


def discriminators_move(train: TrainConfig, step: int) -> bool:
    """Whether this step moves the discriminators, the last one of each interval since they joined."""
    return step >= train.adversarial_start and (step - train.adversarial_start + 1) % train.discriminator_interval == 0


def train_step(state: TrainState, batches: Sequence[Batch], shares: Sequence[Share], config: Config,
               epoch: int) -> StepLosses:
    """Both half-steps; all randomness is a function of (seed, step, rank, batch).

    Args:
        state: moves, unless the gradient is not finite.
        batches: on the state's device.
        shares: of `shares_of`, one for each batch.
        config: the run's.
        epoch: for the learning-rate schedules.
    """
    train = config.train
    backing = train.rollback_lr_factor ** state.rollbacks
    judged, judged_norm, heard = None, None, None
    if discriminators_move(train, state.step):
        judged, heard = discriminator_half(state, batches, shares, config)
        judged_norm = state.discriminator_updater.step(backing * discriminator_lr_factor(train, state.step, epoch))
    losses = generator_half(state, batches, shares, config, heard, judged_norm)
    state.row_mask.mask_gradients()
    norm = state.generator_updater.step(backing * generator_lr_factor(train, state.step, epoch))
    state.row_mask.restore()
    if state.average is not None:
        with record_function("average"):
            update_average(state.average, state.generator, train.ema_decay, state.step, norm.isfinite())
    return StepLosses(losses, judged, norm, judged_norm)


class Heard(NamedTuple):
    """A generator's pass over one batch."""

    wav_fake: Tensor  # [B, 1, segment samples], float32
    wav_real: Tensor  # [B, 1, segment samples], what it should be
    losses: GeneratorLosses  # without what the discriminators will say


def hear(state: TrainState, batch: Batch, index: int, config: Config) -> Heard:
    """One pass; the same `index` in the same step draws the same noise again."""
    set_seed(config.train.seed, state.step, distributed.rank(), index, state.rollbacks)
    with record_function("spectrograms"):
        spec = spectrogram(batch.wav, config.data, batch.wav_lengths)
    spec_lengths = batch.wav_lengths // config.data.hop_length
    pitch = None
    if state.generator.pitch is not None:
        with record_function("pitch"):
            pitch = measure_pitch(batch.wav, config.data)
    model = state.wrapped_generator if torch.is_grad_enabled() else state.generator
    model.train()
    with autocast(config.train, state.device):
        out = model(batch.text_ids, batch.text_lengths, spec, spec_lengths, batch.speaker_ids,
                    alignment_prior(config.train, state.step), pitch)
    wav_real = slice_segments(batch.wav[:, None], out.segment_starts * config.data.hop_length,
                              config.train.segment_size)
    with record_function("losses"):
        return Heard(out.wav_fake.float(), wav_real, reconstruction_losses(out, spec, wav_real, config))


def discriminator_half(state: TrainState, batches: Sequence[Batch], shares: Sequence[Share],
                       config: Config) -> tuple[DiscriminatorLosses, Heard | None]:
    """Gather the discriminators' gradients: recordings and synthesis in one pass.

    Returns:
        the losses, and the generator's pass if there is one batch; of several none is kept, to save memory, and the
        generator's half makes each again.
    """
    set_trainable(state.discriminators, True)
    state.discriminator_updater.forget()
    total, told_real, heard = None, 0.0, None
    for index, (batch, share) in enumerate(zip(batches, shares)):
        is_last = index == len(batches) - 1
        with torch.set_grad_enabled(len(batches) == 1):
            heard = hear(state, batch, index, config)
        draws = state.augmenter.draw(len(batch.names), state.device)
        both = torch.cat([state.augmenter.apply(wav, draws) for wav in (heard.wav_real, heard.wav_fake.detach())])
        with distributed.gathering(state.wrapped_discriminators, is_last):
            with autocast(config.train, state.device), record_function("discriminators"):
                real, fake = split_judgements(state.wrapped_discriminators(both))
            with record_function("losses"):
                losses = discriminator_losses(real, fake).scaled(share)
            # Where the generator's losses are not finite already, the discriminators must not move either.
            state.discriminator_updater.backward(losses.total(), heard.losses.total(config.train))
        total = _added(total, losses)
        if state.augmenter.is_adaptive:
            told_real = told_real + share.utterances * share_told_real(real)
    if state.augmenter.is_adaptive:
        n_heard = round(distributed.world_size() * len(batches[0].names) / shares[0].utterances)
        state.augmenter.update(distributed.mean_over_processes(told_real), n_heard)
    return total, heard if len(batches) == 1 else None


def generator_half(state: TrainState, batches: Sequence[Batch], shares: Sequence[Share], config: Config,
                   heard: Heard | None, judged_norm: Tensor | None) -> GeneratorLosses:
    """Gather the generator's gradients, after the discriminators have moved.

    Args:
        state, batches, shares, config: as in `train_step`.
        heard: spares the pass over one batch.
        judged_norm: of the discriminators' gradient; if it is not finite, and no scale of fp16's is to blame, the
            generator must not move either.
    """
    blocked_by = () if judged_norm is None or state.generator_updater.scaler.is_enabled() else (judged_norm,)
    factor = adversarial_factor(config.train, state.step)
    is_adversarial = state.step >= config.train.adversarial_start
    set_trainable(state.discriminators, False)
    state.generator_updater.forget()
    total = None
    for index, (batch, share) in enumerate(zip(batches, shares)):
        is_last = index == len(batches) - 1
        with distributed.gathering(state.wrapped_generator, is_last):
            passed = heard if heard is not None else hear(state, batch, index, config)
            losses = generator_losses(state, passed, config, is_adversarial).scaled(share)
            state.generator_updater.backward(losses.total(config.train, factor), *blocked_by)
        total = _added(total, losses)
    return total


def reconstruction_losses(out: SynthesizerOutput, spec: Tensor, wav_real: Tensor, config: Config) -> GeneratorLosses:
    """The terms of the generator's objective that need no discriminator."""
    mel_real = slice_segments(spec_to_mel(spec, config.data), out.segment_starts, config.segment_frames)
    wav_fake = out.wav_fake.float()
    zero = wav_fake.new_zeros(())
    return GeneratorLosses(
        mel=mel_loss(mel_real, mel_spectrogram(wav_fake[:, 0], config.data)),
        kl=kl_loss(out.z_p, out.posterior_logstd, out.prior_mean, out.prior_logstd, out.spec_mask),
        duration=out.duration_loss.float().sum(), adversarial=zero, features=zero,
        stft=stft_loss(wav_real[:, 0], wav_fake[:, 0], config.train.stft_sizes) if config.train.c_stft else zero,
        pitch=out.pitch_loss.float())


def generator_losses(state: TrainState, heard: Heard, config: Config, is_adversarial: bool) -> GeneratorLosses:
    """All terms of the generator's objective on one batch; the discriminators are silent before they join."""
    if not is_adversarial:
        return heard.losses
    draws = state.augmenter.draw(heard.wav_fake.shape[0], state.device)
    with autocast(config.train, state.device), record_function("discriminators"):
        with torch.no_grad():
            real = state.discriminators(state.augmenter.apply(heard.wav_real, draws))
        fake = state.discriminators(state.augmenter.apply(heard.wav_fake, draws))
    with record_function("losses"):
        return heard.losses._replace(adversarial=adversarial_loss(fake), features=feature_loss(real, fake))


def _added(total: Any, losses: Any) -> Any:
    """The sum of two NamedTuples of losses, without their gradients."""
    losses = type(losses)(*(value.detach() for value in losses))
    return losses if total is None else type(losses)(*(a + b for a, b in zip(total, losses)))


def rehearse(state: TrainState, batch: Batch, config: Config) -> None:
    """What a step on this batch computes, both halves, without moving anything: for measuring memory."""
    train = config.train
    steady = dataclasses.replace(config.discriminator, augment_target=None,
                                 augment_probability=1.0 if config.discriminator.augmentations else 0.0)
    alone = dataclasses.replace(
        state, wrapped_generator=state.generator, wrapped_discriminators=state.discriminators,
        augmenter=Augmenter(steady, config.data.sampling_rate))
    buffers = [buffer.clone() for buffer in state.discriminators.buffers()]  # spectral norm moves at each look
    whole, heard = [Share(1.0, 1.0, 1.0)], None
    with eagerly(train):
        if train.adversarial_start < (train.total_steps or math.inf):  # now or later
            alone.step = max(alone.step, train.adversarial_start)
            _, heard = discriminator_half(alone, [batch], whole, config)
        generator_half(alone, [batch], whole, config, heard, None)
    for updater in (state.generator_updater, state.discriminator_updater):
        updater.forget()
    for buffer, kept in zip(state.discriminators.buffers(), buffers):
        buffer.copy_(kept)
