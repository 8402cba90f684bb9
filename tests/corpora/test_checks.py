"""What is wrong with a corpus is found and named with its line; what is right passes; repairs leave the originals."""

import hashlib
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

import preprocess
from audio.io import read_wav, write_wav
from config import DataConfig
from corpora import checks
from corpora.checks import KINDS, Limits, check_corpus, encode_texts, limits_of, measure_all, places_to_drop
from corpora.layouts import scan_corpus
from corpora.recordings import OUTLINE, Measurements, Recording, measure, measure_samples
from corpora.repairs import Repairs, repair
from corpora.scan import CorpusScan, SourceUtterance

SHARED = Path(os.environ.get("VITS_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
RATE = 16000
# file of shared/data/bad_audio -> what must be found of it
BAD = {
    "truncated_half": "truncated", "truncated_header": "unreadable", "header_only": "unreadable",
    "zero_bytes": "unreadable", "text_as_wav": "unreadable", "random_bytes": "unreadable",
    "zero_data_chunk": "unreadable", "samplerate_zero": "unreadable", "channels_zero": "unreadable",
    "pcm_u8": "coarse", "float_over_1": "beyond_one", "float_nan": "unreadable", "float_inf": "unreadable",
    "mulaw": "coarse", "alaw": "coarse", "ima_adpcm": "coarse", "stereo": "channels",
    "stereo_left_silent": "silent_channel", "six_channel": "channels", "rate_8000": "rate", "rate_16000": "rate",
    "rate_24000": "rate", "rate_44100": "rate", "rate_48000": "rate", "mp3_named": "disguised",
    "ogg_named": "disguised", "flac_named": "disguised", "one_sample": "too_short", "short_100_samples": "too_short",
    "short_1000_samples": "too_short", "shorter_than_segment": "short_for_training", "silent": "silent",
    "near_silent_dither": "silent", "dc_offset_clipped": "clipped", "very_quiet": "quiet",
    "lead_trail_silence_5s": "silence", "white_noise": "noisy", "too_fast_text_mismatch": "crowded",
    "ten_minutes": "too_long", "dir": "unreadable", "dangling": ("unreadable", "missing"), "pipe|name": "name"}
GOOD = ("good_ref streamed_size_ffffffff list_chunk_before_data odd_trailing_byte pcm_24 pcm_32 float32 float64 wavex "
        "rf64").split() + ["ünï cødé 名"]


def speech(seconds=1.5, seed=0, rate=RATE, level=0.3):
    """Bursts of tones over faint noise: loud and quiet as speech is, and unlike that of another seed."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    heights = random.uniform(0.3, 1, 13) * (np.arange(13) % 3 != 0)  # with pauses
    loud = np.interp(time, np.linspace(0, seconds, 13), heights) ** 2
    tone = np.sin(2 * np.pi * random.uniform(100, 200) * time) * loud
    return (level * tone + 1e-4 * random.standard_normal(len(time))).astype(np.float32)


def write_list(path, *rows):
    path.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
    return path


def check(*arguments):
    """The exit status of `preprocess.py check`."""
    try:
        return preprocess.main(["check", *map(str, arguments), "--jobs", "1"])
    except SystemExit as error:
        return error.code


def found(out):
    """{line number or name: kinds} of what a check wrote."""
    kinds = {}
    for row in (out / "findings.jsonl").read_text(encoding="utf-8").splitlines():
        finding = json.loads(row)
        kinds.setdefault(finding["place"].rpartition(":")[2], []).append(finding["kind"])
    return kinds


def heard(seconds, **others):
    return Measurements(**{"rate": RATE, "channels": 1, "kind": "WAV PCM_16", "seconds": seconds, "peak": 0.5,
                           "floor_db": -60.0, "speech_db": -20.0, "digest": "", **others})


def of_texts(*texts):
    sources = [SourceUtterance(str(place), f"{place}.wav", None, text, f"list.txt:{place + 1}")
               for place, text in enumerate(texts)]
    return CorpusScan("filelist", sources, [], True)


# --- files


def bad_audio():
    if not (SHARED / "bad_audio" / "MANIFEST.tsv").is_file():
        pytest.skip(f"no {SHARED / 'bad_audio'}; set VITS_SHARED_DATA")
    return SHARED / "bad_audio"


def test_every_odd_audio_file_is_found_and_the_good_ones_pass():
    folder = bad_audio()
    names = [row.partition("\t")[0] for row in (folder / "MANIFEST.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    scan = scan_corpus(folder)
    texts = {"too_fast_text_mismatch": "far too many words for that little time, " * 3}
    scan = scan._replace(has_texts=True, sources=[
        source._replace(text=texts.get(Path(source.origin).stem, "It was only a test of it."))
        for source in scan.sources])
    limits = limits_of(DataConfig(), segment_size=8192)
    findings = check_corpus(scan, list(measure_all(scan, limits)), limits)
    kinds = {Path(source.origin).stem: {finding.kind for finding in findings if finding.place == source.place}
             for source in scan.sources}
    assert set(kinds) == {Path(name).stem for name in names} == set(BAD) | set(GOOD)
    for stem, kind in BAD.items():
        assert kinds[stem] & set([kind] if isinstance(kind, str) else kind), (stem, kinds[stem])
    copies = {"duplicate_audio", "near_duplicate", "duplicate_text"}  # which they are, of one another
    assert {stem: kinds[stem] - copies for stem in GOOD} == {stem: set() for stem in GOOD}


def test_recordings_made_for_speech_synthesis_pass():
    if not (SHARED / "ljspeech32").is_dir():
        pytest.skip(f"no {SHARED / 'ljspeech32'}; set VITS_SHARED_DATA")
    scan = scan_corpus(SHARED / "ljspeech32")
    assert len(scan.sources) == 32 and check_corpus(scan, list(measure_all(scan, Limits())), Limits()) == []


def test_measures_are_what_was_put_into_the_file(tmp_path):
    silence = np.zeros(RATE // 2, np.float32)
    samples = np.concatenate([silence, speech(), silence, silence]) + np.float32(0.05)
    write_wav(tmp_path / "a.wav", samples, RATE)
    sound = measure(Recording.of(str(tmp_path / "a.wav"), 200))
    assert sound.seconds == 3.0 and sound.offset == pytest.approx(0.05 + speech().mean() / 2, abs=1e-3)
    assert sound.before == pytest.approx(0.5, abs=0.2) and sound.behind == pytest.approx(1.0, abs=0.2)
    clipped = (3 * speech()).clip(-0.5, 0.5)
    write_wav(tmp_path / "b.wav", clipped, RATE)
    share = measure(Recording.of(str(tmp_path / "b.wav"), 200)).clipped
    assert share == pytest.approx(np.mean(np.abs(clipped) == 0.5), rel=0.2) and share > 0.01
    write_wav(tmp_path / "c.wav", speech(), RATE)
    assert measure(Recording.of(str(tmp_path / "c.wav"), 200)).clipped < 1e-3


def sound_of(path):
    return measure(Recording.of(str(path), 200))


@pytest.mark.parametrize("ending", ["flac", "ogg", "mp3", "wav", "opus"])
def test_a_file_that_lacks_its_end_or_was_changed_is_found_and_a_whole_one_passes(tmp_path, ending):
    subtype = {"opus": ("OGG", "OPUS")}.get(ending, (ending.upper(), None))
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, speech(6), RATE, format=subtype[0], subtype=subtype[1])
    assert (sound_of(path).fault, sound_of(path).damage) == ("", "")
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2])
    assert sound_of(path).fault == "unreadable" or sound_of(path).damage
    if ending == "flac":
        for bits in ("PCM_S8", "PCM_16", "PCM_24"):
            soundfile.write(path, np.stack([speech(), speech(seed=1)], axis=1), RATE, subtype=bits)
            content = bytearray(path.read_bytes())
            assert sound_of(path).damage == ""
            content[30] ^= 1  # within the MD5
            path.write_bytes(content)
            assert "not those that were encoded (MD5)" in sound_of(path).damage


@pytest.mark.parametrize("ending", ["ogg", "mp3", "wav"])
def test_preparation_warns_of_a_file_that_lacks_its_end(tmp_path, ending, capsys):
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, speech(6), RATE)
    path.write_bytes(path.read_bytes()[:-path.stat().st_size // 3])
    listed = write_list(tmp_path / "list.txt", f"{path}|Some words that are said.")
    assert preprocess.main(["filelist", str(listed), "--out", str(tmp_path / "out"), "--jobs", "1"]) == 0
    assert f"list.txt:1: {path} is damaged: " in capsys.readouterr().out


def test_the_length_that_a_header_claims_is_no_audio(tmp_path):
    soundfile.write(tmp_path / "a.flac", speech(), RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21:26] = bytes([content[21] | 0x0F, *b"\xff\xff\xff\xf0"])
    (tmp_path / "claim.flac").write_bytes(content)
    assert soundfile.info(tmp_path / "claim.flac").duration > 1e6
    sound = sound_of(tmp_path / "claim.flac")
    assert sound.fault == "unreadable" and "breaks off after" in sound.reason and sound.seconds == 0
    soundfile.write(tmp_path / "long.flac", np.tile(speech(10), 30), RATE)
    assert sound_of(tmp_path / "long.flac").seconds == 300


@pytest.mark.parametrize("rate, is_read", [(1, False), (50, False), (100, True), (384001, True), (999999, True),
                                           (2000000, False), (2**31 - 1, False)])
def test_rates_that_no_recording_has_are_findings_and_no_rate_ends_the_check(tmp_path, rate, is_read):
    soundfile.write(tmp_path / "a.wav", 0.5 + speech(0.02 if rate < 200 else 0.1, rate=16000), rate)
    path = write_list(tmp_path / "list.txt", "a.wav|Some words.")
    assert check(path) in (0, 1)
    assert ("unreadable" in found(tmp_path / "list.txt.check")["1"]) == (not is_read)


def test_one_sample_far_beyond_one_leaves_the_medians_as_they_are(tmp_path, capsys):
    for name in ("a", "b"):
        write_wav(tmp_path / f"{name}.wav", speech(seed=ord(name)), RATE)
    samples = speech()
    samples[500] = 1e30
    soundfile.write(tmp_path / "c.wav", samples, RATE, subtype="FLOAT")
    path = write_list(tmp_path / "list.txt", "a.wav|Some words said.", "b.wav|Other words said.", "c.wav|More words.")
    assert check(path, "--repair", "trim", "--out", tmp_path / "o") == 1
    printed = capsys.readouterr()
    assert "nan" not in printed.out + printed.err and "Warning" not in printed.err
    assert found(tmp_path / "o") == {"3": ["unreadable"]}
    assert len((tmp_path / "o" / "filelist.txt").read_text().splitlines()) == 2


def test_noise_under_speech_is_measured():
    write = np.random.default_rng(1).standard_normal
    for noise, low, high in ((0.0003, 40, 70), (0.05, 3, 20)):
        sound = measure_samples((speech(3) + noise * write(3 * RATE)).astype(np.float32), RATE)
        assert low < sound.snr_db < high


# --- lines and texts


def test_two_files_of_one_name_are_told_before_prepare_refuses_them(tmp_path):
    for name in ("a.wav", "a.flac", "b.wav"):
        write_wav(tmp_path / name, speech(seed=ord(name[-1]) + ord(name[0])), RATE)
    path = write_list(tmp_path / "list.txt", "a.wav|Well said.", "a.flac|Said otherwise.", "b.wav|Something else.")
    assert check(path) == 1
    assert found(tmp_path / "list.txt.check") == {"2": ["same_name"]}


def test_each_bad_line_is_named_with_what_was_found_what_was_expected_and_what_to_do(tmp_path, capsys):
    for name in "abcd":
        write_wav(tmp_path / f"{name}.wav", speech(seed=ord(name)), RATE)
    path = write_list(tmp_path / "list.txt", "a.wav|Well said indeed.", "b.wav|", "gone.wav|Nobody said this.", "c.wav",
                      "", "c.wav|Something said.", "c.wav|Said otherwise.", "d.wav|well  Said indeed.")
    out = tmp_path / "list.txt.check"
    assert check(path) == 1
    assert found(out) == {"2": ["empty_text"], "3": ["missing"], "4": ["columns"],
                          "7": ["same_name", "duplicate_conflict"], "8": ["duplicate_text"]}
    finding = json.loads((out / "findings.jsonl").read_text().splitlines()[0])
    assert finding == {
        "severity": "error", "kind": "columns", "place": f"{path}:4", "audio": "", "text": "", "found": "1 column",
        "expected": "2 (audio|text); a '|' inside a text counts as a separator",
        "advice": "a '|' inside a name or a text counts as a separator; repair the line"}
    printed = capsys.readouterr().out
    assert f"error     missing                   1  {path}:3: no file" in printed
    assert "note      duplicate_text            1" in printed
    assert (out / "summary.txt").read_text() in printed
    assert (out / "cleaned.txt").read_text().splitlines() == [
        f"{tmp_path}/{row}" for row in ("a.wav|Well said indeed.", "c.wav|Something said.",
                                        "d.wav|well  Said indeed.")]


def test_the_cleaned_list_leaves_out_what_is_asked_for(tmp_path):
    findings = [checks.Finding(kind, f"l:{row}", "", "", "", "") for row, kind in
                enumerate(("missing", "clipped", "tempo", "channels"))]
    assert places_to_drop(findings, ["errors"]) == {"l:0"}
    assert places_to_drop(findings, ["errors", "tempo"]) == {"l:0", "l:2"}
    assert places_to_drop(findings, ["warnings", "channels"]) == {"l:1", "l:2", "l:3"}
    path = write_list(tmp_path / "list.txt", "a.wav|x")
    assert check(path, "--drop", "erors") == 2 and not (tmp_path / "list.txt.check").exists()


def test_a_wrong_kind_or_repair_says_which_there_are(tmp_path, capsys):
    assert check(tmp_path, "--drop", "clipt") == 2
    assert "--drop clipt: expected errors, warnings, notes, or some of columns name missing" in capsys.readouterr().err
    assert check(tmp_path, "--repair", "trim,paint", "--out", tmp_path / "o") == 2
    assert "--repair paint: expected some of dc,trim,resample,loudness" in capsys.readouterr().err
    assert check(tmp_path, "--min_seconds", 30) == 2
    assert "--min_seconds 30 and --max_seconds 20: expected them above 0 and in order" in capsys.readouterr().err
    assert check(tmp_path, "--limit", -1) == 2 and "--limit -1: expected --jobs of 1 or more" in capsys.readouterr().err
    assert check(tmp_path, "--repair", "trim") == 2
    assert "give its folder by --out" in capsys.readouterr().err


def test_a_tempo_far_from_the_usual_is_found_and_a_usual_one_is_not():
    random = np.random.default_rng(0)
    texts = ["a" * int(length) for length in random.integers(30, 120, 60)]
    sounds = [heard(len(text) / random.normal(15, 1)) for text in texts]
    sounds[7] = heard(len(texts[7]) / 4)
    sounds[40] = heard(len(texts[40]) / 34)
    findings = [finding for finding in check_corpus(of_texts(*texts), sounds, Limits()) if finding.kind == "tempo"]
    assert [finding.place for finding in findings] == ["list.txt:8", "list.txt:41"]
    assert "times the usual (robust z -" in findings[0].found


def test_a_text_that_its_audio_has_no_time_for_is_an_error():
    scan = of_texts("A text of many words.", "A" * 150)
    kinds = [finding.kind for finding in check_corpus(scan, [heard(2.0), heard(1.0)], Limits(max_seconds=20))]
    assert kinds == ["crowded"]
    data = DataConfig(hop_length=256, sampling_rate=RATE, text_cleaners=("basic_cleaners",), symbols="characters",
                      cleaned_text=False)
    short = heard(0.5)  # 31 frames for 43 symbols with their blanks
    findings = check_corpus(scan, [short, heard(10.0)], limits_of(data), encode_texts(scan, data))
    assert [(finding.kind, finding.found) for finding in findings] == [
        ("crowded", "43 symbols, blanks counted, for 31 frames")]


def test_symbols_that_the_configurations_table_lacks_are_errors():
    data = DataConfig(text_cleaners=("basic_cleaners",), symbols="characters", cleaned_text=False)
    scan = of_texts("Good words here.", "Böse words here.", "")
    spellings = encode_texts(scan, data)
    assert [spelling.kind for spelling in spellings] == ["", "unknown_symbol", ""]
    assert "(U+00F6)" in spellings[1].fault
    findings = check_corpus(scan, [heard(1.0, rate=22050)] * 3, limits_of(data), spellings)
    assert [(finding.kind, finding.place) for finding in findings if finding.severity == "error"] == [
        ("unknown_symbol", "list.txt:2"), ("empty_text", "list.txt:3")]


def test_symbols_that_are_too_rare_to_be_learnt_are_noted():
    data = DataConfig(text_cleaners=("basic_cleaners",), symbols="characters", cleaned_text=False)
    texts = [f"good words {'quite' if place < 3 else ''}" for place in range(200)]
    for some, noted in ((texts, ["symbols that occur fewer than 20 times: 'e' 3, 'i' 3, 'q' 3, 't' 3, 'u' 3"]),
                        (texts[:50], [])):
        scan = of_texts(*some)
        findings = check_corpus(scan, [heard(2.0, rate=22050)] * len(some), limits_of(data), encode_texts(scan, data))
        assert [finding.found for finding in findings if finding.kind == "rare_symbol"] == noted


def test_a_table_of_symbols_that_was_repaired_is_believed(tmp_path):
    table = write_list(tmp_path / "symbols.txt", *"abdeghiorsw .")
    data = DataConfig(text_cleaners=("basic_cleaners",), symbols=str(table), cleaned_text=False)
    scan = of_texts("böse words here.")
    assert [spelling.kind for spelling in encode_texts(scan, data, journal=tmp_path / "journal")] == ["unknown_symbol"]
    write_list(table, *"abdeghiorsw .", "ö")
    assert [spelling.kind for spelling in encode_texts(scan, data, journal=tmp_path / "journal")] == [""]


def test_texts_that_are_said_again_and_again_are_no_finding():
    findings = check_corpus(of_texts(*["zero", "one"] * 6), [heard(0.5)] * 12, Limits())
    assert findings == []


# --- recordings that come twice


def test_copies_are_found_at_another_gain_and_in_another_format(tmp_path):
    for name in ("one", "two"):
        write_wav(tmp_path / f"{name}.wav", speech(seed=len(name) + ord(name[0])), RATE)
    original = read_wav(tmp_path / "one.wav").samples
    write_wav(tmp_path / "z_same.flac", original, RATE)
    write_wav(tmp_path / "z_softer.wav", 0.5 * original, RATE)
    write_wav(tmp_path / "z_ogg.ogg", original, RATE, "VORBIS")
    scan = scan_corpus(tmp_path)
    findings = [finding for finding in check_corpus(scan, list(measure_all(scan, Limits())), Limits())
                if finding.kind != "no_text"]
    assert {(Path(finding.audio).name, finding.kind) for finding in findings} == {
        ("z_same.flac", "duplicate_audio"), ("z_softer.wav", "near_duplicate"), ("z_ogg.ogg", "near_duplicate")}
    assert all("one.wav" in finding.found for finding in findings)
    outline = measure(Recording.of(str(tmp_path / "one.wav"), 200)).outline_db
    assert len(outline) == OUTLINE and outline.min() == 0 and 30 < outline.max() <= 40


# --- kinds of corpora


def test_the_layout_is_recognised(tmp_path, capsys):
    for name in ("lj/wavs/a.wav", "vctk/wav48/p1/p1_1.wav", "plain/deep/b.wav", "plain/c.wav", "bare/d.wav"):
        write_wav(tmp_path / name, speech(seed=len(name)), RATE)
    write_list(tmp_path / "lj" / "metadata.csv", "a|Some words.", "a|b|c|d")
    (tmp_path / "vctk" / "txt" / "p1").mkdir(parents=True)
    write_list(tmp_path / "vctk" / "txt" / "p1" / "p1_1.txt", "Please call.")
    write_list(tmp_path / "plain" / "c.txt", "Beside it.")
    scans = {name: scan_corpus(tmp_path / name) for name in ("lj", "vctk", "plain", "bare")}
    assert {name: (scan.layout, [source.text for source in scan.sources]) for name, scan in scans.items()} == {
        "lj": ("ljspeech", ["Some words."]), "vctk": ("vctk", ["Please call."]),
        "plain": ("audio", ["Beside it.", ""]), "bare": ("audio", [""])}
    assert [row.found for row in scans["lj"].bad_rows] == ["4 columns"] and scans["vctk"].sources[0].speaker == "p1"
    assert check(tmp_path / "bare") == 1 and "the only file has no text" in capsys.readouterr().out
    assert check(tmp_path / "plain", "--out", tmp_path / "o") == 1 and "empty_text" in found(tmp_path / "o")[
        str(tmp_path / "plain" / "deep" / "b.wav")]
    (tmp_path / "nothing").mkdir()
    assert check(tmp_path / "nothing") == 2
    assert "nothing holds no corpus; expected a filelist, a folder with metadata.csv" in capsys.readouterr().err


def test_a_second_check_reads_only_what_has_changed(tmp_path, monkeypatch):
    for place in range(3):
        write_wav(tmp_path / "wavs" / f"{place}.wav", speech(seed=place), RATE)
        write_list(tmp_path / "wavs" / f"{place}.txt", f"The words of number {place}.")
    read = []
    real = checks.measure
    monkeypatch.setattr(checks, "measure", lambda file: (read.append(file.path), real(file))[1])
    assert check(tmp_path / "wavs") == 0 and len(read) == 3
    first = (tmp_path / "wavs.check" / "summary.txt").read_text()
    assert check(tmp_path / "wavs") == 0 and len(read) == 3
    assert (tmp_path / "wavs.check" / "summary.txt").read_text() == first
    write_wav(tmp_path / "wavs" / "1.wav", speech(0.7, seed=1), RATE)
    assert check(tmp_path / "wavs") == 0 and len(read) == 6  # three make one shard


# --- the page


def test_the_page_has_a_player_for_each_suspect_and_says_how_many_it_leaves_out(tmp_path):
    for place in range(3):
        write_wav(tmp_path / f"{place}.wav", speech(seed=place) + np.float32(0.1 * place), RATE)
    path = write_list(tmp_path / "list.txt", "0.wav|Fine words here.", "1.wav|Say <b>this</b>.", "2.wav|Other words.",
                      "none.wav|Not there.")
    assert check(path, "--limit", 2) == 1
    page = (tmp_path / "list.txt.check" / "suspects.html").read_text(encoding="utf-8")
    assert page.count("<article") == 2 and page.count('src="data:audio/flac;base64,') == 1
    assert "The first 2 of 3 suspects" in page and "http://" not in page and "https://" not in page
    assert page.index("error: missing") < page.index("warning: offset")
    assert "&lt;b&gt;this&lt;/b&gt;" in page and "Fine words here" not in page


# --- a trained voice


def test_what_a_trained_voice_finds_odd_joins_the_findings(tmp_path, monkeypatch, capsys):
    asked = []

    def rank(model, config, lines, text, show):
        asked.extend((line.text, config.data.cleaned_text) for line in lines)
        return [SimpleNamespace(source=line.source, wav_path=line.wav_path, text=line.text, suspicion=7.25,
                                reason="fits worse than other texts" if "two" in line.text else "")
                for line in show(lines, len(lines))]

    monkeypatch.setitem(sys.modules, "evaluation.mismatch", SimpleNamespace(rank_lines=rank))
    voice = SimpleNamespace(model=None, text=None, config=preprocess.settings.from_dict({}))
    speaking = SimpleNamespace(load=lambda run, trust_plugins: voice)
    monkeypatch.setitem(sys.modules, "synthesis", SimpleNamespace(Voice=speaking))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text('{"data": {"sampling_rate": 16000, "text_cleaners": '
                                                  '["basic_cleaners"], "symbols": "characters"}}')
    for name in ("a", "b"):
        write_wav(tmp_path / "lj" / "wavs" / f"{name}.wav", speech(seed=ord(name)), RATE)
    write_list(tmp_path / "lj" / "metadata.csv", "a|number one said", "b|number two said", "c|number three said")
    assert check(tmp_path / "lj", "-m", tmp_path / "run") == 1
    assert asked == [("number one said", False), ("number two said", False)]  # written texts, of files that are there
    assert found(tmp_path / "lj.check")["2"] == ["unlike_text"]
    finding = (tmp_path / "lj.check" / "findings.jsonl").read_text().splitlines()[-1]
    assert "fits worse than other texts (suspicion 7.2)" in finding
    assert "warning: unlike_text" in (tmp_path / "lj.check" / "suspects.html").read_text()

    def too_few(*_):
        raise ValueError("2 of 2 lines can be scored, expected 20 or more")

    monkeypatch.setitem(sys.modules, "evaluation.mismatch", SimpleNamespace(rank_lines=too_few))
    assert check(tmp_path / "lj", "-m", tmp_path / "run", "--out", tmp_path / "few") == 1
    assert found(tmp_path / "few") == {"3": ["missing"]}
    assert "warning: texts were not compared with the voice: 2 of 2 lines can be scored" in capsys.readouterr().err


def test_a_voice_that_is_not_there_is_said_before_anything_is_heard(tmp_path, capsys):
    write_wav(tmp_path / "in" / "a.wav", speech(), RATE)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    assert check(tmp_path / "in", "-m", tmp_path / "run") == 2
    assert "run holds no checkpoint yet" in capsys.readouterr().err and not (tmp_path / "in.check").exists()


# --- repairs


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*"))
            if path.is_file()}


def test_repairs_are_made_on_a_copy_with_a_log_and_the_originals_stay(tmp_path):
    silence = np.zeros(RATE, np.float32)
    write_wav(tmp_path / "in" / "a.wav", np.concatenate([silence, speech(level=0.1), silence]) + np.float32(0.1), RATE)
    soundfile.write(tmp_path / "in" / "b.flac", np.stack([speech(seed=5, rate=44100)] * 2, axis=1), 44100)
    (tmp_path / "in" / "c.wav").write_text("no sound")
    path = write_list(tmp_path / "in" / "list.txt", "a.wav|First words.", "b.flac|Second words.", "c.wav|Third words.")
    before, out = digests(tmp_path / "in"), tmp_path / "out"
    assert check(path, "--repair", "trim,dc,resample,loudness", "--rate", RATE, "--out", out) == 1
    assert digests(tmp_path / "in") == before
    assert (out / "filelist.txt").read_text().splitlines() == [
        f"{out}/wavs/a.wav|First words.", f"{out}/wavs/b.wav|Second words."]
    log = (out / "repairs.txt").read_text().splitlines()
    assert len(log) == 2 and "moved by -0.1" in log[0] and "cut 1.8" in log[0] and " dB, towards -23 " in log[0]
    assert "44100 Hz became 16000 Hz" in log[1]
    assert check(out / "filelist.txt") == 0
    assert found(Path(f"{out / 'filelist.txt'}.check")) == {}
    for name in ("a", "b"):
        samples, rate = soundfile.read(out / "wavs" / f"{name}.wav")
        assert rate == RATE and samples.ndim == 1 and abs(samples.mean()) < 1e-3 and 1.2 < len(samples) / rate < 1.8


def test_a_copy_never_takes_the_place_of_an_original(tmp_path, capsys):
    write_wav(tmp_path / "lj" / "wavs" / "a.wav", speech() + np.float32(0.1), RATE)
    write_list(tmp_path / "lj" / "metadata.csv", "a|Some words.")
    before = digests(tmp_path / "lj")
    assert check(tmp_path / "lj", "--repair", "dc", "--out", tmp_path / "lj") == 2
    assert "and would be overwritten; name another folder" in capsys.readouterr().err
    assert digests(tmp_path / "lj") == before


def test_a_copy_never_takes_the_place_of_what_a_link_leads_to(tmp_path):
    write_wav(tmp_path / "out" / "wavs" / "a.wav", speech() + np.float32(0.1), RATE)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.wav").symlink_to(tmp_path / "out" / "wavs" / "a.wav")
    before = digests(tmp_path / "out" / "wavs")
    check(tmp_path / "in", "--repair", "dc", "--out", tmp_path / "out")
    assert digests(tmp_path / "out" / "wavs") == before
    assert "left alone" in (tmp_path / "out" / "repairs.txt").read_text()


def test_a_list_that_is_checked_is_not_written_over(tmp_path, capsys):
    write_wav(tmp_path / "a.wav", speech(), RATE)
    path = write_list(tmp_path / "cleaned.txt", f"{tmp_path}/a.wav|Some words.", "nowhere.wav|Other words.")
    assert check(path, "--out", tmp_path) == 2
    assert "is the list that is read and would be overwritten; name another folder" in capsys.readouterr().err
    assert len(path.read_text().splitlines()) == 2


def test_recordings_of_one_name_have_a_copy_each(tmp_path):
    (tmp_path / "in").mkdir()
    for seed, name in enumerate(("a.flac", "a.ogg", "a.wav", "a_2.wav")):
        soundfile.write(tmp_path / "in" / name, speech(seed=seed), RATE)
    out = tmp_path / "out"
    check(tmp_path / "in", "--repair", "trim", "--out", out)
    names = [row.partition("|")[0] for row in (out / "filelist.txt").read_text().splitlines()]
    assert names == [f"{out}/wavs/{name}.wav" for name in ("a", "a_3", "a_4", "a_2")]
    assert all(Path(name).is_file() for name in names)


def test_a_repair_needs_no_rate_where_no_audio_can_be_read(tmp_path):
    write_wav(tmp_path / "a.wav", speech(), RATE)
    path = write_list(tmp_path / "list.txt", f"{tmp_path}/a.wav|Some words.", "b.wav|Other words.", "c.wav|And more.")
    check(path, "--repair", "resample", "--out", tmp_path / "out")  # most of the files have no rate at all
    assert len((tmp_path / "out" / "filelist.txt").read_text().splitlines()) == 1
    path = write_list(tmp_path / "list.txt", "b.wav|Other words.")
    assert check(path, "--repair", "resample", "--out", tmp_path / "none") == 1
    assert (tmp_path / "none" / "filelist.txt").read_text() == ""


def test_nothing_at_all_is_not_called_right(tmp_path, capsys):
    assert check(write_list(tmp_path / "empty.txt")) == 2
    assert "empty.txt holds no corpus" in capsys.readouterr().err


def test_a_corpus_is_checked_from_within_its_folder(tmp_path, monkeypatch):
    write_wav(tmp_path / "mine" / "a.wav", speech(), RATE)
    write_list(tmp_path / "mine" / "a.txt", "Some words.")
    monkeypatch.chdir(tmp_path / "mine")
    assert check(".") == 0
    assert (tmp_path / "mine.check" / "findings.jsonl").is_file() and len(list((tmp_path / "mine").iterdir())) == 2


def test_a_name_that_no_file_can_have_is_a_finding(tmp_path):
    path = write_list(tmp_path / "list.txt", "a\0b.wav|Some words.")
    assert check(path) == 1 and found(Path(f"{path}.check")) == {"1": ["missing"]}
    assert "no file a\0b.wav" in (tmp_path / "list.txt.check" / "summary.txt").read_text()


def test_ids_with_the_ending_of_their_audio_are_understood(tmp_path):
    write_wav(tmp_path / "wavs" / "a.wav", speech(), RATE)
    write_list(tmp_path / "metadata.csv", "a.wav|Some words.")
    [source] = scan_corpus(tmp_path).sources
    assert source.origin == str(tmp_path / "wavs" / "a.wav") and source.id == "a"


def test_loudness_is_set_without_the_package_that_measures_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    louder, rate, done = repair(speech(level=0.05), RATE, Repairs(("loudness",), RATE, Path("x"), loudness=-26.0))
    assert 20 * np.log10(np.sqrt(np.mean(louder**2))) == pytest.approx(-26, abs=0.05)
    assert "dB RMS" in done[0] and rate == RATE
    silent, _, done = repair(np.zeros(RATE, np.float32), RATE, Repairs(("loudness",), RATE, Path("x")))
    assert not silent.any() and done == []


def test_every_kind_has_its_severity_and_says_what_to_do():
    for kind, about in KINDS.items():
        assert about.severity in checks.SEVERITIES and about.advice and kind == kind.lower()
    severities = [about.severity for about in KINDS.values()]
    assert severities == sorted(severities, key=checks.SEVERITIES.index)


def test_letters_of_an_unknown_script_are_found():
    data = DataConfig(text_cleaners=("normalised_espeak",), language="de", symbols="ipa", cleaned_text=False)
    found = checks._encode_block((data, ("Guten Tag.", "Hallo 世界.")))
    assert not found[0].fault and found[1].kind == "unknown_script" and "世界 (CJK, Han characters)" in found[1].fault
