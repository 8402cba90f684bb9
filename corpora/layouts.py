"""Corpus layouts (LJSpeech, VCTK, Kaldi, LibriTTS, ...): how each is recognised and read.

    scan = scan_corpus(Path("LibriTTS/dev-clean"))      # utterances and bad lines
    sources = require_valid(scan)                       # utterances, or an error that names every bad line
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
from corpora.scan import ENDINGS, BadRow, CorpusScan, LayoutContent, SourceUtterance
from corpora.tables import is_number
from corpora.transcripts import OFFICE_ENDINGS, read_folder, text_of

_DEEPEST = 4  # levels of folders that are searched for lists
_SPLITS = frozenset("train training test testing val valid validation dev eval data".split())

_OF_LISTS = ("filelist", "ljspeech", "table")  # layouts that have columns
_TEXT_FOLDERS = r"txt|texts?|transcripts?|transcriptions?|labs?|lyrics"
_AUDIO_FOLDERS = r"(wavs?|audio|flac|mp3|ogg|clips|recordings)[\w.-]*"
_COLON_LISTS = "transcript*_utf8.txt"
_WITHOUT_LISTS = ("audio", "vctk", "parallel", "libritts")  # read from the audio files, so none can be unlisted
_SHOWN_FOLDERS = _SHOWN_NOTES = 5


class Layout(NamedTuple):
    """A corpus layout: how to recognise and how to read it."""

    name: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], LayoutContent]


def scan_corpus(path: Path, columns: Sequence[str] = (), by_folder: bool = False) -> CorpusScan:
    """Read a corpus: a list, or a folder of any known layout.

    Args:
        path: a filelist, table or manifest, or a folder.
        columns: roles of the columns of its list; none to infer them.
        by_folder: each folder of audio is a speaker, where nothing else names one.

    Raises:
        FilelistError: the roles of a list's columns cannot be inferred, or a file is damaged.
        FileNotFoundError: the path does not exist, or has no utterances.
        ValueError: columns are given for a corpus without columns.
    """
    if path.is_file():
        layout, found = "filelist", read_listed(path, path.parent, columns, is_whole=path.name in USUAL_LISTS)
    else:
        layout, read = _layout_of(path)
        if columns and layout not in _OF_LISTS:
            raise ValueError(f"--columns: {path} has no list of utterances in columns; name the list, or leave it out")
        found = read(path, columns) if layout in _OF_LISTS else read(path)
    if not found.sources and not found.bad_rows:
        hint = _above(path)
        raise FileNotFoundError(f"{path} holds no corpus; expected a filelist, a folder with metadata.csv and wavs/, "
                                "one with txt/ and wav48/, or one with audio files" + (hint and f"; {hint}"))
    return _scan(layout, found, path, by_folder)


def _scan(layout: str, found: LayoutContent, path: Path, by_folder: bool = False) -> CorpusScan:
    """A CorpusScan of what was read, with notes, hints and unlisted audio."""
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
    return CorpusScan(layout, sources, bad_rows, has_texts, hint, notes, tuple(unlisted))


def _folders_of(sources: Sequence[SourceUtterance]) -> list[str]:
    """The folder of each utterance below their common folder; empty if these do not tell speakers apart."""
    above = [os.path.dirname(os.path.abspath(source.origin)) for source in sources]
    common = os.path.commonpath(above) if above else ""
    parts = [[part for part in Path(os.path.relpath(folder, common)).parts
              if part.lower() not in _SPLITS and not re.fullmatch(_AUDIO_FOLDERS, part, re.IGNORECASE)]
             for folder in above]
    folders = [names[0] if names else "" for names in parts]
    return folders if all(folders) and 2 <= len(set(folders)) <= len(folders) / 2 else []


def _layout_of(folder: Path) -> tuple[str, Callable[..., LayoutContent]]:
    """The name of a folder's layout and its reader; readers of lists take the roles of columns too."""
    known = next((layout for layout in LAYOUTS if layout.recognises(folder)), None)
    listed = None if known else list_in(folder)
    if listed is not None:
        return ("ljspeech" if listed.name == "metadata.csv" else "table",
                lambda _, columns: read_listed(listed, folder, columns))
    known = known or next((layout for layout in DEEP_LAYOUTS if layout.recognises(folder)), None)
    return (known.name, known.read) if known else ("audio", read_folder)


def scan_ljspeech(folder: Path, columns: Sequence[str] = (), by_folder: bool = False) -> CorpusScan:
    """Read a folder with metadata.csv, or another list of audio and text; arguments as for `scan_corpus`."""
    listed = list_in(folder) or folder / "metadata.csv"
    return _scan("ljspeech", read_listed(listed, folder, columns), folder, by_folder)


