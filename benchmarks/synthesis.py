"""Synthesis against other VITS of the same size: real-time factor, latency and memory, measured in turn.

    pip install transformers coqui-tts six piper-tts onnx onnxscript   # the peers; rows of missing ones are left out
    python -m benchmarks.synthesis
    python -m benchmarks.synthesis --seconds 6 20 --threads 1 --repeats 9

All say the same number of frames for each of the same number of tokens, so all make the same number of samples. A way
gives its sound in pieces: those that make a sentence as a whole give one, and their first sound is their last.
"""
# Shapes: L text tokens, T frames, S samples, C latent channels.

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import voices
from benchmarks.timing import Timing, alternate, machine, markdown, peak_growth
from config import Config
from synthesis import Voice
from utils import keep_freed_memory

FRAMES_PER_TOKEN = 3  # as trained voices of English phonemes with blanks speak
OURS, STREAMED, DECODER = "ours", "ours, streamed", "our decoder alone"
Way = Callable[[], Iterator[int]]  # gives the samples of each piece as it is there


class Sentence(NamedTuple):
    """The sentence that all implementations speak."""

    ids: Tensor  # [B, L] int64
    frames: int

    @property
    def tokens(self) -> int:
        """Of each item."""
        return self.ids.shape[1]


def new_sentence(seconds: float, config: Config, batch: int = 1, device: str = "cpu") -> Sentence:
    """A sentence of about this length."""
    tokens = max(1, round(seconds * config.data.sampling_rate / config.data.hop_length / FRAMES_PER_TOKEN))
    random = torch.Generator().manual_seed(0)
    return Sentence(torch.randint(1, 30, (batch, tokens), generator=random).to(device), tokens * FRAMES_PER_TOKEN)


def ours(voice: Voice, sentence: Sentence) -> Way:
    """Our voice, a whole sentence, with all of `Voice.speak` after the text processing."""
    ids = sentence.ids[0].tolist()

    def way() -> Iterator[int]:
        yield len(voice.speak_ids(ids, seed=1).samples)
    return way


def ours_streamed(voice: Voice, sentence: Sentence) -> Way:
    """Our voice, streamed in chunks."""
    ids = sentence.ids[0].tolist()

    def way() -> Iterator[int]:
        for piece in voice.stream_ids(ids, seed=1):
            yield len(piece.samples)
    return way


def decoder_alone(voice: Voice, sentence: Sentence) -> Way:
    """Our decoder alone, which takes nearly all of the time."""
    z = torch.randn(len(sentence.ids), voice.config.model.inter_channels, sentence.frames, device=sentence.ids.device)

    def way() -> Iterator[int]:
        with torch.inference_mode():
            yield voice.model.dec(z).shape[-1]
    return way


def peer_in_torch(model: nn.Module, sentence: Sentence) -> Way:
    """VitsModel of transformers, or Vits of coqui-tts."""
    def way() -> Iterator[int]:
        with torch.inference_mode():
            if hasattr(model, "inference"):
                lengths = torch.full(sentence.ids.shape[:1], sentence.tokens, device=sentence.ids.device)
                yield model.inference(sentence.ids, {"x_lengths": lengths})["model_outputs"].shape[-1]
            else:
                yield model(sentence.ids).waveform.shape[-1]
    return way


def piper(path: Path, sentence: Sentence, threads: int) -> Way:
    """Piper's medium voice; its durations are in the graph: without noise an untrained one has 1 frame a token."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    scales = torch.tensor([0.667, FRAMES_PER_TOKEN - 0.5, 0.0])  # noise, length (then rounded up), noise of durations
    told = {"input": sentence.ids.numpy(), "input_lengths": torch.tensor([sentence.tokens]).numpy(),
            "scales": scales.numpy()}

    def way() -> Iterator[int]:
        yield session.run(None, told)[0].shape[-1]
    return way


def our_voice(config: Config, device: str = "cpu") -> Voice:
    """Our untrained voice as after `Voice.load`, with fixed durations."""
    voice = Voice(config, voices.new_model(config), torch.device(device))
    voice.model.dp = voices.FixedDurations(voice.model.dp, FRAMES_PER_TOKEN).eval()
    return voice


def torch_peers(config: Config, device: str = "cpu") -> dict[str, nn.Module]:
    """The installed models of other projects in torch, as after loading, with fixed durations."""
    found = {}
    if voices.is_installed("transformers"):
        found["transformers VitsModel"] = voices.transformers_model(config)
    if voices.is_installed("TTS", "six"):
        found["coqui-tts Vits"] = voices.coqui_model(config, n_vocab=178)
    for model in found.values():
        model.to(device).eval()
        model.duration_predictor = voices.FixedDurations(model.duration_predictor, FRAMES_PER_TOKEN).eval()
    return found


class Contenders(NamedTuple):
    """The implementations measured on the host, as far as they are installed."""

    full: Voice
    medium: Voice
    peers: dict[str, nn.Module]
    piper_path: Path | None


def new_contenders(folder: Path, overrides: tuple[str, ...] = ()) -> Contenders:
    """Build all installed implementations; piper's graph is written into the folder."""
    full = voices.full_config(overrides)
    has_piper = voices.is_installed("piper", "onnx", "onnxruntime")
    return Contenders(our_voice(full), our_voice(voices.full_config((*voices.MEDIUM, *overrides))), torch_peers(full),
                      voices.write_piper(folder / "medium.onnx") if has_piper else None)


