"""The engine: the same sound as `speak`, sentences of several clients in turn, limits, cancelling, draining."""

import asyncio
import contextlib
import time

import numpy as np
import pytest

from serving.engine import Engine, Limits, SpeechRequest, TextFeed
from serving.errors import BusyError, RequestError, TooLongError, UnknownVoiceError
from synthesis.base import SynthesisOptions
from synthesis.chunking import DEFAULT_CHUNKS, ChunkSizes
from tests.serving.conftest import run

TEXT = "Abc def. Ghi, jkl mno! Is that so?"


async def collected(engine, request):
    return [piece async for piece in engine.speak(request)]


def answer(engine, text, **fields):
    options = SynthesisOptions(seed=3, **fields.pop("options", {}))
    return run(collected(engine, SpeechRequest(text, options=options, **fields)))


def samples_of(pieces):
    return np.concatenate([piece.samples for piece in pieces])


async def until(condition):
    while not condition():
        await asyncio.sleep(0.002)


def test_pieces_joined_equal_speak_with_timings_that_count_from_where_they_begin(voices, tones):
    pieces = answer(Engine(voices), TEXT)
    whole = tones.speak(TEXT, seed=3)
    assert np.array_equal(samples_of(pieces), whole.samples)
    assert len(pieces) > 5  # sentences in chunks
    words = [(word.text, piece.start + word.start, piece.start + word.end)
             for piece in pieces if piece.timings for word in piece.timings.words]
    assert words == [tuple(word) for word in whole.timings.words]


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
def test_another_rate_resamples_samples_and_timings_as_audio_does(voices, tones, rate):
    pieces = answer(Engine(voices), TEXT, sample_rate=rate)
    whole = tones.speak(TEXT, seed=3).at_rate(rate)
    assert {piece.sample_rate for piece in pieces} == {rate}
    np.testing.assert_allclose(samples_of(pieces), whole.samples, atol=1e-6)
    ends = [piece.start + word.end for piece in pieces if piece.timings for word in piece.timings.words]
    assert max(abs(end - word.end) for end, word in zip(ends, whole.timings.words)) <= 1
    assert len(ends) == len(whole.timings.words)


def test_speakers_options_and_other_names_reach_the_voice(voices):
    engine = Engine(voices)
    fast, slow = (len(samples_of(answer(engine, "Abc.", options={"speed": speed}))) for speed in (2.0, 1.0))
    assert fast == slow / 2
    for name in ("two", "two/bob", "alloy", "two/ann:0.5+bob:0.5"):
        assert len(answer(engine, "Abc.", voice=name))
    assert voices.find("two").speaker == "ann" and voices.find("alloy").speaker == "bob"
    assert voices.find("two/ann", "bob").speaker == "bob"


@pytest.mark.parametrize(("request_", "kind", "message"), [
    (SpeechRequest("Abc.", "nobody"), UnknownVoiceError, "no voice 'nobody'; there are one, two"),
    (SpeechRequest("Abc.", "../../etc/passwd"), UnknownVoiceError, "no voice"),
    (SpeechRequest("Abc.", "two/eve"), UnknownVoiceError, "eve"),
    (SpeechRequest("Abc.", "one/ann"), UnknownVoiceError, "has one speaker"),
    (SpeechRequest("a" * 101), TooLongError, "101 characters; expected at most 100"),
    (SpeechRequest(""), RequestError, "nothing to say"),
    (SpeechRequest("?!..."), RequestError, "nothing to say"),
    (SpeechRequest("<speak>\n  Abc. <break time='x'/></speak>"), RequestError, "line 2, column 8"),
    (SpeechRequest("<speak>Abc. De. <voice name='eve'>f</voice></speak>"), RequestError, "line 1.*leave the <voice>"),
    (SpeechRequest("Abc. [[\u2603]]"), RequestError, "U\\+2603"),
    (SpeechRequest("Abc.", is_ssml=True), RequestError, "expected <speak>"),
])
def test_wrong_requests_are_refused_before_anything_is_computed(voices, tones, request_, kind, message):
    engine = Engine(voices, Limits(characters=100))
    with pytest.raises(kind, match=message):
        run(collected(engine, request_))
    assert not tones.decoded and not engine.open_requests


@pytest.mark.filterwarnings("ignore:not in the voice")
def test_markup_can_be_switched_off(voices):
    assert len(answer(Engine(voices), "<speak> abc", is_ssml=False))


def test_sample_rates_beyond_what_clients_play_are_refused():
    with pytest.raises(RequestError, match="7999 Hz; expected 8000 to 48000"):
        SpeechRequest("Abc.", sample_rate=7999)


def test_sentences_of_several_clients_interleave_and_a_new_client_comes_first(voices, tones):
    async def work():
        engine = Engine(voices, workers=1, chunks=ChunkSizes(10**6, 10**6))
        long = asyncio.create_task(collected(engine, SpeechRequest("Long one. " * 20)))
        other = asyncio.create_task(collected(engine, SpeechRequest("Other. " * 20)))
        await until(lambda: len(tones.decoded) > 6)
        late = asyncio.create_task(collected(engine, SpeechRequest("Late. " * 3)))
        before = len(tones.decoded)
        await asyncio.gather(long, other, late)
        return before

    before = run(work())
    assert len(tones.decoded) == 43
    assert "Late." in tones.decoded[before : before + 4]
    assert {"Long one.", "Other."} <= set(tones.decoded[:6])
    assert tones.decoded[-1] != "Late."


