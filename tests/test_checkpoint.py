"""Checkpoints: whole or not at all, every byte checked, found by the best and the newest; and what is published."""

import errno
import math
import os
import pickle
import random
import re
import resource
import shutil
import struct
import zipfile
from pathlib import Path

import pytest
import torch

import checkpoint
import config as settings
import utils
from checkpoint import Best, CheckpointError, Ranking
from formats import import_helpers, publishing
from synthesis import onnx, voice
from tests.conftest import tiny
from text import TextProcessor
from training import trainer
from training.step import new_networks, new_state

FULL = OSError(errno.ENOSPC, "No space left on device")


def write(folder, step, value=0.0):
    return checkpoint.save(folder, step, {"weights": torch.full((3,), value), "config": {"a": [1, None, "x"]}})


def content_of(folder):
    """Every file of a folder with its bytes."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# One file


def test_what_is_saved_is_loaded_with_plain_types_alone(tmp_path):
    path = write(tmp_path, 12, 1.5)
    assert path.name == "checkpoint_00000012.pt"
    payload = checkpoint.load(path)
    assert payload["step"] == 12 and payload["config"] == {"a": [1, None, "x"]}
    assert torch.equal(payload["weights"], torch.full((3,), 1.5))
    assert torch.load(path, weights_only=True)["format"] == checkpoint.FORMAT


def test_the_newest_is_the_highest_step_even_beyond_eight_digits(tmp_path):
    for step in (2, 100_000_000, 30):
        write(tmp_path, step)
    assert checkpoint.newest(tmp_path) == checkpoint.path_of(tmp_path, 100_000_000)
    assert checkpoint.newest(tmp_path / "nowhere") is None


def test_a_folder_that_is_named_like_a_checkpoint_is_none_and_a_link_to_nothing_is_not_passed_over(tmp_path):
    write(tmp_path, 3, 1.0)
    (tmp_path / "checkpoint_00000099.pt").mkdir()
    assert checkpoint.list_steps(tmp_path) == [3] and checkpoint.newest(tmp_path) == checkpoint.find(tmp_path)
    checkpoint.discard_after(tmp_path, 3)
    assert (tmp_path / "checkpoint_00000099.pt").is_dir()
    (tmp_path / "checkpoint_00000100.pt").symlink_to("a disk that is not there")
    assert checkpoint.list_steps(tmp_path) == [3, 100]


def test_a_flipped_byte_anywhere_is_an_error_or_harmless(tmp_path):
    path = checkpoint.save(tmp_path, 7, {"weights": torch.randn(9), "config": {"rate": 0.25, "names": ["a", None]}})
    whole, saved = path.read_bytes(), checkpoint.load(path)
    dice, refused = random.Random(0), 0
    # Tensor data, pickle, headers, padding, the archive's directory. 0x10 is the directory's flag of a folder.
    flips = [(place, 0x10) for place in range(len(whole))]
    flips += [(dice.randrange(len(whole)), 1 << dice.randrange(8)) for _ in range(500)]
    for place, mask in flips:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1:])
        try:
            payload = checkpoint.load(path)
        except CheckpointError:
            refused += 1
            continue
        assert payload["config"] == saved["config"] and payload["step"] == 7, (place, mask)
        assert torch.equal(payload["weights"], saved["weights"]), (place, mask)
    assert refused > len(flips) / 2  # the rest is padding and times of day


def test_torch_alone_would_load_other_numbers_in_silence(tmp_path):
    path = write(tmp_path, 1, 1.0)  # the reason for checking: should this fail one day, torch has learnt it
    whole = path.read_bytes()
    place = whole.index(torch.ones(3).numpy().tobytes())
    path.write_bytes(whole[:place] + b"\x77" + whole[place + 1:])
    assert not torch.equal(torch.load(path, weights_only=True)["weights"], torch.ones(3))
    with pytest.raises(CheckpointError, match=r"damaged \(its record .*/data/0 is not what was written\)"):
        checkpoint.load(path)


def test_a_file_cut_at_any_length_is_an_error(tmp_path):
    path = write(tmp_path, 1)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="empty" if length == 0 else "break off"):
            checkpoint.load(path)


def a_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


@pytest.mark.parametrize(("make", "message"), [
    (lambda path: path.write_bytes(b""), r"cannot be read: it is empty \(0 bytes\)"),
    (lambda path: path.write_text("some text"), "cannot be read: its 9 bytes break off, or were never a checkpoint"),
    (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "cannot be read: its .* bytes break off"),
    (lambda path: path.mkdir(), "cannot be read: it is a folder"),
    (a_zip, "cannot be read: it is a zip archive of something else"),
    (lambda path: torch.save({"model": {}, "iteration": 3}, path),
     "is not a checkpoint of this project; it holds the keys model, iteration"),
    (lambda path: torch.save({}, path), "is not a checkpoint of this project; it holds an empty dict"),
    (lambda path: torch.save([1, 2], path), "is not a checkpoint of this project; it holds a list"),
])
def test_each_kind_of_foreign_file_has_its_message_which_names_the_whole_one_before(tmp_path, make, message):
    write(tmp_path, 1)
    write(tmp_path, 2)
    checkpoint.path_of(tmp_path, 2).write_bytes(b"damaged as well")
    path = checkpoint.path_of(tmp_path, 3)
    make(path)
    with pytest.raises(CheckpointError, match=f"checkpoint_00000003.pt {message}") as caught:
        checkpoint.load(path)
    assert f"The one before it is {checkpoint.path_of(tmp_path, 1)}; delete or move" in str(caught.value)
    checkpoint.path_of(tmp_path, 1).unlink()
    with pytest.raises(CheckpointError, match="no older checkpoint .* To speak, name another voice; .* start anew"):
        checkpoint.load(path)


def test_a_newer_format_asks_for_newer_code(tmp_path):
    path = tmp_path / "new.pt"
    torch.save({"format": checkpoint.FORMAT, "version": checkpoint.VERSION + 1}, path)
    with pytest.raises(CheckpointError, match="has version 2, this code reads up to 1; update it"):
        checkpoint.load(path)


def test_a_file_of_another_name_is_not_told_to_start_a_run_anew(tmp_path):
    torch.save({"model": {}}, tmp_path / "G_1000.pth")
    with pytest.raises(CheckpointError, match="Expected a run folder, or a file of one"):
        checkpoint.load(tmp_path / "G_1000.pth")


def test_a_file_that_cannot_be_opened_is_not_called_damaged(tmp_path, monkeypatch):
    path = write(tmp_path, 1)

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    for place in ("torch.load", "pathlib.Path.open"):
        with monkeypatch.context() as patch, pytest.raises(PermissionError):
            patch.setattr(place, denied)
            checkpoint.load(path)


class Evil:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (os.mkdir, (self.target,))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_malicious_pickle_does_not_run(tmp_path):
    target = str(tmp_path / "owned")
    torch.save(Evil(target), tmp_path / "zip.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil(target)))
    with pytest.raises(CheckpointError, match="other things than tensors, numbers and text, and they are not executed"):
        checkpoint.load(tmp_path / "zip.pt")
    with pytest.raises(CheckpointError, match="break off, or were never a checkpoint"):
        checkpoint.load(tmp_path / "plain.pt")
    assert not os.path.exists(target)


def test_a_failed_write_leaves_the_older_checkpoint_and_no_litter(tmp_path, monkeypatch):
    path = write(tmp_path, 5, 1.0)
    before = content_of(tmp_path)
    monkeypatch.setattr(os, "fsync", failing(FULL))
    with pytest.raises(OSError, match="No space left on device: .*checkpoint_00000005.pt"):
        write(tmp_path, 5, 2.0)
    assert content_of(tmp_path) == before
    assert torch.equal(checkpoint.load(path)["weights"], torch.full((3,), 1.0))


def test_a_disk_that_ends_in_the_middle_of_a_tensor_is_reported_in_the_disks_own_words(tmp_path):
    write(tmp_path, 1)
    before = content_of(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large: .*checkpoint_00000002.pt"):
            checkpoint.save(tmp_path, 2, {"weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert content_of(tmp_path) == before


def failing(error):
    def fail(*_, **__):
        raise error
    return fail


def test_a_state_of_another_shape_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="its generator does not fit"):
        checkpoint.load_state(torch.nn.Linear(2, 2), {"weight": torch.zeros(3, 2)}, tmp_path, "generator")


# Which are found, which stay


def test_a_run_is_found_by_its_best_else_its_newest_checkpoint(tmp_path):
    for step in (1, 2, 3):
        write(tmp_path, step)
    checkpoint.write_ranking(tmp_path, Ranking("valid/mel", (Best(2, 0.1), Best(1, 0.2), Best(3, 0.3))))
    assert checkpoint.find(tmp_path) == checkpoint.path_of(tmp_path, 2)
    checkpoint.path_of(tmp_path, 2).unlink()
    assert checkpoint.find(tmp_path) == checkpoint.path_of(tmp_path, 1)  # the next best
    (tmp_path / "best.json").unlink()
    assert checkpoint.find(tmp_path) == checkpoint.path_of(tmp_path, 3)
    assert checkpoint.find(checkpoint.path_of(tmp_path, 1)) == checkpoint.path_of(tmp_path, 1)


def test_looking_for_what_is_not_there_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run or checkpoint"):
        checkpoint.find(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="holds no checkpoint yet .* train first"):
        checkpoint.find(tmp_path)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        checkpoint.load(tmp_path / "checkpoint_00000001.pt")


def test_a_dump_is_read_by_torch_alone_and_is_no_checkpoint(tmp_path):
    path = checkpoint.dump(tmp_path / "bad_steps" / "step_00000003.pt", {"wav": torch.ones(2), "names": ["a"]})
    assert torch.equal(torch.load(path, weights_only=True)["wav"], torch.ones(2))
    with pytest.raises(CheckpointError, match="it holds the keys wav, names"):
        checkpoint.load(path)


@pytest.mark.parametrize(("content", "kind"), [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a Git LFS pointer, for which `git lfs pull`"),
    (b"\n  <!DOCTYPE html>\n<html>", "a web page"), (b"<HTML><body>", "a web page"),
    (b"<?xml version='1.0'?>", "an XML page"), (b"%PDF-1.7", "a PDF"), (b"\x1f\x8b\x08", "a gzip archive")])
def test_what_stands_under_the_name_of_weights_is_named(tmp_path, content, kind):
    released = tmp_path / "released"
    publishing.publish(a_run(tmp_path / "run"), released)
    (released / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"model.safetensors cannot be read: it is {kind}"):
        checkpoint.read_weights(released)
    for name, read in (("checkpoint_00000001.pt", checkpoint.load), ("a.pth", checkpoint.load_foreign),
                       ("a.safetensors", checkpoint.load_foreign)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=f"{name} cannot be read: it is {kind}"):
            read(tmp_path / name)
    (tmp_path / "voice.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=f"voice.onnx is {kind}"):
        onnx._sessions(tmp_path / "voice.onnx", 1, True)


@pytest.mark.parametrize("kind", [torch.int64, torch.int8, torch.uint8, torch.bool])
def test_weights_of_another_kind_of_numbers_are_one_message(kind):
    module = torch.nn.Linear(2, 2)
    state = {name: tensor.to(kind) if name == "bias" else tensor for name, tensor in module.state_dict().items()}
    message = f"its generator has bias as {str(kind)[6:]}, expected float32"
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load_state(module, state, Path("a.pt"), "generator")
    assert import_helpers._misfits(state, module) == [f"it has bias as {str(kind)[6:]}, expected float32"]


@pytest.mark.parametrize(("setting", "message"), [
    ("model.hidden_channels=8", "model.hidden_channels is 8, and was 16 when it was trained"),
    ("model.n_layers=3", "model.n_layers is 3, and was 2 when it was trained"),
    ('data.symbols=["_", "a"]', r'data.symbols is \["_", "a"\], and was "characters" when it was trained')])
def test_weights_that_a_changed_setting_no_longer_fits_name_that_setting(written, tmp_path, setting, message):
    torch.save(written[1], tmp_path / "checkpoint_00000004.pt")
    weights = checkpoint.read_weights(tmp_path)
    config = checkpoint.config_of(weights, [setting, "model.p_dropout=0.3"])
    with pytest.raises(CheckpointError, match=message) as caught:
        checkpoint.network_of(weights, config)
    assert "\n" not in str(caught.value) and "p_dropout" not in str(caught.value)
    with pytest.raises(CheckpointError, match=message):
        trainer.begin(tiny((setting,)), tmp_path, torch.device("cpu"))


# What is published


def a_run(folder, average=True):
    """A checkpoint with the parts that publishing reads."""
    config = settings.to_dict(tiny(("data.training_files=/home/me/train.txt", "data.validation_files=/home/me/v.txt",
                                    "train.init_from=/home/me/old", "data.symbols=[\"_\", \"a\"]",
                                    "train.callbacks=[\"/home/me/mine.py\"]")))
    folder.mkdir(parents=True)
    checkpoint.save(folder, 9, {
        "config": config, "generator": {"enc_p.weight_g": torch.full((2, 1), 1.0)},
        "average": {"enc_p.weight_g": torch.full((2, 1), 0.1, dtype=torch.bfloat16)} if average else None,
        "discriminators": {"d.weight": torch.ones(2, 3).mT, "d.count": torch.tensor(3)}})
    return folder


def test_a_release_holds_the_average_as_fp32_and_no_path_of_the_trainers_machine(tmp_path):
    run, release = a_run(tmp_path / "run"), tmp_path / "new" / "release"
    files = publishing.publish(run, release)
    assert sorted(path.name for path in release.iterdir()) == sorted(path.name for path in files) == [
        "config.json", "model.safetensors"]
    weights = checkpoint.read_weights(release)
    assert weights.generator["enc_p.weight_g"].dtype == torch.float32
    assert torch.equal(weights.generator["enc_p.weight_g"], torch.full((2, 1), 0.1, dtype=torch.bfloat16).float())
    assert weights.discriminators is None and weights.step == 9 and weights.source == release / "model.safetensors"
    assert weights.config["data"]["symbols"] == ["_", "a"]
    assert "/home/me" not in (release / "config.json").read_text()
    assert weights.config["data"]["sampling_rate"] == 8000  # the rest is as it was


def test_the_discriminators_are_published_if_wanted_and_old_ones_do_not_stay(tmp_path):
    run, release = a_run(tmp_path / "run"), tmp_path / "release"
    publishing.publish(run, release, with_discriminators=True)
    kept = checkpoint.read_weights(release).discriminators
    assert torch.equal(kept["d.weight"], torch.ones(3, 2)) and kept["d.count"] == 3
    publishing.publish(release, tmp_path / "again", with_discriminators=True)
    again = checkpoint.read_weights(tmp_path / "again")
    assert again.config == checkpoint.read_weights(release).config
    assert torch.equal(again.discriminators["d.weight"], kept["d.weight"])
    publishing.publish(run, release)
    assert checkpoint.read_weights(release).discriminators is None
    with pytest.raises(ValueError, match="has no discriminators to publish; take the run"):
        publishing.publish(release, tmp_path / "third", with_discriminators=True)


def test_discriminators_may_lie_beside_a_release_that_is_to_stay_small(tmp_path, monkeypatch):
    run, release = a_run(tmp_path / "run"), tmp_path / "release"
    publishing.publish(run, release, with_discriminators=True)
    kept = checkpoint.read_weights(release).discriminators
    (release / "discriminators.safetensors").rename(tmp_path / "release.discriminators.safetensors")
    for path in (release, release / "model.safetensors"):
        found = checkpoint.read_weights(path).discriminators
        assert found.keys() == kept.keys() and all(torch.equal(found[name], kept[name]) for name in kept)
    monkeypatch.chdir(release)
    assert checkpoint.read_weights(Path("model.safetensors")).discriminators is not None
    release.rename(tmp_path / "other")
    assert checkpoint.read_weights(tmp_path / "other").discriminators is None


def test_weights_are_read_from_runs_checkpoints_and_releases_alike(tmp_path):
    run = a_run(tmp_path / "run", average=False)
    publishing.publish(run, tmp_path / "release")
    for path in (run, checkpoint.newest(run), tmp_path / "release", tmp_path / "release" / "model.safetensors"):
        weights = checkpoint.read_weights(path)
        assert torch.equal(weights.generator["enc_p.weight_g"], torch.full((2, 1), 1.0)) and weights.step == 9
    assert checkpoint.read_weights(run).discriminators is not None


def test_a_release_does_not_go_into_a_run(tmp_path):
    run = a_run(tmp_path / "run")
    with pytest.raises(ValueError, match="holds checkpoints; a release goes to a folder of its own"):
        publishing.publish(run, run)


def test_a_plugin_that_a_voice_needs_is_named(tmp_path, caplog):
    run = a_run(tmp_path / "run")
    payload = checkpoint.load(checkpoint.newest(run))
    payload["config"]["model"]["plugins"] = ["mine.py"]
    checkpoint.save(run, 10, payload)
    publishing.publish(run, tmp_path / "release")
    assert "the voice needs mine.py to load" in caplog.text
    assert checkpoint.read_weights(tmp_path / "release").config["model"]["plugins"] == ["mine.py"]


def test_a_damaged_release_is_an_error_whichever_byte_it_is(tmp_path):
    publishing.publish(a_run(tmp_path / "run"), tmp_path / "release")
    path = tmp_path / "release" / "model.safetensors"
    whole, weights = path.read_bytes(), checkpoint.read_weights(path)
    refused = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1:])
        try:
            found = checkpoint.read_weights(path)
        except CheckpointError as error:
            assert "model.safetensors" in str(error)
            refused += 1
            continue
        assert found.generator.keys() == weights.generator.keys()
        assert all(torch.equal(found.generator[name], weights.generator[name]) for name in weights.generator)
    assert refused > 0.8 * len(whole)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="cannot be read"):
            checkpoint.read_weights(path)


def test_a_foreign_or_incomplete_release_is_refused(tmp_path):
    from safetensors.torch import save_file

    publishing.publish(a_run(tmp_path / "run"), tmp_path / "release")
    model, config = tmp_path / "release" / "model.safetensors", tmp_path / "release" / "config.json"
    good = model.read_bytes()
    save_file({"a": torch.zeros(1)}, model, {"format": "pt"})
    with pytest.raises(CheckpointError, match="is not a release of this project; its format is 'pt'"):
        checkpoint.read_weights(tmp_path / "release")
    save_file({"a": torch.zeros(1)}, model, {"format": checkpoint.RELEASE_FORMAT, "version": "3"})
    with pytest.raises(CheckpointError, match="has version 3, this code reads 1 and 2; update it"):
        checkpoint.read_weights(tmp_path / "release")
    model.write_bytes(good)
    config.write_text("{")
    with pytest.raises(CheckpointError, match="config.json is not JSON"):
        checkpoint.read_weights(tmp_path / "release")
    config.unlink()
    with pytest.raises(FileNotFoundError, match="no .*config.json; a release is the folder with"):
        checkpoint.read_weights(tmp_path / "release")


def test_a_checkpoint_without_weights_says_so(tmp_path):
    write(tmp_path, 1)
    with pytest.raises(CheckpointError, match="holds no generator; expected a checkpoint that training wrote"):
        checkpoint.read_weights(tmp_path)


# Voices from outside


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A run of an untrained tiny voice, the content of its checkpoint, and its release."""
    folder = tmp_path_factory.mktemp("voice")
    config = tiny()
    networks = new_networks(config, len(TextProcessor.from_config(config.data).symbols), torch.device("cpu"))
    payload = {"config": settings.to_dict(config), **new_state(config, networks).state_dict()}
    (folder / "run").mkdir()
    checkpoint.save(folder / "run", 4, payload)
    publishing.publish(folder / "run", folder / "release")
    return folder, {"format": checkpoint.FORMAT, "version": checkpoint.VERSION, "step": 4, **payload}


