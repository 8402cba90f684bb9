"""A listening test is blind, and its answers are scored by its key."""

import json
import math

import numpy as np
import pytest

from audio.io import write_wav
from evaluation.report import listening_scores, listening_test
from evaluation.report.media import Clip
from tests.evaluation.report.test_report import RATE, tone


@pytest.fixture
def conditions(tmp_path):
    """Three conditions of four items, as files of tones."""
    found = {}
    for i, name in enumerate(("recording", "blurred-voice", "sharp-voice"), start=1):
        found[name] = {f"item{j}": tmp_path / f"{name}_{j}.wav" for j in range(4)}
        for j, path in enumerate(found[name].values(), start=1):
            write_wav(path, tone(100 * i + 10 * j, 0.1), RATE)
    return found


def plan_of(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(text.partition('id="data">')[2].partition("</script>")[0])


def key_of(page):
    return json.loads(listening_test.key_path(page).read_text(encoding="utf-8"))


def answer(page, path, rate, listener="1"):
    """Write the file of a listener who gives each sound rate(condition, item)."""
    plan, key = plan_of(page), key_of(page)
    rows = [{"ratings": {sound: rate(*key["sounds"][sound]) for sound in trial["sounds"]}} for trial in plan["trials"]]
    path.write_text(json.dumps({"test": plan["test"], "listener_id": listener, "answers": rows}), encoding="utf-8")
    return path


def answer_abx(page, path, correct, trials, listener="1"):
    first, second = plan_of(page)["trials"][0]["sounds"]
    rows = [{"sounds": [first, second], "x": first, "choice": first if i < correct else second} for i in range(trials)]
    content = {"test": plan_of(page)["test"], "listener_id": listener, "answers": rows}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["mos", "mushra"])
def test_the_page_does_not_say_which_sound_is_which(kind, conditions, tmp_path):
    page = listening_test.write_test(kind, conditions, tmp_path / "test.html", reference="recording")
    text = page.read_text(encoding="utf-8")
    for name in ("blurred", "sharp", "anchor", "item0", ".wav"):
        assert name not in text, name
    plan = plan_of(page)
    assert list(plan["sounds"]) == sorted(plan["sounds"]) and set(plan["sounds"]) == set(key_of(page)["sounds"])
    first = [key_of(page)["sounds"][trial["sounds"][0]][0] for trial in plan["trials"]]
    assert len(set(first)) > 1, "the order of the numbers gives the conditions away"


def test_mushra_hides_a_reference_and_an_anchor_among_the_sounds(conditions, tmp_path):
    page = listening_test.write_test("mushra", conditions, tmp_path / "test.html", reference="recording")
    sounds = key_of(page)["sounds"]
    for trial in plan_of(page)["trials"]:
        assert sorted(sounds[sound][0] for sound in trial["sounds"]) == \
            ["anchor", "blurred-voice", "recording", "sharp-voice"]
        assert trial["reference"] not in trial["sounds"]
        hidden = next(sound for sound in trial["sounds"] if sounds[sound][0] == "recording")
        assert plan_of(page)["sounds"][hidden] == plan_of(page)["sounds"][trial["reference"]]


def test_an_anchor_has_nothing_above_three_and_a_half_kilohertz():
    clip = Clip(tone(1000, rate=16000) + tone(5000, rate=16000), 16000)
    assert np.allclose(listening_test.anchor_of(clip).samples, tone(1000, rate=16000), atol=1e-3)
    assert np.abs(listening_test.anchor_of(Clip(tone(3000), RATE)).samples).max() < 1e-3, "8 kHz: above 2 kHz"


def test_all_sounds_are_equally_loud_and_none_is_clipped():
    quiet = listening_test.at_level(Clip(tone(200) * 0.01, RATE)).samples
    assert np.sqrt(np.mean(quiet**2)) == pytest.approx(listening_test.LEVEL, rel=1e-3)
    click = np.zeros(RATE, np.float32)
    click[10] = 0.5
    assert np.abs(listening_test.at_level(Clip(click, RATE)).samples).max() == pytest.approx(listening_test.PEAK)
    assert not listening_test.at_level(Clip(np.zeros(9, np.float32), RATE)).samples.any()


@pytest.mark.parametrize(("kind", "names", "reference", "message"), [
    ("moss", ("recording",), None, "expected abx, mos, mushra"),
    ("abx", ("recording",), None, "two conditions, found 1"),
    ("mushra", ("recording", "sharp-voice"), None, "the reference is None"),
    ("mushra", ("recording",), "recording", "and one more"),
    ("mos", (), None, "found none"),
])
def test_a_plan_that_is_no_test_is_refused(kind, names, reference, message, conditions, tmp_path):
    with pytest.raises(ValueError, match=message):
        listening_test.write_test(kind, {name: conditions[name] for name in names}, tmp_path / "test.html", reference)


def test_only_items_that_all_conditions_have_are_asked_about(conditions, tmp_path):
    del conditions["sharp-voice"]["item2"]
    page = listening_test.write_test("mos", conditions, tmp_path / "test.html", texts={"item0": "Said <so>."})
    assert len(plan_of(page)["trials"]) == 3 and plan_of(page)["trials"][0]["text"] == "Said <so>."
    with pytest.raises(ValueError, match="no item in common"):
        listening_test.write_test("mos", conditions | {"other": {}}, tmp_path / "test.html")


