#!/usr/bin/env bats
# Exactly once: a request id has at most one effect and one outcome, across retries, failures and restarts.
load helpers

setup_file() { cluster_new 3; }
teardown_file() { cluster_end; }
teardown() { show_logs; }

confirmed() { call avail check "$1:$2" | json rows.0.confirmed; }

# A request id for writes about this entity: its placement (hex digits 12 to 19) decides the shard.
request_id_for() { printf '%012x%s%s' "$(date +%s%3N)" "${1:12:8}" "$(random_id | cut -c1-12)"; }

# A booking to repeat: offer, request id, reservation id.
first_booking() {
  offer=$(new_offer "$(new_provider)")
  request=$(request_id_for "$offer")
  reservation=$(ask reservation reserve create "$offer:1" --mode book --request-id "$request")
}

@test "the same request id twice: one booking, the stored outcome, through any node" {
  first_booking
  for n in 1 2 3; do
    answer=$(call reserve create "$offer:1" --mode book --request-id "$request" --node "$n")
    same true "$(printf '%s' "$answer" | json replayed)" "replayed at node $n"
    same "$reservation" "$(printf '%s' "$answer" | json reservation)"
  done
  same 1 "$(confirmed "$offer" 1)"
}

@test "a refusal is an outcome too" {
  first_booking
  other=$(request_id_for "$offer")
  refused 4 SOLD_OUT reserve create "$offer:1" --mode book --request-id "$other"
  call reserve cancel "$reservation" >/dev/null
  refused 4 SOLD_OUT reserve create "$offer:1" --mode book --request-id "$other"
  same 0 "$(confirmed "$offer" 1)"
}

@test "the same request id with another body is refused and names the field" {
  first_booking
  refused 4 KEY_REUSED reserve create "$offer:2" --mode book --request-id "$request"
  same items "$(refusal field)"
  refused 4 KEY_REUSED reserve create "$offer:1" --mode hold --request-id "$request"
  same mode "$(refusal field)"
  refused 4 KEY_REUSED reserve release "$reservation" --request-id "$request"
  same 0/1 "$(confirmed "$offer" 2)/$(confirmed "$offer" 1)"
}

@test "another caller's request id is another request" {
  first_booking
  customer=$(user_token "once-$BATS_TEST_NUMBER")
  as "$customer" refused 4 SOLD_OUT reserve create "$offer:1" --mode book --request-id "$request" \
    --reservation "$(request_id_for "$offer")"
}

@test "call outcome: applied with its reply; never arrived is fenced, and stays so" {
  first_booking
  same applied "$(ask state call outcome "$request")"
  never=$(request_id_for "$offer")
  same fenced "$(ask state call outcome "$never")"
  same fenced "$(ask state call outcome "$never")"
  status=0
  maitre reserve create "$offer:5" --mode book --request-id "$never" --json >"$BATS_TEST_TMPDIR/late" || status=$?
  same 4 "$status" "a write that comes after the fence ($(cat "$BATS_TEST_TMPDIR/late"))"
  same 0 "$(confirmed "$offer" 5)"
}

@test "a request id from another time or another shard is refused" {
  first_booking
  refused 2 REQUEST_FROM_FUTURE reserve create "$offer:7" --mode book --request-id "ffffffffffff${offer:12:8}000000000001"
  same 0 "$(confirmed "$offer" 7)"
  # The hash of a shard that is not the offer's.
  shard=$(ask shard cluster where --id "$offer")
  elsewhere=${offer:12:8}
  while [ $((1 + 16#$elsewhere % 8)) = "$shard" ]; do elsewhere=$(printf '%08x' $((16#$elsewhere + 1))); done
  refused 2 WRONG_SHARD reserve create "$offer:7" --mode book --request-id "${request:0:12}$elsewhere${request:20}"
  same 0 "$(confirmed "$offer" 7)"
}

@test "after kill -9 of the leader the stored outcome is still there" {
  first_booking
  victim=$(leader_of "$offer")
  cluster kill "$victim"
  answer=$(call reserve create "$offer:1" --mode book --request-id "$request")
  same true "$(printf '%s' "$answer" | json replayed)" replayed
  same "$reservation" "$(printf '%s' "$answer" | json reservation)"
  refused 4 KEY_REUSED reserve create "$offer:2" --mode book --request-id "$request"
  same applied "$(ask state call outcome "$request")"
  cluster start "$victim"
  healthy
}

@test "after kill -9 of all nodes too: outcomes, fences and refusals" {
  first_booking
  fence=$(request_id_for "$offer")
  call call outcome "$fence" >/dev/null
  sold_out=$(request_id_for "$offer")
  refused 4 SOLD_OUT reserve create "$offer:1" --mode book --request-id "$sold_out"
  for n in 1 2 3; do cluster kill "$n"; done
  cluster up
  healthy
  answer=$(call reserve create "$offer:1" --mode book --request-id "$request")
  same true "$(printf '%s' "$answer" | json replayed)" replayed
  same "$reservation" "$(printf '%s' "$answer" | json reservation)"
  same fenced "$(ask state call outcome "$fence")"
  call reserve cancel "$reservation" >/dev/null
  refused 4 SOLD_OUT reserve create "$offer:1" --mode book --request-id "$sold_out"
  same 0 "$(confirmed "$offer" 1)"
}
