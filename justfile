# What CI runs, one recipe a step. `just` lists them.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Show the recipes
default:
    @just --list

# Everything that needs no software but Rust
check: fmt clippy doc test

# Is the code formatted?
fmt:
    cargo fmt --all --check

# Lints, warnings as errors
clippy:
    cargo clippy --workspace --all-targets --all-features -- -D warnings

# Documentation, warnings as errors
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# The tests of the README: no network, no other software
test:
    cargo test --workspace

# Rollouts of real processes behind the real proxy under real load
real-runs:
    cargo build --release -p lifecycle-examples --bin agent-app
    cargo test --release -p lifecycle-service --features real-runs --test real_runs -- --test-threads=1 --nocapture

# A million simulated rollouts with faults; prints the seed of any failure
soak seeds="1000000":
    cargo run --release -p lifecycle-testkit --example soak -- {{seeds}}

# The figures of the README
bench:
    cargo bench --workspace

# Requests a second through the proxy, side by side with Debian's nginx, by wrk: some minutes
bench-proxy rounds="5" seconds="4":
    cargo build --release -p lifecycle-service
    benches/proxy/run.sh {{rounds}} {{seconds}}

# The exhaustive model of the machine, up to four replicas: minutes
model:
    cargo test --release -p lifecycle-testkit --features model-large --test model_large -- --nocapture --test-threads=1

# Licences, bans, sources and advisories of everything that comes in from outside
deny:
    @command -v cargo-deny > /dev/null || { echo "cargo-deny is missing: cargo install cargo-deny --locked" >&2; exit 1; }
    cargo deny check

# The programs for embedders, run for real
examples:
    cargo run -q -p lifecycle-examples --example embed
    cargo run -q -p lifecycle-examples --example custom_strategy
    cargo run -q -p lifecycle-examples --example property_test
    cargo run -q -p lifecycle-examples --example replay
