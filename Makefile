# make demo          see it work: sample pods, sample Services, the proxy
# make test          set everything up and run every test
# make lint          ruff and mypy
# make bench         measure beside HAProxy and nginx (bench-quick: under three minutes)
# make wheel-compiled  a wheel whose hot modules mypyc has compiled, in dist/ (needs a C compiler)
# make test-compiled  every test (or PYTEST_ARGS=tests/dataplane) against that wheel
# make clean         remove what these made
#
# PYTHON=python3.12 chooses the interpreter, PYTEST_ARGS="-k affinity" the tests, BENCH_ARGS the benchmark's flags.
# The tests run side by side on up to four CPUs (tests/conftest.py); PYTEST_ARGS="-n 0" runs them one after the other.

VENV := .venv
BIN := $(VENV)/bin
COMPILED := build/compiled
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
PYTHON ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=

# Debian package and the program (or file) that shows it is there.
SYSTEM_PROGRAMS := nftables:nft iproute2:ip curl:curl dnsutils:dig dnsmasq-base:dnsmasq netcat-openbsd:nc \
	socat:socat haproxy:haproxy nginx:nginx libnginx-mod-stream:/usr/lib/nginx/modules/ngx_stream_module.so wrk:wrk procps:ps \
	kubernetes-client:kubectl prometheus:promtool chromium:chromium chromium-driver:chromedriver \
	tmux:tmux zsh:zsh strace:strace logrotate:/usr/sbin/logrotate

.PHONY: demo test lint bench bench-quick wheel-compiled installed-compiled test-compiled clean system-programs
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	@exec $(BIN)/svcproxy demo

test: $(VENV)/.installed-test system-programs
	@echo "running the tests"
	@$(BIN)/python -m pytest -q -n auto --dist worksteal $(PYTEST_ARGS)

lint: $(VENV)/.installed-test
	@status=0; \
	echo "ruff check"; $(BIN)/ruff check --quiet || status=1; \
	echo "ruff format --check"; $(BIN)/ruff format --quiet --check || status=1; \
	echo "mypy"; $(BIN)/mypy || status=1; \
	exit $$status

bench: $(VENV)/.installed-bench
	@$(BIN)/python tests/bench/run.py $(BENCH_ARGS)

bench-quick: $(VENV)/.installed-bench
	@$(BIN)/python tests/bench/run.py --quick $(BENCH_ARGS)

wheel-compiled: $(COMPILED)/.built
	@mkdir -p dist && cp $(COMPILED)/wheel/*.whl dist/

# For the benchmark.
installed-compiled: $(COMPILED)/.venv/.installed

# The same tests, with the wheel in the place of the sources: PYTEST_ARGS names those of the data plane, or any others.
test-compiled: $(COMPILED)/.venv/.installed-test system-programs
	@echo "running the tests against the compiled wheel"
	@installed=$$($(COMPILED)/.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	$(COMPILED)/.venv/bin/pytest -n auto --dist worksteal -o pythonpath="$$installed . tests/bench" $(PYTEST_ARGS)

# From a copy: mypyc leaves its extensions beside the sources, where they would be imported in their place.
$(COMPILED)/.built: pyproject.toml $(shell find proxy config -type f -not -name '*.pyc') | $(BIN)/python
	@command -v "$${CC:-cc}" >/dev/null || { echo "there is no C compiler (Debian: apt-get install gcc)" >&2; exit 1; }
	@echo "compiling the hot modules into a wheel"
	@rm -rf $(COMPILED)/wheel $(COMPILED)/source && mkdir -p $(COMPILED)/source
	@cp -r proxy config pyproject.toml README.md LICENSE $(COMPILED)/source/
	@HATCH_BUILD_HOOK_ENABLE_MYPYC=true $(PIP) wheel --no-deps --wheel-dir $(COMPILED)/wheel $(COMPILED)/source
	@touch $@

$(COMPILED)/.venv/.installed: $(COMPILED)/.built
	@echo "installing the compiled wheel into $(COMPILED)/.venv"
	@rm -rf $(COMPILED)/.venv && $(BIN)/python -m venv $(COMPILED)/.venv
	@$(COMPILED)/.venv/bin/python -m pip -qq --disable-pip-version-check install $(COMPILED)/wheel/*.whl
	@touch $@

$(COMPILED)/.venv/.installed-test: $(COMPILED)/.venv/.installed
	@echo "installing the test tools into $(COMPILED)/.venv"
	@wheel=$$(echo $(COMPILED)/wheel/*.whl); \
	$(COMPILED)/.venv/bin/python -m pip -qq --disable-pip-version-check install "$$wheel[test]"
	@touch $@

clean:
	@echo "removing $(VENV), caches and build results"
	@rm -rf $(VENV) build dist bench-results .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find proxy tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@python=""; \
	for candidate in $(PYTHON) python3.14 python3.13 python3.12 python3.11 python3; do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			python=$$candidate; break; \
		fi; \
	done; \
	if [ -z "$$python" ]; then echo "svcproxy needs Python 3.11 or newer; none was found (PYTHON=... names one)" >&2; exit 1; fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$$python has no venv module: install it (Debian: apt-get install python3-venv) or name another with PYTHON=..." >&2; \
		exit 1; \
	fi; \
	echo "making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "installing svcproxy, its nine libraries and textual (33 packages with what those need) into $(VENV)"
	@$(PIP) install --editable '.[top]'
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	@echo "installing svcproxy and its test tools into $(VENV)"
	@$(PIP) install --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: pyproject.toml | $(BIN)/python
	@echo "installing svcproxy and its benchmark tools into $(VENV)"
	@$(PIP) install --editable '.[bench]'
	@touch $@ $(VENV)/.installed

# Nothing here fails the build: a test whose program is missing is skipped and says its name.
# RUNLEVEL=1 keeps Debian from starting the haproxy, nginx and prometheus services that it installs.
system-programs:
	@PATH="$$PATH:/usr/sbin:/sbin"; missing=""; \
	for pair in $(SYSTEM_PROGRAMS); do \
		command -v "$${pair#*:}" >/dev/null 2>&1 || [ -e "$${pair#*:}" ] || missing="$$missing $${pair%%:*}"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "missing system programs (their tests are skipped):$$missing"; exit 0; \
	fi; \
	echo "installing system programs that the tests use:$$missing"; \
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; \
	apt-get -qq update </dev/null >/dev/null 2>&1; \
	for package in $$missing; do \
		apt-get -qq install --no-install-recommends "$$package" </dev/null >/dev/null 2>&1 \
			|| echo "could not install $$package (its tests are skipped)"; \
	done
