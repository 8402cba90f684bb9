"""Utterances as a corpus names them: audio with its text and speaker, or sentences to be spoken.

    for source in scan_corpus(folder).sources:        # layouts.py, which knows the layouts
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
    span: tuple[float, float] | None = None  # seconds of the audio file; None is all of it


class BadRow(NamedTuple):
    """A line that names no utterance."""

    place: str  # "file:number"
    found: str
    expected: str


class Found(NamedTuple):
    """What the lists or folders of a layout name."""

    sources: list[Source]
    bad_rows: list[BadRow]
    notes: tuple[str, ...] = ()  # what was decided, and what was seen and left out


class Scan(NamedTuple):
    """A corpus with all that is bad in its lists."""

    layout: str  # its name; "filelist" if a file was given
    sources: list[Source]
    bad_rows: list[BadRow]
    has_texts: bool  # a folder of audio alone has none
    hint: str = ""  # where texts may be, if there are none
    notes: tuple[str, ...] = ()  # what was decided, and what was seen and left out
    unlisted: tuple[str, ...] = ()  # audio files of the folder that no line of its list names

    @property
    def no_text(self) -> str:
        """What is to be said of a corpus without a single text."""
        count = len(self.sources)
        none = "the only file has no text" if count == 1 else f"none of {count} files has a text"
        return none + (self.hint and f"; {self.hint}")


def counted(number: int, what: str) -> str:
    """A number with what is counted: 1 file, 2 files."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def or_all_faults(scan: Scan) -> list[Source]:
    """The utterances of a corpus in which nothing is bad.

    Raises:
        FilelistError: its lists have bad lines.
        ValueError: it has no texts.
    """
    if scan.bad_rows:
        raise FilelistError([f"{row.place}: found {row.found}; expected {row.expected}" for row in scan.bad_rows])
    if not scan.has_texts:
        raise ValueError(f"{scan.no_text}; expected metadata.csv with a line audio|text for each, or NAME.txt or "
                         "NAME.lab beside each NAME.wav")
    return scan.sources


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
