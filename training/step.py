"""One training step: the state that it changes, and its two half-steps, discriminators first.

A step may have several batches (`train.accumulate`, and those of other processes); its gradients are those of one
large batch.
"""

from __future__ import annotations

import contextlib
import copy
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
from discriminators import Discriminators, real_accuracy, set_trainable, split_outputs
from losses import (
    AdversarialInputs,
    DiscriminatorLosses,
    GeneratorLosses,
    LossScale,
    ReconstructionInputs,
    adversarial_terms,
    discriminator_losses,
    reconstruction_terms,
)
from mel_processing import mel_spectrogram, spec_to_mel, spectrogram
from models import SynthesizerTrn
from pitch import measure_pitch
from training import distributed
from training.augmentation import Augmenter
from training.optimizers import Updater, discriminator_lr_factor, generator_lr_factor, update_average
from training.teacher import Teacher
from training.trainable import RowMask, select_trainable
from utils import set_seed

logger = logging.getLogger("vits")

# Shapes: B batch, T frames, S samples, F FFT bins.


@dataclass
class TrainState:
    """All that a step changes; each field is in the checkpoint but the last four, which follow from the others."""

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
    teacher: Teacher | None = None  # whose targets replace posterior and alignment search
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
    """Generator and discriminators."""

    generator: SynthesizerTrn
    discriminators: Discriminators


def new_networks(config: Config, n_vocab: int, device: torch.device) -> Networks:
    """Freshly initialised networks, a function of the configuration's seed."""
    set_seed(config.train.seed)
    return Networks(SynthesizerTrn(n_vocab, config).to(device), Discriminators(config.discriminator).to(device))


def new_state(config: Config, networks: Networks, new_rows: dict[str, list[int]] | None = None) -> TrainState:
    """The state at step 0: chooses what trains, makes optimizers and average, wraps the networks for DDP."""
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
    """Compile, in place, the networks whose input is segments of one length. Without a compiler, warn."""
    missing = missing_compiler(device)
    if missing:
        logger.warning("train.compile: there is no %s here; training goes on without compiling", missing)
        return
    # One compilation for each shape: discriminators are given recordings and synthesis in one batch and apart, and code
    # for any batch size is slower, where torch's compiler can make it at all.
    networks.generator.dec.compile(dynamic=False)
    networks.discriminators.compile(dynamic=False)


