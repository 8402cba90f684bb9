"""All benchmarks that need a GPU, in one command of some minutes, as Markdown and JSON.

    python benchmarks/gpu.py                                 # or python -m benchmarks.gpu; --out FOLDER, --sections ...
    python -m benchmarks.gpu --device cpu --tiny             # toy sizes on any machine: does every section still run?

Work is timed from a device that waits to one that has finished, after warm-up and compilation, ways in turn; memory is
the most that was allocated beyond what was there before a way was built. A section that fails says why, and the others
go on. Without a GPU, and without --device cpu, the exit status is 2.
"""
# Shapes: B batch, L text tokens, T frames, F FFT bins.

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import monotonic_align  # noqa: E402
from benchmarks import alignment, voices  # noqa: E402
from benchmarks import synthesis as speaking  # noqa: E402
from benchmarks.data import write_recordings  # noqa: E402
from benchmarks.published_half import PublishedHalfStep, has_published_search  # noqa: E402
from benchmarks.timing import alternate, machine, markdown, milliseconds, ratio  # noqa: E402
from benchmarks.training_step import N_VOCAB, floor_of, made_up_batch  # noqa: E402
from config import Config  # noqa: E402
from corpora.batching import Batching, LengthBatchSampler, StepSampler  # noqa: E402
from data_utils import Batch, Collate, open_corpus  # noqa: E402
from mel_processing import mel_spectrogram, spectrogram  # noqa: E402
from text import TextProcessor  # noqa: E402
from training.step import TrainState, loss_scales, missing_compiler, new_networks, new_state, train_step  # noqa: E402
from utils import peak_of  # noqa: E402

TINY = ("train.batch_size=2", "train.segment_size=1024", "data.sampling_rate=8000", "data.filter_length=256",
        "data.hop_length=64", "data.win_length=256", "data.n_mel_channels=20", "model.inter_channels=16",
        "model.hidden_channels=16", "model.filter_channels=32", "model.n_layers=1", "model.posterior_layers=2",
        "model.flow_couplings=2", "model.flow_layers=1", "model.duration_flows=2", "model.resblock_kernel_sizes=[3]",
        "model.resblock_dilation_sizes=[[1,3,5]]", "model.upsample_rates=[8,8]", "model.upsample_kernel_sizes=[16,16]",
        "model.upsample_initial_channel=16", "discriminator.scale_channels=[4,8]",
        "discriminator.scale_kernel_sizes=[15,5]", "discriminator.scale_strides=[1,4]",
        "discriminator.scale_groups=[1,4]", "discriminator.periods=[2,3]", "discriminator.period_channels=[4,8]")
PUBLISHED = "published arrangement, fp16"
COMPILED = "ours, bf16, compiled"
PRECISIONS = {"ours, fp32": "fp32", "ours, bf16": "bf16", COMPILED: "bf16"}
STEPS = 4  # of a timed run: so many go to the device without anybody asking for a result
COMPILE_SECONDS = 120  # about what compiling for one batch size takes; what would end too late is not begun


