"""Wav files in and out, seeds, and where log lines go.

torch is imported where it is used: a voice that speaks without it writes its wavs here too.

Shapes: S samples. Audio is mono float32 in [-1, 1] everywhere outside this file.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import logging
import math
import os
import random
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple, TextIO

import numpy as np
import soundfile

import distributed
from files import atomic_path, described, drop_output, errors_named
from files import write_atomic as write_atomic  # many modules import these two from here
from files import write_text_atomic as write_text_atomic

if TYPE_CHECKING:
    import torch

# Odd rates (22049 Hz) would need a filter of gigabytes; the nearest handy ratio is off by half a cent at most.
RESAMPLING_RATIO_LIMIT = 2048

_SINC_ZEROS, _SINC_ROLLOFF, _SINC_BETA = 64, 0.9475937167399596, 14.769656459379492
_BLOCK = 1 << 18  # samples read at a time, so that a header's claim never sizes a buffer
_FIXED_WIDTHS = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "ULAW": 1, "ALAW": 1}  # bytes
_WHOLE_NUMBERS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}  # bits
_WARM_UP = 1 << 14  # samples before a place that are decoded too: MP3 and Opus need what came before
_RATES = (100, 1_000_000)  # Hz; what lies beyond is damage
_LOUDEST = 100.0  # a float sample beyond it is damage, or a whole number that was never scaled to [-1, 1]
UNREADABLE_ENDINGS = (".m4a", ".webm", ".aac", ".wma", ".mp4", ".amr", ".3gp", ".mka", ".mkv", ".mov", ".m4b", ".ac3",
                      ".ape", ".wv", ".ra", ".rm", ".dsf", ".dff", ".tta", ".tak", ".spx", ".aax", ".weba", ".mpc",
                      ".awb", ".dts", ".eac3", ".m4r", ".avi", ".wmv", ".flv", ".mpg", ".mpeg", ".shn", ".dss")
# How other things begin that are found under the name of an audio file, and what to do about them.
_NOT_AUDIO = (
    (b"\x89PNG", "a PNG image"), (b"\xff\xd8\xff", "a JPEG image"), (b"GIF8", "a GIF image"), (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a zip archive"), (b"\x1f\x8b", "a gzip archive"), (b"<!doctype", "a web page"),
    (b"<html", "a web page"), (b"<?xml", "an XML page"),
    (b"version https://git-lfs", "a Git LFS pointer, for which `git lfs pull` gets the file"))


class AudioError(ValueError):
    """An audio file that cannot be used: which one, what was found and what to do."""


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
    """Read any audio file that libsndfile knows, as the mean of its channels.

    Args:
        path: WAV, FLAC, Ogg or MP3, whatever its name says.
        clip: cut samples beyond [-1, 1] to it, with a warning; float files may hold such. False keeps them.
        max_seconds: give up on what is longer before it fills the memory.
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
    """Within it, a function that writes the next [S] samples; the file appears when all went well, else not at all.

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
            yield lambda samples: file.write(_writable(samples, subtype, path))
    except soundfile.LibsndfileError as error:
        raise OSError(f"{path} cannot be written: {error}; is its folder writable and the disk not full?") from None


def _writable(samples: np.ndarray, subtype: str, path: Path) -> np.ndarray:
    """Samples as libsndfile shall write them; AudioError for what is no sound."""
    array = np.asarray(samples)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.floating):
        raise AudioError(f"{path}: expected floats of shape [S], found {array.dtype} {list(array.shape)}")
    if not np.isfinite(array).all():
        raise AudioError(f"{path}: {int((~np.isfinite(array)).sum())} of {len(array)} samples are not finite")
    return _whole_numbers(array, subtype) if subtype in _WHOLE_NUMBERS else array.clip(-1, 1)


def quantised(samples: np.ndarray, bits: int) -> np.ndarray:
    """Floats [S] as whole numbers int32 of so many bits, clipped; 2**(bits-1) is 1, as it is read."""
    full = 2.0 ** (bits - 1)  # in float64, because float32 does not hold 31 bits
    return np.round(np.asarray(samples, np.float64) * full).clip(-full, full - 1).astype(np.int32)


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Change the sampling rate of [S] samples, float32, by a Kaiser-windowed sinc filter (Smith 2002).

    The filter's numbers are torchaudio's "kaiser_best"; the output has ceil(S * to_hz / from_hz) samples.
    """
    samples = np.asarray(samples, np.float32)
    ratio = Fraction(to_hz, from_hz).limit_denominator(RESAMPLING_RATIO_LIMIT)
    if ratio == 1:
        return samples
    step, made, reach, filters = _resampling_filters(ratio)
    padded = np.pad(samples.astype(np.float64), (reach, reach + step))
    frames = np.lib.stride_tricks.sliding_window_view(padded, filters.shape[0])[::step]  # [N, K]
    block = max(1, _BLOCK // filters.shape[0])  # the frames overlap, so that all at once would take many times S
    # In float64, so that the order in which a matrix product adds, which varies with threads, rounds away.
    parts = [(frames[start:start + block] @ filters).astype(np.float32) for start in range(0, len(frames), block)]
    length = math.ceil(len(samples) * ratio)
    return np.concatenate(parts).reshape(-1)[:length]


@functools.lru_cache(maxsize=8)
def _resampling_filters(ratio: Fraction) -> tuple[int, int, int, np.ndarray]:
    """One matrix product: (samples in, samples out, samples needed before and after, filters [K, samples out])."""
    repeats = max(1, 256 // ratio.denominator)  # a product of small matrices would be slow
    step, made = ratio.denominator * repeats, ratio.numerator * repeats
    cutoff = min(1.0, float(ratio)) * _SINC_ROLLOFF  # of the old Nyquist frequency
    reach = math.ceil(_SINC_ZEROS / cutoff)
    time = np.arange(-reach, step + reach)[:, None] - np.arange(made) / float(ratio)  # [K, made], old samples
    time = np.clip(time * cutoff, -_SINC_ZEROS, _SINC_ZEROS)
    window = np.i0(_SINC_BETA * np.sqrt(1 - (time / _SINC_ZEROS) ** 2)) / np.i0(_SINC_BETA)
    return step, made, reach, cutoff * np.sinc(time) * window


def trim_silence(samples: np.ndarray, rate: int, trim_db: float, margin: float) -> np.ndarray:
    """Cut what is `trim_db` below the loudest 10 ms from both ends of [S] samples, but `margin` seconds of it."""
    hop = max(1, rate // 100)
    padded = np.pad(samples - samples.mean(), (0, -len(samples) % hop))
    energy = np.square(padded.reshape(-1, hop)).mean(axis=1)  # of each 10 ms
    loud = np.flatnonzero(energy > energy.max() * 10 ** (-trim_db / 10))
    kept = round(margin * rate)
    return samples[max(0, loud[0] * hop - kept):(loud[-1] + 1) * hop + kept] if len(loud) else samples


class PackageError(ImportError, ValueError):
    """A package that is not installed, or does not load; the message has the command that mends it."""


def import_package(name: str, beside: str = "numpy", install: str = "", otherwise: str = "") -> ModuleType:
    """Import an optional or compiled package, with one message where that fails.

    Args:
        name: module, e.g. "torchaudio.functional".
        beside: package that its compiled part has to fit; the message names both versions.
        install: what pip should install, if that is more than the package.
        otherwise: what to do without it, the end of the message.

    Raises:
        PackageError: it is not installed, or does not load.
    """
    package = name.split(".")[0]
    try:
        return importlib.import_module(name)
    except Exception as error:  # a library that does not fit is an OSError, an ImportError, a RuntimeError ...
        otherwise = otherwise and f", or {otherwise}"
        if importlib.util.find_spec(package) is None:
            raise PackageError(f"{package} is not installed; pip install {install or package}{otherwise}") from None
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PackageError(f"{_versioned(package)} does not load beside {_versioned(beside)} ({reason}); install "
                           "versions that fit each other, for example those that were tested: pip install -c "
                           f"requirements.lock {package} {beside}{otherwise}") from error


def _versioned(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return package


def set_seed(*parts: int) -> int:
    """Seed Python, NumPy and torch from a hash of `parts`, e.g. (seed, step, rank), and return that hash."""
    import torch

    digest = hashlib.blake2b(repr(tuple(int(part) for part in parts)).encode(), digest_size=8).digest()
    seed = int.from_bytes(digest, "little") >> 1  # 63 bits: what torch takes on every device
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    return seed


def set_up_logging(log_path: str | os.PathLike | None, is_main: bool) -> logging.Logger:
    """Give the logger "vits" a console and, if `log_path` is given, a file. May be called again.

    Args:
        log_path: file to append to; its folder is made as needed. Only the main process writes it.
        is_main: other processes print warnings only.
    """
    logger = logging.getLogger("vits")
    for handler in list(logger.handlers):
        if isinstance(handler, (_Console, _LogFile)):
            logger.removeHandler(handler)
            handler.close()
    logger.setLevel(logging.INFO if is_main else logging.WARNING)
    handlers: list[logging.Handler] = [_Console()]
    if log_path is not None and is_main:
        Path(log_path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(_LogFile(log_path, encoding="utf-8"))
    process = _process()
    layout = f"%(asctime)s %(levelname)s{f'{process}:' if process else ''} %(message)s"
    for handler in handlers:
        handler.setFormatter(_Printable(layout, "%Y-%m-%d %H:%M:%S"))
        logger.addHandler(handler)
    return logger


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object) -> str:
    """Text as a terminal may show it: names in files of others can hold what moves its cursor or renames its window."""
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], str(text))


class _Printable(logging.Formatter):
    """Records without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


@contextlib.contextmanager
def user_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Within it a user's mistake becomes a message on standard error and exit status 2, without a traceback.

    Ctrl-C becomes one line and exit status 130.

    Args:
        kinds: further exceptions that count as such, besides ValueError, FileNotFoundError and other OSErrors. The
            traceback goes to the log file if there is one, and to the console if VITS_TRACEBACK is set.
    """
    distributed.interruptible()
    try:
        yield
        _flush_output()
    except (ValueError, OSError, *kinds) as error:
        _note_in_log_file(error)
        if os.environ.get("VITS_TRACEBACK"):
            raise
        print(f"error{_process()}: {printable(_explained(error))}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(distributed.report_interrupt())
    except Exception as error:
        _note_in_log_file(error)
        raise


def _flush_output() -> None:
    """Write what was printed; what cannot be written is dropped with an error that names standard output."""
    try:
        with errors_named("standard output"):
            sys.stdout.flush()
    except OSError:
        drop_output(sys.stdout)
        raise


def _explained(error: Exception) -> str:
    """An error's message; for a file in a folder's place, which the system calls `File exists`, what to do."""
    if isinstance(error, FileExistsError) and error.filename:
        return f"{error.filename} is a file, where a folder is expected; name another one"
    return described(error)


def _note_in_log_file(error: Exception) -> None:
    """Write an error with its traceback to the log file, if there is one; the console shows it in its own way."""
    log = logging.getLogger("vits")
    trace = (type(error), error, error.__traceback__)
    record = log.makeRecord(log.name, logging.ERROR, __file__, 0, "ended by an error: %s", (error,), trace)
    for handler in log.handlers:
        if isinstance(handler, _LogFile):
            handler.handle(record)


def _process() -> str:
    """Which process of several speaks; nothing where there is one."""
    world_size = distributed.world_size()
    return f" in process {distributed.rank()} of {world_size}" if world_size > 1 else ""


class _LogFile(logging.FileHandler):
    """A log file that may fill its disk: one line on the console says so, and the run goes on without it."""

    is_written = True

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Replace logging's traceback for each line that is lost."""
        if self.is_written:
            self.is_written = False
            reason = described(sys.exc_info()[1])
            print(f"warning: {self.baseFilename} cannot be written ({reason}); the run goes on, and lines are missing "
                  "there", file=sys.stderr)

    def close(self) -> None:
        """Close it, even if what is left cannot be written."""
        with contextlib.suppress(OSError):
            super().close()


class _Console(logging.StreamHandler):
    """Standard error as it is when a line is written; progress bars and tests exchange it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr


def _whole_numbers(samples: np.ndarray, subtype: str) -> np.ndarray:
    """What libsndfile shall write unchanged, so that reading and writing again changes nothing."""
    bits = _WHOLE_NUMBERS[subtype]
    numbers = quantised(samples, bits)
    return numbers.astype(np.int16) if bits == 16 else numbers << (32 - bits)  # it takes 24 bits from the top of 32


def opened(path: str | os.PathLike) -> soundfile.SoundFile:
    """The open file, or an AudioError that says what stands there instead."""
    if not os.path.isfile(path) or os.path.getsize(path) == 0:
        raise AudioError(f"{path} {_absence(Path(path))}")
    try:
        file = soundfile.SoundFile(path)
        if file.format == "MP3":
            # After each read soundfile seeks to where it is already, from where this decoder is silent for 0.2 seconds.
            file.seekable = lambda: False
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"{path} {_other_content(Path(path)) or _unreadable(error)}") from None
    if not _RATES[0] <= file.samplerate <= _RATES[1]:
        raise AudioError(f"{path} claims a rate of {file.samplerate} Hz, expected {_RATES[0]} to {_RATES[1]}; "
                         "replace or remove it")
    return file


def other_content(path: str | os.PathLike) -> str | None:
    """What a file is that bears another kind's name (a web page, a Git LFS pointer), by its first bytes; or None."""
    with open(path, "rb") as file:
        start = file.read(256).lstrip().lower()
    return next((what for sign, what in _NOT_AUDIO if start.startswith(sign.lower())), None)


def _other_content(place: Path) -> str:
    """What is in a file that libsndfile does not read, where its first bytes or its ending say it; else nothing."""
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
    """Why there is no file with anything in it."""
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
    """Go to the begin of a span [seconds]; gives back how many samples it has."""
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
    """Raise for a block [S, channels] that holds what no sound is, `count` samples into the file."""
    row, channel = np.argwhere(~(np.abs(block) <= _LOUDEST))[0]
    value = block[row, channel]
    scaled = "; float samples lie between -1 and 1, so divide whole numbers by their greatest" \
        if np.isfinite(value) else ""
    raise AudioError(f"{path} holds {value:g} at sample {count + row}{scaled}; export it again, or remove it")


def _reason(error: Exception) -> str:
    """libsndfile's own words, without the path that it repeats."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".")


def keep_freed_memory() -> bool:
    """Let the C library keep what tensors on the CPU give back, instead of handing it to the system each time.

    A training step frees and asks for the same gigabytes again; the system clears each page anew, which took 5 to 15 %
    of a small model's step. The most that is held stays the same. False where the C library is not glibc.
    """
    library = _glibc()
    trim_threshold, mmap_max = -1, -4  # names of options in malloc.h
    return library is not None and bool(library.mallopt(mmap_max, 0) and library.mallopt(trim_threshold, -1))


def _give_back() -> None:
    """Hand kept memory to the system, or what is measured next would be hidden in it."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """The C library of this process, where it is glibc."""
    library = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    return library if hasattr(library, "gnu_get_libc_version") else None


def peak_of(work: Callable[[], object], device: torch.device) -> int | None:
    """Most bytes that this process holds at a time while it does the work; None where nobody can tell."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return torch.cuda.max_memory_allocated(device)
    if device.type == "cpu":
        _give_back()
    if device.type != "cpu" or not _reset_high_water_mark():
        return None
    work()
    return kilobytes(Path("/proc/self/status")).get("VmHWM")


def _reset_high_water_mark() -> bool:
    """Tell Linux to count the peak of this process from now on."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def kilobytes(path: Path) -> dict[str, int]:
    """Lines "Name:   123 kB" of a file of /proc as bytes by name; nothing where there is no such file."""
    if not path.is_file():
        return {}
    fields = (line.split() for line in path.read_text().splitlines())
    return {field[0].rstrip(":"): 1024 * int(field[1]) for field in fields if len(field) == 3 and field[2] == "kB"}
