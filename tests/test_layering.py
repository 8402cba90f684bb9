"""Modules import only modules above them, no module imports a command, and an outside library has one owner."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From what needs nothing to what needs all; a package counts as one.
ORDER = ["utils", "config", "audio", "text", "monotonic_align", "commons", "mel_processing", "transforms", "modules",
         "attentions", "pitch", "generators", "discriminators", "models", "losses", "checkpoint", "formats", "corpora",
         "data_utils", "synthesis", "evaluation", "training", "serving"]
PACKAGES = [name for name in ORDER if (ROOT / name / "__init__.py").is_file()]
COMMANDS = ["train", "train_ms", "preprocess", "synthesize", "evaluate", "convert", "export", "serve", "setup"]

# Outside libraries: a pattern over source lines -> the modules that may have it.
OWNERS = {
    r"\btorch\.distributed\b|\binit_process_group\b": {"training/distributed"},
    r"\bSummaryWriter\b|^\s*(import|from) (aim|wandb)\b": {"training/trackers"},
    r"\btorch\.(save|load)\(|^\s*(import|from) safetensors\b": {"checkpoint"},
    r"\btorch\.autocast\(": {"training/step"},
    r"\bGradScaler\b": {"training/optimizers"},
    r"^\s*(import|from) (soundfile|wave|scipy\.io|av)\b|\btorchaudio\.(load|save)\b": {"audio/io", "audio/encoders"},
    r"^\s*(import|from) phonemizer\b": {"text"},
    r"^\s*(import|from) (onnx|onnxruntime)\b": {"formats", "synthesis/onnx"},
    r"^\s*(import|from) (http\.server|flask|fastapi|aiohttp|starlette)\b": {"serving"},
}
# Autocast is switched off where half precision would be wrong; only switching it on belongs to the training step.
ALLOWED = re.compile(r"torch\.autocast\(.*enabled=False\)")


def sources():
    """Each module or package of the order, each command, and their files."""
    files = {name: [ROOT / f"{name}.py"] for name in ORDER + COMMANDS if (ROOT / f"{name}.py").is_file()}
    for folder in PACKAGES:
        files[folder] = sorted((ROOT / folder).rglob("*.py"))
    return files


def imported_modules(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("module", sources())
def test_a_module_imports_only_modules_above_it(module):
    rank = {name: i for i, name in enumerate(ORDER)}
    for path in sources()[module]:
        for other in imported_modules(path):
            assert other not in COMMANDS or other == module, f"{path.name} imports the command {other}"
            if module in rank and other in rank and other != module:
                assert rank[other] < rank[module], f"{path.name} imports {other}, which stands below {module}"


@pytest.mark.parametrize("pattern", OWNERS)
def test_an_outside_thing_has_one_owner(pattern):
    for paths in sources().values():
        for path in paths:
            lines = [line for line in path.read_text(encoding="utf-8").splitlines()
                     if re.search(pattern, line) and not ALLOWED.search(line) and not line.lstrip().startswith("#")]
            module = path.relative_to(ROOT).with_suffix("").as_posix()
            assert not lines or {module, module.split("/")[0]} & OWNERS[pattern], f"{path.name}: {lines[0].strip()}"


def test_the_owner_patterns_would_catch_an_intruder():
    intruders = ["torch.distributed.barrier()", "writer = SummaryWriter(x)", "torch.save(x, y)",
                 "with torch.autocast(kind):", "GradScaler()", "import soundfile", "from phonemizer.backend import E",
                 "import onnxruntime", "import fastapi"]
    assert len(intruders) == len(OWNERS)
    for line, pattern in zip(intruders, OWNERS):
        assert re.search(pattern, line)
    for line in ("import aim", "        from wandb import init", "import safetensors.torch"):
        assert any(re.search(pattern, line) for pattern in OWNERS)


def test_every_python_file_at_the_top_has_its_place():
    known = set(ORDER) | set(COMMANDS)
    assert {path.stem for path in ROOT.glob("*.py")} <= known


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_both_maps_have_every_module_in_the_order_of_imports(page):
    text = (ROOT / page).read_text(encoding="utf-8").partition("\n## Map\n")[2].partition("\n## ")[0]
    modules = [name for name in ORDER if (ROOT / f"{name}.py").is_file() or (ROOT / name).is_dir()]
    places = [text.find(f"`{name}.py`" if (ROOT / f"{name}.py").is_file() else f"`{name}/`") for name in modules]
    assert all(place >= 0 for place in places), f"{page} lacks {modules[places.index(-1)]}"
    assert places == sorted(places), f"the map of {page} is not in the order of imports"
    commands = [name for name in COMMANDS if (ROOT / f"{name}.py").is_file() and name != "setup"]
    assert all(f"`{name}.py`" in text for name in commands)
