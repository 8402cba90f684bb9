"""The loop: it learns, it saves, it resumes where it was, and it says what is wrong."""

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch

import checkpoint
import config as settings
import losses as loss_terms
from formats import publishing
from tests.conftest import ROOT, with_corpus, write_corpus
from tests.test_checkpoint import failing
from training import memory, trainer
from training import step as training_step
from training.bad_steps import MAX_DUMPS, NonFiniteStreak

CPU = torch.device("cpu")
KINDS = [("model.generator=hifigan", "model.duration_predictor=stochastic"),
         ("model.generator=istft", "model.duration_predictor=deterministic")]


def state_of(run_dir, step=None):
    path = checkpoint.newest(run_dir) if step is None else checkpoint.path_of(run_dir, step)
    return checkpoint.load(path)


def assert_equal_trees(left, right, place=""):
    if isinstance(left, torch.Tensor):
        assert torch.equal(left, right), place
    elif isinstance(left, dict):
        assert left.keys() == right.keys(), place
        for key in left:
            assert_equal_trees(left[key], right[key], f"{place}.{key}")
    elif isinstance(left, (list, tuple)):
        assert len(left) == len(right), place
        for i, (a, b) in enumerate(zip(left, right)):
            assert_equal_trees(a, b, f"{place}[{i}]")
    else:
        assert left == right, place


def metrics_of(run_dir):
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("kinds", KINDS)
def test_a_run_leaves_numbers_checkpoints_and_its_configuration(tiny_corpus, tmp_path, kinds):
    run = tmp_path / "run"
    trackers = 'train.trackers=["console","jsonl","tensorboard"]'
    state = trainer.fit(with_corpus(tiny_corpus, (*kinds, "train.total_steps=4", trackers)), run, CPU)
    assert state.step == 4
    assert checkpoint.list_steps(run) == [2, 4]
    assert checkpoint.read_ranking(run).best[0].step == 4
    assert settings.load(run / "config.json").model.generator == kinds[0].split("=")[1]
    lines = metrics_of(run)
    assert [line["step"] for line in lines if "train/mel" in line] == [1, 2, 3, 4]
    names = {"train/mel", "train/kl", "train/duration", "train/adversarial", "train/features", "train/discriminator",
             "train/generator_grad_norm", "train/discriminator_grad_norm", "train/learning_rate",
             "train/steps_per_second"}
    assert names <= lines[0].keys() and all(math.isfinite(lines[0][name]) for name in names)
    [valid] = [line for line in lines if "valid/mel" in line]
    assert {"valid/mel", "valid/kl", "valid/duration", "valid/speaking_rate"} <= valid.keys()
    assert list(run.glob("events.out*"))


def test_training_learns_the_sound(tiny_corpus, tmp_path):
    config = with_corpus(tiny_corpus, ("model.generator=istft", "train.total_steps=60", "train.log_interval=10",
                                       "train.eval_interval=60", "train.learning_rate=0.003"))
    trainer.fit(config, tmp_path / "run", CPU)
    mels = [line["train/mel"] for line in metrics_of(tmp_path / "run") if "train/mel" in line]
    assert mels[-1] < 0.7 * mels[0]


@pytest.mark.parametrize("stop", [2, 3])  # in the middle and at the end of an epoch of three batches
def test_a_resumed_run_equals_an_unbroken_one(tiny_corpus, tmp_path, stop):
    config = with_corpus(tiny_corpus, ("train.total_steps=6", "train.save_interval=1", "train.keep_last=9"))
    trainer.fit(config, tmp_path / "whole", CPU)
    trainer.fit(settings.replace(config, "train", {"total_steps": stop}), tmp_path / "broken", CPU)
    trainer.fit(config, tmp_path / "broken", CPU)
    whole, broken = state_of(tmp_path / "whole"), state_of(tmp_path / "broken")
    assert_equal_trees(whole, broken)
    losses = [[(line["step"], line["train/mel"]) for line in metrics_of(tmp_path / name) if "train/mel" in line]
              for name in ("whole", "broken")]
    assert losses[0] == losses[1]


def test_a_damaged_newest_checkpoint_ends_the_run_instead_of_restarting_it(tiny_corpus, tmp_path):
    config, run = with_corpus(tiny_corpus), tmp_path / "run"
    trainer.fit(config, run, CPU)
    checkpoint.newest(run).write_bytes(b"broken")
    with pytest.raises(checkpoint.CheckpointError, match="The one before it is .*checkpoint_00000002.pt"):
        trainer.fit(config, run, CPU)


