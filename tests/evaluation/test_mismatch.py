"""Ranking: of letters that are tones, read by a model that knows the tones, the wrong transcripts come first."""

import math
import random

import numpy as np
import pytest
import torch
from torch import nn

import checkpoint
from audio.io import write_wav
from corpora.filelists import Line, read_filelist
from evaluation import mismatch
from evaluation.mismatch import FEWEST, TranscriptFit, rank_lines, write_ranking
from mel_processing import spectrogram
from models import Posterior, Prior
from tests.conftest import ROOT, tiny
from text import TextProcessor

RUN = ROOT / "runs" / "demo"
CONFIG = tiny()
TEXT = TextProcessor.from_config(CONFIG.data)
LETTERS = "abcdefgh"
RATE, HOP = CONFIG.data.sampling_rate, CONFIG.data.hop_length


def tone(symbol_id, n_frames, rate=RATE):
    """What a token sounds like: blanks have their tone as well."""
    hertz = 300 + 400 * (LETTERS.index(TEXT.symbols.symbols[symbol_id]) + 1 if symbol_id else 0)
    return 0.4 * np.sin(2 * math.pi * hertz * np.arange(n_frames * HOP * rate // RATE) / rate)


def write_spoken(path, letters, rng, rate=RATE):
    """Record a text with tokens of one to six frames."""
    wav = np.concatenate([tone(each, rng.randint(1, 2) if each == 0 else rng.randint(2, 6), rate)
                          for each in TEXT.encode(letters)])
    wav = wav + 0.01 * np.random.default_rng(rng.randrange(1000)).standard_normal(len(wav))
    write_wav(path, wav.astype(np.float32), rate)


class Ear(nn.Module):
    """A posterior encoder that hears the loudness of 16 bands."""

    def forward(self, spec, spec_lengths, g=None, noise=None):
        bands = (spec[:, :128].unflatten(1, (16, 8)).mean(dim=2) + 0.05).log()  # [B, F, T] -> [B, 16, T]
        return Posterior(bands, bands, torch.zeros_like(bands), torch.ones_like(bands[:, :1]))


class Reader(nn.Module):
    """The encoders of a model that knows its letters: each one's prior is what the ear makes of its tone."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))  # models have a device
        self.enc_q = self.encode_posterior = Ear()
        self.means = {}
        for symbol_id in TEXT.encode(LETTERS):
            wav = torch.from_numpy(tone(symbol_id, 20).astype(np.float32))[None]
            spec = spectrogram(wav, CONFIG.data)
            self.means[symbol_id] = self.enc_q(spec, None).z[0, :, 5:15].mean(dim=1)

    def enc_p(self, text_ids, text_lengths, g=None):
        mean = torch.stack([torch.stack([self.means[each] for each in row], dim=1) for row in text_ids.tolist()])
        return Prior(mean, mean, torch.zeros_like(mean), torch.ones_like(mean[:, :1]))

    def flow(self, z, mask, g=None):
        return z

    def speaker_embedding(self, speaker_ids):
        return None


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """40 recordings with their right texts."""
    folder, rng = tmp_path_factory.mktemp("spoken"), random.Random(0)
    lines = []
    for i in range(40):
        letters = "".join(rng.choice(LETTERS) for _ in range(rng.randint(8, 14)))
        write_spoken(folder / f"{i}.wav", letters, rng)
        lines.append(Line(str(folder / f"{i}.wav"), None, letters, f"train.txt:{i + 1}"))
    return lines


def ranked(lines):
    return rank_lines(Reader(), CONFIG, lines, TEXT)


def places(fits, sources):
    return sorted(place for place, fit in enumerate(fits) if fit.source in sources)


def test_texts_that_are_swapped_come_first_and_say_why(spoken):
    lines = list(spoken)
    lines[3], lines[17] = lines[3]._replace(text=lines[17].text), lines[17]._replace(text=lines[3].text)
    fits = ranked(lines)
    assert len(fits) == 40
    assert places(fits, {"train.txt:4", "train.txt:18"}) == [0, 1]
    assert all(fit.reason and fit.suspicion >= mismatch.SUSPICIOUS for fit in fits[:2])
    assert all(earlier.suspicion >= later.suspicion for earlier, later in zip(fits, fits[1:]))
    assert fits[0].margin < 1 < fits[10].margin


def test_a_text_of_which_half_is_missing_comes_first(spoken):
    lines = list(spoken)
    lines[7] = lines[7]._replace(text=lines[7].text[: len(lines[7].text) // 2])
    assert ranked(lines)[0].source == "train.txt:8"


def test_right_texts_are_of_their_sound_and_mostly_get_no_reason(spoken):
    fits = ranked(spoken)
    assert sum(not fit.reason for fit in fits) >= 30
    assert all(fit.margin > 1 for fit in fits)


def test_the_same_list_in_another_order_is_ranked_the_same(spoken):
    backwards = {fit.source: fit.suspicion for fit in ranked(spoken[::-1])}
    for fit in ranked(spoken):
        assert backwards[fit.source] == pytest.approx(fit.suspicion, abs=1e-3)


def test_what_cannot_be_scored_comes_first_with_its_reason(spoken, tmp_path):
    write_wav(tmp_path / "short.wav", np.zeros(5 * HOP, np.float32), RATE)
    lines = [*spoken, Line(str(tmp_path / "gone.wav"), None, "abc", "x:1"),
             spoken[0]._replace(text="aßb", source="x:2"), Line(str(tmp_path / "short.wav"), None, "abcabc", "x:3")]
    fits = ranked(lines)
    assert [fit.source for fit in fits[:3]] == ["x:1", "x:2", "x:3"] and fits[3].suspicion < math.inf
    assert all(fit.suspicion == math.inf and math.isnan(fit.margin) for fit in fits[:3])
    assert "gone.wav" in fits[0].reason and "'ß'" in fits[1].reason
    assert "short.wav has 5 frames for 13 symbols (blanks included)" in fits[2].reason


def test_a_speaker_whom_the_voice_lacks_cannot_be_scored(spoken):
    config = tiny(("data.n_speakers=2", "model.gin_channels=8"))
    lines = [line._replace(speaker=str(i % 2)) for i, line in enumerate(spoken)]
    fits = rank_lines(Reader(), config, [*lines, spoken[0]._replace(speaker="7", source="x:1")], TEXT)
    assert len(fits) == 41 and fits[1].suspicion < math.inf
    assert fits[0].source == "x:1" and "7" in fits[0].reason


def test_recordings_of_another_rate_are_resampled(tmp_path, spoken):
    write_spoken(tmp_path / "fast.wav", "abcdefgh", random.Random(3), rate=2 * RATE)
    fits = ranked([*spoken, Line(str(tmp_path / "fast.wav"), None, "abcdefgh", "x:1")])
    [fit] = [fit for fit in fits if fit.source == "x:1"]
    assert fit.margin > 1 and fit.symbols_per_second < 100


def test_too_few_lines_are_refused_with_the_first_fault(spoken, tmp_path):
    lines = [*spoken[:5], Line(str(tmp_path / "gone.wav"), None, "abc", "x:1")]
    with pytest.raises(ValueError, match=rf"(?s)5 of 6 lines can be scored, expected {FEWEST} or more.*gone.wav"):
        ranked(lines)
    with pytest.raises(ValueError, match="0 of 0 lines can be scored"):
        ranked([])


def test_a_list_of_one_and_the_same_text_is_ranked_without_other_texts(tmp_path):
    rng, lines = random.Random(1), []
    for i in range(FEWEST):
        write_spoken(tmp_path / f"{i}.wav", "abc" if i else "hgf", rng)
        lines.append(Line(str(tmp_path / f"{i}.wav"), None, "abc", f"x:{i}"))
    fits = ranked(lines)
    assert fits[0].source == "x:0" and all(math.isnan(fit.margin) for fit in fits)


def test_a_voice_that_has_not_learned_is_told_of(spoken, caplog):
    ranked(spoken)
    assert not caplog.records
    beginner = Reader()
    beginner.means = {symbol_id: torch.full((16,), 0.01 * symbol_id) for symbol_id in beginner.means}
    rank_lines(beginner, CONFIG, spoken, TEXT)
    assert "it has not learned to align yet" in caplog.text


def test_a_progress_bar_sees_every_batch(spoken):
    seen = []
    rank_lines(Reader(), CONFIG, spoken, TEXT,
               show=lambda batches, total: seen.append((len(batches), total)) or batches)
    assert seen == [(3, 3)]


def test_the_worst_stretch_is_found_within_the_utterance():
    of_frame = torch.zeros(3, 10)
    of_frame[0, 4:6] = -4.0
    of_frame[1, 9] = -100.0  # past the end of an item of 8 frames
    of_frame[1, 0] = -2.0
    of_frame[2, :2] = -1.0  # shorter than a stretch
    lowest, start = mismatch._worst_stretch(of_frame, torch.tensor([10, 8, 2]), 4)
    torch.testing.assert_close(lowest, torch.tensor([-2.0, -0.5, -1.0]))
    assert start[0] in (2, 3, 4) and start[1:].tolist() == [0, 0]


def test_a_speaker_of_many_lines_has_a_typical_value_of_its_own():
    values = np.concatenate([np.linspace(-1, 1, 21), np.linspace(9, 11, 21), [50.0]])
    speakers = ["low"] * 21 + ["high"] * 21 + ["once"]
    odd = mismatch._deviations(values, speakers)
    np.testing.assert_allclose(odd[:21], odd[21:42], atol=1e-9)
    assert odd[42] > 10
    assert np.abs(mismatch._deviations(values, [None] * 43)[:42]).max() < 3
    assert mismatch._deviations(np.ones(5), [None] * 5).tolist() == [0.0] * 5
    assert mismatch._deviations(np.array([1.0, 1, 1, 1, 6]), [None] * 5)[4] == pytest.approx(2.5)


def test_a_ranking_is_written_as_a_table_of_one_line_each(tmp_path):
    fits = [TranscriptFit("x:2", "b.wav", "two\twords", math.inf, "cannot be\nread"),
            TranscriptFit("x:1", "a.wav", "one", -0.126, "")]
    write_ranking(fits, tmp_path / "ranking.tsv")
    rows = [row.split("\t") for row in (tmp_path / "ranking.tsv").read_text(encoding="utf-8").splitlines()]
    assert rows == [["rank", "suspicion", "reason", "path", "text"],
                    ["1", "inf", "cannot be read", "b.wav", "two words"], ["2", "-0.13", "", "a.wav", "one"]]


@pytest.mark.slow
@pytest.mark.skipif(not checkpoint.list_steps(RUN), reason="no demo voice in runs/demo; `make demo` trains it")
def test_the_demo_voice_has_learned_and_finds_the_transcripts_that_were_shuffled(monkeypatch):
    from data_utils import Collate, open_corpus
    from evaluation.alignment import health_of
    from synthesis import Voice

    monkeypatch.chdir(ROOT)
    voice = Voice.load(RUN, "cpu")
    held_out = open_corpus(voice.config.data.validation_files, voice.config, voice.text)
    batch = Collate(1, HOP)([held_out[i] for i in range(min(8, len(held_out)))])
    assert health_of(voice.model, [batch], voice.text, voice.config.data).verdict.state == "learned"
    lines = read_filelist(voice.config.data.training_files, voice.config.multispeaker)[:200]
    wrong = random.Random(0).sample(range(len(lines)), len(lines) // 20)
    texts = [lines[place].text for place in wrong]
    for place, text in zip(wrong, texts[1:] + texts[:1]):
        lines[place] = lines[place]._replace(text=text)
    fits = rank_lines(voice.model, voice.config, lines, voice.text)
    worst = {fit.source for fit in fits[: len(lines) // 10]}
    assert sum(lines[place].source in worst for place in wrong) >= 0.8 * len(wrong)