class Table(NamedTuple):
    """The results of a section."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str]


@dataclass
class Bench:
    """Options and models that the sections share."""

    device: torch.device
    config: Config
    is_tiny: bool
    repeats: int
    batch_sizes: list[int]  # the one that matters most first
    deadline: float  # of time.monotonic
    step_seconds: dict[tuple[int, str], float] = field(default_factory=dict)  # (batch size, way)

    @property
    def seconds_left(self) -> float:
        """Until the deadline."""
        return self.deadline - time.monotonic()

    def wait(self) -> None:
        """Until the device has finished."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def release(self) -> None:
        """Give memory of what nobody holds any more back to the device."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


# Alignment

def alignment_search(bench: Bench) -> Table:
    """Search on the device, against the compiled search on the host with its copies."""
    rows = []
    for size in ["3x8x20"] if bench.is_tiny else alignment.SIZES:
        work = alignment.new_work(*map(int, size.split("x")), str(bench.device))
        scores, text_lengths, spec_lengths, *_ = work
        on_host = [each.cpu() for each in (scores, text_lengths, spec_lengths)]

        def through_host(work: alignment.Work = work) -> Tensor:
            copies = (each.cpu() for each in work[:3])
            return monotonic_align.durations(*copies).to(work.scores.device)

        ways = {"ours, durations": lambda work=work: monotonic_align.durations(*work[:3]),
                "ours, path": lambda work=work: monotonic_align.search(*work[:3]).path,
                "our Cython, over the host": through_host}
        if has_published_search():
            ways["published call, over the host"] = lambda work=work: alignment.published_call(work)
        expected = monotonic_align.search(*on_host)
        found = monotonic_align.search(*work[:3])
        is_exact = (torch.equal(found.durations.cpu(), expected.durations)
                    and torch.equal(found.path.cpu(), expected.path))
        syncs = synchronisations(lambda work=work: monotonic_align.search(*work[:3]), bench)
        timings = alternate(ways, bench.repeats * 3)
        peer = list(ways)[-1]
        rows += [[size, name, milliseconds(timing), f"{ratio(timings, name, peer):.1f}x",
                  ("yes" if is_exact else "NO") if name.startswith("ours") else "-",
                  syncs if name.startswith("ours") else "-"] for name, timing in timings.items()]
    return Table("Alignment search", ["B x L x T", "way", "ms", "times faster than the last", "equal to the CPU",
                                      "waits for the device"], rows, ["Scores lie on the device before and after."])


def synchronisations(work: Callable[[], object], bench: Bench) -> str:
    """List where the host waits for the device during the work, after a warm-up; ideally "none"."""
    if bench.device.type != "cuda":
        return "-"
    bench.wait()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            work()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    places = sorted({f"{Path(each.filename).name}:{each.lineno}" for each in caught
                     if "called a synchronizing" in str(each.message)})
    bench.wait()
    return ", ".join(places) or "none"


# Training

class OurFastStep:
    """`training.step.train_step` as the training loop calls it, with its bookkeeping on the host."""

    def __init__(self, config: Config, batch: Batch, device: torch.device):
        self.config, self.batch = config, batch.to(device)
        self.shares = loss_scales([batch], config.data)
        self.state: TrainState = new_state(config, new_networks(config, N_VOCAB, device))

    def __call__(self) -> None:
        """Move both networks."""
        train_step(self.state, [self.batch], self.shares, self.config, epoch=0)
        self.state.step += 1


def step_config(bench: Bench, way: str, batch_size: int) -> Config:
    """The configuration of a variant; the published code keeps no weight average."""
    precision = PRECISIONS.get(way, "fp16")
    return voices.full_config((*(TINY if bench.is_tiny else ()), "train.ema_decay=0", f"train.batch_size={batch_size}",
                               f"train.precision={precision}", f"train.compile={str(way == COMPILED).lower()}"))


def new_step(bench: Bench, way: str, batch: Batch) -> Callable[[], object]:
    """Build networks, optimizers and batch on the device; return a function that runs one step."""
    config = step_config(bench, way, len(batch.names))
    if way != PUBLISHED:
        return OurFastStep(config, batch, bench.device)
    step = PublishedHalfStep(new_networks(config, N_VOCAB, bench.device), config)
    on_device = batch.to(bench.device)
    spec = spectrogram(on_device.wav, config.data, on_device.wav_lengths)
    return lambda: step(on_device, spec)


class Built(NamedTuple):
    """A variant after warm-up."""

    step: Callable[[], object]
    peak: float | None  # GiB beyond what was held before it was built


def build_step(bench: Bench, way: str, batch: Batch) -> Built:
    """Build, compile and warm up a variant, and measure the memory of a later step.

    Raises:
        RuntimeError: it does not fit, or there is no time or no compiler.
    """
    if way == COMPILED:
        if bench.device.type == "cuda" and bench.seconds_left < COMPILE_SECONDS + 60:
            raise RuntimeError("not begun: no time to compile; see --minutes")
        if missing_compiler(bench.device):
            raise RuntimeError(f"no {missing_compiler(bench.device)}")
        torch.compiler.reset()  # one batch size after the other: fixed shapes make faster code
    bench.release()
    before = torch.cuda.memory_allocated(bench.device) if bench.device.type == "cuda" else 0
    step = new_step(bench, way, batch)
    for _ in range(2 if bench.is_tiny else 4):
        step()
    bench.wait()
    peak = peak_of(step, bench.device)
    return Built(step, None if peak is None or bench.device.type != "cuda" else (peak - before) / 2**30)


def training(bench: Bench) -> Iterator[Table]:
    """Yield a table for each batch size."""
    rates = {dtype: speaking.matrix_rate(str(bench.device), dtype, 256 if bench.is_tiny else 8192)
             for dtype in ((torch.float32,) if bench.is_tiny else (torch.float32, torch.float16, torch.bfloat16))}
    for batch_size in bench.batch_sizes:
        if bench.seconds_left < 0:
            yield Table(f"Training step, batch {batch_size}", ["training step"], [], ["Not begun: out of time."])
            continue
        try:
            yield measure_training(bench, batch_size, rates)
        except Exception as error:  # such as too little memory: a smaller batch may fit
            yield failed(f"Training step, batch {batch_size}", error)
        bench.release()


def measure_training(bench: Bench, batch_size: int, rates: dict[torch.dtype, float]) -> Table:
    """Measure steps of all variants in turn; one that fails is named in the notes."""
    batch = made_up_batch(bench.config, batch_size)
    built: dict[str, Built] = {}
    notes = []
    for way in (PUBLISHED, *PRECISIONS):
        try:
            built[way] = build_step(bench, way, batch)
        except Exception as error:  # the others still tell something
            notes.append(f"{way}: {_reason(error)}")
    steps = 1 if bench.is_tiny else STEPS
    timings = alternate({way: lambda each=each: [each.step() for _ in range(steps)] for way, each in built.items()},
                        bench.repeats, warmup=1)
    flops, rows = _step_flops(bench, batch), []
    for way, timing in timings.items():
        seconds = timing.median / steps
        bench.step_seconds[batch_size, way] = seconds
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[PRECISIONS.get(way, "fp16")]
        rate, peak = rates.get(dtype, rates[torch.float32]), built[way].peak
        rows.append([way, f"{1 / seconds:.2f}", f"{seconds * 1e3:.1f} ± {timing.noise / steps * 1e3:.1f}",
                     f"{ratio(timings, way, PUBLISHED):.2f}x" if PUBLISHED in timings else "-",
                     f"{batch_size / seconds:.0f}", "-" if peak is None else f"{peak:.2f}",
                     f"{flops / seconds / 1e12:.3g}", f"{flops / seconds / rate:.1%}",
                     "-" if way == PUBLISHED else synchronisations(built[way].step, bench)])
    notes += [f"{flops / 1e12:.3g} TFLOP a step; rates of large matrix products in TFLOP/s: " + ", ".join(
        f"{str(dtype).removeprefix('torch.')} {rate / 1e12:.3g}" for dtype, rate in rates.items())
        + " (float32 with TF32, as convolutions have it). The published arrangement gets its spectrograms for nothing."]
    return Table(f"Training step, batch {batch_size}", [
        "training step", "steps/s", "ms", "times faster than published", "utterances/s", "GiB at most", "TFLOP/s",
        "of the matrix rate", "waits for the device"], rows, notes)


def _step_flops(bench: Bench, batch: Batch) -> float:
    """Count the operations of one step, on the device, scaled from two utterances."""
    config = step_config(bench, "ours, fp32", 2)
    few = Batch(*(value[:2] if value is not None else None for value in batch[:6])).to(bench.device)
    state = new_state(config, new_networks(config, N_VOCAB, bench.device))
    return floor_of(state, few, config).flops * len(batch.names) / len(few.names)  # padding is the same


# Spectrograms, data, synthesis

def spectrograms(bench: Bench) -> Table:
    """Computing spectrograms on the device, against the published loader's cache."""
    rows, data = [], bench.config.data
    for batch_size in bench.batch_sizes:
        batch = made_up_batch(bench.config, batch_size).to(bench.device)
        wav, lengths = batch.wav, batch.wav_lengths
        timings = alternate({"spectrogram": lambda wav=wav, lengths=lengths: spectrogram(wav, data, lengths),
                             "log-mel": lambda wav=wav: mel_spectrogram(wav, data)}, bench.repeats * 3)
        step = min((seconds for (size, _), seconds in bench.step_seconds.items() if size == batch_size), default=None)
        rows += [[batch_size, name, milliseconds(timing), f"{batch_size / timing.median:.0f}",
                  "-" if step is None else f"{timing.median / step:.2%}"] for name, timing in timings.items()]
    return Table("Spectrograms on the device", ["batch", "work", "ms", "utterances/s", "of our fastest step"], rows, [])


