"""Starting from other weights: names against rows, one voice and several, what does not fit, and what trains."""

import json
import re
from pathlib import Path

import pytest
import torch

import checkpoint
import config as settings
from checkpoint import CheckpointError, Weights
from config import ConfigError
from discriminators import Discriminators
from models import SynthesizerTrn
from pitch import Pitch
from synthesis.noise import SeededNoise
from tests.conftest import tiny
from text import SymbolTable
from training.finetuning import match_symbols, start_from
from training.trainable import CONDITION, FinetuningError, RowMask, select_trainable

QUIET = {"noise_scale": 0.0, "noise_scale_duration": 0.0}
TWO = ("data.n_speakers=2", 'data.speakers=["ann", "bob"]', "model.gin_channels=6")
THREE = ("data.n_speakers=3", 'data.speakers=["ann", "amy", "bob"]', "model.gin_channels=6")
ONE_OF_TWO = ("train.init_speaker=bob", "model.gin_channels=6")
ABC = ('data.symbols=["_", "a", "b", "c", "d"]',)
CBX = ('data.symbols=["_", "c", "b", "x"]',)


def networks(config, seed):
    """Freshly initialised, but moved off every zero and identity that a layer starts as."""
    torch.manual_seed(seed)
    generator = SynthesizerTrn(len(SymbolTable.load(config.data.symbols)), config).eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return generator, Discriminators(config.discriminator)


def source_of(overrides=(), has_discriminators=True):
    """A model that has learned something, and its weights."""
    config = tiny(overrides)
    generator, discriminators = networks(config, seed=0)
    judges = discriminators.state_dict() if has_discriminators else None
    return generator, Weights(settings.to_dict(config), generator.state_dict(), judges, 700, Path("runs/old"))


def start(weights, overrides=()):
    """Networks of another seed that start from `weights`."""
    config = tiny(overrides)
    generator, discriminators = networks(config, seed=1)
    return generator, discriminators, start_from(generator, discriminators, weights, config)


def say(model, speaker=None, seed=None, **options):
    ids = torch.tensor([[1, 2, 0, 3, 2, 1, 1, 3], [2, 1, 3, 3, 1, 0, 0, 0]])
    speaker_ids = None if speaker is None else torch.full((2,), speaker)
    if seed is not None:
        options["noise"] = SeededNoise([seed, seed + 1])
    return model.eval().infer(ids, torch.tensor([8, 5]), speaker_ids, **options)


def loss_of(model, speaker_ids):
    """A loss that every parameter of the generator has a part in."""
    torch.manual_seed(2)
    ids = torch.randint(1, 4, (len(speaker_ids), 6))
    spec = torch.rand(len(speaker_ids), 129, 30)
    lengths = torch.full((len(speaker_ids),), 30)
    heard = Pitch(torch.zeros(len(ids), 30), torch.ones(len(ids), 30))
    out = model.train()(ids, torch.full_like(lengths, 6), spec, lengths, speaker_ids if model.n_speakers > 1 else None,
                        pitch=heard)
    kl = (out.z_p - out.prior_mean).square().mean() + out.prior_logstd.mean() - out.posterior_logstd.mean()
    return out.wav_fake.square().mean() + out.duration_loss.sum() + out.pitch_loss + kl


def differing(one, other):
    return {name for name in one if not torch.equal(one[name], other[name])}


