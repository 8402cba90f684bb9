"""Corpora of every kind become wavs and filelists; what is bad is listed and left out."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import preprocess
from audio.io import write_wav
from config import Config, DataConfig, ModelConfig
from corpora import flite, preparation, scan
from corpora.columns import read_index
from corpora.filelists import fill_speakers, read_filelist
from corpora.layouts import scan_corpus
from data_utils import open_corpus
from text import TextProcessor, cleaners

SHARED = Path(os.environ.get("VITS_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
BAD_AUDIO = SHARED / "bad_audio"


def write_sound(path, seconds=0.5, rate=22050, level=0.3):
    write_wav(path, (level * np.sin(np.arange(int(seconds * rate)) / 9)).astype(np.float32), rate)


def write_lines(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
    return path


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def prepared(out):
    """All lines of all splits, by wav."""
    rows = [row.split("|") for name in ("train.txt", "val.txt", "test.txt") for row in lines_of(out / name)]
    return {Path(row[0]).relative_to(out / "wavs").as_posix(): row[1:] for row in rows}


def status_of(arguments):
    try:
        return preprocess.main(arguments)
    except SystemExit as error:
        return error.code


def run(*arguments):
    return status_of([str(argument) for argument in arguments] + ["--jobs", "1"])


@pytest.fixture
def ljspeech(tmp_path):
    """Four utterances, in as many kinds of file."""
    folder = tmp_path / "lj"
    write_sound(folder / "wavs" / "LJ1.wav", rate=44100)
    write_sound(folder / "wavs" / "LJ2.flac", rate=16000)
    write_sound(folder / "wavs" / "LJ3.wav")
    soundfile.write(folder / "wavs" / "LJ4.mp3", 0.3 * np.sin(np.arange(22050) / 9), 22050)
    write_lines(folder / "metadata.csv", "LJ1|Dr. 1|Doctor one", "LJ2|two", "LJ3|thrée|", "LJ4|four|four")
    return folder


def test_an_ljspeech_folder_becomes_wavs_and_filelists(tmp_path, ljspeech, capsys):
    out = tmp_path / "out"
    assert run("ljspeech", ljspeech, "--out", out, "--rate", 16000) == 0
    assert prepared(out) == {"LJ1.wav": ["Doctor one"], "LJ2.wav": ["two"], "LJ3.wav": ["thrée"],
                             "LJ4.wav": ["four"]}
    for name in prepared(out):
        info = soundfile.info(out / "wavs" / name)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
    assert len(lines_of(out / "val.txt")) == 1 and not (out / "test.txt").exists()
    printed = capsys.readouterr().out
    assert f"data.training_files={out}/train.txt" in printed and "data.cleaned_text=false" in printed
    assert "data.sampling_rate=16000" in printed and "data.n_speakers=0" in printed


def test_a_second_run_converts_only_what_is_new_or_changed(tmp_path, ljspeech, monkeypatch):
    out = tmp_path / "out"
    converted = []
    convert = preparation.convert_utterance
    monkeypatch.setattr(preparation, "convert_utterance", lambda source, plan, write: (
        converted.append(source.id), convert(source, plan, write))[1])

    def again(*more):
        converted.clear()
        assert run("ljspeech", ljspeech, "--out", out, *more) == 0
        return sorted(converted)

    assert again() == ["LJ1", "LJ2", "LJ3", "LJ4"] and again() == []
    write_sound(ljspeech / "wavs" / "LJ2.flac", seconds=0.7)
    (out / "wavs" / "LJ3.wav").unlink()
    assert again() == ["LJ2", "LJ3"]
    assert soundfile.info(out / "wavs" / "LJ2.wav").duration == pytest.approx(0.7, abs=0.01)
    assert again("--rate", 16000) == ["LJ1", "LJ2", "LJ3", "LJ4"]
    with open(out / "manifest.jsonl", "a") as manifest:
        manifest.write('{"id": "LJ1", "fr')  # as a kill leaves it
    assert again("--rate", 16000) == []


def test_a_corpus_is_never_prepared_over_itself(tmp_path, ljspeech, capsys):
    before = {path: path.read_bytes() for path in ljspeech.rglob("*") if path.is_file()}
    assert run("ljspeech", ljspeech, "--out", ljspeech) == 2
    assert "and would be overwritten; name another folder" in capsys.readouterr().err
    listed = write_lines(tmp_path / "mine" / "train.txt", *(f"{ljspeech}/wavs/LJ{n}.flac|Words." for n in (1, 2)))
    assert run("filelist", listed, "--out", tmp_path / "mine") == 2
    assert "train.txt is the list that is read and would be overwritten" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in ljspeech.rglob("*") if path.is_file()} == before
    assert len(lines_of(listed)) == 2


def test_a_stopped_run_goes_on_where_it_stopped(tmp_path, ljspeech, monkeypatch):
    convert, out = preparation.convert_utterance, tmp_path / "out"

    def stopping(source, plan, write):
        if source.id == "LJ3":
            raise KeyboardInterrupt
        return convert(source, plan, write)

    monkeypatch.setattr(preparation, "convert_utterance", stopping)
    assert run("ljspeech", ljspeech, "--out", out) == 130
    assert [json.loads(row)["id"] for row in lines_of(out / "manifest.jsonl")] == ["LJ1", "LJ2"]
    assert not (out / "train.txt").exists()


def test_bad_utterances_are_left_out_and_listed_with_their_lines(tmp_path, ljspeech, capsys):
    (ljspeech / "wavs" / "LJ1.wav").unlink()
    write_sound(ljspeech / "wavs" / "LJ3.wav", level=1e-4)
    write_sound(ljspeech / "wavs" / "LJ5.wav", seconds=0.05)
    write_sound(ljspeech / "wavs" / "LJ6.wav", seconds=3)
    write_sound(ljspeech / "wavs" / "LJ7.wav", level=0.01)
    metadata = ljspeech / "metadata.csv"
    with open(metadata, "a") as file:
        file.write(f"LJ5|five|five\nLJ6|six|six\nLJ7|{'seven ' * 4}|\n")
    out = tmp_path / "out"
    assert run("ljspeech", ljspeech, "--out", out, "--max_seconds", 2) == 0
    assert sorted(prepared(out)) == ["LJ2.wav", "LJ4.wav", "LJ7.wav"]
    printed = capsys.readouterr().out
    assert "left out 4 utterances" in printed
    for number, reason in ((1, "LJ1.wav does not exist"), (3, "LJ3.wav is silent: its peak is -8"),
                           (5, "LJ5.wav has 0.05 seconds after trimming; expected 0.1 to 2"),
                           (6, "LJ6.wav has 3.00 seconds"), (7, "LJ7.wav is quiet: its peak is -40 dBFS"),
                           (7, "LJ7.wav has 23 characters in 0.50 seconds; wrong text?")):
        row = next(row for row in printed.splitlines() if reason in row)
        assert row.startswith(f"  {metadata}:{number}: ")
        assert row in (out / "report.txt").read_text().splitlines()


def test_strict_lists_every_bad_utterance_and_writes_nothing(tmp_path, ljspeech, capsys):
    (ljspeech / "wavs" / "LJ1.wav").unlink()
    (ljspeech / "wavs" / "LJ3.wav").write_text("no sound")
    assert run("ljspeech", ljspeech, "--out", tmp_path / "out", "--strict") == 2
    complaint = capsys.readouterr().err
    assert "metadata.csv:1: " in complaint and "metadata.csv:3: " in complaint
    assert "2 of 4 utterances are bad; nothing is written because of --strict" in complaint
    assert not (tmp_path / "out").exists()
    write_sound(ljspeech / "wavs" / "LJ1.wav")
    write_sound(ljspeech / "wavs" / "LJ3.wav")
    assert run("ljspeech", ljspeech, "--out", tmp_path / "out", "--strict") == 0
    assert len(prepared(tmp_path / "out")) == 4


def test_nothing_usable_is_an_error_that_lists_why(tmp_path, capsys):
    path = write_lines(tmp_path / "list.txt", "none.wav|text")
    assert run("filelist", path, "--out", tmp_path / "out") == 2
    complaint = capsys.readouterr().err
    assert "the only utterance cannot be used" in complaint and "list.txt:1: none.wav does not exist" in complaint


def test_a_text_that_cannot_belong_to_its_audio_is_left_out(tmp_path, capsys):
    write_sound(tmp_path / "a.wav")
    write_sound(tmp_path / "b.wav")
    path = write_lines(tmp_path / "list.txt", "a.wav|hello", f"b.wav|{'far too many words ' * 9}")
    assert run("filelist", path, "--out", tmp_path / "out") == 0
    assert list(prepared(tmp_path / "out")) == ["a.wav"]
    assert "b.wav has 170 characters in 0.50 seconds; the text belongs to another file" in capsys.readouterr().out


def test_silence_at_the_ends_goes_unless_it_is_to_stay(tmp_path):
    silence = np.zeros(22050)
    speech = 0.3 * np.sin(np.arange(11025) / 9)
    soundfile.write(tmp_path / "a.wav", np.concatenate([silence, speech, silence]), 22050)
    path = write_lines(tmp_path / "list.txt", "a.wav|hello")
    for options, seconds in ((("--no-trim",), 2.5), ((), 0.6)):
        assert run("filelist", path, "--out", tmp_path / "out", *options) == 0
        assert soundfile.info(tmp_path / "out" / "wavs" / "a.wav").duration == pytest.approx(seconds, abs=0.02)


def test_audio_beyond_one_is_scaled_down_and_not_clipped(tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", 2.5 * np.sin(np.arange(11025) / 9), 22050, subtype="FLOAT")
    path = write_lines(tmp_path / "list.txt", "a.wav|hello")
    assert run("filelist", path, "--out", tmp_path / "out", "--no-trim") == 0
    samples = soundfile.read(tmp_path / "out" / "wavs" / "a.wav")[0]
    np.testing.assert_allclose(samples, 0.999 * np.sin(np.arange(11025) / 9), atol=1e-3)
    assert "a.wav peaks at 2.50, beyond 1; scaled down" in capsys.readouterr().out


# --- filelists and speakers


def test_a_list_of_several_speakers_keeps_them_and_opens_for_training(tmp_path, capsys):
    for name in ("tom/1", "tom/2", "anna/1"):
        write_sound(tmp_path / "wavs" / f"{name}.wav", rate=16000)
    path = write_lines(tmp_path / "list.txt", *(f"wavs/{name}.wav|{name[:-2]}|hello" for name in
                                                ("tom/1", "tom/2", "anna/1")))
    out = tmp_path / "out"
    assert run("filelist", path, "--out", out) == 0
    assert prepared(out) == {"tom/1.wav": ["tom", "hello"], "tom/2.wav": ["tom", "hello"],
                             "anna/1.wav": ["anna", "hello"]}
    assert "data.n_speakers=2" in capsys.readouterr().out
    config = fill_speakers(Config(
        data=DataConfig(training_files=str(out / "train.txt"), validation_files=str(out / "val.txt"), n_speakers=2),
        model=ModelConfig(gin_channels=16)))
    dataset = open_corpus(out / "train.txt", config, TextProcessor.from_config(config.data))
    assert {utterance.speaker_id for utterance in dataset} <= {0, 1} and config.data.speakers == ("anna", "tom")


def test_a_list_of_speakers_with_only_one_is_written_as_one_voice(tmp_path):
    write_sound(tmp_path / "a.wav")
    write_sound(tmp_path / "b.wav")
    path = write_lines(tmp_path / "list.txt", "a.wav|tom|hello", "b.wav|tom|hello")
    assert run("filelist", path, "--out", tmp_path / "out") == 0
    assert len(read_filelist(tmp_path / "out" / "train.txt", multispeaker=False)) == 1


def test_numbered_speakers_keep_their_numbers(tmp_path, capsys):
    write_sound(tmp_path / "a.wav")
    write_sound(tmp_path / "b.wav")
    path = write_lines(tmp_path / "list.txt", "a.wav|3|hello", "b.wav|88|hello")
    assert run("filelist", path, "--out", tmp_path / "out") == 0
    assert "data.n_speakers=89" in capsys.readouterr().out


def test_most_lines_decide_whether_there_are_speakers_and_the_others_are_named(tmp_path, capsys):
    path = write_lines(tmp_path / "list.txt", "a|b.wav|hello", "a.wav|hello", "b.wav|hello")
    assert run("filelist", path, "--out", tmp_path / "out") == 2
    complaint = capsys.readouterr().err
    assert "list.txt:1: found 3 columns; expected 2 (audio|text)" in complaint and len(complaint.splitlines()) == 1


def test_ids_that_come_twice_are_faults(tmp_path, capsys):
    write_sound(tmp_path / "a.wav")
    path = write_lines(tmp_path / "list.txt", "a.wav|hello", "b.wav|hello", "a.wav|hello again", "wavs/b.flac|x")
    assert run("filelist", path, "--out", tmp_path / "out") == 2
    complaint = capsys.readouterr().err
    assert f"list.txt:3: the utterance 'a' is at {path}:1 already; remove one of them" in complaint
    assert "list.txt:4: the utterance 'b'" in complaint and not (tmp_path / "out").exists()


@pytest.mark.parametrize("path, name", [
    ("wavs/a.wav", "a"), ("a/b.c.flac", "a/b.c"), ("/data/x/a.WAV", "data/x/a"), ("../../a.mp3", "a"),
    ("utterance.001", "utterance.001"), ("wavs", "wavs"), ("ü 名.ogg", "ü 名")])
def test_an_utterance_is_named_by_its_path_and_stays_within_the_folder(path, name):
    assert scan.utterance_id(path) == name


def test_absolute_and_relative_paths_to_the_same_audio_give_one_name(tmp_path, monkeypatch):
    write_sound(tmp_path / "wavs" / "a.wav")
    monkeypatch.chdir(tmp_path)
    for number, path in enumerate((tmp_path / "wavs" / "a.wav", "wavs/a.wav", "./wavs/../wavs/a.wav")):
        found = scan.require_valid(scan_corpus(write_lines(tmp_path / f"{number}.txt", f"{path}|x")))
        assert [source.id for source in found] == ["a"]


@pytest.mark.parametrize("kind, name", [("wav48", "p1_001.wav"), ("wav48_silence_trimmed", "p1_001_mic1.flac")])
def test_a_vctk_folder_gives_speakers_by_folder_and_leaves_out_what_has_no_transcript(tmp_path, kind, name, capsys):
    folder, out = tmp_path / "vctk", tmp_path / "out"
    for speaker in ("p1", "p2", "p3"):
        write_sound(folder / kind / speaker / name.replace("p1", speaker), rate=48000)
        if kind == "wav48_silence_trimmed":
            write_sound(folder / kind / speaker / name.replace("p1", speaker).replace("mic1", "mic2"), rate=48000)
        if speaker != "p3":
            write_lines(folder / "txt" / speaker / f"{speaker}_001.txt", "Please call", "Stella.")
    assert run("vctk", folder, "--out", out) == 0
    assert prepared(out) == {"p1/p1_001.wav": ["p1", "Please call Stella."],
                             "p2/p2_001.wav": ["p2", "Please call Stella."]}
    printed = capsys.readouterr().out
    assert "p3_001" in printed and "has no text" in printed


def test_a_folder_is_prepared_whichever_layout_it_has(tmp_path, ljspeech, capsys):
    plain = tmp_path / "plain"
    for name in ("a.wav", "deep/b.wav", "c.wav"):
        write_sound(plain / name)
    write_lines(plain / "a.txt", "Beside it.")
    write_lines(plain / "deep" / "b.lab", "In a folder.")
    assert run("folder", plain, "--out", tmp_path / "out") == 0
    assert prepared(tmp_path / "out") == {"a.wav": ["Beside it."], "deep/b.wav": ["In a folder."]}
    printed = capsys.readouterr().out
    assert re.search(r"c\.wav: has no text, neither in a list nor in a \.txt or \.lab of its name beside it", printed)
    assert run("folder", ljspeech, "--out", tmp_path / "four") == 0 and len(prepared(tmp_path / "four")) == 4
    write_lines(ljspeech / "metadata.csv", "LJ1|one", "LJ2|two", "a|b|c|d")
    assert run("folder", ljspeech, "--out", tmp_path / "bad") == 2
    assert "metadata.csv:3: found 4 columns; expected 2 (audio|text); a '|' inside a text" in capsys.readouterr().err
    assert run("folder", tmp_path / "nowhere", "--out", tmp_path / "bad") == 2
    assert "nowhere holds no corpus; expected" in capsys.readouterr().err


def test_a_folder_of_another_kind_is_refused(tmp_path, capsys):
    assert run("vctk", tmp_path, "--out", tmp_path / "out") == 2
    assert "holds no VCTK corpus; expected the folders txt and wav48" in capsys.readouterr().err
    assert run("ljspeech", tmp_path, "--out", tmp_path / "out") == 2
    assert "metadata.csv" in capsys.readouterr().err
    write_lines(tmp_path / "metadata.csv", "a|b|c|d", "|text", "lonely")
    assert run("ljspeech", tmp_path, "--out", tmp_path / "out") == 2
    complaint = capsys.readouterr().err
    assert "metadata.csv:1: found 4 columns; expected 2 (audio|text)" in complaint
    assert "metadata.csv:2: found 2 columns, the id empty" in complaint and "metadata.csv:3" in complaint


# --- splits


def test_an_utterance_keeps_its_split_whatever_else_there_is():
    ids = [f"LJ{number:04}" for number in range(2000)]
    places = preparation.split_ids(ids, validation=0.05, test=0.02)
    assert sorted(sum(places.values(), [])) == list(range(2000))
    assert 70 <= len(places["val"]) <= 130 and 20 <= len(places["test"]) <= 60
    some = ids[::-3]
    fewer = preparation.split_ids(some, validation=0.05, test=0.02)
    for side in places:
        assert {some[place] for place in fewer[side]} == {ids[place] for place in places[side]} & set(some)


def test_two_utterances_are_one_for_training_and_one_for_validation():
    for ids in (["a", "b"], ["x", "y", "z"]):
        for validation in (0.001, 0.99):
            places = preparation.split_ids(ids, validation, test=0.0)
            assert places["train"] and places["val"] and not places["test"]
    assert preparation.split_ids(["a"], 0.001, 0.0) == {"train": [0], "val": [], "test": []}
    assert preparation.split_ids(["a", "b"], 0.0, 0.0)["val"] == []


def test_lists_of_an_earlier_run_do_not_stay(tmp_path, ljspeech):
    out = tmp_path / "out"
    assert run("ljspeech", ljspeech, "--out", out, "--test", 0.9) == 0 and lines_of(out / "test.txt")
    assert run("ljspeech", ljspeech, "--out", out) == 0
    assert not (out / "test.txt").exists() and len(prepared(out)) == 4
    write_lines(out / "test.txt", "Sentences that somebody wrote.")
    assert run("ljspeech", ljspeech, "--out", out) == 0 and lines_of(out / "test.txt")


# --- texts


def test_cleaned_text_reaches_the_filelists_on_demand(tmp_path, ljspeech, capsys):
    out = tmp_path / "out"
    assert run("ljspeech", ljspeech, "--out", out, "--text_cleaners", "transliteration_cleaners") == 0
    assert prepared(out)["LJ3.wav"] == ["three"]
    printed = capsys.readouterr().out
    assert "data.cleaned_text=true" in printed and 'data.text_cleaners=["transliteration_cleaners"]' in printed


def test_the_published_command_cleans_one_column_beside_the_list(tmp_path):
    one = write_lines(tmp_path / "a.txt", "x.wav|3|HELLO  Wörld", "y.wav|4|Good DAY")
    two = write_lines(tmp_path / "b.txt", "z.wav|5|É")
    arguments = ["--text_index", "2", "--filelists", str(one), str(two), "--text_cleaners", "basic_cleaners"]
    assert status_of(arguments) == 0
    assert lines_of(tmp_path / "a.txt.cleaned") == ["x.wav|3|hello wörld", "y.wav|4|good day"]
    assert status_of([*arguments, "--out_extension", "neat"]) == 0
    assert lines_of(tmp_path / "b.txt.neat") == ["z.wav|5|é"]


def test_the_published_command_names_every_line_without_the_column(tmp_path, capsys):
    path = write_lines(tmp_path / "a.txt", "x.wav|fine", "y.wav", "z.wav")
    assert status_of(["--filelists", str(path), "--text_cleaners", "basic_cleaners"]) == 2
    complaint = capsys.readouterr().err
    assert "a.txt:2: found 1 column, --text_index is 1" in complaint and "a.txt:3" in complaint
    assert not (tmp_path / "a.txt.cleaned").exists()
    assert status_of(["--filelists", str(path), "--text_cleaners", "basic_cleanerz"]) == 2
    assert "did you mean 'basic_cleaners'" in capsys.readouterr().err


def test_wrong_options_are_named_together(tmp_path, capsys):
    assert status_of(["filelist", "x", "--out", "a|b", "--rate", "5", "--jobs", "0", "--validation", "0.6",
                            "--test", "0.5", "--trim_db", "-1", "--min_seconds", "9", "--max_seconds", "2"]) == 2
    complaint = capsys.readouterr().err
    for name in ("--rate", "--jobs", "--validation and --test", "--trim_db", "--min_seconds", "--out"):
        assert f"{name}" in complaint
    assert len(complaint.splitlines()) == 6


def test_no_command_says_which_there_are(capsys):
    with pytest.raises(SystemExit) as error:
        preprocess.main([])
    assert error.value.code == 2
    assert "no command; expected check, to examine a corpus, or ljspeech, vctk, folder" in capsys.readouterr().err


@pytest.fixture
def refusing_cleaner(monkeypatch):
    """A cleaner that cannot read numbers of ten and more digits, as Python's own limit is one of 4300."""
    def refusing(lines, language):
        if any(re.search(r"\d{10}", line) for line in lines):
            raise OverflowError("cannot convert float infinity to integer")
        return [line.lower() for line in lines]

    monkeypatch.setitem(cleaners.CLEANERS, "refusing", refusing)


