#!/usr/bin/env bats
# scripts/quickstart from nothing and again: a build, three nodes, a demonstration, a kill -9, nothing lost.
# It builds a release. Under a sanitizer that would try nothing: there the sanitized build is its build.
load helpers

setup_file() {
  CLUSTER=$BATS_FILE_TMPDIR/quickstart
  PORT=$(port_base 3)
  BUILT=$ROOT/build
  if sanitized; then BUILT=$BIN; fi
  export CLUSTER PORT BUILT
}
teardown_file() { "$ROOT/scripts/cluster" down --purge --dir "$CLUSTER" --bin "$BUILT"; }
teardown() { show_logs; }

quickstart() {
  local build=()
  [ "$BUILT" = "$ROOT/build" ] || build=(--bin "$BUILT")
  run "$ROOT/scripts/quickstart" --dir "$CLUSTER" --port "$PORT" "${build[@]}"
}

@test "the first time" {
  quickstart
  same 0 "$status" "exit code ($output)"
  for words in 'is dead' 'collected' 'Done in'; do matches "*$words*" "$output"; done
  same 2 "$(printf '%s\n' "$output" | grep -c ' confirmed$')" "bookings that are still there"
}

@test "the cluster is left up and healthy" {
  run "$ROOT/scripts/cluster" status --dir "$CLUSTER" --bin "$BUILT"
  same 0 "$status" "exit code ($output)"
}

@test "again: the cluster and the demonstration are kept" {
  before=$(cat "$CLUSTER/demo.env")
  quickstart
  same 0 "$status" "exit code ($output)"
  matches '*there already*' "$output"
  same "$before" "$(cat "$CLUSTER/demo.env")"
}
