#!/usr/bin/env bash
# Requests a second through the proxy of `lifecycle`, side by side with nginx on the same work.
#
#   benches/proxy/run.sh [ROUNDS] [SECONDS]      5 rounds of 4 s each unless said otherwise
#
# Both pass GET and POST over 32 and 128 connections to the same two servers, 90 % and 10 %. The proxy
# has one core to itself, wrk and the servers have another, so that it is the proxy that is measured.
# The two take turns, and what is compared is the median of the rounds: what else the machine does
# hits both alike. Everything listens on 127.0.0.1 only, and everything is stopped at the end.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rounds=${1:-5} seconds=${2:-4}
lifecycle=${LIFECYCLE:-${CARGO_TARGET_DIR:-$here/../../target}/release/lifecycle}
PATH=$PATH:/usr/sbin

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

dir=$(mktemp -d)
chmod 755 "$dir" # the workers of nginx are somebody else when root starts it
policy=$dir/none started=()
stop_all() {
  rm -f "$policy"
  for pid in "${started[@]}"; do kill "$pid" 2> /dev/null || true; done
  for pid in "${started[@]}"; do wait "$pid" 2> /dev/null || true; done
  rm -rf "$dir"
}
trap stop_all EXIT

# Debian starts a server when its package is installed; a policy keeps it from doing so.
install_packages() {
  [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null ||
    fail "$* missing; install with: sudo apt-get install --no-install-recommends $*"
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod +x "$policy"
  fi
  apt-get update -q >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >&2
}

missing=()
command -v wrk > /dev/null || missing+=(wrk)
command -v nginx > /dev/null || missing+=(nginx)
[ "${#missing[@]}" = 0 ] || install_packages "${missing[@]}"
command -v taskset > /dev/null || fail "taskset is missing; install with: sudo apt-get install util-linux"
[ -x "$lifecycle" ] || fail "$lifecycle is missing; build it with: cargo build --release -p lifecycle-service"
[ "$(nproc)" -ge 2 ] || fail "two cores are needed: one for the proxy, one for everything else"
[[ $rounds =~ ^[1-9][0-9]*$ && $seconds =~ ^[1-9][0-9]*$ ]] || fail "ROUNDS and SECONDS are whole numbers above 0"
# The first two cores that this program may use.
read -r others_core proxy_core < <(
  awk '/^Cpus_allowed_list:/ {
    n = split($2, ranges, ",")
    for (i = 1; i <= n; i++) {
      m = split(ranges[i], ends, "-")
      for (core = ends[1]; core <= ends[m]; core++) printf "%d ", core
    }
    print ""
  }' /proc/self/status | cut -d" " -f1,2
)

listens() {
  (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null
}

free_port() {
  local port
  while port=$((20000 + RANDOM % 10000)); listens "$port"; do :; done
  printf '%s' "$port"
}

# start LOG PORT COMMAND...: runs it until it listens.
start() {
  local log=$1 port=$2 deadline=$((SECONDS + 10))
  shift 2
  "$@" > "$dir/$log" 2>&1 &
  started+=($!)
  until listens "$port"; do
    kill -0 "${started[-1]}" 2> /dev/null && [ "$SECONDS" -lt "$deadline" ] ||
      fail "${log%.log} does not listen on 127.0.0.1:$port: $(tail -n 3 "$dir/$log")"
    sleep 0.05
  done
}

# fill TEMPLATE: puts the directory and the ports in.
fill() {
  sed -e "s|@DIR@|$dir|g" -e "s|@STABLE@|$stable|g" -e "s|@CANARY@|$canary|g" \
    -e "s|@NGINX@|$nginx|g" -e "s|@OURS@|$ours|g" "$here/$1"
}

stable=$(free_port) canary=$(free_port) nginx=$(free_port) ours=$(free_port)
mkdir "$dir/proxy"
fill upstream.conf > "$dir/upstream.conf"
fill nginx.conf > "$dir/nginx.conf"
fill table.json > "$dir/proxy/table.json"
printf '{"dir": "%s/proxy", "listen": "127.0.0.1:%s"}\n' "$dir" "$ours" > "$dir/proxy/config.json"

start upstream.log "$canary" taskset -c "$others_core" nginx -e "$dir/upstream.err" -c "$dir/upstream.conf"
start nginx.log "$nginx" taskset -c "$proxy_core" nginx -e "$dir/nginx.err" -c "$dir/nginx.conf"
start lifecycle.log "$ours" taskset -c "$proxy_core" "$lifecycle" proxy "$dir/proxy/config.json"

# load PORT METHOD CONNECTIONS SECONDS: requests a second. Every one must be answered with 200.
load() {
  local args=(-t1 -c"$3" -d"${4}s") said
  [ "$2" = GET ] || args+=(-s "$here/post.lua")
  said=$(taskset -c "$others_core" wrk "${args[@]}" "http://127.0.0.1:$1/")
  if grep -Eq 'Non-2xx|Socket errors' <<< "$said"; then
    fail "requests failed: $said"
  fi
  awk '/^Requests\/sec:/ {print $2}' <<< "$said"
}

median() {
  sort -n | awk '{all[NR] = $1} END {m = int((NR + 1) / 2); print NR % 2 ? all[m] : (all[m] + all[m + 1]) / 2}'
}

printf '%s\n%s\n%s rounds of %s s, medians\n\n' "$(nginx -v 2>&1)" "$("$lifecycle" --version)" "$rounds" "$seconds"
printf '%-8s %11s %12s %12s %8s   %s\n' method connections nginx/s lifecycle/s ratio 'each round'
for method in GET POST; do
  for connections in 32 128; do
    of_nginx=() of_ours=() ratios=()
    load "$nginx" "$method" "$connections" 1 > /dev/null
    load "$ours" "$method" "$connections" 1 > /dev/null
    for ((round = 0; round < rounds; round++)); do
      a=$(load "$nginx" "$method" "$connections" "$seconds")
      b=$(load "$ours" "$method" "$connections" "$seconds")
      of_nginx+=("$a") of_ours+=("$b")
      ratios+=("$(awk -v a="$a" -v b="$b" 'BEGIN {printf "%.2f", b / a}')")
    done
    printf '%-8s %11s %12.0f %12.0f %7.0f%%   %s\n' "$method" "$connections" \
      "$(printf '%s\n' "${of_nginx[@]}" | median)" "$(printf '%s\n' "${of_ours[@]}" | median)" \
      "$(printf '%s\n' "${ratios[@]}" | median | awk '{print $1 * 100}')" "${ratios[*]}"
  done
done
