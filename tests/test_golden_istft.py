"""The numbers of MB-iSTFT-VITS (iSTFT, multi-band, multi-stream, mini), within 2e-4 of their scale."""

import json

import numpy as np
import pytest
import torch

import checkpoint
import formats
from generators import Pqmf
from losses import subband_loss
from models import SynthesizerTrn
from tests.conftest import tiny
from tests.golden import golden

# As in that repository's configurations: switches, channels before the stages, width of the encoders.
CASES = {"ljs_istft_vits": ("istft_vits", 512, 192), "ljs_mb_istft_vits": ("mb_istft_vits", 512, 192),
         "ljs_ms_istft_vits": ("ms_istft_vits", 512, 192), "ljs_mini_istft_vits": ("istft_vits", 256, 96)}
SUBBAND_LOSS = {"fft_sizes": [384, 683, 171], "hop_sizes": [30, 60, 10], "win_lengths": [150, 300, 60],
                "window": "hann_window"}


def published_config(switch: str, initial: int, width: int) -> dict:
    """A configuration with that repository's keys."""
    one_band = switch == "istft_vits"
    return {
        "train": {"learning_rate": 2e-4, "batch_size": 64, "fp16_run": False, "segment_size": 8192, "init_lr_ratio": 1,
                  "warmup_epochs": 0, "c_mel": 45, "c_kl": 1.0, **({} if one_band else SUBBAND_LOSS)},
        "data": {"text_cleaners": ["english_cleaners2"], "max_wav_value": 32768.0, "sampling_rate": 22050,
                 "filter_length": 1024, "hop_length": 256, "win_length": 1024, "n_mel_channels": 80, "mel_fmin": 0.0,
                 "mel_fmax": None, "add_blank": True, "n_speakers": 0, "cleaned_text": True},
        "model": {"ms_istft_vits": switch == "ms_istft_vits", "mb_istft_vits": switch == "mb_istft_vits",
                  "istft_vits": one_band, "subbands": False if one_band else 4, "gen_istft_n_fft": 16,
                  "gen_istft_hop_size": 4, "inter_channels": 192, "hidden_channels": width, "filter_channels": 768,
                  "n_heads": 2, "n_layers": 6 if width == 192 else 3, "kernel_size": 3, "p_dropout": 0.1,
                  "resblock": "1", "resblock_kernel_sizes": [3, 7, 11],
                  "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
                  "upsample_rates": [8, 8] if one_band else [4, 4], "upsample_initial_channel": initial,
                  "upsample_kernel_sizes": [16, 16], "n_layers_q": 3, "use_spectral_norm": False, "use_sdp": False}}


def parameters(case: str) -> dict[str, torch.Tensor]:
    """As the other repository saves them."""
    filled = {name: torch.from_numpy(value) for name, value in golden.fill(golden.manifest(case)).items()}
    constants = np.load(golden.HERE / f"{case}.npz") if (golden.HERE / f"{case}.npz").is_file() else {}
    return filled | {name: torch.from_numpy(constants[f"const/{name}"]) for name in filled
                     if f"const/{name}" in constants}


@pytest.fixture(scope="module", params=[  # the first two have each part of the others
    "ljs_mb_istft_vits", "ljs_ms_istft_vits", pytest.param("ljs_istft_vits", marks=pytest.mark.slow),
    pytest.param("ljs_mini_istft_vits", marks=pytest.mark.slow)])
def case(request):
    return request.param


@pytest.fixture(scope="module")
def imported(case, tmp_path_factory):
    """Its checkpoint, read from files."""
    folder = tmp_path_factory.mktemp(case)
    torch.save({"model": parameters(case), "iteration": 3, "optimizer": None, "learning_rate": 2e-4},
               folder / "G_1000.pth")
    (folder / "config.json").write_text(json.dumps(published_config(*CASES[case])))
    return formats.read(folder / "G_1000.pth")


@pytest.fixture(scope="module")
def model(imported):
    net = SynthesizerTrn(178, imported.config).eval()
    checkpoint.load_state(net, imported.generator, "G_1000.pth", "generator")
    return net


def test_the_decoder_equals_the_published_one(case, model):
    def check(tensor, name):
        golden.compare(tensor, case, name)

    z = golden.inputs(case)["z"]
    with torch.no_grad():
        magnitude, phase = model.dec.spectrum(z)
        check(magnitude, "dec.mag")
        check(phase, "dec.phase")
        wav = model.dec(z)
        check(wav, "dec.o")
        check(wav[:, :, :2048], "dec.o_head")
        if "mb" in case or "ms" in case:
            check(model.dec.bands(z), "dec.mb")


def test_text_side_and_inference_equal_the_published_ones(case, model):
    inputs = golden.inputs(case)
    with golden.fixed_noise(), torch.no_grad():
        prior = model.enc_p(inputs["x"], inputs["x_lengths"])
        golden.compare(prior.hidden, case, "enc_p.x")
        golden.compare(model.dp.predict(prior.hidden, prior.mask, None, None), case, "dp.logw")
        out = model.infer(inputs["x"], inputs["x_lengths"], noise_scale=0)
    golden.compare(out.wav, case, "infer.o")
    golden.compare(out.durations[:, None], case, "infer.durations")
    golden.compare(out.z, case, "infer.z")


def test_the_loss_of_bands_equals_the_published_one():
    case = "ljs_mb_istft_vits"
    inputs, pqmf = golden.inputs(case), Pqmf(4, "published")
    golden.compare(pqmf.analysis_filter[:, None], case, "pqmf.analysis_filter")
    golden.compare(pqmf.synthesis_filter[None], case, "pqmf.synthesis_filter")
    bands = pqmf.analysis(inputs["loss_y"])
    golden.compare(bands, case, "pqmf.analysis")
    golden.compare(pqmf.synthesis(inputs["loss_y_hat_mb"]), case, "pqmf.synthesis")
    golden.compare(pqmf.synthesis(bands), case, "pqmf.round_trip")
    torch.testing.assert_close(bands, inputs["loss_y_mb"], rtol=0, atol=1e-5)
    golden.compare(subband_loss(bands, inputs["loss_y_hat_mb"], tiny().train), case, "loss.subband")
