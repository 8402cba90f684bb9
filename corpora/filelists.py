"""Filelists: reading "path|text" and "path|speaker|text" lines, and the ids of their speakers.

    lines = read_filelist("train.txt", multispeaker=False)
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from config import Config, replace

_SHOWN_FAULTS = 20
_BLOCK = 1 << 20  # bytes whose lines are Python objects at the same time


class FilelistError(ValueError):
    """All faults of a filelist, each as "file:line: reason"; its text has the first of them and their number."""

    def __init__(self, faults: Sequence[str]):
        super().__init__(faults)
        self.faults = list(faults)

    def __str__(self) -> str:
        shown = self.faults[:_SHOWN_FAULTS]
        if len(self.faults) > len(shown):
            shown.append(f"... and {len(self.faults) - len(shown)} more, {len(self.faults)} in all")
        return "\n".join(shown)


class Line(NamedTuple):
    """One line of a filelist."""

    wav_path: str
    speaker: str | None  # None in a list of one voice
    text: str
    source: str  # "file:number", for messages


class Rows(NamedTuple):
    """Consecutive lines of a filelist as columns."""

    numbers: Sequence[int]  # from 1
    wav_paths: list[str]
    speakers: list[str]  # empty for one voice
    texts: list[str]


def numbered_rows(path: str | os.PathLike) -> Iterator[tuple[str, str]]:
    """Yield ("file:number", row) of each row of a UTF-8 text file that is not blank, stripped.

    Raises:
        FileNotFoundError: there is no such file.
        FilelistError: it is not UTF-8, with the first line at fault.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no text file {path}; a relative path starts at the folder that you run in")
    for first, block in _blocks(path):
        # splitlines() would also split at other Unicode line breaks inside a text
        for number, row in enumerate(block.split("\n"), start=first):
            if row.strip():
                yield f"{path}:{number}", row.strip()


def filelist_rows(path: str | os.PathLike, multispeaker: bool) -> Iterator[Rows]:
    """Read "path|text" lines, or "path|speaker|text" if `multispeaker`, some thousands at a time.

    After a bad line no more rows are yielded; the error follows at the end.

    Raises:
        FileNotFoundError: there is no such file.
        FilelistError: naming every bad line.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no filelist {path}; preprocess.py makes them, data.training_files and "
                                "data.validation_files name them")
    layout = ("path", "speaker", "text") if multispeaker else ("path", "text")
    faults: list[str] = []
    is_empty = True
    for first, block in _blocks(path):
        rows = _regular_rows(first, block, len(layout))
        if rows is None:
            rows = _checked_rows(first, block, layout, path, faults)
        is_empty = is_empty and not rows.texts and not faults
        if rows.texts and not faults:
            yield rows
    if is_empty:
        faults.append(f"{path} holds no lines; expected {'|'.join(layout)}")
    if faults:
        raise FilelistError(faults)


def read_filelist(path: str | os.PathLike, multispeaker: bool) -> list[Line]:
    """Read "path|text" lines, or "path|speaker|text" if `multispeaker`.

    A relative path starts at the working directory, as published, or, if nothing is there, at the filelist's folder.

    Raises:
        FileNotFoundError: there is no such file.
        FilelistError: naming every bad line.
    """
    folder = os.path.dirname(path)
    return [Line(found_path(wav_path, folder), speaker, text, f"{path}:{number}")
            for rows in filelist_rows(path, multispeaker)
            for number, wav_path, speaker, text in zip(
                rows.numbers, rows.wav_paths, rows.speakers or [None] * len(rows.texts), rows.texts)]


def found_path(wav_path: str, folder: str) -> str:
    """A path of a filelist as written, or relative to the filelist's folder if it exists only there."""
    if os.path.isabs(wav_path) or os.path.lexists(wav_path):
        return wav_path
    beside = os.path.join(folder, wav_path)
    return beside if os.path.lexists(beside) else wav_path