def test_another_architecture_in_the_same_run_is_refused(tiny_corpus, tmp_path):
    trainer.fit(with_corpus(tiny_corpus), tmp_path / "run", CPU)
    other = with_corpus(tiny_corpus, ("model.hidden_channels=32",))
    with pytest.raises(checkpoint.CheckpointError, match="hidden_channels is 32, and was 16 when it was trained"):
        trainer.fit(other, tmp_path / "run", CPU)


def test_a_finished_run_says_that_there_is_nothing_to_do(tiny_corpus, tmp_path, caplog):
    config = with_corpus(tiny_corpus)
    trainer.fit(config, tmp_path / "run", CPU)
    with caplog.at_level("INFO", logger="vits"):
        trainer.fit(config, tmp_path / "run", CPU)
    assert "nothing to do: the run is at step 4 of 4; raise train.total_steps" in caplog.text


def test_discriminators_join_at_their_step(tiny_corpus, tmp_path):
    config = with_corpus(tiny_corpus, ("train.adversarial_start=3",))
    trainer.fit(config, tmp_path / "run", CPU)
    lines = [line for line in metrics_of(tmp_path / "run") if "train/mel" in line]
    assert ["train/discriminator" in line for line in lines] == [False, False, False, True]
    assert [line["train/adversarial"] > 0 for line in lines] == [False, False, False, True]


def test_several_speakers_train_by_name_and_the_names_are_kept(tmp_path):
    lists = write_corpus(tmp_path, speakers=("bob", "alice"))
    config = with_corpus(lists, ("data.n_speakers=2", "model.gin_channels=8"))
    trainer.fit(config, tmp_path / "run", CPU)
    assert settings.load(tmp_path / "run" / "config.json").data.speakers == ("alice", "bob")


def test_symbols_of_a_file_are_kept_inside_the_run(tiny_corpus, tmp_path):
    table = tmp_path / "symbols.txt"
    table.write_text("\n".join("_ abcdefghijklmno") + "\n")
    trainer.fit(with_corpus(tiny_corpus, (f"data.symbols={table}",)), tmp_path / "run", CPU)
    table.unlink()
    assert settings.load(tmp_path / "run" / "config.json").data.symbols == tuple("_ abcdefghijklmno")
    assert state_of(tmp_path / "run")["config"]["data"]["symbols"] == list("_ abcdefghijklmno")


