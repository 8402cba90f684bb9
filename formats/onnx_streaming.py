"""Our ONNX voice in two graphs, encoder and decoder, so that it sounds before it is all said: see `onnx_voice`."""

from formats.onnx_voice import write_streaming as write

__all__ = ["write"]
