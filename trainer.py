"""The one training loop: its two half-steps, its validation, and everything that a run folder holds.

    RUN/config.json    the configuration, as resolved: symbols and speaker names filled in
    RUN/train.log, RUN/metrics.jsonl, RUN/events.out...    what happened, for people, programs and TensorBoard
    RUN/checkpoint_*.pt, RUN/best.json                     see checkpoint.py
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import logging
import math
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import checkpoint
import config as settings
import distributed
from commons import choose_device, path_from_durations, slice_segments
from config import Config, TrainConfig
from data_utils import Batch, Collate, LengthBatchSampler, StepSampler, fill_speakers, open_corpus
from discriminators import Discriminators, set_trainable, split_judgements
from losses import (
    DiscriminatorLosses,
    GeneratorLosses,
    adversarial_loss,
    discriminator_losses,
    feature_loss,
    kl_loss,
    mel_loss,
    stft_loss,
)
from mel_processing import mel_spectrogram, spec_to_mel, spectrogram
from models import SynthesizerOutput, SynthesizerTrn
from text import SymbolTable, TextProcessor
from trackers import (
    ConsoleTracker,
    JsonLinesTracker,
    NullTracker,
    TensorBoardTracker,
    Tracker,
    Trackers,
    plot_alignment,
    plot_mels,
)
from utils import set_seed, set_up_logging, user_errors

logger = logging.getLogger("vits")

# Shapes: B batch, L text tokens, T frames, S samples, M mel bands.

MAX_BAD_STEPS = 10  # in a row, before a run ends
SPOKEN_SAMPLES = 2  # validation utterances that each validation speaks


class TrainingError(RuntimeError):
    """A run that cannot go on, and why."""


class Updater:
    """One optimizer with its gradient scaler and clipping."""

    def __init__(self, module: nn.Module, learning_rate: float, train: TrainConfig, uses_scaler: bool):
        self.module = module
        self.base_learning_rate = learning_rate
        self.max_norm = train.grad_clip if train.grad_clip is not None else math.inf
        self.optimizer = torch.optim.AdamW(module.parameters(), learning_rate, betas=train.betas, eps=train.eps,
                                           weight_decay=train.weight_decay, fused=True)
        self.scaler = torch.amp.GradScaler(enabled=uses_scaler)

    def step(self, loss: Tensor, learning_rate_factor: float) -> float:
        """Zero, backward, unscale, clip, step; returns the gradient's norm before clipping.

        A gradient that is not finite changes nothing.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.base_learning_rate * learning_rate_factor
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        norm = float(nn.utils.clip_grad_norm_(self.module.parameters(), self.max_norm))
        if math.isfinite(norm) or self.scaler.is_enabled():  # the scaler skips such a step by itself
            self.scaler.step(self.optimizer)
        self.scaler.update()
        return norm

    def state_dict(self) -> dict[str, Any]:
        """Optimizer and scaler."""
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where `state_dict` was."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])


@dataclass
class TrainState:
    """All that a step changes; each field but the device survives a restart."""

    generator: SynthesizerTrn
    discriminators: Discriminators
    average: SynthesizerTrn | None  # moving average of the generator
    generator_updater: Updater
    discriminator_updater: Updater
    device: torch.device
    step: int = 0

    def state_dict(self) -> dict[str, Any]:
        """Tensors and JSON types."""
        return {"generator": self.generator.state_dict(), "discriminators": self.discriminators.state_dict(),
                "average": self.average.state_dict() if self.average is not None else None,
                "generator_updater": self.generator_updater.state_dict(),
                "discriminator_updater": self.discriminator_updater.state_dict()}

    def load_state_dict(self, payload: dict[str, Any], path: Path) -> None:
        """Restore from a checkpoint's payload; see `checkpoint.load_state` for what may be wrong with it."""
        checkpoint.load_state(self.generator, payload["generator"], path, "generator")
        checkpoint.load_state(self.discriminators, payload["discriminators"], path, "discriminators")
        if self.average is not None:  # a run that began without an average starts one here
            checkpoint.load_state(self.average, payload["average"] or payload["generator"], path, "average")
        self.generator_updater.load_state_dict(payload["generator_updater"])
        self.discriminator_updater.load_state_dict(payload["discriminator_updater"])
        self.step = payload["step"]

    @property
    def is_lowering_scale(self) -> bool:
        """Whether fp16's loss scale can still fall, so that a gradient that overflows is no fault yet."""
        scalers = (self.generator_updater.scaler, self.discriminator_updater.scaler)
        return any(scaler.is_enabled() and scaler.get_scale() > 1 for scaler in scalers)

    @property
    def speaking_model(self) -> SynthesizerTrn:
        """What validation and synthesis use: the average if there is one."""
        return self.average if self.average is not None else self.generator


