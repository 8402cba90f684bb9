"""Encoders of sound as it is made: samples go in by pieces, and the bytes of one stream come out by pieces.

    encoder = StreamEncoder("mp3", 22050)
    for audio in voice.stream("A long text."):
        send(encoder.write(audio.samples))
    send(encoder.finish())

Shapes: S samples.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import soundfile

from audio.io import quantised, writable
from audio.resampling import StreamResampler
from utils import import_package

FLOAT = "float"  # for `bits`: 32-bit floats instead of whole numbers
BITS = (16, 24, 32, FLOAT)


class Format(NamedTuple):
    """What a format is called, and what it can hold."""

    media_type: str
    subtypes: dict[int | str, str]  # libsndfile's name of the samples for each depth in bits
    container: str = ""  # libsndfile's name; empty where this module or PyAV writes it
    rates: tuple[int, ...] = ()  # Hz, ascending; empty for any


_MPEG_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_RAW = Format("audio/pcm", dict.fromkeys(BITS, "RAW"))

FORMATS = {  # by ending
    "wav": Format("audio/wav", {16: "PCM_16", 24: "PCM_24", 32: "PCM_32", FLOAT: "FLOAT"}),
    "flac": Format("audio/flac", {16: "PCM_16", 24: "PCM_24"}, "FLAC"),
    "ogg": Format("audio/ogg", dict.fromkeys(BITS, "VORBIS"), "OGG"),
    "opus": Format("audio/ogg", dict.fromkeys(BITS, "OPUS"), "OGG", (8000, 12000, 16000, 24000, 48000)),
    "mp3": Format("audio/mpeg", dict.fromkeys(BITS, "MPEG_LAYER_III"), "MP3", _MPEG_RATES),
    "aac": Format("audio/aac", dict.fromkeys(BITS, "AAC"), "", (*_MPEG_RATES, 64000, 88200, 96000)),
    "raw": _RAW,
    "pcm": _RAW,
}

_OGG_PAGE_LATENCY = 0x1302  # libsndfile's SFC_SET_OGG_PAGE_LATENCY_MS, which the package soundfile does not name
_OGG_PAGE_MS = 50.0  # pages of 0.1 s; without it they hold a second
_MP3_HEADER = 4  # bytes of a frame
_AAC_BITS_PER_SECOND = 96_000


class StreamEncoder:
    """Encoder of one stream of mono sound.

    The bytes, joined, are one stream. WAV, raw samples, FLAC, Opus and Vorbis hold as many samples as were written.
    MP3 begins with 1105 samples of silence and AAC with 1024, and either is filled up to whole frames. Headers give no
    length, as it is not known when they are sent. A stream to which no sample was written has one of silence, but for
    WAV and raw samples.
    """

    def __init__(self, format: str, sampling_rate: int, bits: int | str = 16):
        """Open a stream.

        Args:
            format: a key of `FORMATS`.
            sampling_rate: of the samples, in Hz; they are resampled to `self.sampling_rate` if the format lacks it.
            bits: 16, 24, 32 or "float"; formats of lossy compression have none and take any.

        Raises:
            ValueError: there is no such format, or it has no such bits.
            PackageError: AAC without the package av.
        """
        found = format_of(format, bits)
        self.media_type = found.media_type
        self.sampling_rate = rate_within(found, sampling_rate)
        self._resampler = None
        if self.sampling_rate != sampling_rate:
            self._resampler = StreamResampler(sampling_rate, self.sampling_rate)
        if found.container:
            self._codec = _LibsndfileCodec(found, self.sampling_rate, bits)
        elif format == "aac":
            self._codec = _AacCodec(self.sampling_rate)
        else:
            self._codec = _PcmCodec(bits, wav_header(self.sampling_rate, bits) if format == "wav" else b"")

    def write(self, samples: np.ndarray) -> bytes:
        """The bytes that are complete after [S] more samples, possibly none; what lies beyond [-1, 1] is clipped.

        Raises:
            ValueError: samples are not finite floats of shape [S].
        """
        samples = writable(samples, "the sound to encode")
        return self._codec.write(samples if self._resampler is None else self._resampler.push(samples))

    def finish(self) -> bytes:
        """The remaining bytes, at the end of the stream."""
        rest = b"" if self._resampler is None else self._codec.write(self._resampler.finish())
        return rest + self._codec.finish()


def format_of(name: str, bits: int | str = 16) -> Format:
    """The format of a name in `FORMATS`; ValueError if there is none, or none of such bits."""
    check_bits(bits)
    if name not in FORMATS:
        raise ValueError(f"{name or 'no ending'} names no format of sound; expected one of {' '.join(FORMATS)}")
    if bits not in FORMATS[name].subtypes:
        raise ValueError(f"{name} holds {' or '.join(map(str, FORMATS[name].subtypes))} bits, not {bits}; choose one "
                         "of these, or wav")
    return FORMATS[name]


def rate_within(found: Format, sampling_rate: int) -> int:
    """The lowest rate of a format that is not below `sampling_rate`, else its highest, in Hz."""
    if not found.rates:
        return sampling_rate
    return next((rate for rate in found.rates if rate >= sampling_rate), found.rates[-1])


def to_pcm(samples: np.ndarray, bits: int | str = 16) -> bytes:
    """Little-endian signed whole numbers of 16, 24 or 32 bits, clipped; or 32-bit floats as they are.

    Raises:
        ValueError: no such bits, or samples are not finite.
    """
    check_bits(bits)
    samples = np.asarray(samples)
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise ValueError(f"samples {list(samples.shape)} to write raw: expected finite numbers of shape [S]")
    if bits == FLOAT:
        return samples.astype("<f4").tobytes()
    numbers = quantised(samples, bits)
    if bits == 24:
        return numbers.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()  # the highest byte is only a sign
    return numbers.astype(f"<i{bits // 8}").tobytes()


def wav_header(sample_rate: int, bits: int | str = 16, n_bytes: int | None = None) -> bytes:
    """Header of a mono wav of so many bytes of samples; None: of unknown length, for pipes."""
    check_bits(bits)
    width = 4 if bits == FLOAT else bits // 8  # bytes
    whole, data = (0xFFFFFFFF, 0xFFFFFFFF) if n_bytes is None else (36 + n_bytes, n_bytes)
    layout = struct.pack("<HHIIHH", 3 if bits == FLOAT else 1, 1, sample_rate, sample_rate * width, width, 8 * width)
    return (b"RIFF" + struct.pack("<I", whole) + b"WAVEfmt " + struct.pack("<I", len(layout)) + layout
            + b"data" + struct.pack("<I", data))


def check_bits(bits: int | str) -> None:
    """Raise ValueError for what is not in `BITS`."""
    if bits not in BITS:
        raise ValueError(f"{bits!r} bits; expected one of {' '.join(map(str, BITS))}")


class _PcmCodec:
    """Samples as they are, behind a header."""

    def __init__(self, bits: int | str, header: bytes):
        self._bits, self._header = bits, header

    def write(self, samples: np.ndarray) -> bytes:
        header, self._header = self._header, b""
        return header + to_pcm(samples, self._bits)

    def finish(self) -> bytes:
        header, self._header = self._header, b""
        return header


class _LibsndfileCodec:
    """Any compression of libsndfile."""

    def __init__(self, found: Format, rate: int, bits: int | str):
        self._subtype = found.subtypes[bits]
        self._sink = _Sink(drops_empty_frame=found.container == "MP3")
        # Players reckon the length of an MP3 without a table by the rate of its first frame: so the rate is constant.
        constant = {"bitrate_mode": "CONSTANT", "compression_level": 0.42 if rate < 32000 else 0.67}  # 96, 127 kbit/s
        self._file = soundfile.SoundFile(self._sink, "w", rate, 1, self._subtype, format=found.container,
                                         **constant if found.container == "MP3" else {})
        self._is_empty = True
        if self._subtype == "OPUS":
            latency = soundfile._ffi.new("double *", _OGG_PAGE_MS)
            soundfile._snd.sf_command(self._file._file, _OGG_PAGE_LATENCY, latency, soundfile._ffi.sizeof("double"))

    def write(self, samples: np.ndarray) -> bytes:
        if len(samples):
            self._file.write(writable(samples, "the sound to encode", self._subtype))
            self._is_empty = False
        return self._sink.taken()

    def finish(self) -> bytes:
        if not self._file.closed:
            if self._is_empty:  # FLAC and MP3 have no header before the first sample, and Opus alone is no stream
                self._file.write(np.zeros(1))
            self._file.close()
        return self._sink.taken()


class _AacCodec:
    """AAC in ADTS frames by FFmpeg, from the package av."""

    def __init__(self, rate: int):
        self._av = import_package("av", otherwise="choose mp3 or opus, which need no other package")
        self._rate = rate
        self._sink = _Sink()
        self._file = self._av.open(self._sink, "w", format="adts")
        self._stream = self._file.add_stream("aac", rate=rate, layout="mono")
        self._stream.bit_rate = _AAC_BITS_PER_SECOND
        self._is_empty, self._is_open = True, True

    def write(self, samples: np.ndarray) -> bytes:
        if len(samples):
            frame = self._av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
            frame.sample_rate = self._rate
            self._file.mux(self._stream.encode(frame))
            self._is_empty = False
        return self._sink.taken()

    def finish(self) -> bytes:
        if self._is_open:
            if self._is_empty:
                self.write(np.zeros(1, np.float32))
            self._file.mux(self._stream.encode(None))
            self._file.close()
            self._is_open = False
        return self._sink.taken()


class _Sink:
    """A file in memory that hands over what is appended, and drops later changes of what was handed over.

    FLAC's and MP3's writers go back to the beginning on closing, to note the length. LAME keeps a first frame free for
    it, which without its numbers would decode as silence.
    """

    def __init__(self, drops_empty_frame: bool = False):
        self._drops_empty_frame = drops_empty_frame
        self._position = self._end = 0
        self._pending = bytearray()

    def write(self, data: bytes) -> int:
        data = bytes(data)
        is_empty_frame = self._drops_empty_frame and self._end == 0 and not any(data[_MP3_HEADER:])
        if not is_empty_frame:
            self._pending += data[self._end - self._position:]
        self._position += len(data)
        self._end = max(self._end, self._position)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = (0, self._position, self._end)[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def taken(self) -> bytes:
        taken = bytes(self._pending)
        self._pending.clear()
        return taken
