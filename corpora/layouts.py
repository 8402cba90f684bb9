"""The layouts that corpora come in: how each is recognised, and how its utterances are read, with their speakers.

    scan = scan_corpus(Path("anything"))                # whatever it is, with its bad lines beside the good ones
    sources = read_any(Path("LibriTTS/dev-clean"))      # all of them good, or an error that names every bad line
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import utils
from corpora.audio_files import AudioFiles, audio_in
from corpora.cues import ENDINGS as CUE_ENDINGS
from corpora.cues import fitted, read_cues
from corpora.sources import ENDINGS, BadRow, Scan, Source, or_all_faults, utterance_id
from corpora.tables import Table, is_number, read_json_rows, read_table, roles_of, value_of
from corpus import FilelistError, numbered_rows
from utils import AudioError

_TRANSCRIPTS = (".txt", ".lab")  # beside the audio
_LIST_ENDINGS = (".csv", ".tsv", ".txt", ".list", ".lst", ".psv", ".json", ".jsonl")
_USUAL_LISTS = ("metadata.csv", "metadata.txt", "metadata.tsv", "metadata.jsonl", "validated.tsv")
_MOST_LISTS = 200  # text files of a folder that are looked into
_LOOKED_AT = 30  # lines of each
_DEEPEST = 4  # folders below one that are searched for lists
_SPLITS = frozenset("train training test testing val valid validation dev eval data".split())

_OF_LISTS = ("filelist", "ljspeech", "table")  # layouts that have columns

Found = tuple[list[Source], list[BadRow]]


class Layout(NamedTuple):
    """A way to lay out a corpus."""

    name: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], Found]


def scan_corpus(path: Path, columns: Sequence[str] = ()) -> Scan:
    """Recognise a list or the layout of a folder, and read it.

    Args:
        path: a filelist, table or manifest, or a folder.
        columns: what the columns of its list are; none if that is to be found out.

    Raises:
        FilelistError: nothing decides what the columns of a list are, or a file is damaged.
        FileNotFoundError: there is nothing, or no line and no audio in it.
        ValueError: columns are named for what has none.
    """
    if path.is_file():
        layout, found = "filelist", scan_list(path, columns)
    else:
        layout, read = _recognised(path)
        if columns and layout not in _OF_LISTS:
            raise ValueError(f"--columns: {path} has no list of utterances in columns; name the list, or leave it out")
        found = read(path, columns) if layout in _OF_LISTS else read(path)
    sources, bad_rows = found
    if not sources and not bad_rows:
        raise FileNotFoundError(f"{path} holds no corpus; expected a filelist, a folder with metadata.csv and wavs/, "
                                "one with txt/ and wav48/, or one with audio files")
    has_texts = layout in _OF_LISTS or bool(bad_rows) or any(source.text for source in sources)
    return Scan(layout, sources, bad_rows, has_texts, "" if has_texts else _hint(path))


def _recognised(folder: Path) -> tuple[str, Callable[..., Found]]:
    """The name of a folder's layout, and its reader; those of lists take the roles of columns too."""
    known = next((layout for layout in LAYOUTS if layout.recognises(folder)), None)
    listed = None if known else _list_in(folder)
    if listed is not None:
        return ("ljspeech" if listed.name == "metadata.csv" else "table",
                lambda _, columns: _read_listed(listed, folder, columns))
    known = known or next((layout for layout in DEEP_LAYOUTS if layout.recognises(folder)), None)
    return (known.name, known.read) if known else ("audio", read_folder)


def read_any(folder: Path, columns: Sequence[str] = ()) -> list[Source]:
    """A folder of whichever layout, or a list; of audio alone, NAME.txt beside NAME.wav is its text.

    Raises:
        FilelistError: its list has bad lines.
        FileNotFoundError: it holds no corpus.
        ValueError: it has no texts.
    """
    return or_all_faults(scan_corpus(folder, columns))


def read_ljspeech(folder: Path, columns: Sequence[str] = ()) -> list[Source]:
    """metadata.csv, or another list, with an audio file and a text on each line."""
    metadata = folder / "metadata.csv"
    return or_all_faults(Scan("ljspeech", *_read_listed(_list_in(folder) or metadata, folder, columns), True))


def read_list(filelist: Path, columns: Sequence[str] = ()) -> list[Source]:
    """A filelist of path|text or path|speaker|text, or another table or manifest; all of its lines say which."""
    return or_all_faults(Scan("filelist", *scan_list(filelist, columns), True))


