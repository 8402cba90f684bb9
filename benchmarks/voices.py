"""Untrained voices of published sizes, ours and the peers', for measuring what speaking costs.

    folder = write_ours(Path("voice"), full_config())           # a release folder, for Voice.load
    if is_installed("piper"): write_piper(Path("medium.onnx"))    # what piper-tts loads, exported by its own code

Cost does not depend on what the weights have learnt. Untrained voices draw their durations from noise, so whoever
compares sets them (`FixedDurations`); whatever a peer needs is imported where it is used.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import checkpoint
import config as settings
from config import Config
from formats import publishing
from models import SynthesizerTrn
from text import TextProcessor
from utils import set_seed

# Shapes: L text tokens.

ROOT = Path(__file__).resolve().parents[1]
MEDIUM = ('model.resblock="2"', "model.resblock_kernel_sizes=[3,5,7]", "model.upsample_rates=[8,8,4]",
          "model.resblock_dilation_sizes=[[1,2],[2,6],[3,12]]", "model.upsample_initial_channel=256",
          "model.upsample_kernel_sizes=[16,16,8]")  # piper's tier of that name: the full size but for the decoder
PIPER_SYMBOLS = 256
PIPER_OPSET = 15  # of piper's own export


def full_config(overrides: tuple[str, ...] = ()) -> Config:
    """The published size, with changes."""
    return settings.load(ROOT / "configs" / "ljs.json", overrides)


def new_model(config: Config) -> SynthesizerTrn:
    """Untrained, the same for each call."""
    set_seed(config.train.seed)
    return SynthesizerTrn(len(TextProcessor.from_config(config.data).symbols), config).eval()


def write_ours(folder: Path, config: Config) -> Path:
    """Write a release folder of an untrained voice."""
    with tempfile.TemporaryDirectory() as run:
        checkpoint.save(Path(run), 0, {"config": settings.to_dict(config), "generator": new_model(config).state_dict()})
        publishing.publish(Path(run), folder)
    return folder


def is_installed(*modules: str) -> bool:
    """Whether a peer, and all that it needs to be measured, is there."""
    return all(importlib.util.find_spec(module) is not None for module in modules)


class FixedDurations(nn.Module):
    """A duration predictor that does its work, whose answer is then replaced by as many frames for every token.

    It serves in our model (`predict`) and in those of transformers and coqui-tts (`forward`).
    """

    def __init__(self, predictor: nn.Module, frames: int):
        super().__init__()
        self.predictor = predictor
        self.frames = frames

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Log-durations [B, 1, L]; models round up, so half a frame less than wanted."""
        return torch.full_like(self.predictor(*args, **kwargs), self.frames - 0.5).log()

    def predict(self, *args: Any, **kwargs: Any) -> Tensor:
        """The same."""
        return torch.full_like(self.predictor.predict(*args, **kwargs), self.frames - 0.5).log()


def transformers_model(config: Config) -> nn.Module:
    """VitsModel of transformers, in the sizes of `config`."""
    from transformers import VitsConfig, VitsModel

    model = config.model
    set_seed(config.train.seed)
    return VitsModel(VitsConfig(
        vocab_size=len(TextProcessor.from_config(config.data).symbols), hidden_size=model.hidden_channels,
        num_hidden_layers=model.n_layers, num_attention_heads=model.n_heads, window_size=model.attention_window,
        ffn_dim=model.filter_channels, ffn_kernel_size=model.kernel_size, flow_size=model.inter_channels,
        spectrogram_bins=config.spec_channels, upsample_initial_channel=model.upsample_initial_channel,
        upsample_rates=list(model.upsample_rates), upsample_kernel_sizes=list(model.upsample_kernel_sizes),
        resblock_kernel_sizes=list(model.resblock_kernel_sizes),
        resblock_dilation_sizes=[list(each) for each in model.resblock_dilation_sizes],
        prior_encoder_num_flows=model.flow_couplings, prior_encoder_num_wavenet_layers=model.flow_layers,
        posterior_encoder_num_wavenet_layers=model.posterior_layers, wavenet_kernel_size=model.wavenet_kernel_size,
        duration_predictor_num_flows=model.duration_flows, sampling_rate=config.data.sampling_rate)).eval()


