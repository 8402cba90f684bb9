"""Tensor helpers against plain loops, the registry of parts, and users' plugins."""
# Shapes: B batch, L text tokens, T frames, C channels.

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import nn

import commons
import utils
from generators import GENERATORS
from models import SynthesizerTrn
from tests.conftest import tiny
from utils import Registry

DURATIONS = st.lists(st.lists(st.integers(0, 5), min_size=4, max_size=4), min_size=1, max_size=3)


@pytest.fixture
def restored_generators(monkeypatch):
    monkeypatch.setattr(GENERATORS, "_builders", dict(GENERATORS._builders))


# Registry and plugins


def test_a_registry_gives_what_was_registered_and_the_later_one_wins():
    registry = Registry("thing")
    registry.register("one")(int)
    assert registry.get("one") is int
    registry.register("one")(str)
    assert registry.get("one") is str


def test_an_unknown_part_names_the_nearest_and_all_known_ones():
    registry = Registry("thing")
    registry.register("bravo")(int)
    registry.register("alpha")(int)
    with pytest.raises(ValueError, match=r"^unknown thing 'alpa'; did you mean 'alpha'\? Known: alpha, bravo\. "):
        registry.get("alpa")
    with pytest.raises(ValueError, match=r"^unknown thing 'zzz'\. Known: alpha, bravo\. .*model\.plugins"):
        registry.get("zzz")


def test_a_plugin_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.plugins names .*mine\.py, which is not a file"):
        utils.load_plugins([str(tmp_path / "mine.py")])


def test_a_plugin_may_hold_dataclasses_with_annotations_as_text(tmp_path):
    path = tmp_path / "with_dataclass.py"
    path.write_text("from __future__ import annotations\nfrom dataclasses import dataclass\n\n"
                    "@dataclass\nclass Settings:\n    width: int = 3\n")
    utils.load_plugins([str(path)])


PLUGIN = '''
import torch
from torch import nn

from generators import GENERATORS


@GENERATORS.register("mine")
class Mine(nn.Module):
    def __init__(self, model, data):
        super().__init__()
        self.out = nn.Conv1d(model.inter_channels, data.hop_length, 1)

    def forward(self, z, g=None):
        return torch.tanh(self.out(z)).mT.flatten(1)[:, None]
'''


def test_a_generator_of_the_users_own_joins_by_name_and_trains(tmp_path, restored_generators, tiny_batch):
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    settings = tiny((f"model.plugins=[\"{path}\"]", "model.generator=mine"))
    with pytest.raises(ValueError, match=r"model\.plugins names .*mine\.py, which was not run"):
        SynthesizerTrn(40, settings)
    utils.load_plugins(settings.model.plugins)
    net = SynthesizerTrn(40, settings)
    assert type(net.dec).__name__ == "Mine"
    spec = torch.rand(3, settings.spec_channels, 64)
    out = net(tiny_batch.text_ids, tiny_batch.text_lengths, spec, tiny_batch.wav_lengths // 64)
    assert out.wav_fake.shape == (3, 1, settings.train.segment_size)
    out.wav_fake.square().mean().backward()
    assert net.dec.out.weight.grad.abs().sum() > 0
    assert net.eval().infer(tiny_batch.text_ids, tiny_batch.text_lengths, max_frames=4).wav.shape == (3, 1, 256)


def test_a_model_of_an_unknown_generator_says_how_to_bring_ones_own():
    with pytest.raises(ValueError, match=r"unknown generator 'hifigann'; did you mean 'hifigan'\?.*model\.plugins"):
        SynthesizerTrn(40, tiny(("model.generator=hifigann",)))
    with pytest.raises(ValueError, match=r"unknown duration predictor 'stocastic'; did you mean 'stochastic'\?"):
        SynthesizerTrn(40, tiny(("model.duration_predictor=stocastic",)))


# Devices


def test_the_cpu_can_be_chosen_and_auto_chooses_something_that_works():
    assert commons.choose_device("cpu") == torch.device("cpu")
    assert torch.zeros(1, device=commons.choose_device()).sum() == 0


def test_a_device_that_is_missing_is_an_error_that_names_the_usable_ones():
    with pytest.raises(ValueError, match=r"device 'tpu' is not available here; usable: .*cpu, or auto"):
        commons.choose_device("tpu")


# Masks and paths


def test_a_sequence_mask_is_true_within_each_length():
    lengths = torch.tensor([0, 2, 3])
    assert commons.sequence_mask(lengths).tolist() == [[False] * 3, [True, True, False], [True] * 3]
    assert commons.sequence_mask(lengths, 5).shape == (3, 5)
    assert commons.sequence_mask(lengths, 2).tolist() == [[False] * 2, [True] * 2, [True] * 2]


@hypothesis_settings(max_examples=100, deadline=None)
@given(DURATIONS, st.integers(1, 24))
def test_expanding_tokens_equals_repeat_interleave_padded_with_zeros(rows, frames):
    durations = torch.tensor(rows)
    values = torch.randn(len(rows), 3, 4) + 5
    expanded = commons.expand_tokens(values, durations, frames)
    path = commons.path_from_durations(durations, frames)
    assert path.shape == (len(rows), frames, 4)
    for i, row in enumerate(durations):
        repeated = values[i].repeat_interleave(row, dim=1)[:, :frames]  # [C, at most T]
        n = repeated.shape[1]
        assert torch.equal(expanded[i, :, :n], repeated)
        assert not expanded[i, :, n:].any()
        columns = torch.eye(4).repeat_interleave(row, dim=0)[:frames]  # [at most T, L]
        assert torch.equal(path[i, :n], columns)
        assert not path[i, n:].any()


def test_expanding_by_the_path_and_by_the_durations_is_the_same():
    durations = torch.tensor([[2, 0, 3], [1, 1, 1]])
    values = torch.randn(2, 4, 3)
    by_path = values @ commons.path_from_durations(durations, 5).mT
    assert torch.equal(by_path, commons.expand_tokens(values, durations, 5))


def test_gradients_of_expanded_tokens_are_sums_over_their_frames():
    values = torch.zeros(1, 1, 3, requires_grad=True)
    commons.expand_tokens(values, torch.tensor([[2, 0, 3]]), 7).sum().backward()
    assert values.grad.tolist() == [[[2.0, 0.0, 3.0]]]


# Segments


@pytest.mark.parametrize("draw", [0.0, 0.5, float(torch.nextafter(torch.tensor(1.0), torch.tensor(0.0)))])
def test_segments_start_within_their_item_whatever_is_drawn(monkeypatch, draw):
    monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.full(size, draw))
    lengths = torch.tensor([1, 7, 8, 9, 1000, 2**20 + 1, 2**24 + 7])
    starts = commons.random_segment_starts(lengths, 8)
    assert starts.dtype == torch.int64
    assert (starts >= 0).all()
    assert (starts + 8 <= lengths.clamp(min=8)).all()
    if draw == 0:
        assert not starts.any()
    elif draw > 0.9:
        assert torch.equal(starts, (lengths - 8).clamp(min=0))


