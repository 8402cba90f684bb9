"""Text to speech: `Voice` by torch, `onnx.OnnxVoice` without it.

    from synthesis import Voice
    Voice.load("runs/demo").speak("Good morning.", seed=1).save("good_morning.wav")

From text to audio (`BaseVoice._stream` in base.py runs these stages for each sentence):

    text -> SentenceTokens      text/utterances.py; options become its outer prosody in base.py
    SentenceTokens -> latent    voice.py by models.SynthesizerTrn.text_to_latent, or onnx.py; speaker by speakers.py
    latent -> samples           voice.py by streaming.py, or onnx.py
    samples -> Audio            controls.py: pitch, volume and timings

`Voice` is imported on first use, so that an ONNX voice does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synthesis.voice import Voice

__all__ = ["Voice"]


def __getattr__(name: str) -> object:
    if name == "Voice":
        from synthesis.voice import Voice
        return Voice
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
