"""Checks of a corpus: findings about its audio and texts, each with place, severity, expectation and advice.

    scan = scan_corpus(Path("mine.txt"))
    findings = check_corpus(scan, list(measure_all(scan, limits, jobs=8)), limits)     # see recordings.py
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from audio.io import UNREADABLE_ENDINGS
from config import DataConfig
from corpora.cues import has_clock_times
from corpora.parallel import run_map
from corpora.preparation import FAST_TEMPO, IMPOSSIBLE_TEMPO, QUIET_PEAK, SILENT_PEAK
from corpora.recordings import OUTLINE, VERSION, Measurements, Recording, measure
from corpora.scan import CorpusScan, SourceUtterance, counted
from text import RARE, TextProcessor, rare_symbols
from utils import write_text_atomic

SEVERITIES = ("error", "warning", "note")  # unusable; probably wrong or harmful to quality; for information
_TEXTS_AT_ONCE = 256  # espeak-ng is started once for so many
_FEWEST = 20  # utterances for an estimate of the usual tempo
_LEAST_SPREAD = 0.02  # of the logarithm of the tempo: synthetic corpora have hardly any
_SHOWN_TEXT = 60  # characters
_ENOUGH_TEXTS = 200  # fewer have too little of every symbol


class Kind(NamedTuple):
    """A kind of finding."""

    severity: str
    expected: str  # may name a limit
    advice: str


KINDS = {
    "columns": Kind("error", "", "a '|' inside a name or a text counts as a separator; repair the line"),
    "name": Kind("error", "a path without '|'", "rename the file: '|' separates the columns of a filelist"),
    "missing": Kind("error", "an audio file", "correct the path, or remove the line"),
    "unreadable": Kind("error", "audio", "replace the file, or remove the line"),
    "silent": Kind("error", "a peak of at least {silent_peak:g}", "record it again, or remove the line"),
    "too_short": Kind("error", "{min_seconds:g} seconds or more", "remove the line"),
    "too_long": Kind("error", "{max_seconds:g} seconds or less", "cut it into utterances"),
    "no_text": Kind("error", "a text for each file", "write NAME.txt beside NAME.wav, or metadata.csv with audio|text"),
    "empty_text": Kind("error", "what is said", "write the text, or remove the line"),
    "not_normalised": Kind("error", "a text that the cleaners can write out", "change the text, or remove the line"),
    "unknown_symbol": Kind("error", "symbols of the configuration's table",
                           "change the text, or data.text_cleaners, or data.symbols"),
    "crowded": Kind("error", "a text that the audio has time for", "the text belongs to another file; correct it"),
    "duplicate_conflict": Kind("error", "one text for one recording", "listen, and remove the line that is wrong"),
    "same_name": Kind("error", "a name of its own for every utterance", "rename the file, or remove the line"),
    "unknown_script": Kind("warning", "letters that espeak-ng's language has rules for",
                           "write them in a script of the language; espeak-ng says their names, or nothing"),
    "truncated": Kind("warning", "all the audio as it was encoded", "copy the file again from its origin"),
    "clipped": Kind("warning", "no flat tops", "record it with less gain; it cannot be repaired"),
    "beyond_one": Kind("warning", "samples between -1 and 1", "prepare scales it down; so does --repair loudness"),
    "offset": Kind("warning", "a mean below {offset:g}", "--repair dc"),
    "quiet": Kind("warning", "a peak of at least {quiet_peak:.3f}", "--repair loudness"),
    "noisy": Kind("warning", "speech {snr_db:g} dB above the noise", "listen; record it again, or remove the line"),
    "silence": Kind("warning", "at most {edge_seconds:g} seconds of silence at an end", "--repair trim; prepare trims"),
    "rate": Kind("warning", "{rate} Hz", "--repair resample; prepare resamples"),
    "silent_channel": Kind("warning", "speech in every channel", "the mean is quieter; export the one that speaks"),
    "tempo": Kind("warning", "characters a second as in the rest", "listen; too much or too little text?"),
    "duplicate_audio": Kind("warning", "every recording once", "remove one of the lines"),
    "near_duplicate": Kind("warning", "every recording once", "listen to both; if they are one, remove a line"),
    "clock_times": Kind("warning", "a text without the times of a transcript", "take the times out of the text, or "
                        "give the transcript as NAME.srt beside NAME.wav, by which it is cut"),
    "unconvertible": Kind("warning", "audio that can be read", "convert it, or remove it"),
    "unlike_text": Kind("warning", "what the trained voice expects of the text", "listen; correct the text"),
    "rare_symbol": Kind("note", f"{RARE} of each symbol", "add sentences with them, or respell foreign words"),
    "channels": Kind("note", "1 channel", "prepare and --repair take the mean of the channels"),
    "coarse": Kind("note", "16 bits or more", "use the original if there is one"),
    "disguised": Kind("note", "an ending that names the format", "rename the file; it is read all the same"),
    "short_for_training": Kind("note", "{segment_seconds:.2f} seconds, a training segment",
                               "training pads it with silence"),
    "unlisted": Kind("note", "a line for each audio file", "add lines with their texts, or leave them out"),
    "duplicate_text": Kind("note", "other words", "none, if they were said twice"),
}
_COARSE = ("PCM_U8", "PCM_S8", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610")
_ENDINGS_OF = {"WAV": (".wav",), "WAVEX": (".wav",), "RF64": (".wav",), "FLAC": (".flac",), "MP3": (".mp3",),
               "OGG": (".ogg", ".oga", ".opus")}


@dataclass(frozen=True)
class Limits:
    """Thresholds of the checks."""

    rate: int | None = None  # Hz; None: what most of the files have
    min_seconds: float = 0.1
    max_seconds: float = 20.0
    edge_seconds: float = 0.5  # of silence at either end
    snr_db: float = 15.0  # measured only in what is longer than a second
    offset: float = 0.02
    clipped: float = 1e-3  # share of the samples in flat tops
    robust_z: float = 5.0  # median absolute deviations, as if of a normal distribution
    silent_peak: float = SILENT_PEAK
    quiet_peak: float = QUIET_PEAK
    segment_seconds: float = 0.0  # of training; 0 without a configuration
    hop_seconds: float = 0.0  # of a frame; 0 without a configuration

    @property
    def longest(self) -> float:
        """Seconds beyond which a file is not read, so that no file fills the memory."""
        return 10 * self.max_seconds


class Finding(NamedTuple):
    """A problem of one utterance or line."""

    kind: str
    place: str  # "file:number"
    audio: str  # "" where the line names none
    text: str
    found: str
    expected: str
    span: tuple[float, float] | None = None  # seconds of the audio file; None is all of it

    @property
    def severity(self) -> str:
        """ "error", "warning" or "note"."""
        return KINDS[self.kind].severity

    @property
    def advice(self) -> str:
        """What to do."""
        return KINDS[self.kind].advice


class TextEncoding(NamedTuple):
    """Result of cleaning and encoding one text with a configuration."""

    symbols: int  # with blanks, begin and end
    fault: str
    kind: str  # of the fault
    cleaned: str = ""  # as it is encoded


def measure_all(scan: CorpusScan, limits: Limits, engine: str = "local", jobs: int = 1, journal: Path | None = None,
                ) -> Iterator[Measurements]:
    """Measure the audio of each utterance, in order; unchanged files that the journal has are not read again."""
    files = (Recording.of(source.origin, limits.longest, source.span) for source in scan.sources)
    for values in run_map(measure, files, engine, jobs, journal and journal / f"audio-{VERSION}",
                          place_of=lambda number: scan.sources[number].place):
        yield Measurements(*values)


def encode_texts(scan: CorpusScan, data: DataConfig, engine: str = "local", jobs: int = 1, journal: Path | None = None,
                 ) -> list[TextEncoding]:
    """Clean and encode each utterance's text with a configuration's symbol table, as training or preparation will.

    Only a filelist may be cleaned already, if `data.cleaned_text` says so; other corpora are as people write.
    """
    if scan.layout != "filelist":
        data = replace(data, cleaned_text=False)
    # The symbols themselves: results of the journal are stale once the file that lists them has changed.
    data = replace(data, symbols=TextProcessor.from_config(data).symbols.symbols)
    texts = [source.text for source in scan.sources]
    blocks = [(data, tuple(texts[start:start + _TEXTS_AT_ONCE])) for start in range(0, len(texts), _TEXTS_AT_ONCE)]
    results = run_map(_encode_block, blocks, engine, min(jobs, len(blocks)), journal and journal / "text", shard=4,
                      place_of=lambda number: _block_place(scan.sources[number * _TEXTS_AT_ONCE:][:_TEXTS_AT_ONCE]))
    return [TextEncoding(*values) for block in results for values in block]


def check_corpus(scan: CorpusScan, sounds: Sequence[Measurements], limits: Limits,
                 encodings: Sequence[TextEncoding] = ()) -> list[Finding]:
    """All findings, errors first, otherwise in the corpus's order.

    Args:
        scan: of N utterances.
        sounds: [N], of `measure_all`.
        limits: thresholds.
        encodings: [N], of `encode_texts`; none without a configuration.
    """
    rate = limits.rate or usual_rate(sounds)
    names = {**asdict(limits), "rate": rate}
    found: list[list[tuple[str, str]]] = [[*_audio_faults(source, sound, limits, rate)]
                                          for source, sound in zip(scan.sources, sounds)]
    if scan.has_texts:
        for row, (source, sound) in enumerate(zip(scan.sources, sounds)):
            found[row] += _text_faults(source, sound, encodings[row] if encodings else None, limits)
        _add(found, _tempo_outliers(scan.sources, sounds, limits.robust_z))
        _add(found, _same_texts(scan.sources))
        _add(found, _same_names(scan.sources))
    _add(found, _same_audio(scan.sources, sounds))
    findings = [Finding("columns", row.place, "", "", row.found, row.expected) for row in scan.bad_rows]
    if not scan.has_texts:
        folder = os.path.commonpath([os.path.dirname(source.place) for source in scan.sources])
        findings.append(Finding("no_text", folder or os.curdir, "", "", scan.no_text_message,
                                KINDS["no_text"].expected))
    if len(encodings) >= _ENOUGH_TEXTS and (rare := rare_symbols(Counter("".join(each.cleaned for each in encodings)))):
        findings.append(Finding("rare_symbol", os.path.dirname(scan.sources[0].place) or os.curdir, "", "",
                                f"symbols that occur fewer than {RARE} times: {rare}", KINDS["rare_symbol"].expected))
    findings += [Finding(kind, os.path.dirname(first), "", "", what, KINDS[kind].expected)
                 for kind, first, what in unlisted_audio(scan)]
    findings += [Finding(kind, source.place, source.origin, source.text, what, KINDS[kind].expected.format(**names),
                         source.span)
                 for source, faults in zip(scan.sources, found) for kind, what in faults]
    return by_severity(findings)


def unlisted_audio(scan: CorpusScan) -> list[tuple[str, str, str]]:
    """(kind, the first file, what was found) of audio files that the corpus's list does not name."""
    convertible = [path for path in scan.unlisted if Path(path).suffix.lower() in UNREADABLE_ENDINGS]
    readable = [path for path in scan.unlisted if Path(path).suffix.lower() not in UNREADABLE_ENDINGS]
    found = []
    if convertible:
        first, many = Path(convertible[0]), len(convertible) > 1
        endings = ", ".join(sorted({Path(path).suffix.lower() for path in convertible}))
        found.append(("unconvertible", str(first), f"{counted(len(convertible), 'file')} {'have' if many else 'has'} "
                      f"an ending that cannot be read ({endings}); convert: ffmpeg -i {first} "
                      f"{first.with_suffix('.wav')}"))
    if readable:
        found.append(("unlisted", readable[0], f"{counted(len(readable), 'audio file')} that no line names, such as "
                      f"{readable[0]}"))
    return found


