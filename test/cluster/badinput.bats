#!/usr/bin/env bats
# Bad flags, files, disks and bytes: each is refused in words that say what to do, and does no harm to what is there.
load helpers

setup_file() {
  cluster_new 3
  OFFER=$(new_offer "$(new_provider)")
  BEFORE=$(ask reservation reserve create "$OFFER:0" --mode book)
  export OFFER BEFORE
}
teardown_file() { cluster_end; }
teardown() {
  # What a failed test left behind must not fail the next one.
  [ ! -e "$CLUSTER/aside" ] || mv "$CLUSTER/aside" "$CLUSTER/node-3.secret"
  show_logs
}

# After each test: the booking made before is there, and every node serves.
unharmed() {
  same confirmed "$(state_of "$BEFORE")" "the booking made before"
  for n in 1 2 3; do until_true 10 maitre node health --node "$n"; done
  local slot
  slot=$(ask buckets.0 avail free "$OFFER" --limit 1)
  call reserve create "$OFFER:$slot" --mode book >/dev/null
}

# fails CODE PATTERN COMMAND...: a program that must end by itself, with words that match.
fails() {
  local code=$1 pattern=$2
  shift 2
  run timeout 120 "$@"
  same "$code" "$status" "exit code of $* ($output)" && matches "*$pattern*" "$output"
}

# variant SED-SCRIPT [NODE]: a changed copy of a node's configuration beside it; prints its path.
variant() {
  local path=$CLUSTER/variant-$BATS_TEST_NUMBER.conf
  sed -E "$1" "$CLUSTER/node-${2:-1}.conf" >"$path"
  printf '%s\n' "$path"
}
data_of() { sed -nE 's/^data *= *"?([^"]*)"?/\1/p' "$CLUSTER/node-$1.conf" | sed -E "s#^([^/])#$CLUSTER/\\1#"; }

@test "maitred: a wrong flag, no flag, no such file" {
  fails 2 "--help" "$BIN/maitred" --frobnicate
  fails 2 "--help" "$BIN/maitred"
  fails 2 "none.conf" "$BIN/maitred" --config "$BATS_TEST_TMPDIR/none.conf"
  head -c 4096 /dev/urandom >"$BATS_TEST_TMPDIR/noise.conf"
  fails 2 "noise.conf" "$BIN/maitred" --config "$BATS_TEST_TMPDIR/noise.conf"
  fails 2 "--nodes" "$BIN/maitred" create-cluster --dir "$BATS_TEST_TMPDIR/x" --nodes 0
  [ ! -e "$BATS_TEST_TMPDIR/x/nodes.conf" ]
  fails 0 "create-cluster" "$BIN/maitred" --help
}

@test "create-cluster overwrites no cluster" {
  before=$(cat "$CLUSTER/nodes.conf" "$CLUSTER/cluster.secret")
  run "$BIN/maitred" create-cluster --dir "$CLUSTER" --nodes 3 --port "$PORT"
  [ "$status" -ne 0 ]
  matches '*exists*' "$output"
  same "$before" "$(cat "$CLUSTER/nodes.conf" "$CLUSTER/cluster.secret")"
}

@test "configuration: an unknown key, a number out of bounds, a node that is not listed" {
  fails 2 "shrads" "$BIN/maitred" --config "$(variant 's/^( +)shards /\1shrads /')"
  fails 2 "colour" "$BIN/maitred" --config "$(variant '$ a colour = blue')"
  fails 2 "shards" "$BIN/maitred" --config "$(variant 's/^( +shards = ).*/\10/')"
  fails 2 "node" "$BIN/maitred" --config "$(variant 's/^node = .*/node = 9/')"
  fails 2 "level" "$BIN/maitred" --config "$(variant 's/^( +level = ).*/\1loud/')"
  unharmed
}