def scan_list(filelist: Path, columns: Sequence[str] = ()) -> Found:
    """As `read_list`, with the bad lines beside the good ones; a line without text is a good one here."""
    return _read_listed(filelist, filelist.parent, columns, is_whole=filelist.name in _USUAL_LISTS)


def read_vctk(folder: Path) -> list[Source]:
    """txt/SPEAKER/ID.txt with wav48/SPEAKER/ID.wav or wav48_silence_trimmed/SPEAKER/ID_mic1.flac, else _mic2."""
    audio_folders = (folder / "wav48_silence_trimmed", folder / "wav48")
    audio_folder = next((place for place in audio_folders if place.is_dir()), None)
    if audio_folder is None or not (folder / "txt").is_dir():
        raise FileNotFoundError(f"{folder} holds no VCTK corpus; expected the folders txt and wav48 or "
                                "wav48_silence_trimmed")
    chosen: dict[tuple[str, str], Path] = {}
    for audio in audio_in(audio_folder):  # sorted: mic1 comes first
        chosen.setdefault((audio.parent.name, re.sub("_mic[12]$", "", audio.stem)), audio)
    return [Source(f"{speaker}/{name}", str(audio), speaker, _text_of(folder / "txt" / speaker / f"{name}.txt"),
                   str(audio))  # one speaker of VCTK has no texts
            for (speaker, name), audio in chosen.items()]


def read_folder(folder: Path) -> Found:
    """All audio in a folder and the folders in it, with the transcript beside each: NAME.txt, NAME.lab, or times."""
    sources, bad_rows = [], []
    names_in = cache(lambda place: frozenset(os.listdir(place)))
    for audio in audio_in(folder):
        name = utterance_id(str(audio.relative_to(folder).with_suffix("")))
        beside = [audio.with_name(stem + ending) for stem in (audio.stem, audio.name) for ending in CUE_ENDINGS
                  if stem + ending in names_in(audio.parent)]
        text = next((_text_of(file) for file in beside
                     if file.name[len(audio.stem):] in _TRANSCRIPTS and read_cues(file) is None), "")
        parts, faults = _parts_of(audio, beside, name)
        if len(parts) > bool(text) or faults and not text:  # one stretch of what has a text too is the same text
            sources += parts
            bad_rows += faults
        else:
            sources.append(Source(name, str(audio), None, text, str(audio)))
    return sources, bad_rows


def _parts_of(audio: Path, beside: Sequence[Path], name: str) -> Found:
    """The stretches of a recording that a transcript with times beside it names, each an utterance."""
    for file in beside:
        cues = read_cues(file)
        if not cues:
            continue
        try:
            with utils.opened(audio) as opened:
                seconds = opened.frames / opened.samplerate
        except AudioError:
            return [], []  # an error of the audio, which is reported when it is read
        cues, faults = fitted(cues, seconds)
        return ([Source(f"{name}_{number:04d}", str(audio), None, cue.text, cue.place, (cue.start, cue.end))
                 for number, cue in enumerate(cues, start=1)],
                [BadRow(place, what, "the start, the end and the text of utterances one after another")
                 for place, what in faults])
    return [], []


# --- lists


def _read_listed(path: Path, folder: Path, columns: Sequence[str], is_whole: bool = True) -> Found:
    """The utterances that a table or manifest names, whose audio lies in a folder."""
    files = AudioFiles(folder, is_whole)
    if path.suffix.lower() in (".json", ".jsonl"):
        if columns:
            raise ValueError(f"--columns: {path} has no columns; leave it out")
        return _of_objects(read_json_rows(path), files)
    return _of_table(read_table(path), files, columns)


def _of_table(table: Table, files: AudioFiles, columns: Sequence[str]) -> Found:
    roles = roles_of(table, files.has, columns)
    order = "|".join("audio" if role == "id" else role for role in roles)
    needed = 1 + max([roles.index(role) for role in ("id", "text", "speaker", "start", "end") if role in roles])
    advice = "the columns are separated by tabs" if table.separator == "\t" else \
        f"a {table.separator!r} inside a text counts as a separator"
    advice += ", but not in double quotes" if table.separator in ",;" else ""
    expected = f"{table.width} ({order}); {advice}" if table.width > 1 else \
        "audio|text; the columns are separated by |, tabs, commas or semicolons"
    sources, bad_rows = [], []
    for place, row in table.rows:
        cells = dict(zip(roles, row))
        empty = [role for role in ("id", "speaker") if role in roles and not cells.get(role)]
        if len(row) > table.width or len(row) < min(needed, table.width) or empty or table.width < 2:
            named = f", the {' and the '.join(empty)} empty" if empty and len(row) == table.width else ""
            bad_rows.append(BadRow(place, f"{len(row)} columns{named}", expected))
            continue
        text, times = cells.get("normalised") or cells.get("text", ""), (cells.get("start"), cells.get("end"))
        sources += _source(cells["id"], cells.get("speaker"), text, times, place, files, bad_rows)
    return sources, bad_rows


