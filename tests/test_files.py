"""Files: whole or as they were, whatever ends the writing; a lock ends with its process and with nothing else."""

import errno
import os
import signal
import socket
import subprocess
import sys

import pytest

import utils
from tests.conftest import ROOT
from utils import atomic_path, described, errors_named, locked, staged, write_bytes_atomic, write_text_atomic

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
ENDS = [FULL, KeyboardInterrupt(), ValueError("the data are wrong"), SystemExit(2)]


def tree(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def fill(folder, **content):
    folder.mkdir(exist_ok=True)
    for name, text in content.items():
        (folder / name).write_text(text)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
@pytest.mark.parametrize("is_there", [False, True])
def test_a_folder_whose_writing_ends_early_is_as_it_was(tmp_path, end, is_there):
    if is_there:
        fill(tmp_path / "voice", graph="of yesterday", mine="my own")
    before = tree(tmp_path)
    with pytest.raises(type(end)), staged(tmp_path / "voice", ("mine",)) as made:
        fill(made, graph="half")
        raise end
    assert tree(tmp_path) == before and (tmp_path / "voice").exists() == is_there


@pytest.mark.parametrize("end", ENDS[:2], ids=lambda end: type(end).__name__)
@pytest.mark.parametrize("after", range(5))
@pytest.mark.parametrize("is_done", [False, True])
def test_a_folder_that_cannot_be_exchanged_is_as_it_was(tmp_path, monkeypatch, end, after, is_done):
    """The fifth of five renames and all before it fail, or are interrupted when they are done already."""
    fill(tmp_path / "voice", a="1", b="2", old="3", mine="4")
    before, real, moves = tree(tmp_path), os.replace, []

    def replace(source, target):
        moves.append(target)
        fails = len(moves) == after + 1
        if is_done or not fails:
            real(source, target)
        if fails:
            raise end

    with pytest.raises(type(end)), staged(tmp_path / "voice", ("old",)) as made:
        fill(made, a="new", b="new")
        monkeypatch.setattr(os, "replace", replace)
    assert tree(tmp_path) == before


def test_a_file_that_could_not_be_written_into_a_folder_is_named_as_it_would_be_there(tmp_path):
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path / 'voice' / 'graph'}'"):
        with staged(tmp_path / "voice") as outer, staged(outer) as inner, errors_named(inner / "graph"):
            raise FULL
    with pytest.raises(FileNotFoundError, match=f"{tmp_path / 'elsewhere'}"), staged(tmp_path / "voice"):
        open(tmp_path / "elsewhere")


def test_a_folder_that_is_written_replaces_its_files_and_those_that_are_stale_and_no_others(tmp_path):
    fill(tmp_path / "voice", a="1", old="2", mine="3")
    with staged(tmp_path / "voice", ("old", "never")) as made:
        fill(made, a="new", b="new")
        assert made.name == "voice" and tree(tmp_path / "voice") == {"a": "1", "old": "2", "mine": "3"}
    assert tree(tmp_path) == {"voice/a": "new", "voice/b": "new", "voice/mine": "3"}
    with staged(tmp_path / "deep" / "new") as made:
        fill(made, a="1")
    assert tree(tmp_path / "deep") == {"new/a": "1"} and [p.name for p in (tmp_path / "deep").iterdir()] == ["new"]
    with pytest.raises(FileExistsError, match="voice/a"), staged(tmp_path / "voice" / "a"):
        pass


@pytest.mark.parametrize("write", [lambda path: write_text_atomic(path, "x" * 5000),
                                   lambda path: write_bytes_atomic(path, b"x" * 5000)])
def test_a_full_disk_names_the_file_and_leaves_what_was_there(tmp_path, write):
    """A limit on the size of files is as a full disk, for a process of its own."""
    path = tmp_path / "a.txt"
    path.write_text("of yesterday")
    child = os.fork()
    if child == 0:
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            write(path)
        except OSError as error:
            os._exit(0 if error.errno == errno.EFBIG and error.filename == str(path) else 3)
        os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert tree(tmp_path) == {"a.txt": "of yesterday"}


def test_errors_that_name_another_file_or_are_of_another_kind_stay_as_they_are(tmp_path):
    with pytest.raises(OSError, match="No space left on device: .*wanted"), errors_named("wanted"):
        raise FULL
    with pytest.raises(FileNotFoundError, match="other"), atomic_path(tmp_path / "a"):
        open(tmp_path / "other")
    with pytest.raises(OSError, match="^4 MB are free$"), errors_named("wanted"):
        raise OSError("4 MB are free")


HOLDER = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from utils import locked
with locked(Path(sys.argv[2])):
    child = os.fork()
    if child:
        print(os.getpid(), child, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock, and a child that it forked, as a loader's worker is."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(ROOT), str(tmp_path / "lock")], stdout=subprocess.PIPE,
                          text=True) as process:
        pid, child = map(int, process.stdout.readline().split())
        yield pid
        for each in (pid, child):
            try:
                os.kill(each, signal.SIGKILL)
            except ProcessLookupError:
                pass


def test_a_lock_names_who_holds_it_and_dies_with_that_process_but_not_with_its_children(tmp_path, holder):
    for _ in range(2):
        with pytest.raises(BlockingIOError, match=f"^process {holder} on {socket.gethostname()}$"):
            with locked(tmp_path / "lock"):
                pass
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    for _ in range(2):  # and it may be taken again and again
        with locked(tmp_path / "lock"):
            assert str(os.getpid()) in (tmp_path / "lock").read_text()


@pytest.mark.parametrize("left_over", ["", "process 1 on here\n", "x" * 1000])
def test_a_lock_file_that_was_left_behind_blocks_nobody(tmp_path, left_over):
    (tmp_path / "lock").write_text(left_over)
    with locked(tmp_path / "lock"):
        pass
    assert (tmp_path / "lock").read_text() == f"process {os.getpid()} on {socket.gethostname()}\n"


def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch, caplog):
    def lock(_file):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(utils, "_lock", lock)
    with locked(tmp_path / "lock"):
        pass
    assert "lock cannot be locked (No locks available): start only one job here" in caplog.text


@pytest.mark.parametrize("error, expected", [
    (OSError(errno.ENOSPC, "No space left on device", "a.wav"), "a.wav: No space left on device"),
    (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
    (OSError(errno.EXDEV, "Invalid cross-device link", "a", None, "b"), "a and b: Invalid cross-device link"),
    (FileNotFoundError("no filelist a.txt; make it"), "no filelist a.txt; make it"), (ValueError("x"), "x")])
def test_an_error_of_the_system_is_described_without_its_number(error, expected):
    assert described(error) == expected
