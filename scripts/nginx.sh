#!/bin/sh
# Makes sure that the tests of the deployment guide have nginx and systemd-analyze. Debian's, where we may install.
set -eu
[ -x /usr/sbin/nginx ] && command -v systemd-analyze >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing nginx for the tests"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light systemd >/dev/null
else
    echo "No nginx or systemd here, and no right to install them: the tests with them will be skipped"
fi
