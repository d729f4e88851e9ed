#!/usr/bin/env bats
# shellcheck disable=SC2154 # $stderr is set by run --separate-stderr
# scripts/cluster on real nodes: every command, one node and three, data that outlives them, usage errors.
load helpers

setup_file() { cluster_new 3; }
teardown_file() { cluster_end; }
teardown() { show_logs; }

status_row() { cluster status | awk -v n="$1" '$1 == n'; }

@test "up: three nodes are ready, on the ports that the manual names" {
  until_true 10 cluster status
  for n in 1 2 3; do
    row=$(status_row "$n")
    matches "$n *$(node_pid "$n") *running *tcp://127.0.0.1:$(client_port "$n") *" "$(echo "$row" | tr -s ' ')"
    for port in "$(client_port "$n")" "$(peer_port "$n")" "$(gossip_port "$n")" "$(metrics_port "$n")"; do
      (exec 7<>"/dev/tcp/127.0.0.1/$port") || { echo "nobody listens on $port"; return 1; }
    done
  done
  all_well() { [ "$(ask healthy cluster status)/$(ask leaderless cluster status)" = true/0 ]; }
  until_true 10 all_well
  same 3 "$(ask 'nodes.#' cluster members)"
}

@test "up again: nothing is started twice" {
  before=$(node_pid 1)/$(node_pid 2)/$(node_pid 3)
  cluster up
  same "$before" "$(node_pid 1)/$(node_pid 2)/$(node_pid 3)" "process ids"
}

@test "env: its export lines lead to the cluster, with a token that may" {
  run env -u MAITRE_CLUSTER -u MAITRE_TOKEN bash -c "eval \"\$('$ROOT/scripts/cluster' env --dir '$CLUSTER' --bin '$BIN')\" && maitre auth whoami --json"
  same 0 "$status" "exit code ($output)"
  same api_key "$(printf '%s' "$output" | json kind)"
}

@test "leader: an id, a login, a group and a shard each have one, as maitre says" {
  group="leaders of $BATS_TEST_NUMBER"
  provider=$(new_provider hotel Grand --group "$group")
  # Leaderships may move between two questions: then both are asked again.
  agreed() {
    [ "$(ask leader cluster where --id "$provider")" = "$(cluster leader "$provider")" ] &&
      [ "$(ask leader cluster where --group "$group")" = "$(cluster leader "group:$group")" ] &&
      [ "$(cluster leader "$provider")" = "$(cluster leader "group:$group")" ]
  }
  until_true 10 agreed || { maitre cluster status --shards; return 1; }
  matches '[123]' "$(leader_of somebody)"
  matches '[123]' "$(leader_of shard:0)"
}

everybody_leads() { for n in 0 1 2; do [ "$(ask "nodes.$n.leads" cluster status)" -ge 2 ] || return 1; done; }

@test "leadership is spread over the nodes" {
  until_true 15 everybody_leads || { maitre cluster status; return 1; }
}

@test "kill and start: the node is gone at once, the others serve, it comes back" {
  pid=$(node_pid 2)
  cluster kill 2
  gone "$pid"
  run cluster status
  same 1 "$status" "exit code with a dead node"
  matches '*stopped*no*' "$(status_row 2)"
  new_provider >/dev/null
  run cluster kill 2
  same 1 "$status" "killing it again"
  cluster start 2
  [ "$(node_pid 2)" != "$pid" ]
  run cluster start 2
  same 1 "$status" "starting it again"
  healthy
}

@test "stop: SIGTERM ends a node in order, with status 0" {
  cluster stop 3
  "$BIN/maitred" --config "$CLUSTER/node-3.conf" >>"$CLUSTER/node-3.log" 2>&1 3>&- &
  pid=$!
  echo "$pid" >"$CLUSTER/node-3.pid"
  healthy
  cluster stop 3
  status=0
  wait "$pid" || status=$?
  same 0 "$status" "exit status of the node"
  cluster start 3
  healthy
}

@test "pause and resume: a paused node is seen as one, and is well afterwards" {
  cluster pause 1
  matches '*paused*no*' "$(status_row 1)"
  new_provider >/dev/null
  cluster resume 1
  matches '*running*' "$(status_row 1)"
  healthy
}

@test "logs: the path, and lines of JSON" {
  run --separate-stderr cluster logs 1
  same 0 "$status"
  same "$CLUSTER/node-1.log" "$stderr" "path"
  [ "${#lines[@]}" -gt 0 ]
  for line in "${lines[@]}"; do printf '%s\n' "$line" | json '#' >/dev/null || { echo "no JSON: $line"; return 1; }; done
}

@test "down and up: what was written is still there" {
  provider=$(new_provider hotel "Kept by the disk")
  cluster down
  run cluster status
  same 1 "$status" "exit code when down"
  for n in 1 2 3; do [ ! -e "$CLUSTER/node-$n.pid" ]; done
  cluster up
  healthy
  same "Kept by the disk" "$(ask provider.name catalog get "$provider")"
}

@test "one node serves alone; down --purge removes everything, and nothing else" {
  alone=$(mktemp -d "$BATS_FILE_TMPDIR/alone.XXXXXX")
  port=$(port_base 1)
  (
    CLUSTER=$alone
    cluster up --nodes 1 --port "$port" --shards 4 --no-curve
    cluster_use
    same 1 "$(ask 'nodes.#' cluster members)"
    provider=$(new_provider)
    cluster kill 1
    cluster up
    healthy
    same hotel "$(ask provider.kind catalog get "$provider")"
    cluster down --purge
  )
  [ ! -e "$alone" ]
  mkdir "$alone"
  echo precious >"$alone/file"
  CLUSTER=$alone run cluster down --purge
  same 1 "$status" "purging a folder that is no cluster"
  same precious "$(cat "$alone/file")"
}

# wrong ARGUMENT...: must be refused as a usage error.
wrong() {
  run "$ROOT/scripts/cluster" "$@"
  same 2 "$status" "exit code of 'cluster $*' ($output)" && matches '*scripts/cluster*' "$output"
}

@test "usage errors end with 2 and say where to look" {
  none=$BATS_TEST_TMPDIR/none
  wrong
  wrong frobnicate
  wrong up --nodes x --dir "$none"
  wrong up --nodes 0 --dir "$none" --bin "$BIN"
  wrong up --frobnicate --dir "$none"
  wrong kill --dir "$CLUSTER"
  wrong kill 4 --dir "$CLUSTER"
  wrong kill zero --dir "$CLUSTER"
  wrong leader --dir "$CLUSTER"
  wrong leader shard:x --dir "$CLUSTER"
  wrong status one two --dir "$CLUSTER"
  [ ! -e "$none" ]
  run "$ROOT/scripts/cluster" status --dir "$none" --bin "$BIN"
  same 1 "$status" "no cluster there"
  matches '*scripts/cluster up*' "$output"
  run "$ROOT/scripts/cluster" --help
  same 0 "$status" "help"
}
