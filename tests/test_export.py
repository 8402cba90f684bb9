"""Export: what is written for others opens again and sounds the same to the bit."""

import contextlib
import json
import os
import re
import resource
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from safetensors import safe_open

import checkpoint
import export as command
import formats
from evaluation import release
from evaluation.card import CardInfo
from formats import published, publishing
from synthesis import Voice
from tests.conftest import ROOT, with_corpus, write_corpus
from tests.formats.test_formats import CONSTANTS, tiny_weights
from training import trainer


def export(*arguments):
    """Run the command; returns the finished process."""
    return subprocess.run([sys.executable, str(ROOT / "export.py"), *map(str, arguments)], cwd=ROOT, text=True,
                          capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two voices, two steps old."""
    folder = tmp_path_factory.mktemp("two")
    config = with_corpus(write_corpus(folder, ("bob", "alice")), (
        "train.total_steps=2", "data.n_speakers=2", "model.gin_channels=8"))
    trainer.fit(config, folder / "run", torch.device("cpu"))
    return folder / "run"


@pytest.fixture(scope="module")
def released(run, tmp_path_factory):
    """The run, exported by the command with all that it can give."""
    folder = tmp_path_factory.mktemp("release") / "voice"
    done = export("-m", run, "--to", "release", "-o", folder, "--with-discriminators")
    assert done.returncode == 0, done.stderr
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == [
        *(str(folder / name) for name in ("model.safetensors", "config.json", "discriminators.safetensors",
                                          "symbols.txt", "speakers.json", "curves.png", "README.md")), *["checked"] * 3]
    assert "differs by 0e+00 at most from this project's sound" in done.stdout
    return folder


def test_a_release_sounds_like_its_run_to_the_bit(run, released):
    for path in (released, released / "model.safetensors"):
        ours, theirs = (Voice.load(each, "cpu").speak("abc def", speaker="alice", seed=1) for each in (run, path))
        assert np.array_equal(ours.samples, theirs.samples) and len(ours.samples) > 0
    assert Voice.load(released, "cpu").speakers == ("alice", "bob")


def test_the_mean_of_the_newest_checkpoints_is_a_release(tmp_path, monkeypatch):
    weights, run = [tiny_weights(()) for _ in range(3)], tmp_path / "run"
    for step, each in enumerate(weights):
        shaken = {name: tensor + step * torch.ones_like(tensor) if tensor.is_floating_point() else tensor
                  for name, tensor in each.generator.items()}
        weights[step] = each._replace(generator=shaken)
        run.mkdir(exist_ok=True)
        checkpoint.save(run, step + 1, {"config": each.config, "generator": shaken})
    monkeypatch.setattr("sys.argv", ["export.py", "-m", str(run), "--average", "2", "-o", str(tmp_path / "mean")])
    command.main()
    mean = checkpoint.read_weights(tmp_path / "mean")
    for name, tensor in mean.generator.items():
        torch.testing.assert_close(tensor, (weights[1].generator[name] + weights[2].generator[name]) / 2)
    assert mean.step == 3
    for count in (0, 1, 4):
        with pytest.raises(ValueError, match=f"--average is {count}, and .* has 3 checkpoints"):
            publishing.averaged(run, count)
    with pytest.raises(ValueError, match="has 0 checkpoints"):
        publishing.averaged(tmp_path / "mean", 2)


def test_one_voice_of_two_has_the_latent_of_one_and_the_generator_of_the_other(tmp_path, monkeypatch, capsys):
    text_side = tiny_weights(("model.hidden_channels=8",))
    sound = tiny_weights(("model.generator=harmonic", "model.istft_channels=8"), with_discriminators=True)
    for name, weights in (("text_side", text_side), ("sound", sound)):
        publishing.publish_weights(weights, tmp_path / name)
    monkeypatch.setattr("sys.argv", ["export.py", "-m", str(tmp_path / "text_side"), "--generator-from",
                                     str(tmp_path / "sound"), "-o", str(tmp_path / "joined"), "--with-discriminators"])
    command.main()
    joined = checkpoint.read_weights(tmp_path / "joined")
    for name, tensor in joined.generator.items():
        source = sound if name.startswith(("dec.", "pitch.")) else text_side
        assert torch.equal(tensor, source.generator[name]), name
    assert set(joined.discriminators) == set(sound.discriminators) and joined.step == sound.step
    assert Voice.load(tmp_path / "joined", "cpu").speak("abc", seed=1).samples.any()


def test_voices_of_two_latents_are_not_joined(tmp_path):
    text_side, sound = tiny_weights(()), tiny_weights(("model.inter_channels=4",))
    with pytest.raises(ValueError, match="model.inter_channels is .* learned from one teacher"):
        publishing.joined(text_side, sound)


def test_a_release_holds_published_names_as_fp32_and_says_what_it_is(run, released):
    payload = checkpoint.load(checkpoint.newest(run))
    with safe_open(released / "model.safetensors", framework="pt") as file:
        assert set(file.keys()) == set(payload["average"]) and "dec.ups.0.weight_g" in file.keys()
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float32}
        assert all(torch.equal(file.get_tensor(name), payload["average"][name]) for name in file.keys())
        assert {"format": "vits-release", "version": "1", "step": "2"}.items() <= file.metadata().items()
    with safe_open(released / "discriminators.safetensors", framework="pt") as file:
        assert set(file.keys()) == set(payload["discriminators"])


def test_a_release_tells_nothing_of_the_machine_that_trained(run, released):
    config = json.loads((released / "config.json").read_text(encoding="utf-8"))
    assert config["data"]["training_files"] == config["data"]["validation_files"] == ""
    assert str(run.parent) not in (released / "config.json").read_text(encoding="utf-8")
    assert config["data"]["speakers"] == ["alice", "bob"]


def test_discriminators_stay_at_home_unless_asked_for(run, tmp_path):
    done = export("-m", run, "--to", "release", "-o", tmp_path / "voice")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "voice").iterdir()) == [
        "README.md", "config.json", "curves.png", "model.safetensors", "speakers.json", "symbols.txt"]


def test_another_form_is_written_checked_and_zipped(run, tmp_path):
    done = export("-m", run, "--to", "huggingface", "-o", tmp_path / "voice", "--zip")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    names = ["model.safetensors", "config.json", "vocab.json", "tokenizer_config.json"]
    assert [line.split(": ")[0] for line in lines[:5]] == [
        *(str(tmp_path / "voice" / name) for name in names), str(tmp_path / "voice.zip")]
    assert all(line.endswith(" MB") for line in lines[:5])
    assert all(line.startswith("checked: ") for line in lines[5:]) and len(lines) == 7
    with zipfile.ZipFile(tmp_path / "voice.zip") as archive:
        assert {f"voice/{name}" for name in names} <= set(archive.namelist()) and archive.testzip() is None


def test_every_form_that_can_be_written_is_offered():
    done = export("--help")
    offered = done.stdout.partition("--to {")[2].partition("}")[0].split(",")
    assert offered == ["release", *(name for name, carries in formats.FORMATS.items() if carries.writes)]


@pytest.mark.parametrize(("arguments", "message"), [
    (("-m", "RUN", "--to", "huggingface", "-o", "RUN"), "holds checkpoints; huggingface goes to a folder of its own"),
    (("-m", "RUN", "--to", "huggingface", "-o", "OUT", "--with-discriminators"), "huggingface has no place for them"),
    (("-m", "RUN", "--to", "published", "-o", "OUT"), "the published code cannot build this voice: data.symbols is"),
    (("-m", "RELEASE", "--to", "published", "-o", "OUT", "--with-discriminators"), "has no discriminators; take the"),
    (("-m", "RUN", "--to", "release", "-o", "RUN"), "holds checkpoints; a release goes to a folder of its own"),
    (("-m", "RELEASE", "-o", "RELEASE", "--half"), "holds the voice that is read; name another folder"),
    (("-m", "nowhere", "--to", "release", "-o", "OUT"), "error: no run or checkpoint nowhere"),
    (("-m", "RUN", "--to", "onxx", "-o", "OUT"), "invalid choice: 'onxx'"),
    (("-m", "RUN", "--to", "onnx", "-o", "OUT", "--words", "RUN"), "--words fills the lexicon of sherpa-onnx; onnx"),
    (("-m", "RUN", "--to", "piper", "-o", "OUT", "--quantise", "fp16"), "--quantise narrows the graph of --to onnx"),
    (("-m", "RUN", "-o", "OUT", "--quantise", "fp16"), "or of a release's --with onnx; release is left as it is"),
    (("-m", "RUN", "-o", "OUT", "--with", "onnx", "--quantise", "fp16", "int8"), "a release holds one graph; name one"),
    (("-m", "RUN", "--to", "piper", "-o", "OUT", "--half", "--data", "mine"), "--data, --half: of --to release only"),
    (("-m", "RUN", "-o", "OUT", "--scorecard", "RUN"), "holds no scorecard.json; python evaluate.py -m RUN makes one"),
])
def test_what_cannot_be_exported_is_refused_without_a_traceback(run, tmp_path, arguments, message):
    if "RELEASE" in arguments:
        publishing.publish(run, tmp_path / "release")
    places = {"RUN": run, "OUT": tmp_path / "out", "RELEASE": tmp_path / "release"}
    done = export(*(places.get(each, each) for each in arguments))
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_graph_is_written_with_narrower_copies(run, tmp_path):
    pytest.importorskip("onnxruntime", reason="pip install onnx onnxruntime")
    done = export("-m", run, "--to", "onnx", "-o", tmp_path / "out", "--quantise", "fp16", "int8")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"voice.onnx", "voice.json", "voice.fp16.onnx", "voice.int8.onnx"}
    sizes = [(tmp_path / "out" / f"voice{kind}.onnx").stat().st_size for kind in ("", ".fp16")]
    assert sizes[1] < sizes[0] and "checked: " in done.stdout


# What is written is whole, the same each time, and replaces what was there only at the end.

FORMS = ["release", "zip", *(name for name, carries in formats.FORMATS.items() if carries.writes)]


def write_form(name, folder, step=7):
    """An untrained voice in a form."""
    weights = tiny_weights(CONSTANTS if name == "published" else ())._replace(step=step)
    if name == "release":
        return release.write(weights, folder, CardInfo(), release.ReleaseFormat(half=True, onnx=True, quantise="fp16"))
    if name == "zip":
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "graph").write_bytes(np.random.default_rng(step).bytes(50_000))
        return formats.ExportResult([folder / "graph", command.zipped(folder)])
    words = ["abc"] if name == "sherpa-onnx" else None
    return formats.write(name, weights, folder, words, ("int8",) if name == "onnx" else ())


def bytes_of(folder):
    """What lies in a folder, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@contextlib.contextmanager
def full_disk(limit):
    """Within it no file grows beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", FORMS)
def test_the_same_weights_are_the_same_bytes_and_a_full_disk_leaves_those_of_yesterday(tmp_path, monkeypatch, name):
    if "onnx" in name or name in ("release", "piper"):
        pytest.importorskip("onnxruntime", reason="pip install onnx onnxruntime")
    monkeypatch.delitem(published.FIXED, "discriminator")
    for day in ("yesterday", "today"):
        written = write_form(name, tmp_path / day / "voice")
    before = bytes_of(tmp_path / "yesterday")
    assert len(before) == len(written.files)
    if name != "torchscript":  # torch numbers the programs of a process within them; of two processes they are equal
        assert bytes_of(tmp_path / "today") == before
    assert all(file.is_file() and file.is_relative_to(tmp_path / "today") for file in written.files)
    if name == "zip":
        os.utime(tmp_path / "yesterday" / "voice" / "graph", (0, 0))
        assert zipfile.ZipFile(command.zipped(tmp_path / "yesterday" / "voice")).testzip() is None
        assert bytes_of(tmp_path / "yesterday") == before
    for folder, expected in (("yesterday", before), ("never", {})):
        target = tmp_path / folder / "voice"
        with full_disk(20_000), pytest.raises(OSError, match=f"File too large: '{re.escape(str(target))}"):
            if name == "zip":
                command.zipped(tmp_path / "yesterday" / "voice")
            else:
                write_form(name, target, step=8)
        assert bytes_of(tmp_path / folder) == expected
        if name == "zip":
            break


def test_a_voice_of_the_project_is_exported_by_its_name(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["export.py", "-m", "en_rms", "-o", str(tmp_path / "out")])
    monkeypatch.chdir(tmp_path)
    read = []
    monkeypatch.setattr(checkpoint, "read_weights", lambda path, raw: read.append(path) or sys.exit())
    with pytest.raises(SystemExit):
        command.main()
    assert read == [ROOT / "voices" / "en_rms"]


def test_raw_weights_are_those_that_the_last_step_left(run, tmp_path):
    payload = checkpoint.load(checkpoint.newest(run))
    done = export("-m", run, "--to", "release", "--raw", "-o", tmp_path / "raw")
    assert done.returncode == 0, done.stderr
    found = checkpoint.read_weights(tmp_path / "raw").generator
    assert all(torch.equal(found[name], tensor) for name, tensor in payload["generator"].items())
    assert any(not torch.equal(found[name], tensor) for name, tensor in payload["average"].items())
    with pytest.raises(ValueError, match="is a release, which holds one kind of weights; name the run, or leave --raw"):
        checkpoint.read_weights(tmp_path / "raw", raw=True)


def test_the_command_explains_itself():
    done = export("--help")
    assert done.returncode == 0 and "python export.py" in done.stdout
