"""From a line of a filelist to a batch: filelists, utterances, collation, and the loader that brings them.

    dataset = open_corpus(config.data.training_files, config, TextProcessor.from_config(config.data))
    batches = LengthBatchSampler(dataset.lengths, Batching.from_config(config), rank, world_size, dataset.speaker_ids)
    batches = RestartingLoader(lambda step: DataLoader(
        dataset, batch_sampler=StepSampler(batches, step), num_workers=config.train.num_workers,
        collate_fn=Collate(config.train.segment_size, config.data.hop_length)), first_step)

Shapes: N utterances, B batch, L text tokens, S samples.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from config import Config, DataConfig, replace
from text import TextProcessor
from utils import AudioError, WavInfo, read_wav, wav_info

logger = logging.getLogger("vits")

_SHOWN_FAULTS = 20
_MOST_TRIES = 100  # utterances that stand in for a batch of which none can be read
_MOST_DEATHS = 3  # of loader workers, without a batch in between
_PATIENCE = 10  # seconds for a loader to end in good order


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


class Utterance(NamedTuple):
    """What the model hears and reads of one line."""

    name: str  # its audio file
    text_ids: Tensor  # [L] int64
    wav: Tensor  # [S] float32
    speaker_id: int | None


class Fault(NamedTuple):
    """An utterance that could not be read when its turn came."""

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


def numbered_rows(path: str | os.PathLike) -> Iterator[tuple[str, str]]:
    """Each row of a UTF-8 text file that is not blank, stripped, with its place "file:number".

    Raises:
        FileNotFoundError: there is no such file.
        FilelistError: it is not UTF-8, with the first line at fault.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no text file {path}; a relative path starts at the folder that you run in")
    content = Path(path).read_bytes()
    try:
        rows = content.decode("utf-8-sig").split("\n")  # splitlines() would also cut at rarer marks inside a text
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise FilelistError([f"{path}:{number}: byte {content[error.start]:#04x} is not UTF-8; "
                             "save the file as UTF-8"]) from None
    for number, row in enumerate(rows, start=1):
        if row.strip():
            yield f"{path}:{number}", row.strip()


def read_filelist(path: str | os.PathLike, multispeaker: bool) -> list[Line]:
    """Read "path|text" lines, or "path|speaker|text" if `multispeaker`.

    A relative path starts at the working directory, as published, or, if nothing is there, at the filelist's folder.

    Raises:
        FileNotFoundError: there is no such file.
        FilelistError: naming every bad line.
    """
    layout = ("path", "speaker", "text") if multispeaker else ("path", "text")
    folder = Path(path).parent
    lines, faults = [], []
    if not Path(path).is_file():
        raise FileNotFoundError(f"no filelist {path}; preprocess.py makes them, data.training_files and "
                                "data.validation_files name them")
    for source, row in numbered_rows(path):
        columns = [column.strip() for column in row.split("|")]
        fault = _row_fault(columns, layout)
        if fault:
            faults.append(f"{source}: {fault}")
        else:
            lines.append(Line(_found_path(columns[0], folder), columns[1] if multispeaker else None,
                              columns[-1], source))
    if not lines and not faults:
        faults.append(f"{path} holds no lines; expected {'|'.join(layout)}")
    if faults:
        raise FilelistError(faults)
    return lines


def speaker_names(lines: Sequence[Line]) -> tuple[str, ...]:
    """The names that the lines give their speakers, sorted; none if all are whole numbers, which are ids already."""
    names = {line.speaker for line in lines if line.speaker is not None}
    return () if all(_is_id(name) for name in names) else tuple(sorted(names))


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
    names = speaker_names([line for path in filelists for line in read_filelist(path, multispeaker=True)])
    return replace(config, "data", {"speakers": names})


class Entry(NamedTuple):
    """One utterance of a corpus, its audio still on the disk."""

    wav_path: str
    text_ids: np.ndarray  # [L] int32: unlike tensors, many of them pass to worker processes
    speaker_id: int | None
    samples: int


