"""Every setting of the project, as frozen dataclasses: read from JSON, overridden, checked once, saved with the run.

    config = config.load("configs/ljs.json", overrides=["train.batch_size=8"])

One section per dataclass; a function takes the section it needs. A field is made by `setting`, with its default, help,
unit and bounds; `describe` lists them all. The JSON files published with VITS in 2021 load: their keys are ours,
`RENAMED` moves those that were renamed, `RETIRED` names the ones that nothing ever read.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import itertools
import json
import logging
import math
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from utils import write_text_atomic

logger = logging.getLogger("vits")


class ConfigError(ValueError):
    """All faults of one configuration, one per line."""


# Published key -> why it may be left out. Each gives one line in the log.
RETIRED = {
    "train.init_lr_ratio": "nothing in the published code reads it",
    "train.warmup_epochs": "nothing in the published code reads it",
    "model.n_layers_q": "the published posterior encoder has 16 layers whatever it says; see model.posterior_layers",
    "train.window": "nothing in the published code reads it; windows are Hann's",
    "data.max_wav_value": "audio is read as floats in [-1, 1] whatever its format",
}

# Published key -> (our key, how true and false translate); one that is not there changes nothing.
RENAMED = {
    "train.fp16_run": ("train.precision", {True: "fp16", False: "fp32"}),
    "model.use_sdp": ("model.duration_predictor", {True: "stochastic", False: "deterministic"}),
    "model.use_spectral_norm": ("discriminator.use_spectral_norm", {True: True, False: False}),
    # Of these the published code takes the first that is true.
    "model.mb_istft_vits": ("model.generator", {True: "multiband"}),
    "model.ms_istft_vits": ("model.generator", {True: "multistream"}),
    "model.istft_vits": ("model.generator", {True: "istft_hifigan"}),
    # VITS2 of p0p4k.
    "model.use_mel_posterior_encoder": ("model.posterior_input", {True: "mel", False: "linear"}),
    "data.use_mel_posterior_encoder": ("model.posterior_input", {True: "mel", False: "linear"}),
    "model.use_transformer_flows": ("model.flow_transformer", {False: "none"}),
    "model.transformer_flow_type": ("model.flow_transformer", {}),
    "model.use_spk_conditioned_encoder": ("model.speaker_in_text_encoder", {True: True, False: False}),
    "model.use_noise_scaled_mas": ("train.mas_noise_scale", {True: 0.01, False: 0.0}),
    "model.subbands": ("model.subbands", {}),  # false where there are none
}


LARGEST = 2**63 - 1  # of a whole number that has no limit of its own
LARGEST_JSON = 2**26  # bytes of a file
SHOWN = 200  # characters of a value, in a message
FAULTS, FAULT = 50, 600  # of a message, and characters of each
KEYS = 500  # of an object that is read
TEXT = 4096  # characters of a text
ENTRIES = 64  # of a list that has no limit of its own


class Bounds(NamedTuple):
    """What values a setting may have: of a list, each number in it."""

    above: float | None = None
    least: float | None = None
    below: float | None = None
    most: float = LARGEST
    choices: tuple[str, ...] = ()
    entries: int = ENTRIES  # of a list
    unit: str = ""

    def __str__(self) -> str:
        """The range as one writes it, "above 0, at most 65536"; empty where any value will do."""
        if self.choices:
            return _listed(self.choices)
        if 1 in (self.below, self.most):
            low = f"[{self.least}" if self.least is not None else f"({self.above}"
            return f"{low}, {'1)' if self.below == 1 else '1]'}"
        most = None if self.most in (LARGEST, math.inf) else self.most
        claims = (("above", self.above), ("at least", self.least), ("below", self.below), ("at most", most))
        return ", ".join(f"{claim} {limit}" for claim, limit in claims if limit is not None)

    def violated(self, value: float | str) -> str | None:
        """What a number or text must be and is not, behind "it must"; None if it is within bounds."""
        if isinstance(value, str):
            return f"be {self}" if self.choices and value not in self.choices else None
        is_low = self.above is not None and not value > self.above or self.least is not None and not value >= self.least
        is_high = self.below is not None and not value < self.below or not value <= self.most
        if not (is_low or is_high):
            return None
        if 1 in (self.below, self.most):
            return f"lie in {self}"
        if is_low:
            return (f"be above {self.above}" if self.above is not None else
                    f"be at least {self.least} {self.unit}".rstrip() if self.least else "be 0 or more")
        return f"be at most {self.most} {self.unit}".rstrip()


def setting(default: Any, text: str, unit: str = "", **bounds: Any) -> Any:
    """A field of a section.

    Args:
        default: its value where none is given.
        text: what it is, for people.
        unit: of its numbers.
        bounds: of `Bounds`. Each size has an upper one, so that no file can ask for more memory than a machine has.
    """
    return field(default=default, metadata={"help": text, "bounds": Bounds(unit=unit, **bounds)})


@dataclass(frozen=True)
class LengthSettings:
    """Length of a run, seed and log."""

    seed: int = setting(1234, "of all random numbers")
    epochs: int = setting(20000, "passes over the data", above=0)
    total_steps: int | None = setting(None, "length of the run, if train.epochs would be longer", "steps", above=0)
    log_interval: int = setting(200, "interval of the losses in log and trackers", "steps", above=0)


@dataclass(frozen=True)
class BatchSettings:
    """What one step is computed from, and on what hardware."""

    batch_size: int = setting(64, "batch of one process", "utterances", above=0, most=65536)
    batch_seconds: float | None = setting(None, "batch of one process, padding included; train.batch_size is then "
                                          "its upper limit", "seconds", above=0)
    accumulate: int = setting(1, "batches whose gradients are added up to one step", above=0, most=65536)
    speaker_temperature: float = setting(1.0, "each speaker's share is frequency ** (1 / temperature): 1 is as "
                                         "recorded, 100 nearly even", above=0)
    segment_size: int = setting(8192, "segment of each utterance that is decoded", "samples", above=0, most=2**22)
    num_workers: int = setting(2, "processes that read data", least=0, most=1024)
    num_threads: int | None = setting(None, "CPU threads of the training process; null: as torch chooses", above=0,
                                      most=1024)
    precision: str = setting("fp32", "a device that lacks it trains in fp32, with a line in the log",
                             choices=("fp32", "bf16", "fp16"))
    compile: bool = setting(False, "generator and discriminators by torch.compile, where there is a compiler for the "
                            "device")
    memory_probe: bool = setting(True, "check before the first step that the largest batch fits into memory")


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW, its learning rates, and the moving average of the parameters."""

    learning_rate: float = setting(2e-4, "of the generator, before schedule and warm-up", above=0)
    discriminator_learning_rate: float | None = setting(None, "null: train.learning_rate", above=0)
    betas: tuple[float, float] = setting((0.8, 0.99), "AdamW's beta 1 and 2", least=0, below=1)
    eps: float = setting(1e-9, "AdamW's epsilon", above=0)
    weight_decay: float = setting(0.01, "AdamW's weight decay", least=0)
    grad_clip: float | None = setting(None, "largest gradient norm of each optimizer; null clips nothing", above=0)
    ema_decay: float = setting(0.999, "decay of the moving average of the generator's parameters; 0: no average",
                               least=0, below=1)