def outside(written, section, **changes):
    """The weights of somebody whose configuration names something."""
    weights = checkpoint.read_weights(written[0] / "release")
    return weights._replace(config={**weights.config, section: {**weights.config[section], **changes}})


def test_a_voice_runs_the_files_that_it_names_only_if_the_user_says_so(written, tmp_path, caplog):
    plugin, trace = tmp_path / "evil.py", tmp_path / "trace"
    plugin.write_text(f"open({str(trace)!r}, 'a').write('x')")
    weights = outside(written, "model", plugins=[str(plugin)])
    with pytest.raises(utils.PluginError, match=r"safetensors: model.plugins names .*evil.py.*--trust-plugins"):
        checkpoint.config_of(weights)
    assert not trace.exists()
    with pytest.raises(utils.PluginError):  # what else the user names says nothing of these
        checkpoint.config_of(weights, ["data.language=de"])
    assert not trace.exists()
    checkpoint.config_of(weights, trust_plugins=True)
    assert trace.read_text() == "x" and str(plugin) in caplog.text
    checkpoint.config_of(outside(written, "train", callbacks=[str(plugin)]))  # nobody who speaks calls them
    checkpoint.config_of(weights, [f'model.plugins=["{plugin}"]'])  # named by the user
    assert trace.read_text() == "xx"
    assert checkpoint.config_of(weights, ["model.plugins=[]"]).model.plugins == ()


