"""Sounds and pictures as data URIs for HTML pages.

    clip = Clip.read(Path("a.wav"))                     # samples and rate
    sound_uri(clip), spectrogram_uri(clip)

Shapes: S samples, T frames, F FFT bins, M mel bands.
"""

from __future__ import annotations

import base64
import io
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from audio.io import read_wav, write_wav

BANDS = 80
FRAMES = 400  # at most, of a picture; it is shown some 300 pixels wide
WINDOW_SECONDS = 0.032
RANGE_DB = 70.0  # below the loudest; quieter is black
LEVELS = 32  # colours of a picture; the eye sees no more, and the file is half as large as with 256
# Black, violet, red, orange, near white: lightness rises throughout, so that it is readable without colours, too.
ANCHORS = ((0, 0, 4), (58, 15, 110), (145, 38, 120), (222, 73, 83), (252, 160, 95), (252, 250, 215))


class Clip(NamedTuple):
    """A sound of a page."""

    samples: np.ndarray  # [S] float32
    sampling_rate: int  # Hz

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.samples) / self.sampling_rate

    @classmethod
    def read(cls, path: Path) -> Clip:
        """Read an audio file; AudioError if it is not one."""
        return cls(*read_wav(path))


def sound_uri(clip: Clip) -> str:
    """Encode a sound as 16-bit FLAC: lossless, two thirds of a wav, and played by browsers (Safari from 11 on).

    Opus would be far smaller, but is lossy, and Safari plays it in Ogg only since 2025.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.flac"
        write_wav(path, clip.samples, clip.sampling_rate)
        return _uri("audio/flac", path.read_bytes())


def spectrogram_uri(clip: Clip) -> str:
    """Draw the mel spectrogram as a small PNG, time to the right and frequency upwards."""
    mel = mel_decibels(clip)[::-1]  # [M, T], the top row is the highest band
    scaled = (mel - mel.max()) / RANGE_DB + 1  # the loudest is 1
    return picture_uri(np.round(scaled.clip(0, 1) * (LEVELS - 1)).astype(np.uint8))


def mel_decibels(clip: Clip) -> np.ndarray:
    """Mel spectrogram in dB of power, [M, T] with T at most FRAMES; for pictures only, hence without torch."""
    size = 1 << max(4, round(np.log2(WINDOW_SECONDS * clip.sampling_rate)))  # samples in a window
    hop = max(size // 4, -(-len(clip.samples) // FRAMES))
    padded = np.pad(clip.samples, (size // 2, size // 2 + hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:len(clip.samples):hop]  # [T, size]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2  # [T, F]
    return 10 * np.log10(power @ _mel_filters(size, clip.sampling_rate).T + 1e-10).T


def _mel_filters(size: int, sampling_rate: int) -> np.ndarray:
    """Triangles [M, F] at equal distances on the mel scale, each of sum 1; no band is empty."""
    top = 2595 * np.log10(1 + sampling_rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)  # Hz
    bins = np.arange(size // 2 + 1) * sampling_rate / size
    width = np.maximum(np.diff(edges), sampling_rate / size)  # low bands are narrower than a bin
    rising = 1 - (edges[1:-1, None] - bins) / width[:-1, None]
    falling = 1 - (bins - edges[1:-1, None]) / width[1:, None]
    filters = np.minimum(rising, falling).clip(0, 1)
    return filters / filters.sum(axis=1, keepdims=True)


def picture_uri(levels: np.ndarray) -> str:
    """Encode integers [height, width] below LEVELS as a PNG in the colours of spectrograms."""
    from PIL import Image

    image = Image.fromarray(levels).convert("L")
    image.putpalette([round(part) for colour in _palette() for part in colour])
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True, bits=5)
    return _uri("image/png", file.getvalue())


def _palette() -> np.ndarray:
    """LEVELS colours [LEVELS, 3] between the anchors."""
    place = np.linspace(0, len(ANCHORS) - 1, LEVELS)
    return np.stack([np.interp(place, range(len(ANCHORS)), channel) for channel in zip(*ANCHORS)], axis=1)


def file_uri(path: Path) -> str:
    """Embed a PNG, WebP or JPEG file.

    Raises:
        ValueError: another file ending.
    """
    kinds = {".png": "image/png", ".webp": "image/webp", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
    if path.suffix.lower() not in kinds:
        raise ValueError(f"{path} is not a picture for a page; expected {', '.join(kinds)}")
    return _uri(kinds[path.suffix.lower()], path.read_bytes())


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
