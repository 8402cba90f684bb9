"""Settings: every fault in one message, overrides, the published JSON files, and the relations between sections."""

import argparse
import copy
import dataclasses
import json
import logging
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import config
from config import Config, ConfigError
from tests.conftest import TINY, tiny

CONFIGS = Path(__file__).parents[1] / "configs"

# The three files published in 2021.
LJS_BASE = {
    "train": {"log_interval": 200, "eval_interval": 1000, "seed": 1234, "epochs": 20000, "learning_rate": 2e-4,
              "betas": [0.8, 0.99], "eps": 1e-9, "batch_size": 64, "fp16_run": True, "lr_decay": 0.999875,
              "segment_size": 8192, "init_lr_ratio": 1, "warmup_epochs": 0, "c_mel": 45, "c_kl": 1.0},
    "data": {"training_files": "filelists/ljs_audio_text_train_filelist.txt.cleaned",
             "validation_files": "filelists/ljs_audio_text_val_filelist.txt.cleaned",
             "text_cleaners": ["english_cleaners2"], "max_wav_value": 32768.0, "sampling_rate": 22050,
             "filter_length": 1024, "hop_length": 256, "win_length": 1024, "n_mel_channels": 80, "mel_fmin": 0.0,
             "mel_fmax": None, "add_blank": True, "n_speakers": 0, "cleaned_text": True},
    "model": {"inter_channels": 192, "hidden_channels": 192, "filter_channels": 768, "n_heads": 2, "n_layers": 6,
              "kernel_size": 3, "p_dropout": 0.1, "resblock": "1", "resblock_kernel_sizes": [3, 7, 11],
              "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]], "upsample_rates": [8, 8, 2, 2],
              "upsample_initial_channel": 512, "upsample_kernel_sizes": [16, 16, 4, 4], "n_layers_q": 3,
              "use_spectral_norm": False},
}
LJS_NOSDP = copy.deepcopy(LJS_BASE)
LJS_NOSDP["model"]["use_sdp"] = False
VCTK_BASE = copy.deepcopy(LJS_BASE)
VCTK_BASE["train"]["epochs"] = 10000
VCTK_BASE["data"] |= {"training_files": "filelists/vctk_audio_sid_text_train_filelist.txt.cleaned",
                      "validation_files": "filelists/vctk_audio_sid_text_val_filelist.txt.cleaned", "n_speakers": 109}
VCTK_BASE["model"]["gin_channels"] = 256
PUBLISHED = {"ljs.json": LJS_BASE, "ljs_nosdp.json": LJS_NOSDP, "vctk.json": VCTK_BASE}
RETIRED_THERE = ["data.max_wav_value", "model.n_layers_q", "train.init_lr_ratio", "train.warmup_epochs"]


def faults_of(tree, overrides=()):
    """The lines of the one error that this configuration raises."""
    with pytest.raises(ConfigError) as caught:
        config.from_dict(tree, overrides)
    return str(caught.value).splitlines()


