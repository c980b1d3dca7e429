# The only entry points a newcomer needs: setup, demo, test, check, bench; with recordings, vectors.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := locks/dev.txt
ONLY ?= *
FAULTS ?= 200
HOURS ?= 8
STEADY ?= 60
MINUTES ?= 10
EVERY ?= 1
WORKERS ?= 3
CUTS ?= 500

# Some images ask Python to keep nothing compiled: every process of the tests would compile Linli anew, for 2 s each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test check bench grafana-api vectors fuzz faults soak mutants alarm-truth setup-firmware test-firmware lock format

help:
	@echo "make demo    a community, live: open the printed address"
	@echo "make test    prove it (about 9 minutes)  [WORKERS=0: in one process]"
	@echo "make check   lint, types, layers"
	@echo "make bench   figures, one JSON line each  [ONLY=GLOB]"
	@echo "make boards  make the Grafana boards, and ask every query of them on each store (ten minutes)"
	@echo "make vectors judge recorded frames of real devices  [LINLI_VECTORS=DIR]"
	@echo "make fuzz    damaged and made-up telegrams, each codec 10 minutes  [MINUTES=N]"
	@echo "make faults  200 faults by a seed, nothing lost (10 minutes)  [SEED=N] [FAULTS=N]; make soak for hours, then memory at a steady load  [HOURS=N] [STEADY=MINUTES]"
	@echo "make alarm-truth a month of 300 dwellings with 20 planted faults: found, late, false alarms a day (ten minutes)"
	@echo "make mutants small faults in the alarm engine, and whether the tests notice (an hour)  [EVERY=N] [SAMPLE=N]"
	@echo "make test-firmware  the nodes' programs on MicroPython's own ports, with 500 power cuts  [CUTS=N]"
	@echo "make grafana-api  what a push asks of Grafana, against the description of its API (needs go; fetches a module)"
	@echo "make setup   install into $(VENV) (the others call it)"

# The stamp holds the lock's name: a changed lock or pyproject.toml installs again.
setup: $(VENV)/.installed

$(VENV)/.installed: $(LOCK) pyproject.toml
	@PYTHON=$(PYTHON) VENV=$(VENV) LOCK=$(LOCK) sh scripts/setup
	@touch $@

demo: setup
	$(BIN)/linli-sim demo

# Half of the suite waits (for lines at 2400 baud, brokers, restarts), so three processes keep two processors busy.
test: setup
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m linli_sim.bench --only '$(ONLY)'

grafana-api: setup
	$(BIN)/python -m linli_sim.grafana_api
	$(BIN)/pytest tests/dashboards/test_push.py tests/dashboards/test_push_others.py tests/dashboards/test_grafana_api.py

boards: setup
	$(BIN)/linli-boards build dashboards/generated
	$(BIN)/python -m linli_sim.boards --folder dashboards/generated

vectors: setup
	$(BIN)/python -m linli_sim.vectors

fuzz: setup
	$(BIN)/python -m linli_sim.fuzz --minutes $(MINUTES)

faults: setup
	$(BIN)/python -m linli_sim.faults --faults $(FAULTS) $(if $(SEED),--seed $(SEED))

soak: setup
	$(BIN)/python -m linli_sim.faults --faults 1000000 --hours $(HOURS) $(if $(SEED),--seed $(SEED))
	STEADY=$(STEADY) $(BIN)/python -m linli_sim.bench --only platform.rss_mb

# Half an hour on a busy machine, ten minutes on an idle one.
alarm-truth: setup
	$(BIN)/python -m linli_sim.truth

mutants: setup
	$(BIN)/python -m linli_sim.mutants --every $(EVERY) $(if $(SAMPLE),--sample $(SAMPLE))

# MicroPython's WebAssembly port: the tests that need it are skipped where it, or Node.js, is not installed.
setup-firmware: firmware/node_modules/.installed

firmware/node_modules/.installed: firmware/package-lock.json
	npm ci --prefix firmware --no-audit --no-fund
	@touch $@

test-firmware: setup setup-firmware
	$(BIN)/pytest tests/firmware
	$(BIN)/python -m linli_sim.nodes --cuts $(CUTS)

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Names versions and hashes, never hosts. Needs uv (pip install uv).
lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --output-file $(LOCK)
