"""Data loading that survives the death of its worker processes.

    batches = RestartingLoader(lambda step: DataLoader(dataset, batch_sampler=StepSampler(batches, step)), first_step)
"""

from __future__ import annotations

import contextlib
import copy
import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import connection
from typing import Any

from torch.utils.data import DataLoader

from audio.io import AudioError

logger = logging.getLogger("vits")

_MOST_DEATHS = 3  # of loader workers, without a batch in between
_PATIENCE = 10  # seconds for a loader to end in good order


class WorkersDied(RuntimeError):
    """Worker processes of the data loader die repeatedly."""


class RestartingLoader:
    """Batches of an endless DataLoader, in an order that the death of worker processes does not change.

    After a worker was killed (by hand, by lack of memory), new ones start at the first batch that was not delivered,
    with a warning. Exceptions of the dataset are raised as usual.

    Args:
        make_loader: returns a DataLoader whose first batch is that of the given step.
        first_step: of the first batch.

    Raises:
        WorkersDied: workers die repeatedly without a batch in between.
    """

    def __init__(self, make_loader: Callable[[int], DataLoader], first_step: int):
        self.make_loader = make_loader
        self.first_step = first_step

    def __iter__(self) -> Iterator[Any]:
        step, deaths = self.first_step, 0
        while True:
            with contextlib.closing(_WorkerPool(self.make_loader(step))) as crew:
                while (batch := crew.next_batch()) is not None:
                    yield batch
                    step, deaths = step + 1, 0
            deaths += 1
            if deaths == _MOST_DEATHS:
                raise WorkersDied(
                    f"{deaths} loader workers in a row died before batch {step} was ready; the last: {crew.death}. "
                    "SIGKILL means that the memory is full (see dmesg), SIGBUS that /dev/shm is (see df /dev/shm): "
                    "lower train.num_workers or the batch; with train.num_workers=0 an error shows itself")
            logger.warning("a loader worker died: %s; restarting workers at batch %d, nothing is lost",
                           crew.death, step)


class _WorkerPool:
    """One DataLoader's iterator and its worker processes."""

    def __init__(self, loader: DataLoader):
        others = set(multiprocessing.active_children())
        handler = _child_handler()
        if loader.num_workers:
            loader.multiprocessing_context = _context_without_locks()
        self._batches = iter(loader)
        self._workers = [child for child in multiprocessing.active_children() if child not in others]
        self.death = ""  # process and reason
        # A DataLoader raises on the death of a worker wherever the main thread happens to be, perhaps between two
        # parameters of an optimizer's step. It also checks the workers while it waits, which is enough.
        if handler is not None:
            signal.signal(signal.SIGCHLD, handler)

    def next_batch(self) -> Any | None:
        """The next batch, or None if a worker has died."""
        if not self._has_died():
            try:
                return next(self._batches)
            except AudioError as error:  # from a worker its message follows a traceback
                raise AudioError(str(error).rpartition("AudioError: ")[2].strip() or str(error)) from None
            except Exception as error:  # the dataset's own begin with "Caught ..."
                # The connection to a dying worker may break before its process has ended.
                if str(error).startswith("Caught") or not self._has_died(patience=5):
                    raise
        return None

    def _has_died(self, patience: float = 0) -> bool:
        """Whether a worker has died, or dies within `patience` seconds."""
        ended = connection.wait([worker.sentinel for worker in self._workers], patience) if self._workers else []
        for worker in self._workers:
            if worker.sentinel in ended:
                worker.join()
                code = worker.exitcode
                reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
                self.death = f"process {worker.pid}, {reason}"
        return bool(ended)

    def close(self) -> None:
        """End all worker processes."""
        if self._has_died():
            self._kill()
        # Ending a DataLoader may wait for ever: for a queue's lock that a worker held when it was killed, or for the
        # rest of its message. So this runs in a thread, which is abandoned if it does not return.
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


class _Flag:
    """What a DataLoader uses of an Event, without its lock: a worker that is killed while it holds one never lets go.

    A DataLoader asks the event that ends its workers before each batch, and in the main process when one has died.
    """

    def __init__(self) -> None:
        self._value = multiprocessing.RawValue("b", 0)

    def is_set(self) -> bool:
        """Whether it was set."""
        return bool(self._value.value)

    def set(self) -> None:
        """Set it, for good."""
        self._value.value = 1


def _context_without_locks() -> multiprocessing.context.BaseContext:
    """The context of the default start method, with `_Flag` for Event."""
    context = copy.copy(multiprocessing.get_context(multiprocessing.get_start_method()))
    context.Event = _Flag
    return context


def _child_handler() -> Callable | int | None:
    """The SIGCHLD handler to restore, not torch's own; None outside the main thread."""
    if not hasattr(signal, "SIGCHLD") or threading.current_thread() is not threading.main_thread():
        return None
    handler = signal.getsignal(signal.SIGCHLD) or signal.SIG_DFL
    return signal.SIG_DFL if str(handler.__module__).startswith("torch.utils.data") else handler
