"""Data loading against the published loader: opening a corpus, planning epochs, loading batches.

    python benchmarks/data.py                              # up to a million lines, synthetic recordings
    python benchmarks/data.py --large                      # ten million lines as well: 4 GB on the disk for a minute
    python benchmarks/data.py --filelist train.txt         # the loaders over recordings of your own

The published arrangement is rebuilt here: filelists as lists of lists with the size of each file asked for, every
spectrogram in a file beside its wav, scipy's wav reader, spectrogram and wav padded and sent. Each way of bringing
batches runs alone, in turn with the others, in a process that does nothing else; medians of all rounds.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import random
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from audio.io import read_wav, wav_info, write_wav  # noqa: E402
from benchmarks.timing import machine, markdown, plot_growth  # noqa: E402
from config import Config, DataConfig  # noqa: E402
from corpora.batching import Batching, LengthBatchSampler, StepSampler  # noqa: E402
from corpora.columns import AudioIndex, index_path, write_index  # noqa: E402
from data_utils import Collate, UtteranceDataset, open_corpus  # noqa: E402
from mel_processing import spectrogram  # noqa: E402
from text import TextProcessor, cleaned_text_to_sequence, intersperse  # noqa: E402

CONFIG = Config(data=DataConfig())
TEXT = TextProcessor.from_config(CONFIG.data)
SENTENCE = "ðə ɹˈɪvɚ ɹˈʌnz kwˈaɪətli pˈæst ðɪ ˈoʊld stˈoʊn bɹˈɪdʒ, ænd nˈoʊbɑːdi nˈoʊz wˈɛɹ ɪt ɡˈoʊz."  # 100 bytes


def write_recordings(folder: Path, number: int) -> Path:
    """Write recordings of noise, 3 to 10 seconds long as in LJ Speech, and their filelist."""
    lengths = np.random.default_rng(0).uniform(3, 10, number)
    rows = []
    for place, seconds in enumerate(lengths):
        path = folder / "wavs" / f"{place:03d}.wav"
        noise = np.random.default_rng(place).standard_normal(int(seconds * CONFIG.data.sampling_rate))
        write_wav(path, (0.1 * noise).astype(np.float32), CONFIG.data.sampling_rate)
        rows.append(f"{path}|{SENTENCE}")
    (folder / "train.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder / "train.txt"


def write_long_list(source: Path, target: Path, number: int) -> None:
    """Write a long filelist by repeating the lines of a short one, with its index."""
    rows = source.read_text(encoding="utf-8").splitlines()
    block = "\n".join(rows) + "\n"
    with open(target, "w", encoding="utf-8") as file:
        for _ in range(number // len(rows)):
            file.write(block)
        file.writelines(row + "\n" for row in rows[:number % len(rows)])
    samples = [wav_info(row.split("|")[0]).samples for row in rows]
    write_index(target, AudioIndex(np.resize(samples, number), np.full(number, CONFIG.data.sampling_rate)))


# The published loader

def published_open(filelist: Path) -> tuple[list[list[str]], list[int]]:
    """Open a filelist as the published code does: rows filtered by text length, and frames from the files' sizes."""
    with open(filelist, encoding="utf-8") as file:
        lines = [line.strip().split("|") for line in file]
    random.Random(1234).shuffle(lines)
    kept, lengths = [], []
    for path, text in lines:
        if 1 <= len(text) <= 190:
            kept.append([path, text])
            lengths.append(os.path.getsize(path) // (2 * CONFIG.data.hop_length))
    return kept, lengths


class PublishedDataset(Dataset):
    """The published dataset: text, cached spectrogram and wav."""

    def __init__(self, filelist: Path):
        self.lines, self.lengths = published_open(filelist)

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        from scipy.io.wavfile import read
        path, text = self.lines[index]
        _, samples = read(path)
        wav = (torch.FloatTensor(samples.astype(np.float32)) / 32768.0).unsqueeze(0)
        spec = torch.load(spectrogram_path(path))
        return torch.LongTensor(intersperse(cleaned_text_to_sequence(text), 0)), spec, wav


def published_collate(items: list[tuple]) -> tuple[torch.Tensor, ...]:
    """The published collation: padded to the longest, sorted by length."""
    _, order = torch.sort(torch.LongTensor([item[1].size(1) for item in items]), dim=0, descending=True)
    padded = [torch.zeros(len(items), max(item[0].size(0) for item in items), dtype=torch.int64),
              torch.zeros(len(items), items[0][1].size(0), max(item[1].size(1) for item in items)),
              torch.zeros(len(items), 1, max(item[2].size(1) for item in items))]
    lengths = torch.zeros(3, len(items), dtype=torch.int64)
    for row, place in enumerate(order.tolist()):
        for kind, value in enumerate(items[place]):
            padded[kind][row, ..., :value.size(-1)] = value
            lengths[kind, row] = value.size(-1)
    return (*padded, *lengths)


def spectrogram_path(wav_path: str) -> str:
    """The path of a cached spectrogram of the published loader."""
    return wav_path.replace(".wav", ".spec.pt")


def write_spectrograms(filelist: Path) -> tuple[int, int]:
    """Fill the published loader's cache; return the bytes of the cache and of the wavs."""
    cache = wavs = 0
    for path in {line.split("|")[0] for line in filelist.read_text(encoding="utf-8").splitlines()}:
        wav = torch.from_numpy(read_wav(path).samples)[None]
        torch.save(spectrogram(wav, CONFIG.data)[0], spectrogram_path(path))
        cache, wavs = cache + os.path.getsize(spectrogram_path(path)), wavs + os.path.getsize(path)
    return cache, wavs


# The tables

class Cost(NamedTuple):
    """Time of some work, in seconds."""

    wall: float
    processor: float  # of all threads; what another program on the same cores adds to the wall is not in it


def opening(folder: Path, source: Path, sizes: list[int], repeats: int) -> str:
    """Measure time and memory of opening filelists of these sizes."""
    rows = []
    for number in sizes:
        path, is_large = folder / "long.txt", number > 10**6
        write_long_list(source, path, number)
        costs: dict[Callable, list[Cost]] = {_open: [], published_open: []}
        for _ in range(1 if is_large else repeats):
            for work in [_open] if is_large else costs:
                costs[work].append(_cost(work, path))
        ours, published = _median(costs[_open]), _median(costs[published_open]) if not is_large else None
        held, text, peak = _memory(path)
        each = 1e6 / number
        rows.append([f"{number:,}", f"{ours.wall:.2f}", f"{ours.wall * each:.2f}", f"{ours.processor * each:.2f}",
                     f"{published.wall * each:.2f}" if published else "not run",
                     f"{published.processor * each:.2f}" if published else "not run",
                     f"{text / number:.0f}", f"{(held - text) / number:.0f}", f"{peak / number:.0f}"])
        path.unlink()
        index_path(path).unlink()
    return markdown(["lines", "s", "us a line", "processor, us a line", "published, us a line", "processor, us a line",
                     "text, bytes a line", "beyond it, bytes a line", "most while opening, bytes a line"], rows)


def _open(path: Path) -> UtteranceDataset:
    return open_corpus(path, CONFIG, TEXT)


def _memory(path: Path) -> tuple[int, int, int]:
    """Bytes of an open corpus, of its texts, and at the peak while it was opened."""
    gc.collect()
    tracemalloc.start()
    dataset = _open(path)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held, dataset.entries.text_bytes, peak


def measuring(source: Path, repeats: int) -> str:
    """Measure the time of indexing the audio."""
    number = len(source.read_text(encoding="utf-8").splitlines())
    seconds = _median([_cost(_open, source) for _ in range(repeats)]).wall
    return f"Without an index {number} wavs that the memory has take {seconds / number * 1e6:.0f} us each to measure."


def sampling(sizes: list[int], repeats: int, picture: Path | None) -> str:
    """Measure planning, an epoch's batches, and the first batch after a restart, over corpus size."""
    rows, seconds = [], {}
    for number in sizes:
        lengths = np.random.default_rng(0).integers(100, 900, number)
        for way, batching in (("64 utterances", Batching(64, seed=1)),
                              ("400 s", Batching(64, max_frames=34_453, minimum_frames=32, seed=1))):
            plans, epochs = [], []
            for _ in range(repeats if number <= 10**6 else 1):
                plans.append(_cost(LengthBatchSampler, lengths, batching))
                batches = LengthBatchSampler(lengths, batching).from_step(12_345)
                epochs.append(_cost(next, batches))  # all batches of an epoch are planned for its first
            plan, epoch = _median(plans).wall, _median(epochs).wall
            seconds.setdefault(f"batches of {way}", []).append(plan + epoch)
            rows.append([f"{number:,}", way, f"{plan * 1e3:.1f}", f"{epoch * 1e3:.1f}",
                         f"{(plan + epoch) / number * 1e6:.2f}"])
    if picture is not None:
        plot_growth(picture, "plan and first epoch of the sampler, s, by utterances", sizes, seconds)
    return markdown(["utterances", "batches of", "plan, ms", "an epoch, ms", "both, us an utterance"], rows)


def loading(filelist: Path, batch_size: int, batches: int, rounds: int) -> str:
    """Measure utterances per second with one worker, of our and the published loader in turn."""
    cache, wavs = write_spectrograms(filelist)
    dataset, published = _open(filelist), PublishedDataset(filelist)
    collate = Collate(CONFIG.train.segment_size, CONFIG.data.hop_length)

    def ours() -> Iterator:
        plan = StepSampler(LengthBatchSampler(dataset.lengths, Batching(batch_size)), 0)
        return iter(DataLoader(dataset, batch_sampler=plan, num_workers=1, collate_fn=collate))

    def theirs() -> Iterator:
        order = np.argsort(published.lengths)  # neighbours in length share a batch, as in its bucket sampler
        plan = [order[(np.arange(batch_size) + start) % len(order)].tolist()
                for start in np.random.default_rng(0).integers(0, len(order) // batch_size, batches + 8) * batch_size]
        return iter(DataLoader(published, batch_sampler=plan, num_workers=1, collate_fn=published_collate))

    rates: dict[str, list[float]] = {"ours": [], "published": []}
    for _ in range(rounds):
        for name, make in (("ours", ours), ("published", theirs)):
            rates[name].append(_rate(make(), batches))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    rows = [[name, f"{medians[name]:.0f}", f"{min(found):.0f} to {max(found):.0f}",
             f"{medians[name] / medians['published']:.2f}",
             "nothing" if name == "ours" else f"{cache / wavs:.1f} times the wavs"] for name, found in rates.items()]
    return markdown(["loader, 1 worker", "utterances/s", f"of {rounds} rounds", "ratio", "kept on the disk"], rows)


def _rate(loader: Iterator, batches: int) -> float:
    """Utterances per second, after the queue of the worker was filled and emptied once."""
    for _ in range(4):
        next(loader)
    start = time.perf_counter()
    utterances = sum(len(next(loader)[1]) for _ in range(batches))  # the second of either kind of batch has a row each
    return utterances / (time.perf_counter() - start)


def _cost(work: Callable, *arguments: object) -> Cost:
    gc.collect()
    wall, processor = time.perf_counter(), time.process_time()
    result = work(*arguments)  # kept, so that giving memory back does not count
    cost = Cost(time.perf_counter() - wall, time.process_time() - processor)
    del result
    return cost


def _median(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(values) for values in zip(*costs)))


def main() -> None:
    """Measure everything and print it as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filelist", type=Path, help="path|cleaned text at 22050 Hz (default: 64 of noise)")
    parser.add_argument("--large", action="store_true", help="ten million lines as well")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--batches", type=int, default=40, help="of a round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plot", type=Path, help="save the sampler's cost against corpus size as a picture")
    args = parser.parse_args()
    logging.getLogger("vits").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    sizes = [10**4, 10**5, 10**6] + [10**7] * args.large
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = write_recordings(folder, 64)
        print(f"### Opening\n\n{opening(folder, source, sizes, args.rounds)}\n")
        print(f"{measuring(source, args.rounds)}\n\n### Sampler\n\n{sampling(sizes, args.rounds, args.plot)}\n")
        filelist = _copied(args.filelist, folder / "copies") if args.filelist else source
        print(f"### Loader\n\n{loading(filelist, args.batch_size, args.batches, args.rounds)}\n\n{machine()}")


def _copied(filelist: Path, folder: Path) -> Path:
    """Copy the recordings to a folder that may be filled with spectrograms."""
    rows = []
    for place, line in enumerate(filelist.read_text(encoding="utf-8").splitlines()):
        wav_path, text = line.split("|")
        found = read_wav(wav_path)
        write_wav(folder / f"{place}.wav", found.samples, found.sampling_rate)
        rows.append(f"{folder / f'{place}.wav'}|{text}")
    (folder / "train.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder / "train.txt"


if __name__ == "__main__":
    main()
