"""The loop: it learns, it saves, it resumes where it was, and it says what is wrong."""

import json
import math
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

import checkpoint
import config as settings
import trainer
from tests.conftest import ROOT, tiny, with_corpus, write_corpus

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
    state = trainer.fit(with_corpus(tiny_corpus, (*kinds, "train.total_steps=4")), run, CPU)
    assert state.step == 4
    assert checkpoint.list_steps(run) == [2, 4]
    assert checkpoint.read_best(run).step == 4
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
    with pytest.raises(checkpoint.CheckpointError, match="its generator does not fit the configuration's"):
        trainer.fit(other, tmp_path / "run", CPU)


def test_a_finished_run_says_that_there_is_nothing_to_do(tiny_corpus, tmp_path, caplog):
    config = with_corpus(tiny_corpus)
    trainer.fit(config, tmp_path / "run", CPU)
    with caplog.at_level("INFO", logger="vits"):
        trainer.fit(config, tmp_path / "run", CPU)
    assert "nothing to do: the run is at step 4 of 4; raise train.total_steps" in caplog.text


def test_several_processes_are_refused_until_they_can_train_together(tiny_corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="WORLD_SIZE is 2: training in several processes is not there yet"):
        trainer.fit(with_corpus(tiny_corpus), tmp_path / "run", CPU)
    assert not (tmp_path / "run").exists()


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


def fresh_state(**overrides):
    config = tiny(tuple(f"train.{key}={value}" for key, value in overrides.items()))
    return trainer.new_state(config, 71, CPU), config


def test_gradient_clipping_acts_and_the_norm_is_reported_before_it(tiny_batch):
    torch.manual_seed(0)
    module = torch.nn.Linear(4, 4)
    clipped = trainer.Updater(module, 1e-3, tiny(("train.grad_clip=0.5",)).train, uses_scaler=False)
    norm = clipped.step(1000 * module(torch.ones(2, 4)).square().sum(), 1.0)
    left = torch.stack([p.grad.norm() for p in module.parameters()]).norm()
    assert norm > 100 and float(left) == pytest.approx(0.5, rel=1e-3)


def test_learning_rate_decays_by_epoch_warms_up_and_follows_a_cosine():
    decay = tiny(("train.lr_decay=0.5", "train.lr_warmup_steps=4")).train
    factors = [trainer.learning_rate_factor(decay, step, batches_per_epoch=5) for step in range(11)]
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25])
    cosine = tiny(("train.lr_schedule=cosine", "train.lr_final=0.1", "train.total_steps=10")).train
    assert [trainer.learning_rate_factor(cosine, s, 5) for s in (0, 5, 10, 99)] == pytest.approx([1, 0.55, 0.1, 0.1])


def test_the_learning_rate_reaches_the_optimizers(tiny_batch):
    state, config = fresh_state(lr_decay=0.5, learning_rate=0.002, discriminator_learning_rate=0.004)
    batch = tiny_batch._replace(speaker_ids=None)
    state.step = 7  # second epoch of four batches
    trainer.train_step(state, batch, config, batches_per_epoch=4)
    assert state.generator_updater.optimizer.param_groups[0]["lr"] == pytest.approx(0.001)
    assert state.discriminator_updater.optimizer.param_groups[0]["lr"] == pytest.approx(0.002)


def test_every_parameter_of_both_networks_moves_in_one_step(tiny_batch):
    state, config = fresh_state(weight_decay=0)
    before = [{n: p.clone() for n, p in m.named_parameters()} for m in (state.generator, state.discriminators)]
    trainer.train_step(state, tiny_batch._replace(speaker_ids=None), config, 4)
    for module in (state.generator, state.discriminators):
        without = [name for name, p in module.named_parameters() if p.grad is None]
        assert not without, f"no gradient for {without}"
    changed = [not torch.equal(before[1][n], p) for n, p in state.discriminators.named_parameters()]
    assert all(changed)


def test_the_generator_half_leaves_the_discriminators_gradients_alone(tiny_batch):
    state, config = fresh_state()
    trainer.train_step(state, tiny_batch._replace(speaker_ids=None), config, 4)
    in_discriminator_half = [p.grad.clone() for p in state.discriminators.parameters()]
    assert all(not p.requires_grad for p in state.discriminators.parameters())
    out = state.generator(tiny_batch.text_ids, tiny_batch.text_lengths, torch.rand(3, 129, 64),
                          torch.tensor([64, 40, 32]))
    wav = torch.rand_like(out.wav_fake)
    trainer.generator_losses(state, out, torch.rand(3, 129, 64), wav, config, True).total(config.train).backward()
    assert all(torch.equal(a, p.grad) for a, p in zip(in_discriminator_half, state.discriminators.parameters()))


def test_the_average_follows_the_generator_and_speaks(tiny_batch):
    state, config = fresh_state(ema_decay=0.5)
    trainer.train_step(state, tiny_batch._replace(speaker_ids=None), config, 4)
    assert state.speaking_model is state.average
    pairs = zip(state.average.parameters(), state.generator.parameters())
    assert 0 < max(float((kept - new).detach().abs().max()) for kept, new in pairs) < 1e-2
    without, _ = fresh_state(ema_decay=0)
    assert without.average is None and without.speaking_model is without.generator


