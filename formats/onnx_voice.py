"""Export as this project's own ONNX voice: text ids to waveform in one graph, or in two for streaming.

    write(checkpoint.read_weights(run), Path("folder"))                  # voice.onnx and voice.json
    write(checkpoint.read_weights(run), Path("folder"), streaming=True)  # encoder.onnx, decoder.onnx and voice.json

    session = onnxruntime.InferenceSession("folder/voice.onnx")
    wav, durations = session.run(["wav", "durations"], {"text_ids": ids})   # float32 [1, 1, S], int64 [1, L] in frames

Only `text_ids` [1, L] is required. Optional inputs: `scales` (noise_scale, length_scale, noise_scale_duration),
`speaker_id` [1] or `speaker_embedding` [1, G], and `duration_noise` [1, 2, L], `prior_noise` [1, C, T] and
`given_durations` [1, L], which may also cover only a beginning; with all noise given the output is torch's. The output
`predicted_durations` [1, L] does not depend on `given_durations`. A graph of several speakers also has the output
`speaker` [1, G, 1], the embedding in use, from which mixes are made. `voice.json` is the voice's configuration with its
symbols; the graphs' metadata has sample_rate, hop_length, n_speakers and context_frames.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

import checkpoint
import config as settings
from checkpoint import Weights
from config import Config
from formats import ExportResult
from formats.graph import Graph, Value, open_session
from formats.onnx_network import LatentValues, SynthesisInputs, latent_of, waveform_of
from models import SynthesizerTrn
from modules import fold_weight_norm
from pitch import N_CONTOUR
from text import TextProcessor

# Shapes: L tokens, T frames, S samples, C latent channels, G speaker channels.

SCALES = (0.667, 1.0, 0.8)  # noise_scale, length_scale, noise_scale_duration


class LoadedVoice(NamedTuple):
    """A voice of this project, loaded for export."""

    config: Config
    text: TextProcessor
    model: SynthesizerTrn  # with folded weight norm

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names by id; numbers where training had no names; empty for one voice."""
        return self.config.speaker_names


class Probe(NamedTuple):
    """Inputs of a graph, and torch's outputs for them."""

    feeds: dict[str, np.ndarray]  # inputs by name
    wav: np.ndarray  # [1, 1, S]
    durations: np.ndarray  # int64 [1, L]


