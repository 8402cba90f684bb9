"""Collect the browser example in a folder that any web server can serve: page, runtime, espeak-ng and a voice.

    npm ci --ignore-scripts --prefix examples/browser
    python examples/browser/build.py -m voices/en_joe -o build/browser
    python -m http.server -d build/browser --bind 127.0.0.1 8000
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = HERE / "node_modules"
COPIED = ("onnxruntime-web/dist/ort.wasm.bundle.min.mjs", "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
          "espeak-ng/dist/espeak-ng.js", "espeak-ng/dist/espeak-ng.wasm", "espeak-ng/LICENSE")


def build(voice: Path, out: Path, packages: Path = PACKAGES) -> None:
    """Write the folder.

    Args:
        voice: a folder with voice.onnx and voice.json, of one speaker, whose text becomes phonemes by espeak-ng.
        out: the folder, made if it is missing.
        packages: npm's node_modules.

    Raises:
        FileNotFoundError: npm ci has not run, or the voice has no graph.
        ValueError: a voice of many speakers, or one that reads characters.
    """
    for path in (*(packages / name for name in COPIED), voice / "voice.onnx", voice / "voice.json"):
        if not path.is_file():
            raise FileNotFoundError(f"no {path}; run npm ci --ignore-scripts --prefix {HERE}, and name a folder with "
                                    "voice.onnx and voice.json")
    data = json.loads((voice / "voice.json").read_text(encoding="utf-8"))["data"]
    if data["n_speakers"] or not any("espeak" in cleaner for cleaner in data["text_cleaners"]):
        raise ValueError(f"{voice}: this example speaks voices of one speaker with cleaners of espeak-ng; found "
                         f"{data['n_speakers']} speakers and the cleaners {', '.join(data['text_cleaners'])}")
    if not isinstance(data["symbols"], list):
        raise ValueError(f"{voice}/voice.json: data.symbols is {data['symbols']!r}, expected the symbols themselves")
    shutil.copytree(HERE / "app", out, dirs_exist_ok=True)
    for name in COPIED:
        target = "espeak-ng-LICENSE.txt" if name.endswith("LICENSE") else Path(name).name
        shutil.copyfile(packages / name, out / target)
    graph = with_real_inputs(voice / "voice.onnx")
    (out / "voice.onnx").write_bytes(graph.SerializeToString())
    shapes = {each.name: [size.dim_value for size in each.type.tensor_type.shape.dim] for each in graph.graph.input}
    names = ("symbols", "begin_end", "add_blank", "language", "sampling_rate", "text_cleaners")
    (out / "voice.json").write_text(json.dumps(
        {name: data[name] for name in names} | {"name": voice.name, "inputs": shapes}, ensure_ascii=False),
        encoding="utf-8")


def with_real_inputs(path: Path):
    """The graph without its inputs' defaults: onnxruntime-web takes an input that has one for a constant."""
    import onnx

    model = onnx.load(path)
    inputs = {each.name for each in model.graph.input}
    kept = [each for each in model.graph.initializer if each.name not in inputs]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-m", "--model", type=Path, default=HERE.parents[1] / "voices" / "en_joe", help="the voice")
    parser.add_argument("-o", "--out", type=Path, default=Path("build/browser"), help="the folder to write")
    args = parser.parse_args()
    try:
        build(args.model, args.out)
    except (ValueError, FileNotFoundError) as error:
        parser.exit(2, f"{error}\n")
    print(f"{args.out} is ready to be served")


if __name__ == "__main__":
    main()
