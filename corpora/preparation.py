"""Sources become mono 16-bit wavs of one rate, with filelists and a list of what is bad.

    plan = Plan(Path("data/ljs"), AudioRules(rate=22050), jobs=8)
    status = prepare(read_ljspeech(Path("LJSpeech-1.1")), plan)

Shapes: S samples.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from audio.io import AudioError, Wav, read_wav, write_wav
from audio.resampling import resample, trim_silence
from config import DataConfig
from corpora import flite
from corpora.columns import AudioIndex, index_path, write_index
from corpora.cues import has_clock_times
from corpora.filelists import FilelistError, numbered_rows
from corpora.parallel import run_map
from corpora.recordings import damage, quiet_decoder
from corpora.scan import Source, Spoken, check_apart, counted
from text import TextProcessor, UnknownSymbolError, espeak
from utils import printable, write_text_atomic

_MANIFEST = "manifest.jsonl"
_SHOWN = 20  # lines of a list of complaints on the console
SILENT_PEAK = 1e-3  # -60 dBFS
QUIET_PEAK = 10 ** (-30 / 20)  # -30 dBFS
_TOP = 0.999  # no prepared wav peaks above it
FAST_TEMPO, IMPOSSIBLE_TEMPO = 35, 100  # characters per second; speech has about 15
SIDES = ("train", "val", "test")
_SHARD = 16  # files that one process takes at a time


@dataclass(frozen=True)
class AudioRules:
    """What every prepared wav is like."""

    rate: int = 22050  # Hz
    trim_db: float | None = 40.0  # below the loudest 10 ms, silence at the ends is cut; None cuts nothing
    trim_margin: float = 0.05  # seconds of silence that stay at each end
    min_seconds: float = 0.1
    max_seconds: float = 20.0


@dataclass(frozen=True)
class Plan:
    """What to make of the sources."""

    out: Path
    rules: AudioRules
    validation: float = 0.02  # share of the utterances
    test: float = 0.0  # share of the utterances
    text_cleaners: tuple[str, ...] = ()  # none leaves the text as it is
    language: str = "en-us"
    jobs: int = 1  # processes
    strict: bool = False  # one bad utterance, and nothing is written
    checked: DataConfig | None = None  # every text must be made of the symbols of this one's table
    engine: str = "local"  # where they run; or "ray"


class Converted(NamedTuple):
    """What became of one source."""

    fault: str | None  # why it cannot be used
    warnings: tuple[str, ...]
    seconds: float


def split_of(utterance: str) -> float:
    """A number in [0, 1) from an utterance's id: below `validation` it validates, just above that it tests."""
    return int.from_bytes(hashlib.blake2b(utterance.encode(), digest_size=8).digest(), "big") / 2**64


def split(ids: Sequence[str], validation: float, test: float) -> dict[str, list[int]]:
    """Places of `ids` in train, val and test. Each id decides for itself; only an empty side takes the nearest one."""
    places: dict[str, list[int]] = {side: [] for side in SIDES}
    numbers = [split_of(utterance) for utterance in ids]
    for place, number in enumerate(numbers):
        side = "val" if number < validation else "test" if number < validation + test else "train"
        places[side].append(place)
    if len(ids) >= 2 and not places["val"] and validation > 0:
        _move(places, "val", numbers.index(min(numbers)))
    if len(ids) >= 2 and not places["train"]:
        _move(places, "train", numbers.index(max(numbers)))
    return places


def condition(wav: Wav, rules: AudioRules) -> tuple[np.ndarray, tuple[str, ...]]:
    """Resample, trim and, if it is too loud, scale down: [S] samples to write, and what is odd about the source.

    Raises:
        AudioError: silent, or too short or too long after trimming. The message lacks the file's name.
    """
    size = np.abs(wav.samples)
    peak = float(size.max())
    if peak < SILENT_PEAK:
        raise AudioError(f"is silent: its peak is {_decibels(peak)}, at least {_decibels(SILENT_PEAK)} is expected")
    warnings = []
    if peak > 1:
        warnings.append(f"peaks at {peak:.2f}, beyond 1; scaled down")
    if np.mean(size >= 0.999 * peak) > 1e-3:
        warnings.append(f"is clipped: {100 * np.mean(size >= 0.999 * peak):.1f} % of its samples lie at the peak")
    if abs(wav.samples.mean()) > 0.02:
        warnings.append(f"has an offset of {wav.samples.mean():.2f} from zero")
    if peak < QUIET_PEAK:
        warnings.append(f"is quiet: its peak is {_decibels(peak)}")
    samples = resample(wav.samples, wav.sampling_rate, rules.rate)
    if rules.trim_db is not None:
        samples = trim_silence(samples, rules.rate, rules.trim_db, rules.trim_margin)
    seconds = len(samples) / rules.rate
    if not rules.min_seconds <= seconds <= rules.max_seconds:
        raise AudioError(f"has {seconds:.2f} seconds{'' if rules.trim_db is None else ' after trimming'}; "
                         f"expected {rules.min_seconds:g} to {rules.max_seconds:g}")
    return samples * min(1.0, _TOP / max(float(np.abs(samples).max()), _TOP)), tuple(warnings)


