"""The browser example in Chromium: samples equal onnxruntime's, phonemes equal Python's, and it needs no network."""

import functools
import http.server
import json
import shutil
import subprocess
import threading
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "browser"
VOICE = EXAMPLE.parents[1] / "voices" / "en_joe"
TOLERANCE = 1e-3  # of samples of -1 to 1
SENTENCE = "Good morning, my name is Joe."
SPEAK = """const [ids, prior, duration, text, done] = arguments;
(async () => {
  const ort = await import("./ort.wasm.bundle.min.mjs"), { default: espeak } = await import("./espeak-ng.js");
  const voice = await (await import("./speech.js")).Voice.load(ort, espeak, location.href);
  const noise = { prior: Float32Array.from(prior), duration: Float32Array.from(duration) };
  return { samples: [...await voice.samples(ids, { noise })], phonemes: await voice.phonemes(text),
           ids: voice.ids(await voice.phonemes(text)),
           sentences: voice.sentences("Dr. Smith came. At 10:30, - too. ...") };
})().then(done, (error) => done({ error: String(error) }));"""


def builder():
    spec = spec_from_file_location("browser_build", EXAMPLE / "build.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The example's folder, with the packages of its lock file."""
    if not shutil.which("npm"):
        pytest.skip("needs npm")
    packages, out = tmp_path_factory.mktemp("packages"), tmp_path_factory.mktemp("example")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(EXAMPLE / name, packages)
    installed = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=packages,
                               capture_output=True, text=True, timeout=300)
    if installed.returncode:
        pytest.skip(f"npm's registry is not reachable: {installed.stderr[-200:]}")
    builder().build(VOICE, out, packages / "node_modules")
    return out


@pytest.fixture
def served(built):
    """The example's server."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=built))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def until(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 120, poll_frequency=0.05).until(lambda _: condition())


@pytest.mark.slow
def test_it_speaks_in_the_browser_as_natively_and_without_a_network(browser, served):
    import onnxruntime

    from synthesis.onnx import OnnxVoice

    url = f"http://127.0.0.1:{served.server_port}/"
    text = OnnxVoice.load(VOICE / "voice.onnx").text
    cleaned = text.clean([SENTENCE])[0]
    ids = text.encode(cleaned)
    session = onnxruntime.InferenceSession(VOICE / "voice.onnx", providers=["CPUExecutionProvider"])
    shape = next(each.shape for each in session.get_overridable_initializers() if each.name == "prior_noise")
    random = np.random.default_rng(0)
    noise = {"prior_noise": random.standard_normal((1, shape[1], 6 * len(ids)), np.float32),
             "duration_noise": random.standard_normal((1, 2, len(ids)), np.float32)}
    native = session.run(["wav"], {"text_ids": np.array([ids]), **noise})[0].ravel()

    browser.set_script_timeout(120)
    browser.get(url)
    until(browser, lambda: browser.find_element("id", "status").text == "Ready, also without a network.")
    made = browser.execute_async_script(SPEAK, ids, *(each.ravel().tolist() for each in noise.values()),
                                        SENTENCE)
    assert "error" not in made, made
    assert len(made["samples"]) == len(native)
    assert np.abs(np.array(made["samples"]) - native).max() < TOLERANCE
    assert made["phonemes"] == cleaned and made["ids"] == {"ids": ids, "missing": []}
    assert made["sentences"] == ["Doctor Smith came.", "At 10 30, - too. ..."]

    served.shutdown()
    served.server_close()
    browser.get(url)
    until(browser, lambda: browser.find_element("id", "speak").is_enabled())
    browser.find_element("id", "speak").click()
    until(browser, lambda: browser.find_element("id", "status").text == "Spoken.")
    assert not [each for each in browser.get_log("browser") if each["source"] == "security"]
    assert browser.find_element("id", "download").is_displayed() and not browser.find_element("id", "error").text


def test_a_voice_that_does_not_fit_is_refused(tmp_path):
    build, packages = builder().build, tmp_path / "packages"
    with pytest.raises(FileNotFoundError, match="run npm ci"):
        build(VOICE, tmp_path / "out", packages)
    for name in builder().COPIED:
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).touch()
    (tmp_path / "voice.onnx").touch()
    for change in ({"n_speakers": 2}, {"text_cleaners": ["lowercase"]}):
        data = {"n_speakers": 0, "text_cleaners": ["normalised_espeak"]} | change
        (tmp_path / "voice.json").write_text(json.dumps({"data": data}))
        with pytest.raises(ValueError, match="one speaker"):
            build(tmp_path, tmp_path / "out", packages)
