"""Speech for many clients at once: requests -> pieces of encoded sound, computed by worker threads in order of need.

    engine = Engine(Voices.load(["en_joe"]))
    await engine.start()                              # speaks once in every voice
    pieces = engine.speak(SpeechRequest("Good morning.", format="mp3"))
    async with contextlib.aclosing(pieces):           # leaving ends the work at the next piece
        async for piece in pieces:                    # errors of the request are raised before the first piece
            await response.write(piece.data)
    await engine.stop(grace=30)

Every piece, a sentence or a part of one, is a job of its own. Jobs that wait are taken in the order in which their
clients run out of sound: a new client's first sentence goes before the tenth of a long text, and no text waits for
ever. A job cannot be stopped once it runs.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import functools
import heapq
import itertools
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audio.encoders import StreamEncoder, format_of, rate_within
from audio.resampling import StreamResampler
from formats import FormatError
from serving.errors import BusyError, RequestError, TooLongError
from serving.voices import Found, Voices
from synthesis.base import TEXT_ERRORS, Audio, NothingToSayError, SynthesisOptions
from synthesis.chunking import DEFAULT_CHUNKS, ChunkSizes, calibrated_chunks
from synthesis.timings import Timings
from text.markup import is_ssml
from utils import PackageError

# Shapes: S samples.


@dataclass(frozen=True)
class Limits:
    """What a server takes."""

    requests: int = 64  # open at once; one more gets BusyError
    characters: int = 10_000  # of a text
    seconds: float = 1800.0  # of sound of one answer


@dataclass(frozen=True)
class SpeechRequest:
    """A text to speak, and how."""

    text: str | TextFeed
    voice: str | None = None  # as `Voices.find` takes it; None: the default one
    options: SynthesisOptions = field(default_factory=SynthesisOptions)  # speaker, speed, seed, pauses ...
    is_ssml: bool | None = None  # None: where the text begins with <speak>
    sample_rate: int | None = None  # Hz; None: the voice's; the next one above where the format lacks it
    format: str | None = None  # of `Piece.data`: wav, pcm, mp3, opus, flac, aac; None: no data

    def __post_init__(self) -> None:
        if self.sample_rate is not None and not 8000 <= self.sample_rate <= 48_000:
            raise RequestError(f"sample_rate is {self.sample_rate} Hz; expected 8000 to 48000", "sample_rate")


@dataclass(frozen=True)
class Piece:
    """The next piece of an answer."""

    samples: np.ndarray  # float32 [S], in [-1, 1]; none in the last piece of some formats
    sample_rate: int  # Hz
    start: int = 0  # sample of the whole answer from which `timings` count
    timings: Timings | None = None  # of its sentence, with the sentence's first piece; of a pause
    data: bytes = b""  # encoded; pieces joined are one file or stream


@dataclass
class Spoken:
    """A request at its end, as metrics take it."""

    voice: str
    outcome: str = "cancelled"  # done, refused, failed or cancelled
    first_seconds: float | None = None  # from the request to its first piece
    seconds: float = 0.0  # from the request to its end
    work_seconds: float = 0.0  # CPU seconds of the worker threads
    audio_seconds: float = 0.0


class TextFeed:
    """Plain text that arrives in parts, such as a language model writes; it belongs to one event loop."""

    def __init__(self, characters: int = Limits.characters) -> None:
        """Feed that takes at most so many characters."""
        self._parts: collections.deque[str] = collections.deque()
        self._has_ended = False
        self._changed = asyncio.Event()
        self._left = self._limit = characters

    def add(self, text: str) -> None:
        """Add a part; a sentence is spoken once it is complete.

        Raises:
            TooLongError: it is more than the feed takes.
        """
        self._left -= len(text)
        if self._left < 0:
            raise TooLongError(f"the text has more than {self._limit} characters; begin a new one", "text")
        self._parts.append(text)
        self._changed.set()

    def end(self) -> None:
        """Let the text end: what is left of it is spoken."""
        self._has_ended = True
        self._changed.set()

    async def wait(self) -> None:
        """Wait until there is a part, or the end."""
        while not self._parts and not self._has_ended:
            self._changed.clear()
            await self._changed.wait()

    def __iter__(self) -> Iterator[str | None]:
        """Parts, for `BaseVoice.stream`; None where none is there yet."""
        while True:
            has_ended = self._has_ended  # before the parts, as a last one may come in between
            if self._parts:
                yield self._parts.popleft()
            elif has_ended:
                return
            else:
                yield None


class Engine:
    """Voices, worker threads, and the queue of pieces before them. All methods belong to one event loop."""

    def __init__(self, voices: Voices, limits: Limits | None = None, workers: int | None = None,
                 chunks: ChunkSizes | None = None) -> None:
        """Engine that has not started.

        Args:
            voices: that it speaks with.
            limits: what it takes.
            workers: threads, each of which computes a piece at a time; None: as many as cores.
            chunks: sizes of pieces; None: as `start` measures for each voice.
        """
        self.voices = voices
        self.limits = limits or Limits()
        self.workers = workers or len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()) or 1
        self.chunks = {name: chunks or DEFAULT_CHUNKS for name in voices.voices}
        self.is_ready = False
        self.on_spoken: list[Callable[[Spoken], None]] = []  # called at the end of every request
        self.open_requests = 0
        self._measures_chunks = chunks is None
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="speak")
        self._free_workers = self.workers
        self._queue: list[tuple[float, int, asyncio.Future]] = []  # a heap: time of need, order of arrival, turn
        self._arrivals = itertools.count()
        self._is_stopping = False
        self._all_closed = asyncio.Event()
        self._all_closed.set()

    @property
    def waiting_jobs(self) -> int:
        """Pieces that wait for a worker."""
        return sum(not turn.done() for _, _, turn in self._queue)

    @property
    def busy_workers(self) -> int:
        """Workers that compute."""
        return self.workers - self._free_workers

    async def start(self) -> None:
        """Measure the sizes of pieces, and speak once in every voice, as the first time takes longer."""
        for name, voice in self.voices.voices.items():
            if self._measures_chunks:
                self.chunks[name] = await self._turn(0.0, functools.partial(calibrated_chunks, voice))
            with contextlib.suppress(*TEXT_ERRORS):
                await self._turn(0.0, _Answer(SpeechRequest("1, 2."), self.voices.find(name), self.chunks[name]).next)
        self.is_ready = True

    async def stop(self, grace: float = 30.0) -> None:
        """Refuse new requests, let the open ones end within so many seconds, and end the threads."""
        self._is_stopping, self.is_ready = True, False
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._all_closed.wait(), grace)
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def speak(self, request: SpeechRequest) -> AsyncIterator[Piece]:
        """Pieces of the answer to a request, as they are computed; closing the iterator ends the work.

        Raises:
            RequestError: with the first piece: UnknownVoiceError, TooLongError, BusyError, or another fault of the
                request. Later: TooLongError for more sound than the server takes, or a fault that shows only there.
        """
        found = self._admit(request)
        clock = asyncio.get_running_loop().time
        arrival, spoken = clock(), Spoken(found.name)
        needed = arrival  # when the client runs out of sound
        answer = None
        try:
            answer = _Answer(request, found, self.chunks[found.name])
            while (piece := await self._turn(needed, answer.next)) is not None:
                if answer.awaits_text:
                    await request.text.wait()
                    continue
                if spoken.first_seconds is None:
                    spoken.first_seconds = clock() - arrival
                seconds = len(piece.samples) / piece.sample_rate
                needed = max(needed, clock()) + seconds  # one that is late is no more urgent than a new one
                spoken.audio_seconds += seconds
                if spoken.audio_seconds > self.limits.seconds:
                    raise TooLongError(f"the answer has more than {self.limits.seconds:g} seconds of sound; send the "
                                       "text in parts", "input")
                yield piece
            spoken.outcome = "done"
        except BaseException as error:
            spoken.outcome = _outcome(error)
            raise _as_request_error(error) from None
        finally:
            if answer is not None:
                answer.close()
                spoken.work_seconds = answer.work_seconds
            spoken.seconds = clock() - arrival
            self._leave(spoken)

    def _admit(self, request: SpeechRequest) -> Found:
        """Count a request in, and find its voice."""
        if self._is_stopping:
            raise BusyError("the server is about to stop; ask again later")
        found = self.voices.find(request.voice, request.options.speaker)
        if isinstance(request.text, str) and len(request.text) > self.limits.characters:
            raise TooLongError(f"the text has {len(request.text)} characters; expected at most "
                               f"{self.limits.characters}, send it in parts", "input")
        if self.open_requests >= self.limits.requests:
            raise BusyError(f"{self.open_requests} requests are open, as many as the server takes; ask again later")
        self.open_requests += 1
        self._all_closed.clear()
        return found

    def _leave(self, spoken: Spoken) -> None:
        self.open_requests -= 1
        if not self.open_requests:
            self._all_closed.set()
        for observe in self.on_spoken:
            observe(spoken)

    async def _turn(self, needed: float, work: Callable[[], Any]) -> Any:
        """What `work` returns, computed by the next free worker; waiting turns are taken by the time of need."""
        loop = asyncio.get_running_loop()
        if self._free_workers:
            self._free_workers -= 1
        else:
            turn = loop.create_future()
            heapq.heappush(self._queue, (needed, next(self._arrivals), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # a worker was given just before
                    self._release()
                raise
        try:
            running = loop.run_in_executor(self._pool, work)
        except RuntimeError:  # the engine has stopped
            self._release()
            raise BusyError("the server is about to stop; ask again later") from None
        running.add_done_callback(lambda done: (self._release(), done.cancelled() or done.exception()))
        return await asyncio.shield(running)  # a worker is free when its job ends, not when its client leaves

    def _release(self) -> None:
        """Give a worker to the next turn, if one waits."""
        while self._queue:
            _, _, turn = heapq.heappop(self._queue)
            if not turn.done():
                turn.set_result(None)
                return
        self._free_workers += 1


class _Answer:
    """Pieces of one request, computed one by one by whatever worker has its turn."""

    def __init__(self, request: SpeechRequest, found: Found, chunks: ChunkSizes) -> None:
        self.voice = found.voice
        self.request = request
        self.rate = request.sample_rate or self.voice.sample_rate
        if request.format is not None:
            self.rate = rate_within(format_of(request.format), self.rate)
        self.work_seconds = 0.0
        self.awaits_text = False
        self._chunks = self._spoken(found, chunks)
        self._encoder = None if request.format is None else _encoder(request.format, self.rate)
        self._resampler = (None if self.rate == self.voice.sample_rate
                           else StreamResampler(self.voice.sample_rate, self.rate))
        self._taken = self._given = 0  # samples of the voice; of the answer
        self._has_ended = self._is_closed = False
        self._lock = threading.Lock()

    def next(self) -> Piece | None:
        """Compute the next piece; None at the end."""
        started = time.thread_time()
        with self._lock:
            try:
                return None if self._has_ended or self._is_closed else self._next()
            finally:
                self.work_seconds += time.thread_time() - started
                if self._is_closed:
                    self._chunks.close()

    def close(self) -> None:
        """End the work: now, or when the piece that is being computed is done."""
        self._is_closed = True
        if self._lock.acquire(blocking=False):
            try:
                self._chunks.close()
            finally:
                self._lock.release()

    def _spoken(self, found: Found, chunks: ChunkSizes) -> Iterator[Audio]:
        """Chunks of the voice, from the first that has sound on."""
        text, options = self.request.text, self._options(found)
        if isinstance(text, str):
            wants_ssml = is_ssml(text) if self.request.is_ssml is None else self.request.is_ssml
            if wants_ssml and not is_ssml(text):
                raise RequestError(f"the text begins with {text[:20]!r}; expected <speak>, since it is to be SSML",
                                   "input")
            if wants_ssml or "[[" in text:
                self.voice.check_markup(text)
            text = text if wants_ssml else [text]
        stream = self.voice.stream(text, options, chunks)
        if isinstance(text, TextFeed):
            yield from stream
            return
        pauses: list[Audio] = []
        for chunk in stream:
            if chunk.text_ids:
                yield Audio.joined([*pauses, chunk])
                yield from stream
                return
            pauses.append(chunk)
        raise NothingToSayError(self.request.text)

    def _options(self, found: Found) -> SynthesisOptions:
        return dataclasses.replace(self.request.options, speaker=found.speaker)

    def _next(self) -> Piece:
        chunk = next(self._chunks, None)
        if chunk is None:
            return self._last()
        self.awaits_text = not len(chunk.samples) and not isinstance(self.request.text, str)
        timings, start = chunk.timings, self._scaled(self._taken)
        if timings is not None and self._resampler:
            timings = timings.scaled(self.rate)
        self._taken += len(chunk.samples)
        samples = self._resampler.push(chunk.samples) if self._resampler else chunk.samples
        return Piece(samples, self.rate, start, timings, self._encoded(samples))

    def _last(self) -> Piece:
        """What resampler and encoder still hold."""
        self._has_ended, self.awaits_text = True, False
        samples = self._resampler.finish() if self._resampler else np.zeros(0, np.float32)
        data = self._encoded(samples) + (self._encoder.finish() if self._encoder else b"")
        return Piece(samples, self.rate, self._scaled(self._taken), None, data)

    def _encoded(self, samples: np.ndarray) -> bytes:
        return self._encoder.write(samples) if self._encoder and len(samples) else b""

    def _scaled(self, sample: int) -> int:
        """A place in the voice's samples as one in the answer's."""
        rate = self.voice.sample_rate
        return (sample * self.rate + rate // 2) // rate


def _encoder(kind: str, sample_rate: int) -> StreamEncoder:
    try:
        return StreamEncoder(kind, sample_rate)
    except PackageError as error:
        raise RequestError(str(error), "response_format", "not_installed") from None


def _outcome(error: BaseException) -> str:
    """How a request ended by an error."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "cancelled"
    return "failed" if isinstance(error, FormatError) or not isinstance(error, ValueError) else "refused"


def _as_request_error(error: BaseException) -> BaseException:
    """A user's mistake as RequestError; another error as it is."""
    if isinstance(error, RequestError | FormatError) or not isinstance(error, ValueError):
        return error
    code = "nothing_to_say" if isinstance(error, NothingToSayError) else None
    return RequestError(str(error), "input" if isinstance(error, TEXT_ERRORS) else None, code)