def usual_rate(sounds: Iterable[Measurements]) -> int:
    """The most frequent sampling rate of the readable files, in Hz; 0 without any."""
    rates = Counter(sound.rate for sound in sounds if sound.rate)
    return rates.most_common(1)[0][0] if rates else 0


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Findings sorted by severity, errors first; the order within a severity stays."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def limits_of(data: DataConfig | None, segment_size: int = 0, **given: float | None) -> Limits:
    """Limits of a configuration, overridden by those that are given and not None."""
    known = {} if data is None else {
        "rate": data.sampling_rate, "max_seconds": data.max_wav_seconds,
        "segment_seconds": segment_size / data.sampling_rate, "hop_seconds": data.hop_length / data.sampling_rate}
    return Limits(**{**known, **{name: value for name, value in given.items() if value is not None}})


def places_to_drop(findings: Iterable[Finding], drop: Collection[str]) -> set[str]:
    """Places ("file:number") of the utterances that the cleaned list leaves out.

    Args:
        findings: of the corpus.
        drop: kinds, or "errors", "warnings", "notes" for all of a severity.

    Raises:
        ValueError: an unknown kind.
    """
    unknown = sorted(set(drop) - KINDS.keys() - {f"{severity}s" for severity in SEVERITIES})
    if unknown:
        raise ValueError(f"--drop {' '.join(unknown)}: expected errors, warnings, notes, or some of {' '.join(KINDS)}")
    return {finding.place for finding in findings if finding.kind in drop or f"{finding.severity}s" in drop}


