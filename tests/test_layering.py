"""The house's order: nouns import only nouns above them, nobody imports a verb, an outside thing has one owner."""

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
VERBS = ["train", "train_ms", "preprocess", "synthesize", "evaluate", "convert", "export", "serve", "setup"]

# What only its owner may say, as a pattern over source lines -> the rooms that may.
OWNERS = {
    r"\btorch\.distributed\b|\binit_process_group\b": {"training/distributed"},
    r"\bSummaryWriter\b|^\s*(import|from) (aim|wandb)\b": {"training/trackers"},
    r"\btorch\.(save|load)\(|^\s*(import|from) safetensors\b": {"checkpoint"},
    r"\btorch\.autocast\(": {"training/step"},
    r"\bGradScaler\b": {"training/optimizers"},
    r"^\s*(import|from) (soundfile|wave|scipy\.io)\b|\btorchaudio\.(load|save)\b": {"audio/io"},
    r"^\s*(import|from) phonemizer\b": {"text"},
    r"^\s*(import|from) (onnx|onnxruntime)\b": {"formats", "synthesis/onnx"},
    r"^\s*(import|from) (http\.server|flask|fastapi|aiohttp|starlette)\b": {"serving"},
}
# Autocast is switched off where half precision would be wrong; only switching it on belongs to the training step.
ALLOWED = re.compile(r"torch\.autocast\(.*enabled=False\)")


def sources():
    """Each room of the house and its files."""
    rooms = {name: [ROOT / f"{name}.py"] for name in ORDER + VERBS if (ROOT / f"{name}.py").is_file()}
    for folder in PACKAGES:
        rooms[folder] = sorted((ROOT / folder).rglob("*.py"))
    return rooms


def imported_rooms(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("room", sources())
def test_a_room_imports_only_rooms_above_it(room):
    rank = {name: i for i, name in enumerate(ORDER)}
    for path in sources()[room]:
        for other in imported_rooms(path):
            assert other not in VERBS or other == room, f"{path.name} imports the verb {other}"
            if room in rank and other in rank and other != room:
                assert rank[other] < rank[room], f"{path.name} imports {other}, which stands below {room}"


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
    known = set(ORDER) | set(VERBS)
    assert {path.stem for path in ROOT.glob("*.py")} <= known


def test_the_readme_prints_the_order_of_the_rooms():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rooms = [name for name in ORDER if (ROOT / f"{name}.py").is_file() or (ROOT / name).is_dir()]
    places = [text.find(f"`{name}.py`") if (ROOT / f"{name}.py").is_file() else text.find(f"`{name}/`")
              for name in rooms]
    assert all(place >= 0 for place in places), f"README lacks {rooms[places.index(-1)]}"
    assert places == sorted(places), "README's map is not in the order of the rooms"
