#!/usr/bin/env bats
# shellcheck disable=SC2154 # $history is set by load_begin
# A node that runs out of descriptors while it serves: it goes on or ends in order, comes back, and nothing is lost.
load helpers

teardown() { load_abort; show_logs; cluster_end; }

# as_few NODE LIMIT: starts it as a child of this shell, with so many descriptors and no more.
as_few() {
  (ulimit -Sn "$2" && ulimit -Hn "$2" && exec "$BIN/maitred" --config "$CLUSTER/node-$1.conf") >>"$CLUSTER/node-$1.log" 2>&1 3>&- &
  few=$!
  echo "$few" >"$CLUSTER/node-$1.pid"
}
needed() { (ulimit -n 20 && exec "$BIN/maitred" --config "$CLUSTER/node-1.conf") 2>&1 | sed -nE 's/.*needs ([0-9]+) descriptors.*/\1/p'; }
open_files() { find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l; }
# all_taken PID LIMIT: hardly a descriptor is left, or it is gone.
all_taken() { gone "$1" || [ "$(open_files "$1")" -ge $(($2 - 2)) ] || grep -q 'Too many open files' "$CLUSTER/node-1.log"; }
let_go() {
  local open
  for open in "${taken[@]}"; do exec {open}>&-; done
  taken=()
}
# take_all PID LIMIT PORT: clients connect and say nothing, until all is taken: what comes beyond the last descriptor is
# not accepted. A node waits 3 s for what they say (HANDSHAKE_MS): where the first are gone before the last have come, all
# come again.
take_all() {
  local open
  let_go
  for _ in $(seq "$2"); do
    exec {open}<>"/dev/tcp/127.0.0.1/$3" || break
    taken+=("$open")
  done
  all_taken "$1" "$2"
}

@test "more clients than descriptors, under load: a clean refusal or a clean end, and nothing acknowledged is lost" {
  cluster_new 3
  # State is written back all the time: files are opened all the time.
  for n in 1 2 3; do
    cluster stop "$n"
    printf 'limits\n    flush_ms = 100\n' >>"$CLUSTER/node-$n.conf"
    [ "$n" = 1 ] || cluster start "$n"
  done
  few_are=$(needed)
  [ "$few_are" -gt 50 ]
  few_are=$((few_are + 80)) # enough to serve with, while few ask
  as_few 1 "$few_are"
  healthy
  load_begin 4
  goes_on
  taken=()
  until_true 10 take_all "$few" "$few_are" "$(client_port 1)"
  goes_on 100 # it still can, or its leaderships are others' by now
  let_go
  # A file that cannot be opened ends it in order, at the latest when the next state is written back: maybe just now. Else
  # it stops when it is told to.
  kill -TERM "$few" 2>/dev/null || true
  status=0
  wait "$few" || status=$?
  if [ "$status" != 0 ]; then
    same 70 "$status" "exit status ($(tail -n 3 "$CLUSTER/node-1.log"))"
    matches '*Too many open files*' "$(cat "$CLUSTER/node-1.log")"
  fi
  rm -f "$CLUSTER/node-1.pid"
  goes_on
  cluster start 1
  healthy
  load_ends_well
  verified 50
  # And it counts: with another one gone it is half of the majority.
  cluster kill 2
  until_true 10 maitre bench verify "$history" --json
}