def load_quietly(tree):
    """The configuration, and the lines of the log; Python's warnings, which show source, are errors."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    config.logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return config.from_dict(tree), lines
    finally:
        config.logger.removeHandler(handler)


# Errors


def test_all_faults_are_named_in_one_message_each_on_its_line():
    tree = {"train": {"batchsize": 8, "learning_rate": "fast", "seed": 1.5, "precision": "half"}, "dat": {},
            "data": {"win_length": 2048}, "model": [1], "discriminator": {"n_scales": 0}}
    assert faults_of(tree, ["train.batch_size"]) == [
        "unknown section 'dat'; did you mean 'data'?",
        "section 'model' must be an object, found a list",
        "--set 'train.batch_size' must look like section.key=value",
        "unknown key 'train.batchsize'; did you mean 'train.batch_size'?",
        'train.learning_rate is "fast"; expected a number',
        "train.seed is 1.5; expected a whole number",
        "train.precision is 'half'; it must be fp32, bf16 or fp16",
        "data.win_length 2048 is larger than data.filter_length 1024",
        "discriminator.n_scales is 0; it must be above 0"]


@pytest.mark.parametrize(("override", "message"), [
    ("train.add_blank=1", "unknown key 'train.add_blank'"),
    ("xyzzy=1", "unknown key 'xyzzy'"),
    ("data.hop_lenght=1", "unknown key 'data.hop_lenght'; did you mean 'data.hop_length'?"),
    ("data.add_blank=1", "data.add_blank is 1; expected true or false"),
    ("train.batch_size=true", "train.batch_size is true; expected a whole number"),
    ("train.total_steps=soon", 'train.total_steps is "soon"; expected a whole number or null'),
    ("train.learning_rate=NaN", "train.learning_rate is NaN; expected a number"),
    ("train.learning_rate=1e999", "train.learning_rate is Infinity; expected a number"),
    ("train.betas=[0.9]", "train.betas is [0.9]; expected a list of 2: a number, a number"),
    ("model.upsample_rates=8", "model.upsample_rates is 8; expected a list, each a whole number"),
    ("model.resblock_dilation_sizes=[1,3]", "model.resblock_dilation_sizes is [1, 3]; expected a list, each a list"),
    ("model.resblock=1", 'model.resblock is 1; expected a string'),
    ("data.begin_end=^", 'data.begin_end is "^"; expected a list of 2: a string, a string or null'),
    ('data.begin_end=["^","<end>"]', "data.begin_end is ['^', '<end>']; it must be two symbols, each one character"),
    ("data.mel_fmax=high", 'data.mel_fmax is "high"; expected a number or null'),
    ("train.batch_size=0", "train.batch_size is 0; it must be above 0"),
    ("train.weight_decay=-1", "train.weight_decay is -1.0; it must be 0 or more"),
    ("train.betas=[0.8,1]", "train.betas is [0.8, 1.0]; each must lie in [0, 1)"),
    ("train.ema_decay=1", "train.ema_decay is 1.0; it must lie in [0, 1)"),
    ("train.precision=fp8", "train.precision is 'fp8'; it must be fp32, bf16 or fp16"),
    ("train.lr_schedule=cosine", "train.lr_schedule is 'cosine' without train.total_steps, which it runs over"),
    ("train.discriminator_lr_schedule=linear", "train.discriminator_lr_schedule is 'linear' without train.total_steps"),
    ("train.rollback_lr_factor=2", "train.rollback_lr_factor is 2.0; it must lie in (0, 1]"),
    ("train.accumulate=0", "train.accumulate is 0; it must be above 0"),
    ("train.keep_best=-1", "train.keep_best is -1; it must be 0 or more"),
    ("discriminator.augment_probability=2", "discriminator.augment_probability is 2.0; it must lie in [0, 1]"),
    ("discriminator.augment_probability=0.5", "discriminator.augmentations is empty, though a probability"),
    ("discriminator.augment_target=1", "discriminator.augment_target is 1.0; it must lie in (0, 1)"),
    ("train.stft_sizes=[16]", "train.stft_sizes is [16]; each must be at least 32 samples"),
    ("data.win_length=2000", "data.win_length 2000 is larger than data.filter_length 1024"),
    ("data.hop_length=255", "data.hop_length 255 must be at most data.win_length and differ"),
    ("data.mel_fmax=12000", "must be in order and at most half of data.sampling_rate 22050"),
    ("data.mel_fmax=1e30", "must be in order and at most half of data.sampling_rate 22050, 11025"),
    ("data.mel_fmin=12000", "must be in order and at most half of data.sampling_rate 22050"),
    ('data.speakers=["a","b"]', "data.n_speakers is 0, but there are 2 names of speakers; set data.n_speakers=2"),
    ("data.min_text_len=500", "data.min_text_len 500 exceeds data.max_text_len 190"),
    ("model.n_heads=5", "model.n_heads 5 does not divide model.hidden_channels 192"),
    ("model.inter_channels=191", "model.inter_channels is 191; it must be even, for the flow halves it"),
    ("model.wavenet_kernel_size=4", "model.wavenet_kernel_size is 4; it must be odd, so that frames stay in place"),
    ("model.istft_kernel_size=4", "model.istft_kernel_size is 4; it must be odd"),
    ("model.p_dropout=1", "model.p_dropout is 1.0; it must lie in [0, 1)"),
    ('model.resblock="3"', "model.resblock is '3'; it must be \"1\" or \"2\""),
    ("model.resblock_kernel_sizes=[3,7,10]", "model.resblock_kernel_sizes is [3, 7, 10]; it must have one or"),
    ("model.resblock_kernel_sizes=[3]", "resblock_kernel_sizes and model.resblock_dilation_sizes differ in length"),
    ("model.upsample_rates=[16,16]", "model.upsample_rates and model.upsample_kernel_sizes differ in length"),
    ("model.upsample_kernel_sizes=[15,16,4,4]", "model.upsample_kernel_sizes has 15 for rate 8"),
    ("model.upsample_kernel_sizes=[6,16,4,4]", "model.upsample_kernel_sizes has 6 for rate 8"),
    ("model.upsample_initial_channel=100", "model.upsample_initial_channel 100 must be divisible by 2^4"),
    ("discriminator.scale_strides=[1]", "discriminator.scale_channels, scale_kernel_sizes, scale_strides and"),
    ("discriminator.scale_groups=[1,4,16,64,256,3]", "discriminator.scale_groups has 3, which does not divide"),
    ("model.upsample_rates=[8,8,4,2]", "model.upsample_rates [8, 8, 4, 2] multiply to 512, data.hop_length is 256"),
    ("train.segment_size=1000", "train.segment_size 1000 is not a multiple of data.hop_length 256"),
    ("data.n_speakers=2", "data.n_speakers is 2 and model.gin_channels is 0, so speakers would be ignored"),
])
def test_each_kind_of_fault_has_its_message(override, message):
    lines = faults_of({}, [override])
    assert [line for line in lines if message in line], lines


@pytest.mark.parametrize("override", [
    "model.resblock_kernel_sizes=[]", "model.upsample_rates=[-8,-8,2,2]", "model.resblock_kernel_sizes=[3,7,-1]",
    "model.resblock_dilation_sizes=[[1,3,5],[1,3,5],[0]]", "discriminator.periods=[2,0]",
    "discriminator.period_channels=[0]", "discriminator.scale_strides=[1,0,4,4,4,1]",
    "discriminator.scale_kernel_sizes=[-15,41,41,41,41,5]", "discriminator.stft_sizes=[2]"])
def test_sizes_in_lists_that_no_network_can_have_are_faults(override):
    key = override.partition("=")[0]
    assert any(line.startswith(key) for line in faults_of({}, [override]))


def test_a_number_too_large_for_a_float_is_a_fault_like_any_other():
    [line] = faults_of({}, ["train.learning_rate=1" + "0" * 400])
    assert line.endswith("expected a number")


@pytest.mark.parametrize(("tree", "found"), [([], "a list"), ("x", "a string"), (None, "null"), (3, "3")])
def test_a_file_that_holds_no_object_says_what_was_expected(tree, found):
    assert faults_of(tree) == [f"expected an object with the sections {', '.join(config.SECTIONS)}, found {found}"]


@pytest.mark.parametrize(("values", "found"), [([], "a list"), ("x", "a string"), (None, "null"), (True, "True")])
def test_a_section_that_is_no_object_is_a_fault(values, found):
    assert faults_of({"data": values}) == [f"section 'data' must be an object, found {found}"]


def test_a_file_that_is_not_json_is_named_with_the_place(tmp_path):
    path = tmp_path / "bad.json"
    path.write_text('{"train": {\n  "seed": 1,\n}}')
    with pytest.raises(ConfigError, match=r"bad\.json is not JSON: line \d, column \d+: "):
        config.load(path)


def test_a_missing_file_names_the_ones_that_are_there(tmp_path):
    (tmp_path / "one.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"no configuration .*two\.json; there are .*one\.json"):
        config.load(tmp_path / "two.json")
    with pytest.raises(FileNotFoundError, match=r"no configuration .*two\.json$"):
        config.load(tmp_path / "nowhere" / "two.json")


def test_each_fault_of_a_file_names_the_file(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"train": {"seeds": 1}, "data": {"hop_length": -1}}))
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    lines = str(caught.value).splitlines()
    assert len(lines) >= 2 and all(line.startswith(f"{path}: ") for line in lines)


def test_a_configuration_made_in_code_is_checked_too():
    with pytest.raises(ConfigError, match="train.batch_size is 0"):
        Config(train=config.TrainConfig(batch_size=0))
    with pytest.raises(ConfigError, match="train.batch_size is -1"):
        config.replace(Config(), "train", {"batch_size": -1})


KEYS = [f"{name}.{field.name}" for name, section in config.SECTIONS.items() for field in dataclasses.fields(section)]
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=4), max_leaves=6)


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4))
def test_any_value_of_any_key_gives_a_configuration_or_a_config_error(values):
    overrides = [f"{key}={json.dumps(value)}" for key, value in values.items()]
    try:
        assert isinstance(config.from_dict(TINY, overrides), Config)
    except ConfigError as error:
        assert str(error)


# Overrides


def test_overrides_are_json_values_or_plain_text():
    made = config.from_dict({"train": {"batch_size": 3}}, [
        "train.batch_size=8", "train.learning_rate=1", "train.total_steps=5", "data.training_files=lists/my file.txt",
        "data.mel_fmax=null", "data.add_blank=false", "model.resblock_dilation_sizes=[[1],[1,2],[3]]",
        "data.text_cleaners=[\"basic_cleaners\"]", "data.language=\"de\"", "train.eps=1e-8", " train.seed = 7 ",
        "data.symbols=[\"a\",\"b\"]"])
    assert made.train.batch_size == 8
    assert made.train.learning_rate == 1.0 and isinstance(made.train.learning_rate, float)
    assert made.train.total_steps == 5
    assert made.train.eps == 1e-8 and made.train.seed == 7
    assert made.data.training_files == "lists/my file.txt"
    assert made.data.mel_fmax is None and made.data.add_blank is False
    assert made.data.text_cleaners == ("basic_cleaners",) and made.data.language == "de"
    assert made.data.symbols == ("a", "b")
    assert made.model.resblock_dilation_sizes == ((1,), (1, 2), (3,))


def test_a_value_may_hold_an_equals_sign():
    assert config.from_dict({}, ["data.training_files=a=b.txt"]).data.training_files == "a=b.txt"


def test_a_later_override_wins():
    assert config.from_dict({}, ["train.seed=1", "train.seed=2"]).train.seed == 2


def test_an_override_by_the_published_name_wins_over_the_file():
    assert config.from_dict({"train": {"precision": "fp16"}}, ["train.fp16_run=false"]).train.precision == "fp32"
    assert config.from_dict({"train": {"fp16_run": True}}, ["train.precision=bf16"]).train.precision == "bf16"


def test_overrides_reach_a_file(tmp_path):
    path = tmp_path / "c.json"
    config.save(tiny(), path)
    assert config.load(path, ["train.seed=9"]) == tiny(("train.seed=9",))


def test_every_command_collects_overrides_the_same_way():
    parser = argparse.ArgumentParser()
    config.add_arguments(parser)
    assert parser.parse_args([]).overrides == []
    assert parser.parse_args(["--set", "a.b=1", "--set", "c.d=[2]"]).overrides == ["a.b=1", "c.d=[2]"]


# The published files


@pytest.mark.parametrize("file", PUBLISHED)
def test_the_published_files_load_and_mean_what_ours_say(file):
    published, warned = load_quietly(PUBLISHED[file])
    ours = config.load(CONFIGS / file)
    assert published.model == ours.model
    assert published.discriminator == ours.discriminator
    assert published.train == ours.train
    paths = {"training_files": "", "validation_files": "", "cleaned_text": True}
    assert dataclasses.replace(published.data, **paths) == dataclasses.replace(ours.data, **paths)
    assert sorted(message.split()[0] for message in warned) == RETIRED_THERE


def test_each_retired_key_gives_one_line_of_the_log_that_says_why():
    for key, reason in config.RETIRED.items():
        section, name = key.split(".")
        _, warned = load_quietly({section: {name: 1}})
        assert warned == [f"{key} is retired and ignored: {reason}"]


@pytest.mark.parametrize(("key", "value", "section", "name", "meaning"), [
    ("train.fp16_run", True, "train", "precision", "fp16"), ("train.fp16_run", False, "train", "precision", "fp32"),
    ("model.use_sdp", True, "model", "duration_predictor", "stochastic"),
    ("model.use_sdp", False, "model", "duration_predictor", "deterministic"),
    ("model.use_spectral_norm", True, "discriminator", "use_spectral_norm", True)])
def test_renamed_keys_keep_their_meaning(key, value, section, name, meaning):
    old_section, old_name = key.split(".")
    made, warned = load_quietly({old_section: {old_name: value}})
    assert getattr(getattr(made, section), name) == meaning
    assert warned == []


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.json")), ids=lambda path: path.name)
def test_every_file_in_configs_loads_without_a_warning(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(config.load(path), Config)


# Values


@pytest.mark.parametrize("made", [Config(), tiny(), tiny(("data.n_speakers=3", "model.gin_channels=8"))])
def test_a_configuration_survives_saving_and_loading(made, tmp_path):
    assert config.from_dict(config.to_dict(made)) == made
    config.save(made, tmp_path / "config.json")
    assert config.load(tmp_path / "config.json") == made
    json.dumps(config.to_dict(made), allow_nan=False)


def test_a_saved_configuration_does_not_escape_letters(tmp_path):
    config.save(tiny(("data.symbols=[\"ɹ\",\"ə\"]",)), tmp_path / "config.json")
    assert "ɹ" in (tmp_path / "config.json").read_text(encoding="utf-8")


def test_a_configuration_is_frozen_and_replace_makes_a_copy():
    made = tiny()
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.train.seed = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.model = None
    assert config.replace(made, "train", {"seed": 2}).train.seed == 2
    assert made.train.seed == 1234
    assert hash(made) == hash(tiny())


def test_no_speaker_and_one_speaker_are_one_voice():
    assert not config.from_dict({"data": {"n_speakers": 0}}).multispeaker
    assert not config.from_dict({"data": {"n_speakers": 1}}).multispeaker
    assert config.from_dict({"data": {"n_speakers": 2}, "model": {"gin_channels": 4}}).multispeaker


def test_hop_and_upsampling_need_to_agree_for_hifigan_only():
    assert config.from_dict({}, ["model.generator=istft", "model.upsample_rates=[2,2,2,2]",
                                 "model.upsample_kernel_sizes=[4,4,4,4]"]).model.generator == "istft"


def test_derived_sizes_follow_from_the_settings():
    assert Config().spec_channels == 513
    assert Config().segment_frames == 32


def test_every_setting_is_described_with_its_bounds_and_a_group():
    described = list(config.describe())
    assert len(described) == len({(each.section, each.name) for each in described}) == len(every_key())
    assert all(each.help and each.group and each.default == getattr(getattr(Config(), each.section), each.name)
               for each in described)
    batch_size = next(each for each in described if each.name == "batch_size")
    assert batch_size[:4] == ("train", "batch_size", "int", 64) and batch_size.bounds.unit == "utterances"
    assert str(batch_size.bounds) == "above 0, at most 65536"
    assert {each.name: str(each.bounds) for each in described}["betas"] == "[0, 1)"


# Files from outside


def every_key():
    return [f"{section}.{key}" for section, values in config.to_dict(config.Config()).items() for key in values]


@pytest.mark.parametrize("key", every_key())
def test_any_value_of_any_key_is_a_configuration_or_one_short_error(key):
    section, name = key.split(".")
    odd = (None, True, -1, 0, 1, 10**9, 10**12, 2**70, 10**400, 1e300, float("nan"), float("inf"), "", "a", "x" * 9999,
           "\ud800", [], {}, [[]], [None], [10**12], [1] * 9999, [[[1]]], ["a", 1], {"a": 1})
    for value in odd:
        try:
            found = getattr(getattr(config.from_dict({section: {name: value}}), section), name)
        except config.ConfigError as error:
            assert len(str(error)) < 2000
        else:
            numbers = [found] if isinstance(found, (int, float)) else []
            assert all(number < 2**63 or isinstance(number, float) for number in numbers)


@pytest.mark.parametrize("key, value", [
    (key, 10**12) for key in every_key()
    if isinstance(getattr(getattr(config.Config(), key.split(".")[0]), key.split(".")[1]), int)
    and key.split(".")[1].endswith(("_layers", "_channels", "_size", "_threads", "_workers", "_flows", "_couplings",
                                    "_speakers", "_rate", "_length", "_len", "_heads", "_window", "_scales"))
] + [("train.stft_sizes", [10**9]), ("discriminator.stft_sizes", [10**9]), ("model.upsample_rates", [10**9]),
     ("model.resblock_dilation_sizes", [[1] * 99] * 3), ("model.upsample_kernel_sizes", [4] * 99),
     ("data.sampling_rate", 1), ("train.num_threads", 10**6), ("train.batch_size", 10**9),
     ("discriminator.kinds", []), ("discriminator.periods", [])])
def test_a_size_that_no_machine_has_is_refused_by_its_name(key, value):
    section, name = key.split(".")
    with pytest.raises(config.ConfigError, match=rf"{section}\.{name} (is|has) .*(at most|at least|empty|;)"):
        config.from_dict({section: {name: value}})


def test_many_faults_make_a_short_message():
    with pytest.raises(config.ConfigError) as raised:
        config.from_dict({"data": {f"wrong_{i}": 1 for i in range(400)}})
    assert str(raised.value).count("\n") <= 50 and "and 350 more" in str(raised.value)
    with pytest.raises(config.ConfigError, match="section 'data' has 9999 keys"):
        config.from_dict({"data": {f"wrong_{i}": 1 for i in range(9999)}})


@pytest.mark.parametrize("content, message", [
    (b"[" * 100_000, "nested too deeply"), (b'{"a":' * 100_000, "nested too deeply"), (b"", "is not JSON: line 1"),
    (b"\xff\xfe", "byte 0 is not UTF-8"), (b'{"a": 1' + b"0" * 5000 + b"}", "too many digits"),
    (b"{", "is not JSON: line 1, column 2"), (b"null", "expected an object"), (b'"x"', "expected an object")])
def test_json_that_cannot_be_read_is_one_message_with_the_file(tmp_path, content, message):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(config.ConfigError, match=rf"config\.json.*{message}"):
        config.load(tmp_path / "config.json")


def test_speakers_without_a_name_are_called_by_their_number():
    assert config.from_dict({}).speaker_names == ()
    several = config.from_dict({"data": {"n_speakers": 3, "speakers": ["a", "b"]}, "model": {"gin_channels": 8}})
    assert several.speaker_names == ("a", "b", "2")