@pytest.mark.parametrize("bad", [[3], [0], [0, 1, 6], [6]])
def test_a_text_that_the_cleaners_cannot_read_costs_its_line_alone(tmp_path, refusing_cleaner, bad, capsys):
    for number in range(7):
        write_sound(tmp_path / f"{number}.wav")
    path = write_lines(tmp_path / "list.txt", *(f"{number}.wav|Hello {'1' * 99 if number in bad else 'you'}."
                                                for number in range(7)))
    options = ("--set", 'data.text_cleaners=["refusing"]', "--set", "data.symbols=characters")
    for more in (("--text_cleaners", "refusing"), (*options, "--set", "data.cleaned_text=false"), options):
        out = tmp_path / f"out{len(more)}"
        assert run("filelist", path, "--out", out, *more) == 0
        assert sorted(prepared(out)) == [f"{number}.wav" for number in range(7) if number not in bad]
        printed = capsys.readouterr().out
        for number in bad:
            assert f"{path}:{number + 1}: its text cannot be normalised (OverflowError: cannot convert" in printed
    assert run("check", path, "--out", tmp_path / "check", *options, "--set", "data.cleaned_text=false") == 1
    assert f"not_normalised      {len(bad):>7}  {path}:{bad[0] + 1}: " in capsys.readouterr().out
    assert status_of(["--filelists", str(path), "--text_cleaners", "refusing"]) == 2
    assert f"{path}:{bad[0] + 1}: its text cannot be normalised" in capsys.readouterr().err


