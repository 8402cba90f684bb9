"""Formats of others: published VITS, MMS and Hugging Face, in and out, against the real client where there is one."""

import contextlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import checkpoint
import config as settings
import convert
import formats
from checkpoint import CheckpointError, Weights
from discriminators import Discriminators
from formats import FormatError, huggingface, mms, published, publishing
from formats.import_helpers import published_names
from models import SynthesizerTrn
from synthesis import Voice
from tests.conftest import ROOT, TINY, with_corpus, write_corpus
from tests.golden.golden import manifest
from text import SymbolTable, TextProcessor, cleaners
from training import trainer
from training.optimizers import Updater
from training.step import new_networks, new_state

ONE_SPEAKER, TWO_SPEAKERS = (), ("data.n_speakers=2", 'data.speakers=["alice", "bob"]', "model.gin_channels=8")
DETERMINISTIC = ("model.duration_predictor=deterministic",)
# What the published code has as constants, over the tiny sizes.
CONSTANTS = ("model.posterior_layers=16", "model.flow_couplings=4", "model.flow_layers=4",
             "model.duration_channels=256", "model.duration_flows=4", "data.symbols=published", "data.text_cleaners=[]")
DECAY = settings.TrainConfig().lr_decay
LETTERS = list("k'zyuatbcdefghijlmnopqrsvwx ţ")


def tiny_weights(overrides, with_discriminators=False):
    """A tiny voice whose weights are all different from what they begin as, as a run would hold it."""
    config = settings.from_dict(TINY, overrides)
    torch.manual_seed(1)
    generator = SynthesizerTrn(len(TextProcessor.from_config(config.data).symbols), config)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    judges = Discriminators(config.discriminator).state_dict() if with_discriminators else None
    return Weights(settings.to_dict(config), generator.state_dict(), judges, 7, ROOT / "nothing")


def published_optimizer(tensors, n_steps=2):
    """The parameters in the published order under the published optimizer, after some steps; and that optimizer."""
    parameters = [nn.Parameter(tensor.clone()) for tensor in tensors.values()]
    optimizer = torch.optim.AdamW(parameters, 2e-4 * DECAY**2, betas=(0.8, 0.99), eps=1e-9)  # in the third epoch
    optimizer.param_groups[0]["initial_lr"] = 2e-4
    for step in range(n_steps):
        step_with(optimizer, dict(zip(tensors, parameters)), step)
    return dict(zip(tensors, parameters)), optimizer


def step_with(optimizer, parameters, step):
    """One step with gradients that depend on the parameter's published name alone."""
    for name, parameter in parameters.items():
        random = torch.Generator().manual_seed(sum(name.encode()) + 1000 * step)
        parameter.grad = torch.randn(parameter.shape, generator=random)
    optimizer.step()


def published_folder(folder, overrides=(), parts=("G", "D")):
    """What the published code leaves behind after some steps of a tiny voice; returns its parameters by file."""
    weights = tiny_weights(overrides, with_discriminators=True)
    left = {}
    for letter, tensors in (("G", weights.generator), ("D", weights.discriminators)):
        ordered = {name: tensors[name] for name in published.published_order(tensors)}
        parameters, optimizer = published_optimizer(ordered)
        left[letter] = (parameters, optimizer)
        if letter in parts:
            torch.save({"model": {name: parameter.detach() for name, parameter in parameters.items()}, "iteration": 3,
                        "optimizer": optimizer.state_dict(), "learning_rate": 2e-4}, folder / f"{letter}_20.pth")
    tree = {section: dict(values) for section, values in weights.config.items()}
    tree["train"] |= {"init_lr_ratio": 1, "warmup_epochs": 0, "total_steps": None, "learning_rate": 2e-4}
    tree["model"] |= {"use_sdp": tree["model"].pop("duration_predictor") == "stochastic", "n_layers_q": 3}
    tree["data"] |= {"max_wav_value": 32768.0}
    (folder / "config.json").write_text(json.dumps(tree))
    return left


def voice_of(weights):
    config = settings.from_dict(weights.config)
    model = SynthesizerTrn(len(TextProcessor.from_config(config.data).symbols), config)
    model.load_state_dict(weights.generator)
    return Voice(config, model, torch.device("cpu"))


def command(*arguments):
    """Run convert.py; returns the finished process."""
    return subprocess.run([sys.executable, str(ROOT / "convert.py"), *map(str, arguments)], cwd=ROOT, text=True,
                          capture_output=True, timeout=120)


