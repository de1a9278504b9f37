"""`encrypt_password`: passwords in the form in which the server keeps them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import unicodedata
from typing import Any

from ._exceptions import ProgrammingError

__all__ = ["encrypt_password"]

_ROUNDS = 4096
_SALT_SIZE = 16


def encrypt_password(password: str, user: str, scope: Any = None, algorithm: str | None = None) -> str:
    """What ``ALTER ROLE ... PASSWORD`` takes, so that the password itself is neither sent nor logged.

    ``algorithm`` is ``scram-sha-256`` or ``md5``; without one the server of ``scope``, a connection or
    cursor, is asked for its own. ProgrammingError for others, and without a ``scope`` for all but ``md5``.
    """
    if algorithm != "md5":
        if scope is None:
            raise ProgrammingError(
                "password encryption (other than 'md5' algorithm) requires a connection or cursor"
            )
        connection = scope.connection if hasattr(scope, "execute") else scope
        if algorithm is None:
            with connection.cursor() as cursor:
                cursor.execute("SHOW password_encryption")
                algorithm = cursor.fetchone()[0]
    if algorithm in ("md5", "on", "off"):  # What servers before 10 say.
        return "md5" + hashlib.md5((password + user).encode()).hexdigest()
    if algorithm != "scram-sha-256":
        raise ProgrammingError(
            f'password encryption failed: unrecognized password encryption algorithm "{algorithm}"\n'
        )
    return _scram(unicodedata.normalize("NFKC", password).encode(), os.urandom(_SALT_SIZE))


def _scram(password: bytes, salt: bytes) -> str:
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, _ROUNDS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored = hashlib.sha256(client).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${_ROUNDS}:{salt64}${stored64}:{server64}"