def convert(source: Source, plan: Plan, write: bool) -> Converted:
    """Make one wav, unless not to `write`; what is wrong with its source is a result, not an exception."""
    rules = plan.rules
    try:
        if isinstance(source.origin, Spoken):
            name = f"{source.origin.engine}'s speech by {source.origin.voice}"
            spoken, rate = _speak(source.text, source.origin)
            if len(spoken) == 0:
                raise AudioError(f"{name} holds 0 samples; is there a word in it?")
            wav, odd = Wav(spoken.astype(np.float32) / 32768, rate), ()
        else:
            name = source.origin
            # more than 9/10 silence is no speech
            with quiet_decoder(name):
                wav = read_wav(name, clip=False, max_seconds=10 * rules.max_seconds, span=source.span)
                lost = damage(Path(name), len(wav.samples), source.span)
            odd = (f"is damaged: {lost}",) if lost else ()
        try:
            samples, warnings = condition(wav, rules)
        except AudioError as error:
            raise AudioError(f"{name} {error}") from None
    except AudioError as error:
        return Converted(str(error), (), 0.0)
    if write:
        write_wav(_target(source, plan), samples, rules.rate)
    return Converted(None, tuple(f"{name} {warning}" for warning in odd + warnings), len(samples) / rules.rate)


def _speak(text: str, spoken: Spoken) -> tuple[np.ndarray, int]:
    """int16 samples [S] and their rate in Hz."""
    if spoken.engine == "flite":
        return flite.speak(text, spoken.voice)
    return next(espeak.speak([text], spoken.voice, spoken.words_per_minute)), espeak.SAMPLING_RATE


