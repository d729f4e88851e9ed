#!/usr/bin/env bats
# Every failpoint of the binary acts once on real nodes under load: the node ends there, comes back, and nothing is lost.
# shellcheck disable=SC2016
load helpers

teardown() { show_logs; cluster_end; }

# sweep OPTION...: every point that the options select must act, and what was acknowledged must be there.
sweep() {
  local status=0
  "$ROOT/scripts/failpoints" --bin "$BIN" --seed "${MAITRED_FAILPOINTS_SEED:-1}" "$@" >"$BATS_TEST_TMPDIR/sweep" 2>&1 || status=$?
  same 0 "$status" "exit code ($(grep -v '^ok ' "$BATS_TEST_TMPDIR/sweep"))"
}
swept() { grep -c '^ok ' "$BATS_TEST_TMPDIR/sweep"; }
listed() { "$BIN/maitred" --failpoints | awk -F'\t' "$1" | wc -l; }

@test "there are at least sixty points, each with what it may do and when it is passed" {
  [ "$("$BIN/maitred" --failpoints | wc -l)" -ge 60 ]
  same "$(listed 1)" "$(listed 'NF == 4 && $2 ~ /^(pass|error|drop)$/ && $3 != "" && $4 != ""')"
}

@test "a node without faults = 1 takes none, neither by the environment nor by a call" {
  cluster_new 1
  refused 4 FAULTS_OFF node fail 1 log.write.before crash
  refused 4 FAULTS_OFF node fail 1 --list
  status=0
  MAITRED_FAILPOINTS=log.write.before=crash maitred --config "$CLUSTER/node-1.conf" 2>"$BATS_TEST_TMPDIR/said" || status=$?
  same 2 "$status" "exit code"
  matches '*faults = 1*' "$(cat "$BATS_TEST_TMPDIR/said")"
}

@test "with faults = 1: for admins alone, logged, at the node that is named, and no nonsense" {
  cluster_new 1
  cluster stop 1
  sed -i 's/^faults = 0/faults = 1/' "$CLUSTER/node-1.conf"
  status=0
  MAITRED_FAILPOINTS='log.write.before=sometimes' maitred --config "$CLUSTER/node-1.conf" 2>"$BATS_TEST_TMPDIR/said" || status=$?
  same 2 "$status" "exit code"
  matches '*log.write.before*the actions are*' "$(cat "$BATS_TEST_TMPDIR/said")"
  cluster start 1
  refused 3 NO_FAILPOINT node fail 1 no.such.point crash
  refused 2 BAD_ACTION node fail 1 persist.entries.before error
  refused 2 BAD_ACTION node fail 1 log.write.before crash,twice
  refused 2 WRONG_NODE call cluster.InjectFault '{"node": 2, "point": "log.write.before", "action": "crash"}' --node 1
  as "$(user_token guest)" refused 7 ADMIN_ONLY node fail 1 log.write.before crash
  same crash,once "$(ask points.0.setting node fail 1 log.write.before crash,once)"
  grep -q '"event":"failpoint set","point":"log.write.before","action":"crash,once","by":"' "$CLUSTER/node-1.log"
  pid=$(node_pid 1)
  maitre catalog put-provider hotel Last --timeout 500 >/dev/null 2>&1 || true
  until_true 10 gone "$pid"
  rm -f "$CLUSTER/node-1.pid"
}

# The whole sweeps, the points' own failures (--action fail) and damage (mend, rot) among them, take ten minutes and are
# commands.
EACH='load|write|feed|fed|swept|create|found|start|torn|index|stale|drain|stranger'

@test "every point crashes its node once, under load, and nothing acknowledged is lost" {
  sweep --when "$EACH"
  same "$(listed "\$3 ~ /^($EACH)\$/")" "$(swept)" "points that acted"
}

@test "too few descriptors: a clean refusal with what to do, and the data is not touched" {
  cluster_new 1
  cluster stop 1
  before=$(find "$CLUSTER/data-1" -type f -exec cksum {} + | sort)
  for few in 40 64 100; do
    status=0
    (ulimit -n $few && exec "$BIN/maitred" --config "$CLUSTER/node-1.conf") 2>"$BATS_TEST_TMPDIR/said" || status=$?
    same 7 "$status" "exit code with ulimit -n $few ($(cat "$BATS_TEST_TMPDIR/said"))"
    matches '*ulimit -n is*raise it*' "$(cat "$BATS_TEST_TMPDIR/said")"
  done
  same "$before" "$(find "$CLUSTER/data-1" -type f -exec cksum {} + | sort)" "the data folder"
  cluster start 1
}
