"""Objective measures of speech. So far: does a machine listener recognise which sentence was said?"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from utils import resample

LISTENER_RATE = 16000  # Hz, of pocketsphinx' English model


class SentenceListener:
    """Tells which sentence of a closed set was spoken, by pocketsphinx (extra `test`) with a grammar of them all.

    Chance is one in the number of sentences. It forgives a blurred sound, and words it does not know make it fail:
    all must be in the CMU pronouncing dictionary.

    Raises:
        ImportError: pocketsphinx is not installed.
        ValueError: there are no sentences, two of them are the same to the listener, or it lacks a word.
    """

    def __init__(self, sentences: Sequence[str]):
        from pocketsphinx import Decoder

        self._keys = [_words(sentence) for sentence in sentences]
        if not self._keys or len(set(self._keys)) != len(self._keys):
            raise ValueError(f"expected different sentences, found {len(self._keys)}, {len(set(self._keys))} different")
        if not all(self._keys):
            raise ValueError(f"sentence {self._keys.index('') + 1} has no word in it")
        grammar = "#JSGF V1.0; grammar g; public <s> = " + " | ".join(self._keys) + ";"
        self._decoder = Decoder(loglevel="FATAL")
        words = sorted({word for key in self._keys for word in key.split()})
        unknown = [word for word in words if self._decoder.lookup_word(word) is None]
        if unknown:
            raise ValueError(f"the listener's dictionary lacks {', '.join(unknown)}; choose other sentences")
        self._decoder.add_jsgf_string("sentences", grammar)
        self._decoder.activate_search("sentences")

    def identify(self, samples: np.ndarray, sampling_rate: int) -> int | None:
        """Index of the sentence heard in float samples [S], None if none was."""
        wav = np.asarray(resample(np.asarray(samples, np.float32), sampling_rate, LISTENER_RATE))
        if not len(wav):  # pocketsphinx would neither take it nor start another utterance afterwards
            return None
        self._decoder.start_utt()
        self._decoder.process_raw((wav.clip(-1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        heard = re.sub(r"\(\d+\)", "", hypothesis.hypstr).strip() if hypothesis else ""
        return self._keys.index(heard) if heard in self._keys else None


def _words(sentence: str) -> str:
    return " ".join(re.findall(r"[a-z']+", sentence.lower()))
