"""Sound as people want it: how many bits, which rate, how loud, how high, in which file or pipe.

    wanted = OutputFormat(bits=24, sample_rate=48000, loudness=-16)
    wanted.save("hello.flac", samples, 22050)

Shapes: S samples, N frames, P periods. Audio is mono float32 in [-1, 1] unless a line says otherwise.
"""

from __future__ import annotations

import contextlib
import math
import os
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from files import drop_output
from utils import RESAMPLING_RATIO_LIMIT, Wav, atomic_path, import_package, quantised, resample, wav_writer

FLOAT = "float"  # for `bits`: 32-bit floats instead of whole numbers
BITS = (16, 24, 32, FLOAT)
PEAK = 0.99  # the highest that a change of loudness goes; some players clip just below 1
MAX_SEMITONES = 12.0

_SUBTYPES = {".wav": {16: "PCM_16", 24: "PCM_24", 32: "PCM_32", FLOAT: "FLOAT"},
             ".flac": {16: "PCM_16", 24: "PCM_24"},
             ".ogg": dict.fromkeys(BITS, "VORBIS"), ".opus": dict.fromkeys(BITS, "OPUS"),
             ".raw": dict.fromkeys(BITS), ".pcm": dict.fromkeys(BITS)}
_OPUS_HZ = (8000, 12000, 16000, 24000, 48000)  # no other rates are in Opus
_SAMPLES_AT_ONCE = 1 << 18
_BLOCK_SECONDS = 0.4  # what loudness is measured over (ITU-R BS.1770)

_LOWEST_HZ, _HIGHEST_HZ = 60.0, 500.0  # voices
_FRAME_SECONDS = 0.005
_APERIODICITY = 0.45  # YIN's measure, up to which a frame counts as voiced
_QUIETEST = 1e-4  # of the loudest frame's power; less is not voiced
_FRAMES_AT_ONCE = 512
_MARGIN = 8  # samples beside a period, for what moving it by part of a sample smears


@dataclass(frozen=True)
class OutputFormat:
    """How audio leaves."""

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
        """Resample, then set the loudness, as far as wanted."""
        rate = self.sample_rate or sample_rate
        samples = at_rate(samples, sample_rate, rate)
        return Wav(samples if self.loudness is None else at_loudness(samples, rate, self.loudness), rate)

    def save(self, path: str | os.PathLike, samples: np.ndarray, sample_rate: int) -> Wav:
        """Write `apply`'s sound as `save` does, and return it."""
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
    """Within it, a function that writes the next [S] samples, so that a book need not be held; see `save`."""
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
    changer = RateChanger(sample_rate, next((rate for rate in _OPUS_HZ if rate > sample_rate), _OPUS_HZ[-1]))
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
    """The head of a mono wav of unknown length, for pipes: players then need not be told rate and bits."""
    _check_bits(bits)
    width = 4 if bits == FLOAT else bits // 8  # bytes
    unknown = 0xFFFFFFFF
    layout = struct.pack("<HHIIHH", 3 if bits == FLOAT else 1, 1, sample_rate, sample_rate * width, width, 8 * width)
    return (b"RIFF" + struct.pack("<I", unknown) + b"WAVEfmt " + struct.pack("<I", len(layout)) + layout
            + b"data" + struct.pack("<I", unknown))


class RawWriter:
    """Raw samples, each piece at once, to a stream such as `sys.stdout.buffer` whose reader may go away at any time."""

    def __init__(self, stream: BinaryIO, bits: int | str = 16, header_rate: int | None = None):
        """Write nothing yet.

        Args:
            stream: opened for bytes.
            bits: 16, 24, 32 or "float".
            header_rate: begin with the head of a wav of this rate in Hz.
        """
        _check_bits(bits)
        self.stream = stream
        self.bits = bits
        self.is_open = True
        self._head = b"" if header_rate is None else wav_header(header_rate, bits)

    def write(self, samples: np.ndarray) -> bool:
        """Write and flush [S] samples; False when nobody listens any more, so that the speaker can stop."""
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