def _of_objects(rows: Iterable[tuple[str, dict]], files: AudioFiles) -> Found:
    """A manifest: NeMo's, Hugging Face's, or any other with an audio file and a text in each object."""
    sources, bad_rows = [], []
    for place, row in rows:
        name, text = value_of(row, "id"), value_of(row, "normalised") or value_of(row, "text")
        if not name:
            bad_rows.append(BadRow(place, f"the keys {', '.join(row)}", "audio_filepath or file_name, and text"))
            continue
        start, end, length = (value_of(row, role) for role in ("start", "end", "seconds"))
        sources += _source(name, value_of(row, "speaker") or None, text, (start, end or length and f"+{length}"), place,
                           files, bad_rows)
    return sources, bad_rows


def _source(name: str, speaker: str | None, text: str, times: tuple[str | None, str | None], place: str,
            files: AudioFiles, bad_rows: list[BadRow]) -> list[Source]:
    """The utterance of a line, or nothing where its times are none, which goes to `bad_rows`; "+2.5" is a length."""
    audio = files.find(name)
    utterance = utterance_id(files.relative(name, audio))
    if not all(times):
        return [Source(utterance, audio, speaker, text, place)]
    try:
        start, end = (float(time.replace(",", ".")) for time in times)
        end += start if times[1].startswith("+") else 0
        if not 0 <= start < end:
            raise ValueError
    except ValueError:
        bad_rows.append(BadRow(place, f"times {times[0]} to {times[1]}", "a start and a later end in seconds"))
        return []
    return [Source(f"{utterance}_{round(1000 * start):07d}", audio, speaker, text, place, (start, end))]


def _lists_in(folder: Path) -> list[Path]:
    """The text files of a folder that name its audio."""
    if not folder.is_dir():
        return []
    entries = sorted(folder.iterdir())
    audio = {path.stem for path in entries if path.suffix.lower() in ENDINGS}
    files = AudioFiles(folder)
    texts = [path for path in entries if path.suffix.lower() in _LIST_ENDINGS and path.is_file()
             and path.stem not in audio and Path(path.stem).stem not in audio]
    return [path for path in texts[:_MOST_LISTS] if _names_audio(path, files)]


def _names_audio(path: Path, files: AudioFiles) -> bool:
    """Whether the first lines of a file are of a list whose audio is there, with a text for each."""
    try:
        if path.suffix.lower() in (".json", ".jsonl"):
            row = next(iter(read_json_rows(path)), ("", {}))[1]
            return bool(value_of(row, "id")) and bool(value_of(row, "text") or value_of(row, "normalised"))
        table = read_table(path, most_rows=_LOOKED_AT)
    except FilelistError:
        return False
    counts = [sum(map(files.has, column)) for column in zip(*table.full)]
    return table.width > 1 and 2 * max(counts, default=0) >= len(table.full) > 0


def _list_in(folder: Path) -> Path | None:
    """The list of a folder's utterances, if there is just one, or one of a usual name."""
    usual = next((folder / name for name in _USUAL_LISTS if (folder / name).is_file()), None)
    if usual is not None:
        return usual
    lists = [path for path in _lists_in(folder) if not _undecided(path)]
    return lists[0] if len(lists) == 1 else None


def _undecided(path: Path) -> str:
    """Why the roles of a list's columns cannot be determined; empty if they can."""
    if path.suffix.lower() not in (".json", ".jsonl"):
        try:
            roles_of(read_table(path, most_rows=_MOST_LISTS), AudioFiles(path.parent).has)
        except FilelistError as error:
            return str(error)
    return ""


# --- layouts


def _below(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.rglob(pattern) if path.is_file())


