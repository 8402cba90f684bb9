"""Wav files in and out, atomic writes, seeds and logging."""

import logging
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audio import io
from audio.io import AudioError, read_wav, wav_info, write_wav
from audio.resampling import resample, trim_silence
from tests.conftest import ROOT
from utils import (
    PackageError,
    import_package,
    interrupts_ignored,
    printable,
    set_seed,
    set_up_logging,
    user_errors,
    write_text_atomic,
)

RATE = 22050


def tone(seconds=0.5, rate=RATE, hz=440.0, level=0.5):
    return (level * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.fixture
def restored_logging():
    logger = logging.getLogger("vits")
    handlers, level = list(logger.handlers), logger.level
    yield
    for handler in list(logger.handlers):
        if handler not in handlers:
            logger.removeHandler(handler)
            handler.close()
    logger.setLevel(level)


def test_a_written_wav_reads_back_to_within_half_a_step(tmp_path):
    write_wav(tmp_path / "new" / "a.wav", tone(), RATE)
    wav = read_wav(tmp_path / "new" / "a.wav")
    assert wav.sampling_rate == RATE and wav.samples.dtype == np.float32
    np.testing.assert_allclose(wav.samples, tone(), atol=0.5 / 32768 + 1e-7)
    assert os.listdir(tmp_path / "new") == ["a.wav"]


def test_reading_and_writing_again_changes_no_sample(tmp_path):
    every_value = np.arange(-32768, 32768, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", every_value, RATE, subtype="PCM_16")
    write_wav(tmp_path / "b.wav", torch.from_numpy(read_wav(tmp_path / "a.wav").samples), RATE)
    assert np.array_equal(soundfile.read(tmp_path / "b.wav", dtype="int16")[0], every_value)


def test_writing_clips_what_is_too_loud_and_takes_other_formats(tmp_path):
    write_wav(tmp_path / "a.flac", 3 * tone(), RATE)
    write_wav(tmp_path / "b.wav", 3 * tone(), RATE, subtype="FLOAT")
    for name in ("a.flac", "b.wav"):
        assert np.abs(soundfile.read(tmp_path / name)[0]).max() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("bits", "width"), [(16, 16), (24, 24), (32, 25)])  # float32, as it is read, holds 25 bits
def test_whole_numbers_of_every_width_are_written_as_they_are_read(tmp_path, bits, width):
    numbers = np.random.default_rng(0).integers(-2**(width - 1), 2**(width - 1), 5000) << (32 - width)
    soundfile.write(tmp_path / "a.wav", numbers.astype(np.int32), RATE, subtype=f"PCM_{bits}")
    write_wav(tmp_path / "b.wav", read_wav(tmp_path / "a.wav").samples, RATE, subtype=f"PCM_{bits}")
    found = soundfile.read(tmp_path / "b.wav", dtype="int32")[0]
    assert np.array_equal(found, numbers)


@pytest.mark.parametrize("name, subtype", [("a.wav", "PCM_16"), ("a.flac", "PCM_24"), ("a.ogg", "VORBIS")])
def test_a_long_sound_is_written_in_blocks_without_a_seam(tmp_path, name, subtype):
    samples = tone(30, hz=441.0)
    write_wav(tmp_path / name, samples, RATE, subtype)
    found = read_wav(tmp_path / name).samples
    np.testing.assert_allclose(found, samples, atol=0.02 if subtype == "VORBIS" else 1e-4)


@pytest.mark.parametrize("samples, expected", [
    (np.array([0.0, np.nan, np.inf]), "2 of 3 samples are not finite"),
    (np.zeros((2, 5)), r"expected floats of shape \[S\], found float64 \[2, 5\]"),
    (np.zeros(5, dtype=np.int16), "found int16"),
])
def test_writing_refuses_what_is_not_one_channel_of_finite_floats(tmp_path, samples, expected):
    (tmp_path / "a.wav").write_text("old")
    with pytest.raises(AudioError, match=expected):
        write_wav(tmp_path / "a.wav", samples, RATE)
    assert (tmp_path / "a.wav").read_text() == "old"


def test_an_ending_that_names_no_format_is_refused(tmp_path):
    with pytest.raises(AudioError, match=r"\.xyz names no audio format"):
        write_wav(tmp_path / "a.xyz", tone(), RATE)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text_atomic(tmp_path / "a.txt", "älter\n")
    with pytest.raises(UnicodeEncodeError):
        write_text_atomic(tmp_path / "a.txt", "\ud800")
    assert (tmp_path / "a.txt").read_bytes() == "älter\n".encode() and os.listdir(tmp_path) == ["a.txt"]


def test_channels_are_averaged_so_that_a_silent_left_one_is_no_silence(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([np.zeros(RATE // 2), tone()], axis=1), RATE, subtype="FLOAT")
    np.testing.assert_allclose(read_wav(tmp_path / "a.wav").samples, tone() / 2, atol=1e-6)


def test_samples_beyond_one_are_clipped_with_a_warning_or_kept_on_demand(tmp_path):
    soundfile.write(tmp_path / "a.wav", 4 * tone(), RATE, subtype="FLOAT")
    with pytest.warns(UserWarning, match=r"a\.wav peaks at 2\.00, beyond 1; clipped"):
        assert np.abs(read_wav(tmp_path / "a.wav").samples).max() == 1
    assert np.abs(read_wav(tmp_path / "a.wav", clip=False).samples).max() == pytest.approx(2, abs=1e-3)


def test_a_header_that_claims_too_much_is_not_believed(tmp_path):
    write_wav(tmp_path / "a.wav", tone(), RATE)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(bytes(content[:len(content) // 2]))
    wav = read_wav(tmp_path / "a.wav")
    assert 0 < len(wav.samples) < len(tone()) and wav_info(tmp_path / "a.wav").samples == len(wav.samples)


def test_a_cut_flac_is_measured_by_what_can_be_read(tmp_path):
    write_wav(tmp_path / "a.flac", np.random.default_rng(0).uniform(-0.5, 0.5, RATE).astype(np.float32), RATE)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[:len(content) // 2])
    try:
        found = len(read_wav(tmp_path / "a.flac").samples)
    except AudioError as error:
        assert "breaks off" in str(error)
    else:
        assert found < RATE and wav_info(tmp_path / "a.flac").samples == found


def test_a_long_file_is_given_up_before_it_is_read_whole(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(30 * RATE, dtype=np.float32), RATE)
    with pytest.raises(AudioError, match=r"a\.wav is longer than 2 seconds"):
        read_wav(tmp_path / "a.wav", max_seconds=2)


def _missing(folder):
    return folder / "none.wav"


def _folder(folder):
    (folder / "folder.wav").mkdir()
    return folder / "folder.wav"


def _link(folder):
    (folder / "link.wav").symlink_to("nowhere.wav")
    return folder / "link.wav"


def _empty(folder):
    (folder / "empty.wav").touch()
    return folder / "empty.wav"


def _text(folder):
    (folder / "text.wav").write_text("hello")
    return folder / "text.wav"


def _no_samples(folder):
    soundfile.write(folder / "no_samples.wav", np.zeros(0), RATE)
    return folder / "no_samples.wav"


def _not_finite(folder):
    soundfile.write(folder / "nan.wav", np.array([0, 0.5, np.nan]), RATE, subtype="FLOAT")
    return folder / "nan.wav"


@pytest.mark.parametrize("value", [1e30, -1e30, 3e38, 1e300, 32767.0, 101.0])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.filterwarnings("error")
def test_a_sample_far_beyond_one_is_an_error_and_no_numpy_warning(tmp_path, value, subtype, channels):
    samples = np.zeros((1000, channels))
    samples[7] = value
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype=subtype)
    for read in (read_wav, lambda path: read_wav(path, clip=False), wav_info):
        with pytest.raises(AudioError, match=r"a.wav holds .* at sample 7.*; export it again, or remove it"):
            read(tmp_path / "a.wav")


@pytest.mark.parametrize("content, what", [
    (b"\x89PNG\r\n\x1a\n", "is a PNG image, not audio"), (b"\xff\xd8\xff\xe0 JFIF", "is a JPEG image"),
    (b"%PDF-1.7", "is a PDF"),
    (b"PK\x03\x04....", "is a zip archive"), (b"<!DOCTYPE html><html>", "is a web page"), (b"<HTML>", "is a web page"),
    (b"version https://git-lfs.github.com/spec/v1", "is a Git LFS pointer, for which `git lfs pull` gets the file"),
    (b"\0\0\0\x20ftypM4A ", "holds MPEG-4 (.m4a, .mp4), which cannot be read; convert: ffmpeg -i "),
    (b"\x1aE\xdf\xa3....", "holds WebM or Matroska")])
@pytest.mark.parametrize("ending", [".mp3", ".wav", ".flac"])
def test_what_is_no_audio_is_called_what_it_is(tmp_path, content, what, ending):
    (tmp_path / f"a{ending}").write_bytes(content + b"\0" * 100)
    with pytest.raises(AudioError) as error:
        read_wav(tmp_path / f"a{ending}")
    assert str(error.value).startswith(f"{tmp_path}/a{ending} {what}")


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3", "opus"])
def test_a_span_of_a_file_is_what_lies_between_its_times_and_blocks_join(tmp_path, ending, monkeypatch):
    rate = 24000
    options = {"format": "OGG", "subtype": "OPUS"} if ending == "opus" else {}
    soundfile.write(tmp_path / f"a.{ending}", 0.3 * np.sin(np.arange(3 * rate) ** 1.5 / 900), rate, **options)
    whole = read_wav(tmp_path / f"a.{ending}").samples
    for start, stop in ((0.0, 0.5), (1.25, 2.0), (2.5, 9.0)):
        part = read_wav(tmp_path / f"a.{ending}", span=(start, stop)).samples
        np.testing.assert_allclose(part, whole[round(start * rate):round(stop * rate)], atol=1e-3)
    at_once = soundfile.read(tmp_path / f"a.{ending}")[0]  # as the decoder gives it without a stop
    monkeypatch.setattr(io, "_BLOCK", 10000)
    np.testing.assert_allclose(read_wav(tmp_path / f"a.{ending}").samples, at_once, atol=1e-4)
    with pytest.raises(AudioError, match="holds 0 samples at 4.000 seconds"):
        read_wav(tmp_path / f"a.{ending}", span=(4.0, 5.0))


@pytest.mark.parametrize("make, expected", [
    (_missing, "none.wav does not exist; check"), (_folder, "folder.wav is a directory; expected an audio file"),
    (_link, "link.wav is a link to nowhere.wav, which does not exist"), (_empty, "empty.wav is an empty file"),
    (_text, "text.wav is not readable as audio"), (_no_samples, "no_samples.wav holds 0 samples"),
    (_not_finite, "nan.wav holds nan at sample 2"),
])
@pytest.mark.parametrize("read", [read_wav, wav_info])
def test_each_unusable_file_is_named_with_its_reason(tmp_path, make, expected, read):
    with pytest.raises(AudioError, match=expected):
        read(make(tmp_path))


@pytest.mark.parametrize("from_hz, to_hz", [(44100, 22050), (16000, 22050), (22050, 16000), (48000, 22050),
                                            (8000, 48000)])
def test_resampling_keeps_a_tone_at_its_pitch_and_level(from_hz, to_hz):
    resampled = resample(tone(1.0, from_hz), from_hz, to_hz)
    assert isinstance(resampled, np.ndarray) and abs(len(resampled) - to_hz) <= 1
    middle = slice(to_hz // 4, 3 * to_hz // 4)
    np.testing.assert_allclose(resampled[middle], tone(1.0, to_hz)[:len(resampled)][middle], atol=0.02)


@pytest.mark.parametrize("from_hz", [22049, 11127, 44099])
def test_rates_without_a_common_factor_are_resampled_to_within_a_cent(from_hz):
    resampled = resample(tone(1.0, from_hz), from_hz, RATE)
    cycles = np.flatnonzero(np.diff(np.signbit(resampled[1000:-1000]).astype(int)) == 1)
    assert RATE * (len(cycles) - 1) / (cycles[-1] - cycles[0]) == pytest.approx(440, rel=2 ** (1 / 1200) - 1)


def test_resampling_cuts_above_the_new_limit_and_leaves_the_same_rate_alone():
    high = tone(1.0, 44100, hz=15000)
    low = resample(high, 44100, 22050)
    assert low.dtype == np.float32 and low.shape == (22050,)
    assert np.abs(low[2000:-2000]).max() < 1e-3
    assert resample(high, 44100, 44100) is high


@pytest.mark.parametrize("from_hz, to_hz", [(44100, 22050), (22050, 44100), (48000, 22050), (22050, 16000),
                                            (8000, 48000), (22050, 24000)])
@pytest.mark.parametrize("length", [1, 7, 1000, 30011])
def test_resampling_equals_torchaudios_filter(from_hz, to_hz, length):
    functional = pytest.importorskip("torchaudio.functional", exc_type=Exception)
    wav = np.random.default_rng(length).standard_normal(length).astype(np.float32) * 0.3
    theirs = functional.resample(torch.from_numpy(wav), from_hz, to_hz, lowpass_filter_width=64,
                                 rolloff=0.9475937167399596, resampling_method="sinc_interp_kaiser",
                                 beta=14.769656459379492).numpy()
    ours = resample(wav, from_hz, to_hz)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def broken_package(folder, name, version, body):
    """A package that is installed as `version`, and whose import runs `body`."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(body)
    (folder / f"{name}-{version}.dist-info").mkdir()
    (folder / f"{name}-{version}.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")


@pytest.mark.parametrize("error", ["OSError('Could not load this library: lib.so')", "ImportError('undefined symbol')",
                                   "RuntimeError('built for another version')", "AttributeError('no such name')"])
def test_a_package_that_does_not_load_is_one_message_with_both_versions_and_the_command(tmp_path, monkeypatch, error):
    broken_package(tmp_path, "brittle", "1.2", f"raise {error}")
    monkeypatch.syspath_prepend(tmp_path)
    reason = error.split("'")[1]
    with pytest.raises(PackageError) as caught:
        import_package("brittle", beside="numpy")
    assert str(caught.value) == (
        f"brittle 1.2 does not load beside numpy {np.__version__} ({reason}); install versions that fit each other, "
        "for example those that were tested: pip install -c requirements.lock brittle numpy")


def test_a_package_that_is_missing_is_one_message_with_the_command():
    with pytest.raises(PackageError) as caught:
        import_package("absent_here.part", install="absent-here", otherwise="do without")
    assert str(caught.value) == "absent_here is not installed; pip install absent-here, or do without"


def test_trimming_keeps_the_speech_and_its_margins():
    samples = np.concatenate([np.zeros(RATE), tone(0.5), np.zeros(2 * RATE)]).astype(np.float32)
    samples += 1e-4 * np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)
    trimmed = trim_silence(samples, RATE, trim_db=40, margin=0.05)
    assert len(trimmed) / RATE == pytest.approx(0.6, abs=0.02)
    assert np.abs(trimmed[:int(0.04 * RATE)]).max() < 0.01 < np.abs(trimmed[int(0.06 * RATE):]).max()
    assert len(trim_silence(np.zeros(100, dtype=np.float32), RATE, 40, 0.05)) == 100


def _draw():
    return random.random(), float(np.random.rand()), float(torch.rand(1))


def test_the_same_parts_give_the_same_numbers_and_others_do_not():
    assert set_seed(1234, 7, 0) == set_seed(1234, 7, 0)
    first = _draw()
    set_seed(1234, 7, 0)
    assert _draw() == first
    for parts in ((1234, 7, 1), (1234, 8, 0), (1234, 70), (-1, 7, 0)):
        set_seed(*parts)
        assert all(a != b for a, b in zip(_draw(), first))


def test_logging_set_up_twice_writes_each_line_once(tmp_path, capsys, restored_logging):
    path = tmp_path / "run" / "train.log"
    set_up_logging(path, is_main=True)
    logger = set_up_logging(path, is_main=True)
    logger.info("hello %d", 1)
    assert path.read_text().count("hello 1") == 1
    assert capsys.readouterr().err.count("hello 1") == 1


def test_other_processes_print_warnings_only_and_write_no_file(tmp_path, capsys, restored_logging):
    logger = set_up_logging(tmp_path / "train.log", is_main=False)
    logger.info("quiet")
    logger.warning("loud")
    printed = capsys.readouterr().err
    assert "loud" in printed and "quiet" not in printed
    assert not Path(tmp_path / "train.log").exists()




@pytest.mark.parametrize(("error", "status"), [(ValueError("a user's mistake"), 2), (KeyError("a bug"), None)])
def test_the_log_file_says_why_a_command_ended(tmp_path, capsys, error, status):
    set_up_logging(tmp_path / "train.log", is_main=True)
    with pytest.raises(SystemExit if status else KeyError), user_errors():
        raise error
    text = (tmp_path / "train.log").read_text()
    assert f"ERROR ended by an error: {error}" in text and "Traceback" in text
    assert "Traceback" not in capsys.readouterr().err
    set_up_logging(None, is_main=True)


def test_a_log_file_on_a_full_disk_is_one_line_and_no_traceback(tmp_path, capsys, restored_logging):
    (tmp_path / "train.log").symlink_to("/dev/full")
    logger = set_up_logging(tmp_path / "train.log", is_main=True)
    for number in range(3):
        logger.info("line %d", number)
    printed = capsys.readouterr().err.splitlines()
    assert [line.rpartition(" ")[2] for line in printed if "INFO line" in line] == ["0", "1", "2"]
    [warning] = [line for line in printed if "INFO" not in line]
    assert warning.startswith("warning: ") and "train.log cannot be written (No space left on device)" in warning


def test_an_interrupt_is_one_line_and_status_130(capsys):
    with pytest.raises(SystemExit) as caught, user_errors():
        raise KeyboardInterrupt
    assert caught.value.code == 130 and capsys.readouterr().err == "interrupted\n"


def test_a_file_where_a_folder_is_expected_is_named(tmp_path, capsys):
    (tmp_path / "a").touch()
    with pytest.raises(SystemExit) as caught, user_errors():
        write_wav(tmp_path / "a" / "b.wav", np.zeros(8), 8000)
    message = capsys.readouterr().err
    assert caught.value.code == 2 and message == f"error: {tmp_path / 'a'} is a file, where a folder is expected; " \
                                                 "name another one\n"


def test_standard_output_that_cannot_be_written_is_named():
    program = "from utils import user_errors\nwith user_errors():\n    print('x')"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (2, "error: standard output: No space left on device\n")


@pytest.mark.parametrize("name", ["mono.wav", "stereo.wav", "mono.flac"])
def test_whole_numbers_are_read_exactly_as_libsndfile_makes_floats_of_them(tmp_path, name):
    samples = np.random.default_rng(0).integers(-32768, 32768, (5000, 2 if "stereo" in name else 1), dtype=np.int16)
    samples[:2] = [[-32768], [32767]]
    soundfile.write(tmp_path / name, samples, 22050, subtype="PCM_16")
    floats = soundfile.read(tmp_path / name, dtype="float32", always_2d=True)[0]
    found = read_wav(tmp_path / name).samples
    assert found.dtype == np.float32 and np.array_equal(found, floats.mean(axis=1))


def test_what_a_terminal_would_obey_is_shown_as_text(capsys):
    with pytest.raises(SystemExit), user_errors():
        raise ValueError("choose one of \x1b]0;owned\x07, \x9b2J, \u202egnp, \udc80 é 你\nline two\t|")
    told = capsys.readouterr().err
    assert r"\x1b]0;owned\x07, \x9b2J, \u202egnp, \udc80 é 你" in told and "\nline two\t|" in told
    assert printable("a\rb\x08") == r"a\rb\x08"


def test_log_lines_show_no_control_characters(capsys):
    set_up_logging(None, is_main=True).warning("the tensor %s", "\x1b[2J")
    assert r"the tensor \x1b[2J" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no signal masks")
def test_ctrl_c_waits_while_interrupts_are_ignored_and_new_processes_never_get_it():
    program = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('alive')"
    with pytest.raises(KeyboardInterrupt):
        with interrupts_ignored():
            os.kill(os.getpid(), signal.SIGINT)
            found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout == "alive\n" and found.returncode == 0
