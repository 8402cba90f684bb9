"""The corpus that a filelist names, and collation."""

import logging
import os
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

import data_utils
from audio.io import AudioError, write_wav
from config import Config, DataConfig, ModelConfig
from corpora.columns import AudioIndex, index_path, write_index
from corpora.filelists import FilelistError
from data_utils import Collate, Utterance, open_corpus
from text import TextProcessor
from text.cleaners import CLEANERS

RATE = 22050
SHARED = Path(os.environ.get("VITS_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
BAD_AUDIO = SHARED / "bad_audio"


def config_of(n_speakers=0, **data):
    return Config(data=DataConfig(n_speakers=n_speakers, **data), model=ModelConfig(gin_channels=16))


def opened(filelist, config):
    return open_corpus(filelist, config, TextProcessor.from_config(config.data))


def write_sound(path, seconds=1.0, rate=RATE):
    write_wav(path, 0.1 * np.random.default_rng(0).standard_normal(int(seconds * rate)).astype(np.float32), rate)


def write_list(folder, *rows, name="list.txt"):
    (folder / name).write_text("".join(row + "\n" for row in rows), encoding="utf-8")
    return folder / name


# --- the corpus


def test_a_corpus_gives_ids_sound_and_length_of_each_utterance(tmp_path):
    write_sound(tmp_path / "a.wav", 1.0)
    write_sound(tmp_path / "b.flac", 0.5)
    dataset = opened(write_list(tmp_path, "a.wav|həlˈoʊ.", "b.flac|haɪ"), config_of())
    assert len(dataset) == 2 and dataset.lengths.dtype == np.int64
    assert dataset.lengths.tolist() == [-(-RATE // 256), -(-RATE // 2 // 256)] and dataset.speaker_ids is None
    utterance = dataset[0]
    assert utterance.name == str(tmp_path / "a.wav") and utterance.speaker_id is None
    assert utterance.text_ids.dtype == torch.int64 and len(utterance.text_ids) == 2 * len("həlˈoʊ.") + 1
    assert utterance.wav.dtype == torch.float32 and utterance.wav.shape == (RATE,)
    assert dataset.left_out == {}


def test_a_text_that_the_cleaners_cannot_read_is_named_with_its_line(tmp_path):
    write_sound(tmp_path / "a.wav")
    config = config_of(cleaned_text=False, text_cleaners=("limited",), symbols="characters")
    path = write_list(tmp_path, *(f"a.wav|{'9' * 5000 if row in (3, 700) else 'good words'}" for row in range(1000)))
    counts = []

    def limited(lines, language):
        counts.append(len(lines))
        return [str(int(line)) if line.isdecimal() else line for line in lines]  # Python's own limit is 4300 digits

    with mock.patch.dict(CLEANERS, limited=limited), pytest.raises(FilelistError) as error:
        opened(path, config)
    assert [fault.split(": ")[0] for fault in error.value.faults] == [f"{path}:4", f"{path}:701"]
    assert all("its text cannot be normalised (ValueError: Exceeds the limit" in fault for fault in error.value.faults)
    assert sum(counts) < 4 * 1000  # work, and not its time


def test_texts_are_cleaned_if_the_filelist_is_not(tmp_path):
    write_sound(tmp_path / "a.wav")
    config = config_of(cleaned_text=False, text_cleaners=("basic_cleaners",), add_blank=False)
    dataset = opened(write_list(tmp_path, "a.wav|HELLO   You"), config)
    assert TextProcessor.from_config(config.data).decode(dataset[0].text_ids.tolist()) == "hello you"


@pytest.mark.parametrize("add_blank", [True, False])
def test_training_reads_the_ids_that_speaking_makes(tmp_path, add_blank):
    write_sound(tmp_path / "a.wav")
    write_sound(tmp_path / "b.wav", (13 if add_blank else 7) * 256 / RATE)  # of 7 frames, or 13
    config = config_of(symbols=("_", "^", "$", "a", "b"), begin_end=("^", "$"), add_blank=add_blank)
    text = TextProcessor.from_config(config.data)
    dataset = opened(write_list(tmp_path, "a.wav|ab", "b.wav|ababa", "b.wav|ababab"), config)
    assert [dataset[row].text_ids.tolist() for row in range(2)] == [text.encode("ab"), text.encode("ababa")]
    assert list(dataset.left_out.values()) == [[f"{tmp_path / 'list.txt'}:3"]]  # one frame too few for its ids


def test_faults_of_text_speaker_and_audio_come_in_one_error_in_order(tmp_path):
    write_sound(tmp_path / "a.wav")
    write_sound(tmp_path / "slow.wav", rate=16000)
    soundfile.write(tmp_path / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    path = write_list(tmp_path, "a.wav|anna|fine", "none.wav|anna|text", "slow.wav|anna|text", "a.wav|anna|日本",
                      "a.wav|bob|text", "nan.wav|anna|text", "nan.wav|bob|日本")
    with pytest.raises(FilelistError) as error:
        opened(path, config_of(n_speakers=2, speakers=("anna", "tom")))
    faults = [fault.removeprefix(f"{path}:") for fault in error.value.faults]
    assert [fault[0] for fault in faults] == ["2", "3", "4", "5", "6", "7", "7", "7"]
    assert "none.wav does not exist" in faults[0]
    assert "slow.wav is 16000 Hz, data.sampling_rate is 22050 Hz; run `preprocess.py filelist` to resample" in faults[1]
    assert "'日'" in faults[2] and "unknown speaker 'bob'" in faults[3] and "holds nan" in faults[4]


def test_what_does_not_fit_is_left_out_and_reported_by_reason(tmp_path, caplog):
    for name, seconds in (("fine", 1.0), ("long", 3.0), ("tiny", 0.01), ("fast", 0.1)):
        write_sound(tmp_path / f"{name}.wav", seconds)
    path = write_list(tmp_path, "fine.wav|hello", "long.wav|hello", "tiny.wav|hello", "fast.wav|hello",
                      f"fine.wav|{'a' * 21}", "fine.wav|a")
    with caplog.at_level(logging.INFO, "vits"):
        dataset = opened(path, config_of(max_wav_seconds=2.0, min_text_len=2, max_text_len=20))
    assert [entry.wav_path for entry in dataset.entries] == [str(tmp_path / "fine.wav")]
    reasons = {reason.split(",")[0]: sources for reason, sources in dataset.left_out.items()}
    assert reasons == {
        "are longer than data.max_wav_seconds 2": [f"{path}:2"],
        "are shorter than one frame": [f"{path}:3"],
        "have fewer frames than symbols (blanks included)": [f"{path}:4"],
        "have a text above data.max_text_len 20": [f"{path}:5"],
        "have a text below data.min_text_len 2": [f"{path}:6"]}
    assert f"left out 1 that are longer than data.max_wav_seconds 2: {path}:2" in caplog.text


def test_symbols_that_training_sees_too_seldom_are_logged(tmp_path, caplog):
    write_sound(tmp_path / "a.wav")
    path = write_list(tmp_path, *["a.wav|hello"] * 19, "a.wav|jell")
    with caplog.at_level(logging.INFO, "vits"):
        opened(path, config_of(training_files=str(path)))
        rare = "symbols that occur fewer than 20 times, and will sound badly: 'j' 1, 'h' 19, 'o' 19"
        assert f"{path}: {rare}" in caplog.text
        caplog.clear()
        opened(path, config_of(validation_files=str(path)))
        assert "fewer than 20 times" not in caplog.text


def test_as_many_frames_as_symbols_are_enough_and_one_less_is_not(tmp_path):
    for samples in (11 * 256, 11 * 256 - 1):
        write_wav(tmp_path / f"{samples}.wav", np.full(samples, 0.1, dtype=np.float32), RATE)
    dataset = opened(write_list(tmp_path, f"{11 * 256}.wav|hello", f"{11 * 256 - 1}.wav|hello"), config_of())
    assert dataset.lengths.tolist() == [11]


def test_nothing_left_names_each_filter_and_how_many_it_removed(tmp_path):
    write_sound(tmp_path / "a.wav", 3.0)
    write_sound(tmp_path / "b.wav", 0.01)
    path = write_list(tmp_path, "a.wav|hello", "a.wav|hello", "b.wav|hello")
    with pytest.raises(ValueError, match="no utterance is left of 3: 2 are longer than data.max_wav_seconds 2; "
                                         "1 are shorter than one frame"):
        opened(path, config_of(max_wav_seconds=2.0))


def test_a_file_changed_after_opening_is_cut_or_padded_but_a_lost_one_is_named(tmp_path):
    write_sound(tmp_path / "a.wav", 1.0)
    dataset = opened(write_list(tmp_path, "a.wav|hello"), config_of(max_wav_seconds=2.0))
    write_sound(tmp_path / "a.wav", 3.0)
    assert dataset[0].wav.shape == (2 * RATE,)
    write_sound(tmp_path / "a.wav", 0.01)
    assert dataset[0].wav.shape == (11 * 256,)
    write_sound(tmp_path / "a.wav", rate=16000)
    with pytest.raises(AudioError, match="a.wav is 16000 Hz, it was 22050 Hz when the corpus was opened"):
        dataset[0]
    (tmp_path / "a.wav").unlink()
    with pytest.raises(AudioError, match="a.wav does not exist"):
        dataset[0]


# What open_corpus makes of each odd file at 22050 Hz; a file that is not here is taken.
REFUSED = ("truncated_header zero_bytes text_as_wav random_bytes header_only zero_data_chunk samplerate_zero "
           "channels_zero float_nan float_inf rate_8000 rate_16000 rate_24000 rate_44100 rate_48000 dir dangling "
           "pipe|name").split()
LEFT_OUT = "one_sample short_100_samples short_1000_samples too_fast_text_mismatch ten_minutes".split()


def bad_audio():
    if not (BAD_AUDIO / "MANIFEST.tsv").is_file():
        return [pytest.param("", marks=pytest.mark.skip(reason=f"no {BAD_AUDIO}; set VITS_SHARED_DATA"))]
    rows = (BAD_AUDIO / "MANIFEST.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [row.split("\t")[0] for row in rows]


@pytest.mark.parametrize("name", bad_audio())
def test_each_odd_audio_file_is_taken_left_out_or_refused_by_name(tmp_path, name):
    stem = Path(name).stem
    words = "many words for little time " * 5 if stem == "too_fast_text_mismatch" else "hello"
    path = write_list(tmp_path, f"{BAD_AUDIO / name}|{words}")
    if stem in REFUSED:
        with pytest.raises(FilelistError, match=r"list\.txt:1: "):
            opened(path, config_of())
    elif stem in LEFT_OUT:
        with pytest.raises(ValueError, match="no utterance is left of 1: 1 "):
            opened(path, config_of())
    elif stem == "float_over_1":
        with pytest.warns(UserWarning, match="clipped"):
            assert opened(path, config_of())[0].wav.abs().max() == 1
    else:
        wav = opened(path, config_of())[0].wav
        assert wav.isfinite().all() and wav.abs().max() <= 1 and len(wav) >= 8000


# --- audio that was measured before


def indexed(folder, *seconds):
    """A filelist of such recordings with its index."""
    for place, length in enumerate(seconds):
        write_sound(folder / f"{place}.wav", length)
    path = write_list(folder, *[f"{place}.wav|hello" for place in range(len(seconds))])
    write_index(path, AudioIndex(np.array([int(length * RATE) for length in seconds]), np.full(len(seconds), RATE)))
    return path


def test_an_indexed_corpus_is_the_measured_one_and_few_files_are_opened(tmp_path, monkeypatch):
    path = indexed(tmp_path, 0.5, 3.0, *[0.4 + place / 100 for place in range(8)])
    measured, looked_at = data_utils.wav_info, []
    monkeypatch.setattr(data_utils, "_SPOT_CHECKS", 3)
    monkeypatch.setattr(data_utils, "wav_info", lambda *args: looked_at.append(args[0]) or measured(*args))
    known = opened(path, config_of(max_wav_seconds=2.0))
    assert len(looked_at) == 3
    index_path(path).unlink()
    plain = opened(path, config_of(max_wav_seconds=2.0))
    assert len(looked_at) == 13 and known.left_out == plain.left_out and len(known.left_out) == 1
    assert [entry._replace(text_ids=()) for entry in known.entries] == [
        entry._replace(text_ids=()) for entry in plain.entries]
    assert all(np.array_equal(a.text_ids, b.text_ids) for a, b in zip(known.entries, plain.entries))
    assert known.lengths.tolist() == plain.lengths.tolist()


@pytest.mark.parametrize("change", ["another line", "another length", "a lost file"])
def test_what_has_changed_since_it_was_measured_is_measured_again(tmp_path, caplog, change):
    path = indexed(tmp_path, 0.5, 0.6)
    if change == "another line":
        write_list(tmp_path, "1.wav|hello", "0.wav|hello")
    else:
        write_sound(tmp_path / "1.wav", 0.7)
    with caplog.at_level(logging.INFO, "vits"):
        if change == "a lost file":
            (tmp_path / "1.wav").unlink()
            with pytest.raises(FilelistError, match="list.txt:2: 1.wav does not exist"):
                opened(path, config_of())
        else:
            samples = opened(path, config_of()).entries.samples.tolist()
            wanted = (0.6, 0.5) if change == "another line" else (0.5, 0.7)
            assert samples == [int(length * RATE) for length in wanted]
    assert "has changed since" in caplog.text and "measuring 2 files again" in caplog.text


def test_an_index_of_another_rate_is_the_same_fault_as_the_audio_itself(tmp_path):
    path = indexed(tmp_path, 0.5)
    for _ in range(2):
        with pytest.raises(FilelistError, match="list.txt:1: .*0.wav is 22050 Hz, data.sampling_rate is 16000 Hz"):
            opened(path, config_of(sampling_rate=16000))
        index_path(path).unlink(missing_ok=True)


def test_ids_keep_their_place_whether_a_table_has_few_symbols_or_many(tmp_path):
    write_sound(tmp_path / "a.wav", 2.0)
    many = tuple(chr(0x4E00 + place) for place in range(400))
    config = config_of(symbols=many, text_cleaners=())
    path = write_list(tmp_path, f"a.wav|{many[3]}{many[399]}")
    ids = opened(path, config)[0].text_ids
    assert ids.tolist() == [0, 3, 0, 399, 0]


# --- batches


def utterance(n_text, n_samples, speaker=None):
    return Utterance(f"{n_samples}.wav", torch.arange(1, n_text + 1), torch.ones(n_samples), speaker)


def test_a_batch_is_padded_with_zeros_to_whole_frames_and_keeps_true_lengths():
    batch = Collate(minimum_samples=512, hop_length=256)([utterance(3, 1000), utterance(5, 700)])
    assert batch.names == ["1000.wav", "700.wav"] and batch.speaker_ids is None
    assert batch.text_ids.tolist() == [[1, 2, 3, 0, 0], [1, 2, 3, 4, 5]] and batch.text_ids.dtype == torch.int64
    assert batch.text_lengths.tolist() == [3, 5] and batch.wav_lengths.tolist() == [1000, 700]
    assert batch.wav.shape == (2, 1024) and batch.wav.dtype == torch.float32
    assert batch.wav.sum(dim=1).tolist() == [1000, 700] and batch.wav[1, 700:].abs().max() == 0


def test_short_clips_are_padded_to_a_segment_and_speakers_become_a_tensor():
    batch = Collate(minimum_samples=8192, hop_length=256)([utterance(2, 300, 4), utterance(2, 100, 0)])
    assert batch.wav.shape == (2, 8192) and batch.speaker_ids.tolist() == [4, 0]
    moved = batch.to("cpu")
    assert isinstance(moved, type(batch)) and torch.equal(moved.wav, batch.wav) and moved.names == batch.names


def test_a_corpus_of_several_voices_knows_the_speaker_of_each_utterance(tmp_path):
    write_sound(tmp_path / "a.wav")
    rows = ["a.wav|tom|hello", "a.wav|anna|hello", "a.wav|tom|hello"]
    dataset = opened(write_list(tmp_path, *rows), config_of(n_speakers=2, speakers=("anna", "tom")))
    assert dataset.speaker_ids.tolist() == [1, 0, 1] and dataset.speaker_ids.dtype == np.int64


def test_a_batch_of_a_worker_is_that_of_the_process_itself(tmp_path):
    for place in range(3):
        write_sound(tmp_path / f"{place}.wav", 0.5 + 0.1 * place)
    dataset = opened(write_list(tmp_path, *[f"{place}.wav|hello" for place in range(3)]), config_of())
    here, there = (next(iter(DataLoader(dataset, batch_size=3, collate_fn=Collate(8192, 256), num_workers=workers)))
                   for workers in (0, 1))
    assert here.wav.shape == there.wav.shape and torch.equal(here.wav, there.wav) and there.wav.is_shared()
    assert torch.equal(here.text_ids, there.text_ids) and here.names == there.names