def test_a_release_names_no_files_that_are_read(written):
    with pytest.raises(ValueError, match="No file is read"):
        checkpoint.config_of(outside(written, "data", symbols="../elsewhere.txt"))
    named = {"training_files": "/etc/passwd", "validation_files": "/etc/passwd"}
    config = checkpoint.config_of(outside(written, "data", **named))
    assert config.data.training_files == config.data.validation_files == ""
    assert checkpoint.config_of(outside(written, "data"), ["data.validation_files=mine.txt"]).data.validation_files


@pytest.mark.parametrize("changes, message", [
    ({"model": {"n_layers": 10**6}}, "model.n_layers is 1000000; it must be at most"),
    ({"model": {"n_layers": 250}}, r"does not fit the configuration's: enc_p\.encoder\.\S+ is missing"),
    ({"model": {"hidden_channels": 8192, "filter_channels": 32768, "n_layers": 256}}, "does not fit"),
    ({"data": {"n_speakers": 100_000}, "model": {"gin_channels": 8192}}, "does not fit"),
    ({"data": {"sampling_rate": 10**12}}, "data.sampling_rate is 1000000000000; it must be at most"),
])
def test_sizes_that_the_tensors_do_not_have_are_refused_before_memory_is_taken(written, changes, message, monkeypatch):
    weights = checkpoint.read_weights(written[0] / "release")
    tree = {section: {**values, **changes.get(section, {})} for section, values in weights.config.items()}
    monkeypatch.setattr(checkpoint, "read_weights", lambda *_: weights._replace(config=tree))
    monkeypatch.setattr(checkpoint, "uninitialised", lambda: pytest.fail("memory is taken"))
    with pytest.raises(ValueError, match=message):
        voice.Voice.load(written[0], "cpu")


