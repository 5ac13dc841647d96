#!/bin/sh
# All fuzz targets for so many minutes together: fuzz/run.sh [MINUTES]
#
# With libFuzzer where there is a nightly compiler and `cargo install cargo-fuzz`; else mutants of the corpora on the stable
# one, which know nothing of coverage. Corpora grow in fuzz/grown; what fails is in fuzz/artifacts, or fuzz/found.
set -eu
cd "$(dirname "$0")/.."
minutes=${1:-10}
if ! cargo +nightly fuzz --version > /dev/null 2>&1; then
    echo "no nightly compiler with cargo-fuzz: mutants without coverage" >&2
    exec cargo run --release --locked --example fuzz -- --minutes "$minutes"
fi
# The versions of everything are those that are tested.
[ -e fuzz/Cargo.lock ] || cp Cargo.lock fuzz/Cargo.lock
targets=$(cargo +nightly fuzz list)
seconds=$((minutes * 60 / $(echo "$targets" | wc -l)))
for target in $targets; do
    mkdir -p "fuzz/grown/$target"
    cargo +nightly fuzz run "$target" "fuzz/grown/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=65536 -timeout=5 -rss_limit_mb=2048 -print_final_stats=1
done
