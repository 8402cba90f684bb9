"""Preparation of a corpus: mono 16-bit wavs of one rate, filelists, and a report of rejected utterances.

    plan = PreparationPlan(Path("data/ljs"), AudioRules(rate=22050), jobs=8)
    status = prepare(require_valid(scan_corpus(Path("LJSpeech-1.1"))), plan)

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
from corpora.recordings import find_damage, quiet_decoder
from corpora.scan import SourceUtterance, SpeechRequest, check_overwriting, counted
from text import TextProcessor, UnknownSymbolError, espeak
from utils import printable, write_text_atomic

_MANIFEST = "manifest.jsonl"
_SHOWN = 20  # lines of the report on the console
SILENT_PEAK = 1e-3  # -60 dBFS
QUIET_PEAK = 10 ** (-30 / 20)  # -30 dBFS
_TOP = 0.999  # no prepared wav peaks above it
FAST_TEMPO, IMPOSSIBLE_TEMPO = 35, 100  # characters per second; speech has about 15
SPLITS = ("train", "val", "test")
_SHARD = 16  # files that one process takes at a time


@dataclass(frozen=True)
class AudioRules:
    """Rate, trimming and length of every prepared wav."""

    rate: int = 22050  # Hz
    trim_db: float | None = 40.0  # cut ends that are this far below the loudest 10 ms; None cuts nothing
    trim_margin: float = 0.05  # seconds of silence that stay at each end
    min_seconds: float = 0.1
    max_seconds: float = 20.0


@dataclass(frozen=True)
class PreparationPlan:
    """Options of a preparation: output folder, audio, splits, cleaners, processes."""

    out: Path
    rules: AudioRules
    validation: float = 0.02  # share of the utterances
    test: float = 0.0  # share of the utterances
    text_cleaners: tuple[str, ...] = ()  # empty leaves the text as it is
    language: str = "en-us"
    jobs: int = 1  # processes
    strict: bool = False  # write nothing if any utterance is bad
    checked: DataConfig | None = None  # reject texts with symbols that this configuration's table lacks
    engine: str = "local"  # or "ray"


class ConversionResult(NamedTuple):
    """Result of converting one utterance."""

    fault: str | None  # why it cannot be used; None if it can
    warnings: tuple[str, ...]
    seconds: float


def split_position(utterance: str) -> float:
    """A hash of an utterance's id in [0, 1): below `validation` is validation, then `test`, the rest is training."""
    return int.from_bytes(hashlib.blake2b(utterance.encode(), digest_size=8).digest(), "big") / 2**64


def split_ids(ids: Sequence[str], validation: float, test: float) -> dict[str, list[int]]:
    """Indices of `ids` in train, val and test, by the hash of each id; an empty val or train gets the nearest id."""
    places: dict[str, list[int]] = {split: [] for split in SPLITS}
    numbers = [split_position(utterance) for utterance in ids]
    for place, number in enumerate(numbers):
        split = "val" if number < validation else "test" if number < validation + test else "train"
        places[split].append(place)
    if len(ids) >= 2 and not places["val"] and validation > 0:
        _move(places, "val", numbers.index(min(numbers)))
    if len(ids) >= 2 and not places["train"]:
        _move(places, "train", numbers.index(max(numbers)))
    return places