@dataclass(frozen=True)
class ScheduleSettings:
    """What changes in the course of a run: learning rates, the discriminators' start, the alignment prior."""

    lr_schedule: str = setting("exponential", "exponential, cosine, linear, inverse_sqrt, constant, or one of your own")
    lr_decay: float = setting(0.999875, "factor of each epoch, in the exponential schedule", above=0)
    lr_final: float = setting(0.0, "factor that cosine and linear reach at train.total_steps", least=0)
    lr_warmup_steps: int = setting(0, "warm-up, in which the learning rate grows from 0", "steps", least=0)
    discriminator_lr_schedule: str | None = setting(None, "null: train.lr_schedule")
    discriminator_lr_warmup_steps: int | None = setting(None, "warm-up from train.adversarial_start on; null: "
                                                        "train.lr_warmup_steps", "steps", least=0)
    adversarial_start: int = setting(0, "step at which the discriminators join", "steps", least=0)
    discriminator_interval: int = setting(1, "interval of the discriminators' updates; the generator's loss has "
                                          "their terms at every step", "steps", above=0)
    discriminator_warmup_steps: int | None = setting(None, "in which the adversarial losses reach their weight; "
                                                     "null: 0, or 500 where a fine-tuned generator meets new "
                                                     "discriminators", "steps", least=0)
    alignment_prior_steps: int = setting(0, "in which a diagonal prior fades from the alignment search", "steps",
                                         least=0)
    alignment_prior_weight: float = setting(1.0, "weight of that prior at step 0", least=0)
    mas_noise_scale: float = setting(0.0, "noise on the scores of the alignment search at step 0, over their standard "
                                     "deviation, as in VITS2, where it is 0.01", least=0)
    mas_noise_decay: float = setting(2e-6, "what that noise loses in each step", least=0)
    mas_noise_over: str = setting("valid", "scores whose deviation that is: valid, each utterance's own; or padded, "
                                  "all of a batch, padding too, as published code takes it",
                                  choices=("valid", "padded"))


@dataclass(frozen=True)
class LossSettings:
    """Weights of the terms of the generator's loss; see `losses.TERMS`."""

    c_adv: float = setting(1.0, "weight of the adversarial loss", least=0)
    c_fm: float = setting(1.0, "weight of the feature-matching loss", least=0)
    c_mel: float = setting(45.0, "weight of the mel reconstruction loss", least=0)
    c_kl: float = setting(1.0, "weight of the KL divergence", least=0)
    c_dur: float = setting(1.0, "weight of the duration loss", least=0)
    c_pitch: float = setting(20.0, "weight of the pitch loss, for generators with a pitch predictor", least=0)
    c_stft: float = setting(0.0, "weight of the multi-resolution STFT loss, without discriminators", least=0)
    c_teacher_prior: float = setting(1.0, "weight of the divergence of the text's prior from the teacher's; see "
                                     "train.teacher", least=0)
    c_teacher_flow: float = setting(100.0, "weight of the squared error of the flow's latent from the teacher's",
                                    least=0)
    stft_sizes: tuple[int, ...] = setting((512, 1024, 2048), "FFT sizes of the STFT loss", "samples", least=32,
                                          most=2**16)
    c_subband: float = setting(1.0, "weight of the STFT loss of each band, for the multiband generator", least=0)
    fft_sizes: tuple[int, ...] = setting((384, 683, 171), "FFT sizes of the loss of bands", "samples of a band",
                                         least=16, most=2**16, entries=16)
    hop_sizes: tuple[int, ...] = setting((30, 60, 10), "its hops, one for each FFT size", "samples of a band", above=0,
                                         most=2**16, entries=16)
    win_lengths: tuple[int, ...] = setting((150, 300, 60), "its windows, one for each FFT size", "samples of a band",
                                           above=0, most=2**16, entries=16)


