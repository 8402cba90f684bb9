"""Every command of README.md and docs/guide/commands.md is run as written, on data made here, with two steps a run."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import checkpoint
from audio.io import write_wav
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "guide" / "commands.md").read_text(encoding="utf-8")
YOUR_VOICE = (ROOT / "docs" / "guide" / "your-voice.md").read_text(encoding="utf-8")


def bash_blocks(page: str) -> list[list[str]]:
    """The commands of each block of a page."""
    return [[line for line in block.splitlines() if line.strip()]
            for block in re.findall(r"```bash\n(.*?)```", page, re.DOTALL)]


def table_commands(page: str) -> list[str]:
    """The first column of a page's table of commands."""
    return re.findall(r"^\| `((?:python|torchrun) [^`]*)`", page, re.MULTILINE)


FOUR_COMMANDS = bash_blocks(YOUR_VOICE)[0]  # a test of their own runs them
COMMANDS = [line for block in bash_blocks(README) + bash_blocks(GUIDE) for line in block if line not in FOUR_COMMANDS]
BY_CI = {"make demo", "make test", 'pip install -e ".[evaluate]"'}  # .ci/run runs these, or installs more
BY_HAND = {"tensorboard --logdir runs"}  # does not end by itself; that it can read a run is tested in test_trackers.py


