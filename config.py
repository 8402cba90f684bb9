"""Every setting of the project, as frozen dataclasses: read from JSON, overridden, checked once, saved with the run.

    config = config.load("configs/ljs.json", overrides=["train.batch_size=8"])

One section per dataclass; a function takes the section it needs. The JSON files published with VITS in 2021 load:
their keys are ours, `RENAMED` moves the few that became clearer, `RETIRED` names the ones that nothing ever read.
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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from utils import write_text_atomic

logger = logging.getLogger("vits")


class ConfigError(ValueError):
    """All faults of one configuration, one per line."""


# Published key -> why it may be left out. Each gives one line in the log.
RETIRED = {
    "train.init_lr_ratio": "nothing in the published code reads it",
    "train.warmup_epochs": "nothing in the published code reads it",
    "model.n_layers_q": "the published posterior encoder has 16 layers whatever it says; see model.posterior_layers",
    "data.max_wav_value": "audio is read as floats in [-1, 1] whatever its format",
}

# Published key -> (our key, how its value translates).
RENAMED = {
    "train.fp16_run": ("train.precision", {True: "fp16", False: "fp32"}),
    "model.use_sdp": ("model.duration_predictor", {True: "stochastic", False: "deterministic"}),
    "model.use_spectral_norm": ("discriminator.use_spectral_norm", {True: True, False: False}),
}


LARGEST = 2**63 - 1  # of a whole number that has no limit of its own
LARGEST_JSON = 2**26  # bytes of a file
SHOWN = 200  # characters of a value, in a message
FAULTS, FAULT = 50, 600  # of a message, and characters of each
KEYS = 500  # of an object that is read
TEXT = 4096  # characters of a text
ENTRIES = 64  # of a list that has no limit of its own


def at_most(default: Any, most: float | None, least: float | None = None, entries: int = ENTRIES) -> Any:
    """A field with limits, so that no file can ask for more memory than a machine has.

    Args:
        default: its value where none is given.
        most: largest value; of a list, of each number in it. None: no limit but LARGEST.
        least: smallest value.
        entries: of a list.
    """
    return field(default=default, metadata={"most": most, "least": least, "entries": entries})


@dataclass(frozen=True)
class TrainConfig:
    """The loop, its optimizers and the weights of the objective."""

    log_interval: int = 200  # steps
    eval_interval: int = 1000  # steps
    save_interval: int = 1000  # steps
    keep_last: int = 3  # checkpoints that stay: the newest,
    keep_best: int = 3  # those that validated best by `best_measure`,
    keep_every: int | None = None  # and those at multiples of this many steps, for ever
    best_measure: str = "valid/mel"  # a number of each validation; lower is better
    patience: int | None = None  # validations without a better best_measure, after which a run ends; None: never
    meters: tuple[str, ...] = ("sanity", "timing", "world", "lines")  # measure what a validation speaks
    costly_meters: tuple[str, ...] = ("sentence", "words", "quality", "speaker")  # those that take long,
    evaluate_every: int = 10  # asked at every so many validations, of all test sentences; 0: never
    test_sentences: str | None = "auto"  # file of what validations speak; auto: of data.language; null: none
    seed: int = 1234
    epochs: int = 20000
    total_steps: int | None = None  # ends the run earlier than `epochs` if given
    learning_rate: float = 2e-4
    discriminator_learning_rate: float | None = None  # as learning_rate if not given
    betas: tuple[float, float] = (0.8, 0.99)
    eps: float = 1e-9
    weight_decay: float = 0.01
    lr_decay: float = 0.999875  # factor per epoch
    lr_schedule: str = "exponential"  # by lr_decay; or cosine, linear, inverse_sqrt, constant
    lr_final: float = 0.0  # factor that cosine and linear reach at total_steps
    lr_warmup_steps: int = 0  # linear, from zero
    discriminator_lr_schedule: str | None = None  # as lr_schedule if not given
    discriminator_lr_warmup_steps: int | None = None  # from where they join; as lr_warmup_steps if not given
    grad_clip: float | None = None  # largest gradient norm of each optimizer; None clips nothing
    batch_size: int = at_most(64, 65536)  # utterances of a process
    batch_seconds: float | None = None  # of a process, padding included; batch_size is then the most utterances
    accumulate: int = at_most(1, 65536)  # batches whose gradients make one step
    speaker_temperature: float = 1.0  # each speaker's share is frequency ** (1 / temperature): 1 as recorded, 100 even
    segment_size: int = at_most(8192, 2**22)  # samples of each utterance that reach the generator in a step
    precision: str = "fp32"  # fp32, bf16, fp16; a device that lacks it trains in fp32 and says so
    compile: bool = False  # generator and discriminators by torch.compile, where there is a compiler for the device
    ema_decay: float = 0.999  # of the generator's parameters; 0 keeps no average
    adversarial_start: int = 0  # step at which the discriminators join
    discriminator_interval: int = 1  # they move at each such step; the generator hears them at every one
    discriminator_warmup_steps: int | None = None  # over which what they say gains weight; not given: 0, or 500 where
    # a fine-tuned generator meets discriminators that start from nothing
    max_bad_steps: int = 10  # in a row whose loss or gradient is not finite, before a run rolls back or ends
    rollbacks: int = 0  # times in a run that it goes back to an earlier checkpoint then, before it ends
    rollback_lr_factor: float = 0.5  # on both learning rates, at each rollback
    alignment_prior_steps: int = 0  # steps over which a prior for even reading fades from the alignment search
    alignment_prior_weight: float = 1.0
    c_adv: float = 1.0
    c_fm: float = 1.0
    c_mel: float = 45.0
    c_kl: float = 1.0
    c_dur: float = 1.0
    c_pitch: float = 20.0  # for generators that hear pitch
    c_stft: float = 0.0  # multi-resolution STFT loss, for training without discriminators
    stft_sizes: tuple[int, ...] = at_most((512, 1024, 2048), 2**16)  # samples, FFT sizes of that loss
    num_workers: int = at_most(2, 1024)
    num_threads: int | None = at_most(None, 1024)  # CPU threads of the training process; None leaves torch's choice
    memory_probe: bool = True  # before the first step: does the largest batch fit?
    trackers: tuple[str, ...] = ("console", "jsonl", "tensorboard")  # and aim, wandb
    callbacks: tuple[str, ...] = ()  # Python files that register callbacks of your own
    init_from: str | None = None  # run, checkpoint or release folder whose weights a new run starts from
    allow_partial: bool = False  # start from it even where its weights do not fit
    init_speaker: str | int | None = None  # which of several voices a model of one voice starts from
    trainable: tuple[str, ...] = at_most(("*",), None, entries=10_000)  # patterns of generator parameters that train;
    # "new_rows": only what is new
    frozen: tuple[str, ...] = at_most((), None, entries=10_000)  # patterns of those that do not

    def faults(self) -> list[str]:
        """What is wrong within this section, one sentence each."""
        positive = ("log_interval", "eval_interval", "save_interval", "keep_last", "epochs", "total_steps",
                    "learning_rate", "discriminator_learning_rate", "eps", "batch_size", "segment_size",
                    "grad_clip", "num_threads", "lr_decay", "keep_every", "batch_seconds", "accumulate",
                    "speaker_temperature", "max_bad_steps", "rollback_lr_factor", "patience", "discriminator_interval")
        not_negative = ("weight_decay", "adversarial_start", "num_workers", "lr_warmup_steps", "c_adv", "c_fm", "c_mel",
                        "c_kl", "c_dur", "c_pitch", "c_stft", "alignment_prior_steps", "alignment_prior_weight",
                        "lr_final", "discriminator_lr_warmup_steps", "discriminator_warmup_steps", "keep_best",
                        "rollbacks", "evaluate_every")
        faults = _below_limits("train", self, positive, not_negative)
        if any(not 0 <= beta < 1 for beta in self.betas):
            faults.append(f"train.betas is {list(self.betas)}; each must lie in [0, 1)")
        if self.precision not in ("fp32", "bf16", "fp16"):
            faults.append(f"train.precision is {self.precision!r}; it must be fp32, bf16 or fp16")
        if not 0 <= self.ema_decay < 1:
            faults.append(f"train.ema_decay is {self.ema_decay}; it must lie in [0, 1)")
        for name in ("lr_schedule", "discriminator_lr_schedule"):
            if getattr(self, name) in ("cosine", "linear") and self.total_steps is None:
                faults.append(f"train.{name} is {getattr(self, name)!r} without train.total_steps, which it runs over")
        if self.rollback_lr_factor > 1:
            faults.append(f"train.rollback_lr_factor is {self.rollback_lr_factor}; it must be at most 1")
        if self.c_stft and not self.stft_sizes:
            faults.append("train.c_stft is given, train.stft_sizes is empty; it must have one or more sizes")
        if any(size < 32 for size in self.stft_sizes):
            faults.append(f"train.stft_sizes is {list(self.stft_sizes)}; each must be at least 32 samples")
        return faults


@dataclass(frozen=True)
class DataConfig:
    """Where utterances come from and how text and sound become numbers."""

    training_files: str = ""  # filelist
    validation_files: str = ""  # filelist
    text_cleaners: tuple[str, ...] = ("english_cleaners2",)
    language: str = "en-us"  # espeak-ng's name, for the cleaners that phonemize
    symbols: str | tuple[str, ...] = at_most("published", None, entries=65_536)  # a table of text/, the symbols, or, in
    # a configuration of your own, a file of one symbol a line
    sampling_rate: int = at_most(22050, 768_000, least=1000)  # Hz
    filter_length: int = at_most(1024, 2**16)  # samples of the FFT
    hop_length: int = at_most(256, 2**16)  # samples
    win_length: int = at_most(1024, 2**16)  # samples
    n_mel_channels: int = at_most(80, 1024)
    mel_fmin: float = at_most(0.0, math.inf)  # Hz, below
    mel_fmax: float | None = at_most(None, math.inf)  # Hz; None is half the sampling rate, which bounds it
    add_blank: bool = True
    begin_end: tuple[str, str] | None = None  # symbols before and behind every text, where the voice learned them
    n_speakers: int = at_most(0, 100_000)  # 0 and 1 are one voice
    speakers: tuple[str, ...] = at_most((), None, entries=100_000)  # names by id; training takes them from the filelist
    cleaned_text: bool = True  # the filelists' text has been through the cleaners already
    min_text_len: int = at_most(1, 10_000)  # symbols, before blanks
    max_text_len: int = at_most(190, 10_000)  # symbols, before blanks
    max_wav_seconds: float = at_most(20.0, 3600.0)

    def faults(self) -> list[str]:
        """What is wrong within this section, one sentence each."""
        positive = ("sampling_rate", "filter_length", "hop_length", "win_length", "n_mel_channels", "max_text_len",
                    "max_wav_seconds", "mel_fmax")
        faults = _below_limits("data", self, positive, ("n_speakers", "mel_fmin", "min_text_len"))
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


@dataclass(frozen=True)
class ModelConfig:
    """The synthesizer's sizes and the names of its exchangeable parts."""

    inter_channels: int = at_most(192, 4096)  # latent z
    hidden_channels: int = at_most(192, 8192)
    filter_channels: int = at_most(768, 32_768)
    n_heads: int = at_most(2, 256)
    n_layers: int = at_most(6, 256)
    kernel_size: int = at_most(3, 255)
    attention_window: int = at_most(4, 1024)  # tokens to each side that relative attention tells apart
    p_dropout: float = 0.1
    posterior_layers: int = at_most(16, 128)
    flow_couplings: int = at_most(4, 64)
    flow_layers: int = at_most(4, 32)  # WaveNet layers in each coupling
    wavenet_kernel_size: int = at_most(5, 255)
    duration_predictor: str = "stochastic"
    duration_channels: int = at_most(256, 8192)  # deterministic predictor
    duration_flows: int = at_most(4, 64)  # stochastic predictor
    p_dropout_duration: float = 0.5
    generator: str = "hifigan"
    resblock: str = "1"
    resblock_kernel_sizes: tuple[int, ...] = at_most((3, 7, 11), 255, entries=16)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = at_most(((1, 3, 5), (1, 3, 5), (1, 3, 5)), 1024, entries=16)
    upsample_rates: tuple[int, ...] = at_most((8, 8, 2, 2), 1024, entries=16)
    upsample_initial_channel: int = at_most(512, 16_384)
    upsample_kernel_sizes: tuple[int, ...] = at_most((16, 16, 4, 4), 4096, entries=16)
    istft_channels: int = at_most(512, 8192)
    istft_layers: int = at_most(8, 256)
    istft_expansion: int = at_most(3, 16)  # hidden width of each ConvNeXt block over istft_channels
    istft_kernel_size: int = at_most(7, 255)
    gin_channels: int = at_most(0, 8192)  # speaker embedding
    plugins: tuple[str, ...] = ()  # Python files that register networks of your own

    def faults(self) -> list[str]:
        """What is wrong within this section, one sentence each."""
        positive = ("inter_channels", "hidden_channels", "filter_channels", "n_heads", "n_layers", "kernel_size",
                    "attention_window", "posterior_layers", "flow_couplings", "flow_layers", "wavenet_kernel_size",
                    "duration_channels", "duration_flows", "upsample_initial_channel", "istft_channels",
                    "istft_layers", "istft_expansion", "istft_kernel_size", "upsample_rates",
                    "upsample_kernel_sizes", "resblock_kernel_sizes")
        faults = _below_limits("model", self, positive, ("gin_channels",))
        if self.n_heads > 0 and self.hidden_channels % self.n_heads:
            faults.append(f"model.n_heads {self.n_heads} does not divide model.hidden_channels {self.hidden_channels}")
        if self.inter_channels % 2:
            faults.append(f"model.inter_channels is {self.inter_channels}; the flow splits it in halves")
        for name in ("wavenet_kernel_size", "istft_kernel_size"):
            if getattr(self, name) % 2 == 0:
                faults.append(f"model.{name} is {getattr(self, name)}; it must be odd, so that frames stay in place")
        for name in ("p_dropout", "p_dropout_duration"):
            if not 0 <= getattr(self, name) < 1:
                faults.append(f"model.{name} is {getattr(self, name)}; it must lie in [0, 1)")
        if self.generator == "hifigan":
            faults += self._hifigan_faults()
        return faults

    def _hifigan_faults(self) -> list[str]:
        faults = []
        if self.resblock not in ("1", "2"):
            faults.append(f"model.resblock is {self.resblock!r}; it must be \"1\" or \"2\"")
        if not self.resblock_kernel_sizes or any(kernel % 2 == 0 for kernel in self.resblock_kernel_sizes):
            faults.append(f"model.resblock_kernel_sizes is {list(self.resblock_kernel_sizes)}; it must have one or "
                          "more, each odd")
        if any(dilation < 1 for dilations in self.resblock_dilation_sizes for dilation in dilations):
            faults.append("model.resblock_dilation_sizes must all be above 0")
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
    """Which discriminators judge the waveform, and their sizes. The defaults are the published ones."""

    kinds: tuple[str, ...] = ("scale", "period")
    use_spectral_norm: bool = False
    n_scales: int = at_most(1, 16)  # 1 is VITS, 3 is HiFi-GAN (each further one hears half the rate)
    scale_channels: tuple[int, ...] = at_most((16, 64, 256, 1024, 1024, 1024), 16_384, entries=16)
    scale_kernel_sizes: tuple[int, ...] = at_most((15, 41, 41, 41, 41, 5), 1023, entries=16)
    scale_strides: tuple[int, ...] = at_most((1, 4, 4, 4, 4, 1), 1024, entries=16)
    scale_groups: tuple[int, ...] = at_most((1, 4, 16, 64, 256, 1), 16_384, entries=16)
    periods: tuple[int, ...] = at_most((2, 3, 5, 7, 11), 4096, entries=16)  # samples
    period_channels: tuple[int, ...] = at_most((32, 128, 512, 1024, 1024), 16_384, entries=16)
    stft_sizes: tuple[int, ...] = at_most((512, 1024, 2048), 2**16)  # samples
    stft_channels: int = at_most(32, 4096)
    augmentations: tuple[str, ...] = ()  # of what they hear: gain, polarity, shift, band_limit, noise
    augment_probability: float = 0.0  # of each of these, for each utterance; where it starts if it adapts
    augment_target: float | None = None  # adapt it so that this share of recordings is told as such; 0.8 is customary

    def faults(self) -> list[str]:
        """What is wrong within this section, one sentence each."""
        faults = _below_limits("discriminator", self, (
            "n_scales", "stft_channels", "scale_channels", "scale_kernel_sizes", "scale_strides", "periods",
            "period_channels"), ())
        if not 0 <= self.augment_probability <= 1:
            faults.append(f"discriminator.augment_probability is {self.augment_probability}; it must lie in [0, 1]")
        if self.augment_target is not None and not 0 < self.augment_target < 1:
            faults.append(f"discriminator.augment_target is {self.augment_target}; it must lie in (0, 1)")
        if (self.augment_probability or self.augment_target) and not self.augmentations:
            faults.append("discriminator.augmentations is empty, though a probability or a target is given; name some")
        for kind, sizes in (("scale", "scale_channels"), ("period", "periods"), ("period", "period_channels"),
                            ("stft", "stft_sizes")):
            if kind in self.kinds and not getattr(self, sizes):
                faults.append(f"discriminator.{sizes} is empty, though discriminator.kinds has {kind}")
        if not self.kinds:
            faults.append("discriminator.kinds is empty; name one or more of scale, period, stft")
        if any(size < 32 for size in self.stft_sizes):
            faults.append(f"discriminator.stft_sizes is {list(self.stft_sizes)}; each must be at least 32 samples")
        scale = (self.scale_channels, self.scale_kernel_sizes, self.scale_strides, self.scale_groups)
        if len({len(values) for values in scale}) != 1:
            faults.append("discriminator.scale_channels, scale_kernel_sizes, scale_strides and scale_groups "
                          "differ in length")
        for before, after, groups in zip((1, *self.scale_channels), self.scale_channels, self.scale_groups):
            if groups < 1 or before % groups or after % groups:
                faults.append(f"discriminator.scale_groups has {groups}, which does not divide {before} and {after} "
                              "channels")
        return faults


