"""Filelists, the corpus made of them, and collation."""

import dataclasses
import logging
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from config import Config, ConfigError, DataConfig, ModelConfig
from data_utils import (
    Collate,
    FilelistError,
    Line,
    Utterance,
    fill_speakers,
    open_corpus,
    read_filelist,
    speaker_id,
    speaker_names,
)
from text import TextProcessor
from utils import AudioError, write_wav

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


def line(speaker):
    return Line("a.wav", speaker, "text", "list.txt:1")


# --- filelists


def test_a_filelist_is_read_with_its_line_numbers_whatever_its_line_ends(tmp_path):
    (tmp_path / "list.txt").write_bytes("\ufeffa.wav|Grüße\r\n\r\n b/c d.wav | two\u2028words \r\n".encode())
    assert read_filelist(tmp_path / "list.txt", multispeaker=False) == [
        Line("a.wav", None, "Grüße", f"{tmp_path}/list.txt:1"),
        Line("b/c d.wav", None, "two\u2028words", f"{tmp_path}/list.txt:3")]


def test_a_relative_path_is_sought_in_the_working_directory_and_then_beside_the_filelist(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "corpus").mkdir()
    for folder, name in (("here", "a.wav"), ("corpus", "a.wav"), ("corpus", "b.wav")):
        (tmp_path / folder / name).touch()
    monkeypatch.chdir(tmp_path / "here")
    path = write_list(tmp_path / "corpus", "a.wav|x", "b.wav|x", "c.wav|x")
    assert [found.wav_path for found in read_filelist(path, False)] == [
        "a.wav", str(tmp_path / "corpus" / "b.wav"), "c.wav"]


def test_every_bad_line_is_named_in_one_error(tmp_path):
    path = write_list(tmp_path, "a.wav|fine", "no columns", "a|b.wav|text", "|text", "a.wav|", "a\0.wav|text")
    with pytest.raises(FilelistError) as error:
        read_filelist(path, multispeaker=False)
    faults = error.value.faults
    assert [fault.split(":")[-2][-1] for fault in faults] == ["2", "3", "4", "5", "6"]
    assert "found 1 columns, expected 2 (path|text)" in faults[0]
    assert "a '|' inside a name or a text counts as a separator; if the second is a speaker" in faults[1]
    assert "the path is empty" in faults[2] and "the text is empty" in faults[3] and "zero byte" in faults[4]


def test_a_list_of_one_voice_read_as_several_says_what_to_set(tmp_path):
    with pytest.raises(FilelistError, match=r"expected 3 \(path\|speaker\|text\).*set data.n_speakers to 0"):
        read_filelist(write_list(tmp_path, "a.wav|text"), multispeaker=True)


def test_many_faults_are_counted_and_the_first_twenty_shown(tmp_path):
    path = write_list(tmp_path, *["bad"] * 50)
    with pytest.raises(FilelistError) as error:
        read_filelist(path, multispeaker=False)
    again = pickle.loads(pickle.dumps(error.value))
    assert len(again.faults) == 50 and len(str(again).splitlines()) == 21
    assert str(again).endswith("... and 30 more, 50 in all")


def test_a_missing_an_empty_and_a_foreign_filelist_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="no filelist .*none.txt"):
        read_filelist(tmp_path / "none.txt", False)
    with pytest.raises(FilelistError, match=r"list.txt holds no lines; expected path\|text"):
        read_filelist(write_list(tmp_path), False)
    (tmp_path / "latin.txt").write_bytes("a.wav|ok\nb.wav|Grüße\n".encode("latin-1"))
    with pytest.raises(FilelistError, match="latin.txt:2: byte 0xfc is not UTF-8"):
        read_filelist(tmp_path / "latin.txt", False)


# --- speakers


def test_speakers_are_ids_if_all_are_numbers_and_sorted_names_otherwise():
    assert speaker_names([line("10"), line("2")]) == ()
    assert speaker_names([line(None)]) == ()
    assert speaker_names([line("tom"), line("2"), line("anna"), line("tom")]) == ("2", "anna", "tom")
    assert speaker_id("7", (), 8) == 7 and speaker_id("2", ("anna", "2"), 2) == 1


@pytest.mark.parametrize("speaker, names, expected", [
    ("bob", ("anna", "tom"), "unknown speaker 'bob'; data.speakers has anna, tom"),
    ("8", (), "speaker 8 is out of range; data.n_speakers is 8, so ids go from 0 to 7"),
    ("-1", (), "'-1' is a name and data.speakers is empty"), ("²", (), "'²' is a name"),
])
def test_an_unknown_speaker_is_refused_with_what_is_known(speaker, names, expected):
    with pytest.raises(ValueError, match=expected):
        speaker_id(speaker, names, 8)


def test_speaker_names_of_both_lists_fill_the_configuration_unless_it_has_some(tmp_path):
    train = write_list(tmp_path, "a.wav|tom|x", "b.wav|anna|x")
    valid = write_list(tmp_path, "c.wav|zoe|x", name="valid.txt")
    config = config_of(n_speakers=3, training_files=str(train), validation_files=str(valid))
    filled = fill_speakers(config)
    assert filled.data.speakers == ("anna", "tom", "zoe") and fill_speakers(filled) is filled
    assert fill_speakers(config_of(training_files="none.txt")).data.speakers == ()
    with pytest.raises(ConfigError, match="data.n_speakers is 2, but there are 3 names"):
        fill_speakers(dataclasses.replace(config, data=dataclasses.replace(config.data, n_speakers=2)))


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


def test_texts_are_cleaned_if_the_filelist_is_not(tmp_path):
    write_sound(tmp_path / "a.wav")
    config = config_of(cleaned_text=False, text_cleaners=("basic_cleaners",), add_blank=False)
    dataset = opened(write_list(tmp_path, "a.wav|HELLO   You"), config)
    assert TextProcessor.from_config(config.data).decode(dataset[0].text_ids.tolist()) == "hello you"


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