def test_every_start_is_drawn_about_equally_often():
    torch.manual_seed(0)
    starts = commons.random_segment_starts(torch.full((7000,), 14), 8)
    counts = torch.bincount(starts, minlength=7)
    assert len(counts) == 7 and (counts - 1000).abs().max() < 150


def test_slices_are_what_python_slices_give():
    values, starts = torch.randn(3, 2, 10), torch.tensor([0, 3, 6])
    cut = commons.slice_segments(values, starts, 4)
    assert all(torch.equal(cut[i], values[i, :, s : s + 4]) for i, s in enumerate(starts.tolist()))


def test_slicing_more_than_there_is_is_an_error():
    with pytest.raises(ValueError, match="cannot slice 11 steps out of 10; pad the batch to a segment first"):
        commons.slice_segments(torch.zeros(1, 1, 10), torch.tensor([0]), 11)


def test_a_registered_part_needs_no_more_than_a_callable():
    registry = Registry("thing")
    assert registry.register("layer")(nn.Identity) is nn.Identity


def test_networks_to_be_loaded_are_not_initialised_and_others_are_again():
    with commons.uninitialised():
        bare = torch.nn.Linear(50, 50)
        assert torch.nn.init.zeros_(torch.ones(2)).sum() == 2
    assert bare.weight.shape == (50, 50)
    state = torch.get_rng_state()
    with commons.uninitialised():
        torch.nn.Conv1d(3, 3, 3)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.nn.init.zeros_(torch.ones(2)).sum() == 0
    assert 0 < torch.nn.Linear(50, 50).weight.abs().max() < 1


def test_a_file_of_somebody_elses_configuration_is_named_and_not_run(tmp_path):
    with pytest.raises(utils.PluginError, match=rf"config.json: model.plugins names {tmp_path}/mine.py.*Nothing was "
                                                   r"run.*--trust-plugins"):
        utils.check_trust("model.plugins", [str(tmp_path / "mine.py")], "config.json", is_trusted=False)
    utils.check_trust("model.plugins", [], "config.json", is_trusted=False)


def test_a_file_that_the_user_trusts_is_shown(tmp_path, caplog):
    utils.check_trust("model.plugins", [str(tmp_path / "mine.py")], "config.json", is_trusted=True)
    assert f"running {tmp_path / 'mine.py'}, which model.plugins of config.json names" in caplog.text


def test_a_plugin_is_a_python_file(tmp_path):
    (tmp_path / "mine.so").write_bytes(b"x")
    with pytest.raises(utils.PluginError, match=r"names .*mine\.so; expected a Python file, whose name ends in"):
        utils.load_plugins([str(tmp_path / "mine.so")])
