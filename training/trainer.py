"""The training loop, and what a run folder holds.

    RUN/config.json    the configuration, as resolved, of the last start that did a step
    RUN/train.lock     which process trains here; a second one is refused
    RUN/train.log, RUN/metrics.jsonl, RUN/events.out...    what happened, for people, programs and TensorBoard
    RUN/checkpoint_*.pt, RUN/best.json                     see checkpoint.py and training/checkpointing.py
    RUN/bad_steps/                                         batches whose loss or gradient was not finite

One process or many (`torchrun train.py ...`) run the same lines: each on its own batches, with equal gradients.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

import checkpoint
import config as settings
import formats
import utils
from commons import choose_device
from config import Config
from corpora.filelists import fill_speakers
from corpora.loader import WorkersDied
from data_utils import Batch, UtteranceDataset, open_corpus
from text import ENOUGH, SymbolTable, TextProcessor
from text.symbols import check_inside
from training import distributed, finetuning, memory
from training.bad_steps import BadSteps, NonFiniteStreak, roll_back
from training.callbacks import (
    Callback,
    CallbackError,
    Callbacks,
    EarlyStopping,
    Run,
    StepReport,
    TrackerCallback,
    ValidationReport,
    load_callbacks,
)
from training.checkpointing import Retention, Writer
from training.job import Job
from training.profiling import StepProfiler
from training.step import (
    StepLosses,
    TrainState,
    effective_precision,
    loss_scales,
    new_networks,
    new_state,
    train_step,
)
from training.teacher import Teacher
from training.trackers import make_trackers
from training.validation import ValidationMeters, validate
from utils import check_trust, load_plugins, locked, set_up_logging, user_errors

logger = logging.getLogger("vits")

LOCK_FILE = "train.lock"
WARM_UP_OF_NEW_DISCRIMINATORS = 500  # steps, where the generator starts from other weights


class RunInUse(ValueError):
    """Another job trains in the same folder."""


def fit(config: Config, run_dir: Path, device: torch.device, callbacks: Sequence[Callback] = (),
        trust_plugins: bool = False, has_log: bool = False) -> TrainState:
    """Train until the configured number of steps, from the run's newest checkpoint if there is one.

    The Python files of model.plugins and train.callbacks are run: the configuration is the caller's own, or one whose
    files the caller trusts. Those that the voice of train.init_from names are run only with `trust_plugins`.

    SIGINT and SIGTERM end it after the step in progress, with a checkpoint. Under torchrun all processes call this.

    Args:
        config: of the whole run.
        run_dir: made as needed.
        device: to train on; of several GPUs each process takes its own.
        callbacks: beside those that train.callbacks names.
        has_log: show the log on the console and keep it in RUN/train.log, as the command does.

    Raises:
        RunInUse: another process trains in this folder, in which nothing was touched.
        CheckpointError: the newest checkpoint cannot be used; nothing is restarted in silence.
        FilelistError, ValueError: the data cannot be used.
        NonFiniteStreak: the gradients stay non-finite.
        MemoryShortage: the largest batch does not fit.
        WorkersDied: workers that read the data die again and again.
        CallbackError: a callback of the user's failed.
    """
    load_plugins(config.model.plugins)
    if config.train.num_threads:
        torch.set_num_threads(config.train.num_threads)
    device = distributed.own_device(device)
    with distributed.joined(device), distributed.stop_signals() as stop, _alone_in(run_dir):
        if has_log:
            set_up_logging(run_dir / "train.log", distributed.is_main())
        state, config, text = begin(config, run_dir, device, trust_plugins)
        train_set = open_corpus(config.data.training_files, config, text)
        if state.step == 0:
            config = _with_rare_symbols(config, train_set, text)
        job = Job(config, run_dir, device, train_set, open_corpus(config.data.validation_files, config, text), stop,
                  callbacks)
        _announce(state, job)
        if state.step >= job.total_steps:
            logger.info("nothing to do: the run is at step %d of %d; raise train.total_steps to go on", state.step,
                        job.total_steps)
            return state
        if config.train.memory_probe:
            largest = job.train_set.__getitems__(job.batches.largest())
            memory.check_fit(state, largest, job.collate, config)
        while True:
            try:
                return _attempt(state, job)
            except NonFiniteStreak as streak:
                roll_back(state, config, run_dir, streak)


@contextlib.contextmanager
def _alone_in(run_dir: Path) -> Iterator[None]:
    """Hold the lock of the folder, by the main process for all processes of this job, so that no other trains in it.

    Raises:
        RunInUse: another job trains there; raised in the main process alone, the others exit.
    """
    with contextlib.ExitStack() as held:
        failure: Exception | None = None
        if distributed.is_main():
            try:
                run_dir.mkdir(parents=True, exist_ok=True)
                held.enter_context(locked(run_dir / LOCK_FILE))
            except BlockingIOError as error:
                failure = RunInUse(f"{run_dir} is being trained already, by {error}; wait until it ends or end it, or "
                                   "name another folder with -m")
            except OSError as error:
                failure = error
        if distributed.from_main(int(failure is not None)):
            raise failure or SystemExit(2)
        yield


def begin(config: Config, run_dir: Path, device: torch.device,
          trust_plugins: bool = False) -> tuple[TrainState, Config, TextProcessor]:
    """The state that a run goes on from: its newest checkpoint's, or that of other weights, or step 0."""
    teacher = Teacher(config.train.teacher, device) if config.train.teacher else None
    config = resolve(config if teacher is None else teacher.with_its_data(config))
    text = TextProcessor.from_config(config.data)
    networks = new_networks(config, len(text.symbols), device)
    if teacher is not None:
        teacher.check_and_leave_out(networks.generator, config)
    step = distributed.from_main(max(checkpoint.list_steps(run_dir), default=None))
    if step is not None:
        newest = checkpoint.path_of(run_dir, step)
        payload = checkpoint.load_training(newest)
        began_from = payload["config"]["train"].get("init_from")
        _check_beginning(began_from, config.train.init_from, run_dir)
        config = settings.replace(config, "train", {"init_from": began_from})
        config = settings.replace(config, "data", {
            "rare_symbols": tuple(payload["config"]["data"].get("rare_symbols", ()))})  # older runs have none
        with checkpoint.fitting(newest, payload["config"], config):
            checkpoint.load_state(networks.generator, payload["generator"], newest, "generator")
            state = new_state(config, networks, payload.get("new_rows"))
            state.load_state_dict(payload, newest)
        config = _with_warm_up(config, payload["config"]["train"].get("discriminator_warmup_steps"))
        logger.info("resuming from %s at step %d%s", newest, state.step, _changes(payload["config"], config))
    elif config.train.init_from is not None:
        weights = formats.read_weights(Path(config.train.init_from))
        if trust_plugins:
            checkpoint.config_of(weights, (), trust_plugins)
        if weights.step <= weights.config["train"].get("adversarial_start", 0):
            weights = weights._replace(discriminators=None)  # if there are any, they have never trained
        start = finetuning.start_from(*networks, weights, config)
        logger.info("starting from %s at its step %d\n%s", start.source, start.step, start.table())
        for warning in start.warnings:
            logger.warning("%s", warning)
        config = settings.replace(config, "data", {"rare_symbols": _unknown_to(weights, text)})
        config = _with_warm_up(config, 0 if start.has_discriminators else WARM_UP_OF_NEW_DISCRIMINATORS)
        state = new_state(config, networks, start.new_rows)
    else:
        config = settings.replace(config, "data", {"rare_symbols": text.symbols.symbols})
        config = _with_warm_up(config, 0)
        state = new_state(config, networks)
    state.teacher = teacher
    return state, config, text


