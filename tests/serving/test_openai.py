"""OpenAI's routes: formats, streams of sound and of events, options, voices, errors; by OpenAI's own client too."""

import base64
import io
import json
import struct
import sys

import numpy as np
import pytest
import soundfile

from audio.resampling import at_rate
from tests.serving.conftest import ToneVoice

TEXT = "Abc def. Ghi, jkl mno! Is that so?"
MP3_DELAY = 0.2  # seconds of silence that the format adds, at both ends together
BEGINNINGS = {"mp3": b"\xff", "opus": b"OggS", "flac": b"fLaC", "wav": b"RIFF", "aac": b"\xff"}
TYPES = {"mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav",
         "pcm": "audio/pcm"}


def spoken(text=TEXT, **options):
    return ToneVoice().speak(text, seed=3, **options).samples


def decoded(data, kind, rate=8000):
    """Samples of an encoded stream, and its rate."""
    if kind == "pcm":
        return np.frombuffer(data, "<i2") / 32768, 24_000
    if kind == "wav":
        assert data[:4] == b"RIFF" and data.count(b"RIFF") == 1 and data.count(b"WAVEfmt") == 1
        assert struct.unpack("<I", data[4:8]) == struct.unpack("<I", data[40:44]) == (0xFFFFFFFF,)
        return np.frombuffer(data[44:], "<i2") / 32768, struct.unpack("<I", data[24:28])[0]
    if kind == "aac":
        av = pytest.importorskip("av")
        with av.open(io.BytesIO(data)) as file:
            frames = [frame.to_ndarray().reshape(-1) for frame in file.decode(audio=0)]
            return np.concatenate(frames), file.streams.audio[0].rate
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        file.seekable = lambda: False  # soundfile would seek after each read
        blocks = []
        while not blocks or len(blocks[-1]):
            blocks.append(file.read(1000))
        return np.concatenate(blocks), file.samplerate


def error_of(answer):
    status, headers, body = answer
    error = json.loads(body)["error"]
    assert error.keys() == {"message", "type", "param", "code"} and headers["X-Request-Id"].startswith("req_")
    return status, error