@dataclass(frozen=True)
class CheckpointSettings:
    """When checkpoints are written, which are kept, and going back to one after steps that are not finite."""

    save_interval: int = setting(1000, "interval of checkpoints", "steps", above=0)
    keep_last: int = setting(3, "how many of the newest checkpoints are kept", above=0)
    keep_best: int = setting(3, "how many of the best checkpoints by train.best_measure are kept", least=0)
    keep_every: int | None = setting(None, "checkpoints at multiples of this are kept for ever", "steps", above=0)
    best_measure: str = setting("valid/mel", "name of a number of each validation, lower is better")
    max_bad_steps: int = setting(10, "in a row whose loss or gradient is not finite, before a run goes back to a "
                                 "checkpoint or ends", "steps", above=0)
    rollbacks: int = setting(0, "times that a run goes back to an earlier checkpoint then, before it ends", least=0)
    rollback_lr_factor: float = setting(0.5, "factor on both learning rates, each time", above=0, most=1)


@dataclass(frozen=True)
class ValidationSettings:
    """How often a run is validated, and by what."""

    eval_interval: int = setting(1000, "interval of validations", "steps", above=0)
    meters: tuple[str, ...] = setting(("sanity", "timing", "world", "lines"), "meters of every validation")
    costly_meters: tuple[str, ...] = setting(("sentence", "words", "quality", "speaker"), "meters that take long")
    evaluate_every: int = setting(10, "every so many validations have the costly meters and all test sentences; 0: "
                                  "none", least=0)
    test_sentences: str | None = setting("auto", "file of the texts that validations speak; auto: of data.language; "
                                         "null: none")
    patience: int | None = setting(None, "validations without a better train.best_measure, after which a run ends; "
                                   "null: never", above=0)
    trackers: tuple[str, ...] = setting(("console", "jsonl", "tensorboard"), "where numbers and samples go; also aim, "
                                        "wandb")
    callbacks: tuple[str, ...] = setting((), "Python files that register callbacks of your own")


@dataclass(frozen=True)
class FinetuningSettings:
    """What a run starts from, and which parameters train."""

    init_from: str | None = setting(None, "run, checkpoint or release folder whose weights a new run starts from")
    teacher: str | None = setting(None, "voice that read the corpus (preprocess.py voice), whose durations, prior and "
                                  "latent are learned from directly")
    own_latent: bool = setting(False, "with train.teacher: the generator decodes the student's own latent, of the "
                               "teacher's noise and durations, so that all parts learn together")
    allow_partial: bool = setting(False, "start from it even where its weights do not fit")
    init_speaker: str | int | None = setting(None, "which of several voices a model of one voice starts from")
    trainable: tuple[str, ...] = setting(("*",), "patterns of generator parameters that train; new_rows: only what is "
                                         "new", entries=10_000)
    frozen: tuple[str, ...] = setting((), "patterns of those that do not", entries=10_000)


@dataclass(frozen=True)
class TrainConfig(FinetuningSettings, ValidationSettings, CheckpointSettings, LossSettings, ScheduleSettings,
                  OptimizerSettings, BatchSettings, LengthSettings):
    """Training: the loop, its optimizers and the weights of the losses. Fields come in the reverse order of groups."""

    def faults(self) -> list[str]:
        """What is wrong within this section, one sentence each."""
        faults = _bound_faults("train", self)
        for name in ("lr_schedule", "discriminator_lr_schedule"):
            if getattr(self, name) in ("cosine", "linear") and self.total_steps is None:
                faults.append(f"train.{name} is {getattr(self, name)!r} without train.total_steps, which it runs over")
        if self.own_latent and self.teacher is None:
            faults.append("train.own_latent is true without train.teacher, whose noise it is a latent of; name the "
                          "teacher, or set train.own_latent=false")
        if self.c_stft and not self.stft_sizes:
            faults.append("train.c_stft is given, train.stft_sizes is empty; it must have one or more sizes")
        bands = (self.fft_sizes, self.hop_sizes, self.win_lengths)
        if len(set(map(len, bands))) > 1 or not self.fft_sizes or any(
                window > size for size, window in zip(self.fft_sizes, self.win_lengths)):
            faults.append(f"train.fft_sizes, hop_sizes and win_lengths are {', '.join(str(list(b)) for b in bands)}; "
                          "they must be equally long, and no window longer than its FFT")
        return faults


