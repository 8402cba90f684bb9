"""Formats, rates, loudness and pitch, each measured by a library that nobody here wrote."""

import io
import subprocess
import sys
import warnings
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from audio.encoders import BITS, StreamEncoder, to_pcm, wav_header
from audio.io import read_wav
from audio.loudness import at_loudness
from audio.output import OutputFormat, PipeWriter, save
from audio.pitch_shift import pitch_shifted
from audio.resampling import StreamResampler, at_rate
from synthesis.timings import Timings

RATE = 22050
FORMANTS = (700, 1220, 2600)  # Hz, of an "a"


def tone(seconds=0.5, rate=RATE, hz=440.0, level=0.5):
    return (level * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def vowel(pitch, rate=RATE, seconds=1.0):
    """An "a": pulses that glide by a tenth around `pitch` Hz through three resonances."""
    fine = 48000  # at which a pulse is close to where it belongs
    time = np.arange(int(seconds * fine)) / fine
    cycles = np.cumsum(pitch * (1 + 0.1 * np.sin(2 * np.pi * time / seconds))) / fine
    wave = np.diff(np.floor(cycles), prepend=0) + 1e-4 * np.random.default_rng(0).standard_normal(len(time))
    for formant in FORMANTS:
        radius = np.exp(-np.pi * 90 / fine)  # 90 Hz wide
        wave = lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * formant / fine), radius ** 2], wave)
    return at_rate(0.3 * wave / np.abs(wave).max(), fine, rate)


def pitch_of(samples, rate):
    """Hz in every frame but those at the ends."""
    return librosa.yin(at_rate(samples, rate, RATE), fmin=60, fmax=700, sr=RATE)[5:-5]


def formants_of(samples, rate):
    """Hz of the narrowest resonances below 3500 Hz, by linear prediction after resampling to 8 kHz."""
    low = at_rate(samples, rate, 8000)[2000:6000]
    roots = np.roots(librosa.lpc(np.append(low[0], low[1:] - 0.9 * low[:-1]) * np.hanning(len(low)), order=10))
    roots = sorted((root for root in roots if root.imag > 0), key=lambda root: -abs(root))
    return sorted(float(np.angle(root)) * 8000 / (2 * np.pi) for root in roots[:3])


@pytest.mark.parametrize(("name", "bits", "subtype", "step"), [
    ("a.wav", 16, "PCM_16", 2**-15), ("a.wav", 24, "PCM_24", 2**-23), ("a.wav", 32, "PCM_32", 2**-31),
    ("a.wav", "float", "FLOAT", 2**-24), ("a.flac", 16, "PCM_16", 2**-15), ("a.FLAC", 24, "PCM_24", 2**-23)])
def test_a_file_holds_the_samples_to_within_half_a_step(tmp_path, name, bits, subtype, step):
    samples = np.random.default_rng(0).uniform(-1, 1, 5000)
    save(tmp_path / "new" / name, samples, RATE, bits)
    info = soundfile.info(tmp_path / "new" / name)
    assert (info.subtype, info.samplerate, info.frames, info.channels) == (subtype, RATE, 5000, 1)
    found = soundfile.read(tmp_path / "new" / name, dtype="float64")[0]
    assert np.abs(found - samples.clip(-1, 1 - step)).max() <= step / 2 + 1e-12


@pytest.mark.parametrize(("name", "rate", "stored", "floor"), [
    ("a.ogg", RATE, RATE, 20), ("a.mp3", RATE, RATE, 20), ("a.mp3", 10000, 11025, 20), ("a.opus", RATE, 24000, 10),
    ("a.opus", 48000, 48000, 10), ("a.opus", 96000, 48000, 10)])
