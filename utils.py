"""Files written whole or not at all, seeds, logging, messages of errors, parts by name, memory.

    with user_errors(): ...                         # a command: a user's mistake becomes one message
    write_text_atomic("out/list.txt", "a line\n")
    with staged(Path("voice")) as made: ...         # fill it; its files move into voice/ at the end
    GENERATORS = Registry("generator")              # GENERATORS.get("hifigan")(config.model, config.data)

Only the standard library is imported here, so that commands and voices that do without torch start at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import difflib
import errno
import hashlib
import importlib
import importlib.metadata
import importlib.util
import logging
import os
import random
import re
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Generic, TextIO, TypeVar

if TYPE_CHECKING:
    import torch

Part = TypeVar("Part")

logger = logging.getLogger("vits")

INTERRUPTED = 128 + signal.SIGINT  # exit status after Ctrl-C, as shells count

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_executed: set[Path] = set()  # plugins of this process


def set_seed(*parts: int) -> int:
    """Seed Python, NumPy and torch from a hash of `parts`, e.g. (seed, step, rank), and return that hash."""
    import numpy as np
    import torch

    digest = hashlib.blake2b(repr(tuple(int(part) for part in parts)).encode(), digest_size=8).digest()
    seed = int.from_bytes(digest, "little") >> 1  # 63 bits: what torch takes on every device
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    return seed


def write_text_atomic(path: str | os.PathLike, text: str) -> None:
    """Write UTF-8 text whole or not at all; folders are made as needed."""
    write_atomic(Path(path), lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))


def write_bytes_atomic(path: str | os.PathLike, content: bytes) -> None:
    """Write bytes whole or not at all; folders are made as needed."""
    write_atomic(Path(path), lambda temporary: temporary.write_bytes(content))


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it there; folders are made as needed."""
    with atomic_path(path) as temporary:
        write(temporary)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, moved there at the end if all went well; folders are made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with errors_named(path, temporary):
            yield temporary
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def errors_named(name: str | os.PathLike, temporary: Path | None = None) -> Iterator[None]:
    """Within it an OSError that names no file (a full disk's does not), or only the temporary one, names `name`."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(name)) from error


def described(error: BaseException) -> str:
    """An error's message; of the system's own errors the file and the reason, without their number."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return f"{' and '.join(names)}: {error.strerror}" if names else error.strerror


@contextlib.contextmanager
def staged(folder: Path, stale: Sequence[str] = ()) -> Iterator[Path]:
    """An empty folder beside `folder`, of the same name, whose files move into `folder` at the end if all went well.

    Until then `folder` stays as it was, and whatever ends the work before (Ctrl-C, a full disk) leaves it so. Other
    files that lie in it stay. Only a process that is killed between two of the last renames can leave a mixture.

    Args:
        folder: made as needed.
        stale: names of files in it that go even where no new one takes their place.

    Raises:
        FileExistsError: there is a file where the folder should be.
    """
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent) as beside:
        made = Path(beside) / folder.name
        made.mkdir()
        try:
            yield made
        except OSError as error:
            if error.filename is None or made not in Path(error.filename).parents:
                raise
            name = folder / Path(error.filename).relative_to(made)
            raise OSError(error.errno, error.strerror, str(name)) from error
        if folder.exists():
            _exchange(folder, made, Path(beside) / "before", stale)
        else:
            os.replace(made, folder)


