"""Training step against that of coqui-tts, on the same batch with models of the same size, measured in turn.

    pip install coqui-tts six                                  # the peer; it forgets to name six
    python -m benchmarks.coqui_step --batch-size 4 --repeats 3 --threads 1

Its model, its losses, its spectrograms and its optimizers, moved as its trainer moves them: discriminators first, each
network's gradient clipped at a norm of 1000. A step begins with recordings and ids in memory, as ours does.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

import config as settings
from benchmarks import voices
from benchmarks.timing import alternate, machine, markdown
from benchmarks.training_step import N_VOCAB, OurStep, made_up_batch
from config import Config
from data_utils import Batch
from training.step import new_networks

MAX_NORM = 1000.0  # of its configuration's grad_clip


def is_installed() -> bool:
    """Whether coqui-tts is installed."""
    return voices.is_installed("TTS", "six")


def coqui_step(batch: Batch, config: Config, n_vocab: int = N_VOCAB) -> Callable[[], dict[str, float]]:
    """Build a function for `timing.alternate`: one step of coqui-tts in fp32 on the batch, which returns its losses.

    Args:
        batch: of one voice, on the device to train on.
        config: for the sizes of the synthesizer; coqui's discriminators have the published sizes.
        n_vocab: symbols of the text encoder.
    """
    model = voices.coqui_model(config, n_vocab).to(batch.wav.device).train()
    optimizers, criteria = model.get_optimizer(), model.get_criterion()
    speech = {"tokens": batch.text_ids, "token_lens": batch.text_lengths, "waveform": batch.wav[:, None],
              "waveform_rel_lens": batch.wav_lengths / batch.wav.shape[1],
              "d_vectors": None, "speaker_ids": None, "language_ids": None}

    def step() -> dict[str, float]:
        on_device, losses = model.format_batch_on_device(dict(speech)), {}
        for index, (optimizer, criterion) in enumerate(zip(optimizers, criteria)):
            _, found = model.train_step(on_device, criterion, index)
            found["loss"].backward()
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, MAX_NORM)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses |= {name: float(value) for name, value in found.items() if name != "loss"}
        return losses

    return step


def with_processor_time(way: Callable[[], object], seconds: list[float]) -> Callable[[], None]:
    """Wrap a function to append the processor time of each call, over all cores of this process."""
    def timed() -> None:
        start = time.process_time()
        way()
        seconds.append(time.process_time() - start)
    return timed


def parser() -> argparse.ArgumentParser:
    """The command line."""
    described = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    described.add_argument("-c", "--config", type=Path, default=voices.ROOT / "configs" / "ljs.json")
    described.add_argument("--batch-size", type=int, default=4)
    described.add_argument("--repeats", type=int, default=5, help="measured steps of each, at least 2")
    described.add_argument("--threads", type=int, default=1)
    settings.add_arguments(described)
    return described


def main(arguments: list[str] | None = None) -> None:
    """Measure and print the table."""
    args = parser().parse_args(arguments)
    torch.set_num_threads(args.threads)
    config = settings.load(args.config, ["train.ema_decay=0", "train.precision=fp32", *args.overrides])
    batch = made_up_batch(config, args.batch_size)
    ours = OurStep(new_networks(config, N_VOCAB, torch.device("cpu")), config)
    ways: dict[str, Callable[[], object]] = {"ours": lambda: ours(batch)}
    if is_installed():
        ways["coqui-tts"] = coqui_step(batch, config)
    processor: dict[str, list[float]] = {name: [] for name in ways}
    timings = alternate({name: with_processor_time(way, processor[name]) for name, way in ways.items()},
                        args.repeats, warmup=1)
    spent = {name: statistics.median(seconds[-args.repeats:]) for name, seconds in processor.items()}
    rows = [[name, f"{timing.median:.2f} ± {timing.noise:.2f}", f"{spent[name]:.2f}",
             f"{timing.median / timings['ours'].median:.2f}", f"{spent[name] / spent['ours']:.2f}"]
            for name, timing in timings.items()]
    print(markdown(["training step", "s", "processor, s", "ours is times faster", "by the processor's time"], rows))
    missing = "" if is_installed() else " coqui-tts is not installed (pip install coqui-tts six): its row is left out."
    print(f"\nBatch {args.batch_size}, median of {args.repeats} ± interquartile range.{missing} {machine()}")


if __name__ == "__main__":
    main()
