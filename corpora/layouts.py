"""The layouts that corpora come in: how each is recognised, and how its utterances are read, with their speakers.

    scan = scan_corpus(Path("anything"))                # whatever it is, with its bad lines beside the good ones
    sources = read_any(Path("LibriTTS/dev-clean"))      # all of them good, or an error that names every bad line
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from corpora.audio_files import AudioFiles, audio_in
from corpora.cues import ENDINGS as CUE_ENDINGS
from corpora.cues import read_cues
from corpora.filelists import FilelistError, numbered_rows
from corpora.manifests import MOST_LISTS, USUAL_LISTS, list_in, lists_in, names_audio, read_listed, why_undecided
from corpora.scan import ENDINGS, BadRow, Found, Scan, Source, or_all_faults
from corpora.tables import is_number
from corpora.transcripts import OFFICE_ENDINGS, read_folder, text_of

_DEEPEST = 4  # folders below one that are searched for lists
_SPLITS = frozenset("train training test testing val valid validation dev eval data".split())

_OF_LISTS = ("filelist", "ljspeech", "table")  # layouts that have columns
_TEXT_FOLDERS = r"txt|texts?|transcripts?|transcriptions?|labs?|lyrics"
_AUDIO_FOLDERS = r"(wavs?|audio|flac|mp3|ogg|clips|recordings)[\w.-]*"
_COLON_LISTS = "transcript*_utf8.txt"
_WITHOUT_LISTS = ("audio", "vctk", "parallel", "libritts")  # all of their audio, or all that they mean, is read
_SHOWN_FOLDERS = _SHOWN_NOTES = 5


class Layout(NamedTuple):
    """A way to lay out a corpus."""

    name: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], Found]


def scan_corpus(path: Path, columns: Sequence[str] = (), by_folder: bool = False) -> Scan:
    """Recognise a list or the layout of a folder, and read it.

    Args:
        path: a filelist, table or manifest, or a folder.
        columns: what the columns of its list are; none if that is to be found out.
        by_folder: each folder of audio is a speaker, where nothing else names one.

    Raises:
        FilelistError: nothing decides what the columns of a list are, or a file is damaged.
        FileNotFoundError: there is nothing, or no line and no audio in it.
        ValueError: columns are named for what has none.
    """
    if path.is_file():
        layout, found = "filelist", read_listed(path, path.parent, columns, is_whole=path.name in USUAL_LISTS)
    else:
        layout, read = _recognised(path)
        if columns and layout not in _OF_LISTS:
            raise ValueError(f"--columns: {path} has no list of utterances in columns; name the list, or leave it out")
        found = read(path, columns) if layout in _OF_LISTS else read(path)
    if not found.sources and not found.bad_rows:
        hint = _above(path)
        raise FileNotFoundError(f"{path} holds no corpus; expected a filelist, a folder with metadata.csv and wavs/, "
                                "one with txt/ and wav48/, or one with audio files" + (hint and f"; {hint}"))
    return _scan(layout, found, path, by_folder)


def _scan(layout: str, found: Found, path: Path, by_folder: bool = False) -> Scan:
    """What was found, with what is to be said of it."""
    sources, bad_rows, notes = found
    folders = _folders_of(sources)
    if by_folder:
        if not folders:
            raise ValueError(f"--speakers_by_folder: the audio of {path} does not lie in a folder for each speaker")
        sources = [source._replace(speaker=source.speaker or folder) for source, folder in zip(sources, folders)]
    elif folders and not any(source.speaker for source in sources):
        names = sorted(set(folders))
        shown = ", ".join(names[:_SHOWN_FOLDERS]) + (", ..." if names[_SHOWN_FOLDERS:] else "")
        notes += (f"the audio lies in {len(names)} folders ({shown}) and no speaker is named; if each folder is a "
                  "speaker, add --speakers_by_folder",)
    has_texts = layout in _OF_LISTS or bool(bad_rows) or any(source.text for source in sources)
    hint = "" if has_texts else _hint(path) or "; ".join(found.notes) or _office_file(path)
    named = {os.path.abspath(source.origin) for source in sources}
    is_by_list = path.is_dir() and not bad_rows and layout not in _WITHOUT_LISTS
    unlisted = [str(audio) for audio in audio_in(path) if os.path.abspath(audio) not in named] if is_by_list else []
    return Scan(layout, sources, bad_rows, has_texts, hint, notes, tuple(unlisted))


def _folders_of(sources: Sequence[Source]) -> list[str]:
    """The folder of each source below the one that has all of them, if there are several; splits are none."""
    above = [os.path.dirname(os.path.abspath(source.origin)) for source in sources]
    common = os.path.commonpath(above) if above else ""
    parts = [[part for part in Path(os.path.relpath(folder, common)).parts
              if part.lower() not in _SPLITS and not re.fullmatch(_AUDIO_FOLDERS, part, re.IGNORECASE)]
             for folder in above]
    folders = [names[0] if names else "" for names in parts]
    return folders if all(folders) and 2 <= len(set(folders)) <= len(folders) / 2 else []


def _recognised(folder: Path) -> tuple[str, Callable[..., Found]]:
    """The name of a folder's layout, and its reader; those of lists take the roles of columns too."""
    known = next((layout for layout in LAYOUTS if layout.recognises(folder)), None)
    listed = None if known else list_in(folder)
    if listed is not None:
        return ("ljspeech" if listed.name == "metadata.csv" else "table",
                lambda _, columns: read_listed(listed, folder, columns))
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
    return or_all_faults(scan_ljspeech(folder, columns))