def condition_audio(wav: Wav, rules: AudioRules) -> tuple[np.ndarray, tuple[str, ...]]:
    """Resample, trim and limit the peak of a recording: [S] samples to write, and warnings about the original.

    Raises:
        AudioError: silent, or too short or too long after trimming; without the file's name.
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


def convert_utterance(source: SourceUtterance, plan: PreparationPlan, write: bool) -> ConversionResult:
    """Make the wav of one utterance, written only if `write`; errors are returned, not raised."""
    rules = plan.rules
    try:
        if isinstance(source.origin, SpeechRequest):
            name = f"{source.origin.engine}'s speech by {source.origin.voice}"
            spoken, rate = _speak(source.text, source.origin)
            if len(spoken) == 0:
                raise AudioError(f"{name} holds 0 samples; is there a word in its text?")
            wav, odd = Wav(spoken.astype(np.float32) / 32768, rate), ()
        else:
            name = source.origin
            # a recording of ten times max_seconds may still be short enough after trimming
            with quiet_decoder(name):
                wav = read_wav(name, clip=False, max_seconds=10 * rules.max_seconds, span=source.span)
                lost = find_damage(Path(name), len(wav.samples), source.span)
            odd = (f"is damaged: {lost}",) if lost else ()
        try:
            samples, warnings = condition_audio(wav, rules)
        except AudioError as error:
            raise AudioError(f"{name} {error}") from None
    except AudioError as error:
        return ConversionResult(str(error), (), 0.0)
    if write:
        write_wav(_target(source, plan), samples, rules.rate)
    return ConversionResult(None, tuple(f"{name} {warning}" for warning in odd + warnings), len(samples) / rules.rate)


def _speak(text: str, spoken: SpeechRequest) -> tuple[np.ndarray, int]:
    """int16 samples [S] and their rate in Hz."""
    if spoken.engine == "flite":
        return flite.speak(text, spoken.voice)
    return next(espeak.speak([text], spoken.voice, spoken.words_per_minute)), espeak.SAMPLING_RATE


def convert_utterances(sources: Sequence[SourceUtterance], plan: PreparationPlan, write: bool,
                       ) -> list[ConversionResult]:
    """Convert what the manifest does not have yet; each finished file enters it at once, so that a run can resume."""
    known = _read_manifest(plan.out / _MANIFEST)
    results: dict[str, ConversionResult] = {}
    stale, fingerprints = [], []
    for source in sources:
        fingerprint = _fingerprint(source, plan.rules)
        record = known.get(source.id)
        if record and record["from"] == fingerprint and _target(source, plan).is_file():
            results[source.id] = ConversionResult(None, tuple(record["warnings"]), record["seconds"])
        else:
            stale.append(source)
            fingerprints.append(fingerprint)
    if write:
        plan.out.mkdir(parents=True, exist_ok=True)
    with open(plan.out / _MANIFEST if write else os.devnull, "a", encoding="utf-8") as manifest:
        # The manifest is the journal: it has single files, and detects a changed one.
        jobs = plan.jobs if plan.engine != "local" else min(plan.jobs, len(stale) // 32)  # a process is slow to start
        finished = tqdm(run_map(partial(convert_utterance, plan=plan, write=write), stale, plan.engine, jobs,
                                shard=_SHARD if jobs > 1 else 1, place_of=lambda number: stale[number].place),
                        total=len(stale),
                        desc="audio", unit="file", disable=None)  # None: no bar where there is no terminal
        for source, fingerprint, (fault, warnings, seconds) in zip(stale, fingerprints, finished):
            results[source.id] = result = ConversionResult(fault, tuple(warnings), seconds)
            if result.fault is None:
                record = {"id": source.id, "from": fingerprint, "warnings": result.warnings, "seconds": result.seconds}
                manifest.write(json.dumps(record, ensure_ascii=False) + "\n")
                manifest.flush()
    return [results[source.id] for source in sources]


def prepare(sources: list[SourceUtterance], plan: PreparationPlan) -> int:
    """Convert, clean, split and report; returns the exit status.

    Raises:
        FilelistError: repeated ids, or symbols that the configuration's table lacks.
        ValueError: no utterance can be used, or the corpus itself would be overwritten.
    """
    _check_ids(sources)
    check_overwriting(sources, plan.out / "wavs", [plan.out / f"{split}.txt" for split in SPLITS])
    texts, damaged = [source.text for source in sources], {}
    if plan.checked is not None:
        damaged = _check_symbols(sources, TextProcessor.from_config(plan.checked))
    if plan.text_cleaners:
        texts, more = text_processor(plan.text_cleaners, plan.language).clean_each(texts)
        damaged |= more
    results = convert_utterances(sources, plan, write=not plan.strict)
    faults = [damaged.get(place) or _fault(source, text, result)
              for place, (source, text, result) in enumerate(zip(sources, texts, results))]
    bad = [f"{source.place}: {fault}" for source, fault in zip(sources, faults) if fault]
    if len(bad) == len(sources):
        none = f"none of {len(bad)} utterances can" if len(bad) > 1 else "the only utterance cannot"
        raise ValueError(f"{none} be used:\n{FilelistError(bad)}")
    if bad and plan.strict:
        print(printable("\n".join(bad)), file=sys.stderr)
        found = f"{len(bad)} of {len(sources)} utterances are bad"
        print(f"{found}; nothing is written because of --strict", file=sys.stderr)
        return 2
    if plan.strict:
        results = convert_utterances(sources, plan, write=True)
    good = [place for place, fault in enumerate(faults) if fault is None]
    odd = [warning for place in good for warning in _warnings(sources[place], results[place])]
    _write_lists([sources[place] for place in good], [texts[place] for place in good],
                 [results[place].seconds for place in good], plan)
    _report(bad, odd, sum(results[place].seconds for place in good), plan)
    _print_settings([sources[place] for place in good], plan)
    return 0


def text_processor(cleaners: Sequence[str], language: str) -> TextProcessor:
    """A TextProcessor for cleaning alone, with the default symbol table."""
    return TextProcessor.from_config(DataConfig(text_cleaners=tuple(cleaners), language=language))


def clean_filelists(filelists: Sequence[str], text_index: int, text: TextProcessor, extension: str) -> None:
    """Write each filelist as FILE.extension with one column cleaned, as the published preprocess.py."""
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
    for members in places.values():
        if place in members:
            members.remove(place)
    places[to].append(place)


def _check_ids(sources: Sequence[SourceUtterance]) -> None:
    first: dict[str, str] = {}
    faults = []
    for source in sources:
        if source.id in first:
            faults.append(f"{source.place}: the utterance {source.id!r} is at {first[source.id]} already; "
                          "remove one of them")
        elif not source.id or "|" in source.id:
            faults.append(f"{source.place}: the name {source.id!r} is empty or holds a '|'; rename the file")
        first.setdefault(source.id, source.place)
    if not sources:
        faults = ["found no utterances; expected at least one"]
    if faults:
        raise FilelistError(faults)


def _check_symbols(sources: Sequence[SourceUtterance], text: TextProcessor) -> dict[int, str]:
    """Raise for symbols that the table lacks; returns index -> why a text could not be cleaned."""
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


def _fault(source: SourceUtterance, text: str, result: ConversionResult) -> str | None:
    if result.fault is None and not text.strip():
        return ("has no text, neither in a list nor in a .txt or .lab of its name beside it" if not source.text else
                f"nothing is left of its text {source.text!r} after cleaning")
    if result.fault is None and "|" in text:
        return "its text holds a '|', which separates columns"
    if result.fault is None and len(source.text) > IMPOSSIBLE_TEMPO * result.seconds:
        return f"{_tempo(source, result)}; the text belongs to another file"
    return result.fault


def _tempo(source: SourceUtterance, result: ConversionResult) -> str:
    name = f"{source.origin.engine}'s speech" if isinstance(source.origin, SpeechRequest) else source.origin
    return f"{name} has {len(source.text)} characters in {result.seconds:.2f} seconds"


def _warnings(source: SourceUtterance, result: ConversionResult) -> list[str]:
    """Warnings about an utterance: its audio, and a text too long or short for it."""
    odd = [f"the text has clock times: {source.text[:60]!r}"] if isinstance(source.origin, str) and has_clock_times(
        source.text) else []
    odd += [] if 1 <= len(source.text) / result.seconds <= FAST_TEMPO else [_tempo(source, result) + "; wrong text?"]
    return [f"{source.place}: {warning}" for warning in (*result.warnings, *odd)]


def _target(source: SourceUtterance, plan: PreparationPlan) -> Path:
    return plan.out / "wavs" / f"{source.id}.wav"


def _fingerprint(source: SourceUtterance, rules: AudioRules) -> list:
    """What a wav is made from; the wav is stale if the manifest has another one."""
    if isinstance(source.origin, SpeechRequest):
        return [source.text, *source.origin, *astuple(rules)]
    try:
        status = os.stat(source.origin)
    except OSError:
        return []
    return [source.origin, status.st_size, status.st_mtime_ns, *(source.span or ()), *astuple(rules)]


def _read_manifest(path: Path) -> dict[str, dict]:
    """id -> its last record; incomplete lines of a killed run are skipped."""
    records = {}
    for row in path.read_text(encoding="utf-8").split("\n") if path.is_file() else ():  # texts have other line breaks
        try:
            record = json.loads(row)
            records[record["id"]] = record
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return records


def _write_lists(sources: Sequence[SourceUtterance], texts: Sequence[str], seconds: Sequence[float],
                 plan: PreparationPlan) -> None:
    """Write the filelist of each split, and beside it the lengths of its audio, so that training need not measure."""
    with_speakers = len({source.speaker for source in sources}) > 1
    places = split_ids([source.id for source in sources], plan.validation, plan.test)
    for split, members in places.items():
        rows = ["|".join([_target(sources[place], plan).as_posix(),
                          *([sources[place].speaker] if with_speakers else []), texts[place]]) for place in members]
        path, rate = plan.out / f"{split}.txt", plan.rules.rate
        if rows or split == "train":
            write_text_atomic(path, "".join(row + "\n" for row in rows))
            write_index(path, AudioIndex(np.array([round(seconds[place] * rate) for place in members], np.int64),
                                         np.full(len(members), rate, np.int32)))
            print(f"{path}: {counted(len(rows), 'utterance')}")
        elif index_path(path).is_file():  # the list is one of an earlier preparation
            for earlier in (path, index_path(path)):
                earlier.unlink(missing_ok=True)


def _decibels(peak: float) -> str:
    return f"{20 * np.log10(peak):.0f} dBFS" if peak > 0 else "zero"


def _report(bad: list[str], odd: list[str], seconds: float, plan: PreparationPlan) -> None:
    """Write all rejected utterances and warnings to report.txt, and the first of them to the console."""
    rows = []
    for title, messages in ((f"left out {counted(len(bad), 'utterance')}", bad), (counted(len(odd), "warning"), odd)):
        section = [f"{title}:", *(f"  {message}" for message in messages)] if messages else []
        rows += section
        if section:
            print(printable("\n".join(section[:_SHOWN + 1])))
        if len(messages) > _SHOWN:
            print(f"  ... and {len(messages) - _SHOWN} more in {plan.out / 'report.txt'}")
    write_text_atomic(plan.out / "report.txt", "".join(row + "\n" for row in rows))
    print(f"{seconds / 60:.1f} minutes of {plan.rules.rate} Hz audio in {plan.out / 'wavs'}")


def _print_settings(sources: Sequence[SourceUtterance], plan: PreparationPlan) -> None:
    speakers = {source.speaker for source in sources if source.speaker is not None}
    are_ids = all(name.isascii() and name.isdecimal() for name in speakers)
    held_out = plan.out / "val.txt"
    if not held_out.is_file():
        held_out = plan.out / "train.txt"
        print("no utterance is held out for validation, so validation uses those of training")
    values = {"training_files": (plan.out / "train.txt").as_posix(), "validation_files": held_out.as_posix(),
              "sampling_rate": plan.rules.rate, "cleaned_text": str(bool(plan.text_cleaners)).lower(),
              "n_speakers": 0 if len(speakers) < 2 else max(map(int, speakers)) + 1 if are_ids else len(speakers)}
    if plan.text_cleaners:
        values |= {"text_cleaners": json.dumps(plan.text_cleaners), "language": plan.language}
    print("Next: train with these settings, in the configuration or by --set:")
    for key, value in values.items():
        print(printable(f"  data.{key}={value}"))
