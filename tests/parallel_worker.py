"""What test_parallel.py lets other processes do; it imports little, for each of them imports it."""

import os
import signal
import time


def squared(item):
    return {"item": item, "square": item * item, "odd": "\u2028ü" if item % 2 else None}


def logged(item, log):
    """Squared, and noted in a file that all processes append to."""
    with open(log, "a") as file:
        file.write(f"{item}\n")
    return item * item


def deadly(item, folder, fatal):
    """Kills its own process at one item, the first time only."""
    if item == fatal:
        try:
            os.close(os.open(folder / "died", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def always_deadly(item):
    if item == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def waiting(item, folder, seconds=600):
    """Leaves its process's number in a file, and takes long."""
    (folder / f"{os.getpid()}.pid").touch()
    time.sleep(seconds)
    return item


def refusing(item):
    if item == 7:
        raise ValueError("item 7 is refused")
    return item


def both(item, folder):
    """Noted, and deadly at item 22."""
    logged(item, folder / "log")
    return deadly(item, folder, fatal=22)