@pytest.mark.parametrize("kind", TYPES)
def test_every_format_is_whole_of_its_own_type_and_ends_as_the_sound_does(server, kind):
    if kind == "aac":
        pytest.importorskip("av")
    status, headers, data = server.speak(input=TEXT, voice="one", response_format=kind, seed=3)
    assert status == 200 and headers["Content-Type"] == TYPES[kind] and headers["Transfer-Encoding"] == "chunked"
    assert headers["Cache-Control"] == "no-store" and headers["X-Accel-Buffering"] == "no"
    assert data.startswith(BEGINNINGS.get(kind, b""))
    samples, rate = decoded(data, kind)
    assert headers["X-Sample-Rate"] == str(rate)
    expected = at_rate(spoken(), 8000, rate)
    if kind in ("wav", "pcm", "flac"):
        assert len(samples) == len(expected)
        np.testing.assert_allclose(samples, expected, atol=1e-4)
        return
    assert 0 <= len(samples) - len(expected) <= MP3_DELAY * rate
    end = slice(len(expected) - rate // 5, len(expected))
    loudness = np.abs(expected[end]).mean()
    tail = samples[-(rate // 5 + len(samples) - len(expected)):]
    assert np.abs(tail).sum() > 0.7 * loudness * rate / 5  # the last 0.2 s are there


def test_mp3_and_the_first_voice_are_the_defaults_and_unknown_fields_are_ignored(server):
    status, headers, _ = server.speak(input="Abc.", model="tts-1-hd", instructions="None", stream=True, lang_code="a",
                                      voice=None)
    assert status == 200 and headers["Content-Type"] == "audio/mpeg"


def test_samples_are_the_same_for_a_seed_and_options_change_them(server):
    def wav(**fields):
        status, _, data = server.speak(input=TEXT, response_format="wav", seed=3, **fields)
        assert status == 200
        return decoded(data, "wav")

    assert np.array_equal(wav()[0], wav()[0])
    assert not np.array_equal(wav()[0], wav(volume_db=-6)[0])
    assert len(wav(speed=2)[0]) < 0.6 * len(wav()[0])
    assert len(wav(sentence_pause=1.0)[0]) == len(wav(sentence_pause=0)[0]) + 2 * 8000
    assert wav(sample_rate=16_000)[1] == 16_000
    assert np.array_equal(wav(voice="two/bob")[0], wav(voice="alloy")[0])
    assert np.array_equal(wav(voice={"id": "two/bob"})[0], wav(voice="two", speaker="bob")[0])
    assert len(wav(voice="two/ann:0.7+bob:0.3")[0])


def test_ssml_is_spoken(server):
    status, _, data = server.speak(input="<speak>Abc def.<break time='500ms'/>Ghi.</speak>", response_format="wav")
    assert status == 200 and len(decoded(data, "wav")[0]) > 4000


def test_a_rate_that_a_format_lacks_becomes_the_next_one_and_is_named(server):
    status, headers, data = server.speak(input=TEXT, response_format="opus", sample_rate=22_050, seed=3)
    assert status == 200 and headers["X-Sample-Rate"] == "24000" and decoded(data, "opus")[1] in (24_000, 48_000)


def test_a_format_whose_package_is_missing_is_400(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    status, error = error_of(server.speak(input=TEXT, response_format="aac"))
    assert status == 400 and error["param"] == "response_format" and error["code"] == "not_installed"
    assert "pip install" in error["message"] or "does not load" in error["message"]


def events(server, **fields):
    status, headers, body = server.speak(input=TEXT, response_format="wav", seed=3, stream_format="sse", **fields)
    assert status == 200 and headers["Content-Type"] == "text/event-stream"
    lines = body.decode().split("\n\n")
    assert lines.pop() == "" and all(line.startswith("data: ") for line in lines)
    return [json.loads(line[6:]) for line in lines]


def test_events_hold_the_same_bytes_and_end_with_usage(server):
    found = events(server)
    assert {event["type"] for event in found[:-1]} == {"speech.audio.delta"} and len(found) > 3
    data = b"".join(base64.b64decode(event["audio"]) for event in found[:-1])
    assert data == server.speak(input=TEXT, response_format="wav", seed=3)[2]
    assert found[-1] == {"type": "speech.audio.done", "usage": {
        "input_tokens": len(TEXT), "output_tokens": 0, "total_tokens": len(TEXT)}}


def test_timings_come_before_the_sound_of_their_sentence_in_seconds_of_the_answer(server):
    found = events(server, timings=True)
    timings = ToneVoice().speak(TEXT, seed=3).timings
    words = [word for event in found if event["type"] == "speech.timings" for word in event["words"]]
    assert [word["text"] for word in words] == [word.text for word in timings.words]
    assert [word["start"] for word in words] == pytest.approx([word.start / 8000 for word in timings.words], abs=1e-4)
    assert found[0]["type"] == "speech.timings" and found[1]["type"] == "speech.audio.delta"


@pytest.mark.parametrize(("fields", "param", "message"), [
    ({}, "input", "input is missing; expected a string"),
    ({"input": 5}, "input", "input is 5"),
    ({"input": "Abc.", "voice": "nobody"}, "voice", "no voice 'nobody'; there are one, two"),
    ({"input": "Abc.", "voice": "../one"}, "voice", "no voice"),
    ({"input": "Abc.", "voice": ["one"]}, "voice", "a name"),
    ({"input": "Abc.", "voice": "two/eve"}, "speaker", "unknown speaker 'eve'"),
    ({"input": "Abc.", "speaker": True}, "speaker", "a number or a mix"),
    ({"input": "Abc.", "response_format": "m4a"}, "response_format", "one of mp3, opus, aac, flac, wav, pcm"),
    ({"input": "Abc.", "speed": 5}, "speed", "from 0.25 to 4"),
    ({"input": "Abc.", "speed": "fast"}, "speed", "a number"),
    ({"input": "Abc.", "speed": float("nan")}, "speed", "a number"),
    ({"input": "Abc.", "seed": 1.5}, "seed", "a whole number"),
    ({"input": "Abc.", "seed": -1}, "seed", "from 0 to"),
    ({"input": "Abc.", "noise_scale": -1}, "noise_scale", "0 or more"),
    ({"input": "Abc.", "pitch_semitones": 13}, "pitch_semitones", "-12 to 12"),
    ({"input": "Abc.", "sample_rate": 100}, "sample_rate", "8000 to 48000"),
    ({"input": "Abc.", "stream_format": "ws"}, "stream_format", "one of audio, sse"),
    ({"input": "Abc.", "timings": True}, "timings", '"stream_format": "sse"'),
    ({"input": ""}, "input", "nothing to say"),
    ({"input": " ?! "}, "input", "nothing to say"),
    ({"input": "\ud800"}, "input", "half of a character"),
    ({"input": "a " * 10_000}, "input", "20000 characters; expected at most 10000"),
    ({"input": "<speak>Abc.\n <prosody rate='x'>d</prosody></speak>"}, "input", "line 2, column 2"),
    ({"input": "<speak>Abc."}, "input", "line 1, column 12"),
])
def test_a_wrong_field_is_400_and_named(server, fields, param, message):
    status, error = error_of(server.speak(**fields))
    assert status == 400 and error["param"] == param and error["type"] == "invalid_request_error"
    assert message in error["message"]


@pytest.mark.parametrize("body", ["", "{", "[1]", '"a"', "{'input': 1}", b"\xff\xfe", "[" * 100_000, "null"])
def test_what_is_no_json_object_is_400(server, body):
    status, error = error_of(server.ask("POST", "/v1/audio/speech", body))
    assert status == 400 and error["code"] == "invalid_json" and "expected an object" in error["message"]


def test_ten_megabytes_of_text_are_413_before_they_are_read(server):
    status, error = error_of(server.speak(input="a" * 300_000))
    assert status == 413 and "262144 bytes" in error["message"]
    link = server.connect()
    link.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n" + b"a" * 1000)
    assert link.recv(100).startswith(b"HTTP/1.1 413")
    link.close()


def test_lists_of_models_and_voices_have_both_keys(server):
    content = json.loads(server.ask("GET", "/v1/audio/voices")[2])
    assert content["object"] == "list" and content["data"] == content["voices"]
    assert [voice["id"] for voice in content["voices"]] == ["one", "two/ann", "two/bob"]
    assert content["voices"][0] == {"id": "one", "name": "one", "object": "voice", "language": "en_US",
                                    "sample_rate": 8000}
    models = json.loads(server.ask("GET", "/v1/models")[2])
    assert models["object"] == "list" and models["data"][0].keys() == {"id", "object", "created", "owned_by"}
    assert json.loads(server.ask("GET", "/v1/models/vits")[2]) == models["data"][0]
    assert error_of(server.ask("GET", "/v1/models/other"))[0] == 404


@pytest.fixture
def client(server):
    openai = pytest.importorskip("openai")
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=20)


@pytest.mark.parametrize("kind", TYPES)
def test_openais_client_gets_every_format_by_pieces(client, kind):
    if kind == "aac":
        pytest.importorskip("av")
    with client.audio.speech.with_streaming_response.create(
            model="tts-1", input=TEXT, voice="alloy", response_format=kind, extra_body={"seed": 3}) as response:
        pieces = list(response.iter_bytes())
        assert response.request_id.startswith("req_") and response.headers["Content-Type"] == TYPES[kind]
    samples, rate = decoded(b"".join(pieces), kind)
    expected = len(ToneVoice(("ann", "bob")).speak(TEXT, seed=3, speaker="bob").samples) * rate / 8000
    assert -1 <= len(samples) - expected <= (MP3_DELAY * rate if kind in ("mp3", "aac", "opus") else 1)


def test_openais_client_gets_events_and_typed_errors(client):
    import openai

    with client.audio.speech.with_streaming_response.create(
            model="gpt-4o-mini-tts", input=TEXT, voice="one", response_format="pcm", stream_format="sse") as response:
        lines = [json.loads(line[6:]) for line in response.iter_lines() if line]
    assert lines[-1]["type"] == "speech.audio.done" and lines[0]["type"] == "speech.audio.delta"
    with pytest.raises(openai.BadRequestError, match="no voice 'nobody'") as caught:
        client.audio.speech.create(model="tts-1", input="Abc.", voice="nobody")
    assert caught.value.code == "voice_not_found" and caught.value.param == "voice"
    assert client.models.list().data[0].id == "vits"