def test_a_language_that_does_not_exist_is_no_fault_of_every_line(tmp_path, capsys):
    write_sound(tmp_path / "a.wav")
    path = write_lines(tmp_path / "list.txt", *("a.wav|Hello." for _ in range(3)))
    assert status_of(["--filelists", str(path), "--text_cleaners", "espeak", "--language", "xx"]) == 2
    message = capsys.readouterr().err
    assert "espeak-ng has no language 'xx'" in message and "list.txt" not in message


# --- espeak


def test_sentences_are_spoken_by_every_voice(tmp_path, capsys):
    path = write_lines(tmp_path / "sentences.txt", "Hello there.", "...", "One, two, three.")
    out = tmp_path / "out"
    assert run("espeak", path, "--out", out, "--voice", "en-us,de", "--rate", 16000, "--wpm", 150) == 0
    rows = prepared(out)
    assert sorted(row[0] for row in rows.values()) == ["de", "de", "en-us", "en-us"]
    assert {row[1] for row in rows.values()} == {"Hello there.", "One, two, three."}
    for name in rows:
        info = soundfile.info(out / "wavs" / name)
        assert info.samplerate == 16000 and 0.4 < info.duration < 3
    assert "sentences.txt:2: espeak-ng's speech by de is silent" in capsys.readouterr().out


