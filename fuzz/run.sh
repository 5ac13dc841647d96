#!/bin/sh
# All fuzz targets for so many minutes together: fuzz/run.sh [MINUTES]
#
# With libFuzzer where there is a nightly compiler and `cargo install cargo-fuzz --locked`; else mutants of the corpora on
# the stable one, which know nothing of coverage. SANITIZER=none is twice as fast as `address`, which is usual.
# Corpora grow in fuzz/grown; what fails is in fuzz/artifacts, or fuzz/found; what takes a second is a `slow-unit`.
set -eu
cd "$(dirname "$0")/.."
minutes=${1:-10}
if ! cargo +nightly fuzz --version > /dev/null 2>&1; then
    echo "no nightly compiler with cargo-fuzz (cargo install cargo-fuzz --locked): mutants without coverage" >&2
    exec cargo run --release --locked --example fuzz -- --minutes "$minutes"
fi
# The versions of everything are those that are tested.
[ -e fuzz/Cargo.lock ] || cp Cargo.lock fuzz/Cargo.lock
targets=$(cargo +nightly fuzz list)
cargo +nightly fuzz build --sanitizer "${SANITIZER:-address}"
seconds=$((minutes * 60 / $(echo "$targets" | wc -l)))
for target in $targets; do
    mkdir -p "fuzz/grown/$target"
    echo "== $target"
    cargo +nightly fuzz run --sanitizer "${SANITIZER:-address}" \
        "$target" "fuzz/grown/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=65536 -dict="fuzz/words.dict" -print_final_stats=1 \
        -timeout=10 -report_slow_units=1 -malloc_limit_mb=512 -rss_limit_mb=1536
done
