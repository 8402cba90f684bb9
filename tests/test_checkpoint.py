"""Checkpoints: whole or not at all, every byte checked, the best and the newest kept, written beside the training."""

import errno
import json
import logging
import os
import pickle
import random
import resource
import shutil
import threading
import zipfile
from pathlib import Path

import pytest
import torch

import checkpoint
import config as settings
from checkpoint import Best, CheckpointError, Retention, Writer
from tests.conftest import tiny

FULL = OSError(errno.ENOSPC, "No space left on device")


def write(folder, step, value=0.0):
    return checkpoint.save(folder, step, {"weights": torch.full((3,), value), "config": {"a": [1, None, "x"]}})


def retention(last=3, best=3, every=None, measure="valid/mel"):
    return Retention(last, best, every, measure)


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
    with pytest.raises(CheckpointError, match="no older checkpoint .* start anew"):
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
    for step, value in ((1, 0.2), (2, 0.1), (3, 0.3)):
        write(tmp_path, step)
        retention().rank(tmp_path, step, {"valid/mel": value})
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


def test_the_last_the_best_and_every_so_many_stay(tmp_path):
    values = {1: 0.9, 2: 0.1, 3: 0.8, 4: 0.7, 5: 0.2, 6: 0.9, 7: 0.95, 8: 0.99}
    rule = retention(last=2, best=2, every=4)
    for step, value in values.items():
        write(tmp_path, step)
        rule.rank(tmp_path, step, {"valid/mel": value})
        gone = rule.prune(tmp_path, step)
    assert checkpoint.list_steps(tmp_path) == [2, 4, 5, 7, 8]
    assert [path.name for path in gone] == ["checkpoint_00000006.pt"]
    assert json.loads((tmp_path / "best.json").read_text()) == {"measure": "valid/mel", "best": [
        {"step": 2, "value": 0.1, "file": "checkpoint_00000002.pt"},
        {"step": 5, "value": 0.2, "file": "checkpoint_00000005.pt"}]}
    assert checkpoint.read_best(tmp_path) == Best(2, 0.1)


def test_the_settings_say_what_stays():
    config = tiny(("train.keep_last=4", "train.keep_best=2", "train.keep_every=1000", "train.best_measure=valid/kl"))
    assert Retention.from_config(config.train) == Retention(4, 2, 1000, "valid/kl")


def test_disk_use_is_bounded_over_fifty_saves(tmp_path):
    rule, sizes = retention(last=2, best=3, every=20), []
    with Writer(tmp_path, rule) as writer:
        for step in range(1, 51):
            writer.save(step, {"weights": torch.zeros(1000)}, {"valid/mel": (step * 37 % 50) / 50} if step % 2 else {})
            writer.wait()
            sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
    one = checkpoint.newest(tmp_path).stat().st_size
    assert max(sizes) < (2 + 3 + 2) * one + 2000  # last, best, steps 20 and 40, and best.json
    assert {20, 40, 49, 50} <= set(checkpoint.list_steps(tmp_path))
    assert len(checkpoint.list_steps(tmp_path)) <= 7


def test_a_checkpoint_without_a_finite_measure_is_not_ranked(tmp_path):
    for step, measures in ((1, {"valid/mel": 0.5}), (2, {}), (3, {"valid/mel": float("nan")}),
                           (4, {"valid/mel": float("inf")})):
        write(tmp_path, step)
        retention().rank(tmp_path, step, measures)
    assert checkpoint.read_ranking(tmp_path).best == (Best(1, 0.5),)


def test_a_checkpoint_written_again_loses_its_old_rank(tmp_path):
    write(tmp_path, 1)
    retention().rank(tmp_path, 1, {"valid/mel": 0.1})
    retention().rank(tmp_path, 1, {"valid/mel": 0.7})
    assert checkpoint.read_ranking(tmp_path).best == (Best(1, 0.7),)
    retention().rank(tmp_path, 1, {})
    assert checkpoint.read_best(tmp_path) is None


