"""Run the benchmarks on this machine and write their tables into docs/reference/benchmarks.md: `make bench`.

    python -m benchmarks                        # all, about 35 minutes on two quiet cores
    python -m benchmarks alignment data         # only these
    python -m benchmarks --list

Each runs in a process of its own, one after the other, and prints Markdown; that replaces what stands on the page
between its two markers. The sentences around them are people's, and stay.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
PLOTS = "docs/reference/benchmarks"

BENCHMARKS = {
    "alignment": ["--plot", f"{PLOTS}/alignment.png"],
    "training_step": [],
    "growth": ["--plots", PLOTS],
    "data": ["--large", "--plot", f"{PLOTS}/sampler.png"],
    "startup": [],
    "graph": [],
    "synthesis": ["--seconds", "2", "20", "--repeats", "3"],
}
"""Module below `benchmarks` -> its arguments. `gpu`, `serving` and `coqui_step` are run by hand: see benchmarks.md."""


def replaced(page: str, name: str, output: str) -> str:
    """Replace the output between the markers of a benchmark in a page.

    Raises:
        ValueError: the page lacks them.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if len(pattern.findall(page)) != 1:
        raise ValueError(f"the page must hold {begin} and {end} once each; add them where the output shall stand")
    return pattern.sub(lambda _: f"{begin}\n\n{output.strip()}\n\n{end}", page)


def run(name: str, arguments: list[str]) -> str:
    """Run a benchmark and return its output; warnings go to the terminal.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    print("$ python", *command[1:], flush=True)
    start = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    print(f"{done.stdout}\n({time.monotonic() - start:.0f} s)\n", flush=True)
    return done.stdout


def main(arguments: list[str] | None = None) -> None:
    """Run the named benchmarks, and rewrite the page after each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--list", action="store_true", help="print the names, and stop")
    args = parser.parse_args(arguments)
    if args.list:
        print("\n".join(BENCHMARKS))
        return
    unknown = sorted(set(args.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    for name in args.names or BENCHMARKS:
        output = run(name, BENCHMARKS[name])
        page = args.page.read_text(encoding="utf-8")
        args.page.write_text(replaced(page, name, output), encoding="utf-8")


if __name__ == "__main__":
    main()
