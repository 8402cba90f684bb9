"""Callbacks: users' files join and their failures are named; trackers hear what the loop reports."""

import logging
import textwrap

import numpy as np
import pytest
from torch import nn

from tests.conftest import tiny
from training import callbacks
from training.callbacks import (
    Callback,
    CallbackError,
    Callbacks,
    EarlyStopping,
    Run,
    SpokenSample,
    StepReport,
    TrackerCallback,
    ValidationReport,
    load_callbacks,
)
from training.trackers import NullTracker

EVENTS = ["on_start", "on_step", "on_validation", "on_save", "on_end"]


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path, tiny(), nn.Identity(), total_steps=10)


def step_report(step):
    return StepReport(step, ["a.wav", "b.wav"], lambda: {"train/mel": 0.5}, lambda: True)


def validation_report(step):
    sample = SpokenSample("a.wav", np.zeros(300, np.float32), np.ones(200, np.float32), 8000, np.eye(4),
                          np.zeros((20, 4)), np.zeros((20, 3)))
    return ValidationReport(step, {"valid/mel": 0.25}, [sample, sample])


def tell_everything(callback, run):
    callback.on_start(run)
    callback.on_step(run, step_report(1))
    callback.on_validation(run, validation_report(1))
    callback.on_save(run, run.run_dir / "checkpoint.pt")
    callback.on_end(run, None)


def write(folder, text, name="mine.py"):
    path = folder / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return str(path)


# Users' files


def test_the_example_of_the_docstring_stops_the_run_and_lists_validations(tmp_path, run):
    example = textwrap.dedent(callbacks._example())
    assert len(example.splitlines()) <= 20
    [callback] = load_callbacks([write(tmp_path, example)])
    assert type(callback).__name__ == "Watch"
    tell_everything(callback, run)
    assert run.stop_reason is None and (tmp_path / "validations.txt").read_text() == "1 0.25\n"
    (tmp_path / "STOP").touch()
    callback.on_step(run, step_report(3))
    assert run.stop_reason == "there is a file named STOP"


SEVERAL = """
    from training.callbacks import CALLBACKS, Callback

    @CALLBACKS.register("first")
    class First(Callback):
        pass

    @CALLBACKS.register("second")
    class Second(Callback):
        pass
"""


def test_all_callbacks_of_all_files_come_in_order_each_time_they_are_loaded(tmp_path):
    other = SEVERAL.replace("First", "Third").replace("Second", "Fourth")  # under the same names
    paths = [write(tmp_path, SEVERAL, "one.py"), write(tmp_path, other, "two.py")]
    for _ in range(2):
        kinds = [type(callback).__name__ for callback in load_callbacks(paths)]
        assert kinds == ["First", "Second", "Third", "Fourth"]


def test_no_files_are_no_callbacks():
    assert load_callbacks(()) == []


