"""Distributed training: rank, DDP, reductions, stop signals; the same calls for one process and for many.

    torchrun --nproc_per_node=2 train.py -c configs/ljs.json      # all that differs from one process is in this file

Everything comes from torchrun's environment. One process never initialises torch.distributed. With GPUs, tensors travel
by NCCL; numbers of the host (counts, whether to stop) travel by gloo, so that nothing waits for a GPU.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

logger = logging.getLogger("vits")


def rank() -> int:
    """Global rank of this process, 0 when it is alone."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """Rank among the processes of this machine, which is also the number of this process's GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def world_size() -> int:
    """Number of processes in the job, 1 when this one is alone."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_world_size() -> int:
    """Number of processes of the job on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def is_main() -> bool:
    """Whether this process writes files and messages: the one of rank 0."""
    return rank() == 0


def own_device(device: torch.device) -> torch.device:
    """The device of this process: of several GPUs the one of its local rank.

    Raises:
        ValueError: the machine has fewer GPUs than processes, or all processes were sent to one GPU.
    """
    if device.type != "cuda" or world_size() == 1:
        return device
    if device.index is not None:
        raise ValueError(f"--device {device} sends all {world_size()} processes to one GPU; use --device cuda")
    import torch

    if local_rank() >= torch.cuda.device_count():
        raise ValueError(f"process {local_rank()} of this machine has no GPU, there are {torch.cuda.device_count()}; "
                         "start at most that many: torchrun --nproc_per_node=gpu")
    return torch.device("cuda", local_rank())


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Process group of the job, for the time of the context; nothing with one process."""
    if world_size() == 1:
        yield
        return
    import torch

    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def wrap(module: nn.Module) -> nn.Module:
    """The module for training: with several processes in DDP, which averages gradients as they are computed."""
    if world_size() == 1 or not any(parameter.requires_grad for parameter in module.parameters()):
        return module
    from torch import nn

    return nn.parallel.DistributedDataParallel(module, broadcast_buffers=False, gradient_as_bucket_view=True)


def accumulate(wrapped: nn.Module, is_last: bool) -> AbstractContextManager:
    """Accumulate gradients without averaging over processes, unless this is the last batch of the step."""
    from torch import nn

    is_alone = not isinstance(wrapped, nn.parallel.DistributedDataParallel)
    return contextlib.nullcontext() if is_alone or is_last else wrapped.no_sync()


def sum_over_processes(values: Sequence[float]) -> list[float]:
    """Numbers of the host, each summed over all processes, in float64; every process gets the sums."""
    if world_size() == 1:
        return list(values)
    import torch

    total = torch.tensor(values, dtype=torch.float64)
    torch.distributed.all_reduce(total)
    return total.tolist()


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of a tensor over all processes, on its device."""
    if world_size() == 1:
        return values
    import torch

    total = values.detach().clone()
    torch.distributed.all_reduce(total)
    return total / world_size()


def from_main(value: int | None) -> int | None:
    """The main process's value, in every process: a number of at least 0, or None."""
    shared = sum_over_processes([float(-1 if value is None else value) if is_main() else 0.0])[0]
    return None if shared < 0 else int(shared)


def recorded(main: Callable[[], None]) -> None:
    """Run a command so that torchrun's summary has the traceback of the process that failed first."""
    if "TORCHELASTIC_ERROR_FILE" not in os.environ:
        return main()
    from torch.distributed.elastic.multiprocessing.errors import record

    return record(main)()


@dataclass
class StopRequest:
    """A request to end the run, with its reason; empty until it is made."""

    reason: str = ""

    @property
    def is_made(self) -> bool:
        """Whether there is a reason to stop."""
        return bool(self.reason)


@contextlib.contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Turn the first SIGINT or SIGTERM into a request to stop after the step; a second one ends the process."""
    stop = StopRequest()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _frame: object) -> None:
        stop.reason = signal.Signals(number).name
        logger.warning("%s: finishing this step and saving; once more to leave at once", stop.reason)
        for each, handler in before.items():
            signal.signal(each, handler)

    try:
        for number in before:
            signal.signal(number, ask)
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