@dataclass(frozen=True)
class SpeakingConfig:
    """How the voice is meant to be spoken, where nobody asks for something else."""

    noise_scale: float = 0.667  # how much the sound varies, 0 to about 1
    noise_scale_duration: float = 0.8  # how much the rhythm varies (stochastic duration predictor)
    speed: float = 1.0  # 2 is twice as fast

    def faults(self) -> list[str]:
        """What is wrong within this section, one sentence each."""
        return _below_limits("speaking", self, ("speed",), ("noise_scale", "noise_scale_duration"))


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
        if self.model.generator == "hifigan" and math.prod(self.model.upsample_rates) != hop:
            faults.append(f"model.upsample_rates {list(self.model.upsample_rates)} multiply to "
                          f"{math.prod(self.model.upsample_rates)}, data.hop_length is {hop}; they must be equal")
        if self.train.segment_size % hop:
            faults.append(f"train.segment_size {self.train.segment_size} is not a multiple of data.hop_length {hop}")
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


def load(path: str | Path, overrides: typing.Sequence[str] = ()) -> Config:
    """Read a JSON file, apply `section.key=value` overrides, and check everything at once.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: naming every fault of the file and of the overrides.
    """
    path = Path(path)
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
    translated = {}
    for key, value in flat.items():
        if key in RETIRED:
            logger.warning("%s is retired and ignored: %s", key, RETIRED[key])
        elif key in RENAMED and isinstance(value, bool):
            new_key, values = RENAMED[key]
            translated.setdefault(new_key, values[value])
        else:
            translated[key] = value
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


