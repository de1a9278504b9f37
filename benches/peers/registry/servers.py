"""The command lines that several groups share, each as its documents advise for speed."""

from __future__ import annotations

_GRANIAN = "{bin}/granian --host 127.0.0.1 --port {port} --no-ws --log-level warning"
GRANIAN_BASE = f"{_GRANIAN} --workers 1 --http 1"
GRANIAN = f"{GRANIAN_BASE} --interface wsgi"
GRANIAN_H2 = f"{_GRANIAN} --workers 1 --http 2 --interface wsgi"
GRANIAN_WORKERS = f"{_GRANIAN} --workers 2 --http 1 --interface wsgi"
GRANIAN_TLS = f"{GRANIAN} --ssl-certificate {{cert}} --ssl-keyfile {{key}}"
GUNICORN = "{bin}/gunicorn --bind 127.0.0.1:{port} --workers 1 --log-level warning --keep-alive 30"
GEVENT = f"{GUNICORN} --worker-class gevent -c {{apps}}/wsgi/gunicorn_gevent.py"
UWSGI = (
    "{bin}/uwsgi --http 127.0.0.1:{port} --http-keepalive --master --processes 1 --disable-logging "
    "--enable-threads --need-app --die-on-term"
)
WAITRESS = "{bin}/waitress-serve --listen=127.0.0.1:{port} --no-expose-tracebacks"
FLOOR = "{floors}/bench-floor {port}"

PUFF = "{bin}/puff runserver --bind 127.0.0.1:{port}"
PUFF_TLS = f"{PUFF} --tls-cert {{cert}} --tls-key {{key}}"
PUFF_WORKERS = f"{PUFF} --workers 2"
PUFF_ENVIRONMENT = {
    "PUFF_ENV": "production",  # would refuse to start a private service
    "PUFF_LOG": "warn",
    "PUFF_POSTGRES_URL": "{pg_url}",
    "PUFF_POSTGRES_POOL_SIZE": "16",
    "PUFF_GRAPHQL_CAMEL_CASE": "true",
}

PUFF_PACKAGES = ("py:puff-py", "py:greenlet")
GRANIAN_PACKAGES = ("py:granian",)
GEVENT_PACKAGES = ("py:gunicorn", "py:gevent", "py:greenlet")
AXUM_PACKAGES = ("rs:axum", "rs:tokio", "rs:tokio-postgres", "rs:deadpool-postgres")
