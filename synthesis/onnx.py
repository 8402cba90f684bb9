"""A voice without torch: the ONNX files of `export.py --to onnx`, run by onnxruntime.

    voice = OnnxVoice.load("demo_onnx")            # a folder, or one of its .onnx files with voice.json beside it
    voice.speak("Good morning.", seed=1).save("good_morning.wav")

A seed gives the same sound as by `synthesis.Voice`: the noise is the same, an input of the graph. The graph is cut into
encoder and decoder when it is opened, so that the first chunk of a sentence is ready before the others are decoded.
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
from formats.onnx_parts import encoder_and_decoder
from synthesis import noise
from synthesis.base import BaseVoice, SentenceLatent, SynthesisOptions
from synthesis.chunking import ChunkSizes, plan_chunks
from synthesis.controls import frames_at_rates, token_frames
from synthesis.speakers import find_speaker, speaker_weights
from text import TextProcessor
from text.symbols import check_inside
from text.utterances import SentenceTokens
from utils import import_package

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, NodeArg

# Shapes: L text tokens, T frames, S samples, C latent channels, G speaker channels.

VOICE_FILE, ENCODER_FILE, DECODER_FILE = "voice.onnx", "encoder.onnx", "decoder.onnx"
DESCRIPTION_FILE = "voice.json"
NOT_ALONE = ("config.json", "model.safetensors")  # a folder that holds one is a run or a release
MOST_CHANNELS = 4096
GIVEN_DURATIONS, PREDICTED_DURATIONS = "given_durations", "predicted_durations"
FRAMES_A_TOKEN = 5  # noise is drawn for so many before the durations are known; trained voices have 1 to 4
INPUTS = ("text_ids", "scales", "prior_noise", GIVEN_DURATIONS)  # noise and durations are the caller's


def find_graph(path: str | Path) -> Path | None:
    """The ONNX file at a path: itself, or that of a folder of ONNX files; None where torch is to load the voice.

    A release that holds a graph too is loaded by torch, and its graph only where torch is not installed. A voice of
    Piper, beside which lies its JSON, is read into this project's network.
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

    outputs: dict[str, np.ndarray]  # of the graph of the whole sentence


