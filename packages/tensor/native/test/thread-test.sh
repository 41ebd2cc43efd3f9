#!/usr/bin/env bash
# Holds the thread pool and the memory cache under ThreadSanitizer: ./thread-test.sh
set -euo pipefail
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"${CXX:-g++}" -std=c++20 -O1 -g -fsanitize=thread -pthread -Wall -Wextra thread-test.cpp ../thread-pool.cpp ../memory.cpp -o "$out/thread-test"
# Where addresses are drawn at random, the sanitizer may find no room.
CLOZE_THREADS=3 setarch -R "$out/thread-test"
