"""Puts Puff in the place of the frameworks' servers, in every process of a suite that runs with it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any


def _serve_werkzeug() -> None:
    import werkzeug.serving

    def run_simple(hostname: str, port: int, application: Any, ssl_context: Any = None, **_: Any) -> None:
        """`werkzeug.serving.run_simple`, which Flask's `app.run` and pytest-flask's live server end in."""
        import frameworks_serving

        place = f"unix:{hostname[7:]}" if hostname.startswith("unix://") else f"{_numeric(hostname)}:{port}"
        options = ["--bind", place]
        if ssl_context is not None:
            certificate, key = _files_of(ssl_context)
            options += ["--tls-cert", certificate, "--tls-key", key]
        raise SystemExit(frameworks_serving.serve(application, *options))

    werkzeug.serving.run_simple = run_simple
    werkzeug.run_simple = run_simple  # type: ignore[attr-defined]


def _numeric(host: str) -> str:
    return "127.0.0.1" if host == "localhost" else host


def _files_of(ssl_context: Any) -> tuple[str, str]:
    if isinstance(ssl_context, tuple):
        return str(ssl_context[0]), str(ssl_context[1])
    if ssl_context != "adhoc":
        raise SystemExit("an SSLContext does not give its key away")
    from cryptography.hazmat.primitives import serialization
    from werkzeug.serving import generate_adhoc_ssl_pair

    certificate, key = generate_adhoc_ssl_pair()
    folder = Path(tempfile.mkdtemp())
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(folder / "cert.pem"), str(folder / "key.pem")


def _serve_waitress() -> None:
    import frameworks_waitress

    frameworks_waitress.install()


def _serve_django() -> None:
    import frameworks_django

    frameworks_django.install()


if os.environ.get("FRAMEWORKS_SERVER") == "puff":
    _install = {
        "werkzeug": _serve_werkzeug,
        "flask": _serve_werkzeug,
        "waitress": _serve_waitress,
        "django": _serve_django,
    }
    _install.get(os.environ.get("FRAMEWORKS_SUITE", ""), lambda: None)()