def scan_ljspeech(folder: Path, columns: Sequence[str] = (), by_folder: bool = False) -> Scan:
    """As `read_ljspeech`, with the bad lines beside the good ones."""
    listed = list_in(folder) or folder / "metadata.csv"
    return _scan("ljspeech", read_listed(listed, folder, columns), folder, by_folder)


def read_list(filelist: Path, columns: Sequence[str] = ()) -> list[Source]:
    """A filelist of path|text or path|speaker|text, or another table or manifest; all of its lines say which."""
    return or_all_faults(scan_corpus(filelist, columns))


def scan_list(filelist: Path, columns: Sequence[str] = ()) -> tuple[list[Source], list[BadRow]]:
    """As `read_list`, with the bad lines beside the good ones; a line without text is a good one here."""
    return read_listed(filelist, filelist.parent, columns, is_whole=filelist.name in USUAL_LISTS)[:2]


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
    return [Source(f"{speaker}/{name}", str(audio), speaker, text_of(folder / "txt" / speaker / f"{name}.txt"),
                   str(audio))  # one speaker of VCTK has no texts
            for (speaker, name), audio in chosen.items()]


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
    return Found(sources, bad_rows)


def _festival_list(folder: Path) -> Path | None:
    return next((path for path in (folder / "txt.done.data", folder / "etc" / "txt.done.data") if path.is_file()), None)


def _read_festival(folder: Path) -> Found:
    """txt.done.data, in the folder or in etc/: ( NAME "text" ) on each line."""
    listed = _festival_list(folder)
    files, sources, bad_rows = AudioFiles(listed.parents[1] if listed.parent.name == "etc" else folder), [], []
    for place, row in numbered_rows(listed):
        match = re.fullmatch(r'\(\s*(\S+)\s+"(.*)"\s*\)', row)
        if match is None:
            bad_rows.append(BadRow(place, row[:60], '( name "text" )'))
        else:
            sources.append(Source(match[1], files.find(match[1]), None, match[2].replace('\\"', '"'), place))
    return Found(sources, bad_rows)


def _read_common_voice(folder: Path) -> Found:
    """clips/ and validated.tsv, or else the splits, whose client_id is the speaker."""
    names = ["validated.tsv"] if (folder / "validated.tsv").is_file() else ["train.tsv", "dev.tsv", "test.tsv"]
    return _together(read_listed(folder / name, folder, ()) for name in names if (folder / name).is_file())


def _read_libri_speech(folder: Path) -> Found:
    """SPEAKER-CHAPTER.trans.txt with lines of NAME TEXT; NAME begins with the speaker's number."""
    files, sources = AudioFiles(folder), []
    for file in _below(folder, "*.trans.txt"):
        for place, row in numbered_rows(file):
            name, _, text = row.partition(" ")
            speaker = name.partition("-")[0]
            audio = next((str(path) for path in map((file.parent / name).with_suffix, ENDINGS) if path.exists()), None)
            sources.append(Source(f"{speaker}/{name}", audio or files.find(name), speaker, text.strip(), place))
    return Found(sources, [])


def _read_libri_tts(folder: Path) -> Found:
    """NAME.normalized.txt, or else NAME.original.txt, beside NAME.wav; NAME begins with the speaker's number."""
    sources = []
    for audio in audio_in(folder):
        speaker = audio.stem.partition("_")[0]
        text = text_of(audio.with_suffix(".normalized.txt")) or text_of(audio.with_suffix(".original.txt"))
        sources.append(Source(f"{speaker}/{audio.stem}", str(audio), speaker, text, str(audio)))
    return Found(sources, [])


def _is_libri_tts(folder: Path) -> bool:
    """Whether there is a NAME.normalized.txt, or a NAME.original.txt, whose NAME begins as theirs do."""
    return any(folder.rglob("*.normalized.txt")) or any(
        re.match(r"\d+_\d+_", path.name) for path in folder.rglob("*.original.txt"))