def test_a_deleted_checkpoint_leaves_the_ranking(tmp_path):
    write(tmp_path, 1)
    retention().rank(tmp_path, 1, {"valid/mel": 0.1})
    checkpoint.path_of(tmp_path, 1).unlink()
    write(tmp_path, 2)
    retention().rank(tmp_path, 2, {"valid/mel": 0.7})
    assert checkpoint.read_ranking(tmp_path).best == (Best(2, 0.7),)


def test_another_measure_begins_the_ranking_anew_and_says_so(tmp_path, caplog):
    write(tmp_path, 1)
    retention().rank(tmp_path, 1, {"valid/mel": 0.1, "valid/kl": 3.0})
    write(tmp_path, 2)
    with caplog.at_level(logging.WARNING, "vits"):
        retention(measure="valid/kl").rank(tmp_path, 2, {"valid/mel": 0.2, "valid/kl": 4.0})
    assert "ranked by valid/mel; the ranking starts anew, by valid/kl" in caplog.text
    assert checkpoint.read_ranking(tmp_path) == ("valid/kl", (Best(2, 4.0),))


def test_a_measure_that_validation_lacks_is_an_error_that_names_those_there_are(tmp_path):
    write(tmp_path, 1)
    with pytest.raises(ValueError, match="best_measure is 'valid/mle', which .*; choose one of valid/kl, valid/mel"):
        retention(measure="valid/mle").rank(tmp_path, 1, {"valid/mel": 0.1, "valid/kl": 3.0})
    retention(best=0, measure="valid/mle").rank(tmp_path, 1, {"valid/mel": 0.1})  # nothing is ranked: no matter
    assert checkpoint.read_ranking(tmp_path) is None


def test_the_checkpoint_just_written_stays_even_if_it_is_not_the_newest(tmp_path):
    for step in (5, 6, 7, 3):
        write(tmp_path, step)
    retention(last=2).prune(tmp_path, 3)
    assert checkpoint.list_steps(tmp_path) == [3, 6, 7]


def test_a_damaged_ranking_is_an_error_as_soon_as_a_run_opens(tmp_path):
    for text in ("{", '{"measure": "valid/mel", "best": [{"step": "x"}]}', "[]", '{"step": 1}'):
        (tmp_path / "best.json").write_text(text)
        with pytest.raises(CheckpointError, match="best.json is damaged .*; delete it"):
            Writer(tmp_path, retention())


def test_the_ranking_of_an_older_run_that_named_one_checkpoint_is_read(tmp_path):
    (tmp_path / "best.json").write_text('{"step": 4, "value": 0.5, "file": "checkpoint_00000004.pt"}')
    assert checkpoint.read_ranking(tmp_path) == ("valid/mel", (Best(4, 0.5),))


def test_going_back_discards_later_checkpoints_and_their_rank(tmp_path):
    for step, value in ((1, 0.3), (2, 0.2), (3, 0.1)):
        write(tmp_path, step)
        retention().rank(tmp_path, step, {"valid/mel": value})
    checkpoint.discard_after(tmp_path, 2)
    assert checkpoint.list_steps(tmp_path) == [1, 2]
    assert checkpoint.find(tmp_path) == checkpoint.path_of(tmp_path, 2)
    write(tmp_path, 3)
    retention().rank(tmp_path, 3, {"valid/mel": 0.9})
    assert [best.step for best in checkpoint.read_ranking(tmp_path).best] == [2, 1, 3]


def test_a_dump_is_read_by_torch_alone_and_is_no_checkpoint(tmp_path):
    path = checkpoint.dump(tmp_path / "bad_steps" / "step_00000003.pt", {"wav": torch.ones(2), "names": ["a"]})
    assert torch.equal(torch.load(path, weights_only=True)["wav"], torch.ones(2))
    with pytest.raises(CheckpointError, match="it holds the keys wav, names"):
        checkpoint.load(path)


# Beside the training