def test_the_average_is_a_weighted_mean():
    average, model = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    wanted = {n: 0.9 * p + 0.1 * q for (n, p), q in zip(average.named_parameters(), model.parameters())}
    trainer.update_average(average, model, decay=0.9, step=10**6)
    assert all(torch.allclose(p, wanted[n]) for n, p in average.named_parameters())
    trainer.update_average(average, model, decay=0.9, step=0)  # young: mostly the model
    left, before = ((weight - model.weight).detach().abs().max() for weight in (average.weight, wanted["weight"]))
    assert float(left) < 0.11 * float(before)


def test_a_step_whose_gradient_is_not_finite_changes_nothing(tiny_batch):
    state, config = fresh_state(adversarial_start=100)
    before = [p.clone() for p in state.generator.parameters()]
    wav = tiny_batch.wav.clone()
    wav[0, 100] = float("nan")
    losses = trainer.train_step(state, tiny_batch._replace(speaker_ids=None, wav=wav), config, 4)
    assert not math.isfinite(losses.generator_norm) and not losses.is_finite
    assert all(torch.equal(a, p) for a, p in zip(before, state.generator.parameters()))


def test_a_discriminators_gradient_that_is_not_finite_counts_too(tiny_batch):
    state, config = fresh_state()
    losses = trainer.train_step(state, tiny_batch._replace(speaker_ids=None), config, 4)
    assert losses.is_finite
    assert not losses._replace(discriminator_norm=math.inf).is_finite
    assert losses._replace(discriminator_norm=None).is_finite


def test_an_overflow_is_no_fault_while_the_loss_scale_can_fall():
    state, _ = fresh_state()
    assert not state.is_lowering_scale
    state.generator_updater.scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    state.generator_updater.scaler.scale(torch.zeros(()))  # it is created at its first use
    assert state.is_lowering_scale
    state.generator_updater.scaler.update(1.0)
    assert not state.is_lowering_scale


def test_a_run_of_bad_steps_ends_with_the_utterances_named(tiny_corpus, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(trainer, "mel_loss", lambda real, fake: fake.sum() * float("nan"))
    config = with_corpus(tiny_corpus, ("train.total_steps=50", "train.eval_interval=50", "train.save_interval=50"))
    with pytest.raises(trainer.TrainingError, match="10 steps in a row .* lower train.learning_rate"):
        trainer.fit(config, tmp_path / "run", CPU)
    assert "was left out, a gradient is not finite: train/mel nan" in caplog.text and ".wav" in caplog.text


@pytest.mark.parametrize(("precision", "device", "effective"), [
    ("fp16", "cpu", "fp32"), ("bf16", "cpu", "bf16"), ("fp32", "cpu", "fp32"), ("bf16", "mps", "fp32")])
def test_a_precision_that_the_device_lacks_falls_back(precision, device, effective):
    train = tiny((f"train.precision={precision}",)).train
    assert trainer.effective_precision(train, torch.device(device)) == effective


def test_the_fallback_is_announced(tiny_corpus, tmp_path, caplog):
    with caplog.at_level("INFO", logger="vits"):
        trainer.fit(with_corpus(tiny_corpus, ("train.precision=fp16", "train.total_steps=1")), tmp_path / "r", CPU)
    assert "train.precision is fp16, which cpu lacks; training in fp32" in caplog.text


@pytest.mark.parametrize("kinds", KINDS)
def test_a_step_in_bfloat16_has_losses_near_those_in_float32(tiny_batch, kinds):
    values = {}
    for precision in ("fp32", "bf16"):
        config = tiny((*kinds, f"train.precision={precision}", "train.adversarial_start=100"))
        state = trainer.new_state(config, 71, CPU)
        losses = trainer.train_step(state, tiny_batch._replace(speaker_ids=None), config, 4)
        values[precision] = losses.as_floats()
        assert losses.generator.kl.dtype == losses.generator.mel.dtype == torch.float32
    for name in ("train/mel", "train/kl", "train/duration"):
        assert values["bf16"][name] == pytest.approx(values["fp32"][name], rel=0.1)


def test_the_alignment_prior_fades():
    train = tiny(("train.alignment_prior_steps=10", "train.alignment_prior_weight=4")).train
    assert [trainer.alignment_prior(train, step) for step in (0, 5, 10, 99)] == [4, 2, 0, 0]
    assert trainer.alignment_prior(tiny().train, 0) == 0


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
    assert errors.count("finishing this step and saving") == 1 and "stopped by signal at step" in errors
    [step] = checkpoint.list_steps(tmp_path / "run")
    assert json.loads(log.read_text().splitlines()[-1])["step"] == step


def test_a_killed_run_goes_on_and_equals_an_unbroken_one(tiny_corpus, tmp_path):
    config = with_corpus(tiny_corpus, ("train.total_steps=30", "train.save_interval=1", "train.eval_interval=100"))
    process = start_process(config, tmp_path)
    wait_for(lambda: len(checkpoint.list_steps(tmp_path / "run")) >= 3, process)
    process.kill()
    process.communicate()
    assert checkpoint.list_steps(tmp_path / "run")[-1] < 30
    process = start_process(config, tmp_path)
    assert process.wait(timeout=120) == 0 and "resuming from" in process.communicate()[1]
    trainer.fit(config, tmp_path / "whole", CPU)
    assert_equal_trees(state_of(tmp_path / "whole")["generator"], state_of(tmp_path / "run")["generator"])
