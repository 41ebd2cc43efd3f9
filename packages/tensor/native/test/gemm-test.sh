#!/bin/sh
# Builds and runs the native tests: ./gemm-test.sh [amx|avx512|avx2|baseline ...]; without a name every set this machine has.
set -e
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
sets="$*"
if [ -z "$sets" ]; then
  sets=baseline
  grep -qw avx2 /proc/cpuinfo && sets="$sets avx2"
  grep -qw avx512_vnni /proc/cpuinfo && sets="$sets avx512"
  grep -qw amx_bf16 /proc/cpuinfo && sets="$sets amx"
fi
avx2="-mavx2 -mfma -mf16c -mbmi2"
avx512="-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mprefer-vector-width=512 $avx2"
for isa in $sets; do
  case $isa in
    amx) flags="$avx512 -mamx-tile -mamx-int8 -mamx-bf16" ;;
    avx512) flags="$avx512" ;;
    avx2) flags="$avx2" ;;
    *) flags="" ;;
  esac
  common="-std=c++20 -O3 -Wall -Wextra -fno-exceptions -ffp-contract=fast -fno-math-errno -fno-trapping-math -pthread -DCLOZE_ISA=$isa $flags $CXXFLAGS"
  echo "== $isa"
  ${CXX:-g++} $common vector-math-test.cpp -o "$out/vector-math-$isa"
  "$out/vector-math-$isa"
  ${CXX:-g++} $common gemm-test.cpp ../kernels/gemm.cpp ../instruction-set.cpp ../thread-pool.cpp -o "$out/gemm-$isa"
  "$out/gemm-$isa"
done