def test_one_voice_makes_a_corpus_of_one_voice_whose_names_do_not_depend_on_the_order(tmp_path):
    path = write_lines(tmp_path / "sentences.txt", "Hello there.", "One, two, three.")
    assert run("espeak", path, "--out", tmp_path / "out") == 0
    before = prepared(tmp_path / "out")
    write_lines(path, "One, two, three.", "A new one.", "Hello there.")
    assert run("espeak", path, "--out", tmp_path / "out") == 0
    assert before.items() <= prepared(tmp_path / "out").items()


def test_an_unknown_voice_is_a_message(tmp_path, capsys):
    path = write_lines(tmp_path / "sentences.txt", "Hello there.")
    assert run("espeak", path, "--out", tmp_path / "out", "--voice", "klingonese") == 2
    assert "no voice 'klingonese'" in capsys.readouterr().err


# --- the odd files


REJECTED = ("truncated_header zero_bytes text_as_wav random_bytes header_only zero_data_chunk samplerate_zero "
            "channels_zero float_nan float_inf dir dangling one_sample short_100_samples short_1000_samples "
            "too_fast_text_mismatch ten_minutes silent near_silent_dither").split()
WARNED = {"float_over_1": "beyond 1; scaled down", "dc_offset_clipped": "is clipped", "very_quiet": "is quiet"}


