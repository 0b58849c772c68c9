#!/bin/sh
# Builds the conformance handler into a folder: OUT/conformance. CXX and CXXFLAGS are used as given.
# What stands there already and is newer than its sources is left as it is.
set -eu

usage="usage: build.sh OUT"
out=${1:?$usage}
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
mkdir -p "$out"

if [ -x "$out/conformance" ] \
    && [ -z "$(find "$here/outrigger.hpp" "$here/conformance" "$here/build.sh" -newer "$out/conformance" -type f)" ]; then
    exit 0
fi

# Whoever builds into the same folder at the same time gets a whole result too: it is made aside and moved.
draft=$(mktemp "$out/.build.XXXXXX")
trap 'rm -f "$draft"' EXIT
# shellcheck disable=SC2086 # flags are words
${CXX:-g++} -std=c++17 -O1 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -pthread ${CXXFLAGS:-} \
    -I "$here" "$here"/conformance/*.cpp -o "$draft"
mv "$draft" "$out/conformance"
