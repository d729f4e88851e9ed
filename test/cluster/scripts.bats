#!/usr/bin/env bats
# shellcheck disable=SC2154 # $stderr is set by run --separate-stderr
# The scripts themselves: help, usage errors, ports that meet nobody's, and scripts/bench on a short run.
load helpers

@test "every script has help with an example, and refuses what it does not know with 2" {
  for script in quickstart test check cluster chaos bench; do
    run "$ROOT/scripts/$script" --help
    same 0 "$status" "$script --help"
    matches '*example*' "$output"
    run "$ROOT/scripts/$script" --frobnicate
    same 2 "$status" "exit code of $script --frobnicate ($output)"
    matches '*--help*' "$output"
  done
}

@test "ten runs at once get ten different blocks of ports" {
  # A block is its shell's for as long as that lives: all live until all have one.
  for i in $(seq 10); do
    bash -c '. "$1/scripts/lib/common.sh"; port_base 3; until [ -e "$2/go" ]; do sleep 0.05; done' _ "$ROOT" "$BATS_TEST_TMPDIR" \
      >"$BATS_TEST_TMPDIR/block-$i" 3>&- &
    pids+=($!)
  done
  all_have_one() { for i in $(seq 10); do [ -s "$BATS_TEST_TMPDIR/block-$i" ] || return 1; done; }
  until_true 20 all_have_one || { kill "${pids[@]}"; return 1; }
  : >"$BATS_TEST_TMPDIR/go"
  for pid in "${pids[@]}"; do wait "$pid"; done
  same 10 "$(cat "$BATS_TEST_TMPDIR"/block-* | sort -u | wc -l)" "different blocks"
  same 10 "$(cat "$BATS_TEST_TMPDIR"/block-* | grep -cE '^[0-9]+$')" "blocks"
}

@test "a block of ports is free again when its shell has ended" {
  first=$(bash -c '. "$1/scripts/lib/common.sh"; port_base 3' _ "$ROOT")
  for i in $(seq 60); do bash -c '. "$1/scripts/lib/common.sh"; port_base 1' _ "$ROOT"; done >"$BATS_TEST_TMPDIR/more"
  same 60 "$(grep -cE '^[0-9]+$' "$BATS_TEST_TMPDIR/more")" "blocks after $first"
}

@test "scripts/bench: one JSON line with the nodes' CPU and memory, nothing left running" {
  run --separate-stderr "$ROOT/scripts/bench" reserve:8 --seconds 1 --warmup 0 --no-curve --shards 8 --bin "$BIN"
  same 0 "$status" "exit code ($stderr)"
  same 1 "${#lines[@]}" "lines"
  [ "$(printf '%s' "$output" | json ops)" -gt 0 ]
  same 0 "$(printf '%s' "$output" | json errors)" "errors"
  same 3 "$(printf '%s' "$output" | json 'resident_kib.#')" "nodes"
  printf '%s' "$output" | json server_cpu_s_per_1000
  same "" "$(find "$TMPDIR" -name 'maitred-bench.*')" "folders left"
}

@test "a build that was named and is none is refused with 2 and the command that makes it, and nothing is made" {
  none=$BATS_TEST_TMPDIR/none
  mkdir "$BATS_TEST_TMPDIR/empty"
  for words in "scripts/cluster up --dir $BATS_TEST_TMPDIR/cluster" 'scripts/bench reserve:1' scripts/quickstart scripts/failpoints 'scripts/chaos run' \
    'scripts/chaos campaign' "scripts/chaos replay $ROOT/README.md" 'scripts/chaos failover' 'scripts/chaos failover --table' \
    'scripts/chaos smoke' 'scripts/chaos hostile' 'scripts/chaos away' 'scripts/chaos power' 'scripts/chaos damage' \
    'scripts/chaos upgrade' test/chaos/fault_sweep; do
    for build in "$none" "$BATS_TEST_TMPDIR/empty"; do
      # shellcheck disable=SC2086
      run "$ROOT/"$words --bin "$build"
      same 2 "$status" "exit code of $words --bin $build ($output)"
      matches "*error: no build in $build: *cmake*-B $build *" "$output"
    done
  done
  run env MAITRED_BIN="$none" "$ROOT/scripts/cluster" up --dir "$BATS_TEST_TMPDIR/cluster"
  same 2 "$status" "exit code with MAITRED_BIN ($output)"
  [ ! -e "$none" ] && [ ! -e "$BATS_TEST_TMPDIR/cluster" ]
  same "" "$(ls "$BATS_TEST_TMPDIR/empty")" "made in the empty folder"
}