@dataclass(frozen=True)
class DataConfig:
    """Where utterances come from and how text and sound become numbers."""

    training_files: str = setting("", "filelist to train on")
    validation_files: str = setting("", "filelist to validate on")
    text_cleaners: tuple[str, ...] = setting(("english_cleaners2",), "what text passes through before its symbols are "
                                             "looked up")
    language: str = setting("en-us", "espeak-ng's name, for the cleaners that phonemize")
    symbols: str | tuple[str, ...] = setting("published", "a table of text/tables, the symbols themselves, or, in a "
                                             "configuration of your own, a file of one symbol a line", entries=65_536)
    sampling_rate: int = setting(22050, "of recordings and of the speech", "Hz", least=1000, most=768_000)
    filter_length: int = setting(1024, "length of the FFT", "samples", above=0, most=2**16)
    hop_length: int = setting(256, "distance of frames", "samples", above=0, most=2**16)
    win_length: int = setting(1024, "length of the FFT's window", "samples", above=0, most=2**16)
    n_mel_channels: int = setting(80, "bands of the mel spectrogram", above=0, most=1024)
    mel_fmin: float = setting(0.0, "lower end of the mel bands", "Hz", least=0, most=math.inf)
    mel_fmax: float | None = setting(None, "upper end of the mel bands, at most half the sampling rate; null: that",
                                     "Hz", above=0, most=math.inf)
    rare_symbols: tuple[str, ...] = setting((), "symbols that training saw fewer than 20 times, so that speaking warns "
                                            "of them; written at the start of a run", entries=65_536)
    add_blank: bool = setting(True, "a blank symbol between any two symbols")
    begin_end: tuple[str, str] | None = setting(None, "symbols before and behind every text, where the voice was "
                                                "trained with them")
    n_speakers: int = setting(0, "number of speakers; 0 and 1 are one voice", least=0, most=100_000)
    speakers: tuple[str, ...] = setting((), "names by id; training takes them from the filelist", entries=100_000)
    cleaned_text: bool = setting(True, "the filelists' text has been through the cleaners already")
    min_text_len: int = setting(1, "shortest text, before blanks", "symbols", least=0, most=10_000)
    max_text_len: int = setting(190, "longest text, before blanks", "symbols", above=0, most=10_000)
    max_wav_seconds: float = setting(20.0, "longest utterance that is trained on", "seconds", above=0, most=3600.0)

    def faults(self) -> list[str]:
        """What is wrong within this section, one sentence each."""
        faults = _bound_faults("data", self)
        if self.win_length > self.filter_length:
            faults.append(f"data.win_length {self.win_length} is larger than data.filter_length {self.filter_length}")
        if self.hop_length > self.win_length or (self.filter_length - self.hop_length) % 2:
            faults.append(f"data.hop_length {self.hop_length} must be at most data.win_length and differ from "
                          f"data.filter_length {self.filter_length} by an even number")
        top = self.mel_fmax if self.mel_fmax is not None else self.sampling_rate / 2
        if not self.mel_fmin < top <= self.sampling_rate / 2:
            faults.append(f"data.mel_fmin {self.mel_fmin} and data.mel_fmax {top} must be in order and at most half "
                          f"of data.sampling_rate {self.sampling_rate}, {self.sampling_rate / 2:g}")
        if self.speakers and self.n_speakers < len(self.speakers):
            faults.append(f"data.n_speakers is {self.n_speakers}, but there are {len(self.speakers)} names of "
                          f"speakers; set data.n_speakers={len(self.speakers)}")
        if self.begin_end is not None and any(len(symbol) != 1 for symbol in self.begin_end):
            faults.append(f"data.begin_end is {list(self.begin_end)}; it must be two symbols, each one character")
        if self.min_text_len > self.max_text_len:
            faults.append(f"data.min_text_len {self.min_text_len} exceeds data.max_text_len {self.max_text_len}")
        return faults


HIFIGAN_STACKS = ("hifigan", "istft_hifigan", "multiband", "multistream")
"""Generators whose sizes are those of HiFi-GAN's stack; behind the first there is an inverse STFT."""