def own_recordings(folder: Path) -> None:
    """What a user brings: wavs of another rate and a metadata.csv."""
    random = np.random.default_rng(0)
    rows = []
    for i in range(26):
        time = np.arange(22050 * 2) / 44100
        wav = np.sin(2 * np.pi * (120 + i) * time) * 0.3 + random.standard_normal(len(time)) * 0.003
        write_wav(folder / "wavs" / f"rec{i:02d}.wav", wav.astype(np.float32), 44100)
        rows.append(f"rec{i:02d}|The cat is here {'again ' * (i % 3)}now.")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of what git would give a user, with recordings of their own beside it."""
    folder = tmp_path_factory.mktemp("clone") / "vits"
    ignore = shutil.ignore_patterns(".*", "runs", "data", "demo", "build", "*.egg-info", "__pycache__", "tests")
    shutil.copytree(ROOT, folder, ignore=ignore)
    own_recordings(folder / "my_recordings")
    return folder


def run_line(line: str, folder: Path) -> None:
    arguments = shlex.split(line)
    programs = {"python": [sys.executable], "torchrun": [sys.executable, "-m", "torch.distributed.run", "--standalone"]}
    assert arguments[0] in programs, f"no test runs {line!r}"
    if any(word in ("train.py", "train_ms.py") for word in arguments):
        steps = 2
        if "-m" in arguments:  # going on is one step more
            steps = max(checkpoint.list_steps(folder / arguments[arguments.index("-m") + 1]), default=1) + 1
        arguments += ["--set", f"train.total_steps={steps}", "--set", "train.eval_interval=2", "--device", "cpu"]
    done = subprocess.run([*programs[arguments[0]], *arguments[1:]], cwd=folder, capture_output=True, text=True,
                          errors="replace", timeout=600, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_every_command_in_the_blocks_of_both_pages_runs_in_their_order(clone):
    lines = [line for line in COMMANDS if line not in BY_CI | BY_HAND]
    assert len(lines) >= 19
    for line in lines:
        run_line(line, clone)
    for name in ("mine.wav", "road.wav", "road_m7.wav", "mine_voice/model.safetensors", "wait.flac", "no_torch.wav",
                 "my_recordings.check/suspects.html"):
        assert (clone / name).stat().st_size > 1000
    assert "26 utterances" in (clone / "my_recordings.check" / "summary.txt").read_text()
    assert (clone / "data" / "mine" / "train.txt.check" / "summary.txt").is_file()
    assert any(line.startswith("torchrun --nproc_per_node=2") for line in lines)
    assert "cpu x 2 processes" in (clone / "runs" / "mine" / "train.log").read_text(encoding="utf-8")
    assert "one voice becomes several" in (clone / "runs" / "four" / "train.log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_four_commands_for_a_voice_of_ones_own_run_as_written(clone):
    """From a folder of recordings with a text beside each to a voice, without any other option."""
    assert len(FOUR_COMMANDS) == 4 and FOUR_COMMANDS in bash_blocks(README)
    own_recordings(clone / "recordings")
    for row in (clone / "recordings" / "metadata.csv").read_text().splitlines():
        name, text = row.split("|")
        (clone / "recordings" / "wavs" / f"{name}.txt").write_text(text + "\n")
    (clone / "recordings" / "metadata.csv").unlink()
    for line in FOUR_COMMANDS:
        run_line(line, clone)
    assert (clone / "my_voice.wav").stat().st_size > 10_000
    log = (clone / "runs" / "my_voice" / "train.log").read_text(encoding="utf-8")
    assert re.search(r"^discriminators +\d+ \([\d,]+\) +- +- +-$", log, re.MULTILINE), "they did not come along"


def made_run(folder: Path) -> Path:
    """A run of the smallest voice, two steps old."""
    import torch

    from tests.conftest import with_corpus, write_corpus
    from training import trainer

    trainer.fit(with_corpus(write_corpus(folder, None), ("train.total_steps=2",)), folder / "run", torch.device("cpu"))
    return folder / "run"


@pytest.mark.slow
def test_every_row_of_the_command_table_runs(clone, tmp_path):
    (tmp_path / "lines.txt").write_text("The cat sleeps.\nThe dog runs.\n")
    wav = tmp_path / "a.wav"
    write_wav(wav, (0.1 * np.sin(np.arange(16000) / 20)).astype(np.float32), 16000)
    for speaker in "pq":
        for i in range(3):
            write_wav(tmp_path / "vctk" / "wav48" / speaker / f"{speaker}_{i}.wav",
                      (0.1 * np.sin(np.arange(16000) / (20 + i))).astype(np.float32), 16000)
            text = tmp_path / "vctk" / "txt" / speaker / f"{speaker}_{i}.txt"
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text("The cat is here now.\n")
    (tmp_path / "list.txt").write_text(f"{wav}|The cat is here.\n")
    fill = {"FOLDER": "my_recordings", "DATA": str(tmp_path / "data"), "LIST": str(tmp_path / "list.txt"),
            "LINES": str(tmp_path / "lines.txt"), " A B ": f" {tmp_path / 'list.txt'} {tmp_path / 'list.txt'} "}
    speaking = re.findall(r"^\| `(python synthesize[^`]*-m RUN --(?:text|file)[^`]*)`", GUIDE, re.MULTILINE)
    assert len(speaking) == 4
    fill |= {"RUN": str(made_run(tmp_path)), "TEXT": "'The cat sleeps.'", "BOOK": str(tmp_path / "lines.txt")}
    for row in speaking:
        for name in ("RUN", "TEXT", "LINES", "BOOK", "FOLDER"):
            row = row.replace(name, str(tmp_path / "spoken") if name == "FOLDER" else fill[name])
        run_line(row, clone)
    assert (tmp_path / "spoken" / "0002.wav").is_file() and "cat" in (clone / "book.srt").read_text()
    (tmp_path / "said.txt").write_text("word|Cat.\nsentence|The dog runs.\n")
    few = f"--cheap --count 2 --sentences {tmp_path / 'said.txt'}"
    [evaluating] = re.findall(r"^\| `(python evaluate.py -m RUN[^`]*)`", GUIDE, re.MULTILINE)
    [comparing] = re.findall(r"^\| `(python evaluate.py --compare[^`]*)`", GUIDE, re.MULTILINE)
    run_line(evaluating.replace("[--cheap] [--count 40]", few).replace("RUN", fill["RUN"]), clone)
    shutil.copytree(fill["RUN"], tmp_path / "other")
    run_line(comparing.replace("RUN_A", fill["RUN"]).replace("RUN_B", str(tmp_path / "other")) + f" {few}", clone)
    assert list((tmp_path / "run" / "evaluation").glob("*/report.html"))
    [exporting] = re.findall(r"^\| `(python export.py -m RUN --to huggingface[^`]*)`", GUIDE, re.MULTILINE)
    [converting] = re.findall(r"^\| `(python convert.py SOURCE[^`]*)`", GUIDE, re.MULTILINE)  # .onnx: its own tests
    run_line(exporting.replace("[--zip]", "--zip").replace("RUN", fill["RUN"]).replace("FOLDER", str(tmp_path / "hf")),
             clone)
    run_line(converting.replace("SOURCE", str(tmp_path / "hf")).replace("RUN", str(tmp_path / "back")), clone)
    assert (tmp_path / "hf.zip").is_file() and (tmp_path / "back" / "model.safetensors").is_file()
    rows = re.findall(r"^\| `(python preprocess[^`]*)`", GUIDE, re.MULTILINE)
    options = {" [-c CONFIG]": " -c configs/demo.json", " [--columns id,text,speaker]": " --columns id,text",
               "FOLDER\\|LIST [-m RUN]": "LIST"}
    for shown, meant in options.items():
        rows = [row.replace(shown, meant) for row in rows]
    assert len(rows) == 9
    rows = [row for row in rows if " flite " not in row or shutil.which("flite")]
    for row in rows:
        for name, value in fill.items():
            row = row.replace(name, str(tmp_path / "vctk") if name == "FOLDER" and " vctk " in row else value)
        run_line(row, clone)
    assert (tmp_path / "list.txt.cleaned").read_text().strip().endswith("ðə kˈæt ɪz hˈɪɹ.")


def test_the_errors_shown_in_the_readme_are_the_ones_printed():
    shown = re.search(r"\$ (python train\.py .*?)\n(error: .*?)```", README, re.DOTALL)
    arguments = shlex.split(shown[1])
    done = subprocess.run([sys.executable, *arguments[1:]], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stderr.strip() == shown[2].strip()


def test_the_readmes_table_of_commands_is_a_part_of_the_guides():
    rows = table_commands(README)
    assert 8 <= len(rows) <= 12 and set(rows) <= set(table_commands(GUIDE))


def test_every_option_named_in_both_pages_exists():
    for script in ("preprocess", "train", "train_ms", "synthesize", "export"):
        source = "".join((ROOT / name).read_text() for name in (f"{script}.py", "training/trainer.py", "config.py"))
        for line in re.findall(rf"python {script}\.py[^`\n]*", README + GUIDE):
            for option in re.findall(r"(?<= )--[a-z_-]+", line):
                assert f'"{option}"' in source, f"{script}.py has no {option}"


def test_the_python_example_runs(tmp_path, monkeypatch):
    import torch

    from tests.conftest import with_corpus, write_corpus
    from training import trainer

    [code] = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "Voice.load" in block]
    trainer.fit(with_corpus(write_corpus(tmp_path, None), ("train.total_steps=1",)), tmp_path / "runs" / "demo",
                torch.device("cpu"))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README", "exec"), {})
    assert (tmp_path / "good_morning.wav").stat().st_size > 44
