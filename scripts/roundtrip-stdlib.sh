#!/bin/sh
# Reads and writes back the pycs of every file of the standard library of each CPython found (see
# tests/common), at -O0, -O1 and -O2, and prints the counts. Takes some minutes.
set -eu
cd "$(dirname "$0")/.."
exec cargo test --release --test pyc_marshal the_whole_of -- --ignored --nocapture