class StepLosses(NamedTuple):
    """What a training step computed; the discriminators' part is None before they join."""

    generator: GeneratorLosses
    discriminator: DiscriminatorLosses | None
    generator_norm: float
    discriminator_norm: float | None

    @property
    def is_finite(self) -> bool:
        """Whether both gradients were, so that both networks moved."""
        return math.isfinite(self.generator_norm) and math.isfinite(self.discriminator_norm or 0.0)

    def as_floats(self) -> dict[str, float]:
        """Named numbers for a tracker."""
        values = {f"train/{name}": float(value.detach()) for name, value in self.generator._asdict().items()}
        values["train/generator_grad_norm"] = self.generator_norm
        if self.discriminator is not None:
            values["train/discriminator"] = float(self.discriminator.total().detach())
            values["train/discriminator_grad_norm"] = self.discriminator_norm
        return values


def new_state(config: Config, n_vocab: int, device: torch.device) -> TrainState:
    """Models and optimizers at step 0, a function of the configuration's seed."""
    set_seed(config.train.seed)
    generator = SynthesizerTrn(n_vocab, config).to(device)
    discriminators = Discriminators(config.discriminator).to(device)
    average = copy.deepcopy(generator).requires_grad_(False) if config.train.ema_decay else None
    uses_scaler = effective_precision(config.train, device) == "fp16"
    rate = config.train.learning_rate
    return TrainState(
        generator, discriminators, average, Updater(generator, rate, config.train, uses_scaler),
        Updater(discriminators, config.train.discriminator_learning_rate or rate, config.train, uses_scaler), device)


def effective_precision(train: TrainConfig, device: torch.device) -> str:
    """The precision that this device really trains in: fp16 needs CUDA, bf16 a device that has it."""
    if train.precision == "fp16" and device.type != "cuda":
        return "fp32"
    if train.precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return "fp32"
    return "fp32" if train.precision == "bf16" and device.type == "mps" else train.precision