def _check_beginning(began_from: str | None, wanted: str | None, run_dir: Path) -> None:
    """Check that a run with checkpoints began from what train.init_from names."""
    if wanted is not None and (began_from is None or Path(began_from).resolve() != Path(wanted).resolve()):
        raise ValueError(f"{run_dir} has checkpoints already, and began from {began_from or 'nothing'}, not from "
                         f"{wanted}; start a new run with -m NEW_FOLDER, or leave --init-from out to go on with this")


def resolve(config: Config) -> Config:
    """Fill in what other files hold, so that the saved configuration stands alone: symbols, speaker names."""
    table = SymbolTable.load(config.data.symbols)
    if isinstance(config.data.symbols, str) and Path(config.data.symbols).is_file():
        config = settings.replace(config, "data", {"symbols": table.symbols})
    return fill_speakers(config)


def _unknown_to(weights: checkpoint.Weights, text: TextProcessor) -> tuple[str, ...]:
    """Symbols that the voice a run starts from lacks, or hardly saw itself."""
    source = settings.from_dict(weights.config).data
    known = set(SymbolTable.load(source.symbols).ids) - set(source.rare_symbols)
    return tuple(symbol for symbol in text.symbols.symbols if symbol not in known)


def _with_rare_symbols(config: Config, train_set: UtteranceDataset, text: TextProcessor) -> Config:
    """The configuration with the symbols that the corpus hardly has, among those that the weights do not know yet.

    There are none for a run that starts from nothing with a small corpus, which has few of any symbol.
    """
    counts = train_set.entries.symbol_counts(len(text.symbols)).tolist()
    rare = text.hardly_seen(counts) if config.train.init_from or sum(counts) >= ENOUGH else ()
    unknown = set(config.data.rare_symbols)
    return settings.replace(config, "data", {"rare_symbols": tuple(each for each in rare if each in unknown)})


