"""The command that serves: mistakes on its command line, a server without torch, and its end on SIGTERM."""

import asyncio
import contextlib
import http.client
import json
import re
import runpy
import signal
import socket
import subprocess
import sys

import pytest

import serve
from tests.conftest import ROOT

WITHOUT_TORCH = """
import runpy, sys
for name in ("torch", "torchaudio", "scipy", "librosa"):
    sys.modules[name] = None
sys.argv = ["serve.py", *sys.argv[1:]]
runpy.run_path("serve.py", run_name="__main__")
"""


@pytest.mark.parametrize(("arguments", "message"), [
    (["--port", "70000"], "--port is 70000; expected 0 to 65535"),
    (["--workers", "0"], "--workers is 0; expected more than 0"),
    (["--stall", "-1"], "--stall is -1; expected more than 0"),
    (["--alias", "alloy"], "--alias is 'alloy'; expected NAME=VOICE"),
    (["--prt", "80"], "there is no option --prt; did you mean '--port'?"),
    (["-m", "nobody"], "no run or checkpoint nobody, and no voice of that name"),
    (["-m", "en_rms", "--alias", "alloy=nobody"], "no voice 'nobody'; there are en_rms"),
    (["-m", "en_rms", "-m", "en_rms"], "there is a voice 'en_rms' already"),
    (["-m", "en_rms", "--host", "203.0.113.1"], "203.0.113.1"),
])
def test_a_mistake_on_the_command_line_is_one_line(monkeypatch, capsys, arguments, message):
    pytest.importorskip("aiohttp")
    error = refused(monkeypatch, capsys, arguments)
    assert message in error and error.count("\n") == 1


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "aiohttp is not installed; pip install aiohttp prometheus-client, or speak by synthesize.py" in refused(
        monkeypatch, capsys, [])


def refused(monkeypatch, capsys, arguments):
    """The message of a command that exits with 2."""
    monkeypatch.setattr(sys, "argv", ["serve.py", *arguments])
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("utils.set_up_logging", lambda *_, **__: None)
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(ROOT / "serve.py"), run_name="__main__")
    error = capsys.readouterr().err
    assert caught.value.code == 2 and error.startswith("error: ") and "Traceback" not in error
    return error


def test_it_speaks_without_torch_ends_what_is_open_on_sigterm_and_closes():
    pytest.importorskip("aiohttp")
    process = subprocess.Popen([sys.executable, "-c", WITHOUT_TORCH, "-m", "en_rms", "--port", "0",
                                "--wyoming-port", "0", "--mary-port", "0"], cwd=ROOT,
                               text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        ready, advice = process.stdout.readline(), process.stdout.readline()
        assert "with en_rms" in ready and "--host 0.0.0.0" in advice
        port = int(re.search(r"127\.0\.0\.1:(\d+)", ready)[1])
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        text = "One two three. " * 4
        link.request("POST", "/v1/audio/speech", json.dumps({"input": text, "response_format": "pcm", "seed": 1,
                                                             "sample_rate": 16000}))
        answer = link.getresponse()
        first = answer.read(1000)
        process.send_signal(signal.SIGTERM)
        data = first + answer.read()
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    from synthesis.onnx import OnnxVoice

    expected = OnnxVoice.load(ROOT / "voices" / "en_rms" / "voice.onnx", threads=1).speak(text, seed=1).samples
    assert answer.status == 200 and len(data) == 2 * len(expected)
    assert process.returncode == 0 and output.startswith("stopping") and "Traceback" not in errors, errors
    assert "POST /v1/audio/speech 200" in errors and "three" not in errors


def listening(arguments, monkeypatch, taken=()):
    """Lines on Wyoming and MaryTTS, which listen on ports of the system's choice in place of their own."""
    pytest.importorskip("aiohttp")
    from serving import mary, wyoming
    from serving.engine import Engine
    from serving.web import WebOptions
    from tests.serving.conftest import ToneVoice, tone_voices

    monkeypatch.setattr(sys, "argv", ["serve.py", *arguments])
    args = serve.parse_arguments()
    serve.check(args)

    async def listen():
        with contextlib.ExitStack() as stack:
            for module in (wyoming, mary):
                port = 0
                if module in taken:
                    blocker = stack.enter_context(socket.socket())
                    blocker.bind(("127.0.0.1", 0))
                    blocker.listen()
                    port = blocker.getsockname()[1]
                monkeypatch.setattr(module, "PORT", port)
            listeners = []
            try:
                return await serve.start_others(Engine(tone_voices(ToneVoice())), WebOptions(key=args.key), args,
                                                listeners)
            finally:
                for listener in listeners:
                    await listener.close()

    return asyncio.run(listen())


def test_wyoming_and_marytts_listen_too_unless_there_is_a_key(monkeypatch):
    assert [line.partition(" on 127.0.0.1:")[0] for line in listening([], monkeypatch)] == ["Wyoming", "MaryTTS"]
    assert listening(["--key", "secret"], monkeypatch) == []
    assert listening(["--wyoming-port", "0", "--mary-port", "0"], monkeypatch) == []


def test_a_default_port_that_is_taken_is_a_line_and_a_chosen_one_an_error(monkeypatch):
    from serving import wyoming

    first, second = listening([], monkeypatch, taken=(wyoming,))
    assert first.startswith("no Wyoming: port ") and "--wyoming-port" in first and second.startswith("MaryTTS on ")
    with socket.socket() as blocker:
        blocker.bind(("127.0.0.1", 0))
        blocker.listen()
        with pytest.raises(OSError):
            listening(["--wyoming-port", str(blocker.getsockname()[1])], monkeypatch)
    with pytest.raises(ValueError, match="--zeroconf announces Wyoming, and --wyoming-port is 0"):
        listening(["--zeroconf", "--wyoming-port", "0"], monkeypatch)
