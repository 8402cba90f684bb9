"""Steps whose loss or gradient is not finite: skipped, logged, kept, and after several in a row rolled back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import checkpoint
import config as settings
from config import Config
from data_utils import Batch
from training import distributed
from training.step import StepLosses, TrainState
from utils import described

logger = logging.getLogger("vits")

MAX_DUMPS = 10  # batches kept in RUN/bad_steps, of each process


class NonFiniteStreak(RuntimeError):
    """Too many steps in a row whose loss or gradient is not finite.

    Attributes:
        first_step: of them; parameters are those of before it.
    """

    def __init__(self, first_step: int, length: int):
        super().__init__(
            f"{length} steps in a row, from step {first_step}, had a loss or gradient that is not finite (see the log "
            "for their utterances); lower train.learning_rate or set train.grad_clip, and start again: the run goes on "
            "from its newest checkpoint. With a higher train.rollbacks it goes back to an earlier one by itself")
        self.first_step = first_step


class BadSteps:
    """Counts steps in a row whose loss or gradient is not finite, keeps their batches, and ends a streak.

    The count is a field of the state, so that it survives a restart. A GPU is asked one step late, to wait for nothing.
    """

    def __init__(self, run_dir: Path, limit: int):
        self.run_dir = run_dir
        self.limit = limit
        self._waiting: list[tuple[int, Sequence[Batch], StepLosses]] = []

    def note(self, state: TrainState, batches: Sequence[Batch], losses: StepLosses) -> None:
        """Count the step that was just done; the result is the same in every process.

        Raises:
            NonFiniteStreak: there have been `limit` of them in a row.
        """
        self._waiting.append((state.step, batches, losses))
        if len(self._waiting) > (state.device.type == "cuda"):
            self._check(state, *self._waiting.pop(0))

    def _check(self, state: TrainState, step: int, batches: Sequence[Batch], losses: StepLosses) -> None:
        if losses.is_finite or state.is_lowering_scale:
            state.bad_steps_in_a_row = 0
            return
        state.bad_steps_in_a_row += 1
        in_a_row = state.bad_steps_in_a_row
        values = losses.as_floats()
        names = [name for batch in batches for name in batch.names]
        logger.warning("step %d was left out, its loss or gradient is not finite (%d of at most %d in a row): %s; "
                       "utterances %s%s", step, in_a_row, self.limit,
                       ", ".join(f"{name} {value:.4g}" for name, value in values.items()), ", ".join(names[:16]),
                       f" and {len(names) - 16} more" if len(names) > 16 else "")
        self._dump(step, batches, values)
        if in_a_row >= self.limit:
            raise NonFiniteStreak(step - in_a_row, in_a_row)

    def _dump(self, step: int, batches: Sequence[Batch], values: dict[str, float]) -> None:
        """Keep this process's batches, unless enough are kept already."""
        folder = self.run_dir / "bad_steps"
        rank = distributed.rank()
        if len(list(folder.glob(f"*_process_{rank}.pt"))) >= MAX_DUMPS:
            return
        content = {"step": step, "losses": values, "batches": [
            {"names": list(batch.names), "text_ids": batch.text_ids, "text_lengths": batch.text_lengths,
             "wav": batch.wav, "wav_lengths": batch.wav_lengths, "speaker_ids": batch.speaker_ids}
            for batch in batches]}
        try:
            checkpoint.dump(folder / f"step_{step:08d}_process_{rank}.pt", content)
        except OSError as error:  # a full disk must not end the run
            logger.warning("the batch of step %d is not kept: %s", step, described(error))


def roll_back(state: TrainState, config: Config, run_dir: Path, streak: NonFiniteStreak) -> None:
    """Go back to the newest checkpoint to which the run has not gone back before, with lower learning rates.

    Raises:
        NonFiniteStreak: the run may not go back, or has no more to go back to.
    """
    train = config.train
    steps = [step for step in checkpoint.list_steps(run_dir) if step <= streak.first_step
             and step not in state.rolled_back_to]
    chosen = distributed.from_main(max(steps, default=None))
    if state.rollbacks >= train.rollbacks or chosen is None:
        raise streak
    rollbacks, rolled_back_to = state.rollbacks + 1, [*state.rolled_back_to, chosen]
    path = checkpoint.path_of(run_dir, chosen)
    state.load_state_dict(checkpoint.load(path), path)
    state.rollbacks, state.rolled_back_to, state.bad_steps_in_a_row = rollbacks, rolled_back_to, 0
    if distributed.is_main():
        checkpoint.discard_after(run_dir, chosen)
        checkpoint.save(run_dir, chosen, {"config": settings.to_dict(config), **state.state_dict()})
    logger.warning("rollback %d of %d: back to step %d, learning rates times %g", rollbacks, train.rollbacks, chosen,
                   train.rollback_lr_factor ** rollbacks)