def copied(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


# The same model


def test_the_same_configuration_loads_everything_to_the_bit():
    for overrides in ((), TWO):
        model, weights = source_of(overrides)
        generator, discriminators, begun = start(weights, overrides)
        assert not differing(weights.generator, generator.state_dict())
        assert not differing(weights.discriminators, discriminators.state_dict())
        assert {tensor.fate for tensor in begun.tensors} == {"loaded"}
        assert begun.has_discriminators and begun.new_rows == {} and begun.warnings == () and begun.step == 700


def test_a_source_without_discriminators_leaves_them_as_they_are():
    _, weights = source_of(has_discriminators=False)
    config = tiny()
    generator, discriminators = networks(config, seed=1)
    before = copied(discriminators)
    begun = start_from(generator, discriminators, weights, config)
    assert not differing(before, discriminators.state_dict()) and not begun.has_discriminators
    assert re.search(r"^discriminators\.0.* and \d+ more: new, the source has no discriminators$", begun.table(), re.M)


def test_the_average_of_a_checkpoint_is_what_a_run_starts_from(tmp_path):
    _, weights = source_of()
    average = {name: value + 1 for name, value in weights.generator.items()}
    checkpoint.save(tmp_path, 8, {"config": weights.config, "generator": weights.generator, "average": average,
                                  "discriminators": weights.discriminators})
    generator, _, begun = start(checkpoint.read_weights(tmp_path))
    assert not differing(average, generator.state_dict())
    assert begun.step == 8 and begun.source == checkpoint.path_of(tmp_path, 8) and begun.has_discriminators


# Symbols


def test_symbols_keep_their_sound_wherever_their_row_goes():
    model, weights = source_of(ABC)
    generator, _, begun = start(weights, CBX)
    old, new = weights.generator["enc_p.emb.weight"], generator.enc_p.emb.weight.detach()
    assert torch.equal(new[[0, 1, 2]], old[[0, 3, 2]])
    assert begun.new_rows == {"enc_p.emb.weight": [3]}
    assert "enc_p.emb.weight: 5 rows -> 4: 3 by name, 1 new ('x'), 2 dropped ('a', 'd')" in begun.table()
    assert json.loads(json.dumps(begun.new_rows)) == begun.new_rows
    there = model.infer(torch.tensor([[3, 2, 0, 2]]), torch.tensor([4]), **QUIET)
    here = generator.infer(torch.tensor([[1, 2, 0, 2]]), torch.tensor([4]), **QUIET)
    assert torch.equal(there.wav, here.wav)


def test_a_table_of_the_same_size_in_another_order_is_not_loaded_by_row():
    _, weights = source_of(ABC)
    generator, _, begun = start(weights, ('data.symbols=["_", "b", "a", "d", "c"]',))
    assert torch.equal(generator.enc_p.emb.weight, weights.generator["enc_p.emb.weight"][[0, 2, 1, 4, 3]])
    assert begun.new_rows == {} and "5 rows -> 5: 5 by name" in begun.table()


def test_new_symbols_are_as_large_and_as_different_as_the_old_ones():
    _, weights = source_of(("data.symbols=published",))
    weights.generator["enc_p.emb.weight"].mul_(7).add_(3)
    wanted = ["_", *(chr(0x4E00 + i) for i in range(300))]
    generator, _, begun = start(weights, (f"data.symbols={json.dumps(wanted)}",))
    old, new = weights.generator["enc_p.emb.weight"], generator.enc_p.emb.weight.detach()[1:]
    assert begun.new_rows == {"enc_p.emb.weight": list(range(1, 301))}
    torch.testing.assert_close(new.mean(), old.mean(), rtol=0.1, atol=0)
    torch.testing.assert_close(new.std(dim=0).mean(), old.std(dim=0).mean(), rtol=0.1, atol=0)


def test_the_pad_is_matched_by_its_role():
    match = match_symbols(SymbolTable("old", ("_", "a", "b")), SymbolTable("new", ("#", "b", "_")))
    assert match.origins == [0, 2, 0] and match.added == [] and match.dropped == ["a"]


def test_the_published_table_becomes_a_smaller_one_by_name():
    _, weights = source_of(("data.symbols=published",))
    published, characters = SymbolTable.load("published"), SymbolTable.load("characters")
    generator, _, begun = start(weights, ("data.symbols=characters",))
    assert len(published) == 178 and len(characters) < 178
    old, new = weights.generator["enc_p.emb.weight"], generator.enc_p.emb.weight.detach()
    shared = [symbol for symbol in characters.symbols if symbol in published.ids]
    assert len(shared) > 50
    for symbol in shared:
        assert torch.equal(new[characters.ids[symbol]], old[published.ids[symbol]]), symbol
    added = [row for row, symbol in enumerate(characters.symbols) if symbol not in published.ids]
    assert begun.new_rows.get("enc_p.emb.weight", []) == added
    assert f"178 rows -> {len(characters)}: {len(shared)} by name" in begun.table()


def test_of_a_symbol_on_two_rows_the_one_in_use_moves():
    published = SymbolTable.load("published")
    assert published.symbols[174] == published.symbols[176] == "'"
    assert match_symbols(published, published).origins == list(range(178))
    assert match_symbols(published, SymbolTable("cut", published.symbols[:175])).origins[174] == 176


# Speakers


def test_speakers_are_matched_by_name_and_new_ones_start_near_the_average():
    model, weights = source_of(TWO)
    generator, _, begun = start(weights, THREE)
    old, new = weights.generator["emb_g.weight"], generator.emb_g.weight.detach()
    assert torch.equal(new[[0, 2]], old) and begun.new_rows == {"emb_g.weight": [1]}
    off = (new[1] - old.mean(dim=0)).norm()
    assert 0 < off < 0.5 * (old[0] - old[1]).norm()
    assert "emb_g.weight: 2 rows -> 3: 2 by name, 1 new ('amy')" in begun.table()
    assert torch.equal(say(model, 1, seed=4).wav, say(generator, 2, seed=4).wav)


def test_speakers_that_are_not_wanted_are_dropped():
    _, weights = source_of(THREE)
    generator, _, begun = start(weights, ("data.n_speakers=2", 'data.speakers=["bob", "eve"]', "model.gin_channels=6"))
    assert torch.equal(generator.emb_g.weight[0], weights.generator["emb_g.weight"][2])
    assert "3 rows -> 2: 1 by name, 1 new ('eve'), 2 dropped ('ann', 'amy')" in begun.table()


def test_several_new_speakers_differ_and_depend_on_the_seed_alone():
    _, weights = source_of(TWO)
    four = ("data.n_speakers=4", 'data.speakers=["ann", "bob", "c", "d"]', "model.gin_channels=6")
    first, again = start(weights, four)[0], start(weights, four)[0]
    other = start(weights, (*four, "train.seed=5"))[0]
    assert not torch.allclose(first.emb_g.weight[2], first.emb_g.weight[3])
    assert torch.equal(first.emb_g.weight, again.emb_g.weight)
    assert not torch.equal(first.emb_g.weight[2], other.emb_g.weight[2])


def test_speakers_without_names_are_called_by_number():
    _, weights = source_of(("data.n_speakers=2", "model.gin_channels=6"))
    generator, _, begun = start(weights, ("data.n_speakers=3", 'data.speakers=["1", "x"]', "model.gin_channels=6"))
    assert torch.equal(generator.emb_g.weight[0], weights.generator["emb_g.weight"][1])
    assert begun.new_rows == {"emb_g.weight": [1, 2]}  # the third one's number is 2


def test_speakers_that_are_all_new_are_worth_a_warning():
    _, weights = source_of(TWO)
    _, _, begun = start(weights, ("data.n_speakers=2", "model.gin_channels=6"))
    assert begun.warnings == ("no speaker of the source is one of this run's, so all are new; it has ann, bob, here "
                              "are 0, 1",)


# One voice and several


@pytest.mark.parametrize("generator_kind", ["hifigan", "istft", "harmonic"])
@pytest.mark.parametrize("predictor", ["stochastic", "deterministic"])
def test_of_one_voice_every_speaker_has_the_sound_and_conditions_learn_at_once(generator_kind, predictor):
    kind = (f"model.generator={generator_kind}", f"model.duration_predictor={predictor}")
    model, weights = source_of((*ABC, *kind))
    generator, _, begun = start(weights, (*ABC, *kind, *THREE))
    for speaker in range(3):
        for options in (QUIET, {"seed": 1}):
            torch.testing.assert_close(say(generator, speaker, **options).wav, say(model, **options).wav,
                                       rtol=0, atol=1e-6)
    assert begun.new_rows == {"emb_g.weight": [0, 1, 2]}
    before = copied(generator)
    optimizer = torch.optim.AdamW(generator.parameters(), 1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        loss_of(generator, torch.tensor([0, 1, 2])).backward()
        assert all(torch.isfinite(parameter.grad).all() for parameter in generator.parameters())
        optimizer.step()
    moved = differing(before, generator.state_dict())
    gates = [name for name in before if CONDITION.search(name) and "weight_v" not in name]
    assert len(gates) == 2 * (1 + 2 + 1 + 1)  # posterior encoder, two couplings, durations, generator
    assert set(gates) <= moved and "emb_g.weight" in moved
    sounds = [say(generator, speaker, seed=1).z for speaker in (0, 1)]
    assert sounds[0].shape != sounds[1].shape or not torch.equal(*sounds)


@pytest.mark.parametrize("generator_kind", ["hifigan", "istft", "harmonic"])
@pytest.mark.parametrize("predictor", ["stochastic", "deterministic"])
def test_one_voice_of_several_keeps_its_sound(generator_kind, predictor):
    kind = (f"model.generator={generator_kind}", f"model.duration_predictor={predictor}")
    model, weights = source_of((*ABC, *kind, *TWO))
    generator, _, begun = start(weights, (*ABC, *kind, *ONE_OF_TWO))
    rounding = 1e-4 if generator_kind == "harmonic" else 1e-5  # of the pitch, it adds up to a phase
    for options in (QUIET, {"seed": 1}):
        torch.testing.assert_close(say(generator, **options).wav, say(model, 1, **options).wav, rtol=0, atol=rounding)
    dropped = {tensor.name for tensor in begun.tensors if tensor.fate == "dropped"}
    assert dropped == set(weights.generator) - set(generator.state_dict()) and "emb_g.weight" in dropped
    assert "emb_g.weight: dropped, the chosen speaker is in the biases now" in begun.table()


@pytest.mark.parametrize(("chosen", "found"), [((), "is not given"), (("train.init_speaker=amy",), "is 'amy'")])
def test_one_voice_of_several_has_to_be_chosen(chosen, found):
    _, weights = source_of(TWO)
    message = (f"runs/old has 2 speakers, this run one voice, and train.init_speaker {found}; choose one of ann, bob")
    with pytest.raises(FinetuningError, match=re.escape(message)):
        start(weights, chosen)


def test_a_voice_of_weights_that_belie_their_configuration_cannot_be_taken():
    _, weights = source_of(TWO)
    del weights.generator["dec.cond.bias"]
    with pytest.raises(CheckpointError, match="runs/old: its generator does not fit the configuration's"):
        start(weights, ONE_OF_TWO)


def test_a_choice_that_chooses_nothing_is_worth_a_warning():
    _, weights = source_of()
    assert start(weights, ("train.init_speaker=bob",))[2].warnings == (
        "train.init_speaker is ignored: it chooses one of several voices for a model of one voice",)


# What does not fit


def test_all_that_does_not_fit_is_listed_and_nothing_is_loaded():
    _, weights = source_of()
    weights.generator["enc_q.left.over"] = torch.zeros(3)
    del weights.generator["flow.flows.0.pre.bias"]
    config = tiny(("model.filter_channels=48",))
    generator, discriminators = networks(config, seed=1)
    before = copied(generator)
    with pytest.raises(FinetuningError) as caught:
        start_from(generator, discriminators, weights, config)
    lines = str(caught.value).splitlines()
    assert lines[0] == "runs/old does not fit the configuration; unexpected tensors: 8"
    assert lines[1].endswith("enc_p.encoder.ffn_layers.0.conv_1.weight: [48, 16, 3] here, [32, 16, 3] in the source")
    assert "  flow.flows.0.pre.bias: [16] here, none in the source" in lines
    assert "  enc_q.left.over: [3] in the source, none here" in lines
    assert lines[-2] == "Of the settings that shape them, model.filter_channels is 32 there, 48 here."
    assert lines[-1].endswith("let what does not fit start from nothing: --allow-partial, or train.allow_partial=true.")
    assert not differing(before, generator.state_dict())


def test_of_many_faults_the_first_twenty_are_shown():
    _, weights = source_of()
    with pytest.raises(FinetuningError) as caught:
        start(weights, ("model.hidden_channels=24",))
    lines = str(caught.value).splitlines()
    n_faults = int(re.match(r"runs/old does not fit the configuration; unexpected tensors: (\d+)$", lines[0])[1])
    assert n_faults > 21 and lines[21] == f"  and {n_faults - 20} more"


@pytest.mark.parametrize("overrides", [("model.gin_channels=8",), ("data.filter_length=512", "data.win_length=512"),
                                       ("model.generator=istft",), ("discriminator.periods=[2]",),
                                       ("discriminator.period_channels=[4, 12]",)])
def test_other_sizes_are_unexpected_and_named(overrides):
    _, weights = source_of(TWO)
    with pytest.raises(FinetuningError, match=overrides[0].partition("=")[0] + " is .* there, .* here"):
        start(weights, (*TWO, *overrides))


def test_speaker_channels_of_one_voice_are_no_difference_to_name():
    _, weights = source_of(("model.gin_channels=6",))
    with pytest.raises(FinetuningError) as caught:
        start(weights, ("model.filter_channels=48",))
    assert "gin_channels" not in str(caught.value)


def test_conditions_that_a_source_of_one_voice_has_all_the_same_are_not_lost():
    weights = source_of(TWO)[1]
    weights.config["data"].update(n_speakers=0, speakers=[])
    generator, _, _ = start(weights, TWO)
    assert not differing(weights.generator, generator.state_dict())


def test_with_allow_partial_what_does_not_fit_starts_fresh_and_is_in_the_table():
    _, weights = source_of()
    weights.generator["enc_q.left.over"] = torch.zeros(3)
    config = tiny(("model.filter_channels=48", "discriminator.period_channels=[4, 12]", "train.allow_partial=true"))
    generator, discriminators = networks(config, seed=1)
    before = copied(generator)
    begun = start_from(generator, discriminators, weights, config)
    fresh = "enc_p.encoder.ffn_layers.0.conv_1.weight"
    assert torch.equal(generator.state_dict()[fresh], before[fresh])
    assert torch.equal(generator.enc_p.proj.weight, weights.generator["enc_p.proj.weight"])
    assert "new, [48, 16, 3] here, [32, 16, 3] in the source" in begun.table()
    assert "enc_q.left.over: dropped, [3] in the source, none here" in begun.table()
    assert not begun.has_discriminators  # some of them start from nothing


def test_a_table_of_other_columns_is_new_in_every_row():
    _, weights = source_of(ABC)
    _, _, begun = start(weights, (*ABC, "model.hidden_channels=24", "train.allow_partial=true"))
    assert begun.new_rows == {"enc_p.emb.weight": [0, 1, 2, 3, 4]}


def test_a_source_that_is_not_finite_is_refused():
    _, weights = source_of()
    weights.generator["dec.conv_pre.bias"][3] = float("nan")
    with pytest.raises(FinetuningError, match=re.escape("dec.conv_pre.bias: not all of it is finite in the source")):
        start(weights)


def test_a_configuration_that_cannot_be_read_names_the_source():
    _, weights = source_of()
    weights.config["model"]["n_heds"] = 2
    with pytest.raises(ConfigError, match="^runs/old: its configuration: unknown key 'model.n_heds'"):
        start(weights)


def test_a_symbol_table_that_is_gone_names_the_source():
    _, weights = source_of()
    weights.config["data"]["symbols"] = "gone.txt"
    with pytest.raises(FinetuningError, match="^runs/old: its configuration: symbols 'gone.txt' is neither"):
        start(weights)


def test_a_source_whose_table_is_not_the_one_that_it_names_is_refused():
    _, weights = source_of(ABC)
    weights.config["data"]["symbols"] = ["_", "a"]
    message = "enc_p.emb.weight has 5 rows, its own configuration names 2, so its rows have no names"
    with pytest.raises(FinetuningError, match=message):
        start(weights, ABC)


# What weights cannot show


@pytest.mark.parametrize(("override", "consequence"), [
    ("data.sampling_rate=16000", "8000 in the source, 16000 here: the bins that the posterior encoder is given are"),
    ("data.hop_length=32", "64 in the source, 32 here: frames last another time"),
    ("data.win_length=128", "256 in the source, 128 here: the frames that the posterior encoder is given are sharper"),
    ("data.n_mel_channels=24", "20 in the source, 24 here: the mel loss"),
    ("data.mel_fmin=50", "0.0 in the source, 50.0 here: the mel loss"),
    ("data.mel_fmax=3000", "4000.0 in the source, 3000.0 here: the mel loss"),
    ("data.add_blank=false", "True in the source, False here: text has blanks in one of them alone"),
    ('data.begin_end=["a","b"]', "here: text begins and ends otherwise, so the first and the last sounds"),
    ('data.text_cleaners=["english_cleaners"]', "here: the same symbols may stand for other sounds"),
    ("data.language=de", "en-us in the source, de here: the same symbols may stand for other sounds")])
def test_a_difference_that_weights_cannot_show_is_worth_a_warning(override, consequence):
    istft = ("model.generator=istft",)  # whose shapes do not depend on the hop
    _, weights = source_of(istft)
    warnings = start(weights, (*istft, override))[2].warnings
    key = override.partition("=")[0]
    assert any(warning.startswith(f"{key} is ") and consequence in warning for warning in warnings)
    assert len(warnings) == (2 if "sampling_rate" in key else 1)  # mel_fmax follows the sampling rate


def test_another_filter_length_is_worth_a_warning_where_it_is_allowed():
    _, weights = source_of()
    warnings = start(weights, ("data.filter_length=512", "train.allow_partial=true"))[2].warnings
    assert [warning for warning in warnings if warning.startswith("data.filter_length is 256 in the source, 512 here")]


def test_half_of_the_sampling_rate_is_the_same_said_or_unsaid():
    _, weights = source_of()
    assert start(weights, ("data.mel_fmax=4000",))[2].warnings == ()


# The table


def test_the_table_counts_tensors_and_values_of_each_part():
    _, weights = source_of((*ABC, *TWO))
    generator, discriminators, begun = start(weights, (*CBX, *THREE))
    lines = begun.table().splitlines()
    assert lines[0] == "Start from runs/old, step 700:"
    assert lines[1].split() == ["tensors", "(values)", "loaded", "resized", "new", "dropped"]
    rows = {line.split()[0]: re.findall(r"\d+ \([\d,]+\)|-", line) for line in lines[2:10]}
    assert list(rows) == ["enc_p", "dec", "enc_q", "flow", "dp", "emb_g", "discriminators", "all"]
    assert rows["emb_g"] == ["-", "1 (18)", "-", "-"]
    assert rows["enc_p"][1] == "1 (64)"
    states = [*generator.state_dict().values(), *discriminators.state_dict().values()]
    assert rows["all"][0] == f"{len(states) - 2} ({sum(value.numel() for value in states) - 64 - 18:,})"
    assert lines[10:] == ["enc_p.emb.weight: 5 rows -> 4: 3 by name, 1 new ('x'), 2 dropped ('a', 'd')",
                          "emb_g.weight: 2 rows -> 3: 2 by name, 1 new ('amy')"]
    assert len({len(line) for line in lines[1:10]}) == 1


def test_the_table_names_the_first_of_many():
    _, weights = source_of((*ABC, "model.flow_couplings=3"))
    table = start(weights, (*ABC, *TWO, "model.flow_couplings=3"))[2].table()
    assert re.search(r"^flow\.flows\.0\.enc\.cond_layer\.\w+, \S+, \S+ and 6 more: new, adds zero at", table, re.M)


# What trains


def trainable_of(generator):
    return {name for name, parameter in generator.named_parameters() if parameter.requires_grad}


def test_patterns_choose_what_trains_and_frozen_ones_win():
    generator = source_of(TWO)[0]
    every = {name for name, _ in generator.named_parameters()}
    select_trainable(generator, ("*",), (), {})
    assert trainable_of(generator) == every
    select_trainable(generator, ("dec.*", "dp.*"), ("*.cond.*",), {})
    chosen = {name for name in every if name.startswith(("dec.", "dp.")) and ".cond." not in name}
    assert trainable_of(generator) == chosen
    select_trainable(generator, ("*",), ("dec.*",), {})
    assert trainable_of(generator) == {name for name in every if not name.startswith("dec.")}


def test_patterns_know_both_spellings_of_weight_norm():
    generator = source_of()[0]
    for pattern in ("dec.ups.0.weight_g", "dec.ups.0.parametrizations.weight.original0"):
        select_trainable(generator, (pattern,), (), {})
        assert trainable_of(generator) == {"dec.ups.0.parametrizations.weight.original0"}


def test_patterns_that_match_nothing_are_listed_with_names_near_them():
    generator = source_of()[0]
    select_trainable(generator, ("dec.*",), (), {})
    with pytest.raises(FinetuningError) as caught:
        select_trainable(generator, ("dex.*", "new_rows"), ("enc_p.emb.weigth", "qqqqqqqqq"), {})
    lines = str(caught.value).splitlines()
    assert re.fullmatch(r"train.trainable: 'dex.\*' matches no parameter; near it are .*dec\.\*.*", lines[0])
    assert re.fullmatch(r"train.frozen: 'enc_p.emb.weigth' matches no .*; near it are .*enc_p.emb.weight.*", lines[1])
    assert lines[2] == ("train.frozen: 'qqqqqqqqq' matches no parameter; there are dec.*, dp.*, enc_p.*, enc_q.*, "
                        "flow.*")
    assert lines[3].startswith("train.trainable: 'new_rows' says that new rows train, but no symbol and no speaker is ")
    assert all(name.startswith("dec.") for name in trainable_of(generator))  # as before the error


def test_nothing_left_to_train_is_an_error():
    with pytest.raises(FinetuningError, match="leave no parameter to train"):
        select_trainable(source_of()[0], ("dec.*",), ("*",), {})


def test_new_speakers_alone_are_refused_while_nothing_listens_to_them():
    generator, _, begun = start(source_of()[1], TWO)
    with pytest.raises(FinetuningError, match=r'no layer uses it.*add "\*\.cond\*" to train.trainable'):
        select_trainable(generator, ("new_rows",), (), begun.new_rows)
    select_trainable(generator, ("new_rows", "*.cond*"), (), begun.new_rows)
    assert "emb_g.weight" in trainable_of(generator) and "dec.cond.bias" in trainable_of(generator)


def train(generator, row_mask, speaker_ids, steps=4):
    optimizer = torch.optim.AdamW(generator.parameters(), 1e-2, betas=(0.8, 0.99), weight_decay=0.1)
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        loss_of(generator, speaker_ids).backward()
        row_mask.mask_gradients()
        torch.nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
        optimizer.step()
        row_mask.restore()


def test_adding_a_voice_leaves_the_old_ones_unchanged_to_the_bit():
    _, weights = source_of((*ABC, *TWO))
    generator, _, begun = start(weights, (*ABC, *THREE))
    row_mask = select_trainable(generator, ("new_rows",), (), begun.new_rows)
    assert trainable_of(generator) == {"emb_g.weight"}
    before, sounds = copied(generator), [say(generator, speaker, seed=9).wav for speaker in (0, 2)]
    new_sound = say(generator, 1, seed=9)
    train(generator, row_mask, torch.tensor([0, 1, 2, 1]))
    after = generator.state_dict()
    assert differing(before, after) == {"emb_g.weight"}
    assert torch.equal(before["emb_g.weight"][[0, 2]], after["emb_g.weight"][[0, 2]])
    assert (before["emb_g.weight"][1] != after["emb_g.weight"][1]).all()
    for speaker, sound in zip((0, 2), sounds):
        assert torch.equal(say(generator, speaker, seed=9).wav, sound)
    assert not torch.equal(say(generator, 1, seed=9).z[..., :5], new_sound.z[..., :5])


def test_without_the_mask_the_old_voices_would_move():
    _, weights = source_of((*ABC, *TWO))
    generator, _, begun = start(weights, (*ABC, *THREE))
    select_trainable(generator, ("new_rows",), (), begun.new_rows)
    before = copied(generator)
    train(generator, RowMask(generator, {}), torch.tensor([1, 1]))  # none of their own batches: weight decay does it
    assert not torch.equal(before["emb_g.weight"][0], generator.emb_g.weight[0])


def test_new_symbols_and_speakers_train_together_in_their_rows():
    _, weights = source_of((*ABC, *TWO))
    generator, _, begun = start(weights, (*CBX, *THREE))
    row_mask = select_trainable(generator, ("new_rows",), (), begun.new_rows)
    before = copied(generator)
    train(generator, row_mask, torch.tensor([0, 1, 2]))
    after = generator.state_dict()
    assert differing(before, after) == {"emb_g.weight", "enc_p.emb.weight"}
    assert torch.equal(before["enc_p.emb.weight"][:3], after["enc_p.emb.weight"][:3])
    assert (before["enc_p.emb.weight"][3] != after["enc_p.emb.weight"][3]).any()


def test_a_table_that_a_pattern_names_trains_in_all_its_rows():
    _, weights = source_of((*ABC, *TWO))
    generator, _, begun = start(weights, (*ABC, *THREE))
    row_mask = select_trainable(generator, ("new_rows", "emb_g.*"), (), begun.new_rows)
    before = copied(generator)
    train(generator, row_mask, torch.tensor([0, 1, 2]))
    assert (before["emb_g.weight"] != generator.emb_g.weight).any(dim=1).all()


def test_the_gradient_that_is_clipped_counts_the_new_rows_alone():
    _, weights = source_of((*ABC, *TWO))
    generator, _, begun = start(weights, (*ABC, *THREE))
    row_mask = select_trainable(generator, ("new_rows",), (), begun.new_rows)
    row_mask.mask_gradients()  # nothing to mask yet
    loss_of(generator, torch.tensor([0, 1, 2])).backward()
    whole = generator.emb_g.weight.grad.clone()
    row_mask.mask_gradients()
    assert whole[[0, 2]].any() and not generator.emb_g.weight.grad[[0, 2]].any()
    assert torch.equal(generator.emb_g.weight.grad[1], whole[1])