ODD = (None, True, -1, 2**70, math.inf, "x", [], [1], {1: 2}, {"a": 3}, torch.zeros(()), torch.zeros(2).to_sparse(),
       torch.zeros(2, device="meta"), torch.zeros(2, dtype=torch.complex64), torch.zeros(1).expand(10**5, 10**5))


def one_message_or_fine(use, *arguments):
    """Call it; ValueError, of which each command makes one message, is all that it may raise."""
    try:
        use(*arguments)
    except ValueError as error:
        assert len(str(error)) < 5000


@pytest.mark.parametrize("key", ["version", "step", "config", "generator", "discriminators", "average", "format",
                                 "enc_p.emb.weight", "data"])
def test_a_checkpoint_that_was_edited_is_one_message_or_fine(written, tmp_path, key):
    path, few = tmp_path / "checkpoint_00000004.pt", {"enc_p.emb.weight": torch.zeros(2, 2)}
    content = {**written[1], "generator": few, "average": few, "discriminators": few, "generator_updater": {},
               "discriminator_updater": {}}
    for value in ODD:
        changed = {**content, key: value}
        if key == "enc_p.emb.weight":
            changed = {**content, "average": {**content["average"], key: value}}
        if key == "data":
            changed = {**content, "config": {**content["config"], key: value}}
        torch.save(changed, path)
        one_message_or_fine(lambda: checkpoint.config_of(checkpoint.read_weights(path)))
        one_message_or_fine(checkpoint.load_training, path)
    if key in content:
        torch.save({name: value for name, value in content.items() if name != key}, path)
        with pytest.raises(CheckpointError):
            checkpoint.load_training(path)


