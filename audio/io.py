"""Audio files in and out, as mono float32 in [-1, 1].

    samples, rate = read_wav("hello.wav")
    write_wav("hello.flac", samples, rate)

Shapes: S samples.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soundfile

from utils import atomic_path

if TYPE_CHECKING:
    import torch

_BLOCK = 1 << 18  # samples read at a time, so that a header's claim never sizes a buffer
_FIXED_WIDTHS = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "ULAW": 1, "ALAW": 1}  # bytes
_WHOLE_NUMBERS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}  # bits
_WARM_UP = 1 << 14  # samples before a place that are decoded too: MP3 and Opus need what came before
_MOST_FRAMES = 1 << 60  # more stand for an unknown length
_RATES = (100, 1_000_000)  # Hz; what lies beyond is damage
_LOUDEST = 100.0  # a float sample beyond it is damage, or a whole number that was not scaled to [-1, 1]
UNREADABLE_ENDINGS = (".m4a", ".webm", ".aac", ".wma", ".mp4", ".amr", ".3gp", ".mka", ".mkv", ".mov", ".m4b", ".ac3",
                      ".ape", ".wv", ".ra", ".rm", ".dsf", ".dff", ".tta", ".tak", ".spx", ".aax", ".weba", ".mpc",
                      ".awb", ".dts", ".eac3", ".m4r", ".avi", ".wmv", ".flv", ".mpg", ".mpeg", ".shn", ".dss")
# First bytes of other kinds of files that are found under the name of an audio file.
_NOT_AUDIO = (
    (b"\x89PNG", "a PNG image"), (b"\xff\xd8\xff", "a JPEG image"), (b"GIF8", "a GIF image"), (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a zip archive"), (b"\x1f\x8b", "a gzip archive"), (b"<!doctype", "a web page"),
    (b"<html", "a web page"), (b"<?xml", "an XML page"),
    (b"version https://git-lfs", "a Git LFS pointer, for which `git lfs pull` gets the file"))


class AudioError(ValueError):
    """An audio file that cannot be used; the message has its path, what was found and what to do."""


class Wav(NamedTuple):
    """Mono audio."""

    samples: np.ndarray  # [S] float32
    sampling_rate: int  # Hz


class WavInfo(NamedTuple):
    """How long an audio file is."""

    samples: int  # per channel
    sampling_rate: int  # Hz


def read_wav(path: str | os.PathLike, clip: bool = True, max_seconds: float | None = None,
             span: tuple[float, float] | None = None) -> Wav:
    """Read an audio file of any format of libsndfile, as the mean of its channels.

    Args:
        path: WAV, FLAC, Ogg or MP3, by content.
        clip: cut samples beyond [-1, 1] to it, with a warning; float files may hold such. False keeps them.
        max_seconds: raise for what is longer, before it fills the memory.
        span: read only from the first to the second, in seconds.

    Raises:
        AudioError: missing, no file, unreadable, empty, not finite, far beyond 1, or longer than `max_seconds`.
    """
    blocks: list[np.ndarray] = []
    sampling_rate = count = 0
    for block, sampling_rate in _blocks(path, span):
        blocks.append(block)
        count += len(block)
        if max_seconds is not None and count > max_seconds * sampling_rate:
            raise AudioError(f"{path} is longer than {max_seconds:g} seconds; cut it into utterances")
    samples = np.concatenate(blocks) if len(blocks) > 1 else blocks[0]
    peak = max(float(samples.max()), -float(samples.min()))
    if clip and peak > 1:
        warnings.warn(f"{path} peaks at {peak:.2f}, beyond 1; clipped (preprocess.py scales such files down instead)",
                      stacklevel=2)
        samples = samples.clip(-1, 1)
    return Wav(samples, sampling_rate)


def wav_info(path: str | os.PathLike, max_seconds: float | None = None) -> WavInfo:
    """Measure an audio file: its length is what can be read, never what its header claims.

    Files of whole-number samples are measured by header and size. All others (floats, which may not be finite;
    compressed ones, which may be cut) are read through, no further than just past `max_seconds`.

    Raises:
        AudioError: as `read_wav`.
    """
    with opened(path) as file:
        width = _FIXED_WIDTHS.get(file.subtype)
        if width and 0 < file.frames * file.channels * width <= os.path.getsize(path):
            return WavInfo(file.frames, file.samplerate)
    sampling_rate = count = 0
    for block, sampling_rate in _blocks(path):
        count += len(block)
        if max_seconds is not None and count > max_seconds * sampling_rate:
            break
    return WavInfo(count, sampling_rate)


def write_wav(path: str | os.PathLike, samples: np.ndarray | torch.Tensor, sampling_rate: int,
              subtype: str = "PCM_16") -> None:
    """Write mono audio whole or not at all; folders are made as needed.

    Args:
        path: its ending names the format (.wav, .flac, .ogg, .opus).
        samples: [S] floats; what lies beyond [-1, 1] is clipped.
        sampling_rate: Hz.
        subtype: libsndfile's name of the sample format: PCM_16, PCM_24, FLOAT, VORBIS.

    Raises:
        AudioError: the samples are not one channel of finite floats, or the ending names no format.
        OSError: the folder cannot be written.
    """
    path = Path(path)
    is_tensor = hasattr(samples, "detach")
    array = samples.detach().cpu().float().numpy() if is_tensor else np.asarray(samples)
    with wav_writer(path, sampling_rate, subtype) as write:
        for start in range(0, max(1, len(array)), _BLOCK):  # of minutes at once libsndfile's Vorbis crashes
            write(array[start:start + _BLOCK])


@contextlib.contextmanager
def wav_writer(path: str | os.PathLike, sampling_rate: int,
               subtype: str = "PCM_16") -> Iterator[Callable[[np.ndarray], None]]:
    """Context with a function that writes the next [S] samples; the file appears whole at its end, or not at all.

    Raises:
        AudioError, OSError: as `write_wav`.
    """
    path = Path(path)
    audio_format = "OGG" if path.suffix.lower() == ".opus" else path.suffix[1:].upper()
    if audio_format not in soundfile.available_formats() or not soundfile.check_format(audio_format, subtype):
        ending = path.suffix or "no ending"
        raise AudioError(f"{path}: {ending} names no audio format for {subtype} samples; use .wav or .flac")
    try:
        with atomic_path(path) as temporary, soundfile.SoundFile(temporary, "w", sampling_rate, 1, subtype,
                                                                 format=audio_format) as file:
            yield lambda samples: file.write(writable(samples, path, subtype))
    except soundfile.LibsndfileError as error:
        raise OSError(f"{path} cannot be written: {error}; is its folder writable and the disk not full?") from None


def writable(samples: np.ndarray, place: object, subtype: str = "FLOAT") -> np.ndarray:
    """Samples [S] as libsndfile takes them for a subtype, clipped.

    Raises:
        AudioError: what is at `place` is not one channel of finite floats.
    """
    array = np.asarray(samples)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.floating):
        raise AudioError(f"{place}: expected floats of shape [S], found {array.dtype} {list(array.shape)}")
    if not np.isfinite(array).all():
        raise AudioError(f"{place}: {int((~np.isfinite(array)).sum())} of {len(array)} samples are not finite")
    return _whole_numbers(array, subtype) if subtype in _WHOLE_NUMBERS else array.clip(-1, 1)


def quantised(samples: np.ndarray, bits: int) -> np.ndarray:
    """Floats [S] as whole numbers int32 of so many bits, clipped; 2**(bits-1) is 1, as it is read."""
    full = 2.0 ** (bits - 1)  # in float64, because float32 does not hold 31 bits
    return np.round(np.asarray(samples, np.float64) * full).clip(-full, full - 1).astype(np.int32)


def _whole_numbers(samples: np.ndarray, subtype: str) -> np.ndarray:
    """Whole numbers for libsndfile, so that reading and writing again changes nothing."""
    bits = _WHOLE_NUMBERS[subtype]
    numbers = quantised(samples, bits)
    return numbers.astype(np.int16) if bits == 16 else numbers << (32 - bits)  # it takes 24 bits from the top of 32


def opened(path: str | os.PathLike) -> soundfile.SoundFile:
    """The open file; AudioError with what was found instead."""
    if not os.path.isfile(path) or os.path.getsize(path) == 0:
        raise AudioError(f"{path} {_absence(Path(path))}")
    try:
        file = soundfile.SoundFile(path)
        if file.format == "MP3" or file.frames > _MOST_FRAMES:
            # After each read soundfile seeks to where it is, from where MP3's decoder is silent for 0.2 seconds,
            # and which fails in a FLAC stream of unknown length.
            file.seekable = lambda: False
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"{path} {_other_content(Path(path)) or _unreadable(error)}") from None
    if not _RATES[0] <= file.samplerate <= _RATES[1]:
        raise AudioError(f"{path} claims a rate of {file.samplerate} Hz, expected {_RATES[0]} to {_RATES[1]}; "
                         "replace or remove it")
    return file


def other_content(path: str | os.PathLike) -> str | None:
    """Kind of a file that is no audio (a web page, a Git LFS pointer), by its first bytes; else None."""
    with open(path, "rb") as file:
        start = file.read(256).lstrip().lower()
    return next((what for sign, what in _NOT_AUDIO if start.startswith(sign.lower())), None)


def _other_content(place: Path) -> str:
    """Description of a file that libsndfile does not read, by its first bytes or its ending; else empty."""
    with open(place, "rb") as file:
        start = file.read(64)
    what = other_content(place)
    if what is not None:
        return f"is {what}, not audio; replace or remove it"
    ending = place.suffix.lower()
    if ending in UNREADABLE_ENDINGS:
        return f"has an ending that cannot be read ({ending}); convert: ffmpeg -i {place} {place.with_suffix('.wav')}"
    if start[4:8] == b"ftyp" or start.startswith(b"\x1aE\xdf\xa3"):
        kind = "MPEG-4 (.m4a, .mp4)" if start[4:8] == b"ftyp" else "WebM or Matroska"
        return f"holds {kind}, which cannot be read; convert: ffmpeg -i {place} {place.with_suffix('')}_converted.wav"
    return ""


def _unreadable(error: Exception) -> str:
    return f"is not readable as audio ({_reason(error)}); replace or remove it"


def _absence(place: Path) -> str:
    """Description of a missing or empty file."""
    if place.is_symlink() and not place.exists():
        return f"is a link to {os.readlink(place)}, which does not exist; repair or remove it"
    if not place.exists():
        return "does not exist; check the path and the folder that you run in"
    if not place.is_file():
        return f"is {'a directory' if place.is_dir() else 'no regular file'}; expected an audio file"
    return "is an empty file of 0 bytes; replace or remove it"


def _blocks(path: str | os.PathLike, span: tuple[float, float] | None = None) -> Iterator[tuple[np.ndarray, int]]:
    """Mono float32 pieces of a file, or of its `span` in seconds, with the rate; at least one sample."""
    count = 0
    with opened(path) as file:
        is_short = file.subtype == "PCM_16"  # then libsndfile's own conversion takes longer than all the rest
        left = sys.maxsize if span is None else _seek(file, path, span)
        while left > 0:
            try:
                block = file.read(min(_BLOCK, left), dtype="int16" if is_short else "float32", always_2d=True)
            except (soundfile.SoundFileError, OSError) as error:
                raise AudioError(f"{path} breaks off after {count} samples ({_reason(error)}); "
                                 "replace or remove it") from None
            if len(block) == 0:  # of [S, channels]
                break
            if is_short:
                block = block * np.float32(2**-15)  # exactly what libsndfile makes of it
            elif not np.abs(block).max() <= _LOUDEST:  # which a NaN is not
                _refuse_samples(path, block, count)
            yield block.mean(axis=1) if block.shape[1] > 1 else block[:, 0], file.samplerate  # [S]
            count += len(block)
            left -= len(block)
    if count == 0:
        raise AudioError(f"{path} holds 0 samples{'' if span is None else f' at {span[0]:.3f} seconds'}; "
                         "replace or remove it")


def _seek(file: soundfile.SoundFile, path: str | os.PathLike, span: tuple[float, float]) -> int:
    """Seek to the beginning of a span [seconds]; returns its number of samples."""
    start, stop = (round(seconds * file.samplerate) for seconds in span)
    before = max(0, min(start, file.frames) - _WARM_UP)
    try:
        file.seek(before)
        file.read(min(start, file.frames) - before)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"{path} cannot be read from {span[0]:.3f} seconds on ({_reason(error)}); "
                         "convert it to wav") from None
    return stop - start


def _refuse_samples(path: str | os.PathLike, block: np.ndarray, count: int) -> None:
    """Raise for a block [S, channels] with values that are not audio, `count` samples into the file."""
    row, channel = np.argwhere(~(np.abs(block) <= _LOUDEST))[0]
    value = block[row, channel]
    scaled = "; float samples lie between -1 and 1, so divide whole numbers by their greatest" \
        if np.isfinite(value) else ""
    raise AudioError(f"{path} holds {value:g} at sample {count + row}{scaled}; export it again, or remove it")


def _reason(error: Exception) -> str:
    """libsndfile's message without the path."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".")
