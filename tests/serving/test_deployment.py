"""The image has all that serving needs, and a screen reader's dispatcher speaks by its module."""

import re
import shutil
import subprocess
import sys
import time

import pytest

from audio.io import read_wav
from tests.conftest import ROOT

FOLDER = ROOT / "examples" / "deployment"
WITHOUT_TORCH = ("import runpy, sys; [sys.modules.__setitem__(name, None) for name in ('torch', 'scipy', 'librosa')]; "
                 "sys.argv = ['serve.py', *sys.argv[1:]]; runpy.run_path('serve.py', run_name='__main__')")


def test_what_the_image_copies_serves_without_torch(tmp_path):
    copied = [name for line in re.findall(r"^COPY (?!--from)(.*)$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
              for name in line.split()[:-1] if not name.startswith("requirements")]
    kept = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    for name in copied:
        assert name.rstrip("/") in kept or name.endswith(".py") and "*.py" in kept
        (tmp_path / name.rstrip("/")).symlink_to(ROOT / name)
    process = subprocess.Popen([sys.executable, "-c", WITHOUT_TORCH, "-m", "en_rms", "--port", "0", "--wyoming-port",
                                "0", "--mary-port", "0"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    try:
        assert "ready on" in process.stdout.readline(), process.stderr.read()
    finally:
        process.terminate()
        process.communicate(timeout=40)


@pytest.mark.slow
def test_a_screen_readers_dispatcher_speaks_by_the_module(tmp_path):
    """With a null sound device, and a player that keeps what it is given."""
    if missing := [name for name in ("speech-dispatcher", "spd-say", "jq", "curl") if not shutil.which(name)]:
        pytest.skip(f"needs {', '.join(missing)}")
    port = 18080
    (tmp_path / "modules").mkdir()
    module = (FOLDER / "vits-generic.conf").read_text().replace(":8080", f":{port}")
    (tmp_path / "modules" / "vits-generic.conf").write_text(module)
    (tmp_path / ".asoundrc").write_text("pcm.!default { type null }\nctl.!default { type null }\n")
    (tmp_path / "speechd.conf").write_text(
        'LogLevel 3\nCommunicationMethod "unix_socket"\nAudioOutputMethod "alsa"\nDefaultLanguage "en"\n'
        'AddModule "vits" "sd_generic" "vits-generic.conf"\nDefaultModule vits\nLanguageDefaultModule "en" "vits"\n')
    player = tmp_path / "bin" / "aplay"
    player.parent.mkdir()
    player.write_text(f"#!/bin/sh\ncat > {tmp_path}/got.part\nmv {tmp_path}/got.part {tmp_path}/got.wav\n")
    player.chmod(0o755)
    environment = {"HOME": str(tmp_path), "PATH": f"{player.parent}:/usr/bin:/bin",
                   "SPEECHD_ADDRESS": f"unix_socket:{tmp_path}/socket"}
    server = subprocess.Popen([sys.executable, "serve.py", "-m", "en_joe", "-m", "de_kerstin", "--port", str(port),
                               "--wyoming-port", "0", "--mary-port", "0"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    dispatcher = None
    try:
        assert "ready on" in server.stdout.readline()
        dispatcher = subprocess.Popen(
            ["speech-dispatcher", "-s", "-C", tmp_path, "-L", tmp_path, "-c", "unix_socket", "-S", tmp_path / "socket",
             "-P", tmp_path / "pid", "-t", "0"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lengths = [spoken(tmp_path, environment, rate) for rate in ("0", "100", "-50")]
    finally:
        for process in (dispatcher, server):
            if process is not None:
                process.terminate()
                process.wait(40)
    assert 1.8 < lengths[0] / lengths[1] < 2.2 and 1.25 < lengths[2] / lengths[0] < 1.55


def spoken(folder, environment, rate):
    """Seconds of what the player is given."""
    (folder / "got.wav").unlink(missing_ok=True)
    for _ in range(100):
        if (folder / "socket").exists():
            break
        time.sleep(0.1)
    subprocess.run(["spd-say", "-w", "-r", rate, "-o", "vits", "-l", "en", "It's \"5 & 6\"; one, two, three, four."],
                   env=environment, timeout=30, check=True)
    for _ in range(100):
        if (folder / "got.wav").exists():
            break
        time.sleep(0.1)
    wav = read_wav(folder / "got.wav")
    return len(wav.samples) / wav.sampling_rate
