"""Corpora as people have them: columns, layouts, transcripts with times; each is read with its speakers, or refused."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import preprocess
from audio.io import wav_info, write_wav
from corpora.cues import fit_cues, read_cues
from corpora.filelists import FilelistError
from corpora.layouts import scan_corpus
from corpora.manifests import read_listed
from corpora.tables import parse_columns, read_table, roles_of

TEXTS = ("Ich danke ihm.", "Der Zug kam um acht Uhr an.", "Wo warst du gestern Abend?", "Das ist gut.",
         "Sie las den Brief noch einmal, langsam.", "Morgen soll es regnen.")
NAMES = [f"a{number:03d}" for number in range(6)]
SPEAKERS = ("anna", "tom") * 3
RATE = 8000


def write_audio(path, seconds=0.4, seed=0):
    samples = 0.3 * np.sin(np.arange(int(seconds * RATE)) * (0.1 + 0.01 * seed))
    write_wav(path.with_suffix(".wav"), samples.astype(np.float32), RATE)
    if path.suffix != ".wav":
        path.with_suffix(".wav").rename(path)


def write_corpus(folder, below="wavs", names=NAMES, ending=".wav"):
    for seed, name in enumerate(names):
        (folder / below / name).parent.mkdir(parents=True, exist_ok=True)
        write_audio(folder / below / f"{name}{ending}", seed=seed)
    return folder


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else "".join(row + "\n" for row in content), encoding="utf-8")
    return path


def run(*arguments):
    try:
        return preprocess.main([*map(str, arguments), "--jobs", "1"])
    except SystemExit as error:
        return error.code


def texts_of(scan):
    assert scan.bad_rows == []
    assert all(Path(source.origin).is_file() for source in scan.sources)
    return [source.text for source in scan.sources]


def speakers_of(scan):
    return [source.speaker for source in scan.sources]


# --- which column is what

# {n}: name, {t}: text, {s}: speaker, {c}: count, {d}: seconds, {i}: speaker's number
SHAPES = {
    "{n}|{t}": "id text", "{n}|{t}|{t}": "id text normalised", "{n}|{t}|{c}": "id text seconds",
    "{n}|{t}|{d}": "id text seconds", "{n}|{s}|{t}": "id speaker text", "{n}|{t}|{s}": "id text speaker",
    "{n}|{i}|{t}": "id speaker text", "{n}|{t}|{i}": "id text speaker", "{n}|{t}|de": "id text language",
    "{n}|de|{t}": "id language text", "{n}|{t}|{t}|{s}|de": "id text normalised speaker language",
    "{n}|{t}|{t}|{d}": "id text normalised seconds", "{n}.wav|{t}|{c}": "id text seconds",
    "wavs/{n}.wav|{t}|{t}|{d}": "id text normalised seconds", "{t}|{n}": "text id", "{s}|{n}|{t}": "speaker id text",
    "{n}|{s}|de|{t}": "id speaker language text", "{n}|{t}|": "id text -", "{n}|eva|{t}": "id speaker text",
}


def rows_of(shape, count=6):
    return [shape.format(n=NAMES[row], t=TEXTS[row], s=SPEAKERS[row], c=len(TEXTS[row]), d=1.37 * (1 + row % 4),
                         i=row % 2) for row in range(count)]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_roles_of_columns_are_decided_over_the_whole_file(tmp_path, shape):
    scan = scan_corpus(write(write_corpus(tmp_path) / "metadata.csv", rows_of(shape)).parent)
    assert texts_of(scan) == list(TEXTS)
    expected = list(SPEAKERS) if "{s}" in shape else ["0", "1"] * 3 if "{i}" in shape else \
        ["eva"] * 6 if "eva" in shape else [None] * 6
    assert speakers_of(scan) == expected and [source.id for source in scan.sources] == NAMES


@given(st.permutations(["{n}", "{t}", "{s}", "{d}"]), st.sampled_from("|\t;"), st.integers(4, 6))
def test_roles_do_not_depend_on_the_order_of_columns_or_the_separator(tmp_path_factory, order, separator, count):
    path = tmp_path_factory.mktemp("table") / "list.txt"
    table = read_table(write(path, rows_of(separator.join(order), count)))
    roles = {"{n}": "id", "{t}": "text", "{s}": "speaker", "{d}": "seconds"}
    assert roles_of(table, NAMES.__contains__) == tuple(roles[column] for column in order)


@pytest.mark.parametrize("header, shape, roles", [
    ("audio_file|text|speaker_name", "{n}.wav|{t}|{s}", "id text speaker"),
    ("file_name,text", '{n}.wav,"{t}"', "id text"), ("Path\tSentence\tClient_ID", "{n}\t{t}\t{s}", "id text speaker"),
    ("ID|Transcript|Emotion|Normalized Text|Duration", "{n}|{t}|calm|{t}|{d}", "id text - normalised seconds"),
    ("#id|speaker_id|text", "{n}|{s}|{t}", "id speaker text")])
def test_a_header_row_says_which_column_is_what(tmp_path, header, shape, roles):
    write(write_corpus(tmp_path) / "metadata.csv", [header, *rows_of(shape)])
    assert roles_of(read_table(tmp_path / "metadata.csv"), lambda name: True) == tuple(roles.split())
    scan = scan_corpus(tmp_path)
    assert texts_of(scan) == list(TEXTS) and speakers_of(scan) == (list(SPEAKERS) if "{s}" in shape else [None] * 6)


def test_columns_that_cannot_be_told_are_described_and_may_be_named(tmp_path, capsys):
    rows = [f"{row}|{row.split('|')[1][::-1]} xyz" for row in rows_of("{n}|{t}")]
    write(write_corpus(tmp_path) / "metadata.csv", rows)
    assert run("check", tmp_path, "--out", tmp_path / "o") == 2
    message = capsys.readouterr().err
    for part in ("what its 3 columns are cannot be determined", "column 1 has 6 different single words, such as 'a000'",
                 "'Ich danke ihm.'", "name each of them with --columns, for example --columns id,-,text"):
        assert part in message
    assert run("folder", tmp_path, "--out", tmp_path / "o", "--columns", "id,text,-") == 0
    assert "Ich danke ihm." in (tmp_path / "o" / "train.txt").read_text() + (tmp_path / "o" / "val.txt").read_text()
    assert run("folder", tmp_path, "--out", tmp_path / "o", "--columns", "id,text") == 2
    assert "--columns names 2 columns, most lines have 3" in capsys.readouterr().err
    with pytest.raises(ValueError, match="--columns id,words: expected a name for each column, once each, of id, text"):
        parse_columns("id,words")


def test_prepared_speakers_are_counted(tmp_path, capsys):
    write(write_corpus(tmp_path / "in") / "metadata.csv", rows_of("{n}|{t}|{s}"))
    assert run("folder", tmp_path / "in", "--out", tmp_path / "out") == 0
    assert "data.n_speakers=2" in capsys.readouterr().out
    assert all(row.split("|")[1] in SPEAKERS for row in (tmp_path / "out" / "train.txt").read_text().splitlines())


@pytest.mark.parametrize("separator, hint", [("|", "a '|' inside a text counts as a separator"),
                                             (",", "but not in double quotes"), ("\t", "separated by tabs")])
def test_a_row_with_more_columns_than_most_is_an_error_with_a_hint(tmp_path, capsys, separator, hint):
    rows = [row.replace(", ", " ") for row in rows_of("{n}" + separator + "{t}")]
    rows[5] = f"a005{separator}Hallo {separator} Welt"
    write(write_corpus(tmp_path) / "metadata.csv", rows)
    assert run("folder", tmp_path, "--out", tmp_path / "out") == 2
    message = capsys.readouterr().err
    assert "metadata.csv:6: found 3 columns; expected 2 (audio|text)" in message and hint in message
    assert len(message.splitlines()) == 1 and not (tmp_path / "out").exists()


# --- near misses

NFD = unicodedata.normalize("NFD", "café_ü")
NEAR_MISSES = {  # folder of the audio, ending, names on the disk, what a row calls them, other rows
    "wav": ("wav", ".wav", NAMES, "{n}|{t}"), "wav in the id": ("wav", ".wav", NAMES, "wav/{n}.wav|{t}"),
    "wavs in the id": ("wavs", ".wav", NAMES, "wavs/{n}.wav|{t}"), "beside": ("", ".wav", NAMES, "{n}|{t}"),
    "quotes": ("wavs", ".wav", NAMES, '"{n}"|"{t}"'), "tabs": ("wavs", ".wav", NAMES, "{n}\t{t}"),
    "semicolons": ("wavs", ".wav", NAMES, "{n};{t}"), "commas": ("wavs", ".wav", NAMES, '{n},"{t}"'),
    "capitals": ("wavs", ".WAV", [name.upper() for name in NAMES], "{n}|{t}"),
    "backslashes": ("wavs", ".wav", NAMES, "wavs\\{n}.wav|{t}"),
    "from another machine": ("wavs", ".wav", NAMES, "C:\\data\\wavs\\{n}.wav|{t}"),
    "decomposed": ("wavs", ".wav", [NFD + name for name in NAMES], unicodedata.normalize("NFC", NFD) + "{n}|{t}"),
    "deeper": ("wavs/part/one", ".flac", NAMES, "{n}|{t}"),
}


@pytest.mark.parametrize("kind", NEAR_MISSES)
def test_audio_is_found_however_the_list_writes_its_name(tmp_path, kind):
    below, ending, names, shape = NEAR_MISSES[kind]
    write_corpus(tmp_path, below, names, ending)
    write(tmp_path / "metadata.csv", ["# who read what", *rows_of(shape)])
    assert texts_of(scan_corpus(tmp_path)) == list(TEXTS)


@pytest.mark.parametrize("row, text", [
    ('"a000"|"Er sagte ""ja""."', 'Er sagte "ja".'), ('a000|"Er sagte ""ja""."', 'Er sagte "ja".'),
    ('a000|"Ja," sagte er. "Gut."', '"Ja," sagte er. "Gut."'), ('a000,"Er sagte, ""ja""."', 'Er sagte, "ja".')])
def test_quotes_that_a_program_has_put_are_taken_away_and_others_stay(tmp_path, row, text):
    write_corpus(tmp_path, names=NAMES[:1])
    assert texts_of(scan_corpus(write(tmp_path / "metadata.csv", [row]).parent)) == [text]


def test_a_name_that_could_be_several_files_is_none(tmp_path):
    for speaker in SPEAKERS[:2]:
        write_corpus(tmp_path / "wavs" / speaker, "", NAMES[:1])
    write(tmp_path / "metadata.csv", ["a000|Ja."])
    [source] = scan_corpus(tmp_path).sources
    assert source.origin == str(tmp_path / "wavs" / "a000.wav") and not Path(source.origin).exists()


# --- layouts


def m_ailabs(folder):
    for book, speaker, part in (("buch_a", "eva", slice(0, 3)), ("buch_b", "karl", slice(3, 6))):
        gender = "female" if speaker == "eva" else "male"
        below = write_corpus(folder / "de_DE" / "by_book" / gender / speaker / book, names=NAMES[part])
        write(below / "metadata.csv", rows_of("{n}|{t}|{t}")[part])
    return ["eva"] * 3 + ["karl"] * 3


def libri_tts(folder):
    for row, speaker in enumerate(("84", "174") * 3):
        stem = folder / "dev-clean" / speaker / "121123" / f"{speaker}_121123_{row:06d}_000000"
        write_corpus(stem.parent, "", [stem.name])
        write(Path(f"{stem}.normalized.txt"), TEXTS[row])
        write(Path(f"{stem}.original.txt"), TEXTS[row].upper())
    return ["174", "84"]


def libri_speech(folder):
    for speaker, part in (("84", range(3)), ("174", range(3, 6))):
        below = folder / speaker / "121123"
        write_corpus(below, "", [f"{speaker}-121123-{row:04d}" for row in part], ".flac")
        write(below / f"{speaker}-121123.trans.txt", [f"{speaker}-121123-{row:04d} {TEXTS[row]}" for row in part])
    return ["174", "84"]


def common_voice(folder):
    write_corpus(folder, "clips", ending=".mp3")
    write(folder / "validated.tsv", ["client_id\tpath\tsentence_id\tsentence\tup_votes\tlocale",
                                     *rows_of("{s}\t{n}.mp3\t{n}x\t{t}\t2\tde")])
    write(folder / "invalidated.tsv", ["client_id\tpath\tsentence", "x\tb.mp3\tno"])
    return list(SPEAKERS)


def hugging_face(folder):
    write_corpus(folder, "")
    write(folder / "metadata.csv", ["file_name,text", *rows_of('{n}.wav,"{t}"')])


def hugging_face_json(folder):
    write_corpus(folder, "train")
    write(folder / "train" / "metadata.jsonl", [json.dumps({"file_name": f"{name}.wav", "text": text, "speaker_id": 7})
                                                for name, text in zip(NAMES, TEXTS)])
    return ["7"]


def css10(folder):
    write_corpus(folder, "buch")
    write(folder / "transcript.txt", rows_of("buch/{n}.wav|{t}|{t}|{d}"))


def thorsten(folder):
    write(write_corpus(folder) / "metadata.csv", rows_of("{n}|{t}"))
    write(folder / "metadata_shuf.csv", rows_of("{n}|{t}"))


def piper(folder):
    write(write_corpus(folder, "wav") / "metadata.csv", rows_of("{n}|{s}|{t}"))
    return list(SPEAKERS)


def nemo(folder):
    write_corpus(folder, "audio")
    write(folder / "manifest.json", [json.dumps({"audio_filepath": f"audio/{name}.wav", "duration": 0.4, "text": text})
                                     for name, text in zip(NAMES, TEXTS)])


def kaldi(folder):
    write_corpus(folder)
    write(folder / "wav.scp", [f"{name} wavs/{name}.wav" for name in NAMES])
    write(folder / "text", [f"{name} {text}" for name, text in zip(NAMES, TEXTS)])
    write(folder / "utt2spk", [f"{name} {speaker}" for name, speaker in zip(NAMES, SPEAKERS)])
    return list(SPEAKERS)


def festival(folder):
    write_corpus(folder, "wav")
    write(folder / "etc" / "txt.done.data", [f'( {name} "{text}" )' for name, text in zip(NAMES, TEXTS)])


def multilingual_libri_speech(folder):
    write_corpus(folder, "audio/7/9", [f"7_9_{row:06d}" for row in range(6)], ".flac")
    write(folder / "transcripts.txt", [f"7_9_{row:06d}\t{text}" for row, text in enumerate(TEXTS)])
    return ["7"]


def mimic(folder):
    write_corpus(folder, "")
    write(folder / "mimic-metadata.txt", rows_of("{n}.wav|{t}|{c}"))


def metadata_txt(folder):
    write(write_corpus(folder) / "metadata.txt", rows_of("{n}|{t}"))


def vctk_second_microphone(folder):
    for row, speaker in enumerate(("p1", "p2") * 3):
        name = f"{speaker}_{row:03d}"
        write_corpus(folder / "wav48_silence_trimmed" / speaker, "", [f"{name}_mic2"], ".flac")
        write(folder / "txt" / speaker / f"{name}.txt", TEXTS[row])
    return ["p1", "p2"]


def apart(folder):
    write_corpus(folder, "wav")
    for name, text in zip(NAMES, TEXTS):
        write(folder / "txt" / f"{name}.txt", text)


def apart_by_speaker(folder):
    for row, speaker in enumerate(("p0", "p1") * 3):
        write_corpus(folder / "wav16" / speaker, "", [NAMES[row]])
        write(folder / "txt" / speaker / f"{NAMES[row]}.txt", TEXTS[row])
    return ["p0", "p1"]


def timit(folder):
    write_corpus(folder, "", [name.upper() for name in NAMES], ".WAV")
    for name, text in zip(NAMES, TEXTS):
        write(folder / f"{name.upper()}.TXT", f"0 {int(0.4 * RATE)} {text}")


def libri_tts_original(folder):
    speakers = libri_tts(folder)
    for path in folder.rglob("*.normalized.txt"):
        path.with_name(path.name.replace("normalized", "original")).write_text(path.read_text())
        path.unlink()
    return speakers


def original_texts(folder):
    write_corpus(folder, "")
    for name, text in zip(NAMES, TEXTS):
        write(folder / f"{name}.original.txt", text)


def jsut(folder):
    for below, part in (("basic5000", slice(0, 3)), ("travel1000", slice(3, 6))):
        write_corpus(folder / below, "wav", NAMES[part])
        write(folder / below / "transcript_utf8.txt", map("{}:{}".format, NAMES[part], TEXTS[part]))


def jvs(folder):
    for speaker, part in (("jvs001", slice(0, 3)), ("jvs002", slice(3, 6))):
        below = folder / speaker / "parallel100"
        write_corpus(below, "wav24kHz16bit", [f"VOICE_{row}" for row in range(3)])
        write(below / "transcripts_utf8.txt", [f"VOICE_{row}:{text}" for row, text in enumerate(TEXTS[part])])
    return ["jvs001", "jvs002"]


def aishell(folder):
    for speaker, part in (("SSB0005", slice(0, 3)), ("SSB0009", slice(3, 6))):
        write_corpus(folder / "train" / "wav" / speaker, "", [f"{speaker}{row:04d}" for row in range(3)])
        with open(folder / "train" / "content.txt", "a", encoding="utf-8") as file:
            file.write("".join(f"{speaker}{row:04d}.wav\t{text}\n" for row, text in enumerate(TEXTS[part])))
    return ["SSB0005", "SSB0009"]


def metadata_json(folder):
    write(write_corpus(folder) / "metadata.json", json.dumps(
        {f"{name}.wav": text for name, text in zip(NAMES, TEXTS)}, indent=1))


def metadata_json_of_objects(folder):
    write(write_corpus(folder) / "metadata.json", json.dumps(
        {name: {"text": text, "speaker": speaker} for name, text, speaker in zip(NAMES, TEXTS, SPEAKERS)}))
    return list(SPEAKERS)


LAYOUTS = [apart, apart_by_speaker, timit, libri_tts_original, original_texts, jsut, jvs, aishell, metadata_json,
           metadata_json_of_objects, m_ailabs, libri_tts, libri_speech, common_voice, hugging_face, hugging_face_json,
           css10, thorsten, piper, nemo, kaldi, festival, multilingual_libri_speech, mimic, metadata_txt,
           vctk_second_microphone]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_read_with_its_speakers_and_has_nothing_wrong(tmp_path, layout):
    folder = tmp_path / "corpus"
    speakers = layout(folder)
    scan = scan_corpus(folder)
    assert sorted(texts_of(scan)) == sorted(TEXTS) and len({source.id for source in scan.sources}) == 6
    assert set(speakers_of(scan)) == set(speakers or [None])
    if speakers and len(speakers) == 6:
        assert dict(zip(TEXTS, speakers)) == {source.text: source.speaker for source in scan.sources}
    assert run("folder", folder, "--out", tmp_path / "out") == 0


@pytest.mark.parametrize("row, name, message", [
    ("a000 sox a.wav -t wav - |", "wav.scp", "a command, 'sox a.wav -t wav - |'"),
    ("b000 wavs/a000.wav", "wav.scp", "no recording 'a000' in wav.scp"),
    ("a000 a000 0.1 x", "segments", "times '0.1 x' in segments")])
def test_lines_of_kaldi_that_name_no_file_are_named(tmp_path, row, name, message):
    kaldi(tmp_path)
    rows = [row] + [each for each in (f"{other} wavs/{other}.wav" for other in NAMES[1:]) if name == "wav.scp"]
    write(tmp_path / name, rows)
    [bad] = scan_corpus(tmp_path).bad_rows
    assert bad.place == f"{tmp_path}/text:1" and bad.found == message


@pytest.mark.parametrize("layout", [thorsten, nemo, kaldi, mimic, festival])
def test_the_folder_in_which_the_texts_are_is_named(tmp_path, layout, capsys):
    layout(tmp_path / "top" / "deep" / "buch_a")
    assert run("check", tmp_path / "top", "--out", tmp_path / "o") == 1
    printed = capsys.readouterr().out
    assert "no_text" in printed and "none of 6 files has a text; there is a" in printed
    assert "nothing is wrong" not in printed
    assert f"in {tmp_path / 'top' / 'deep' / 'buch_a'}, give that folder" in printed
    assert run("folder", tmp_path / "top", "--out", tmp_path / "p") == 2
    assert "give that folder" in capsys.readouterr().err


def test_texts_in_the_folder_above_and_in_one_of_several_lists_are_named(tmp_path, capsys):
    thorsten(tmp_path)
    assert run("check", tmp_path / "wavs", "--out", tmp_path / "o") == 1
    assert f"there is a metadata.csv in {tmp_path}, give that folder" in capsys.readouterr().out
    (tmp_path / "metadata.csv").rename(tmp_path / "more.csv")
    assert run("check", tmp_path, "--out", tmp_path / "o") == 1
    assert "metadata_shuf.csv, more.csv name its audio; give one of them" in capsys.readouterr().out


# --- what was decided, and what is left out


@pytest.mark.parametrize("values, what", [
    (("happy", "sad"), "emotion"), (("Neutral", "Angry"), "emotion"), (("fröhlich", "traurig"), "emotion"),
    (("m", "f"), "gender"), (("male", "female"), "gender"), (("weiblich", "männlich"), "gender"),
    (("train", "test"), "split"), (("true", "false"), "quality"), (("twenties", "teens"), "age")])
@pytest.mark.parametrize("shape", ["{n}|{t}|{s}", "{n}|{s}|{t}", "{n}.wav|{s}|{t}"])
def test_labels_that_name_no_speaker_are_left_out_and_said(tmp_path, values, what, shape, capsys):
    rows = [row.replace("anna", values[0]).replace("tom", values[1]) for row in rows_of(shape)]
    write(write_corpus(tmp_path / "in") / "metadata.csv", rows)
    assert run("folder", tmp_path / "in", "--out", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    named = "id,text,speaker" if shape == "{n}|{t}|{s}" else "id,speaker,text"
    assert "data.n_speakers=0" in printed and f"- (2: {values[0]}, {values[1]})" in printed
    assert f"is taken for the {what} and left out; if these are speakers, add --columns {named}" in printed
    assert run("folder", tmp_path / "in", "--out", tmp_path / "out", "--columns", named) == 0
    assert "data.n_speakers=2" in capsys.readouterr().out


def test_the_columns_that_were_decided_are_printed(tmp_path, capsys):
    write(write_corpus(tmp_path / "in") / "metadata.csv", rows_of("{n}|{s}|de|{t}"))
    for arguments in (("folder", "--out", tmp_path / "out"), ("check", "--out", tmp_path / "o")):
        assert run(arguments[0], tmp_path / "in", *arguments[1:]) == 0
        assert "columns: audio, speaker (2: anna, tom), language (1: de), text\n" in capsys.readouterr().out


def by_folder(folder):
    for name, part in (("anna", slice(0, 3)), ("ben", slice(3, 6))):
        write_corpus(folder / name, "", NAMES[part])
        for audio, text in zip(NAMES[part], TEXTS[part]):
            write(folder / name / f"{audio}.txt", text)


def list_in_each_folder(folder):
    for name, part in (("anna", slice(0, 3)), ("ben", slice(3, 6))):
        write(write_corpus(folder / name, names=NAMES[part]) / "metadata.csv", rows_of("{n}|{t}")[part])


def one_list_of_folders(folder):
    for name, part in (("anna", slice(0, 3)), ("ben", slice(3, 6))):
        write_corpus(folder / "wavs" / name, "", NAMES[part])
    write(folder / "metadata.csv", rows_of("{n}|{t}"))


def split_folders(folder):
    for split, (name, part) in zip(("train", "test"), (("anna", slice(0, 3)), ("ben", slice(3, 6)))):
        write_corpus(folder / split, f"wavs/{name}", NAMES[part])
        write(folder / split / "metadata.csv", rows_of("{n}|{t}")[part])


@pytest.mark.parametrize("layout", [by_folder, list_in_each_folder, one_list_of_folders, split_folders])
def test_folders_may_be_speakers_and_a_line_says_how(tmp_path, layout, capsys):
    folder = tmp_path / "in"
    layout(folder)
    for command in ("folder", "check"):
        run(command, folder, "--out", tmp_path / command)
        assert "the audio lies in 2 folders (anna, ben) and no speaker is named; if each folder is a speaker, add " \
            "--speakers_by_folder" in capsys.readouterr().out
    assert run("folder", folder, "--out", tmp_path / "out", "--speakers_by_folder") == 0
    printed = capsys.readouterr().out
    assert "data.n_speakers=2" in printed and "no speaker is named" not in printed
    scan = scan_corpus(folder, by_folder=True)
    assert {source.text: source.speaker for source in scan.sources} == dict(zip(TEXTS, ["anna"] * 3 + ["ben"] * 3))


def test_one_folder_is_no_speaker(tmp_path, capsys):
    write(write_corpus(tmp_path / "one") / "metadata.csv", rows_of("{n}|{t}"))
    assert run("folder", tmp_path / "one", "--out", tmp_path / "out", "--speakers_by_folder") == 2
    assert "does not lie in a folder for each speaker" in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".m4a", ".ape", ".wv", ".ra", ".dsf", ".tta", ".spx", ".aax", ".weba", ".avi"])
def test_audio_that_no_line_names_is_said_readable_or_not(tmp_path, ending, capsys):
    folder = tmp_path / "in"
    write(write_corpus(folder) / "metadata.csv", rows_of("{n}|{t}")[:5])
    (folder / "wavs" / f"r1{ending}").write_bytes(b"\0\1\2\3 whatever")
    for command in ("folder", "check"):
        assert run(command, folder, "--out", tmp_path / command) == 0
        printed = capsys.readouterr().out
        assert f"1 audio file that no line names, such as {folder}/wavs/a005.wav" in printed
        assert f"1 file has an ending that cannot be read ({ending}); convert: ffmpeg -i {folder}/wavs/r1{ending} " \
            f"{folder}/wavs/r1.wav" in printed


@pytest.mark.parametrize("ending", [".wave", ".mpga", ".snd"])
def test_endings_that_libsndfile_reads_are_audio(tmp_path, ending):
    write_corpus(tmp_path, "", NAMES[:1], ending)
    write(tmp_path / "a000.txt", "Ja.")
    assert texts_of(scan_corpus(tmp_path)) == ["Ja."]


@pytest.mark.parametrize("rows, names", [
    (["a000|Ja gern.", "a001|Nein.", "a000|Ja gern."], NAMES[:2]), (["a000.wav|Ja.", "a000.flac|Nein."], ["a000"]),
    (["a000|Ja.", "wavs/a000.wav|Ja.", "a001|Nein."], NAMES[:2])])
def test_what_prepare_refuses_is_an_error_that_the_cleaned_list_leaves_out(tmp_path, rows, names, capsys):
    write(write_corpus(tmp_path / "in", names=names) / "metadata.csv", rows)
    write_audio(tmp_path / "in" / "wavs" / "a000.flac", seed=7)
    assert run("folder", tmp_path / "in", "--out", tmp_path / "p") == 2
    assert run("check", tmp_path / "in", "--out", tmp_path / "o") == 1
    assert "error     same_name" in capsys.readouterr().out
    assert run("filelist", tmp_path / "o" / "cleaned.txt", "--out", tmp_path / "q") == 0
    assert run("check", tmp_path / "o" / "cleaned.txt", "--out", tmp_path / "r") == 0


def test_without_texts_the_cleaned_list_is_empty(tmp_path, capsys):
    write_corpus(tmp_path / "in", "")
    assert run("check", tmp_path / "in", "--out", tmp_path / "o") == 1
    assert "cleaned.txt: 0 of 6 lines" in capsys.readouterr().out and (tmp_path / "o" / "cleaned.txt").read_text() == ""


def test_absolute_paths_make_names_behind_the_folder_that_they_share(tmp_path):
    folders = ("one", "two", "two", "two/deep")
    for name, below in zip(NAMES, folders):
        write_corpus(tmp_path / "far" / below, "", [name])
    rows = [f"{tmp_path}/far/{below}/{name}.wav|{text}" for name, below, text in zip(NAMES, folders, TEXTS)]
    path = write(tmp_path / "elsewhere" / "list.txt", rows)
    assert [source.id for source in scan_corpus(path).sources] == ["one/a000", "two/a001", "two/a002", "two/deep/a003"]
    path = write(path, rows[1:3])
    assert [source.id for source in scan_corpus(path).sources] == ["a001", "a002"]
    assert run("filelist", path, "--out", tmp_path / "out") == 0
    assert (tmp_path / "out" / "wavs" / "a001.wav").is_file()
    rows = [f"C:\\data\\wavs\\{row}" for row in rows_of("{n}.wav|{t}")]
    write(write_corpus(tmp_path / "here") / "metadata.csv", rows)
    assert [source.id for source in scan_corpus(tmp_path / "here").sources] == NAMES


def test_the_decoder_of_a_damaged_mp3_says_nothing_without_a_name(tmp_path, capfd):
    write_corpus(tmp_path / "in", "", NAMES[:1], ".mp3")
    content = (tmp_path / "in" / "a000.mp3").read_bytes()
    (tmp_path / "in" / "a000.mp3").write_bytes(content[:len(content) // 2] + b"\0\xff" * 200)
    write(tmp_path / "in" / "a000.txt", "Ja.")
    for command in ("check", "folder"):
        run(command, tmp_path / "in", "--out", tmp_path / command)
    assert "Illegal" not in (printed := capfd.readouterr()).err and "Xing" not in printed.err
    assert f"{tmp_path}/in/a000.mp3" in printed.out


# --- hints


def test_a_list_of_the_folder_above_that_names_other_recordings_is_no_hint(tmp_path, capsys):
    write(write_corpus(tmp_path) / "metadata.csv", rows_of("{n}|{t}"))
    write_corpus(tmp_path / "other", "")
    write_corpus(tmp_path / "more", "", ["b1"])
    for name in ("other", "more"):
        assert run("check", tmp_path / name, "--out", tmp_path / "o") == 1
        assert "give that folder" not in capsys.readouterr().out
    assert run("check", tmp_path / "wavs", "--out", tmp_path / "o") == 1
    assert f"there is a metadata.csv in {tmp_path}, give that folder" in capsys.readouterr().out


@pytest.mark.parametrize("layout, given", [(festival, "wav"), (apart, "wav"), (apart, "txt"), (kaldi, "wavs"),
                                           (apart_by_speaker, "wav16"), (vctk_second_microphone, "txt")])
def test_a_part_of_a_corpus_leads_to_the_whole(tmp_path, layout, given, capsys):
    layout(tmp_path / "all")
    assert run("check", tmp_path / "all" / given, "--out", tmp_path / "o") == (2 if given == "txt" else 1)
    printed = "".join(capsys.readouterr())
    assert "there is a corpus of the layout" in printed and f"in {tmp_path}/all, give that folder" in printed


@pytest.mark.parametrize("layout", [festival, kaldi, apart])
def test_a_corpus_beside_a_folder_of_other_recordings_is_no_hint(tmp_path, layout, capsys):
    layout(tmp_path / "all")
    write_corpus(tmp_path / "all" / "other", "")
    assert run("check", tmp_path / "all" / "other", "--out", tmp_path / "o") == 1
    assert "give that folder" not in capsys.readouterr().out


def test_the_texts_of_festival_find_the_audio_beside_their_folder(tmp_path):
    festival(tmp_path)
    assert texts_of(scan_corpus(tmp_path / "etc")) == list(TEXTS)


@pytest.mark.parametrize("ending", [".docx", ".xlsx", ".ods"])
def test_a_list_of_an_office_program_is_named(tmp_path, ending, capsys):
    write_corpus(tmp_path / "in", "")
    write(tmp_path / "in" / f"texte{ending}", "PK")
    assert run("folder", tmp_path / "in", "--out", tmp_path / "o") == 2
    assert f"texte{ending} cannot be read; if it holds the texts, save it as metadata.csv" in capsys.readouterr().err


# --- separators inside texts


@pytest.mark.parametrize("rows", [
    [f"{name},{text} Ja, nein, gut." for name, text in zip(NAMES, TEXTS)],
    [f"{name};{text}; {other}" for name, text, other in zip(NAMES, TEXTS, TEXTS[1:] + TEXTS[:1])],
    [f"{name};{text}; Alles gut." for name, text in zip(NAMES, TEXTS)],
    [f"{name}|{text}{' | ja' if row < 4 else ''}" for row, (name, text) in enumerate(zip(NAMES, TEXTS))],
    [f"{name}|{text}{' | gut' if row < 4 else ''}" for row, (name, text) in enumerate(zip(NAMES, TEXTS))]])
def test_a_separator_inside_texts_is_named_and_no_text_is_dropped(tmp_path, rows, capsys):
    write(write_corpus(tmp_path / "in") / "metadata.csv", rows)
    assert run("folder", tmp_path / "in", "--out", tmp_path / "out") == 2
    message = capsys.readouterr().err
    assert "inside a text counts as a separator" in message and "--columns" not in message
    assert ("double quotes" in message) == (rows[0][4] in ",;")


@pytest.mark.parametrize("texts", [["eins", "zwei"] * 3, [f"wort{row}" for row in range(6)], TEXTS])
def test_of_equal_columns_either_is_the_text(tmp_path, texts):
    rows = [f"{name}|{text}|{text}" for name, text in zip(NAMES, texts)]
    assert texts_of(scan_corpus(write(write_corpus(tmp_path) / "metadata.csv", rows).parent)) == list(texts)


# --- transcripts with times

TIMES = [(2.0 * row, 2.0 * row + 1.5) for row in range(6)]


def clock(seconds, mark):
    return f"{int(seconds) // 3600:02d}:{int(seconds) // 60 % 60:02d}:{seconds % 60:06.3f}".replace(".", mark)


def text_grid(texts, times):
    rows = [f'        intervals [{row}]:\n        xmin = {start}\n        xmax = {end}\n        text = "{text}"\n'
            for row, (text, (start, end)) in enumerate(zip(texts, times), start=1)]
    return (f'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 12\ntiers? <exists>\nsize = 1\n'
            f'item []:\n    item [1]:\n        class = "IntervalTier"\n        name = "sentences"\n        xmin = 0\n'
            f'        xmax = 12\n        intervals: size = {len(rows)}\n{"".join(rows)}')


STAMPED = {
    ".txt": lambda rows: "".join(f"{start:.6f}\t{end:.6f}\t{text}\n" for text, start, end in rows),
    "_spectral.txt": lambda rows: "".join(f"{start:.6f}\t{end:.6f}\t{text}\n\\\t100.0\t900.0\n"
                                          for text, start, end in rows),
    "_printed.txt": lambda rows: "".join(f"[{clock(start, '.')} --> {clock(end, '.')}]  {text}\n"
                                         for text, start, end in rows),
    "_named.txt": lambda rows: STAMPED[".srt"](rows),
    ".srt": lambda rows: "".join(f"{row}\n{clock(start, ',')} --> {clock(end, ',')}\n{text}\n\n"
                                 for row, (text, start, end) in enumerate(rows, start=1)),
    ".vtt": lambda rows: "WEBVTT\n\n" + "".join(
        f"{clock(start, '.')} --> {clock(end, '.')} align:start\n<v A>{text}</v>\n\n" for text, start, end in rows),
    ".json": lambda rows: json.dumps({"text": "all", "segments": [
        {"id": row, "start": start, "end": end, "text": f" {text}"} for row, (text, start, end) in enumerate(rows)]}),
    "_cpp.json": lambda rows: json.dumps({"transcription": [
        {"offsets": {"from": 1000 * start, "to": 1000 * end}, "text": text} for text, start, end in rows]}),
    ".TextGrid": lambda rows: text_grid([row[0] for row in rows], [row[1:] for row in rows]),
    ".tsv": lambda rows: "start\tend\ttext\n" + "".join(f"{1000 * start:.0f}\t{1000 * end:.0f}\t{text}\n"
                                                        for text, start, end in rows),
    ".csv": lambda rows: "start,end,text\n" + "".join(f'{1000 * start:.0f},{1000 * end:.0f},"{text}"\n'
                                                      for text, start, end in rows),
    ".eaf": lambda rows: "<A><TIME_ORDER>" + "".join(
        f'<TIME_SLOT TIME_SLOT_ID="{row}{end}" TIME_VALUE="{1000 * value:.0f}"/>'
        for row, (_, *times) in enumerate(rows) for end, value in zip("se", times)) + "</TIME_ORDER><TIER>"
        + "".join(f'<ALIGNABLE_ANNOTATION TIME_SLOT_REF1="{row}s" TIME_SLOT_REF2="{row}e"><ANNOTATION_VALUE>{text}'
                  "</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>" for row, (text, *_) in enumerate(rows)) + "</TIER></A>",
}
PARTS = st.lists(st.tuples(st.floats(0.3, 5), st.floats(0, 2)), min_size=1, max_size=8)  # speech, pause


def stamped(folder, kind, texts=TEXTS, times=TIMES, seconds=12):
    write_corpus(folder, "", ["chapter01"])
    write_audio(folder / "chapter01.wav", seconds)
    return write(folder / f"chapter01.{kind.rpartition('.')[2]}", STAMPED[kind]([(text, *time) for text, time
                                                                              in zip(texts, times)]))


@pytest.mark.parametrize("kind", STAMPED)
def test_a_long_recording_is_cut_at_the_times_of_its_transcript(tmp_path, kind):
    stamped(tmp_path / "in", kind)
    scan = scan_corpus(tmp_path / "in")
    assert [source.text for source in scan.sources] == list(TEXTS) and scan.bad_rows == []
    np.testing.assert_allclose([source.span for source in scan.sources], TIMES, atol=1e-6)
    assert run("folder", tmp_path / "in", "--out", tmp_path / "out", "--no-trim", "--rate", RATE) == 0
    rows = [row.split("|") for name in ("train.txt", "val.txt")
            for row in (tmp_path / "out" / name).read_text().splitlines()]
    assert sorted(row[1] for row in rows) == sorted(TEXTS)
    assert {Path(row[0]).stem for row in rows} == {f"chapter01_{row:04d}" for row in range(1, 7)}
    assert {wav_info(row[0]) for row in rows} == {(1.5 * RATE, RATE)}
    assert run("check", tmp_path / "in", "--out", tmp_path / "o") == 0


def test_starts_alone_last_until_the_next(tmp_path):
    write_corpus(tmp_path, "", ["a"])
    write_audio(tmp_path / "a.wav", 6)
    write(tmp_path / "a.txt", ["[00:00] Ich danke ihm.", "[00:02] Und du?", "[00:03.5] Nein."])
    assert [(source.text, source.span) for source in scan_corpus(tmp_path).sources] == [
        ("Ich danke ihm.", (0, 2)), ("Und du?", (2, 3.5)), ("Nein.", (3.5, 6))]
    write(tmp_path / "a.txt", ["0.0\t2.0\tIch danke ihm.", "2.0\t3.0\tUnd du?", "Nein."])
    with pytest.raises(FilelistError, match="a.txt:3: found a line without times, expected times"):
        scan_corpus(tmp_path)


def test_a_transcript_with_times_of_another_name_is_named(tmp_path, capsys):
    stamped(tmp_path, ".srt").rename(tmp_path / "other.de.srt")
    assert run("check", tmp_path, "--out", tmp_path / "o") == 1
    assert ("other.de.srt is a time-stamped transcript; name it as its recording, NAME.srt beside NAME.wav"
            in capsys.readouterr().out)


@given(PARTS, st.sampled_from(sorted(STAMPED)))
def test_every_kind_of_transcript_gives_the_same_times(tmp_path_factory, parts, kind):
    ends = np.cumsum([length + pause for length, pause in parts]).round(3)
    times = [(float(round(end - length, 3)), float(end)) for end, (length, _) in zip(ends, parts)]
    path = write(tmp_path_factory.mktemp("cues") / f"a.{kind.rpartition('.')[2]}",
                 STAMPED[kind]([(TEXTS[row % 6], *time) for row, time in enumerate(times)]))
    cues, faults = fit_cues(read_cues(path), float(ends[-1]))
    assert not faults and [cue.text for cue in cues] == [TEXTS[row % 6] for row in range(len(times))]
    np.testing.assert_allclose([(cue.start, cue.end) for cue in cues], times, atol=2e-3)


@pytest.mark.parametrize("times, message", [
    ([(0.1 * row, 0.1 * row + 0.1) for row in range(6)], "labels of 0.100 seconds, too short for utterances"),
    ([*TIMES[:5], (10.0, 10.0)], "a label from 10.000 to 10.000 seconds"),
    ([(row, row + 5.0) for row in range(6)], "from 1.000 seconds on, where the one before it lasts until 5.000"),
    ([(row * 1e9 + 0.5, row * 1e9 + 0.9) for row in range(6)], "for a recording of 12.00 seconds")])
def test_times_that_cut_no_utterances_are_refused_by_name(tmp_path, times, message, capsys):
    stamped(tmp_path, ".txt", times=times)
    assert run("folder", tmp_path, "--out", tmp_path / "out") == 2
    printed = capsys.readouterr().err
    assert message in printed and "chapter01.txt:" in printed


MINUTES = [f"0:{2 * row:02d}" for row in range(6)]
STARTS = {  # what a transcript with starts alone, one every two seconds, looks like
    "above": "".join(f"{time}\n{text}\n" for time, text in zip(MINUTES, TEXTS)),
    "above, wrapped": "".join(f"{time}\n{text[:5]}\n{text[5:]}\n\n" for time, text in zip(MINUTES, TEXTS)),
    "lyrics": "[ar:who]\n" + "".join(f"[00:{2 * row:02d}.00]{text}\n" for row, text in enumerate(TEXTS)),
    "round": "".join(f"({time}) {text}\n" for time, text in zip(MINUTES, TEXTS)),
    "bare": "".join(f"{time} {text}\n" for time, text in zip(MINUTES, TEXTS)),
    "dashes": "".join(f"{time} - {text}\n" for time, text in zip(MINUTES, TEXTS)),
    "behind": "".join(f"{text} [{time}]\n" for time, text in zip(MINUTES, TEXTS)),
    "names": "".join(f"{name}  {time}\n{text}\n\n" for name, time, text in zip(SPEAKERS, MINUTES, TEXTS)),
    "names behind": "".join(f"{time} {name}\n{text}\n\n" for name, time, text in zip(SPEAKERS, MINUTES, TEXTS)),
    "names in the text": "".join(f"[{time}] {name}: {text}\n" for name, time, text in zip(SPEAKERS, MINUTES, TEXTS)),
    "decimals": "".join(f"{2 * row}.00 {text}\n" for row, text in enumerate(TEXTS)),
    "seconds": "".join(f"[{2 * row}s] {text}\n" for row, text in enumerate(TEXTS)),
    "spelled": "".join(f"0h00m{2 * row:02d}s {text}\n" for row, text in enumerate(TEXTS)),
}


@pytest.mark.parametrize("kind", STARTS)
@pytest.mark.parametrize("ending", [".txt", ".lrc", ".TXT"])
def test_clock_times_before_behind_or_above_a_text_cut_it(tmp_path, kind, ending):
    write_audio(tmp_path / "a.wav", 12)
    write(tmp_path / f"a{ending}", STARTS[kind])
    scan = scan_corpus(tmp_path)
    assert [" ".join(text.split()) for text in texts_of(scan)] == [
        f"{text[:5].strip()} {text[5:].strip()}" if "wrapped" in kind else text for text in TEXTS]
    assert [source.span for source in scan.sources] == [(2.0 * row, 2.0 * row + 2) for row in range(6)]
    assert speakers_of(scan) == (list(SPEAKERS) if "names" in kind else [None] * 6)


@pytest.mark.parametrize("line", ["0 46797 Ich danke ihm.", "0 23398 Ich danke ihm.", "0 2925 Ich danke ihm."])
def test_one_line_with_the_samples_or_milliseconds_of_the_whole_recording_is_its_text(tmp_path, line):
    write_audio(tmp_path / "a.wav", 46797 / 16000 if "46797" not in line else 46797 / RATE)
    write(tmp_path / "a.txt", line)
    assert [(source.text, source.span, source.id) for source in scan_corpus(tmp_path).sources] == [
        ("Ich danke ihm.", None, "a")]


@pytest.mark.parametrize("lines", [
    ("1914 1918 Der Krieg begann.", "1939 1945 Der Krieg kam."), ("0 5 people came",), ("10:30 is too late.",),
    ("10:30 is too late.", "We waited.", "11:00 was better."), ("12:00 noon", "11:00 before it"),
    ("3 4 each", "5 6 more")])
def test_numbers_and_times_that_do_not_fit_the_recording_are_text(tmp_path, lines):
    write_audio(tmp_path / "a.wav", 2)
    write(tmp_path / "a.txt", lines)
    assert texts_of(scan_corpus(tmp_path)) == [" ".join(lines)]


@pytest.mark.parametrize("text, is_found", [
    ("0:00 Ich danke ihm.", True), ("Ich danke ihm. [0:04]", True), ("Ja (00:01:02) nein [0:04] gut 0:06 ja", True),
    ("00:00:01:12 Ich danke ihm.", True), ("Der Zug kam um 10:30 Uhr an.", False),
    ("Ein Vortrag. 0:00 Ja, 0:04 nein.", True), ("Um (10:30) war es.", True),
    ("Es steht 3:2, 1:1 und 2:0.", False), ("Von 10:00 bis 11:00 Uhr.", False)])
def test_texts_with_clock_times_are_a_finding_and_a_warning(tmp_path, text, is_found, capsys):
    write(write_corpus(tmp_path / "in") / "metadata.csv", [*rows_of("{n}|{t}")[:5], f"a005|{text}"])
    assert run("check", tmp_path / "in", "--out", tmp_path / "o") == 0
    assert ("warning   clock_times" in capsys.readouterr().out) == is_found
    assert run("folder", tmp_path / "in", "--out", tmp_path / "p") == 0
    assert ("the text has clock times" in capsys.readouterr().out) == is_found


LABELS = [(text, *time) for text, time in zip(TEXTS, TIMES)]
OTHERS = {  # transcripts that other programs write: ending, content
    "aeneas": (".json", json.dumps({"fragments": [{"begin": f"{start:.3f}", "end": f"{end:.3f}", "lines": [text]}
                                                  for text, start, end in LABELS]})),
    "a list": (".json", json.dumps([{"begin": start, "end": end, "lines": [text]} for text, start, end in LABELS])),
    "amazon": (".json", json.dumps({"jobName": "x", "results": {"transcripts": [{"transcript": "all"}], "items": [
        {"start_time": f"{start + 0.1 * word}", "end_time": f"{start + 0.1 * word + 0.1}", "type": "pronunciation",
         "alternatives": [{"content": "x"}]} for _, start, _ in LABELS for word in range(5)], "audio_segments": [
            {"id": 0, "transcript": text, "start_time": f"{start}", "end_time": f"{end}"}
            for text, start, end in LABELS]}})),
    "amazon's words": (".json", json.dumps({"results": {"items": [item for text, start, end in LABELS for item in [
        *({"start_time": f"{start + place * (end - start) / len(words)}", "end_time":
           f"{start + (place + 1) * (end - start) / len(words)}", "alternatives": [{"content": word}]}
          for words in [text[:-1].split()] for place, word in enumerate(words)),
        {"type": "punctuation", "alternatives": [{"content": text[-1]}]}]]}})),
    "sbv": (".sbv", "".join(f"0:00:{start:06.3f},0:00:{end:06.3f}\n{text}\n\n" for text, start, end in LABELS)),
    "ass": (".ass", "[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Text\n" + "".join(
        f"Dialogue: 0,0:00:{start:05.2f},0:00:{end:05.2f},Default,,0,0,0,,{{\\an8}}{text}\n"
        for text, start, end in LABELS)),
    "stm": (".stm", ";; comment\n" + "".join(f"a 1 anna {start:.2f} {end:.2f} <o,f0,female> {text}\n"
                                             for text, start, end in LABELS)),
    "german": (".csv", "Anfang;Ende;Text\n" + "".join(f"{start:.1f};{end:.1f};{text}\n".replace(".", ",", 2)
                                                      for text, start, end in LABELS)),
    "durations": (".tsv", "start\tduration\tspeaker\ttext\n" + "".join(
        f"{start:.2f}\t{end - start:.2f}\tanna\t{text}\n" for text, start, end in LABELS)),
    "no header": (".tsv", "".join(f"{start:.2f}\t{end:.2f}\tanna\t{text}\n" for text, start, end in LABELS)),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_the_transcripts_of_other_programs_are_cut_too(tmp_path, kind):
    ending, content = OTHERS[kind]
    write_audio(tmp_path / "a.wav", 12)
    write(tmp_path / f"a{ending}", content)
    scan = scan_corpus(tmp_path)
    assert texts_of(scan) == list(TEXTS)
    np.testing.assert_allclose([source.span for source in scan.sources], TIMES, atol=1e-6)
    assert speakers_of(scan) == ["anna" if content.count("anna") else None] * 6


@pytest.mark.parametrize("ending, advice", [
    (".ctm", "convert it to SRT"), (".docx", "save its text as a.txt"), (".ttml", "convert it to SRT"),
    (".json", "convert it to SRT")])
def test_files_beside_audio_that_hold_no_text_that_is_read_are_named(tmp_path, ending, advice, capsys):
    write_corpus(tmp_path / "in", "", ["a", "b"])
    write(tmp_path / "in" / f"a{ending}", '{"what": 1}')
    assert run("check", tmp_path / "in", "--out", tmp_path / "o") == 1
    printed = capsys.readouterr().out
    assert f"a{ending} lies beside a.wav" in printed and advice in printed
    write(tmp_path / "in" / "b.txt", "Ja.")
    assert run("folder", tmp_path / "in", "--out", tmp_path / "p") == 0
    printed = capsys.readouterr().out
    assert f"a{ending} lies beside a.wav" in printed and "left out 1 utterance:" in printed


def test_a_text_with_numbers_is_no_transcript_with_times_and_damage_is_named(tmp_path):
    for text in ("12 30 people came", "10:30 is too late.", "10.30 - 11.00 Uhr Pause", "10-12 people", "3.5 4.5 each"):
        assert read_cues(write(tmp_path / "a.txt", text + "\n")) is None
    assert read_cues(write(tmp_path / "a.txt", "1 first\n2 second\n")) is None
    assert read_cues(write(tmp_path / "a.json", '{"text": "Hello."}')) is None
    for name, content in (("a.json", "{"), ("a.TextGrid", '"IntervalTier" "x" 0 1 nan'), ("a.eaf", "<a>")):
        with pytest.raises(FilelistError, match=name):
            read_cues(write(tmp_path / name, content))


SIGNS = ["", *'"|;,0[]{}:é\\\t\n\0', "-->", "99999999999999999999", "nan"]
DAMAGE = st.lists(st.tuples(st.integers(0, 400), st.sampled_from(SIGNS), st.integers(0, 9)), max_size=6)


def damaged(content, damage):
    for place, what, gone in damage:
        content = content[:place] + what + content[place + gone:]
    return content


@given(DAMAGE, st.sampled_from(sorted(STAMPED)))
def test_a_damaged_transcript_is_read_or_refused_with_its_name(tmp_path_factory, damage, kind):
    content = STAMPED[kind]([(text, *time) for text, time in zip(TEXTS, TIMES)])
    path = write(tmp_path_factory.mktemp("cues") / f"a.{kind.rpartition('.')[2]}", damaged(content, damage))
    try:
        cues = read_cues(path)
    except FilelistError as error:
        assert str(path) in str(error)
        return
    for cue in fit_cues(cues, 12.0)[0] if cues else ():
        assert 0 <= cue.start < cue.end <= 12 and cue.text


@given(DAMAGE, st.sampled_from(sorted(SHAPES)), st.sampled_from("|\t;,"), st.sampled_from([".csv", ".jsonl"]))
def test_a_damaged_list_is_read_or_refused_with_its_name(tmp_path_factory, damage, shape, separator, ending):
    rows = [row.replace("|", separator) for row in rows_of(shape)]
    if ending == ".jsonl":
        rows = [json.dumps({"file_name": name, "text": text}) for name, text in zip(NAMES, TEXTS)]
    path = write(tmp_path_factory.mktemp("list") / f"a{ending}", damaged("\n".join(rows) + "\n", damage))
    try:
        sources, bad_rows, _ = read_listed(path, path.parent, (), is_whole=False)
    except FilelistError as error:
        assert str(path) in str(error)
        return
    assert all(source.place.startswith(f"{path}:") for source in (*sources, *bad_rows))


def test_a_plain_text_stays_where_a_transcript_with_times_is_of_words(tmp_path):
    write_corpus(tmp_path, "", NAMES[:1])
    write(tmp_path / "a000.txt", "Ich danke ihm.")
    grid = text_grid(("Ich", "danke", "ihm"), ((0, 0.1), (0.1, 0.2), (0.2, 0.4))).replace("sentences", "words")
    write(tmp_path / "a000.TextGrid", grid)
    [source] = scan_corpus(tmp_path).sources
    assert source.text == "Ich danke ihm." and source.span is None


# --- what cannot be read


@pytest.mark.parametrize("ending", [".m4a", ".webm", ".aac", ".wma", ".mp4", ".amr"])
def test_endings_that_cannot_be_read_are_named_with_the_command_that_helps(tmp_path, ending, capsys):
    folder, out = write_corpus(tmp_path / "in", "", NAMES[:2]), tmp_path / "out"
    for name, text in zip((*NAMES[:2], "r1"), TEXTS):
        write(folder / f"{name}.txt", text)
    (folder / f"r1{ending}").write_bytes(b"\0\0\0\x1cftypM4A whatever")
    message = f"has an ending that cannot be read ({ending}); convert: ffmpeg -i {folder}/r1{ending} {folder}/r1.wav"
    assert run("folder", folder, "--out", out) == 0
    assert message in capsys.readouterr().out
    assert run("check", folder, "--out", tmp_path / "o") == 1
    assert f"unreadable                1  {folder}/r1{ending}: {message}" in capsys.readouterr().out
    write_audio(folder / "r1.wav")  # as that command would
    assert run("folder", folder, "--out", out) == 0 and "left out" not in capsys.readouterr().out


def test_one_utterance_validates_on_itself_and_no_list_is_named_that_is_not_there(tmp_path, capsys):
    write(write_corpus(tmp_path / "in", names=NAMES[:1]) / "metadata.csv", rows_of("{n}|{t}")[:1])
    assert run("folder", tmp_path / "in", "--out", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert f"data.validation_files={tmp_path}/out/train.txt" in printed and "no utterance is held out" in printed
    assert not (tmp_path / "out" / "val.txt").exists()
