#!/bin/sh
# The benchmarks: `benches/run.sh` is `python -m peers bench`; other commands and options pass through.
# BENCH=full measures everything, PUFF_WHEEL=path takes that wheel, PYTHON= chooses the interpreter.
set -eu
cd "$(dirname "$0")"
python=../.venv/bin/python
[ -x "$python" ] || python=${PYTHON:-python3}
[ $# -gt 0 ] || set -- bench
exec "$python" -m peers "$@"
