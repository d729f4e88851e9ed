#!/usr/bin/env bats
# Write-back: state goes from memory to its database in sweeps, each of which is paid for by so much new log.
load helpers

setup_file() {
  cluster_new 1
  cluster stop 1
  printf 'limits\n    flush_ms = 3600000\n    flush_mib = 1\n' >>"$CLUSTER/node-1.conf"
  cluster start 1
  healthy
}
teardown_file() { cluster_end; }
teardown() {
  load_abort
  show_logs
}

# One page, as the node published it: "name value" lines.
page() { http "$(metrics_port 1)" /metrics | sed '1,/^$/d' | awk '!/^#/ {split($1, part, "{"); print part[1], $NF}'; }
# metric NAME [PAGE]
metric() { { [ -n "${2:-}" ] && cat "$2" || page; } | awk -v name="maitred_$1" '$1 == name {printf "%.0f\n", $2; found = 1} END {exit !found}'; }
above() { [ "$(metric "$1")" -gt "$2" ]; }
calls_above() { [ "$(page | awk '$1 == "maitred_calls_total" {sum += $2} END {printf "%.0f\n", sum}')" -gt "$1" ]; }

@test "under steady load the state is written in sweeps, not whenever there is something new" {
  mib=$((1024 * 1024))
  load_begin 4
  until_true 60 above store_turn_bytes_total $((3 * mib))
  load_ends_well
  # The logs keep as much as asks for a sweep, so from here on there is always enough of it on the disk.
  until_true 10 above store_log_bytes $mib
  until_true 10 above flushes_total 0
  offer=$(new_offer "$(new_provider)")
  page >"$BATS_TEST_TMPDIR/before"
  calls=$(awk '$1 == "maitred_calls_total" {sum += $2} END {printf "%.0f\n", sum}' "$BATS_TEST_TMPDIR/before")
  for slot in $(seq 100); do call reserve create "$offer:$slot" --mode book >/dev/null; done
  until_true 10 calls_above $((calls + 99))
  page >"$BATS_TEST_TMPDIR/after"
  [ "$(metric store_log_bytes "$BATS_TEST_TMPDIR/after")" -gt $mib ]
  grown=$(($(metric store_turn_bytes_total "$BATS_TEST_TMPDIR/after") - $(metric store_turn_bytes_total "$BATS_TEST_TMPDIR/before")))
  rounds=$(($(metric flushes_total "$BATS_TEST_TMPDIR/after") - $(metric flushes_total "$BATS_TEST_TMPDIR/before")))
  # What is under way, and one sweep for each MiB begun: each of the nine shards once, at worst each in a round of its own.
  most=$((9 * (2 + grown / mib)))
  echo "rounds $rounds, at most $most, $grown bytes of log" >&2
  [ "$rounds" -le "$most" ]
}