@pytest.mark.parametrize("key", ["generator_updater", "discriminator_updater", "new_rows"])
def test_a_state_of_training_that_was_edited_is_one_message_or_trained_further(written, tmp_path, key):
    for value in (None, {1: 2}, torch.zeros(2), {"names": 1, "optimizer": 2}, {"optimizer": {}, "scaler": []}):
        torch.save({**written[1], key: value}, tmp_path / "checkpoint_00000004.pt")
        one_message_or_fine(trainer.begin, tiny(), tmp_path, torch.device("cpu"))


@pytest.mark.parametrize("text", [
    '{"measure": 1, "best": [{"step": Infinity, "value": 1}]}', "[]", "1", "null", '{"best": 3}', '{"best": [3]}',
    '{"measure": 1, "best": [{"step": 1' + "0" * 5000 + ', "value": 1}]}', "[" * 100_000, '{"best": [{}]}'])
def test_a_damaged_ranking_is_one_message(tmp_path, text):
    (tmp_path / "best.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"best\.json is damaged .*delete it") as caught:
        checkpoint.read_ranking(tmp_path)
    pythons_words = r"'step'|NoneType|not (iterable|subscriptable)|invalid literal|cannot convert"
    assert not re.search(pythons_words, str(caught.value))


@pytest.mark.parametrize("header", [
    b"[" * 100_000, b'{"a":' * 50_000, b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]}}', b"{}",
    b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', b"null",
    b'{"__metadata__":{"format":"vits-release","version":"1","step":"x","checksum":""}}'])
def test_an_absurd_header_of_a_release_is_one_message(written, tmp_path, header):
    shutil.copytree(written[0] / "release", tmp_path / "release")
    for length in (len(header), 0, 2**40, 2**63, 2**64 - 1):
        (tmp_path / "release" / "model.safetensors").write_bytes(struct.pack("<Q", length) + header + b"0000")
        with pytest.raises(CheckpointError, match=r"model\.safetensors "):
            checkpoint.read_weights(tmp_path / "release")


def test_a_compressed_archive_is_not_unpacked_into_memory(tmp_path):
    path = write(tmp_path, 12)
    records = zipfile.ZipFile(path)
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in records.namelist():
            bomb.writestr(name, records.read(name) + b"0" * 10**6)
    for read in (checkpoint.load, checkpoint.load_foreign):
        with pytest.raises(CheckpointError, match="it is compressed"):
            read(tmp_path / "bomb.pt")
