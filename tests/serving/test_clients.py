"""Voice agents of others against the server: LiveKit's and Pipecat's plugins for OpenAI, in environments of their own.

They bring hundreds of packages, so their interpreters are named by VITS_LIVEKIT_PYTHON and VITS_PIPECAT_PYTHON:
pip install livekit-plugins-openai, pip install "pipecat-ai[openai]".
"""

import os
import subprocess

import pytest

from tests.serving.conftest import ToneVoice

TEXT = "Abc def. Ghi, jkl mno! Is that so?"

LIVEKIT = """
import asyncio, sys
from livekit.plugins import openai

async def main():
    for model, kind in (("gpt-4o-mini-tts", "mp3"), ("tts-1", "mp3"), ("tts-1", "pcm"), ("tts-1", "wav")):
        tts = openai.TTS(model=model, voice="one", base_url=sys.argv[1] + "/v1", api_key="none", response_format=kind)
        seconds = 0
        async with tts.synthesize(sys.argv[2]) as stream:
            async for event in stream:
                seconds += event.frame.samples_per_channel / event.frame.sample_rate
        print(seconds)
        await tts.aclose()

asyncio.run(main())
"""

PIPECAT = """
import asyncio, sys
from pipecat.frames.frames import TTSAudioRawFrame
from pipecat.services.openai.tts import OpenAITTSService

async def main():
    service = OpenAITTSService(api_key="none", base_url=sys.argv[1] + "/v1", voice="alloy")
    service._sample_rate = 24000    # what starting a pipeline does
    seconds = 0
    async for frame in service.run_tts(sys.argv[2], "context"):
        if isinstance(frame, TTSAudioRawFrame):
            seconds += len(frame.audio) / 2 / frame.sample_rate
    print(seconds)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize(("variable", "program"), [("VITS_LIVEKIT_PYTHON", LIVEKIT), ("VITS_PIPECAT_PYTHON", PIPECAT)])
def test_voice_agents_get_the_whole_sound(server, variable, program):
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"{variable} names no interpreter that has the plugin")
    done = subprocess.run([python, "-c", program, server.url, TEXT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    expected = len(ToneVoice().speak(TEXT).samples) / 8000
    found = [float(line) for line in done.stdout.split()]
    assert found and found == pytest.approx([expected] * len(found), abs=0.25)  # MP3 has silence at its ends