@dataclass(frozen=True)
class ModelConfig:
    """The synthesizer's sizes and the names of its exchangeable parts."""

    inter_channels: int = setting(192, "width of the latent z", "channels", above=0, most=4096)
    hidden_channels: int = setting(192, "width of the encoders and the flow", "channels", above=0, most=8192)
    filter_channels: int = setting(768, "width of its feed-forward layers", "channels", above=0, most=32_768)
    n_heads: int = setting(2, "attention heads of the text encoder", above=0, most=256)
    n_layers: int = setting(6, "layers of the text encoder", above=0, most=256)
    kernel_size: int = setting(3, "of the text encoder's feed-forward layers", above=0, most=255)
    attention_window: int = setting(4, "reach of relative attention, to each side", "tokens", above=0, most=1024)
    p_dropout: float = setting(0.1, "dropout of the text encoder", least=0, below=1)
    posterior_layers: int = setting(16, "WaveNet layers of the posterior encoder", above=0, most=128)
    flow_couplings: int = setting(4, "coupling layers of the flow", above=0, most=64)
    flow_layers: int = setting(4, "WaveNet layers in each coupling", above=0, most=32)
    wavenet_kernel_size: int = setting(5, "of posterior encoder and flow; odd", above=0, most=255)
    posterior_input: str = setting("linear", "spectrogram that the posterior encoder is given: linear, or mel as in "
                                   "VITS2", choices=("linear", "mel"))
    speaker_in_text_encoder: bool = setting(False, "the text encoder is given the speaker, as in VITS2")
    flow_transformer: str = setting("none", "transformer in each coupling of the flow, as in VITS2: none, pre_conv, "
                                    "pre_conv2", choices=("none", "pre_conv", "pre_conv2"))
    p_dropout_flow: float = setting(0.0, "dropout of the flow's transformers; above 0 training's flow has no exact "
                                    "inverse", least=0, below=1)
    duration_predictor: str = setting("stochastic", "stochastic, deterministic, or one of your own")
    duration_channels: int = setting(256, "width of the deterministic predictor", "channels", above=0, most=8192)
    duration_flows: int = setting(4, "flows of the stochastic duration predictor", above=0, most=64)
    p_dropout_duration: float = setting(0.5, "dropout of the duration predictor", least=0, below=1)
    generator: str = setting("hifigan", "the waveform decoder: hifigan, another of generators.py, or one of your own")
    resblock: str = setting("1", "HiFi-GAN's residual blocks, \"1\" or \"2\"")
    resblock_kernel_sizes: tuple[int, ...] = setting((3, 7, 11), "one for each block; odd", above=0, most=255,
                                                     entries=16)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = setting(
        ((1, 3, 5), (1, 3, 5), (1, 3, 5)), "of each block's layers", above=0, most=1024, entries=16)
    upsample_rates: tuple[int, ...] = setting((8, 8, 2, 2), "of each stage; their product is data.hop_length", above=0,
                                              most=1024, entries=16)
    upsample_initial_channel: int = setting(512, "width before the first stage; each halves it", "channels", above=0,
                                            most=16_384)
    upsample_kernel_sizes: tuple[int, ...] = setting((16, 16, 4, 4), "of each stage", above=0, most=4096, entries=16)
    gen_istft_n_fft: int = setting(16, "FFT size behind HiFi-GAN's stack, for istft_hifigan, multiband, multistream; "
                                   "even", "samples of a band", least=4, most=1024)
    gen_istft_hop_size: int = setting(4, "its hop", "samples of a band", above=0, most=512)
    subbands: int = setting(4, "bands of multiband and multistream", least=2, most=32)
    pqmf: str = setting("corrected", "filters of the bands: corrected, or published, which have four bands",
                        choices=("corrected", "published"))
    istft_channels: int = setting(512, "width of the iSTFT generator", "channels", above=0, most=8192)
    istft_layers: int = setting(8, "ConvNeXt blocks of the iSTFT generator", above=0, most=256)
    istft_expansion: int = setting(3, "hidden width of each ConvNeXt block over model.istft_channels", above=0, most=16)
    istft_kernel_size: int = setting(7, "of each ConvNeXt block; odd", above=0, most=255)
    gin_channels: int = setting(0, "width of the speaker embedding", "channels", least=0, most=8192)
    plugins: tuple[str, ...] = setting((), "Python files that register networks of your own")

    def faults(self) -> list[str]:
        """What is wrong within this section, one sentence each."""
        faults = _bound_faults("model", self)
        if self.n_heads > 0 and self.hidden_channels % self.n_heads:
            faults.append(f"model.n_heads {self.n_heads} does not divide model.hidden_channels {self.hidden_channels}")
        if self.inter_channels % 2:
            faults.append(f"model.inter_channels is {self.inter_channels}; it must be even, for the flow halves it")
        for name in ("wavenet_kernel_size", "istft_kernel_size"):
            if getattr(self, name) % 2 == 0:
                faults.append(f"model.{name} is {getattr(self, name)}; it must be odd, so that frames stay in place")
        if self.generator in HIFIGAN_STACKS:
            faults += self._hifigan_faults()
        if self.generator in HIFIGAN_STACKS[1:] and (self.gen_istft_n_fft % 2
                                                     or 2 * self.gen_istft_hop_size > self.gen_istft_n_fft):
            faults.append(f"model.gen_istft_n_fft is {self.gen_istft_n_fft}; it must be even, and at least twice "
                          f"model.gen_istft_hop_size, which is {self.gen_istft_hop_size}")
        if self.generator == "multiband" and self.pqmf == "published" and self.subbands != 4:
            faults.append(f"model.subbands is {self.subbands}; with model.pqmf \"published\" it must be 4")
        return faults

    @property
    def samples_of_frame(self) -> int | None:
        """Samples that the generator makes of a frame, for those whose sizes give it; None for others."""
        samples = math.prod(self.upsample_rates)
        samples *= self.gen_istft_hop_size if self.generator in HIFIGAN_STACKS[1:] else 1
        samples *= self.subbands if self.generator in HIFIGAN_STACKS[2:] else 1
        return samples if self.generator in HIFIGAN_STACKS else None

    def _hifigan_faults(self) -> list[str]:
        faults = []
        if self.resblock not in ("1", "2"):
            faults.append(f"model.resblock is {self.resblock!r}; it must be \"1\" or \"2\"")
        if not self.resblock_kernel_sizes or any(kernel % 2 == 0 for kernel in self.resblock_kernel_sizes):
            faults.append(f"model.resblock_kernel_sizes is {list(self.resblock_kernel_sizes)}; it must have one or "
                          "more, each odd")
        if len(self.resblock_kernel_sizes) != len(self.resblock_dilation_sizes):
            faults.append("model.resblock_kernel_sizes and model.resblock_dilation_sizes differ in length")
        if len(self.upsample_rates) != len(self.upsample_kernel_sizes):
            faults.append("model.upsample_rates and model.upsample_kernel_sizes differ in length")
        for rate, kernel in zip(self.upsample_rates, self.upsample_kernel_sizes):
            if kernel < rate or (kernel - rate) % 2:
                faults.append(f"model.upsample_kernel_sizes has {kernel} for rate {rate}; it must be at least the "
                              "rate and differ from it by an even number")
        if self.upsample_initial_channel % 2 ** len(self.upsample_rates):
            faults.append(f"model.upsample_initial_channel {self.upsample_initial_channel} must be divisible by "
                          f"2^{len(self.upsample_rates)}; each upsampling halves it")
        return faults


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Which discriminators there are, and their sizes. The defaults are the published ones."""

    kinds: tuple[str, ...] = setting(("scale", "period"), "scale, period, stft, or some of your own")
    use_spectral_norm: bool = setting(False, "in place of weight norm")
    n_scales: int = setting(1, "scale discriminators: 1 is VITS, 3 is HiFi-GAN; each further one is given half the "
                            "rate", above=0, most=16)
    scale_channels: tuple[int, ...] = setting((16, 64, 256, 1024, 1024, 1024), "of each layer", "channels", above=0,
                                              most=16_384, entries=16)
    scale_kernel_sizes: tuple[int, ...] = setting((15, 41, 41, 41, 41, 5), "of each layer", above=0, most=1023,
                                                  entries=16)
    scale_strides: tuple[int, ...] = setting((1, 4, 4, 4, 4, 1), "of each layer", above=0, most=1024, entries=16)
    scale_groups: tuple[int, ...] = setting((1, 4, 16, 64, 256, 1), "of each layer", above=0, most=16_384, entries=16)
    periods: tuple[int, ...] = setting((2, 3, 5, 7, 11), "of the period discriminators", "samples", above=0, most=4096,
                                       entries=16)
    period_channels: tuple[int, ...] = setting((32, 128, 512, 1024, 1024), "of each layer", "channels", above=0,
                                               most=16_384, entries=16)
    stft_sizes: tuple[int, ...] = setting((512, 1024, 2048), "FFT sizes of the STFT discriminators", "samples",
                                          least=32, most=2**16)
    stft_channels: int = setting(32, "width of the STFT discriminators", "channels", above=0, most=4096)
    augmentations: tuple[str, ...] = setting((), "of all input: gain, polarity, shift, band_limit, noise")
    augment_probability: float = setting(0.0, "of each augmentation, for each utterance; the start, if it adapts",
                                         least=0, most=1)
    augment_target: float | None = setting(None, "adapt the probability so that this share of recordings is classified "
                                           "as real; 0.8 is customary", above=0, below=1)

    def faults(self) -> list[str]:
        """What is wrong within this section, one sentence each."""
        faults = _bound_faults("discriminator", self)
        if (self.augment_probability or self.augment_target) and not self.augmentations:
            faults.append("discriminator.augmentations is empty, though a probability or a target is given; name some")
        for kind, sizes in (("scale", "scale_channels"), ("period", "periods"), ("period", "period_channels"),
                            ("stft", "stft_sizes")):
            if kind in self.kinds and not getattr(self, sizes):
                faults.append(f"discriminator.{sizes} is empty, though discriminator.kinds has {kind}")
        if not self.kinds:
            faults.append("discriminator.kinds is empty; name one or more of scale, period, stft")
        scale = (self.scale_channels, self.scale_kernel_sizes, self.scale_strides, self.scale_groups)
        if len({len(values) for values in scale}) != 1:
            faults.append("discriminator.scale_channels, scale_kernel_sizes, scale_strides and scale_groups "
                          "differ in length")
        for before, after, groups in zip((1, *self.scale_channels), self.scale_channels, self.scale_groups):
            if groups > 0 and (before % groups or after % groups):
                faults.append(f"discriminator.scale_groups has {groups}, which does not divide {before} and {after} "
                              "channels")
        return faults


@dataclass(frozen=True)
class SpeakingConfig:
    """How the voice is meant to be spoken, unless the caller asks for something else."""

    noise_scale: float = setting(0.667, "how much the sound varies, 0 to about 1", least=0)
    noise_scale_duration: float = setting(0.8, "how much the rhythm varies, with the stochastic duration predictor",
                                          least=0)
    speed: float = setting(1.0, "2 is twice as fast", above=0)
    gain_db: float = setting(0.0, "decibels added to what the network gives; if not 0, peaks above 0.8 are limited "
                             "smoothly; measured when a Piper voice is imported, for Piper's level", least=-24, most=24)

    def faults(self) -> list[str]:
        """What is wrong within this section, one sentence each."""
        return _bound_faults("speaking", self)


@dataclass(frozen=True)
class Config:
    """All sections, with the relations between them checked."""

    train: TrainConfig = field(default_factory=TrainConfig)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    speaking: SpeakingConfig = field(default_factory=SpeakingConfig)

    def __post_init__(self) -> None:
        faults = [fault for section in _sections(self) for fault in section.faults()] or self._relation_faults()
        _refuse(faults)

    def _relation_faults(self) -> list[str]:
        faults = []
        hop = self.data.hop_length
        if self.model.samples_of_frame not in (hop, None):
            more = {"hifigan": "", "istft_hifigan": ", times model.gen_istft_hop_size,"}.get(
                self.model.generator, ", times model.gen_istft_hop_size and model.subbands,")
            faults.append(f"model.upsample_rates {list(self.model.upsample_rates)}{more} multiply to "
                          f"{self.model.samples_of_frame}, data.hop_length is {hop}; they must be equal")
        if self.train.segment_size % hop:
            faults.append(f"train.segment_size {self.train.segment_size} is not a multiple of data.hop_length {hop}")
        shortest = self.model.subbands * (max(self.train.fft_sizes) // 2 + 1)
        if self.model.generator == "multiband" and self.train.c_subband and self.train.segment_size < shortest:
            faults.append(f"train.segment_size is {self.train.segment_size}; the largest of train.fft_sizes, "
                          f"{max(self.train.fft_sizes)} samples of each of {self.model.subbands} bands, needs "
                          f"{shortest} samples or more")
        if self.multispeaker and self.model.gin_channels == 0:
            faults.append(f"data.n_speakers is {self.data.n_speakers} and model.gin_channels is 0, so speakers "
                          "would be ignored; 256 is the published size")
        return faults

    @property
    def multispeaker(self) -> bool:
        """More than one voice: `n_speakers` 0 and 1 are one."""
        return self.data.n_speakers > 1

    @property
    def speaker_names(self) -> tuple[str, ...]:
        """Names by id; numbers for speakers without a name; empty for one voice."""
        names, n_speakers = self.data.speakers, self.data.n_speakers
        return (*names, *map(str, range(len(names), n_speakers))) if self.multispeaker else ()

    @property
    def spec_channels(self) -> int:
        """Bins of the linear spectrogram."""
        return self.data.filter_length // 2 + 1

    @property
    def posterior_channels(self) -> int:
        """Channels of the posterior encoder's input."""
        return self.data.n_mel_channels if self.model.posterior_input == "mel" else self.spec_channels

    @property
    def segment_frames(self) -> int:
        """Frames of each utterance that reach the generator in a training step."""
        return self.train.segment_size // self.data.hop_length


