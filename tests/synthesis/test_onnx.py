"""A voice in ONNX speaks as torch does, and without it."""

import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

import checkpoint
import config as settings
from benchmarks import startup, voices
from formats import FormatError
from models import SynthesizerTrn
from synthesis import Voice
from synthesis.base import Audio
from synthesis.chunking import DEFAULT_CHUNKS, ChunkSizes
from tests.conftest import ROOT, tiny
from text import TextProcessor
from utils import PackageError, set_seed

onnx = pytest.importorskip("onnx", reason="writes the voices that are spoken here")
pytest.importorskip("onnxruntime", reason="speaks them")

from formats import onnx_voice  # noqa: E402
from synthesis import onnx as onnx_module  # noqa: E402
from synthesis.onnx import OnnxVoice, find_graph  # noqa: E402

LONG = "abc def ghi, jkl mno. Pqr stu!\n\nVwx yz abc def ghi jkl mno pqr stu."
DUO = ("data.n_speakers=2", 'data.speakers=["alice","bob"]', "model.gin_channels=8")


def write_voice(folder, *overrides):
    """A run of an untrained voice, the same each time, and its graphs; returns the run's folder."""
    set_seed(1)
    config = tiny(overrides)
    model = SynthesizerTrn(len(TextProcessor.from_config(config.data).symbols), config)
    for parameter in model.parameters():
        if parameter.ndim == 1:  # what begins as zeros and ones would say nothing
            parameter.data += 0.05 * torch.randn_like(parameter)
    (folder / "run").mkdir()
    checkpoint.save(folder / "run", 0, {"config": settings.to_dict(config), "generator": model.state_dict()})
    weights = checkpoint.read_weights(folder / "run")
    onnx_voice.write(weights, folder / "whole")
    onnx_voice.write(weights, folder / "split", streaming=True)
    return folder


@pytest.fixture(scope="module")
def solo(tmp_path_factory):
    return write_voice(tmp_path_factory.mktemp("solo"))


@pytest.fixture(scope="module")
def duo(tmp_path_factory):
    return write_voice(tmp_path_factory.mktemp("duo"), *DUO, "model.duration_predictor=deterministic")


@pytest.fixture(scope="module", params=["whole", "split"])
def voice(request, solo):
    return OnnxVoice.load(solo / request.param)


def assert_same(audio, expected):
    assert np.array_equal(audio.durations, expected.durations) and audio.timings == expected.timings
    assert audio.text_ids == expected.text_ids and audio.sample_rate == expected.sample_rate
    assert np.abs(audio.samples - expected.samples).max() < 1e-4
    assert np.abs(expected.samples).max() > 0.01


@pytest.mark.parametrize("options", [
    {}, {"speed": 1.3}, {"noise_scale": 0.0, "noise_scale_duration": 0.0}, {"strategy": "truncated"},
    {"strategy": "antithetic"}, {"strategy": "mode"}, {"volume_db": -6.0, "sentence_pause": 0.1},
    {"pitch_semitones": 3.0}])
def test_a_seed_sounds_as_it_does_by_torch(solo, voice, options):
    assert_same(voice.speak(LONG, seed=5, **options), Voice.load(solo / "run", "cpu").speak(LONG, seed=5, **options))


def test_a_voices_own_gain_is_that_of_torch(solo):
    louder = ["speaking.gain_db=18"]
    assert_same(OnnxVoice.load(solo / "whole", overrides=louder).speak(LONG, seed=5),
                Voice.load(solo / "run", "cpu", louder).speak(LONG, seed=5))


def test_marks_and_speeds_of_single_words_are_heard(solo, voice):
    text = "<speak>abc <prosody rate='50%' volume='-6dB'>def</prosody><break time='300ms'/><mark name='m'/>ghi</speak>"
    assert_same(voice.speak(text, seed=2), Voice.load(solo / "run", "cpu").speak(text, seed=2))


@pytest.mark.parametrize("form", ["whole", "split"])
@pytest.mark.parametrize("speaker", ["alice", "bob", 1, "0"])
def test_speakers_are_known_by_name_and_by_number(duo, form, speaker):
    voice = OnnxVoice.load(duo / form)
    assert voice.speakers == ("alice", "bob")
    assert_same(voice.speak("abc def", speaker=speaker, seed=1),
                Voice.load(duo / "run", "cpu").speak("abc def", speaker=speaker, seed=1))