def test_what_is_written_is_the_state_at_the_call_whatever_happens_to_it_later(tmp_path, monkeypatch):
    may_write = hold_writes(monkeypatch)
    weights, moments = torch.ones(3), [torch.zeros(2, 2)]
    payload = {"weights": weights, "optimizer": {"state": {0: {"moments": moments}}, "betas": (0.8, 0.99)}}
    with Writer(tmp_path, retention()) as writer:
        writer.save(1, payload)
        assert writer.poll() is None and checkpoint.newest(tmp_path) is None
        weights.add_(5)
        moments[0].add_(5)
        moments.append(torch.zeros(1))
        may_write.set()
        assert writer.wait() == checkpoint.path_of(tmp_path, 1)
    written = checkpoint.load(checkpoint.path_of(tmp_path, 1))
    assert torch.equal(written["weights"], torch.ones(3))
    assert written["optimizer"]["betas"] == (0.8, 0.99)
    [kept] = written["optimizer"]["state"][0]["moments"]
    assert torch.equal(kept, torch.zeros(2, 2))


def hold_writes(monkeypatch):
    """Nothing is written before the event that this returns is set."""
    may_write, save = threading.Event(), checkpoint.save

    def held(*arguments):
        assert may_write.wait(60)
        return save(*arguments)

    monkeypatch.setattr(checkpoint, "save", held)
    return may_write


def test_the_memory_of_a_copy_serves_the_next_and_new_shapes_get_their_own(tmp_path):
    places, shapes = [], (3, 3, 5)
    with Writer(tmp_path, retention()) as writer:
        for step, shape in enumerate(shapes):
            weights = torch.full((shape,), float(step), requires_grad=True)
            writer.save(step, {"weights": weights, "list": [torch.tensor(step)] * step})
            places.append(writer._memory["weights"].data_ptr())
    assert places[0] == places[1]
    for step, shape in enumerate(shapes):
        payload = checkpoint.load(checkpoint.path_of(tmp_path, step))
        assert torch.equal(payload["weights"], torch.full((shape,), float(step)))
        assert payload["list"] == [torch.tensor(step)] * step


def test_a_second_save_waits_for_the_first(tmp_path, monkeypatch):
    writing, most, save = [], [], checkpoint.save

    def watched(run_dir, step, payload):
        writing.append(step)
        most.append(len(writing))
        path = save(run_dir, step, payload)
        writing.remove(step)
        return path

    monkeypatch.setattr(checkpoint, "save", watched)
    with Writer(tmp_path, retention(last=20)) as writer:
        for step in range(10):
            writer.save(step, {"step_too": torch.tensor(step)})
            assert step == 0 or checkpoint.path_of(tmp_path, step - 1).is_file()
    assert most == [1] * 10
    for step in range(10):
        assert checkpoint.load(checkpoint.path_of(tmp_path, step))["step_too"] == step


def test_each_finished_checkpoint_is_told_once(tmp_path):
    with Writer(tmp_path, retention()) as writer:
        assert writer.poll() is None and writer.wait() is None
        writer.save(1, {})
        found = None
        while found is None:
            found = writer.poll()
        assert found == checkpoint.path_of(tmp_path, 1)
        assert writer.poll() is None and writer.wait() is None


def test_a_checkpoint_that_was_finished_by_the_time_of_the_next_save_is_told_too(tmp_path):
    with Writer(tmp_path, retention()) as writer:
        for step in (1, 2, 3):
            writer.save(step, {})
        told = [writer.wait(), writer.wait(), writer.wait(), writer.wait()]
    assert told == [*(checkpoint.path_of(tmp_path, step) for step in (1, 2, 3)), None]


