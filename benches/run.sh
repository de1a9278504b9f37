#!/bin/sh
# benches/run.sh              all benchmarks: the peers under load, the hub, the driver, Redis;
#                             with BENCH=full the fan-out too
# benches/run.sh keep NAME    keeps the last run's figures and report, as results/NAME.md and the like
# benches/run.sh fanout ...   only the fan-out over WebSockets, see --help
# benches/run.sh COMMAND ...  one command of `python -m peers`, see --help
# BENCH=full measures everything, PUFF_WHEEL=path takes that wheel, PYTHON= chooses the interpreter.
set -eu
cd "$(dirname "$0")"
python=../.venv/bin/python
[ -x "$python" ] || python=${PYTHON:-python3}
last=../target/bench

case ${1-all} in
all)
    "$python" -m peers bench
    echo
    "$python" -m hub
    echo
    "$python" -m driver
    echo
    "$python" -m redis_commands
    if [ "${BENCH:-short}" = full ]; then
        echo
        "$python" -m fanout
    fi
    ;;
fanout)
    shift
    exec "$python" -m fanout "$@"
    ;;
keep)
    name=results/${2:?usage: benches/run.sh keep NAME}
    mkdir -p results
    cp "$last/results.json" "$name.json"
    cp "$last/hub.json" "$name.hub.json"
    cp "$last/driver.json" "$name.driver.json"
    cp "$last/redis_commands.json" "$name.redis_commands.json"
    {
        "$python" -m peers report "$name.json"
        printf '\n### Greenlets, beside gevent\n\n'
        "$python" -m hub --report "$name.hub.json"
        printf '\n### The PostgreSQL driver, beside psycopg2 and psycopg 3\n\n'
        "$python" -m driver --report "$name.driver.json"
        printf '\n### Redis, beside redis-py under gevent\n\n'
        "$python" -m redis_commands --report "$name.redis_commands.json"
        if [ -e "$last/fanout.json" ]; then
            cp "$last/fanout.json" "$name.fanout.json"
            printf '\n### Fan-out over WebSockets\n\n'
            "$python" -m fanout --report "$name.fanout.json"
        fi
    } >"$name.md"
    ;;
*)
    exec "$python" -m peers "$@"
    ;;
esac
