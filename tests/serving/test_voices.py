"""Voices of a server: how they are found, named, listed and loaded."""

import pytest

from serving.errors import UnknownVoiceError
from serving.voices import OPENAI_NAMES, Voices, load_voice, locale_of, openai_aliases, voice_name
from synthesis.base import VOICES
from synthesis.onnx import OnnxVoice
from tests.serving.conftest import ToneVoice


def test_a_shipped_voice_is_loaded_by_name_without_torch_where_it_has_a_graph():
    voices = Voices.load(["en_rms"], {"rms": "en_rms"})
    assert list(voices.voices) == ["en_rms"] == [voices.default]
    assert isinstance(voices.voices["en_rms"], OnnxVoice)
    assert {voices.find(name).name for name in (None, "", "rms", "en_rms", *OPENAI_NAMES)} == {"en_rms"}
    with pytest.raises(UnknownVoiceError, match="no voice 'other'; there are en_rms"):
        voices.find("other")


def test_another_device_takes_the_network():
    assert type(load_voice(VOICES / "en_rms", "cpu")).__name__ == "Voice"


def test_openais_names_stand_for_the_speakers_of_the_default_voice_in_turn():
    aliases = openai_aliases({"two": ToneVoice(("ann", "bob")), "one": ToneVoice()})
    assert [aliases[name] for name in OPENAI_NAMES[:3]] == ["two/ann", "two/bob", "two/ann"]
    assert "verse" not in openai_aliases({"verse": ToneVoice()})


def test_names_lists_and_mistakes(tmp_path):
    voices = Voices({"one": ToneVoice(), "two": ToneVoice(("ann", "bob"))})
    assert list(voices.listed()) == ["one", "two/ann", "two/bob"]
    assert voice_name(tmp_path / "demo" / "voice.onnx") == "demo"
    (tmp_path / "en.onnx").touch()
    assert voice_name(tmp_path / "en.onnx") == "en" and voice_name(tmp_path) == tmp_path.name
    with pytest.raises(ValueError, match="no voice to serve"):
        Voices({})
    with pytest.raises(ValueError, match="expected names without '/'"):
        Voices({"a/b": ToneVoice()})
    with pytest.raises(UnknownVoiceError, match="no voice 'three'"):
        Voices({"one": ToneVoice()}, {"other": "three"})


@pytest.mark.parametrize(("language", "locale"), [("en-us", "en_US"), ("en-gb", "en_GB"), ("de", "de_DE"),
                                                  ("pt-br", "pt_BR"), ("en-gb-scotland", "en_GB"), ("sw", "sw_TZ"),
                                                  ("cmn", "zh_CN"), ("xx", "xx_XX")])
def test_locales_have_language_and_country(language, locale):
    assert locale_of(language) == locale


def test_a_language_has_the_voice_of_its_country_or_another_of_it(voices):
    assert voices.of_language("en-us") == voices.of_language("en_GB") == voices.of_language("EN") == "one"
    assert voices.of_language("de") is voices.of_language("e") is voices.of_language("") is None
