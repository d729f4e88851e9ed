#!/usr/bin/env bats
# What a node tells a monitoring system: /metrics, /livez, /readyz.
load helpers

setup_file() { cluster_new 3; }
teardown_file() { cluster_end; }
teardown() { show_logs; }

scrape() { http "$(metrics_port "$1")" /metrics | sed '1,/^$/d'; }
# metric NODE NAME: the sum over its labels.
metric() { scrape "$1" | awk -v name="$2" '{split($1, part, "{")} part[1] == name {sum += $NF; found = 1} END {if (!found) exit 1; printf "%.0f\n", sum}'; }
total() { echo $(($(metric 1 "$1") + $(metric 2 "$1") + $(metric 3 "$1"))); }

@test "/metrics is Prometheus' text format, every sample under a TYPE, no name twice" {
  for n in 1 2 3; do
    matches "HTTP/1.[01] 200*" "$(http "$(metrics_port "$n")" /metrics | head -n 1)"
    scrape "$n" >"$BATS_TEST_TMPDIR/metrics"
    [ "$(grep -c '^# TYPE maitred_' "$BATS_TEST_TMPDIR/metrics")" -ge 10 ]
    bad=$(grep -vE '^(# (HELP|TYPE) [a-zA-Z_:][a-zA-Z0-9_:]* .+|[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="[^"]*",?)*\})? (-?[0-9.]+([eE][-+]?[0-9]+)?|[-+]Inf|NaN))$' \
      "$BATS_TEST_TMPDIR/metrics" || true)
    same "" "$bad" "lines of node $n that are no samples"
    untyped=$(awk '/^# TYPE/ {type[$3] = $4; next} /^#/ {next}
      {name = $1; sub(/\{.*/, "", name); base = name; sub(/_(sum|count|bucket)$/, "", base)
       if (!(name in type) && !(base in type)) print name}' "$BATS_TEST_TMPDIR/metrics")
    same "" "$untyped" "samples without a type"
    same "" "$(grep '^# TYPE' "$BATS_TEST_TMPDIR/metrics" | awk '{print $3}' | sort | uniq -d)" "types told twice"
    same "" "$(grep -v '^#' "$BATS_TEST_TMPDIR/metrics" | awk '{print $1}' | sort | uniq -d)" "samples told twice"
  done
}

# The page is what the reactor published last, at most 100 ms ago (in a busy process later): what follows a call is waited for.
grown_to() { [ "$(total maitred_calls_total)" -ge "$1" ]; }
ready() { [ "$(http_status "$(metrics_port "$1")" /readyz)" = 200 ]; }
not_ready() { [ "$(http_status "$(metrics_port "$1")" /readyz)" = 503 ]; }

@test "the counters count: calls grow by what was called" {
  before=$(total maitred_calls_total)
  [ "$before" -gt 0 ]
  offer=$(new_offer "$(new_provider)")
  for slot in 1 2 3 4 5; do call reserve create "$offer:$slot" --mode book >/dev/null; done
  until_true 5 grown_to $((before + 7))
}

@test "/livez and /readyz: 200 on a node that serves, 404 elsewhere" {
  for n in 1 2 3; do
    same 200 "$(http_status "$(metrics_port "$n")" /livez)" "livez of node $n"
    until_true 5 ready "$n"
    same 404 "$(http_status "$(metrics_port "$n")" /elsewhere)"
  done
}

@test "/readyz is 503 while a node alone of three cannot serve; /livez stays 200" {
  cluster kill 2
  cluster kill 3
  until_true 15 not_ready 1
  same 200 "$(http_status "$(metrics_port 1)" /livez)"
  cluster up
  healthy
  until_true 5 ready 1
}
