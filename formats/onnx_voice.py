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
symbols; the graphs' metadata has it too, and sample_rate, hop_length, n_speakers and context_frames.

    imported = read(Path("folder/voice.onnx"), config=None)              # the voice again, without what only trains it

A weight is named by the parameters that it is computed from, which is so for the forms `piper` and `sherpa-onnx` too.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

import checkpoint
import config as settings
from checkpoint import Weights
from config import Config
from formats import ExportResult, FormatError, ImportedVoice
from formats.graph import Graph, Value, open_session
from formats.import_helpers import weight_normed
from formats.onnx_network import LatentValues, SynthesisInputs, latent_of, waveform_of
from models import SynthesizerTrn
from modules import fold_weight_norm
from pitch import N_CONTOUR
from text import TextProcessor
from utils import import_package

if TYPE_CHECKING:
    import onnx

# Shapes: L tokens, T frames, S samples, C latent channels, G speaker channels.

CONFIG = "config"  # key of the metadata: the configuration as JSON
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


def recognises(path: Path) -> bool:
    """Whether an ONNX file, or the only one of a folder, has a configuration of this project inside."""
    file = find_graph(path)
    if file is None or file.suffix != ".onnx" or checkpoint.is_release(path / checkpoint.MODEL_FILE):
        return False
    try:
        return CONFIG in _metadata(load_graph(file, external=False))
    except FormatError:
        return False


def read(path: Path, config: Path | None) -> ImportedVoice:
    """Read a voice from one of this project's ONNX files, or from two for streaming; not from an int8-static one.

    Args:
        path: voice.onnx, a copy of it in fewer bits, encoder.onnx, decoder.onnx, or the .onnx of another form; or a
            folder with no other .onnx.
        config: replaces the configuration in the file.

    Raises:
        FileNotFoundError: a file is missing.
        FormatError: the file was not written by this version, or its weights are not those of its configuration.
    """
    path = find_graph(path) or path
    pair = [path.with_name(name) for name in ("encoder.onnx", "decoder.onnx")]
    models = [load_graph(file) for file in (pair if path in pair else [path])]
    described = _metadata(models[0]).get(CONFIG)
    if described is None and config is None:
        raise FormatError(f"{path} has no configuration inside; expected an ONNX file that python export.py wrote, in "
                          "this version")
    found = settings.load(config) if config else settings.from_dict(json.loads(described))
    text = TextProcessor.from_config(found.data)
    model = SynthesizerTrn(len(text.symbols), found).eval()
    model.leave_out(())  # what only trains it
    in_training = copy.deepcopy(model)
    fold_weight_norm(model)
    stored = {name: array for each in models for name, array in _stored(each.graph).items()}
    _set_weights(LoadedVoice(found, text, model), stored, path)
    generator = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    note = "the file only speaks: it has no posterior encoder and no discriminators, which further training creates"
    return ImportedVoice(found, weight_normed(generator, in_training), notes=(note,))


def _set_weights(voice: LoadedVoice, stored: Mapping[str, np.ndarray], source: Path) -> None:
    """Set a model's parameters to those whose graph has the stored weights.

    A number of a graph is one parameter times a constant, plus a constant. So the graphs of all zeros and of all ones
    have these constants, and a gradient brings each number back to its parameter. What no graph contains stays 1.

    Raises:
        FormatError: a weight is missing, or has another shape.
    """
    parameters = list(voice.model.parameters())
    graphs = []
    for value in (0.0, 1.0):
        with torch.no_grad():
            for parameter in parameters:
                parameter.fill_(value)
        graphs.append({name: tensor + 0 for name, tensor in _graph(voice).named.items()})
    zeros, ones = graphs
    wrong = [name for name, tensor in ones.items() if name not in stored or stored[name].size != tensor.numel()]
    if wrong:
        raise FormatError(f"{source} has no weight {wrong[0]} of {ones[wrong[0]].numel()} numbers (and lacks "
                          f"{len(wrong) - 1} others); expected all of its configuration, in fp32, fp16 or int8: export "
                          "it again")
    factors = {name: (tensor - zeros[name]).detach() for name, tensor in ones.items()}
    shifted = {name: torch.from_numpy(stored[name].astype(np.float32)).reshape(ones[name].shape) - zeros[name].detach()
               for name in ones}

    def gathered(numbers: Mapping[str, Tensor]) -> tuple[Tensor | None, ...]:
        total = sum((ones[name] * each).sum() for name, each in numbers.items())
        return torch.autograd.grad(total, parameters, retain_graph=True, allow_unused=True)

    solved = list(zip(parameters, gathered(shifted), gathered(factors)))
    with torch.no_grad():
        for parameter, sums, squares in solved:
            if sums is not None:
                parameter.copy_(torch.where(squares > 0, sums / squares, parameter))