def _with_warm_up(config: Config, steps: int | None) -> Config:
    """The configuration with a warm-up of the discriminators, unless it names one itself."""
    if config.train.discriminator_warmup_steps is not None:
        return config
    if steps:
        logger.info("the discriminators start from nothing: the adversarial losses reach their weight over %d steps "
                    "(train.discriminator_warmup_steps)", steps)
    return settings.replace(config, "train", {"discriminator_warmup_steps": steps or 0})


def _attempt(state: TrainState, job: Job) -> TrainState:
    """Train until the end, a signal, or a streak of bad steps."""
    train, run_dir = job.config.train, job.run_dir
    run = Run(run_dir, job.config, state.generator, job.total_steps, state.step)
    callbacks = Callbacks([])
    if distributed.is_main():
        own = load_callbacks(train.callbacks)
        trackers = make_trackers(train.trackers, run_dir, state.step, job.total_steps, settings.to_dict(job.config))
        patient = [EarlyStopping(train.best_measure, train.patience)] if train.patience else []
        callbacks = Callbacks([TrackerCallback(trackers, train.log_interval), *patient, *own, *job.callbacks])
    with callbacks.running(run), Writer(run_dir, Retention.from_config(train)) as writer:
        _loop(state, job, run, callbacks, writer)
    logger.info("%s at step %d; speak with: python synthesize.py -m %s --text \"Hello.\" -o hello.wav",
                f"stopped ({job.stop.reason})" if job.stop.is_made else "done", state.step, run_dir)
    return state


