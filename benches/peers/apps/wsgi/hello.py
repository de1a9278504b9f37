"""A bare WSGI callable: 13 bytes."""

BODY = b"Hello, World!"
HEADERS = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "13")]


def app(environ, start_response):
    start_response("200 OK", HEADERS[:])
    return [BODY]
