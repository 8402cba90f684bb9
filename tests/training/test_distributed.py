"""Several processes: real ones, started by torchrun, that talk by gloo."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch

import checkpoint
import config as settings
from tests import distributed_worker as worker
from tests.conftest import ROOT, with_corpus, write_corpus
from training import distributed, trainer
from utils import locked

STEP_LOSSES = ("train/mel", "train/kl", "train/duration", "train/adversarial", "train/features", "train/stft",
               "train/discriminator", "train/generator_grad_norm", "train/discriminator_grad_norm")


def torchrun(processes, *command):
    """Start a command in that many processes."""
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", *command],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)})


def children_of(pid):
    return [int(child) for child in subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True
                                                   ).stdout.split()]


def kill_all(process):
    """As if the power went: torchrun and its processes; their loaders' workers end when they see that."""
    for pid in (process.pid, *children_of(process.pid)):
        os.kill(pid, signal.SIGKILL)


def output_of(process, seconds=150):
    try:
        return process.communicate(timeout=seconds)[0]
    finally:
        if process.poll() is None:
            kill_all(process)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Eleven utterances to train on, a number that neither 2 nor 3 divides, and 1 to validate."""
    lists = write_corpus(tmp_path_factory.mktemp("corpus"), speakers=None)
    lines = lists["train"].read_text().splitlines() + lists["valid"].read_text().splitlines()
    lists["train"].write_text("\n".join(lines[:11]) + "\n")
    lists["valid"].write_text(lines[11] + "\n")
    return lists


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.slow)])
def found(request, tmp_path_factory, corpus):
    """What each of 2 and of 3 processes wrote."""
    out = tmp_path_factory.mktemp(f"{request.param}_processes")
    settings.save(with_corpus(corpus), out / "config.json")
    process = torchrun(request.param, "-m", "tests.distributed_worker", str(out))
    text = output_of(process)
    assert process.returncode == 0, text
    return [torch.load(out / f"process_{rank}.pt", weights_only=True) for rank in range(request.param)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, corpus):
    """What one process finds that hears everything in one batch."""
    out = tmp_path_factory.mktemp("alone")
    values = worker.validation(with_corpus(corpus), out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker.models, "draw_normal", worker.models.draw_normal)  # restored at the end
        patch.setattr(worker.models, "random_segment_starts", worker.models.random_segment_starts)
        worker.silence_noise()
        return {"validation": values, "step": worker.one_step([worker.utterances(0, 6)])}


@pytest.mark.parametrize("kind", ["step", "accumulated"])
def test_gradients_of_several_processes_are_those_of_one_with_all_their_batches(found, alone, kind):
    expected = alone["step"]["gradients"]
    for process in found:
        gradients = process[kind]["gradients"]
        assert gradients.keys() == expected.keys()
        for name, gradient in gradients.items():
            scale = float(expected[name].abs().max())
            assert torch.allclose(gradient, expected[name], rtol=1e-3, atol=1e-4 * scale + 1e-7), name


@pytest.mark.parametrize("kind", ["step", "accumulated"])
def test_logged_losses_are_means_over_everything_heard(found, alone, kind):
    for process in found:
        for name in STEP_LOSSES:
            assert process[kind]["losses"][name] == pytest.approx(alone["step"]["losses"][name], rel=1e-4), name


def test_processes_stay_equal_to_the_bit(found):
    for process in found[1:]:
        for kind in ("step", "accumulated"):
            for name, weight in process[kind]["weights"].items():
                assert torch.equal(weight, found[0][kind]["weights"][name]), name
            assert process[kind]["probability"] == found[0][kind]["probability"]


def test_no_parameter_is_without_gradient_and_discriminators_are_frozen_in_the_generators_half(found):
    for process in found:
        assert process["step"]["without"] == [] and process["step"]["is_frozen"]


def test_augmentation_adapts_to_the_share_over_all_processes(found, alone):
    assert found[0]["step"]["probability"] == pytest.approx(alone["step"]["probability"])


def test_a_process_that_hears_nan_makes_all_leave_the_step_out(found):
    for process in found:
        assert process["bad_step"] == {"is_finite": False, "moved": []}


def test_validation_is_shared_and_comes_to_the_same_numbers(found, alone):
    for process in found:
        assert process["validation"] == pytest.approx(alone["validation"], rel=1e-5)
        assert process["validation"] == found[0]["validation"]


def test_numbers_of_the_host_are_summed_and_the_main_process_decides(found):
    n = len(found)
    for process in found:
        assert process["sum"] == [n * (n - 1) / 2, n / 2]
        assert process["from_main"] == [7, None, 0]


def test_one_process_never_initialises_anything(monkeypatch):
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda *a, **k: pytest.fail("initialised"))
    module = torch.nn.Linear(2, 2)
    with distributed.joined(torch.device("cpu")):
        assert distributed.wrap(module) is module
        assert distributed.sum_over_processes([1.5, 2]) == [1.5, 2]
        assert distributed.from_main(None) is None and distributed.from_main(4) == 4
        with distributed.accumulate(module, is_last=False):
            pass
    assert not torch.distributed.is_initialized()


def test_a_gpu_for_each_process_or_an_error(monkeypatch):
    gpu = torch.device("cuda")
    assert distributed.own_device(torch.device("cpu")).type == "cpu" and distributed.own_device(gpu) == gpu
    for name, value in {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert distributed.own_device(gpu) == torch.device("cuda:1")
    with pytest.raises(ValueError, match="cuda:0 sends all 4 processes to one GPU; use --device cuda"):
        distributed.own_device(torch.device("cuda:0"))
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(ValueError, match="process 2 of this machine has no GPU, there are 2; .*nproc_per_node=gpu"):
        distributed.own_device(gpu)


def start_training(config, tmp_path, processes=2, overrides=()):
    settings.save(config, tmp_path / "c.json")
    return torchrun(processes, "train.py", "-c", str(tmp_path / "c.json"), "-m", str(tmp_path / "run"),
                    "--device", "cpu", *(part for override in overrides for part in ("--set", override)))


def steps_of(run_dir):
    return checkpoint.list_steps(run_dir)


def wait_for(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.mark.slow
def test_two_processes_train_are_killed_and_go_on_to_the_bit(corpus, tmp_path):
    config = with_corpus(corpus, ("train.total_steps=40", "train.save_interval=1", "train.eval_interval=20",
                                  "train.batch_size=2", "train.keep_last=50", "train.num_workers=1"))
    process = start_training(config, tmp_path)
    wait_for(lambda: len(steps_of(tmp_path / "run")) >= 4, process)
    kill_all(process)
    output_of(process)
    stopped_at = steps_of(tmp_path / "run")[-1]
    assert stopped_at < 40
    process = start_training(config, tmp_path)
    text = output_of(process)
    assert process.returncode == 0, text
    assert "cpu x 2 processes" in text and f"at step {stopped_at}" in text
    (tmp_path / "whole").mkdir()
    process = start_training(config, tmp_path / "whole")
    text = output_of(process)
    assert process.returncode == 0, text
    for step in (stopped_at + 1, 40):
        broken, whole = (checkpoint.load(checkpoint.path_of(folder / "run", step)) for folder in
                         (tmp_path, tmp_path / "whole"))
        for name, weight in whole["generator"].items():
            assert torch.equal(weight, broken["generator"][name]), f"{name} at step {step}"


@pytest.mark.slow
def test_a_signal_to_one_process_saves_and_ends_all(corpus, tmp_path):
    config = with_corpus(corpus, ("train.total_steps=100000", "train.save_interval=100000",
                                  "train.eval_interval=100000"))
    process = start_training(config, tmp_path)
    log = tmp_path / "run" / "metrics.jsonl"
    wait_for(lambda: log.is_file() and len(log.read_text().splitlines()) > 2, process)
    os.kill(children_of(process.pid)[-1], signal.SIGTERM)
    text = output_of(process)
    assert process.returncode == 0, text
    assert "SIGTERM: finishing this step and saving" in text and "stopped (" in text
    assert len(steps_of(tmp_path / "run")) == 1


@pytest.mark.slow
def test_an_exception_in_one_process_ends_the_job_with_its_traceback(corpus, tmp_path):
    plugin = tmp_path / "fails.py"
    plugin.write_text("import losses\nfrom training import distributed\n"
                      "real = losses.kl_loss\n"
                      "def kl_loss(*arguments):\n"
                      "    if distributed.rank() == 1:\n"
                      "        raise KeyError('the fault of process 1')\n"
                      "    return real(*arguments)\n"
                      "losses.kl_loss = kl_loss\n")
    config = with_corpus(corpus, (f'model.plugins=["{plugin}"]', "train.memory_probe=false"))
    process = start_training(config, tmp_path)
    text = output_of(process, seconds=90)  # most of it is starting; the other process would wait for half an hour
    assert process.returncode != 0
    assert "KeyError: 'the fault of process 1'" in text and "fails.py" in text
    assert "rank      : 1" in text  # torchrun's summary names the first to fail


def test_a_users_mistake_in_several_processes_is_still_a_message(corpus, tmp_path):
    process = start_training(with_corpus(corpus), tmp_path, overrides=(f"data.training_files={tmp_path / 'none.txt'}",))
    text = output_of(process)
    assert process.returncode != 0
    assert "error in process 0 of 2: no filelist" in text
    assert 'File "training/trainer.py"' not in text and "training/trainer.py\", line" not in text


@pytest.mark.slow
def test_a_second_job_in_a_folder_is_refused_once_and_touches_nothing(corpus, tmp_path):
    (tmp_path / "run").mkdir()
    with locked(tmp_path / "run" / trainer.LOCK_FILE):
        process = start_training(with_corpus(corpus), tmp_path)
        text = output_of(process)
    assert process.returncode != 0
    assert text.count(f"run is being trained already, by process {os.getpid()} on ") == 1
    assert "error in process 0 of 2: " in text and "error in process 1" not in text
    assert [path.name for path in (tmp_path / "run").iterdir()] == [trainer.LOCK_FILE]


@pytest.mark.slow
def test_two_machines_train_together(corpus, tmp_path):
    """Two torchruns that meet by rendezvous, as on two machines: both have a local rank 0, one of them is rank 1."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = with_corpus(corpus, ("train.batch_size=2", "train.total_steps=4"))
    settings.save(config, tmp_path / "c.json")
    machines = [subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=1", "--rdzv_backend=c10d",
         f"--rdzv_endpoint=127.0.0.1:{port}", "--rdzv_id=test", "train.py", "-c", str(tmp_path / "c.json"),
         "-m", str(tmp_path / "run"), "--device", "cpu"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}) for _ in range(2)]
    texts = [output_of(machine) for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], texts
    assert sum("cpu x 2 processes" in text for text in texts) == 1  # the main process alone speaks
    assert steps_of(tmp_path / "run") == [2, 4]
