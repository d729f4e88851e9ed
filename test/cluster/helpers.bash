# What the tests on real nodes share. Sourced by every *.bats file.
# shellcheck shell=bash

bats_require_minimum_version 1.5.0

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
BIN=${MAITRED_BIN:?run these by ctest or test/cluster/run}
export PATH=$BIN/tools:$PATH
# shellcheck source=scripts/lib/common.sh
. "$ROOT/scripts/lib/common.sh"

# How long a thing may take says nothing about a node: every wait is for a state, and gives up only when it will not come.
export MAITRED_PATIENCE=${MAITRED_PATIENCE:-6}

# With the patience of a busy machine, unless the test says otherwise.
maitre() {
  case " $* " in
    *' --timeout '*) "$BIN/maitre" "$@" ;;
    *) "$BIN/maitre" --timeout 30000 "$@" ;;
  esac
}
maitred() { "$BIN/maitred" "$@"; }
cluster() { "$ROOT/scripts/cluster" "$@" --dir "$CLUSTER" --bin "$BIN"; }

# cluster_new NODES [option of up ...]: a cluster of this file's own, at once the one that maitre talks to.
cluster_new() {
  local nodes=$1
  shift
  PORT=$(port_base "$nodes") || { echo "no free ports" >&2; return 1; }
  CLUSTER=$(mktemp -d "$BATS_FILE_TMPDIR/cluster.XXXXXX")
  export CLUSTER PORT
  cluster up --nodes "$nodes" --port "$PORT" --shards 8 "$@" || return 1
  cluster_use
}

# cluster_files NODES SHARDS [OPTION ...]: only the files of one, of this test (or file) alone, to be changed before `cluster up`.
cluster_files() {
  PORT=$(port_base "$1") || { echo "no free ports" >&2; return 1; }
  CLUSTER=$(mktemp -d "${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}/cluster.XXXXXX")
  export CLUSTER PORT
  maitred create-cluster --dir "$CLUSTER" --nodes "$1" --port "$PORT" --shards "$2" "${@:3}" >/dev/null
}

cluster_use() {
  MAITRE_CLUSTER=$CLUSTER/cluster.client
  MAITRE_TOKEN=$(cat "$CLUSTER/admin.token")
  export MAITRE_CLUSTER MAITRE_TOKEN
  healthy
}

cluster_end() { [ -z "${CLUSTER:-}" ] || cluster down --purge; }

# The nodes' last words, where a test failed.
show_logs() {
  [ -z "${BATS_TEST_COMPLETED:-}" ] && [ -n "${CLUSTER:-}" ] || return 0
  tail -n 12 "$CLUSTER"/node-*.log 2>/dev/null
}

# until_true SECONDS COMMAND...: again and again until it succeeds. The seconds are those of a quiet machine.
until_true() {
  local end=$((SECONDS + $1 * MAITRED_PATIENCE))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { echo "not within the time: $*" >&2; return 1; }
    sleep 0.05
  done
}

# As every node sees it, one after the other.
healthy() {
  local node nodes
  mapfile -t nodes < <(awk '$1 == "node" {print $2}' "$MAITRE_CLUSTER")
  for node in "${nodes[@]}"; do until_true 20 maitre cluster status --node "$node" --timeout 5000 || return 1; done
}

# leader_of KEY: the number of the node that leads; for a moment there may be none.
leader_of() { until_true 10 cluster leader "$1" && cluster leader "$1"; }

# load_begin [CLIENTS]: closed-loop bookings in the background until load_end, their history in $history. The bookings' own
# patience is that of any call here; a setup that uses it ends what a failed test left with load_abort.
load_begin() {
  history=$BATS_TEST_TMPDIR/history
  : >"$history"
  "$BIN/maitre" bench reserve --clients "${1:-8}" --seconds 3600 --warmup 0 --timeout 30000 --log "$history" --json \
    >"$BATS_TEST_TMPDIR/load" 2>"$BATS_TEST_TMPDIR/load.err" 3>&- &
  load_pid=$!
  until_true 20 test -s "$history"
}
# load_end: with the exit status of the load; load_field tells what it reported.
load_end() {
  local status=0 pid=$load_pid
  load_pid=""
  kill -TERM "$pid"
  wait "$pid" || status=$?
  return $status
}
load_ends_well() { load_end || { echo "the load failed: $(cat "$BATS_TEST_TMPDIR/load.err")"; return 1; }; }
load_abort() { [ -z "${load_pid:-}" ] || ! kill -0 "$load_pid" 2>/dev/null || kill -KILL "$load_pid"; }
load_field() { json "$1" <"$BATS_TEST_TMPDIR/load"; }
load_lines() { wc -l <"$history"; }
grows_past() { [ "$(load_lines)" -gt "$1" ]; }
# goes_on [N]: N more bookings are acknowledged.
goes_on() { until_true 10 grows_past $(($(load_lines) + ${1:-50})); }
# verified N: everything acknowledged is read back, at least N bookings.
verified() {
  local status=0
  maitre bench verify "$history" --json >"$BATS_TEST_TMPDIR/verify" || status=$?
  same 0 "$status" "exit code of verify ($(cat "$BATS_TEST_TMPDIR/verify"))"
  [ "$(json acknowledged <"$BATS_TEST_TMPDIR/verify")" -ge "$1" ]
}

