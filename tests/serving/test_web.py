"""Access, time-outs, clients that leave or stall, health, metrics, and what is not logged."""

import json
import logging
import threading

import pytest

from serving.engine import Limits
from serving.web import WebOptions, host_of, is_loopback
from tests.serving.conftest import RunningServer, ToneVoice, tone_voices

LONG = "Abc def ghi jkl mno is. " * 300


def served(tones=None, limits=None, workers=2, **options):
    return RunningServer(tone_voices(tones or ToneVoice()), WebOptions(port=0, **options), limits, workers)


def code_of(answer):
    return answer[0], json.loads(answer[2])["error"]["code"]


@pytest.fixture(scope="module")
def guarded():
    """A server with a key, one origin, a further name and short times."""
    running = served(key="s\u00e9cret", cors="https://page.example", hosts=("voice.example",), read_seconds=0.3,
                     stall_seconds=0.3, rate=1000)
    yield running
    running.close()


def test_health_readiness_and_metrics_are_told_apart(server):
    assert json.loads(server.ask("GET", "/health")[2]) == {"status": "ok"}
    assert server.ask("GET", "/ready")[0] == 200
    server.speak(input="Abc.", response_format="wav")
    server.engine.is_ready = False
    assert server.ask("GET", "/ready")[0] == 503 and server.ask("GET", "/health")[0] == 200
    server.engine.is_ready = True
    text = server.ask("GET", "/metrics")[2].decode()
    assert 'vits_http_requests_total{route="/v1/audio/speech",status="200"}' in text
    assert 'vits_spoken_total{outcome="done",voice="one"}' in text and 'vits_audio_seconds_total{voice="one"}' in text
    assert "vits_first_piece_seconds_bucket" in text and "vits_open_requests 0.0" in text


def test_unknown_pages_and_methods_have_the_shape_of_errors(server):
    assert code_of(server.ask("GET", "/nothing"))[0] == 404
    assert code_of(server.ask("GET", "/v1/audio/speech"))[0] == 405
    assert code_of(server.ask("OPTIONS", "/v1/audio/speech", headers={"Origin": server.url}))[0] == 405


@pytest.mark.parametrize(("headers", "status"), [
    ({"Authorization": "Bearer s\u00e9cret".encode()}, 200), ({"X-API-Key": "s\u00e9cret".encode()}, 200),
    ({}, 401), ({"Authorization": "Bearer secret"}, 401), ({"Authorization": "Basic s"}, 401),
    ({"Authorization": "Bearer "}, 401), ({"X-API-Key": b"\xff\xff"}, 401)])
def test_only_the_key_admits_and_lists_are_open(guarded, headers, status):
    answer = guarded.ask("POST", "/v1/audio/speech", {"input": "Abc.", "response_format": "wav"}, headers)
    assert answer[0] == status and (status == 200 or code_of(answer) == (401, "invalid_api_key"))
    for path in ("/v1/audio/voices", "/v1/models", "/health", "/ready"):
        assert guarded.ask("GET", path, headers=headers)[0] == 200
    assert guarded.ask("GET", "/metrics", headers=headers)[0] == status


