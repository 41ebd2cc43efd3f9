#!/bin/sh
# Builds and runs the native tests: ./gemm-test.sh [avx512|avx2|baseline ...]; without a name every set this machine has.
set -e
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
sets="$*"
if [ -z "$sets" ]; then
  sets=baseline
  grep -qw avx2 /proc/cpuinfo && sets="$sets avx2"
  grep -qw avx512_vnni /proc/cpuinfo && sets="$sets avx512"
fi
for isa in $sets; do
  case $isa in
    avx512) flags="-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mprefer-vector-width=512 -mavx2 -mfma -mbmi2 -mf16c" ;;
    avx2) flags="-mavx2 -mfma -mf16c -mbmi2" ;;
    *) flags="" ;;
  esac
  common="-std=c++20 -O3 -Wall -Wextra -fno-exceptions -ffp-contract=fast -fno-math-errno -fno-trapping-math -pthread -DCLOZE_ISA=$isa $flags $CXXFLAGS"
  echo "== $isa"
  ${CXX:-g++} $common vector-math-test.cpp -o "$out/vector-math-$isa"
  "$out/vector-math-$isa"
  ${CXX:-g++} $common gemm-test.cpp ../kernels/gemm.cpp ../thread-pool.cpp -o "$out/gemm-$isa"
  "$out/gemm-$isa"
done
