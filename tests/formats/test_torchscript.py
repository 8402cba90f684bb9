"""A voice as a TorchScript file says what torch says of texts of any length, from Python and from C++."""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch

import config as settings
from audio.io import read_wav
from checkpoint import Weights
from formats import FormatError, torchscript
from formats.onnx_voice import load_voice
from generators import GENERATORS
from models import SynthesizerTrn
from tests.conftest import MULTIBAND, MULTISTREAM, ROOT, VITS2, tiny
from text import TextProcessor

SPEAKERS = ("data.n_speakers=3", "model.gin_channels=8", 'data.speakers=["anna","ben","cleo"]')
STILL = torch.tensor([0.0, 1.0, 0.0])  # no noise, the trained pace


def untrained(*overrides: str) -> Weights:
    """A tiny voice whose every weight counts: also those that training starts at zero."""
    config = tiny(overrides)
    torch.manual_seed(1)
    model = SynthesizerTrn(len(TextProcessor.from_config(config.data).symbols), config)
    with torch.no_grad():
        for parameter in model.parameters():
            if bool((parameter == parameter.flatten()[0]).all()):
                parameter.add_(0.2 * torch.randn_like(parameter))
    return Weights(settings.to_dict(config), model.state_dict(), None, 0, Path("untrained"))


@pytest.mark.parametrize("overrides", [
    (), (*SPEAKERS, "model.generator=istft", "model.duration_predictor=deterministic"), ("model.generator=harmonic",),
    MULTIBAND, MULTISTREAM, (*SPEAKERS, *VITS2)],
    ids=["one", "several", "harmonic", "multiband", "multistream", "VITS2"])
def test_texts_of_any_length_are_said_to_the_bit_as_torch_says_them(tmp_path, overrides):
    weights = untrained(*overrides)
    written = torchscript.write(weights, tmp_path)
    assert [file.name for file in written.files] == ["voice.pt", "voice.json"]
    assert written.checks[0] == "0 of 31 durations differ from this project's"
    program, model = torchscript.opened(tmp_path / "voice.pt"), load_voice(weights).model
    speaker = torch.tensor([1]) if model.n_speakers else None
    for length in (1, 2, 9, 100):
        ids = torch.arange(length)[None] % 40
        wanted = model.infer(ids, torch.tensor([length]), speaker, noise_scale=0.0, noise_scale_duration=0.0)
        with torch.inference_mode():
            wav, durations = program(ids, STILL, *([] if speaker is None else [speaker]))
        assert torch.equal(durations, wanted.durations)
        torch.testing.assert_close(wav, wanted.wav, rtol=0, atol=1e-6)


def test_noise_and_pace_are_heard(tmp_path):
    torchscript.write(untrained("model.duration_predictor=deterministic"), tmp_path)
    program, ids = torchscript.opened(tmp_path / "voice.pt"), torch.arange(12)[None]

    def say(*scales: float) -> torch.Tensor:
        torch.manual_seed(0)
        return program(ids, torch.tensor(scales))[0]

    with torch.inference_mode():
        assert torch.equal(say(1.0, 1.0, 0.0), say(1.0, 1.0, 0.0))
        assert not torch.equal(say(1.0, 1.0, 0.0), say(0.0, 1.0, 0.0))
        assert say(0.0, 9.0, 0.0).shape[2] > 2 * say(0.0, 1.0, 0.0).shape[2]


def test_the_file_holds_no_path_of_this_machine_and_no_posterior_encoder(tmp_path):
    weights = untrained()
    torchscript.write(weights, tmp_path)
    with zipfile.ZipFile(tmp_path / "voice.pt") as archive:
        contents = {info.filename: archive.read(info) for info in archive.infolist()}
    assert not any(str(ROOT).encode() in content for content in contents.values())
    tensors = sum(len(content) for name, content in contents.items() if "/constants/" in name)
    listening = sum(tensor.nbytes for name, tensor in weights.generator.items() if name.startswith("enc_q."))
    assert tensors < sum(tensor.nbytes for tensor in weights.generator.values()) - listening
    assert contents["voice/extra/sample_rate"] == b"8000"
    assert settings.load(tmp_path / "voice.json").data.symbols


def test_a_part_that_cannot_be_traced_is_refused(tmp_path, monkeypatch):
    class Mine(torch.nn.Module):
        context_frames = 1

        def __init__(self, *_):
            super().__init__()

        def forward(self, z, g=None):
            return z.sum().item()  # a number is no operation of tensors

    monkeypatch.setitem(GENERATORS._builders, "mine", Mine)
    config = tiny(("model.generator=mine",))
    model = SynthesizerTrn(len(TextProcessor.from_config(config.data).symbols), config)
    with pytest.raises(FormatError, match="Mine and StochasticDurationPredictor cannot be traced"):
        torchscript.write(Weights(settings.to_dict(config), model.state_dict(), None, 0, Path("mine")), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [(), SPEAKERS], ids=["one", "several"])
def test_the_program_in_cpp_says_what_torch_says(tmp_path, overrides):
    """Built as examples/cpp/CMakeLists.txt says; compiling takes 20 seconds."""
    if shutil.which("cmake") is None or shutil.which("c++") is None:
        pytest.skip("needs cmake and a C++ compiler")
    weights = untrained(*overrides)
    torchscript.write(weights, tmp_path)
    subprocess.run(["cmake", "-S", ROOT / "examples" / "cpp", "-B", tmp_path / "build",
                    f"-DTORCH={torch.__path__[0]}"], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", tmp_path / "build"], check=True, capture_output=True)
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    command = [tmp_path / "build" / "speak", tmp_path / "voice.pt", tmp_path / "said.wav", *map(str, ids),
               "--noise", "0", "--noise-duration", "0"]
    speaker = torch.tensor([2]) if overrides else None
    if overrides:
        refused = subprocess.run(command, text=True, capture_output=True)
        assert refused.returncode == 2 and "expected --speaker 0 to 2" in refused.stderr
    for word, message in (("Hello", "expected a number, found Hello"), ("9999", "there is no symbol 9999; the voice")):
        refused = subprocess.run([*command, word], text=True, capture_output=True)
        assert refused.returncode == 2 and message in refused.stderr
    subprocess.run([*command, *(["--speaker", "2"] if overrides else [])], check=True, capture_output=True)
    wanted = load_voice(weights).model.infer(torch.tensor([ids]), torch.tensor([len(ids)]), speaker,
                                             noise_scale=0.0, noise_scale_duration=0.0)
    wav = read_wav(tmp_path / "said.wav", clip=False)
    assert wav.sampling_rate == json.loads((tmp_path / "voice.json").read_text())["data"]["sampling_rate"]
    torch.testing.assert_close(torch.from_numpy(wav.samples), wanted.wav[0, 0], rtol=0, atol=1e-6)
