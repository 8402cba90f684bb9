"""Measurements of an audio file in one reading: format, level, noise, silences, damage, and a level curve.

    sound = measure(Recording.of("wavs/a.wav", longest=200))

Shapes: S samples, F frames of 10 ms.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from audio import io
from audio.io import AudioError, read_wav

VERSION = 2  # of the measurements; journals of other versions are not used
SILENCE_DB = -40.0  # below the loudest 10 ms, as prepare trims
OUTLINE = 24  # pieces of an utterance in its level curve
_OUTLINE_STEP_DB = 0.2
_FRAME_SECONDS = 0.01
_LOWEST_DB = -120.0  # of digital silence
_FLAT = 3  # consecutive samples at the peak that count as clipping


class Recording(NamedTuple):
    """A file to measure; its size and time of change tell versions of the file apart."""

    path: str
    size: int  # bytes; -1 for a missing file
    changed: int  # ns
    longest: float  # seconds; of a longer file only the length is measured
    span: tuple[float, float] | None = None  # seconds of the file to measure; None is all of it

    @classmethod
    def of(cls, path: str, longest: float, span: tuple[float, float] | None = None) -> Recording:
        """Size and time of change of a file, which may be missing."""
        try:
            status = os.stat(path)
        except (OSError, ValueError):  # no file has a zero byte in its name
            return cls(path, -1, 0, longest, span)
        return cls(path, status.st_size, status.st_mtime_ns, longest, span)


class Measurements(NamedTuple):
    """What was measured of an audio file; if `fault` is set, the rest may have the defaults."""

    fault: str = ""  # "missing", "unreadable"
    reason: str = ""  # of the fault
    rate: int = 0  # Hz
    channels: int = 0
    kind: str = ""  # libsndfile's name: "WAV PCM_16"
    seconds: float = 0.0
    damage: str = ""  # what is missing or changed in a readable file
    peak: float = 0.0
    clipped: float = 0.0  # share of samples in flat tops
    offset: float = 0.0  # mean of the samples
    floor_db: float = 0.0  # 10th percentile of the frames' levels
    speech_db: float = 0.0  # 95th percentile of the frames' levels
    before: float = 0.0  # seconds of silence before the speech
    behind: float = 0.0  # seconds of silence behind it
    silent_channels: int = 0
    digest: str = ""  # of the samples between the silences
    outline: str = ""  # `OUTLINE` bytes as hexadecimal digits, to save memory: see `outline_db`

    @property
    def speech_seconds(self) -> float:
        """Seconds without the silence at the ends."""
        return self.seconds - self.before - self.behind

    @property
    def outline_db(self) -> np.ndarray:
        """[OUTLINE] levels in dB below the loudest, of equal pieces between the silences."""
        return np.frombuffer(bytes.fromhex(self.outline), np.uint8) * _OUTLINE_STEP_DB

    @property
    def snr_db(self) -> float:
        """Level of the speech above the noise floor, in dB."""
        return self.speech_db - self.floor_db


def measure(file: Recording) -> Measurements:
    """Read and measure a file; errors are returned, not raised."""
    if not os.path.exists(file.path):
        is_link = os.path.islink(file.path)
        return Measurements("missing", f"a link to {os.readlink(file.path)}, where nothing is" if is_link else
                            f"no file {file.path}")
    with quiet_decoder(file.path):
        return _measure_file(file)


def _measure_file(file: Recording) -> Measurements:
    try:
        with io.opened(file.path) as opened:
            channels, rate, kind = opened.channels, opened.samplerate, f"{opened.format} {opened.subtype}"
            seconds = opened.frames / rate if file.span is None else file.span[1] - file.span[0]
            is_true = file.span is None and seconds > file.longest and _holds_its_last_sample(opened)
        if seconds > file.longest:
            if not is_true:  # the header's length is wrong: the file is truncated, or longer than max_seconds
                seconds = min(seconds, io.wav_info(file.path, file.longest).samples / rate)
            return Measurements(rate=rate, channels=channels, kind=kind, seconds=seconds, peak=1.0)
        samples = read_wav(file.path, clip=False, max_seconds=file.longest, span=file.span).samples
    except AudioError as error:
        what, _, advice = str(error).removeprefix(file.path).strip().partition("; ")
        return Measurements("unreadable", f"{what}; {advice}" if advice.startswith("convert") else what)
    silent = 0 if channels == 1 or file.span else _silent_channels(file.path)
    return measure_samples(samples, rate)._replace(channels=channels, kind=kind, silent_channels=silent,
                                                   damage=find_damage(Path(file.path), len(samples), file.span))


@contextlib.contextmanager
def quiet_decoder(path: str) -> Iterator[None]:
    """Context in which the MP3 decoder's messages on standard error, which name no file, are suppressed."""
    is_mp3 = path.lower().endswith((".mp3", ".mp2", ".mpga"))
    try:
        before = os.dup(2) if is_mp3 else None
    except OSError:  # there is no standard error
        before = None
    if before is None:
        yield
        return
    sys.stderr.flush()
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def measure_samples(samples: np.ndarray, rate: int) -> Measurements:
    """Measurements of samples [S] at `rate` Hz."""
    offset = float(samples.mean())
    size = np.abs(samples)
    peak = float(size.max())
    hop = max(1, round(_FRAME_SECONDS * rate))
    centred = samples - np.float32(offset)
    power = np.square(np.pad(centred, (0, -len(samples) % hop)).reshape(-1, hop)).mean(axis=1)  # [F]
    levels = 10 * np.log10(np.maximum(power, 10 ** (_LOWEST_DB / 10)))  # [F] dB
    loud = np.flatnonzero(levels > levels.max() + SILENCE_DB)
    first, last = (int(loud[0]), int(loud[-1])) if len(loud) else (0, len(levels) - 1)
    speech = samples[first * hop:(last + 1) * hop]
    numbers = np.round(speech * 32768).clip(-32768, 32767).astype(np.int16)
    return Measurements(
        rate=rate, seconds=len(samples) / rate, peak=peak, clipped=_clipped_share(size, peak), offset=offset,
        floor_db=float(np.percentile(levels, 10)), speech_db=float(np.percentile(levels, 95)),
        before=first * hop / rate, behind=max(0.0, len(samples) - (last + 1) * hop) / rate,
        digest=hashlib.blake2b(numbers.tobytes() + str(rate).encode(), digest_size=12).hexdigest(),
        outline=_outline(power[first:last + 1]))