def test_lossy_files_hold_the_sound_and_its_length(tmp_path, name, rate, stored, floor):
    if name == "a.opus" and "OPUS" not in soundfile.available_subtypes("OGG"):
        pytest.skip("this libsndfile has no Opus")
    save(tmp_path / name, tone(1.0, rate), rate)
    found, found_rate = soundfile.read(tmp_path / name)
    assert (found_rate, len(found)) == (stored, stored)
    wanted = tone(1.0, stored)
    middle = slice(stored // 10, -stored // 10)
    assert 10 * np.log10(np.var(wanted[middle]) / np.var((found - wanted)[middle])) > floor  # dB


def test_minutes_of_vorbis_are_written(tmp_path):
    # libsndfile 1.2.2 ends the process by a segmentation fault where it gets them all at once.
    save(tmp_path / "a.ogg", np.zeros(10_000_000, np.float32), RATE)
    assert soundfile.info(tmp_path / "a.ogg").frames == 10_000_000


@pytest.mark.parametrize("name", ["a.raw", "a.pcm"])
def test_raw_files_hold_nothing_but_samples(tmp_path, name):
    save(tmp_path / name, tone(), RATE, 24)
    assert (tmp_path / name).read_bytes() == to_pcm(tone(), 24)


@pytest.mark.parametrize(("bits", "expected"), [
    (16, "0080 0040 ff7f 0000 ffff"), (24, "000080 000040 ffff7f 000000 00ffff"),
    (32, "00000080 00000040 ffffff7f 00000000 0000ffff")])
def test_raw_samples_are_little_endian_whole_numbers(bits, expected):
    assert to_pcm(np.array([-1.5, 0.5, 1.0, 0.0, -(2.0 ** -15)]), bits).hex() == expected.replace(" ", "")


def test_raw_floats_are_kept_as_they_are():
    samples = np.array([-1.5, 1e-9, 0.3], np.float32)
    assert np.array_equal(np.frombuffer(to_pcm(samples, "float"), "<f4"), samples)


def test_every_24_bit_number_survives_being_written_and_read(tmp_path):
    numbers = np.concatenate([np.arange(-2**23, -2**23 + 500), np.arange(-500, 500), np.arange(2**23 - 500, 2**23)])
    for name in ("a.wav", "a.flac"):
        save(tmp_path / name, (numbers / 2**23).astype(np.float32), RATE, 24)
        assert np.array_equal(soundfile.read(tmp_path / name, dtype="int32")[0] >> 8, numbers)
    raw = np.frombuffer(to_pcm(numbers / 2**23, 24), np.uint8).reshape(-1, 3).astype(np.int64)
    assert np.array_equal((raw @ [1, 2**8, 2**16] + 2**23) % 2**24 - 2**23, numbers)


@pytest.mark.parametrize(("name", "bits", "expected"), [
    ("a.flac", 32, r"a\.flac: flac holds 16 or 24 bits, not 32"), ("a.flac", "float", "not float"),
    ("a.mp7", 16, r"a\.mp7: mp7 names no format of sound; expected one of wav flac ogg opus mp3 aac raw pcm"),
    ("a", 16, "no ending"), ("a.wav", 20, "20 bits; expected one of 16 24 32 float"),
])
def test_formats_that_cannot_be_are_refused(tmp_path, name, bits, expected):
    with pytest.raises(ValueError, match=expected):
        save(tmp_path / name, tone(), RATE, bits)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.wav", "a.raw"])
@pytest.mark.parametrize("samples", [np.array([0.0, np.nan]), np.zeros((2, 5))])
def test_samples_that_are_no_sound_are_refused(tmp_path, name, samples):
    with pytest.raises(ValueError, match=r"finite|shape \[S\]"):
        save(tmp_path / name, samples, RATE)


@pytest.mark.parametrize(("fields", "expected"), [
    ({"bits": 8}, "8 bits; expected"), ({"sample_rate": 0}, "sampling rate is 0 Hz"),
    ({"loudness": 3.0}, "loudness is 3.0 LUFS"), ({"loudness": float("nan")}, "loudness is nan LUFS")])
def test_an_output_format_that_cannot_be_is_refused(fields, expected):
    with pytest.raises(ValueError, match=expected):
        OutputFormat(**fields)


@settings(deadline=None)
@given(st.integers(0, 3000), st.sampled_from([8000, 16000, 22050, 44100, 22049]),
       st.sampled_from([8000, 24000, 22050, 48000, 11127]))
def test_resampled_audio_is_as_long_as_its_resampled_timings(length, from_hz, to_hz):
    resampled = at_rate(np.zeros(length), from_hz, to_hz)
    assert resampled.dtype == np.float32
    assert len(resampled) == Timings.pause(from_hz, length).scaled(to_hz).n_samples


@pytest.mark.parametrize(("from_hz", "to_hz"), [(22050, 48000), (22050, 8000), (16000, 44100), (24000, 22050)])
def test_a_resampled_tone_keeps_pitch_and_level_and_brings_no_others(from_hz, to_hz):
    found = at_rate(tone(1.0, from_hz), from_hz, to_hz)
    edge = to_hz // 10
    assert np.abs(found - tone(1.0, to_hz))[edge:-edge].max() < 1e-3
    high = at_rate(tone(1.0, from_hz, hz=0.48 * from_hz), from_hz, to_hz)
    assert to_hz > from_hz or np.abs(high[edge:-edge]).max() < 1e-3


@pytest.mark.parametrize(("from_hz", "to_hz"), [(22050, 48000), (22050, 8000), (44100, 22050), (22049, 16000),
                                                (16000, 16000)])
@pytest.mark.parametrize("sizes", [[], [1], [5, 0, 3], [9000], [256] * 30 + [100], [10, 7000, 3, 4000, 1, 441, 441]])
def test_a_stream_resampled_in_pieces_equals_the_whole(from_hz, to_hz, sizes):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, sum(sizes)).astype(np.float32)
    changer = StreamResampler(from_hz, to_hz)
    pieces = [changer.push(piece) for piece in np.split(samples, np.cumsum(sizes))]
    joined = np.concatenate([*pieces, changer.finish()])
    np.testing.assert_allclose(joined, at_rate(samples, from_hz, to_hz), atol=1e-6)
    assert len(changer.finish()) == 0