@pytest.mark.parametrize("speaker", ["alice:0.7+bob:0.3", "alice:3+bob:-1", "bob:1"])
@pytest.mark.parametrize("form", ["whole", "split"])
def test_a_mix_of_speakers_sounds_as_it_does_by_torch(duo, form, speaker):
    mixed = OnnxVoice.load(duo / form).speak("abc def", speaker=speaker, seed=1)
    assert_same(mixed, Voice.load(duo / "run", "cpu").speak("abc def", speaker=speaker, seed=1))
    if speaker != "bob:1":
        bob = OnnxVoice.load(duo / form).speak("abc def", speaker="bob", seed=1)
        assert len(bob.samples) != len(mixed.samples) or np.abs(bob.samples - mixed.samples).max() > 1e-3


def test_a_graph_that_does_not_say_its_speakers_is_to_be_written_again(duo, monkeypatch):
    voice = OnnxVoice.load(duo / "whole")
    monkeypatch.setattr(voice, "_outputs", ["wav", "durations"])
    with pytest.raises(FormatError, match="was written before speakers could be mixed; write it again"):
        voice.speak("abc", speaker="alice:1+bob:1")


def test_speakers_that_a_graph_does_not_have_are_refused(solo, duo):
    voice = OnnxVoice.load(duo / "whole")
    for speaker, message in (("alicia", "unknown speaker 'alicia'; this voice has 2: alice"), (2, "is not from 0 to 1"),
                             (None, "choose one of alice, bob"), ("alice:0.5+carl:0.5", "unknown speaker 'carl'"),
                             ("alice->bob", "paths from one to another, take a run"), ("new:7", "new speakers, and"),
                             ("alice:1+bob:-1", "add up to 0")):
        with pytest.raises(ValueError, match=message):
            voice.speak("abc", speaker=speaker)
    with pytest.raises(ValueError, match="this voice has one speaker"):
        OnnxVoice.load(solo / "whole").speak("abc", speaker="bob")


@pytest.mark.parametrize("chunks", [ChunkSizes(), ChunkSizes(1, 1), ChunkSizes(5, 11, 1.5)])
def test_a_stream_joined_is_what_is_spoken_whole(voice, chunks):
    whole = voice.speak(LONG, seed=4)
    assert_same(Audio.joined(list(voice.stream(LONG, seed=4, chunks=chunks))), whole)


@pytest.mark.parametrize("form", ["whole", "split"])
def test_the_first_piece_comes_before_the_rest_is_decoded(solo, monkeypatch, form):
    voice, decoded = OnnxVoice.load(solo / form), []

    class Watched:
        def __init__(self, session):
            self.session = session

        def __getattr__(self, name):
            return getattr(self.session, name)

        def run(self, outputs, inputs):
            decoded.append(inputs["z"].shape[2])
            return self.session.run(outputs, inputs)

    monkeypatch.setattr(voice, "decoder", Watched(voice.decoder))
    stream = voice.stream("abc def ghi jkl mno pqr stu vwx yz " * 4, seed=1, speed=0.2, max_characters=500)
    first = next(stream)
    assert len(decoded) == 1 and decoded[0] < 3 * DEFAULT_CHUNKS.first
    assert len(first.samples) == DEFAULT_CHUNKS.first * 64
    assert len(list(stream)) > 3 and len(decoded) > 4


def test_given_durations_are_spoken_exactly(voice):
    ids = voice.text.encode("abc")
    audio = voice.speak_ids(ids, durations=[0, 4, 1, 2, 0, 9, 0], seed=1)
    assert audio.durations.tolist() == [64 * n for n in (0, 4, 1, 2, 0, 9, 0)] and len(audio.samples) == 64 * 16
    assert len(voice.speak_ids(ids, durations=[0] * 7).samples) == 0


def test_many_texts_are_said_each_with_its_seed(voice):
    texts = ["abc", "def ghi. Jkl!"]
    for text, seed, audio in zip(texts, (3, 4), voice.speak_all(texts, seeds=[3, 4])):
        assert_same(audio, voice.speak(text, seed=seed))
    assert len(voice.speak_all(texts, seed=1)) == 2
    with pytest.raises(ValueError, match="found 1 seeds for 2 texts"):
        voice.speak_all(texts, seeds=[1])


# Without torch