def _loop(state: TrainState, job: Job, run: Run, callbacks: Callbacks, writer: Writer) -> None:
    """The training loop."""
    train, meters, saver = job.config.train, ValidationMeters(job.config), Saver(state, job, writer)
    bad_steps = BadSteps(job.run_dir, train.max_bad_steps)
    first_step = state.step + 1
    with contextlib.closing(job.batches_from(state.step)) as steps:  # or its workers would live as long as a traceback
        for batches in steps:
            if job.must_stop():
                break
            scales = loss_scales(batches, job.config.data)
            on_device = [batch.to(state.device) for batch in batches]
            losses = train_step(state, on_device, scales, job.config, job.epoch_of(state.step))
            state.step += 1
            run.step, is_last, values = state.step, state.step >= job.total_steps, {}
            if state.step == first_step and distributed.is_main():  # a start that fails leaves the file as it was
                settings.save(job.config, job.run_dir / "config.json")
            bad_steps.note(state, batches, losses)
            callbacks.on_step(run, _report(state, batches, losses, state.step % train.log_interval == 0 or is_last))
            if state.step % train.eval_interval == 0 or is_last:
                found = validate(state.speaking_model, job.valid_batches(), job.config, meters,
                                 meters.is_full(state.step), state.teacher)
                callbacks.on_validation(run, ValidationReport(state.step, *found))
                values = {**dict.fromkeys(meters.names, math.nan), **found.values}  # some are not due each time
            # Within a streak nothing moves, and the checkpoint of before it is where a rollback wants to go.
            if (values or state.step % train.save_interval == 0) and not state.bad_steps_in_a_row:
                saver.save(values)
            for path in saver.finished():
                callbacks.on_save(run, path)
            job.stop.reason = job.stop.reason or run.stop_reason or ""
            if is_last:
                break
    for path in saver.finish():
        callbacks.on_save(run, path)


class Saver:
    """Saves checkpoints of a run, in the main process, by the writer's thread."""

    def __init__(self, state: TrainState, job: Job, writer: Writer):
        self.state = state
        self.job = job
        self.writer = writer
        self.saved_step = self.first_step = state.step

    def _payload(self) -> dict[str, Any]:
        return {"config": settings.to_dict(self.job.config), **self.state.state_dict()}

    def save(self, values: dict[str, float]) -> None:
        """Save this step, with the numbers of its validation if it had one."""
        self.saved_step = self.state.step
        if distributed.is_main():
            self.writer.save(self.state.step, self._payload(), values)

    def finished(self) -> Iterator[Path]:
        """Checkpoints that were finished since the last call."""
        if self.state.step == self.first_step + 1 and distributed.is_main():  # the optimizers have their moments now
            self.writer.reserve(self._payload())
        while (path := self.writer.poll()) is not None:
            yield path

    def finish(self) -> Iterator[Path]:
        """Save the last step if it is not saved yet, wait, and yield what was finished."""
        if self.saved_step != self.state.step:
            self.save({})
        while (path := self.writer.wait()) is not None:
            yield path


def _report(state: TrainState, batches: Sequence[Batch], losses: StepLosses, is_logged: bool) -> StepReport:
    """The step for callbacks; numbers of logged steps are means over all processes, which must all call this."""
    values = {name: value.float() for name, value in losses.as_tensors().items()}
    if is_logged:
        values = dict(zip(values, distributed.mean_over_processes(torch.stack(list(values.values())))))
    others = {"train/learning_rate": state.generator_updater.learning_rate}
    if state.augmenter.is_active:
        others["train/augment_probability"] = state.augmenter.probability

    def numbers() -> dict[str, float]:
        return {name: float(value) for name, value in {**values, **others}.items()}

    names = [name for batch in batches for name in batch.names]
    return StepReport(state.step, names, numbers, partial(getattr, losses, "is_finite"))


def _announce(state: TrainState, job: Job) -> None:
    train = job.config.train
    wanted, actual, world_size = train.precision, effective_precision(train, state.device), distributed.world_size()
    if wanted != actual:
        logger.warning("train.precision is %s, which %s lacks; training in %s", wanted, state.device, actual)
    sides = [sum(p.numel() for p in side.parameters()) / 1e6 for side in (state.generator, state.discriminators)]
    learning = sum(p.numel() for p in state.generator_updater.parameters)
    all_of_it = sum(p.numel() for p in state.generator.parameters())
    logger.info("%s%s, %s, generator %.1f M parameters%s, discriminators %.1f M, %d batches an epoch%s, up to step %d",
                state.device, f" x {world_size} processes" if world_size > 1 else "", actual, sides[0],
                f" ({learning} of them train)" if learning < all_of_it else "", sides[1],
                job.batches.batches_per_epoch, f", {train.accumulate} a step" if train.accumulate > 1 else "",
                job.total_steps)