class OnnxVoice(BaseVoice):
    """A trained voice in ONNX with the text processing that it was trained with, on the CPU."""

    def __init__(self, config: Config, graph: InferenceSession, decoder: InferenceSession | None = None):
        """Voice of sessions that `load` opened.

        Args:
            config: of the training; its model section is not used.
            graph: text to waveform; with a decoder, text to latent.
            decoder: latent to waveform.
        """
        self.config = config
        self.text = TextProcessor.from_config(config.data)
        self.graph = graph
        self.decoder = decoder
        self._inputs = _inputs(graph)
        self._outputs = [each.name for each in graph.get_outputs()]

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", overrides: Sequence[str] = (),
             threads: int | None = None) -> OnnxVoice:
        """Open a folder, or one of its .onnx files.

        Args:
            path: of the folder or the file.
            device: "auto" or "cpu", which are the same here.
            overrides: changes to the configuration that it was trained with, as `section.key=value`.
            threads: to compute with; None takes OMP_NUM_THREADS, else onnxruntime's default.

        Raises:
            FileNotFoundError: a file is missing.
            FormatError: a file is not what it should be.
            PackageError: onnxruntime is not installed, or does not load.
            ConfigError: an override does not fit.
        """
        if device not in ("auto", "cpu"):
            raise ValueError(f"device is {device!r}, and an ONNX voice runs on the CPU; expected auto or cpu, or let "
                             "-m name a run, a checkpoint or a release for another device")
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
        sessions = [each for file in files for each in _sessions(file, threads, is_whole=len(files) == 1)]
        _check(files[0], sessions[0], config.multispeaker, "z" if len(sessions) > 1 else "wav")
        return cls(config, *sessions)

    def _latent(self, sentence: SentenceTokens, seed: int, options: SynthesisOptions,
                durations: Sequence[int] | None) -> GraphLatent:
        if options.candidates > 1:
            raise ValueError(f"candidates is {options.candidates}, and an ONNX voice has no posterior encoder to "
                             "choose the best by; expected 1, or a run, a checkpoint or a release")
        n_tokens = len(sentence.ids)
        inputs = {"text_ids": np.array([sentence.ids], np.int64),
                  "scales": np.array([options.noise_scale, 1.0, options.noise_scale_duration], np.float32)}
        if "duration_noise" in self._inputs:  # of the stochastic predictor
            inputs["duration_noise"] = noise.duration_draw(seed, n_tokens, options.strategy).T[None]
        inputs |= self._speaker_inputs(sentence.speaker)

        def run(n_frames: int, frames: np.ndarray | None) -> dict[str, np.ndarray]:
            drawn = noise.prior_draw(options.strategy, seed, self._inputs["prior_noise"].shape[1], max(1, n_frames))
            given = {} if frames is None else {GIVEN_DURATIONS: frames[None]}
            return self._run({**inputs, **given, "prior_noise": drawn.T[None]})

        if durations is not None:
            frames = frames_at_rates(durations, sentence.rates)
        elif any(rate != 1 for rate in sentence.rates):
            frames = token_frames(self._durations(inputs), sentence)
        else:  # one run gives durations and sound, if there was noise enough
            outputs = run(FRAMES_A_TOKEN * n_tokens, None)
            frames = token_frames(outputs["durations"].reshape(-1), sentence)
            if frames.sum() <= FRAMES_A_TOKEN * n_tokens:
                return GraphLatent(sentence, frames, outputs)
        return GraphLatent(sentence, frames, run(int(frames.sum()), frames))

    def _durations(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Frames of each token at the trained pace, [L].

        A run computes the whole graph, whatever its outputs; so it gets durations of one frame, whose cost is small. A
        graph of an earlier version has no such output, and gives the durations of a whole run.
        """
        if PREDICTED_DURATIONS not in self._outputs:
            return self._run(inputs)["durations"].reshape(-1)
        one_frame = _one_frame(inputs["text_ids"].shape[1])
        return self._run({**inputs, **one_frame})[PREDICTED_DURATIONS].reshape(-1)

    def _run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs of the graph by name."""
        return dict(zip(self._outputs, _run(self.graph, self._outputs, inputs)))

    def _decode(self, latent: GraphLatent, chunks: ChunkSizes) -> Iterator[np.ndarray]:
        n_frames, hop = int(latent.frames.sum()), self.config.data.hop_length
        if not n_frames:
            yield np.zeros(0, np.float32)
            return
        if self.decoder is None:
            yield _checked_wav(latent.outputs["wav"], n_frames * hop)
            return
        names = [each.name for each in self.decoder.get_inputs()]  # z, and the speaker if there are several
        inputs = {name: latent.outputs[name] for name in names}
        if inputs["z"].ndim != 3 or inputs["z"].shape[2] != n_frames:
            raise FormatError(f"{ENCODER_FILE} gives a latent of shape {list(inputs['z'].shape)}; expected [1, C, "
                              f"{n_frames}]: the files do not belong together, so write them again by python export.py")
        context = self.decoder.get_modelmeta().custom_metadata_map.get("context_frames", "")
        for chunk in plan_chunks(n_frames, int(context) if context.isdecimal() else n_frames, chunks):
            part = {**inputs, "z": inputs["z"][:, :, chunk.low : chunk.high]}
            wav = _checked_wav(_run(self.decoder, ["wav"], part)[0], (chunk.high - chunk.low) * hop)
            yield wav[(chunk.start - chunk.low) * hop : (chunk.end - chunk.low) * hop]

    def _speaker_inputs(self, speaker: str | int | None) -> dict[str, np.ndarray]:
        """A speaker as inputs of the graph: none for one voice, an id, or an embedding between several.

        Raises:
            ValueError: there is no such speaker, or one that no graph can compute.
        """
        spec = find_speaker(speaker, self.speakers)
        if spec is None:
            return {}
        if spec.kind not in ("name", "mix"):
            raise ValueError(f"speaker {speaker!r}: new speakers, and paths from one to another, take a run, a "
                             "checkpoint or a release; an ONNX voice has its trained speakers, and mixes of them")
        weights = speaker_weights(self.speakers, spec)
        rows = np.flatnonzero(weights)
        if len(rows) == 1:
            return {"speaker_id": rows}
        mixed = sum(weights[row] * self._embedding(row).astype(np.float64) for row in rows)
        return {"speaker_embedding": mixed.astype(np.float32)}

    def _embedding(self, row: int) -> np.ndarray:
        """A trained speaker's embedding, float32 [1, G], by a run of one frame.

        Raises:
            FormatError: an earlier version wrote the graph, which lacks this output.
        """
        if "speaker" not in self._outputs:
            raise FormatError("this ONNX voice was written before speakers could be mixed; write it again by python "
                              "export.py --to onnx, or let -m name a run, a checkpoint or a release")
        return self._run({"text_ids": np.zeros((1, 1), np.int64), "speaker_id": np.array([row], np.int64),
                          **_one_frame(1)})["speaker"][:, :, 0]


def _one_frame(n_tokens: int) -> dict[str, np.ndarray]:
    """Durations of one frame for the first token and none for the others."""
    return {GIVEN_DURATIONS: np.eye(1, n_tokens, dtype=np.int64)}


def _description(path: Path, overrides: Sequence[str]) -> Config:
    """Read voice.json, the configuration of the training with its symbols.

    Raises:
        FileNotFoundError: it is not there.
        ConfigError: it, or an override, does not fit.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no {path}; it lies beside the .onnx files that python export.py --to onnx writes, "
                                "and holds their configuration. Beside a Piper voice, VOICE.onnx, lies VOICE.onnx.json "
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
    """Samples [S] of a graph's wav [1, 1, S], whose shape is checked.

    Raises:
        FormatError: it has another shape.
    """
    if wav.shape != (1, 1, n_samples):
        raise FormatError(f"the ONNX voice gives a wav of shape {list(wav.shape)}; expected [1, 1, {n_samples}]: its "
                          "files do not belong together, so write them again by python export.py --to onnx")
    return wav[0, 0]


def _inputs(session: InferenceSession) -> dict[str, NodeArg]:
    """Inputs of a graph by name, those with a default among them."""
    return {each.name: each for each in (*session.get_inputs(), *session.get_overridable_initializers())}


def _check(path: Path, session: InferenceSession, multispeaker: bool, output: str) -> None:
    """Raise FormatError, with inputs and outputs found, for a graph that export.py did not write."""
    inputs, outputs = _inputs(session), [each.name for each in session.get_outputs()]
    channels = inputs["prior_noise"].shape[1:2] if "prior_noise" in inputs else [1]
    if not all(isinstance(each, int) and 0 < each <= MOST_CHANNELS for each in channels) or not channels:
        raise FormatError(f"{path} has an input prior_noise of shape {inputs['prior_noise'].shape}; expected [1, C, T] "
                          f"of up to {MOST_CHANNELS} channels, as in a file that python export.py --to onnx wrote")
    expected = (*INPUTS, *(["speaker_id"] if multispeaker else []))
    if not inputs.keys() >= set(expected) or not {output, "durations"} <= set(outputs):
        raise FormatError(f"{path} has inputs {', '.join(inputs)} and outputs {', '.join(outputs)}; expected "
                          f"{', '.join(expected)} and {output}, durations, as in a file that python export.py --to "
                          "onnx wrote")


def _sessions(path: Path, threads: int | None, is_whole: bool) -> list[InferenceSession]:
    """An ONNX file, ready to run; the graph of a whole voice as encoder and decoder, if it can be cut."""
    onnxruntime = import_package("onnxruntime", otherwise="let -m name a run, a checkpoint or a "
                                                           "release, which torch runs")
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
    # Where a part of a release finds the release's weights.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent.resolve()))
    parts = encoder_and_decoder(path.read_bytes()) if is_whole else None
    try:
        return [onnxruntime.InferenceSession(each, options, providers=["CPUExecutionProvider"])
                for each in parts or [str(path)]]
    except Exception as error:  # it has exceptions of its own, which share no other ancestor
        raise FormatError(f"{path} is no ONNX graph that onnxruntime {onnxruntime.__version__} can open "
                          f"({str(error).splitlines()[0]}); write it again by python export.py --to onnx") from None
