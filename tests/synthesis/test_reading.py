"""A trained voice reads texts into a corpus: what lies beside each wav, what is read again, and what is refused."""

import contextlib
import json
import warnings

import numpy as np
import pytest
import torch

import preprocess
from audio.io import read_wav
from data_utils import open_corpus
from models import SynthesizerTrn
from synthesis import Voice
from synthesis.reading import read_record
from tests.conftest import tiny, with_corpus, write_corpus
from text import TextProcessor
from training import trainer

CPU = torch.device("cpu")
TEXTS = "abc def\nghi jkl mno.\nabc. Def ghi.\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of one voice, two steps old."""
    folder = tmp_path_factory.mktemp("one")
    trainer.fit(with_corpus(write_corpus(folder, None), ("train.total_steps=2",)), folder / "run", CPU)
    return folder / "run"


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text(TEXTS)
    return path


def read(texts, run, out, *more):
    """The exit status of the command."""
    with warnings.catch_warnings(), contextlib.suppress(SystemExit):
        warnings.simplefilter("ignore")
        return preprocess.main(["voice", str(texts), "--voice", str(run), "--out", str(out), "--jobs", "1", *more])
    return 2


def times_of(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "wavs").iterdir()}


def test_every_sentence_becomes_a_wav_with_its_ids_and_durations_beside_it(run, texts, tmp_path, capsys):
    assert read(texts, run, tmp_path / "out", "--validation", "0.3") == 0
    wavs = sorted((tmp_path / "out" / "wavs").glob("*.wav"))
    assert {read_record(wav)["text"] for wav in wavs} == {"abc def", "ghi jkl mno.", "abc.", "Def ghi."}
    voice = Voice.load(run, "cpu")
    for wav in wavs:
        record, found = read_record(wav), read_wav(wav)
        assert found.sampling_rate == 8000 and len(found.samples) == 64 * sum(record["durations"])
        again = voice.speak_ids(record["text_ids"], durations=record["durations"], seed=record["seed"],
                                noise_scale=record["noise_scale"])
        assert np.abs(again.samples - found.samples).max() < 1e-4  # of 16 bits
    assert "data.cleaned_text=true" in capsys.readouterr().out


def test_the_filelists_open_for_training_with_the_ids_that_were_spoken(run, texts, tmp_path):
    texts.write_text(TEXTS + "\" abc\" def \"\n")  # spaces at the ends, once the unknown marks are gone
    read(texts, run, tmp_path / "out", "--validation", "0")
    config = tiny(("data.cleaned_text=true",))
    dataset = open_corpus(tmp_path / "out" / "train.txt", config, TextProcessor.from_config(config.data))
    assert len(dataset) == 5
    for item in map(dataset.__getitem__, range(len(dataset))):
        record = json.loads(open(item.name.replace(".wav", ".json"), encoding="utf-8").read())
        assert item.text_ids.tolist() == record["text_ids"]


def test_what_is_read_already_is_not_read_again_unless_it_would_sound_otherwise(run, texts, tmp_path, monkeypatch):
    read(texts, run, tmp_path / "out")
    before = times_of(tmp_path / "out")
    texts.write_text(TEXTS + "mno\n")
    read(texts, run, tmp_path / "out")
    after = times_of(tmp_path / "out")
    assert after.items() > before.items() and len(after) == len(before) + 2
    read(texts, run, tmp_path / "out", "--noise_scale", "0.1")
    assert not times_of(tmp_path / "out").items() & after.items()


def test_a_sentence_that_has_no_sound_is_left_out_with_its_place(run, texts, tmp_path, capsys):
    texts.write_text("abc def\n日本\n")
    assert read(texts, run, tmp_path / "out") == 0
    assert "texts.txt:2: nothing to say" in capsys.readouterr().err
    assert len((tmp_path / "out" / "train.txt").read_text().splitlines()) == 1


def test_each_speaker_of_several_reads_every_sentence(texts, tmp_path, capsys):
    lists = write_corpus(tmp_path, ("bob", "alice"))
    overrides = ("train.total_steps=2", "data.n_speakers=2", "model.gin_channels=8")
    trainer.fit(with_corpus(lists, overrides), tmp_path / "duo", CPU)
    assert read(texts, tmp_path / "duo", tmp_path / "out", "--speaker", "bob,alice", "--validation", "0") == 0
    rows = [line.split("|") for line in (tmp_path / "out" / "train.txt").read_text().splitlines()]
    assert sorted(row[1] for row in rows) == ["alice"] * 4 + ["bob"] * 4
    capsys.readouterr()
    assert read(texts, tmp_path / "duo", tmp_path / "none") == 2
    assert "--speaker" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "message"), [
    (("--voice", "runs/none"), "no run or checkpoint"), (("--jobs", "0"), "--jobs must be 1 or more"),
    (("--noise_scale", "-1"), "--noise_scale must be 0 or more"), (("--speaker", "bob"), "has one speaker; leave it"),
    (("--validation", "1"), "--validation and --test must be")])
def test_what_cannot_be_read_is_a_message(run, texts, tmp_path, capsys, options, message):
    assert read(texts, run, tmp_path / "out", *options) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_a_file_without_texts_and_a_voice_without_its_weights_are_messages(run, tmp_path, capsys):
    (tmp_path / "empty.txt").write_text("\n")
    assert read(tmp_path / "empty.txt", run, tmp_path / "out") == 2
    assert "has no text; expected one a line" in capsys.readouterr().err


def test_a_damaged_record_is_none(tmp_path):
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text("[1]")
    assert read_record(tmp_path / "a.wav") is None and read_record(tmp_path / "b.wav") is None
    assert read_record(tmp_path / "c.wav") is None


def test_a_network_is_only_loaded_where_a_sentence_is_to_be_read(run, texts, tmp_path, monkeypatch):
    read(texts, run, tmp_path / "out")
    monkeypatch.setattr(SynthesizerTrn, "latent", None)  # nothing is computed from here on
    assert read(texts, run, tmp_path / "out") == 0