@pytest.mark.parametrize("call", ["poll", "wait", "close", "save"])
def test_an_error_of_the_thread_reaches_the_caller_once(tmp_path, monkeypatch, call):
    write(tmp_path, 1)
    before = content_of(tmp_path)
    writer = Writer(tmp_path, retention(last=1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(FULL))
        writer.save(2, {"weights": torch.ones(3)})
        writer._thread.submit(int).result()  # the thread is through with what came before
    with pytest.raises(OSError, match="No space left on device"):
        getattr(writer, call)(*((3, {}) if call == "save" else ()))
    assert content_of(tmp_path) == before
    if call != "close":
        writer.save(3, {"weights": torch.ones(3)})  # there is room again
        writer.close()
        assert checkpoint.list_steps(tmp_path) == [3]


def test_an_error_in_flight_is_not_hidden_by_the_writers_own(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(checkpoint, "save", failing(FULL))
    with pytest.raises(KeyError, match="of the loop"), Writer(tmp_path, retention()) as writer:
        writer.save(1, {})
        raise KeyError("of the loop")
    assert "the checkpoint that was being saved is lost" in caplog.text and "No space left" in caplog.text


def test_leaving_waits_for_the_save_in_progress(tmp_path):
    with Writer(tmp_path, retention()) as writer:
        writer.save(1, {"weights": torch.zeros(1_000_000)})
    assert checkpoint.load(checkpoint.path_of(tmp_path, 1))["weights"].shape == (1_000_000,)


def test_a_misspelt_measure_ends_the_run_after_its_checkpoint_is_safe(tmp_path):
    rule = retention(measure="mel")
    with pytest.raises(ValueError, match="choose one of valid/mel"), Writer(tmp_path, rule) as writer:
        writer.save(1, {}, {"valid/mel": 0.5})
    assert checkpoint.list_steps(tmp_path) == [1]


def test_a_disk_without_room_is_an_error_before_anything_is_touched(tmp_path, monkeypatch):
    write(tmp_path, 1)
    before = content_of(tmp_path)
    usage = shutil.disk_usage(tmp_path)
    with Writer(tmp_path, retention(last=1)) as writer:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=390_000_000))
        payload = {"models": [{"weights": torch.empty(125_000_000, dtype=torch.float64)}]}  # not filled: no memory used
        with pytest.raises(OSError, match="a checkpoint needs about 1000 MB, 390 MB are free; free some, .*keep_last"):
            writer.save(2, payload)
        assert content_of(tmp_path) == before


def test_the_estimate_of_room_is_enough_and_not_far_off(tmp_path):
    payload = {"many": {f"module.layer.{i}.weight": torch.zeros(17) for i in range(300)}, "large": torch.zeros(50_000)}
    size = checkpoint.save(tmp_path, 1, payload).stat().st_size
    assert size <= checkpoint._size(payload) < 2 * size


def test_what_could_not_be_loaded_again_is_refused_with_its_place(tmp_path):
    with Writer(tmp_path, retention()) as writer:
        with pytest.raises(TypeError, match=r"payload.config.files\[1\] is a PosixPath; a checkpoint holds tensors"):
            writer.save(1, {"config": {"files": ["a", tmp_path]}})
        with pytest.raises(TypeError, match="payload.rate is a float64"):
            writer.save(1, {"rate": torch.zeros(1).double().numpy()[0]})
    assert checkpoint.newest(tmp_path) is None


def test_leftovers_of_a_killed_process_are_removed_when_a_run_opens(tmp_path):
    for name in ("checkpoint_00000007.pt.tmp", "checkpoint_00000007.tmp", "best.json.tmp"):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / "notes.tmp").write_text("the user's")
    write(tmp_path, 3)
    Writer(tmp_path, retention()).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint_00000003.pt", "notes.tmp"]


def test_only_the_main_process_clears_leftovers_away(tmp_path, monkeypatch):
    (tmp_path / "checkpoint_00000007.pt.tmp").write_bytes(b"being written by the main process")
    monkeypatch.setenv("RANK", "1")
    Writer(tmp_path, retention()).close()
    assert (tmp_path / "checkpoint_00000007.pt.tmp").is_file()