# same WANT GOT [WHAT]
same() { [ "$1" = "$2" ] || { printf '%s: expected "%s", got "%s"\n' "${3:-value}" "$1" "$2" >&2; return 1; }; }
# matches PATTERN TEXT: a bash pattern
matches() {
  # shellcheck disable=SC2053
  [[ $2 == $1 ]] || { printf 'expected something like "%s", got "%s"\n' "$1" "$2" >&2; return 1; }
}

# call COMMAND...: maitre COMMAND --json must succeed; the answer is on standard output.
call() {
  local answer status=0
  answer=$(maitre "$@" --json) || status=$?
  [ $status = 0 ] || { printf 'maitre %s: exit %s: %s\n' "$*" $status "$answer" >&2; return 1; }
  printf '%s\n' "$answer"
}

# ask PATH COMMAND...: one value of the answer.
ask() {
  local path=$1 answer
  shift
  answer=$(call "$@") || return 1
  printf '%s\n' "$answer" | json "$path" || { printf 'maitre %s: no %s in %s\n' "$*" "$path" "$answer" >&2; return 1; }
}

# refused CODE REASON COMMAND...: must end with that exit code and reason; the error's JSON stays in $error.
refused() {
  local code=$1 reason=$2 status=0
  shift 2
  error=$(maitre "$@" --json) || status=$?
  same "$code" "$status" "exit code of maitre $* ($error)" || return 1
  same "$reason" "$(printf '%s' "$error" | json error.reason)" "reason of maitre $* ($error)" || return 1
  # Every refusal has words for people.
  [ -n "$(printf '%s' "$error" | json error.message)" ]
}

refusal() { printf '%s' "$error" | json "error.refusal.$1"; }

# as TOKEN COMMAND...
as() {
  local MAITRE_TOKEN=$1
  export MAITRE_TOKEN
  shift
  "$@"
}

# Whether the nodes are built with a sanitizer: they are slower, and have an allocator of their own.
sanitized() { nm -D --defined-only "$BIN/maitred" | grep -qE ' __(asan|tsan)_init$'; }

# keepers_of PID: the ids of the processes that keep a node's memory until its connections are closed.
keepers_of() { pgrep -P "$1"; }

# user_token LOGIN: registers the user when there is none, and logs in.
user_token() {
  # Hashing takes its time under a sanitizer.
  printf 'secret of %s\n' "$1" | maitre auth register "$1" --password-stdin --timeout 30000 >/dev/null 2>&1 || true
  printf 'secret of %s\n' "$1" | maitre auth login "$1" --password-stdin --timeout 30000 --json | json access_token
}

# random_id: 32 hexadecimal digits.
random_id() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

new_provider() { ask id catalog put-provider "${1:-hotel}" "${2:-A provider}" "${@:3}"; }
# new_offer PROVIDER [option ...]: 1000 slots of one unit, unless the options say otherwise (the last of each counts).
new_offer() {
  local provider=$1 kind=slot name=Offer price=1000 first=0 last=999 capacity=1
  shift
  local rest=()
  while [ $# -gt 0 ]; do
    case $1 in
      --kind) kind=$2 ;;
      --name) name=$2 ;;
      --price) price=$2 ;;
      --first) first=$2 ;;
      --last) last=$2 ;;
      --capacity) capacity=$2 ;;
      *) rest+=("$1" "$2") ;;
    esac
    shift 2
  done
  ask id catalog put-offer "$provider" "$kind" "$name" --price-minor "$price" --currency GBP --first-bucket "$first" \
    --last-bucket "$last" --capacity "$capacity" "${rest[@]}"
}

state_of() { ask reservation.state reserve get "$1"; }
node_pid() { cat "$CLUSTER/node-$1.pid"; }
gone() { is_gone "$1"; }
alive() { ! gone "$1"; }
client_port() { echo $((PORT + $1)); }
peer_port() { echo $((PORT + 100 + $1)); }
gossip_port() { echo $((PORT + 200 + $1)); }
metrics_port() { echo $((PORT + 300 + $1)); }
# metric NODE NAME: its value, without the maitred_ of all of them.
metric() { http "$(metrics_port "$1")" /metrics | awk -v name="maitred_$2" '$1 == name {print $2}'; }
metric_is() { [ "$(metric "$1" "$2")" = "$3" ]; } # NODE NAME VALUE

# http PORT PATH: status line, headers and body. (bats needs descriptor 3 for itself.)
http() {
  local reply
  exec 7<>"/dev/tcp/127.0.0.1/$1" || return 1
  printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&7
  reply=$(timeout 20 cat <&7)
  exec 7>&- 7<&-
  printf '%s\n' "$reply" | tr -d '\r'
}
http_status() { http "$1" "$2" | awk 'NR == 1 {print $2}'; }