def write_findings(out: Path, findings: Sequence[Finding]) -> None:
    """Write findings.jsonl, one finding a line."""
    rows = (json.dumps({"severity": finding.severity, **finding._asdict(), "advice": finding.advice},
                       ensure_ascii=False).replace('"span": null, ', "") for finding in findings)
    write_text_atomic(out / "findings.jsonl", "".join(row + "\n" for row in rows))


def write_list(path: Path, sources: Sequence[SourceUtterance]) -> None:
    """Write a filelist: path|text, or path|speaker|text for several speakers; parts of files are left out."""
    sources = [source for source in sources if source.span is None]
    with_speakers = len({source.speaker for source in sources}) > 1
    write_text_atomic(path, "".join("|".join([source.origin, *([source.speaker or ""] if with_speakers else []),
                                              source.text]) + "\n" for source in sources))


def summary(scan: CorpusScan, sounds: Sequence[Measurements], findings: Sequence[Finding]) -> str:
    """Summary of a corpus: size, medians of the audio, and the count of each kind of finding with an example."""
    readable = [sound for sound in sounds if sound.digest]
    seconds = sum(sound.seconds for sound in sounds)
    rows = [f"{counted(len(scan.sources), 'utterance')} ({scan.layout}), {seconds / 3600:.2f} hours of audio",
            *scan.notes]
    if readable:
        rates = Counter(sound.rate for sound in readable)
        middles = [float(np.median([getattr(sound, name) for sound in readable]))
                   for name in ("seconds", "peak", "floor_db", "snr_db")]
        rows += [f"rates: {', '.join(f'{rate} Hz {count}' for rate, count in rates.most_common())}",
                 f"medians: {middles[0]:.2f} seconds, peak {middles[1]:.2f}, noise floor {middles[2]:.0f} dBFS, "
                 f"speech {middles[3]:.0f} dB above it"]
    counts = Counter(finding.kind for finding in findings)
    examples = {finding.kind: finding for finding in reversed(findings)}
    rows += ["", f"{'severity':<9} {'kind':<19} {'count':>7}  first"] if counts else ["", "nothing is wrong"]
    rows += [f"{KINDS[kind].severity:<9} {kind:<19} {counts[kind]:>7}  {examples[kind].place}: {examples[kind].found}"
             for kind in KINDS if counts[kind]]
    return "\n".join(rows)