@pytest.mark.gpu
def test_a_gpus_state_is_copied_to_the_cpu_as_it_was_at_the_call(tmp_path, monkeypatch):
    may_write = hold_writes(monkeypatch)
    weights = torch.ones(1_000_000, device="cuda")
    with Writer(tmp_path, retention()) as writer:
        for step in (1, 2):
            writer.save(step, {"weights": weights})
            assert writer._memory["weights"].is_pinned()
            weights.add_(1)
            may_write.set()
    for step in (1, 2):
        written = checkpoint.load(checkpoint.path_of(tmp_path, step))["weights"]
        assert torch.equal(written, torch.full((1_000_000,), float(step)))


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
    files = checkpoint.publish(run, release)
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
    checkpoint.publish(run, release, with_discriminators=True)
    kept = checkpoint.read_weights(release).discriminators
    assert torch.equal(kept["d.weight"], torch.ones(3, 2)) and kept["d.count"] == 3
    checkpoint.publish(release, tmp_path / "again", with_discriminators=True)
    again = checkpoint.read_weights(tmp_path / "again")
    assert again.config == checkpoint.read_weights(release).config
    assert torch.equal(again.discriminators["d.weight"], kept["d.weight"])
    checkpoint.publish(run, release)
    assert checkpoint.read_weights(release).discriminators is None
    with pytest.raises(ValueError, match="has no discriminators to publish; take the run"):
        checkpoint.publish(release, tmp_path / "third", with_discriminators=True)


def test_discriminators_may_lie_beside_a_release_that_is_to_stay_small(tmp_path, monkeypatch):
    run, release = a_run(tmp_path / "run"), tmp_path / "release"
    checkpoint.publish(run, release, with_discriminators=True)
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
    checkpoint.publish(run, tmp_path / "release")
    for path in (run, checkpoint.newest(run), tmp_path / "release", tmp_path / "release" / "model.safetensors"):
        weights = checkpoint.read_weights(path)
        assert torch.equal(weights.generator["enc_p.weight_g"], torch.full((2, 1), 1.0)) and weights.step == 9
    assert checkpoint.read_weights(run).discriminators is not None


def test_a_release_does_not_go_into_a_run(tmp_path):
    run = a_run(tmp_path / "run")
    with pytest.raises(ValueError, match="holds checkpoints; a release goes to a folder of its own"):
        checkpoint.publish(run, run)


def test_a_plugin_that_a_voice_needs_is_named(tmp_path, caplog):
    run = a_run(tmp_path / "run")
    payload = checkpoint.load(checkpoint.newest(run))
    payload["config"]["model"]["plugins"] = ["mine.py"]
    checkpoint.save(run, 10, payload)
    checkpoint.publish(run, tmp_path / "release")
    assert "the voice needs mine.py to load" in caplog.text
    assert checkpoint.read_weights(tmp_path / "release").config["model"]["plugins"] == ["mine.py"]


def test_a_damaged_release_is_an_error_whichever_byte_it_is(tmp_path):
    checkpoint.publish(a_run(tmp_path / "run"), tmp_path / "release")
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

    checkpoint.publish(a_run(tmp_path / "run"), tmp_path / "release")
    model, config = tmp_path / "release" / "model.safetensors", tmp_path / "release" / "config.json"
    good = model.read_bytes()
    save_file({"a": torch.zeros(1)}, model, {"format": "pt"})
    with pytest.raises(CheckpointError, match="is not a release of this project; its format is 'pt'"):
        checkpoint.read_weights(tmp_path / "release")
    save_file({"a": torch.zeros(1)}, model, {"format": checkpoint.RELEASE_FORMAT, "version": "2"})
    with pytest.raises(CheckpointError, match="has version 2, this code reads 1; update it"):
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


def test_memory_that_was_reserved_is_copied_into_and_changes_nothing(tmp_path):
    payload = {"weights": torch.arange(6.0).reshape(2, 3), "nested": [{"moment": torch.ones(4)}, 7, None], "name": "x"}
    with checkpoint.Writer(tmp_path, checkpoint.Retention(3, 0, None, "valid/mel")) as writer:
        writer.reserve(payload)
        writer.save(1, payload)
        payload["weights"] += 1
        writer.save(2, payload)
    first, second = (checkpoint.load(checkpoint.path_of(tmp_path, step)) for step in (1, 2))
    assert torch.equal(first["weights"], torch.arange(6.0).reshape(2, 3))
    assert torch.equal(second["weights"], payload["weights"])
    assert torch.equal(first["nested"][0]["moment"], torch.ones(4)) and first["nested"][1:] == [7, None]