def coqui_model(config: Config, n_vocab: int) -> nn.Module:
    """Vits of coqui-tts, in the sizes of `config`; those of its discriminators are its own, the published ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from TTS.config import BaseAudioConfig
        from TTS.tts.configs.vits_config import VitsConfig
        from TTS.tts.models.vits import Vits, VitsArgs

        model, data = config.model, config.data
        args = VitsArgs(
            num_chars=n_vocab, out_channels=config.spec_channels, spec_segment_size=config.segment_frames,
            hidden_channels=model.hidden_channels, hidden_channels_ffn_text_encoder=model.filter_channels,
            num_heads_text_encoder=model.n_heads, num_layers_text_encoder=model.n_layers,
            kernel_size_text_encoder=model.kernel_size, num_layers_posterior_encoder=model.posterior_layers,
            num_layers_flow=model.flow_layers, resblock_type_decoder=model.resblock,
            resblock_kernel_sizes_decoder=list(model.resblock_kernel_sizes),
            resblock_dilation_sizes_decoder=[list(each) for each in model.resblock_dilation_sizes],
            upsample_rates_decoder=list(model.upsample_rates),
            upsample_initial_channel_decoder=model.upsample_initial_channel,
            upsample_kernel_sizes_decoder=list(model.upsample_kernel_sizes))
        audio = BaseAudioConfig(
            fft_size=data.filter_length, win_length=data.win_length, hop_length=data.hop_length,
            sample_rate=data.sampling_rate, num_mels=data.n_mel_channels, mel_fmin=data.mel_fmin,
            mel_fmax=data.mel_fmax)
        set_seed(config.train.seed)
        vits = Vits(VitsConfig(model_args=args, audio=audio))
    # It takes the number of symbols from a symbol table of its own, whatever it was told.
    vits.text_encoder.emb = nn.Embedding(n_vocab, model.hidden_channels)
    return vits


def write_piper(path: Path) -> Path:
    """Write an untrained medium voice of piper, the graph and its JSON, with the code that trains and exports them."""
    with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP
        from piper.train.vits.config import ModelAudioConfig, ModelConfig
        from piper.train.vits.models import SynthesizerTrn as PiperSynthesizer

        sizes = ModelConfig(PIPER_SYMBOLS, 1, ModelAudioConfig.low_quality())  # of medium voices too; low is 16 kHz
        set_seed(0)
        model = PiperSynthesizer(
            PIPER_SYMBOLS, 513, 32, sizes.inter_channels, sizes.hidden_channels, sizes.filter_channels, sizes.n_heads,
            sizes.n_layers, sizes.kernel_size, sizes.p_dropout, **dataclasses.asdict(sizes.audio)).eval()
        model.dec.remove_weight_norm()

        def infer(ids: Tensor, lengths: Tensor, scales: Tensor) -> Tensor:
            return model.infer(ids, lengths, noise_scale=scales[0], length_scale=scales[1],
                               noise_scale_w=scales[2])[0][:, None]

        model.forward = infer
        example = (torch.randint(PIPER_SYMBOLS, (1, 50)), torch.tensor([50]), torch.tensor([0.667, 1.0, 0.8]))
        torch.onnx.export(
            model, example, path, opset_version=PIPER_OPSET, dynamo=False, output_names=["output"],
            input_names=["input", "input_lengths", "scales"], dynamic_axes={
                "input": {0: "batch", 1: "tokens"}, "input_lengths": {0: "batch"}, "output": {0: "batch", 2: "time"}})
    described = {"audio": {"sample_rate": 22050}, "espeak": {"voice": "en-us"}, "phoneme_type": "espeak",
                 "num_symbols": PIPER_SYMBOLS, "num_speakers": 1, "phoneme_id_map": DEFAULT_PHONEME_ID_MAP}
    Path(f"{path}.json").write_text(json.dumps(described), encoding="utf-8")
    return path
