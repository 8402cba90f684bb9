"""evaluate.py as a user meets it: one table, one folder, and clear words for what does not go together."""

import runpy
import sys

import numpy as np
import pytest
import torch

import checkpoint
from evaluation import conditions, evaluator
from evaluation.scorecard import COPY, FILE, GRIFFIN_LIM, RECORDING, VOICE, Scorecard
from synthesis import base
from tests.conftest import ROOT, with_corpus, write_corpus
from training import trainer

CPU = torch.device("cpu")
DEMO = ROOT / "runs" / "demo"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with checkpoints of steps 2 and 4."""
    folder = tmp_path_factory.mktemp("evaluate")
    trainer.fit(with_corpus(write_corpus(folder, None), ("train.evaluate_every=0",)), folder / "run", CPU)
    (folder / "sentences.txt").write_text("word|Abc.\nquestion|Def ghi?\n")
    return folder / "run"


@pytest.fixture
def quick_floor(monkeypatch):
    """Griffin-Lim is measured elsewhere, and takes most of the time here."""
    monkeypatch.setattr(conditions, "griffin_lim", lambda wav, data: 0.5 * wav)


@pytest.fixture
def evaluate(monkeypatch, capsys):
    """Runs the command in this process; gives its standard output, and keeps its other one as `.progress`."""
    def run_it(*arguments):
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, arguments)])
        runpy.run_path(str(ROOT / "evaluate.py"), run_name="__main__")
        said, run_it.progress = capsys.readouterr()
        return said
    return run_it


@pytest.fixture
def refused(evaluate, capsys):
    """Runs the command, which must exit with 2; gives its message."""
    def run_it(*arguments):
        with pytest.raises(SystemExit) as caught:
            evaluate(*arguments)
        assert caught.value.code == 2
        return capsys.readouterr().err
    return run_it


def quickly(run, *more):
    return ("--measures", "sanity", "--device", "cpu", "--sentences", run.parent / "sentences.txt", *more)


def test_a_run_is_evaluated_beside_itself_with_a_table_and_a_page(run, evaluate):
    said = evaluate("-m", run, *quickly(run))
    folder = run / "evaluation" / "step_00000004"
    card = Scorecard.load(folder)
    assert card.run == "run" and card.step == 4 and len(card.items) == 4
    assert "valid/mel" in card.facts["Validation"] and "rank 1" in card.facts["Validation"]
    assert "Sane sounds, %" in said and "griffin-lim" in said and "alignment: " in said
    assert (folder / "report.html").is_file() and str(folder / "report.html") in said
    assert (folder / "report.html").read_text(encoding="utf-8").count("<summary>Alignment</summary>") == 2 + 4
    for doing in ("loading", "voice: speaking 4 texts: 100%", "copy, griffin-lim: of 2 recordings: 100%",
                  "measuring sanity", "measuring 10 sounds: 100%"):
        assert doing in evaluate.progress


def test_a_voice_that_comes_with_the_project_is_known_by_its_name(run, evaluate, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "VOICES", run.parent)
    monkeypatch.chdir(tmp_path)
    evaluate("-m", "run", *quickly(run, "--count", 0, "-o", tmp_path / "out"))
    assert Scorecard.load(tmp_path / "out").run == "run"
    monkeypatch.setattr(base, "VOICES", tmp_path)
    with pytest.raises(ValueError, match=f"{base.DEFAULT_VOICE} is missing; name a voice by -m"):
        base.find_voice(None)


def test_an_onnx_voice_is_evaluated_without_copies_and_says_why(run, evaluate, tmp_path, quick_floor):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from formats import onnx_voice

    onnx_voice.write(checkpoint.read_weights(checkpoint.path_of(run, 4)), tmp_path / "voice")
    evaluate("-m", tmp_path / "voice", *quickly(run, "--count", 1, "--filelist", run.parent / "valid.txt"))
    folder = tmp_path / "voice" / "evaluation" / "voice"
    card = Scorecard.load(folder)
    assert set(card.items[0].audio) == {RECORDING, GRIFFIN_LIM, VOICE} and set(card.items[1].audio) == {VOICE}
    assert "no posterior encoder" in card.absent[COPY] and card.step is None and not card.health
    assert len(list((folder / "audio").glob("*_voice.png"))) == 3
    evaluate("-m", tmp_path / "voice" / "voice.onnx", *quickly(run, "--count", 0, "-o", tmp_path / "again"))
    assert [item.values[VOICE]["sane"] for item in Scorecard.load(tmp_path / "again").items] == [
        item.values[VOICE]["sane"] for item in card.items[1:]]


def test_one_checkpoint_without_held_out_utterances_goes_where_it_is_told(run, evaluate, tmp_path):
    evaluate("-m", checkpoint.path_of(run, 2), *quickly(run, "--count", 0, "-o", tmp_path / "out"))
    card = Scorecard.load(tmp_path / "out")
    assert card.step == 2 and [item.kind for item in card.items] == ["word", "question"]


def test_what_is_evaluated_already_is_not_evaluated_again_for_a_comparison(run, evaluate, quick_floor):
    two = [checkpoint.path_of(run, step) for step in (2, 4)]
    evaluate("--compare", *two, *quickly(run))
    files = [run / "evaluation" / f"step_{step:08d}" / FILE for step in (2, 4)]
    before = [file.read_bytes() for file in files]  # with the date of the evaluation, and what speaking took
    said = evaluate("--compare", *two, *quickly(run))
    assert [file.read_bytes() for file in files] == before and "comparison.html" in said
    table = {line[:13]: line for line in said.splitlines()}
    assert "A is run at step 2, B is run at step 4" in said and "p after Holm" in said
    assert table["Sane sounds, "].endswith("no difference shown") and table["Seconds to ma"].endswith("not tested")
    evaluate("--compare", *two, *quickly(run, "--seed", 2))
    assert [file.read_bytes() for file in files] != before


def test_an_evaluation_of_other_texts_or_settings_is_not_taken_for_this_one(run, evaluate, quick_floor, monkeypatch):
    again, really = [], evaluator.evaluate
    monkeypatch.setattr(evaluator, "evaluate", lambda voice, source, *more: (
        again.append(source.facts), really(voice, source, *more))[1])
    path, sentences = checkpoint.path_of(run, 2), run.parent / "other.txt"
    sentences.write_text("word|Abc.\n")
    plainly = ("--compare", path, path, *quickly(run, "--count", 0, "--sentences", sentences))
    evaluate(*plainly)
    assert len(again) == 1, "the second voice is the first one"
    sentences.write_text("word|Def.\n")
    evaluate(*plainly)
    assert len(again) == 2
    evaluate(*plainly, "--set", "data.language=en-gb")
    assert len(again) == 3 and again[2]["Settings changed"] == "data.language=en-gb"
    evaluate(*plainly, "--set", "data.language=en-gb")
    assert len(again) == 3
    evaluate(*plainly)
    assert len(again) == 4


def test_progress_says_one_sentence_from_every_checkpoint(run, evaluate, quick_floor):
    said = evaluate("--progress", run, *quickly(run, "--text", "Abc def."))
    assert "step 2: Abc def." in said and "step 4: Abc def." in said
    page = (run / "evaluation" / "progress" / "progress.html").read_text(encoding="utf-8")
    assert page.count("<audio") == page.count("<summary>Alignment</summary>") == 2


def test_a_listening_test_is_a_page_with_a_key(run, evaluate, refused, quick_floor):
    two = [checkpoint.path_of(run, step) for step in (2, 4)]
    said = evaluate("--listening-test", "abx", *two, *quickly(run, "-o", run / "test"))
    assert (run / "test" / "listening_abx.html").is_file() and "listening_abx.key.json" in said
    assert "names the same voice twice" in refused("--listening-test", "mos", two[0], two[0], *quickly(run))


@pytest.mark.parametrize(("arguments", "message"), [
    (("-m", "nowhere"), "no run or checkpoint nowhere"),
    (("-m", "RUN", "--measures", "mdc"), "no meter or measure is called 'mdc'"),
    (("-m", "RUN", "--count", "-1"), "--count is -1 and --jobs 1; expected 0 or more"),
    (("-m", "RUN", "--text", "Abc."), "--text is the sentence of --progress"),
    (("-m", "RUN", "--filelist", "none.txt"), "no filelist none.txt"),
    (("--progress", "nowhere"), "nowhere is no run with checkpoints"),
    (("--listening-test", "abc", "RUN"), "--listening-test takes one of abx, mos, mushra"),
    (("--score", "a.json"), "--score takes the listeners' answers and --key"),
    (("-m", "RUN", "--count", "0", "--set", "data.language=tlh"), "there are no texts; this project has none for tlh")])
def test_what_cannot_be_is_refused_in_words(run, refused, arguments, message):
    assert message in refused(*(str(run) if each == "RUN" else each for each in arguments))


@pytest.mark.slow
@pytest.mark.skipif(not checkpoint.list_steps(DEMO), reason="no demo voice in runs/demo; `make demo` trains it")
def test_the_demo_voice_is_evaluated_and_its_alignment_is_learned(evaluate, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    evaluate("-m", DEMO, "--cheap", "--count", 4, "-o", tmp_path)
    card = Scorecard.load(tmp_path)
    assert card.health["state"] == "learned"
    # Of all 44 sounds: 700 steps leave a voice that now and then reaches full scale, which counts as no sane sound.
    sane = [item.values["voice"]["sane"] for item in card.items]
    assert len(sane) == 44 and np.mean(sane) > 90
    if "mcd" not in card.absent:
        assert card.interval("copy", "mcd").value < card.interval("griffin-lim", "mcd").value
        assert card.interval("voice", "mcd").value < 7