def write(weights: Weights, folder: Path, streaming: bool = False) -> ExportResult:
    """Write voice.onnx, or encoder.onnx and decoder.onnx for streaming; and voice.json.

    Raises:
        FormatError: the voice has a part of a plugin, or a library is missing.
    """
    voice = load_voice(weights)
    if streaming:
        return _write_streaming(voice, folder)
    graph = Graph()
    latent = latent_of(graph, voice.model, _inputs(graph, voice))
    graph.output("wav", waveform_of(graph, voice.model, latent.z, latent.speaker), np.float32, [1, 1, "samples"])
    _write_durations(graph, latent)
    if latent.speaker is not None:
        graph.output("speaker", latent.speaker, np.float32, [1, voice.config.model.gin_channels, 1])
    file = graph.save(folder / "voice.onnx", metadata_of(voice))
    session = open_session(file)

    def run(feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        wav, durations = session.run(["wav", "durations"], feeds)
        return wav, durations

    checks = compare(probe(voice), run)
    return ExportResult([file, write_config(voice, folder)], (*checks, *sizes(file, graph)))


def _write_streaming(voice: LoadedVoice, folder: Path) -> ExportResult:
    """Write encoder.onnx (ids to z, durations and speaker), decoder.onnx (frames of z to their samples) and voice.json.

    A frame's samples depend on `context_frames` on either side: see `synthesis.chunking.plan_chunks`.
    """
    channels = voice.config.model.inter_channels + (N_CONTOUR if voice.model.pitch is not None else 0)
    encoder, decoder = Graph(), Graph()
    latent = latent_of(encoder, voice.model, _inputs(encoder, voice))
    encoder.output("z", latent.z, np.float32, [1, channels, "frames"])
    _write_durations(encoder, latent)
    z, speaker = decoder.input("z", np.float32, [1, channels, "frames"]), None
    if latent.speaker is not None:
        shape = [1, voice.config.model.gin_channels, 1]
        encoder.output("speaker", latent.speaker, np.float32, shape)
        speaker = decoder.input("speaker", np.float32, shape)
    decoder.output("wav", waveform_of(decoder, voice.model, z, speaker), np.float32, [1, 1, "samples"])
    files = [encoder.save(folder / "encoder.onnx", metadata_of(voice)),
             decoder.save(folder / "decoder.onnx", metadata_of(voice))]
    sessions = [open_session(file) for file in files]

    def run(feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        latent = dict(zip((output.name for output in sessions[0].get_outputs()), sessions[0].run(None, feeds)))
        durations, _ = latent.pop("durations"), latent.pop("predicted_durations")
        [wav] = sessions[1].run(["wav"], latent)
        return wav, durations

    checks = compare(probe(voice), run)
    return ExportResult([*files, write_config(voice, folder)],
                        (*checks, *sizes(files[0], encoder), *sizes(files[1], decoder)))


def load_voice(weights: Weights) -> LoadedVoice:
    """Load configuration, text processor and network of a checkpoint's weights."""
    config = settings.from_dict(weights.config)
    text = TextProcessor.from_config(config.data)
    model = checkpoint.network_of(weights, config)
    fold_weight_norm(model)
    return LoadedVoice(config, text, model.eval().requires_grad_(False))


def metadata_of(voice: LoadedVoice) -> dict[str, str]:
    """Metadata of the graphs."""
    return {"format": "vits-onnx", "version": "1", "sample_rate": str(voice.config.data.sampling_rate),
            "hop_length": str(voice.config.data.hop_length), "n_speakers": str(max(1, len(voice.speakers))),
            "context_frames": str(voice.model.dec.context_frames), "n_symbols": str(len(voice.text.symbols))}


def write_config(voice: LoadedVoice, folder: Path) -> Path:
    """Write voice.json: the configuration with its symbols and without the paths of the training."""
    config = settings.replace(voice.config, "data", {
        "training_files": "", "validation_files": "", "symbols": voice.text.symbols.symbols,
        "speakers": voice.speakers})
    config = settings.replace(config, "train", {"init_from": None, "callbacks": ()})
    path = folder / "voice.json"
    settings.save(config, path)
    return path


def probe(voice: LoadedVoice, scales: tuple[float, float] = (SCALES[0], SCALES[2])) -> Probe:
    """Inputs of 31 symbols that suit any voice, and torch's outputs for them.

    Args:
        voice: to run.
        scales: of the prior's and of the durations' noise.
    """
    model, random = voice.model, torch.Generator().manual_seed(0)
    rows = len(voice.text.symbols)
    ids = torch.arange(31)[None, :] * 7 % rows
    noise = torch.randn(1, 2, ids.shape[1], generator=random)
    g = model.speaker_embedding(torch.tensor([len(voice.speakers) - 1]))
    with torch.inference_mode():
        prior = model.enc_p(ids, torch.tensor([ids.shape[1]]), g)
        predicted = model.predict_durations(prior, g, scales[1] * noise)
        length_scale = 2 * ids.shape[1] / predicted.sum()  # 2 frames on average, even if untrained
        durations = torch.ceil(predicted * length_scale)
        prior_noise = torch.randn(1, prior.mean.shape[1], int(durations.sum()), generator=random)
        latent = model.latent(prior, durations, g, scales[0] * prior_noise)
        wav = model.dec(latent.z, g)
    given = {"text_ids": ids, "scales": torch.tensor([scales[0], float(length_scale), scales[1]]),
             "prior_noise": prior_noise}
    if voice.config.model.duration_predictor == "stochastic":
        given["duration_noise"] = noise
    if g is not None:
        given["speaker_id"] = torch.tensor([len(voice.speakers) - 1])
    return Probe({name: _array(value) for name, value in given.items()}, _array(wav), _array(latent.durations))


def compare(wanted: Probe, run: Callable[[dict[str, np.ndarray]], tuple[np.ndarray, np.ndarray]]) -> tuple[str, ...]:
    """Compare a graph with torch; `run` returns its wav and durations. Returns sentences for the user.

    Durations are rounded up, so one that torch predicts as 3.0000001 frames may differ; the sound is then compared
    with torch's durations.
    """
    wav, durations = run(wanted.feeds)
    others = int(np.count_nonzero(durations != wanted.durations))
    if others:
        wav, _ = run({**wanted.feeds, "given_durations": wanted.durations})
    of_durations = f"{others} of {durations.size} durations differ from this project's"
    if wav.shape != wanted.wav.shape:  # a graph without the input given_durations
        return (f"{of_durations}, so the sound was not compared",)
    return (of_durations,
            f"differs by {np.abs(wav - wanted.wav).max():.0e} at most from this project's sound, whose loudest sample "
            f"is {np.abs(wanted.wav).max():.2g}")


def sizes(file: Path, graph: Graph) -> tuple[str, ...]:
    """Number of nodes and size of a file, as a sentence for the user."""
    return (f"{file.name}: {graph.n_nodes} nodes, {file.stat().st_size / 1e6:.1f} MB",)


def _inputs(graph: Graph, voice: LoadedVoice) -> SynthesisInputs:
    """The graph's inputs, all but the first with a default."""
    text_ids = graph.input("text_ids", np.int64, [1, "tokens"])
    meant = voice.config.speaking
    scales = graph.input("scales", np.float32, [3],
                         default=(meant.noise_scale, 1 / meant.speed, meant.noise_scale_duration))
    noise_scale, length_scale, noise_scale_duration = scales.split([1, 1, 1], axis=0)
    speaker, noise, channels = None, None, voice.config.model.inter_channels
    if voice.speakers:
        width = voice.config.model.gin_channels
        speaker_id = graph.input("speaker_id", np.int64, [1], default=[0])
        given = graph.input("speaker_embedding", np.float32, ["given speakers", width], np.zeros((0, width)))
        speaker = speaker_of(graph, voice.model, speaker_id, given)
    if voice.config.model.duration_predictor == "stochastic":
        noise = graph.input("duration_noise", np.float32, [1, 2, "given tokens"], np.zeros((1, 2, 0)))
    return SynthesisInputs(
        text_ids, noise_scale, length_scale, noise_scale_duration, speaker, noise,
        prior_noise=graph.input("prior_noise", np.float32, [1, channels, "given frames"], np.zeros((1, channels, 0))),
        durations=graph.input("given_durations", np.int64, [1, "given durations"], np.zeros((1, 0))))


def speaker_of(graph: Graph, model: SynthesizerTrn, speaker_id: Value, given: Value | None = None) -> Value:
    """The given embedding, or else that of the id: [up to 1, G], [1] -> [1, G, 1]."""
    embedding = graph.op("Gather", model.emb_g.weight, speaker_id)
    if given is not None:
        embedding = graph.op("Concat", given, embedding, axis=0).part([0], [1], 0)
    return embedding.reshaped(1, -1, 1)


def _write_durations(graph: Graph, latent: LatentValues) -> None:
    """Outputs of the durations in use and of the predicted ones, which differ if some are given."""
    graph.output("durations", latent.durations, np.int64, [1, "tokens"])
    graph.output("predicted_durations", latent.predicted_durations, np.int64, [1, "tokens"])


def _array(value: Tensor) -> np.ndarray:
    return value.detach().numpy()
