#!/usr/bin/env bats
# CURVE: who has no key or a wrong one gets nothing, and the node goes on serving those who have the right one.
load helpers

setup_file() {
  cluster_new 3
  OFFER=$(new_offer "$(new_provider)")
  export OFFER
}
teardown_file() { cluster_end; }
teardown() { show_logs; }

# An empty map is a fine request of health.Check.
answered() { raw_call --node "${2:-1}" --timeout 20000 --key "$1" health.Check a0; }

@test "the right key is answered" {
  for n in 1 2 3; do matches 'OK *' "$(answered good "$n")"; done
}

@test "no key, an unknown key, a false server key: no answer, also to a caller with an admin's token" {
  for key in none wrong server; do
    run raw_call --timeout 600 --key "$key" health.Check a0
    same 1 "$status" "exit code with key '$key'"
    same "no answer" "$output" "key '$key'"
  done
}

@test "the command line without the client file's keys gets nothing" {
  run env -u MAITRE_CLUSTER "$BIN/maitre" auth whoami --endpoints "tcp://127.0.0.1:$(client_port 1)" --timeout 600
  same 6 "$status" "exit code ($output)"
}

@test "while fifty strangers knock, good clients are served and the node stays the same process" {
  before=$(node_pid 1)
  knocking=()
  for i in $(seq 50); do
    raw_call --timeout 1500 --key "$([ $((i % 2)) = 0 ] && echo none || echo wrong)" health.Check a0 >/dev/null &
    knocking+=($!)
  done
  for slot in 1 2 3 4 5; do call reserve create "$OFFER:$slot" --mode book --node 1 >/dev/null; done
  for pid in "${knocking[@]}"; do
    if wait "$pid"; then echo "a stranger was answered"; return 1; fi
  done
  same "$before" "$(node_pid 1)"
  alive "$before"
}

@test "a client's key opens no peer or gossip port" {
  for port in "$(peer_port 1)" "$(gossip_port 1)"; do
    sed -E "s#^(node 1 tcp://127.0.0.1:)[0-9]+#\\1$port#" "$CLUSTER/cluster.client" >"$BATS_TEST_TMPDIR/client"
    MAITRE_CLUSTER=$BATS_TEST_TMPDIR/client run raw_call --timeout 600 health.Check a0
    same "no answer" "$output" "port $port"
  done
  healthy
}

@test "a cluster without CURVE works, and its files name no keys" {
  (
    plain=$(mktemp -d "$BATS_FILE_TMPDIR/plain.XXXXXX")
    CLUSTER=$plain
    PORT=$(port_base 3)
    cluster up --nodes 3 --port "$PORT" --shards 4 --no-curve
    cluster_use
    offer=$(new_offer "$(new_provider)")
    id=$(ask reservation reserve create "$offer:1" --mode book)
    same confirmed "$(state_of "$id")"
    matches 'OK *' "$(answered none)"
    for file in "$CLUSTER"/node-*.secret; do [ ! -e "$file" ]; done
    if grep -q client-key "$CLUSTER/cluster.client"; then echo "there is a client key"; exit 1; fi
    endpoints=$(awk '$1 == "node" {print $3}' "$CLUSTER/cluster.client" | paste -sd, -)
    env -u MAITRE_CLUSTER "$BIN/maitre" reserve get "$id" --endpoints "$endpoints" >/dev/null
    cluster down --purge
  )
}
