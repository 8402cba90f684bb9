"""A voice without torch: what `export.py --to onnx` wrote, spoken by onnxruntime a second after the process began.

    voice = OnnxVoice.load("demo_onnx")            # a folder, or one of its .onnx files with voice.json beside it
    voice.speak("Good morning.", seed=1).save("good_morning.wav")

A seed sounds as it does by `synthesis.Voice`: the noise is the same, and the graph is told it. From a folder that also
holds encoder.onnx and decoder.onnx a sentence is heard while it is made.
"""

from __future__ import annotations

import importlib.util
import mmap
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import config as settings
from audio.io import other_content
from config import Config
from formats import FormatError
from synthesis import noise
from synthesis.base import Delivery, SentenceLatent, Speaking
from synthesis.chunking import Pieces, plan
from synthesis.controls import paced, token_frames
from synthesis.speakers import find_speaker, shares
from text import TextProcessor
from text.symbols import check_inside
from text.utterances import Utterance
from utils import import_package

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, NodeArg

# Shapes: L text tokens, T frames, S samples, C latent channels, G speaker channels.

VOICE_FILE, ENCODER_FILE, DECODER_FILE = "voice.onnx", "encoder.onnx", "decoder.onnx"
DESCRIPTION_FILE = "voice.json"
NOT_ALONE = ("config.json", "model.safetensors")  # a folder that holds one is a run or a release
MOST_CHANNELS = 4096
GIVEN_DURATIONS, PREDICTED_DURATIONS = "given_durations", "predicted_durations"
FRAMES_A_TOKEN = 5  # noise is drawn for so many before the durations are known; voices say 1 to 4
INPUTS = ("text_ids", "scales", "prior_noise", GIVEN_DURATIONS)  # so that the caller decides on sound and pace


def find_graph(path: str | Path) -> Path | None:
    """The ONNX file that a user means by a path, if one is meant: itself, or that of a folder of nothing else.

    A release that holds one too is spoken by torch, and by its graph where torch is not installed. A voice of Piper,
    beside which lies its JSON, is read into this project's network.
    """
    path = Path(path)
    if path.suffix == ".onnx" and not path.is_dir():
        return None if path.with_name(f"{path.name}.json").is_file() else path
    is_voice = (path / VOICE_FILE).is_file() or (path / ENCODER_FILE).is_file()
    is_alone = not any((path / name).exists() for name in NOT_ALONE) or importlib.util.find_spec("torch") is None
    return path / VOICE_FILE if is_voice and is_alone else None


@dataclass(frozen=True)
class GraphLatent(SentenceLatent):
    """A sentence before the decoder's graph, or after the only one."""

    outputs: dict[str, np.ndarray]  # of the graph of the whole utterance


