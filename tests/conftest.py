"""What tests share: a configuration of the smallest sizes that make sense, a batch for it, and a corpus to train on."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

import config
from audio.io import write_wav
from data_utils import Batch

ROOT = Path(__file__).parents[1]

# Property tests try the same examples in every run, so that a change fails by its own fault;
# `pytest --hypothesis-profile=default` tries fresh ones.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

# Shells let what they start in the background ignore Ctrl-C, and the commands that are tested would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TINY = {
    "train": {"log_interval": 1, "eval_interval": 4, "save_interval": 2, "total_steps": 4, "batch_size": 4,
              "segment_size": 1024, "learning_rate": 1e-3, "num_workers": 0, "num_threads": 1, "trackers": ["jsonl"],
              "meters": [], "evaluate_every": 0, "test_sentences": None},
    "data": {"text_cleaners": ["basic_cleaners"], "symbols": "characters", "sampling_rate": 8000, "filter_length": 256,
             "hop_length": 64, "win_length": 256, "n_mel_channels": 20, "cleaned_text": False},
    "model": {"inter_channels": 16, "hidden_channels": 16, "filter_channels": 32, "n_layers": 2, "posterior_layers": 2,
              "flow_couplings": 2, "flow_layers": 2, "duration_channels": 16, "duration_flows": 2,
              "resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 3]], "upsample_rates": [8, 8],
              "upsample_initial_channel": 16, "upsample_kernel_sizes": [16, 16],
              "istft_channels": 16, "istft_layers": 2},
    "discriminator": {"scale_channels": [4, 8], "scale_kernel_sizes": [15, 5], "scale_strides": [1, 4],
                      "scale_groups": [1, 4], "periods": [2, 3], "period_channels": [4, 8], "stft_sizes": [128],
                      "stft_channels": 4},
}


# The tiny configuration with an inverse STFT behind HiFi-GAN's stack; 2 * 2 * 4 * 4 samples a frame as well.
BANDS = ("model.upsample_rates=[2,2]", "model.upsample_kernel_sizes=[4,6]")
ISTFT_HIFIGAN = ("model.generator=istft_hifigan", "model.upsample_rates=[4,4]", "model.upsample_kernel_sizes=[8,4]")
MULTIBAND = ("model.generator=multiband", *BANDS, "train.fft_sizes=[96,43]", "train.hop_sizes=[8,3]",
             "train.win_lengths=[38,15]")
MULTISTREAM = ("model.generator=multistream", *BANDS)


# Of VITS2, but for its duration discriminator; the speaker reaches the text encoder of several voices.
VITS2 = ("model.posterior_input=mel", "model.flow_transformer=pre_conv", "model.speaker_in_text_encoder=true",
         "model.p_dropout_flow=0", "train.mas_noise_scale=0.01")
VITS2_STANDARD = (*VITS2, "model.flow_transformer=pre_conv2")


def tiny(overrides: tuple[str, ...] = ()) -> config.Config:
    """The tiny configuration with overrides such as "model.generator=istft"."""
    return config.from_dict(TINY, overrides)


@pytest.fixture
def tiny_config() -> config.Config:
    """One voice, HiFi-GAN, stochastic durations, published kinds of discriminators."""
    return tiny()


@pytest.fixture
def tiny_batch() -> Batch:
    """Three utterances of unequal length for the tiny configuration; speaker ids 0, 1, 0."""
    random = torch.Generator().manual_seed(0)
    wav_lengths = torch.tensor([4096, 3000, 2048])
    wav = torch.randn(3, 4096, generator=random) * 0.1
    wav = wav * (torch.arange(4096)[None, :] < wav_lengths[:, None])
    text_lengths = torch.tensor([12, 9, 5])
    text_ids = torch.randint(1, 40, (3, 12), generator=random) * (torch.arange(12)[None, :] < text_lengths[:, None])
    return Batch(["a", "b", "c"], text_ids, text_lengths, wav, wav_lengths, torch.tensor([0, 1, 0]))


@pytest.fixture
def tiny_corpus(tmp_path: Path) -> dict[str, Path]:
    """Filelists of 10 and 2 short recordings of tones, `train` and `valid`, for the tiny configuration."""
    return write_corpus(tmp_path, speakers=None)


def write_corpus(folder: Path, speakers: tuple[str, ...] | None) -> dict[str, Path]:
    """Write wavs and two filelists; with `speakers`, lines name them in turn."""
    random = np.random.default_rng(0)
    lines = []
    for i in range(12):
        time = np.arange(int(8000 * random.uniform(0.4, 0.8))) / 8000
        wav = 0.3 * np.sin(2 * np.pi * (150 + 20 * i) * time) + 0.01 * random.standard_normal(len(time))
        path = folder / "wavs" / f"{i:02d}.wav"
        write_wav(path, wav.astype(np.float32), 8000)
        text = " ".join("abc def ghi jkl mno".split()[: 2 + i % 3])
        lines.append("|".join([str(path), *([speakers[i % len(speakers)]] if speakers else []), text]))
    lists = {"train": folder / "train.txt", "valid": folder / "valid.txt"}
    lists["train"].write_text("\n".join(lines[:10]) + "\n")
    lists["valid"].write_text("\n".join(lines[10:]) + "\n")
    return lists


def with_corpus(lists: dict[str, Path], overrides: tuple[str, ...] = ()) -> config.Config:
    """The tiny configuration over such filelists."""
    return tiny((f"data.training_files={lists['train']}", f"data.validation_files={lists['valid']}", *overrides))


@pytest.fixture
def shared_data() -> Path:
    """Folder of real recordings for tests; it is no part of the project, so tests skip where it is missing."""
    folder = Path(os.environ.get("VITS_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder}; set VITS_SHARED_DATA to a folder that has them")
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium without a window, and without a profile."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    from selenium.webdriver.chrome.service import Service

    program, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    quiet = ("--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
             "--disable-component-update --disable-sync --mute-audio").split()
    for argument in (*quiet, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    started = webdriver.Chrome(options=options, service=Service(driver))
    yield started
    started.quit()
