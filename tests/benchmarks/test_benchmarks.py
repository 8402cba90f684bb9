"""Benchmarks run from end to end in toy sizes; peers are met where they are installed."""

import json

import pytest
import torch

from benchmarks import coqui_step, gpu, published_half, startup, synthesis, voices
from benchmarks.training_step import OurStep, PublishedStep, largest_difference, made_up_batch
from data_utils import Batch
from mel_processing import spectrogram
from training.step import new_networks

pytestmark = pytest.mark.slow  # they train and speak in each of many ways

CPU = torch.device("cpu")
SMALL_DECODER = (*gpu.TINY[:2], *gpu.TINY[7:])  # at the full rate, with the full hop of 256 samples
SMALL = (*(each for each in SMALL_DECODER if "upsample" not in each), "model.upsample_rates=[8,8,4]",
         "model.upsample_kernel_sizes=[16,16,8]", "model.upsample_initial_channel=16")
MEDIUM_SMALL = tuple(each for each in SMALL if "resblock" not in each)  # both tiers can be made of it


def needs(*modules):
    if not voices.is_installed(*modules):
        pytest.skip(f"needs {', '.join(modules)}, peers that are measured against: pip install -e .[bench]")


# Starting up

def test_our_start_is_measured_stage_by_stage(tmp_path, monkeypatch, capsys):
    config = voices.full_config((*SMALL, 'data.text_cleaners=["basic_cleaners"]'))
    folder = voices.write_ours(tmp_path / "voice", config)
    found = startup.start(startup.ours(folder), "Hello.")
    assert found.total > found.imports + found.load + found.speak > 0 and found.said > 0
    monkeypatch.setattr(startup, "start", lambda way, text: found)
    monkeypatch.setattr(startup, "new_ways", lambda *_: {"ours, medium": startup.ours(folder)})
    startup.main(["--repeats", "2"])
    printed = capsys.readouterr().out
    assert "| ours, medium |" in printed and "left out: piper-tts, transformers" in printed


def test_a_start_without_a_sound_says_why(tmp_path):
    with pytest.raises(RuntimeError, match=r"ended with status 1 and without a sound: (.|\n)*nowhere"):
        startup.start(startup.ours(tmp_path / "nowhere"), "Hello.")


# Speaking

def test_the_table_of_synthesis_has_every_way_and_says_who_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(voices, "is_installed", lambda *_: False)
    synthesis.main(["--seconds", "0.5", "--threads", "1", "--repeats", "2"], MEDIUM_SMALL)
    printed = capsys.readouterr().out
    for name in ("ours", "our decoder alone", "ours, medium"):
        assert f"| {name} |" in printed
    assert "left out: transformers, coqui-tts, piper-tts" in printed


def test_ways_that_say_more_or_less_than_the_others_are_not_compared():
    with pytest.raises(ValueError, match="'b' makes 5 samples, expected 6"):
        synthesis.check_lengths({"a": lambda: iter([6]), "b": lambda: iter([2, 3])}, 6)


def test_a_voice_with_set_durations_says_as_many_frames_for_every_token():
    config = voices.full_config(SMALL)
    voice, sentence = synthesis.our_voice(config), synthesis.new_sentence(0.3, config, batch=2)
    lengths = torch.full((2,), sentence.tokens)
    assert voice.model.infer(sentence.ids, lengths).durations.eq(synthesis.FRAMES_PER_TOKEN).all()


def test_operations_of_a_product_are_counted_and_its_rate_is_positive():
    assert synthesis.count_flops(lambda: torch.ones(2, 3) @ torch.ones(3, 5)) == 2 * 2 * 3 * 5
    assert synthesis.matrix_rate(size=16) > 0


def test_peers_in_torch_say_as_much_as_ours():
    needs("transformers", "TTS", "six")
    config = voices.full_config(("model.n_layers=1", "model.posterior_layers=2", "model.upsample_initial_channel=32"))
    sentence = synthesis.new_sentence(0.3, config, batch=2)
    ways = {name: synthesis.peer_in_torch(model, sentence) for name, model in synthesis.torch_peers(config).items()}
    synthesis.check_lengths(ways, sentence.frames * config.data.hop_length)


def test_pipers_graph_says_as_much_as_ours(tmp_path):
    needs("piper", "onnx", "onnxruntime")
    config = voices.full_config()
    sentence = synthesis.new_sentence(0.3, config)
    way = synthesis.piper(voices.write_piper(tmp_path / "medium.onnx"), sentence, threads=1)
    synthesis.check_lengths({"piper": way}, sentence.frames * config.data.hop_length)


# The peer's training step

def test_a_step_of_coqui_moves_its_networks_and_tells_its_losses():
    needs("TTS", "six")
    config = voices.full_config(("model.n_layers=1", "model.posterior_layers=2", "model.upsample_initial_channel=32"))
    step = coqui_step.coqui_step(made_up_batch(config, 1), config)
    before, after = step(), step()
    assert {"loss_mel", "loss_kl", "loss_duration", "loss_disc"} <= set(before)
    assert before["loss_mel"] != after["loss_mel"]


