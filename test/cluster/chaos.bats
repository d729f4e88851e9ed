#!/usr/bin/env bats
# shellcheck disable=SC2154 # $stderr is set by run --separate-stderr
# scripts/chaos smoke, and that what judges its history would see a loss.
load helpers

teardown() {
  show_logs
  cluster_end
}

@test "20 s of kills under load: nothing acknowledged is lost, no slot given twice" {
  run --separate-stderr "$ROOT/scripts/chaos" smoke --seconds 20 --seed "${MAITRED_CHAOS_SEED:-$RANDOM}" --bin "$BIN"
  printf '%s\n' "$stderr"
  same 0 "$status" "exit code"
  [ "$(printf '%s' "$output" | json kills)" -ge 1 ]
  [ "$(printf '%s' "$output" | json verify.acknowledged)" -ge 100 ]
  for count in missing wrong given_twice unreadable; do same 0 "$(printf '%s' "$output" | json "verify.$count")" "$count"; done
  same "$(printf '%s' "$output" | json verify.acknowledged)" "$(printf '%s' "$output" | json verify.found)" "found"
}

@test "a node comes back by snapshots under load, and again with transfers interrupted: everything acknowledged is there" {
  run --separate-stderr "$ROOT/scripts/chaos" away --seconds 8 --interrupt 1 --clients 8 --seed "${MAITRED_CHAOS_SEED:-$RANDOM}" --bin "$BIN" --json
  printf '%s\n' "$stderr" "$output"
  same 0 "$status" "exit code"
  [ "$(printf '%s' "$output" | json snapshots)" -ge 1 ]
  same 1 "$(printf '%s' "$output" | json rounds)" "rounds"
}

@test "a client that does not reach a node after the faults fails the load" {
  cluster_new 3
  load=("$BIN/test/chaos/chaos_load" --workloads reads --clients 4 --seconds 2 --history "$BATS_TEST_TMPDIR/history")
  run "${load[@]}" --reach 60
  same 0 "$status" "exit code with every node up ($output)"
  cluster stop 3
  run "${load[@]}" --reach 1
  same 3 "$status" "exit code without node 3 ($output)"
  matches '*does not reach node 3 at the end*' "$output"
  run "${load[@]}" --reach 601
  same 2 "$status" "exit code of a time that is none"
}

@test "planted violations: a lost booking, a wrong one and a slot given twice are each seen" {
  cluster_new 1
  history=$BATS_TEST_TMPDIR/history
  maitre bench reserve --clients 2 --seconds 1 --warmup 0 --log "$history" >/dev/null
  maitre bench verify "$history" >/dev/null

  lost=$(random_id)
  line=$(head -n 1 "$history")
  id=$(printf '%s' "$line" | json reservation)
  printf '%s\n' "${line/$id/${id:0:20}${lost:0:12}}" | cat "$history" - >"$history.lost"
  run maitre bench verify "$history.lost" --json
  same 9 "$status" "exit code with a lost booking ($output)"
  same 1 "$(printf '%s' "$output" | json missing)"
  same 1 "$(printf '%s' "$output" | json given_twice)" "its slot is another's"

  sed '1s/,[0-9]*\]\]/,999999]]/' "$history" >"$history.wrong"
  run maitre bench verify "$history.wrong" --json
  same 9 "$status" "exit code with a booking of another slot ($output)"
  same 1 "$(printf '%s' "$output" | json wrong)"
}
