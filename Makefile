# Two commands for a fresh machine: `make quickstart` and `make test`.
#
# All build with the one profile `release`, so that RocksDB is compiled once, and with the versions
# that Cargo.lock names, never others.

SHELL := bash
# libclang's own headers do not come with its wheel: the compiler's serve.
# ONNX Runtime reports its use unless it is told not to.
ENVIRONMENT = export ORT_DISABLE_TELEMETRY=1 && folder="$$(scripts/setup.sh)" && export LIBCLANG_PATH="$$folder" && \
	export BINDGEN_EXTRA_CLANG_ARGS="$${BINDGEN_EXTRA_CLANG_ARGS:--I$$($${CC:-cc} -print-file-name=include)}" &&

# The Frequency Shock experiment: FORM=short (the shipped facts, minutes) or FORM=long with
# FACTS=folder, facts in the shape of ParaRel's (hours; it goes on where it was stopped).
FORM ?= short

frequency-shock: build
	@$(ENVIRONMENT) cargo run --locked --quiet --release -- reproduce pipelines/frequency-shock/$(FORM).toml \
		$(if $(FACTS),--facts $(FACTS))

# LM-KBC 2026, five-fold over DATA=folder's train.jsonl, and its val.jsonl where that is there: half an
# hour. It goes on where it was stopped.
lm-kbc-2026: build
	@$(if $(DATA),,$(error DATA=folder names the folder of LM-KBC 2026's train.jsonl))
	@$(ENVIRONMENT) scripts/lm-kbc-2026.py "$(DATA)" outputs/lm-kbc-2026 \
		--kgbuild "$${CARGO_TARGET_DIR:-target}/release/kgbuild"

.PHONY: quickstart serve frequency-shock lm-kbc-2026 build wheel check test measure lint sbom bench bench-finetune \
	bench-predict bench-predict-install

quickstart: build
	@$(ENVIRONMENT) cargo run --locked --quiet --release -- run pipelines/quickstart.toml

# The quickstart's graph in a browser, until Ctrl-C.
serve: quickstart
	@$(ENVIRONMENT) cargo run --locked --quiet --release -- serve outputs/quickstart

build:
	@$(ENVIRONMENT) cargo build --locked --release

# The Python package as a wheel, in the target folder, with the RocksDB of `build`.
wheel: build
	@$(ENVIRONMENT) python3 -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir \
		"$${CARGO_TARGET_DIR:-target}/wheels" .

# That all of it compiles, without making a program of it.
check:
	@$(ENVIRONMENT) cargo check --locked --release --all-targets

# The quick tests first, those with the real model behind them.
test:
	@$(ENVIRONMENT) if cargo nextest --version >/dev/null 2>&1; \
	then cargo nextest run --locked --release --no-fail-fast && cargo test --locked --release --quiet --doc; \
	else cargo test --locked --release --no-fail-fast; fi

# What a test measured: `make measure TEST=golden`, `make measure TEST=end_to_end ONLY=memory`.
measure:
	@$(ENVIRONMENT) cargo test --locked --release --test $(TEST) -- --nocapture --test-threads 1 $(ONLY)

lint:
	@cargo fmt --all --check
	@$(ENVIRONMENT) cargo clippy --locked --release --workspace --all-targets -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --locked check; \
	else echo "lint: DEPENDENCIES WERE NOT CHECKED: cargo-deny is not installed" \
		"(cargo install --locked cargo-deny)" >&2; fi

# What the program is made of, as CycloneDX, for those who must know it of what they run.
sbom:
	@python3 scripts/sbom.py "$${CARGO_TARGET_DIR:-target}/kgbuild.cdx.json"

bench:
	@$(ENVIRONMENT) cargo bench --locked --profile release

# Training in tokens a second, here and, where PYTHON has PyTorch, in PyTorch, with the ratio.
PYTHON ?= python3
bench-finetune: build
	@$(ENVIRONMENT) cargo run --locked --quiet --release -- fetch pipelines/quickstart.toml
	@$(ENVIRONMENT) cargo bench --locked --profile release --bench finetune
	@"$(PYTHON)" benches/peers/finetune.py --criterion "$${CARGO_TARGET_DIR:-target}/criterion" --lora --all

# Facts a second of `kgbuild run`, and of PyTorch with transformers scoring the same candidates, with
# the ratio, ten minutes: PYTHON has both, or, for the second, gets them into a folder of 7 GB. FACTS=folder
# takes facts in the shape of ParaRel's; ARGUMENTS are the script's.
bench-predict bench-predict-install: build
	@$(ENVIRONMENT) cargo run --locked --quiet --release -- fetch pipelines/quickstart.toml
	@"$(PYTHON)" benches/peers/predict.py --kgbuild "$${CARGO_TARGET_DIR:-target}/release/kgbuild" \
		$(if $(filter %-install,$@),--install "$${CARGO_TARGET_DIR:-target}/peers") \
		$(if $(FACTS),--facts "$(FACTS)") $(ARGUMENTS)