def read_vctk(folder: Path) -> list[SourceUtterance]:
    """VCTK: txt/SPEAKER/ID.txt with wav48/SPEAKER/ID.wav or wav48_silence_trimmed/SPEAKER/ID_mic1.flac, else _mic2."""
    audio_folders = (folder / "wav48_silence_trimmed", folder / "wav48")
    audio_folder = next((place for place in audio_folders if place.is_dir()), None)
    if audio_folder is None or not (folder / "txt").is_dir():
        raise FileNotFoundError(f"{folder} holds no VCTK corpus; expected the folders txt and wav48 or "
                                "wav48_silence_trimmed")
    chosen: dict[tuple[str, str], Path] = {}
    for audio in audio_in(audio_folder):  # sorted: mic1 comes first
        chosen.setdefault((audio.parent.name, re.sub("_mic[12]$", "", audio.stem)), audio)
    return [SourceUtterance(f"{speaker}/{name}", str(audio), speaker, text_of(folder / "txt" / speaker / f"{name}.txt"),
                            str(audio))  # one speaker of VCTK has no texts
            for (speaker, name), audio in chosen.items()]


# --- layouts


def _below(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.rglob(pattern) if path.is_file())


def _read_kaldi(folder: Path) -> LayoutContent:
    """Kaldi: wav.scp and text, perhaps utt2spk and segments; paths start here or in the folder or one above it."""
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
        span = tuple(map(float, times)) if times else None
        sources.append(SourceUtterance(utterance, path, speaker, text, place, span))
    return LayoutContent(sources, bad_rows)


def _festival_list(folder: Path) -> Path | None:
    return next((path for path in (folder / "txt.done.data", folder / "etc" / "txt.done.data") if path.is_file()), None)


def _read_festival(folder: Path) -> LayoutContent:
    """Festival: txt.done.data, in the folder or in etc/, with ( NAME "text" ) on each line."""
    listed = _festival_list(folder)
    files, sources, bad_rows = AudioFiles(listed.parents[1] if listed.parent.name == "etc" else folder), [], []
    for place, row in numbered_rows(listed):
        match = re.fullmatch(r'\(\s*(\S+)\s+"(.*)"\s*\)', row)
        if match is None:
            bad_rows.append(BadRow(place, row[:60], '( name "text" )'))
        else:
            sources.append(SourceUtterance(match[1], files.find(match[1]), None, match[2].replace('\\"', '"'), place))
    return LayoutContent(sources, bad_rows)


def _read_common_voice(folder: Path) -> LayoutContent:
    """Common Voice: clips/ and validated.tsv, or else the splits; client_id is the speaker."""
    names = ["validated.tsv"] if (folder / "validated.tsv").is_file() else ["train.tsv", "dev.tsv", "test.tsv"]
    return _merged(read_listed(folder / name, folder, ()) for name in names if (folder / name).is_file())


def _read_libri_speech(folder: Path) -> LayoutContent:
    """LibriSpeech: SPEAKER-CHAPTER.trans.txt with lines of NAME TEXT; NAME begins with the speaker's number."""
    files, sources = AudioFiles(folder), []
    for file in _below(folder, "*.trans.txt"):
        for place, row in numbered_rows(file):
            name, _, text = row.partition(" ")
            speaker = name.partition("-")[0]
            audio = next((str(path) for path in map((file.parent / name).with_suffix, ENDINGS) if path.exists()), None)
            audio = audio or files.find(name)
            sources.append(SourceUtterance(f"{speaker}/{name}", audio, speaker, text.strip(), place))
    return LayoutContent(sources, [])


def _read_libri_tts(folder: Path) -> LayoutContent:
    """LibriTTS: NAME.normalized.txt or NAME.original.txt beside NAME.wav; NAME begins with the speaker's number."""
    sources = []
    for audio in audio_in(folder):
        speaker = audio.stem.partition("_")[0]
        text = text_of(audio.with_suffix(".normalized.txt")) or text_of(audio.with_suffix(".original.txt"))
        sources.append(SourceUtterance(f"{speaker}/{audio.stem}", str(audio), speaker, text, str(audio)))
    return LayoutContent(sources, [])


def _is_libri_tts(folder: Path) -> bool:
    """Whether there is a NAME.normalized.txt, or a NAME.original.txt whose NAME begins with two numbers."""
    return any(folder.rglob("*.normalized.txt")) or any(
        re.match(r"\d+_\d+_", path.name) for path in folder.rglob("*.original.txt"))


