"""Counters of the server for Prometheus, without a word of any text.

    metrics = Metrics(engine)
    metrics.count_request("/v1/audio/speech", 200)
    metrics.render()                                  # text of /metrics
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serving.engine import Engine, Spoken

FIRST_SECONDS = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
WHOLE_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """Counters and gauges of an engine and of the web application before it."""

    def __init__(self, engine: Engine) -> None:
        """Counters at zero; the engine's requests are counted from now on."""
        self.registry = CollectorRegistry()
        self.requests = Counter("vits_http_requests", "Requests over HTTP.", ("route", "status"),
                                registry=self.registry)
        self.spoken = Counter("vits_spoken", "Texts, by how they ended.", ("voice", "outcome"), registry=self.registry)
        self.audio = Counter("vits_audio_seconds", "Seconds of sound.", ("voice",), registry=self.registry)
        self.work = Counter("vits_work_seconds", "CPU seconds of synthesis and encoding; over the seconds of sound "
                            "they are the real-time factor.", ("voice",), registry=self.registry)
        self.first = Histogram("vits_first_piece_seconds", "From a request to its first sound.",
                               buckets=FIRST_SECONDS, registry=self.registry)
        self.whole = Histogram("vits_request_seconds", "From a request to its end.", buckets=WHOLE_SECONDS,
                               registry=self.registry)
        for name, what, value in (
                ("vits_open_requests", "Requests that are being answered.", lambda: engine.open_requests),
                ("vits_waiting_pieces", "Pieces that wait for a worker.", lambda: engine.waiting_jobs),
                ("vits_busy_workers", "Workers that compute.", lambda: engine.busy_workers),
                ("vits_workers", "Workers.", lambda: engine.workers)):
            Gauge(name, what, registry=self.registry).set_function(value)
        engine.on_spoken.append(self._count_spoken)

    def count_request(self, route: str, status: int) -> None:
        """Count a request over HTTP."""
        self.requests.labels(route, str(status)).inc()

    def render(self) -> bytes:
        """All of them, as Prometheus reads it."""
        return generate_latest(self.registry)

    def _count_spoken(self, spoken: Spoken) -> None:
        self.spoken.labels(spoken.voice, spoken.outcome).inc()
        self.audio.labels(spoken.voice).inc(spoken.audio_seconds)
        self.work.labels(spoken.voice).inc(spoken.work_seconds)
        self.whole.observe(spoken.seconds)
        if spoken.first_seconds is not None:
            self.first.observe(spoken.first_seconds)