class UtteranceDataset(Dataset[Utterance]):
    """The utterances of a corpus that can be trained on; built by `open_corpus`.

    Attributes:
        entries: [N] what is known of each.
        lengths: [N] int64, frames that each fills, the last perhaps in part.
        speaker_ids: [N] int64; None for one voice.
        left_out: reason -> places in the filelist.
    """

    def __init__(self, entries: Sequence[Entry], data: DataConfig, left_out: dict[str, list[str]]):
        self.entries = list(entries)
        self.lengths = np.array([-(-entry.samples // data.hop_length) for entry in entries], dtype=np.int64)
        speaker_ids = [entry.speaker_id for entry in entries]
        self.speaker_ids = None if None in speaker_ids else np.array(speaker_ids, dtype=np.int64)
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
                         wav=torch.from_numpy(np.pad(samples, (0, missing))), speaker_id=entry.speaker_id)

    def __getitems__(self, indices: Sequence[int]) -> list[Utterance | Fault]:
        """A batch, as a DataLoader asks for it: what cannot be read becomes a Fault, and at least one can.

        If none can, the utterances that follow in the corpus are tried, and the first that can stands in.

        Raises:
            AudioError: not one of very many can be read.
        """
        items = [self._read(index) for index in indices]
        following = indices[-1]
        while all(isinstance(item, Fault) for item in items):
            if len(items) >= len(indices) + _MOST_TRIES:
                raise AudioError(f"{len(items)} utterances in a row cannot be read; the first: {items[0].name}: "
                                 f"{items[0].reason}; is the disk still there?")
            following = (following + 1) % len(self)
            items.append(self._read(following))
        return items

    def _read(self, index: int) -> Utterance | Fault:
        name = self.entries[index].wav_path
        try:
            return self[index]
        except (AudioError, OSError) as error:  # damaged, gone, changed; or a disk or network that fails for a moment
            return Fault(name, str(error).removeprefix(f"{name} "))


def open_corpus(filelist_path: str | os.PathLike, config: Config, text: TextProcessor) -> UtteranceDataset:
    """Read a filelist, check every line and every audio file, and keep what can be trained on.

    Lines that break a rule (unknown symbol, unknown speaker, unreadable audio, wrong sampling rate) are raised all at
    once. Lines that merely do not fit (too long, too short, fewer frames than symbols) are left out and reported.

    Raises:
        FileNotFoundError: there is no such filelist.
        FilelistError: naming every faulty line.
        ValueError: nothing is left, with how many each filter removed.
    """
    data = config.data
    lines = read_filelist(filelist_path, config.multispeaker)
    texts = [line.text for line in lines]
    if not data.cleaned_text:
        texts = text.clean(texts)
    faults: list[tuple[int, str]] = []  # (line, reason)
    encoded = _encode(texts, text, faults)
    speaker_ids = _speaker_ids(lines, data, faults) if config.multispeaker else [None] * len(lines)
    infos = _measure(lines, data, faults)
    if faults:
        raise FilelistError([f"{lines[index].source}: {reason}" for index, reason in sorted(faults)])

    entries: list[Entry] = []
    left_out: dict[str, list[str]] = {}
    for line, text_ids, speaker, info in zip(lines, encoded, speaker_ids, infos):
        reason = _misfit(len(text_ids), info, data)
        if reason:
            left_out.setdefault(reason, []).append(line.source)
        else:
            entries.append(Entry(line.wav_path, text_ids, speaker, info.samples))
    if not entries:
        removed = "; ".join(f"{len(sources)} {reason}" for reason, sources in left_out.items())
        raise ValueError(f"{filelist_path}: no utterance is left of {len(lines)}: {removed}")
    _report(filelist_path, entries, left_out, config)
    return UtteranceDataset(entries, data, left_out)


@dataclass(frozen=True)
class Collate:
    """`collate_fn`: utterances to a Batch; at least one is no Fault."""

    minimum_samples: int  # every wav is padded to this, so that a training segment fits
    hop_length: int  # samples; every wav is padded to a whole number of frames

    def __call__(self, items: Sequence[Utterance | Fault]) -> Batch:
        utterances = [item for item in items if isinstance(item, Utterance)]
        text_lengths = torch.tensor([len(utterance.text_ids) for utterance in utterances])
        wav_lengths = torch.tensor([len(utterance.wav) for utterance in utterances])
        longest = max(self.minimum_samples, int(wav_lengths.max()))
        text_ids = torch.zeros(len(utterances), int(text_lengths.max()), dtype=torch.int64)
        wav = torch.zeros(len(utterances), -(-longest // self.hop_length) * self.hop_length)
        for row, utterance in enumerate(utterances):
            text_ids[row, :len(utterance.text_ids)] = utterance.text_ids
            wav[row, :len(utterance.wav)] = utterance.wav
        ids = [utterance.speaker_id for utterance in utterances]
        return Batch(names=[utterance.name for utterance in utterances], text_ids=text_ids, text_lengths=text_lengths,
                     wav=wav, wav_lengths=wav_lengths, speaker_ids=None if None in ids else torch.tensor(ids),
                     faults=tuple(item for item in items if isinstance(item, Fault)))


def report_faults(batch: Batch, seen: set[str]) -> None:
    """Warn of each file that was left out, unless `seen` has it, which then does."""
    for fault in batch.faults:
        if fault.name not in seen:
            seen.add(fault.name)
            logger.warning("%s: %s; left out, training goes on", fault.name, fault.reason)


class WorkersDied(RuntimeError):
    """The processes that read the data die again and again."""


class RestartingLoader:
    """The batches of an endless DataLoader, in the same order even if its worker processes die.

    When a worker was killed (by hand, for want of memory), others begin at the first batch that was not delivered yet,
    with a warning. What the dataset raises in a worker comes out as ever.

    Args:
        make_loader: the DataLoader whose first batch is that of the given step.
        first_step: where to begin.

    Raises:
        RuntimeError: workers die again and again, without a batch in between.
    """

    def __init__(self, make_loader: Callable[[int], DataLoader], first_step: int):
        self.make_loader = make_loader
        self.first_step = first_step

    def __iter__(self) -> Iterator[Batch]:
        step, deaths = self.first_step, 0
        while True:
            with contextlib.closing(_Crew(self.make_loader(step))) as crew:
                while (batch := crew.next_batch()) is not None:
                    yield batch
                    step, deaths = step + 1, 0
            deaths += 1
            if deaths == _MOST_DEATHS:
                raise WorkersDied(
                    f"{deaths} loader workers in a row died before batch {step} was ready; the last: {crew.death}. "
                    "SIGKILL means that the memory is full (see dmesg), SIGBUS that /dev/shm is (see df /dev/shm): "
                    "lower train.num_workers or the batch; with train.num_workers=0 an error shows itself")
            logger.warning("a loader worker died: %s; others begin at batch %d, nothing is lost", crew.death, step)


class _Crew:
    """One DataLoader's iterator and its worker processes."""

    def __init__(self, loader: DataLoader):
        others = set(multiprocessing.active_children())
        handler = _child_handler()
        self._batches = iter(loader)
        self._workers = [child for child in multiprocessing.active_children() if child not in others]
        self.death = ""  # what is known of it
        # A DataLoader makes the death of a worker an exception wherever the main thread happens to be, perhaps between
        # two parameters of an optimizer's step. It also looks for the dead while it waits, which is enough.
        if handler is not None:
            signal.signal(signal.SIGCHLD, handler)

    def next_batch(self) -> Batch | None:
        """The next batch, or None if a worker has died."""
        if not self._has_died():
            try:
                return next(self._batches)
            except Exception as error:  # one of the dataset's own says "Caught ... in DataLoader worker process"
                # Whom a worker that is just dying hands a tensor sees the connection break before the process is gone.
                if str(error).startswith("Caught") or not self._has_died(patience=5):
                    raise
        return None

    def _has_died(self, patience: float = 0) -> bool:
        """Whether a worker has, or does within some seconds."""
        ended = connection.wait([worker.sentinel for worker in self._workers], patience) if self._workers else []
        for worker in self._workers:
            if worker.sentinel in ended:
                worker.join()
                code = worker.exitcode
                reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
                self.death = f"process {worker.pid}, {reason}"
        return bool(ended)

    def close(self) -> None:
        """Leave no process behind."""
        if self._has_died():
            self._kill()
        # Ending a DataLoader takes locks that it shares with its workers. One that was killed while it held such a lock
        # holds it for ever, so the ending gets a thread of its own, and is left alone if it does not come back.
        batches = [self._batches]
        del self._batches
        ending = threading.Thread(target=batches.clear, daemon=True)
        ending.start()
        ending.join(_PATIENCE)
        self._kill()

    def _kill(self) -> None:
        for worker in self._workers:
            worker.kill()
            worker.join()


def _child_handler() -> Callable | int | None:
    """What SIGCHLD shall do in this process, which torch did not put there; None where only others may say."""
    if not hasattr(signal, "SIGCHLD") or threading.current_thread() is not threading.main_thread():
        return None
    handler = signal.getsignal(signal.SIGCHLD) or signal.SIG_DFL
    return signal.SIG_DFL if str(handler.__module__).startswith("torch.utils.data") else handler


def _row_fault(columns: list[str], layout: tuple[str, ...]) -> str | None:
    if len(columns) != len(layout):
        hint = {(3, 2): "; if the second is a speaker, set data.n_speakers",
                (2, 3): "; for a list of one voice set data.n_speakers to 0"}.get((len(columns), len(layout)), "")
        return (f"found {len(columns)} columns, expected {len(layout)} ({'|'.join(layout)}); a '|' inside a name or "
                f"a text counts as a separator{hint}")
    empty = [name for name, column in zip(layout, columns) if not column]
    if empty:
        return f"the {' and the '.join(empty)} is empty"
    return "the path holds a zero byte" if "\0" in columns[0] else None


def _found_path(wav_path: str, folder: Path) -> str:
    beside = folder / wav_path
    return str(beside) if not os.path.lexists(wav_path) and os.path.lexists(beside) else wav_path


def _is_id(speaker: str) -> bool:
    return speaker.isascii() and speaker.isdecimal()


def _encode(texts: list[str], text: TextProcessor, faults: list[tuple[int, str]]) -> list[np.ndarray]:
    encoded = []
    for index, cleaned in enumerate(texts):
        try:
            text_ids = text.encode(cleaned)
        except ValueError as error:  # unknown symbols, or nothing to encode
            text_ids = []
            faults.append((index, str(error)))
        encoded.append(np.array(text_ids, dtype=np.int32))
    return encoded


def _speaker_ids(lines: list[Line], data: DataConfig, faults: list[tuple[int, str]]) -> list[int]:
    ids = []
    for index, line in enumerate(lines):
        try:
            ids.append(speaker_id(line.speaker, data.speakers, data.n_speakers))
        except ValueError as error:
            ids.append(-1)
            faults.append((index, str(error)))
    return ids


def _measure(lines: list[Line], data: DataConfig, faults: list[tuple[int, str]]) -> list[WavInfo]:
    """Lengths of the audio, several files at a time: most of this waits for the disk, or decodes outside Python."""
    def measure(line: Line) -> WavInfo | AudioError:
        try:
            return wav_info(line.wav_path, data.max_wav_seconds)
        except AudioError as error:
            return error

    with ThreadPoolExecutor() as pool:
        infos = list(pool.map(measure, lines))
    for index, info in enumerate(infos):
        if isinstance(info, AudioError):
            faults.append((index, str(info)))
        elif info.sampling_rate != data.sampling_rate:
            faults.append((index, f"{lines[index].wav_path} is {info.sampling_rate} Hz, data.sampling_rate is "
                           f"{data.sampling_rate} Hz; run `preprocess.py filelist` to resample, or change "
                           "data.sampling_rate"))
    return infos


def _misfit(n_ids: int, info: WavInfo, data: DataConfig) -> str | None:
    """Why an utterance is left out, if it is."""
    symbols = n_ids // 2 if data.add_blank else n_ids
    frames = info.samples // data.hop_length
    if symbols < max(1, data.min_text_len):
        return f"have a text below data.min_text_len {data.min_text_len}"
    if symbols > data.max_text_len:
        return f"have a text above data.max_text_len {data.max_text_len}"
    if info.samples > data.max_wav_seconds * data.sampling_rate:
        return f"are longer than data.max_wav_seconds {data.max_wav_seconds:g}"
    if frames < 1:
        return f"are shorter than one frame, data.hop_length {data.hop_length}"
    if frames < n_ids:
        return "have fewer frames than symbols (blanks included), so no alignment exists"
    return None


def _report(filelist_path: str | os.PathLike, entries: list[Entry], left_out: dict[str, list[str]],
            config: Config) -> None:
    seconds = sum(entry.samples for entry in entries) / config.data.sampling_rate
    logger.info("%s: %d utterances, %.1f minutes", filelist_path, len(entries), seconds / 60)
    for reason, sources in left_out.items():
        examples = ", ".join(sources[:3]) + (", ..." if len(sources) > 3 else "")
        logger.info("%s: left out %d that %s: %s", filelist_path, len(sources), reason, examples)
    short = sum(entry.samples < config.train.segment_size for entry in entries)
    if short:
        logger.info("%s: %d utterances are shorter than train.segment_size %d samples and are padded with silence",
                    filelist_path, short, config.train.segment_size)
