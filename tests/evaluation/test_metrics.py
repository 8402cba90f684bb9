"""Measures: known answers where there are some, other implementations, and good sounds apart from bad ones."""

import re
import sys

import numpy as np
import pytest

from audio.io import Wav, read_wav
from config import DataConfig
from evaluation import metrics
from evaluation.cepstra import DECIBELS, mel_alpha, mel_cepstra
from evaluation.metrics import AnalysedAudio, LineMeter, MeterContext, WorldMeter, open_meters
from mel_processing import griffin_lim
from text import espeak

RATE = 16000
TEXT = "in being comparatively modern."


def voice(hz, seconds=0.7, vowel=700.0):
    """A hummed vowel [S]: pulses through one resonance, with a little noise."""
    time = np.arange(round(seconds * RATE)) / RATE
    pulses = sum(np.cos(2 * np.pi * hz * k * time) / (1 + ((hz * k - vowel) / 200) ** 2) for k in range(1, 30))
    noise = np.random.default_rng(0).standard_normal(len(time))
    return (0.2 * pulses / np.abs(pulses).max() + 1e-4 * noise).astype(np.float32)


def world(samples, reference):
    pytest.importorskip("pyworld")
    return WorldMeter(MeterContext()).measure(AnalysedAudio(samples, RATE, TEXT, reference=reference))


@pytest.fixture
def clip(shared_data):
    return read_wav(shared_data / "ljspeech32" / "wavs" / "LJ001-0002.wav")


@pytest.mark.parametrize(("rate", "alpha"), [(8000, 0.312), (16000, 0.41), (22050, 0.455), (44100, 0.544)])
def test_alpha_is_as_sptk_has_it(rate, alpha):
    assert mel_alpha(rate) == pytest.approx(alpha, abs=5e-4)


def test_mel_cepstra_are_those_of_sptk():
    pysptk = pytest.importorskip("pysptk")
    power = np.exp(0.2 * np.random.default_rng(0).normal(size=(5, 513)).cumsum(axis=1))
    assert np.allclose(mel_cepstra(power, 0.41), pysptk.sp2mc(power, 24, 0.41), atol=1e-9)


@pytest.mark.parametrize("m", [1, 3, 24])
def test_a_filter_whose_cepstrum_is_known_is_found_with_its_decibels(m):
    angle, alpha = np.linspace(0, np.pi, 513), 0.41
    warped = angle + 2 * np.arctan2(alpha * np.sin(angle), 1 - alpha * np.cos(angle))
    power = np.exp(2 * 0.3 * np.cos(m * warped))[None]
    expected = np.zeros(25)
    expected[m] = 0.3
    assert np.allclose(mel_cepstra(power, alpha)[0], expected, atol=1e-6)
    assert DECIBELS * 0.3 == pytest.approx(0.3 * 6.1418515)


def test_a_sound_differs_from_itself_by_nothing_and_loudness_does_not_count():
    sound = voice(150)
    assert world(sound, sound) == {"mcd": 0, "f0_rmse": 0, "voicing_error": 0}
    assert world(0.5 * sound, sound)["mcd"] < 0.05


def test_the_distortion_is_that_of_a_plain_calculation_with_other_tools():
    pyworld, pysptk = pytest.importorskip("pyworld"), pytest.importorskip("pysptk")
    sounds = voice(150, 0.4), voice(170, 0.5, vowel=1100)
    cepstra = []
    for sound in sounds:
        wav = sound.astype(np.float64)
        pitch, times = pyworld.dio(wav, RATE)
        power = pyworld.cheaptrick(wav, pyworld.stonemask(wav, pitch, times, RATE), times, RATE)
        cepstra.append(pysptk.sp2mc(np.maximum(power, power.max() * 1e-8), 24, pysptk.util.mcepalpha(RATE))[:, 1:])
    distance = np.sqrt(((cepstra[0][:, None] - cepstra[1][None]) ** 2).sum(axis=2))
    best = {(-1, -1): (0.0, 0)}  # last pair of frames -> least sum of distances, pairs
    for i in range(distance.shape[0]):
        for j in range(distance.shape[1]):
            before = [best[pair] for pair in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if pair in best]
            total, pairs = min(before, key=lambda one: one[0])
            best[i, j] = total + distance[i, j], pairs + 1
    total, pairs = best[distance.shape[0] - 1, distance.shape[1] - 1]
    plain = 10 * np.sqrt(2) / np.log(10) * total / pairs
    assert world(*sounds)["mcd"] == pytest.approx(plain, rel=0.01) and plain > 3


