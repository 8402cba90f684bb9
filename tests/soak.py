"""A long run with random kills and NaN, beside one that nobody disturbs: are they equal to the bit?

    python -m tests.soak --minutes 60 --out soak

Both train the tiny configuration with both networks. The disturbed one is killed with SIGKILL after a random time, over
and over, and started anew with another number of loader workers. In both, a loss is NaN at every 37th step, and in
three steps in a row once in a while. Prints the kills and what differed, which must be nothing; exit status 1 if
anything did.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

import checkpoint
import config as settings
from tests.conftest import ROOT, with_corpus, write_corpus

PLUGIN = '''
import math
from training import step as training_step
real = training_step.generator_losses
def generator_losses(state, *arguments):
    losses = real(state, *arguments)
    is_bad = state.step % 37 == 5 or state.step % 500 in (101, 102, 103)
    return type(losses)(losses | {"mel": losses["mel"] * math.nan}) if is_bad else losses
training_step.generator_losses = generator_losses
'''
KEPT_EVERY = 100  # steps


def main() -> None:
    """Run both, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    out, chance = args.out.absolute(), random.Random(args.seed)
    out.mkdir(parents=True)
    (out / "nan.py").write_text(PLUGIN)
    lists = write_corpus(out / "corpus", speakers=None)
    config = with_corpus(lists, (
        "train.total_steps=1000000", "train.save_interval=5", "train.eval_interval=200", "train.batch_size=3",
        f"train.keep_every={KEPT_EVERY}", 'train.trackers=["jsonl"]', f'model.plugins=["{out / "nan.py"}"]'))
    settings.save(config, out / "config.json")
    calm = start(out, "calm", workers=0)
    kills = disturb(out, chance, time.monotonic() + 60 * args.minutes)
    last = checkpoint.list_steps(out / "disturbed")[-1]
    while checkpoint.list_steps(out / "calm")[-1] < last and calm.poll() is None:
        time.sleep(1)
    calm.send_signal(signal.SIGTERM)
    calm.wait()
    sys.exit(report(out, kills))


def start(out: Path, name: str, workers: int) -> subprocess.Popen:
    """One of the two runs, on one thread; what it says is appended to NAME.log."""
    with (out / f"{name}.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "train.py", "-c", out / "config.json", "-m", out / name, "--device", "cpu",
             "--set", f"train.num_workers={workers}"],
            cwd=ROOT, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})


def disturb(out: Path, chance: random.Random, until: float) -> list[tuple[int, int, int]]:
    """Start and kill until the time is over, then end in good order; of each kill workers, newest checkpoint, step."""
    kills = []
    while True:
        workers = chance.choice([0, 1, 2])
        process = start(out, "disturbed", workers)
        time.sleep(chance.uniform(8, 40))
        if process.poll() is not None:
            raise SystemExit(f"the run ended by itself with status {process.returncode}; see {out / 'disturbed.log'}")
        if time.monotonic() > until:
            process.send_signal(signal.SIGTERM)
            process.wait()
            return kills
        process.kill()
        process.wait()
        steps = checkpoint.list_steps(out / "disturbed")
        done = losses_of(out / "disturbed")
        kills.append((workers, steps[-1] if steps else 0, max(done, default=0)))
        litter = list((out / "disturbed").glob("checkpoint_*.tmp"))
        print(f"kill {len(kills)}: {workers} workers, at step {kills[-1][2]}, newest checkpoint {kills[-1][1]}"
              f"{', while it was saving' if litter else ''}", flush=True)


def losses_of(run_dir: Path) -> dict[int, dict[str, float]]:
    """The training losses by step; times, and a torn last line, are left out."""
    found = {}
    path = run_dir / "metrics.jsonl"
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if "train/mel" in values:
            found[values["step"]] = {k: v for k, v in values.items() if k not in ("time", "train/steps_per_second")}
    return found


def report(out: Path, kills: list[tuple[int, int, int]]) -> int:
    """Compare losses of every step and whole checkpoints; the number of differences, at most 1."""
    calm, disturbed = losses_of(out / "calm"), losses_of(out / "disturbed")
    common = sorted(calm.keys() & disturbed.keys())
    different = [step for step in common if calm[step] != disturbed[step]]
    missing = sorted(set(range(1, max(disturbed) + 1)) - disturbed.keys())
    kept = sorted(set(checkpoint.list_steps(out / "calm")) & set(checkpoint.list_steps(out / "disturbed")))
    unequal = [step for step in kept if not is_equal(*(
        {k: v for k, v in checkpoint.load(checkpoint.path_of(out / name, step)).items() if k != "config"}
        for name in ("calm", "disturbed")))]
    bad = sum(value["train/mel"] is None for value in disturbed.values())
    print(f"{len(kills)} kills, {bad} steps with NaN, {len(common)} steps compared: {len(different)} with other losses "
          f"{different[:5]}, {len(missing)} missing {missing[:5]}; {len(kept)} checkpoints compared (parameters, "
          f"optimizers, average): {len(unequal)} unequal {unequal[:5]}")
    return int(bool(different or missing or unequal or not kept))


def is_equal(left: object, right: object) -> bool:
    """Whether two nested payloads are the same to the bit."""
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(is_equal(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(is_equal, left, right))
    return left == right


if __name__ == "__main__":
    main()
