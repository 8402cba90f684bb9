"""The pages in a real browser: nothing fails, nothing is fetched, sounds load, and a listening test can be done."""

import json

import pytest

from audio.io import write_wav
from evaluation.plots import alignment_png
from evaluation.report import listening_scores, listening_test, report
from synthesis.timings import TimedLabel
from tests.evaluation.report.test_report import RATE, make_card, tone, write_metrics

pytest.importorskip("selenium.webdriver", reason="needs selenium")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

PATIENCE = 30  # seconds until a page that does nothing counts as broken
LOADED = """return [...document.querySelectorAll("audio")].map(sound => sound.duration > 0 && sound.readyState > 0
                                                               && !sound.error)"""


def show(browser, page, width=1280, fragment=""):
    """Open a page of our own in a window of that width, with nothing left of the one before."""
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500})
    browser.get(f"{page.as_uri()}{fragment}")


def fetched(browser):
    """What the page asked for, except itself and what it holds."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith(("data:", "blob:", "file:", "about:"))]


def wait(browser, condition):
    return WebDriverWait(browser, PATIENCE, poll_frequency=0.05).until(condition)


def assert_sound(browser):
    """No complaint, no request, no page wider than its window."""
    assert browser.get_log("browser") == [] and fetched(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """Two evaluations of one run, of three sentences each, one of which has a picture of its alignment."""
    run = tmp_path_factory.mktemp("run")
    write_metrics(run / "metrics.jsonl")
    picture = alignment_png([TimedLabel(each, i * RATE, (i + 1) * RATE) for i, each in enumerate("abcdefgh")], RATE)
    (run / "a" / "audio").mkdir(parents=True)
    (run / "a" / "audio" / "0_voice.png").write_bytes(picture)
    return [make_card(run / "a", count=3), make_card(run / "b", step=900, count=3, better_by=0.3)]


@pytest.mark.parametrize("width", [390, 1280])
def test_a_report_opens_and_all_its_sounds_load(width, browser, evaluated, tmp_path):
    show(browser, report.write_report(evaluated, tmp_path / "report.html"), width)
    loaded = wait(browser, lambda browser: all(browser.execute_script(LOADED)) and browser.execute_script(LOADED))
    assert len(loaded) == 3 * 6
    assert all(browser.execute_script("return [...document.images].map(image => image.naturalWidth > 0)"))
    assert_sound(browser)
    [summary] = browser.find_elements(By.XPATH, "//summary[text()='Alignment']")
    summary.send_keys(Keys.ENTER)
    room = browser.find_element(By.CLASS_NAME, "alignment")
    assert room.is_displayed() and browser.execute_script("return arguments[0].scrollWidth", room) == 1200
    assert_sound(browser)


def test_a_comparison_and_a_progress_page_open(browser, evaluated, tmp_path):
    show(browser, report.write_comparison(*evaluated, tmp_path / "comparison.html"), 390)
    assert_sound(browser)
    write_wav(tmp_path / "a.wav", tone(200), RATE)
    samples = [report.CheckpointSample(step, tmp_path / "a.wav", {}) for step in (1, 2)]
    show(browser, report.write_progress("demo", "Good morning.", samples, [], tmp_path / "progress.html"), 390)
    assert_sound(browser)


def test_a_chart_tells_its_values_by_arrow_keys(browser, evaluated, tmp_path):
    show(browser, report.write_report(evaluated, tmp_path / "report.html"))
    chart = browser.find_element(By.CSS_SELECTOR, "svg[data-traces]")
    chart.send_keys(Keys.HOME, Keys.ARROW_RIGHT)
    told = chart.find_element(By.XPATH, "../output").text
    assert told == "step 10: training 0.5, held-out 0.55"


def test_a_player_that_starts_stops_the_other(browser, tmp_path):
    write_wav(tmp_path / "a.wav", tone(200, 20), RATE)
    samples = [report.CheckpointSample(step, tmp_path / "a.wav", {}) for step in (1, 2)]
    show(browser, report.write_progress("demo", "Good morning.", samples, [], tmp_path / "progress.html"))
    browser.find_element(By.TAG_NAME, "h1").click()  # a page that nobody touched may not play
    states = "return [...document.querySelectorAll('audio')].map(sound => sound.paused)"
    for i, expected in enumerate(([False, True], [True, False])):
        browser.execute_script(f"document.querySelectorAll('audio')[{i}].play()")
        wait(browser, lambda browser, expected=expected: browser.execute_script(states) == expected)


@pytest.fixture
def conditions(tmp_path):
    """Three conditions of two very short items."""
    found = {name: {f"item{i}": tmp_path / f"{name}{i}.wav" for i in range(2)} for name in ("real", "good", "bad")}
    for i, path in enumerate(path for paths in found.values() for path in paths.values()):
        write_wav(path, tone(150 + 50 * i, 0.05), RATE)
    return found


def listen(browser):
    """Hear every sound of the screen to its end; nothing may be answered before."""
    assert not browser.find_element(By.ID, "next").is_enabled()
    for button in browser.find_elements(By.CSS_SELECTOR, ".sound button"):
        assert not browser.find_element(By.ID, "next").is_enabled()
        assert browser.find_element(By.ID, "answer").get_property("disabled")
        button.send_keys(Keys.ENTER)
        wait(browser, lambda browser, button=button: button.find_element(By.XPATH, "../span").text == "heard")


def finish(browser, folder):
    """Save the answers as a listener would; returns the file."""
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    browser.find_element(By.ID, "save").click()
    return wait(browser, lambda browser: next(iter(folder.glob("answers_*.json")), None))


def begin(browser, page, seed=5):
    show(browser, page, 390, f"#seed={seed}")
    browser.find_element(By.ID, "listener").send_keys("Anna")
    browser.find_element(By.ID, "start").click()


def test_opinions_are_given_by_keyboard_and_score(browser, conditions, tmp_path):
    page = listening_test.write_test("mos", {name: conditions[name] for name in ("real", "bad")},
                                     tmp_path / "test.html", texts={"item0": "Some words."})
    begin(browser, page)
    key = json.loads(listening_test.key_path(page).read_text(encoding="utf-8"))["sounds"]
    plan = browser.execute_script("return trials.map(trial => trial.sounds[0])")
    for sound in plan:
        browser.find_element(By.TAG_NAME, "body").send_keys("4")  # too early
        listen(browser)
        browser.find_element(By.TAG_NAME, "body").send_keys("5" if key[sound][0] == "real" else "2", Keys.ENTER)
    answers = finish(browser, tmp_path)
    assert_sound(browser)
    result = listening_scores.score_answers([answers], listening_test.key_path(page))
    assert {score.condition: score.mean for score in result.scores} == {"real": 5, "bad": 2}
    assert json.loads(answers.read_text(encoding="utf-8"))["listener"] == "Anna"


def test_pairs_are_told_apart_and_score(browser, conditions, tmp_path):
    page = listening_test.write_test("abx", {name: conditions[name] for name in ("real", "bad")},
                                     tmp_path / "test.html")
    begin(browser, page)
    for _ in range(4):  # two items, X once the one and once the other
        listen(browser)
        right = browser.execute_script("return trials[place].sounds.indexOf(trials[place].x)")
        browser.find_elements(By.CSS_SELECTOR, "#answer input")[right].click()
        browser.find_element(By.ID, "next").click()
    result = listening_scores.score_answers([finish(browser, tmp_path)], listening_test.key_path(page))
    assert_sound(browser)
    assert (result.correct, result.trials) == (4, 4)


def test_sounds_are_rated_beside_a_reference_and_score(browser, conditions, tmp_path):
    page = listening_test.write_test("mushra", conditions,
                                     tmp_path / "test.html", reference="real")
    begin(browser, page)
    key = json.loads(listening_test.key_path(page).read_text(encoding="utf-8"))["sounds"]
    wanted = {"real": 100, "good": 70, "bad": 30, "anchor": 20}
    for _ in range(2):
        sounds = browser.execute_script("return trials[place].sounds")
        listen(browser)
        for sound, slider in zip(sounds, browser.find_elements(By.CSS_SELECTOR, "input[type=range]")):
            assert not browser.find_element(By.ID, "next").is_enabled()
            wish = wanted[key[sound][0]]
            slider.send_keys(Keys.END, *[Keys.ARROW_LEFT] * (100 - wish))
        browser.find_element(By.ID, "next").click()
    result = listening_scores.score_answers([finish(browser, tmp_path)], listening_test.key_path(page))
    assert_sound(browser)
    assert {score.condition: score.mean for score in result.scores} == wanted and not result.excluded


def test_two_listeners_hear_other_orders_and_one_seed_gives_one_order(browser, conditions, tmp_path):
    page = listening_test.write_test("mushra", conditions,
                                     tmp_path / "test.html", reference="real")
    orders = []
    for seed in (5, 5, 6, 7):
        begin(browser, page, seed)
        orders.append(browser.execute_script("return JSON.stringify(trials.map(trial => trial.sounds))"))
        browser.execute_script("removeEventListener('beforeunload', warn)")
    assert orders[0] == orders[1] and len(set(orders)) > 1