WITHOUT_TORCH = """
import runpy, sys
for name in ("torch", "torchaudio", "onnx"):
    sys.modules[name] = None
sys.argv = ["synthesize.py", *sys.argv[1:]]
runpy.run_path("synthesize.py", run_name="__main__")
"""


def without_torch(*arguments):
    return subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)], cwd=ROOT, capture_output=True,
                          text=True, timeout=120)


def test_the_command_speaks_where_there_is_no_torch(solo, tmp_path):
    done = without_torch("-m", solo / "whole" / "voice.onnx", "--text", "abc def.", "--seed", 7, "-o",
                         tmp_path / "new" / "a.wav", "--timings", "srt", "json")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new" / "a.srt").is_file()
    samples, rate = soundfile.read(tmp_path / "new" / "a.wav")
    expected = Voice.load(solo / "run", "cpu").speak("abc def.", seed=7).samples
    assert rate == 8000 and np.abs(samples - expected).max() < 2e-4
    done = without_torch("-m", solo / "split", "--text", "abc def.", "--seed", 7, "-o", tmp_path / "b.flac")
    assert done.returncode == 0, done.stderr
    assert np.abs(soundfile.read(tmp_path / "b.flac")[0] - expected).max() < 2e-4


def test_the_command_mixes_speakers_where_there_is_no_torch(duo, tmp_path):
    done = without_torch("-m", duo / "whole", "--text", "abc.", "--speaker", "alice:0.7+bob:0.3", "--seed", 7, "-o",
                         tmp_path / "a.wav")
    assert done.returncode == 0, done.stderr
    expected = Voice.load(duo / "run", "cpu").speak("abc.", speaker="alice:0.7+bob:0.3", seed=7).samples
    assert np.abs(soundfile.read(tmp_path / "a.wav")[0] - expected).max() < 2e-4


def test_english_phonemes_too_need_no_torch(tmp_path):
    folder = write_voice(tmp_path, 'data.symbols="published"', 'data.text_cleaners=["english_espeak"]')
    done = without_torch("-m", folder / "whole", "--text", "Dr. Smith paid $5.", "--seed", 1, "-o", tmp_path / "a.wav")
    assert done.returncode == 0, done.stderr
    assert soundfile.info(tmp_path / "a.wav").frames == len(
        Voice.load(folder / "run", "cpu").speak("Dr. Smith paid $5.", seed=1).samples)


def test_the_start_without_torch_is_measured_beside_the_others(tmp_path):
    config = tiny(('data.symbols="published"',))
    way = startup.ours_onnx(voices.write_ours(tmp_path / "release", config), tmp_path / "onnx")
    found = startup.start(way._replace(imports=f"import sys; sys.modules['torch'] = None\n{way.imports}"), "abc")
    assert found.total > found.imports + found.load + found.speak > 0 and found.said > 0


@pytest.mark.parametrize("arguments", [("--convert", "a.wav", "--from", "alice", "--speaker", "bob"),
                                       ("--picture", "a.png", "--text", "abc")])
def test_the_command_refuses_what_only_a_checkpoint_can_do(duo, tmp_path, arguments):
    done = without_torch("-m", duo / "whole", *arguments, "-o", tmp_path / "x.wav")
    assert done.returncode == 2 and "--convert and --picture need -m to name a run" in done.stderr
    assert list(tmp_path.iterdir()) == []


# What is opened, and what is refused

def test_an_onnx_file_or_a_folder_of_nothing_else_is_spoken_by_onnxruntime(solo, tmp_path):
    assert find_graph(solo / "whole") == solo / "whole" / "voice.onnx" == find_graph(solo / "whole" / "voice.onnx")
    assert find_graph(solo / "split") is not None and find_graph(solo / "run") is None
    assert find_graph(tmp_path / "nowhere.onnx") is not None and find_graph(tmp_path) is None
    for name in ("voice.onnx", "voice.json", "config.json", "model.safetensors"):  # a release that has both
        (tmp_path / name).touch()
    assert find_graph(tmp_path) is None and find_graph(tmp_path / "voice.onnx") is not None


def test_settings_are_overridden_at_loading(solo):
    assert OnnxVoice.load(solo / "whole", overrides=["data.text_cleaners=[]"]).text.clean(["ABC"]) == ["ABC"]
    with pytest.raises(ValueError, match="did you mean 'data.text_cleaners'"):
        OnnxVoice.load(solo / "whole", overrides=["data.text_cleaner=[]"])