def _changes(before: dict[str, Any], config: Config) -> str:
    """Settings that differ from those in the checkpoint, for the log."""
    after = settings.to_dict(config)
    changed = [f"{section}.{key}: {before.get(section, {}).get(key)} -> {value}"
               for section, values in after.items() for key, value in values.items()
               if before.get(section, {}).get(key) != value and key not in ("symbols", "speakers", "rare_symbols")]
    return f"; changed since: {', '.join(changed)}" if changed else ""


def main(description: str, multispeaker: bool) -> None:
    """The command line that `train.py` and `train_ms.py` share; they differ only in the configuration they refuse."""
    parser = settings.CommandParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--config", type=Path, help="JSON file; default: the run's own config.json")
    parser.add_argument("-m", "--run", type=Path, help="folder of the run; default: runs/NAME of the configuration")
    parser.add_argument("--init-from", type=Path, metavar="SOURCE",
                        help="run, checkpoint or release folder whose weights a new run starts from")
    parser.add_argument("--teacher", metavar="VOICE",
                        help="voice that read the corpus (preprocess.py voice); the run learns from what it computed")
    parser.add_argument("--allow-partial", action="store_true",
                        help="start from it even where its weights do not fit; those start fresh")
    parser.add_argument("--profile", type=int, metavar="N", default=0,
                        help="see where the time of N steps goes: a table, and RUN/profile.json for chrome://tracing")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")
    settings.add_arguments(parser)
    settings.add_trust_argument(parser)
    args = parser.parse_args()
    distributed.recorded(partial(_run, args, multispeaker))


def _run(args: argparse.Namespace, multispeaker: bool) -> None:
    with user_errors(NonFiniteStreak, CallbackError, WorkersDied, memory.MemoryShortage):
        if args.config is None and args.run is None:
            raise ValueError("no configuration and no run is given; name a configuration, such as -c "
                             "configs/ljs.json, or a run to go on with, such as -m runs/ljs")
        run_dir = args.run or Path("runs") / args.config.stem
        if run_dir.exists() and not run_dir.is_dir():
            raise ValueError(f"{run_dir} is a file; expected the folder of a run after -m")
        if args.profile < 0:
            raise ValueError(f"--profile is {args.profile}; expected how many steps to profile, 1 or more")
        overrides = list(args.overrides)
        if args.init_from is not None:
            overrides.append(f"train.init_from={args.init_from}")
        if args.teacher is not None:
            overrides.append(f"train.teacher={args.teacher}")
        if args.allow_partial:
            overrides.append("train.allow_partial=true")
        config = settings.load(args.config or run_dir / "config.json", overrides)
        _check_trust(config, args, run_dir)
        _check_command(config, multispeaker)
        utils.keep_freed_memory()
        fit(config, run_dir, choose_device(args.device), [StepProfiler(args.profile)] if args.profile else [],
            trust_plugins=args.trust_plugins, has_log=True)


def _check_trust(config: Config, args: argparse.Namespace, run_dir: Path) -> None:
    """Refuse files that the configuration of a run or of a voice names, if that may be from somebody else.

    What the user names is trusted: in a configuration of their own by -c, or by --set.

    Raises:
        PluginError: Python files would be run.
        ValueError: a file would be read for its symbols.
    """
    source = args.config or run_dir / "config.json"
    if args.config is not None and not checkpoint.holds_voice(args.config.parent):
        return
    own = settings.overridden(args.overrides)
    if "data.symbols" not in own:
        check_inside(config.data.symbols, source)
    for key, paths in (("model.plugins", config.model.plugins), ("train.callbacks", config.train.callbacks)):
        if key not in own:
            check_trust(key, paths, source, args.trust_plugins)


def _check_command(config: Config, multispeaker: bool) -> None:
    if config.multispeaker != multispeaker:
        raise ValueError(f"data.n_speakers is {config.data.n_speakers}; train.py trains one voice, train_ms.py several "
                         "voices: use the other one, or change it")