def _read_kaldi(folder: Path) -> Found:
    """wav.scp and text, perhaps utt2spk and segments; paths start at the folder or one above it, or where one runs."""
    tables = {name: {key: (value.strip(), place) for place, row in numbered_rows(folder / name)
                     for key, _, value in [row.replace("\t", " ").partition(" ")]}
              for name in ("wav.scp", "text", "utt2spk", "segments") if (folder / name).is_file()}
    sources, bad_rows = [], []
    for utterance, (text, place) in tables["text"].items():
        recording, *times = tables.get("segments", {}).get(utterance, (utterance, ""))[0].split() or [""]
        wav, _ = tables["wav.scp"].get(recording, ("", ""))
        if not wav or wav.endswith("|") or len(times) not in (0, 2) or not all(map(is_number, times)):
            what = f"times {' '.join(times)!r} in segments" if times else f"a command, {wav!r}" if wav else \
                f"no recording {recording!r} in wav.scp"
            bad_rows.append(BadRow(place, what, "a path of an audio file, with a start and an end in segments"))
            continue
        speaker = tables.get("utt2spk", {}).get(utterance, (None, ""))[0]
        folders = (Path(), folder, *folder.resolve().parents)
        path = next((str(above / wav) for above in folders if (above / wav).exists()), wav)
        sources.append(Source(utterance, path, speaker, text, place, tuple(map(float, times)) if times else None))
    return sources, bad_rows


def _festival_list(folder: Path) -> Path | None:
    return next((path for path in (folder / "txt.done.data", folder / "etc" / "txt.done.data") if path.is_file()), None)


def _read_festival(folder: Path) -> Found:
    """txt.done.data, in the folder or in etc/: ( NAME "text" ) on each line."""
    files, sources, bad_rows = AudioFiles(folder), [], []
    for place, row in numbered_rows(_festival_list(folder)):
        match = re.fullmatch(r'\(\s*(\S+)\s+"(.*)"\s*\)', row)
        if match is None:
            bad_rows.append(BadRow(place, row[:60], '( name "text" )'))
        else:
            sources.append(Source(match[1], files.find(match[1]), None, match[2].replace('\\"', '"'), place))
    return sources, bad_rows


def _read_common_voice(folder: Path) -> Found:
    """clips/ and validated.tsv, or else the splits, whose client_id is the speaker."""
    names = ["validated.tsv"] if (folder / "validated.tsv").is_file() else ["train.tsv", "dev.tsv", "test.tsv"]
    return _together(_read_listed(folder / name, folder, ()) for name in names if (folder / name).is_file())


def _read_libri_speech(folder: Path) -> Found:
    """SPEAKER-CHAPTER.trans.txt with lines of NAME TEXT; NAME begins with the speaker's number."""
    files, sources = AudioFiles(folder), []
    for file in _below(folder, "*.trans.txt"):
        for place, row in numbered_rows(file):
            name, _, text = row.partition(" ")
            speaker = name.partition("-")[0]
            audio = next((str(path) for path in map((file.parent / name).with_suffix, ENDINGS) if path.exists()), None)
            sources.append(Source(f"{speaker}/{name}", audio or files.find(name), speaker, text.strip(), place))
    return sources, []


def _read_libri_tts(folder: Path) -> Found:
    """NAME.normalized.txt beside NAME.wav; NAME begins with the speaker's number."""
    sources = []
    for audio in audio_in(folder):
        speaker = audio.stem.partition("_")[0]
        sources.append(Source(f"{speaker}/{audio.stem}", str(audio), speaker,
                              _text_of(audio.with_suffix(".normalized.txt")), str(audio)))
    return sources, []


def _read_multilingual_libri_speech(folder: Path) -> Found:
    """transcripts.txt with lines of NAME and text, parted by a tab; NAME begins with the speaker's number."""
    sources, bad_rows = _read_listed(folder / "transcripts.txt", folder, ("id", "text"))
    return [source._replace(speaker=source.id.partition("_")[0]) for source in sources], bad_rows


def _m_ailabs_books(folder: Path) -> list[Path]:
    """Each metadata.csv below a folder by_book, if there are several or the folder is above them."""
    files = [path for path in _below(folder, "metadata.csv") if "by_book" in path.resolve().parts]
    return [] if files == [folder / "metadata.csv"] else files


def _read_m_ailabs(folder: Path) -> Found:
    """by_book/female/SPEAKER/BOOK/metadata.csv, or by_book/mix/BOOK/metadata.csv, whose reader is named "mix"."""
    return _together(_within(folder, file, file.resolve().parts[-3]) for file in _m_ailabs_books(folder))