def read_json(path: str | Path) -> Any:
    """What a JSON file holds, however odd the file is.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not JSON, nested too deeply, or too large.
    """
    path = Path(path)
    if (size := path.stat().st_size) > LARGEST_JSON:
        raise ValueError(f"{path} has {size} bytes; expected JSON of at most {LARGEST_JSON}")
    try:
        return parse_json(path.read_text(encoding="utf-8-sig"), path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not JSON: byte {error.start} is not UTF-8") from None


def parse_json(text: str, source: str | Path, pairs: Callable[[list], Any] | None = None) -> Any:
    """What JSON text holds.

    Args:
        text: the JSON.
        source: where it comes from, for messages.
        pairs: what makes an object of its keys and values; None: a dict.

    Raises:
        ValueError: it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise ValueError(f"{source} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise ValueError(f"{source} is JSON that is nested too deeply to be read") from None
    except ValueError:  # Python reads no whole number of more than 4300 digits
        raise ValueError(f"{source} has a number of too many digits") from None


class Setting(NamedTuple):
    """One setting, for reference pages and tools."""

    section: str
    name: str
    type: str  # as in the source: "float | None"
    default: Any
    bounds: Bounds  # its text is the range; .unit is that of the numbers
    help: str

    @property
    def group(self) -> str:
        """The first line of what declares it: of a group of the section, or of the section itself."""
        owner = next(each for each in reversed(SECTIONS[self.section].__mro__)
                     if self.name in getattr(each, "__annotations__", ()))
        return owner.__doc__.splitlines()[0]


def describe() -> Iterator[Setting]:
    """Every setting of every section, those of one group together."""
    for section, kind in SECTIONS.items():
        for each in dataclasses.fields(kind):
            yield Setting(section, each.name, each.type, each.default, each.metadata["bounds"], each.metadata["help"])


def load(path: str | Path, overrides: typing.Sequence[str] = ()) -> Config:
    """Read a JSON file, apply `section.key=value` overrides, and check everything at once.

    Args:
        path: of the file; configs/ljs.json and its like are found from every folder.
        overrides: in the order in which they are applied.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: naming every fault of the file and of the overrides.
    """
    path = Path(path)
    if not path.is_file() and (shipped := Path(__file__).parent / path).is_file():
        path = shipped
    if not path.is_file():
        known = sorted(str(p) for p in path.parent.glob("*.json")) if path.parent.is_dir() else []
        hint = f"; there are {', '.join(known)}" if known else ""
        raise FileNotFoundError(f"no configuration {path}{hint}")
    try:
        tree = read_json(path)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    try:
        return from_dict(tree, overrides)
    except ConfigError as error:
        raise ConfigError(prefixed(str(error), path)) from None


def prefixed(faults: str, source: str | Path) -> str:
    """Faults, one a line, each with the file that they are of."""
    return "\n".join(f"{source}: {line}" for line in faults.splitlines())


def from_dict(tree: Any, overrides: typing.Sequence[str] = ()) -> Config:
    """Build a Config from parsed JSON; see `load`."""
    if not isinstance(tree, dict):
        raise ConfigError(f"expected an object with the sections {', '.join(SECTIONS)}, found {_kind(tree)}")
    faults: list[str] = []
    flat: dict[str, Any] = {}
    for section, values in itertools.islice(tree.items(), KEYS):
        if section not in SECTIONS:
            section = str(section)
            faults.append(f"unknown section {section[:SHOWN]!r}{_nearest(section, SECTIONS)}")
        elif not isinstance(values, dict):
            faults.append(f"section {section!r} must be an object, found {_kind(values)}")
        elif len(values) > KEYS:
            faults.append(f"section {section!r} has {len(values)} keys; expected at most {KEYS}")
        else:
            flat.update({f"{section}.{key}": value for key, value in values.items()})
    overriding: dict[str, Any] = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            faults.append(f"--set {override!r} must look like section.key=value")
        else:
            overriding[key.strip()] = _parse_value(value.strip())
    sections = _typed_sections(_translate(flat) | _translate(overriding), faults)
    for name, section in sections.items():  # value faults too, so that one run shows all
        faults += SECTIONS[name](**section).faults()
    _refuse(faults)
    return Config(**{name: SECTIONS[name](**section) for name, section in sections.items()})


def to_dict(config: Config) -> dict:
    """The configuration as JSON types; `from_dict` reads it back to an equal Config."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def save(config: Config, path: str | Path) -> None:
    """Write the configuration as JSON, whole or not at all."""
    write_text_atomic(path, json.dumps(to_dict(config), indent=2, ensure_ascii=False) + "\n")


def replace(config: Config, section: str, changes: dict[str, Any]) -> Config:
    """A copy with some values of one section changed; checked like any other."""
    return dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **changes)})


