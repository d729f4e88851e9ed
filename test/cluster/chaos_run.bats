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
  [ "$(printf '%s' "$output" | json check.ok)" -ge 100 ]
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

@test "lost disks: a node is emptied and replaced while others are killed, the checker finds nothing wrong" {
  chaos_run proxy 10 --faults wipe,kill
  judged
  [ "$(printf '%s' "$output" | json faults.wipe)" -ge 1 ]
  matches '*is replaced, after*' "$stderr"
}

@test "a pause of more than half a minute outlives its phase, and ends with the run" {
  # What a seed draws is the same every time: of this one a pause of 38 s is the first. Phases are 6 s here.
  MAITRED_CHAOS_SEED=3 chaos_run proxy 12 --faults pause
  same 0 "$status" "exit code ($output)"
  same fine "$(printf '%s' "$output" | json check.verdict)" "verdict"
  acts=$(printf '%s\n' "$stderr" | awk '$3 == "run" && $4 == "phase" {print "phase"} $3 == "pause" {print $4} $4 == "heal" {print "heal"}' | tr '\n' ' ')
  matches 'phase begin phase *end heal ' "$acts"
  length_ms=$(printf '%s\n' "$stderr" | sed -nE 's/.* stands still for at most ([0-9]+) ms.*/\1/p' | head -n 1)
  [ "$length_ms" -gt 30000 ] && [ "$length_ms" -le 60000 ]
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
  # That no order explains it may take minutes to show, where it is one of hundreds of operations on the same things: the
  # counts of the final reads contradict it at once.
  run "$ROOT/scripts/chaos" replay "$BATS_TEST_TMPDIR/planted.jsonl" --limit-s 5 --bin "$BIN"
  same 9 "$status" "exit code of a replay with a planted violation ($output)"
  matches '*VIOLATION*' "$output"
}

@test "a campaign: a line a run, nothing is run twice, a violation stays with its folder" {
  dir=$BATS_TEST_TMPDIR/campaign
  campaign() {
    run --separate-stderr "$ROOT/scripts/chaos" campaign --dir "$dir" --bin "$BIN" --json "$@"
    printf '%s\n' "$stderr"
  }
  campaign --runs 1 --seconds 6 --seed 1 --nodes 3 --clients 8 --faults kill,reset
  same 0 "$status" "exit code ($output)"
  same 1 "$(printf '%s' "$output" | json pairs_covered)" "pairs covered"
  same fine "$(json verdict <"$dir/campaign.jsonl")" "verdict"
  [ "$(json operations <"$dir/campaign.jsonl")" -ge 200 ]
  before=$(cat "$dir/campaign.jsonl")
  campaign --runs 1
  same 0 "$status" "exit code of the second call"
  same "$before" "$(cat "$dir/campaign.jsonl")" "lines after the second call"
  campaign --seed 2
  same 2 "$status" "exit code with another seed"
  # Planted: a judge that finds every history wrong.
  printf '#!/bin/sh\necho "VIOLATION: slot 1 given twice" >&2\necho "{\\"verdict\\":\\"violation\\",\\"operations\\":7}"\nexit 9\n' \
    >"$dir/build/test/chaos/chaos_check"
  campaign --runs 2
  same 9 "$status" "exit code with a violation"
  same 1 "$(printf '%s' "$output" | json violations)" "violations"
  kept=$(tail -n 1 "$dir/campaign.jsonl" | json kept)
  [ -s "$kept/history.jsonl" ] && [ -s "$kept/nemesis.jsonl" ]
  matches '*slot 1 given twice*' "$(tail -n 1 "$dir/campaign.jsonl" | json what)"
}

@test "the plan of a campaign has every pair, and does not depend on how many runs are asked for" {
  "$ROOT/scripts/chaos" campaign --plan --seed 5 --runs 60 --bin "$BIN" --faults kill,pause,partition,oneway,loss,delay,reset >"$BATS_TEST_TMPDIR/60"
  "$ROOT/scripts/chaos" campaign --plan --seed 5 --runs 20 --bin "$BIN" --faults kill,pause,partition,oneway,loss,delay,reset >"$BATS_TEST_TMPDIR/20"
  same "$(head -n 20 "$BATS_TEST_TMPDIR/60")" "$(cat "$BATS_TEST_TMPDIR/20")" "the first twenty"
  pairs=$(awk '{n = split($NF, f, ","); for (i = 1; i < n; i++) for (j = i + 1; j <= n; j++) print (f[i] < f[j] ? f[i] "+" f[j] : f[j] "+" f[i])}' \
    "$BATS_TEST_TMPDIR/60" | sort -u | wc -l)
  same 21 "$pairs" "pairs of seven families"
}

@test "the table of fail-over: a file a row, what is there is not measured again, another system stands beside it" {
  local table=$BATS_TEST_TMPDIR/table other
  other='[ {fault} = kill ] || exit 3; echo "{\"kills\":{kills},\"gap_ms\":{\"median\":5.0,\"p99\":7.0,\"worst\":7.5}}"'
  failover() { run --separate-stderr "$ROOT/scripts/chaos" failover --table --kills 1 --dir "$table" --bin "$BIN" --vs "$other" "$@"; }
  failover --rows kill:one --json
  printf '%s\n' "$stderr"
  same 0 "$status" "exit code ($output)"
  same 0 "$(printf '%s' "$output" | json missing)" "rows that are missing"
  [ -s "$table/kill-one.json" ]
  before=$(stat -c %Y.%i "$table/kill-one.json")
  failover --rows kill:one,transfer:all
  printf '%s\n' "$stderr" "$output"
  same 0 "$status" "exit code"
  same "$before" "$(stat -c %Y.%i "$table/kill-one.json")" "the row that was there"
  [[ $output == *"kill "*"5.0 7.0 7.5 (1)"* ]]
  [[ $output == *"transfer   all      1 "*"cannot be done"* ]]
}

@test "hostile clients: they are answered, held or cut off, every node goes on, and nothing is lost" {
  run --separate-stderr "$ROOT/scripts/chaos" hostile --kinds halfopen,garbage,huge,calls,unread,logins --seconds 1 --clients 4 --bin "$BIN" --json
  same 0 "$status" "exit code ($stderr)"
  for row in 0 1 2 3 4 5; do
    [ "$(printf '%s' "$output" | json "rows.$row.hostile.done")" -ge 10 ]
    [ "$(printf '%s' "$output" | json "rows.$row.beside_per_second")" -ge 1 ]
  done
  [ "$(printf '%s' "$output" | json rows.3.hostile.answered)" -ge 10 ]
  run "$ROOT/scripts/chaos" hostile --kinds kindness --bin "$BIN"
  same 2 "$status" "an unknown kind"
}

@test "usage errors of chaos run" {
  for wrong in '--faults fire' '--nodes 0' '--nodes 99' '--seconds soon' '--network carrier' '--workloads naps' '--what' 'more'; do
    # shellcheck disable=SC2086
    run "$ROOT/scripts/chaos" run $wrong --bin "$BIN"
    same 2 "$status" "exit code of $wrong ($output)"
    matches '*see scripts/chaos --help*' "$output"
  done
}
