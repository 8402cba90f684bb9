# make demo: from a fresh clone to a voice that speaks, and one of your own, on any CPU.    make test: the tests.
# make docs: the site of docs/, into build/site.
# make bench: speed beside its peers, into docs/reference/benchmarks.md; installs the peers, which are large.
# Everything lives in .venv, data/demo, runs/demo and demo/; what is there already is used again.

PYTHON ?= python3
BIN := .venv/bin
# `make demo TORCH=cpu` takes torch's build without CUDA, a tenth of the size.
TORCH ?=
WHEELS_cpu := --extra-index-url https://download.pytorch.org/whl/cpu
$(if $(filter-out cpu,$(TORCH)),$(error TORCH is $(TORCH); expected cpu, or nothing for the default build))
# requirements.lock holds every version, of what builds packages too; `make lock` renews it.
LOCKED := --constraint requirements.lock
INSTALL := install $(LOCKED) --build-constraint requirements.lock $(WHEELS_$(TORCH))
# The newest release that passed everything here, and one whose metadata resolvers misread (typing is for Python 3.4).
HELD := torch==2.14.1 typing==3.7.4.3
DEMO_TEXT := "The river runs quietly past the old stone bridge."

.PHONY: demo test bench lock newest speak clean

demo: .venv/installed
	$(BIN)/python synthesize.py $(DEMO_TEXT) -o demo/first.wav --seed 1
	@echo "That was the English voice that comes along: demo/first.wav. Now one of your own is trained."
	$(BIN)/python preprocess.py espeak filelists/demo_sentences.txt --out data/demo -c configs/demo.json --wpm 150
	$(BIN)/python train.py -c configs/demo.json -m runs/demo
	$(BIN)/python synthesize.py -m runs/demo --text $(DEMO_TEXT) -o demo/demo.wav --picture demo/demo.png --seed 1
	@echo
	@echo "Your voice has spoken: listen to demo/demo.wav, look at demo/demo.png. Next:"
	@echo "  $(BIN)/python synthesize.py -m runs/demo --text \"Anything you like.\" -o demo/mine.wav"
	@echo "  $(BIN)/tensorboard --logdir runs"
	@echo "  $(BIN)/python train.py -m runs/demo --set train.total_steps=4000      # clearer, in more time"
	@echo "  your own recordings: docs/guide/your-voice.md"

# Two processes of one thread each; the tests of a file stay together, for they share what they trained.
test: .venv/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

bench: .venv-bench/installed
	.venv-bench/bin/python -m benchmarks

# A link that leads nowhere, or a page outside the navigation, is an error.
.PHONY: docs
docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html"

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade $(LOCKED) pip

# Both files are made after pip has finished, so that a broken installation is tried again.
.venv/installed: requirements.txt requirements.lock setup.py monotonic_align/core.pyx | .venv/bin/python
	$(BIN)/python -m pip $(INSTALL) --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip $(INSTALL) --editable ".[test]"
	touch $@

.venv/installed-docs: .venv/installed
	$(BIN)/python -m pip $(INSTALL) --editable ".[docs]"
	touch $@

# An environment of its own: coqui-tts brings packages called trainer and benchmarks.
.venv-bench/installed: requirements.txt setup.py monotonic_align/core.pyx
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --upgrade pip
	.venv-bench/bin/python -m pip install --editable ".[bench]"
	touch $@

# Resolves for Python 3.10 to 3.13 and every system. Drop a version from HELD to let it move.
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --upgrade pip uv
	echo $(HELD) | tr ' ' '\n' | UV_CUSTOM_COMPILE_COMMAND="make lock" .venv-lock/bin/uv pip compile --quiet --upgrade \
		--universal --python-version 3.10 setup.py --extra test --extra docs --extra build --constraint - --output-file requirements.lock

# The newest versions that the ranges allow, without the lock, and a copy of this project that is not in place: what the
# next `pip install` of a user will bring.
newest:
	$(PYTHON) -m venv --clear .venv-newest
	.venv-newest/bin/python -m pip install --quiet --upgrade pip
	.venv-newest/bin/python -m pip install --quiet ".[clients]"
	OMP_NUM_THREADS=1 .venv-newest/bin/python -m pytest -q -m newest tests/test_installation.py tests/formats
	mkdir -p build/empty
	cd build/empty && ../../.venv-newest/bin/python -c "from synthesis import Voice; Voice.load().speak('Hello.')"
	cd build/empty && ../../.venv-newest/bin/vits-synthesize "Hello." -o hello.wav

# Speaking alone, with the few packages that it needs.
speak:
	$(PYTHON) -m venv --clear .venv-speak
	.venv-speak/bin/python -m pip install --quiet $(LOCKED) --requirement requirements-speak.txt
	.venv-speak/bin/python synthesize.py "Hello." -o build/speak/hello.wav
	.venv-speak/bin/python synthesize.py "Hello." -o build/speak/hello.flac --rate 48000
	.venv-speak/bin/python synthesize.py "Hello." -o build/speak/hello.ogg --rate 16000

clean:
	rm -rf .venv .venv-bench .venv-lock .venv-newest .venv-speak build *.egg-info monotonic_align/*.so monotonic_align/core.c