def test_a_resampled_stream_comes_out_while_it_goes_in():
    changer = StreamResampler(22050, 48000)
    given = sum(len(changer.push(np.zeros(2205))) for _ in range(10))
    assert 48000 * 0.97 < given < 48000


@pytest.mark.parametrize(("seconds", "target"), [(3.0, -23.0), (3.0, -16.0), (0.5, -30.0), (0.41, -23.0)])
def test_loudness_comes_out_as_wanted(seconds, target):
    meter = pytest.importorskip("pyloudnorm", reason="pip install pyloudnorm").Meter(RATE)
    louder = at_loudness(vowel(120, seconds=seconds) * 0.1, RATE, target, peak=10)
    assert louder.dtype == np.float32
    assert meter.integrated_loudness(louder) == pytest.approx(target, abs=0.1)


def test_a_short_sound_is_as_loud_as_it_would_be_repeated():
    meter = pytest.importorskip("pyloudnorm").Meter(RATE)
    word = vowel(120, seconds=0.2) * 0.1
    louder = at_loudness(word, RATE, -23)
    assert len(louder) == len(word)
    assert meter.integrated_loudness(np.tile(louder, 5)) == pytest.approx(-23, abs=0.1)


def test_loudness_never_clips_and_says_where_it_stops():
    pyloudnorm = pytest.importorskip("pyloudnorm")
    spiky = 0.01 * vowel(120, seconds=2.0)
    spiky[1000] = 0.9
    with pytest.warns(UserWarning, match=r"-16 LUFS would peak at \d+\.\d\d; made (-\d+\.\d) LUFS") as caught:
        louder = at_loudness(spiky, RATE, -16)
    assert np.abs(louder).max() == pytest.approx(0.99)
    said = float(str(caught[0].message).split("made ")[1].split()[0])
    assert pyloudnorm.Meter(RATE).integrated_loudness(louder) == pytest.approx(said, abs=0.1)


@pytest.mark.parametrize("samples", [np.zeros(RATE, np.float32), np.zeros(0, np.float32),
                                     1e-6 * tone(1.0), np.zeros(100, np.float32)])
def test_silence_and_what_lies_below_the_measure_stay_as_they_are(samples):
    pytest.importorskip("pyloudnorm")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(at_loudness(samples, RATE, -23), samples)


def test_without_pyloudnorm_the_user_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyloudnorm", None)
    with pytest.raises(ValueError, match="pyloudnorm is not installed; pip install pyloudnorm, or leave"):
        OutputFormat(loudness=-23).apply(tone(), RATE)


def test_an_output_format_resamples_then_sets_the_loudness_and_saves(tmp_path):
    meter = pytest.importorskip("pyloudnorm").Meter(16000)
    wav = OutputFormat(24, 16000, -20).save(tmp_path / "a.flac", vowel(120), RATE)
    found = read_wav(tmp_path / "a.flac")
    assert found.sampling_rate == wav.sampling_rate == 16000 and len(found.samples) == 16000
    np.testing.assert_allclose(found.samples, wav.samples, atol=2**-24)
    assert meter.integrated_loudness(found.samples) == pytest.approx(-20, abs=0.1)


def test_an_output_format_that_asks_for_nothing_changes_nothing():
    samples = tone()
    assert np.array_equal(OutputFormat().apply(samples, RATE).samples, samples)


@pytest.mark.parametrize("bits", BITS)
def test_a_pipe_with_a_head_is_a_wav_of_its_rate(tmp_path, bits):
    stream = io.BytesIO()
    writer = PipeWriter(stream, StreamEncoder("wav", 16000, bits))
    assert writer.write(tone()) and writer.write(tone()) and writer.finish()
    assert stream.getvalue() == wav_header(16000, bits) + 2 * to_pcm(tone(), bits)
    (tmp_path / "a.wav").write_bytes(stream.getvalue())
    found = read_wav(tmp_path / "a.wav")
    assert found.sampling_rate == 16000
    np.testing.assert_allclose(found.samples, np.tile(tone(), 2), atol=2**-16 + 1e-7)