def speaker_id(speaker: str, names: Sequence[str], n_speakers: int) -> int:
    """The id of a speaker: its index in `names`, or, if `names` is empty, the number itself.

    Raises:
        ValueError: an unknown name, with the known ones, or an id out of range.
    """
    if names:
        if speaker not in names:
            raise ValueError(f"unknown speaker {speaker!r}; data.speakers has {', '.join(names)}")
        return list(names).index(speaker)
    if not _is_id(speaker):
        raise ValueError(f"speaker {speaker!r} is a name and data.speakers is empty; expected an id below "
                         f"data.n_speakers {n_speakers}")
    if int(speaker) >= n_speakers:
        raise ValueError(f"speaker {speaker} is out of range; data.n_speakers is {n_speakers}, "
                         f"so ids go from 0 to {n_speakers - 1}")
    return int(speaker)


def fill_speakers(config: Config) -> Config:
    """The configuration with `data.speakers` from its filelists, if those have speakers' names."""
    if not config.multispeaker or config.data.speakers:
        return config
    filelists = [path for path in (config.data.training_files, config.data.validation_files) if path]
    names = _names_only(name for path in filelists for rows in filelist_rows(path, multispeaker=True)
                        for name in rows.speakers)
    return replace(config, "data", {"speakers": names})


def _blocks(path: str | os.PathLike) -> Iterator[tuple[int, str]]:
    """Yield a UTF-8 file as blocks of whole lines, each with the number of its first line."""
    number = 1
    with open(path, "rb") as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        while content := file.read(_BLOCK) + file.readline():
            try:
                block = content.decode()
            except UnicodeDecodeError as error:
                number += content.count(b"\n", 0, error.start)
                raise FilelistError([f"{path}:{number}: byte {content[error.start]:#04x} is not UTF-8; "
                                     "save the file as UTF-8"]) from None
            yield number, block
            number += block.count("\n")


def _regular_rows(first: int, block: str, width: int) -> Rows | None:
    """The rows of a block, or None if it has blank or bad lines; several times faster than line by line."""
    if "\0" in block:
        return None
    pieces = (block.removesuffix("\n") + "\n").replace("\n", "|\n|").split("|")[:-1]
    ends = pieces[width::width + 1]  # line ends, if each line has the right number of columns
    if len(pieces) != len(ends) * (width + 1) or ends.count("\n") != len(ends):
        return None
    columns = [list(map(str.strip, pieces[place::width + 1])) for place in range(width)]
    if not all(map(all, columns)):
        return None
    return Rows(range(first, first + len(ends)), columns[0], columns[1] if width == 3 else [], columns[-1])


def _checked_rows(first: int, block: str, layout: tuple[str, ...], path: str | os.PathLike, faults: list[str]) -> Rows:
    """The valid rows of a block; bad lines go to `faults`."""
    rows = Rows([], [], [], [])
    for number, row in enumerate(block.split("\n"), start=first):
        columns = [column.strip() for column in row.split("|")]
        if columns == [""]:
            continue
        if len(columns) != len(layout) or not all(columns) or "\0" in columns[0]:
            faults.append(f"{path}:{number}: {_row_fault(columns, layout)}")
            continue
        rows.numbers.append(number)
        rows.wav_paths.append(columns[0])
        rows.speakers.extend(columns[1:-1])
        rows.texts.append(columns[-1])
    return rows


def _row_fault(columns: list[str], layout: tuple[str, ...]) -> str:
    if len(columns) != len(layout):
        hint = {(3, 2): "; if the second is a speaker, set data.n_speakers",
                (2, 3): "; for a list of one voice set data.n_speakers to 0"}.get((len(columns), len(layout)), "")
        return (f"found {len(columns)} columns, expected {len(layout)} ({'|'.join(layout)}); a '|' inside a name or "
                f"a text counts as a separator{hint}")
    empty = [name for name, column in zip(layout, columns) if not column]
    return f"the {' and the '.join(empty)} is empty" if empty else "the path holds a zero byte"


def _names_only(speakers: Iterable[str]) -> tuple[str, ...]:
    """The names, sorted; empty if all are whole numbers, which are ids already."""
    names = set(speakers)
    return () if all(_is_id(name) for name in names) else tuple(sorted(names))


def _is_id(speaker: str) -> bool:
    return speaker.isascii() and speaker.isdecimal()
