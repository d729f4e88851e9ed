#!/usr/bin/env bats
# The log of a stopped node rots: the node starts all the same, each replica keeps what it can prove, the others are filled.
load helpers

setup() { CLUSTER=""; }
teardown() { show_logs; cluster_end; }

is_zero() { [ "$(metric "$1" "$2")" = 0 ]; }
book() { maitre bench reserve --clients 8 --seconds 1 --warmup 0 --log "$BATS_TEST_TMPDIR/$1.jsonl" --json >"$BATS_TEST_TMPDIR/$1.json"; }
read_back() { maitre bench verify "$BATS_TEST_TMPDIR/$1.jsonl" --json; }
free() { flock -n "$CLUSTER/data-2/LOCK" true; }
largest() { find "$1" -name '*.log' -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2; }
# record FILE WHICH: where the head, middle or last but one record of a write-ahead file begins, and how long it is.
record() {
  od -An -v -tu1 -w1 "$1" | awk -v which="$2" '
    {byte[NR - 1] = $1}
    END {
      n = 0
      for (at = 0; at + 7 <= NR;) {
        if (32768 - at % 32768 < 7) {at += 32768 - at % 32768; continue}
        size = 7 + byte[at + 4] + 256 * byte[at + 5]; begin[n] = at; long[n++] = size; at += size
      }
      i = which == "head" ? 0 : which == "middle" ? int(n / 2) : n - 2
      print begin[i], long[i]
    }'
}
# flip FILE AT: one bit.
flip() {
  local byte
  byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
  printf '%b' "\\0$(printf '%03o' $((byte ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# rots WHICH: node 2 is killed, that record of its log is damaged, and it starts.
rots() {
  local wal at long answer events
  book "$1"
  cluster kill 2
  until_true 10 free
  wal=$(largest "$CLUSTER/data-2/log")
  read -r at long < <(record "$wal" "$1")
  flip "$wal" $((at + 7 + long / 3))
  events=$(wc -l <"$CLUSTER/node-2.log")
  # What will happen is told beforehand.
  run maitre node verify "$CLUSTER/data-2" --json
  same 1 "$status" "verify of a rotten log ($output)"
  matches '*synced turns rotted*' "$output"
  [[ $output != *'"operator"'* ]] || { printf 'a person is asked to do something: %s\n' "$output"; false; }
  emptied=$(printf '%s' "$output" | grep -o '"log/ shard' | wc -l)
  until_true 20 cluster start 2
  healthy
  until_true 30 is_zero 2 suspect_replicas
  answer=$(tail -n "+$((events + 1))" "$CLUSTER/node-2.log")
  matches '*turns of the log rotted*' "$answer"
  same "$emptied" "$(printf '%s\n' "$answer" | grep -c 'log is damaged: the replica is emptied' || true)" "replicas that verify had named"
  read_back "$1"
}

# breaks NAME COMMAND...: node 2 is killed, the command damages its log, and it starts, with its log made anew.
breaks() {
  local name=$1 answer events
  shift
  book "$name"
  cluster kill 2
  until_true 10 free
  "$@"
  events=$(wc -l <"$CLUSTER/node-2.log")
  run maitre node verify "$CLUSTER/data-2" --json
  same 1 "$status" "verify of a log with $name ($output)"
  matches '*the start makes it anew from what is left*' "$output"
  [[ $output != *'"operator"'* ]] || { printf 'a person is asked to do something: %s\n' "$output"; false; }
  until_true 20 cluster start 2
  healthy
  until_true 30 is_zero 2 suspect_replicas
  answer=$(tail -n "+$((events + 1))" "$CLUSTER/node-2.log")
  matches '*the log database was made anew from what is left of it*' "$answer"
  read_back "$name"
}
sorted() { find "$CLUSTER/data-2/log" -name '*.sst' -size +1 -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2; }
flip_sorted() { flip "$(sorted)" $(($(stat -c %s "$(sorted)") / 3)); }
cut_sorted() { truncate -s $(($(stat -c %s "$(sorted)") / 2)) "$(sorted)"; }
flip_manifest() { local file; for file in "$CLUSTER"/data-2/log/MANIFEST-*; do flip "$file" $(($(stat -c %s "$file") / 2)); done; }

@test "a bit in the first, a middle and the last but one record of a stopped node's log: it starts, is repaired, and nothing is lost" {
  cluster_files 3 4 --no-curve
  cluster up && cluster_use
  rots head # the founding of all its replicas: they all start over
  [ "$emptied" -gt 0 ] || { echo "nothing was emptied"; false; }
  rots middle
  rots last
  # A sound folder again, but for what was set aside; and what it was filled with counts.
  cluster kill 2
  until_true 10 free
  run maitre node verify "$CLUSTER/data-2" --json
  same 0 "$status" "verify of the repaired folder ($output)"
  matches '*damaged-3*' "$output"
  until_true 20 cluster start 2
  healthy
  cluster kill 1
  for which in head middle last; do until_true 20 read_back $which; done
  until_true 20 cluster start 1
  healthy
}

@test "a bit of a sorted file, half of one, a bit of the index, no index, no log at all: it starts, is repaired, and nothing is lost" {
  cluster_files 3 4 --no-curve
  cluster up && cluster_use
  book first
  cluster kill 2 # a start moves what its write-ahead file holds into a sorted one
  until_true 10 free
  until_true 20 cluster start 2
  healthy
  breaks bit flip_sorted
  breaks half cut_sorted
  breaks index flip_manifest
  breaks current rm "$CLUSTER/data-2/log/CURRENT"
  breaks nothing rm -r "$CLUSTER/data-2/log"
  # Sound again, with one damaged log kept for people; and what it was filled with counts.
  cluster kill 2
  until_true 10 free
  run maitre node verify "$CLUSTER/data-2" --json
  same 0 "$status" "verify of the repaired folder ($output)"
  matches '*damaged-log*' "$output"
  until_true 20 cluster start 2
  healthy
  cluster kill 1
  for which in first bit half index current nothing; do until_true 20 read_back $which; done
  until_true 20 cluster start 1
  healthy
}

@test "two logs lost at once, then three damaged, then three lost: one that has the data leads; where none has it nobody serves" {
  cluster_files 3 4 --no-curve
  cluster up && cluster_use
  free_of() { flock -n "$CLUSTER/data-$1/LOCK" true; }
  all_down() { for n in 1 2 3; do cluster kill $n; done; for n in 1 2 3; do until_true 10 free_of $n; done; }
  book first
  all_down
  rm -r "$CLUSTER/data-2/log" "$CLUSTER/data-3/log"
  cluster up
  healthy
  until_true 30 is_zero 2 suspect_replicas
  until_true 30 is_zero 3 suspect_replicas
  read_back first
  book second
  all_down
  for n in 1 2 3; do rm "$CLUSTER/data-$n/log/CURRENT"; done
  cluster up
  healthy
  for n in 1 2 3; do until_true 30 is_zero $n suspect_replicas; done
  read_back first
  read_back second
  all_down
  rm -r "$CLUSTER"/data-?/log
  for n in 1 2 3; do (cluster start $n >/dev/null 2>&1 3>&- &); done # none gets ready
  for n in 1 2 3; do until_true 30 eval "grep -q 'log is damaged: the replica is emptied' '$CLUSTER/node-$n.log' && [ \"\$(metric $n suspect_replicas)\" = 5 ]"; done
  # An empty leader would say that there is no such booking.
  run maitre reserve list --timeout 3000
  same 6 "$status" "a read of a shard of which nobody has anything ($output)"
}