def loader(bench: Bench) -> Table:
    """Loading rate to the device, against the consumption of our fastest step."""
    rows, (batch_size, *_) = [], bench.batch_sizes
    need = max((size / seconds for (size, _), seconds in bench.step_seconds.items() if size == batch_size),
               default=None)
    with tempfile.TemporaryDirectory() as folder:
        filelist = write_recordings(Path(folder), 8 if bench.is_tiny else 256)
        config = voices.full_config()  # the recordings' own rate, also where the networks are toys
        dataset = open_corpus(filelist, config, TextProcessor.from_config(config.data))
        for workers in (0,) if bench.is_tiny else (1, 2, 4):
            rate = _loader_rate(dataset, config, min(batch_size, len(dataset)), workers, bench)
            rows.append([workers, f"{rate:.0f}", "-" if need is None else f"{need:.0f}",
                         "-" if need is None else f"{rate / need:.1f}x"])
    return Table(f"Data, batch {batch_size}", ["workers", "utterances/s on the device", "the fastest step takes",
                                               "enough for"], rows, ["Recordings of 3 to 10 s in the file cache."])


def _loader_rate(dataset: torch.utils.data.Dataset, config: Config, batch_size: int, workers: int,
                 bench: Bench) -> float:
    plan = StepSampler(LengthBatchSampler(dataset.lengths, Batching(batch_size)), 0)
    batches = iter(DataLoader(dataset, batch_sampler=plan, num_workers=workers, pin_memory=bench.device.type == "cuda",
                              collate_fn=Collate(config.train.segment_size, config.data.hop_length)))
    for batch in islice(batches, 2 + 2 * workers):  # workers begin, and their queue is emptied once
        batch.to(bench.device)
    bench.wait()
    start, brought = time.perf_counter(), 0
    for batch in islice(batches, 2 if bench.is_tiny else 30):
        brought += len(batch.to(bench.device).names)
    bench.wait()
    return brought / (time.perf_counter() - start)


