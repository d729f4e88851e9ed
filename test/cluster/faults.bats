#!/usr/bin/env bats
# Disks that are slow, full or refuse, under a running node: preload_faults.so with rules that change while it runs.
load helpers

setup_file() {
  export SHIM=$BIN/test/support/preload_faults.so
  [ -e "$SHIM" ] || skip "the shim that makes disks fail was not built"
  cluster_new 3
  OFFER=$(new_offer "$(new_provider)")
  RULES=$BATS_FILE_TMPDIR/rules
  export OFFER RULES
  rule ""
  cluster stop 1
  printf 'limits\n    disk_free_min_mib = 64\n' >>"$CLUSTER/node-1.conf"
  MAITRED_FAULTS_FILE=$RULES LD_PRELOAD=$SHIM "$BIN/maitred" --config "$CLUSTER/node-1.conf" >>"$CLUSTER/node-1.log" 2>&1 3>&- 4>&- &
  echo $! >"$CLUSTER/node-1.pid"
  healthy
}
teardown_file() { cluster_end; }
teardown() { show_logs; }

rule() { printf '%s\n' "$1" >"$RULES.new" && mv "$RULES.new" "$RULES"; }
leads_some() { [ "$(metric 1 shards_led)" -gt 0 ]; }
book() { same confirmed "$(state_of "$(ask reservation reserve create "$OFFER:$1" --mode book --timeout 60000)")"; }

@test "a slow disk hands its leaderships over, and takes them back when it is quick again" {
  until_true 20 leads_some
  rule "sync data-1/log/ delay=900"
  for slot in $(seq 1 5); do book "$slot"; done
  until_true 20 metric_is 1 disk_slow 1
  until_true 20 metric_is 1 shards_led 0
  for slot in $(seq 6 10); do book "$slot"; done
  rule ""
  until_true 30 metric_is 1 disk_slow 0
  until_true 60 leads_some
}

@test "a disk that gets full: leaderships go, writes go on elsewhere, and it comes back at twice the mark" {
  until_true 60 leads_some
  rule "space * free=10"
  until_true 20 metric_is 1 disk_full 1
  until_true 20 metric_is 1 shards_led 0
  for slot in $(seq 21 25); do book "$slot"; done
  rule "space * free=100" # more than the mark of 64 MiB, less than twice
  for _ in $(seq 15); do
    run metric 1 disk_full
    [ "$output" != 0 ]
    sleep 0.1
  done
  rule "space * free=200"
  until_true 20 metric_is 1 disk_full 0
  healthy
}

under_rules() {
  MAITRED_FAULTS_FILE=$RULES LD_PRELOAD=$SHIM "$BIN/maitred" --config "$CLUSTER/node-1.conf" >>"$CLUSTER/node-1.log" 2>&1 3>&- 4>&- &
  echo $! >"$CLUSTER/node-1.pid"
}
said() { grep -q "$1" "$CLUSTER/node-1.log"; }

@test "no room to write state back, nor for snapshots: both are tried again, and the node goes on" {
  until_true 60 leads_some
  cluster stop 1
  printf '    flush_ms = 500\n    flush_mib = 1\n' >>"$CLUSTER/node-1.conf"
  rule "write data-1/ingest/ enospc"
  under_rules
  node=$(cat "$CLUSTER/node-1.pid")
  healthy
  for slot in $(seq 31 33); do book "$slot"; done
  until_true 60 said 'no room to write the state back'
  rule ""
  flushes=$(metric 1 flushes_total)
  goes_back() { [ "$(metric 1 flushes_total)" -gt "${flushes:-0}" ]; }
  until_true 60 goes_back
  kill -0 "$node"

  # Once all logs are cut behind what was written back, what it loses must come from the others by snapshots.
  for other in 2 3; do
    cluster stop "$other"
    printf 'limits\n    flush_ms = 500\n    flush_mib = 1\n' >>"$CLUSTER/node-$other.conf"
    cluster start "$other"
    healthy
  done
  all_cut() {
    "$BIN/maitre" bench reserve --clients 16 --seconds 2 --warmup 0 --json >/dev/null
    for each in 1 2 3; do [ "$(metric "$each" log_cuts_total)" -ge 17 ] || return 1; done
  }
  until_true 60 all_cut
  cluster stop 1
  rm -rf "$CLUSTER/data-1/state"
  rule "write data-1/ingest/ enospc"
  under_rules
  node=$(cat "$CLUSTER/node-1.pid")
  until_true 60 said 'no room for a snapshot'
  rule ""
  healthy
  until_true 60 metric_is 1 quarantined_replicas 0
  kill -0 "$node"
  for slot in $(seq 34 36); do book "$slot"; done
}

@test "writes, syncs and allocations of a node's life that fail, a sample: nothing acknowledged is lost" {
  kinds=("sync eio 11" "write enospc 13")
  sanitized || kinds+=("alloc enomem 150") # a sanitizer's allocator is not to be had by a preloaded one
  for kind in "${kinds[@]}"; do
    # shellcheck disable=SC2086
    set -- $kind
    run "$ROOT/test/chaos/fault_sweep" --operation "$1" --action "$2" --step "$3" --count 3 --bookings 4 --bin "$BIN"
    same 0 "$status" "exit status of $kind ($output)"
    matches '*none lost*' "$output"
  done
}