@test "a port in use: client, peer, gossip and metrics" {
  config=$(variant "s#^data = .*#data = $BATS_TEST_TMPDIR/elsewhere#")
  fails 3 "in use" "$BIN/maitred" --config "$config"
  for base in 0 100 200; do
    sed -E "/^node 1 /! b; s/:$((PORT + 1)) /:$((PORT + 50)) /; s/:$((PORT + 101)) /:$((PORT + 150)) /; s/:$((PORT + 201)) /:$((PORT + 250)) /; s/:$((PORT + base + 50)) /:$((PORT + base + 1)) /" \
      "$CLUSTER/nodes.conf" >"$CLUSTER/other-nodes.conf"
    config=$(variant "s#^data = .*#data = $BATS_TEST_TMPDIR/elsewhere#; s#nodes\\.conf#other-nodes.conf#; s/:$((PORT + 301))/:$((PORT + 350))/")
    fails 3 "$((PORT + base + 1))" "$BIN/maitred" --config "$config"
  done
  sed -E "/^node 1 /! b; s/:$((PORT + 1)) /:$((PORT + 50)) /; s/:$((PORT + 101)) /:$((PORT + 150)) /; s/:$((PORT + 201)) /:$((PORT + 250)) /" \
    "$CLUSTER/nodes.conf" >"$CLUSTER/other-nodes.conf"
  fails 3 "$((PORT + 301))" "$BIN/maitred" --config "$(variant "s#^data = .*#data = $BATS_TEST_TMPDIR/elsewhere#; s#nodes\\.conf#other-nodes.conf#")"
  unharmed
}

@test "a data folder in use" {
  sed -E "/^node 1 /! b; s/:$((PORT + 1)) /:$((PORT + 50)) /; s/:$((PORT + 101)) /:$((PORT + 150)) /; s/:$((PORT + 201)) /:$((PORT + 250)) /" \
    "$CLUSTER/nodes.conf" >"$CLUSTER/other-nodes.conf"
  config=$(variant "s#nodes\\.conf#other-nodes.conf#; s/:$((PORT + 301))/:$((PORT + 350))/")
  fails 4 "in use by process $(node_pid 1)" "$BIN/maitred" --config "$config"
  unharmed
}

@test "a data folder of another cluster, of another node, of a newer version, and one without its papers" {
  cluster stop 3
  data=$(data_of 3)
  port=$(port_base 3)
  "$BIN/maitred" create-cluster --dir "$BATS_TEST_TMPDIR/other" --nodes 3 --port "$port" --shards 8 >/dev/null
  sed -E "s#^data = .*#data = $data#" "$BATS_TEST_TMPDIR/other/node-3.conf" >"$BATS_TEST_TMPDIR/other/variant.conf"
  fails 4 "belongs to cluster" "$BIN/maitred" --config "$BATS_TEST_TMPDIR/other/variant.conf"
  cp -a "$data" "$BATS_TEST_TMPDIR/copy"
  cluster stop 2
  fails 4 "belongs to node 3" "$BIN/maitred" --config "$(variant "s#^data = .*#data = $BATS_TEST_TMPDIR/copy#" 2)"
  cluster start 2
  echo "maitred-store 99" >"$BATS_TEST_TMPDIR/copy/FORMAT"
  fails 4 "format 99" "$BIN/maitred" --config "$(variant "s#^data = .*#data = $BATS_TEST_TMPDIR/copy#" 3)"
  rm "$BATS_TEST_TMPDIR/copy/FORMAT"
  fails 4 "FORMAT" "$BIN/maitred" --config "$(variant "s#^data = .*#data = $BATS_TEST_TMPDIR/copy#" 3)"
  cluster start 3
  healthy
  unharmed
}

@test "a newer version of the cluster's files" {
  sed -E '1s/.*/maitre-nodes 2/' "$CLUSTER/nodes.conf" >"$CLUSTER/other-nodes.conf"
  fails 2 "other-nodes.conf" "$BIN/maitred" --config "$(variant "s#nodes\\.conf#other-nodes.conf#")"
  sed -E '1s/.*/maitre-client 2/' "$CLUSTER/cluster.client" >"$BATS_TEST_TMPDIR/client"
  chmod 600 "$BATS_TEST_TMPDIR/client"
  fails 2 "client" "$BIN/maitre" auth whoami --cluster "$BATS_TEST_TMPDIR/client"
  unharmed
}

