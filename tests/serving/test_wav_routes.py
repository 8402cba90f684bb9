"""Piper's, Coqui's, Mimic 3's, OVOS' and MaryTTS' routes: a whole WAV of known length, and lists in their forms."""

import asyncio
import io
import json
import wave

import pytest

from serving import app, mary
from serving.web import WebOptions
from tests.serving.conftest import RunningServer, ToneVoice, tone_voices

N_SAMPLES = len(ToneVoice().speak("Abc def.").samples)


@pytest.fixture(scope="module")
def mary_server():
    """A server whose asked port is MaryTTS'."""
    running = RunningServer(tone_voices(ToneVoice()))
    options = WebOptions(port=0)

    async def listen():
        return await app.listen(mary.make_app(running.engine, options), options)

    listener = asyncio.run_coroutine_threadsafe(listen(), running.loop).result(20)
    running.port = listener.port
    yield running
    running.wait(listener.close())
    running.close()


def length(answer, n_channels=1, rate=8000):
    status, headers, body = answer
    assert status == 200, body
    assert int(headers["Content-Length"]) == len(body) and headers["Content-Type"].startswith("audio/wav")
    with wave.open(io.BytesIO(body)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (n_channels, rate, 2)
        return file.getnframes()


def test_piper(server):
    assert length(server.ask("POST", "/synthesize", {"text": "Abc def."})) == N_SAMPLES
    assert length(server.ask("POST", "/synthesize", b"Abc def.")) == N_SAMPLES  # Piper takes the text alone too
    slow = length(server.ask("POST", "/synthesize", {"text": "Abc def.", "voice": "two", "speaker_id": 1,
                                                     "length_scale": 2, "noise_scale": 0.5, "noise_w_scale": 0.2}))
    assert slow > 1.8 * N_SAMPLES
    voices = json.loads(server.ask("GET", "/voices")[2])
    assert voices["two"]["speaker_id_map"] == {"ann": 0, "bob": 1} and voices["one"]["audio"] == {"sample_rate": 8000}
    assert json.loads(server.ask("GET", "/info")[2])["voice"] == "one"


@pytest.mark.parametrize(("method", "path", "body"), [
    ("GET", "/api/tts?text=Abc%20def.", None), ("POST", "/api/tts", b"text=Abc+def."),
    ("POST", "/api/tts?voice=two&speaker_id=bob", b"Abc def."),
    ("POST", "/api/tts?voice=one&lengthScale=1&noiseScale=0.3&noiseW=0.2", b"Abc def."),
    ("GET", "/v2/synthesize?utterance=Abc%20def.&lang=en-us&voice=", None)])
def test_coqui_mimic_and_ovos(server, method, path, body):
    rate = 22050 if "/api/tts" in path else 8000  # a client of Mimic 3 does not read the rate
    assert length(server.ask(method, path, body), rate=rate) == round(N_SAMPLES * rate / 8000)


def test_lists_of_mimic_and_ovos(server):
    assert [(voice["key"], voice["speakers"]) for voice in json.loads(server.ask("GET", "/api/voices")[2])] == [
        ("one", []), ("two", ["ann", "bob"])]
    assert json.loads(server.ask("GET", "/status")[2])["status"] == "ok"


@pytest.mark.parametrize(("method", "path", "body", "param"), [
    ("POST", "/synthesize", {"voice": "one"}, "text"), ("POST", "/synthesize", {"text": "a", "voice": "x"}, "voice"),
    ("POST", "/synthesize", {"text": "a", "length_scale": 0}, "length_scale"), ("POST", "/synthesize", b"{", None),
    ("GET", "/api/tts", None, "text"), ("GET", "/api/tts?text=a&lengthScale=x", None, "lengthScale"),
    ("GET", "/v2/synthesize?lang=en", None, "text"), ("GET", "/api/tts?text=a&speaker_id=../eve&voice=two", None,
                                                      "speaker")])
def test_mistakes_are_named(server, method, path, body, param):
    status, _, answer = server.ask(method, path, body)
    assert status == 400 and json.loads(answer)["error"]["param"] == param


def test_nothing_to_speak_is_an_empty_file(server):
    assert length(server.ask("POST", "/synthesize", {"text": "  "})) == 0


FORM = "INPUT_TYPE=TEXT&OUTPUT_TYPE=AUDIO&AUDIO=WAVE_FILE&LOCALE=en_US&INPUT_TEXT="


@pytest.mark.parametrize("voice", ["", "&VOICE=cmu-slt-hsmm", "&VOICE=one", "&VOICE=two/ann"])
def test_marytts(mary_server, voice):
    assert length(mary_server.ask("GET", f"/process?{FORM}Abc%20def.{voice}")) == N_SAMPLES
    no_type = {"Content-Type": ""}  # as speak2mary sends it
    assert length(mary_server.ask("POST", "/process", f"{FORM}Abc+def.{voice}".encode(), no_type)) == N_SAMPLES


def test_marytts_lists(mary_server):
    lines = mary_server.ask("GET", "/voices")[2].decode().splitlines()
    assert [line.split()[:2] for line in lines] == [["one", "en_US"], ["two/ann", "en_US"], ["two/bob", "en_US"]]
    assert all(len(line.split()) == 4 for line in lines)
    assert mary_server.ask("GET", "/locales")[2] == b"en_US\n" and b"Mary" in mary_server.ask("GET", "/version")[2]


@pytest.mark.parametrize(("query", "message"), [
    ("INPUT_TEXT=a&AUDIO=AU_FILE", "AUDIO is 'AU_FILE'; expected WAVE or WAVE_FILE"), ("LOCALE=en_US", "no text"),
    ("INPUT_TEXT=a&OUTPUT_TYPE=PHONEMES", "OUTPUT_TYPE"), ("INPUT_TEXT=a&VOICE=nobody", "no voice 'nobody'"),
    ("INPUT_TEXT=abc&INPUT_TYPE=SSML", "SSML")])
def test_mistakes_of_marytts_are_lines_of_text(mary_server, query, message):
    status, headers, body = mary_server.ask("GET", f"/process?{query}")
    assert status == 400 and message in body.decode() and headers["Content-Type"].startswith("text/plain")
