"""Output encoding: bit depth, sampling rate, loudness, as a file or to a pipe.

    wanted = OutputFormat(bits=24, sample_rate=48000, loudness=-16)
    wanted.save("hello.flac", samples, 22050)

Shapes: S samples. Audio is mono float32 in [-1, 1] unless stated otherwise.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from audio.encoders import StreamEncoder, check_bits, format_of, rate_within
from audio.io import Wav, wav_writer
from audio.loudness import at_loudness
from audio.resampling import StreamResampler, at_rate
from utils import atomic_path, drop_output

_SAMPLES_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class OutputFormat:
    """Output encoding: bit depth, sample rate, loudness."""

    bits: int | str = 16  # 16, 24, 32 or "float"; .ogg and .opus have none and take any
    sample_rate: int | None = None  # Hz; None leaves the voice's
    loudness: float | None = None  # LUFS (-23 in broadcasting, -16 for podcasts); None leaves the voice's

    def __post_init__(self) -> None:
        check_bits(self.bits)
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
        path: .wav, .flac (16 or 24 bits), .ogg (Vorbis), .opus, .mp3, .aac (with the package av), .raw or .pcm (samples
            without a header). Where a format lacks the rate, its next higher one is taken.
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
    ending = path.suffix.lower()[1:]
    try:
        found = format_of(ending, bits)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if ending in ("raw", "pcm", "aac"):  # not libsndfile's
        encoder = StreamEncoder(ending, sample_rate, bits)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            yield lambda samples: file.write(encoder.write(samples))
            file.write(encoder.finish())
        return
    rate = rate_within(found, sample_rate)
    with wav_writer(path, rate, found.subtypes[bits]) as write:
        if rate == sample_rate:
            yield write
            return
        changer = StreamResampler(sample_rate, rate)
        yield lambda samples: write(changer.push(samples))
        write(changer.finish())


class PipeWriter:
    """Writer of encoded sound, flushed at once, to a stream such as `sys.stdout.buffer` that its reader may close."""

    def __init__(self, stream: BinaryIO, encoder: StreamEncoder):
        """Write nothing yet; the stream is opened for bytes."""
        self.stream = stream
        self.encoder = encoder
        self.is_open = True

    def write(self, samples: np.ndarray) -> bool:
        """Write and flush [S] samples; False once the reader has closed the stream."""
        return self.is_open and self._write(self.encoder.write(samples))

    def finish(self) -> bool:
        """Write and flush the end of the sound; False once the reader has closed the stream."""
        return self.is_open and self._write(self.encoder.finish())

    def _write(self, encoded: bytes) -> bool:
        rest = memoryview(encoded)
        try:
            while rest:  # an unbuffered stream may take only part
                rest = rest[self.stream.write(rest):]
            self.stream.flush()
        except ConnectionError:  # a closed pipe among others
            self.is_open = False
            drop_output(self.stream)
        return self.is_open