def autocast(train: TrainConfig, device: torch.device) -> torch.autocast:
    """Mixed precision as configured; spline, KL, spectrograms and losses stay float32 by themselves."""
    precision = effective_precision(train, device)
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": None}[precision]
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def learning_rate_factor(train: TrainConfig, step: int, batches_per_epoch: int) -> float:
    """Factor on both learning rates: warm-up times a decay per epoch, or times a cosine; a function of the step."""
    warm_up = min(1.0, (step + 1) / train.lr_warmup_steps) if train.lr_warmup_steps else 1.0
    if train.lr_schedule == "cosine":
        cosine = 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / train.total_steps))  # from 1 to 0
        return warm_up * (train.lr_final + (1 - train.lr_cosine_final) * cosine)
    return warm_up * train.lr_decay ** (step // batches_per_epoch)


def alignment_prior(train: TrainConfig, step: int) -> float:
    """Weight of the prior for even reading at this step, fading linearly to 0."""
    if not train.alignment_prior_steps:
        return 0.0
    return train.alignment_prior_weight * max(0.0, 1 - step / train.alignment_prior_steps)


def train_step(state: TrainState, batch: Batch, config: Config, batches_per_epoch: int) -> StepLosses:
    """Both half-steps on one batch; all randomness is a function of (seed, step, rank)."""
    set_seed(config.train.seed, state.step, distributed.rank())
    factor = learning_rate_factor(config.train, state.step, batches_per_epoch)
    is_adversarial = state.step >= config.train.adversarial_start
    spec = spectrogram(batch.wav, config.data, batch.wav_lengths)  # [B, F, T]
    spec_lengths = batch.wav_lengths // config.data.hop_length
    state.generator.train()
    with autocast(config.train, state.device):
        out = state.generator(batch.text_ids, batch.text_lengths, spec, spec_lengths, batch.speaker_ids,
                              alignment_prior(config.train, state.step))
    wav_real = slice_segments(batch.wav[:, None], out.segment_starts * config.data.hop_length,
                              config.train.segment_size)
    judged, judged_norm = None, None
    if is_adversarial:
        judged, judged_norm = _discriminator_half(state, wav_real, out.wav_fake.detach(), config.train, factor)
    losses = generator_losses(state, out, spec, wav_real, config, is_adversarial)
    norm = state.generator_updater.step(losses.total(config.train), factor)
    if state.average is not None:
        update_average(state.average, state.generator, config.train.ema_decay, state.step)
    return StepLosses(losses, judged, norm, judged_norm)


def _discriminator_half(state: TrainState, wav_real: Tensor, wav_fake: Tensor, train: TrainConfig,
                        factor: float) -> tuple[DiscriminatorLosses, float]:
    """Real and fake in one pass, [B, 1, S] each."""
    set_trainable(state.discriminators, True)
    with autocast(train, state.device):
        real, fake = split_judgements(state.discriminators(torch.cat([wav_real, wav_fake.to(wav_real)])))
    losses = discriminator_losses(real, fake)
    return losses, state.discriminator_updater.step(losses.total(), factor)


def generator_losses(state: TrainState, out: SynthesizerOutput, spec: Tensor, wav_real: Tensor, config: Config,
                     is_adversarial: bool) -> GeneratorLosses:
    """All terms of the generator's objective; the discriminators are frozen, and silent before they join."""
    mel_real = slice_segments(spec_to_mel(spec, config.data), out.segment_starts, config.segment_frames)
    wav_fake = out.wav_fake.float()
    zero = wav_fake.new_zeros(())
    adversarial, features, multi_stft = zero, zero, zero
    if is_adversarial:
        set_trainable(state.discriminators, False)
        with autocast(config.train, state.device):
            with torch.no_grad():
                real = state.discriminators(wav_real)
            fake = state.discriminators(wav_fake)
        adversarial, features = adversarial_loss(fake), feature_loss(real, fake)
    if config.train.c_stft:
        multi_stft = stft_loss(wav_real[:, 0], wav_fake[:, 0], config.train.stft_sizes)
    return GeneratorLosses(
        mel=mel_loss(mel_real, mel_spectrogram(wav_fake[:, 0], config.data)),
        kl=kl_loss(out.z_p, out.posterior_logstd, out.prior_mean, out.prior_logstd, out.spec_mask),
        duration=out.duration_loss.float().sum(),
        adversarial=adversarial, features=features, stft=multi_stft)


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Move the average towards the model; faster while the run is young, so that the start is forgotten."""
    weight = 1 - min(decay, (1 + step) / (10 + step))
    for kept, new in zip(average.parameters(), model.parameters()):
        kept.lerp_(new, weight)


@torch.no_grad()
def validate(state: TrainState, loader: DataLoader, config: Config, tracker: Tracker) -> dict[str, float]:
    """Held-out utterances: numbers averaged over them, and the first few spoken and drawn.

    Returns:
        mel: L1 of log-mels of segments decoded from the posterior; kl and duration: the losses; speaking_rate: frames
        predicted for the texts over frames recorded.
    """
    model = state.speaking_model.eval()
    sums: dict[str, float] = {}
    total = 0
    for index, batch in enumerate(loader):
        batch = batch.to(state.device)
        set_seed(config.train.seed, index)  # the same noise at every validation
        with autocast(config.train, state.device):
            numbers = _validation_numbers(model, batch, config)
        for name, value in numbers.items():
            sums[name] = sums.get(name, 0.0) + value * len(batch.names)
        total += len(batch.names)
        if index == 0:
            _speak_and_draw(model, batch, config, state.step, tracker)
    values = {f"valid/{name}": value / total for name, value in sums.items()}
    tracker.scalars(state.step, values)
    return values


def _validation_numbers(model: SynthesizerTrn, batch: Batch, config: Config) -> dict[str, float]:
    spec = spectrogram(batch.wav, config.data, batch.wav_lengths)
    frames = batch.wav_lengths // config.data.hop_length
    out = model(batch.text_ids, batch.text_lengths, spec, frames, batch.speaker_ids)
    mel_real = slice_segments(spec_to_mel(spec, config.data), out.segment_starts, config.segment_frames)
    mel_fake = mel_spectrogram(out.wav_fake[:, 0].float(), config.data)
    prior = model.enc_p(batch.text_ids, batch.text_lengths)
    predicted = model.predict_durations(prior, model.speaker_embedding(batch.speaker_ids), 1.0, 0.8)
    return {"mel": float(mel_loss(mel_real, mel_fake)),
            "kl": float(kl_loss(out.z_p, out.posterior_logstd, out.prior_mean, out.prior_logstd, out.spec_mask)),
            "duration": float(out.duration_loss.sum()),
            "speaking_rate": float(predicted.sum() / frames.sum())}


def _speak_and_draw(model: SynthesizerTrn, batch: Batch, config: Config, step: int, tracker: Tracker) -> None:
    """Speak the first utterances of a batch, beside their recordings, with pictures of mel and alignment."""
    data = config.data
    batch = Batch(*(None if field is None else field[:SPOKEN_SAMPLES] for field in batch))
    spec = spectrogram(batch.wav, data, batch.wav_lengths)
    out = model(batch.text_ids, batch.text_lengths, spec, batch.wav_lengths // data.hop_length, batch.speaker_ids)
    path = path_from_durations(out.durations, spec.shape[2])
    for i, name in enumerate(batch.names):
        n_ids, n_samples = int(batch.text_lengths[i]), int(batch.wav_lengths[i])
        speaker = None if batch.speaker_ids is None else batch.speaker_ids[i : i + 1]
        spoken = model.infer(batch.text_ids[i : i + 1, :n_ids], batch.text_lengths[i : i + 1], speaker,
                             seed=config.train.seed)
        recorded = batch.wav[i : i + 1, :n_samples]
        mels = {"recorded": mel_spectrogram(recorded, data)[0].cpu().numpy(),
                "spoken": mel_spectrogram(spoken.wav[:, 0].float(), data)[0].cpu().numpy()}
        tracker.figure(step, f"mel/{i}", plot_mels(mels))
        tracker.figure(step, f"alignment/{i}", plot_alignment(
            path[i, : n_samples // data.hop_length, :n_ids].cpu().numpy(), f"{name}, step {step}"))
        tracker.audio(step, f"spoken/{i}", spoken.wav[0, 0].float().cpu().numpy(), data.sampling_rate)
        tracker.audio(step, f"recorded/{i}", recorded[0].cpu().numpy(), data.sampling_rate)


class Loaders(NamedTuple):
    """Endless training batches from the resumed step on, one pass of validation, and the length of an epoch."""

    train: DataLoader
    valid: DataLoader
    batches_per_epoch: int


def make_loaders(config: Config, text: TextProcessor, step: int, device: torch.device) -> Loaders:
    """Open both filelists; see `data_utils.open_corpus` for what may be wrong with them."""
    train_set = open_corpus(config.data.training_files, config, text)
    valid_set = open_corpus(config.data.validation_files, config, text)
    collate = Collate(config.train.segment_size, config.data.hop_length)
    batches = LengthBatchSampler(train_set.lengths, config.train.batch_size, config.train.seed,
                                 distributed.rank(), distributed.world_size())
    valid_batches = LengthBatchSampler(valid_set.lengths, config.train.batch_size, config.train.seed, shuffle=False)
    train = DataLoader(train_set, batch_sampler=StepSampler(batches, step), collate_fn=collate,
                       num_workers=config.train.num_workers, pin_memory=device.type == "cuda",
                       worker_init_fn=_leave_interrupts_to_the_main_process)
    valid = DataLoader(valid_set, batch_sampler=valid_batches, collate_fn=collate)
    return Loaders(train, valid, batches.batches_per_epoch)


def _leave_interrupts_to_the_main_process(_worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; a worker that dies of it would fail the step in progress."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def resolve(config: Config) -> Config:
    """Fill in what the files say, so that the saved configuration stands alone: symbols of a file, speaker names."""
    table = SymbolTable.load(config.data.symbols)
    if isinstance(config.data.symbols, str) and Path(config.data.symbols).is_file():
        config = settings.replace(config, "data", {"symbols": table.symbols})
    return fill_speakers(config)


def fit(config: Config, run_dir: Path, device: torch.device) -> TrainState:
    """Train until the configured number of steps, from the run's newest checkpoint if there is one.

    SIGINT and SIGTERM end the run after the step in progress, with a checkpoint.

    Raises:
        CheckpointError: the newest checkpoint cannot be used; nothing is restarted in silence.
        FilelistError, ValueError: the data cannot be used.
        TrainingError: the gradients stay non-finite.
    """
    if distributed.world_size() > 1:  # or each process would train alone and overwrite the others' checkpoints
        raise ValueError(f"WORLD_SIZE is {distributed.world_size()}: training in several processes is not there yet; "
                         "start one by python train.py, without torchrun")
    if config.train.num_threads:
        torch.set_num_threads(config.train.num_threads)
    config = resolve(config)
    text = TextProcessor.from_config(config.data)
    run_dir.mkdir(parents=True, exist_ok=True)
    state = new_state(config, len(text.symbols), device)
    newest = checkpoint.newest(run_dir)
    if newest is not None:
        payload = checkpoint.load(newest)
        state.load_state_dict(payload, newest)
        logger.info("resuming from %s at step %d%s", newest, state.step, _changes(payload["config"], config))
    settings.save(config, run_dir / "config.json")
    loaders = make_loaders(config, text, state.step, device)
    total_steps = min(config.train.total_steps or math.inf, config.train.epochs * loaders.batches_per_epoch)
    _announce(state, config, loaders, total_steps)
    if state.step >= total_steps:
        logger.info("nothing to do: the run is at step %d of %d; raise train.total_steps to go on", state.step,
                    total_steps)
        return state
    tracker = _trackers(run_dir, state.step, total_steps)
    with contextlib.closing(tracker), _stop_signals() as stop:
        return _loop(state, loaders, config, run_dir, tracker, total_steps, stop)


def _loop(state: TrainState, loaders: Loaders, config: Config, run_dir: Path, tracker: Tracker, total_steps: int,
          stop: StopRequest) -> TrainState:
    """The walk of a run, step by step."""
    train, bad_steps, started, first = config.train, 0, time.monotonic(), state.step
    for batch in loaders.train:
        losses = train_step(state, batch.to(state.device), config, loaders.batches_per_epoch)
        state.step += 1
        tracker.advance(state.step)
        bad_steps = 0 if losses.is_finite or state.is_lowering_scale else bad_steps + 1
        if bad_steps:
            _report_bad_step(state.step, batch, losses, bad_steps)
        is_last = state.step >= total_steps
        if state.step % train.log_interval == 0 or is_last:
            rate = {"train/learning_rate": state.generator_updater.optimizer.param_groups[0]["lr"],
                    "train/steps_per_second": (state.step - first) / (time.monotonic() - started)}
            tracker.scalars(state.step, {**losses.as_floats(), **rate})
        must_validate = state.step % train.eval_interval == 0 or is_last
        values = validate(state, loaders.valid, config, tracker) if must_validate else {}
        if must_validate or state.step % train.save_interval == 0 or stop.requested:
            save_state(state, config, run_dir, values)
        if must_validate:  # neither validation nor saving counts as training time
            started, first = time.monotonic(), state.step
        if is_last or stop.requested:
            break
    logger.info("%s at step %d; speak with: python synthesize.py -m %s --text \"Hello.\" -o hello.wav",
                "stopped by signal" if stop.requested else "done", state.step, run_dir)
    return state


def save_state(state: TrainState, config: Config, run_dir: Path, validation: dict[str, float]) -> None:
    """Write a checkpoint, move the best pointer if this validation is the best, and prune."""
    checkpoint.save(run_dir, state.step, {"config": settings.to_dict(config), **state.state_dict()})
    best = checkpoint.read_best(run_dir)
    score = validation.get("valid/mel", math.nan)
    if math.isfinite(score) and (best is None or score < best.value):
        checkpoint.write_best(run_dir, checkpoint.Best(state.step, score))
    checkpoint.prune(run_dir, config.train.keep_last)


def _report_bad_step(step: int, batch: Batch, losses: StepLosses, bad_steps: int) -> None:
    logger.warning("step %d was left out, a gradient is not finite: %s; utterances %s", step,
                   ", ".join(f"{name} {value:.4g}" for name, value in losses.as_floats().items()),
                   ", ".join(batch.names[:8]))
    if bad_steps >= MAX_BAD_STEPS:
        raise TrainingError(f"{bad_steps} steps in a row had a gradient that is not finite (see the log for their "
                            "utterances); lower train.learning_rate or set train.grad_clip, and start again: the run "
                            "goes on from its newest checkpoint")


def _announce(state: TrainState, config: Config, loaders: Loaders, total_steps: float) -> None:
    wanted, actual = config.train.precision, effective_precision(config.train, state.device)
    if wanted != actual:
        logger.warning("train.precision is %s, which %s lacks; training in %s", wanted, state.device, actual)
    logger.info("%s, %s, generator %.1f M parameters, discriminators %.1f M, %d batches an epoch, up to step %d",
                state.device, actual, _millions(state.generator), _millions(state.discriminators),
                loaders.batches_per_epoch, total_steps)


def _millions(module: nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


def _trackers(run_dir: Path, step: int, total_steps: int) -> Tracker:
    if not distributed.is_main():
        return NullTracker()
    return Trackers([ConsoleTracker(step, total_steps), JsonLinesTracker(run_dir / "metrics.jsonl", step),
                     TensorBoardTracker(run_dir, step)])


def _changes(before: dict, config: Config) -> str:
    """Settings that differ from those in the checkpoint, for the log."""
    after = settings.to_dict(config)
    changed = [f"{section}.{key}: {before.get(section, {}).get(key)} -> {value}"
               for section, values in after.items() for key, value in values.items()
               if before.get(section, {}).get(key) != value and key not in ("symbols", "speakers")]
    return f"; changed since: {', '.join(changed)}" if changed else ""


@dataclass
class StopRequest:
    """Whether somebody asked the run to end."""

    requested: bool = False


@contextlib.contextmanager
def _stop_signals() -> Iterator[StopRequest]:
    """Within it the first SIGINT or SIGTERM asks for an orderly end; a second one acts as it always does."""
    stop = StopRequest()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _frame: object) -> None:
        stop.requested = True
        logger.warning("%s: finishing this step and saving; once more to leave at once", signal.Signals(number).name)
        for each, handler in before.items():
            signal.signal(each, handler)

    try:
        for number in before:
            signal.signal(number, ask)
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(description: str, multispeaker: bool) -> None:
    """The command line that `train.py` and `train_ms.py` share; they differ only in the configuration they refuse."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--config", type=Path, help="JSON file; default: the run's own config.json")
    parser.add_argument("-m", "--run", type=Path, help="folder of the run; default: runs/NAME of the configuration")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    settings.add_arguments(parser)
    args = parser.parse_args()
    with user_errors(TrainingError):
        if args.config is None and args.run is None:
            raise ValueError("say which configuration: -c configs/ljs.json, or which run to go on with: -m runs/ljs")
        run_dir = args.run or Path("runs") / args.config.stem
        if run_dir.exists() and not run_dir.is_dir():
            raise ValueError(f"{run_dir} is a file; -m names the folder of a run")
        config = settings.load(args.config or run_dir / "config.json", args.overrides)
        _check_door(config, multispeaker)
        set_up_logging(run_dir / "train.log", distributed.is_main())
        fit(config, run_dir, choose_device(args.device))


def _check_door(config: Config, multispeaker: bool) -> None:
    if config.multispeaker != multispeaker:
        raise ValueError(f"data.n_speakers is {config.data.n_speakers}; train.py trains one voice, train_ms.py several "
                         "voices: use the other one, or change it")
