"""The benchmark's published arrangement computes what ours computes, or its ratio would mean nothing."""

import pytest
import torch

from benchmarks import training_step as benchmark
from mel_processing import spectrogram
from tests.conftest import tiny
from training.step import new_networks

CPU = torch.device("cpu")


def both(overrides=()):
    config = tiny(("train.ema_decay=0", *overrides))
    ours, published = (kind(new_networks(config, benchmark.N_VOCAB, CPU), config)
                       for kind in (benchmark.OurStep, benchmark.PublishedStep))
    batch = benchmark.made_up_batch(config, 2)
    return ours, published, batch, spectrogram(batch.wav, config.data, batch.wav_lengths)


def test_both_arrangements_compute_the_same_losses_step_after_step():
    ours, published, batch, spec = both()
    for _ in range(3):
        assert benchmark.largest_difference(ours(batch), published(batch, spec)) < 1e-4


def test_the_check_notices_another_arrangement():
    ours, published, batch, spec = both()
    published.step = 1  # other noise
    with pytest.raises(AssertionError, match="compute other losses"):
        benchmark.check_same(ours, published, batch, spec)


def test_backward_flops_of_a_grouped_convolution_are_twice_those_of_its_forward_pass():
    conv = torch.nn.Conv1d(8, 16, 5, groups=4, padding=2)
    x = torch.randn(2, 8, 30, requires_grad=True)
    mapping = {torch.ops.aten.convolution_backward: benchmark._backward_flops}
    with benchmark.FlopCounterMode(display=False, custom_mapping=mapping) as forward:
        out = conv(x)
    with benchmark.FlopCounterMode(display=False, custom_mapping=mapping) as backward:
        out.sum().backward()
    assert forward.get_total_flops() == 2 * 2 * 16 * 30 * 2 * 5
    assert backward.get_total_flops() == 2 * forward.get_total_flops()
