"""The training dataset: utterances of a filelist, checked and loaded, and their collation into batches.

    dataset = open_corpus(config.data.training_files, config, TextProcessor.from_config(config.data))
    batches = LengthBatchSampler(dataset.lengths, Batching.from_config(config), rank, world_size, dataset.speaker_ids)
    batches = RestartingLoader(lambda step: DataLoader(
        dataset, batch_sampler=StepSampler(batches, step), num_workers=config.train.num_workers,
        collate_fn=Collate(config.train.segment_size, config.data.hop_length)), first_step)

Shapes: M lines of a filelist, N utterances, B batch, L text tokens, S samples.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from audio.io import AudioError, WavInfo, read_wav, wav_info
from config import Config, DataConfig
from corpora.columns import AudioIndex, Entries, Ragged, index_path, read_index
from corpora.filelists import FilelistError, filelist_rows, found_path, speaker_id
from text import RARE, TextProcessor, rare_symbols

logger = logging.getLogger("vits")

_SPOT_CHECKS = 64  # audio files that are measured in spite of an index
_MEASURED = 1 << 14  # audio files in the queue of the threads
_UNREADABLE = 0  # Hz, for audio that has a fault already
_MOST_TRIES = 100  # utterances that are tried in place of an unreadable batch


class Utterance(NamedTuple):
    """A training example: text ids, waveform and speaker of one line of a filelist."""

    name: str  # its audio file
    text_ids: Tensor  # [L] int64
    wav: Tensor  # [S] float32
    speaker_id: int | None


class Fault(NamedTuple):
    """An utterance that could not be read during training."""

    name: str  # its audio file
    reason: str


class Batch(NamedTuple):
    """Utterances padded with zeros to common lengths."""

    names: list[str]
    text_ids: Tensor  # [B, L] int64
    text_lengths: Tensor  # [B] int64
    wav: Tensor  # [B, S] float32
    wav_lengths: Tensor  # [B] int64, samples before padding
    speaker_ids: Tensor | None  # [B] int64; None for one voice
    faults: Sequence[Fault] = ()  # those left out; a tuple, of which pinning makes a list

    def to(self, device: torch.device | str) -> Batch:
        """A copy on `device`; does not wait if the tensors lie in pinned memory."""
        return Batch(*(value.to(device, non_blocking=True) if isinstance(value, Tensor) else value for value in self))


class UtteranceDataset(Dataset[Utterance]):
    """The utterances of a corpus that can be trained on; built by `open_corpus`.

    Attributes:
        entries: [N] paths, text ids, speakers and lengths.
        lengths: [N] int64, frames, rounded up.
        speaker_ids: [N] int64; None for one voice.
        left_out: reason -> "filelist:line" of each utterance left out.
    """

    def __init__(self, entries: Entries, data: DataConfig, left_out: dict[str, list[str]]):
        self.entries = entries
        self.lengths = -(-entries.samples // data.hop_length)
        self.speaker_ids = entries.speaker_ids
        self.left_out = left_out
        self._data = data

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Utterance:
        entry, data = self.entries[index], self._data
        found = read_wav(entry.wav_path)
        if found.sampling_rate != data.sampling_rate:
            raise AudioError(f"{entry.wav_path} is {found.sampling_rate} Hz, it was {data.sampling_rate} Hz when the "
                             "corpus was opened; start again")
        samples = found.samples[:int(data.max_wav_seconds * data.sampling_rate)]
        # Only a file changed since opening is shorter than its text has ids; even then there is a frame for each.
        missing = max(0, len(entry.text_ids) * data.hop_length - len(samples))
        return Utterance(name=entry.wav_path, text_ids=torch.from_numpy(entry.text_ids.astype(np.int64)),
                         wav=torch.from_numpy(np.pad(samples, (0, missing)) if missing else samples),
                         speaker_id=entry.speaker_id)

    def __getitems__(self, indices: Sequence[int]) -> list[Utterance | Fault]:
        """The utterances of a batch, called by DataLoader; an unreadable one becomes a Fault.

        If none can be read, the utterances that follow in the corpus are tried, and the first readable one is added.

        Raises:
            AudioError: a hundred more cannot be read either.
        """
        items = [self._read(index) for index in indices]
        following = indices[-1]
        while all(isinstance(item, Fault) for item in items):
            if len(items) >= len(indices) + _MOST_TRIES:
                raise AudioError(f"{len(items)} utterances in a row cannot be read; the first: {items[0].name}: "
                                 f"{items[0].reason}; check that the disk is mounted")
            following = (following + 1) % len(self)
            items.append(self._read(following))
        return items

    def _read(self, index: int) -> Utterance | Fault:
        name = self.entries.wav_path(index)
        try:
            return self[index]
        except (AudioError, OSError) as error:  # damaged, missing, changed; or a temporary failure of disk or network
            return Fault(name, str(error).removeprefix(f"{name} "))


def open_corpus(filelist_path: str | os.PathLike, config: Config, text: TextProcessor) -> UtteranceDataset:
    """Read a filelist, check every line and audio file, and keep the utterances that can be trained on.

    Errors (unknown symbol, unknown speaker, unreadable audio, wrong sampling rate) are raised all at once. Utterances
    that do not fit (too long, too short, fewer frames than symbols) are left out and reported. Audio that preprocess.py
    measured for this filelist is not measured again, except for a few spot checks.

    Raises:
        FileNotFoundError: there is no such filelist.
        FilelistError: naming every faulty line.
        ValueError: nothing is left, with how many each filter removed.
    """
    data, folder = config.data, os.path.dirname(filelist_path)
    faults: list[tuple[int, str]] = []  # (row, reason)
    columns = _read_columns(filelist_path, config, text, faults)
    audio = _indexed(filelist_path, columns.wav_paths)
    if audio is None:
        audio = _measure(columns.wav_paths, folder, data, faults)
    for row in np.flatnonzero((audio.sampling_rates != data.sampling_rate) & (audio.sampling_rates != _UNREADABLE)):
        faults.append((int(row), f"{found_path(columns.wav_paths.text(row), folder)} is {audio.sampling_rates[row]} "
                       f"Hz, data.sampling_rate is {data.sampling_rate} Hz; run `preprocess.py filelist` to resample, "
                       "or change data.sampling_rate"))
    if faults:
        raise FilelistError([f"{filelist_path}:{columns.numbers[row]}: {reason}" for row, reason in sorted(faults)])

    misfits = _misfits(columns.symbols.row_lengths, audio.samples, data)
    left_out = {reason: [f"{filelist_path}:{number}" for number in columns.numbers[rows]]
                for reason, rows in misfits.items()}
    kept = np.delete(np.arange(len(columns.numbers)), np.concatenate([*misfits.values(), np.empty(0, np.int64)]))
    if len(kept) == 0:
        removed = "; ".join(f"{len(sources)} {reason}" for reason, sources in left_out.items())
        raise ValueError(f"{filelist_path}: no utterance is left of {len(columns.numbers)}: {removed}")
    _report(filelist_path, audio.samples[kept], left_out, config)
    if os.fspath(filelist_path) == data.training_files:
        _report_rare(filelist_path, columns.symbols, text)
    speaker_ids = columns.speaker_ids[kept] if config.multispeaker else None
    return UtteranceDataset(Entries(columns.wav_paths, columns.symbols, kept, audio.samples[kept], speaker_ids,
                                    folder, text.add_special_ids), data, left_out)


@dataclass(frozen=True)
class Collate:
    """The `collate_fn` of the DataLoader: utterances to a Batch; at least one of them is no Fault."""

    minimum_samples: int  # every wav is padded to this, so that a training segment fits
    hop_length: int  # samples; every wav is padded to a whole number of frames

    def __call__(self, items: Sequence[Utterance | Fault]) -> Batch:
        utterances = [item for item in items if isinstance(item, Utterance)]
        text_lengths = torch.tensor([len(utterance.text_ids) for utterance in utterances])
        wav_lengths = torch.tensor([len(utterance.wav) for utterance in utterances])
        longest = max(self.minimum_samples, int(wav_lengths.max()))
        text_ids = torch.zeros(len(utterances), int(text_lengths.max()), dtype=torch.int64)
        wav = _zeros(len(utterances), -(-longest // self.hop_length) * self.hop_length)
        for row, utterance in enumerate(utterances):
            text_ids[row, :len(utterance.text_ids)] = utterance.text_ids
            wav[row, :len(utterance.wav)] = utterance.wav
        ids = [utterance.speaker_id for utterance in utterances]
        return Batch(names=[utterance.name for utterance in utterances], text_ids=text_ids, text_lengths=text_lengths,
                     wav=wav, wav_lengths=wav_lengths, speaker_ids=None if None in ids else torch.tensor(ids),
                     faults=tuple(item for item in items if isinstance(item, Fault)))


def _zeros(rows: int, columns: int) -> Tensor:
    """Float zeros [rows, columns]; in a worker process in shared memory, which saves a copy."""
    if get_worker_info() is None:
        return torch.zeros(rows, columns)
    memory = torch.UntypedStorage._new_shared(4 * rows * columns)  # new pages hold zeros; as torch's default_collate
    return torch.empty(0).set_(memory, 0, (rows, columns))


def report_faults(batch: Batch, seen: set[str]) -> None:
    """Warn of each file that was left out, once: `seen` collects their names."""
    for fault in batch.faults:
        if fault.name not in seen:
            seen.add(fault.name)
            logger.warning("%s: %s; left out, training goes on", fault.name, fault.reason)


class _Columns(NamedTuple):
    """The M rows of a filelist as columns."""

    numbers: np.ndarray  # [M] int64, line numbers
    wav_paths: Ragged  # [M]
    symbols: Ragged  # [M] ids without blanks
    speaker_ids: np.ndarray  # [M] int64; unused for one voice


def _read_columns(filelist_path: str | os.PathLike, config: Config, text: TextProcessor,
                  faults: list[tuple[int, str]]) -> _Columns:
    data = config.data
    wav_paths, symbols = Ragged(np.uint8), Ragged(text.symbols.dtype)
    numbers, speaker_ids = [], []
    for rows in filelist_rows(filelist_path, config.multispeaker):
        first = len(wav_paths)
        cleaned, damaged = (rows.texts, {}) if data.cleaned_text else text.clean_each(rows.texts)
        encoded = text.encode_all(cleaned)
        faults += [(first + place, damaged.get(place) or str(error)) for place, error in encoded.faults]
        symbols.extend(encoded.ids, encoded.lengths)
        wav_paths.extend_texts(rows.wav_paths)
        numbers.append(np.array(rows.numbers, dtype=np.int64))
        speaker_ids.append(_speaker_ids(rows.speakers, first, data, faults))
    return _Columns(np.concatenate(numbers), wav_paths, symbols, np.concatenate(speaker_ids))


def _speaker_ids(speakers: list[str], first: int, data: DataConfig, faults: list[tuple[int, str]]) -> np.ndarray:
    """Ids [rows] of the speakers; `first` is the number of the first row, for faults."""
    known: dict[str, int] = {}
    for speaker in set(speakers):
        try:
            known[speaker] = speaker_id(speaker, data.speakers, data.n_speakers)
        except ValueError as error:
            known[speaker] = -1
            faults += [(first + row, str(error)) for row, name in enumerate(speakers) if name == speaker]
    return np.fromiter((known[speaker] for speaker in speakers), np.int64, len(speakers))


def _indexed(filelist_path: str | os.PathLike, wav_paths: Ragged) -> AudioIndex | None:
    """The index of preprocess.py, if it belongs to this filelist and spot checks of the audio agree; else None."""
    index = read_index(filelist_path, len(wav_paths))
    if index is None:
        if index_path(filelist_path).exists():
            logger.info("%s: has changed since its audio was measured; measuring %d files again", filelist_path,
                        len(wav_paths))
        return None
    folder = os.path.dirname(filelist_path)
    for row in np.unique(np.linspace(0, len(wav_paths) - 1, _SPOT_CHECKS).astype(np.int64)):
        path = found_path(wav_paths.text(row), folder)
        try:
            fits = wav_info(path) == (index.samples[row], index.sampling_rates[row])
        except AudioError:
            fits = False
        if not fits:
            logger.info("%s: %s has changed since the audio was measured; measuring %d files again", filelist_path,
                        path, len(wav_paths))
            return None
    return index


def _measure(wav_paths: Ragged, folder: str, data: DataConfig, faults: list[tuple[int, str]]) -> AudioIndex:
    """Measure lengths and rates of the audio with threads, since most of the time is disk access and decoding."""
    def measure(row: int) -> WavInfo:
        try:
            return wav_info(found_path(wav_paths.text(row), folder), data.max_wav_seconds)
        except AudioError as error:
            faults.append((row, str(error)))
            return WavInfo(0, _UNREADABLE)

    samples, rates = np.empty(len(wav_paths), np.int64), np.empty(len(wav_paths), np.int32)
    with ThreadPoolExecutor() as pool:
        for first in range(0, len(wav_paths), _MEASURED):  # a pool has an object for each queued file
            rows = range(first, min(first + _MEASURED, len(wav_paths)))
            infos = list(pool.map(measure, rows))
            samples[rows.start:rows.stop] = [info.samples for info in infos]
            rates[rows.start:rows.stop] = [info.sampling_rate for info in infos]
    return AudioIndex(samples, rates)


def _misfits(symbols: np.ndarray, samples: np.ndarray, data: DataConfig) -> dict[str, np.ndarray]:
    """Reason -> rows that are left out, each under the first reason that holds; sorted by the first row.

    Args:
        symbols: [M] in each text.
        samples: [M] of the audio.
    """
    frames = samples // data.hop_length
    n_ids = (2 * symbols + 1 if data.add_blank else symbols) + (0 if data.begin_end is None else 2)
    tests = {
        f"have a text below data.min_text_len {data.min_text_len}": symbols < max(1, data.min_text_len),
        f"have a text above data.max_text_len {data.max_text_len}": symbols > data.max_text_len,
        f"are longer than data.max_wav_seconds {data.max_wav_seconds:g}":
            samples > data.max_wav_seconds * data.sampling_rate,
        f"are shorter than one frame, data.hop_length {data.hop_length}": frames < 1,
        "have fewer frames than symbols (blanks included), so no alignment exists": frames < n_ids}
    fits, found = np.ones(len(symbols), dtype=bool), {}
    for reason, is_odd in tests.items():
        rows = np.flatnonzero(is_odd & fits)
        fits[rows] = False
        if len(rows):
            found[reason] = rows
    return dict(sorted(found.items(), key=lambda item: item[1][0]))


def _report_rare(filelist_path: str | os.PathLike, symbols: Ragged, text: TextProcessor) -> None:
    """Log the symbols that training sees too seldom to learn them."""
    if rare := rare_symbols(dict(zip(text.symbols.symbols, symbols.counts(len(text.symbols)).tolist()))):
        logger.info("%s: symbols that occur fewer than %d times, and will sound badly: %s", filelist_path, RARE, rare)


def _report(filelist_path: str | os.PathLike, samples: np.ndarray, left_out: dict[str, list[str]],
            config: Config) -> None:
    seconds = int(samples.sum()) / config.data.sampling_rate
    logger.info("%s: %d utterances, %.1f minutes", filelist_path, len(samples), seconds / 60)
    for reason, sources in left_out.items():
        examples = ", ".join(sources[:3]) + (", ..." if len(sources) > 3 else "")
        logger.info("%s: left out %d that %s: %s", filelist_path, len(sources), reason, examples)
    short = int(np.count_nonzero(samples < config.train.segment_size))
    if short:
        logger.info("%s: %d utterances are shorter than train.segment_size %d samples and are padded with silence",
                    filelist_path, short, config.train.segment_size)