def test_a_voice_a_semitone_higher_is_100_cents_off():
    values = world(voice(150 * 2 ** (1 / 12), 1.5), voice(150, 1.5))
    assert values["f0_rmse"] == pytest.approx(100, abs=12) and values["voicing_error"] < 10


def test_a_hiss_is_voiceless_and_has_no_pitch_error():
    hiss = 0.1 * np.random.default_rng(1).standard_normal(10000).astype(np.float32)
    values = world(hiss, voice(150))
    assert values["voicing_error"] > 70 and "f0_rmse" not in values


def test_time_is_warped_but_kept_in_the_timing():
    sound, slow = voice(150, 0.5), voice(150, 0.75)
    silence = np.zeros(4000, np.float32)
    padded = np.concatenate([silence, slow, silence])
    assert world(padded, sound)["mcd"] < 2 < world(voice(150, 0.5, vowel=1100), sound)["mcd"]
    values = metrics.TimingMeter(MeterContext()).measure(AnalysedAudio(padded, RATE, TEXT, reference=sound))
    assert values["duration_ratio"] == pytest.approx(1.5, abs=0.03)
    assert values["rate_error"] == pytest.approx(100 / 3, abs=1.5)


@pytest.mark.parametrize(("sound", "text", "note"), [
    (voice(150, 2), TEXT, ""), (voice(150, 0.5), "Yes.", ""), (voice(150, 8), "日本語の" * 6, ""),
    (8 * voice(150, 2), TEXT, "peak 1.60"), (0.01 * voice(150, 2), TEXT, "-6[0-9] dBFS"),
    (voice(150, 6), TEXT, "5 characters a second"), (np.zeros(0), TEXT, "no sound"), (np.zeros(99), TEXT, "no sound"),
    (np.array([0.1, np.nan]), TEXT, "not finite")])
def test_what_cannot_be_speech_is_told_with_its_reason(sound, text, note):
    meter = metrics.SanityMeter(MeterContext())
    heard = AnalysedAudio(sound, RATE, text)
    assert re.fullmatch(note, meter.notes(heard)), meter.notes(heard)
    assert meter.measure(heard) == {"sane": 0 if note else 100}


def lines_of(sound, rate, hop):
    return LineMeter(MeterContext()).measure(AnalysedAudio(sound.astype(np.float32), rate, TEXT, hop_length=hop))