def test_a_run_of_bad_steps_ends_with_the_utterances_named(tiny_corpus, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(loss_terms, "mel_loss", lambda real, fake: fake.sum() * float("nan"))
    config = with_corpus(tiny_corpus, ("train.total_steps=50", "train.eval_interval=50", "train.save_interval=50"))
    with pytest.raises(NonFiniteStreak, match="10 steps in a row, from step 0, .* lower train.learning_rate"):
        trainer.fit(config, tmp_path / "run", CPU)
    assert "step 1 was left out, its loss or gradient is not finite (1 of at most 10 in a row)" in caplog.text
    assert "train/mel nan" in caplog.text and ".wav" in caplog.text


def test_the_fallback_is_announced(tiny_corpus, tmp_path, caplog):
    with caplog.at_level("INFO", logger="vits"):
        trainer.fit(with_corpus(tiny_corpus, ("train.precision=fp16", "train.total_steps=1")), tmp_path / "r", CPU)
    assert "train.precision is fp16, which cpu lacks; training in fp32" in caplog.text


def start_process(config, tmp_path, *arguments):
    settings.save(config, tmp_path / "c.json")
    command = [sys.executable, "train.py", "-c", tmp_path / "c.json", "-m", tmp_path / "run", "--device", "cpu"]
    return subprocess.Popen([*command, *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True,
                            env={**os.environ, "OMP_NUM_THREADS": "1"})


def wait_for(condition, process, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves(tiny_corpus, tmp_path, number):
    config = with_corpus(tiny_corpus, ("train.total_steps=100000", "train.save_interval=100000",
                                       "train.eval_interval=100000", "train.num_workers=2"))
    process = start_process(config, tmp_path)
    log = tmp_path / "run" / "metrics.jsonl"
    wait_for(lambda: log.is_file() and len(log.read_text().splitlines()) > 2, process)
    if number == signal.SIGINT:  # as a terminal does: to the workers too
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 0, errors
    assert errors.count("finishing this step and saving") == 1 and f"stopped ({number.name}) at step" in errors
    [step] = checkpoint.list_steps(tmp_path / "run")
    assert json.loads(log.read_text().splitlines()[-1])["step"] == step


def numbers_of(run_dir):
    """Training losses by step, without times."""
    return {line["step"]: {k: v for k, v in line.items() if k not in ("time", "train/steps_per_second")}
            for line in metrics_of(run_dir) if "train/mel" in line}


def names_of(run_dir):
    """The utterances of each step, as the callback below wrote them; of a step done twice, the last time counts."""
    rows = (line.split("\t") for line in (run_dir / "heard.txt").read_text().splitlines())
    return {int(step): names for step, names in rows}


HEARD = """from training.callbacks import CALLBACKS, Callback

@CALLBACKS.register("heard")
class Heard(Callback):
    def on_step(self, run, report):
        with open(run.run_dir / "heard.txt", "a") as file:
            print(report.step, " ".join(report.names), sep="\\t", file=file)
"""


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_equals_an_unbroken_one(tiny_corpus, tmp_path):
    """With SIGKILL at whatever step it is at, mostly while it saves, and another number of workers each time."""
    (tmp_path / "heard.py").write_text(HEARD)
    config = with_corpus(tiny_corpus, (
        "train.total_steps=34", "train.save_interval=1", "train.eval_interval=25", "train.keep_last=100",
        "train.batch_size=3", f'train.callbacks=["{tmp_path / "heard.py"}"]'))
    run, killed_at = tmp_path / "run", []
    for workers, steps_more in ((0, 2), (2, 9), (1, 5)):
        enough = len(checkpoint.list_steps(run)) + steps_more
        process = start_process(config, tmp_path, "--set", f"train.num_workers={workers}")
        wait_for(lambda enough=enough: len(checkpoint.list_steps(run)) >= enough, process)
        process.kill()
        process.communicate()
        killed_at.append(checkpoint.list_steps(run)[-1])
    assert killed_at == sorted(set(killed_at)) and killed_at[-1] < 34
    process = start_process(config, tmp_path)
    errors = process.communicate(timeout=120)[1]
    assert process.returncode == 0 and f"at step {killed_at[-1]}" in errors, errors
    trainer.fit(config, tmp_path / "whole", CPU)
    for step in (*killed_at, killed_at[0] + 1, 34):
        whole, broken = (state_of(tmp_path / name, step) for name in ("whole", "run"))
        del whole["config"], broken["config"]  # they differ in the number of workers
        assert_equal_trees(whole, broken, f"step {step}")
    assert numbers_of(run) == numbers_of(tmp_path / "whole") and len(numbers_of(run)) == 34
    assert names_of(run) == names_of(tmp_path / "whole")


def test_another_number_of_workers_changes_nothing(tiny_corpus, tmp_path):
    config = with_corpus(tiny_corpus, ("train.total_steps=4", "train.batch_seconds=2", "train.accumulate=2"))
    trainer.fit(config, tmp_path / "a", CPU)
    trainer.fit(settings.replace(config, "train", {"num_workers": 2}), tmp_path / "b", CPU)
    assert_equal_trees(state_of(tmp_path / "a")["generator"], state_of(tmp_path / "b")["generator"])


def nan_in(steps):
    """Losses of the generator that are NaN at some steps of the run."""
    real = training_step.generator_losses

    def losses(state, *arguments):
        found = real(state, *arguments)
        return type(found)(found | {"mel": found["mel"] * math.nan}) if steps(state) else found
    return losses


def test_a_bad_step_is_left_out_with_its_batch_kept_and_the_run_goes_on(tiny_corpus, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(training_step, "generator_losses", nan_in(lambda state: state.step == 1))
    trainer.fit(with_corpus(tiny_corpus), tmp_path / "run", CPU)
    assert caplog.text.count("was left out, its loss or gradient is not finite") == 1
    assert [line["train/mel"] is None for line in metrics_of(tmp_path / "run") if "train/mel" in line] == [
        False, True, False, False]
    [dump] = (tmp_path / "run" / "bad_steps").iterdir()
    content = torch.load(dump, weights_only=True)
    assert content["step"] == 2 and math.isnan(content["losses"]["train/mel"])
    [batch] = content["batches"]
    assert batch["names"] and batch["wav"].shape[0] == len(batch["names"])


def test_dumps_are_few(tiny_corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(training_step, "generator_losses", nan_in(lambda state: state.step % 2))
    config = with_corpus(tiny_corpus, ("train.total_steps=30", "train.eval_interval=30", "train.save_interval=30"))
    trainer.fit(config, tmp_path / "run", CPU)
    assert len(list((tmp_path / "run" / "bad_steps").iterdir())) == MAX_DUMPS < 15


def test_a_run_rolls_back_to_the_last_good_checkpoint_with_a_lower_rate(tiny_corpus, tmp_path, monkeypatch, caplog):
    """From step 7 all is NaN, until the run has gone back: as if the lower rate had helped."""
    bad = nan_in(lambda state: state.step >= 6 and not state.rollbacks)
    monkeypatch.setattr(training_step, "generator_losses", bad)
    config = with_corpus(tiny_corpus, (
        "train.total_steps=12", "train.save_interval=2", "train.eval_interval=12", "train.max_bad_steps=3",
        "train.rollbacks=2", "train.rollback_lr_factor=0.25", "train.learning_rate=0.001", "train.lr_decay=1"))
    state = trainer.fit(config, tmp_path / "run", CPU)
    assert state.step == 12 and state.rollbacks == 1
    assert "rollback 1 of 2: back to step 6, learning rates times 0.25" in caplog.text
    lines = [line for line in metrics_of(tmp_path / "run") if "train/mel" in line]
    assert [line["step"] for line in lines] == list(range(1, 13))  # what was rolled back is gone from the curves
    assert lines[5]["train/learning_rate"] == 0.001 and lines[6]["train/learning_rate"] == 0.00025
    resumed = trainer.fit(settings.replace(config, "train", {"total_steps": 13}), tmp_path / "run", CPU)
    assert resumed.rollbacks == 1 and resumed.generator_updater.learning_rate == 0.00025


def test_a_second_rollback_from_the_same_place_goes_further_back(tiny_corpus, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(training_step, "generator_losses", nan_in(lambda state: state.step >= 6))
    config = with_corpus(tiny_corpus, ("train.total_steps=12", "train.save_interval=2", "train.eval_interval=12",
                                       "train.max_bad_steps=2", "train.rollbacks=2"))
    with pytest.raises(NonFiniteStreak, match="2 steps in a row, from step 6, had a loss or gradient"):
        trainer.fit(config, tmp_path / "run", CPU)
    assert "rollback 1 of 2: back to step 6" in caplog.text and "rollback 2 of 2: back to step 4" in caplog.text
    assert max(checkpoint.list_steps(tmp_path / "run")) == 6  # nothing was saved within the streak


def test_steps_to_which_a_run_has_gone_back_are_known_after_a_restart(tiny_corpus, tmp_path, monkeypatch, caplog):
    """The same streak again in a new process: the rollback goes one checkpoint further back than the first."""
    monkeypatch.setattr(training_step, "generator_losses", nan_in(lambda state: state.step >= 6))
    config = with_corpus(tiny_corpus, ("train.total_steps=12", "train.save_interval=2", "train.eval_interval=12",
                                       "train.max_bad_steps=2", "train.rollbacks=1"))
    for rollbacks in (1, 2):
        with pytest.raises(NonFiniteStreak):
            trainer.fit(settings.replace(config, "train", {"rollbacks": rollbacks}), tmp_path / "run", CPU)
    assert "rollback 1 of 1: back to step 6" in caplog.text and "rollback 2 of 2: back to step 4" in caplog.text
    assert state_of(tmp_path / "run", 4)["rolled_back_to"] == [6, 4]


def test_a_streak_is_counted_on_after_a_restart(tiny_corpus, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(training_step, "generator_losses", nan_in(lambda state: state.step >= 2))
    config = with_corpus(tiny_corpus, ("train.total_steps=5", "train.max_bad_steps=4"))
    trainer.fit(settings.replace(config, "train", {"total_steps": 4}), tmp_path / "run", CPU)  # two of them are bad
    assert state_of(tmp_path / "run")["bad_steps_in_a_row"] == 2
    with pytest.raises(NonFiniteStreak, match="4 steps in a row, from step 2"):
        trainer.fit(settings.replace(config, "train", {"total_steps": 9}), tmp_path / "run", CPU)


def test_a_rollback_is_not_forgotten_by_a_run_that_is_killed_right_after_it(tiny_corpus, tmp_path, monkeypatch, caplog):
    """Killed by SIGKILL in the first step after going back, it resumes with the lower rate and goes no third time."""
    bad = tmp_path / "bad.py"
    bad.write_text("import math, os, signal\nfrom training import step\nreal = step.generator_losses\n"
                   "def losses(state, *arguments):\n    if state.rollbacks:\n"
                   "        os.kill(os.getpid(), signal.SIGKILL)\n    found = real(state, *arguments)\n"
                   "    return type(found)(found | {'mel': found['mel'] * math.nan}) if state.step >= 6 else found\n"
                   "step.generator_losses = losses\n")
    config = with_corpus(tiny_corpus, ("train.total_steps=12", "train.save_interval=2", "train.eval_interval=12",
                                       "train.max_bad_steps=2", "train.rollbacks=2", "train.learning_rate=0.001",
                                       "train.lr_decay=1", f'model.plugins=["{bad}"]'))
    process = start_process(config, tmp_path)
    errors = process.communicate(timeout=120)[1]
    assert process.returncode == -signal.SIGKILL, errors
    config = settings.replace(config, "model", {"plugins": ()})
    monkeypatch.setattr(training_step, "generator_losses",
                        nan_in(lambda state: state.step >= 6 and state.rollbacks < 2))
    state = trainer.fit(config, tmp_path / "run", CPU)
    assert "rollback 1 of 2" not in caplog.text and "rollback 2 of 2: back to step 4" in caplog.text
    assert state.rollbacks == 2 and state.rolled_back_to == [6, 4] and state.step == 12
    assert state.generator_updater.learning_rate == 0.00025


def test_a_checkpoint_that_does_not_know_of_streaks_and_steps_gone_back_to_is_read(tiny_corpus, tmp_path):
    config = with_corpus(tiny_corpus)
    trainer.fit(config, tmp_path / "run", CPU)
    older = state_of(tmp_path / "run")
    del older["rolled_back_to"], older["bad_steps_in_a_row"]
    checkpoint.save(tmp_path / "run", 4, older)
    assert trainer.fit(settings.replace(config, "train", {"total_steps": 5}), tmp_path / "run", CPU).step == 5


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A corpus, and a run of two steps on it, to be copied."""
    folder = tmp_path_factory.mktemp("begun")
    corpus = write_corpus(folder, None)
    trainer.fit(with_corpus(corpus, ("train.total_steps=2",)), folder / "run", CPU)
    return corpus, folder / "run"


@pytest.mark.parametrize("fault", [
    "data.training_files=typo.txt", "data.validation_files=typo.txt", "data.sampling_rate=16000",
    "data.max_wav_seconds=0.01", "data.symbols=[\"_\", \" \"]", "model.hidden_channels=32", "train.frozen=[\"dp.*\"]",
    "train.best_measure=valid/mos", "train.callbacks=[\"typo.py\"]", "train.trackers=[\"typo\"]",
    "train.init_from=elsewhere", "first step", "memory", "best.json"])
def test_a_start_that_fails_leaves_the_configuration_of_the_run_as_it_was(begun, tmp_path, monkeypatch, fault):
    (corpus, begun), run = begun, tmp_path / "run"
    shutil.copytree(begun, run)
    before = (run / "config.json").read_bytes()
    changes = ["train.total_steps=6"]
    if fault == "first step":
        monkeypatch.setattr(trainer, "train_step", failing(RuntimeError("CUDA out of memory")))
    elif fault == "memory":
        monkeypatch.setattr(memory, "memory_of", lambda device: memory.Memory(used=10**8, free=10**6))
    elif fault == "best.json":
        (run / "best.json").write_text("{")
    else:
        changes.append(fault)
    with pytest.raises((ValueError, OSError, RuntimeError)):
        trainer.fit(with_corpus(corpus, tuple(changes)), run, CPU)
    assert (run / "config.json").read_bytes() == before


def test_a_second_training_in_a_folder_is_refused_by_name_until_the_first_is_gone_even_if_it_was_killed(
        tiny_corpus, tmp_path):
    config = with_corpus(tiny_corpus, ("train.total_steps=100000", "train.save_interval=100000",
                                       "train.eval_interval=100000", "train.num_workers=2"))
    process, run = start_process(config, tmp_path), tmp_path / "run"
    log = run / "metrics.jsonl"
    wait_for(lambda: log.is_file() and len(log.read_text().splitlines()) > 2, process)
    (run / "checkpoint_00000001.pt.tmp").touch()  # as if it were saving
    message = f"run is being trained already, by process {process.pid} on {socket.gethostname()}; wait until it ends"
    changed = [*("--set", "train.total_steps=4"), *("--set", "train.num_workers=0")]
    second = start_process(config, tmp_path, *changed)
    assert message in (errors := second.communicate(timeout=60)[1]) and second.returncode == 2, errors
    assert errors.count("\n") == 1 and str(second.pid) not in (run / "train.log").read_text()
    with pytest.raises(trainer.RunInUse, match=message):
        trainer.fit(config, run, CPU)
    assert (run / "checkpoint_00000001.pt.tmp").is_file() and "ended by an error" not in (run / "train.log").read_text()
    process.kill()
    process.wait()  # its workers are still there for some seconds
    trainer.fit(with_corpus(tiny_corpus), run, CPU)
    assert [line["step"] for line in metrics_of(run) if "train/mel" in line] == [1, 2, 3, 4]


def test_a_file_that_breaks_during_a_run_is_reported_once_and_left_out(tiny_corpus, tmp_path, monkeypatch, caplog):
    broken = tmp_path / "wavs" / "03.wav"
    real = trainer.train_step

    def train_step(state, *arguments):
        if state.step == 2:
            broken.write_bytes(b"torn")
        return real(state, *arguments)

    monkeypatch.setattr(trainer, "train_step", train_step)
    state = trainer.fit(with_corpus(tiny_corpus, ("train.total_steps=12",)), tmp_path / "run", CPU)
    assert state.step == 12
    [record] = [record for record in caplog.records if "left out, training goes on" in record.getMessage()]
    assert "03.wav" in record.getMessage() and "not readable as audio" in record.getMessage()


def test_checkpoints_stay_by_age_by_measure_and_by_step(tiny_corpus, tmp_path):
    config = with_corpus(tiny_corpus, (
        "train.total_steps=12", "train.save_interval=1", "train.eval_interval=2", "train.keep_last=2",
        "train.keep_best=2", "train.keep_every=5", "train.best_measure=valid/kl"))
    trainer.fit(config, tmp_path / "run", CPU)
    values = {line["step"]: line["valid/kl"] for line in metrics_of(tmp_path / "run") if "valid/kl" in line}
    best = sorted(values, key=values.get)[:2]
    assert checkpoint.list_steps(tmp_path / "run") == sorted({11, 12, 5, 10, *best})
    assert checkpoint.read_ranking(tmp_path / "run").best[0].step == best[0]


def test_a_measure_that_validation_lacks_is_an_error_before_the_first_step(tiny_corpus, tmp_path):
    with pytest.raises(ValueError, match="train.best_measure is 'valid/mos', which validation does not measure"):
        trainer.fit(with_corpus(tiny_corpus, ("train.best_measure=valid/mos",)), tmp_path / "run", CPU)
    assert not checkpoint.list_steps(tmp_path / "run")


def test_a_callback_may_end_the_run_and_hears_of_everything(tiny_corpus, tmp_path):
    (tmp_path / "mine.py").write_text("""from training.callbacks import CALLBACKS, Callback

@CALLBACKS.register("mine")
class Mine(Callback):
    def on_start(self, run):
        self.events = ["start"]

    def on_step(self, run, report):
        self.events.append(f"step {report.step} {report.is_finite()} {report.losses()['train/mel'] > 0}")
        if report.step == 3:
            run.stop("three are enough")

    def on_validation(self, run, report):
        self.events.append(f"validation {'valid/mel' in report.values} {len(report.samples)}")

    def on_save(self, run, path):
        self.events.append(f"save {path.name}")

    def on_end(self, run, error):
        (run.run_dir / "events.txt").write_text("\\n".join([*self.events, f"end {error}"]))
""")
    config = with_corpus(tiny_corpus, (f'train.callbacks=["{tmp_path / "mine.py"}"]', "train.eval_interval=2",
                                       "train.save_interval=2", "train.total_steps=9"))
    assert trainer.fit(config, tmp_path / "run", CPU).step == 3
    events = (tmp_path / "run" / "events.txt").read_text().splitlines()
    assert [event for event in events if "save" not in event] == [
        "start", "step 1 True True", "step 2 True True", "validation True 2", "step 3 True True", "end None"]
    assert [event for event in events if "save" in event] == [
        "save checkpoint_00000002.pt", "save checkpoint_00000003.pt"]


def test_a_run_starts_from_another_with_other_symbols_and_more_voices(tmp_path, caplog):
    one = write_corpus(tmp_path / "one", speakers=None)
    trainer.fit(with_corpus(one), tmp_path / "first", CPU)
    several = write_corpus(tmp_path / "several", speakers=("bob", "alice"))
    table = tmp_path / "symbols.txt"
    table.write_text("\n".join("_ onmlkjihgfedcba!") + "\n")
    config = with_corpus(several, ("data.n_speakers=2", "model.gin_channels=8", f"data.symbols={table}",
                                   f"train.init_from={tmp_path / 'first'}"))
    with caplog.at_level("INFO", logger="vits"):
        state = trainer.fit(config, tmp_path / "second", CPU)
    assert state.step == 4 and state.new_rows["emb_g.weight"] == [0, 1]
    assert "starting from" in caplog.text and "emb_g.weight" in caplog.text
    assert settings.load(tmp_path / "second" / "config.json").train.discriminator_warmup_steps == 0  # they came along
    caplog.clear()
    with caplog.at_level("INFO", logger="vits"):
        trainer.fit(settings.replace(config, "train", {"total_steps": 5, "init_from": None}), tmp_path / "second", CPU)
    assert "resuming from" in caplog.text and "starting from" not in caplog.text
    assert settings.load(tmp_path / "second" / "config.json").train.init_from == str(tmp_path / "first")
    with pytest.raises(ValueError, match="has checkpoints already, and began from .*first, not from .*elsewhere;"):
        trainer.fit(settings.replace(config, "train", {"init_from": "elsewhere"}), tmp_path / "second", CPU)


def test_discriminators_that_start_from_nothing_are_warmed_up_also_after_a_restart(tiny_corpus, tmp_path, caplog):
    trainer.fit(with_corpus(tiny_corpus), tmp_path / "first", CPU)
    publishing.publish(tmp_path / "first", tmp_path / "release")  # the generator alone
    config = with_corpus(tiny_corpus, (f"train.init_from={tmp_path / 'release'}",))
    with caplog.at_level("INFO", logger="vits"):
        trainer.fit(config, tmp_path / "second", CPU)
    assert ("the discriminators start from nothing: the adversarial losses reach their weight over 500 steps"
            in caplog.text)
    trainer.fit(settings.replace(config, "train", {"total_steps": 5}), tmp_path / "second", CPU)
    assert settings.load(tmp_path / "second" / "config.json").train.discriminator_warmup_steps == 500


def test_discriminators_that_came_along_but_never_trained_are_warmed_up(tiny_corpus, tmp_path):
    trainer.fit(with_corpus(tiny_corpus, ("train.adversarial_start=100",)), tmp_path / "first", CPU)
    trainer.fit(with_corpus(tiny_corpus, (f"train.init_from={tmp_path / 'first'}",)), tmp_path / "second", CPU)
    assert settings.load(tmp_path / "second" / "config.json").train.discriminator_warmup_steps == 500


def test_adding_a_voice_leaves_the_old_ones_as_they_were_to_the_bit(tmp_path):
    two = write_corpus(tmp_path / "two", speakers=("bob", "alice"))
    several = ("model.gin_channels=8", "train.weight_decay=0.1")
    trainer.fit(with_corpus(two, ("data.n_speakers=2", *several)), tmp_path / "first", CPU)
    three = write_corpus(tmp_path / "three", speakers=("carol",))
    config = with_corpus(three, ("data.n_speakers=3", 'data.speakers=["alice","bob","carol"]', *several,
                                 f"train.init_from={tmp_path / 'first'}", 'train.trainable=["new_rows"]'))
    trainer.fit(config, tmp_path / "second", CPU)
    trainer.fit(settings.replace(config, "train", {"total_steps": 6}), tmp_path / "second", CPU)  # and after a restart
    before, after = (state_of(tmp_path / name) for name in ("first", "second"))
    for name, old in before["average"].items():
        new = after["average"][name]
        assert torch.equal(new[:2] if name == "emb_g.weight" else new, old), name
    start = checkpoint.load(checkpoint.path_of(tmp_path / "second", 2))["generator"]["emb_g.weight"]
    assert not torch.equal(after["generator"]["emb_g.weight"][2], start[2])


def test_weights_that_do_not_fit_are_refused_unless_it_is_allowed(tiny_corpus, tmp_path):
    trainer.fit(with_corpus(tiny_corpus), tmp_path / "first", CPU)
    other = ("model.filter_channels=16", f"train.init_from={tmp_path / 'first'}")
    with pytest.raises(ValueError, match=r"model\.filter_channels is 32 there, 16 here"):
        trainer.fit(with_corpus(tiny_corpus, other), tmp_path / "second", CPU)
    allowed = with_corpus(tiny_corpus, (*other, "train.allow_partial=true"))
    assert trainer.fit(allowed, tmp_path / "second", CPU).step == 4


def test_frozen_parameters_stay_and_the_log_says_how_many_train(tiny_corpus, tmp_path, caplog):
    config = with_corpus(tiny_corpus, ('train.frozen=["enc_p.*","dp.*"]', "train.save_interval=1", "train.keep_last=9"))
    with caplog.at_level("INFO", logger="vits"):
        trainer.fit(config, tmp_path / "run", CPU)
    first, last = (state_of(tmp_path / "run", step)["generator"] for step in (1, 4))
    for name in first:
        is_frozen = name.startswith(("enc_p.", "dp."))
        assert torch.equal(first[name], last[name]) == is_frozen, name
    assert " of them train)" in caplog.text
    with pytest.raises(checkpoint.CheckpointError, match=r"checkpoint_00000004\.pt: \d+ parameters trained"):
        trainer.fit(settings.replace(config, "train", {"frozen": (), "total_steps": 5}), tmp_path / "run", CPU)


def test_a_batch_that_cannot_fit_is_named_before_the_first_step(tiny_corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "memory_of", lambda device: memory.Memory(used=10**8, free=10**6))
    with pytest.raises(memory.MemoryShortage, match="the largest batch does not fit into the memory of cpu: 3 utter"):
        trainer.fit(with_corpus(tiny_corpus), tmp_path / "run", CPU)
    assert trainer.fit(with_corpus(tiny_corpus, ("train.memory_probe=false",)), tmp_path / "run", CPU).step == 4


def test_a_small_corpus_has_no_rare_symbols_for_all_of_its_symbols_are(tiny_corpus, tmp_path):
    trainer.fit(with_corpus(tiny_corpus), tmp_path / "run", CPU)
    assert settings.load(tmp_path / "run" / "config.json").data.rare_symbols == ()


def test_symbols_that_training_hardly_sees_stay_with_the_run_and_its_release(tiny_corpus, tmp_path):
    more = tmp_path / "more.txt"
    more.write_text(tiny_corpus["train"].read_text() * 110)
    config = with_corpus({**tiny_corpus, "train": more})
    trainer.fit(config, tmp_path / "first", CPU)
    rare = set(settings.load(tmp_path / "first" / "config.json").data.rare_symbols)
    assert {"z", "m"} <= rare and not rare & set(" _abc")
    publishing.publish(tmp_path / "first", tmp_path / "release")
    assert set(settings.load(tmp_path / "release" / "config.json").data.rare_symbols) == rare
    further = settings.replace(config, "train", {"init_from": str(tmp_path / "release")})
    trainer.fit(settings.replace(further, "data", {"training_files": str(tiny_corpus["train"])}), tmp_path / "second",
                CPU)  # its own corpus has all letters 10 times, but the release knows some
    assert set(settings.load(tmp_path / "second" / "config.json").data.rare_symbols) == rare
    older = state_of(tmp_path / "first")
    del older["config"]["data"]["rare_symbols"]  # a checkpoint from before there was such a list
    checkpoint.save(tmp_path / "first", 4, older)
    trainer.fit(settings.replace(config, "train", {"total_steps": 5}), tmp_path / "first", CPU)
    assert settings.load(tmp_path / "first" / "config.json").data.rare_symbols == ()
