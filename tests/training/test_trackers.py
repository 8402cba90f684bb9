"""Numbers, pictures and sound arrive where they should."""

import builtins
import json
import logging
import math
import os
import re
import resource
import sys
import time
import types

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import config
from evaluation.plots import plot_alignment, plot_mels, plot_speech
from tests.conftest import tiny
from tests.test_checkpoint import failing
from training import trackers
from training.trackers import (
    AimTracker,
    ConsoleTracker,
    JsonLinesTracker,
    NullTracker,
    TensorBoardTracker,
    Trackers,
    WandbTracker,
    make_trackers,
)
from utils import described


def test_json_lines_hold_step_and_numbers_and_null_for_nan(tmp_path):
    tracker = JsonLinesTracker(tmp_path / "m.jsonl", 0)
    tracker.scalars(3, {"train/mel": 0.5, "train/kl": math.nan})
    tracker.close()
    [line] = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert line["step"] == 3 and line["train/mel"] == 0.5 and line["train/kl"] is None and line["time"] > 0


def test_json_lines_after_the_resumed_step_are_dropped_with_a_torn_one(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"ste')
    tracker = JsonLinesTracker(path, 2)
    tracker.scalars(3, {"a": 1.0})
    tracker.close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3]


@pytest.mark.parametrize("text, kept", [
    ("", []),
    ('{"step": 1}\n\n{"step": 2}\n', [1, 2]),
    ('{"step": 1}\n{"st\x00\x00\x00', [1]),
    ('{"step": 1}\n{"other": 2}\n[3]\n4\nnull\n{"step": "x"}\n{"step": Infinity}\n{"step": 2}', [1, 2]),
    ('{"step": 2}\r\n{"step": 9}\r\n{"step": 1}\n', [2, 1]),
])
def test_json_lines_that_a_kill_or_an_editor_left_odd_are_sorted_out(tmp_path, text, kept):
    path = tmp_path / "m.jsonl"
    path.write_bytes(text.encode() + b"\n\xff\xfe{")
    JsonLinesTracker(path, 2).close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == kept
    assert [file.name for file in tmp_path.iterdir()] == ["m.jsonl"]


def test_json_lines_stay_as_they_were_where_dropping_some_fails(tmp_path, monkeypatch):
    path = tmp_path / "m.jsonl"
    path.write_text('{"step": 1}\n{"step": 3}\n')

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trackers.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        JsonLinesTracker(path, 2)
    assert path.read_text() == '{"step": 1}\n{"step": 3}\n'
    assert [file.name for file in tmp_path.iterdir()] == ["m.jsonl"]


def test_json_lines_are_never_read_whole(tmp_path, monkeypatch):
    path = tmp_path / "m.jsonl"
    path.write_text("".join(f'{{"step": {i}}}\n' for i in range(20000)))
    longest = []
    monkeypatch.setattr(trackers, "_step_of", lambda line: longest.append(len(line)) or 0)
    JsonLinesTracker(path, 2).close()
    assert len(longest) == 20000 and max(longest) < 20


def test_tensorboard_can_read_scalars_audio_and_pictures(tmp_path):
    tracker = TensorBoardTracker(tmp_path, 0)
    tracker.scalars(2, {"train/mel": 0.25})
    tracker.audio(2, "spoken", np.sin(np.arange(800) / 9).astype(np.float32), 8000)
    tracker.figure(2, "alignment", plot_alignment(np.eye(4), "title", ["a", "b", "c", "d"]))
    tracker.close()
    events = EventAccumulator(str(tmp_path), size_guidance={"audio": 0, "images": 0}).Reload()
    assert events.Scalars("train/mel")[0].value == 0.25 and events.Scalars("train/mel")[0].step == 2
    assert events.Audio("spoken")[0].sample_rate == 8000
    assert events.Images("alignment")[0].width == 800


def test_the_console_shows_losses_and_validation(capsys):
    tracker = ConsoleTracker(0, 10)
    tracker.scalars(4, {"train/mel": 0.123456, "valid/mel": 0.5, "train/learning_rate": 1e-4})
    tracker.advance(4)
    tracker.close()
    shown = capsys.readouterr().err
    assert "mel=0.123" in shown and "step 4: validation mel 0.500" in shown and "4/10" in shown
    assert "learning_rate" not in shown


