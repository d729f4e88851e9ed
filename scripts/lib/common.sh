# Shared by the scripts: where things are, packages, builds, saying what happens. Sourced, never run.
# shellcheck shell=bash disable=SC2034

MAITRED_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

BUILD_PACKAGES=(gcc g++ libc6-dev cmake ninja-build pkg-config libzmq3-dev libczmq-dev libcbor-dev librocksdb-dev libsodium-dev
  libmicrohttpd-dev libjansson-dev libsnappy-dev liblz4-dev libzstd-dev libbz2-dev zlib1g-dev libgflags-dev)
TEST_PACKAGES=(libcmocka-dev bats clang libclang-rt-14-dev clang-format python3-minimal libcap2-bin procps)

say() { printf '%s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

packages_missing() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || printf '%s\n' "$package"
  done
}

# packages_need NAME...: installs what is missing by apt and says so; needs no root where nothing is missing.
packages_need() {
  local missing
  command -v dpkg-query >/dev/null || die "this system has no dpkg; maitred builds on Debian 12: use a Debian 12 machine or container"
  mapfile -t missing < <(packages_missing "$@")
  [ ${#missing[@]} -eq 0 ] && return 0
  say "installing by apt: ${missing[*]}"
  local sudo=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "these Debian packages are missing; as root run: apt-get install ${missing[*]}"
    sudo=(sudo)
  fi
  local log
  log=$(mktemp)
  if ! { "${sudo[@]}" apt-get update -q && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    rm -f "$log"
    die "apt could not install: ${missing[*]}; see the lines above, then run this again"
  fi
  rm -f "$log"
}

# build_tree FOLDER [CMake option ...]: configures once and builds everything; prints the end of the log when it fails.
build_tree() {
  local tree=$1 log
  shift
  log=$tree/build.log
  mkdir -p "$tree"
  if ! { cmake -S "$MAITRED_ROOT" -B "$tree" -G Ninja "$@" && cmake --build "$tree"; } >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    die "the build in $tree failed; the whole log is $log"
  fi
}

# need_number HELP OPTION VALUE LOW HIGH: a usage error that names option, bounds and value, unless it is a number within them.
need_number() {
  case $3 in
    ''|*[!0-9]*|0?*|???????????????????*) ;;
    *) if [ "$3" -ge "$4" ] && [ "$3" -le "$5" ]; then return 0; fi ;;
  esac
  say "error: $2 must be a number from $4 to $5, not '$3'; see $1 --help"
  exit 2
}

# need_build TESTS PROGRAM...: the build in $bin holds these. Where one is missing, the tree's own build/ is made, with tests when
# TESTS is ON; a folder that somebody named is not: it would be a typo that takes minutes, and leaves a folder behind.
need_build() {
  local tests=$1 program why=""
  shift
  case $bin in /*) ;; *) bin=$PWD/$bin ;; esac
  for program in "$@"; do [ -x "$bin/$program" ] || { why="$program is missing in it"; break; }; done
  [ -n "$why" ] || return 0
  if [ "$(realpath -m -- "$bin")" != "$(realpath -m -- "$MAITRED_ROOT/build")" ]; then
    [ -d "$bin" ] || why="there is no such folder"
    say "error: no build in $bin: $why; build it first with 'cmake -S $MAITRED_ROOT -B $bin -G Ninja -DMAITRED_TESTS=$tests &&" \
      "cmake --build $bin', or leave --bin and MAITRED_BIN out"
    exit 2
  fi
  if [ "$tests" = ON ]; then
    say "building everything with its tests in $bin (some minutes the first time)"
    packages_need "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
    build_tree "$bin" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DMAITRED_TESTS=ON
  else
    say "building maitred in $bin (a few minutes the first time)"
    packages_need "${BUILD_PACKAGES[@]}"
    build_tree "$bin" -DCMAKE_BUILD_TYPE=Release -DMAITRED_TESTS=OFF
  fi
}

# port_base NODES: a base port whose whole block (PORT+1 .. PORT+300+NODES) is free on loopback. The block is this shell's as
# long as it lives: others that ask meanwhile, also those that have not bound theirs yet, get another one.
port_base() {
  local folder base start n offset try lock
  folder=/tmp/maitred-ports-$(id -u)
  [ -d "$folder" ] || mkdir -m 700 "$folder" 2>/dev/null || [ -d "$folder" ] || return 1
  exec {lock}>"$folder/lock" && flock "$lock" || return 1
  start=$RANDOM
  for try in $(seq 0 54); do
    base=$((10000 + (start + try) % 55 * 400)) # below 32768, where the system takes ports for outgoing connections
    port_block_taken "$folder/$base" && continue
    for n in $(seq "$1"); do
      for offset in 0 100 200 300; do
        if (exec 3<>"/dev/tcp/127.0.0.1/$((base + offset + n))") 2>/dev/null; then continue 3; fi
      done
    done
    printf '%s %s\n' $$ "$(process_start $$)" >"$folder/$base"
    exec {lock}>&-
    printf '%s\n' "$base"
    return 0
  done
  exec {lock}>&-
  return 1
}

# When a process started, in clock ticks since boot: with its id it names a process for ever.
process_start() { sed -E 's/^.*\) ([^ ]+ ){19}([0-9]+) .*/\2/' "/proc/$1/stat" 2>/dev/null; }

# is_gone PID: no such process, or nothing of it but a zombie that nobody has collected yet. While the first thread is one
# already, others may still be on their way out, and hold files, locks and ports.
is_gone() {
  [ "$(sed -E 's/^.*\) (.).*/\1/' "/proc/${1:-none}/stat" 2>/dev/null || echo Z)" = Z ] || return 1
  [ "$(find "/proc/${1:-none}/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)" -le 1 ]
}

port_block_taken() {
  local pid started
  read -r pid started 2>/dev/null <"$1" && [ "$(process_start "$pid")" = "$started" ]
}
