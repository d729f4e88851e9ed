#!/usr/bin/env bats
# A backup of a running cluster, taken while leaders die, begins new clusters of any size with everything that was acknowledged
# before it: bookings, users, outcomes of requests. What is no sound backup begins nothing.
load helpers

# cluster_files NODES SHARDS [option ...]: the files of a cluster that does not run yet, in $CLUSTER.
cluster_files() {
  local nodes=$1 shards=$2
  shift 2
  PORT=$(port_base "$nodes") || return 1
  CLUSTER=$(mktemp -d "$BATS_FILE_TMPDIR/cluster.XXXXXX")/c
  export CLUSTER PORT
  maitred create-cluster --dir "$CLUSTER" --nodes "$nodes" --port "$PORT" --shards "$shards" "$@" >/dev/null
}
use_first() {
  CLUSTER=$FIRST
  cluster_use
}
restore_node() { maitre snapshot restore "$1" --config "$CLUSTER/node-$2.conf" --json; }

setup_file() {
  cluster_files 3 8 --faults
  cluster up
  cluster_use
  FIRST=$CLUSTER
  OFFER=$(new_offer "$(new_provider)")
  ALICE=$(user_token alice)
  # The id of a request says when it was made, and which shard's it is.
  REQUEST=$(printf '%012x%s%s' "$(date +%s%3N)" "${OFFER:12:8}" "$(random_id | cut -c1-12)")
  RESERVATION=$(as "$ALICE" ask reservation reserve create "$OFFER:7" --mode book --request-id "$REQUEST")
  BEFORE=$BATS_FILE_TMPDIR/before # each line of it is a booking that was acknowledged
  maitre bench reserve --clients 8 --seconds 2 --warmup 0 --log "$BEFORE" --json >/dev/null
  BACKUP=$BATS_FILE_TMPDIR/backup
  maitre snapshot save "$BACKUP"
  export BEFORE FIRST OFFER ALICE REQUEST RESERVATION BACKUP
}
teardown_file() {
  CLUSTER=$FIRST
  cluster_end
}
teardown() {
  [ -z "${load_pid:-}" ] || ! kill -0 "$load_pid" 2>/dev/null || kill "$load_pid"
  [ -z "${up_pid:-}" ] || ! kill -0 "$up_pid" 2>/dev/null || kill "$up_pid"
  [ -z "${save_pid:-}" ] || ! kill -0 "$save_pid" 2>/dev/null || kill "$save_pid"
  show_logs
  [ "$CLUSTER" = "$FIRST" ] || cluster_end
}

# ends PID FILE: it must end well; what it said stands in FILE.
ends() {
  local status=0
  wait "$1" || status=$?
  same 0 "$status" "exit code ($(cat "$2"))"
}
reading() { ls "$own".partial-*/shard-000"$1"; }
# has_all FILE: every booking of the file, and that they were looked for.
has_all() {
  maitre bench verify "$1" --json >"$BATS_TEST_TMPDIR/said" || { cat "$BATS_TEST_TMPDIR/said"; return 1; }
  same "$(wc -l <"$1")" "$(json acknowledged <"$BATS_TEST_TMPDIR/said")" "bookings looked for"
}

@test "saved under load while the node dies that is being read: sound, and all that was acknowledged before is in it" {
  use_first
  history=$BATS_TEST_TMPDIR/history
  "$BIN/maitre" bench reserve --clients 4 --seconds 6 --warmup 0 --log "$history" --json >"$BATS_TEST_TMPDIR/load" 2>&1 3>&- &
  load_pid=$!
  some() { [ "$(wc -l <"$history")" -ge 200 ]; }
  until_true 20 some
  cp "$history" "$BATS_TEST_TMPDIR/until" # what was acknowledged until now
  own=$BATS_TEST_TMPDIR/own
  "$BIN/maitre" snapshot save "$own" --rate 1 --json >"$BATS_TEST_TMPDIR/save" 2>"$BATS_TEST_TMPDIR/save.err" 3>&- &
  save_pid=$!
  until_true 20 reading 2
  victim=$(cluster leader shard:2)
  cluster kill "$victim"
  ends "$save_pid" "$BATS_TEST_TMPDIR/save.err"
  save_pid=""
  cluster start "$victim"
  ends "$load_pid" "$BATS_TEST_TMPDIR/load"
  load_pid=""
  same "$own" "$(echo "$own"*)" "what is left"
  same 600 "$(stat -c %a "$own/MANIFEST")" "mode"
  same 600 "$(stat -c %a "$own/shard-0003")" "mode"
  answer=$(maitre snapshot verify "$own" --json)
  same true "$(printf '%s' "$answer" | json sound)" "sound ($answer)"
  same 1 "$(printf '%s' "$answer" | json users)" "users"
  healthy
  # One node is a cluster too.
  cluster_files 1 8
  restore_node "$own" 1
  cluster up --nodes 1
  cluster_use
  has_all "$BATS_TEST_TMPDIR/until"
}

@test "a read that a node cannot finish is begun again, and who may not save does not" {
  use_first
  other=$BATS_TEST_TMPDIR/other
  for n in 1 2 3; do maitre node fail "$n" snapshot.read.before error:EIO,once >/dev/null; done
  answer=$(call snapshot save "$other")
  restarts=$(printf '%s' "$answer" | json restarts)
  [ "$restarts" -ge 1 ] && [ "$restarts" -le 3 ] # each node leads something, but need not be asked first
  maitre snapshot verify "$other"
  # Refusals, each with what to do; none leaves anything behind.
  run maitre snapshot save "$other"
  same 4 "$status" "into a folder that is not empty ($output)"
  ALICE=$(user_token alice)
  MAITRE_TOKEN=$ALICE run maitre snapshot save "$BATS_TEST_TMPDIR/hers"
  same 7 "$status" "by a customer ($output)"
  run maitre snapshot save "$BATS_TEST_TMPDIR/no/such/folder"
  same 1 "$status" "below no folder ($output)"
  run maitre snapshot save
  same 2 "$status" "nowhere"
  same "$other" "$(find "$BATS_TEST_TMPDIR" -mindepth 1 -maxdepth 1 -type d)" "what is left"
  refused 3 NO_SNAPSHOT call cluster.SnapshotRead "{\"save\": \"$(random_id)\", \"shard\": 1, \"piece\": 0}" --node 1
  refused 2 NO_SUCH_SHARD call cluster.SnapshotOpen "{\"save\": \"$(random_id)\", \"shard\": 9}" --node 1
}