def synthesis(bench: Bench) -> Table:
    """Real-time factors; the compiled decoder has one fixed length."""
    device, rows, notes = str(bench.device), [], []
    data, seconds = bench.config.data, 0.5 if bench.is_tiny else 6.0
    voice, compiled = (speaking.our_voice(bench.config, device) for _ in range(2))
    peers = speaking.torch_peers(bench.config, device)
    can_compile = missing_compiler(bench.device) is None and (bench.is_tiny or bench.seconds_left > COMPILE_SECONDS / 2)
    if can_compile:
        torch.compiler.reset()
        compiled.model.dec.compile(dynamic=False)
    for batch_size in (1, 2) if bench.is_tiny else (1, 16):
        sentence = speaking.new_sentence(seconds, bench.config, batch_size, device)
        ways = {"ours, eager": speaking.ours(voice, sentence)}
        if can_compile:
            ways["ours, decoder compiled"] = speaking.ours(compiled, sentence)
        ways |= {name: speaking.peer_in_torch(model, sentence) for name, model in peers.items()}
        speaking.check_lengths(ways, sentence.frames * data.hop_length)  # compiles
        said = batch_size * sentence.frames * data.hop_length / data.sampling_rate
        drained = {name: speaking.drained(way) for name, way in ways.items()}
        timings = alternate(drained, bench.repeats * 2)
        for name, timing in timings.items():
            held = torch.cuda.memory_allocated(bench.device) if bench.device.type == "cuda" else None
            peak = None if held is None else peak_of(drained[name], bench.device) - held
            rows.append([batch_size, name, milliseconds(timing), f"{timing.median / said:.2g}",
                         f"{said / timing.median:.0f}", "-" if peak is None else f"{peak / 2**20:.0f}"])
    if not can_compile:
        notes.append("Nothing was compiled: no compiler, or no time.")
    return Table(f"Synthesis, {seconds:g} s each", ["batch", "voice", "ms", "real-time factor", "times real time",
                                                    "MiB beyond the weights"], rows, notes)


