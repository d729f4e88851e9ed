# Nodes of a cluster of one's own for the commands of this folder. Sourced after scripts/lib/common.sh, never run.
# shellcheck shell=bash disable=SC2154,SC2034
# Wants: $dir (the cluster's folder), $port, $nodes. Keeps the nodes' ids in pids[N].

declare -a pids

# node_start N [MAITRED]: in the background, its words behind those of its earlier lives.
node_start() {
  "${2:-$maitred}" --config "$dir/node-$1.conf" >>"$dir/node-$1.log" 2>&1 </dev/null 7<&- &
  pids[$1]=$!
  printf '%s\n' "$!" >"$dir/node-$1.pid"
}
# node_kill N [SIGNAL]: and waits for its end; the exit code is in $node_status.
node_kill() {
  node_status=0
  [ -n "${pids[$1]:-}" ] || return 0
  kill "-${2:-KILL}" "${pids[$1]}" 2>/dev/null
  wait "${pids[$1]}" 2>/dev/null
  node_status=$?
  unset "pids[$1]"
}
nodes_kill() {
  local n
  for n in "${!pids[@]}"; do kill -KILL "${pids[$n]}" 2>/dev/null; done
  for n in "${!pids[@]}"; do wait "${pids[$n]}" 2>/dev/null; done
  pids=()
}
node_lives() { [ -n "${pids[$1]:-}" ] && kill -0 "${pids[$1]}" 2>/dev/null; }

# node_get N PATH: what its HTTP side answers.
node_get() {
  { exec 7<>"/dev/tcp/127.0.0.1/$((port + 300 + $1))"; } 2>/dev/null || return 1
  printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&7
  timeout 2 cat <&7
  exec 7>&- 7<&-
}
node_is_ready() { case $(node_get "$1" /readyz) in *" 200 "*) return 0 ;; esac; return 1; }
# node_metric N NAME
node_metric() { node_get "$1" /metrics | awk -v name="maitred_$2" '$1 == name {print $2; found = 1; exit} END {exit !found}'; }
# node_is_whole N: ready, all its replicas vote and none is out of service.
node_is_whole() {
  node_is_ready "$1" && [ "$(node_metric "$1" suspect_replicas)" = 0 ] && [ "$(node_metric "$1" quarantined_replicas)" = 0 ] &&
    [ "$(node_metric "$1" moves)" = 0 ]
}
# wait_for SECONDS COMMAND ...: until it succeeds.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.05
  done
}
# wait_whole N SECONDS: 1 when the time is over, 2 when the node ended.
wait_whole() {
  local end=$((SECONDS + $2))
  until node_is_whole "$1"; do
    node_lives "$1" || return 2
    [ $SECONDS -lt $end ] || return 1
    sleep 0.05
  done
}