def convert_all(sources: Sequence[Source], plan: Plan, write: bool) -> list[Converted]:
    """Convert what is not converted yet; each finished file is noted at once, so that a stopped run can go on."""
    known = _read_manifest(plan.out / _MANIFEST)
    results: dict[str, Converted] = {}
    stale, marks = [], []
    for source in sources:
        mark = _mark(source, plan.rules)
        record = known.get(source.id)
        if record and record["from"] == mark and _target(source, plan).is_file():
            results[source.id] = Converted(None, tuple(record["warnings"]), record["seconds"])
        else:
            stale.append(source)
            marks.append(mark)
    if write:
        plan.out.mkdir(parents=True, exist_ok=True)
    with open(plan.out / _MANIFEST if write else os.devnull, "a", encoding="utf-8") as manifest:
        # This manifest is the journal: it knows single files, and it knows when one has changed.
        jobs = plan.jobs if plan.engine != "local" else min(plan.jobs, len(stale) // 32)  # a process is slow to start
        finished = tqdm(run_map(partial(convert, plan=plan, write=write), stale, plan.engine, jobs,
                                shard=_SHARD if jobs > 1 else 1, place_of=lambda number: stale[number].place),
                        total=len(stale),
                        desc="audio", unit="file", disable=None)  # None: no bar where there is no terminal
        for source, mark, (fault, warnings, seconds) in zip(stale, marks, finished):
            results[source.id] = result = Converted(fault, tuple(warnings), seconds)
            if result.fault is None:
                record = {"id": source.id, "from": mark, "warnings": result.warnings, "seconds": result.seconds}
                manifest.write(json.dumps(record, ensure_ascii=False) + "\n")
                manifest.flush()
    return [results[source.id] for source in sources]


def prepare(sources: list[Source], plan: Plan) -> int:
    """Convert, clean, split and report; gives back the exit status.

    Raises:
        FilelistError: ids that come twice, or symbols that the configuration's table lacks.
        ValueError: nothing can be used, or the corpus itself would be written over.
    """
    _check_ids(sources)
    check_apart(sources, plan.out / "wavs", [plan.out / f"{side}.txt" for side in SIDES])
    texts, damaged = [source.text for source in sources], {}
    if plan.checked is not None:
        damaged = _check_symbols(sources, TextProcessor.from_config(plan.checked))
    if plan.text_cleaners:
        texts, more = text_processor(plan.text_cleaners, plan.language).clean_each(texts)
        damaged |= more
    results = convert_all(sources, plan, write=not plan.strict)
    faults = [damaged.get(place) or _fault(source, text, result)
              for place, (source, text, result) in enumerate(zip(sources, texts, results))]
    bad = [f"{source.place}: {fault}" for source, fault in zip(sources, faults) if fault]
    if len(bad) == len(sources):
        none = f"none of {len(bad)} utterances can" if len(bad) > 1 else "the only utterance cannot"
        raise ValueError(f"{none} be used:\n{FilelistError(bad)}")
    if bad and plan.strict:
        print(printable("\n".join(bad)), file=sys.stderr)
        print(f"{len(bad)} of {len(sources)} utterances are bad; nothing is written, as --strict demands",
              file=sys.stderr)
        return 2
    if plan.strict:
        results = convert_all(sources, plan, write=True)
    good = [place for place, fault in enumerate(faults) if fault is None]
    odd = [warning for place in good for warning in _warnings(sources[place], results[place])]
    _write_lists([sources[place] for place in good], [texts[place] for place in good],
                 [results[place].seconds for place in good], plan)
    _report(bad, odd, sum(results[place].seconds for place in good), plan)
    _print_settings([sources[place] for place in good], plan)
    return 0


def text_processor(cleaners: Sequence[str], language: str) -> TextProcessor:
    """What cleans texts alone, whatever the symbols."""
    return TextProcessor.from_config(DataConfig(text_cleaners=tuple(cleaners), language=language))


def clean_filelists(filelists: Sequence[str], text_index: int, text: TextProcessor, extension: str) -> None:
    """The published door: write each filelist again with one column cleaned."""
    tables = {path: [(place, row.split("|")) for place, row in numbered_rows(path)] for path in filelists}
    faults = [f"{place}: found {counted(len(columns), 'column')}, --text_index is {text_index} (the first is 0)"
              for table in tables.values() for place, columns in table if not 0 <= text_index < len(columns)]
    if faults:
        raise FilelistError(faults)
    for path, table in tables.items():
        cleaned, damaged = text.clean_each([columns[text_index] for _, columns in table])
        if damaged:
            raise FilelistError([f"{table[row][0]}: {fault}" for row, fault in damaged.items()])
        for (_, columns), replacement in zip(table, cleaned):
            columns[text_index] = replacement
        write_text_atomic(f"{path}.{extension}", "".join("|".join(columns) + "\n" for _, columns in table))
        print(f"{path} -> {path}.{extension}: {counted(len(table), 'line')}")


def _move(places: dict[str, list[int]], to: str, place: int) -> None:
    for side in places.values():
        if place in side:
            side.remove(place)
    places[to].append(place)


def _check_ids(sources: Sequence[Source]) -> None:
    first: dict[str, str] = {}
    faults = []
    for source in sources:
        if source.id in first:
            faults.append(f"{source.place}: the utterance {source.id!r} stands at {first[source.id]} already; "
                          "remove one of them")
        elif not source.id or "|" in source.id:
            faults.append(f"{source.place}: the name {source.id!r} is empty or holds a '|'; rename the file")
        first.setdefault(source.id, source.place)
    if not sources:
        faults = ["found no utterances; expected at least one"]
    if faults:
        raise FilelistError(faults)


def _check_symbols(sources: Sequence[Source], text: TextProcessor) -> dict[int, str]:
    """Refuse symbols that the table lacks; gives back place -> why a text could not be cleaned."""
    faults = []
    lines, damaged = text.clean_each([source.text for source in sources])
    for source, cleaned in zip(sources, lines):
        try:
            if cleaned.strip():  # an empty text is a fault of that line alone
                text.encode(cleaned)
        except UnknownSymbolError as error:
            faults.append(f"{source.place}: {error}")
    if faults:
        raise FilelistError(faults)
    return damaged


def _fault(source: Source, text: str, result: Converted) -> str | None:
    if result.fault is None and not text.strip():
        return ("has no text, neither in a list nor in a .txt or .lab of its name beside it" if not source.text else
                f"nothing is left of its text {source.text!r} after cleaning")
    if result.fault is None and "|" in text:
        return "its text holds a '|', which separates columns"
    if result.fault is None and len(source.text) > IMPOSSIBLE_TEMPO * result.seconds:
        return f"{_tempo(source, result)}; the text belongs to another file"
    return result.fault


def _tempo(source: Source, result: Converted) -> str:
    name = f"{source.origin.engine}'s speech" if isinstance(source.origin, Spoken) else source.origin
    return f"{name} has {len(source.text)} characters in {result.seconds:.2f} seconds"


def _warnings(source: Source, result: Converted) -> list[str]:
    """What is odd about a source: its audio, and a text too long or short for it."""
    odd = [f"the text has clock times: {source.text[:60]!r}"] if isinstance(source.origin, str) and has_clock_times(
        source.text) else []
    odd += [] if 1 <= len(source.text) / result.seconds <= FAST_TEMPO else [_tempo(source, result) + "; wrong text?"]
    return [f"{source.place}: {warning}" for warning in (*result.warnings, *odd)]


def _target(source: Source, plan: Plan) -> Path:
    return plan.out / "wavs" / f"{source.id}.wav"


def _mark(source: Source, rules: AudioRules) -> list:
    """What a wav was made of; if it differs from the manifest's, the wav is stale."""
    if isinstance(source.origin, Spoken):
        return [source.text, *source.origin, *astuple(rules)]
    try:
        status = os.stat(source.origin)
    except OSError:
        return []
    return [source.origin, status.st_size, status.st_mtime_ns, *(source.span or ()), *astuple(rules)]


def _read_manifest(path: Path) -> dict[str, dict]:
    """id -> its last record; a line torn by a kill is skipped."""
    records = {}
    for row in path.read_text(encoding="utf-8").split("\n") if path.is_file() else ():  # rarer marks are in texts
        try:
            record = json.loads(row)
            records[record["id"]] = record
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return records


def _write_lists(sources: Sequence[Source], texts: Sequence[str], seconds: Sequence[float], plan: Plan) -> None:
    """Write each side's filelist, and beside it the lengths of its audio, so that training need not measure them."""
    with_speakers = len({source.speaker for source in sources}) > 1
    places = split([source.id for source in sources], plan.validation, plan.test)
    for side, members in places.items():
        rows = ["|".join([_target(sources[place], plan).as_posix(),
                          *([sources[place].speaker] if with_speakers else []), texts[place]]) for place in members]
        path, rate = plan.out / f"{side}.txt", plan.rules.rate
        if rows or side == "train":
            write_text_atomic(path, "".join(row + "\n" for row in rows))
            write_index(path, AudioIndex(np.array([round(seconds[place] * rate) for place in members], np.int64),
                                         np.full(len(members), rate, np.int32)))
            print(f"{path}: {counted(len(rows), 'utterance')}")
        elif index_path(path).is_file():  # by which we know the list for one of ours
            for earlier in (path, index_path(path)):
                earlier.unlink(missing_ok=True)


def _decibels(peak: float) -> str:
    return f"{20 * np.log10(peak):.0f} dBFS" if peak > 0 else "zero"


def _report(bad: list[str], odd: list[str], seconds: float, plan: Plan) -> None:
    """Everything goes to report.txt, the beginning of it to the console."""
    rows = []
    for title, complaints in ((f"left out {counted(len(bad), 'utterance')}", bad),
                              (counted(len(odd), "warning"), odd)):
        rows += [f"{title}:", *(f"  {complaint}" for complaint in complaints)] if complaints else []
        if complaints:
            print(printable("\n".join([f"{title}:", *(f"  {complaint}" for complaint in complaints[:_SHOWN])])))
        if len(complaints) > _SHOWN:
            print(f"  ... and {len(complaints) - _SHOWN} more in {plan.out / 'report.txt'}")
    write_text_atomic(plan.out / "report.txt", "".join(row + "\n" for row in rows))
    print(f"{seconds / 60:.1f} minutes of {plan.rules.rate} Hz audio in {plan.out / 'wavs'}")


def _print_settings(sources: Sequence[Source], plan: Plan) -> None:
    speakers = {source.speaker for source in sources if source.speaker is not None}
    are_ids = all(name.isascii() and name.isdecimal() for name in speakers)
    held_out = plan.out / "val.txt"
    if not held_out.is_file():
        held_out = plan.out / "train.txt"
        print("no utterance is held out for validation, so it takes those of training")
    values = {"training_files": (plan.out / "train.txt").as_posix(), "validation_files": held_out.as_posix(),
              "sampling_rate": plan.rules.rate, "cleaned_text": str(bool(plan.text_cleaners)).lower(),
              "n_speakers": 0 if len(speakers) < 2 else max(map(int, speakers)) + 1 if are_ids else len(speakers)}
    if plan.text_cleaners:
        values |= {"text_cleaners": json.dumps(plan.text_cleaners), "language": plan.language}
    print("Next: train with these settings, in the configuration or by --set:")
    for key, value in values.items():
        print(printable(f"  data.{key}={value}"))