def test_where_all_are_late_a_new_client_waits_for_one_piece_of_each_at_most(voices, tones, monkeypatch):
    async def work():
        engine = Engine(voices, workers=1, chunks=ChunkSizes(10**6, 10**6))
        decode, quick = tones._decode, SynthesisOptions(speed=6)

        def slow(latent, chunks):
            for samples in decode(latent, chunks):
                time.sleep(0.5 * len(samples) / 8000)  # four clients take twice as long as it sounds
                yield samples

        monkeypatch.setattr(tones, "_decode", slow)
        texts = [f"Be {name}. " * 6 for name in "abcd"]
        late = [asyncio.create_task(collected(engine, SpeechRequest(text, options=quick))) for text in texts]
        await until(lambda: len(tones.decoded) > 12)
        before = len(tones.decoded)
        new = asyncio.create_task(collected(engine, SpeechRequest("New.", options=quick)))
        await asyncio.gather(new, *late)
        return tones.decoded[before:]

    assert run(work()).index("New.") <= 5


def test_more_requests_than_the_limit_get_a_time_to_wait(voices, tones):
    async def work():
        engine = Engine(voices, Limits(requests=2), workers=1)
        tones.gate.clear()
        tasks = [asyncio.create_task(collected(engine, SpeechRequest("Abc."))) for _ in range(2)]
        await until(lambda: engine.open_requests == 2)
        with pytest.raises(BusyError) as error:
            await collected(engine, SpeechRequest("Abc."))
        tones.gate.set()
        await asyncio.gather(*tasks)
        assert len(await collected(engine, SpeechRequest("Abc.")))
        return error.value

    error = run(work())
    assert error.retry_after == 1 and error.status == 503


def test_closing_stops_the_work_at_the_next_piece_and_frees_the_worker(voices, tones):
    async def work():
        engine = Engine(voices, workers=1)
        seen = []
        engine.on_spoken.append(seen.append)
        async with contextlib.aclosing(engine.speak(SpeechRequest(TEXT * 10))) as pieces:
            await anext(pieces)
        tones.gate.clear()
        count = len(tones.decoded)
        left = asyncio.create_task(collected(engine, SpeechRequest(TEXT * 10)))
        await until(lambda: engine.busy_workers)
        waiting = asyncio.create_task(collected(engine, SpeechRequest(TEXT)))
        await until(lambda: engine.waiting_jobs)
        waiting.cancel()
        left.cancel()
        await asyncio.gather(left, waiting, return_exceptions=True)
        assert engine.busy_workers == 1  # a piece that runs cannot be stopped
        tones.gate.set()
        await until(lambda: not engine.busy_workers)
        assert len(tones.decoded) <= count + 1
        assert len(await collected(engine, SpeechRequest("Abc.")))
        return seen

    assert [each.outcome for each in run(work())] == ["cancelled"] * 3 + ["done"]


def test_a_stopping_engine_ends_what_is_open_and_takes_nothing_new(voices, tones):
    async def work():
        engine = Engine(voices)
        assert not engine.is_ready
        await engine.start()
        assert engine.is_ready and engine.chunks.keys() == {"one", "two"} and DEFAULT_CHUNKS != engine.chunks["one"]
        tones.gate.clear()
        task = asyncio.create_task(collected(engine, SpeechRequest(TEXT)))
        await until(lambda: engine.busy_workers)
        stopping = asyncio.create_task(engine.stop())
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="about to stop"):
            await collected(engine, SpeechRequest("Abc."))
        assert not engine.is_ready and not stopping.done()
        tones.gate.set()
        await stopping
        return samples_of(await task)

    assert len(run(work()))


def test_an_answer_of_too_much_sound_ends_with_an_error(voices):
    with pytest.raises(TooLongError, match="more than 2 seconds"):
        answer(Engine(voices, Limits(seconds=2)), "Abc def ghi. " * 20)


def test_metrics_get_times_and_seconds_of_sound(voices, tones):
    seen = []
    engine = Engine(voices)
    engine.on_spoken.append(seen.append)
    pieces = answer(engine, TEXT)
    [spoken] = seen
    assert spoken.voice == "one" and spoken.outcome == "done" and 0 < spoken.first_seconds <= spoken.seconds
    assert spoken.audio_seconds == pytest.approx(len(samples_of(pieces)) / 8000) and spoken.work_seconds > 0


def test_text_in_parts_sounds_as_the_whole_and_holds_no_worker_while_it_waits(voices, tones):
    async def work():
        engine = Engine(voices, workers=1)
        feed = TextFeed()
        task = asyncio.create_task(collected(engine, SpeechRequest(feed, options=SynthesisOptions(seed=3))))
        for part in ("Abc d", "ef. Ghi, jk", "l mno! Is "):
            feed.add(part)
            await until(lambda: not engine.busy_workers and not engine.waiting_jobs)
            await asyncio.sleep(0.01)
        assert "Abc def." in tones.decoded and "Is that so?" not in tones.decoded
        assert len(await collected(engine, SpeechRequest("Another.")))
        feed.add("that so?")
        feed.end()
        return samples_of(await task)

    assert np.array_equal(run(work()), tones.speak(TEXT, seed=3).samples)


def test_a_feed_that_ends_empty_has_no_sound_and_one_that_is_too_long_an_error(voices):
    async def work():
        feed = TextFeed(10)
        feed.end()
        assert not any(len(piece.samples) for piece in await collected(Engine(voices), SpeechRequest(feed)))
        with pytest.raises(TooLongError, match="more than 10 characters"):
            feed.add("a" * 11)

    run(work())
