#!/usr/bin/env bats
# A sample of scripts/chaos damage: files of a node's folder damaged under load, and the judge of what follows.
load helpers

@test "an older log, and a manifest with a bit turned: told, mended, nothing lost; a removed identity: refused, replaced" {
  run --separate-stderr "$ROOT/scripts/chaos" damage --only '^log/ older|^state/MANIFEST flip|^IDENTITY remove' --seed "${MAITRED_CHAOS_SEED:-$RANDOM}" \
    --shards 3 --table --bin "$BIN"
  # shellcheck disable=SC2154
  printf '%s\n%s\n' "$output" "$stderr"
  same 0 "$status" "exit code"
  matches '*log/ older: mended*this folder is suspect*' "$stderr"
  matches '*IDENTITY remove: refused (4)*' "$stderr"
  # A bit of the manifest that stands for nothing any more may be harmless.
  matches '*state/MANIFEST flip: @(mended|harmless)*' "$stderr"
}

@test "damage that nobody tells of is a violation" {
  # Planted: a verify that finds something in a folder whose node told nothing.
  bin=$BATS_TEST_TMPDIR/bin
  mkdir -p "$bin/test/chaos" "$bin/tools"
  for program in maitred tools/json test/chaos/chaos_nemesis test/chaos/chaos_load test/chaos/chaos_check; do ln -s "$BIN/$program" "$bin/$program"; done
  # shellcheck disable=SC2016 # the wrapper's own words
  printf '#!/bin/sh\ncase "$1 $2" in "node verify") echo planted; exit 1 ;; esac\nexec "%s/maitre" "$@"\n' "$BIN" >"$bin/maitre"
  chmod +x "$bin/maitre"
  run --separate-stderr "$ROOT/scripts/chaos" damage --only '^MARK cut' --shards 3 --bin "$bin"
  same 9 "$status" "exit code ($output $stderr)"
  matches '*VIOLATION: MARK cut*nothing is told, but verify finds: planted*' "$stderr"
}

@test "usage errors of chaos damage" {
  for wrong in '--rounds soon' '--what' '--only'; do
    # shellcheck disable=SC2086
    run "$ROOT/scripts/chaos" damage $wrong --bin "$BIN"
    same 2 "$status" "exit code of $wrong ($output)"
  done
  run "$ROOT/scripts/chaos" damage --list --bin "$BIN"
  [ "$(printf '%s\n' "$output" | wc -l)" -ge 90 ]
}
