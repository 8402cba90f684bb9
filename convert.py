"""Convert a voice of another project into a run or a release of this one.

    python convert.py logs/ljs_base -o runs/ljs          # then python train.py -m runs/ljs continues its training
    python convert.py mms/ron -o runs/ron                # then python synthesize.py -m runs/ron speaks with it
    python convert.py en_US-joe-medium.onnx -o joe       # a Piper voice, with its .onnx.json beside it
    python convert.py en_US-joe-medium.onnx -o joe --teach-posterior filelists/en_sentences.txt
    python convert.py G_100000.pth --config ljs_base.json --set data.training_files=data/ljs/train.txt -o runs/ljs

A voice without discriminators becomes a release, which can speak and from which a new run can start.
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
    from formats import ImportedVoice


def write_run(imported: ImportedVoice, run_dir: Path) -> list[Path]:
    """Write a run folder with one checkpoint, as if the voice had been trained here; returns its files.

    Raises:
        ValueError: there are checkpoints in the folder, or a config.json.
    """
    import torch

    import checkpoint
    from text import TextProcessor
    from training.step import new_networks, new_state

    if checkpoint.newest(run_dir) is not None:
        raise ValueError(f"{run_dir} holds checkpoints already; name a new folder")
    if (run_dir / "config.json").exists():  # such as that of the voice itself
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
    """The state of an updater with imported moments and learning rate; other settings of the optimizer stay."""
    optimizer = own["optimizer"]
    [group] = optimizer["param_groups"]
    return {**own, "optimizer": {"state": theirs["state"],
                                 "param_groups": [{**group, "lr": theirs["param_groups"][0]["lr"]}]}}


def write_release(imported: ImportedVoice, folder: Path) -> list[Path]:
    """Write a release folder, with a card if data or licence of the voice are stated; returns its files."""
    import checkpoint
    from evaluation import release
    from evaluation.card import CardInfo
    from formats import publishing

    weights = checkpoint.Weights(settings.to_dict(imported.config), imported.generator, None, imported.step, folder)
    if not (imported.data or imported.licence):
        return publishing.publish_weights(weights, folder)
    info = CardInfo(data=imported.data or None, licence=imported.licence or None)
    return release.write(weights, folder, info, release.ReleaseFormat()).files


def with_posterior(imported: ImportedVoice, texts: Path, steps: int) -> ImportedVoice:
    """The voice with a posterior encoder trained on its own speech for the lines of a text file.

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
    examples, defaults = [], config.speaking
    lines = [line.strip() for line in texts.read_text(encoding="utf-8").splitlines() if line.strip()]
    for i, cleaned in enumerate(tqdm(text.clean(lines), "synthesizing", unit="line", disable=None)):
        ids = text.encode_lenient(cleaned).ids
        speaker = torch.tensor([i % config.data.n_speakers]) if config.multispeaker else None
        out = model.infer(torch.tensor([ids]), torch.tensor([len(ids)]), speaker, noise_scale=defaults.noise_scale,
                          noise_scale_duration=defaults.noise_scale_duration, noise=SeededNoise([i]))
        if out.z.shape[2] >= posterior.FRAMES:
            with torch.no_grad():
                g = model.speaker_embedding(speaker)
            examples.append(posterior.SpokenExample(spectrogram(out.wav[:, 0], config.data)[0], out.z[0],
                                                    None if g is None else g[0]))
    if not examples:
        raise ValueError(f"{texts}: none of {len(lines)} lines is as long as {posterior.FRAMES} frames of "
                         "speech; expected some hundred sentences")
    left = list(tqdm(posterior.fit_posterior(model, config, examples, steps), "training", steps, disable=None))
    print(f"posterior encoder: {sum(left[-10:]) / len(left[-10:]):.0%} of the latents' variance unexplained after "
          f"{steps} steps on {len(examples)} sentences")
    taught = {name: tensor.detach() for name, tensor in model.state_dict().items() if name.startswith("enc_q.")}
    return imported._replace(generator={**imported.generator, **taught})


def description(imported: ImportedVoice) -> str:
    """A short description of a voice."""
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
    """Parse the command line."""
    readable = [name for name, info in formats.FORMATS.items() if info.reads]
    parser = settings.CommandParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="file or folder of the voice")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="RUN", help="folder to write")
    parser.add_argument("--config", type=Path, help="the voice's JSON, if that is not beside it")
    parser.add_argument("--from", dest="name", choices=readable, help="its format (default: recognised by content)")
    parser.add_argument("--teach-posterior", type=Path, metavar="TEXTS", help="add a posterior encoder to a "
                        "voice without one, trained on its speech for the lines of a file; takes minutes")
    parser.add_argument("--posterior-steps", type=int, default=300, metavar="N", help="of that training (default 300)")
    settings.add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Convert a voice and print what was written."""
    args = parse_arguments()
    set_up_logging(None, is_main=True)
    with user_errors():
        name = args.name or formats.recognise(args.source)
        imported = formats.read(args.source, args.config, name)
        config = settings.from_dict(settings.to_dict(imported.config), args.overrides)
        imported = imported._replace(config=config)
        load_plugins(config.model.plugins)  # only --set can name them: no format brings any along
        print(printable(f"{args.source}: {name}, {description(imported)}"))
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
