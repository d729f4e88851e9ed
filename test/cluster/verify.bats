#!/usr/bin/env bats
# maitre node verify DIR: a stopped node's folder, sound and damaged in every kind of file. Nothing is ever changed by it.
load helpers

setup_file() {
  cluster_new 3
  maitre bench reserve --clients 8 --seconds 2 --warmup 0 --json >/dev/null
  # State is written back by a planned stop or after 30 s: a second life with short rounds leaves files in every folder.
  cluster stop 2
  printf 'limits\n    flush_ms = 200\n' >>"$CLUSTER/node-2.conf"
  cluster start 2
  healthy
  BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR load_begin || return 1
  sst() { find "$CLUSTER/data-2/state" -name '*.sst' -size +8 | grep -q .; }
  until_true 20 sst || { load_abort; return 1; }
  goes_on 500 || { load_abort; return 1; }
  BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR load_ends_well
  cluster kill 2
  export FOLDER=$CLUSTER/data-2
}
teardown_file() { cluster_end; }
setup() {
  COPY=$BATS_TEST_TMPDIR/data
  free() { flock -n "$FOLDER/LOCK" true; }
  until_true 10 free
  cp -a "$FOLDER" "$COPY"
}

# flip FILE [PART-IN-100]: one bit.
flip() {
  local at byte
  at=$(($(stat -c %s "$1") * ${2:-50} / 100))
  byte=$(od -An -tu1 -j "$at" -N 1 "$1" | tr -d ' ')
  printf '%b' "\\0$(printf '%03o' $((byte ^ 4)))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}
largest() { find "$1" -name "$2" -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2; }
sums() { (cd "$COPY" && find . -type f -exec md5sum {} + | sort); }
# finds CODE KIND WHERE: verify ends with CODE and has such a finding; it changed nothing.
finds() {
  local code=$1 kind=$2 where=$3 before status=0 i=0
  before=$(sums)
  answer=$(maitre node verify "$COPY" --json) || status=$?
  same "$before" "$(sums)" "files of the folder" || return 1
  same "$code" "$status" "exit code ($answer)" || return 1
  while [ $i -lt "$(printf '%s' "$answer" | json 'findings.#')" ]; do
    # shellcheck disable=SC2053
    if [ "$(printf '%s' "$answer" | json findings.$i.kind)" = "$kind" ] && [[ $(printf '%s' "$answer" | json findings.$i.where) == $where ]]; then
      [ -n "$(printf '%s' "$answer" | json findings.$i.todo)" ]
      return
    fi
    i=$((i + 1))
  done
  printf 'no finding %s %s in %s\n' "$kind" "$where" "$answer" >&2
  return 1
}

@test "a folder after kill -9 is sound: its log, entries and rows are counted, and nothing is changed" {
  before=$(sums)
  answer=$(maitre node verify "$COPY" --json)
  same true "$(printf '%s' "$answer" | json sound)" "sound ($answer)"
  for what in turns entries replicas rows; do [ "$(printf '%s' "$answer" | json $what)" -gt 0 ] || { echo "no $what: $answer"; false; }; done
  same 2 "$(printf '%s' "$answer" | json node)" "node"
  same "$before" "$(sums)" "files of the folder"
  run maitred verify "$COPY"
  same 0 "$status" "exit code for people ($output)"
  matches '*sound*' "$output"
}

@test "usage, no data folder, a running node, a newer format" {
  run maitre node verify
  same 2 "$status" "without a folder"
  run maitre node verify "$BATS_TEST_TMPDIR"
  same 2 "$status" "of a folder that is none ($output)"
  run maitre node verify "$CLUSTER/data-1"
  same 4 "$status" "of a running node ($output)"
  matches '*stop it first*' "$output"
  printf 'maitred-store 999\n' >"$COPY/FORMAT"
  run maitre node verify "$COPY"
  same 4 "$status" "of a newer format ($output)"
  MAITRED_PROGRAM=/nonexistent run maitre node verify "$COPY"
  same 1 "$status" "without maitred"
  matches '*MAITRED_PROGRAM*' "$output"
}

@test "flipped bits in state, log, manifest and small files are found, and who mends them" {
  # Some may be left over from a compaction that the kill ended: of all files the live ones are found.
  for file in "$COPY"/state/*.sst; do flip "$file" 30; done
  finds 1 mended 'state/*'
  rm -rf "$COPY" && cp -a "$FOLDER" "$COPY"
  flip "$(largest "$COPY/log" '*.log')" 40
  finds 1 mended 'log/*.log'
  rm -rf "$COPY" && cp -a "$FOLDER" "$COPY"
  flip "$(largest "$COPY/state" 'MANIFEST-*')" 30
  finds 1 mended 'state/'
  rm -rf "$COPY" && cp -a "$FOLDER" "$COPY"
  flip "$(largest "$COPY/log" 'MANIFEST-*')" 30
  finds 1 mended 'log/'
  rm -rf "$COPY" && cp -a "$FOLDER" "$COPY"
  rm "$COPY/log/CURRENT"
  finds 1 mended 'log/'
  rm -rf "$COPY" && cp -a "$FOLDER" "$COPY"
  echo nonsense >"$COPY/state/CURRENT"
  finds 1 mended 'state/'
  for name in peers shape incarnation; do
    rm -rf "$COPY" && cp -a "$FOLDER" "$COPY"
    flip "$COPY/files/$name"
    finds 1 operator "files/$name"
  done
  rm -rf "$COPY" && cp -a "$FOLDER" "$COPY"
  flip "$COPY/IDENTITY"
  finds 1 operator IDENTITY
}

@test "a torn end is a note: the folder is sound; a log that lost synced turns is not" {
  wal=$(largest "$COPY/log" '*.log')
  truncate -s -3 "$wal"
  rm -f "$COPY/MARK"
  finds 0 note 'log/*.log'
  rm -rf "$COPY" && cp -a "$FOLDER" "$COPY"
  # Half of the log gone, at a record's end or not: MARK, or the state, knows better.
  truncate -s "$(($(stat -c %s "$wal") / 2))" "$wal"
  run maitre node verify "$COPY" --json
  same 1 "$status" "exit code ($output)"
}
