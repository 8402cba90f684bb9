"""A run that learns from the voice that read its corpus: what the targets are, what trains, and what is refused."""

import contextlib
import json
import warnings

import numpy as np
import pytest
import torch

import checkpoint
import config as settings
import preprocess
from audio.io import read_wav
from config import ConfigError
from data_utils import Collate, open_corpus
from synthesis import Voice
from tests.conftest import tiny, with_corpus, write_corpus
from text import TextProcessor
from training import trainer
from training.step import new_networks
from training.teacher import KEPT, Teacher

CPU = torch.device("cpu")
GENERATOR_ONLY = 'train.trainable=["dec.*","pitch.*"]'


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A voice without posterior, and filelists of a corpus that it read."""
    folder = tmp_path_factory.mktemp("taught")
    lists = write_corpus(folder, None)
    trainer.fit(with_corpus(lists, ("train.total_steps=2",)), folder / "run", CPU)
    (folder / "texts.txt").write_text("\n".join(["abc def ghi", "def mno abc jkl", "ghi", "jkl abc mno def ghi abc",
                                                 "mno mno abc"]) + "\n")
    preprocess.main(["voice", str(folder / "texts.txt"), "--voice", str(folder / "run"), "--out",
                     str(folder / "corpus"), "--jobs", "1", "--validation", "0.3"])
    return folder / "run", {"train": folder / "corpus" / "train.txt", "valid": folder / "corpus" / "val.txt"}


def student(taught, *overrides):
    """The configuration of a run that learns from the voice."""
    voice, lists = taught
    return with_corpus(lists, (f"train.teacher={voice}", "data.cleaned_text=true", *overrides))


def batch_of(taught):
    config = student(taught)
    dataset = open_corpus(config.data.training_files, config, TextProcessor.from_config(config.data))
    return Collate(config.train.segment_size, config.data.hop_length)([dataset[i] for i in range(len(dataset))])


def test_the_targets_are_what_was_computed_when_the_corpus_was_read(taught):
    teacher, batch = Teacher(str(taught[0]), CPU), batch_of(taught)
    targets = teacher.targets(batch)
    model = teacher.voice.model
    with torch.no_grad():
        prior = model.enc_p(batch.text_ids, batch.text_lengths)
        for i, name in enumerate(batch.names):
            n_tokens, n_frames = int(batch.text_lengths[i]), int(targets.durations[i].sum())
            assert n_frames == int(batch.wav_lengths[i]) // 64
            wav = model.dec(targets.z[i : i + 1, :, :n_frames])[0, 0]
            assert np.abs(wav.numpy() - read_wav(name).samples).max() < 2e-3  # of half precision and 16 bits
            torch.testing.assert_close(targets.prior_mean[i, :, :n_tokens], prior.mean[i, :, :n_tokens], rtol=0.01,
                                       atol=0.002)
            z = model.flow.inverse(targets.z_p[i : i + 1, :, :n_frames], torch.ones(1, 1, n_frames))
            torch.testing.assert_close(z, targets.z[i : i + 1, :, :n_frames], rtol=0.01, atol=0.01)


def test_what_was_computed_is_kept_beside_the_audio(taught):
    teacher, batch = Teacher(str(taught[0]), CPU), batch_of(taught)
    first = teacher.targets(batch)
    teacher.voice.model = None
    again = teacher.targets(batch)
    assert torch.equal(first.z, again.z) and torch.equal(first.prior_logstd, again.prior_logstd)
    with np.load(batch.names[0].replace(".wav", ".run.npz")) as kept:
        assert set(kept) == set(KEPT) and {kept[name].dtype for name in KEPT} == {np.dtype(np.float16)}


def test_a_copy_of_the_teacher_has_nothing_to_learn(taught):
    teacher, batch = Teacher(str(taught[0]), CPU), batch_of(taught)
    targets = teacher.targets(batch)
    with torch.no_grad():
        out = teacher.voice.model(batch.text_ids, batch.text_lengths, torch.zeros(0), batch.wav_lengths // 64,
                                  targets=targets)
    assert float(out.teacher_prior) == pytest.approx(0, abs=1e-3)
    assert float(out.teacher_flow) == pytest.approx(0, abs=1e-4)
    assert torch.equal(out.durations, targets.durations)


@pytest.mark.parametrize("generator", ["istft", "harmonic"])
def test_a_generator_alone_learns_on_windows_of_the_same_latent(taught, generator):
    config = student(taught, f"model.generator={generator}", GENERATOR_ONLY)
    network = new_networks(config, len(TextProcessor.from_config(config.data).symbols), CPU).generator
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(("dec.", "pitch.")))
    teacher, batch = Teacher(str(taught[0]), CPU), batch_of(taught)
    whole = teacher.targets(batch)
    cut, targets = teacher.batch_with_targets(batch, network)
    frames = targets.z.shape[2]
    assert targets.prior_mean is None and frames < whole.z.shape[2] and cut.wav.shape[1] == 64 * frames
    for i in range(len(batch.names)):
        [start] = [s for s in range(whole.z.shape[2] - frames + 1)
                   if torch.equal(whole.z[i, :, s : s + frames], targets.z[i])]
        assert torch.equal(batch.wav[i, 64 * start : 64 * (start + frames)], cut.wav[i])
        assert torch.equal(whole.pitch.voicing[i, start : start + frames], targets.pitch.voicing[i])


def test_the_text_side_of_a_student_learns_and_the_rest_stays(taught, tmp_path):
    config = student(taught, "model.hidden_channels=8", "model.duration_predictor=deterministic",
                     "train.total_steps=60", "train.eval_interval=60", "train.learning_rate=0.01",
                     'train.trainable=["enc_p.*","flow.*","dp.*"]', f"train.init_from={taught[0]}",
                     "train.allow_partial=true", "train.adversarial_start=1000")
    state = trainer.fit(config, tmp_path / "run", CPU)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    first, last = ([line for line in lines if "train/mel" in line][place] for place in (0, -1))
    for name in ("train/teacher_prior", "train/teacher_flow", "train/duration"):
        assert last[name] < 0.8 * first[name], name
    assert "train/kl" not in first and last["train/generator_grad_norm"] > 0
    kept = Voice.load(taught[0], "cpu").model.dec.state_dict()
    voice = Voice.load(tmp_path / "run", "cpu")
    assert all(torch.equal(value, kept[name]) for name, value in voice.model.dec.state_dict().items())
    assert voice.model.enc_q is None and state.generator.enc_q is None
    assert voice.speak("abc def", seed=1).samples.any()


def test_a_stopped_run_goes_on_with_its_teacher(taught, tmp_path):
    config = student(taught, "model.generator=harmonic", GENERATOR_ONLY, f"train.init_from={taught[0]}",
                     "train.allow_partial=true")
    trainer.fit(config, tmp_path / "whole", CPU)
    trainer.fit(settings.replace(config, "train", {"total_steps": 2}), tmp_path / "parts", CPU)
    again = settings.load(tmp_path / "parts" / "config.json", ("train.total_steps=4",))
    assert again.train.teacher == str(taught[0])
    trainer.fit(again, tmp_path / "parts", CPU)
    whole, parts = (checkpoint.load(checkpoint.newest(tmp_path / name))["generator"] for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_copy_of_the_teacher_decodes_the_same_sound_from_its_own_latent(taught):
    teacher, batch = Teacher(str(taught[0]), CPU), batch_of(taught)
    model, targets, sound = teacher.voice.model, teacher.targets(batch), []
    for model.own_latent in (False, True):
        torch.manual_seed(1)  # of the segments
        with torch.no_grad():
            sound.append(model(batch.text_ids, batch.text_lengths, torch.zeros(0), batch.wav_lengths // 64,
                               targets=targets).wav_fake)
    assert float((sound[0] - sound[1]).abs().max()) < 0.02 * float(sound[0].abs().max())


def test_the_sound_of_its_own_latent_teaches_the_text_side(taught, tmp_path):
    config = student(taught, "train.own_latent=true", "train.c_teacher_prior=0", "train.c_teacher_flow=0",
                     "train.c_dur=0", "train.weight_decay=0", f"train.init_from={taught[0]}",
                     "train.allow_partial=true")
    trainer.fit(config, tmp_path / "run", CPU)
    before = checkpoint.read_weights(taught[0]).generator
    after = checkpoint.read_weights(tmp_path / "run", raw=True).generator
    for part in ("enc_p.", "flow.", "dec."):
        assert any(not torch.equal(after[name], before[name]) for name in after if name.startswith(part)), part
    assert all(torch.equal(after[name], before[name]) for name in after if name.startswith("dp."))


def test_a_latent_of_ones_own_needs_a_teacher():
    with pytest.raises(ConfigError, match="train.own_latent is true without train.teacher"):
        tiny(("train.own_latent=true",))


def test_predicted_durations_keep_the_pace_of_the_teacher():
    predictor = new_networks(tiny(("model.duration_predictor=deterministic",)), 40, CPU).generator.dp.eval()
    hidden, mask = torch.randn(1, 16, 1).expand(1, 16, 4000), torch.ones(1, 1, 4000)  # nothing tells tokens apart
    durations = torch.distributions.LogNormal(0.5, 0.9).sample((1, 1, 4000)).ceil()
    optimizer = torch.optim.Adam(predictor.parameters(), lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        (predictor.teacher_loss(hidden, mask, durations).mean() / 4000).backward()
        optimizer.step()
    with torch.no_grad():
        predicted = predictor.predict(hidden, mask, None, None).exp().sum()
    assert float(predicted / (durations - 0.5).sum()) == pytest.approx(1, abs=0.01)


def test_durations_of_a_teacher_come_back_when_they_are_rounded_up(taught):
    config = tiny(("model.duration_predictor=deterministic",))
    predictor = new_networks(config, 40, CPU).generator.dp.eval()
    hidden, mask, durations = torch.randn(1, 16, 3), torch.ones(1, 1, 3), torch.tensor([[[1.0, 2.0, 7.0]]])
    predictor._log_durations = lambda *_: torch.log(durations - 0.5)
    assert float(predictor.teacher_loss(hidden, mask, durations)) == pytest.approx(0, abs=1e-6)
    assert torch.equal(torch.ceil(torch.exp(predictor.predict(hidden, mask, None, None))), durations)


def test_a_corpus_that_the_voice_did_not_read_is_refused(taught, tiny_corpus, tmp_path):
    config = with_corpus(tiny_corpus, (f"train.teacher={taught[0]}",))
    with pytest.raises(ValueError, match="preprocess.py voice made"):
        trainer.fit(config, tmp_path / "run", CPU)


def test_audio_of_another_length_is_refused(taught):
    teacher, batch = Teacher(str(taught[0]), CPU), batch_of(taught)
    longer = batch._replace(wav_lengths=batch.wav_lengths + 64)
    with pytest.raises(ValueError, match="spoken from other ids or for another time"):
        teacher.targets(longer)


def test_another_size_of_the_latent_is_refused(taught, tmp_path):
    with pytest.raises(ValueError, match="set model.inter_channels=16"):
        trainer.fit(student(taught, "model.inter_channels=8"), tmp_path / "run", CPU)


def test_the_command_names_a_teacher_that_is_missing(taught, tmp_path, monkeypatch, capsys):
    settings.save(student(taught), tmp_path / "student.json")
    monkeypatch.setattr("sys.argv", ["train.py", "-c", str(tmp_path / "student.json"), "-m", str(tmp_path / "run"),
                                     "--teacher", "runs/none"])
    with contextlib.suppress(SystemExit), warnings.catch_warnings():
        trainer.main("", multispeaker=False)
    assert "no run or checkpoint runs/none" in capsys.readouterr().err


def test_a_student_takes_text_and_audio_settings_from_its_teacher(taught):
    other = student(taught, "data.language=de", "data.sampling_rate=16000", "data.max_wav_seconds=3")
    data = Teacher(str(taught[0]), CPU).with_its_data(other).data
    assert (data.language, data.sampling_rate, data.max_wav_seconds) == ("en-us", 8000, 3)
    assert data.cleaned_text and data.training_files == other.data.training_files