def _add(found: list[list[tuple[str, str]]], more: Iterable[tuple[int, str, str]]) -> None:
    for row, kind, what in more:
        found[row].append((kind, what))


def _audio_faults(source: SourceUtterance, sound: Measurements, limits: Limits, usual_rate: int,
                  ) -> Iterator[tuple[str, str]]:
    """(kind, what was found) of one audio file."""
    if "|" in source.origin:
        yield "name", repr(Path(source.origin).name)
    if sound.fault:
        yield sound.fault, sound.reason
        return
    speech = sound.speech_seconds
    container, ending = sound.kind.partition(" ")[0], Path(source.origin).suffix.lower()
    is_silent = sound.peak < limits.silent_peak
    faults = (
        ("silent", is_silent, f"a peak of {sound.peak:.5f}"),
        ("too_long", sound.seconds > limits.max_seconds, f"{sound.seconds:.2f} seconds"),
        ("too_short", speech < limits.min_seconds, f"{speech:.3f} seconds without the silence at its ends"),
        ("rate", sound.rate != usual_rate, f"{sound.rate} Hz"),
        ("channels", sound.channels > 1, f"{sound.channels} channels"),
        ("silent_channel", 0 < sound.silent_channels < sound.channels,
         f"{sound.silent_channels} of {sound.channels} channels silent"),
        ("truncated", bool(sound.damage), sound.damage),
        ("coarse", sound.kind.split(" ")[-1] in _COARSE, sound.kind),
        ("disguised", ending not in _ENDINGS_OF.get(container, (ending,)), f"{container} in {ending}"),
        ("beyond_one", sound.peak > 1, f"a peak of {sound.peak:.2f}"),
        ("clipped", sound.clipped > limits.clipped and not is_silent, f"{100 * sound.clipped:.1f} % at the very top"),
        ("offset", abs(sound.offset) > limits.offset, f"a mean of {sound.offset:.3f}"),
        ("quiet", limits.silent_peak <= sound.peak < limits.quiet_peak, f"a peak of {sound.peak:.3f}"),
        ("noisy", sound.seconds > 1 and sound.digest and not is_silent and sound.snr_db < limits.snr_db,
         f"{sound.snr_db:.0f} dB between speech ({sound.speech_db:.0f} dBFS) and pauses ({sound.floor_db:.0f} dBFS)"),
        ("silence", max(sound.before, sound.behind) > limits.edge_seconds and not is_silent,
         f"{sound.before:.2f} seconds before the speech, {sound.behind:.2f} behind it"),
        ("short_for_training", limits.min_seconds <= speech and sound.seconds < limits.segment_seconds,
         f"{sound.seconds:.2f} seconds"))
    yield from ((kind, what) for kind, is_so, what in faults if is_so)