def test_the_step_is_measured_alone_where_coqui_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(voices, "is_installed", lambda *_: False)
    coqui_step.main(["--batch-size", "1", "--repeats", "2", *(part for each in gpu.TINY for part in ("--set", each))])
    printed = capsys.readouterr().out
    assert "| ours |" in printed and "coqui-tts is not installed" in printed


# The GPU's sections, on the CPU

@pytest.fixture
def no_compiler(monkeypatch):
    """Compiling takes a minute; the published search some seconds."""
    for module in (gpu, published_half):
        monkeypatch.setattr(module, "has_published_search", lambda: False)
    monkeypatch.setattr(gpu, "missing_compiler", lambda device: "compiler")


def test_every_section_for_gpus_runs_in_toy_sizes(no_compiler, tmp_path, capsys):
    check_sections(tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's compiler, within torch
def test_every_section_for_gpus_runs_compiled_too(tmp_path, capsys):
    tables = check_sections(tmp_path, capsys)
    assert tables[1]["rows"][-1][0] == gpu.COMPILED and len(tables[-1]["rows"]) >= 4


def check_sections(tmp_path, capsys):
    gpu.main(["--device", "cpu", "--tiny", "--out", str(tmp_path)])
    written = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert [table["title"].split(",")[0] for table in written["tables"]] == [
        "Alignment search", "Training step", "Spectrograms on the device", "Data", "Synthesis"]
    assert all(table["rows"] and table["header"] != ["failed"] for table in written["tables"])
    ways = [row[0] for row in written["tables"][1]["rows"]]
    assert ways[:3] == ["published arrangement, fp16", "ours, fp32", "ours, bf16"]
    assert (tmp_path / "gpu.md").read_text(encoding="utf-8").strip().endswith(capsys.readouterr().out.strip()[-200:])
    return written["tables"]


def test_a_section_that_fails_says_so_and_the_others_go_on(monkeypatch, capsys):
    def broken(bench):
        raise RuntimeError("out of luck")
    monkeypatch.setitem(gpu.SECTIONS, "alignment", broken)
    gpu.main(["--device", "cpu", "--tiny", "--sections", "alignment", "spectrograms"])
    printed = capsys.readouterr()
    assert "RuntimeError: out of luck" in printed.out and "Traceback" in printed.err
    assert "## Spectrograms on the device" in printed.out


def test_a_way_that_fails_is_named_and_the_other_ways_are_measured(monkeypatch):
    real = gpu.build_step

    def build(bench, way, batch):
        if way != "ours, fp32":
            raise torch.OutOfMemoryError("no room")
        return real(bench, way, batch)
    monkeypatch.setattr(gpu, "build_step", build)
    bench = gpu.Bench(CPU, voices.full_config(gpu.TINY), True, 2, [1], float("inf"))
    [table] = gpu.training(bench)
    assert [row[0] for row in table.rows] == ["ours, fp32"]
    assert table.notes[0].startswith("published arrangement, fp16: OutOfMemoryError: no room (test_benchmarks.py:")
    assert bench.step_seconds.keys() == {(1, "ours, fp32")}


def test_without_a_gpu_the_command_says_so_with_status_2(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        gpu.main([])
    assert ended.value.code == 2 and "torch finds no CUDA device here" in capsys.readouterr().err


def test_the_published_step_for_gpus_computes_the_losses_of_the_published_step(no_compiler):
    config = voices.full_config((*gpu.TINY, "train.ema_decay=0"))
    batch = made_up_batch(config, 2)
    spec = spectrogram(batch.wav, config.data, batch.wav_lengths)
    here, there = (kind(new_networks(config, gpu.N_VOCAB, CPU), config)
                   for kind in (published_half.PublishedHalfStep, PublishedStep))
    for _ in range(2):
        assert largest_difference(here(batch, spec), there(batch, spec)) < 1e-4


def test_our_step_for_gpus_is_the_step_of_training():
    config = voices.full_config((*gpu.TINY, "train.ema_decay=0", "train.precision=fp32"))
    batch = made_up_batch(config, 2)
    fast, plain = gpu.OurFastStep(config, batch, CPU), OurStep(new_networks(config, gpu.N_VOCAB, CPU), config)
    fast()
    plain(batch)
    moved = zip(fast.state.generator.parameters(), plain.state.generator.parameters())
    assert all(torch.equal(a, b) for a, b in moved) and fast.state.step == 1


def test_operations_of_a_step_are_counted_for_the_whole_batch():
    bench = gpu.Bench(CPU, voices.full_config(gpu.TINY), True, 2, [2], float("inf"))
    of_two, of_four = (gpu._step_flops(bench, made_up_batch(bench.config, size)) for size in (2, 4))
    assert of_four == 2 * of_two > 0
    assert isinstance(made_up_batch(bench.config, 4), Batch)