SECTIONS: dict[str, Callable[[Bench], Table | Iterator[Table]]] = {
    "alignment": alignment_search, "training": training, "spectrograms": spectrograms, "data": loader,
    "synthesis": synthesis}


def _reason(error: BaseException) -> str:
    """Format an error and its place in one line."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    first = (str(error).splitlines() or [""])[0][:300]
    return f"{type(error).__name__}: {first} ({Path(place.filename).name}:{place.lineno})"


def failed(title: str, error: Exception) -> Table:
    """A table that reports the failure; the traceback goes to standard error."""
    traceback.print_exception(error, limit=-4, file=sys.stderr)
    return Table(title, ["failed"], [[_reason(error)]], [])


def run(bench: Bench, names: list[str]) -> Iterator[Table]:
    """Run sections and yield their tables; a failed section yields a table that reports it."""
    for name in names:
        try:
            found = SECTIONS[name](bench)
            yield from [found] if isinstance(found, Table) else found
        except Exception as error:  # the other sections are worth having
            yield failed(name.capitalize(), error)
        bench.release()


def as_markdown(table: Table) -> str:
    """Format a table with its title and notes."""
    return "\n\n".join([f"## {table.title}", markdown(table.header, table.rows), *table.notes])


def write(out: Path, tables: list[Table], about: str) -> None:
    """Write the results so far to gpu.md and gpu.json."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu.md").write_text("\n\n".join([about, *map(as_markdown, tables)]) + "\n", encoding="utf-8")
    content = {"machine": about, "tables": [table._asdict() for table in tables]}
    (out / "gpu.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    described = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    described.add_argument("--device", default="cuda")
    described.add_argument("--tiny", action="store_true", help="toy sizes: the numbers mean nothing")
    described.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    described.add_argument("--batch-sizes", nargs="+", type=int, help="default 64 32 16")
    described.add_argument("--repeats", type=int, help="measured runs of every way, at least 2 (default 5)")
    described.add_argument("--minutes", type=float, default=8, help="nothing long is begun after these (default 8)")
    described.add_argument("--out", type=Path, help="a folder for gpu.md and gpu.json")
    return described


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    args = parser().parse_args(arguments)
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("benchmarks/gpu.py: torch finds no CUDA device here; run it on a machine with a GPU, or try the code "
              "with --device cpu --tiny", file=sys.stderr)
        sys.exit(2)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)  # the one that timings wait for
    bench = Bench(device, voices.full_config(TINY if args.tiny else ()), args.tiny,
                  args.repeats or (2 if args.tiny else 5), args.batch_sizes or ([2] if args.tiny else [64, 32, 16]),
                  time.monotonic() + 60 * args.minutes)
    tables: list[Table] = []
    print(machine(), flush=True)
    for table in run(bench, args.sections):
        tables.append(table)
        print("\n" + as_markdown(table), flush=True)
        if args.out:
            write(args.out, tables, machine())


if __name__ == "__main__":
    main()
