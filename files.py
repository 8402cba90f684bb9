"""Files and folders that are written whole or not at all, and a lock that dies with its process.

    write_text_atomic("out/list.txt", "a line\\n")
    with staged(Path("voice")) as made: ...        # fill it; its files move into voice/ at the end
    with locked(Path("runs/demo/train.lock")): ...

Errors of the disk always name the file that was to be written.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TextIO


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
