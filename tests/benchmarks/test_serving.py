"""The benchmark of the server counts what clients get, and its misbehaving clients leave nothing behind."""

import asyncio
import os

import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("prometheus_client")

from benchmarks.serving import BYTES_A_SECOND, TEXTS, Load, Way, handles, load, misbehaving, resident
from serving.web import WebOptions
from tests.serving.conftest import RunningServer, ToneVoice, tone_voices

WAY = Way([], "/v1/audio/speech", {"response_format": "wav", "voice": "one"}, "input")


@pytest.fixture
def server():
    running = RunningServer(tone_voices(ToneVoice()), WebOptions(port=0, stall_seconds=0.3, read_seconds=0.3))
    yield running
    running.close()


def test_load_counts_first_sounds_seconds_and_failures(server):
    seen = asyncio.run(load(server.url + WAY.path, WAY, 3, 2, os.getpid()))
    n_samples = 2 * sum(len(ToneVoice().speak(text).samples) for text in TEXTS)
    assert len(seen.first) == 6 and not seen.failed and max(seen.first) <= seen.wall_seconds
    assert seen.audio_seconds == pytest.approx(2 * n_samples / BYTES_A_SECOND) and seen.cpu_seconds >= 0
    wrong = asyncio.run(load(server.url + WAY.path, WAY._replace(text_field="txt"), 1, 2, os.getpid()))
    assert wrong.failed == 2 and not wrong.first and wrong.row()[-1] == "2"
    assert Load([0.1, 0.2, 0.3], 2.0, 0, 4.0, 1.0).row() == ["200", "200", "0.500", "0.5", "0"]


def test_misbehaving_clients_leave_no_handles_and_no_work(server):
    before = handles(os.getpid())
    asyncio.run(misbehaving(server.url + WAY.path, WAY, 8))
    server.until(lambda: not server.engine.open_requests and not server.engine.busy_workers)
    server.until(lambda: handles(os.getpid()) <= before)
    assert resident(os.getpid()) > 10
