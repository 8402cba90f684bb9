"""Checkpoints: whole or not at all, read strictly, the best and the newest kept."""

import json
import os
import pickle

import pytest
import torch

import checkpoint


def write(folder, step, value=0.0):
    return checkpoint.save(folder, step, {"weights": torch.full((3,), value), "config": {"a": [1, None, "x"]}})


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


def test_pruning_keeps_the_last_ones_and_the_best(tmp_path):
    for step in range(1, 7):
        write(tmp_path, step)
    checkpoint.write_best(tmp_path, checkpoint.Best(2, 0.5))
    gone = checkpoint.prune(tmp_path, keep_last=3)
    assert checkpoint.list_steps(tmp_path) == [2, 4, 5, 6]
    assert [path.name for path in gone] == ["checkpoint_00000001.pt", "checkpoint_00000003.pt"]


def test_a_run_is_found_by_its_best_else_its_newest_checkpoint(tmp_path):
    write(tmp_path, 1)
    write(tmp_path, 2)
    assert checkpoint.find(tmp_path) == checkpoint.path_of(tmp_path, 2)
    checkpoint.write_best(tmp_path, checkpoint.Best(1, 0.1))
    assert checkpoint.find(tmp_path) == checkpoint.path_of(tmp_path, 1)
    assert checkpoint.find(checkpoint.path_of(tmp_path, 2)) == checkpoint.path_of(tmp_path, 2)


def test_looking_for_what_is_not_there_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run or checkpoint"):
        checkpoint.find(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="holds no checkpoint yet .* train first"):
        checkpoint.find(tmp_path)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        checkpoint.load(tmp_path / "checkpoint_00000001.pt")


@pytest.mark.parametrize("damage", [b"", b"garbage that is no zip", "truncated", "flipped"])
def test_a_damaged_checkpoint_is_an_error_that_names_the_one_before(tmp_path, damage):
    write(tmp_path, 1)
    path = write(tmp_path, 2)
    content = path.read_bytes()
    if damage == "truncated":
        damage = content[: len(content) // 2]
    elif damage == "flipped":
        damage = content[:100] + bytes(byte ^ 0xFF for byte in content[100:400]) + content[400:]
    path.write_bytes(damage)
    with pytest.raises(checkpoint.CheckpointError, match="checkpoint_00000002.pt .*cannot be read.*") as caught:
        checkpoint.load(path)
    assert "The one before it is" in str(caught.value) and "checkpoint_00000001.pt" in str(caught.value)
    checkpoint.path_of(tmp_path, 1).unlink()
    with pytest.raises(checkpoint.CheckpointError, match="no older checkpoint"):
        checkpoint.load(path)


def test_a_file_that_cannot_be_opened_is_not_called_damaged(tmp_path, monkeypatch):
    path = write(tmp_path, 1)

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(torch, "load", denied)
    with pytest.raises(PermissionError):
        checkpoint.load(path)


def test_a_foreign_file_is_refused_with_what_was_found(tmp_path):
    path = tmp_path / "G_1000.pth"
    torch.save({"model": {}, "iteration": 3, "learning_rate": 1e-4}, path)
    with pytest.raises(checkpoint.CheckpointError, match="not a checkpoint .*; it holds the keys model, iteration"):
        checkpoint.load(path)


def test_a_newer_format_asks_for_newer_code(tmp_path):
    path = tmp_path / "new.pt"
    torch.save({"format": checkpoint.FORMAT, "version": checkpoint.VERSION + 1}, path)
    with pytest.raises(checkpoint.CheckpointError, match="update"):
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
    for path in (tmp_path / "zip.pt", tmp_path / "plain.pt"):
        with pytest.raises(checkpoint.CheckpointError):
            checkpoint.load(path)
    assert not os.path.exists(target)


def test_a_failed_write_leaves_the_older_checkpoint_and_no_litter(tmp_path, monkeypatch):
    path = write(tmp_path, 5, 1.0)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, 5, 2.0)
    assert torch.equal(checkpoint.load(path)["weights"], torch.full((3,), 1.0))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_damaged_best_pointer_is_an_error(tmp_path):
    (tmp_path / "best.json").write_text(json.dumps({"step": "x"}))
    with pytest.raises(checkpoint.CheckpointError, match=r"best.json is damaged"):
        checkpoint.read_best(tmp_path)


def test_a_state_of_another_shape_is_refused(tmp_path):
    with pytest.raises(checkpoint.CheckpointError, match="its generator does not fit"):
        checkpoint.load_state(torch.nn.Linear(2, 2), {"weight": torch.zeros(3, 2)}, tmp_path, "generator")
