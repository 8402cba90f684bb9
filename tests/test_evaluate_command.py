"""evaluate.py as a user meets it: one table, one folder, and clear words for what does not go together."""

import runpy
import sys

import pytest
import torch

import checkpoint
import trainer
from scorecard import FILE, Scorecard
from tests.conftest import ROOT, with_corpus, write_corpus

CPU = torch.device("cpu")
DEMO = ROOT / "runs" / "demo"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with checkpoints of steps 2 and 4."""
    folder = tmp_path_factory.mktemp("evaluate")
    trainer.fit(with_corpus(write_corpus(folder, None)), folder / "run", CPU)
    (folder / "sentences.txt").write_text("word|Abc.\nquestion|Def ghi?\n")
    return folder / "run"


@pytest.fixture
def evaluate(monkeypatch, capsys):
    """Runs the command in this process; gives its standard output."""
    def run_it(*arguments):
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, arguments)])
        runpy.run_path(str(ROOT / "evaluate.py"), run_name="__main__")
        return capsys.readouterr().out
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


def test_one_checkpoint_without_held_out_utterances_goes_where_it_is_told(run, evaluate, tmp_path):
    evaluate("-m", checkpoint.path_of(run, 2), *quickly(run, "--count", 0, "-o", tmp_path / "out"))
    card = Scorecard.load(tmp_path / "out")
    assert card.step == 2 and [item.kind for item in card.items] == ["word", "question"]


def test_what_is_evaluated_already_is_not_evaluated_again_for_a_comparison(run, evaluate):
    two = [checkpoint.path_of(run, step) for step in (2, 4)]
    evaluate("--compare", *two, *quickly(run))
    files = [run / "evaluation" / f"step_{step:08d}" / FILE for step in (2, 4)]
    before = [file.read_bytes() for file in files]  # with the date of the evaluation, and what speaking took
    said = evaluate("--compare", *two, *quickly(run))
    assert [file.read_bytes() for file in files] == before and "comparison.html" in said
    evaluate("--compare", *two, *quickly(run, "--seed", 2))
    assert [file.read_bytes() for file in files] != before


def test_progress_says_one_sentence_from_every_checkpoint(run, evaluate):
    said = evaluate("--progress", run, *quickly(run, "--text", "Abc def."))
    assert "step 2: Abc def." in said and "step 4: Abc def." in said
    assert (run / "evaluation" / "progress" / "progress.html").is_file()


def test_a_listening_test_is_a_page_with_a_key(run, evaluate, refused):
    two = [checkpoint.path_of(run, step) for step in (2, 4)]
    said = evaluate("--listening-test", "abx", *two, *quickly(run, "-o", run / "test"))
    assert (run / "test" / "listening_abx.html").is_file() and "listening_abx.key.json" in said
    assert "names the same voice twice" in refused("--listening-test", "mos", two[0], two[0], *quickly(run))


@pytest.mark.parametrize(("arguments", "message"), [
    (("-m", "nowhere"), "no run or checkpoint nowhere"),
    (("-m", "RUN", "--measures", "mdc"), "nothing measures 'mdc'"),
    (("-m", "RUN", "--count", "-1"), "--count is -1 and --jobs 1; expected 0 or more"),
    (("-m", "RUN", "--text", "Abc."), "--text is the sentence of --progress"),
    (("-m", "RUN", "--filelist", "none.txt"), "no filelist none.txt"),
    (("--progress", "nowhere"), "nowhere is no run with checkpoints"),
    (("--listening-test", "abc", "RUN"), "--listening-test takes one of abx, mos, mushra"),
    (("--score", "a.json"), "--score takes the listeners' answers and --key"),
    (("-m", "RUN", "--count", "0", "--set", "data.language=tlh"), "there is nothing to say; there are none for tlh")])
def test_what_cannot_be_is_refused_in_words(run, refused, arguments, message):
    assert message in refused(*(str(run) if each == "RUN" else each for each in arguments))


@pytest.mark.slow
@pytest.mark.skipif(not checkpoint.list_steps(DEMO), reason="no demo voice in runs/demo; `make demo` trains it")
def test_the_demo_voice_is_evaluated_and_its_alignment_is_learned(evaluate, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    evaluate("-m", DEMO, "--cheap", "--count", 4, "-o", tmp_path)
    card = Scorecard.load(tmp_path)
    assert card.health["state"] == "learned" and card.interval("voice", "sane").value == 100
    if "mcd" not in card.absent:
        assert card.interval("copy", "mcd").value < card.interval("griffin-lim", "mcd").value
        assert card.interval("voice", "mcd").value < 7