def _parallel_folders(folder: Path) -> tuple[Path, Path] | None:
    """A folder of texts and one of audio beside it, of usual names."""
    if not folder.is_dir():
        return None
    below = sorted(path for path in folder.iterdir() if path.is_dir())
    texts = next((path for path in below if re.fullmatch(_TEXT_FOLDERS, path.name, re.IGNORECASE)), None)
    audio = next((path for path in below if re.fullmatch(_AUDIO_FOLDERS, path.name, re.IGNORECASE)), None)
    return (texts, audio) if texts and audio else None


def _read_parallel(folder: Path) -> Found:
    """txt/ID.txt with wav/ID.wav, or txt/SPEAKER/ID.txt with wav/SPEAKER/ID.wav."""
    texts, recordings = _parallel_folders(folder)
    sources = []
    for audio in audio_in(recordings):
        place = audio.relative_to(recordings)
        beside = [texts / place.parent / f"{audio.stem}{ending}" for ending in (".txt", ".TXT", ".lab")]
        speaker = place.parts[0] if len(place.parts) > 1 else None
        sources.append(Source(place.with_suffix("").as_posix(), str(audio), speaker,
                              next(filter(None, map(text_of, beside)), ""), str(audio)))
    return Found(sources, [])


def _read_colons(folder: Path) -> Found:
    """JSUT's transcript_utf8.txt and JVS's transcripts_utf8.txt, ID:text on each line, beside their wav folder."""
    sources, bad_rows = [], []
    for file in _below(folder, _COLON_LISTS):
        files = AudioFiles(file.parent)
        above = [part for part in file.parent.resolve().parts if re.fullmatch(r"jvs\d+", part)]
        for place, row in numbered_rows(file):
            name, mark, text = row.partition(":")
            within = file.parent.relative_to(folder).as_posix()
            if mark:
                sources.append(Source((f"{within}/" if within != "." else "") + name.strip(), files.find(name.strip()),
                                      above[-1] if above else None, text.strip(), place))
            else:
                bad_rows.append(BadRow(place, row[:60], "NAME:text"))
    return Found(sources, bad_rows)


def _read_aishell(folder: Path) -> Found:
    """AISHELL-3's content.txt: NAME.wav, a tab, and characters each with its pinyin; wav/SPEAKER/NAME.wav."""
    sources = []
    for file in _below(folder, "content.txt"):
        files = AudioFiles(file.parent)
        for place, row in numbered_rows(file):
            name, _, text = row.partition("\t")
            words, audio = text.split(), files.find(name.strip())
            if words[1::2] and all(re.fullmatch(r"[a-zü:]+\d", word) for word in words[1::2]):
                text = "".join(words[::2])
            speaker = Path(audio).parent.name
            sources.append(Source(f"{speaker}/{Path(audio).stem}", audio, speaker, text.strip(), place))
    return Found(sources, [])


def _read_multilingual_libri_speech(folder: Path) -> Found:
    """transcripts.txt with lines of NAME and text, parted by a tab; NAME begins with the speaker's number."""
    found = read_listed(folder / "transcripts.txt", folder, ("id", "text"))
    return Found([source._replace(speaker=source.id.partition("_")[0]) for source in found.sources], found.bad_rows)


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
    return [file for path in folders for file in [list_in(path), *_split_lists(path)] if file]


def _read_splits(folder: Path) -> Found:
    """Folders train, test and the like, each with a list of its own."""
    return _together(_within(folder, file) for file in _split_lists(folder))


def _lists_below(folder: Path) -> list[Path]:
    """The lists of several folders, each with its own audio."""
    folders = sorted(path for path in folder.iterdir() if path.is_dir())[:MOST_LISTS] if folder.is_dir() else []
    return [file for path in folders for file in [list_in(path)] if file and names_audio(file, AudioFiles(path))]


def _within(folder: Path, file: Path, speaker: str | None = None) -> Found:
    """What the list of a folder within a corpus names, under names that have that folder before them."""
    found = read_listed(file, file.parent, ())
    above = file.parent.relative_to(folder).as_posix()
    return found._replace(sources=[source._replace(id=f"{above}/{source.id}", speaker=source.speaker or speaker)
                                   for source in found.sources])


def _together(parts: Iterable[Found]) -> Found:
    sources, bad_rows, notes = [], [], {}
    for found, bad, more in parts:
        sources += found
        bad_rows += bad
        notes |= dict.fromkeys(more)
    return Found(sources, bad_rows, tuple(notes)[:_SHOWN_NOTES])


def _has(*names: str) -> Callable[[Path], bool]:
    return lambda folder: all((folder / name).exists() for name in names)


def _is_vctk(folder: Path) -> bool:
    return (folder / "txt").is_dir() and any((folder / name).is_dir() for name in ("wav48", "wav48_silence_trimmed"))