@test "a client file that was changed, cut off, or is another cluster's, by cluster.public or a named key" {
  folder=$BATS_TEST_TMPDIR/copy
  mkdir "$folder"
  cp -p "$CLUSTER/cluster.client" "$CLUSTER/cluster.public" "$folder"
  maitre auth whoami --cluster "$folder/cluster.client"
  maitre auth whoami --cluster "$folder/cluster.client" --cluster-key "$CLUSTER/cluster.public"
  sed -i "s#tcp://127.0.0.1:$((PORT + 1)) #tcp://127.0.0.1:$((PORT + 2)) #" "$folder/cluster.client"
  fails 2 "changed after it was signed" "$BIN/maitre" auth whoami --cluster "$folder/cluster.client"
  fails 2 "changed after it was signed" env MAITRE_CLUSTER="$folder/cluster.client" "$BIN/maitre" auth whoami
  head -c -20 "$CLUSTER/cluster.client" >"$folder/cluster.client"
  fails 2 "no signature" "$BIN/maitre" auth whoami --cluster "$folder/cluster.client"
  "$BIN/maitred" create-cluster --dir "$BATS_TEST_TMPDIR/other" --nodes 1 --port "$PORT" >/dev/null
  other=$BATS_TEST_TMPDIR/other/cluster.public
  cp -p "$CLUSTER/cluster.client" "$folder"
  fails 2 "another cluster" "$BIN/maitre" auth whoami --cluster "$folder/cluster.client" --cluster-key "$other"
  fails 2 "another cluster" env MAITRE_CLUSTER_KEY="$other" "$BIN/maitre" auth whoami --cluster "$folder/cluster.client"
  echo noise >"$folder/cluster.public"
  fails 2 "not a cluster key" "$BIN/maitre" auth whoami --cluster "$folder/cluster.client"
  fails 2 "cannot read the cluster key" "$BIN/maitre" auth whoami --cluster "$folder/cluster.client" --cluster-key "$folder/none"
  rm "$folder/cluster.public"
  maitre auth whoami --cluster "$folder/cluster.client" # nothing to check by
  unharmed
}

@test "key files: missing, open to others, another node's, no key at all" {
  cluster stop 3
  mv "$CLUSTER/node-3.secret" "$CLUSTER/aside"
  fails 5 "node-3.secret is missing" "$BIN/maitred" --config "$CLUSTER/node-3.conf"
  cp "$CLUSTER/aside" "$CLUSTER/node-3.secret"
  chmod 644 "$CLUSTER/node-3.secret"
  fails 5 "chmod 600" "$BIN/maitred" --config "$CLUSTER/node-3.conf"
  cp -p "$CLUSTER/node-2.secret" "$CLUSTER/node-3.secret"
  fails 5 "not the key" "$BIN/maitred" --config "$CLUSTER/node-3.conf"
  echo "no key" >"$CLUSTER/node-3.secret"
  fails 5 "node-3.secret" "$BIN/maitred" --config "$CLUSTER/node-3.conf"
  rm "$CLUSTER/node-3.secret"
  mv "$CLUSTER/aside" "$CLUSTER/node-3.secret"
  chmod 640 "$CLUSTER/cluster.secret"
  fails 5 "chmod 600" "$BIN/maitred" --config "$CLUSTER/node-3.conf"
  chmod 600 "$CLUSTER/cluster.secret"
  cluster start 3
  healthy
  unharmed
}

# noise PORT: random bytes on three connections, one after the other.
noise() {
  for _ in 1 2 3; do
    (exec 7<>"/dev/tcp/127.0.0.1/$1" && touch "$BATS_TEST_TMPDIR/connected" && head -c 65536 /dev/urandom >&7) 2>/dev/null || true
    rm "$BATS_TEST_TMPDIR/connected" || { echo "nobody listens on $1"; return 1; }
  done
}

@test "random bytes on every port of every node" {
  for n in 1 2 3; do
    pid=$(node_pid "$n")
    for port in "$(client_port "$n")" "$(peer_port "$n")" "$(gossip_port "$n")" "$(metrics_port "$n")"; do noise "$port"; done
    alive "$pid"
  done
  unharmed
}

# The greeting of ZMTP 3.0 (RFC 23), mechanism NULL.
greeting() { printf '\xff\0\0\0\0\0\0\0\0\x7f\x03\0NULL'; head -c 48 /dev/zero; }
resident_kib() { awk '/^VmRSS/ {print $2}' "/proc/$1/status"; }

@test "a frame that claims to be huge, right after the greeting" {
  before=$(resident_kib "$(node_pid 1)")
  for port in "$(client_port 1)" "$(peer_port 1)" "$(gossip_port 1)"; do
    # A command and a message of 2^62 bytes.
    for flags in 06 02; do
      ( exec 7<>"/dev/tcp/127.0.0.1/$port"
        { greeting; printf '%b' "\\x$flags\\x40\\0\\0\\0\\0\\0\\0\\0"; head -c 100000 /dev/zero; } >&7 ) 2>/dev/null || true
    done
  done
  after=$(resident_kib "$(node_pid 1)")
  [ $((after - before)) -lt 65536 ] || { echo "grew from $before to $after KiB"; return 1; }
  unharmed
}

