#!/bin/sh
# Makes sure that the tests behind PgBouncer have one. Debian's package, where we may install it.
set -eu
command -v pgbouncer >/dev/null 2>&1 && exit 0
[ -x /usr/sbin/pgbouncer ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing pgbouncer for the tests"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends pgbouncer >/dev/null
else
    echo "No pgbouncer here, and no right to install it: the tests behind it will be skipped"
fi