def _split_lists(folder: Path) -> list[Path]:
    """The list of each folder that is a split of a corpus, as Hugging Face has them."""
    folders = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name.lower() in _SPLITS] \
        if folder.is_dir() else []
    return [file for path in folders for file in [_list_in(path), *_split_lists(path)] if file]


def _read_splits(folder: Path) -> Found:
    """Folders train, test and the like, each with a list of its own."""
    return _together(_within(folder, file) for file in _split_lists(folder))


def _within(folder: Path, file: Path, speaker: str | None = None) -> Found:
    """What the list of a folder within a corpus names, under names that have that folder before them."""
    sources, bad_rows = _read_listed(file, file.parent, ())
    above = file.parent.relative_to(folder).as_posix()
    return [source._replace(id=f"{above}/{source.id}", speaker=source.speaker or speaker)
            for source in sources], bad_rows


def _together(parts: Iterable[Found]) -> Found:
    sources, bad_rows = [], []
    for found, bad in parts:
        sources += found
        bad_rows += bad
    return sources, bad_rows


def _has(*names: str) -> Callable[[Path], bool]:
    return lambda folder: all((folder / name).exists() for name in names)


def _is_vctk(folder: Path) -> bool:
    return (folder / "txt").is_dir() and any((folder / name).is_dir() for name in ("wav48", "wav48_silence_trimmed"))


# The first that recognises a folder reads it, then a list that lies in it, then a layout whose lists lie further down,
# and then the audio with what lies beside each.
LAYOUTS = (
    Layout("kaldi", _has("wav.scp", "text"), _read_kaldi),
    Layout("festival", lambda folder: _festival_list(folder) is not None, _read_festival),
    Layout("vctk", _is_vctk, lambda folder: (read_vctk(folder), [])),
    Layout("common_voice", lambda folder: (folder / "clips").is_dir() and any(
        (folder / f"{name}.tsv").is_file() for name in ("validated", "train")), _read_common_voice),
    Layout("mls", _has("transcripts.txt", "audio"), _read_multilingual_libri_speech),
)
DEEP_LAYOUTS = (
    Layout("librispeech", lambda folder: any(folder.rglob("*.trans.txt")), _read_libri_speech),
    Layout("libritts", lambda folder: any(folder.rglob("*.normalized.txt")), _read_libri_tts),
    Layout("m_ailabs", lambda folder: bool(_m_ailabs_books(folder)), _read_m_ailabs),
    Layout("splits", lambda folder: bool(_split_lists(folder)), _read_splits),
)


def _hint(folder: Path) -> str:
    """Where the texts of a folder's audio may be: a list that is one of several, or one in another folder."""
    several = _lists_in(folder)
    if len(several) == 1:
        return _undecided(several[0])
    if several:
        return (f"{', '.join(path.name for path in several)} name its audio; give one of them, for example: "
                f"preprocess.py filelist {several[0]}")
    stamped = next((path for path in sorted(folder.iterdir()) if path.suffix in CUE_ENDINGS and _has_times(path)), None)
    if stamped is not None:
        return f"{stamped.name} has times; name it as the recording that it is of"
    above = folder.resolve().parent
    listed = _list_in(above)
    if listed is not None and _names_audio(listed, AudioFiles(above)):
        return f"there is a {listed.name} in {above}, give that folder"
    named = ((below, _recognised(below)[0]) for below in _folders_below(folder))
    known = [(below, layout) for below, layout in named if layout != "audio"]
    if not known:
        return ""
    below, layout = known[0]
    listed, others = _list_in(below), f" (there are {len(known) - 1} more)" if known[1:] else ""
    what = f"a {listed.name}" if listed else f"a corpus of the layout {layout}"
    return f"there is {what} in {below}, give that folder{others}"


def _has_times(path: Path) -> bool:
    try:
        return bool(read_cues(path))
    except (FilelistError, OSError):
        return False


def _folders_below(folder: Path) -> Iterator[Path]:
    """Folders below one, not too deep, the upper ones first."""
    level = [folder]
    for _ in range(_DEEPEST):
        level = [path for above in level for path in sorted(above.iterdir()) if path.is_dir()][:_MOST_LISTS]
        yield from level


def _text_of(transcript: Path) -> str:
    return " ".join(row for _, row in numbered_rows(transcript)) if transcript.is_file() else ""
