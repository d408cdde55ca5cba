#!/usr/bin/env bash
# Brings what the build needs and cargo cannot bring: libclang, from the user's own pip into
# kgbuild's cache, pinned by version and hash. Skipped when done. Prints the folder of libclang.
set -euo pipefail
cd "$(dirname "$0")/.."

missing() {
    printf 'setup: %s\n  mend: %s\n' "$1" "$2" >&2
    exit 2
}

command -v cargo >/dev/null || missing "cargo is not installed" \
    "install Rust 1.92 or later with rustup (Debian: apt-get install rustup && rustup default stable)"
command -v "${CC:-cc}" >/dev/null || missing "there is no C compiler" "apt-get install gcc"
command -v "${CXX:-c++}" >/dev/null || missing "there is no C++ compiler" "apt-get install g++"

if [ -n "${LIBCLANG_PATH:-}" ]; then # the user's own
    [ -e "$LIBCLANG_PATH" ] || missing "LIBCLANG_PATH is \`$LIBCLANG_PATH\`, and nothing is there" \
        "name the folder of a libclang, or unset it to have one fetched with pip"
    echo "$LIBCLANG_PATH"
    exit 0
fi

cache="${KGBUILD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kgbuild}"
mkdir -p "$cache"
root="$PWD"
cache="$(cd "$cache" && pwd)"
folder="$cache/libclang"
if [ ! -d "$folder/libclang-18.1.1.dist-info" ]; then
    command -v python3 >/dev/null || missing "python3 is not installed" \
        "apt-get install python3 python3-pip, or set LIBCLANG_PATH to the folder of a libclang"
    # A set-up takes minutes: what is older was left by one that was killed.
    find "$cache" -maxdepth 1 -type d -name '.libclang-??????' -mmin +1440 -exec rm -rf {} +
    partial="$(mktemp -d "$cache/.libclang-XXXXXX")"
    trap 'rm -rf "$partial"' EXIT
    # Python imports from the working directory: pip runs where only this script has put something.
    cd "$partial"
    export PYTHONSAFEPATH=1 PIP_ROOT_USER_ACTION=ignore TMPDIR="$partial"
    python3 -m pip --version >/dev/null 2>&1 || missing "python3 has no pip" \
        "apt-get install python3-pip, or set LIBCLANG_PATH to the folder of a libclang"
    echo "fetching libclang 18.1.1 with pip" >&2
    python3 -m pip install --quiet --no-deps --only-binary=:all: --require-hashes \
        -r "$root/scripts/libclang.txt" --target "$partial/libclang" || missing \
        "libclang could not be fetched" \
        "connect to the network and run make again, or set LIBCLANG_PATH to the folder of a libclang"
    # Renamed when whole; an older version goes first, another setup may have been faster.
    rm -rf "$folder"
    mv "$partial/libclang" "$folder" 2>/dev/null || [ -d "$folder" ]
    cd "$root"
fi
echo "$folder/clang/native"
