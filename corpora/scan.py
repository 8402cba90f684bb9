"""The result of scanning a corpus: its utterances (audio or a speech request, text, speaker) and its bad lines.

    for source in scan_corpus(folder).sources:        # see layouts.py
        print(source.id, source.origin, source.text)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from corpora.filelists import FilelistError, numbered_rows

ENDINGS = (".wav", ".flac", ".ogg", ".oga", ".mp3", ".opus", ".aif", ".aiff", ".aifc", ".au", ".w64", ".caf", ".sph",
           ".wave", ".snd", ".mpga", ".mp2", ".gsm", ".rf64")


class SpeechRequest(NamedTuple):
    """Audio to be made by a speech synthesizer."""

    voice: str
    words_per_minute: int  # espeak-ng only; flite's voices have fixed rates
    engine: str = "espeak-ng"


class SourceUtterance(NamedTuple):
    """One utterance of a corpus before preparation."""

    id: str  # unique; the name of its prepared wav, and what decides its split
    origin: str | SpeechRequest  # audio file, or how to speak the text
    speaker: str | None
    text: str
    place: str  # "file:number", for messages
    span: tuple[float, float] | None = None  # seconds of the audio file; None is all of it


class BadRow(NamedTuple):
    """A line of a list that is not a valid utterance."""

    place: str  # "file:number"
    found: str
    expected: str


class LayoutContent(NamedTuple):
    """Utterances and bad lines read from the lists or folders of a layout."""

    sources: list[SourceUtterance]
    bad_rows: list[BadRow]
    notes: tuple[str, ...] = ()  # decisions, such as the roles of columns, and what was ignored


class CorpusScan(NamedTuple):
    """A corpus as it was read, with all bad lines of its lists."""

    layout: str  # name of the layout; "filelist" if a file was given
    sources: list[SourceUtterance]
    bad_rows: list[BadRow]
    has_texts: bool  # False for a folder of audio alone
    hint: str = ""  # where texts may be, if there are none
    notes: tuple[str, ...] = ()  # decisions, such as the roles of columns, and what was ignored
    unlisted: tuple[str, ...] = ()  # audio files of the folder that no line of its list names

    @property
    def no_text_message(self) -> str:
        """The error of a corpus without a single text."""
        count = len(self.sources)
        none = "the only file has no text" if count == 1 else f"none of {count} files has a text"
        return none + (self.hint and f"; {self.hint}")


def counted(number: int, what: str) -> str:
    """A number and a noun, plural if needed: 1 file, 2 files."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def require_valid(scan: CorpusScan) -> list[SourceUtterance]:
    """The utterances of a corpus without errors.

    Raises:
        FilelistError: there are bad lines.
        ValueError: there are no texts.
    """
    if scan.bad_rows:
        raise FilelistError([f"{row.place}: found {row.found}; expected {row.expected}" for row in scan.bad_rows])
    if not scan.has_texts:
        raise ValueError(f"{scan.no_text_message}; expected metadata.csv with a line audio|text for each, or NAME.txt "
                         "or NAME.lab beside each NAME.wav")
    return scan.sources


def check_overwriting(sources: Iterable[SourceUtterance], wavs: Path | None, lists: Sequence[Path]) -> None:
    """Refuse outputs that would overwrite the corpus itself.

    Args:
        sources: utterances that are read.
        wavs: folder of audio to be written; None if none is.
        lists: files to be written.

    Raises:
        ValueError: audio of the utterances lies in that folder, or they come from one of those lists.
    """
    folders = {os.path.dirname(source.origin) for source in sources if isinstance(source.origin, str)}  # few
    written = "" if wavs is None else os.path.realpath(wavs)
    for folder in sorted(folders):
        if written and (os.path.realpath(folder) + os.sep).startswith(written + os.sep):
            raise ValueError(f"--out: recordings of the corpus lie in {folder or os.curdir} and would be "
                             "overwritten; name another folder")
    read = {os.path.realpath(source.place.rpartition(":")[0]) for source in sources}
    for file in lists:
        if os.path.realpath(file) in read:
            raise ValueError(f"--out: {file} is the list that is read and would be overwritten; name another folder")


def read_sentences(file: Path, voices: Sequence[str], words_per_minute: int = 0, engine: str = "espeak-ng",
                   ) -> list[SourceUtterance]:
    """Speech requests from a file of one sentence a line, for every voice; ids are hashes of the sentences."""
    sources = []
    for place, text in numbered_rows(file):
        name = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
        for voice in voices:
            several = len(voices) > 1
            request = SpeechRequest(voice, words_per_minute, engine)
            sources.append(SourceUtterance(f"{voice}/{name}" if several else name, request,
                                           voice if several else None, text, place))
    return sources


def utterance_id(path: str) -> str:
    """The id of an audio file: its path without root, "..", ending and a leading "wavs"."""
    parts = [part for part in Path(path).parts if part not in (Path(path).anchor, "..")]
    if parts and Path(parts[-1]).suffix.lower() in ENDINGS:
        parts[-1] = Path(parts[-1]).stem
    return "/".join(parts[1:] if len(parts) > 1 and parts[0] == "wavs" else parts)
