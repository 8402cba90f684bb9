"""Export as a TorchScript file for LibTorch in C++: symbol ids in, samples out, without Python.

    write(checkpoint.read_weights(run), Path("folder"))     # voice.pt and voice.json; speak.cpp is in examples/cpp

    program = torch.jit.load("folder/voice.pt")
    wav, durations = program(ids, torch.tensor([0.667, 1.0, 0.8]))      # [1, 1, S] and [1, L] frames

Inputs are `text_ids` [1, L] int64, `scales` [3] (noise_scale, length_scale, noise_scale_duration) and, for several
speakers, `speaker_id` [1] int64. Noise is drawn inside. Not torch.export: its programs run from C++ only when compiled
for one kind of processor, and torch 2.11 does not compile convolutions whose length depends on the durations.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from checkpoint import Weights
from formats import ExportResult, FormatError
from formats.onnx_voice import LoadedVoice, compare, load_voice, metadata_of, probe, write_config
from models import SynthesizerTrn
from utils import write_bytes_atomic

# Shapes: L tokens, T frames, S samples, C latent channels.

FILE = "voice.pt"


def write(weights: Weights, folder: Path) -> ExportResult:
    """Write voice.pt and voice.json.

    Raises:
        FormatError: a part of the voice, of a plugin, cannot be traced.
    """
    voice = load_voice(weights)
    voice.model.requires_grad_(False)
    program = traced(voice)
    file = folder / FILE
    content = program.save_to_buffer({name: value.encode() for name, value in metadata_of(voice).items()})
    write_bytes_atomic(file, _without_paths(content))
    program = opened(file)

    def run(feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        names = ["text_ids", "scales", *(["speaker_id"] if voice.speakers else [])]
        with torch.inference_mode():
            wav, durations = program(*(torch.from_numpy(feeds[name]) for name in names))
        return wav.numpy(), durations.numpy()

    checks = compare(probe(voice, scales=(0.0, 0.0)), run)  # the program draws its noise itself
    return ExportResult([file, write_config(voice, folder)],
                        (*checks, f"{file.name}: {_n_nodes(program)} nodes, {file.stat().st_size / 1e6:.1f} MB"))


def traced(voice: LoadedVoice) -> torch.jit.ScriptModule:
    """Trace the voice as a program for texts of any length.

    Raises:
        FormatError: it cannot be traced.
    """
    example = (torch.arange(31)[None] % len(voice.text.symbols), torch.tensor([0.667, 1.0, 0.8]),
               *([torch.zeros(1, dtype=torch.int64)] if voice.speakers else []))
    with torch.no_grad(), warnings.catch_warnings():
        # TorchScript is deprecated (docs/reference/formats.md: why it is used); its warnings are the same each time.
        warnings.simplefilter("ignore")
        try:
            program = Program(voice.model, torch.jit.script(prior_noise)).eval()
            return torch.jit.freeze(torch.jit.trace(program, example, check_trace=False))  # what never runs goes
        except (RuntimeError, TypeError) as error:
            raise FormatError(f"{type(voice.model.dec).__name__} and {type(voice.model.dp).__name__} cannot be traced "
                              f"({str(error).splitlines()[0]}); expected parts that are made of tensors' operations "
                              "alone") from error


def opened(file: Path) -> torch.jit.ScriptModule:
    """Load a file of `write` for the CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch 2.14: deprecated
        return torch.jit.load(str(file), map_location="cpu")


class Program(nn.Module):
    """All stages of a voice in one module."""

    def __init__(self, model: SynthesizerTrn, draw: torch.jit.ScriptFunction):
        super().__init__()
        self.model = model
        self.draw = draw

    def forward(self, text_ids: Tensor, scales: Tensor, speaker_id: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """text_ids [1, L], scales [3], speaker_id [1] -> wav [1, 1, S], durations [1, L] frames."""
        g = self.model.speaker_embedding(speaker_id)
        prior = self.model.enc_p(text_ids, torch.ones_like(text_ids).sum(dim=1), g)
        noise = scales[2] * torch.randn_like(prior.hidden[:, :2])
        durations = torch.ceil(self.model.predict_durations(prior, g, noise) * scales[1])
        latent = self.model.latent(prior, durations, g, scales[0] * self.draw(prior.mean, durations))
        return self.model.dec(latent.z, g), latent.durations


def _without_paths(program: bytes) -> bytes:
    """A program without the paths of its sources on this machine, which only error messages use."""
    kept = io.BytesIO()
    # Copied uncompressed, as torch requires.
    with zipfile.ZipFile(io.BytesIO(program)) as whole, zipfile.ZipFile(kept, "w") as copy:
        for record in whole.infolist():
            if not record.filename.endswith(".debug_pkl"):
                name = record.filename.partition("/")[2]  # without torch's default folder "archive"
                copy.writestr(zipfile.ZipInfo(f"{Path(FILE).stem}/{name}"), whole.read(record))
    return kept.getvalue()


def prior_noise(mean: Tensor, durations: Tensor) -> Tensor:
    """Noise for the frames of the durations; a script function, because tracing would fix their number."""
    n_frames = int(torch.clamp(durations.sum(), min=1).item())
    return torch.randn([1, mean.size(1), n_frames], device=mean.device)


def _n_nodes(program: torch.jit.ScriptModule) -> int:
    """Number of operations in the program."""
    return len(list(program.inlined_graph.nodes()))