def test_several_trackers_all_hear_everything(tmp_path):
    class Counter(NullTracker):
        def __init__(self):
            self.heard = []

        def advance(self, step):
            self.heard.append(("advance", step))

        def scalars(self, step, values):
            self.heard.append(("scalars", step))

        def audio(self, step, name, samples, sampling_rate):
            self.heard.append(("audio", step))

        def figure(self, step, name, figure):
            self.heard.append(("figure", step))

        def close(self):
            self.heard.append(("close", 0))

    counters = [Counter(), Counter()]
    both = Trackers(counters)
    both.advance(1)
    both.scalars(1, {})
    both.audio(1, "a", np.zeros(4, np.float32), 8000)
    both.figure(1, "f", plot_mels({"x": np.zeros((3, 4))}))
    both.close()
    assert counters[0].heard == counters[1].heard
    assert [what for what, _ in counters[0].heard] == ["advance", "scalars", "audio", "figure", "close"]


def test_the_null_tracker_takes_everything_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tracker = NullTracker()
    tracker.advance(1)
    tracker.scalars(1, {"a": 1.0})
    tracker.audio(1, "a", np.zeros(4, np.float32), 8000)
    tracker.figure(1, "f", plot_mels({"x": np.zeros((3, 4))}))
    tracker.close()
    assert list(tmp_path.iterdir()) == []


def test_pictures_show_every_symbol_over_its_frames(tmp_path):
    figure = plot_speech(np.zeros((20, 9)), np.array([2, 3, 4]), ["_", "a", "b"], "ab")
    staircase = figure.axes[1]
    assert [text.get_text() for text in staircase.texts] == ["a", "b"]
    assert [text.get_position()[0] for text in staircase.texts] == [3.5, 7.0]
    figure.savefig(tmp_path / "speech.png")
    assert (tmp_path / "speech.png").stat().st_size > 1000


# By name


def test_trackers_are_made_by_name_and_each_once(tmp_path):
    made = make_trackers(("jsonl", "console", "jsonl"), tmp_path, 0, 10, {})
    assert [type(tracker) for tracker in made.trackers] == [JsonLinesTracker, ConsoleTracker]
    made.scalars(1, {"train/mel": 0.5})
    made.close()
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["train/mel"] == 0.5
    assert make_trackers((), tmp_path, 0, 10, {}).trackers == []


def test_an_unknown_tracker_names_the_known_ones_and_leaves_nothing_behind(tmp_path):
    with pytest.raises(ValueError, match="^train.trackers names 'mlflow', 'x'; known: console, jsonl, tens"):
        make_trackers(("jsonl", "mlflow", "x"), tmp_path, 0, 10, {})
    assert list(tmp_path.iterdir()) == []


def without(monkeypatch, *packages):
    """Make the import of these fail, whether they are installed or not; returns what was imported then."""
    imported, import_it = [], builtins.__import__

    def refuse(name, *args, **kwargs):
        imported.append(name)
        if name.split(".")[0] in packages:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return import_it(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    return imported


@pytest.mark.parametrize("name", ["aim", "wandb"])
def test_a_tracker_that_is_not_installed_is_one_warning_with_the_command_and_nothing_else(
        tmp_path, monkeypatch, caplog, name):
    without(monkeypatch, name)
    with caplog.at_level(logging.WARNING, "vits"):
        made = make_trackers((name, "jsonl"), tmp_path, 0, 10, {})
    made.scalars(1, {"a": 1.0})
    made.close()
    [record] = caplog.records
    assert f"names {name}, which is not installed" in record.getMessage()
    assert record.getMessage().endswith(f"pip install {name}")
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_what_is_not_asked_for_is_never_imported(tmp_path, monkeypatch):
    imported = without(monkeypatch, "aim", "wandb")
    make_trackers(("console", "jsonl"), tmp_path, 0, 10, {}).close()
    assert not {"aim", "wandb", "torch.utils.tensorboard"} & set(imported)


def test_where_one_tracker_does_not_start_the_others_are_closed(tmp_path, monkeypatch):
    closed = []

    def refuse(*arguments):
        raise ValueError("no")

    monkeypatch.setattr(JsonLinesTracker, "close", lambda self: closed.append(self.file.close()))
    monkeypatch.setitem(trackers.TRACKERS, "console", refuse)
    with pytest.raises(ValueError, match="^no$"):
        make_trackers(("jsonl", "console"), tmp_path, 0, 10, {})
    assert closed == [None]


def test_every_tracker_is_closed_even_after_one_that_fails():
    closed = []

    class Last(NullTracker):
        def close(self):
            closed.append("last")

    class Bad(NullTracker):
        def close(self):
            raise OSError("disk")

    Trackers([Bad(), Last()]).close()
    assert closed == ["last"]


@pytest.mark.parametrize("method, arguments", [
    ("advance", (1,)), ("scalars", (1, {"a": 1.0})), ("audio", (1, "a", np.zeros(4), 8000)), ("figure", (1, "f", None)),
    ("close", ())])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("database or disk is full")])
