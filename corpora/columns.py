"""Columns of a corpus in arrays: paths, symbols and audio lengths of ten million utterances without an object for each.

    write_index("train.txt", AudioIndex(samples, sampling_rates))       # preprocess.py, which has measured the audio
    index = read_index("train.txt", len(lines))                         # None where it is missing or of another list

Shapes: M lines of a filelist, N of them that are trained on, L text tokens.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from corpora.filelists import FilelistError, found_path
from utils import write_atomic


class Ragged:
    """Rows of unequal length in one array: 8 bytes a row beyond the data, and no object for any row.

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
        """A row of UTF-8 bytes as text."""
        return self[row].tobytes().decode()

    @property
    def row_lengths(self) -> np.ndarray:
        """[M] elements of each row."""
        return np.diff(self._ends, prepend=0)

    @property
    def nbytes(self) -> int:
        """Bytes of the data."""
        return self._flat.nbytes

    def counts(self, n_values: int) -> np.ndarray:
        """[n_values] how often each of the whole numbers below it occurs."""
        found = np.zeros(n_values, np.int64)
        for start in range(0, len(self._flat), 2**20):  # a block at a time, for bincount makes eight bytes of each
            found += np.bincount(self._flat[start:start + 2**20], minlength=n_values)
        return found

    def extend(self, flat: np.ndarray, row_lengths: np.ndarray) -> None:
        """Append rows that are concatenated in `flat`; rows returned earlier become invalid."""
        elements, rows = len(self._flat), len(self._ends)
        # Grown in place: with a list of pieces the whole text would lie in memory twice when they are joined.
        self._flat.resize(elements + len(flat), refcheck=False)
        self._flat[elements:] = flat
        self._ends.resize(rows + len(row_lengths), refcheck=False)
        self._ends[rows:] = elements + np.cumsum(row_lengths)

    def extend_texts(self, texts: Sequence[str]) -> None:
        """Append texts as UTF-8 bytes."""
        encoded = [text.encode() for text in texts]
        self.extend(np.frombuffer(b"".join(encoded), np.uint8), np.fromiter(map(len, encoded), np.int64, len(encoded)))


class Entry(NamedTuple):
    """One utterance of a corpus whose audio is not loaded."""

    wav_path: str
    text_ids: np.ndarray  # [L] int32
    speaker_id: int | None
    samples: int


class Entries(Sequence[Entry]):
    """The utterances of a corpus that are trained on, stored as columns; an Entry is made on access.

    Args:
        wav_paths: [M] UTF-8, as the filelist has them.
        symbols: [M] ids without blanks.
        rows: [N] which of them.
        samples: [N] of the audio.
        speaker_ids: [N]; None for one voice.
        folder: of the filelist, where relative paths may start.
        add_special_ids: adds blanks, begin and end to the symbols' ids; see `TextProcessor.add_special_ids`.
    """

    def __init__(self, wav_paths: Ragged, symbols: Ragged, rows: np.ndarray, samples: np.ndarray,
                 speaker_ids: np.ndarray | None, folder: str, add_special_ids: Callable[[Sequence[int]], list[int]]):
        self.samples = samples
        self.speaker_ids = speaker_ids
        self._wav_paths = wav_paths
        self._symbols = symbols
        self._rows = rows
        self._folder = folder
        self._add_special_ids = add_special_ids

    def __len__(self) -> int:
        return len(self._rows)

    def symbol_counts(self, n_symbols: int) -> np.ndarray:
        """[n_symbols] how often each row of the table occurs in all lines, also those that are not trained on."""
        return self._symbols.counts(n_symbols)

    def __getitem__(self, index: int) -> Entry:
        row = int(self._rows[index])
        text_ids = np.array(self._add_special_ids(self._symbols[row].tolist()), np.int32)
        return Entry(self.wav_path(index), text_ids,
                     None if self.speaker_ids is None else int(self.speaker_ids[index]), int(self.samples[index]))

    @property
    def text_bytes(self) -> int:
        """Bytes of the paths and the encoded texts."""
        return self._wav_paths.nbytes + self._symbols.nbytes

    def wav_path(self, index: int) -> str:
        """Path of the audio of one utterance."""
        return found_path(self._wav_paths.text(self._rows[index]), self._folder)


class AudioIndex(NamedTuple):
    """Lengths and rates of the audio of a filelist."""

    samples: np.ndarray  # [M] int64, per channel
    sampling_rates: np.ndarray  # [M] int32, Hz


def index_path(filelist_path: str | os.PathLike) -> Path:
    """Path of the AudioIndex of a filelist, beside it."""
    return Path(f"{os.fspath(filelist_path)}.index")


def write_index(filelist_path: str | os.PathLike, index: AudioIndex) -> None:
    """Store the AudioIndex of a filelist for `open_corpus`; it is valid until the filelist changes."""
    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:  # savez would give a path another ending
            np.savez(file, digest=_digest(filelist_path), samples=np.asarray(index.samples, np.int64),
                     sampling_rates=np.asarray(index.sampling_rates, np.int32))

    write_atomic(index_path(filelist_path), write)


def read_index(filelist_path: str | os.PathLike, rows: int) -> AudioIndex | None:
    """The AudioIndex of a filelist; None if there is none, or the filelist has changed since.

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
