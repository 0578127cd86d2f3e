# Needs make and a Python >= 3.12; everything else goes into .venv.

STUDY ?= studies/gapminder.toml
ARGS ?=

BIN := .venv/bin
STAMP := .venv/.installed
# A shell word per command to try, the version of .python-version first.
PYTHON ?=
CANDIDATES := python$(shell cat .python-version 2>/dev/null) python3.13 python3.12 python3.14 python3 python

.DEFAULT_GOAL := help
.PHONY: help study test lint types unit lock clean
.DELETE_ON_ERROR:

help:
	@echo 'make study [STUDY=studies/NAME.toml] [ARGS=--quick]   run a study, print where its report lies'
	@echo 'make test     check style (lint), types (types) and behaviour (unit)'
	@echo 'make lock     renew .requirements.lock from pyproject.toml'
	@echo 'make clean    remove .venv and the caches'
	@echo 'PYTHON=COMMAND chooses the Python (>= 3.12) that .venv is made with.'

study: $(STAMP)
	@$(BIN)/python -m mixcompare.cli run '$(STUDY)' $(ARGS)

test: lint types unit

lint: $(STAMP)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: $(STAMP)
	$(BIN)/python -m mypy

unit: $(STAMP)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

# Sets $$python to a command that runs, is recent enough and can make environments. A command
# may be there and yet not run (a version manager's shim), so each is tried, and a version
# manager's own folder last.
define FIND_PYTHON
python=; \
for candidate in "$${PYTHON:-}" $(if $(PYTHON),,$(CANDIDATES) "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/*/bin/python3); do \
	if [ -n "$$candidate" ] && "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; \
	then python=$$candidate; break; fi; \
done; \
if [ -z "$$python" ]; then \
	echo "$${PYTHON:-No command that was tried} is $${PYTHON:+not }a Python >= 3.12 with venv and ensurepip. Install one, or name it: make PYTHON=/path/to/python3.13 ..." >&2; \
	exit 1; \
fi
endef
export PYTHON

# Without build isolation, since the lock already holds what builds the package.
$(STAMP): .requirements.lock pyproject.toml
	@$(FIND_PYTHON); \
	if ! $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; then \
		echo "Making .venv with $$python"; \
		"$$python" -m venv --clear .venv; \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Without the optional samplers, which are large and which no test needs.
# uv resolves for every platform at once, which pip cannot; it lives only as long as the recipe.
lock:
	@$(FIND_PYTHON); \
	tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	"$$python" -m venv "$$tools" && \
	"$$tools/bin/python" -m pip install --quiet --disable-pip-version-check uv && \
	"$$tools/bin/python" -m uv pip compile pyproject.toml --extra panels --extra cluster --group dev --universal \
		--python-version 3.12 --generate-hashes --no-header --no-annotate --upgrade --quiet \
		-o .requirements.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