def _below_limits(section: str, config: Any, positive: tuple, not_negative: tuple) -> list[str]:
    """Numbers that are not above zero, or below it; of a list, each is looked at."""
    faults = _beyond_limits(section, config)
    limits = ((positive, lambda v: v > 0, "above 0"), (not_negative, lambda v: v >= 0, "0 or more"))
    for names, is_fine, claim in limits:
        for name in names:
            value = getattr(config, name)
            if isinstance(value, tuple) and not all(map(is_fine, value)):
                faults.append(f"{section}.{name} is {list(value)}; each must be {claim}")
            elif value is not None and not isinstance(value, tuple) and not is_fine(value):
                faults.append(f"{section}.{name} is {value}; it must be {claim}")
    return faults


def _refuse(faults: list[str]) -> None:
    """Raise ConfigError with all faults, long ones cut, if there are any."""
    if faults:
        more = [f"and {len(faults) - FAULTS} more"] * (len(faults) > FAULTS)
        raise ConfigError("\n".join([*(fault[:FAULT] for fault in faults[:FAULTS]), *more]))


def _beyond_limits(section: str, config: Any) -> list[str]:
    """Numbers and lists beyond what their fields allow; see `at_most`."""
    faults = []
    for each in dataclasses.fields(config):
        value, limits = getattr(config, each.name), each.metadata
        most, least = limits.get("most") or LARGEST, limits.get("least")
        longest = max(map(len, _lists(value)), default=0)
        if longest > (entries := limits.get("entries", ENTRIES)):
            faults.append(f"{section}.{each.name} has {longest} entries; expected at most {entries}")
            continue
        leaves = _leaves(value)
        if any(isinstance(leaf, str) and len(leaf) > TEXT for leaf in leaves):
            faults.append(f"{section}.{each.name} has a text of more than {TEXT} characters")
        numbers = [number for number in leaves if isinstance(number, (int, float))]
        verb = "has" if isinstance(value, tuple) else "is"
        if (largest := max(numbers, default=0)) > most:
            faults.append(f"{section}.{each.name} {verb} {_shown(largest)}; it must be at most {most}")
        if least is not None and (smallest := min(numbers, default=least)) < least:
            faults.append(f"{section}.{each.name} {verb} {_shown(smallest)}; it must be at least {least}")
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


def _nearest(key: str, known: typing.Iterable[str]) -> str:
    match = difflib.get_close_matches(key[:SHOWN], list(known), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a string", type(None): "null"}.get(type(value), str(value))
