"""A trained voice speaks: reproducibly, as told, and with clear words when it cannot."""

import math
import warnings

import numpy as np
import pytest
import soundfile
import torch

import checkpoint
import trainer
from models import SynthesizerTrn
from synthesis import Voice
from tests.conftest import with_corpus, write_corpus

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of one voice, two steps old."""
    folder = tmp_path_factory.mktemp("one")
    trainer.fit(with_corpus(write_corpus(folder, None), ("train.total_steps=2",)), folder / "run", CPU)
    return folder / "run"


@pytest.fixture(scope="module")
def voice(run):
    return Voice.load(run, "cpu")


@pytest.fixture(scope="module")
def duo(tmp_path_factory):
    """A voice of two speakers."""
    folder = tmp_path_factory.mktemp("two")
    lists = write_corpus(folder, ("bob", "alice"))
    config = with_corpus(lists, ("train.total_steps=2", "data.n_speakers=2", "model.gin_channels=8"))
    trainer.fit(config, folder / "run", CPU)
    return Voice.load(folder / "run", "cpu")


def test_the_same_seed_gives_the_same_sound_and_another_seed_another(voice):
    first, again, other = (voice.speak("abc def", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.samples, again.samples)
    assert first.samples.shape != other.samples.shape or not np.array_equal(first.samples, other.samples)
    assert first.samples.dtype == np.float32 and first.sample_rate == 8000
    assert np.isfinite(first.samples).all() and np.abs(first.samples).max() <= 1


def test_durations_add_up_to_the_sound(voice):
    audio = voice.speak("abc def ghi", seed=3)
    assert len(audio.durations) == len(audio.text_ids) == 2 * len("abc def ghi") + 1
    assert audio.durations.sum() == len(audio.samples)
    assert audio.seconds == len(audio.samples) / 8000


def test_training_text_and_spoken_text_become_the_same_ids(voice):
    [cleaned] = voice.text.clean(["ABC  def"])
    assert voice.speak("ABC  def").text_ids == tuple(voice.text.encode(cleaned))


def test_speed_scales_the_length(voice):
    ids = voice.text.encode("abc def ghi jkl mno abc def ghi")
    slow, normal = (voice.speak_ids(ids, speed=s, noise_scale_duration=0).durations.sum() for s in (0.5, 1))
    assert 1.4 * normal < slow < 2.1 * normal  # whole frames: each symbol is rounded up


def test_given_durations_are_spoken_exactly(voice):
    ids = voice.text.encode("abc")
    audio = voice.speak_ids(ids, durations=[0, 4, 1, 2, 0, 9, 0])
    assert audio.durations.tolist() == [64 * n for n in (0, 4, 1, 2, 0, 9, 0)]
    assert len(audio.samples) == 64 * 16


def test_unknown_symbols_are_named_in_a_warning_and_the_rest_is_spoken(voice):
    with pytest.warns(UserWarning, match=r"'→' \(U\+2192\)"):
        audio = voice.speak("abc → def")
    assert len(audio.samples) > 0


@pytest.mark.parametrize("text", ["", "   ", "\n", "→"])
def test_nothing_to_say_is_an_error(voice, text):
    with warnings.catch_warnings(), pytest.raises(ValueError, match="nothing to say in"):
        warnings.simplefilter("ignore")
        voice.speak(text)


@pytest.mark.parametrize(("control", "message"), [
    ({"speed": 0.0}, "speed is 0.0; it must be above 0"), ({"speed": -1.0}, "speed is -1"),
    ({"speed": math.nan}, "speed is nan"), ({"noise_scale": -0.1}, "noise_scale is -0.1; it must be 0 or more"),
    ({"noise_scale_duration": math.inf}, "noise_scale_duration is inf")])
def test_controls_out_of_range_are_errors(voice, control, message):
    with pytest.raises(ValueError, match=message):
        voice.speak("abc", **control)


def test_ids_and_durations_that_do_not_fit_are_errors(voice):
    with pytest.raises(ValueError, match="ids must be one or more numbers from 0 to 70"):
        voice.speak_ids([5, 71])
    with pytest.raises(ValueError, match="ids must be"):
        voice.speak_ids([])
    with pytest.raises(ValueError, match="durations must be 2 numbers of frames"):
        voice.speak_ids([5, 6], durations=[1])


def test_speakers_are_known_by_name_and_by_number(duo):
    assert duo.speakers == ("alice", "bob")
    by_name = duo.speak("abc", speaker="bob", seed=1)
    assert np.array_equal(by_name.samples, duo.speak("abc", speaker=1, seed=1).samples)
    assert by_name.samples.shape != duo.speak("abc", speaker="alice", seed=1).samples.shape or not np.array_equal(
        by_name.samples, duo.speak("abc", speaker="alice", seed=1).samples)


def test_a_wrong_or_missing_speaker_is_an_error_that_lists_them(voice, duo):
    with pytest.raises(ValueError, match="has 2 speakers; choose one of alice, bob"):
        duo.speak("abc")
    with pytest.raises(ValueError, match="alice"):
        duo.speak("abc", speaker="alicia")
    with pytest.raises(ValueError, match="this voice has one speaker"):
        voice.speak("abc", speaker="bob")


def test_a_recording_is_converted_to_another_speaker(duo, voice, tmp_path):
    soundfile.write(tmp_path / "in.wav", np.sin(np.arange(8000) / 20) * 0.2, 16000)  # another rate than the voice's
    audio = duo.convert(tmp_path / "in.wav", "alice", "bob", seed=1)
    assert len(audio.samples) == 4000 // 64 * 64 and np.isfinite(audio.samples).all()
    assert np.array_equal(audio.samples, duo.convert(tmp_path / "in.wav", "alice", "bob", seed=1).samples)
    assert not np.array_equal(audio.samples, duo.convert(tmp_path / "in.wav", "alice", "alice", seed=1).samples)
    with pytest.raises(ValueError, match="voice conversion needs a voice of several speakers"):
        voice.convert(tmp_path / "in.wav", "a", "b")


def test_what_is_saved_is_what_was_said(voice, tmp_path):
    audio = voice.speak("abc", seed=1)
    audio.save(tmp_path / "new" / "a.wav")
    read, rate = soundfile.read(tmp_path / "new" / "a.wav", dtype="float32")
    assert rate == 8000 and np.abs(read - audio.samples).max() <= 1 / 32768


def test_a_voice_loads_from_a_checkpoint_file_too_and_speaks_the_average(run, voice):
    newest = checkpoint.newest(run)
    same = Voice.load(newest, "cpu").speak("abc", seed=1)
    assert np.array_equal(same.samples, voice.speak("abc", seed=1).samples)
    kept = checkpoint.load(newest)
    average = kept["average"]["enc_p.proj.bias"]
    assert torch.equal(average, voice.model.enc_p.proj.bias) and not torch.equal(
        average, kept["generator"]["enc_p.proj.bias"])


def test_folding_weight_norm_leaves_the_sound(run, voice):
    folded = voice.speak("abc", seed=1).samples
    model = SynthesizerTrn(71, voice.config).eval()
    checkpoint.load_state(model, checkpoint.read_weights(run).generator, run, "generator")
    ids = torch.tensor([voice.text.encode("abc")])
    out = model.infer(ids, torch.tensor([ids.shape[1]]), seed=1)
    assert np.abs(out.wav[0, 0].clamp(-1, 1).numpy() - folded).max() < 1e-5


def test_settings_are_overridden_at_loading(run):
    voice = Voice.load(run, "cpu", ["data.text_cleaners=[]"])
    assert voice.text.clean(["ABC"]) == ["ABC"]
    with pytest.raises(ValueError, match="did you mean 'data.text_cleaners'"):
        Voice.load(run, "cpu", ["data.text_cleaner=[]"])


def test_an_unavailable_device_is_an_error(run):
    if torch.backends.mps.is_available():
        pytest.skip("this machine has MPS")
    with pytest.raises(ValueError, match="device 'mps' is not available here; usable: .*cpu"):
        Voice.load(run, "mps")
