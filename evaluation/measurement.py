"""Runs meters over sounds, in one process or several.

    found = measure_sounds(choose_meters(["world", "wer"]), MeterContext("en-us", candidates), sounds, jobs=4)
    found.values[0]["mcd"]
"""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import utils
from evaluation.conditions import with_progress
from evaluation.listeners import AUTO, choose_listener
from evaluation.metrics import ALL, METERS, AnalysedAudio, Meter, MeterContext, open_meters
from evaluation.scorecard import Measure

logger = logging.getLogger("vits")


class MeasuredSounds(NamedTuple):
    """The values of some sounds."""

    measures: tuple[Measure, ...]
    values: list[dict[str, float]]  # one a sound: measure name -> value
    notes: list[str]  # one a sound, for people
    absent: dict[str, str]  # measure name -> why there are no values
    listener: str = ""  # the recogniser of words, with its model and version


def choose_meters(wanted: Sequence[str] | None, is_cheap: bool = False, listener: str = AUTO) -> tuple[str, ...]:
    """Resolve names of meters or measures to names of meters; all meters but one unless some are named.

    Of the two that transcribe, "whisper" and "words", the listener's is taken: see `listeners.choose_listener`.

    Raises:
        ValueError: a name that is neither, or an unknown listener.
    """
    other = {"whisper": "words", "pocketsphinx": "whisper"}[choose_listener(listener)]
    measures = {name: [measure.name for measure in METERS.get(name).measures] for name in ALL}
    unknown = [name for name in wanted or () if name not in ALL and not any(name in own for own in measures.values())]
    if unknown:
        known = "; ".join(f"{name}: {', '.join(own)}" for name, own in measures.items())
        raise ValueError(f"no meter or measure is called {', '.join(map(repr, unknown))}; the meters and their "
                         f"measures are {known}")

    def is_wanted(name: str) -> bool:
        return name in wanted or not set(measures[name]).isdisjoint(wanted) if wanted else name != other

    return tuple(name for name in ALL if is_wanted(name) and not (is_cheap and is_costly(name)))


def is_costly(meter: str) -> bool:
    """Whether a meter is too slow for every validation of a training run."""
    return any(measure.is_costly for measure in METERS.get(meter).measures)


def measure_sounds(names: Sequence[str], context: MeterContext, sounds: Sequence[AnalysedAudio],
                jobs: int = 1) -> MeasuredSounds:
    """Measure sounds by the named meters, in `jobs` processes including this one; the result is the same."""
    logger.info("measuring %s", ", ".join(names))
    jobs = max(1, min(jobs, len(sounds)))
    if jobs == 1:
        return _measure(names, context, sounds, f"all conditions: measuring {len(sounds)} sounds")
    title = f"all conditions: the share of one process of {jobs}"
    earlier = multiprocessing.active_children()
    with ProcessPoolExecutor(jobs - 1, multiprocessing.get_context("spawn")) as pool:
        try:
            with utils.interrupts_ignored():
                others = [pool.submit(_measure, names, context, sounds[job::jobs]) for job in range(1, jobs)]
            parts = [_measure(names, context, sounds[::jobs], title), *(other.result() for other in others)]
        except BaseException:  # or the pool would wait until they are done
            for worker in set(multiprocessing.active_children()).difference(earlier):
                worker.terminate()
            raise
    values: list[dict[str, float]] = [{}] * len(sounds)
    notes = [""] * len(sounds)
    for job, part in enumerate(parts):
        values[job::jobs], notes[job::jobs] = part.values, part.notes
    absent = {name: reason for part in parts for name, reason in part.absent.items()}
    return _without(absent, MeasuredSounds(parts[0].measures, values, notes, absent, parts[0].listener))


def _measure(names: Sequence[str], context: MeterContext, sounds: Sequence[AnalysedAudio],
             title: str = "") -> MeasuredSounds:
    """Measure in this process, with a progress bar if it has a title."""
    meters, absent = open_meters(names, context)
    values, notes = [], []
    for sound in with_progress(sounds, title, "sound") if title else sounds:
        found, note = measure_one(meters, sound, absent)
        values.append(found)
        notes.append(note)
    measures = tuple(measure for meter in meters for measure in meter.measures)
    listener = "; ".join(meter.listener for meter in meters if meter.listener)
    return _without(absent, MeasuredSounds(measures, values, notes, absent, listener))


def measure_one(meters: Sequence[Meter], sound: AnalysedAudio, absent: dict[str, str]) -> tuple[dict[str, float], str]:
    """Values and notes of all meters; one that fails is entered in `absent` and not used again."""
    values: dict[str, float] = {}
    notes = []
    for meter in meters:
        if any(measure.name in absent for measure in meter.measures):
            continue
        try:
            values.update(meter.measure(sound))
            notes.append(meter.notes(sound))
        except Exception as error:  # whatever it is, the other meters' numbers shall not be lost
            logger.warning("%s fails and is left out: %s: %s", type(meter).__name__, type(error).__name__, error)
            absent |= {measure.name: f"failed: {type(error).__name__}: {error}" for measure in meter.measures}
    return values, "; ".join(note for note in notes if note)


def _without(absent: Mapping[str, str], found: MeasuredSounds) -> MeasuredSounds:
    """The measurements without meters that failed: a mean over a part of the sounds would mislead."""
    return found._replace(
        measures=tuple(measure for measure in found.measures if measure.name not in absent),
        values=[{name: value for name, value in values.items() if name not in absent} for values in found.values])