@pytest.fixture
def convert_here(monkeypatch, capsys):
    """Runs the command in this process, which spares its imports; returns what it prints."""
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["convert.py", *map(str, arguments)])
        convert.main()
        return capsys.readouterr().out

    return call


class Touch:
    """Unpickled, it would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


# Published VITS.


@pytest.mark.parametrize(("name", "layout"), [("ljs", "ljs_base"), ("ljs_nosdp", "ljs_nosdp"), ("vctk", "vctk_base")])
def test_our_names_in_the_published_order_are_the_published_layout(name, layout):
    with torch.device("meta"):
        generator = SynthesizerTrn(178, settings.load(ROOT / "configs" / f"{name}.json"))
        judges = Discriminators(settings.Config().discriminator)
    assert published.published_order(generator.state_dict()) == list(manifest(layout))
    assert published.published_order(judges.state_dict()) == list(manifest("discriminator"))


@pytest.mark.parametrize("overrides", [ONE_SPEAKER, TWO_SPEAKERS, DETERMINISTIC])
def test_a_step_after_conversion_is_the_step_that_the_published_optimizer_would_make(tmp_path, overrides):
    left = published_folder(tmp_path, overrides)
    imported = formats.read(tmp_path)
    assert imported.step == 20
    convert.write_run(imported, tmp_path / "run")
    config = imported.config
    n_symbols = len(TextProcessor.from_config(config.data).symbols)
    state = new_state(config, new_networks(config, n_symbols, torch.device("cpu")))
    state.load_state_dict(checkpoint.load(checkpoint.newest(tmp_path / "run")), tmp_path)
    for letter, network, updater in (("G", state.generator, state.generator_updater),
                                     ("D", state.discriminators, state.discriminator_updater)):
        theirs, optimizer = left[letter]
        ours = published_names(dict(network.named_parameters())).keys()
        ours = dict(zip(ours, network.parameters()))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs) and len(ours) == len(theirs)
        assert updater.learning_rate == 2e-4 * DECAY**2 and updater.optimizer.param_groups[0]["fused"]
        step_with(updater.optimizer, ours, 5)
        step_with(optimizer, theirs, 5)
        for name in theirs:
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-5, atol=1e-7)


def test_a_parameter_that_never_had_a_gradient_has_no_moments(tmp_path):
    published_folder(tmp_path)
    content = torch.load(tmp_path / "G_20.pth", weights_only=True)
    place = list(content["model"]).index("dp.post_pre.weight")
    del content["optimizer"]["state"][place]
    torch.save(content, tmp_path / "G_20.pth")
    imported = formats.read(tmp_path)
    moments = imported.optimizers["generator"]["state"]
    assert len(moments) == len(content["model"]) - 1
    convert.write_run(imported, tmp_path / "run")


@pytest.mark.parametrize("overrides", [ONE_SPEAKER, TWO_SPEAKERS, DETERMINISTIC])
def test_published_to_run_to_published_is_the_same_key_for_key(tmp_path, overrides, monkeypatch):
    monkeypatch.delitem(published.FIXED, "discriminator")  # its full size would be slow
    published_folder(tmp_path, (*CONSTANTS, *overrides))
    convert.write_run(formats.read(tmp_path), tmp_path / "run")
    written = formats.write("published", checkpoint.read_weights(tmp_path / "run"), tmp_path / "out")
    assert [file.name for file in written.files] == ["G_20.pth", "D_20.pth", "config.json"]
    for name in ("G_20.pth", "D_20.pth"):
        before, after = (torch.load(folder / name, weights_only=True) for folder in (tmp_path, tmp_path / "out"))
        assert list(before) == list(after) and list(before["model"]) == list(after["model"])
        assert all(torch.equal(before["model"][key], after["model"][key]) for key in before["model"])
        assert before["optimizer"]["state"].keys() == after["optimizer"]["state"].keys()
        for place, moments in before["optimizer"]["state"].items():
            assert all(torch.equal(moments[key], after["optimizer"]["state"][place][key]) for key in moments)
        assert after["optimizer"]["param_groups"][0]["initial_lr"] == after["learning_rate"] == 2e-4
        assert after["iteration"] == before["iteration"] == 3
    tree = json.loads((tmp_path / "out" / "config.json").read_text())
    assert set(tree) == {"train", "data", "model"} and ("gin_channels" in tree["model"]) == (overrides == TWO_SPEAKERS)
    assert tree["model"]["use_sdp"] == (overrides != DETERMINISTIC)
    assert tree["data"]["n_speakers"] == (2 if overrides == TWO_SPEAKERS else 0)


def test_the_newest_pair_of_a_folder_is_taken_and_a_file_alone_has_no_discriminators(tmp_path):
    published_folder(tmp_path)
    for letter in "GD":
        content = torch.load(tmp_path / f"{letter}_20.pth", weights_only=True)
        torch.save(content, tmp_path / f"{letter}_3.pth")
        torch.save(content | {"optimizer": None}, tmp_path / f"{letter}_100.pth")
    imported = formats.read(tmp_path)
    assert imported.step == 100 and imported.discriminators is not None and imported.optimizers is None
    assert any("no state of the optimizers" in note for note in imported.notes)
    (tmp_path / "D_3.pth").unlink()
    imported = formats.read(tmp_path / "G_3.pth")
    assert imported.step == 3 and imported.discriminators is None
    assert any("no discriminators (D_3.pth)" in note for note in imported.notes)
    (tmp_path / "G_20.pth").rename(tmp_path / "pretrained.pth")
    assert formats.read(tmp_path / "pretrained.pth").step == 2  # as the optimizer has counted


@pytest.mark.parametrize(("change", "message"), [
    (lambda tree: tree["model"].update(use_sdp=False), "it has dp.flows.0.m, of a stochastic duration predictor, and "
                                                       "model.use_sdp is true there"),
    (lambda tree: tree["data"].update(n_speakers=4) or tree["model"].update(gin_channels=8),
     "it has no emb_g.weight and data.n_speakers is 4"),
    (lambda tree: tree["data"].update(symbols="published"), "rows and the table 'published' 178 symbols"),
    (lambda tree: tree["data"].update(text_cleaners=["klingon_cleaners"]), "no text cleaner 'klingon_cleaners'"),
    (lambda tree: tree["model"].update(filter_channels=48), "conv_1.weight is"),
    (lambda tree: tree.pop("model"), "has train, data, discriminator, speaking; expected the sections train, data and "
     "model"),
])
def test_a_configuration_of_another_voice_is_refused_with_the_names_of_the_weights(tmp_path, change, message):
    published_folder(tmp_path)
    tree = json.loads((tmp_path / "config.json").read_text())
    change(tree)
    (tmp_path / "other.json").write_text(json.dumps(tree))
    with pytest.raises(FormatError) as caught:
        formats.read(tmp_path, tmp_path / "other.json")
    assert message in str(caught.value).replace("is false there", "is true there")


def test_settings_that_nothing_reads_are_named_and_left_out(tmp_path):
    published_folder(tmp_path, parts=("G",))
    tree = json.loads((tmp_path / "config.json").read_text())
    tree["data"]["use_mel"] = 1
    tree |= {"symbols": list(SymbolTable.load("characters").symbols), "version": "2"}
    tree["data"].pop("symbols")
    (tmp_path / "config.json").write_text(json.dumps(tree))
    imported = formats.read(tmp_path)
    assert any(note.endswith("data.use_mel, version") for note in imported.notes)
    assert imported.config.data.symbols == SymbolTable.load("characters").symbols


def test_an_optimizer_of_other_parameters_is_refused(tmp_path):
    published_folder(tmp_path)
    content = torch.load(tmp_path / "G_20.pth", weights_only=True)
    content["optimizer"]["param_groups"][0]["params"].pop()
    torch.save(content, tmp_path / "G_20.pth")
    with pytest.raises(FormatError, match="its optimizer has"):
        formats.read(tmp_path)
    content["optimizer"]["param_groups"][0]["params"] = list(range(len(content["model"])))[::-1]
    torch.save(content, tmp_path / "G_20.pth")
    with pytest.raises(FormatError, match="the order of its parameters is unknown"):
        formats.read(tmp_path)
    content["optimizer"]["state"] = {0: {"momentum_buffer": torch.zeros(1)}}
    torch.save(content, tmp_path / "G_20.pth")
    with pytest.raises(FormatError, match="its optimizer is not AdamW"):
        formats.read(tmp_path)


def test_discriminators_are_not_taken_for_a_generator(tmp_path):
    published_folder(tmp_path)
    assert not published.recognises(tmp_path / "D_20.pth")
    with pytest.raises(FormatError, match="holds a model of discriminators.0.convs.0.bias, .*; expected a generator"):
        formats.read(tmp_path / "D_20.pth", name="published")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"does not exist; expected a file or folder of a voice"):
        formats.read(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="holds no generator; expected a file named like G_100000.pth"):
        published.read(tmp_path, None)
    published_folder(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match="give the JSON that the voice was trained with by --config"):
        formats.read(tmp_path)


def test_a_voice_that_the_published_code_cannot_build_is_not_written(tmp_path):
    with pytest.raises(FormatError) as caught:
        formats.write("published", tiny_weights(()), tmp_path / "out")
    for fault in ("model.posterior_layers is 2, there it is 16", "data.symbols is characters, there it is published"):
        assert fault in str(caught.value)
    assert not (tmp_path / "out").exists()
    with pytest.raises(FormatError, match="data.text_cleaners has espeak"):
        formats.write("published", tiny_weights((*CONSTANTS, 'data.text_cleaners=["espeak"]')), tmp_path / "out")


@pytest.mark.parametrize("change", ["model.posterior_input=mel", "model.flow_transformer=pre_conv2",
                                    "model.speaker_in_text_encoder=true", "model.generator=istft"])
@pytest.mark.parametrize("form", ["published", "huggingface"])
def test_a_variant_of_the_model_is_not_written_in_a_form_that_lacks_it(tmp_path, form, change):
    overrides = ("data.n_speakers=2", "model.gin_channels=4", 'model.resblock="1"', change)
    with pytest.raises(FormatError, match=change.partition("=")[0]):
        formats.write(form, tiny_weights((*(CONSTANTS if form == "published" else ()), *overrides)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_pickle_that_would_run_a_command_does_not(tmp_path):
    target, file = tmp_path / "it_ran", tmp_path / "G_1.pth"
    torch.save({"model": Touch(target), "iteration": 1}, file)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FormatError, match=r"has an unknown format \(found: .*it asks for \S*system to be "
                                          "executed, which is not done"):
        formats.recognise(file)
    for name in ("published", "mms"):
        (tmp_path / "vocab.txt").write_text("a\n")
        with pytest.raises((CheckpointError, FormatError)):
            formats.read(file, tmp_path / "config.json", name)
    done = command(file, "-o", tmp_path / "run")
    assert done.returncode == 2 and "is not done" in done.stderr and "Traceback" not in done.stderr
    assert not target.exists() and not (tmp_path / "run").exists()
    os.system(f"touch {target}")  # the command would have worked
    assert target.exists()


def test_what_is_of_no_format_is_refused_with_what_was_found(tmp_path):
    file = tmp_path / "voice.pth"
    torch.save({"weights": torch.zeros(1), "epoch": 1}, file)
    with pytest.raises(FormatError, match=r"\(found: a dict of weights, epoch\); expected one of published, mms"):
        formats.recognise(file)
    with pytest.raises(FormatError, match=r"\(found: voice.pth\)"):
        formats.recognise(tmp_path)
    file.write_bytes(b"not a tensor")
    with pytest.raises(FormatError, match="its 12 bytes break off"):
        formats.recognise(file)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FormatError, match="has nothing; expected the sections train, data and model"):
        published.read(file, None)
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    torch.save([1, 2], file)
    with pytest.raises(FormatError, match="holds a list; expected a dict of model, iteration"):
        published.read(file, None)


def test_a_run_or_release_of_this_project_is_told_to_be_used_as_it_is(tmp_path):
    weights = tiny_weights(())
    publishing.publish_weights(weights, tmp_path / "release")
    (tmp_path / "run").mkdir()
    checkpoint.save(tmp_path / "run", 3, {"config": weights.config, "generator": weights.generator})
    for path in (tmp_path / "release", tmp_path / "release" / "model.safetensors", tmp_path / "run",
                 tmp_path / "run" / "checkpoint_00000003.pt"):
        with pytest.raises(FormatError, match=f"{path} is a run or a release of this project already: use it as it is"):
            formats.recognise(path)


# MMS.


def mms_folder(folder, training_files="train.ltr", symbols=LETTERS):
    published_folder(folder, (f"data.symbols={json.dumps(symbols)}",), parts=("G",))
    (folder / "vocab.txt").write_text("\n".join(symbols) + "\n", encoding="utf-8")
    tree = json.loads((folder / "config.json").read_text())
    tree["data"] |= {"text_cleaners": ["transliteration_cleaners"], "training_files": training_files}
    tree["data"].pop("symbols")
    (folder / "config.json").write_text(json.dumps(tree))


def test_an_mms_voice_reads_lower_case_letters_of_its_vocabulary_and_drops_the_rest(tmp_path):
    folder = tmp_path / "ron"
    folder.mkdir()
    mms_folder(folder)
    assert formats.recognise(folder) == formats.recognise(folder / "G_20.pth") == "mms"
    imported = formats.read(folder)
    text = TextProcessor.from_config(imported.config.data)
    assert imported.config.data.symbols == tuple(LETTERS) and imported.config.data.language == "ron"
    assert text.clean(["Kick, țap—3 !"]) == ["kick ţap"]
    assert text.encode(text.clean(["Kick"])[0]) == [0, 0, 0, LETTERS.index("i"), 0, LETTERS.index("c"), 0, 0, 0]
    assert not any("romanised" in note for note in imported.notes)
    convert.write_release(imported, tmp_path / "voice")
    assert len(Voice.load(tmp_path / "voice", "cpu").speak("Kick back, hello!", seed=1).samples) > 0


@pytest.mark.parametrize("language, symbols, cleaners", [
    ("deu", LETTERS, ("normalised", "mms_cleaners")), ("deu", [*LETTERS, "5"], ("mms_cleaners",)),
    ("ron", LETTERS, ("mms_cleaners",))])
def test_an_mms_voice_without_digits_reads_numbers_as_words(tmp_path, language, symbols, cleaners):
    folder = tmp_path / language
    folder.mkdir()
    mms_folder(folder, symbols=symbols)
    text = TextProcessor.from_config(formats.read(folder).config.data)
    assert text.cleaners == cleaners
    if "normalised" in cleaners:
        assert text.clean(["Um 14:30 Uhr."]) == ["um vierzehn uhr dreiig"]  # LETTERS has no ß


def test_a_tokenizer_of_letters_without_digits_reads_numbers_as_words(tmp_path):
    formats.write("huggingface", tiny_weights((f"data.symbols={json.dumps(LETTERS)}",)), tmp_path)
    for language, expected in (("deu", ("normalised", "uroman", "mms_cleaners")), ("ron", ("uroman", "mms_cleaners"))):
        tokenizer = {"phonemize": False, "is_uroman": True, "language": language}
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokenizer))
        assert formats.read(tmp_path).config.data.text_cleaners == expected


def test_a_voice_of_romanised_texts_says_so(tmp_path):
    mms_folder(tmp_path, "train.uroman")
    assert any("romanised before training" in note for note in formats.read(tmp_path).notes)


def test_a_voice_of_romanised_texts_reads_any_script(tmp_path):
    pytest.importorskip("uroman", reason="pip install uroman")
    folder = tmp_path / "rus"
    folder.mkdir()
    mms_folder(folder, "train.uroman")
    text = TextProcessor.from_config(formats.read(folder).config.data)
    assert text.cleaners == ("normalised", "uroman", "mms_cleaners")
    assert text.clean(["\u043a\u0438\u043a"]) == ["kik"]  # Cyrillic


def test_a_romaniser_that_is_not_installed_is_named(monkeypatch):
    cleaners._romaniser.cache_clear()
    monkeypatch.setitem(sys.modules, "uroman", None)
    with pytest.raises(ValueError, match="pip install uroman"):
        cleaners.get_cleaner("uroman")(["a"], "rus")


def test_rows_without_a_character_of_their_own_get_private_ones(tmp_path):
    file = tmp_path / "vocab.txt"
    file.write_text("a\n \n\n<unk>\nb\na\n", encoding="utf-8")
    symbols = mms.symbols_of(file)
    assert symbols[1] == " " and symbols[4:] == ["b", "a"] and len(set(symbols)) == 6
    file.write_text("")
    with pytest.raises(FormatError, match="is empty"):
        mms.symbols_of(file)


# Hugging Face.

KINDS = {"one": ONE_SPEAKER, "two": TWO_SPEAKERS, "one deterministic": DETERMINISTIC,
         "two deterministic": (*TWO_SPEAKERS, *DETERMINISTIC)}


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", reason="transformers is not installed")


@pytest.mark.newest
@pytest.mark.parametrize("kind", KINDS)
def test_a_vits_model_sounds_like_ours(tmp_path, kind, transformers):
    weights = tiny_weights(KINDS[kind])
    written = formats.write("huggingface", weights, tmp_path)
    model = transformers.VitsModel.from_pretrained(tmp_path).eval()
    model.noise_scale = model.noise_scale_duration = 0.0
    voice = voice_of(weights)
    for speaker in (0, 1) if "two" in kind else (None,):
        ids = torch.tensor([voice.text.encode("hello there, you")])
        with torch.no_grad():
            theirs = model(ids, speaker_id=speaker).waveform[0].numpy()
        ours = voice.speak("hello there, you", speaker=speaker, noise_scale=0.0, noise_scale_duration=0.0).samples
        assert ours.shape == theirs.shape and np.abs(ours - theirs).max() < 1e-4 and np.abs(ours).max() > 0.01
    assert any(check.startswith("differs by") and float(check.split()[2]) < 1e-4 for check in written.checks)
    assert set(checkpoint.load_foreign(tmp_path / "model.safetensors")) == set(model.state_dict())


@pytest.mark.parametrize(("cleaners", "texts"), [
    (["basic_cleaners"], ["Hello there, you!", "ABC kick", "isn't it? - yes"]),
    (["espeak"], ["həlˈoʊ ðˈɛɹ, juː!", "naɪntiːn"]),
    ([], ["Hello There"]),
])
def test_their_tokenizer_gives_our_ids(tmp_path, cleaners, texts, transformers):
    table = "published" if cleaners == ["espeak"] else "characters"
    weights = tiny_weights((f"data.text_cleaners={json.dumps(cleaners)}", f"data.symbols={table}"))
    formats.write("huggingface", weights, tmp_path / "first")
    tokenizer = transformers.VitsTokenizer.from_pretrained(tmp_path / "first")
    tokenizer.save_pretrained(tmp_path / "again")
    text = TextProcessor.from_config(settings.from_dict(weights.config).data)
    for each in (tokenizer, transformers.VitsTokenizer.from_pretrained(tmp_path / "again")):
        for line in texts:
            cleaned = line if cleaners == ["espeak"] else text.clean([line])[0]
            assert each(line)["input_ids"] == text.encode(cleaned)
        padded = each(texts + ["a"], padding=True)["input_ids"]
        assert max(map(max, padded)) < len(text.symbols)


def test_a_letter_that_is_the_blank_is_read_like_any_other(tmp_path, transformers):
    weights = tiny_weights((f"data.symbols={json.dumps(LETTERS)}", 'data.text_cleaners=["mms_cleaners"]'))
    formats.write("huggingface", weights, tmp_path)
    tokenizer = transformers.VitsTokenizer.from_pretrained(tmp_path)
    text = TextProcessor.from_config(settings.from_dict(weights.config).data)
    for line in ("Kick kk back, hello!", "k", "a - 3 k"):
        assert tokenizer(line)["input_ids"] == text.encode(text.clean([line])[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_vits_model_comes_back_as_it_went(tmp_path, kind, transformers):
    weights = tiny_weights(KINDS[kind])
    formats.write("huggingface", weights, tmp_path / "ours")
    model = transformers.VitsModel.from_pretrained(tmp_path / "ours")
    model.save_pretrained(tmp_path / "theirs")
    transformers.VitsTokenizer.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    for folder in ("ours", "theirs"):
        assert formats.recognise(tmp_path / folder / "model.safetensors") == "huggingface"
        imported = formats.read(tmp_path / folder)
        before = settings.from_dict(weights.config, ("model.istft_channels=512", "model.istft_layers=8"))  # not of it
        assert imported.config.model == before.model and imported.config.data.text_cleaners == ("basic_cleaners",)
        assert imported.config.data.speakers == before.data.speakers and imported.config.data.symbols == "characters"
        back = voice_of(weights._replace(config=settings.to_dict(imported.config), generator=imported.generator))
        speaker = "bob" if "two" in kind else None
        ours, theirs = (voice.speak("hello there", speaker=speaker, seed=1).samples for voice in (
            voice_of(weights), back))
        assert ours.shape == theirs.shape and np.abs(ours - theirs).max() < 1e-5
    assert imported.discriminators is None and any("no discriminators" in note for note in imported.notes)


def test_folders_of_older_versions_are_read(tmp_path, transformers):
    weights = tiny_weights(())
    formats.write("huggingface", weights, tmp_path)
    tensors = checkpoint.load_foreign(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    checkpoint.save_foreign(tmp_path / "pytorch_model.bin", published_names(tensors))  # weight_g and weight_v
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"phonemize": False, "is_uroman": True}))
    imported = formats.read(tmp_path)
    assert imported.config.data.text_cleaners == ("uroman", "mms_cleaners")
    assert any("is_uroman" in note for note in imported.notes)
    for name, tensor in imported.generator.items():
        if not name.startswith("dec."):
            assert torch.equal(tensor, weights.generator[name])
    (tmp_path / "tokenizer_config.json").write_text("{}")
    assert formats.read(tmp_path).config.data.text_cleaners == ("english_cleaners2",)


@pytest.mark.parametrize(("change", "message"), [
    ({"duration_predictor_flow_bins": 12}, "duration_predictor_flow_bins is 12, here it is 10"),
    ({"model_type": "speecht5"}, "is of a 'speecht5', expected 'vits'"),
    ({"prior_encoder_num_flows": 3}, "has no flow.flows.2"),
    ({"ffn_dim": 48}, "ffn_layers"),
])
def test_another_model_is_refused(tmp_path, change, message):
    formats.write("huggingface", tiny_weights(()), tmp_path)
    described = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(described | change))
    with pytest.raises(FormatError, match=message):
        huggingface.read(tmp_path, None)


def test_what_is_missing_in_a_vits_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected the folder of a VitsModel"):
        huggingface.read(tmp_path, None)
    formats.write("huggingface", tiny_weights(()), tmp_path)
    (tmp_path / "vocab.json").unlink()
    with pytest.raises(FileNotFoundError, match="expected the tokenizer beside the model"):
        formats.read(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"no model.safetensors and no pytorch_model.bin"):
        formats.read(tmp_path)


@pytest.mark.parametrize(("overrides", "message"), [
    (("model.resblock=2",), "model.generator is 'hifigan' with model.resblock '2'"),
    (('data.begin_end=["a", "b"]',), "data.begin_end is"),
])
def test_a_voice_that_no_vits_model_can_be_is_not_written(tmp_path, overrides, message):
    overrides = tuple(each.replace("resblock=2", 'resblock="2"') for each in overrides)
    with pytest.raises(FormatError, match=message):
        formats.write("huggingface", tiny_weights(overrides), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# The command.


def test_training_goes_on_from_a_converted_checkpoint_and_it_speaks(tmp_path, convert_here):
    published_folder(tmp_path)
    printed = convert_here(tmp_path, "-o", tmp_path / "run")
    for part in ("published, one speaker, 8000 Hz, stochastic durations", "step 20", "note: it is of epoch 3, step 20",
                 "discriminators 0.0 M parameters; state of optimizers: generator, discriminators",
                 f"train with: python train.py -m {tmp_path / 'run'}"):
        assert part in printed
    assert len(Voice.load(tmp_path / "run", "cpu").speak("abc", seed=1).samples) > 0
    files = with_corpus(write_corpus(tmp_path, None)).data
    config = settings.load(tmp_path / "run" / "config.json", (
        f"data.training_files={files.training_files}", f"data.validation_files={files.validation_files}",
        "train.total_steps=21"))
    before = checkpoint.load(checkpoint.newest(tmp_path / "run"))
    state = trainer.fit(config, tmp_path / "run", torch.device("cpu"))
    after = checkpoint.load(checkpoint.newest(tmp_path / "run"))
    assert state.step == after["step"] == 21
    moments = [payload["generator_updater"]["optimizer"]["state"][0]["step"].item() for payload in (before, after)]
    assert moments == [2, 3]
    assert not torch.equal(before["generator"]["enc_p.emb.weight"], after["generator"]["enc_p.emb.weight"])


def test_a_voice_without_discriminators_becomes_a_release_to_start_from(tmp_path, convert_here):
    published_folder(tmp_path, parts=("G",))
    printed = convert_here(tmp_path / "G_20.pth", "-o", tmp_path / "voice", "--set", "train.batch_size=2")
    assert "--init-from" in printed and "note: no discriminators (D_20.pth)" in printed
    assert settings.load(tmp_path / "voice" / "config.json").train.batch_size == 2
    assert sorted(file.name for file in (tmp_path / "voice").iterdir()) == ["config.json", "model.safetensors"]
    assert len(Voice.load(tmp_path / "voice", "cpu").speak("abc", seed=1).samples) > 0
    config = with_corpus(write_corpus(tmp_path, None), ("train.total_steps=1",
                                                        f"train.init_from={tmp_path / 'voice'}"))
    assert trainer.fit(config, tmp_path / "run", torch.device("cpu")).step == 1


def test_a_converted_run_goes_on_where_fp16_scales_the_loss(tmp_path):
    published_folder(tmp_path)
    imported = formats.read(tmp_path)
    convert.write_run(imported, tmp_path / "run")
    payload = checkpoint.load(checkpoint.newest(tmp_path / "run"))
    judges = Discriminators(imported.config.discriminator)
    updater = Updater(judges, 1e-3, imported.config.train, uses_scaler=True)
    updater.load_state_dict(payload["discriminator_updater"])
    assert updater.is_lowering_scale and updater.optimizer.state_dict()["state"][0]["step"] == 2


def test_a_folder_with_checkpoints_is_not_written_over(tmp_path):
    published_folder(tmp_path)
    imported = formats.read(tmp_path)
    convert.write_run(imported, tmp_path / "run")
    with pytest.raises(ValueError, match="holds checkpoints already"):
        convert.write_run(imported, tmp_path / "run")


@pytest.mark.parametrize("parts", ["G", "GD"])
def test_the_folder_that_is_read_is_not_written_over(tmp_path, parts):
    published_folder(tmp_path, parts=tuple(parts))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    done = command(tmp_path, "-o", tmp_path)
    assert done.returncode == 2 and "holds a config.json" in done.stderr and "Traceback" not in done.stderr
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_formats_that_are_not_there_and_not_readable_are_named():
    with pytest.raises(FormatError, match="unknown format 'onxx'"):
        formats.module_of("onxx")
    done = command("x", "-o", "y", "--from", "piper")
    assert done.returncode == 2 and "invalid choice: 'piper'" in done.stderr
    with pytest.raises(FormatError, match="mms can be read, not written"):
        formats.write("mms", tiny_weights(()), ROOT / "nowhere")


# Files that mean harm


def test_a_published_configuration_brings_no_files_to_run_or_read(tmp_path, convert_here):
    published_folder(tmp_path, parts=("G",))
    trace = tmp_path / "trace"
    (tmp_path / "evil.py").write_text(f"open({str(trace)!r}, 'w').write('x')")
    tree = json.loads((tmp_path / "config.json").read_text())
    tree["model"]["plugins"] = tree["train"]["callbacks"] = [str(tmp_path / "evil.py")]
    tree["train"] |= {"test_sentences": "/etc/passwd", "init_from": "/etc", "trackers": ["wandb"]}
    (tmp_path / "config.json").write_text(json.dumps(tree))
    told = convert_here(tmp_path, "-o", tmp_path / "out")
    assert "model.plugins" in told and "train.callbacks" in told and not trace.exists()
    config = settings.load(tmp_path / "out" / "config.json")
    assert config.model.plugins == config.train.callbacks == () and config.train.init_from is None
    tree["data"]["symbols"] = str(tmp_path / "evil.py")
    (tmp_path / "config.json").write_text(json.dumps(tree))
    with pytest.raises(formats.FormatError, match="No file is read"):
        formats.read(tmp_path)


@pytest.mark.parametrize("name", ["model", "optimizer", "enc_p.emb.weight"])
def test_a_published_file_with_odd_values_is_one_message_or_read(tmp_path, name):
    published_folder(tmp_path, parts=("G",))
    good = torch.load(tmp_path / "G_20.pth")
    for value in (-1, {1: 2}, torch.zeros(()), torch.zeros(2, device="meta"), torch.zeros(1).expand(10**5, 10**5),
                  {"state": 3}, {"state": {0: {"step": "x", "exp_avg": 1, "exp_avg_sq": 2}}, "param_groups": [{}]}):
        changed = {**good, name: value} if name in good else {**good, "model": {**good["model"], name: value}}
        torch.save(changed, tmp_path / "G_20.pth")
        with contextlib.suppress(ValueError, FileNotFoundError):
            formats.read(tmp_path, name="published")


@pytest.mark.parametrize("section, key", [("model", "n_layers"), ("model", "upsample_rates"), ("model", "use_sdp"),
                                          ("data", "sampling_rate"), ("data", "n_speakers"), ("data", "symbols")])
def test_a_published_configuration_with_odd_values_is_one_message_or_read(tmp_path, section, key):
    published_folder(tmp_path, parts=("G",))
    tree = json.loads((tmp_path / "config.json").read_text())
    for value in (None, 10**6, 10**12, "/etc/passwd", [10**9]):
        (tmp_path / "config.json").write_text(json.dumps({**tree, section: {**tree[section], key: value}}))
        with contextlib.suppress(ValueError, FileNotFoundError):
            formats.read(tmp_path, name="published")
