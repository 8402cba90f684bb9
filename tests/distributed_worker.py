"""What each process of tests/training/test_distributed.py does: torchrun -m tests.distributed_worker OUT

Writes OUT/process_RANK.pt with everything that the test compares.
"""

import math
import sys
from pathlib import Path

import torch

import config as settings
import models
from data_utils import Batch, open_corpus
from tests.conftest import tiny
from text import TextProcessor
from training import distributed
from training.distributed import StopRequest
from training.job import Job
from training.step import TrainState, loss_scales, new_networks, new_state, train_step
from training.validation import validate

CPU = torch.device("cpu")
NO_NOISE = ("model.p_dropout=0", "model.p_dropout_duration=0", "train.c_stft=1", "train.learning_rate=0.00001",
            'discriminator.augmentations=["polarity"]', "discriminator.augment_target=0.6")


def silence_noise() -> None:
    """Every draw is zero, so that an utterance gives the same numbers in whatever batch and process it comes."""
    models.draw_normal = lambda like: torch.zeros_like(like)
    models.random_segment_starts = lambda lengths, segment: torch.zeros_like(lengths)


def utterances(first: int, last: int) -> Batch:
    """Some of six utterances of unequal length, padded to their own longest."""
    random = torch.Generator().manual_seed(0)
    wav_lengths, text_lengths = torch.tensor([4096, 3000, 2048, 1500, 3500, 1024]), torch.tensor([12, 9, 5, 7, 12, 3])
    wav = torch.randn(6, 4096, generator=random) * 0.1 * (torch.arange(4096)[None, :] < wav_lengths[:, None])
    text_ids = torch.randint(1, 40, (6, 12), generator=random) * (torch.arange(12)[None, :] < text_lengths[:, None])
    chosen = slice(first, last)
    return Batch(list("abcdef")[chosen], text_ids[chosen, :text_lengths[chosen].max()], text_lengths[chosen],
                 wav[chosen, :wav_lengths[chosen].max()], wav_lengths[chosen], None)


def fresh_state() -> tuple[TrainState, settings.Config]:
    """Step 0 without noise."""
    config = tiny(NO_NOISE)
    return new_state(config, new_networks(config, 71, CPU)), config


def one_step(batches: list[Batch]) -> dict[str, object]:
    """Gradients, losses over all processes, and parameters after a step."""
    state, config = fresh_state()
    losses = train_step(state, batches, loss_scales(batches, config.data), config, 0)
    sides = {"generator": state.generator, "discriminators": state.discriminators}
    values = losses.as_tensors()
    means = distributed.mean_over_processes(torch.stack([value.float() for value in values.values()]))
    return {"gradients": {f"{side}.{name}": parameter.grad.clone() for side, module in sides.items()
                          for name, parameter in module.named_parameters() if parameter.grad is not None},
            "without": [name for module in sides.values() for name, p in module.named_parameters() if p.grad is None],
            "losses": dict(zip(values, means.tolist())), "is_frozen": not any(
                p.requires_grad for p in state.discriminators.parameters()),
            "probability": float(state.augmenter.probability), "weights": state.generator.state_dict()}


def one_bad_step(batch: Batch) -> dict[str, object]:
    """A step in which the last process hears NaN: whether anything moved, in this process."""
    state, config = fresh_state()
    before = {name: value.clone() for name, value in state.generator.state_dict().items()}
    if distributed.rank() == distributed.world_size() - 1:
        batch = batch._replace(wav=batch.wav * math.nan)
    losses = train_step(state, [batch], loss_scales([batch], config.data), config, 0)
    after = state.generator.state_dict()
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    return {"is_finite": losses.is_finite, "moved": moved}


def validation(config: settings.Config, out: Path) -> dict[str, float]:
    """The numbers of a validation whose batches are shared."""
    text = TextProcessor.from_config(config.data)
    corpus = open_corpus(config.data.training_files, config, text)
    state = new_state(config, new_networks(config, len(text.symbols), CPU))
    job = Job(config, out, CPU, corpus, corpus, StopRequest())
    return validate(state.speaking_model, job.valid_batches(), config)[0]


def main() -> None:
    """Do all of it, and write what came out."""
    out = Path(sys.argv[1])
    torch.set_num_threads(1)
    rank, world_size = distributed.rank(), distributed.world_size()
    config = settings.load(out / "config.json")
    with distributed.joined(CPU):
        found = {"validation": validation(config, out)}
        silence_noise()
        each = 6 // world_size
        mine = utterances(rank * each, (rank + 1) * each)
        found["step"] = one_step([mine])
        found["accumulated"] = one_step([utterances(i, i + 1) for i in range(rank * each, (rank + 1) * each)])
        found["bad_step"] = one_bad_step(mine)
        found["from_main"] = [distributed.from_main(told) for told in (7 + rank, None if rank == 0 else 3, rank)]
        found["sum"] = distributed.sum_over_processes([rank, 0.5])
    torch.save(found, out / f"process_{rank}.pt")


if __name__ == "__main__":
    main()
