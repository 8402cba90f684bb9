"""One function over many items, on this machine's processes or on Ray; what is finished outlives a kill.

    for result in run_map(measure, items, jobs=8, journal=Path("train.txt.check")):
        ...                                # in the items' order; run again after a kill, it goes on where it was

Items go to the workers in shards. With a journal each finished shard is written whole, as journal/shards/NUMBER.jsonl,
and then noted in journal/journal.jsonl together with a digest of its items: what is noted is not computed again, and
what is not noted is, so that nothing is lost and nothing comes twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from utils import import_package, interrupts_ignored, write_text_atomic

ENGINES = ("local", "ray")
_DEATHS = 3  # of workers, one after another, without a finished shard between them: then it is no accident
_AHEAD = 4  # shards for each worker that are under way or wait to be given back in order


class Shard(NamedTuple):
    """Neighbouring items."""

    number: int  # from 0
    items: list

    @property
    def digest(self) -> str:
        """What tells these items from others."""
        return hashlib.blake2b(repr(self.items).encode(), digest_size=16).hexdigest()


class DiedError(Exception):
    """Workers died again and again over one shard."""

    def __init__(self, shard: Shard):
        super().__init__(shard)
        self.shard = shard


class Workers(Protocol):
    """Who computes shards."""

    def submit(self, shard: Shard) -> None:
        """Begin a shard, or let it wait."""

    def finished(self) -> list[tuple[Shard, list[str]]]:
        """At least one of those begun, each with its results as JSON; none only if none was begun."""


def run_map(function: Callable[[Any], Any], items: Iterable, engine: str = "local", jobs: int = 1,
            journal: Path | None = None, shard: int = 64, place_of: Callable[[int], str] | None = None,
            ) -> Iterator[Any]:
    """Yield function(item) for each item, in the items' order.

    Args:
        function: at a module's top level, for it travels to other processes. What it gives must be made of what JSON
            knows, and comes back as JSON has it: a tuple as a list.
        items: whatever has a `repr` that tells one from another; all that a result depends on must be in it.
        engine: "local" or "ray": the cluster of RAY_ADDRESS, or else one that is started here for as long as it takes.
        jobs: processes, or Ray's tasks at a time; with one, "local" computes in this process.
        journal: folder where results are kept; None keeps none.
        shard: items that travel together.
        place_of: what an item of that number is called in messages, such as "file:line"; None shows the item.

    Raises:
        ValueError: no such engine, or Ray is not installed.
        ChildProcessError: workers die again and again over the same shard, which the message names.
    """
    if engine not in ENGINES:
        raise ValueError(f"--engine {engine}: expected {' or '.join(ENGINES)}")
    jobs = max(1, jobs)
    kept = _Journal(journal)
    shards = (Shard(number, part) for number, part in enumerate(_parts(items, shard)))
    with _named(shard, place_of), _workers(function, engine, jobs) as workers:
        under_way, ready = 0, {}
        for number in itertools.count():
            while number not in ready or under_way + len(ready) < _AHEAD * jobs:
                following = next(shards, None) if under_way + len(ready) < _AHEAD * jobs else None
                if following is not None:
                    rows = kept.find(following)
                    if rows is None:
                        workers.submit(following)
                        under_way += 1
                    else:
                        ready[following.number] = rows
                elif number in ready:
                    break
                elif not under_way:
                    return
                else:
                    for done, rows in workers.finished():
                        kept.keep(done, rows)
                        ready[done.number] = rows
                        under_way -= 1
            yield from map(json.loads, ready.pop(number))


class _Journal:
    """Which shards are finished, and their results."""

    def __init__(self, folder: Path | None):
        self.folder = folder
        self.digests: dict[int, str] = {}
        if folder is not None:
            for row in self._noted():
                with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):  # torn by a kill
                    note = json.loads(row)
                    self.digests[note["shard"]] = note["digest"]

    def find(self, shard: Shard) -> list[str] | None:
        """The results of a shard of just these items, if it is finished."""
        place = self._place(shard)
        if place is None or self.digests.get(shard.number) != shard.digest or not place.is_file():
            return None
        rows = place.read_text(encoding="utf-8").splitlines()
        return rows if len(rows) == len(shard.items) else None  # a disk without power may forget what it was given

    def keep(self, shard: Shard, rows: list[str]) -> None:
        """First the results, then the note."""
        place = self._place(shard)
        if place is None:
            return
        write_text_atomic(place, "".join(row + "\n" for row in rows))
        with open(self.folder / "journal.jsonl", "a", encoding="utf-8") as file:
            # A line that a kill has torn has no end: a newline before the note keeps it from spoiling this one too.
            file.write("\n" + json.dumps({"shard": shard.number, "digest": shard.digest, "items": len(rows)}) + "\n")

    def _noted(self) -> list[str]:
        file = self.folder / "journal.jsonl"
        return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []

    def _place(self, shard: Shard) -> Path | None:
        return None if self.folder is None else self.folder / "shards" / f"{shard.number:08d}.jsonl"


class _Here:
    """This very process, one shard after the other."""

    def __init__(self, function: Callable[[Any], Any]):
        self._function = function
        self._waiting: list[Shard] = []

    def submit(self, shard: Shard) -> None:
        self._waiting.append(shard)

    def finished(self) -> list[tuple[Shard, list[str]]]:
        shard = self._waiting.pop(0)
        return [(shard, _results(self._function, shard.items))]


class _Processes:
    """Processes of this machine. If one dies, all are started anew and what was not finished is begun again.

    Then one shard is under way at a time, until none is left of those: so it is known over which one they die.
    """

    def __init__(self, function: Callable[[Any], Any], jobs: int):
        self._function = function
        self._jobs = jobs
        self._futures: dict[Future, Shard] = {}
        self._held: list[Shard] = []
        self._deaths = 0
        self._pool = self._started()

    def submit(self, shard: Shard) -> None:
        if self._held:
            self._held.append(shard)
            return
        try:
            with interrupts_ignored():  # which the new processes inherit: Ctrl-C is for the main one
                future = self._pool.submit(_results, self._function, shard.items)
        except BrokenProcessPool as error:  # it died since we looked
            future = Future()
            future.set_exception(error)
        self._futures[future] = shard

    def finished(self) -> list[tuple[Shard, list[str]]]:
        while self._futures:
            done, _ = wait(self._futures, return_when=FIRST_COMPLETED)
            whole = [future for future in done if not isinstance(future.exception(), BrokenProcessPool)]
            results = [(self._futures.pop(future), future.result()) for future in whole]
            self._deaths = 0 if results else self._deaths + 1
            if len(whole) < len(done):
                self._start_again()
            elif not self._futures:
                self._submit_held()
            if results:
                return results
        return []

    def shutdown(self) -> None:
        """End the processes; what they do not do yet, they will not do."""
        self._pool.shutdown(cancel_futures=True)

    def _start_again(self) -> None:
        unfinished = sorted(self._futures.values(), key=lambda shard: shard.number)
        if self._deaths >= _DEATHS:
            raise DiedError(unfinished[0])
        whole = {future: shard for future, shard in self._futures.items() if future.done() and not future.exception()}
        self._pool.shutdown()
        self._pool, self._futures = self._started(), whole
        self._held = [shard for shard in unfinished if shard not in whole.values()] + self._held
        if not whole:
            self._submit_held()

    def _submit_held(self) -> None:
        """Begin the next of the shards that wait for one another."""
        held, self._held = self._held, []
        for first in held[:1]:
            self.submit(first)
        self._held = held[1:]

    def _started(self) -> ProcessPoolExecutor:
        _start_quiet_tracker()
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        return ProcessPoolExecutor(self._jobs, context, _begin_worker)


class _Ray:
    """Tasks of a Ray cluster, which begins those anew whose worker died."""

    def __init__(self, function: Callable[[Any], Any], ray: Any):
        self._ray = ray
        self._function = function
        self._task = ray.remote(max_retries=_DEATHS)(_results_in)
        self._shards: dict[Any, Shard] = {}

    def submit(self, shard: Shard) -> None:
        self._shards[self._task.remote(os.getcwd(), self._function, shard.items)] = shard

    def finished(self) -> list[tuple[Shard, list[str]]]:
        if not self._shards:
            return []
        (task, *_), _ = self._ray.wait(list(self._shards), num_returns=1)
        try:
            return [(self._shards[task], self._ray.get(task))]
        except (self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.OutOfMemoryError):
            raise DiedError(self._shards[task]) from None
        finally:
            del self._shards[task]


@contextlib.contextmanager
def _workers(function: Callable[[Any], Any], engine: str, jobs: int) -> Iterator[Workers]:
    """Workers as long as they are needed."""
    if engine == "ray":
        with _ray_cluster(jobs) as ray:
            yield _Ray(function, ray)
    elif jobs <= 1:
        yield _Here(function)
    else:
        processes = _Processes(function, jobs)
        try:
            yield processes
        finally:
            processes.shutdown()


@contextlib.contextmanager
def _ray_cluster(jobs: int) -> Iterator[Any]:
    """The module `ray`, connected; a cluster that is started here ends here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report its use over the network
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what Ray will do anyway, and warns of till then
    ray = import_package("ray", otherwise="leave --engine ray out")
    if ray.is_initialized():
        yield ray
        return
    ours = {"env_vars": {"PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parents[1]), *sys.path])}}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(runtime_env=ours, log_to_driver=False)
    else:
        ray.init(address="local", num_cpus=jobs, include_dashboard=False, log_to_driver=False, logging_level="error",
                 runtime_env=ours)
    try:
        yield ray
    finally:
        ray.shutdown()


def _start_quiet_tracker() -> None:
    """Start the process that frees the semaphores of one that was ended by a signal, without its words about them."""
    before = list(sys.warnoptions)
    sys.warnoptions.append("ignore:resource_tracker")  # the new process takes these as its own
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions[:] = before


def _results(function: Callable[[Any], Any], items: list) -> list[str]:
    """Each item's result as a line of JSON."""
    return [json.dumps(function(item), ensure_ascii=True) for item in items]


def _results_in(folder: str, function: Callable[[Any], Any], items: list) -> list[str]:
    """The same in a folder, for relative paths start where the command runs, and not where the cluster was started."""
    os.chdir(folder)
    return _results(function, items)


def _begin_worker() -> None:
    """A worker ends with the process that started it, and wants one thread, for all of them share the cores."""
    threading.Thread(target=_end_with, args=[multiprocessing.parent_process()], daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    """Wait for the end of the parent, however it comes (SIGKILL leaves it no time to say so), and end this process."""
    parent.join()
    os._exit(1)


def _parts(items: Iterable, size: int) -> Iterator[list]:
    iterator = iter(items)
    while part := list(itertools.islice(iterator, size)):
        yield part


@contextlib.contextmanager
def _named(size: int, place_of: Callable[[int], str] | None) -> Iterator[None]:
    """Within it the death of workers over a shard is a message that names its first and last item."""
    try:
        yield
    except DiedError as error:
        shard = error.shard
        first, last = shard.number * size, shard.number * size + len(shard.items) - 1
        name = place_of or (lambda number: repr(shard.items[number - first]))
        raise ChildProcessError(
            f"a worker process died {_DEATHS} times over the same items, from {name(first)} to {name(last)}; if the "
            "memory is full, use fewer --jobs; if one file or text does it, remove that line") from None
