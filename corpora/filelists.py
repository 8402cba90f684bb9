"""A corpus as its filelist names it: lines, speakers, and columns of numbers that hold ten million of them.

    lines = read_filelist("train.txt", multispeaker=False)
    write_index("train.txt", AudioIndex(samples, sampling_rates))       # preprocess.py, which has measured the audio
    index = read_index("train.txt", len(lines))                         # None where it is missing or of another list

Shapes: M lines of a filelist, N of them that are trained on, L text tokens.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from config import Config, replace
from utils import write_atomic

_SHOWN_FAULTS = 20
_BLOCK = 1 << 20  # bytes whose lines are Python objects at the same time


class FilelistError(ValueError):
    """All faults of a filelist, each as "file:line: reason"; printing shows the first of them and their number."""

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
    """Some lines of a filelist, column by column, as they are written."""

    numbers: Sequence[int]  # from 1
    wav_paths: list[str]
    speakers: list[str]  # empty for one voice
    texts: list[str]


def numbered_rows(path: str | os.PathLike) -> Iterator[tuple[str, str]]:
    """Each row of a UTF-8 text file that is not blank, stripped, with its place "file:number".

    Raises:
        FileNotFoundError: there is no such file.
        FilelistError: it is not UTF-8, with the first line at fault.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no text file {path}; a relative path starts at the folder that you run in")
    for first, block in _blocks(path):
        # splitlines() would also cut at rarer marks inside a text
        for number, row in enumerate(block.split("\n"), start=first):
            if row.strip():
                yield f"{path}:{number}", row.strip()


def filelist_rows(path: str | os.PathLike, multispeaker: bool) -> Iterator[Rows]:
    """Read "path|text" lines, or "path|speaker|text" if `multispeaker`, some thousands at a time.

    After a bad line no more come, only an error in the end.

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
    """A path of a filelist as it is, or, if nothing is there but in the filelist's folder, from that folder."""
    if os.path.isabs(wav_path) or os.path.lexists(wav_path):
        return wav_path
    beside = os.path.join(folder, wav_path)
    return beside if os.path.lexists(beside) else wav_path


def speaker_names(lines: Sequence[Line]) -> tuple[str, ...]:
    """The names that the lines give their speakers, sorted; none if all are whole numbers, which are ids already."""
    return _names_only(line.speaker for line in lines if line.speaker is not None)


