# make demo: sets up, then pretraining, linear evaluation and fine-tuning on embedded data (about two minutes on two idle cores)
# make test: sets up and runs the tests, all but those that start launchers, servers, schedulers or whole programs
# make test-long: those
# make docs: draws the pictures of docs/ (minutes; what is drawn already is not drawn again) and builds the site, site/index.html
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
RUN := $(VENV)/bin
# one thread each, since there are several; compiled files are kept, since tests start many processes; each process goes
# through the files of its half, so that what a file's tests share is made once
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(RUN)/python -m pytest -n $(JOBS) --dist worksteal

.PHONY: demo test test-long docs setup lint clean

demo: $(VENV)/installed
	$(RUN)/seisml demo

test: $(VENV)/installed
	$(RUN)/ruff check .
	$(PYTEST) -m "not long"

test-long: $(VENV)/installed
	$(PYTEST) -m long

docs: $(VENV)/installed
	$(RUN)/python docs/figures.py
	NO_MKDOCS_2_WARNING=1 $(RUN)/mkdocs build --strict --quiet

setup: $(VENV)/installed

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@

lint: $(VENV)/installed
	$(RUN)/ruff check .

clean:
	rm -rf $(VENV) build dist *.egg-info runs multirun site