# The first that recognises a folder reads it, then a list that lies in it, then a layout whose lists lie further down,
# and then the audio with what lies beside each.
LAYOUTS = (
    Layout("kaldi", _has("wav.scp", "text"), _read_kaldi),
    Layout("festival", lambda folder: _festival_list(folder) is not None, _read_festival),
    Layout("vctk", _is_vctk, lambda folder: Found(read_vctk(folder), [])),
    Layout("common_voice", lambda folder: (folder / "clips").is_dir() and any(
        (folder / f"{name}.tsv").is_file() for name in ("validated", "train")), _read_common_voice),
    Layout("mls", _has("transcripts.txt", "audio"), _read_multilingual_libri_speech),
)
DEEP_LAYOUTS = (
    Layout("aishell3", lambda folder: any(path.with_name("wav").is_dir() for path in folder.rglob("content.txt")),
           _read_aishell),
    Layout("colons", lambda folder: any(folder.rglob(_COLON_LISTS)), _read_colons),
    Layout("parallel", lambda folder: _parallel_folders(folder) is not None and any(
        source.text for source in _read_parallel(folder).sources), _read_parallel),
    Layout("librispeech", lambda folder: any(folder.rglob("*.trans.txt")), _read_libri_speech),
    Layout("libritts", _is_libri_tts, _read_libri_tts),
    Layout("m_ailabs", lambda folder: bool(_m_ailabs_books(folder)), _read_m_ailabs),
    Layout("splits", lambda folder: bool(_split_lists(folder)), _read_splits),
    Layout("folders", lambda folder: len(_lists_below(folder)) > 1, lambda folder: _together(
        _within(folder, file) for file in _lists_below(folder))),
)


def _hint(folder: Path) -> str:
    """Where the texts of a folder's audio may be: a list that is one of several, or one in another folder."""
    several = lists_in(folder)
    if len(several) == 1:
        return why_undecided(several[0])
    if several:
        return (f"{', '.join(path.name for path in several)} name its audio; give one of them, for example: "
                f"preprocess.py filelist {several[0]}")
    stamped = next((path for path in sorted(folder.iterdir())
                    if path.suffix.lower() in CUE_ENDINGS and _has_times(path)), None)
    if stamped is not None:
        return f"{stamped.name} has times; name it as the recording that it is of"
    return _above(folder) or _further_down(folder)


def _above(folder: Path) -> str:
    """The corpus of the folder above, if it has texts of audio in this one, or this one has only its texts."""
    above = folder.resolve().parent
    if not folder.is_dir():
        return ""
    listed = list_in(above)
    if listed is not None and names_audio(listed, AudioFiles(above), folder):
        return f"there is {_named(listed)} in {above}, give that folder"
    layouts = [*LAYOUTS, *(layout for layout in DEEP_LAYOUTS if layout.name == "parallel")]
    known = next((layout for layout in layouts if layout.recognises(above)), None)
    if known is None or audio_in(folder) and not any(
            source.text and Path(source.origin).resolve().is_relative_to(folder.resolve())
            for source in known.read(above).sources):
        return ""
    return f"there is a corpus of the layout {known.name} in {above}, give that folder"


def _further_down(folder: Path) -> str:
    """The first corpus with texts in the folders below one."""
    named = ((below, _recognised(below)[0]) for below in _folders_below(folder))
    known = [(below, layout) for below, layout in named if layout not in (
        "audio", *_OF_LISTS) or layout in _OF_LISTS and names_audio(list_in(below), AudioFiles(below))]
    if not known:
        return ""
    below, layout = known[0]
    listed, others = list_in(below), f" (there are {len(known) - 1} more)" if known[1:] else ""
    what = _named(listed) if listed else f"a corpus of the layout {layout}"
    return f"there is {what} in {below}, give that folder{others}"


def _named(listed: Path) -> str:
    return f"{'an' if listed.name[0].lower() in 'aeio' else 'a'} {listed.name}"


def _office_file(folder: Path) -> str:
    """What to do with a list that an office program keeps."""
    file = next((path for path in sorted(folder.iterdir()) if path.suffix.lower() in OFFICE_ENDINGS), None)
    return "" if file is None else (f"{file.name} cannot be read; if it holds the texts, save it as metadata.csv, with "
                                    "audio and text on each line, UTF-8")


def _has_times(path: Path) -> bool:
    try:
        return bool(read_cues(path))
    except (FilelistError, OSError):
        return False


def _folders_below(folder: Path) -> Iterator[Path]:
    """Folders below one, not too deep, the upper ones first."""
    level = [folder]
    for _ in range(_DEEPEST):
        level = [path for above in level for path in sorted(above.iterdir()) if path.is_dir()][:MOST_LISTS]
        yield from level
