"""What a plain-Python program would do at its very start: tests start children with settings of their own."""

from __future__ import annotations

import os

if os.environ.get("COMPAT_DRIVER") == "puff" and os.environ.get("COMPAT_HOST") == "python":
    # Inside the runtime PUFF_PSYCOPG2 does the same.
    from puff.compat import psycopg2

    psycopg2.install()
