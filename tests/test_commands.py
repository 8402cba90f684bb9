"""The commands as a new user meets them: what they print, what they write, and how they refuse."""

import contextlib
import io
import json
import os
import runpy
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import soundfile
import torch

import checkpoint
import config as settings
import evaluate
import export
import preprocess
import synthesize
import train
from audio.io import read_wav
from models import SynthesizerTrn
from synthesis import Voice
from tests.conftest import ROOT, tiny, with_corpus, write_corpus
from text import TextProcessor
from training import trainer


def command(name, *arguments, stdin=None):
    """Run a command of the repository; returns the finished process."""
    return subprocess.run([sys.executable, str(ROOT / f"{name}.py"), *map(str, arguments)], cwd=ROOT, text=True,
                          capture_output=True, timeout=120, input=stdin)


@pytest.fixture
def refused(monkeypatch, capsys):
    """Runs a command, within this process, that must exit with 2 and a message; returns the message."""
    def run_it(name, *arguments, stdin=""):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        monkeypatch.chdir(ROOT)
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(ROOT / f"{name}.py"), run_name="__main__")
        message = capsys.readouterr().err
        assert caught.value.code == 2 and "Traceback" not in message
        return message
    return run_it


def test_a_refusal_has_no_traceback_and_status_2_in_a_process_of_its_own(tmp_path):
    done = command("synthesize", "-m", tmp_path / "nowhere", "--text", "a")
    assert done.returncode == 2 and done.stderr.startswith("error: no run or checkpoint"), done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    trainer.fit(with_corpus(write_corpus(folder, None), ("train.total_steps=2",)), folder / "run", torch.device("cpu"))
    return folder / "run"