def overridden(overrides: typing.Sequence[str]) -> set[str]:
    """The keys that `section.key=value` overrides name."""
    return {override.partition("=")[0].strip() for override in overrides}


# What other programs call an option -> ours, where a command has it.
OTHER_OPTIONS = {"--voice": "-m", "--model": "-m", "--checkpoint": "-m", "--output": "-o", "--input": "--file",
                 "--lang": "--set", "--language": "--set", "--rhythm": "--speed", "--length-scale": "--speed"}


class CommandParser(argparse.ArgumentParser):
    """A command line whose mistakes are one message each, with the option that may be meant, and exit status 2."""

    def error(self, message: str) -> typing.NoReturn:
        """Replace argparse's message, which has all options before it."""
        self.exit(2, f"error: {message} ({self.prog} --help lists the options)\n")

    def parse_args(self, args: typing.Sequence[str] | None = None, namespace: Any = None) -> argparse.Namespace:
        """As argparse, but what no option takes has a message that says what to do."""
        parsed, rest = self.parse_known_args(args, namespace)
        if not rest:
            return parsed
        option = next((word.partition("=")[0] for word in rest if word.startswith("-")), None)
        if option is None:
            self.error(f"found {' '.join(rest)[:SHOWN]!r}, which no option takes; put a text, or a name, of several "
                       "words in quotes")
        known = self.options()
        same = OTHER_OPTIONS.get(option)
        hint = f"; did you mean {same}?" if same in known else _nearest(option, known)
        self.error(f"there is no option {option[:SHOWN]}{hint}")

    def options(self) -> list[str]:
        """All options, those of subcommands too."""
        inner = [parser for action in self._actions if isinstance(action, argparse._SubParsersAction)
                 for parser in action.choices.values()]
        return [*(option for action in self._actions for option in action.option_strings),
                *(option for parser in inner for option in parser.options())]