def ways_of(contenders: Contenders, sentence: Sentence, threads: int) -> dict[str, Way]:
    """The functions to measure, by name."""
    ways = {OURS: ours(contenders.full, sentence), STREAMED: ours_streamed(contenders.full, sentence),
            DECODER: decoder_alone(contenders.full, sentence)}
    ways |= {name: peer_in_torch(model, sentence) for name, model in contenders.peers.items()}
    ways["ours, medium"] = ours(contenders.medium, sentence)
    if contenders.piper_path is not None:
        ways["piper-tts, medium"] = piper(contenders.piper_path, sentence, threads)
    return ways


def check_lengths(ways: dict[str, Way], samples: int) -> None:
    """Check that all implementations give about the same number of samples."""
    for name, way in ways.items():
        if (found := sum(way())) != samples:
            raise ValueError(f"{name!r} makes {found} samples, expected {samples} as of the others: not comparable")


def count_flops(work: Callable[[], object]) -> float:
    """Count the operations of matrix products and convolutions in the work."""
    with FlopCounterMode(display=False) as count:
        work()
    return count.get_total_flops()


def matrix_rate(device: str = "cpu", dtype: torch.dtype = torch.float32, size: int = 2048) -> float:
    """FLOP/s of one large matrix product with as many threads as torch has; of a GPU, with TF32 where it has that."""
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    wait = torch.cuda.synchronize if left.is_cuda else lambda: None
    repeats, seconds, before = 20 if left.is_cuda else 1, [], torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if left.is_cuda else before)  # as torch's convolutions do by themselves
    try:
        for _ in range(6):
            wait()
            start = time.perf_counter()
            for _ in range(repeats):
                left @ right
            wait()
            seconds.append((time.perf_counter() - start) / repeats)
    finally:
        torch.set_float32_matmul_precision(before)
    return 2 * size**3 / statistics.median(seconds[1:])


def drained(way: Way) -> Callable[[], int]:
    """Wrap a generator as a function that consumes it and returns the number of samples."""
    return lambda: sum(way())


def table(contenders: Contenders, seconds: list[float], threads: int, repeats: int) -> str:
    """Measure with this many threads; a row for each length and implementation."""
    torch.set_num_threads(threads)
    rate, rows, data = matrix_rate(), [], contenders.full.config.data
    for length in seconds:
        sentence = new_sentence(length, contenders.full.config)
        ways = ways_of(contenders, sentence, threads)
        said = sentence.frames * data.hop_length / data.sampling_rate
        check_lengths(ways, sentence.frames * data.hop_length)
        floor = count_flops(drained(ways[DECODER])) / rate
        whole = alternate({name: drained(way) for name, way in ways.items()}, repeats, warmup=1)
        first = alternate({name: lambda way=way: next(way()) for name, way in ways.items()
                           if _is_streaming(way)}, repeats, warmup=1)
        rows += [[threads, f"{said:.1f}", name, f"{timing.median / said:.3f} ± {timing.noise / said:.3f}",
                  f"{first.get(name, timing).median:.2f}", _ratio(whole, name), peak_growth(drained(ways[name])),
                  f"{floor / timing.median:.0%}" if name == DECODER else "-"] for name, timing in whole.items()]
    return markdown(["threads", "sentence, s", "voice", "real-time factor", "first sound, s", "ours takes, of its time",
                     "MiB beyond the weights", "of the floor's rate"], rows) + (
        f"\n\nThe decoder's floor with {threads} threads: its operations at {rate / 1e9:.0f} GFLOP/s, the rate of a "
        "large matrix product.\n")


def _is_streaming(way: Way) -> bool:
    """Whether it yields more than one chunk."""
    return sum(1 for _ in way()) > 1


def _ratio(timings: dict[str, Timing], name: str) -> str:
    """Speed of ours relative to this one, of the same kind."""
    mine = timings["ours, medium" if "medium" in name else OURS]
    return f"{mine.median / timings[name].median:.2f}"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    described = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    described.add_argument("--seconds", nargs="+", type=float, default=[2, 6, 20], help="lengths of sentences")
    described.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    described.add_argument("--repeats", type=int, default=5, help="measured runs of every way, at least 2")
    return described


def main(arguments: list[str] | None = None, overrides: tuple[str, ...] = ()) -> None:
    """Print a table for each number of threads."""
    args = parser().parse_args(arguments)
    keep_freed_memory()  # as synthesize.py does; the peers in torch have it too, in the same process
    with tempfile.TemporaryDirectory() as folder:
        contenders = new_contenders(Path(folder), overrides)
        for threads in args.threads:
            print(table(contenders, args.seconds, threads, args.repeats))
    absent = [name for name, is_installed in (
        ("transformers", "transformers VitsModel" in contenders.peers),
        ("coqui-tts", "coqui-tts Vits" in contenders.peers),
        ("piper-tts", contenders.piper_path is not None)) if not is_installed]
    notes = f" Not installed, so left out: {', '.join(absent)}." if absent else ""
    print(f"Median of {args.repeats} ± interquartile range, in turn.{notes} {machine()}")


if __name__ == "__main__":
    main()
