#!/bin/sh
# Prints how large the stripped release programs and the extension module are.
set -eu
cd "$(dirname "$0")/.."
for file in target/release/puff target/release/puff-and-python python/puff/_puff.*.so; do
    [ -f "$file" ] && printf '%6.1f MiB  %s\n' "$(stat -c %s "$file" | awk '{print $1/1048576}')" "$file"
done
