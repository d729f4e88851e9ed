#!/usr/bin/env bats
# A node whose data folder is lost comes back as new replicas, under load and whoever dies meanwhile; its old folder never does.
load helpers

setup_file() {
  cluster_new 3 --shards 32
  OFFER=$(new_offer "$(new_provider)")
  export OFFER
}
teardown_file() { cluster_end; }
teardown() {
  load_abort
  [ -z "${replace_pid:-}" ] || ! kill -0 "$replace_pid" 2>/dev/null || kill "$replace_pid"
  show_logs
}

folder() { echo "$CLUSTER/$(sed -nE 's/^data *= *"?([^"]*)"?/\1/p' "$CLUSTER/node-$1.conf")"; }
wipe() { rm -rf "${CLUSTER:?}/$(basename "$(folder "$1")")"; }
link_is_down() { local state; state=$(ask "nodes.$(($1 - 1)).state" cluster members --node "$2"); [ "$state" != alive ]; }

# replace_begin NODE: in the background; replace_end waits for it.
replace_begin() {
  "$BIN/maitre" node replace "$1" --wait 400 --json >"$BATS_TEST_TMPDIR/replace" 2>"$BATS_TEST_TMPDIR/replace.err" 3>&- &
  replace_pid=$!
}
replace_end() {
  local status=0
  wait "$replace_pid" || status=$?
  replace_pid=""
  same 0 "$status" "exit code of replace ($(cat "$BATS_TEST_TMPDIR/replace" "$BATS_TEST_TMPDIR/replace.err"))"
  same true "$(json over <"$BATS_TEST_TMPDIR/replace")" over
  same 33 "$(json moves_done <"$BATS_TEST_TMPDIR/replace")" "moves done"
}
awaited() { maitre cluster members --node "$1" --json | json nodes.1.awaited | grep -qx true; }
# starts_in_vain NODE: it must end by itself with 4.
starts_in_vain() {
  local status=0 pid
  "$BIN/maitred" --config "$CLUSTER/node-$1.conf" 2>"$BATS_TEST_TMPDIR/vain.log" 3>&- &
  pid=$!
  until_true 15 gone "$pid" || { kill -9 "$pid"; cat "$BATS_TEST_TMPDIR/vain.log"; return 1; }
  wait "$pid" || status=$?
  same 4 "$status" "exit code of node $1 ($(tail -n 2 "$BATS_TEST_TMPDIR/vain.log"))"
}
replica_of_2() { maitre cluster where --shard "$1" --json | json replicas | tr -d ' \n' | sed -nE 's/.*"node":2,"replica":([0-9]+).*/\1/p'; }

@test "refused: a node that runs, one that is not there, callers without the role" {
  refused 4 NODE_RUNS node replace 2
  refused 4 NODE_RUNS node replace 2 --node 2
  refused 2 NO_SUCH_NODE node replace 4
  refused 7 ADMIN_ONLY node replace 2 --token "$(user_token someone@example.org)"
  run maitre node replace
  same 2 "$status" "exit code without a node"
  run maitre node replace 2x
  same 2 "$status" "exit code of a wrong number"
}

@test "refused: a shard would be left without a majority of two live replicas" {
  cluster kill 2
  cluster kill 3
  until_true 10 link_is_down 2 1
  until_true 10 link_is_down 3 1
  refused 4 QUORUM_AT_RISK node replace 2 --node 1
  cluster start 2
  cluster start 3
  healthy
}

@test "a wiped node under load: refused, replaced, and from then on it counts" {
  load_begin 4
  cluster kill 2
  cp -a "$(folder 2)" "$BATS_FILE_TMPDIR/old"
  wipe 2
  starts_in_vain 2
  matches '*maitre node replace N*' "$(cat "$BATS_TEST_TMPDIR/vain.log")"
  goes_on
  before=$(replica_of_2 0)
  replace_begin 2
  until_true 10 awaited 1
  # It is the same whoever asks again, as long as nobody came.
  same 33 "$(maitre node replace 2 --no-wait --json | json moves)" "moves of the second try"
  cluster start 2
  replace_end
  after=$(replica_of_2 0)
  [ "$after" -gt "$before" ] && [ "$after" -gt 99 ] || { echo "replica id $after after $before"; return 1; }
  healthy
  goes_on
  # One of its majorities is with the new replicas now: they hold everything.
  cluster kill 3
  goes_on
  load_ends_well
  verified 100
  cluster start 3
  healthy
  # Nobody tells of the folder that was lost any more: who joins would take it for the one that counts (S2).
  for n in 1 2 3; do until_true 20 metric_is "$n" gossip_members 3; done
  # With its new replicas it is the same process once more, and what kept the old one's memory is gone.
  grep -q 'the process starts again with them' "$CLUSTER/node-2.log"
  sanitized || same 1 "$(keepers_of "$(cat "$CLUSTER/node-2.pid")" | wc -l)" "memory keepers of node 2"
}

@test "the old folder, copied back, stays refused; the new one serves on" {
  cluster stop 2
  mv "$(folder 2)" "$BATS_TEST_TMPDIR/new"
  cp -a "$BATS_FILE_TMPDIR/old" "$(folder 2)"
  starts_in_vain 2
  wipe 2
  mv "$BATS_TEST_TMPDIR/new" "$(folder 2)"
  cluster start 2
  healthy
  # Nor is a third folder taken without a word of the administrator.
  cluster stop 2
  mv "$(folder 2)" "$BATS_TEST_TMPDIR/new"
  starts_in_vain 2
  wipe 2
  mv "$BATS_TEST_TMPDIR/new" "$(folder 2)"
  cluster start 2
  healthy
}

@test "kill -9 of who leads shard 0 in the middle of a second replacement: it goes on, nothing is lost" {
  load_begin 4
  before=$(replica_of_2 5)
  cluster kill 2
  wipe 2
  until_true 10 link_is_down 2 1
  replace_begin 2
  until_true 10 awaited 1
  # Without waiting for it: it is ready only when everything has moved.
  "$BIN/maitred" --config "$CLUSTER/node-2.conf" 2>>"$CLUSTER/node-2.log" 3>&- &
  echo $! >"$CLUSTER/node-2.pid"
  some_done() { [ "$(maitre cluster members --node 1 --json | json nodes.1.moves_done)" -ge 1 ]; }
  until_true 20 some_done
  leader=$(leader_of shard:0)
  [ "$leader" != 2 ] || leader=1
  cluster kill "$leader"
  sleep 1
  cluster start "$leader"
  replace_end
  healthy
  [ "$(replica_of_2 5)" -gt "$before" ]
  goes_on
  load_ends_well
  verified 100
}

@test "the replaced node is killed while it is being filled: it goes on from there" {
  cluster kill 2
  wipe 2
  until_true 10 link_is_down 2 1
  replace_begin 2
  until_true 10 awaited 1
  for _ in 1 2 3 4 5 6; do
    "$BIN/maitred" --config "$CLUSTER/node-2.conf" 2>>"$CLUSTER/node-2.log" 3>&- &
    victim=$!
    sleep "$((RANDOM % 2)).$((RANDOM % 9 + 1))"
    kill -9 "$victim"
    wait "$victim" || true
    # Its main thread is gone; another one may be in the disk's queue still, and hold the folder's lock.
    until_true 10 flock -n "$(folder 2)/LOCK" true
  done
  cluster start 2
  replace_end
  healthy
}

@test "lost again before it was filled: replaced again" {
  cluster kill 2
  wipe 2
  until_true 10 link_is_down 2 1
  maitre node replace 2 --no-wait
  cluster start 2
  bound() { [ -n "$(maitre call cluster.Placement --json | json placement.nodes.0.folder)" ]; }
  until_true 10 bound
  cluster kill 2
  wipe 2
  until_true 10 link_is_down 2 1
  replace_begin 2
  until_true 10 awaited 1
  cluster start 2
  replace_end
  healthy
}

@test "a folder that lost its map, or its replicas, is refused and not filled under ids that were used" {
  cluster stop 2
  cp -a "$(folder 2)" "$BATS_TEST_TMPDIR/good"
  rm "$(folder 2)/files/map"
  run maitred --config "$CLUSTER/node-2.conf"
  same 6 "$status" "exit code without the map"
  matches '*damaged or missing*' "$output"
  wipe 2
  cp -a "$BATS_TEST_TMPDIR/good" "$(folder 2)"
  cluster start 2
  healthy
  same 0 "$(maitre cluster status --json | json nodes | grep -c moves)" "rows with moves"
}
