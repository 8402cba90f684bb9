"""Streams of every format: decoded by libsndfile or FFmpeg they hold all that went in, to the last sample."""

import io

import numpy as np
import pytest
import soundfile

from audio.encoders import FORMATS, StreamEncoder
from audio.io import read_wav, wav_info
from audio.resampling import at_rate

RATE = 22050
# Samples of silence at the beginning, dB of signal to noise that are reached.
DECODED = {"wav": (0, 80), "flac": (0, 80), "ogg": (0, 15), "opus": (0, 10), "mp3": (1105, 15), "aac": (1024, 15)}


def voiced(seconds=0.7, rate=RATE):
    """Harmonics of a gliding pitch that are loud up to the very ends."""
    time = np.arange(round(seconds * rate)) / rate
    cycles = np.cumsum(120 + 40 * np.sin(5 * time)) / rate
    return (0.1 * sum(np.sin(2 * np.pi * n * cycles + n) for n in (1, 2, 3, 5))).astype(np.float32)


def encoded(name, samples, rate=RATE, sizes=(4000,)):
    """The bytes of each piece, the last ones those of the end."""
    encoder, pieces, start, turn = StreamEncoder(name, rate), [], 0, 0
    while start < len(samples):
        pieces.append(encoder.write(samples[start:start + sizes[turn % len(sizes)]]))
        start, turn = start + sizes[turn % len(sizes)], turn + 1
    return [*pieces, encoder.finish()]


def decoded(name, content):
    """Samples and rate; of a stream, whose length no header gives, read until its end."""
    if name == "aac":
        av = pytest.importorskip("av", reason="AAC needs the extra aac")
        with av.open(io.BytesIO(content)) as file:
            frames = [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
            return np.concatenate(frames), file.streams.audio[0].rate
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        file.seekable = lambda: False  # soundfile seeks after each read, which an MP3 does not survive
        blocks = []
        while not blocks or len(blocks[-1]):
            blocks.append(file.read(1000, dtype="float32"))
        return np.concatenate(blocks), file.samplerate


def start_encoder(name):
    if name == "aac":
        pytest.importorskip("av", reason="AAC needs the extra aac")


@pytest.mark.parametrize("name", DECODED)
def test_a_decoder_gets_every_sample_up_to_the_last(name):
    start_encoder(name)
    samples, (delay, floor) = voiced(), DECODED[name]
    found, rate = decoded(name, b"".join(encoded(name, samples)))
    wanted = at_rate(samples, RATE, rate)
    assert rate == StreamEncoder(name, RATE).sampling_rate == (24000 if name == "opus" else RATE)
    if delay:
        assert delay + len(wanted) <= len(found) <= delay + len(wanted) + 2 * 1152  # filled up to whole frames
    else:
        assert len(found) == len(wanted)
    found = found[delay:delay + len(wanted)]
    for part in (slice(None), slice(-rate // 20, None)):  # the last 50 ms as well as the rest
        assert 10 * np.log10(np.var(wanted[part]) / np.var((found - wanted)[part])) > floor


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"ogg"}))  # Vorbis sets its first block by the first piece
def test_pieces_of_odd_sizes_give_the_stream_of_one_piece(name):
    start_encoder(name)
    samples = voiced(0.4)
    one, odd = encoded(name, samples, sizes=(len(samples),)), encoded(name, samples, sizes=(1, 0, 777, 31, 4096))
    if name == "opus":  # each stream has a number of its own, drawn at random
        assert np.array_equal(decoded(name, b"".join(one))[0], decoded(name, b"".join(odd))[0])
    else:
        assert b"".join(one) == b"".join(odd)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"ogg"}))
def test_bytes_come_while_samples_still_go_in(name):
    start_encoder(name)
    pieces = encoded(name, voiced(2.0), sizes=(RATE // 10,))
    assert sum(map(len, pieces[:-1])) > 0.8 * sum(map(len, pieces))
    assert sum(map(len, pieces[:6])) > 0.05 * sum(map(len, pieces))  # of the first of two seconds


@pytest.mark.parametrize("name", DECODED)
def test_a_stream_without_samples_can_be_decoded(name):
    start_encoder(name)
    found, _ = decoded(name, b"".join(encoded(name, np.zeros(0, np.float32))))
    assert np.abs(found).max(initial=0) < 1e-6 and (len(found) <= 1 or DECODED[name][0])


@pytest.mark.parametrize(("name", "rate", "stored"), [
    ("mp3", 10000, 11025), ("mp3", 96000, 48000), ("opus", 44100, 48000), ("aac", 23000, 24000), ("flac", 230, 230)])
def test_a_rate_that_the_format_lacks_becomes_the_next(name, rate, stored):
    start_encoder(name)
    found, found_rate = decoded(name, b"".join(encoded(name, voiced(0.3, rate), rate)))
    assert found_rate == StreamEncoder(name, rate).sampling_rate == stored
    assert len(found) >= 0.3 * stored


@pytest.mark.parametrize("name", ["wav", "flac", "ogg", "opus", "mp3"])
def test_a_saved_stream_is_read_as_a_file(tmp_path, name):
    (tmp_path / "a").write_bytes(b"".join(encoded(name, voiced())))
    read, rate = read_wav(tmp_path / "a")
    assert len(read) == len(decoded(name, (tmp_path / "a").read_bytes())[0])
    assert wav_info(tmp_path / "a") == (len(read), rate)


def test_the_end_comes_once():
    for name in ("wav", "raw", "mp3", "opus"):
        encoder = StreamEncoder(name, RATE)
        encoder.write(voiced(0.1))
        encoder.finish()
        assert encoder.finish() == b""


def test_formats_have_their_media_types():
    assert {name: each.media_type for name, each in FORMATS.items()} == {
        "wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg", "opus": "audio/ogg", "mp3": "audio/mpeg",
        "aac": "audio/aac", "raw": "audio/pcm", "pcm": "audio/pcm"}


@pytest.mark.parametrize(("name", "bits", "expected"), [
    ("mp7", 16, "mp7 names no format of sound; expected one of wav flac"), ("", 16, "no ending names no format"),
    ("flac", 32, "flac holds 16 or 24 bits, not 32"), ("mp3", 20, "20 bits; expected one of 16 24 32 float")])
def test_a_format_that_cannot_be_is_refused(name, bits, expected):
    with pytest.raises(ValueError, match=expected):
        StreamEncoder(name, RATE, bits)


@pytest.mark.parametrize("samples", [np.array([0.0, np.nan]), np.zeros((2, 5)), np.array([1, 2])])
def test_samples_that_are_no_sound_are_refused(samples):
    for name in ("wav", "mp3"):
        with pytest.raises(ValueError, match="the sound to encode: "):
            StreamEncoder(name, RATE).write(samples)


def test_aac_without_its_package_names_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ValueError, match="av .*choose mp3 or opus"):
        StreamEncoder("aac", RATE)