def test_a_tracker_that_cannot_write_is_one_warning_and_the_others_get_everything(caplog, method, arguments, error):
    calls = []
    bad, good = NullTracker(), NullTracker()
    setattr(bad, method, failing(error))
    setattr(good, method, lambda *given: calls.append(given))
    both = Trackers([bad, good])
    for _ in range(3):
        getattr(both, method)(*arguments)
    assert calls == [arguments] * 3
    [record] = caplog.records
    assert "NullTracker cannot write" in record.getMessage() and described(error) in record.getMessage()
    assert record.exc_info is None


def test_an_interrupt_within_a_tracker_stays_an_interrupt():
    bad = NullTracker()
    bad.advance = failing(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        Trackers([bad]).advance(1)


class Full:
    """A file on a disk that takes so many bytes more."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, content):
        if not self.room:
            raise OSError(28, "No space left on device")
        taken = self.file.write(content[:self.room])
        self.room -= taken
        return taken

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.parametrize("room", [0, 1, 60, 100])
def test_json_lines_are_whole_where_the_disk_fills_and_go_on_when_it_has_room(tmp_path, room):
    tracker = JsonLinesTracker(tmp_path / "m.jsonl", 0)
    tracker.file = Full(tracker.file, room)
    written = []
    for step in range(1, 6):
        try:
            tracker.scalars(step, {"a": 0.5})
            written.append(step)
        except OSError as error:
            assert error.filename == str(tmp_path / "m.jsonl")
        if step == 3:
            tracker.file.room = 10**6
    assert written[-2:] == [4, 5] and len(written) < 5
    assert [json.loads(line)["step"] for line in (tmp_path / "m.jsonl").read_text().splitlines()] == written


def test_tensorboard_on_a_full_disk_is_one_warning_without_a_traceback(tmp_path):
    """A limit on the size of files is as a full disk, for a process of its own."""
    (tmp_path / "run").mkdir()
    child = os.fork()
    if child == 0:
        with open(tmp_path / "errors", "w") as errors:
            sys.stderr = errors
            logging.getLogger("vits").handlers[:] = [logging.StreamHandler(errors)]  # without those of other tests
            both = Trackers([TensorBoardTracker(tmp_path / "run", 0)])
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            for step in range(200):
                both.scalars(step, {"train/mel": 0.25, "train/kl": 0.5})
                time.sleep(0.001)
            both.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    text = (tmp_path / "errors").read_text()
    assert text.count("TensorBoardTracker cannot write (") == 1 == text.count("\n")
    assert re.search(r"events\.out\.tfevents\S*: File too large\)", text)


# Aim and Weights & Biases: which calls they get, then what they really keep


class FakeRun:
    """Stands for a run of either; keeps the calls."""

    def __init__(self, **arguments):
        self.arguments, self.told = arguments, []
        self.hash = arguments.get("run_hash") or "new"

    def __setitem__(self, key, value):
        self.told.append(("set", key, value))

    def __getattr__(self, name):
        return lambda *args, **kwargs: self.told.append((name, args, kwargs))


@pytest.fixture
def fake_wandb(monkeypatch):
    module = types.ModuleType("wandb")
    module.Error = type("Error", (Exception,), {})
    module.runs = []
    module.init = lambda **arguments: module.runs.append(FakeRun(**arguments)) or module.runs[-1]
    module.Settings = dict
    module.Audio = lambda samples, sample_rate: ("audio", samples, sample_rate)
    module.Image = lambda pixels: ("image", pixels.shape)
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_wandb_gets_the_step_as_a_number_beside_the_others(tmp_path, fake_wandb):
    tracker = WandbTracker(tmp_path / "run", {"train": {"seed": 1}})
    tracker.scalars(3, {"train/mel": 0.5})
    tracker.audio(3, "spoken/0", np.array([0.0, 1.0, -2.0], np.float32), 8000)
    tracker.figure(3, "mel/0", plot_mels({"x": np.zeros((3, 4))}))
    tracker.close()
    [run] = fake_wandb.runs
    assert run.arguments["config"] == {"train": {"seed": 1}} and run.arguments["resume"] == "allow"
    assert run.arguments["name"] == "run" and run.arguments["dir"] == str(tmp_path / "run")
    defined, numbers, sound, picture, end = run.told
    assert defined == ("define_metric", ("*",), {"step_metric": "step"})
    assert numbers == ("log", ({"train/mel": 0.5, "step": 3},), {})
    kind, samples, rate = sound[1][0]["spoken/0"]
    assert kind == "audio" and samples.tolist() == [0, 32767, -32767] and rate == 8000 and sound[1][0]["step"] == 3
    assert picture[1][0]["mel/0"] == ("image", (220, 800, 3)) and picture[1][0]["step"] == 3
    assert end[0] == "finish"


def test_wandb_goes_on_with_the_id_that_the_run_folder_keeps(tmp_path, fake_wandb, monkeypatch):
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    for _ in range(2):
        WandbTracker(tmp_path / "a", {})
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    WandbTracker(tmp_path / "b", {})
    first, again, other = (run.arguments["id"] for run in fake_wandb.runs)
    assert first == again != other
    assert (tmp_path / "a" / "wandb_id.txt").read_text() == first + "\n"
    assert [run.arguments["project"] for run in fake_wandb.runs] == ["vits", "vits", "mine"]


def test_wandb_without_an_account_says_what_to_do(tmp_path, fake_wandb):
    def refuse(**arguments):
        raise fake_wandb.Error("No API key configured.")

    fake_wandb.init = refuse
    with pytest.raises(ValueError, match=r"names wandb, which does not start: No API key .*WANDB_MODE=offline"):
        make_trackers(("wandb",), tmp_path, 0, 10, {})


@pytest.fixture
def fake_aim(monkeypatch):
    module = types.ModuleType("aim")
    module.runs, module.repositories = [], []

    class Repo:
        @staticmethod
        def from_path(path, init):
            module.repositories.append((path, init))
            return Repo()

        @staticmethod
        def run_exists(run_hash):
            return run_hash == "kept"

    module.Repo = Repo
    module.Run = lambda run_hash, **arguments: (
        module.runs.append(FakeRun(run_hash=run_hash, **arguments)) or module.runs[-1])
    module.Audio = lambda samples, format, rate: ("audio", samples, format, rate)
    module.Image = lambda picture: ("image", picture.size)
    monkeypatch.setitem(sys.modules, "aim", module)
    return module


def test_aim_gets_numbers_sound_pictures_and_the_configuration(tmp_path, fake_aim):
    tracker = AimTracker(tmp_path / "run", {"train": {"seed": 1}})
    tracker.scalars(3, {"train/mel": 0.5})
    tracker.audio(3, "spoken/0", np.array([0.0, 1.0, -2.0], np.float32), 8000)
    tracker.figure(3, "mel/0", plot_mels({"x": np.zeros((3, 4))}))
    tracker.close()
    [run] = fake_aim.runs
    assert fake_aim.repositories == [(str(tmp_path), True)] and run.name == "run"
    settings, numbers, sound, picture, end = run.told
    assert settings == ("set", "config", {"train": {"seed": 1}})
    assert numbers == ("track", (0.5,), {"name": "train/mel", "step": 3})
    kind, samples, audio_format, rate = sound[1][0]
    assert (kind, samples.tolist(), audio_format, rate) == ("audio", [0, 32767, -32767], "wav", 8000)
    assert sound[2] == {"name": "spoken/0", "step": 3}
    assert picture == ("track", (("image", (800, 220)),), {"name": "mel/0", "step": 3})
    assert end[0] == "close"


@pytest.mark.parametrize("noted, expected", [(None, None), ("kept", "kept"), ("of another machine", None)])
def test_aim_goes_on_with_the_run_that_the_folder_names_if_it_is_still_there(tmp_path, fake_aim, noted, expected):
    if noted:
        (tmp_path / "aim_hash.txt").write_text(noted + "\n")
    AimTracker(tmp_path, {})
    assert fake_aim.runs[0].arguments["run_hash"] == expected
    assert fake_aim.runs[0].arguments["force_resume"] == bool(noted)  # or the lock of a killed run stays in the way
    assert (tmp_path / "aim_hash.txt").read_text() == f"{expected or 'new'}\n"


def tell(tracker, steps, offset):
    """Numbers at some steps, a sound and a picture at the last."""
    for step in steps:
        tracker.scalars(step, {"train/mel": step + offset, "train/kl": math.nan})
    tracker.audio(step, "spoken/0", np.sin(np.arange(800) / 9).astype(np.float32), 8000)
    tracker.figure(step, "alignment/0", plot_alignment(np.eye(4), "title"))
    tracker.close()


@pytest.mark.filterwarnings("ignore")  # what the package does inside is its own business
def test_the_real_aim_keeps_it_all_and_a_resumed_run_replaces_steps(tmp_path):
    aim = pytest.importorskip("aim")
    settings = config.to_dict(tiny())
    tell(AimTracker(tmp_path / "run", settings), range(1, 6), 0.0)
    tell(AimTracker(tmp_path / "run", settings), range(4, 8), 0.5)
    run_hash = (tmp_path / "run" / "aim_hash.txt").read_text().strip()
    run = aim.Run(run_hash, repo=str(tmp_path), system_tracking_interval=None, capture_terminal_logs=False)
    assert run.name == "run" and run["config"]["train"]["seed"] == settings["train"]["seed"]
    [curve] = [metric for metric in run.metrics() if metric.name == "train/mel"]
    assert sorted(curve.values.values_list()) == [1, 2, 3, 4.5, 5.5, 6.5, 7.5]
    kept = run.collect_sequence_info(("audios", "images"))
    assert [entry["name"] for kind in ("audios", "images") for entry in kept[kind]] == ["spoken/0", "alignment/0"]
    run.close()
    assert len(aim.Repo.from_path(str(tmp_path)).list_all_runs()) == 1


def wandb_records(path):
    """Records of an offline run's file: LevelDB's log format, 32 KiB blocks of pieces (checksum, length, kind)."""
    data, start, record = path.read_bytes(), 7, b""  # after a header of 7 bytes
    while start < len(data):
        left = 2**15 - start % 2**15
        if left < 7:
            start += left
            continue
        length, kind = int.from_bytes(data[start + 4 : start + 6], "little"), data[start + 6]
        record += data[start + 7 : start + 7 + length]
        start += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            yield record
            record = b""


@pytest.mark.filterwarnings("ignore")
def test_the_real_wandb_keeps_it_all_offline_under_one_id(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    settings = config.to_dict(tiny())
    tell(WandbTracker(tmp_path, settings), range(1, 6), 0.0)
    tell(WandbTracker(tmp_path, settings), range(4, 8), 0.5)
    run_id = (tmp_path / "wandb_id.txt").read_text().strip()
    curve, media, seeds = [], [], []
    for file in tmp_path.glob(f"wandb/offline-run-*/run-{run_id}.wandb"):
        for record in map(Record.FromString, wandb_records(file)):
            items = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            if "train/mel" in items:
                curve.append((items["step"], items["train/mel"]))
            media += [key for key in items if key in ("spoken/0", "alignment/0")]
            seeds += [json.loads(item.value_json)["seed"] for item in record.run.config.update if item.key == "train"]
    assert sorted(curve) == sorted([(i, i) for i in range(1, 6)] + [(i, i + 0.5) for i in range(4, 8)])
    assert sorted(media) == ["alignment/0", "alignment/0", "spoken/0", "spoken/0"]
    assert set(seeds) == {settings["train"]["seed"]}
