"""Filelists and speakers."""

import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import ConfigError
from corpora import filelists
from corpora.filelists import (
    FilelistError,
    Line,
    filelist_rows,
    fill_speakers,
    read_filelist,
    speaker_id,
)
from tests.test_data_utils import config_of, write_list

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
    assert filelists._names_only(["10", "2"]) == filelists._names_only([]) == ()
    assert filelists._names_only(["tom", "2", "anna", "tom"]) == ("2", "anna", "tom")
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


def test_a_blank_file_of_spaces_holds_no_lines_and_a_byte_order_mark_does_not_move_the_line_at_fault(tmp_path):
    (tmp_path / "list.txt").write_text("  \n\t\n")
    with pytest.raises(FilelistError, match="holds no lines"):
        read_filelist(tmp_path / "list.txt", False)
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfa.wav|x\n\xe9.wav|x\n")
    with pytest.raises(FilelistError, match="list.txt:2: byte 0xe9 is not UTF-8"):
        read_filelist(tmp_path / "list.txt", False)


def test_lines_come_in_blocks_and_a_fault_in_any_of_them_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(filelists, "_BLOCK", 36)
    rows = [f"{place}.wav|text {place}" for place in range(8)]
    blocks = list(filelist_rows(write_list(tmp_path, *rows), False))
    assert [len(block.texts) for block in blocks] == [3, 3, 2]
    assert [list(block.numbers) for block in blocks] == [[1, 2, 3], [4, 5, 6], [7, 8]]
    with pytest.raises(FilelistError) as error:
        read_filelist(write_list(tmp_path, *rows, "bad", *rows, "worse", "a.wav|ok"), False)
    assert [fault.split(":")[-2] for fault in error.value.faults] == ["9", "18"]
    (tmp_path / "list.txt").write_bytes("\n".join([*rows, "é.wav|x"]).encode("latin-1"))
    with pytest.raises(FilelistError, match="list.txt:9: byte 0xe9 is not UTF-8"):
        read_filelist(tmp_path / "list.txt", False)


@given(st.text(alphabet="ab|\n \r\t\0\u2028", max_size=40), st.sampled_from([("path", "text"), ("p", "s", "t")]))
def test_a_block_is_read_at_once_only_if_line_by_line_nothing_else_would_come(block, layout):
    faults = []
    slow = filelists._checked_rows(5, block, layout, "list.txt", faults)
    fast = filelists._regular_rows(5, block, len(layout))
    if fast is not None:
        assert fast._replace(numbers=list(fast.numbers)) == slow and not faults
    elif not faults and "\0" not in block:
        assert len(slow.texts) < block.removesuffix("\n").count("\n") + 1  # there are blank lines
