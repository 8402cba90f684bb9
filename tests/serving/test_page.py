"""The page in a real browser: it plays while it is made, marks words in order, stops, links, and shows errors."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("selenium.webdriver", reason="needs selenium")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

from serving.engine import Limits  # noqa: E402
from tests.serving.conftest import RunningServer, ToneVoice, tone_voices  # noqa: E402

PATIENCE = 30  # seconds until a page that does nothing counts as broken
# Records the words in the order in which they are lit.
WATCH = """window.lit = [];
new MutationObserver(changes => { for (const {target} of changes)
  if (target.className === "lit") lit.push(target.textContent); }
).observe(document.getElementById("words"), {subtree: true, attributes: true, attributeFilter: ["class"]});"""


@pytest.fixture(scope="module")
def tones():
    return ToneVoice()


@pytest.fixture(scope="module")
def server(tones):
    running = RunningServer(tone_voices(tones), limits=Limits(characters=500))
    yield running
    running.close()


@pytest.fixture
def page(browser, server):
    """The page with its voices, watched."""
    show(browser, server.url)
    return browser


def show(browser, url):
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(url)
    until(browser, lambda _: browser.find_elements(By.CSS_SELECTOR, "#voice option"))
    browser.execute_script(WATCH)


def until(browser, condition):
    return WebDriverWait(browser, PATIENCE, poll_frequency=0.02).until(condition)


def fill(browser, name, value):
    browser.execute_script("arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))",
                           browser.find_element(By.ID, name), value)


def text_of(browser, name):
    return browser.find_element(By.ID, name).text


def spoken(browser):
    until(browser, lambda _: text_of(browser, "status") == "Spoken." or text_of(browser, "error"))
    assert not text_of(browser, "error")


def asked(browser):
    """Bodies of the requests for speech."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"]["request"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert not [each["url"] for each in sent if not each["url"].startswith(("http://127.0.0.1", "data:", "about:"))]
    return [json.loads(each["postData"]) for each in sent if each["url"].endswith("/v1/audio/speech")]


def test_it_plays_and_words_light_up_in_order(page):
    fill(page, "text", "Abc def ghi. Jkl mno <img src=x onerror=alert(1)>.")
    page.find_element(By.ID, "speak").click()
    spoken(page)
    assert page.execute_script("return lit")[:5] == ["Abc", "def", "ghi", "Jkl", "mno"]
    assert text_of(page, "words").startswith("Abc def ghi. Jkl mno <img src=x onerror=alert(1)>")
    assert not page.find_elements(By.CSS_SELECTOR, "#words img, .lit")
    drawn = "return new Set(wave.getContext('2d').getImageData(0, 50, 1200, 1).data).size"
    assert page.execute_script(f"const wave = document.getElementById('wave'); {drawn}") > 1
    wav = page.find_element(By.ID, "download")
    assert wav.is_displayed() and wav.get_attribute("href").startswith("blob:")
    assert not [entry for entry in page.get_log("browser") if "favicon" not in entry["message"]]


def test_the_link_asks_for_the_same_again(page, server):
    for name, value in {"text": "Abc & déf #1.", "voice": "two", "speaker": "ann:0.7+bob:0.3", "speed": "1.5"}.items():
        fill(page, name, value)
    page.find_element(By.ID, "text").send_keys(Keys.CONTROL, Keys.ENTER)
    spoken(page)
    [first] = asked(page)
    assert first | {"voice": "two", "speaker": "ann:0.7+bob:0.3", "speed": 1.5, "stream_format": "sse"} == first
    link = page.find_element(By.ID, "link").get_attribute("href")
    assert parse_qs(urlsplit(link).fragment)["seed"] == [str(first["seed"])]
    show(page, link)
    page.find_element(By.ID, "speak").click()
    spoken(page)
    assert asked(page) == [first]
    command = page.execute_script("return document.getElementById('curl').textContent")
    body = json.loads(command.partition(" -d '")[2].rpartition("' > ")[0])
    assert server.speak(**body)[0] == 200 and body["seed"] == first["seed"]
    python = page.execute_script("return document.getElementById('python').textContent")
    compile(python, "page", "exec")
    assert 'voice="two"' in python and str(first["seed"]) in python


def test_stop_ends_the_request_at_the_server(page, server, tones):
    tones.gate.clear()
    try:
        fill(page, "text", "Abc def ghi. " * 20)
        page.find_element(By.ID, "speak").click()
        server.until(lambda: server.engine.open_requests == 1)
        page.find_element(By.TAG_NAME, "body").send_keys(Keys.ESCAPE)
        until(page, lambda _: text_of(page, "status") == "Stopped.")
    finally:
        tones.gate.set()
    server.until(lambda: server.engine.open_requests == 0)
    assert not page.find_element(By.ID, "stop").is_enabled() and not text_of(page, "error")


@pytest.mark.parametrize(("text", "message"), [
    ("Abc. " * 200, "500"), ("<speak>Abc <broken></speak>", "column"), ("   ", "")])
def test_what_the_server_refuses_is_shown(page, text, message):
    fill(page, "text", text)
    page.find_element(By.ID, "speak").click()
    until(page, lambda _: text_of(page, "error") or "nothing to speak" in text_of(page, "status"))
    assert message in text_of(page, "error") and text_of(page, "error") + text_of(page, "status")


def test_every_control_has_a_label_and_fits_a_phone(page):
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                         {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": True})
    assert page.execute_script("return document.documentElement.scrollWidth") <= 360
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert page.execute_script("return [...document.querySelectorAll('select, input, textarea')]"
                               ".filter(each => !each.labels.length).map(each => each.id)") == []


def test_its_files_come_with_a_strict_policy_and_nothing_else_comes(server):
    for path in ("/", "/page/script.js", "/page/style.css"):
        status, headers, _ = server.ask("GET", path)
        assert status == 200 and headers["Content-Security-Policy"].startswith("default-src 'self';")
    for path in ("/page/__init__.py", "/page/../app.py", "/page/%2e%2e/app.py", "/page/"):
        assert server.ask("GET", path)[0] == 404