def _parallel_folders(folder: Path) -> tuple[Path, Path] | None:
    """A folder of texts and a folder of audio side by side, by usual names; None without them."""
    if not folder.is_dir():
        return None
    below = sorted(path for path in folder.iterdir() if path.is_dir())
    texts = next((path for path in below if re.fullmatch(_TEXT_FOLDERS, path.name, re.IGNORECASE)), None)
    audio = next((path for path in below if re.fullmatch(_AUDIO_FOLDERS, path.name, re.IGNORECASE)), None)
    return (texts, audio) if texts and audio else None


def _read_parallel(folder: Path) -> LayoutContent:
    """Parallel folders: txt/ID.txt with wav/ID.wav, or txt/SPEAKER/ID.txt with wav/SPEAKER/ID.wav."""
    texts, recordings = _parallel_folders(folder)
    sources = []
    for audio in audio_in(recordings):
        place = audio.relative_to(recordings)
        beside = [texts / place.parent / f"{audio.stem}{ending}" for ending in (".txt", ".TXT", ".lab")]
        speaker = place.parts[0] if len(place.parts) > 1 else None
        sources.append(SourceUtterance(place.with_suffix("").as_posix(), str(audio), speaker,
                                       next(filter(None, map(text_of, beside)), ""), str(audio)))
    return LayoutContent(sources, [])


def _read_colons(folder: Path) -> LayoutContent:
    """JSUT's transcript_utf8.txt and JVS's transcripts_utf8.txt: ID:text on each line, beside a folder of audio."""
    sources, bad_rows = [], []
    for file in _below(folder, _COLON_LISTS):
        files = AudioFiles(file.parent)
        above = [part for part in file.parent.resolve().parts if re.fullmatch(r"jvs\d+", part)]
        for place, row in numbered_rows(file):
            name, mark, text = row.partition(":")
            within = file.parent.relative_to(folder).as_posix()
            if mark:
                utterance = (f"{within}/" if within != "." else "") + name.strip()
                sources.append(SourceUtterance(utterance, files.find(name.strip()), above[-1] if above else None,
                                               text.strip(), place))
            else:
                bad_rows.append(BadRow(place, row[:60], "NAME:text"))
    return LayoutContent(sources, bad_rows)


def _read_aishell(folder: Path) -> LayoutContent:
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
            sources.append(SourceUtterance(f"{speaker}/{Path(audio).stem}", audio, speaker, text.strip(), place))
    return LayoutContent(sources, [])


def _read_multilingual_libri_speech(folder: Path) -> LayoutContent:
    """Multilingual LibriSpeech: transcripts.txt, NAME, a tab and the text; NAME begins with the speaker's number."""
    found = read_listed(folder / "transcripts.txt", folder, ("id", "text"))
    sources = [source._replace(speaker=source.id.partition("_")[0]) for source in found.sources]
    return LayoutContent(sources, found.bad_rows)


def _m_ailabs_books(folder: Path) -> list[Path]:
    """M-AILABS: each metadata.csv below a folder by_book; none if the folder itself has the only one."""
    files = [path for path in _below(folder, "metadata.csv") if "by_book" in path.resolve().parts]
    return [] if files == [folder / "metadata.csv"] else files


def _read_m_ailabs(folder: Path) -> LayoutContent:
    """M-AILABS: by_book/female/SPEAKER/BOOK/metadata.csv, or by_book/mix/BOOK/metadata.csv (speaker "mix")."""
    return _merged(_within(folder, file, file.resolve().parts[-3]) for file in _m_ailabs_books(folder))


def _split_lists(folder: Path) -> list[Path]:
    """The list of each folder named like a split (train, test, ...), as in data sets of Hugging Face."""
    folders = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name.lower() in _SPLITS] \
        if folder.is_dir() else []
    return [file for path in folders for file in [list_in(path), *_split_lists(path)] if file]


def _read_splits(folder: Path) -> LayoutContent:
    """Splits: folders train, test and the like, each with a list."""
    return _merged(_within(folder, file) for file in _split_lists(folder))


def _lists_below(folder: Path) -> list[Path]:
    """The lists of the folders in a folder, each with its own audio."""
    folders = sorted(path for path in folder.iterdir() if path.is_dir())[:MOST_LISTS] if folder.is_dir() else []
    return [file for path in folders for file in [list_in(path)] if file and names_audio(file, AudioFiles(path))]


def _within(folder: Path, file: Path, speaker: str | None = None) -> LayoutContent:
    """Read the list of a subfolder of a corpus; ids get the subfolder as a prefix."""
    found = read_listed(file, file.parent, ())
    above = file.parent.relative_to(folder).as_posix()
    return found._replace(sources=[source._replace(id=f"{above}/{source.id}", speaker=source.speaker or speaker)
                                   for source in found.sources])