def test_files_that_are_missing_or_damaged_are_named(solo, tmp_path):
    with pytest.raises(FileNotFoundError, match="no .*nowhere.onnx; such files are written by"):
        OnnxVoice.load(solo / "whole" / "nowhere.onnx")
    graph = tmp_path / "voice.onnx"
    graph.write_bytes(b"no graph")
    with pytest.raises(FileNotFoundError, match="no .*voice.json; it lies beside the .onnx files"):
        OnnxVoice.load(graph)
    (tmp_path / "voice.json").write_bytes((solo / "whole" / "voice.json").read_bytes())
    with pytest.raises(FormatError, match="voice.onnx is no ONNX graph that onnxruntime .* can open"):
        OnnxVoice.load(graph)


def test_a_graph_of_somebody_else_is_refused(solo, tmp_path):
    helper, kind = onnx.helper, onnx.TensorProto.INT64
    ids, out = (helper.make_tensor_value_info(name, kind, [1, "tokens"]) for name in ("input", "output"))
    graph = helper.make_graph([helper.make_node("Identity", ["input"], ["output"])], "other", [ids], [out])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "x.onnx")
    (tmp_path / "voice.json").write_bytes((solo / "whole" / "voice.json").read_bytes())
    with pytest.raises(FormatError, match="x.onnx has inputs input and outputs output; expected text_ids, .* and wav"):
        OnnxVoice.load(tmp_path / "x.onnx")
    with pytest.raises(FormatError, match="encoder.onnx has inputs text_ids.*; expected .*and wav"):
        OnnxVoice.load(solo / "split" / "encoder.onnx")


def test_what_a_graph_cannot_do_is_refused(solo, voice, monkeypatch):
    with pytest.raises(ValueError, match="candidates is 3, .* has no posterior encoder .*; expected 1, or a run"):
        voice.speak("abc", candidates=3)
    with pytest.raises(ValueError, match="device is 'cuda', and an ONNX voice runs on the CPU"):
        OnnxVoice.load(solo / "whole", "cuda")
    with pytest.raises(ValueError, match="nothing to say in"):
        voice.speak(" ")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(PackageError, match="onnxruntime is not installed; pip install onnxruntime"):
        OnnxVoice.load(solo / "whole")


class Counted:
    """A session that writes down how many frames each run says."""

    def __init__(self, session):
        self.session, self.frames = session, []

    def run(self, outputs, inputs):
        found = self.session.run(outputs, inputs)
        self.frames.append(int(found[outputs.index("durations")].sum()))
        return found


