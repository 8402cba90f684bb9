"""Turn somebody else's voice into a run of this project.

    python convert.py logs/ljs_base -o runs/ljs          # python train.py -m runs/ljs goes on with it
    python convert.py mms/ron -o runs/ron                # and python synthesize.py -m runs/ron speaks with it
    python convert.py en_US-joe-medium.onnx -o joe       # a Piper voice, with its .onnx.json beside it
    python convert.py en_US-joe-medium.onnx -o joe --teach-posterior filelists/en_sentences.txt
    python convert.py G_100000.pth --config ljs_base.json --set data.training_files=data/ljs/train.txt -o runs/ljs

Where there are no discriminators, what is written is a release, which speaks and which a new run can start from.
"""

from __future__ import annotations

import utils

if __name__ == "__main__":
    utils.leave_on_interrupt()  # while what is below is imported

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import config as settings
import formats
from utils import load_plugins, printable, set_up_logging, user_errors

if TYPE_CHECKING:  # seconds of imports, once the arguments are right
    from formats import Imported


def write_run(imported: Imported, run_dir: Path) -> list[Path]:
    """A run folder with one checkpoint, as if the voice had been trained here.

    Raises:
        ValueError: there are checkpoints in the folder, or somebody's config.json.
    """
    import torch

    import checkpoint
    from text import TextProcessor
    from training.step import new_networks, new_state

    if checkpoint.newest(run_dir) is not None:
        raise ValueError(f"{run_dir} holds checkpoints already; name a new folder")
    if (run_dir / "config.json").exists():  # such as that of the voice that is read
        raise ValueError(f"{run_dir} holds a config.json already; name a new folder")
    config, source = imported.config, Path("the converted voice")
    networks = new_networks(config, len(TextProcessor.from_config(config.data).symbols), torch.device("cpu"))
    checkpoint.load_state(networks.generator, imported.generator, source, "generator")
    checkpoint.load_state(networks.discriminators, imported.discriminators, source, "discriminators")
    state = new_state(config, networks)  # its average is the generator as it is
    state.step = imported.step
    for part, updater in (("generator", state.generator_updater), ("discriminators", state.discriminator_updater)):
        if imported.optimizers and part in imported.optimizers:
            updater.load_state_dict(_with_moments(updater.state_dict(), imported.optimizers[part]))
    run_dir.mkdir(parents=True, exist_ok=True)
    settings.save(config, run_dir / "config.json")
    payload = {"config": settings.to_dict(config), **state.state_dict()}
    return [run_dir / "config.json", checkpoint.save(run_dir, imported.step, payload)]


