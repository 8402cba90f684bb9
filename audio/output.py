"""Output encoding: bit depth, sampling rate, loudness, as a file or as raw samples to a pipe.

    wanted = OutputFormat(bits=24, sample_rate=48000, loudness=-16)
    wanted.save("hello.flac", samples, 22050)

Shapes: S samples. Audio is mono float32 in [-1, 1] unless stated otherwise.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from audio.io import Wav, quantised, wav_writer
from audio.loudness import at_loudness
from audio.resampling import StreamResampler, at_rate
from utils import atomic_path, drop_output

FLOAT = "float"  # for `bits`: 32-bit floats instead of whole numbers
BITS = (16, 24, 32, FLOAT)

_SUBTYPES = {".wav": {16: "PCM_16", 24: "PCM_24", 32: "PCM_32", FLOAT: "FLOAT"},
             ".flac": {16: "PCM_16", 24: "PCM_24"},
             ".ogg": dict.fromkeys(BITS, "VORBIS"), ".opus": dict.fromkeys(BITS, "OPUS"),
             ".raw": dict.fromkeys(BITS), ".pcm": dict.fromkeys(BITS)}
_OPUS_HZ = (8000, 12000, 16000, 24000, 48000)  # no other rates are in Opus
_SAMPLES_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class OutputFormat:
    """Output encoding: bit depth, sample rate, loudness."""

    bits: int | str = 16  # 16, 24, 32 or "float"; .ogg and .opus have none and take any
    sample_rate: int | None = None  # Hz; None leaves the voice's
    loudness: float | None = None  # LUFS (-23 in broadcasting, -16 for podcasts); None leaves the voice's

    def __post_init__(self) -> None:
        _check_bits(self.bits)
        if self.sample_rate is not None and not 1000 <= self.sample_rate <= 384_000:
            raise ValueError(f"the sampling rate is {self.sample_rate} Hz; expected 1000 to 384000, such as 48000")
        if self.loudness is not None and not -70 <= self.loudness <= 0:
            raise ValueError(f"the loudness is {self.loudness} LUFS; expected -70 to 0, such as -23")

    def apply(self, samples: np.ndarray, sample_rate: int) -> Wav:
        """Resample, then set the loudness, where either is given."""
        rate = self.sample_rate or sample_rate
        samples = at_rate(samples, sample_rate, rate)
        return Wav(samples if self.loudness is None else at_loudness(samples, rate, self.loudness), rate)

    def save(self, path: str | os.PathLike, samples: np.ndarray, sample_rate: int) -> Wav:
        """Apply, write as `audio.output.save`, and return what was written."""
        wav = self.apply(samples, sample_rate)
        save(path, wav.samples, wav.sampling_rate, self.bits)
        return wav


def save(path: str | os.PathLike, samples: np.ndarray, sample_rate: int, bits: int | str = 16) -> None:
    """Write a file whole or not at all; folders are made.

    Args:
        path: .wav, .flac (16 or 24 bits), .ogg (Vorbis), .opus (which resamples to the next of its own five rates),
            .raw or .pcm (samples without a header, as `to_pcm`).
        samples: [S]; what lies beyond [-1, 1] is clipped.
        sample_rate: Hz.
        bits: 16, 24, 32 or "float".

    Raises:
        ValueError: the ending names no format or one without such bits, or samples are not finite floats.
        OSError: the folder cannot be written.
    """
    with writing(path, sample_rate, bits) as write:
        for start in range(0, max(1, len(samples)), _SAMPLES_AT_ONCE):
            write(np.asarray(samples)[start:start + _SAMPLES_AT_ONCE])


@contextlib.contextmanager
def writing(path: str | os.PathLike, sample_rate: int,
            bits: int | str = 16) -> Iterator[Callable[[np.ndarray], object]]:
    """Context with a function that writes the next [S] samples of a file, for constant memory; see `save`."""
    path = Path(path)
    ending = path.suffix.lower()
    _check_bits(bits)
    if ending not in _SUBTYPES:
        raise ValueError(f"{path}: {path.suffix or 'no ending'} names no format to save; expected one of "
                         f"{' '.join(_SUBTYPES)}")
    if bits not in _SUBTYPES[ending]:
        raise ValueError(f"{path}: {ending} holds {' or '.join(map(str, _SUBTYPES[ending]))} bits, not {bits}; choose "
                         "one of these, or .wav")
    subtype = _SUBTYPES[ending][bits]
    if subtype is None:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            yield lambda samples: file.write(to_pcm(samples, bits))
        return
    if subtype != "OPUS" or sample_rate in _OPUS_HZ:
        with wav_writer(path, sample_rate, subtype) as write:
            yield write
        return
    changer = StreamResampler(sample_rate, next((rate for rate in _OPUS_HZ if rate > sample_rate), _OPUS_HZ[-1]))
    with wav_writer(path, changer.to_hz, subtype) as write:
        yield lambda samples: write(changer.push(samples))
        write(changer.finish())


def to_pcm(samples: np.ndarray, bits: int | str = 16) -> bytes:
    """Little-endian signed whole numbers of 16, 24 or 32 bits, clipped; or 32-bit floats as they are.

    Raises:
        ValueError: no such bits, or samples are not finite.
    """
    _check_bits(bits)
    samples = np.asarray(samples)
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise ValueError(f"samples {list(samples.shape)} to write raw: expected finite numbers of shape [S]")
    if bits == FLOAT:
        return samples.astype("<f4").tobytes()
    numbers = quantised(samples, bits)
    if bits == 24:
        return numbers.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()  # the highest byte is only a sign
    return numbers.astype(f"<i{bits // 8}").tobytes()


def wav_header(sample_rate: int, bits: int | str = 16) -> bytes:
    """Header of a mono wav of unknown length, for pipes: it tells players rate and bits."""
    _check_bits(bits)
    width = 4 if bits == FLOAT else bits // 8  # bytes
    unknown = 0xFFFFFFFF
    layout = struct.pack("<HHIIHH", 3 if bits == FLOAT else 1, 1, sample_rate, sample_rate * width, width, 8 * width)
    return (b"RIFF" + struct.pack("<I", unknown) + b"WAVEfmt " + struct.pack("<I", len(layout)) + layout
            + b"data" + struct.pack("<I", unknown))


class RawWriter:
    """Writer of raw samples, flushed at once, to a stream such as `sys.stdout.buffer` that its reader may close."""

    def __init__(self, stream: BinaryIO, bits: int | str = 16, header_rate: int | None = None):
        """Write nothing yet.

        Args:
            stream: opened for bytes.
            bits: 16, 24, 32 or "float".
            header_rate: begin with the header of a wav of this rate in Hz.
        """
        _check_bits(bits)
        self.stream = stream
        self.bits = bits
        self.is_open = True
        self._head = b"" if header_rate is None else wav_header(header_rate, bits)

    def write(self, samples: np.ndarray) -> bool:
        """Write and flush [S] samples; False once the reader has closed the stream."""
        if not self.is_open:
            return False
        rest = memoryview(self._head + to_pcm(samples, self.bits))
        self._head = b""
        try:
            while rest:  # an unbuffered stream may take only part
                rest = rest[self.stream.write(rest):]
            self.stream.flush()
        except ConnectionError:  # a closed pipe among others
            self.is_open = False
            drop_output(self.stream)
        return self.is_open


def _check_bits(bits: int | str) -> None:
    if bits not in BITS:
        raise ValueError(f"{bits!r} bits; expected one of {' '.join(map(str, BITS))}")
