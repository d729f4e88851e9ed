#!/usr/bin/env bats
# shellcheck disable=SC2154 # $stderr is set by run --separate-stderr
# scripts/chaos run on both kinds of network, and that it leaves nothing behind.
load helpers

FAULTS=kill,pause,partition,oneway,loss,delay,reset,clock,fsync,slowdisk,bitflip

# chaos_run NETWORK SECONDS [option ...]: the summary is in $output.
chaos_run() {
  run --separate-stderr "$ROOT/scripts/chaos" run --network "$1" --seconds "$2" --seed "${MAITRED_CHAOS_SEED:-$RANDOM}" \
    --clients 8 --bin "$BIN" --json "${@:3}"
  printf '%s\n' "$stderr"
}

# judged: it was hurt, and the checker found enough to judge and nothing wrong with it.
judged() {
  same 0 "$status" "exit code ($output)"
  same fine "$(printf '%s' "$output" | json check.verdict)" "verdict"
  [ "$(printf '%s' "$output" | json check.ok)" -ge 500 ]
  [ "$(printf '%s' "$output" | sed -E 's/.*"faults":\{([^}]*)\}.*/\1/' | tr ',' '\n' | awk -F: '{n += $2} END {print n + 0}')" -ge 2 ]
}

may_make_spaces() { [ "$(id -u)" = 0 ] && [ -c /dev/net/tun ] && unshare --net true 2>/dev/null; }

# left FOLDER: what still runs with something of this folder, and what is mounted there.
left() {
  local cmdline
  for cmdline in /proc/[0-9]*/cmdline; do
    tr '\0' ' ' 2>/dev/null <"$cmdline" | grep -F "$1" && return 0
  done
  grep -F "$1" /proc/mounts
}
nothing_left() { ! left "$1" && [ ! -e "$1" ]; }

@test "mixed faults in network namespaces: the checker finds nothing wrong" {
  may_make_spaces || skip "network namespaces and TUN devices need root"
  chaos_run netns 20 --faults "$FAULTS"
  judged
  same netns "$(printf '%s' "$output" | json network)"
}

@test "mixed faults behind the TCP proxy: the checker finds nothing wrong" {
  chaos_run proxy 20 --faults "$FAULTS"
  judged
  same proxy "$(printf '%s' "$output" | json network)"
}

@test "killed with -9 in the middle, a run leaves no process, no mount and no folder" {
  "$ROOT/scripts/chaos" run --seconds 60 --faults kill,pause --bin "$BIN" >/dev/null 2>"$BATS_TEST_TMPDIR/err" &
  nemesis=$!
  until_true 30 grep -q ' phase ' "$BATS_TEST_TMPDIR/err"
  folder=$(find "$TMPDIR" -maxdepth 1 -name "maitred-chaos-run.$nemesis.*")
  [ -n "$folder" ]
  [ "$(left "$folder" | wc -l)" -ge 1 ]
  kill -KILL "$nemesis"
  until_true 10 nothing_left "$folder"
}

@test "a saved history is judged the same again, and one with a booking taken back with exit code 9 and words" {
  chaos_run proxy 5 --faults kill --dir "$BATS_TEST_TMPDIR/kept"
  same 0 "$status" "exit code"
  history=$BATS_TEST_TMPDIR/kept/history.jsonl
  run "$ROOT/scripts/chaos" replay "$history" --bin "$BIN"
  same 0 "$status" "exit code of a replay"
  # Planted: at the end somebody's confirmed booking is told to be cancelled, which nobody did.
  awk '!done && /"c":100[0-9]+,.*"type":"ok","state":"confirmed","version":1,/ {
    done = sub(/"confirmed","version":1/, "\"cancelled\",\"version\":2")
  } {print} END {exit !done}' "$history" >"$BATS_TEST_TMPDIR/planted.jsonl"
  run "$ROOT/scripts/chaos" replay "$BATS_TEST_TMPDIR/planted.jsonl" --bin "$BIN"
  same 9 "$status" "exit code of a replay with a planted violation ($output)"
  matches '*VIOLATION*' "$output"
}

@test "usage errors of chaos run" {
  for wrong in '--faults fire' '--nodes 0' '--nodes 99' '--seconds soon' '--network carrier' '--workloads naps' '--what' 'more'; do
    # shellcheck disable=SC2086
    run "$ROOT/scripts/chaos" run $wrong --bin "$BIN"
    same 2 "$status" "exit code of $wrong ($output)"
    matches '*see scripts/chaos --help*' "$output"
  done
}