def add_trust_argument(parser: argparse.ArgumentParser) -> None:
    """The option of every command that reads a voice which somebody else may have made."""
    parser.add_argument("--trust-plugins", action="store_true",
                        help="run the Python files that the voice's own configuration names; without it none is run")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The option that every command with a configuration shares."""
    parser.add_argument("--set", dest="overrides", metavar="SECTION.KEY=VALUE", action="append", default=[],
                        help="override one setting, e.g. --set train.batch_size=8; may be repeated")


SECTIONS = {"train": TrainConfig, "data": DataConfig, "model": ModelConfig, "discriminator": DiscriminatorConfig,
            "speaking": SpeakingConfig}


def _sections(config: Config) -> tuple:
    return config.train, config.data, config.model, config.discriminator, config.speaking


def _translate(flat: dict[str, Any]) -> dict[str, Any]:
    """Retired keys leave with a line in the log, renamed ones arrive under their new name."""
    translated, order = {}, list(RENAMED)
    for key, value in flat.items():
        if key in RETIRED:
            logger.warning("%s is retired and ignored: %s", key, RETIRED[key])
        elif key not in RENAMED:
            translated[key] = value
    for key in sorted(set(flat) & set(RENAMED), key=order.index):
        (new_key, values), value = RENAMED[key], flat[key]
        if not isinstance(value, bool):
            translated.setdefault(new_key, value)
        elif value in values:
            translated.setdefault(new_key, values[value])
    return translated


def _typed_sections(flat: dict[str, Any], faults: list[str]) -> dict[str, dict[str, Any]]:
    """Sort flat keys into sections, each value of its field's type; what does not fit goes to `faults`."""
    types_by_key = {f"{name}.{key}": kind for name, section in SECTIONS.items()
                    for key, kind in typing.get_type_hints(section).items()}
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for key, value in flat.items():
        if key not in types_by_key:
            faults.append(f"unknown key {key[:SHOWN]!r}{_nearest(key, types_by_key)}")
            continue
        try:
            section, name = key.split(".", 1)
            sections[section][name] = _convert(value, types_by_key[key])
        except (TypeError, ValueError, OverflowError, RecursionError):
            faults.append(f"{key} is {_shown(value)}; expected {_describe(types_by_key[key])}")
    return sections


def _convert(value: Any, kind: Any) -> Any:
    """`value` as `kind`; lists become tuples, whole numbers pass as floats; TypeError if it does not fit."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            try:
                return _convert(value, option)
            except TypeError:
                continue
    elif origin is tuple and isinstance(value, (list, tuple)):
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) == len(value):
            return tuple(_convert(item, item_kind) for item, item_kind in zip(value, kinds))
    elif kind is type(None) and value is None:
        return None
    elif kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        if math.isfinite(value):
            return float(value)
    elif kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    elif kind is int and isinstance(value, int) and abs(value) > LARGEST:
        raise OverflowError
    elif isinstance(kind, type) and isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise TypeError


def _describe(kind: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false", type(None): "null"}
    if kind in names:
        return names[kind]
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        inner = [_describe(a) for a in arguments if a is not Ellipsis]
        is_open = arguments[-1] is Ellipsis
        return f"a list, each {inner[0]}" if is_open else f"a list of {len(inner)}: {', '.join(inner)}"
    return " or ".join(_describe(a) for a in arguments)


def _parse_value(text: str) -> Any:
    """An override's value: JSON if it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _refuse(faults: list[str]) -> None:
    """Raise ConfigError with all faults, long ones cut, if there are any."""
    if faults:
        more = [f"and {len(faults) - FAULTS} more"] * (len(faults) > FAULTS)
        raise ConfigError("\n".join([*(fault[:FAULT] for fault in faults[:FAULTS]), *more]))


def _bound_faults(section: str, config: Any) -> list[str]:
    """What lies outside the bounds of its field; lists and texts that are too long."""
    faults = []
    for each in dataclasses.fields(config):
        name, value, bounds = f"{section}.{each.name}", getattr(config, each.name), each.metadata["bounds"]
        longest = max(map(len, _lists(value)), default=0)
        if longest > bounds.entries:
            faults.append(f"{name} has {longest} entries; expected at most {bounds.entries}")
            continue
        leaves = _leaves(value)
        if any(isinstance(leaf, str) and len(leaf) > TEXT for leaf in leaves):
            faults.append(f"{name} has a text of more than {TEXT} characters")
        checked = [leaf for leaf in leaves if isinstance(leaf, (int, float, str))]
        if violated := next(filter(None, map(bounds.violated, checked)), None):
            shown = repr(value) if isinstance(value, str) else _shown(value)
            faults.append(f"{name} is {shown}; {'each' if isinstance(value, tuple) else 'it'} must {violated}")
    return faults


def _lists(value: Any) -> list[tuple]:
    """A value's lists: itself and those in it; none of a single number or text."""
    return [value, *(inner for item in value for inner in _lists(item))] if isinstance(value, tuple) else []


def _leaves(value: Any) -> list[Any]:
    """What stands in a value's lists; of a single number or text, itself."""
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, tuple) else [value]


def _shown(value: Any) -> str:
    """A value as JSON, cut where it is long."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):  # not JSON, or a number too long to write out
        text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _listed(names: typing.Sequence[str]) -> str:
    """Names as an enumeration: "a, b or c"."""
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _nearest(key: str, known: typing.Iterable[str]) -> str:
    match = difflib.get_close_matches(key[:SHOWN], list(known), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a string", type(None): "null"}.get(type(value), str(value))