@pytest.fixture(scope="module")
def duo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("duo")
    lists = write_corpus(folder, ("bob", "alice"))
    config = with_corpus(lists, ("data.n_speakers=2", "model.gin_channels=8", "train.total_steps=2"))
    settings.save(config, folder / "duo.json")
    done = command("train_ms", "-c", folder / "duo.json", "-m", folder / "run", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_train_goes_on_from_the_run_alone(run, tmp_path):
    done = command("train", "-m", run, "--set", "train.total_steps=3", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "resuming from" in done.stderr and "changed since: train.total_steps: 2 -> 3" in done.stderr
    assert 'speak with: python synthesize.py -m' in done.stderr


def test_a_misspelt_voice_is_answered_with_those_that_there_are(refused):
    message = refused("synthesize", "-m", "en_rmss", "--text", "a")
    assert "no voice of that name, there are de_kerstin, en_joe, en_rms, en_student; a run is made by" in message


def test_train_refuses_what_it_cannot_use(refused, tmp_path, tiny_corpus):
    good = tmp_path / "good.json"
    settings.save(with_corpus(tiny_corpus), good)
    assert "no configuration and no run is given; name a configuration" in refused("train")
    assert "no configuration" in refused("train", "-c", tmp_path / "nowhere.json")
    assert "there are configs/de_kerstin.json, configs/demo.json" in refused("train", "-c", "configs/ljspeech.json")
    (tmp_path / "broken.json").write_text('{"train": {,}}')
    assert "is not JSON: line 1, column 12" in refused("train", "-c", tmp_path / "broken.json")
    message = refused("train", "-c", good, "--set", "train.batchsize=3", "--set", "model.n_heads=5", "--set", "x")
    assert "did you mean 'train.batch_size'" in message and "does not divide" in message and "--set 'x'" in message
    assert "train.py trains one voice, train_ms.py several" in refused(
        "train", "-c", good, "--set", "data.n_speakers=3", "--set", "model.gin_channels=8")
    assert "data.n_speakers is 0; train.py trains one voice" in refused("train_ms", "-c", good)
    assert "device 'cuda:7' is not available" in refused("train", "-c", good, "--device", "cuda:7",
                                                         "-m", tmp_path / "r") or torch.cuda.is_available()
    assert "missing.txt; preprocess.py makes them" in refused("train", "-c", good, "-m", tmp_path / "r", "--set",
                                    f"data.training_files={tmp_path / 'missing.txt'}")
    assert "unknown generator 'hifi'; did you mean 'hifigan'" in refused(
        "train", "-c", good, "-m", tmp_path / "r", "--set", "model.generator=hifi")
    assert "is a file; expected the folder of a run after -m" in refused("train", "-c", good, "-m", good)
    assert "data.sampling_rate is 16000" in refused("train", "-c", good, "-m", tmp_path / "r", "--set",
                                                    "data.sampling_rate=16000")


def test_synthesize_speaks_a_text_and_draws_it(run, tmp_path):
    done = command("synthesize", "-m", run, "--text", "abc def", "-o", tmp_path / "a" / "b.wav", "--seed", 1,
                   "--picture", tmp_path / "b.png")
    assert done.returncode == 0, done.stderr
    assert "b.wav: " in done.stdout and soundfile.info(tmp_path / "a" / "b.wav").samplerate == 8000
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_synthesize_speaks_lines_of_a_file_and_of_standard_input(run, tmp_path):
    (tmp_path / "lines.txt").write_text("abc\n\ndef ghi\n")
    done = command("synthesize", "-m", run, "--file", tmp_path / "lines.txt", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0001.wav", "0002.wav"]
    done = command("synthesize", "-m", run, "-o", tmp_path / "one.wav", stdin="abc\n")
    assert done.returncode == 0 and (tmp_path / "one.wav").is_file()


def test_synthesize_refuses_what_it_cannot_say(refused, run, duo, tmp_path):
    out = ("-o", tmp_path / "x.wav")
    assert "a run is made by, e.g., python train.py" in refused(
        "synthesize", "-m", tmp_path / "nowhere", "--text", "a", *out)
    assert "x.mp7: mp7 names no format of sound; expected one of wav" in refused(
        "synthesize", "-m", run, "--text", "a", "-o", tmp_path / "x.mp7")
    (tmp_path / "empty").mkdir()
    assert "holds no checkpoint yet" in refused("synthesize", "-m", tmp_path / "empty", "--text", "a", *out)
    assert "nothing to say" in refused("synthesize", "-m", run, "--text", " ", *out)
    assert "holds no line of text" in refused("synthesize", "-m", run, *out, stdin="\n\n")
    assert "let -o name a folder" in refused("synthesize", "-m", run, *out, stdin="a\nb\n")
    assert "choose one of alice, bob" in refused("synthesize", "-m", duo, "--text", "a", *out)
    assert "--convert needs --from" in refused("synthesize", "-m", duo, "--convert", "a.wav", *out)
    assert "speed is 0.0" in refused("synthesize", "-m", run, "--text", "a", "--speed", 0, *out)
    (tmp_path / "not.pt").write_text("x")
    assert "cannot be read" in refused("synthesize", "-m", tmp_path / "not.pt", "--text", "a", *out)


def test_synthesize_refuses_what_does_not_go_together(refused, run, tmp_path):
    assert "need a file: let -o name one" in refused("synthesize", "-m", run, "--text", "a", "--raw", "--json")
    assert "--picture draws a single text" in refused("synthesize", "-m", run, "--picture", "a.png", stdin="a")
    assert "--batch is 0" in refused("synthesize", "-m", run, "--text", "a", "--batch", 0)
    assert "x.flac: flac holds 16 or 24 bits, not float" in refused(
        "synthesize", "-m", run, "--text", "a", "-o", tmp_path / "x.flac", "--bits", "float")
    assert "line 1, column 12: <prosody>" in refused(
        "synthesize", "-m", run, "-o", tmp_path / "x.wav", "--text",
        "<speak>abc <prosody rate='fsat'>d</prosody></speak>")
    assert list(tmp_path.iterdir()) == []


def piped(run, *arguments):
    program = [sys.executable, ROOT / "synthesize.py", "-m", run, "--text", "abc def. Ghi.", "--seed", "1", *arguments]
    done = subprocess.run(list(map(str, program)), capture_output=True, timeout=120,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_synthesize_sends_samples_down_a_pipe(run, tmp_path):
    whole = Voice.load(run, "cpu").speak("abc def. Ghi.", seed=1).samples
    raw = np.frombuffer(piped(run, "--raw"), "<i2") / 32768
    assert np.abs(raw - whole).max() < 1e-4
    read, rate = soundfile.read(io.BytesIO(piped(run, "-o", "-", "--bits", "24")))
    assert rate == 8000 and np.abs(read - whole).max() < 1e-5
    faster = np.frombuffer(piped(run, "--raw", "--rate", 16000), "<i2")
    assert len(faster) == 2 * len(whole)
    (tmp_path / "a.flac").write_bytes(piped(run, "-o", "-", "--ending", "flac"))
    assert np.abs(read_wav(tmp_path / "a.flac").samples - whole).max() < 1e-4


def test_synthesize_ends_quietly_when_its_listener_leaves(run):
    text = "abc def ghi jkl. " * 200
    program = [sys.executable, ROOT / "synthesize.py", "-m", run, "--text", text, "--raw"]
    with subprocess.Popen(list(map(str, program)), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        assert len(process.stdout.read(1000)) == 1000
        process.stdout.close()
        assert process.wait(timeout=120) == 0
        assert process.stderr.read() == b""


def test_synthesize_reads_a_file_as_one_text_with_timings_beside_it(run, tmp_path):
    (tmp_path / "book.txt").write_text("Abc def. Ghi\njkl.\n\nMno pqr!\n")
    done = command("synthesize", "-m", run, "--file", tmp_path / "book.txt", "--whole", "-o", tmp_path / "book.flac",
                   "--timings", "srt", "TextGrid", "json", "--rate", 22050, "--loudness", -20, "--seed", 1)
    assert "book.srt" in done.stdout
    samples, rate = soundfile.read(tmp_path / "book.flac")
    timings = json.loads((tmp_path / "book.json").read_text())
    assert rate == timings["sample_rate"] == 22050 and timings["n_samples"] == len(samples)
    assert [mark["text"] for mark in timings["sentences"]] == ["Abc def.", "Ghi jkl.", "Mno pqr!"]
    plain = command("synthesize", "-m", run, "--file", tmp_path / "book.txt", "--whole", "-o", tmp_path / "plain.wav",
                    "--json", "--rate", 22050, "--seed", 1)
    told = json.loads(plain.stdout)
    assert told["n_samples"] == len(samples) == soundfile.info(tmp_path / "plain.wav").frames
    assert told["words"] == timings["words"]


@pytest.mark.slow
def test_synthesize_makes_lines_together_as_one_by_one(run, tmp_path):
    (tmp_path / "lines.txt").write_text("abc\nabc def ghi\n\nx yz\n")
    common = ("synthesize", "-m", run, "--file", tmp_path / "lines.txt", "--seed", 3, "--ending", "flac")
    command(*common, "-o", tmp_path / "one")
    command(*common, "-o", tmp_path / "many", "--batch", 8)
    for name in ("0001.flac", "0002.flac", "0003.flac"):
        one, many = (soundfile.read(tmp_path / folder / name)[0] for folder in ("one", "many"))
        assert np.abs(one - many).max() < 2e-4


@pytest.mark.slow
def test_synthesize_pronounces_by_a_lexicon(run, tmp_path):
    (tmp_path / "words.txt").write_text("abc\tdef def\n")
    said = []
    for text, extra in (("abc", ("--lexicon", tmp_path / "words.txt")), ("def def", ())):
        done = command("synthesize", "-m", run, "--text", text, "-o", tmp_path / "x.wav", "--seed", 1, "--json", *extra)
        said.append(json.loads(done.stdout))
    assert said[0]["symbols"] == said[1]["symbols"] and [word["text"] for word in said[0]["words"]] == ["abc"]


def test_synthesize_warns_of_unknown_symbols_and_speaks_on(run, tmp_path):
    done = command("synthesize", "-m", run, "--text", "abc → d", "-o", tmp_path / "x.wav")
    assert done.returncode == 0 and "warning: not in the voice's symbol table" in done.stderr
    assert (tmp_path / "x.wav").is_file()


@pytest.mark.slow
def test_several_speakers_speak_by_name_and_convert(duo, tmp_path):
    done = command("synthesize", "-m", duo, "--text", "abc", "--speaker", "alice", "-o", tmp_path / "alice.wav")
    assert done.returncode == 0, done.stderr
    done = command("synthesize", "-m", duo, "--convert", tmp_path / "alice.wav", "--from", "alice", "--speaker", "bob",
                   "-o", tmp_path / "bob.wav")
    assert done.returncode == 0 and soundfile.info(tmp_path / "bob.wav").frames > 0, done.stderr


COMMANDS = ["train", "train_ms", "synthesize", "preprocess", "evaluate", "export", "convert", "serve"]


@pytest.mark.parametrize("name", COMMANDS)
def test_an_interrupt_while_a_command_imports_is_one_line(tmp_path, name):
    """argparse, which each of them imports, is replaced by a file that interrupts whoever imports it."""
    (tmp_path / "argparse.py").write_text("import os, signal, time\n"
                                          "os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(30)\n")
    done = subprocess.run([sys.executable, str(ROOT / f"{name}.py"), "--help"], cwd=ROOT, text=True, timeout=60,
                          capture_output=True, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


@pytest.mark.parametrize("arguments", [
    ("synthesize", "-m", "en_rms", "--file", "PIPE", "-o", "OUT"),
    ("export", "-m", "RUN", "--to", "sherpa-onnx", "--words", "PIPE", "-o", "OUT")], ids=lambda arguments: arguments[0])
def test_an_interrupt_while_a_command_works_is_one_line_and_nothing_is_left(run, tmp_path, arguments):
    """Each is known to work when it opens a pipe to read, which then stays silent."""
    places = {"PIPE": tmp_path / "pipe", "OUT": tmp_path / "out", "RUN": run}
    os.mkfifo(places["PIPE"])
    name, *others = (str(places.get(each, each)) for each in arguments)
    with subprocess.Popen([sys.executable, str(ROOT / f"{name}.py"), *others], cwd=ROOT, stderr=subprocess.PIPE,
                          text=True) as process:
        pipe = None
        while pipe is None and process.poll() is None:
            with contextlib.suppress(OSError):  # nobody reads it yet
                pipe = os.open(places["PIPE"], os.O_WRONLY | os.O_NONBLOCK)
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        try:
            errors = process.communicate(timeout=60)[1]
        finally:
            process.kill()  # or leaving this block would wait for it
            os.close(pipe)
    assert (process.returncode, errors) == (130, "interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("name", ["train", "train_ms", "synthesize", "preprocess"])
def test_every_command_explains_itself(name):
    done = command(name, "--help")
    assert done.returncode == 0 and f"python {name}.py" in done.stdout


@pytest.fixture
def spoken(monkeypatch, capsys):
    """Speaks by the command within this process; returns what it wrote to standard output and standard error."""
    def run_it(*arguments, stdin=""):
        monkeypatch.setattr(sys, "argv", ["synthesize.py", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        monkeypatch.chdir(ROOT)
        with warnings.catch_warnings():
            runpy.run_path(str(ROOT / "synthesize.py"), run_name="__main__")
        return capsys.readouterr()
    return run_it


NOTHING = ["* * *", "...", "---", "…", "—", "()", "😀", "<speak></speak>", "<speak><p></p></speak>"]


@pytest.mark.parametrize("batch", [(), ("--batch", 4)])
@pytest.mark.parametrize("by_stdin", [False, True])
def test_lines_that_have_no_sound_are_left_out_with_a_warning(spoken, run, tmp_path, batch, by_stdin):
    lines = ["Abc.", *NOTHING, "", "def", "<speak>a <brek/></speak>", "ghi"]
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    source, stdin = ((), path.read_text(encoding="utf-8")) if by_stdin else (("--file", path), "")
    said = spoken("-m", run, *source, "-o", tmp_path / "out", "--set", "data.symbols=characters", *batch, stdin=stdin)
    place = "standard input" if by_stdin else path
    warned = [line for line in said.err.splitlines() if "left out" in line]
    assert warned[:-1] == [f"warning: {place}:{number}: nothing to say in {line!r}; left out"
                           for number, line in enumerate(lines, 1) if line in NOTHING]
    assert warned[-1].startswith(f"warning: {place}:13: line 1, column 10: <brek> is not supported")
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["0001.wav", "0011.wav", "0013.wav"]


def test_nothing_said_of_all_lines_is_an_error(refused, run, tmp_path):
    assert "error: no audio was written: all 2 lines were left out" in refused(
        "synthesize", "-m", run, "-o", tmp_path / "out", stdin="* * *\n---\n")
    assert "standard input:2: nothing to say in '* * *': it is empty, or" in refused(
        "synthesize", "-m", run, "-o", tmp_path / "x.wav", stdin="\n* * *\n")
    assert list(tmp_path.iterdir()) == []


def test_a_byte_order_mark_is_not_said_and_cues_are_lines(spoken, run, tmp_path):
    (tmp_path / "book.txt").write_text("abc def ghi " * 12, encoding="utf-8-sig")
    spoken("-m", run, "--file", tmp_path / "book.txt", "--whole", "-o", tmp_path / "a.wav", "--timings", "srt", "json",
           "--cues", "lines")
    words = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["words"]
    assert [word["text"] for word in words] == "abc def ghi".split() * 12
    cues = (tmp_path / "a.srt").read_text(encoding="utf-8").strip().split("\n\n")
    assert len(cues) > 1 and all(len(line) <= 42 for cue in cues for line in cue.split("\n")[2:])


@pytest.mark.parametrize(("name", "arguments", "message"), [
    ("synthesize", ["Hello", "world"], "found 'world', which no option takes; put a text, or a name, of several"),
    ("synthesize", ["Hello", "my", "world", "--seed", "1"], "found 'my world', which no option takes"),
    ("synthesize", ["--voice", "de_kerstin", "Hallo"], "there is no option --voice; did you mean -m?"),
    ("synthesize", ["--txt", "Hallo"], "there is no option --txt; did you mean '--text'?"),
    ("synthesize", ["--sped=2", "Hallo"], "there is no option --sped; did you mean '--speed'?"),
    ("synthesize", ["--seed", "x", "Hallo"], "argument --seed: invalid int value: 'x'"),
    ("synthesize", ["Hallo", "--cues", "lines"], "add --timings srt or --timings vtt"),
    ("synthesize", ["Hallo", "--cues", "words", "--timings", "json"], "add --timings srt or --timings vtt"),
    ("synthesize", ["Hallo", "-o", "/dev/null"], "-o /dev/null is a file, and its ending names no format to write"),
    ("synthesize", ["--file", "nowhere.txt"], "error: nowhere.txt: No such file or directory"),
    ("train", ["--confg", "a.json"], "there is no option --confg; did you mean '--config'?"),
    ("preprocess", ["folder", "x", "--out", "y", "--confg", "1"],
     "there is no option --confg; did you mean '--config'?"),
    ("export", ["-m", "en_joe", "-o", "x", "--quantize", "int8"], "there is no option --quantize; did you mean"),
])
def test_a_mistake_on_the_command_line_is_one_line_with_what_to_do(refused, name, arguments, message):
    said = refused(name, *arguments)
    assert message in said and said.startswith("error: ") and said.count("\n") == 1 and "[Errno" not in said


def test_a_text_of_pauses_alone_leaves_no_file(refused, run, tmp_path):
    for source in ("<speak><break time='1s'/></speak>", "<speak>…<break/><mark name='a'/>?!</speak>", "🙂🙃 …"):
        assert "nothing to say" in refused("synthesize", "-m", run, "--text", source, "-o", tmp_path / "a.wav")
    assert list(tmp_path.iterdir()) == []


def test_the_voice_element_of_another_program_is_answered_in_its_own_words(refused, run, tmp_path):
    message = refused("synthesize", "-m", run, "--text", "<speak><voice name='en-US-JennyNeural'>abc</voice></speak>",
                      "-o", tmp_path / "a.wav")
    assert "<voice name='en-US-JennyNeural'>: this voice has one speaker; leave the <voice> element out" in message


def test_a_file_in_another_encoding_is_refused_by_its_line(refused, run, tmp_path):
    (tmp_path / "latin.txt").write_bytes("abc\ncafé\n".encode("latin-1"))
    message = refused("synthesize", "-m", run, "--file", tmp_path / "latin.txt", "-o", tmp_path / "out")
    assert f"{tmp_path / 'latin.txt'}:2: this is not UTF-8; save the file in that encoding" in message


# A voice from outside


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A run that names code, and the file that the code would write."""
    folder = tmp_path_factory.mktemp("hostile")
    settings_of_it = tiny((f'model.plugins=["{folder}/evil.py"]', f'train.callbacks=["{folder}/evil.py"]'))
    (folder / "evil.py").write_text(f"open({str(folder / 'trace')!r}, 'a').write('x')\nraise ValueError('it ran')")
    (folder / "list.txt").write_text("a.wav|Hello.\n")
    plain = tiny()
    weights = SynthesizerTrn(len(TextProcessor.from_config(plain.data).symbols), plain).state_dict()
    (folder / "run").mkdir()
    checkpoint.save(folder / "run", 4, {"config": settings.to_dict(settings_of_it), "generator": weights})
    settings.save(settings_of_it, folder / "run" / "config.json")
    return folder


@pytest.mark.parametrize("command, arguments", [
    (synthesize, ["-m", "run", "--text", "abc.", "-o", "x.wav"]), (evaluate, ["-m", "run"]),
    (export, ["-m", "run", "-o", "out"]), (export, ["-m", "run", "--to", "onnx", "-o", "out"]),
    (preprocess, ["check", "list.txt", "-m", "run"]), (train, ["-m", "run"]),
    (train, ["-c", "run/config.json", "-m", "new"]),
])
def test_no_command_runs_what_a_voice_names_unless_it_is_told_to(hostile, command, arguments, monkeypatch, capsys):
    monkeypatch.chdir(hostile)
    (hostile / "trace").unlink(missing_ok=True)

    def call(*more):
        monkeypatch.setattr(sys, "argv", ["command", *arguments, *more])
        with contextlib.suppress(SystemExit):
            trainer.main("", False) if command is train else command.main()
        return capsys.readouterr().err

    told = call()
    assert "evil.py" in told and "--trust-plugins" in told and "Traceback" not in told
    assert not (hostile / "trace").exists()
    assert "it ran" in call("--trust-plugins") and (hostile / "trace").exists()


def test_training_runs_what_the_users_own_configuration_names(hostile, monkeypatch, capsys):
    monkeypatch.chdir(hostile)
    (hostile / "mine.json").write_text((hostile / "run" / "config.json").read_text())
    named = f'model.plugins=["{hostile}/evil.py"]'
    for arguments in (["-c", "mine.json", "-m", "new"],
                      ["-m", "run", "--set", named, "--set", f'train.callbacks=["{hostile}/evil.py"]']):
        (hostile / "trace").unlink(missing_ok=True)
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        with pytest.raises(SystemExit):
            trainer.main("", False)
        assert (hostile / "trace").exists() and "it ran" in capsys.readouterr().err
