"""What only a GPU can show; `pytest -m gpu` on a machine that has one."""

import subprocess
import sys

import pytest
import torch

import checkpoint
import config as settings
import monotonic_align
import utils
from mel_processing import mel_spectrogram
from synthesis import Voice
from tests.conftest import ROOT, tiny, with_corpus
from training import memory, trainer
from training.step import loss_scales, new_networks, new_state, train_step

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _needs_a_gpu():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")


def test_spectrograms_on_the_gpu_equal_those_on_the_cpu(tiny_batch, tiny_config):
    on_cpu = mel_spectrogram(tiny_batch.wav, tiny_config.data)
    on_gpu = mel_spectrogram(tiny_batch.wav.cuda(), tiny_config.data).cpu()
    assert torch.allclose(on_cpu, on_gpu, atol=1e-3)


def test_alignments_of_scores_on_the_gpu_equal_those_on_the_cpu():
    scores = torch.randn(4, 50, 20, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([20, 10, 5, 1]), torch.tensor([50, 30, 5, 7])
    found = monotonic_align.durations(scores.cuda(), *(length.cuda() for length in lengths))
    assert found.is_cuda and torch.equal(found.cpu(), monotonic_align.durations(scores, *lengths))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("generator", ["hifigan", "istft", "harmonic"])
def test_a_step_trains_in_every_precision(tiny_batch, precision, generator):
    config = tiny((f"train.precision={precision}", f"model.generator={generator}"))
    state = new_state(config, new_networks(config, 71, torch.device("cuda")))
    before = state.generator.enc_p.proj.weight.detach().clone()
    batches = [tiny_batch._replace(speaker_ids=None).to("cuda")]
    scales = loss_scales(batches, config.data)
    numbers = [train_step(state, batches, scales, config, 0).as_floats() for _ in range(20)]
    assert torch.isfinite(torch.tensor(list(numbers[-1].values()))).all()  # fp16's scale has found its place by then
    assert not torch.equal(before, state.generator.enc_p.proj.weight)


def test_a_run_trained_on_the_gpu_speaks_on_the_cpu(tiny_corpus, tmp_path):
    trainer.fit(with_corpus(tiny_corpus, ("train.total_steps=2",)), tmp_path / "run", torch.device("cuda"))
    assert checkpoint.newest(tmp_path / "run") is not None
    assert len(Voice.load(tmp_path / "run", "cpu").speak("abc", seed=1).samples) > 0


def test_a_step_that_is_not_finite_moves_nothing_and_nobody_waits(tiny_batch):
    config = tiny()
    state = new_state(config, new_networks(config, 71, torch.device("cuda")))
    batch = tiny_batch._replace(speaker_ids=None).to("cuda")
    scales = loss_scales([batch], config.data)
    train_step(state, [batch], scales, config, 0)
    before = [parameter.clone() for parameter in state.generator.parameters()]
    losses = train_step(state, [batch._replace(wav=batch.wav * float("nan"))], scales, config, 0)
    assert not losses.is_finite
    assert all(torch.equal(a, b) for a, b in zip(before, state.generator.parameters()))


def test_the_peak_of_a_dry_run_is_that_of_the_step(tiny_batch):
    config, device = tiny(), torch.device("cuda")
    state = new_state(config, new_networks(config, 71, device))
    batch = tiny_batch._replace(speaker_ids=None).to(device)
    foreseen = utils.peak_of(lambda: memory.dry_run(state, batch, config), device) + memory._bytes_to_come(state)
    found = utils.peak_of(lambda: train_step(state, [batch], loss_scales([batch], config.data), config, 0), device)
    assert 0.5 < foreseen / found < 1.5


def test_one_process_of_torchrun_trains_by_nccl(tiny_corpus, tmp_path):
    """A world of one never initialises it, so two processes are asked for where there are two GPUs."""
    if torch.cuda.device_count() < 2:
        pytest.skip("NCCL needs a GPU for each process, and there is one")
    settings.save(with_corpus(tiny_corpus), tmp_path / "c.json")
    done = subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2",
                           "train.py", "-c", tmp_path / "c.json", "-m", tmp_path / "run", "--device", "cuda"],
                          cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert checkpoint.list_steps(tmp_path / "run")[-1] == 4