def _exchange(folder: Path, made: Path, before: Path, stale: Sequence[str]) -> None:
    """Move what is in `made` into `folder`, and what that replaces into `before`; all of it or nothing."""
    before.mkdir()
    names = sorted(path.name for path in made.iterdir())
    moves = [(folder / name, before / name) for name in sorted({*names, *stale}) if (folder / name).exists()]
    moves += [(made / name, folder / name) for name in names]
    begun = []
    try:
        for source, target in moves:
            begun.append((source, target))
            os.replace(source, target)
    except BaseException:
        for source, target in reversed(begun):
            if target.exists() and not source.exists():  # the last one may not have happened
                os.replace(target, source)
        raise


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Within it no other process is within it too, on this machine or on another that sees the same file.

    The system holds the lock for this process, not for those that it forks, and drops it when the process ends,
    however it ends: a file that was left behind blocks nobody. Where the file system has no locks, a warning says so.
    Opening and closing the file elsewhere in this process would drop it too.

    Raises:
        BlockingIOError: another process is; the message is what that process wrote into the file: its id and host.
    """
    with path.open("a+", encoding="utf-8") as file:
        try:
            _lock(file)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                file.seek(0)
                raise BlockingIOError(file.read().strip() or "another process") from None
            logging.getLogger("vits").warning("%s cannot be locked (%s): nothing keeps a second process away",
                                              path, error.strerror)
        with errors_named(path):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
        yield


def _lock(file: TextIO) -> None:
    """Take the lock of an open file, or raise OSError at once."""
    try:
        import fcntl
    except ImportError:  # Windows, where nobody else can read what is locked: one byte far behind the text
        import msvcrt

        file.seek(1 << 30)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # over NFS too; flock would pass to forked workers


def drop_output(stream: IO) -> None:
    """Let what a stream still holds go nowhere; else Python would complain of it when it ends."""
    try:
        number = stream.fileno()
    except OSError:  # no file of the system
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


class PackageError(ImportError, ValueError):
    """A package that is not installed, or does not load; the message has the command that mends it."""


def import_package(name: str, beside: str = "numpy", install: str = "", otherwise: str = "") -> ModuleType:
    """Import an optional or compiled package, with one message where that fails.

    Args:
        name: module, e.g. "torchaudio.functional".
        beside: package that its compiled part has to fit; the message names both versions.
        install: what pip should install, if that is more than the package.
        otherwise: what to do without it, the end of the message.

    Raises:
        PackageError: it is not installed, or does not load.
    """
    package = name.split(".")[0]
    try:
        return importlib.import_module(name)
    except Exception as error:  # a library that does not fit is an OSError, an ImportError, a RuntimeError ...
        otherwise = otherwise and f", or {otherwise}"
        if importlib.util.find_spec(package) is None:
            raise PackageError(f"{package} is not installed; pip install {install or package}{otherwise}") from None
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PackageError(f"{_versioned(package)} does not load beside {_versioned(beside)} ({reason}); install "
                           "versions that fit each other, for example those that were tested: pip install -c "
                           f"requirements.lock {package} {beside}{otherwise}") from error


def _versioned(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return package


class PluginError(ValueError):
    """Python files that a configuration names and that may not be run, or were not."""


class Registry(Generic[Part]):
    """Builders of one kind of part, by name.

        GENERATORS = Registry("generator")

        @GENERATORS.register("mine")
        def build_mine(model: ModelConfig, data: DataConfig) -> nn.Module: ...
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._builders: dict[str, Callable[..., Part]] = {}

    def register(self, name: str) -> Callable[[Callable[..., Part]], Callable[..., Part]]:
        """Decorator that enters a builder (or class) under `name`; a later one of the same name replaces it."""
        def enter(builder: Callable[..., Part]) -> Callable[..., Part]:
            self._builders[name] = builder
            return builder
        return enter

    def get(self, name: str) -> Callable[..., Part]:
        """The builder of that name.

        Raises:
            ValueError: nobody registered the name; the message lists the known ones.
        """
        if name not in self._builders:
            name = name[:80]
            near = difflib.get_close_matches(name, self._builders, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ValueError(f"unknown {self.kind} {name!r}{hint} Known: {', '.join(sorted(self._builders))}. "
                             "A part of your own joins through model.plugins.")
        return self._builders[name]


def check_trust(key: str, paths: Sequence[str], source: str | Path, is_trusted: bool) -> None:
    """Refuse Python files that somebody else's configuration names; none is run here.

    Args:
        key: the setting that names them, model.plugins or train.callbacks.
        paths: the files.
        source: where the configuration comes from.
        is_trusted: the user said so, and is shown which files will run.

    Raises:
        PluginError: there are files, and the user did not say so.
    """
    if not paths:
        return
    files = ", ".join(str(Path(path).resolve()) for path in paths)
    if not is_trusted:
        raise PluginError(f"{source}: {key} names {files}, Python that loading it would run. Nothing was run. Read "
                          "it first; then say --trust-plugins (in Python trust_plugins=True), or name it yourself: "
                          f"--set {key}=...")
    logger.warning("running %s, which %s of %s names", files, key, source)


def load_plugins(paths: Sequence[str]) -> None:
    """Run Python files that the user trusts, which register their parts as they are imported.

    Raises:
        FileNotFoundError: a file of model.plugins is not there.
        PluginError: a file is no Python file.
    """
    for path in paths:
        if not Path(path).is_file():
            raise FileNotFoundError(f"model.plugins names {path}, which is not a file")
        if Path(path).suffix != ".py":
            raise PluginError(f"model.plugins names {path}; expected a Python file, whose name ends in .py")
        spec = importlib.util.spec_from_file_location(f"plugin_{Path(path).stem}", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses and pickle look modules up there
        spec.loader.exec_module(module)
        _executed.add(Path(path).resolve())


def require_plugins(paths: Sequence[str]) -> None:
    """See that the files of model.plugins were run in this process, before a network is built of their parts.

    Raises:
        PluginError: one was not.
    """
    if missing := [path for path in paths if Path(path).resolve() not in _executed]:
        raise PluginError(f"model.plugins names {', '.join(missing)}, which was not run, so that parts of the network "
                          "may be missing; if you trust it, load it by trust_plugins=True or utils.load_plugins")


def is_main() -> bool:
    """Whether this process writes files and logs: the first of a job, by torchrun's environment."""
    return int(os.environ.get("RANK", "0")) == 0


def leave_on_interrupt() -> None:
    """Let Ctrl-C end this process at once, with one line and status 130; for a command while it imports.

    Nothing is open then that would have to be closed, and an exception in the middle of an import may be taken for
    another. `interruptible` takes over. Where Ctrl-C is ignored (nohup), it stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def interruptible() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, after `leave_on_interrupt`."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Within it Ctrl-C waits, and processes that are started do not get it at all; their main process ends them.

    A terminal sends it to all of them, and each would print a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows, whose processes inherit nothing of the kind
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # to start it later would let Ctrl-C through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def report_interrupt() -> int:
    """Write the one line that Ctrl-C leaves on standard error, once a job; returns the exit status."""
    if is_main():
        print("interrupted", file=sys.stderr, flush=True)
    return INTERRUPTED


def _leave(_number: int, _frame: object) -> None:
    os._exit(report_interrupt())


@contextlib.contextmanager
def user_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Within it a user's mistake becomes a message on standard error and exit status 2, without a traceback.

    Ctrl-C becomes one line and exit status 130.

    Args:
        kinds: further exceptions that count as such, besides ValueError, FileNotFoundError and other OSErrors. The
            traceback goes to the log file if there is one, and to the console if VITS_TRACEBACK is set.
    """
    interruptible()
    try:
        yield
        _flush_output()
    except (ValueError, OSError, *kinds) as error:
        _note_in_log_file(error)
        if os.environ.get("VITS_TRACEBACK"):
            raise
        print(f"error{_process()}: {printable(_explained(error))}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(report_interrupt())
    except Exception as error:
        _note_in_log_file(error)
        raise


def _flush_output() -> None:
    """Write what was printed; what cannot be written is dropped with an error that names standard output."""
    try:
        with errors_named("standard output"):
            sys.stdout.flush()
    except OSError:
        drop_output(sys.stdout)
        raise


def _explained(error: Exception) -> str:
    """An error's message; for a file in a folder's place, which the system calls `File exists`, what to do."""
    if isinstance(error, FileExistsError) and error.filename:
        return f"{error.filename} is a file, where a folder is expected; name another one"
    return described(error)


def _note_in_log_file(error: Exception) -> None:
    """Write an error with its traceback to the log file, if there is one; the console shows it in its own way."""
    log = logging.getLogger("vits")
    trace = (type(error), error, error.__traceback__)
    record = log.makeRecord(log.name, logging.ERROR, __file__, 0, "ended by an error: %s", (error,), trace)
    for handler in log.handlers:
        if isinstance(handler, _LogFile):
            handler.handle(record)


def set_up_logging(log_path: str | os.PathLike | None, is_main: bool) -> logging.Logger:
    """Give the logger "vits" a console and, if `log_path` is given, a file. May be called again.

    Args:
        log_path: file to append to; its folder is made as needed. Only the main process writes it.
        is_main: other processes print warnings only.
    """
    logger = logging.getLogger("vits")
    for handler in list(logger.handlers):
        if isinstance(handler, (_Console, _LogFile)):
            logger.removeHandler(handler)
            handler.close()
    logger.setLevel(logging.INFO if is_main else logging.WARNING)
    handlers: list[logging.Handler] = [_Console()]
    if log_path is not None and is_main:
        Path(log_path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(_LogFile(log_path, encoding="utf-8"))
    process = _process()
    layout = f"%(asctime)s %(levelname)s{f'{process}:' if process else ''} %(message)s"
    for handler in handlers:
        handler.setFormatter(_Printable(layout, "%Y-%m-%d %H:%M:%S"))
        logger.addHandler(handler)
    return logger


def printable(text: object) -> str:
    """Text as a terminal may show it: names in files of others can hold what moves its cursor or renames its window."""
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], str(text))


class _Printable(logging.Formatter):
    """Records without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _process() -> str:
    """Which process of several speaks; nothing where there is one."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    return f" in process {os.environ.get('RANK', '0')} of {world_size}" if world_size > 1 else ""


class _LogFile(logging.FileHandler):
    """A log file that may fill its disk: one line on the console says so, and the run goes on without it."""

    is_written = True

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Replace logging's traceback for each line that is lost."""
        if self.is_written:
            self.is_written = False
            reason = described(sys.exc_info()[1])
            print(f"warning: {self.baseFilename} cannot be written ({reason}); the run goes on, and lines are missing "
                  "there", file=sys.stderr)

    def close(self) -> None:
        """Close it, even if what is left cannot be written."""
        with contextlib.suppress(OSError):
            super().close()


class _Console(logging.StreamHandler):
    """Standard error as it is when a line is written; progress bars and tests exchange it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr


def keep_freed_memory() -> bool:
    """Let the C library keep what tensors on the CPU give back, instead of handing it to the system each time.

    A training step frees and asks for the same gigabytes again; the system clears each page anew, which took 5 to 15 %
    of a small model's step. The most that is held stays the same. False where the C library is not glibc.
    """
    library = _glibc()
    trim_threshold, mmap_max = -1, -4  # names of options in malloc.h
    return library is not None and bool(library.mallopt(mmap_max, 0) and library.mallopt(trim_threshold, -1))


def peak_of(work: Callable[[], object], device: torch.device) -> int | None:
    """Most bytes that this process holds at a time while it does the work; None where nobody can tell."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return torch.cuda.max_memory_allocated(device)
    if device.type == "cpu":
        _give_back()
    if device.type != "cpu" or not _reset_high_water_mark():
        return None
    work()
    return kilobytes(Path("/proc/self/status")).get("VmHWM")


def kilobytes(path: Path) -> dict[str, int]:
    """Lines "Name:   123 kB" of a file of /proc as bytes by name; nothing where there is no such file."""
    if not path.is_file():
        return {}
    fields = (line.split() for line in path.read_text().splitlines())
    return {field[0].rstrip(":"): 1024 * int(field[1]) for field in fields if len(field) == 3 and field[2] == "kB"}


def _give_back() -> None:
    """Hand kept memory to the system, or what is measured next would be hidden in it."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """The C library of this process, where it is glibc."""
    library = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    return library if hasattr(library, "gnu_get_libc_version") else None


def _reset_high_water_mark() -> bool:
    """Tell Linux to count the peak of this process from now on."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True