def test_mean_opinions_are_ranked_with_intervals(conditions, tmp_path):
    page = listening_test.write_test("mos", conditions, tmp_path / "test.html")
    means = {"recording": 5, "blurred-voice": 2, "sharp-voice": 4}
    files = [answer(page, tmp_path / f"{i}.json", lambda condition, item, i=i: means[condition] - i % 2, str(i))
             for i in range(6)]
    result = listening_scores.score_answers(files, listening_test.key_path(page))
    assert [score.condition for score in result.scores] == ["recording", "sharp-voice", "blurred-voice"]
    best = result.scores[0]
    assert best.mean == best.median == 4.5 and 4 <= best.low < 4.5 < best.high <= 5 and best.ratings == 24
    assert "6 listeners" in result.table() and "blurred-voice" in result.table()


def test_the_interval_of_a_mean_is_as_wide_as_theory_says(conditions, tmp_path):
    page = listening_test.write_test("mos", {"recording": conditions["recording"]}, tmp_path / "test.html")
    random = np.random.default_rng(0)
    files = []
    for i in range(100):  # listeners differ, items do not
        taste = float(random.normal())
        files.append(answer(page, tmp_path / f"{i}.json", lambda condition, item, taste=taste: taste, str(i)))
    score = listening_scores.score_answers(files, listening_test.key_path(page)).scores[0]
    assert score.high - score.low == pytest.approx(2 * 1.96 / math.sqrt(100), rel=0.2)


def test_a_listener_who_does_not_find_the_hidden_reference_is_left_out(conditions, tmp_path):
    page = listening_test.write_test("mushra", conditions, tmp_path / "test.html", reference="recording")
    good = answer(page, tmp_path / "good.json", lambda name, item: 100 if name == "recording" else 50, "good")
    deaf = answer(page, tmp_path / "deaf.json", lambda name, item: 10, "deaf")
    result = listening_scores.score_answers([good, deaf], listening_test.key_path(page))
    assert result.listeners == 1 and result.excluded == (str(deaf),)
    assert result.scores[0][:2] == ("recording", 100) and result.scores[1].median == 50
    assert "left out" in result.table() and "deaf.json" in result.table()


def test_if_nobody_finds_the_hidden_reference_nothing_is_scored(conditions, tmp_path):
    page = listening_test.write_test("mushra", conditions, tmp_path / "test.html", reference="recording")
    deaf = answer(page, tmp_path / "deaf.json", lambda name, item: 10)
    result = listening_scores.score_answers([deaf], listening_test.key_path(page))
    assert result.listeners == 0 and result.scores == () and "left out" in result.table()


@pytest.mark.parametrize(("correct", "trials"), [(16, 20), (10, 20), (0, 8), (8, 8)])
def test_abx_is_a_binomial_test(correct, trials, conditions, tmp_path):
    from scipy.stats import binomtest

    two = {name: conditions[name] for name in ("recording", "sharp-voice")}
    page = listening_test.write_test("abx", two, tmp_path / "test.html")
    file = answer_abx(page, tmp_path / "a.json", correct, trials)
    result = listening_scores.score_answers([file], listening_test.key_path(page))
    reference = binomtest(correct, trials, alternative="greater")
    interval = binomtest(correct, trials).proportion_ci(method="wilson")
    assert result.p_value == pytest.approx(reference.pvalue)
    assert result.share == pytest.approx((interval.low, interval.high), abs=1e-6)
    assert ("the difference is heard" in result.table()) == (reference.pvalue < 0.05)


def test_answers_that_are_not_of_this_test_are_refused(conditions, tmp_path):
    page = listening_test.write_test("mos", conditions, tmp_path / "test.html")
    other = listening_test.write_test("mos", {"recording": conditions["recording"]}, tmp_path / "other.html")
    key = listening_test.key_path(page)
    broken, edited = tmp_path / "broken.json", tmp_path / "edited.json"
    broken.write_text("{", encoding="utf-8")
    content = {"test": key_of(page)["test"], "listener_id": "1", "answers": [{"ratings": {"x": 1}}]}
    edited.write_text(json.dumps(content), encoding="utf-8")
    foreign = answer(other, tmp_path / "foreign.json", lambda condition, item: 3)
    for files, message in (([], "no answers"), ([broken], "cannot be read"), ([tmp_path / "none"], "cannot be read"),
                           ([key], "holds no 'answers'"), ([foreign], "the key is of"), ([edited], "was it edited")):
        with pytest.raises(ValueError, match=message):
            listening_scores.score_answers(files, key)


def test_one_listener_s_file_counts_once(conditions, tmp_path):
    page = listening_test.write_test("mos", conditions, tmp_path / "test.html")
    files = [answer(page, tmp_path / name, lambda condition, item: 3) for name in ("a.json", "copy.json")]
    with pytest.raises(ValueError, match="same listener"):
        listening_scores.score_answers(files, listening_test.key_path(page))
