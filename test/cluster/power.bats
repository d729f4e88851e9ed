#!/usr/bin/env bats
# Power loss of all nodes with real RocksDB files: what no sync covered is dropped, kept or torn, and nothing acknowledged
# is missing afterwards. More cycles: scripts/chaos power.
load helpers

setup_file() {
  [ -e "$BIN/test/support/preload_power.so" ] || skip "the shim that notes what is synced was not built"
}

@test "power loss of all nodes under load: every acknowledged booking is read back" {
  run "$ROOT/scripts/chaos" power --cycles 8 --seed 11 --verify 8 --bin "$BIN" --json
  same 0 "$status" "exit status ($output)"
  # The cuts met something: files, sectors and names went.
  [[ $output =~ '"files": '[1-9] && $output =~ '"sectors": '[1-9] && $output =~ '"names": '[1-9] ]] || { echo "$output"; false; }
}

@test "a disk that lies about its syncs loses bookings, and that is seen" {
  MAITRED_POWER_LIES=.log run "$ROOT/scripts/chaos" power --cycles 1 --seed 5 --flush-ms 60000 --drop --verify 1 --bin "$BIN" --json
  [ "$status" != 0 ] || { echo "$output"; false; }
  matches '*VIOLATION*' "$output"
}

@test "power_cut: usage, a folder without a journal, a folder in use" {
  run "$BIN/tools/power_cut"
  same 2 "$status" "exit status without arguments"
  run "$BIN/tools/power_cut" "$BATS_TEST_TMPDIR" --seed x
  same 2 "$status" "exit status of a bad seed"
  mkdir "$BATS_TEST_TMPDIR/data"
  run "$BIN/tools/power_cut" "$BATS_TEST_TMPDIR/data" --seed 1
  same 1 "$status" "exit status without a journal"
  matches '*preload_power*' "$output"
  : >"$BATS_TEST_TMPDIR/data/LOCK"
  run flock "$BATS_TEST_TMPDIR/data/LOCK" "$BIN/tools/power_cut" "$BATS_TEST_TMPDIR/data" --seed 1
  same 1 "$status" "exit status of a folder in use"
  matches '*in use*' "$output"
}

# Its bytes changed, so it is compared with what they were, and there are none on either side. A sanitizer judges that too.
@test "power_cut: a file that was empty when it was synced, and is again" {
  local data=$BATS_TEST_TMPDIR/data
  mkdir "$data"
  MAITRED_POWER_DIR=$data LD_PRELOAD=$BIN/test/support/preload_power.so bash -c \
    ': >"$1/empty" && sync "$1/empty" "$1" && printf x >"$1/empty" && truncate -s 0 "$1/empty"' _ "$data"
  run "$BIN/tools/power_cut" "$data" --seed 1
  same 0 "$status" "exit status ($output)"
  matches '*0 files, 0 bytes cut off*' "$output"
  [ -f "$data/empty" ] && [ ! -s "$data/empty" ]
}
