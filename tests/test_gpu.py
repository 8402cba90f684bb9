"""What only a GPU can show; `pytest -m gpu` on a machine that has one."""

import pytest
import torch

import checkpoint
import monotonic_align
import trainer
from mel_processing import mel_spectrogram
from synthesis import Voice
from tests.conftest import tiny, with_corpus

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
@pytest.mark.parametrize("generator", ["hifigan", "istft"])
def test_a_step_trains_in_every_precision(tiny_batch, precision, generator):
    config = tiny((f"train.precision={precision}", f"model.generator={generator}"))
    state = trainer.new_state(config, 71, torch.device("cuda"))
    before = state.generator.enc_p.proj.weight.detach().clone()
    batch = tiny_batch._replace(speaker_ids=None).to("cuda")
    numbers = [trainer.train_step(state, batch, config, 4).as_floats() for _ in range(3)]
    assert all(torch.isfinite(torch.tensor(list(values.values()))).all() for values in numbers[-1:])
    assert not torch.equal(before, state.generator.enc_p.proj.weight)


def test_a_run_trained_on_the_gpu_speaks_on_the_cpu(tiny_corpus, tmp_path):
    trainer.fit(with_corpus(tiny_corpus, ("train.total_steps=2",)), tmp_path / "run", torch.device("cuda"))
    assert checkpoint.newest(tmp_path / "run") is not None
    assert len(Voice.load(tmp_path / "run", "cpu").speak("abc", seed=1).samples) > 0