def _clipped_share(size: np.ndarray, peak: float) -> float:
    """Share of [S] that is clipped: in runs of at least `_FLAT` samples at the peak."""
    top = np.pad(size >= 0.999 * peak, 1).astype(np.int8)
    edges = np.flatnonzero(np.diff(top))
    lengths = edges[1::2] - edges[::2]
    return float(lengths[lengths >= _FLAT].sum()) / len(size)


def _outline(power: np.ndarray) -> str:
    """Level curve of [F] as hexadecimal digits, independent of gain, rate and format; see `outline_db`."""
    if len(power) < OUTLINE or not power.any():
        return ""
    sums = np.concatenate([[0.0], np.cumsum(power, dtype=np.float64)])
    ends = np.linspace(0, len(power), OUTLINE + 1)
    piece = np.diff(np.interp(ends, np.arange(len(sums)), sums))
    below = -10 * np.log10(np.maximum(piece / piece.max(), 10 ** (SILENCE_DB / 10)))
    return np.round(below / _OUTLINE_STEP_DB).astype(np.uint8).tobytes().hex()


def _silent_channels(path: str) -> int:
    """Number of channels whose peak is below -60 dBFS."""
    peaks = 0.0
    with io.opened(path) as opened:
        while len(block := opened.read(1 << 16, dtype="float32", always_2d=True)):
            peaks = np.maximum(peaks, np.abs(block).max(axis=0))
    return int(np.count_nonzero(np.asarray(peaks) < 1e-3))


def _holds_its_last_sample(file: io.soundfile.SoundFile) -> bool:
    """Whether the last sample that the header promises can be read."""
    try:
        file.seek(file.frames - 1)
        return len(file.read(1)) == 1
    except (RuntimeError, OSError):  # libsndfile's errors are RuntimeErrors
        return False


def find_damage(path: Path, count: int, span: tuple[float, float] | None = None) -> str:
    """What is missing or changed in a file that libsndfile reads without an error; empty if nothing is.

    Args:
        path: of the file.
        count: samples that were read.
        span: seconds that were to be read; None is all of it.
    """
    with io.opened(path) as opened:
        kind, promised = opened.format, opened.frames
        if span is not None:
            promised = round((span[1] - span[0]) * opened.samplerate)
    if count < 0.98 * promised and (span is not None or kind == "MP3" and _has_length_header(path)):
        return f"{100 * (1 - count / promised):.0f} % of it missing"
    if span is not None:
        return ""
    if kind == "OGG" and not _has_last_page(path):
        return "the end of the stream is missing"
    if kind == "FLAC" and not _flac_is_as_encoded(path):
        return "the samples are not those that were encoded (MD5)"
    share = _missing_share(path)
    return f"{100 * share:.0f} % of it missing" if share else ""


def _has_length_header(path: Path) -> bool:
    """Whether an MP3 has a header with its length; without one the length is an estimate."""
    with open(path, "rb") as file:
        start = file.read(1 << 20)  # a tag with a picture may come first
    return any(name in start for name in (b"Xing", b"Info", b"VBRI"))


def _has_last_page(path: Path) -> bool:
    """Whether the last page of an Ogg file is marked as the last one."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 16)))  # a page is no longer
        end = file.read()
    page = end.rfind(b"OggS")
    return page >= 0 and len(end) > page + 5 and bool(end[page + 5] & 4)


def _flac_is_as_encoded(path: Path) -> bool:
    """Whether the samples have the MD5 that the encoder wrote, if it wrote one."""
    with open(path, "rb") as file:
        head = file.read(42)
    if head[:4] != b"fLaC" or not any(head[26:42]):
        return True  # another container, or no MD5
    with io.opened(path) as opened:
        width = {"PCM_S8": 1, "PCM_16": 2, "PCM_24": 3}.get(opened.subtype, 0)
        if not width or ((head[20] & 1) << 4 | head[21] >> 4) + 1 != 8 * width:
            return True  # an odd number of bits
        digest = hashlib.md5(usedforsecurity=False)
        for block in opened.blocks(1 << 16, dtype="int32", always_2d=True):  # the samples in the upper bits
            digest.update(block.reshape(-1, 1).view(np.uint8)[:, 4 - width:].tobytes())
    return digest.digest() == head[26:42]


def _missing_share(path: Path) -> float:
    """Share of a RIFF wav's data chunk that lies beyond the end of the file."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        if file.read(4) != b"RIFF" or file.read(8)[4:] != b"WAVE":
            return 0.0
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            if name == b"data":
                held = size - file.tell()
                # Programs that write into a pipe do not have the length, and write the greatest or 0.
                return 0.0 if length >= 0x7FFFFFFF or held >= length else 1 - held / length
            file.seek(length + length % 2, os.SEEK_CUR)
    return 0.0
