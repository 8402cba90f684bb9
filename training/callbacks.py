"""Callbacks of the training loop: trackers, early stopping, and your own from a file that train.callbacks names.

    python train.py -c configs/ljs.json --set 'train.callbacks=["my_callbacks.py"]'

my_callbacks.py, for example:

    from training.callbacks import CALLBACKS, Callback

    @CALLBACKS.register("watch")
    class Watch(Callback):
        '''Lists the validations; a file named STOP in the run folder ends the run in good order.'''

        def on_step(self, run, report):
            if (run.run_dir / "STOP").exists():
                run.stop("there is a file named STOP")

        def on_validation(self, run, report):
            with open(run.run_dir / "validations.txt", "a", encoding="utf-8") as file:
                print(report.step, report.values["valid/mel"], file=file)

Callbacks are called on the main process only. What one raises ends the run.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn

import checkpoint
from checkpoint import Best
from config import Config, TrainConfig
from evaluation.metrics import measures_of
from training.trackers import Tracker, plot_alignment, plot_mels
from utils import Registry, load_plugins

logger = logging.getLogger("vits")

# Shapes: T frames, L tokens, M mel bands, S samples.


class CallbackError(RuntimeError):
    """A callback that failed: which one, where in its file, and why."""


@dataclass
class Run:
    """The state of a run that callbacks are given."""

    run_dir: Path
    config: Config
    generator: nn.Module
    total_steps: float  # where it ends
    step: int = 0  # steps done
    stop_reason: str | None = None  # why somebody asked it to end

    def stop(self, reason: str) -> None:
        """Ask the run to end after this step, with a checkpoint; the first reason stays."""
        self.stop_reason = self.stop_reason or reason


class StepReport(NamedTuple):
    """One training step."""

    step: int
    names: Sequence[str]  # of its utterances
    losses: Callable[[], dict[str, float]]  # both are calls, since reading a GPU's numbers waits for it
    is_finite: Callable[[], bool]  # False: its loss or gradient was not, and the step was left out


class SpokenSample(NamedTuple):
    """A held-out utterance: its recording and its synthesis."""

    name: str
    recorded: np.ndarray  # float32 [S]
    spoken: np.ndarray  # float32 [S], of a length of its own
    sampling_rate: int  # Hz
    path: np.ndarray  # [T, L], zeros and ones: which token each recorded frame belongs to
    mel_recorded: np.ndarray  # [M, T]
    mel_spoken: np.ndarray  # [M, T], of a length of its own
    speaker: str | None = None  # None in a run of one voice


class SpokenSentence(NamedTuple):
    """A test sentence, of which there is no recording."""

    id: str
    kind: str  # "word", "number", "question", "sentence", "paragraph"
    text: str
    samples: np.ndarray  # float32 [S]
    sampling_rate: int  # Hz
    speaker: str | None = None  # None in a run of one voice


class ValidationReport(NamedTuple):
    """One validation."""

    step: int
    values: dict[str, float]
    samples: Sequence[SpokenSample]
    sentences: Sequence[SpokenSentence] = ()


class Callback:
    """Base class: a method for each event of a run, which does nothing unless it is overridden."""

    def on_start(self, run: Run) -> None:
        """Before the first step."""

    def on_step(self, run: Run, report: StepReport) -> None:
        """After each training step, before it is validated or saved."""

    def on_validation(self, run: Run, report: ValidationReport) -> None:
        """After each validation."""

    def on_save(self, run: Run, path: Path) -> None:
        """A checkpoint is complete at `path`; it is written beside the loop, so that steps may have passed since."""

    def on_end(self, run: Run, error: BaseException | None) -> None:
        """However the run ends; `error` is what ended it, None where it ended in good order."""


class CallbackRegistry(Registry[Callback]):
    """Callback classes by name, in the order in which they came."""

    def __init__(self) -> None:
        super().__init__("callback")
        self.arrivals: list[tuple[str, Callable[[], Callback]]] = []

    def register(self, name: str) -> Callable[[Callable[[], Callback]], Callable[[], Callback]]:
        """Decorator that enters a class under `name`."""
        enter_by_name = super().register(name)

        def enter(builder: Callable[[], Callback]) -> Callable[[], Callback]:
            self.arrivals.append((name, builder))
            return enter_by_name(builder)
        return enter


CALLBACKS = CallbackRegistry()
"""Classes of callbacks; see the example above."""


class Callbacks(Callback):
    """Several callbacks, called in their order.

    Raises:
        CallbackError: from every event, if one of them fails.
    """

    def __init__(self, callbacks: Sequence[Callback]):
        self.callbacks = list(callbacks)

    @contextlib.contextmanager
    def running(self, run: Run) -> Iterator[None]:
        """Within it the run goes on: `on_start` before, `on_end` after, however it ends."""
        try:
            self.on_start(run)
            yield
        except BaseException as error:
            self.on_end(run, error)
            raise
        self.on_end(run, None)

    def on_start(self, run: Run) -> None:
        """Call each."""
        for callback in self.callbacks:
            with _named(callback, "on_start", run):
                callback.on_start(run)

    def on_step(self, run: Run, report: StepReport) -> None:
        """Call each."""
        for callback in self.callbacks:
            with _named(callback, "on_step", run):
                callback.on_step(run, report)

    def on_validation(self, run: Run, report: ValidationReport) -> None:
        """Call each."""
        for callback in self.callbacks:
            with _named(callback, "on_validation", run):
                callback.on_validation(run, report)

    def on_save(self, run: Run, path: Path) -> None:
        """Call each."""
        for callback in self.callbacks:
            with _named(callback, "on_save", run):
                callback.on_save(run, path)

    def on_end(self, run: Run, error: BaseException | None) -> None:
        """Call each, even after one that fails; only then does the first failure end the run, if it still goes on."""
        failures = []
        for callback in self.callbacks:
            try:
                with _named(callback, "on_end", run):
                    callback.on_end(run, error)
            except CallbackError as failure:
                failures.append(failure)
        for failure in failures[0 if error is not None else 1:]:
            logger.error("%s", failure)
        if failures and error is None:
            raise failures[0]


class TrackerCallback(Callback):
    """Writes losses, at intervals, and each validation with its sound and figures to a tracker."""

    def __init__(self, tracker: Tracker, log_interval: int):
        self.tracker = tracker
        self.log_interval = log_interval  # steps
        self.steps_timed_from = 0
        self.seconds_timed_from = 0.0

    def on_start(self, run: Run) -> None:
        """Start the clock."""
        self._restart_clock(run)

    def on_step(self, run: Run, report: StepReport) -> None:
        """Advance the progress bar; write the losses at every interval and at the last step."""
        self.tracker.advance(report.step)
        if report.step % self.log_interval and report.step < run.total_steps:
            return
        losses = report.losses()  # first: it waits until the steps to be timed are done
        seconds = time.monotonic() - self.seconds_timed_from
        speed = (report.step - self.steps_timed_from) / max(seconds, 1e-9)
        self.tracker.scalars(report.step, {**losses, "train/steps_per_second": speed})

    def on_validation(self, run: Run, report: ValidationReport) -> None:
        """Write the numbers, and the speech beside the recordings."""
        self.tracker.scalars(report.step, report.values)
        for i, sample in enumerate(report.samples):
            mels = {"recorded": sample.mel_recorded, "spoken": sample.mel_spoken}
            self.tracker.figure(report.step, f"mel/{i}", plot_mels(mels))
            self.tracker.figure(report.step, f"alignment/{i}", plot_alignment(
                sample.path, f"{sample.name}, step {report.step}"))
            self.tracker.audio(report.step, f"spoken/{i}", sample.spoken, sample.sampling_rate)
            self.tracker.audio(report.step, f"recorded/{i}", sample.recorded, sample.sampling_rate)
        for sentence in report.sentences:
            self.tracker.audio(report.step, f"sentence/{sentence.kind}", sentence.samples, sentence.sampling_rate)
        self._restart_clock(run)

    def on_end(self, run: Run, error: BaseException | None) -> None:
        """Close the tracker, which writes what is left."""
        self.tracker.close()

    def _restart_clock(self, run: Run) -> None:
        """Start the clock; validations do not count as time of training."""
        self.steps_timed_from, self.seconds_timed_from = run.step, time.monotonic()


class EarlyStopping(Callback):
    """Ends a run after so many validations in a row that were no better than the best one (train.patience)."""

    def __init__(self, measure: str, patience: int):
        self.measure = measure  # a number of the validation; lower is better
        self.patience = patience  # validations
        self.best: Best | None = None
        self.waited = 0  # validations since the best

    def on_start(self, run: Run) -> None:
        """Take the best of best.json, and the validations since then by the number of steps."""
        ranking = checkpoint.read_ranking(run.run_dir)
        known = [best for best in (ranking.best if ranking else ())
                 if ranking.measure == self.measure and best.step <= run.step]
        self.best = known[0] if known else None
        every = _steps_between(self.measure, run.config.train)
        self.waited = run.step // every - self.best.step // every if self.best else 0

    def on_validation(self, run: Run, report: ValidationReport) -> None:
        """Compare with the best; a validation without the measure does not count."""
        value = report.values.get(self.measure, math.nan)
        if not math.isfinite(value):
            return
        if self.best is None or value < self.best.value:
            self.best, self.waited = Best(report.step, value), 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            run.stop(f"{self.measure} has not been better than {self.best.value:.4g}, of step {self.best.step}, for "
                     f"{self.waited} validations (train.patience)")


def _steps_between(measure: str, train: TrainConfig) -> int:
    """Steps from one validation that has a measure to the next one, which for those of costly meters are more."""
    usual, costly = (measures_of(meters) for meters in (train.meters, train.costly_meters))
    return train.eval_interval * (train.evaluate_every or 1 if measure in costly.keys() - usual.keys() else 1)


def load_callbacks(paths: Sequence[str]) -> list[Callback]:
    """One instance of each callback that users' Python files register, in the order of train.callbacks.

    Raises:
        FileNotFoundError: a file of train.callbacks is not there.
        CallbackError: a file cannot be run, or a callback cannot be made.
        ValueError: a file registers nothing, or something else than callbacks.
    """
    return [callback for path in paths for callback in _load_file(path)]


def _load_file(path: str) -> list[Callback]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"train.callbacks names {path}, which is not a file")
    before = len(CALLBACKS.arrivals)
    try:
        load_plugins([path])
    except Exception as error:
        raise CallbackError(f"train.callbacks: {path} cannot be run: {_summary(error)}") from error
    arrivals = CALLBACKS.arrivals[before:]
    if not arrivals:
        raise ValueError(f"train.callbacks: {path} registers no callback; expected in it, for example:\n\n"
                         f"{_example()}")
    return [_make(name, builder, path) for name, builder in arrivals]


def _make(name: str, builder: Callable[[], Callback], path: str) -> Callback:
    try:
        callback = builder()
    except Exception as error:
        raise CallbackError(f"train.callbacks: {name!r} of {path} cannot be made without arguments: "
                            f"{_summary(error)}") from error
    if not isinstance(callback, Callback):
        raise ValueError(f"train.callbacks: {name!r} of {path} is a {type(callback).__name__}; expected a subclass "
                         "of training.callbacks.Callback")
    return callback


def _example() -> str:
    """The lines of the module's docstring that show a file of callbacks."""
    return __doc__.split("for example:\n\n")[1].split("\n\nCallbacks are")[0]


@contextlib.contextmanager
def _named(callback: Callback, event: str, run: Run) -> Iterator[None]:
    """Turn an exception into a CallbackError that names the callback; Ctrl-C passes."""
    try:
        yield
    except Exception as error:
        kind = type(callback)
        names = [repr(name) for name, builder in CALLBACKS.arrivals if builder is kind]
        raise CallbackError(f"callback {names[-1] if names else kind.__name__} failed in {event} at step {run.step}: "
                            f"{_summary(error)}") from error


def _summary(error: Exception) -> str:
    """An exception in one line, with the place in the user's file; a syntax error names that by itself."""
    ours = (__file__, load_plugins.__code__.co_filename)
    places = [f" ({frame.filename}:{frame.lineno})" for frame in traceback.extract_tb(error.__traceback__)
              if frame.filename not in ours and not frame.filename.startswith("<")]
    return f"{type(error).__name__}: {error}{''.join(places[:1])}"