def _text_faults(source: SourceUtterance, sound: Measurements, encoding: TextEncoding | None, limits: Limits,
                 ) -> Iterator[tuple[str, str]]:
    """(kind, what was found) of one text and its length relative to the audio."""
    if not source.text.strip():
        yield "empty_text", "no text"
        return
    if "|" in source.text:
        yield "name", "a '|' in the text"
    if has_clock_times(source.text):
        yield "clock_times", _short(source.text)
    if encoding is not None and encoding.fault:
        yield encoding.kind, encoding.fault
    if not sound.speech_seconds:
        return
    tempo = len(source.text) / sound.speech_seconds
    many = f"{len(source.text)} characters in {sound.speech_seconds:.2f} seconds of speech"
    frames = sound.seconds / limits.hop_seconds if limits.hop_seconds else math.inf
    if encoding is not None and encoding.symbols > frames:
        yield "crowded", f"{encoding.symbols} symbols, blanks counted, for {frames:.0f} frames"
    elif tempo > IMPOSSIBLE_TEMPO:
        yield "crowded", many
    elif not 1 <= tempo <= FAST_TEMPO:
        yield "tempo", many


def _tempo_outliers(sources: Sequence[SourceUtterance], sounds: Sequence[Measurements], limit: float,
                    ) -> Iterator[tuple[int, str, str]]:
    """Outliers of log characters per second, by median and median absolute deviation."""
    speech = np.array([sound.speech_seconds for sound in sounds])
    lengths = np.array([len(source.text.strip()) for source in sources])
    rows = np.flatnonzero((speech > 0) & (lengths > 0))
    if len(rows) < _FEWEST:
        return
    # A few letters may take any time; a quarter of a second is about what the ends of an utterance add.
    tempo = np.log(lengths[rows] / (speech[rows] + 0.25))
    middle = np.median(tempo)
    spread = 1.4826 * np.median(np.abs(tempo - middle))
    for row, value in zip(rows, tempo):
        pace, z = lengths[row] / speech[row], (value - middle) / max(spread, _LEAST_SPREAD)
        if abs(z) > limit and 1 <= pace <= FAST_TEMPO:  # others are named already
            yield int(row), "tempo", (f"{lengths[row]} characters in {speech[row]:.2f} seconds of speech: "
                                      f"{np.exp(value - middle):.2f} times the usual (robust z {z:+.1f})")


def _same_texts(sources: Sequence[SourceUtterance]) -> Iterator[tuple[int, str, str]]:
    """Repeated texts of a speaker; none where most texts of the corpus are repeated."""
    groups = _groups((source.speaker, " ".join(source.text.split()).casefold() or row)
                     for row, source in enumerate(sources))
    if sum(len(rows) for rows in groups) > len(sources) / 2:
        return
    for rows in groups:
        for row in rows[1:]:
            yield row, "duplicate_text", f"the text of {sources[rows[0]].place}: {_short(sources[row].text)}"