def at_rate(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Resample [S] to exactly S * to_hz / from_hz samples, rounded; as `Timings.scaled` counts them."""
    samples = np.asarray(samples, np.float32)
    length = _resampled_length(len(samples), from_hz, to_hz)
    if from_hz == to_hz or length == 0:
        return samples[:length]
    resampled = resample(samples, from_hz, to_hz)[:length]
    return np.pad(resampled, (0, length - len(resampled)))  # where the ratio of the rates has to be simplified


class RateChanger:
    """Resample a stream piece by piece: what comes out, joined, is `at_rate` of what went in, joined."""

    def __init__(self, from_hz: int, to_hz: int):
        ratio = Fraction(to_hz, from_hz).limit_denominator(RESAMPLING_RATIO_LIMIT)
        self.from_hz = from_hz
        self.to_hz = to_hz
        self._step, self._made = ratio.denominator, ratio.numerator  # so many samples become so many, with none over
        reach = 70 * max(1, from_hz / to_hz)  # samples to each side that the filter of `resample` looks at
        self._context = self._step * math.ceil(reach / self._step)
        self._held = np.zeros(0, np.float32)
        self._done = 0  # of those held; kept as context, a multiple of `_step`
        self._taken = self._given = 0

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take [S] and give what is settled by now, which may be nothing."""
        self._held = np.concatenate([self._held, np.asarray(samples, np.float32)])
        self._taken += len(samples)
        settled = (len(self._held) - self._context) // self._step * self._step
        if settled <= self._done:
            return np.zeros(0, np.float32)
        resampled = resample(self._held, self.from_hz, self.to_hz)
        piece = resampled[self._done // self._step * self._made:settled // self._step * self._made]
        forgotten = max(0, settled - self._context)
        self._held, self._done = self._held[forgotten:], settled - forgotten
        self._given += len(piece)
        return piece

    def finish(self) -> np.ndarray:
        """Give the rest."""
        missing = max(0, _resampled_length(self._taken, self.from_hz, self.to_hz) - self._given)
        if not missing:
            return np.zeros(0, np.float32)
        rest = resample(self._held, self.from_hz, self.to_hz)[self._done // self._step * self._made:][:missing]
        self._given += missing
        return np.pad(rest, (0, missing - len(rest)))


def _resampled_length(length: int, from_hz: int, to_hz: int) -> int:
    return (length * to_hz + from_hz // 2) // from_hz


def at_loudness(samples: np.ndarray, sample_rate: int, target_lufs: float = -23.0, peak: float = PEAK) -> np.ndarray:
    """Make [S] as loud as wanted by one gain, measured by ITU-R BS.1770; silence stays silence.

    What would peak above `peak` is made less loud than wanted, with a warning. What is shorter than the 0.4 s that the
    measure needs is measured as if it were repeated.

    Raises:
        ValueError: pyloudnorm is not installed.
    """
    loudness = _loudness(samples, sample_rate)
    if loudness is None:
        return samples
    gain = 10 ** ((target_lufs - loudness) / 20)
    highest = peak / float(np.abs(samples).max())
    if gain > highest:
        warnings.warn(f"{target_lufs:g} LUFS would peak at {peak * gain / highest:.2f}; made "
                      f"{loudness + 20 * math.log10(highest):.1f} LUFS, so that nothing clips", stacklevel=2)
    return (samples * min(gain, highest)).astype(np.float32)


def _loudness(samples: np.ndarray, sample_rate: int) -> float | None:
    """LUFS; None for silence."""
    meter = import_package("pyloudnorm", otherwise="leave the loudness as it is").Meter
    if not np.any(samples):
        return None
    least = math.ceil(_BLOCK_SECONDS * sample_rate) + 1
    if len(samples) < least:
        samples = np.tile(samples, math.ceil(least / len(samples)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it takes logarithms of blocks of silence
        loudness = float(meter(sample_rate).integrated_loudness(samples.astype(np.float64)))
    return loudness if math.isfinite(loudness) else None


def pitch_shifted(samples: np.ndarray, sample_rate: int, semitones: float) -> np.ndarray:
    """Speak [S] higher or lower, as long as before and in the same voice: the formants stay where they are.

    By PSOLA (Moulines and Charpentier 1990): where the sound is voiced, its periods are laid closer together or further
    apart; elsewhere it is left alone, and so it is by 0 semitones.

    Raises:
        ValueError: more than an octave, or no number.
    """
    if not abs(semitones) <= MAX_SEMITONES:
        raise ValueError(f"the pitch shift is {semitones} semitones; expected -{MAX_SEMITONES:g} to {MAX_SEMITONES:g}")
    if semitones == 0 or len(samples) == 0:
        return samples
    ratio = 2 ** (semitones / 12)
    wave = np.asarray(samples, np.float64)
    shifted = wave.copy()
    for marks in _period_marks(wave, sample_rate):
        part = slice(marks[0], marks[-1])
        voiced = _laid_anew(wave, marks, ratio)
        voiced *= math.sqrt((wave[part] ** 2).sum() / max((voiced ** 2).sum(), 1e-12))  # more periods are no louder
        fade = np.ones(len(voiced))  # over the first period and the last
        first, last = marks[1] - marks[0], marks[-1] - marks[-2]
        fade[:first] = _rise(first)
        fade[-last:] *= _rise(last)[::-1]
        shifted[part] += fade * (voiced - wave[part])
    return shifted.clip(-1, 1).astype(np.float32)


def _laid_anew(wave: np.ndarray, marks: np.ndarray, ratio: float) -> np.ndarray:
    """The sound from first mark to last, from its own periods at `ratio` times as many a second."""
    lengths = np.diff(marks)  # [P - 1]
    middles = (marks[1:] + marks[:-1]) / 2
    laid = np.zeros(marks[-1] - marks[0])
    place = 0.0  # from the first mark
    while place < len(laid):
        nearest = int(np.searchsorted(middles, marks[0] + place))
        left, right = lengths[max(nearest - 1, 0)], lengths[min(nearest, len(lengths) - 1)]
        if left <= marks[nearest] <= len(wave) - right:
            period = wave[marks[nearest] - left:marks[nearest] + right] * np.concatenate(
                [_rise(left), _rise(right)[::-1]])
            period = _delayed(np.pad(period, _MARGIN), place % 1)
            start = int(place) - left - _MARGIN
            low, high = max(start, 0), min(start + len(period), len(laid))
            laid[low:high] += period[low - start:high - start]
        place += (left + right) / 2 / ratio
    return laid


def _rise(length: int) -> np.ndarray:
    """The rising half of a Hann window, [length]; with its mirror image it adds up to 1."""
    return np.sin(np.pi / 2 * (np.arange(length) + 0.5) / length) ** 2


def _delayed(samples: np.ndarray, fraction: float) -> np.ndarray:
    """Later by part of a sample; without it the new periods would jitter, and the voice sound hoarse."""
    turn = np.exp(-2j * np.pi * fraction * np.fft.rfftfreq(len(samples)))
    return np.fft.irfft(np.fft.rfft(samples) * turn, len(samples))


def _period_marks(wave: np.ndarray, sample_rate: int) -> list[np.ndarray]:
    """One sample of every period, alike from period to period: an array for each voiced stretch of the sound."""
    hop = max(1, round(_FRAME_SECONDS * sample_rate))
    periods = _periods(wave, hop, sample_rate)
    stretches = []
    for start, end in np.flatnonzero(np.diff(np.pad(periods > 0, 1).astype(int))).reshape(-1, 2) * hop:
        end = min(end, len(wave))
        if end <= start:
            continue
        loudest = start + int(np.argmax(np.abs(wave[start:end])))
        marks = [loudest]
        for direction in (1, -1):
            mark = loudest
            while (found := _next_mark(wave, mark, direction * periods[mark // hop])) is not None \
                    and start <= found < end:
                mark = found
                marks.append(mark)
        if len(marks) >= 4:
            stretches.append(np.sort(marks))
    return stretches


def _next_mark(wave: np.ndarray, mark: int, step: int) -> int | None:
    """Where, about `step` samples on, the sound is most like that around `mark`; None at either end of the sound."""
    period = abs(step)
    slack = period // 5
    start, end = mark + step - slack - period, mark + step + slack + period
    if min(start, mark - period) < 0 or max(end, mark + period) > len(wave):
        return None
    around = wave[start:end]
    power = np.correlate(around ** 2, np.ones(2 * period), "valid")
    likeness = np.correlate(around, wave[mark - period:mark + period], "valid") / np.sqrt(power + 1e-9)
    return mark + step - slack + int(np.argmax(likeness))


def _periods(wave: np.ndarray, hop: int, sample_rate: int) -> np.ndarray:
    """Samples a period in every frame, int [N], 0 where it is not voiced; by YIN (de Cheveigné and Kawahara 2002)."""
    longest, shortest = int(sample_rate / _LOWEST_HZ), int(sample_rate / _HIGHEST_HZ)
    padded = np.pad(wave, (longest, longest + hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * longest)[::hop]  # [N, 2 * longest], a view
    periods, power = np.zeros(len(frames), int), np.zeros(len(frames))
    for i in range(0, len(frames), _FRAMES_AT_ONCE):
        block = slice(i, i + _FRAMES_AT_ONCE)
        difference, power[block] = _differences(frames[block], longest)
        inner = difference[:, shortest:longest]
        is_dip = (inner < difference[:, shortest - 1:longest - 1]) & (inner <= difference[:, shortest + 1:longest + 1])
        depth = np.where(is_dip, inner, 1.0)
        deepest = depth.min(axis=1, keepdims=True)
        first = shortest + np.argmax(depth <= np.maximum(deepest + 0.02, 0.1), axis=1)  # not its double or treble
        periods[block] = np.where(deepest[:, 0] < _APERIODICITY, first, 0)
    periods[power < _QUIETEST * power.max()] = 0
    neighbours = np.lib.stride_tricks.sliding_window_view(np.pad(periods, 2), 5)
    return np.median(neighbours, axis=1).astype(int)  # a lone frame is mistaken


def _differences(frames: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """How each frame differs from itself some samples later (YIN's equation 8), [N, longest + 1]; its power, [N]."""
    size = frames.shape[1]
    spectrum, head = np.fft.rfft(frames, size), np.fft.rfft(frames[:, :longest], size)
    product = np.fft.irfft(spectrum * head.conj(), size)[:, :longest + 1]
    energy = np.pad(np.cumsum(frames ** 2, axis=1), ((0, 0), (1, 0)))
    energy = energy[:, longest:] - energy[:, :longest + 1]  # of `longest` samples from each lag on
    squares = np.maximum(energy[:, :1] + energy - 2 * product, 0)[:, 1:]
    relative = squares * np.arange(1, longest + 1) / np.maximum(np.cumsum(squares, axis=1), 1e-12)
    return np.pad(relative, ((0, 0), (1, 0)), constant_values=1), energy[:, 0]


def _check_bits(bits: int | str) -> None:
    if bits not in BITS:
        raise ValueError(f"{bits!r} bits; expected one of {' '.join(map(str, BITS))}")