def _with_moments(own: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Our updater's state with somebody's moments and learning rate; how the optimizer computes stays ours."""
    optimizer = own["optimizer"]
    [group] = optimizer["param_groups"]
    return {**own, "optimizer": {"state": theirs["state"],
                                 "param_groups": [{**group, "lr": theirs["param_groups"][0]["lr"]}]}}


def write_release(imported: Imported, folder: Path) -> list[Path]:
    """A release folder: what speaks, and nothing of a training; with a card if the voice's makers say what it is."""
    import checkpoint
    from evaluation import release
    from evaluation.card import Card
    from formats import publishing

    weights = checkpoint.Weights(settings.to_dict(imported.config), imported.generator, None, imported.step, folder)
    if not (imported.data or imported.licence):
        return publishing.publish_weights(weights, folder)
    card = Card(title=None, data=imported.data or None, licence=imported.licence or None)
    return release.write(weights, folder, card, release.Form()).files


def with_posterior(imported: Imported, texts: Path, steps: int) -> Imported:
    """The voice with a posterior encoder, which learned from what the voice itself says of texts, a line each.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the voice has a posterior encoder, or no line of the file is long enough.
    """
    import torch
    from tqdm import tqdm

    from mel_processing import spectrogram
    from models import SynthesizerTrn
    from synthesis.noise import SeededNoise
    from text import TextProcessor
    from training import posterior

    config = imported.config
    text = TextProcessor.from_config(config.data)
    model = SynthesizerTrn(len(text.symbols), config).eval()
    if "enc_q" not in model.leave_out(imported.generator):
        raise ValueError("--teach-posterior: the voice has a posterior encoder already; leave it out")
    model.load_state_dict(imported.generator)
    examples, meant = [], config.speaking
    lines = [line.strip() for line in texts.read_text(encoding="utf-8").splitlines() if line.strip()]
    for i, said in enumerate(tqdm(text.clean(lines), "the voice speaks", unit="line", disable=None)):
        ids = text.encode_lenient(said).ids
        speaker = torch.tensor([i % config.data.n_speakers]) if config.multispeaker else None
        out = model.infer(torch.tensor([ids]), torch.tensor([len(ids)]), speaker, noise_scale=meant.noise_scale,
                          noise_scale_duration=meant.noise_scale_duration, noise=SeededNoise([i]))
        if out.z.shape[2] >= posterior.FRAMES:
            with torch.no_grad():
                g = model.speaker_embedding(speaker)
            examples.append(posterior.SpokenExample(spectrogram(out.wav[:, 0], config.data)[0], out.z[0],
                                               None if g is None else g[0]))
    if not examples:
        raise ValueError(f"{texts}: of {len(lines)} lines none is spoken for {posterior.FRAMES} frames; "
                         "expected sentences, some hundred of them")
    left = list(tqdm(posterior.fit_posterior(model, config, examples, steps), "teaching", steps, disable=None))
    print(f"posterior encoder: of the latents' variance {sum(left[-10:]) / len(left[-10:]):.0%} are not explained, "
          f"after {steps} steps on {len(examples)} sentences")
    taught = {name: tensor.detach() for name, tensor in model.state_dict().items() if name.startswith("enc_q.")}
    return imported._replace(generator={**imported.generator, **taught})


def found(imported: Imported) -> str:
    """What a voice is, in a few words."""
    config = imported.config
    table = config.data.symbols if isinstance(config.data.symbols, str) else f"{len(config.data.symbols)} of its own"
    counts = {part: sum(tensor.numel() for tensor in tensors.values()) / 1e6 for part, tensors in (
        ("generator", imported.generator), ("discriminators", imported.discriminators)) if tensors is not None}
    numbers = ", ".join(f"{part} {count:.1f} M parameters" for part, count in counts.items())
    voices = f"{config.data.n_speakers} speakers" if config.multispeaker else "one speaker"
    moments = ", ".join(imported.optimizers) if imported.optimizers else "none"
    return (f"{voices}, {config.data.sampling_rate} Hz, {config.model.duration_predictor} durations, symbols {table}, "
            f"cleaners {', '.join(config.data.text_cleaners) or 'none'}, step {imported.step}\n"
            f"{numbers}; state of optimizers: {moments}")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    readable = [name for name, carries in formats.FORMATS.items() if carries.reads]
    parser = settings.CommandParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="the file or the folder")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="RUN", help="the folder to write")
    parser.add_argument("--config", type=Path, help="its JSON, where it does not lie beside it")
    parser.add_argument("--from", dest="name", choices=readable, help="its format; default: seen by its content")
    parser.add_argument("--teach-posterior", type=Path, metavar="TEXTS", help="to a voice that only speaks: a "
                        "posterior encoder, from what the voice says of a file's lines; takes minutes")
    parser.add_argument("--posterior-steps", type=int, default=300, metavar="N", help="of teaching (default 300)")
    settings.add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Read, write, and say what."""
    args = parse_arguments()
    set_up_logging(None, is_main=True)
    with user_errors():
        name = args.name or formats.recognise(args.source)
        imported = formats.read(args.source, args.config, name)
        config = settings.from_dict(settings.to_dict(imported.config), args.overrides)
        imported = imported._replace(config=config)
        load_plugins(config.model.plugins)  # only --set can name them: no format brings any along
        print(printable(f"{args.source}: {name}, {found(imported)}"))
        for note in imported.notes:
            print(f"note: {printable(note)}")
        if args.teach_posterior:
            imported = with_posterior(imported, args.teach_posterior, args.posterior_steps)
        trains = imported.discriminators is not None
        files = (write_run if trains else write_release)(imported, args.out)
        for file in files:
            print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
        command = "train_ms.py" if config.multispeaker else "train.py"
        further = f"-m {args.out}" if trains else f"-c CONFIG.json --init-from {args.out} -m NEW_RUN"
        print(f"speak with: python synthesize.py -m {args.out} --text \"Hello.\" -o hello.wav\n"
              f"train with: python {command} {further}")


if __name__ == "__main__":
    main()
