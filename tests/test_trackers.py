"""Numbers, pictures and sound arrive where they should."""

import json
import math

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trackers import (
    ConsoleTracker,
    JsonLinesTracker,
    NullTracker,
    TensorBoardTracker,
    Trackers,
    plot_alignment,
    plot_mels,
    plot_speech,
)


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