def missing_compiler(device: torch.device) -> str | None:
    """What torch.compile needs for this device and does not find, None if all is there."""
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        return "Triton (pip install triton)"
    compiler = os.environ.get("CXX", {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++"))
    return None if shutil.which(compiler) else f"C++ compiler ({compiler})"


def eagerly(train: TrainConfig) -> AbstractContextManager:
    """Within it nothing runs compiled, for each length of speech or batch would need a compilation of its own."""
    return torch.compiler.set_stance("force_eager") if train.compile else contextlib.nullcontext()


def effective_precision(train: TrainConfig, device: torch.device) -> str:
    """The precision that this device trains in: fp16 needs CUDA (CPUs only emulate it), bf16 a device that has it."""
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
    """Losses and gradient norms of a step on this process; the discriminators' are None where they were not updated."""

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
        values = {f"train/{name}": value for name, value in self.generator.items()}
        values["train/generator_grad_norm"] = self.generator_norm
        if self.discriminator is not None:
            values["train/discriminator"] = self.discriminator.total()
            values["train/discriminator_grad_norm"] = self.discriminator_norm
        return values

    def as_floats(self) -> dict[str, float]:
        """The same as numbers of this process; waits for the device."""
        return {name: float(value) for name, value in self.as_tensors().items()}


def loss_scales(batches: Sequence[Batch], data: DataConfig) -> list[LossScale]:
    """The share of each of this process's batches in the whole step; every process must call it."""
    counts = [(len(batch.names), int((batch.wav_lengths // data.hop_length).sum()), int(batch.text_lengths.sum()))
              for batch in batches]
    totals = distributed.sum_over_processes([float(sum(column)) for column in zip(*counts)])
    world_size = distributed.world_size()
    return [LossScale(*(world_size * count / total for count, total in zip(row, totals))) for row in counts]


def alignment_prior(train: TrainConfig, step: int) -> float:
    """Weight of the diagonal prior in the alignment search at this step, fading linearly to 0."""
    if not train.alignment_prior_steps:
        return 0.0
    return train.alignment_prior_weight * max(0.0, 1 - step / train.alignment_prior_steps)


def alignment_noise(train: TrainConfig, step: int) -> float:
    """Scale of the noise on the alignment search's scores at this step, falling to 0."""
    return max(0.0, train.mas_noise_scale - train.mas_noise_decay * step)


def adversarial_factor(train: TrainConfig, step: int) -> float:
    """Factor on the adversarial terms while the discriminators warm up, growing linearly to 1."""
    if not train.discriminator_warmup_steps:
        return 1.0
    return min(1.0, (step - train.adversarial_start) / train.discriminator_warmup_steps)


def updates_discriminators(train: TrainConfig, step: int) -> bool:
    """Whether this step updates the discriminators, the last one of each interval since they joined."""
    return step >= train.adversarial_start and (step - train.adversarial_start + 1) % train.discriminator_interval == 0


def train_step(state: TrainState, batches: Sequence[Batch], scales: Sequence[LossScale], config: Config,
               epoch: int) -> StepLosses:
    """Both half-steps; all randomness is a function of (seed, step, rank, batch).

    Args:
        state: is updated, unless the gradient is not finite.
        batches: on the state's device.
        scales: of `loss_scales`, one for each batch.
        config: the run's.
        epoch: for the learning-rate schedules.
    """
    train = config.train
    rollback_factor = train.rollback_lr_factor ** state.rollbacks
    of_discriminators, discriminator_grad_norm, generated = None, None, None
    if updates_discriminators(train, state.step):
        of_discriminators, generated = discriminator_half(state, batches, scales, config)
        discriminator_grad_norm = state.discriminator_updater.step(
            rollback_factor * discriminator_lr_factor(train, state.step, epoch))
    losses = generator_half(state, batches, scales, config, generated, discriminator_grad_norm)
    state.row_mask.mask_gradients()
    norm = state.generator_updater.step(rollback_factor * generator_lr_factor(train, state.step, epoch))
    state.row_mask.restore()
    if state.average is not None:
        with record_function("average"):
            update_average(state.average, state.generator, train.ema_decay, state.step, norm.isfinite())
    return StepLosses(losses, of_discriminators, norm, discriminator_grad_norm)


class GeneratorPass(NamedTuple):
    """A generator's pass over one batch."""

    wav_fake: Tensor  # [B, 1, segment samples], float32
    wav_real: Tensor  # [B, 1, segment samples], what it should be
    losses: GeneratorLosses  # those with discriminators are 0


def run_generator(state: TrainState, batch: Batch, index: int, config: Config) -> GeneratorPass:
    """One pass over a batch; the same `index` in the same step draws the same noise again."""
    set_seed(config.train.seed, state.step, distributed.rank(), index, state.rollbacks)
    targets = None
    if state.teacher is not None:
        with record_function("teacher"):
            batch, targets = state.teacher.batch_with_targets(batch, state.generator)
    with record_function("spectrograms"):
        spec = spectrogram(batch.wav, config.data, batch.wav_lengths)
    spec_lengths = batch.wav_lengths // config.data.hop_length
    pitch = None
    if state.generator.pitch is not None and targets is None:
        with record_function("pitch"):
            pitch = measure_pitch(batch.wav, config.data)
    model = state.wrapped_generator if torch.is_grad_enabled() else state.generator
    model.train()
    with autocast(config.train, state.device):
        out = model(batch.text_ids, batch.text_lengths, spec, spec_lengths, batch.speaker_ids,
                    alignment_prior(config.train, state.step), pitch, targets,
                    alignment_noise(config.train, state.step))
    wav_real = slice_segments(batch.wav[:, None], out.segment_starts * config.data.hop_length,
                              config.train.segment_size)
    with record_function("losses"):
        wav_fake = out.wav_fake.float()
        mel_real = slice_segments(spec_to_mel(spec, config.data), out.segment_starts, config.segment_frames)
        mel_fake = mel_spectrogram(wav_fake[:, 0], config.data)
        bands_real = None if out.bands_fake is None else state.generator.dec.pqmf.analysis(wav_real)
        return GeneratorPass(wav_fake, wav_real, reconstruction_terms(
            ReconstructionInputs(out, wav_real, wav_fake, mel_real, mel_fake, config.train, bands_real)))


def discriminator_half(state: TrainState, batches: Sequence[Batch], scales: Sequence[LossScale],
                       config: Config) -> tuple[DiscriminatorLosses, GeneratorPass | None]:
    """Accumulate the discriminators' gradients: recordings and synthesis in one pass.

    Returns:
        the losses, and the generator's pass if there is one batch; of several none is kept, to save memory, and the
        generator's half makes each again.
    """
    set_trainable(state.discriminators, True)
    state.discriminator_updater.zero_grad()
    total, accuracy, generated = None, 0.0, None
    for index, (batch, scale) in enumerate(zip(batches, scales)):
        is_last = index == len(batches) - 1
        with torch.set_grad_enabled(len(batches) == 1):
            generated = run_generator(state, batch, index, config)
        draws = state.augmenter.draw(len(batch.names), state.device)
        both = torch.cat([state.augmenter.apply(wav, draws)
                          for wav in (generated.wav_real, generated.wav_fake.detach())])
        with distributed.accumulate(state.wrapped_discriminators, is_last):
            with autocast(config.train, state.device), record_function("discriminators"):
                real, fake = split_outputs(state.wrapped_discriminators(both))
            with record_function("losses"):
                losses = discriminator_losses(real, fake).scaled(scale)
            # Where the generator's losses are not finite already, the discriminators must not be updated either.
            state.discriminator_updater.backward(losses.total(), generated.losses.total(config.train))
        total = losses.detached_sum(total)
        if state.augmenter.is_adaptive:
            accuracy = accuracy + scale.utterances * real_accuracy(real)
    if state.augmenter.is_adaptive:
        n_utterances = round(distributed.world_size() * len(batches[0].names) / scales[0].utterances)
        state.augmenter.update(distributed.mean_over_processes(accuracy), n_utterances)
    return total, generated if len(batches) == 1 else None


def generator_half(state: TrainState, batches: Sequence[Batch], scales: Sequence[LossScale], config: Config,
                   generated: GeneratorPass | None, discriminator_grad_norm: Tensor | None) -> GeneratorLosses:
    """Accumulate the generator's gradients, after the discriminators were updated.

    Args:
        state, batches, scales, config: as in `train_step`.
        generated: spares the pass over one batch.
        discriminator_grad_norm: if it is not finite, and no scale of fp16's is to blame, the generator must not be
            updated either.
    """
    has_scaler = state.generator_updater.scaler.is_enabled()
    blocked_by = () if discriminator_grad_norm is None or has_scaler else (discriminator_grad_norm,)
    factor = adversarial_factor(config.train, state.step)
    is_adversarial = state.step >= config.train.adversarial_start
    set_trainable(state.discriminators, False)
    state.generator_updater.zero_grad()
    total = None
    for index, (batch, scale) in enumerate(zip(batches, scales)):
        is_last = index == len(batches) - 1
        with distributed.accumulate(state.wrapped_generator, is_last):
            passed = generated if generated is not None else run_generator(state, batch, index, config)
            losses = generator_losses(state, passed, config, is_adversarial).scaled(scale)
            state.generator_updater.backward(losses.total(config.train, factor), *blocked_by)
        total = losses.detached_sum(total)
    return total


def generator_losses(state: TrainState, generated: GeneratorPass, config: Config,
                     is_adversarial: bool) -> GeneratorLosses:
    """All terms of the generator's objective on one batch; those with discriminators are 0 before they join."""
    if not is_adversarial:
        return generated.losses
    draws = state.augmenter.draw(generated.wav_fake.shape[0], state.device)
    with autocast(config.train, state.device), record_function("discriminators"):
        with torch.no_grad():
            real = state.discriminators(state.augmenter.apply(generated.wav_real, draws))
        fake = state.discriminators(state.augmenter.apply(generated.wav_fake, draws))
    with record_function("losses"):
        return GeneratorLosses(generated.losses | adversarial_terms(AdversarialInputs(real, fake)))
