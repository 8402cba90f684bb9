"""Repaired copies of recordings: DC offset, silence at the ends, sampling rate, loudness. Originals are only read.

    logs = list(repair_all(sources, Repairs(("trim", "dc", "resample"), rate=22050, folder=Path("new"))))

Shapes: S samples.
"""

from __future__ import annotations

import importlib.util
import itertools
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from audio.io import AudioError, read_wav, write_wav
from audio.loudness import at_loudness
from audio.resampling import resample, trim_silence
from corpora.parallel import run_map
from corpora.recordings import SILENCE_DB, Recording, quiet_decoder
from corpora.scan import SourceUtterance

NAMES = ("dc", "trim", "resample", "loudness")  # in the order in which they are done
_TOP = 0.999  # no repaired wav peaks above it


class Repairs(NamedTuple):
    """Repairs to make, with their parameters."""

    names: tuple[str, ...]  # of NAMES
    rate: int  # Hz, for "resample"
    folder: Path  # gets wavs/
    margin: float = 0.1  # seconds of silence that "trim" leaves at each end
    loudness: float = -23.0  # LUFS, or dB of the mean square where pyloudnorm is not installed
    longest: float = 200.0  # seconds; what is longer is not read


class RepairResult(NamedTuple):
    """Result of repairing one file."""

    origin: str
    written: str  # "" if it could not be written
    done: list[str]  # one sentence for each thing that was changed


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names of repairs in the order in which they are done.

    Raises:
        ValueError: an unknown repair.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ValueError(f"--repair {','.join(unknown)}: expected some of {','.join(NAMES)}")
    return tuple(name for name in NAMES if name in names)


def repair_all(sources: Sequence[SourceUtterance], repairs: Repairs, engine: str = "local", jobs: int = 1,
               journal: Path | None = None) -> Iterator[RepairResult]:
    """Write a repaired copy of each utterance's audio, in order; a killed run resumes."""
    files = ((name, Recording.of(source.origin, repairs.longest, source.span), repairs)
             for name, source in zip(_names(sources), sources))
    for values in run_map(_repair_file, files, engine, jobs, journal):
        yield RepairResult(*values)


def repair(samples: np.ndarray, rate: int, repairs: Repairs) -> tuple[np.ndarray, int, list[str]]:
    """Repair samples [S] at `rate` Hz: [S'] samples, their rate, and what was done."""
    done = []
    if "dc" in repairs.names:
        mean = float(samples.mean())
        samples = samples - np.float32(mean)
        done += [f"moved by {-mean:+.4f}, to a mean of zero"] if abs(mean) >= 5e-5 else []
    if "trim" in repairs.names:
        shorter = trim_silence(samples, rate, -SILENCE_DB, repairs.margin)
        done += [f"cut {(len(samples) - len(shorter)) / rate:.2f} seconds of silence"] if len(shorter) < len(
            samples) else []
        samples = shorter
    if "resample" in repairs.names and rate != repairs.rate:
        done.append(f"{rate} Hz became {repairs.rate} Hz")
        samples, rate = resample(samples, rate, repairs.rate), repairs.rate
    if "loudness" in repairs.names:
        samples, changes = _normalise_loudness(samples, rate, repairs.loudness)
        done += changes
    peak = float(np.abs(samples).max())
    if peak > _TOP:
        samples = samples * np.float32(_TOP / peak)
        done.append(f"scaled down, for it peaked at {peak:.2f}")
    return samples, rate, done


def _repair_file(file: tuple[str, Recording, Repairs]) -> RepairResult:
    name, recording, repairs = file
    target = repairs.folder / "wavs" / f"{name}.wav"
    if target.exists() and Path(recording.path).exists() and target.samefile(recording.path):
        return RepairResult(recording.path, "", ["left alone: the copy would overwrite the original"])
    try:
        with quiet_decoder(recording.path):
            wav = read_wav(recording.path, clip=False, max_seconds=recording.longest, span=recording.span)
        samples, rate, done = repair(wav.samples, wav.sampling_rate, repairs)
        write_wav(target, samples, rate)
    except AudioError as error:
        return RepairResult(recording.path, "", [str(error)])
    return RepairResult(recording.path, target.as_posix(), done)


def _names(sources: Sequence[SourceUtterance]) -> Iterator[str]:
    """The name of each copy: the utterance's id, with a number if it is taken (a.wav and a.flac share one)."""
    ids = {source.id for source in sources}
    taken: set[str] = set()
    for source in sources:
        numbered = (f"{source.id}_{number}" for number in itertools.count(2))
        name = source.id if source.id not in taken else next(each for each in numbered if each not in ids | taken)
        taken.add(name)
        yield name


def _normalise_loudness(samples: np.ndarray, rate: int, wanted: float) -> tuple[np.ndarray, list[str]]:
    """Samples at the wanted loudness, and a sentence about the gain; silence stays as it is."""
    if not np.any(samples):
        return samples, []
    measure = "LUFS"
    before = float(np.abs(samples).max())
    if importlib.util.find_spec("pyloudnorm"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of clipping: the sentence has the gain
            louder = at_loudness(samples, rate, wanted)
    else:
        measure = "dB RMS"
        gain = 10 ** (wanted / 20) / float(np.sqrt(np.square(samples, dtype=np.float64).mean()))
        louder = samples * np.float32(min(gain, _TOP / before))
    gain_db = 20 * np.log10(float(np.abs(louder).max()) / before)
    return louder, [f"{gain_db:+.1f} dB, towards {wanted:g} {measure}"] if abs(gain_db) >= 0.05 else []
