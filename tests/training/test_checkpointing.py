"""Retention: what stays of a run, and saves beside its training that are whole, told once and never late."""

import json
import logging
import os
import shutil
import threading

import pytest
import torch

import checkpoint
from checkpoint import Best, CheckpointError
from tests.conftest import tiny
from tests.test_checkpoint import FULL, content_of, failing, write
from training.checkpointing import Retention, Writer, _size


def retention(last=3, best=3, every=None, measure="valid/mel"):
    return Retention(last, best, every, measure)


# What stays


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
    assert checkpoint.read_ranking(tmp_path).best[0] == Best(2, 0.1)


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
    assert checkpoint.read_ranking(tmp_path).best == ()


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
    assert size <= _size(payload) < 2 * size


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


def test_memory_that_was_reserved_is_copied_into_and_changes_nothing(tmp_path):
    payload = {"weights": torch.arange(6.0).reshape(2, 3), "nested": [{"moment": torch.ones(4)}, 7, None], "name": "x"}
    with Writer(tmp_path, retention(best=0)) as writer:
        writer.reserve(payload)
        writer.save(1, payload)
        payload["weights"] += 1
        writer.save(2, payload)
    first, second = (checkpoint.load(checkpoint.path_of(tmp_path, step)) for step in (1, 2))
    assert torch.equal(first["weights"], torch.arange(6.0).reshape(2, 3))
    assert torch.equal(second["weights"], payload["weights"])
    assert torch.equal(first["nested"][0]["moment"], torch.ones(4)) and first["nested"][1:] == [7, None]
