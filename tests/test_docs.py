"""What the pages in docs/ show: shell and YAML parse, torchrun knows its options, and every setting exists."""

import dataclasses
import re
import shlex
import subprocess

import pytest
from torch.distributed.run import parse_args

import config
from tests.conftest import ROOT

PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXTS = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
FILE_ENDINGS = {"py", "log", "txt", "json", "jsonl", "md"}  # `train.py` is no setting


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def all_blocks(language):
    return [pytest.param(block, id=f"{name}-{i}") for name, text in TEXTS.items()
            for i, block in enumerate(blocks(text, language))]


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


def unknown_settings(text):
    known = {f"{name}.{field.name}" for name, section in config.SECTIONS.items()
             for field in dataclasses.fields(section)}
    named = re.findall(r"(?<![\w./-])(?:train|data|model|discriminator)\.[a-z]\w*", text)
    return sorted({name for name in named if name not in known and name.partition(".")[2] not in FILE_ENDINGS})


@pytest.mark.parametrize("script", all_blocks("bash"))
def test_shell_blocks_parse(script):
    assert not unparsable(script)


@pytest.mark.parametrize("script", all_blocks("bash"))
def test_torchrun_knows_its_options_and_the_settings_behind_them_are_accepted(script):
    for words in torchrun_lines(script):
        given = parse_args([re.sub(r"\$\w+", "1", word) for word in words])
        assert given.training_script == "train.py"
        own = given.training_script_args
        assert "-c" in own, "a reader copies this line: it must say which configuration"
        overrides = [value for name, value in zip(own, own[1:]) if name == "--set"]
        config.load(ROOT / own[own.index("-c") + 1], overrides)


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


def test_these_checks_would_notice_a_mistake():
    assert unparsable("if true; then echo")
    assert unknown_settings("`train.batchsize`, train.batch_size, data.hop and train.py") == ["data.hop",
                                                                                           "train.batchsize"]
    with pytest.raises(SystemExit):
        parse_args(next(torchrun_lines("torchrun --nproc_per_node=2 \\\n  --no_such_option train.py")))