def _same_names(sources: Sequence[SourceUtterance]) -> Iterator[tuple[int, str, str]]:
    """Utterances with the same id, such as a.wav and a.flac or a repeated line; they cannot be prepared."""
    for rows in _groups(source.id for source in sources):
        for row in rows[1:]:
            yield row, "same_name", f"the name {sources[row].id!r}, as {sources[rows[0]].place} has"


def _same_audio(sources: Sequence[SourceUtterance], sounds: Sequence[Measurements]) -> Iterator[tuple[int, str, str]]:
    """Repeated recordings: equal samples, or nearly equal level curves of equal length."""
    audible = [row for row, sound in enumerate(sounds) if sound.digest and sound.peak >= SILENT_PEAK]
    known: set[int] = set()
    for rows in _groups(sounds[row].digest for row in audible):
        first = audible[rows[0]]
        for row in (audible[place] for place in rows[1:]):
            known.add(row)
            other = " ".join(sources[row].text.split()) != " ".join(sources[first].text.split())
            yield row, *(("duplicate_conflict", f"the recording of {sources[first].place}, whose text there is "
                          f"{_short(sources[first].text)}") if other else
                         ("duplicate_audio", f"the recording of {sources[first].place}"))
    # Two recordings of the same short word are nearly equal anyway.
    left = [row for row in audible if row not in known and sounds[row].outline and sounds[row].speech_seconds >= 1]
    for rows in _groups(_signs(sounds[row].outline_db) for row in left):
        for at, row in enumerate(left[place] for place in rows):
            first = next((left[place] for place in rows[:at] if _are_alike(sounds[left[place]], sounds[row])), None)
            if first is not None:
                yield row, "near_duplicate", f"sounds like {sources[first].place}"


def _signs(outline: np.ndarray) -> bytes:
    """Bits: is the level above that a quarter of the duration earlier? Equal for most copies of a recording."""
    lag = OUTLINE // 4
    return np.packbits(outline[lag:] < outline[:-lag]).tobytes()


def _are_alike(one: Measurements, other: Measurements) -> bool:
    lengths = [one.speech_seconds, other.speech_seconds]
    apart = np.abs(one.outline_db - other.outline_db).mean()  # dB
    return abs(lengths[0] - lengths[1]) < 0.02 * max(lengths) + 0.01 and apart < 0.5


def _groups(keys: Iterable) -> list[list[int]]:
    """Indices of equal keys, one list for each key that occurs more than once."""
    places: dict[object, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    return [rows for rows in places.values() if len(rows) > 1]


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_TEXT else text[:_SHOWN_TEXT] + "...")


def _encode_block(block: tuple[DataConfig, tuple[str, ...]]) -> list[TextEncoding]:
    """Clean and encode one block of texts."""
    data, texts = block
    processor = TextProcessor.from_config(data)
    cleaned, faults = processor.clean_each(texts) if not data.cleaned_text else (list(texts), {})
    pairs = enumerate(zip(texts, cleaned))
    encoded = [TextEncoding(0, faults[row], "not_normalised") if row in faults else
               _encoded(processor.encode, written, symbols) for row, (written, symbols) in pairs]
    return [each._replace(fault=unread, kind="unknown_script") if not each.kind and not data.cleaned_text and (
        unread := processor.unreadable(text)) else each for text, each in zip(texts, encoded)]


def _block_place(sources: Sequence[SourceUtterance]) -> str:
    return f"{sources[0].place} to {sources[-1].place}"


def _encoded(encode: Callable[[str], list[int]], written: str, cleaned: str) -> TextEncoding:
    if not written.strip():
        return TextEncoding(0, "", "")  # reported as empty_text by _text_faults
    if not cleaned.strip():
        return TextEncoding(0, f"nothing is left of {_short(written)} after cleaning", "empty_text")
    try:
        return TextEncoding(len(encode(cleaned)), "", "", cleaned)
    except ValueError as error:
        return TextEncoding(len(cleaned), str(error).partition("; ")[0], "unknown_symbol")