@pytest.mark.parametrize(("rate", "hop"), [(16000, 160), (22050, 256), (48000, 512), (8000, 80)])
def test_lines_at_the_frame_rate_are_told_by_their_decibels_above_what_lies_between(rate, hop):
    time = np.arange(8 * rate)
    hiss = 0.01 * np.random.default_rng(0).standard_normal(len(time))
    amplitude = 0.002
    lines = sum(amplitude * np.cos(2 * np.pi * k * time / hop + k * k) for k in range(5, hop // 2))
    window = np.hanning(10 * hop)
    above = 10 * np.log10((amplitude / 2 * window.sum()) ** 2 / (0.01**2 * np.square(window).sum()))
    noise_bias = 10 / np.log(10) * np.euler_gamma  # of a mean of logarithms of noise's power
    assert lines_of(hiss, rate, hop)["frame_lines"] == pytest.approx(0, abs=0.5)
    assert lines_of(hiss + lines, rate, hop)["frame_lines"] == pytest.approx(above + noise_bias, abs=1)
    elsewhere = sum(amplitude * np.cos(2 * np.pi * (k + 0.3) * time / hop + k * k) for k in range(5, hop // 2 - 1))
    assert lines_of(hiss + elsewhere, rate, hop)["frame_lines"] == pytest.approx(0, abs=0.5)


def test_a_recording_has_no_lines_and_where_none_can_be_told_nothing_is_said(clip):
    assert lines_of(clip.samples, clip.sampling_rate, 256)["frame_lines"] == pytest.approx(0, abs=1)
    loud = voice(150)
    assert lines_of(loud, RATE, 0) == lines_of(loud[:1500], RATE, 160) == lines_of(0 * loud, RATE, 160) == {}
    assert lines_of(loud, RATE, 4) == {}, "a frame rate above the band"


@pytest.mark.parametrize(("kind", "name", "package"), [
    (metrics.PesqMeter, "pesq", "pesq"), (metrics.StoiMeter, "stoi", "pystoi")])
def test_measures_of_copies_fall_with_noise_and_need_the_same_timing(clip, kind, name, package):
    pytest.importorskip(package)
    noise = np.random.default_rng(0).standard_normal(len(clip.samples)).astype(np.float32)
    heard = [AnalysedAudio(clip.samples + level * noise, clip.sampling_rate, TEXT, reference=clip.samples,
                           keeps_time=True) for level in (0.0, 0.01, 0.1)]
    values = [kind(MeterContext()).measure(one)[name] for one in heard]
    assert values[0] > values[1] > values[2]
    assert kind(MeterContext()).measure(heard[0]._replace(keeps_time=False)) == {}


def test_griffin_lim_sounds_like_the_recording_and_pieces_shuffled_do_not(clip):
    pytest.importorskip("pyworld")
    copy = griffin_lim(clip.samples, DataConfig(), iterations=10)
    assert copy.shape == clip.samples.shape and copy.dtype == np.float32
    pieces = [clip.samples[i:i + 3000] for i in range(0, len(clip.samples), 3000)]
    shuffled = np.concatenate([pieces[i] for i in np.random.default_rng(1).permutation(len(pieces))])
    good, bad = (WorldMeter(MeterContext()).measure(
        AnalysedAudio(sound, clip.sampling_rate, TEXT, reference=clip.samples)) for sound in (copy, shuffled))
    assert good["mcd"] + 1 < bad["mcd"] and good["mcd"] < 6
    envelopes = [np.convolve(np.abs(sound), np.ones(200))[::20] for sound in (copy, clip.samples)]
    lags = np.correlate(envelopes[0], envelopes[1], "full").argmax() - len(envelopes[1]) + 1
    assert abs(lags) <= 3  # of 0.9 ms: it keeps the time


@pytest.mark.parametrize("length", [0, 100, 1024])
def test_griffin_lim_of_less_than_a_frame_is_silence(length):
    assert np.array_equal(griffin_lim(np.ones(length), DataConfig()), np.zeros(length))


@pytest.fixture(scope="module")
def meters():
    names = [name for name in metrics.ALL if name not in ("quality", "whisper")]
    return open_meters(names, MeterContext(candidates=[TEXT, "has never been surpassed."],
                                           recordings={None: [Wav(voice(150, 2), RATE)]}))[0]


@pytest.mark.parametrize("sound", [np.zeros(0), np.zeros(1), np.full(30, 0.1), np.zeros(8000), voice(150, 0.03),
                                   np.full(8000, np.nan), np.full(8000, 0.5)],
                         ids=["nothing", "one sample", "30 samples", "silence", "30 ms", "not a number", "constant"])
def test_no_meter_fails_at_sounds_that_are_no_speech(meters, sound):
    sound, speech = sound.astype(np.float32), voice(150, 1)
    for meter in meters:
        for samples, reference in ((sound, speech), (speech, sound), (sound, None)):
            heard = AnalysedAudio(samples, RATE, TEXT, reference=reference, keeps_time=True)
            values = meter.measure(heard)
            assert set(values) <= {measure.name for measure in meter.measures}
            assert np.isfinite(list(values.values())).all()
            assert isinstance(meter.notes(heard), str)


def test_meters_of_words_find_the_sentence_that_was_said():
    pytest.importorskip("pocketsphinx")
    texts = ["My sister and I share a room upstairs.", "She put the letter in her coat pocket."]
    opened, _ = open_meters(["sentence", "words"], MeterContext(candidates=texts))
    [sound] = espeak.speak(texts[:1], words_per_minute=140)
    heard = AnalysedAudio(sound.astype(np.float32) / 32768, espeak.SAMPLING_RATE, texts[0])
    right = {name: value for meter in opened for name, value in meter.measure(heard).items()}
    wrong = {name: value for meter in opened for name, value in meter.measure(heard._replace(text=texts[1])).items()}
    assert right["sentence_id"] == 100 and wrong["sentence_id"] == 0
    assert right["words_heard"] > 40 > wrong["words_heard"] and right["wer"] < wrong["wer"]
    assert opened[1].notes(heard) and all(measure.is_costly for meter in opened for measure in meter.measures)
    assert all(meter.measure(heard._replace(text="...")) == {} for meter in opened)


def test_a_meter_that_cannot_be_had_is_absent_with_its_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyworld", None)
    opened, absent = open_meters(["sanity", "world", "speaker"])
    assert [type(meter) for meter in opened] == [metrics.SanityMeter]
    assert absent["mcd"] == absent["f0_rmse"] and absent["mcd"].startswith("needs pyworld, which cannot be imported (")
    assert absent["mcd"].endswith('pip install -e ".[evaluate]"')
    if "resemblyzer" not in absent["speaker_similarity"]:
        assert absent["speaker_similarity"].startswith("there are no recordings of the speaker to compare with")


def test_a_sound_is_compared_with_the_speakers_recordings():
    pytest.importorskip("resemblyzer")
    tones = {name: 0.3 * np.sin(2 * np.pi * pitch * np.arange(32000) / 16000).astype(np.float32)
             for name, pitch in (("low", 120), ("high", 400))}
    recordings = {name: [Wav(samples, 16000)] for name, samples in tones.items()}
    [meter], absent = open_meters(["speaker"], MeterContext(recordings=recordings))
    assert not absent
    own, other = (meter.measure(AnalysedAudio(tones["low"], 16000, "", "en-us", None, speaker=name))
                  for name in ("low", "high"))
    assert own["speaker_similarity"] > 0.95 and own["speaker_similarity"] > other["speaker_similarity"]


@pytest.mark.parametrize(("name", "module", "measure"), [
    ("world", "pyworld.pyworld", "mcd"), ("pesq", "pesq._pesq", "pesq"), ("stoi", "pystoi.utils", "stoi")])
def test_a_meter_whose_package_is_there_and_cannot_be_imported_is_absent(monkeypatch, name, module, measure):
    package = pytest.importorskip(metrics.METERS.get(name).needs[0]).__name__
    for loaded in [each for each in sys.modules if each.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    opened, absent = open_meters([name])
    assert not opened and module in absent[measure]


def test_an_error_of_a_meter_itself_is_raised_with_its_cause(monkeypatch):
    def fail(context):
        import no_such_module_of_our_own  # noqa: F401

    monkeypatch.setitem(metrics.METERS._builders, "sanity", type("Broken", (metrics.SanityMeter,), {
        "__init__": lambda self, context: fail(context)}))
    with pytest.raises(RuntimeError, match="the meter sanity cannot be opened: ModuleNotFoundError") as caught:
        open_meters(["sanity"])
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_listener_is_absent_for_languages_it_does_not_know_and_without_rivals():
    pytest.importorskip("pocketsphinx")
    opened, absent = open_meters(["sentence", "words"], MeterContext("de", [TEXT]))
    assert not opened and set(absent.values()) == {"pocketsphinx recognises English only, the language is de"}
    assert set(absent) == {"sentence_id", "wer", "words_heard"}
    assert "expected two or more" in open_meters(["sentence"], MeterContext(candidates=[TEXT]))[1]["sentence_id"]


def test_a_meter_that_nobody_made_is_refused():
    with pytest.raises(ValueError, match="unknown meter 'wrold'; did you mean 'world'?"):
        open_meters(["wrold"])


def test_all_meters_are_registered_and_no_two_give_the_same_measure():
    given = [measure.name for name in metrics.ALL for measure in metrics.METERS.get(name).measures]
    assert len(given) == len(set(given)) and "mcd" in given