def bad_audio():
    if not (BAD_AUDIO / "MANIFEST.tsv").is_file():
        return [pytest.param("", "", marks=pytest.mark.skip(reason=f"no {BAD_AUDIO}; set VITS_SHARED_DATA"))]
    rows = (BAD_AUDIO / "MANIFEST.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [pytest.param(*row.split("\t")[0:3:2], id=row.split("\t")[0]) for row in rows]


@pytest.mark.parametrize("name, expected", bad_audio())
def test_each_odd_audio_file_is_converted_or_listed_as_its_manifest_expects(tmp_path, name, expected, capsys):
    stem, out = Path(name).stem, tmp_path / "out"
    write_sound(tmp_path / "good.wav")
    words = "many words for little time " * 5 if stem == "too_fast_text_mismatch" else "hello"
    path = write_lines(tmp_path / "list.txt", "good.wav|hello", f"{BAD_AUDIO / name}|{words}")
    status = run("filelist", path, "--out", out)
    printed = capsys.readouterr()
    if "|" in name:
        assert status == 2 and "list.txt:2: found 3 columns" in printed.err
        return
    rejected = stem in REJECTED
    assert status == 0 and len(prepared(out)) == 2 - rejected
    assert not (expected.startswith("accept") and rejected)
    assert not (expected.startswith("reject") and not rejected)
    if rejected:
        assert "left out 1 utterance:" in printed.out and f"list.txt:2: {BAD_AUDIO / name}" in printed.out
    else:
        assert WARNED.get(stem, "") in printed.out
        wav = next(file for file in (out / "wavs").rglob("*.wav") if file.stem == stem)
        samples, rate = soundfile.read(wav)
        assert rate == 22050 and samples.ndim == 1 and np.abs(samples).max() <= 0.9995
        assert 0.3 < len(samples) / rate < 2.1


def test_several_processes_give_the_same_files_as_one(tmp_path):
    if not (SHARED / "fsdd" / "filelist.txt").is_file():
        pytest.skip(f"no {SHARED / 'fsdd'}; set VITS_SHARED_DATA")
    rows = lines_of(SHARED / "fsdd" / "filelist.txt")[:70]
    path = write_lines(tmp_path / "list.txt", *(f"{SHARED / 'fsdd' / row}" for row in rows))
    for jobs in (1, 2):
        assert status_of(["filelist", str(path), "--out", str(tmp_path / str(jobs)), "--jobs", str(jobs)]) == 0
    one, two = ({file.name: file.read_bytes() for file in (tmp_path / jobs / "wavs").rglob("*.wav")}
                for jobs in ("1", "2"))
    assert len(one) == 70 and one == two


def test_prepared_speech_opens_for_training(tmp_path):
    if not (SHARED / "ljspeech32" / "metadata.csv").is_file():
        pytest.skip(f"no {SHARED / 'ljspeech32'}; set VITS_SHARED_DATA")
    assert run("ljspeech", SHARED / "ljspeech32", "--out", tmp_path, "--text_cleaners", "english_cleaners2") == 0
    dataset = open_corpus(tmp_path / "train.txt", Config(), TextProcessor.from_config(DataConfig()))
    assert len(dataset) + len(lines_of(tmp_path / "val.txt")) + sum(map(len, dataset.left_out.values())) == 32
    assert len(dataset) > 25


@pytest.fixture
def small_config(tmp_path):
    """A configuration of 16 kHz and characters."""
    path = tmp_path / "small.json"
    path.write_text(json.dumps({"data": {"sampling_rate": 16000, "symbols": "characters", "max_wav_seconds": 5,
                                         "text_cleaners": ["basic_cleaners"], "cleaned_text": False}}))
    return path


def test_a_configuration_gives_rate_and_longest_audio(tmp_path, small_config):
    write_sound(tmp_path / "lj" / "wavs" / "a.wav")
    write_sound(tmp_path / "lj" / "wavs" / "long.wav", seconds=6)
    write_lines(tmp_path / "lj" / "metadata.csv", "a|One Two", "long|" + "three " * 10)
    out = tmp_path / "out"
    assert run("ljspeech", tmp_path / "lj", "--out", out, "-c", small_config) == 0
    assert prepared(out) == {"a.wav": ["One Two"]}
    assert soundfile.info(out / "wavs" / "a.wav").samplerate == 16000
    assert run("ljspeech", tmp_path / "lj", "--out", out, "-c", small_config, "--rate", 8000,
               "--set", "data.max_wav_seconds=10") == 0
    assert len(prepared(out)) == 2 and soundfile.info(out / "wavs" / "a.wav").samplerate == 8000


def test_a_symbol_that_the_table_lacks_is_an_error_at_preparation_with_its_place(tmp_path, small_config, capsys):
    write_sound(tmp_path / "lj" / "wavs" / "a.wav")
    write_sound(tmp_path / "lj" / "wavs" / "b.wav")
    write_lines(tmp_path / "lj" / "metadata.csv", "a|good", "b|b\u00f6se")
    assert run("ljspeech", tmp_path / "lj", "--out", tmp_path / "out", "-c", small_config) == 2
    message = capsys.readouterr().err
    assert "metadata.csv:2: " in message and "U+00F6" in message and "'characters'" in message
    assert not (tmp_path / "out" / "train.txt").exists()


def test_the_lengths_of_prepared_audio_are_kept_beside_the_lists_and_are_true(tmp_path):
    for place, seconds in enumerate((0.3, 0.5, 0.71234)):
        write_sound(tmp_path / f"{place}.wav", seconds=seconds, rate=16000)
    path = write_lines(tmp_path / "list.txt", *(f"{place}.wav|hello" for place in range(3)))
    out = tmp_path / "out"
    for _ in range(2):  # the second time nothing is converted
        assert run("filelist", path, "--out", out, "--validation", "0.3") == 0
        for name in ("train.txt", "val.txt"):
            wavs = [row.split("|")[0] for row in lines_of(out / name)]
            index = read_index(out / name, len(wavs))
            assert index.samples.tolist() == [len(soundfile.read(wav)[0]) for wav in wavs]
            assert index.sampling_rates.tolist() == [22050] * len(wavs)
    assert run("filelist", path, "--out", out, "--validation", "0") == 0
    assert not (out / "val.txt").exists() and not (out / "val.txt.index").exists()


# --- flite


@pytest.mark.skipif(shutil.which("flite") is None, reason="the program flite is not installed")
def test_flite_speaks_sentences_and_names_its_voices(tmp_path, capsys):
    path = write_lines(tmp_path / "sentences.txt", "Hello there.", "One, two, three.")
    out = tmp_path / "out"
    assert run("flite", path, "--out", out, "--voice", "rms", "--rate", 16000) == 0
    rows = prepared(out)
    assert sorted(row[-1] for row in rows.values()) == ["Hello there.", "One, two, three."]
    for name in rows:
        info = soundfile.info(out / "wavs" / name)
        assert info.samplerate == 16000 and 0.4 < info.duration < 3
    assert run("flite", path, "--out", tmp_path / "no", "--voice", "klingon") == 2
    assert "flite has no voice 'klingon'; it has " in capsys.readouterr().err


def test_a_line_that_flite_cannot_speak_is_left_out_with_its_place(tmp_path, capsys, monkeypatch):
    program = tmp_path / "bin" / "flite"
    write_lines(program, "#!/bin/sh", "exit 139")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(flite, "voices", lambda: ("rms",))
    path = write_lines(tmp_path / "sentences.txt", "Hello there.")
    assert run("flite", path, "--out", tmp_path / "out") == 2
    assert f"{path}:1: flite could not speak 'Hello there.' by rms (status 139)" in capsys.readouterr().err


def test_a_missing_flite_is_a_message(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    path = write_lines(tmp_path / "sentences.txt", "Hello there.")
    assert run("flite", path, "--out", tmp_path / "out") == 2
    assert "the program flite is not installed; on Debian and Ubuntu: apt install flite" in capsys.readouterr().err


# --- engines


def test_the_engine_reaches_those_who_work(tmp_path, ljspeech, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    for arguments in (["ljspeech", ljspeech, "--out", tmp_path / "out"], ["check", ljspeech]):
        assert run(*arguments, "--engine", "ray") == 2
        assert "ray is not installed; pip install ray" in capsys.readouterr().err


@pytest.mark.slow
def test_ray_prepares_and_checks_as_this_machine_does(tmp_path, ljspeech, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for engine, jobs in (("local", "1"), ("ray", "2")):
        assert status_of(["ljspeech", str(ljspeech), "--out", str(tmp_path / engine), "--engine", engine,
                          "--jobs", jobs]) == 0
        assert status_of(["check", str(ljspeech), "--out", str(tmp_path / f"{engine}_check"), "--engine", engine,
                          "--jobs", jobs, "--set", 'data.text_cleaners=["basic_cleaners"]',
                          "--set", "data.symbols=characters"]) in (0, 1)
    one, two = ({file.name: file.read_bytes() for file in (tmp_path / engine / "wavs").glob("*.wav")}
                for engine in ("local", "ray"))
    assert len(one) == 4 and one == two
    assert lines_of(tmp_path / "local_check" / "findings.jsonl") == lines_of(tmp_path / "ray_check" / "findings.jsonl")