def test_a_file_that_is_not_there_names_its_setting(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train\.callbacks names .*mine\.py, which is not a file"):
        load_callbacks([str(tmp_path / "mine.py")])


def test_a_file_that_registers_nothing_shows_what_was_expected(tmp_path):
    with pytest.raises(ValueError, match=r"mine\.py registers no callback; expected.*") as error:
        load_callbacks([write(tmp_path, "class Mine:\n    pass\n")])
    assert '@CALLBACKS.register("watch")' in str(error.value) and "def on_step(self, run, report)" in str(error.value)


@pytest.mark.parametrize("text, message", [
    ("import os\n\nprint(nobody)\n", r"mine\.py cannot be run: NameError: name 'nobody' .*\(.*mine\.py:3\)$"),
    ("x = = 1\n", r"mine\.py cannot be run: SyntaxError: invalid syntax \(mine\.py, line 1\)$"),
])
def test_a_file_that_cannot_be_run_is_named_with_the_line(tmp_path, text, message):
    with pytest.raises(CallbackError, match=message):
        load_callbacks([write(tmp_path, text)])


def test_a_callback_that_needs_arguments_is_named(tmp_path):
    text = """
        from training.callbacks import CALLBACKS, Callback

        @CALLBACKS.register("needy")
        class Needy(Callback):
            def __init__(self, folder):
                pass
    """
    with pytest.raises(CallbackError, match=r"'needy' of .*mine\.py cannot be made without arguments: .*'folder'"):
        load_callbacks([write(tmp_path, text)])


def test_something_else_than_a_callback_is_named(tmp_path):
    text = "from training.callbacks import CALLBACKS\n\n@CALLBACKS.register('odd')\nclass Odd:\n    pass\n"
    message = r"'odd' of .*mine\.py is a Odd; expected a subclass of training\.callbacks\.Callback"
    with pytest.raises(ValueError, match=message):
        load_callbacks([write(tmp_path, text)])


# Several of them


class Listener(Callback):
    def __init__(self, heard, name):
        self.heard, self.name = heard, name

    def on_start(self, run):
        self.heard.append((self.name, "on_start"))

    def on_step(self, run, report):
        self.heard.append((self.name, "on_step"))

    def on_validation(self, run, report):
        self.heard.append((self.name, "on_validation"))

    def on_save(self, run, path):
        self.heard.append((self.name, "on_save"))

    def on_end(self, run, error):
        self.heard.append((self.name, "on_end"))


def failing(event, error):
    def fail(self, *args):
        raise error
    return type("Failing", (Callback,), {event: fail})()


def test_a_callback_does_nothing_unless_it_says_what(run):
    tell_everything(Callback(), run)
    tell_everything(Callbacks([]), run)
    assert list(run.run_dir.iterdir()) == [] and run.stop_reason is None


def test_each_callback_hears_every_event_in_their_order(run):
    heard = []
    tell_everything(Callbacks([Listener(heard, "a"), Listener(heard, "b")]), run)
    assert heard == [(name, event) for event in EVENTS for name in "ab"]


@pytest.mark.parametrize("event", EVENTS)
def test_a_callback_that_fails_ends_the_run_with_its_name_and_the_event(run, event):
    run.step = 7
    with pytest.raises(CallbackError, match=f"callback Failing failed in {event} at step 7: KeyError: 'mel'") as error:
        tell_everything(Callbacks([failing(event, KeyError("mel"))]), run)
    assert isinstance(error.value.__cause__, KeyError)


def test_a_callback_of_the_users_that_fails_is_named_as_registered_with_the_line(tmp_path, run):
    text = """\
        from training.callbacks import CALLBACKS, Callback

        @CALLBACKS.register("divider")
        class Divider(Callback):
            def on_step(self, run, report):
                return 1 / 0
    """
    both = Callbacks(load_callbacks([write(tmp_path, text)]))
    with pytest.raises(CallbackError, match=r"^callback 'divider' failed in on_step at step 0: ZeroDivisionError: "
                                            r"division by zero \(.*mine\.py:6\)$"):
        both.on_step(run, step_report(1))


def test_an_interrupt_within_a_callback_stays_an_interrupt(run):
    with pytest.raises(KeyboardInterrupt):
        Callbacks([failing("on_step", KeyboardInterrupt())]).on_step(run, step_report(1))


def test_a_run_in_good_order_ends_without_an_error(run):
    heard = []
    with Callbacks([Listener(heard, "a")]).running(run):
        heard.append("steps")
    assert heard == [("a", "on_start"), "steps", ("a", "on_end")]


def test_every_callback_hears_of_the_end_and_why_though_one_fails(run, caplog):
    ends = []
    last = type("Last", (Callback,), {"on_end": lambda self, run, error: ends.append(error)})()
    interrupt = KeyboardInterrupt()
    with caplog.at_level(logging.ERROR, "vits"), pytest.raises(KeyboardInterrupt):  # the first error stays
        with Callbacks([failing("on_end", ValueError("disk")), last]).running(run):
            raise interrupt
    assert ends == [interrupt]
    assert "callback Failing failed in on_end at step 0: ValueError: disk" in caplog.text
    with pytest.raises(CallbackError, match="ValueError: disk"):
        with Callbacks([failing("on_end", ValueError("disk")), last]).running(run):
            pass
    assert ends == [interrupt, None]


def test_a_callback_that_fails_at_the_start_still_lets_the_others_end(run):
    ends = []
    first = type("First", (Callback,), {"on_end": lambda self, run, error: ends.append(type(error))})()
    with pytest.raises(CallbackError, match="failed in on_start"):
        with Callbacks([first, failing("on_start", ValueError("no"))]).running(run):
            raise AssertionError("the run must not start")
    assert ends == [CallbackError]


def test_the_first_reason_to_stop_stays(run):
    run.stop("first")
    run.stop("second")
    assert run.stop_reason == "first"


# Trackers


class Memory(NullTracker):
    """Keeps all that it is told."""

    def __init__(self):
        self.steps, self.numbers, self.others, self.is_closed = [], [], [], False

    def advance(self, step):
        self.steps.append(step)

    def scalars(self, step, values):
        self.numbers.append((step, dict(values)))

    def audio(self, step, name, samples, sampling_rate):
        self.others.append((name, len(samples), sampling_rate))

    def figure(self, step, name, figure):
        self.others.append((name, len(figure.axes)))

    def close(self):
        self.is_closed = True


def test_a_tracker_hears_every_step_and_the_losses_at_intervals_and_at_the_last_step(run):
    memory, asked = Memory(), []
    callback = TrackerCallback(memory, log_interval=4)
    callback.on_start(run)
    for step in range(1, 11):
        run.step = step
        callback.on_step(run, StepReport(step, [], lambda step=step: asked.append(step) or {"train/mel": 0.1},
                                           is_finite=lambda step=step: asked.append(step)))
    assert memory.steps == list(range(1, 11))
    assert [step for step, _ in memory.numbers] == [4, 8, 10] == asked  # nobody waits for a GPU in between
    for _, values in memory.numbers:
        assert values["train/mel"] == 0.1 and values["train/steps_per_second"] > 0


def test_speed_counts_steps_and_seconds_of_training_alone(run, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: now[0])
    memory = Memory()
    callback = TrackerCallback(memory, log_interval=1)
    run.step = 2  # resumed
    callback.on_start(run)
    for seconds_beside in (0, 50, 0):
        now[0] += 0.5
        run.step += 1
        callback.on_step(run, step_report(run.step))
        now[0] += seconds_beside
        if run.step == 4:
            callback.on_validation(run, validation_report(4))
    now[0] += 0.25
    run.step += 1
    callback.on_step(run, step_report(run.step))
    speeds = [values["train/steps_per_second"] for _, values in memory.numbers if "valid/mel" not in values]
    assert speeds == pytest.approx([2, 2, 2, 2 / 0.75])


def test_a_tracker_gets_numbers_sound_and_pictures_of_a_validation(run):
    memory = Memory()
    TrackerCallback(memory, 1).on_validation(run, validation_report(4))
    assert memory.numbers == [(4, {"valid/mel": 0.25})]
    assert memory.others == [
        entry for i in range(2) for entry in ((f"mel/{i}", 4), (f"alignment/{i}", 1), (f"spoken/{i}", 200, 8000),
                                              (f"recorded/{i}", 300, 8000))]


@pytest.mark.parametrize("error", [None, KeyboardInterrupt()])
def test_a_tracker_is_closed_however_the_run_ends(run, error):
    memory = Memory()
    TrackerCallback(memory, 1).on_end(run, error)
    assert memory.is_closed


def test_patience_counts_validations_since_the_best_and_goes_on_after_a_resume(run):
    (run.run_dir / "best.json").write_text('{"measure": "valid/mel", "best": [{"step": 4, "value": 0.2}]}')
    run.step = 12  # TINY validates at every 4 steps, so two validations were no better
    callback = EarlyStopping("valid/mel", 3)
    callback.on_start(run)
    callback.on_validation(run, ValidationReport(16, {"valid/kl": 1.0}, []))  # did not measure it
    assert run.stop_reason is None
    callback.on_validation(run, ValidationReport(20, {"valid/mel": 0.25}, []))
    assert run.stop_reason == ("valid/mel has not been better than 0.2, of step 4, for 3 validations (train.patience)")


def test_patience_for_what_is_measured_now_and_then_counts_only_those_after_a_resume(tmp_path):
    config = tiny(("train.evaluate_every=5", 'train.costly_meters=["words"]'))  # TINY validates at every 4 steps
    run = Run(tmp_path, config, nn.Identity(), total_steps=100, step=56)
    (tmp_path / "best.json").write_text('{"measure": "valid/wer", "best": [{"step": 20, "value": 30}]}')
    callback = EarlyStopping("valid/wer", 3)
    callback.on_start(run)
    assert callback.waited == 1  # at step 40, whereas nine validations had none
    callback.on_validation(run, ValidationReport(60, {"valid/wer": 31.0}, []))
    assert run.stop_reason is None


def test_validations_of_a_last_step_move_no_others(tmp_path):
    run = Run(tmp_path, tiny(), nn.Identity(), total_steps=100, step=8)
    (tmp_path / "best.json").write_text('{"measure": "valid/mel", "best": [{"step": 6, "value": 0.2}]}')
    callback = EarlyStopping("valid/mel", 3)
    callback.on_start(run)
    assert callback.waited == 1  # the run once ended at step 6, and was validated at 8 since


def test_a_better_validation_gives_new_patience(run):
    callback = EarlyStopping("valid/mel", 2)
    callback.on_start(run)
    for step, value in ((4, 0.5), (8, 0.6), (12, 0.4), (16, 0.45)):
        callback.on_validation(run, ValidationReport(step, {"valid/mel": value}, []))
    assert run.stop_reason is None and callback.best.step == 12
