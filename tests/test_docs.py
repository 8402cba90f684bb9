"""What the pages state is true: commands parse; settings, files, links, imports and messages exist."""

import ast
import dataclasses
import functools
import importlib
import os
import re
import shlex
import subprocess
import sys

import pytest
from torch.distributed.run import parse_args

import config
import convert
import evaluate
import export
import preprocess
import serve
import synthesize
from docs import settings
from tests.conftest import ROOT
from training import trainer

PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md",
         *sorted((ROOT / "voices").rglob("README.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
GUIDES = [name for name in TEXTS if name.startswith("docs/guide/")]
FILE_ENDINGS = {"py", "log", "onnx", "txt", "json", "jsonl", "md", "safetensors"}  # `train.py` is no setting
OUR_COMMANDS = {"train.py", "train_ms.py", "synthesize.py", "export.py", "convert.py", "preprocess.py", "evaluate.py",
                "serve.py"}
OTHERS_WORDS = ("...: No space left on device", "Root Cause (first observed failure)", "rank",
                "Connection closed by peer")  # the system's and torchrun's


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def all_blocks(language):
    return [pytest.param(block, id=f"{name}-{i}") for name, text in TEXTS.items()
            for i, block in enumerate(blocks(text, language))]


def spans(text):
    """What stands between backticks outside of blocks, on one line each; in tables a bar has a backslash."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [" ".join(span.split()).replace("\\|", "|") for span in re.findall(r"`([^`]+)`", prose)]


def unparsable(script):
    """What bash says against a script without running it, empty if nothing."""
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def torchrun_lines(script):
    """The arguments of each torchrun command in a script, continued lines joined."""
    for line in script.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if "torchrun" in words:
            words = words[words.index("torchrun") + 1 :]
            yield words[: words.index("&")] if "&" in words else words


def own_commands(text):
    """(script, arguments) of each command of this project in a page, those behind torchrun too; no abridged ones."""
    lines = [line for block in blocks(text, "bash") for line in block.replace("\\\n", " ").splitlines()]
    lines += [span for span in spans(text) if span.startswith(("python ", "torchrun "))]
    for line in lines:
        if " ... " in line or line.endswith(" ..."):
            continue
        words = shlex.split(re.sub(r"\[(-[^\]\"]*)\]", r"\1", line), comments=True)  # [--option] is one
        found = [word for word in words if word in OUR_COMMANDS]
        if found and {"python", "torchrun"} & set(words):
            own = words[words.index(found[0]) + 1 :]
            yield found[0], own[: own.index("&")] if "&" in own else own


def parsed(script, arguments, monkeypatch):
    """What the command's own parser makes of the arguments; SystemExit if it refuses them."""
    if script == "preprocess.py":
        return preprocess.build_parser().parse_args(arguments)
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    if script.startswith("train"):
        caught = []
        monkeypatch.setattr(trainer, "_run", lambda args, multispeaker: caught.append(args))
        trainer.main("", multispeaker=script == "train_ms.py")
        return caught[0]
    return {"export.py": export, "convert.py": convert, "synthesize.py": synthesize,
            "evaluate.py": evaluate, "serve.py": serve}[script].parse_arguments()


def configured(script, args):
    """The configuration that the command would train with; a run's own one is taken to be the demo's."""
    path = getattr(args, "config", None)
    if path is None or not (ROOT / path).is_file():
        path = "configs/demo_ms.json" if script == "train_ms.py" else "configs/demo.json"
    return config.load(ROOT / path, args.overrides)


def unknown_settings(text):
    known = {f"{name}.{field.name}" for name, section in config.SECTIONS.items()
             for field in dataclasses.fields(section)}
    text = re.sub(r"^```text\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)  # may show a user's mistake
    named = re.findall(r"(?<![\w./-])(?:train|data|model|discriminator)\.[a-z]\w*", text)
    return sorted({name for name in named if name not in known and name.partition(".")[2] not in FILE_ENDINGS})


@functools.cache
def texts_of_the_code():
    """All that string literals say, with a new line for each and wherever a value is put in."""
    said = []
    packages = ("audio", "corpora", "evaluation", "formats", "synthesis", "text", "training")
    for path in (*ROOT.glob("*.py"), *(path for name in packages for path in (ROOT / name).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said.append(re.sub(r"%[sdg]|%\.\d[fg]", "\n", node.value))
    return "\n".join(said)


def is_said(message):
    """Whether the code can say a message: its pieces between `...` are literals of the code, or a few such in turn."""
    return all(_is_covered(piece.strip(" :,")) for piece in message.split("..."))


def _is_covered(piece):
    said = texts_of_the_code()
    if not re.search(r"\w", piece) or piece in said:
        return True
    ends = [match.start() for match in re.finditer(r"\b", piece)][:0:-1]
    return any((end >= 8 or piece[:end].endswith("; ") or piece[:end] == "error ")
               and re.search(re.escape(piece[:end].rstrip()) + r"\W*\n", said) and _is_covered(piece[end:].strip())
               for end in ends)


@pytest.mark.parametrize("script", all_blocks("bash"))
def test_shell_blocks_parse(script):
    assert not unparsable(script)


@pytest.mark.parametrize("script", all_blocks("bash"))
def test_torchrun_knows_its_options(script):
    for words in torchrun_lines(script):
        given = parse_args([re.sub(r"\$\w+", "1", word) for word in words])
        assert given.training_script in ("train.py", "train_ms.py")
        assert {"-c", "-m"} & set(given.training_script_args), "a reader copies this line: it must say what to train"


@pytest.mark.parametrize("name", TEXTS)
def test_each_command_is_one_that_its_parser_accepts_with_settings_that_exist(name, monkeypatch):
    for script, arguments in own_commands(TEXTS[name]):
        if script == "preprocess.py" and "--text_index" in arguments:
            continue  # the published form has a parser of its own; the README's is run by test_readme.py
        try:
            args = parsed(script, arguments, monkeypatch)
        except SystemExit:
            pytest.fail(f"{name}: {script} does not take {shlex.join(arguments)}")
        if script.startswith("train"):
            assert configured(script, args).multispeaker == (script == "train_ms.py"), shlex.join(arguments)


def test_commands_are_found_in_blocks_in_prose_and_behind_torchrun():
    page = ("`python train.py -c a.json [--device cpu] [--set x.y=1]` and `torchrun ... train.py`\n```bash\n"
            "WANDB_MODE=offline python train_ms.py -m runs/a \\\n  --set 'train.trainable=[\"dec.*\"]'   # why\n"
            "torchrun --nproc_per_node=2 train.py -c b.json &\n```\n")
    assert list(own_commands(page)) == [
        ("train_ms.py", ["-m", "runs/a", "--set", 'train.trainable=["dec.*"]']), ("train.py", ["-c", "b.json"]),
        ("train.py", ["-c", "a.json", "--device", "cpu", "--set", "x.y=1"])]
    assert sum(len(list(own_commands(text))) for text in TEXTS.values()) > 40


@pytest.mark.parametrize("text", all_blocks("yaml"))
def test_yaml_blocks_parse_and_so_does_the_shell_within_them(text):
    yaml = pytest.importorskip("yaml")
    documents = list(yaml.safe_load_all(text))
    assert all(document["kind"] and document["metadata"]["name"] for document in documents)
    scripts = [container["args"][0] for document in documents if document["kind"] == "Job"
               for container in document["spec"]["template"]["spec"]["containers"]]
    for script in scripts:
        assert not unparsable(script)
        for words in torchrun_lines(script.replace("exec ", "")):
            assert parse_args([re.sub(r"\$\w+", "true", word) for word in words]).rdzv_backend == "c10d"


@pytest.mark.parametrize("name", TEXTS)
def test_every_setting_that_a_page_names_exists(name):
    assert not unknown_settings(TEXTS[name])


def headings(text):
    """The anchors of a page, as GitHub names them."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
            for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


@pytest.mark.parametrize("name", TEXTS)
def test_links_within_the_project_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", TEXTS[name]):
        target = "".join(target)
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = ROOT / name if not file else (ROOT / name).parent / file
        assert there.is_file(), f"{name}: {target}"
        assert not anchor or anchor in headings(there.read_text(encoding="utf-8")), f"{name}: {target}"


def missing_files(text):
    """Paths of this project between backticks that are not there; users' own files lie in other folders."""
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"runs", "data", "demo", "build"}
    named = {span for span in spans(text) if re.fullmatch(r"[\w./-]+\.(py|json|txt|md|cpp|safetensors)", span)}
    return sorted(path for path in named if path.partition("/")[0] in folders and not (ROOT / path).exists())


@pytest.mark.parametrize("name", TEXTS)
def test_every_file_of_the_project_that_a_page_names_exists(name):
    assert not missing_files(TEXTS[name])


def test_every_page_that_the_code_names_exists():
    sources = [*ROOT.glob("*.py"), *ROOT.glob("[a-z]*/**/*.py"), *ROOT.glob("examples/**/*.cpp"),
               ROOT / "inference.ipynb", ROOT / "Makefile"]
    named = {page for path in sources if "tests" not in path.parts
             for page in re.findall(r"docs/[\w/-]+\.md", path.read_text(encoding="utf-8"))}
    assert len(named) > 4 and not sorted(page for page in named if not (ROOT / page).is_file())


def imported_names(code):
    """(module, name) of each import from this project in a block of Python."""
    ours = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] in ours:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names if alias.name.partition(".")[0] in ours)


@pytest.mark.parametrize("code", all_blocks("python"))
def test_what_the_python_of_a_page_imports_exists(code):
    for module, name in imported_names(code):
        assert name is None or hasattr(importlib.import_module(module), name), f"from {module} import {name}"


@pytest.mark.parametrize("name, most", [("README.md", 1300), *((name, 900) for name in GUIDES)])
def test_a_page_to_be_read_through_is_short(name, most):
    assert len(TEXTS[name].split()) <= most


def test_the_page_of_settings_is_the_one_made_from_the_code():
    assert settings.PAGE.read_text(encoding="utf-8") == settings.page(), "run python -m docs.settings"


def test_each_voice_has_a_small_sample_on_the_site():
    voices = {card.parent.name for card in ROOT.glob("voices/*/README.md")}
    samples = {path.stem: path for path in (ROOT / "docs" / "samples").iterdir()}
    assert set(samples) == voices
    for path in samples.values():
        assert f'src="samples/{path.name}"' in TEXTS["docs/voices.md"]
        assert 5_000 < path.stat().st_size < 30_000


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("material", reason='pip install -e ".[docs]"; `make docs` builds it too')
    built = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
                           cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    assert built.returncode == 0, built.stderr
    n_voices = len(list((ROOT / "voices").glob("*/")))
    assert (tmp_path / "voices.html").read_text(encoding="utf-8").count("<audio controls") == n_voices
    assert (tmp_path / "samples" / "en_joe.opus").is_file() and not list(tmp_path.rglob("*.py"))
    assert "voices/en_rms.html" in (tmp_path / "guide" / "your-voice.html").read_text(encoding="utf-8")


def messages(text):
    """Messages in the tables of failures: all spans of the column that is headed so."""
    for table in re.findall(r"^(?:\|.*\|\n)+", text, re.MULTILINE):
        header, _, *rows = [re.split(r"(?<!\\)\|", row)[1:-1] for row in table.splitlines()]
        columns = [i for i, title in enumerate(header) if title.strip().startswith("message")]
        yield from (span for row in rows for i in columns for span in spans(row[i]))


def test_every_message_in_a_table_of_failures_is_one_that_the_code_says():
    shown = [message for text in TEXTS.values() for message in messages(text)]
    assert len(shown) > 30
    assert not [message for message in shown if not is_said(message) and message not in OTHERS_WORDS]


def test_the_example_of_a_callback_is_the_one_in_the_code():
    from training import callbacks

    [shown] = blocks(TEXTS["docs/guide/callbacks.md"], "python")
    assert shown.removeprefix("# watch.py\n").split() == callbacks._example().split()
    for event in ("on_start", "on_step", "on_validation", "on_save", "on_end"):
        assert f"`{event}(" in TEXTS["docs/guide/callbacks.md"] and hasattr(callbacks.Callback, event)


def test_these_checks_would_notice_a_mistake(monkeypatch):
    assert unparsable("if true; then echo")
    assert unknown_settings("`train.batchsize`, train.batch_size, data.hop and train.py") == ["data.hop",
                                                                                           "train.batchsize"]
    with pytest.raises(SystemExit):
        parse_args(next(torchrun_lines("torchrun --nproc_per_node=2 \\\n  --no_such_option train.py")))
    with pytest.raises(SystemExit):
        parsed("train.py", ["-c", "a.json", "--init_from", "b"], monkeypatch)
    args = parsed("train.py", ["-m", "runs/a", "--set", "train.batchsize=1"], monkeypatch)
    with pytest.raises(config.ConfigError, match="did you mean 'train.batch_size'"):
        configured("train.py", args)
    assert missing_files("`training/step.py`, `training/steps.py`, `runs/demo/x.json`") == ["training/steps.py"]
    assert is_said("... cannot be read: it is empty (0 bytes).")
    assert not is_said("... cannot be read: it is emty (0 bytes).")
    assert not is_said("... cannot be read, as it is empty")