def test_a_stream_that_takes_bytes_one_by_one_gets_them_all():
    class Slow(io.BytesIO):
        def write(self, data):
            return super().write(data[:7])

    stream = Slow()
    assert PipeWriter(stream, StreamEncoder("raw", RATE)).write(tone()) and stream.getvalue() == to_pcm(tone())


@pytest.mark.parametrize("options", [[], ["-u"]])
def test_a_reader_that_goes_away_ends_the_writing_without_a_word(options):
    code = ("import sys; import numpy as np; from audio.encoders import StreamEncoder\n"
            "from audio.output import PipeWriter; writer = PipeWriter(sys.stdout.buffer, StreamEncoder('raw', 16000))\n"
            "while writer.write(np.zeros(50_000)): pass\n"
            "assert not writer.write(np.zeros(5)); print('to nobody'); print('stopped', file=sys.stderr)")
    process = subprocess.Popen([sys.executable, *options, "-c", code], cwd=Path(__file__).parents[2],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.read(1000) == bytes(1000)
    process.stdout.close()
    assert process.stderr.read() == b"stopped\n"
    assert process.wait() == 0
    process.stderr.close()


@pytest.mark.parametrize("semitones", [-7, -3, 0.5, 4, 9])
@pytest.mark.parametrize(("pitch", "rate"), [(110, RATE), (210, RATE), (150, 8000), (150, 48000)])
def test_a_shift_moves_the_pitch_and_keeps_length_and_level(pitch, rate, semitones):
    samples = vowel(pitch, rate)
    shifted = pitch_shifted(samples, rate, semitones)
    assert shifted.dtype == np.float32 and len(shifted) == len(samples)
    ratio = pitch_of(shifted, rate) / pitch_of(samples, rate) / 2 ** (semitones / 12)
    assert np.abs(np.median(ratio) - 1) < 0.01 and np.mean(np.abs(ratio - 1) < 0.03) > 0.95
    assert 20 * np.log10(np.std(shifted) / np.std(samples)) == pytest.approx(0, abs=0.3)


@pytest.mark.filterwarnings("ignore:The `.*` parameter is deprecated:FutureWarning")  # librosa 1.0, of its own call
@pytest.mark.parametrize("semitones", [-4, 4])
def test_the_formants_stay_where_they_are(semitones):
    samples = vowel(120)
    np.testing.assert_allclose(formants_of(samples, RATE), FORMANTS, rtol=0.05)
    np.testing.assert_allclose(formants_of(pitch_shifted(samples, RATE, semitones), RATE), FORMANTS, rtol=0.08)
    moved = formants_of(librosa.effects.pitch_shift(samples, sr=RATE, n_steps=semitones), RATE)
    assert np.abs(np.array(moved) / FORMANTS - 1).max() > 0.15  # the measure sees what a phase vocoder does


def test_no_shift_gives_back_the_same_array():
    samples = vowel(120)
    assert pitch_shifted(samples, RATE, 0) is samples


@pytest.mark.parametrize("samples", [np.zeros(RATE), np.zeros(0), np.ones(3), np.zeros(1)])
def test_what_has_no_pitch_is_left_alone(samples):
    assert np.array_equal(pitch_shifted(samples.astype(np.float32), RATE, 5), samples)


def test_noise_between_vowels_is_left_alone():
    noise = 0.02 * np.random.default_rng(0).standard_normal(RATE // 2).astype(np.float32)
    samples = np.concatenate([vowel(120, seconds=0.4), noise, vowel(140, seconds=0.4)])
    middle = slice(RATE // 2, RATE // 2 + RATE // 4)
    shifted = pitch_shifted(samples, RATE, 5)
    np.testing.assert_allclose(shifted[middle], samples[middle], atol=1e-7)
    assert np.abs(shifted - samples)[:RATE // 4].max() > 0.05


@settings(deadline=None)
@given(st.integers(1, 4000), st.floats(-12, 12), st.integers(0, 9))
def test_whatever_the_sound_a_shift_is_finite_and_as_long(length, semitones, seed):
    random = np.random.default_rng(seed)
    samples = random.uniform(-1, 1, length) * np.sign(np.sin(np.arange(length) * random.uniform(0, 0.5)))
    shifted = pitch_shifted(samples.astype(np.float32), 8000, semitones)
    assert len(shifted) == length and np.isfinite(shifted).all() and np.abs(shifted).max() <= 1


@pytest.mark.parametrize("semitones", [12.5, -13, float("nan"), float("inf")])
def test_a_shift_beyond_an_octave_is_refused(semitones):
    with pytest.raises(ValueError, match="semitones; expected -12 to 12"):
        pitch_shifted(tone(), RATE, semitones)
