#!/usr/bin/env bats
# scripts/quickstart from nothing and again: a build, three nodes, a demonstration, a kill -9, nothing lost.
load helpers

setup_file() {
  CLUSTER=$BATS_FILE_TMPDIR/quickstart
  PORT=$(port_base 3)
  export CLUSTER PORT
}
teardown_file() { "$ROOT/scripts/cluster" down --purge --dir "$CLUSTER" --bin "$ROOT/build"; }
teardown() { show_logs; }

quickstart() { run "$ROOT/scripts/quickstart" --dir "$CLUSTER" --port "$PORT"; }

@test "the first time" {
  quickstart
  same 0 "$status" "exit code ($output)"
  for words in 'is dead' 'collected' 'Done in'; do matches "*$words*" "$output"; done
  same 2 "$(printf '%s\n' "$output" | grep -c ' confirmed$')" "bookings that are still there"
}

@test "the cluster is left up and healthy" {
  run "$ROOT/scripts/cluster" status --dir "$CLUSTER" --bin "$ROOT/build"
  same 0 "$status" "exit code ($output)"
}

@test "again: the cluster and the demonstration are kept" {
  before=$(cat "$CLUSTER/demo.env")
  quickstart
  same 0 "$status" "exit code ($output)"
  matches '*there already*' "$output"
  same "$before" "$(cat "$CLUSTER/demo.env")"
}
