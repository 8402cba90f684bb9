"""What is installed fits: modules import, a step trains, a sentence is spoken; and the lock keeps its promises."""

import importlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from setuptools import find_packages

import checkpoint
from synthesis import Voice
from tests.conftest import ROOT, with_corpus, write_corpus
from training import trainer

PACKAGES = [name for name in find_packages(ROOT) if name.split(".")[0] not in ("tests", "benchmarks", "docs")]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
SYSTEMS = ("linux", "darwin", "win32")


def modules() -> list[str]:
    files = [*ROOT.glob("*.py"), *(path for name in PACKAGES for path in (ROOT / name.replace(".", "/")).glob("*.py"))]
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


def needed_for_speaking() -> set[str]:
    """The packages of requirements-speak.txt and all that they require in turn, by their normalised names."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (ROOT / "requirements-speak.txt").read_text(encoding="utf-8").splitlines()
    waiting = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    assert len(waiting) >= 6
    found = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        waiting += map(Requirement, importlib.metadata.requires(name) or [])
    return found


# Of all packages that are installed here, only those named by the arguments can be imported.
SPEAK_WITH_FEW = """
import importlib.metadata, re, runpy, sys
allowed, arguments = set(sys.argv[1].split(",")), sys.argv[2:]
normalised = lambda name: re.sub("[-_.]+", "-", name).lower()
owners = importlib.metadata.packages_distributions()

class Few:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        packages = {normalised(each) for each in owners.get(name.partition(".")[0], ())}
        return None if packages and not packages & allowed else self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Few(finder) for finder in sys.meta_path if hasattr(finder, "find_spec")]
sys.argv = ["synthesize.py", *arguments]
runpy.run_path("synthesize.py", run_name="__main__")
"""


@pytest.mark.parametrize("options", [
    ("-o", "a.flac", "--rate", "48000"), ("-o", "a.ogg", "--rate", "8000"),
    ("-o", "a.wav", "-m", "de_kerstin", "--timings", "srt", "--pitch", "2")])
def test_the_packages_for_speaking_are_enough(tmp_path, options):
    pytest.importorskip("onnxruntime", reason="pip install -r requirements-speak.txt")
    allowed = needed_for_speaking() | {"vits"}
    assert not {"torch", "torchaudio", "librosa", "scipy"} & allowed
    options = [str(tmp_path / each) if each.startswith("a.") else each for each in options]
    text = "Dr. Smith paid $5 on May 3rd." if "de_kerstin" not in options else "Am 3. Mai um 8 Uhr."
    done = subprocess.run([sys.executable, "-c", SPEAK_WITH_FEW, ",".join(allowed), text, *options],
                          cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / options[1].rpartition("/")[2]).stat().st_size > 1000


def test_without_torch_the_voice_class_says_what_to_do():
    program = "import sys; sys.modules['torch'] = None; from synthesis import Voice"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert "PackageError" in done.stderr and "synthesis.onnx.OnnxVoice" in done.stderr


@pytest.mark.slow
def test_a_copy_that_is_not_in_place_speaks_from_an_empty_folder(tmp_path):
    elsewhere = shutil.ignore_patterns(".*", "build", "runs", "logs", "data", "demo", "__pycache__")
    shutil.copytree(ROOT, tmp_path / "source", ignore=elsewhere)  # building leaves files in it
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
                    "--wheel-dir", tmp_path, tmp_path / "source"], check=True, capture_output=True, text=True)
    [wheel] = tmp_path.glob("vits-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "copy")
        [points] = [archive.read(name).decode() for name in archive.namelist() if name.endswith("entry_points.txt")]
    assert set(re.findall(r"^(vits-[\w-]+) = utils:run_console_command$", points, re.MULTILINE)) == {
        f"vits-{name}" for name in "preprocess train train-ms synthesize serve evaluate export convert".split()}
    for name in ("serving/page/index.html", "configs/tiers/fast.json", "voices/en_student/voice.onnx"):
        assert (tmp_path / "copy" / name).is_file()
    (tmp_path / "empty").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "copy")}

    def run(*arguments: str) -> str:
        done = subprocess.run([sys.executable, *arguments], cwd=tmp_path / "empty", env=environment, text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert str(tmp_path / "copy") in run("-c", "import synthesis; from synthesis import Voice; "
                                         "Voice.load().speak('Hello.').save('a.wav'); print(synthesis.__file__)")
    assert (tmp_path / "empty" / "a.wav").stat().st_size > 1000
    start = "import sys, utils; sys.argv = sys.argv[1:]; utils.run_console_command()"
    assert "b.wav" in run("-c", start, "vits-synthesize", "Hello.", "-o", "b.wav")
    done = subprocess.run([sys.executable, "-c", start, "vits-train", "-c", "configs/demo.json"], env=environment,
                          cwd=tmp_path / "empty", capture_output=True, text=True)
    assert done.returncode == 2 and "data/demo/train.txt" in done.stderr  # the configuration is found, no corpus
    for name in ("preprocess", "train", "train-ms", "evaluate", "export", "convert"):
        assert "usage:" in run("-c", start, f"vits-{name}", "--help")
