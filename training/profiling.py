"""Profile of training steps by part of the model: `python train.py -c configs/ljs.json --profile 5`.

The parts of a step are marked where they are computed, by `torch.profiler.record_function` with a name of `PARTS`. An
operation of the backward pass belongs to the part whose forward operation it undoes: autograd gives both one number.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity

from training.callbacks import Callback, Run, StepReport

logger = logging.getLogger("vits")

PARTS = ("data", "spectrograms", "text encoder", "posterior encoder", "flow", "alignment", "duration predictor",
         "generator", "discriminators", "losses", "optimizer", "average")
REST = "the rest"
WARM_UP = 3  # steps, in which memory is found and kernels are chosen
BACKWARD = "autograd::engine::evaluate_function"


class PartTime(NamedTuple):
    """Milliseconds that one part takes in all profiled steps; of a GPU, those of its kernels."""

    forward: float
    backward: float


class StepProfiler(Callback):
    """Profiles some steps after a warm-up, writes RUN/profile.json for chrome://tracing, and logs a table."""

    def __init__(self, steps: int):
        self.steps = steps
        self._seen = 0
        self._profile: torch.profiler.profile | None = None

    def on_step(self, run: Run, report: StepReport) -> None:
        """Begin after the warm-up, end after the last step to be profiled."""
        self._seen += 1
        if self._seen == WARM_UP:
            on_gpu = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
            self._profile = torch.profiler.profile(activities=[ProfilerActivity.CPU, *on_gpu], acc_events=True)
            self._profile.start()
        elif self._profile is not None and self._seen == WARM_UP + self.steps:
            self._finish(run, self.steps)

    def on_end(self, run: Run, error: BaseException | None) -> None:
        """Write the profile of a run that ended early, or warn that there is none."""
        if self._profile is not None:
            self._finish(run, self._seen - WARM_UP)
        elif self._seen < WARM_UP:
            logger.warning("--profile: the run ended after %d steps, within the warm-up of %d; nothing was profiled",
                           self._seen, WARM_UP)

    def _finish(self, run: Run, steps: int) -> None:
        profile, self._profile = self._profile, None
        profile.stop()
        path = run.run_dir / "profile.json"
        profile.export_chrome_trace(str(path))
        if steps:
            logger.info("where the time of a step goes, mean of %d (%s):\n%s", steps, path,
                        table(time_by_part(profile.events()), steps))


def time_by_part(events: Iterable[FunctionEvent]) -> dict[str, PartTime]:
    """Sum the events of a profile by part of a step; GPU time if there is any, else CPU time."""
    events = sorted((event for event in events if event.device_type == torch.autograd.DeviceType.CPU),
                    key=lambda event: event.time_range.start)
    on_gpu = any(event.self_device_time_total for event in events)
    part_of_number: dict[int, str] = {}
    for event in events:
        place = _enclosing(event)
        if event.sequence_nr >= 0 and not place.startswith(BACKWARD):
            # Operations without a gradient show the number of the next one that has one: the last is right.
            part_of_number[event.sequence_nr] = place
    forward, backward = defaultdict(float), defaultdict(float)
    for event in events:
        place = _enclosing(event)
        spent = event.self_device_time_total if on_gpu and event.name != "data" else event.self_cpu_time_total
        if place.startswith(BACKWARD):
            backward[part_of_number.get(_root(event).sequence_nr, REST)] += spent / 1000
        else:
            forward[place] += spent / 1000
    return {part: PartTime(forward[part], backward[part]) for part in (*PARTS, REST)
            if forward[part] or backward[part]}


def table(times: dict[str, PartTime], steps: int) -> str:
    """Milliseconds of a step, and shares of it."""
    total = sum(sum(time) for time in times.values())
    lines = [f"{'':20}{'forward':>12}{'backward':>12}{'share':>8}"]
    lines += [f"{part:20}{time.forward / steps:9.1f} ms{time.backward / steps:9.1f} ms{sum(time) / total:8.1%}"
              for part, time in times.items()]
    return "\n".join([*lines, f"{'together':20}{total / steps:9.1f} ms"])


def _enclosing(event: FunctionEvent) -> str:
    """The innermost part that an operation lies in, or the step of the backward pass, or the rest."""
    while event is not None:
        if event.name in PARTS or event.name.startswith(BACKWARD):
            return event.name
        event = event.cpu_parent
    return REST


def _root(event: FunctionEvent) -> FunctionEvent:
    """The step of the backward pass that an operation of it lies in."""
    while not event.name.startswith(BACKWARD):
        event = event.cpu_parent
    return event