def _merged(parts: Iterable[LayoutContent]) -> LayoutContent:
    sources, bad_rows, notes = [], [], {}
    for found, bad, more in parts:
        sources += found
        bad_rows += bad
        notes |= dict.fromkeys(more)
    return LayoutContent(sources, bad_rows, tuple(notes)[:_SHOWN_NOTES])


def _has(*names: str) -> Callable[[Path], bool]:
    return lambda folder: all((folder / name).exists() for name in names)


def _is_vctk(folder: Path) -> bool:
    return (folder / "txt").is_dir() and any((folder / name).is_dir() for name in ("wav48", "wav48_silence_trimmed"))


# Tried in this order: LAYOUTS, a list in the folder, DEEP_LAYOUTS (their lists lie in subfolders), and at last audio
# with a transcript beside each file.
LAYOUTS = (
    Layout("kaldi", _has("wav.scp", "text"), _read_kaldi),
    Layout("festival", lambda folder: _festival_list(folder) is not None, _read_festival),
    Layout("vctk", _is_vctk, lambda folder: LayoutContent(read_vctk(folder), [])),
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
    Layout("folders", lambda folder: len(_lists_below(folder)) > 1, lambda folder: _merged(
        _within(folder, file) for file in _lists_below(folder))),
)


def _hint(folder: Path) -> str:
    """Where the texts of a folder's audio may be: one of several lists, or a list in another folder."""
    several = lists_in(folder)
    if len(several) == 1:
        return why_undecided(several[0])
    if several:
        return (f"{', '.join(path.name for path in several)} name its audio; give one of them, for example: "
                f"preprocess.py filelist {several[0]}")
    stamped = next((path for path in sorted(folder.iterdir())
                    if path.suffix.lower() in CUE_ENDINGS and _has_times(path)), None)
    if stamped is not None:
        ending = stamped.suffix
        return f"{stamped.name} is a time-stamped transcript; name it as its recording, NAME{ending} beside NAME.wav"
    return _above(folder) or _further_down(folder)


def _above(folder: Path) -> str:
    """A hint to the folder above, if that is a corpus with texts of this folder's audio."""
    above = folder.resolve().parent
    if not folder.is_dir():
        return ""
    listed = list_in(above)
    if listed is not None and names_audio(listed, AudioFiles(above), folder):
        return f"there is {_with_article(listed)} in {above}, give that folder"
    layouts = [*LAYOUTS, *(layout for layout in DEEP_LAYOUTS if layout.name == "parallel")]
    known = next((layout for layout in layouts if layout.recognises(above)), None)
    if known is None or audio_in(folder) and not any(
            source.text and Path(source.origin).resolve().is_relative_to(folder.resolve())
            for source in known.read(above).sources):
        return ""
    return f"there is a corpus of the layout {known.name} in {above}, give that folder"


def _further_down(folder: Path) -> str:
    """A hint to the first corpus with texts in the folders below."""
    named = ((below, _layout_of(below)[0]) for below in _folders_below(folder))
    known = [(below, layout) for below, layout in named if layout not in (
        "audio", *_OF_LISTS) or layout in _OF_LISTS and names_audio(list_in(below), AudioFiles(below))]
    if not known:
        return ""
    below, layout = known[0]
    listed, others = list_in(below), f" (there are {len(known) - 1} more)" if known[1:] else ""
    what = _with_article(listed) if listed else f"a corpus of the layout {layout}"
    return f"there is {what} in {below}, give that folder{others}"


def _with_article(listed: Path) -> str:
    return f"{'an' if listed.name[0].lower() in 'aeio' else 'a'} {listed.name}"


def _office_file(folder: Path) -> str:
    """A hint if the folder has an office document that may be the list."""
    file = next((path for path in sorted(folder.iterdir()) if path.suffix.lower() in OFFICE_ENDINGS), None)
    return "" if file is None else (f"{file.name} cannot be read; if it holds the texts, save it as metadata.csv, with "
                                    "audio and text on each line, UTF-8")


def _has_times(path: Path) -> bool:
    try:
        return bool(read_cues(path))
    except (FilelistError, OSError):
        return False


def _folders_below(folder: Path) -> Iterator[Path]:
    """The folders below a folder down to `_DEEPEST` levels, breadth first."""
    level = [folder]
    for _ in range(_DEEPEST):
        level = [path for above in level for path in sorted(above.iterdir()) if path.is_dir()][:MOST_LISTS]
        yield from level
