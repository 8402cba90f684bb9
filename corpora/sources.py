"""Other people's corpora: LJSpeech's and VCTK's folders, filelists, plain folders of audio, sentences to be spoken.

    sources = read_ljspeech(Path("LJSpeech-1.1"))      # all of them good, or an error that names every bad line
    scan = scan_corpus(Path("anything"))               # whatever it is, with its bad lines beside the good ones
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from corpus import FilelistError, found_path, numbered_rows, read_filelist

ENDINGS = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aif", ".aiff", ".aifc", ".au", ".w64", ".caf", ".sph")
_TRANSCRIPTS = (".txt", ".lab")  # beside the audio


class Spoken(NamedTuple):
    """Audio that a synthesizer of text/ is to make."""

    voice: str
    words_per_minute: int  # of espeak-ng; flite's voices have a pace of their own
    engine: str = "espeak-ng"


class Source(NamedTuple):
    """One utterance as it was found."""

    id: str  # unique; names its wav, and alone decides its split
    origin: str | Spoken  # audio file, or how to speak the text
    speaker: str | None
    text: str
    place: str  # "file:number", for messages


class BadRow(NamedTuple):
    """A line that names no utterance."""

    place: str  # "file:number"
    found: str
    expected: str


class Scan(NamedTuple):
    """A corpus with all that is bad in its lists."""

    layout: str  # "ljspeech", "vctk", "filelist" or "audio"
    sources: list[Source]
    bad_rows: list[BadRow]
    has_texts: bool  # a folder of audio alone has none


def scan_corpus(path: Path) -> Scan:
    """Recognise a filelist, LJSpeech's layout (metadata.csv), VCTK's (txt/ and wav48/) or a folder of audio.

    Raises:
        FileNotFoundError: there is nothing, or no line and no audio in it.
    """
    if path.is_file():
        scan = Scan("filelist", *scan_list(path), True)
    elif (path / "metadata.csv").is_file():
        scan = Scan("ljspeech", *scan_ljspeech(path), True)
    elif (path / "txt").is_dir() and any((path / f"wav48{kind}").is_dir() for kind in ("", "_silence_trimmed")):
        scan = Scan("vctk", read_vctk(path), [], True)
    else:
        sources = read_folder(path)
        scan = Scan("audio", sources, [], any(source.text for source in sources))
    if not scan.sources and not scan.bad_rows:
        raise FileNotFoundError(f"{path} holds no corpus; expected a filelist, a folder with metadata.csv and wavs/, "
                                "one with txt/ and wav48/, or one with audio files")
    return scan


def read_any(folder: Path) -> list[Source]:
    """A folder of whichever layout; of audio alone, NAME.txt beside NAME.wav is its text.

    Raises:
        FilelistError: its list has bad lines.
        FileNotFoundError: it holds no corpus.
    """
    return _or_all_faults(scan_corpus(folder))


def check_apart(sources: Iterable[Source], wavs: Path | None, lists: Sequence[Path]) -> None:
    """Refuse to write over what is read.

    Args:
        sources: all that is read.
        wavs: folder of audio that is to be written; None if none is.
        lists: files that are to be written.

    Raises:
        ValueError: audio of the sources lies in that folder, or they come from one of those lists.
    """
    folders = {os.path.dirname(source.origin) for source in sources if isinstance(source.origin, str)}  # few
    written = "" if wavs is None else os.path.realpath(wavs)
    for folder in sorted(folders):
        if written and (os.path.realpath(folder) + os.sep).startswith(written + os.sep):
            raise ValueError(f"--out: recordings of the corpus lie in {folder or os.curdir}, where their copies would "
                             "take their place; name another folder")
    read = {os.path.realpath(source.place.rpartition(":")[0]) for source in sources}
    for file in lists:
        if os.path.realpath(file) in read:
            raise ValueError(f"--out: {file} would be written over, and it is the list that is read; name another "
                             "folder")


def read_ljspeech(folder: Path) -> list[Source]:
    """metadata.csv of id|text or id|text|normalised text, and wavs/id.wav (or .flac, .ogg, .mp3, or in the id)."""
    return _or_all_faults(Scan("ljspeech", *scan_ljspeech(folder), True))


def scan_ljspeech(folder: Path) -> tuple[list[Source], list[BadRow]]:
    """As `read_ljspeech`, with the bad lines beside the good ones."""
    sources, bad_rows = [], []
    for place, row in numbered_rows(folder / "metadata.csv"):
        columns = [column.strip() for column in row.split("|")]
        if len(columns) not in (2, 3) or not columns[0]:
            bad_rows.append(BadRow(place, f"{len(columns)} columns{'' if columns[0] else ', the first one empty'}",
                                   "id|text or id|text|normalised text"))
            continue
        endings = ("",) if Path(columns[0]).suffix.lower() in ENDINGS else (".wav", ".flac", ".ogg", ".mp3")
        files = [folder / "wavs" / (columns[0] + ending) for ending in endings]
        audio = next((file for file in files if file.exists()), files[0])
        sources.append(Source(utterance_id(columns[0]), str(audio), None, columns[-1] or columns[1], place))
    return sources, bad_rows


def read_vctk(folder: Path) -> list[Source]:
    """txt/SPEAKER/ID.txt with wav48/SPEAKER/ID.wav or wav48_silence_trimmed/SPEAKER/ID_mic1.flac."""
    patterns = [pattern for pattern in ("wav48_silence_trimmed/*/*_mic1.*", "wav48/*/*")
                if (folder / pattern).parents[1].is_dir()]
    if not patterns or not (folder / "txt").is_dir():
        raise FileNotFoundError(f"{folder} holds no VCTK corpus; expected the folders txt and wav48 or "
                                "wav48_silence_trimmed")
    sources = []
    for audio in sorted(folder.glob(patterns[0])):
        if audio.suffix.lower() not in ENDINGS:
            continue
        speaker, name = audio.parent.name, audio.stem.removesuffix("_mic1")
        transcript = folder / "txt" / speaker / f"{name}.txt"  # one speaker of VCTK has none
        sources.append(Source(f"{speaker}/{name}", str(audio), speaker, _text_of(transcript), str(audio)))
    return sources


def read_list(filelist: Path) -> list[Source]:
    """A filelist of path|text or path|speaker|text; most of its lines say which."""
    lines = read_filelist(filelist, multispeaker=_has_speakers(filelist))
    return [Source(_id_in_list(line.wav_path, filelist), line.wav_path, line.speaker, line.text, line.source)
            for line in lines]


def scan_list(filelist: Path) -> tuple[list[Source], list[BadRow]]:
    """As `read_list`, with the bad lines beside the good ones; a line without text is a good one here."""
    layout = ("path", "speaker", "text") if _has_speakers(filelist) else ("path", "text")
    sources, bad_rows = [], []
    for place, row in numbered_rows(filelist):
        columns = [column.strip() for column in row.split("|")]
        if len(columns) != len(layout) or not all(columns[:-1]):
            empty = "" if all(columns[:-1]) else f", {columns[:-1].index('') + 1} of which is empty"
            bad_rows.append(BadRow(place, f"{len(columns)} columns{empty}", "|".join(layout)))
            continue
        path = found_path(columns[0], os.path.dirname(filelist))
        sources.append(Source(_id_in_list(path, filelist), path, columns[1] if len(columns) == 3 else None,
                              columns[-1], place))
    return sources, bad_rows


def read_folder(folder: Path) -> list[Source]:
    """All audio in a folder and the folders in it; NAME.txt or NAME.lab beside NAME.wav is its text."""
    sources = []
    for audio in sorted(folder.rglob("*")):
        if audio.suffix.lower() in ENDINGS:
            transcripts = [audio.with_suffix(ending) for ending in _TRANSCRIPTS]
            text = next((_text_of(file) for file in transcripts if file.is_file()), "")
            sources.append(Source(utterance_id(str(audio.relative_to(folder))), str(audio), None, text, str(audio)))
    return sources


def read_sentences(file: Path, voices: Sequence[str], words_per_minute: int = 0, engine: str = "espeak-ng",
                   ) -> list[Source]:
    """One sentence a line, each to be spoken by every voice; a hash of the sentence names it."""
    sources = []
    for place, text in numbered_rows(file):
        name = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
        for voice in voices:
            several = len(voices) > 1
            sources.append(Source(f"{voice}/{name}" if several else name, Spoken(voice, words_per_minute, engine),
                                  voice if several else None, text, place))
    return sources


def utterance_id(path: str) -> str:
    """A relative name for an audio file: no root, no "..", no ending, no leading "wavs"."""
    parts = [part for part in Path(path).parts if part not in (Path(path).anchor, "..")]
    if parts and Path(parts[-1]).suffix.lower() in ENDINGS:
        parts[-1] = Path(parts[-1]).stem
    return "/".join(parts[1:] if len(parts) > 1 and parts[0] == "wavs" else parts)


def _id_in_list(wav_path: str, filelist: Path) -> str:
    """Within the list's folder the name starts there, wherever the path does."""
    path, folder = os.path.abspath(wav_path), os.path.abspath(filelist.parent)
    return utterance_id(os.path.relpath(path, folder) if path.startswith(folder + os.sep) else wav_path)


def _or_all_faults(scan: Scan) -> list[Source]:
    if scan.bad_rows:
        raise FilelistError([f"{row.place}: found {row.found}; expected {row.expected}" for row in scan.bad_rows])
    return scan.sources


def _has_speakers(filelist: Path) -> bool:
    separators = [row.count("|") for _, row in numbered_rows(filelist)]
    return separators.count(2) > separators.count(1)


def _text_of(transcript: Path) -> str:
    return " ".join(row for _, row in numbered_rows(transcript)) if transcript.is_file() else ""