def speaker_id(speaker: str, names: Sequence[str], n_speakers: int) -> int:
    """The id of a speaker: its place among `names`, or, where there are none, the number that it is.

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
    """The configuration with `data.speakers` filled in from its filelists, if they name speakers."""
    if not config.multispeaker or config.data.speakers:
        return config
    filelists = [path for path in (config.data.training_files, config.data.validation_files) if path]
    names = _names_only(name for path in filelists for rows in filelist_rows(path, multispeaker=True)
                        for name in rows.speakers)
    return replace(config, "data", {"speakers": names})


class Ragged:
    """Rows of unequal length in one array: 8 bytes a row beyond what they hold, and no object for any of them.

    Args:
        dtype: of the elements.
    """

    def __init__(self, dtype: np.dtype | type):
        self._flat = np.empty(0, dtype)
        self._ends = np.empty(0, np.int64)  # [M] of each row in `_flat`

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, row: int) -> np.ndarray:
        return self._flat[self._ends[row - 1] if row else 0:self._ends[row]]

    def text(self, row: int) -> str:
        """A row of bytes as the text that it was."""
        return self[row].tobytes().decode()

    @property
    def row_lengths(self) -> np.ndarray:
        """[M] elements of each row."""
        return np.diff(self._ends, prepend=0)

    @property
    def nbytes(self) -> int:
        """What the rows hold."""
        return self._flat.nbytes

    def extend(self, flat: np.ndarray, row_lengths: np.ndarray) -> None:
        """Append rows that lie behind each other in `flat`. What was asked for before is invalid then."""
        elements, rows = len(self._flat), len(self._ends)
        # Grown in place: with a list of pieces the whole text would lie in memory twice when they are joined.
        self._flat.resize(elements + len(flat), refcheck=False)
        self._flat[elements:] = flat
        self._ends.resize(rows + len(row_lengths), refcheck=False)
        self._ends[rows:] = elements + np.cumsum(row_lengths)

    def extend_texts(self, texts: Sequence[str]) -> None:
        """Append texts as the bytes of their UTF-8."""
        encoded = [text.encode() for text in texts]
        self.extend(np.frombuffer(b"".join(encoded), np.uint8), np.fromiter(map(len, encoded), np.int64, len(encoded)))


class Entry(NamedTuple):
    """One utterance of a corpus, its audio still on the disk."""

    wav_path: str
    text_ids: np.ndarray  # [L] int32
    speaker_id: int | None
    samples: int


class Entries(Sequence[Entry]):
    """The utterances of a corpus that are trained on: columns, of which an Entry is made when it is asked for.

    Args:
        wav_paths: [M] UTF-8, as the filelist has them.
        symbols: [M] ids without blanks.
        rows: [N] which of them.
        samples: [N] of the audio.
        speaker_ids: [N]; None for one voice.
        folder: the filelist's, where paths are looked for too.
        spread: adds what the model reads beside the symbols' ids, such as blanks; see `TextProcessor.spread`.
    """

    def __init__(self, wav_paths: Ragged, symbols: Ragged, rows: np.ndarray, samples: np.ndarray,
                 speaker_ids: np.ndarray | None, folder: str, spread: Callable[[Sequence[int]], list[int]]):
        self.samples = samples
        self.speaker_ids = speaker_ids
        self._wav_paths = wav_paths
        self._symbols = symbols
        self._rows = rows
        self._folder = folder
        self._spread = spread

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Entry:
        row = int(self._rows[index])
        text_ids = np.array(self._spread(self._symbols[row].tolist()), np.int32)
        return Entry(self.wav_path(index), text_ids,
                     None if self.speaker_ids is None else int(self.speaker_ids[index]), int(self.samples[index]))

    @property
    def text_bytes(self) -> int:
        """Memory of the paths and the encoded texts themselves."""
        return self._wav_paths.nbytes + self._symbols.nbytes

    def wav_path(self, index: int) -> str:
        """Where the audio of one utterance lies."""
        return found_path(self._wav_paths.text(self._rows[index]), self._folder)


class AudioIndex(NamedTuple):
    """What is known of the audio of a filelist."""

    samples: np.ndarray  # [M] int64, per channel
    sampling_rates: np.ndarray  # [M] int32, Hz


def index_path(filelist_path: str | os.PathLike) -> Path:
    """Where the AudioIndex of a filelist lies: beside it."""
    return Path(f"{os.fspath(filelist_path)}.index")


def write_index(filelist_path: str | os.PathLike, index: AudioIndex) -> None:
    """Keep what was measured for `open_corpus`, as long as nobody changes the filelist."""
    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:  # savez would give a path another ending
            np.savez(file, digest=_digest(filelist_path), samples=np.asarray(index.samples, np.int64),
                     sampling_rates=np.asarray(index.sampling_rates, np.int32))

    write_atomic(index_path(filelist_path), write)


def read_index(filelist_path: str | os.PathLike, rows: int) -> AudioIndex | None:
    """What was measured when the filelist was prepared; None if nothing was, or if the filelist has changed since.

    Raises:
        FilelistError: the index is damaged.
    """
    place = index_path(filelist_path)
    if not place.is_file():
        return None
    try:
        with np.load(place, allow_pickle=False) as content:
            if not np.array_equal(content["digest"], _digest(filelist_path)):
                return None
            index = AudioIndex(content["samples"], content["sampling_rates"])
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise FilelistError([f"{place} is damaged ({error}); remove it, or run preprocess.py again"]) from None
    if len(index.samples) != rows or len(index.sampling_rates) != rows:
        raise FilelistError([f"{place} has {len(index.samples)} lengths and {len(index.sampling_rates)} rates for "
                             f"{rows} lines; remove it, or run preprocess.py again"])
    return index


def _digest(path: str | os.PathLike) -> np.ndarray:
    digest = hashlib.blake2b(digest_size=32)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return np.frombuffer(digest.digest(), np.uint8)


def _blocks(path: str | os.PathLike) -> Iterator[tuple[int, str]]:
    """A UTF-8 file in pieces of whole lines, each with the number of its first line."""
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
    """The rows of a block without blank lines and faults, or None: several times faster than line by line."""
    if "\0" in block:
        return None
    pieces = (block.removesuffix("\n") + "\n").replace("\n", "|\n|").split("|")[:-1]
    ends = pieces[width::width + 1]  # of lines, if each has as many columns as it should
    if len(pieces) != len(ends) * (width + 1) or ends.count("\n") != len(ends):
        return None
    columns = [list(map(str.strip, pieces[place::width + 1])) for place in range(width)]
    if not all(map(all, columns)):
        return None
    return Rows(range(first, first + len(ends)), columns[0], columns[1] if width == 3 else [], columns[-1])


def _checked_rows(first: int, block: str, layout: tuple[str, ...], path: str | os.PathLike, faults: list[str]) -> Rows:
    """The rows of any block, blank lines left out; what is wrong with others goes to `faults`."""
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
    names = set(speakers)
    return () if all(_is_id(name) for name in names) else tuple(sorted(names))


def _is_id(speaker: str) -> bool:
    return speaker.isascii() and speaker.isdecimal()