@pytest.mark.parametrize(("options", "extra"), [({}, []), ({"speed": 1.3}, [1]), ({"speed": 0.7}, [1])])
def test_a_sentence_is_computed_once_and_its_durations_alone_at_another_pace(voice, monkeypatch, options, extra):
    counted = Counted(voice.graph)
    monkeypatch.setattr(voice, "graph", counted)
    audio = voice.speak("abc def ghi jkl", seed=3, **options)
    assert counted.frames == [*extra, int(audio.durations.sum()) // 64]


@pytest.mark.parametrize("frames_a_token", [0, 1, 50])
def test_how_much_noise_was_drawn_at_first_is_not_heard(voice, monkeypatch, frames_a_token):
    expected = voice.speak(LONG, seed=2)
    monkeypatch.setattr(onnx_module, "FRAMES_A_TOKEN", frames_a_token)
    audio = voice.speak(LONG, seed=2)
    assert np.array_equal(audio.samples, expected.samples) and np.array_equal(audio.durations, expected.durations)


@pytest.mark.parametrize("form", ["whole", "split"])
def test_a_graph_of_an_earlier_version_speaks_at_every_pace(solo, tmp_path, form):
    shutil.copytree(solo / form, tmp_path / form)
    file = tmp_path / form / ("voice.onnx" if form == "whole" else "encoder.onnx")
    model = onnx.load(file)
    [newer] = [each for each in model.graph.output if each.name == "predicted_durations"]
    model.graph.output.remove(newer)
    onnx.save(model, file)
    for speed in (1.0, 1.4):
        assert_same(OnnxVoice.load(tmp_path / form).speak(LONG, seed=4, speed=speed),
                    OnnxVoice.load(solo / form).speak(LONG, seed=4, speed=speed))


@pytest.mark.parametrize("durations, message", [
    (lambda said: said * 0 + 10**9, "gives a token from 1e.09 to 1e.09 frames; expected 0 to 1001"),
    (lambda said: said * 0 - 1, "from -1 to -1 frames"),
    (lambda said: said * 0, "gives 7 tokens 0 frames each on average; expected 0.001 to 200: its weights are damaged"),
    (lambda said: said * 0 + 900, "gives 7 tokens 900 frames each on average"),
    (lambda said: said * math.nan, "durations are not finite"),
    (lambda said: said[:, :2], "durations of shape .2. and kind float32 for 7 tokens"),
    (lambda said: np.full(said.shape, "x"), "durations of shape .7. and kind <U1 for 7 tokens")])
def test_durations_that_no_voice_gives_are_refused(voice, monkeypatch, durations, message):
    run = voice._run

    def changed(inputs):
        said = run(inputs)
        return {**said, "durations": durations(said["durations"].astype(np.float32))}

    monkeypatch.setattr(voice, "_run", changed)
    with pytest.raises(ValueError, match=message):
        voice.speak("abc", seed=1)


class Answering:
    """A session whose named outputs are changed."""

    def __init__(self, session, change):
        self.session, self.change = session, change

    def __getattr__(self, name):
        return getattr(self.session, name)

    def run(self, names, inputs, options=None):
        said = self.session.run(names, inputs, options)
        return [self.change(each) if name in ("wav", "z") else each for name, each in zip(names, said)]


@pytest.mark.parametrize("change, message", [
    (lambda each: each[..., :-1], "expected .1, (1|C), "), (lambda each: each[0, 0], "expected .1, (1|C), "),
    (lambda each: each * math.nan, "sound is not finite")])
def test_a_sound_that_no_voice_gives_is_refused(solo, change, message):
    for form in ("whole", "split"):
        voice = OnnxVoice.load(solo / form)
        voice.graph = Answering(voice.graph, change)
        with pytest.raises(ValueError, match=message):
            voice.speak("abc", seed=1)


def test_an_onnx_voice_reads_no_other_file(solo, tmp_path):
    shutil.copytree(solo / "whole", tmp_path / "voice")
    tree = json.loads((tmp_path / "voice" / "voice.json").read_text())
    changed = {**tree, "data": {**tree["data"], "symbols": "../x.txt"}}
    (tmp_path / "voice" / "voice.json").write_text(json.dumps(changed))
    with pytest.raises(ValueError, match=r"voice\.json: data\.symbols is '\.\./x\.txt'.*No file is read"):
        OnnxVoice.load(tmp_path / "voice")
    (tmp_path / "voice" / "voice.json").write_text(json.dumps(tree))
    graph = onnx.load(tmp_path / "voice" / "voice.onnx")
    for place in ("elsewhere.bin", "../elsewhere.bin", "/etc/passwd", "model.safetensors.bin", "x/model.safetensors",
                  "../model.safetensors"):
        onnx.external_data_helper.set_external_data(graph.graph.initializer[0], place)
        (tmp_path / "voice" / "voice.onnx").write_bytes(graph.SerializeToString())
        with pytest.raises(FormatError, match=r"voice\.onnx takes weights from other files, which are not read"):
            OnnxVoice.load(tmp_path / "voice")
    (tmp_path / "voice" / "voice.onnx").write_bytes(b"")
    with pytest.raises(FormatError, match=r"voice\.onnx "):
        OnnxVoice.load(tmp_path / "voice")


def test_weights_that_a_graph_shares_with_its_release_are_no_link_to_elsewhere(solo, tmp_path):
    shutil.copytree(solo / "whole", tmp_path / "voice")
    graph = onnx.load(tmp_path / "voice" / "voice.onnx")
    onnx.external_data_helper.set_external_data(graph.graph.initializer[0], "model.safetensors")
    (tmp_path / "voice" / "voice.onnx").write_bytes(graph.SerializeToString())
    (tmp_path / "secret").write_bytes(bytes(10**6))
    (tmp_path / "voice" / "model.safetensors").symlink_to(tmp_path / "secret")
    with pytest.raises(FormatError, match=r"voice\.onnx takes weights from other files, which are not read"):
        OnnxVoice.load(tmp_path / "voice")
