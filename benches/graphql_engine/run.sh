#!/bin/sh
# benches/graphql_engine/run.sh   what GraphQL costs, as a page: the engine alone by layer, field, row and cell;
#                                 where its time goes, if `perf` (Debian's linux-perf) is there; the memory of
#                                 answers with 10,000 rows, with the package of the project's venv
set -eu
cd "$(dirname "$0")/../.."
work=target/bench
mkdir -p "$work"
# As the project's own release, with the names that a profiler shows.
export CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only
cargo build --quiet --release -p puff-graphql --example overhead
overhead=${CARGO_TARGET_DIR:-target}/release/examples/overhead

printf '### The engine alone\n\n'
"$overhead"
if command -v perf >/dev/null; then
    printf '\n### Where its time goes\n\n```text\n'
    perf record -q -e cpu-clock -F 2000 -o "$work/perf.data" "$overhead" profile
    perf report -q -i "$work/perf.data" --no-children --percent-limit 1 --stdio --sort symbol 2>/dev/null |
        sed -n 's/[ -]*$//; /./p'
    printf '```\n'
fi
printf '\n### The memory of large answers\n\n'
cd benches
../.venv/bin/python -m graphql_engine.memory
