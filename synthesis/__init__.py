"""A loaded voice that speaks: `Voice` by torch, `onnx.OnnxVoice` without it.

    from synthesis import Voice
    Voice.load("runs/demo").speak("Good morning.", seed=1).save("good_morning.wav")

`Voice` is imported when it is asked for, so that the modules that speak without torch import none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from utils import import_package

if TYPE_CHECKING:
    from synthesis.voice import Voice

__all__ = ["Voice"]


def __getattr__(name: str) -> object:
    if name == "Voice":
        import_package("torch", otherwise="speak by synthesis.onnx.OnnxVoice, which does without")
        from synthesis.voice import Voice
        return Voice
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