@test "two hundred half-open connections, greeting or none" {
  for port in "$(client_port 1)" "$(peer_port 1)" "$(gossip_port 1)" "$(metrics_port 1)"; do
    for i in $(seq 50); do
      exec {open}<>"/dev/tcp/127.0.0.1/$port"
      if [ $((i % 2)) = 0 ]; then greeting | head -c 11 >&"$open"; fi
      half_open+=("$open")
    done
  done
  unharmed
  for open in "${half_open[@]}"; do exec {open}>&-; done
  unharmed
}

@test "messages: too many frames, too few, a header that is none, a body larger than allowed" {
  matches 'INVALID_ARGUMENT BAD_FRAMES *' "$(raw_call --frames 0 health.Check)"
  matches 'INVALID_ARGUMENT BAD_FRAMES *' "$(raw_call --frames 2 health.Check)"
  for header in ff a0 00 "$(head -c 300 /dev/urandom | od -An -v -tx1 | tr -d ' \n')"; do
    run raw_call --timeout 400 --header "$header" health.Check
    same "no answer" "$output" "header $header"
  done
  # protocol 9, call 5: its number can be told, so it is answered.
  matches 'INVALID_ARGUMENT BAD_PROTOCOL *' "$(raw_call --header a301090205036c6865616c74682e436865636b health.Check)"
  run raw_call --timeout 600 --bytes 2097152 health.Check
  same "no answer" "$output" "two MiB"
  unharmed
}

@test "an unknown method, and bodies that break their schema, are refused with the reason" {
  matches 'UNIMPLEMENTED NO_SUCH_METHOD *' "$(raw_call reserve.Steal)"
  matches 'INVALID_ARGUMENT BAD_REQUEST *reservation*' "$(raw_call reserve.Create a0)"
  # No CBOR; cut off; of indefinite length; one key twice; a text where a map should be; ten thousand arrays in each other.
  for body in ff a1 bf0140ff a2010101 a201500000000000000000000000000000000001500000000000000000000000000000000000 6161 \
    "$(printf '81%.0s' $(seq 10000))"; do
    for method in reserve.Create auth.Register cluster.Status catalog.List; do
      matches 'INVALID_ARGUMENT *' "$(raw_call "$method" "$body")"
    done
  done
  unharmed
}

@test "a booking outside the buckets, of no offer, of none, of too many; a used id with another body" {
  refused 4 OUT_OF_RANGE reserve create "$OFFER:1000" --mode book
  refused 3 NO_OFFER reserve create "$(random_id):1" --mode book
  refused 2 "" reserve create "$OFFER:1:1:0" --mode book || fails 2 "quantity" "$BIN/maitre" reserve create "$OFFER:1:1:0" --mode book
  refused 4 EXISTS reserve create "$OFFER:900" --mode book --reservation "$BEFORE"
  same 0 "$(ask 'reservation.items.0.first' reserve get "$BEFORE")"
  unharmed
}

@test "a full disk: writes are refused before the wall, reads go on, room brings it back" {
  [ "$(id -u)" = 0 ] || skip "mounting a small file system takes root"
  small=$BATS_TEST_TMPDIR/small
  mkdir "$small"
  mount -t tmpfs -o size=192m,mode=0700 tmpfs "$small" 2>/dev/null || skip "this machine lets nobody mount a file system"
  (
    CLUSTER=$(mktemp -d "$BATS_FILE_TMPDIR/full.XXXXXX")
    PORT=$(port_base 1)
    "$BIN/maitred" create-cluster --dir "$CLUSTER" --nodes 1 --port "$PORT" --shards 2 >/dev/null
    sed -i -E "s#^data = .*#data = $small/data#" "$CLUSTER/node-1.conf"
    cluster up
    cluster_use
    offer=$(new_offer "$(new_provider)")
    id=$(ask reservation reserve create "$offer:1" --mode book)
    pid=$(node_pid 1)
    free_kib=$(df --output=avail -k "$small" | tail -n 1)
    fallocate -l $((free_kib - 4096))K "$small/filler"
    full() { refused 6 DISK_FULL reserve create "$offer:2" --mode book --timeout 300; }
    until_true 10 full
    same confirmed "$(state_of "$id")"
    for i in $(seq 20); do maitre reserve create "$offer:3" --mode book --timeout 100 >/dev/null 2>&1 || true; done
    alive "$pid"
    rm "$small/filler"
    written() { maitre reserve create "$offer:4" --mode book --timeout 1000; }
    until_true 15 written
    alive "$pid"
    cluster kill 1
    cluster up
    same confirmed "$(state_of "$id")"
    cluster down --purge
  )
  umount "$small"
}