class OnnxVoice(Speaking):
    """A trained voice in ONNX with the text code that it was trained with, ready to speak on the CPU."""

    def __init__(self, config: Config, graph: InferenceSession, decoder: InferenceSession | None = None):
        """Make a voice of sessions that `load` opened.

        Args:
            config: of the training; its model section is not asked.
            graph: text to sound; with a decoder, text to latent.
            decoder: latent to sound.
        """
        self.config = config
        self.text = TextProcessor.from_config(config.data)
        self.graph = graph
        self.decoder = decoder
        self._taken = _taken(graph)
        self._outputs = [each.name for each in graph.get_outputs()]

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", overrides: Sequence[str] = (),
             threads: int | None = None) -> OnnxVoice:
        """Open a folder, or one of its .onnx files.

        Args:
            path: of the folder or the file.
            device: "auto" or "cpu", which are the same here.
            overrides: changes to the configuration that it was trained with, as `section.key=value`.
            threads: to compute with; None takes OMP_NUM_THREADS, else what onnxruntime thinks best.

        Raises:
            FileNotFoundError: a file is missing.
            FormatError: a file is not what it should be.
            PackageError: onnxruntime is not installed, or does not load.
            ConfigError: an override does not fit.
        """
        if device not in ("auto", "cpu"):
            raise ValueError(f"device {device!r}: an ONNX voice speaks on the CPU; let -m name a run, a checkpoint or "
                             "a release to speak on another")
        path = Path(path)
        folder = path if path.is_dir() else path.parent
        split = [folder / name for name in (ENCODER_FILE, DECODER_FILE)]
        files = [path / VOICE_FILE if path.is_dir() else path]
        if path.is_dir() and all(file.is_file() for file in split):
            files = split
        for file in files:
            if not file.is_file():
                raise FileNotFoundError(f"no {file}; such files are written by python export.py -m RUN --to onnx -o "
                                        "FOLDER")
        config = _description(folder / DESCRIPTION_FILE, overrides)
        sessions = [_session(file, threads) for file in files]
        _check(files[0], sessions[0], config.multispeaker, "z" if len(files) > 1 else "wav")
        return cls(config, *sessions)

    def _latent(self, utterance: Utterance, seed: int, delivery: Delivery,
                durations: Sequence[int] | None) -> GraphLatent:
        if delivery.candidates > 1:
            raise ValueError(f"candidates is {delivery.candidates}: to choose the best of several takes a run, a "
                             "checkpoint or a release; an ONNX voice cannot read its own sound back")
        n_tokens = len(utterance.ids)
        inputs = {"text_ids": np.array([utterance.ids], np.int64),
                  "scales": np.array([delivery.noise_scale, 1.0, delivery.noise_scale_duration], np.float32)}
        if "duration_noise" in self._taken:  # of the stochastic predictor
            inputs["duration_noise"] = noise.duration_draw(seed, n_tokens, delivery.strategy).T[None]
        inputs |= self._speaker_inputs(utterance.speaker)

        def run(n_frames: int, frames: np.ndarray | None) -> dict[str, np.ndarray]:
            drawn = noise.prior_draw(delivery.strategy, seed, self._taken["prior_noise"].shape[1], max(1, n_frames))
            given = {} if frames is None else {GIVEN_DURATIONS: frames[None]}
            return self._run({**inputs, **given, "prior_noise": drawn.T[None]})

        if durations is not None:
            frames = paced(durations, utterance.rates)
        elif any(rate != 1 for rate in utterance.rates):
            frames = token_frames(self._durations(inputs), utterance)
        else:  # one run gives durations and sound, if there was noise enough
            outputs = run(FRAMES_A_TOKEN * n_tokens, None)
            frames = token_frames(outputs["durations"].reshape(-1), utterance)
            if frames.sum() <= FRAMES_A_TOKEN * n_tokens:
                return GraphLatent(utterance, frames, outputs)
        return GraphLatent(utterance, frames, run(int(frames.sum()), frames))

    def _durations(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Frames of each token at the trained pace, [L].

        A run computes the whole graph, whatever is asked of it; so it gets durations of one frame, whose cost is small.
        A graph of an earlier version has no output of predicted durations but those that it speaks.
        """
        if PREDICTED_DURATIONS not in self._outputs:
            return self._run(inputs)["durations"].reshape(-1)
        one_frame = _one_frame(inputs["text_ids"].shape[1])
        return self._run({**inputs, **one_frame})[PREDICTED_DURATIONS].reshape(-1)

    def _run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs of the graph by name."""
        return dict(zip(self._outputs, _run(self.graph, self._outputs, inputs)))

    def _decode(self, latent: GraphLatent, pieces: Pieces) -> Iterator[np.ndarray]:
        n_frames, hop = int(latent.frames.sum()), self.config.data.hop_length
        if not n_frames:
            yield np.zeros(0, np.float32)
            return
        if self.decoder is None:
            yield _checked_wav(latent.outputs["wav"], n_frames * hop)
            return
        wanted = [each.name for each in self.decoder.get_inputs()]  # z, and the speaker if there are several
        heard = {name: latent.outputs[name] for name in wanted}
        if heard["z"].ndim != 3 or heard["z"].shape[2] != n_frames:
            raise FormatError(f"{ENCODER_FILE} gives a latent of shape {list(heard['z'].shape)}; expected [1, C, "
                              f"{n_frames}]: the files do not belong together, so write them again by python export.py")
        context = self.decoder.get_modelmeta().custom_metadata_map.get("context_frames", "")
        for piece in plan(n_frames, int(context) if context.isdecimal() else n_frames, pieces):
            part = {**heard, "z": heard["z"][:, :, piece.low : piece.high]}
            wav = _checked_wav(_run(self.decoder, ["wav"], part)[0], (piece.high - piece.low) * hop)
            yield wav[(piece.start - piece.low) * hop : (piece.end - piece.low) * hop]

    def _speaker_inputs(self, speaker: str | int | None) -> dict[str, np.ndarray]:
        """A speaker as inputs of the graph: none for one voice, an id, or an embedding between several.

        Raises:
            ValueError: there is no such speaker, or one that no graph can compute.
        """
        spec = find_speaker(speaker, self.speakers)
        if spec is None:
            return {}
        if spec.kind not in ("name", "mix"):
            raise ValueError(f"speaker {speaker!r}: new speakers, and those that turn into another, take a run, a "
                             "checkpoint or a release; an ONNX voice has those it was trained with, and mixes of them")
        weights = shares(self.speakers, spec)
        rows = np.flatnonzero(weights)
        if len(rows) == 1:
            return {"speaker_id": rows}
        mixed = sum(weights[row] * self._embedding(row).astype(np.float64) for row in rows)
        return {"speaker_embedding": mixed.astype(np.float32)}

    def _embedding(self, row: int) -> np.ndarray:
        """A trained speaker, float32 [1, G], which the graph says without speaking.

        Raises:
            FormatError: an earlier version wrote the graph, and it does not say that.
        """
        if "speaker" not in self._outputs:
            raise FormatError("this ONNX voice was written before speakers could be mixed; write it again by python "
                              "export.py --to onnx, or let -m name a run, a checkpoint or a release")
        return self._run({"text_ids": np.zeros((1, 1), np.int64), "speaker_id": np.array([row], np.int64),
                          **_one_frame(1)})["speaker"][:, :, 0]


def _one_frame(n_tokens: int) -> dict[str, np.ndarray]:
    """Durations by which a graph says its first token for one frame and the others not at all."""
    return {GIVEN_DURATIONS: np.eye(1, n_tokens, dtype=np.int64)}


def _description(path: Path, overrides: Sequence[str]) -> Config:
    """Read voice.json, the configuration of the training with its symbols.

    Raises:
        FileNotFoundError: it is not there.
        ConfigError: it, or an override, does not fit.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no {path}; it lies beside the .onnx files that python export.py --to onnx writes, "
                                "and says which text they take. Beside a Piper voice, VOICE.onnx, lies VOICE.onnx.json "
                                "instead: put it there")
    config = settings.load(path, overrides)
    if "data.symbols" not in settings.overridden(overrides):
        check_inside(config.data.symbols, path)
    return config


def _run(session: InferenceSession, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Outputs of a graph; FormatError if it cannot compute them."""
    try:
        return session.run(names, inputs)
    except Exception as error:  # onnxruntime has exceptions of its own, which share no other ancestor
        raise FormatError(f"the ONNX voice cannot compute {', '.join(names)} ({str(error).splitlines()[0]}); write it "
                          "again by python export.py --to onnx") from None


def _checked_wav(wav: np.ndarray, n_samples: int) -> np.ndarray:
    """Samples [S] of a graph's wav [1, 1, S].

    Raises:
        FormatError: it has another shape.
    """
    if wav.shape != (1, 1, n_samples):
        raise FormatError(f"the ONNX voice gives a wav of shape {list(wav.shape)}; expected [1, 1, {n_samples}]: its "
                          "files do not belong together, so write them again by python export.py --to onnx")
    return wav[0, 0]


def _taken(session: InferenceSession) -> dict[str, NodeArg]:
    """What a graph must be given, and what it may be."""
    return {each.name: each for each in (*session.get_inputs(), *session.get_overridable_initializers())}


def _check(path: Path, session: InferenceSession, multispeaker: bool, output: str) -> None:
    """Refuse the graph of somebody else.

    Raises:
        FormatError: naming what it takes and says.
    """
    taken, said = _taken(session), [each.name for each in session.get_outputs()]
    channels = taken["prior_noise"].shape[1:2] if "prior_noise" in taken else [1]
    if not all(isinstance(each, int) and 0 < each <= MOST_CHANNELS for each in channels) or not channels:
        raise FormatError(f"{path} takes a prior_noise of shape {taken['prior_noise'].shape}; expected [1, C, T] of up "
                          f"to {MOST_CHANNELS} channels, as of a file that python export.py --to onnx wrote")
    expected = (*INPUTS, *(["speaker_id"] if multispeaker else []))
    if not taken.keys() >= set(expected) or not {output, "durations"} <= set(said):
        raise FormatError(f"{path} takes {', '.join(taken)} and says {', '.join(said)}; expected {', '.join(expected)} "
                          f"and {output}, durations, as of a file that python export.py --to onnx wrote")


def _session(path: Path, threads: int | None) -> InferenceSession:
    """An ONNX file, ready to run."""
    onnxruntime = import_package("onnxruntime", otherwise="let -m name a run, a checkpoint or a release, which torch "
                                                           "speaks")
    if not path.stat().st_size:
        raise FormatError(f"{path} is empty; write it again by python export.py --to onnx")
    if what := other_content(path):
        raise FormatError(f"{path} is {what}, no ONNX graph; fetch it again, or write it by python export.py --to onnx")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        # The key of external data, its length before it; onnxruntime too refuses other folders' files. A release's own
        # weights may be shared.
        is_foreign = re.search(rb"\x08location(?!\x12\x11model\.safetensors)", content) is not None
        if is_foreign or content.find(b"\x08location") >= 0 and path.with_name(NOT_ALONE[1]).is_symlink():
            raise FormatError(f"{path} takes weights from other files, which are not read; write it again by python "
                              "export.py --to onnx, which puts all into one")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0")) if threads is None else threads
    options.log_severity_level = 3  # errors only
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads would burn a core each
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it has exceptions of its own, which share no other ancestor
        raise FormatError(f"{path} is no ONNX graph that onnxruntime {onnxruntime.__version__} can open "
                          f"({str(error).splitlines()[0]}); write it again by python export.py --to onnx") from None