def _stored(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Weights of a graph by name, widened where they are stored in fewer bits."""
    to_array = import_package("onnx.numpy_helper", beside="protobuf", install="onnx").to_array
    found = {tensor.name: to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in ("Cast", "Mul") and all(name in found for name in node.input):
            arrays = [found[name].astype(np.float32) for name in node.input]
            found[node.output[0]] = arrays[0] * arrays[1] if node.op_type == "Mul" else arrays[0]
    return found


def find_graph(path: Path) -> Path | None:
    """The file itself, or the only .onnx of a folder; None if there are several or none."""
    if not path.is_dir():
        return path
    files = sorted(path.glob("*.onnx"))
    return files[0] if len(files) == 1 else None


def load_graph(file: Path, external: bool = True) -> onnx.ModelProto:
    """Load an ONNX graph, with weights that lie in other files beside it if `external`.

    Raises:
        FileNotFoundError: there is no such file.
        FormatError: it is no ONNX file, or a damaged one.
    """
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}; expected an ONNX graph")
    onnx = import_package("onnx", beside="protobuf", otherwise="export the voice's checkpoint")
    try:
        return onnx.load(file, load_external_data=external)
    except Exception as error:  # protobuf has exceptions of its own
        raise FormatError(f"{file} cannot be read as ONNX ({type(error).__name__}: {str(error)[:80]}); its "
                          f"{file.stat().st_size} bytes are truncated or no ONNX graph: fetch it again") from None


def _metadata(model: onnx.ModelProto) -> dict[str, str]:
    return {each.key: each.value for each in model.metadata_props}


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
    graph = _graph(voice)
    file = graph.save(folder / "voice.onnx", metadata_of(voice))
    session = open_session(file)

    def run(feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        wav, durations = session.run(["wav", "durations"], feeds)
        return wav, durations

    checks = compare(probe(voice), run)
    return ExportResult([file, write_config(voice, folder)], (*checks, *sizes(file, graph)))


def _graph(voice: LoadedVoice) -> Graph:
    """Text ids to waveform."""
    graph = Graph(voice.model)
    latent = latent_of(graph, voice.model, _inputs(graph, voice))
    graph.output("wav", waveform_of(graph, voice.model, latent.z, latent.speaker), np.float32, [1, 1, "samples"])
    _write_durations(graph, latent)
    if latent.speaker is not None:
        graph.output("speaker", latent.speaker, np.float32, [1, voice.config.model.gin_channels, 1])
    return graph


def _write_streaming(voice: LoadedVoice, folder: Path) -> ExportResult:
    """Write encoder.onnx (ids to z, durations and speaker), decoder.onnx (frames of z to their samples) and voice.json.

    A frame's samples depend on `context_frames` on either side: see `synthesis.chunking.plan_chunks`.
    """
    channels = voice.config.model.inter_channels + (N_CONTOUR if voice.model.pitch is not None else 0)
    encoder, decoder = Graph(voice.model), Graph(voice.model)
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
    return LoadedVoice(config, text, model.eval())


def metadata_of(voice: LoadedVoice) -> dict[str, str]:
    """Metadata of the graphs."""
    return {"format": "vits-onnx", "version": "1", "sample_rate": str(voice.config.data.sampling_rate),
            "hop_length": str(voice.config.data.hop_length), "n_speakers": str(max(1, len(voice.speakers))),
            "context_frames": str(voice.model.dec.context_frames), "n_symbols": str(len(voice.text.symbols)),
            CONFIG: json.dumps(settings.to_dict(_public_config(voice)), ensure_ascii=False)}


def write_config(voice: LoadedVoice, folder: Path) -> Path:
    """Write voice.json: the configuration with its symbols and without the paths of the training."""
    path = folder / "voice.json"
    settings.save(_public_config(voice), path)
    return path


def _public_config(voice: LoadedVoice) -> Config:
    config = settings.replace(voice.config, "data", {
        "training_files": "", "validation_files": "", "symbols": voice.text.symbols.symbols,
        "speakers": voice.speakers})
    return settings.replace(config, "train", {"init_from": None, "callbacks": ()})


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
