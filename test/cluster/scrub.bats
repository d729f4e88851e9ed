#!/usr/bin/env bats
# State that rots under a running node: found, taken out, filled anew by its leaders while the node goes on; nothing is lost.
load helpers

setup() { CLUSTER=""; }
teardown() { load_abort; show_logs; cluster_end; }

# cluster_with LINES: three nodes with these lines under "limits".
cluster_with() {
  local n
  cluster_files 3 4 --no-curve
  for n in 1 2 3; do printf 'limits\n%s\n' "$1" >>"$CLUSTER/node-$n.conf"; done
  cluster up && cluster_use
}
at_least() { [ "$(metric "$1" "$2")" -ge "$3" ]; }
is_zero() { [ "$(metric "$1" "$2")" = 0 ]; }
# flip FILE: one bit in its middle, in place.
flip() {
  local at byte
  at=$(($(stat -c %s "$1") / 2))
  byte=$(od -An -tu1 -j "$at" -N 1 "$1" | tr -d ' ')
  printf '%b' "\\0$(printf '%03o' $((byte ^ 4)))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}
largest() { find "$1" -name '*.sst' -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2; }
said() { grep -q "$2" "$CLUSTER/node-$1.log"; }
# quiet NODE: everything is written back, no write-back began within a second.
quiet() {
  local before
  before=$(metric "$1" flushes_total) && [ -n "$before" ] && sleep 1 && [ "$(metric "$1" flushes_total)" = "$before" ]
}
state_files() { find "$CLUSTER/data-$1/state" -name '*.sst' | wc -l; }
book() { maitre bench reserve --clients 8 --seconds "$1" --warmup 0 --log "$BATS_TEST_TMPDIR/$2.jsonl" --json >"$BATS_TEST_TMPDIR/$2.json"; }
read_back() { maitre bench verify "$BATS_TEST_TMPDIR/$1.jsonl" --json; }

@test "the scrubber reads everything again and again, and finds nothing on a sound disk" {
  cluster_with $'    flush_ms = 200\n    scrub_ms = 500\n    scrub_mib_per_s = 50'
  book 2 one
  for n in 1 2 3; do until_true 20 at_least $n scrub_passes_total 2; done
  for n in 1 2 3; do
    until_true 5 at_least $n scrub_bytes_total 20000
    until_true 5 is_zero $n damages_total
  done
}

@test "a flipped bit in the state of a running node: found by the scrubber, filled anew, the node goes on" {
  # No write-back by itself after the first: nothing but the scrubber meets the damage.
  cluster_with $'    flush_ms = 400\n    scrub_ms = 2000\n    scrub_mib_per_s = 50'
  book 2 one
  until_true 10 [ "$(state_files 2)" -gt 0 ]
  until_true 20 quiet 2
  pid=$(node_pid 2)
  flip "$(largest "$CLUSTER/data-2/state")"
  until_true 30 at_least 2 quarantines_total 1
  until_true 30 is_zero 2 quarantined_replicas
  until_true 30 is_zero 2 suspect_replicas
  same "$pid" "$(node_pid 2)" "process of the node"
  alive "$pid"
  healthy
  # What was damaged is there again: two others may go one after the other, and the repaired node counts.
  cluster kill 1
  until_true 20 read_back one
  book 1 two
  read_back two
  cluster start 1
  healthy
  until_true 10 said 2 'filled anew by its leader'
  until_true 10 said 2 'the state database is new'
}

@test "damage that a compaction meets first, under load: the node goes on, no acknowledged booking is lost" {
  cluster_with $'    flush_ms = 200\n    scrub_ms = 3600000'
  book 2 one
  pid=$(node_pid 3)
  load_begin
  some_files() { [ "$(state_files 3)" -gt 2 ]; }
  until_true 20 some_files
  # Files come and go meanwhile, and the load goes on until a compaction has met one of those that stayed.
  for file in "$CLUSTER"/data-3/state/*.sst; do run flip "$file"; done
  until_true 30 at_least 3 quarantines_total 1
  load_ends_well
  until_true 30 is_zero 3 quarantined_replicas
  until_true 30 is_zero 3 suspect_replicas
  alive "$pid"
  healthy
  read_back one
  verified 50
}

@test "a rotten log on the disk of a running node is written anew from memory" {
  cluster_with $'    flush_ms = 400\n    scrub_ms = 1000\n    scrub_mib_per_s = 50'
  book 2 one
  until_true 20 quiet 1
  wal=$(find "$CLUSTER/data-1/log" -name '*.log' -size +0 | sort | tail -n 1)
  flip "$wal"
  until_true 30 at_least 1 damages_total 1
  until_true 10 said 1 'the log on the disk is damaged'
  gone_file() { [ ! -e "$wal" ]; }
  until_true 20 gone_file
  # Nothing of it is left: a start finds a sound log.
  cluster kill 1
  cluster start 1
  healthy
  read_back one
}
