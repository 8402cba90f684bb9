"""What is installed fits: modules import, a step trains, a sentence is spoken; and the lock keeps its promises."""

import importlib
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

import checkpoint
from synthesis import Voice
from tests.conftest import ROOT, with_corpus, write_corpus
from training import trainer

FOLDERS = ("audio", "corpora", "evaluation", "formats", "monotonic_align", "synthesis", "text", "training")
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
SYSTEMS = ("linux", "darwin", "win32")


def modules() -> list[str]:
    files = [*ROOT.glob("*.py"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))]
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files} - {"setup"}
    return sorted(name.removesuffix(".__init__") for name in names)


@pytest.mark.newest
@pytest.mark.parametrize("name", modules())
def test_every_module_imports(name):
    if name == "monotonic_align.triton_kernel":
        pytest.importorskip("triton", reason="published for Linux only")
    importlib.import_module(name)


@pytest.mark.newest
def test_a_step_trains(tmp_path):
    torchaudio = pytest.importorskip("torchaudio", exc_type=ImportError)  # anything else than "not installed" fails
    assert torchaudio.functional.melscale_fbanks(5, 0.0, 4000.0, 2, 8000).shape == (5, 2)
    trainer.fit(with_corpus(write_corpus(tmp_path, None), ("train.total_steps=1",)), tmp_path / "run",
                torch.device("cpu"))
    assert checkpoint.list_steps(tmp_path / "run") == [1]


@pytest.mark.newest
def test_a_sentence_sounds_the_same_by_torch_and_by_onnx():
    pytest.importorskip("onnxruntime", reason="pip install onnxruntime")
    from synthesis.onnx import OnnxVoice
    ours = Voice.load(ROOT / "voices" / "en_rms", "cpu").speak("The river runs quietly.", seed=1)
    theirs = OnnxVoice.load(ROOT / "voices" / "en_rms").speak("The river runs quietly.", seed=1)
    seconds = [len(audio.samples) / audio.sample_rate for audio in (ours, theirs)]
    assert 1 < seconds[0] < 4 and abs(seconds[1] / seconds[0] - 1) < 0.1  # the graph has weights of 8 bits
    assert all(0.1 < np.abs(audio.samples).max() <= 1 for audio in (ours, theirs))


def locked(python: str, system: str) -> dict[str, str]:
    """Package -> version that requirements.lock installs there."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    machine = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": system,
               "platform_machine": "arm64" if system == "darwin" else "x86_64", "platform_system": system.title(),
               "implementation_name": "cpython", "platform_python_implementation": "CPython"}
    versions = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            requirement = Requirement(line)
            [specifier] = requirement.specifier
            assert specifier.operator == "==", line
            if requirement.marker is None or requirement.marker.evaluate(machine):
                assert canonicalize_name(requirement.name) not in versions, f"{line} is there twice"
                versions[canonicalize_name(requirement.name)] = specifier.version
    return versions


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_lock_holds_one_version_of_every_requirement_and_within_its_range(python, system):
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    versions = locked(python, system)
    lines = [line for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
             if line.strip() and not line.startswith("#")]
    assert len(lines) >= 15
    for requirement in map(Requirement, lines):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement
    assert {"pip", "setuptools", "wheel", "cython", "pytest"} <= versions.keys()  # what builds and tests is held too


def test_what_the_lock_installs_for_torch_can_be_loaded_together():
    """torchaudio 2.11.0 loads beside torch 2.11 only, and 2.11.1 beside 2.13 and later only."""
    from packaging.version import Version

    versions = locked("3.11", "linux")
    assert Version(versions["torch"]) >= Version("2.13") and Version(versions["torchaudio"]) >= Version("2.11.1")


def test_make_installs_by_the_lock_only():
    """Every line of the Makefile that installs is held by the lock, builds of packages too."""
    printed = subprocess.run(["make", "--dry-run", "--always-make", "test"], cwd=ROOT, capture_output=True, text=True)
    assert printed.returncode == 0, printed.stderr
    installs = [line for line in printed.stdout.splitlines() if re.search(r"pip install", line)]
    assert len(installs) >= 3
    assert all("--constraint requirements.lock" in line for line in installs), installs
    assert all("--build-constraint requirements.lock" in line for line in installs if "--editable" in line), installs


def test_make_takes_torch_for_the_cpu_only_where_it_is_asked_to():
    def printed(*arguments: str) -> str:
        return subprocess.run(["make", "--dry-run", "--always-make", "demo", *arguments], cwd=ROOT, capture_output=True,
                              text=True, check=True).stdout

    assert "whl/cpu" in printed("TORCH=cpu") and "whl/cpu" not in printed()
    refused = subprocess.run(["make", "--dry-run", "demo", "TORCH=tpu"], cwd=ROOT, capture_output=True, text=True)
    assert refused.returncode != 0 and "TORCH is tpu; expected cpu, or nothing" in refused.stderr


@pytest.mark.parametrize("broken", [
    pytest.param("torchaudio", id="torchaudio"), pytest.param("torchaudio librosa sklearn", id="more than that")])
def test_a_voice_is_spoken_where_what_only_training_needs_is_broken(tmp_path, broken):
    for name in broken.split():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise OSError('Could not load this library: lib{name}.so')")
    program = (f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n"
               "from synthesis import Voice\n"
               "Voice.load().speak('Hello.').at_rate(48000).save(sys.argv[1])\n")
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.flac")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.flac").stat().st_size > 1000
