#!/usr/bin/env bats
# shellcheck disable=SC2154 # $stderr is set by run --separate-stderr
# scripts/chaos upgrade, as far as one build can show it: every node is stopped and started under load, and the judge agrees.
load helpers

upgrade() {
  run --separate-stderr "$ROOT/scripts/chaos" upgrade --shards 3 --clients 4 --bin "$BIN" --json "$@"
  printf '%s\n%s\n' "$output" "$stderr"
}

@test "node by node under load, with clients of both builds: nothing is lost" {
  upgrade --from "$BIN" --no-back
  same 0 "$status" "exit code"
  same 3 "$(printf '%s' "$output" | json changes)" "changes"
  [ "$(printf '%s' "$output" | json operations)" -ge 300 ]
  matches '*new*' "$(printf '%s' "$output" | json clients)"
  matches '*old*' "$(printf '%s' "$output" | json clients)"
}

@test "a build that does not start is found at the first node" {
  bin=$BATS_TEST_TMPDIR/bin
  mkdir -p "$bin/test/chaos" "$bin/tools"
  for program in maitre tools/json test/chaos/chaos_nemesis test/chaos/chaos_load test/chaos/chaos_check; do ln -s "$BIN/$program" "$bin/$program"; done
  printf '#!/bin/sh\necho planted\nexit 1\n' >"$bin/maitred"
  chmod +x "$bin/maitred"
  upgrade --from "$BIN" --to "$bin" --kill
  same 9 "$status" "exit code"
  matches '*ended with 1 at its start*planted*' "$stderr"
}

@test "usage errors of chaos upgrade" {
  for wrong in '' '--from /nowhere' '--from' '--what'; do
    # shellcheck disable=SC2086
    run "$ROOT/scripts/chaos" upgrade $wrong --bin "$BIN"
    same 2 "$status" "exit code of $wrong ($output)"
  done
}