@test "a new cluster of five nodes has every booking, gives a repeated request its first answer, and knows no old token" {
  cluster_files 5 8
  for n in 1 2 3 4 5; do restore_node "$BACKUP" $n >"$BATS_TEST_TMPDIR/said.$n"; done
  maitre node verify "$CLUSTER/data-4"
  cluster up --nodes 5
  cluster_use
  has_all "$BEFORE"
  # The old token is nobody's; the password is hers still, and so is the request.
  status=0
  error=$(as "$ALICE" maitre auth whoami --json) || status=$?
  same 7 "$status" "exit code under an old token ($error)"
  token=$(printf 'secret of alice\n' | maitre auth login alice --password-stdin --timeout 30000 --json | json access_token)
  answer=$(as "$token" call reserve create "$OFFER:7" --mode book --request-id "$REQUEST")
  same true "$(printf '%s' "$answer" | json replayed)" "replayed ($answer)"
  same "$RESERVATION" "$(printf '%s' "$answer" | json reservation)" "reservation"
  refused 4 SOLD_OUT reserve create "$OFFER:7" --mode book
  new=$(ask reservation reserve create "$OFFER:8" --mode book)
  # Its log goes on: a node that dies comes back, and one whose folder is lost is replaced.
  cluster kill 2
  same confirmed "$(state_of "$new")"
  rm -rf "$CLUSTER/data-2"
  until_true 20 maitre node replace 2 --no-wait
  cluster start 2
  over() { local record; record=$(call call cluster.Placement) && [[ $record != *running* ]]; }
  until_true 60 over
  has_all "$BEFORE"
  maitre snapshot save "$BATS_TEST_TMPDIR/second" 2>/dev/null
  maitre snapshot verify "$BATS_TEST_TMPDIR/second"
}

@test "what does not fit makes no folder: other shards, the saved cluster itself, a folder in use, damage, no backup" {
  cluster_files 3 4
  run restore_node "$BACKUP" 1
  same 4 "$status" "another number of shards ($output)"
  matches '*--shards 8*' "$output"
  CLUSTER=$FIRST
  sed "s|^data = .*|data = $BATS_TEST_TMPDIR/twin|" "$FIRST/node-1.conf" >"$FIRST/twin.conf"
  run maitre snapshot restore "$BACKUP" --config "$FIRST/twin.conf"
  same 4 "$status" "the same cluster ($output)"
  cluster_files 3 8
  run restore_node "$BATS_TEST_TMPDIR" 1
  same 2 "$status" "no backup ($output)"
  mkdir "$CLUSTER/data-1"
  echo mine >"$CLUSTER/data-1/file"
  run restore_node "$BACKUP" 1
  same 4 "$status" "a folder in use ($output)"
  same file "$(ls "$CLUSTER/data-1")" "the folder"
  bad=$BATS_TEST_TMPDIR/bad
  cp -r "$BACKUP" "$bad"
  truncate -s -1 "$bad/shard-0005"
  run maitre snapshot verify "$bad"
  same 6 "$status" "verify of a cut file ($output)"
  matches '*shard-0005*' "$output"
  for n in 2 3; do # whether the node holds that shard or not
    run restore_node "$bad" $n
    same 6 "$status" "restore of a cut file ($output)"
    matches '*shard-0005*' "$output"
  done
  rm "$bad/shard-0005"
  run maitre snapshot verify "$bad"
  same 6 "$status" "verify without a file ($output)"
  run restore_node "$BACKUP" 9
  same 2 "$status" "no configuration ($output)"
  [ ! -e "$BATS_TEST_TMPDIR/twin" ] && [ ! -e "$CLUSTER/data-2" ] && [ ! -e "$CLUSTER/data-3" ]
  [ -z "$(find "$CLUSTER" "$BATS_TEST_TMPDIR" -name '*.restoring')" ]
  CLUSTER=$FIRST
}

@test "a node made from another backup than the others is not one of them, and says so" {
  use_first
  maitre bench reserve --clients 4 --seconds 1 --warmup 0 --json >/dev/null
  maitre snapshot save "$BATS_TEST_TMPDIR/other" 2>/dev/null
  cluster_files 3 8
  for n in 1 2; do restore_node "$BACKUP" $n; done
  restore_node "$BATS_TEST_TMPDIR/other" 3
  "$ROOT/scripts/cluster" up --nodes 3 --dir "$CLUSTER" --bin "$BIN" >/dev/null 2>&1 3>&- & # it waits for node 3 in vain
  up_pid=$!
  MAITRE_CLUSTER=$CLUSTER/cluster.client MAITRE_TOKEN=$(cat "$CLUSTER/admin.token")
  export MAITRE_CLUSTER MAITRE_TOKEN
  until_true 20 maitre catalog get "$OFFER" --node 1
  until_true 20 grep -q 'from another backup' "$CLUSTER/node-3.log"
  same 0 "$(grep -c 'snapshot installed' "$CLUSTER/node-3.log")" "images that it took from the others"
  kill "$up_pid"
}
