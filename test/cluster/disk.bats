#!/usr/bin/env bats
# Disks that fail under a node: a sync that fails, a data folder that is lost. What was acknowledged stays.
load helpers

setup_file() {
  cluster_new 3
  OFFER=$(new_offer "$(new_provider)")
  export OFFER
}
teardown_file() { cluster_end; }
teardown() { show_logs; }

# book_some FIRST LAST: books those slots and keeps the ids.
book_some() {
  local slot
  for slot in $(seq "$1" "$2"); do ids+=("$(ask reservation reserve create "$OFFER:$slot" --mode book)"); done
}
all_there() {
  local id
  for id in "${ids[@]}"; do same confirmed "$(state_of "$id")" || return 1; done
}

@test "a sync that fails: the node ends at once with 70, the others go on, it comes back and catches up" {
  shim=$BIN/test/support/preload_fsync.so
  [ -e "$shim" ] || shim=$(find "$BIN" -name 'preload_fsync*.so' | head -n 1)
  [ -n "$shim" ] || skip "the shim that makes syncs fail was not built"
  cluster stop 3
  MAITRED_FSYNC_AFTER=40 LD_PRELOAD=$shim "$BIN/maitred" --config "$CLUSTER/node-3.conf" >>"$CLUSTER/node-3.log" 2>&1 3>&- &
  pid=$!
  echo "$pid" >"$CLUSTER/node-3.pid"
  # Its syncs are those of what it follows: the bookings go on until one has failed.
  slot=0
  until gone "$pid"; do
    [ $slot -lt 600 ] || { echo "node 3 outlives $slot bookings"; return 1; }
    slot=$((slot + 1))
    book_some $slot $slot
  done
  status=0
  wait "$pid" || status=$?
  same 70 "$status" "exit status of the node ($(tail -n 3 "$CLUSTER/node-3.log"))"
  matches '*sync*' "$(tail -n 3 "$CLUSTER/node-3.log")"
  book_some 701 705
  cluster start 3
  healthy
  all_there
  # With another node dead the returned one is needed for every majority.
  cluster kill 1
  book_some 706 710
  all_there
  cluster start 1
  healthy
}

@test "a lost data folder: its node does not count, and acknowledges nothing under the old name" {
  book_some 801 805
  cluster kill 3
  data=$(sed -nE 's/^data *= *"?([^"]*)"?/\1/p' "$CLUSTER/node-3.conf")
  mv "$CLUSTER/$data" "$BATS_TEST_TMPDIR/lost"
  # Two of three hold what was acknowledged. With one of those dead, the emptied third must not make up a majority.
  cluster kill 2
  "$BIN/maitred" --config "$CLUSTER/node-3.conf" 2>"$BATS_TEST_TMPDIR/emptied.log" 3>&- &
  emptied=$!
  dead() { [ "$(ask nodes.2.state cluster members --node 1)" = dead ]; }
  until_true 10 dead
  for _ in $(seq 20); do dead; done # and stays so, whatever gossip says of the old one and the new one
  run maitre cluster status --node 1
  same 1 "$status" "exit code of cluster status: not healthy"
  status=0
  maitre reserve create "$OFFER:811" --mode book --timeout 2000 --json >"$BATS_TEST_TMPDIR/answer" || status=$?
  case $status in 5 | 6) ;; *) same "5 or 6" "$status" "exit code ($(cat "$BATS_TEST_TMPDIR/answer"))" ;; esac
  alive "$emptied"
  cluster start 2
  # Now most of the others say that it is not the node that they know: it ends, and says what to do.
  until_true 10 gone "$emptied"
  status=0
  wait "$emptied" || status=$?
  same 4 "$status" "exit code of the emptied node"
  matches "*under another data folder*" "$(cat "$BATS_TEST_TMPDIR/emptied.log")"
  book_some 806 810
  until_true 20 maitre reserve get "${ids[0]}" --timeout 1000
  all_there
  rm -rf "${CLUSTER:?}/$data"
  mv "$BATS_TEST_TMPDIR/lost" "$CLUSTER/$data"
  cluster start 3
  healthy
  all_there
}
