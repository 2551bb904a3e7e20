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
    cargo fmt --manifest-path fuzz/Cargo.toml --check

# Lints, warnings as errors
clippy:
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    cargo clippy -p lifecycle-http -p lifecycle-k8s -p lifecycle-prom --no-default-features -- -D warnings

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

# How often the sequential judge refuses a version that is no worse, in so many simulated rollouts: half a minute
false-alarms rollouts="100000":
    cargo run --release -p lifecycle-testkit --example false_alarms -- {{rollouts}}

# One target of fuzz/ for so many seconds; `fuzz/fuzz_targets` has them
fuzz target="check" seconds="60":
    #!/usr/bin/env bash
    set -euo pipefail
    command -v cargo-fuzz > /dev/null || { echo "cargo-fuzz is missing: cargo install cargo-fuzz --locked" >&2; exit 1; }
    cargo +nightly --version > /dev/null 2>&1 || { echo "a nightly compiler is missing: rustup toolchain install nightly --profile minimal" >&2; exit 1; }
    # What is found goes to a place of its own. fuzz/corpus has seeds that people can read and the least of what was found
    # that covers as much as all of it: by the fuzzer's -set_cover_merge=1, into an empty folder.
    found="fuzz/target/corpus/{{target}}"
    mkdir -p "$found" "fuzz/corpus/{{target}}"
    words="fuzz/{{target}}.dict"
    [ -f "$words" ] && dict=(-dict="$words") || dict=()
    cargo +nightly fuzz run {{target}} "$found" "fuzz/corpus/{{target}}" -- -max_total_time={{seconds}} -max_len=1024 "${dict[@]}"

# The figures of the README
bench:
    cargo bench --workspace

# Requests a second through the proxy, side by side with Debian's nginx, by wrk: some minutes
bench-proxy rounds="5" seconds="4":
    cargo build --release -p lifecycle-service
    benches/proxy/run.sh {{rounds}} {{seconds}}

# Seconds until a bad canary is left, by whole simulated rollouts: the table of docs/analysis.md
time-to-rollback runs="2000":
    cargo run --release -p lifecycle-testkit --example time_to_rollback -- {{runs}}

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

# The tests with real servers: a Kubernetes control plane, pods as processes, Prometheus, kubectl; some minutes
e2e: control-plane e2e-programs
    cargo build -p lifecycle-examples --bin agent-app --example controller
    cargo test -p lifecycle-testkit -p lifecycle-prom -p lifecycle-k8s -p lifecycle-service \
        --features lifecycle-testkit/e2e,lifecycle-prom/e2e,lifecycle-k8s/e2e,lifecycle-service/e2e \
        --test control_plane --test node --test traffic --test real --test validation --test conformance \
        --test differential --test kubernetes --bin lifecycle -- --test-threads=3

# What an operator costs with so many AgentDeployments: CPU, memory, API calls
bench-operator n="100": control-plane e2e-programs
    N={{n}} cargo bench -p lifecycle-service --features e2e --bench operator

# What looks at a real Prometheus cost with so many rollouts: CPU, requests, time; some minutes
bench-prometheus n="1000": e2e-programs
    N={{n}} cargo bench -p lifecycle-prom --features e2e --bench prometheus

# Programs of other people that the tests need, installed where that is possible
e2e-programs:
    #!/usr/bin/env bash
    set -euo pipefail
    missing=()
    command -v prometheus > /dev/null || missing+=(prometheus)
    command -v prometheus-alertmanager > /dev/null || missing+=(prometheus-alertmanager)
    command -v kubectl > /dev/null || missing+=(kubernetes-client)
    [ ${#missing[@]} = 0 ] && exit 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        echo "missing: install with apt-get install ${missing[*]}" >&2
        exit 1
    fi
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"

# etcd, API server and controller manager in one binary, for tests with a real control plane: minutes at first, then cached
control-plane:
    #!/usr/bin/env bash
    set -euo pipefail
    # Another cluster, or other binaries, were named: nothing is to be built.
    # (setup-envtest brings etcd and the API server to KUBEBUILDER_ASSETS, and no controller manager.)
    if [ -n "${LIFECYCLE_CONTROL_PLANE:-}" ] || [ "${LIFECYCLE_E2E_CLUSTER:-}" = existing ] ||
        { [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$KUBEBUILDER_ASSETS/kube-controller-manager" ]; }; then
        echo "control-plane: not built, because the environment names another one"
        exit 0
    fi
    binary="$PWD/target/control-plane/control-plane"
    cd tools/control-plane
    if [ -x "$binary" ] && [ -z "$(find . -newer "$binary" -name '*.go' -o -newer "$binary" -name 'go.*')" ]; then
        exit 0
    fi
    command -v go > /dev/null || { echo "go is missing: install Go 1.26 or newer, https://go.dev/doc/install" >&2; exit 1; }
    # Clients refuse a server that does not say its version.
    version="$(go list -m -f '{{{{.Version}}' k8s.io/kubernetes)"
    echo "control-plane: building Kubernetes $version, about ten minutes on two cores the first time"
    go build -trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" -o "$binary" .
