"""Connection strings: ``key=value`` pairs and URLs, as libpq reads them.

With psycopg2's words for what is wrong with them. The Rust half, whose own parser is for Puff's settings, is
lenient where libpq is not, and repeats nothing that may be a password, gets what was understood here.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from ._exceptions import ProgrammingError

__all__ = ["as_pairs", "make_dsn", "masked_dsn", "parse_dsn"]

# libpq's names, in the order in which it lists them.
_OPTIONS = """
service user password passfile channel_binding connect_timeout dbname host hostaddr port client_encoding
options application_name fallback_application_name keepalives keepalives_idle keepalives_interval
keepalives_count tcp_user_timeout sslmode sslnegotiation sslcompression sslcert sslkey sslcertmode
sslpassword sslrootcert sslcrl sslcrldir sslsni requirepeer require_auth ssl_min_protocol_version
ssl_max_protocol_version min_protocol_version max_protocol_version gssencmode krbsrvname gsslib
gssdelegation replication target_session_attrs load_balance_hosts requiressl
"""
_RANK = {name: rank for rank, name in enumerate(_OPTIONS.split())}


def parse_dsn(dsn: str | bytes) -> dict[str, str]:
    """The parameters of a connection string. ProgrammingError if it is not valid.

    Example:
        >>> parse_dsn("postgresql://ada@localhost/shop")
        {'user': 'ada', 'dbname': 'shop', 'host': 'localhost'}
    """
    if isinstance(dsn, bytes):
        dsn = dsn.decode()
    elif not isinstance(dsn, str):
        raise TypeError(f"Expected bytes or unicode string, got {type(dsn).__name__} instead")
    for scheme in ("postgresql://", "postgres://"):
        if dsn.startswith(scheme):
            pairs = _parse_url(dsn[len(scheme) :], dsn)
            break
    else:
        pairs = _parse_pairs(dsn)
    return dict(sorted(pairs.items(), key=lambda pair: _RANK[pair[0]]))


def make_dsn(dsn: str | None = None, **kwargs: Any) -> str:
    """A connection string with the parameters of both; those with keywords win, None is left out.

    ``database`` is another name of ``dbname``. TypeError for both, ProgrammingError for unknown parameters.

    Example:
        >>> make_dsn("dbname=shop user=ada", password="it's")
        "user=ada dbname=shop password=it\\\\'s"
    """
    if dsn is None and not kwargs:
        return ""
    if not kwargs:
        assert dsn is not None
        parse_dsn(dsn)
        return dsn
    if "database" in kwargs:
        if "dbname" in kwargs:
            raise TypeError("you can't specify both 'database' and 'dbname' arguments")
        kwargs["dbname"] = kwargs.pop("database")
    given = {name: value for name, value in kwargs.items() if value is not None}
    if dsn is not None:
        given = {**parse_dsn(dsn), **given}
    made = _join(given)
    parse_dsn(made)
    return made


def as_pairs(dsn: str) -> str:
    """The string in the form that leaves nothing to interpret. ProgrammingError if it is not valid."""
    return _join(parse_dsn(dsn))


def masked_dsn(dsn: str) -> str:
    """The string as it may be shown: if it has a password, with ``xxx`` in its place."""
    pairs = parse_dsn(dsn)
    if "password" not in pairs:
        return dsn
    return _join({**pairs, "password": "xxx"})


def _join(pairs: dict[str, Any]) -> str:
    return " ".join(f"{name}={_quote(str(value))}" for name, value in pairs.items())


def _quote(value: str) -> str:
    if not value:
        return "''"
    value = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{value}'" if re.search(r"\s", value) else value


def _invalid(what: str) -> ProgrammingError:
    return ProgrammingError(f"invalid dsn: {what}\n")


_NAME = re.compile(r"\s*([^=\s]*)\s*(=?)\s*")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_BARE = re.compile(r"((?:[^\s\\]|\\.)*)\\?", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def _parse_pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    at = 0
    while text[at:].strip():
        name = _NAME.match(text, at)
        assert name is not None  # It matches the empty string.
        if not name[2]:
            raise _invalid(f'missing "=" after "{name[1]}" in connection info string')
        at = name.end()
        value = (_QUOTED if text.startswith("'", at) else _BARE).match(text, at)
        if value is None:
            raise _invalid("unterminated quoted string in connection info string")
        if name[1] not in _RANK:
            raise _invalid(f'invalid connection option "{name[1]}"')
        pairs[name[1]] = _ESCAPED.sub(r"\1", value[1])
        at = value.end()
        # libpq takes what follows a quoted value at once as the next name; so do we.
    return pairs


def _parse_url(text: str, url: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    user, found, rest = text.partition("@")
    if not found or "/" in user:
        user, rest = "", text
    hosts, rest = _hosts_and_ports(rest, url)
    rest, _, query = rest.partition("?")
    database = rest.removeprefix("/")
    name, _, password = user.partition(":")
    host, port = (",".join(parts) for parts in zip(*hosts, strict=True))
    for key, value in (
        ("user", name),
        ("password", password),
        ("dbname", database),
        ("host", host),
        ("port", port),
    ):
        if value:
            pairs[key] = _decode(value)
    for parameter in query.removesuffix("&").split("&") if query else []:
        key, found, value = parameter.partition("=")
        if not found:
            raise _invalid(f'missing key/value separator "=" in URI query parameter: "{key}"')
        if "=" in value:
            raise _invalid(f'extra key/value separator "=" in URI query parameter: "{key}"')
        key, value = _decode(key), _decode(value)
        if (key, value) == ("ssl", "true"):  # As JDBC writes it.
            key, value = "sslmode", "require"
        if key not in _RANK:
            raise _invalid(f'invalid URI query parameter: "{key}"')
        pairs[key] = value
    return pairs


_HOST = re.compile(r"([^:/?,]*)")
_PORT = re.compile(r"(?::([^/?,]*))?")


def _hosts_and_ports(text: str, url: str) -> tuple[list[tuple[str, str]], str]:
    """The hosts and ports that a URL begins with, and what follows them."""
    hosts = []
    at = -1
    while at < 0 or text.startswith(",", at):
        at += 1
        if text.startswith("[", at):
            end = text.find("]", at)
            if end < 0:
                raise _invalid(f'end of string reached when looking for matching "]" in IPv6 host: "{url}"')
            host, at = text[at + 1 : end], end + 1
            if not host:
                raise _invalid(f'IPv6 host address may not be empty in URI: "{url}"')
            if at < len(text) and text[at] not in ":/?,":
                raise _invalid(f'unexpected character "{text[at]}" in URI (expected ":" or "/"): "{url}"')
        else:
            host = _HOST.match(text, at)[1]  # type: ignore[index]  # It matches the empty string.
            at += len(host)
        port = _PORT.match(text, at)
        assert port is not None  # Likewise.
        hosts.append((host, port[1] or ""))
        at = port.end()
    return hosts, text[at:]


_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _decode(text: str) -> str:
    if _PERCENT.search(text):
        raise _invalid(f'invalid percent-encoded token: "{text}"')
    if "%00" in text:
        raise _invalid(f'forbidden value %00 in percent-encoded value: "{text}"')
    return unquote_to_bytes(text).decode()