def test_names_that_others_point_at_this_machine_are_refused(guarded):
    for host, status in (("localhost:99", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("voice.example", 200),
                         ("evil.example", 403), ("127.0.0.1.evil.example", 403), ("", 403)):
        assert guarded.ask("GET", "/health", headers={"Host": host})[0] == status, host
    assert host_of("http://[::1]:80") == "::1" and is_loopback("::1") and not is_loopback("0.0.0.0")


def test_pages_of_other_origins_are_refused_but_for_the_admitted_one(server, guarded):
    foreign = {"Origin": "https://evil.example"}
    assert code_of(server.ask("POST", "/v1/audio/speech", {"input": "Abc."}, foreign)) == (403, "origin_refused")
    assert "Access-Control-Allow-Origin" not in server.ask("GET", "/health")[1]
    own = server.ask("GET", "/health", headers={"Origin": server.url})
    assert own[0] == 200 and "Access-Control-Allow-Origin" not in own[1]
    page = {"Origin": "https://page.example", "Access-Control-Request-Headers": "authorization"}
    status, headers, _ = guarded.ask("OPTIONS", "/v1/audio/speech", headers=page)
    assert status == 204 and headers["Access-Control-Allow-Headers"] == "authorization"
    status, headers, _ = guarded.ask("POST", "/v1/audio/speech", {"input": "Abc.", "response_format": "wav"},
                                     {**page, "X-API-Key": "s\u00e9cret".encode()})
    assert status == 200 and headers["Access-Control-Allow-Origin"] == "https://page.example"
    assert code_of(guarded.ask("GET", "/health", headers=foreign)) == (403, "origin_refused")


def test_a_client_that_asks_too_often_has_to_wait():
    running = served(rate=2)
    try:
        answers = [running.speak(input="Abc.", response_format="wav") for _ in range(3)]
        assert [answer[0] for answer in answers] == [200, 200, 429]
        assert code_of(answers[2]) == (429, "rate_limit_exceeded") and answers[2][1]["Retry-After"] == "10"
        assert running.ask("GET", "/health")[0] == 200
    finally:
        running.close()


def test_a_full_server_answers_503_and_when_to_ask_again():
    tones = ToneVoice()
    running = served(tones, Limits(requests=1))
    try:
        tones.gate.clear()
        thread = threading.Thread(target=running.speak, kwargs={"input": "Abc."})
        thread.start()
        running.until(lambda: running.engine.open_requests)
        answer = running.speak(input="Abc.")
        assert code_of(answer) == (503, "server_busy") and answer[1]["Retry-After"] == "1"
        tones.gate.set()
        thread.join(20)
        assert running.speak(input="Abc.")[0] == 200
    finally:
        tones.gate.set()
        running.close()


def post(body, extra=b""):
    return (b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nX-API-Key: s\xc3\xa9cret\r\n" + extra
            + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def test_work_stops_when_a_client_leaves(guarded):
    tones = guarded.voices.voices["one"]
    tones.gate.clear()
    link = guarded.connect()
    link.sendall(post(json.dumps({"input": LONG, "response_format": "wav"}).encode()))
    guarded.until(lambda: guarded.engine.busy_workers)
    link.close()
    guarded.until(lambda: not guarded.engine.open_requests)  # before the piece that it waited for
    count = len(tones.decoded)
    tones.gate.set()
    guarded.until(lambda: not guarded.engine.busy_workers)
    assert len(tones.decoded) <= count + 1


def test_a_client_that_takes_nothing_loses_its_connection(guarded):
    tones = guarded.voices.voices["one"]
    before = len(tones.decoded)
    link = guarded.connect(receive_buffer=4096)
    link.sendall(post(json.dumps({"input": LONG, "response_format": "wav", "sample_rate": 48000}).encode()))
    guarded.until(lambda: guarded.engine.open_requests)
    guarded.until(lambda: not guarded.engine.open_requests)
    assert len(tones.decoded) - before < 900  # of some 1500 chunks
    taken = b"".join(iter(lambda: link.recv(1 << 20), b""))
    assert not taken.endswith(b"0\r\n\r\n")
    link.close()


def test_half_a_header_and_half_a_body_are_cut_off_while_others_are_answered(guarded):
    half_header, half_body = guarded.connect(), guarded.connect()
    half_header.sendall(b"POST /v1/audio/speech HT")
    half_body.sendall(post(b'{"input": "Abc."}')[:-5])
    headers = {"X-API-Key": "s\u00e9cret".encode()}
    assert guarded.ask("POST", "/v1/audio/speech", {"input": "Abc.", "response_format": "wav"}, headers)[0] == 200
    assert half_header.recv(100) == b""
    answer = half_body.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408") and b'"code": "timeout"' in answer
    half_header.close()
    half_body.close()


def test_garbage_is_400_and_others_are_answered(server):
    link = server.connect()
    link.sendall(b"\x16\x03\x01\x02\x00\x01\xfc\x03\x03" * 50 + b"\r\n\r\n")
    assert link.recv(100).startswith(b"HTTP/1.0 400")
    link.close()
    assert server.speak(input="Abc.")[0] == 200


def test_an_error_after_the_first_byte_breaks_the_connection():
    running = served(limits=Limits(seconds=3))
    try:
        with pytest.raises(Exception, match="IncompleteRead|reset"):
            running.speak(input=LONG, response_format="wav")
        body = b"".join(_received(running, {"input": LONG, "response_format": "wav", "stream_format": "sse"}))
        assert b'"type":"error"' in body and b"more than 3 seconds" in body and not body.endswith(b"0\r\n\r\n")
    finally:
        running.close()


def _received(running, fields):
    link = running.connect()
    link.sendall(post(json.dumps(fields).encode()))
    while part := link.recv(1 << 16):
        yield part
    link.close()


def test_a_failure_of_the_server_is_500_without_its_details(server, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(ToneVoice, "_latent", fail)
    with caplog.at_level(logging.INFO, "vits"):
        answer = server.speak(input="Secretword.")
    assert code_of(answer) == (500, "server_error") and b"luck" not in answer[2]
    assert "out of luck" in caplog.text and json.loads(answer[2])["error"]["message"].split()[-1] in caplog.text


def test_logs_have_no_texts_and_no_queries(server, caplog):
    with caplog.at_level(logging.DEBUG):
        server.speak(input="Secretword abc.", response_format="wav")
        server.speak(input="Secretword \u2603 [[x\u2603]]")
        server.ask("GET", "/v1/models?text=Secretword")
    assert "/v1/audio/speech 200" in caplog.text and "ecretword" not in caplog.text and "x\u2603" not in caplog.text


def test_a_stopping_server_ends_what_is_open_and_refuses_what_is_new():
    tones = ToneVoice()
    running = served(tones)
    tones.gate.clear()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(running.speak(input="Abc.", response_format="wav")))
    thread.start()
    running.until(lambda: running.engine.busy_workers)
    closing = threading.Thread(target=running.close)
    closing.start()
    running.until(lambda: not running.engine.is_ready)
    assert code_of(running.speak(input="Abc.")) == (503, "server_busy") and running.ask("GET", "/ready")[0] == 503
    tones.gate.set()
    thread.join(20)
    closing.join(20)
    assert answers[0][0] == 200 and len(answers[0][2]) > 1000