@test "a number out of its bounds is refused with the option, the bounds and the value, and the help says the bounds" {
  none=$BATS_TEST_TMPDIR/none
  while read -r script option value low high; do
    # shellcheck disable=SC2086
    run "$ROOT/"${script//+/ } "$option" "$value" --bin "$none"
    same 2 "$status" "exit code of $script $option $value ($output)"
    matches "*error: $option must be a number from $low to $high, not '$value'; see *--help*" "$output"
    # shellcheck disable=SC2086
    run "$ROOT/"${script//+/ } --help
    matches "*$low to $high*" "$output"
  done <<'TEXT'
scripts/cluster+up --nodes 100 1 99
scripts/cluster+up --port 65001 1 65000
scripts/cluster+up --shards 0 1 4096
scripts/bench --seconds 0 1 86400
scripts/bench --nodes soon 1 99
scripts/failpoints --rounds 0 1 100000
scripts/chaos+smoke --seconds 1 5 86400
scripts/chaos+smoke --seed 01 0 999999999999999999
scripts/chaos+smoke --nodes 99 1 9
scripts/chaos+away --clients 0 1 256
scripts/chaos+power --flush-ms 0 1 3600000
scripts/chaos+hostile --rate 100000 1 99999
test/chaos/campaign --seconds 1 5 86400
test/chaos/damage --seed 9999999999999999999999 0 999999999
test/chaos/failover_table --kills 0 1 10000
test/chaos/fault_sweep --step 0 1 999999999999999999
test/chaos/upgrade --clients 257 1 256
TEXT
}

@test "chaos run and failover: the same of their numbers, and no more replicas than nodes" {
  while read -r command option value low high; do
    run "$ROOT/scripts/chaos" "$command" "$option" "$value" --bin "$BIN"
    same 2 "$status" "exit code of $command $option $value ($output)"
    matches "*error: $option must be a number from $low to $high, not '$value'; see scripts/chaos --help*" "$output"
    run "$ROOT/scripts/chaos" "$command" --help
    matches "*$option $low to ${high%% *}*" "$output"
  done <<'TEXT'
run --seconds 1 5 86400
run --nodes 99 1 9
run --clients 0 1 256
run --seed x 0 18446744073709551615
run --seed -1 0 18446744073709551615
run --shards 4097 1 4096
run --replication 8 1 7
failover --kills 0 1 10000
TEXT
  run "$ROOT/scripts/chaos" run --replication 7 --nodes 3 --bin "$BIN"
  same 2 "$status" "exit code of seven replicas on three nodes ($output)"
  matches "*--replication must be a number from 1 to 3 (--nodes), not '7'*" "$output"
}

@test "chaos replay: what could not be judged is no history or incomplete, never fine" {
  replay() { run --separate-stderr "$ROOT/scripts/chaos" replay "$@" --bin "$BIN"; }
  history=$BATS_TEST_TMPDIR/history.jsonl
  head='{"t":1,"type":"info","f":"run","version":1,"seed":7}'
  offer='{"t":2,"type":"info","f":"offer","offer":"h","first":0,"last":9,"capacity":1}'
  book='{"t":3,"c":1,"op":1,"type":"invoke","f":"book","id":"i","res":"a","mode":"book","cust":"k","items":[["h",4,1,1]]}
{"t":4,"c":1,"op":1,"type":"ok","state":"confirmed","version":1}'
  final='{"t":5,"type":"info","f":"final"}'
  for text in '' "$head" "$offer"$'\n'"$book" "$head"$'\n'"$offer"$'\n'"$final"; do
    printf '%s' "${text:+$text$'\n'}" >"$history"
    replay "$history"
    same 2 "$status" "exit code of '$text' ($output $stderr)"
    matches '*no history*give the history.jsonl*' "$stderr"
  done
  printf '%s\n' "$head" "$offer" "$book" >"$history"
  replay "$history" --json
  same 1 "$status" "exit code without final reads"
  same incomplete "$(printf '%s' "$output" | json verdict)" "verdict without final reads"
  matches '*INCOMPLETE*--part*' "$stderr"
  replay "$history" --json --part
  same 0 "$status" "exit code of a part"
  printf '%s\n' "$final" >>"$history"
  replay "$history" --json
  same 0 "$status" "exit code of a whole history"
  same fine "$(printf '%s' "$output" | json verdict)" "verdict of a whole history"
}

@test "chaos replay without a history is a usage error before anything is built" {
  for words in '' '--json' '--limit-s 5' "$BATS_TEST_TMPDIR/none.jsonl"; do
    # shellcheck disable=SC2086
    run "$ROOT/scripts/chaos" replay $words --bin "$BATS_TEST_TMPDIR/build"
    same 2 "$status" "exit code of '$words' ($output)"
    matches '*history*' "$output"
    [ ! -e "$BATS_TEST_TMPDIR/build" ]
  done
}

@test "the simulators refuse what is no number within its bounds, and read it as no other one" {
  sim=$BIN/test/sim/maitred_sim simulate="$BIN/test/sim/maitred_simulate --simulator $BIN/test/sim/maitred_sim --quiet"
  for words in "$sim --draw --seed x" "$sim --draw --seed 7x" "$sim --draw --seed -1" "$sim --draw --seed 99999999999999999999" \
    "$sim --draw --seeds 0" "$sim --draw --duration 0" "$sim --draw --families 999999999999" "$sim --draw --families 4000000" \
    "$sim --draw --families 0x7" "$simulate --seeds 99999999999999999999" "$simulate --seeds 1 --from x" "$simulate --seeds 1 --jobs 257" \
    "$simulate --minutes 99999999" "$ROOT/scripts/simulate --seeds 1 --jobs 0" "$BIN/test/sim/maitred_sim_gossip --seed x"; do
    # shellcheck disable=SC2086
    run $words
    same 2 "$status" "exit code of $words ($output)"
    words=${words##* --} # the option and its value
    matches "*error: --${words% *} must be a * from * to *, not '${words##* }'*" "$output"
  done
  run "$sim" --draw --seed 7 --families 3ffffff
  same 0 "$status" "exit code with every family"
  same 3ffffff "$(printf '%s' "$output" | json families)" "families"
}

@test "an interrupted simulation sums up what it did and says where to go on" {
  "$BIN/test/sim/maitred_simulate" --simulator "$BIN/test/sim/maitred_sim" --seeds 1000 --jobs 1 --json \
    >"$BATS_TEST_TMPDIR/summary" 3>&- 4>&- &
  pid=$!
  until_true 20 pgrep -P "$pid" # seeds are under way
  kill -INT "$pid"
  status=0
  wait "$pid" || status=$?
  same 130 "$status" "exit code"
  seeds=$("$BIN/tools/json" seeds <"$BATS_TEST_TMPDIR/summary")
  [ "$seeds" -gt 0 ]
  same $((seeds + 1)) "$("$BIN/tools/json" next_seed <"$BATS_TEST_TMPDIR/summary")" "the seed to go on with"
}
