"""A trained voice speaks: reproducibly, as told, and with clear words when it cannot."""

import json
import math
import tracemalloc
import warnings

import numpy as np
import pytest
import soundfile
import torch

import checkpoint
from models import SynthesizerTrn
from synthesis import Voice
from synthesis import voice as synthesis
from synthesis.noise import SeededNoise
from synthesis.rescoring import text_likelihood
from synthesis.streaming import DEFAULT_CHUNKS, ChunkSizes, LayerStates
from synthesis.voice import Audio, SynthesisOptions
from tests.conftest import tiny, with_corpus, write_corpus
from text import TextProcessor
from text.markup import MarkupError
from text.utterances import ScriptReader, SentenceTokens
from training import trainer

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


def test_of_a_symbol_that_training_hardly_saw_the_voice_warns_once(run):
    voice = Voice.load(run, "cpu", ["data.rare_symbols=[\"d\",\"m\"]"])
    with pytest.warns(UserWarning, match="rare in the voice's training texts, and may sound wrong: 'd'; respell"):
        voice.speak("abc def", seed=1)
    with pytest.warns(UserWarning, match="rare in the voice's training texts, and may sound wrong: 'm'; respell"):
        voice.speak("def jkl mno def", seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        voice.speak("def mno", seed=1)
        Voice.load(run, "cpu", ["data.rare_symbols=[\"d\",\"m\"]"]).speak("def mno", seed=1)


def test_the_warning_of_many_rare_symbols_is_one_line(run):
    rare = "abcdefghijklmnop"
    voice = Voice.load(run, "cpu", [f"data.rare_symbols={json.dumps(list(rare))}"])
    with pytest.warns(UserWarning, match="'k', 'l' and 3 more; respell such words"):
        voice.speak("abc def ghi jkl mno", seed=1)


def test_durations_add_up_to_the_sound(voice):
    audio = voice.speak("abc def ghi", seed=3)
    assert len(audio.durations) == len(audio.text_ids) == 2 * len("abc def ghi") + 1
    assert audio.durations.sum() == len(audio.samples)
    assert audio.seconds == len(audio.samples) / 8000


def test_training_text_and_spoken_text_become_the_same_ids(voice):
    [cleaned] = voice.text.clean(["ABC  def"])
    assert voice.speak("ABC  def").text_ids == tuple(voice.text.encode(cleaned))


def test_a_speaker_that_is_not_named_as_one_is_a_clear_error(duo):
    with pytest.raises(TypeError, match="options is 'alice'; expected SynthesisOptions, or its fields by name: speak"):
        duo.speak("abc", "alice")


@pytest.mark.parametrize("speed", [0.5, 0.7, 1.3, 2.0, 4.0])
def test_speed_is_exactly_proportional(voice, speed):
    ids = voice.text.encode("abc def ghi jkl mno abc def ghi")
    plain, other = (voice.speak_ids(ids, speed=s, seed=1).durations.sum() for s in (1, speed))
    assert abs(other * speed - plain) <= 0.5 * 64 * speed  # half a frame over the whole sentence


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
    ({"speed": 0.0}, "speed is 0.0; it must be from 0.1 to 10"), ({"speed": -1.0}, "speed is -1"),
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
    out = model.infer(ids, torch.tensor([ids.shape[1]]), noise=SeededNoise([1]))
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


# Streams

LONG = "abc def ghi, jkl mno. Pqr stu!\n\nVwx yz abc def ghi jkl mno pqr stu."


@pytest.mark.parametrize("chunks", [ChunkSizes(), ChunkSizes(1, 1), ChunkSizes(5, 11, 1.5)])
def test_a_stream_joined_is_what_is_spoken_whole(voice, chunks):
    whole = voice.speak(LONG, seed=4)
    parts = list(voice.stream(LONG, seed=4, chunks=chunks))
    assert len(parts) > 5
    joined = Audio.joined(parts)
    assert np.abs(joined.samples - whole.samples).max() < 1e-5
    assert joined.timings == whole.timings and np.array_equal(joined.durations, whole.durations)


def test_ids_are_streamed_too(voice):
    ids = voice.text.encode("abc def ghi")
    parts = list(voice.stream_ids(ids, seed=1, speed=0.5))
    assert len(parts) > 1
    assert np.abs(Audio.joined(parts).samples - voice.speak_ids(ids, seed=1, speed=0.5).samples).max() < 1e-5


def test_the_first_piece_comes_before_the_rest_is_decoded(voice, monkeypatch):
    decoded = []
    conv = LayerStates.conv

    def counted(states, layer, x):
        decoded.extend([x.shape[2]] if layer is voice.model.dec.conv_pre else [])
        return conv(states, layer, x)

    monkeypatch.setattr(LayerStates, "conv", counted)
    stream = voice.stream("abc def ghi jkl mno pqr stu vwx yz " * 4, seed=1, speed=0.2, max_characters=500)
    first = next(stream)
    assert len(decoded) == 1 and len(first.samples) == DEFAULT_CHUNKS.first * 64
    assert decoded[0] <= DEFAULT_CHUNKS.first + voice.model.dec.context_frames
    assert first.timings.n_samples > 10 * len(first.samples)  # when all of the sentence will be said, known already
    assert all(chunk.timings is None for chunk in stream) and len(decoded) > 3


def test_a_text_that_is_still_being_written_is_said_sentence_by_sentence(voice):
    written = []

    def chunks():
        for chunk in ("abc de", "f. Gh", "i jkl", ". Mno"):
            written.append(chunk)
            yield chunk

    stream = voice.stream(chunks(), seed=4)
    next(stream)
    assert len(written) == 2
    rest = list(stream)
    assert sum(len(each.samples) for each in rest) > 0
    whole = voice.speak("abc def. Ghi jkl. Mno", seed=4)
    assert np.abs(Audio.joined(list(voice.stream(iter(["abc def. Ghi jk", "l. Mno"]), seed=4))).samples
                  - whole.samples).max() < 1e-5


@pytest.mark.slow
def test_a_book_needs_no_more_memory_than_a_page_and_keeps_its_pace(voice):
    """200,000 characters; only the prior half of the voice is asked, for the pace is decided there."""
    sentence = "abc def ghi jkl mno pqr stu vwx yz, abc def ghi jkl mno. "
    book = sentence * (200_000 // len(sentence))
    options = voice._options(SynthesisOptions(seed=1, noise_scale_duration=0.8), {})
    reader = ScriptReader(voice.text, voice.config.data.max_text_len)
    tracemalloc.start()
    frames, peaks = [], []
    for number, item in enumerate(item for item in reader.read(book) if isinstance(item, SentenceTokens)):
        if number % 120 == 0:
            [latent] = voice._latents([item.within(options.prosody)], [number], options)
            frames.append(latent.frames.sum())
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()
    tracemalloc.stop()
    assert number > 3000 and len(frames) > 25
    first, last = np.mean(frames[:13]), np.mean(frames[-13:])
    assert abs(last / first - 1) < 0.1
    assert max(peaks[2:]) < 1.5 * peaks[1] + 1e6


def test_texts_of_mixed_lengths_together_are_as_one_by_one(voice, duo):
    texts = ["abc", "abc def ghi jkl mno pqr stu", "x", "vwx yz. Abc def!", "ghi jkl"]
    for speaker, them in ((None, voice), ("bob", duo), ("alice->bob", duo)):
        together = them.speak_all(texts, seeds=[5, 6, 7, 8, 9], batch_size=4, speaker=speaker)
        for text, seed, audio in zip(texts, [5, 6, 7, 8, 9], together):
            alone = them.speak(text, seed=seed, speaker=speaker)
            assert np.array_equal(alone.durations, audio.durations) and alone.timings == audio.timings
            assert np.abs(alone.samples - audio.samples).max() < 1e-4
    with pytest.raises(ValueError, match="found 1 seeds for 5 texts"):
        voice.speak_all(texts, seeds=[1])
    with pytest.raises(ValueError, match="nothing to say in text 1"):
        voice.speak_all(["abc", " "])
    assert len(voice.speak_all(texts[:2], seed=1, candidates=2)) == 2


# Control

def test_durations_may_be_edited_and_said_again(voice):
    audio = voice.speak("abc def", seed=3)
    frames = audio.durations // 64
    again = voice.speak_ids(audio.text_ids, durations=frames, seed=3)
    assert np.array_equal(again.samples, audio.samples)
    frames[3] += 10
    longer = voice.speak_ids(audio.text_ids, durations=frames, seed=3)
    assert len(longer.samples) == len(audio.samples) + 640


def test_a_word_has_a_speed_of_its_own(voice):
    plain = voice.speak("abc def ghi", seed=3).timings
    slowed = voice.speak("<speak>abc <prosody rate='50%'>def</prosody> ghi</speak>", seed=3).timings
    lengths = [[word.end - word.start for word in timings.words] for timings in (plain, slowed)]
    assert [word.text for word in slowed.words] == ["abc", "def", "ghi"]
    assert abs(lengths[1][1] - 2 * lengths[0][1]) <= 3 * 64  # the blank behind it goes with the space
    assert abs(lengths[1][0] - lengths[0][0]) <= 64 and abs(lengths[1][2] - lengths[0][2]) <= 64


def test_pauses_are_exact_silence(voice):
    audio = voice.speak("<speak>abc<break time='750ms'/>def</speak>", seed=3)
    [pause] = [mark for mark in audio.timings.symbols if not mark.text and mark.end - mark.start == 6000]
    assert not audio.samples[pause.start : pause.end].any()
    assert audio.samples[: pause.start].any() and audio.samples[pause.end :].any()
    plain = voice.speak("Abc. Def.", seed=3, sentence_pause=0.123)
    assert any(mark.end - mark.start == 984 and not mark.text for mark in plain.timings.symbols)


def test_volume_is_applied_to_its_words_without_a_click(voice):
    plain = voice.speak("abc def ghi", seed=3)
    quiet = voice.speak("<speak>abc <prosody volume='-20dB'>def</prosody> ghi</speak>", seed=3)
    _, word, _ = plain.timings.words
    ramp = int(0.005 * 8000)
    inside, before = slice(word.start + ramp, word.end - 2 * 64 - ramp), slice(0, word.start - ramp)
    assert np.allclose(quiet.samples[inside], 0.1 * plain.samples[inside], atol=1e-7)
    assert np.array_equal(quiet.samples[before], plain.samples[before])
    louder = voice.speak("abc def ghi", seed=3, volume_db=-6.0)
    assert np.allclose(louder.samples, plain.samples * 10**-0.3, atol=1e-6)
    streamed = Audio.joined(list(voice.stream("<speak>abc <prosody volume='-20dB'>def</prosody> ghi</speak>", seed=3)))
    assert np.abs(streamed.samples - quiet.samples).max() < 1e-5


def test_a_voices_own_gain_raises_its_level_and_limits_its_peaks_in_pieces_as_in_the_whole(run, voice):
    plain, loud = voice.speak(LONG, seed=3), Voice.load(run, "cpu", ["speaking.gain_db=24"])
    gain = 0.5 / np.abs(plain.samples).max()  # up to here nothing is limited
    quiet = Voice.load(run, "cpu", [f"speaking.gain_db={20 * np.log10(gain)}"]).speak(LONG, seed=3)
    assert np.allclose(quiet.samples, gain * plain.samples, atol=1e-6)
    whole = loud.speak(LONG, seed=3, volume_db=20.0)
    assert 0.9 < np.abs(whole.samples).max() <= 1 and whole.timings == plain.timings
    over = np.abs(plain.samples) * 10 ** (44 / 20) > 0.8
    assert over.any() and (np.abs(whole.samples[over]) > 0.8 - 1e-6).all()
    assert np.allclose(whole.samples[~over], plain.samples[~over] * 10 ** (44 / 20), atol=1e-6)
    streamed = Audio.joined(list(loud.stream(LONG, seed=3, volume_db=20.0)))
    assert np.abs(streamed.samples - whole.samples).max() < 1e-4


def test_pitch_changes_the_sound_and_keeps_the_times(voice):
    plain, high = (voice.speak("abc def ghi", seed=3, pitch_semitones=pitch) for pitch in (0, 3))
    assert high.timings == plain.timings and len(high.samples) == len(plain.samples)
    assert np.array_equal(high.samples, Audio.joined(list(
        voice.stream("abc def ghi", seed=3, pitch_semitones=3))).samples)


def test_timings_add_up_to_the_audio(voice):
    audio = voice.speak(LONG, seed=2)
    symbols = audio.timings.symbols
    assert symbols[0].start == 0 and symbols[-1].end == len(audio.samples) == audio.timings.n_samples
    assert all(one.end == other.start for one, other in zip(symbols, symbols[1:]))
    assert [word.text for word in audio.timings.words] == LONG.translate({ord(c): None for c in ",.!"}).split()
    assert [mark.text for mark in audio.timings.sentences] == [
        "abc def ghi, jkl mno.", "Pqr stu!", "Vwx yz abc def ghi jkl mno pqr stu."]


def test_bookmarks_have_a_time(voice):
    timings = voice.speak("<speak>abc <mark name='here'/>def<mark name='end'/></speak>", seed=1).timings
    assert [mark.text for mark in timings.bookmarks] == ["here", "end"]
    assert timings.bookmarks[0].start == timings.words[1].start and timings.bookmarks[1].start == timings.n_samples


def test_strategies_are_chosen_by_name(voice):
    ids = voice.text.encode("abc def")
    frames = [2] * len(ids)
    mode, quiet, even, odd = (voice.speak_ids(ids, durations=frames, seed=seed, strategy=strategy, noise_scale=scale)
                              for seed, strategy, scale in ((4, "mode", 0.667), (9, "prior", 0.0),
                                                            (4, "antithetic", 0.667), (5, "antithetic", 0.667)))
    assert np.array_equal(mode.samples, quiet.samples)
    assert not np.array_equal(even.samples, odd.samples)
    with pytest.raises(ValueError, match="pripr.*prior"):
        voice.speak("abc", strategy="pripr")


def test_the_best_of_several_candidates_reads_back_no_worse(voice):
    def score(audio):
        return text_likelihood(voice.model, voice.config.data, torch.tensor(audio.text_ids),
                               torch.from_numpy(audio.durations // 64), torch.from_numpy(audio.samples))

    one, best = (voice.speak("abc def ghi", seed=2, speed=0.3, candidates=n) for n in (1, 5))
    assert score(best) >= score(one)
    assert np.array_equal(best.samples, voice.speak("abc def ghi", seed=2, speed=0.3, candidates=5).samples)


# Speakers

def test_speakers_are_mixed_changed_on_the_way_and_invented(duo):
    ids, frames = duo.text.encode("abc def"), [3] * 15
    say = lambda speaker: duo.speak_ids(ids, durations=frames, seed=1, speaker=speaker).samples  # noqa: E731
    assert np.abs(say("alice:1+bob:0") - say("alice")).max() < 1e-6
    assert not np.array_equal(say("alice:0.5+bob:0.5"), say("alice"))
    on_the_way = say("alice->bob")
    early, late = slice(0, 64), slice(-64, None)
    near = [np.abs(on_the_way[early] - say(who)[early]).mean() for who in ("alice", "bob")]
    far = [np.abs(on_the_way[late] - say(who)[late]).mean() for who in ("alice", "bob")]
    assert near[0] < near[1] and far[1] < far[0]
    assert np.array_equal(say("new:7"), say("new:7")) and not np.array_equal(say("new:7"), say("new:8"))


def test_the_voice_element_changes_the_speaker(duo):
    audio = duo.speak("<speak>abc <voice name='bob'>def</voice></speak>", speaker="alice", seed=1)
    assert np.array_equal(audio.samples[: audio.timings.sentences[0].end],
                          duo.speak("abc", speaker="alice", seed=1).samples)
    with pytest.raises(ValueError, match="unknown speaker 'carol'"):
        duo.speak("<speak><voice name='carol'>def</voice></speak>", speaker="alice")


def test_a_conversion_streamed_is_the_whole_one(duo, tmp_path):
    noise = np.random.default_rng(0).standard_normal(30_000) * 0.1
    soundfile.write(tmp_path / "in.wav", noise, 8000)
    whole = duo.convert(tmp_path / "in.wav", "alice", "bob", seed=1)
    parts = list(duo.stream_conversion(tmp_path / "in.wav", "alice", "bob", seed=1, chunks=ChunkSizes(8, 60)))
    assert len(parts) > 5
    assert np.abs(Audio.joined(parts).samples - whole.samples).max() < 1e-5


def test_what_cannot_be_cut_is_converted_once(duo, tmp_path, monkeypatch):
    calls = []
    converted = duo.model.converted
    monkeypatch.setattr(SynthesizerTrn, "conversion_context", None)  # as with a plugin's generator that does not tell
    monkeypatch.setattr(duo.model, "converted", lambda *given: calls.append(1) or converted(*given))
    soundfile.write(tmp_path / "in.wav", np.random.default_rng(0).standard_normal(8000) * 0.1, 8000)
    [part] = duo.stream_conversion(tmp_path / "in.wav", "alice", "bob", seed=1, chunks=ChunkSizes(8, 60))
    assert len(calls) == 1 and len(part.samples) > 7000


def test_a_conversion_streamed_runs_on_with_the_phase_of_its_pitch(tmp_path, monkeypatch):
    torch.manual_seed(0)
    config = tiny(("data.n_speakers=2", "model.gin_channels=8", "model.generator=harmonic"))
    voice = Voice(config, SynthesizerTrn(len(TextProcessor.from_config(config.data).symbols.symbols), config), CPU)
    with torch.no_grad():
        voice.model.pitch.proj.bias.copy_(torch.tensor([0.3, 9.0]))  # voiced everywhere
        voice.model.dec.filter.out.bias[: voice.model.dec.filter.BANDS + 1] = -1  # and loud
    soundfile.write(tmp_path / "in.wav", np.random.default_rng(0).standard_normal(30_000) * 0.1, 8000)
    ask = tmp_path / "in.wav", 0, 1
    whole = voice.convert(*ask, seed=1).samples

    def deviation():
        parts = list(voice.stream_conversion(*ask, seed=1, chunks=ChunkSizes(8, 60)))
        assert len(parts) > 5
        return np.abs(Audio.joined(parts).samples - whole).max()

    assert 0.1 < np.abs(whole).max() < 1 and deviation() < 1e-4
    monkeypatch.setattr(synthesis, "in_phase", lambda z, frame, phase: z)
    assert deviation() > 0.05, "the chunks begin with any phase, and nobody hears it"


# Outputs

def test_audio_changes_rate_and_loudness_with_its_times(voice):
    audio = voice.speak("abc def", seed=1)
    other = audio.at_rate(22050)
    assert other.sample_rate == 22050 and other.timings.n_samples == len(other.samples) == other.durations.sum()


def test_saving_at_24_bits_is_finer(voice, tmp_path):
    audio = voice.speak("abc", seed=1)
    audio.save(tmp_path / "a.wav", bits=24)
    read, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert np.abs(read - audio.samples).max() <= 1 / 2**23


def test_pieces_of_a_sentence_that_is_too_long_are_joined_the_same_in_a_stream(voice):
    text = "abc def ghi jkl mno pqr stu vwx yz " * 3
    parts = list(voice.stream(text, seed=1, max_characters=40, chunks=ChunkSizes(first=2, most=8)))
    streamed, whole = Audio.joined(parts), voice.speak(text, seed=1, max_characters=40)
    assert streamed.timings == whole.timings and np.array_equal(streamed.durations, whole.durations)
    assert whole.durations.sum() == len(whole.samples) == whole.timings.n_samples  # no pause between them
    assert np.abs(streamed.samples - whole.samples).max() < 1e-5
    [together] = voice.speak_all([text], seeds=[1], max_characters=40)
    assert np.array_equal(together.durations, whole.durations) and together.timings == whole.timings


def test_weights_that_are_not_finite_are_named(run):
    for part, message in (("dp", "the voice's durations are not finite"), ("dec", "the voice's sound is not finite")):
        broken = Voice.load(run, "cpu")
        with torch.no_grad():
            for parameter in getattr(broken.model, part).parameters():
                parameter.fill_(math.nan)
        with pytest.raises(ValueError, match=rf"{message} \(NaN or infinity\): its weights are damaged"):
            broken.speak("abc", seed=1)
        with pytest.raises(ValueError, match=message):
            broken.speak_all(["abc", "def"], seeds=[1, 2])


@pytest.mark.parametrize("bias", [-200.0, -20.0, 20.0, 200.0])
def test_weights_that_give_a_text_no_time_or_endless_time_are_named(run, bias):
    broken = Voice.load(run, "cpu")
    broken.model.state_dict()["dp.flows.0.m"].fill_(bias)
    for speak in (lambda: broken.speak("abc", seed=1), lambda: broken.speak_all(["abc", "def"], seeds=[1, 2])):
        with pytest.raises(ValueError, match="gives .* tokens .* frames each on average; expected 0.001 to 200"):
            speak()


def test_a_text_without_sound_does_not_stop_the_others(voice):
    said = voice.try_all(["abc", " ", "<speak>a <brek/></speak>", "def"], seeds=[1, 2, 3, 4])
    assert [type(each).__name__ for each in said] == ["Audio", "NothingToSayError", "MarkupError", "Audio"]
    assert np.abs(said[3].samples - voice.speak("def", seed=4).samples).max() < 1e-4


def test_a_speaker_that_markup_names_and_the_voice_lacks_is_an_error_with_its_place(voice, duo):
    for them, message in ((voice, "this voice has one speaker"), (duo, "alice, bob")):
        with pytest.raises(MarkupError, match=f"line 2, column 33: <voice name='en-US-JennyNeural'>: .*{message}"):
            them.speak("<speak>\n<voice name='en-US-JennyNeural'>abc</voice></speak>", speaker=None)
