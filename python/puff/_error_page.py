"""What a developer sees in place of a bare 500: the exception, its traceback with the source, the request.

Made from what the exception holds, without scripts and without a look at local variables: those may be
secrets, or run code of the user's when they are shown.
"""

from __future__ import annotations

import html
import ipaddress
import linecache
import logging
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from ._puff import WsgiRequest

log = logging.getLogger("puff.wsgi")

_AROUND = 4
"""Lines of source that are shown before and after the one that failed."""
_MOST_CAUSES = 10
_MOST_FRAMES = 60
"""Frames that are shown of each exception, half of them at either end: recursion has a thousand."""
_LONGEST = 2000
"""Characters of a header or a message."""

_SECRET = re.compile(
    r"auth|cookie|token|secret|passw|pwd|session|csrf|xsrf|api.?key|access.?key|private|credential|signature|otp"
    r"|(^|[-_.])(key|sig|code|jwt|sid|pin)($|[-_.])",
    re.IGNORECASE,
)
_MASK = "********"

_PROXIED = frozenset(
    f"HTTP_{name}"
    for name in ("FORWARDED", "X_FORWARDED_FOR", "X_FORWARDED_HOST", "X_FORWARDED_PROTO", "X_REAL_IP", "VIA")
)
"""Headers of proxies: the client may be anybody then, though the connection is from this machine."""


def answerer(only_local: bool) -> Callable[[WsgiRequest, BaseException], None]:
    """What answers a request whose application raised; `only_local` keeps it from clients elsewhere."""

    def answer(request: WsgiRequest, error: BaseException) -> None:
        try:
            environ = request.environ
            if only_local and not _is_local(environ):
                request.abort()
            elif "text/html" in environ.get("HTTP_ACCEPT", ""):
                page = as_html(environ, request.method, request.path, request.request_id, error)
                request.fail("text/html; charset=utf-8", page.encode("utf-8", "backslashreplace"))
            else:
                text = as_text(environ, request.method, request.path, request.request_id, error)
                request.fail("text/plain; charset=utf-8", text.encode("utf-8", "backslashreplace"))
        except Exception as failure:
            # An exception may do anything when it is shown.
            request.abort()
            log.warning("the page for an error could not be made", exc_info=failure)

    return answer


def _is_local(environ: dict[str, Any]) -> bool:
    if any(name in environ for name in _PROXIED):
        return False
    address = environ.get("REMOTE_ADDR")
    if address is None:
        return True  # a Unix socket
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return bool((mapped or ip).is_loopback)


def as_text(
    environ: dict[str, Any], method: str, path: str, request_id: str | None, error: BaseException
) -> str:
    """The page for curl and for scripts."""
    lines = [f"{_title(error)}", "", f"{method} {path}"]
    if request_id is not None:
        lines.append(f"request {request_id}")
    lines += ["", *(line.rstrip("\n") for line in traceback.format_exception(error, limit=-_MOST_FRAMES))]
    query = [f"  {name}: {value}" for name, value in _query(environ)]
    headers = [f"  {name}: {value}" for name, value in _headers(environ)]
    if query:
        lines += ["", "Query", *query]
    lines += ["", "Headers", *headers, "", _WHY, ""]
    return "\n".join(lines)


def as_html(
    environ: dict[str, Any], method: str, path: str, request_id: str | None, error: BaseException
) -> str:
    """The page for a browser."""
    rows = [("Path", path)]
    if request_id is not None:
        rows.append(("Request id", request_id))
    rows.append(("Client", str(environ.get("REMOTE_ADDR", "a Unix socket"))))
    rows.append(("Python", f"{sys.version.split()[0]}, {sys.executable}"))
    plain = "".join(traceback.format_exception(error, limit=-_MOST_FRAMES))
    return _PAGE.format(
        title=_escape(_title(error)),
        style=_STYLE,
        kind=_escape(_kind(error)),
        message=_escape(_shortened(_message(error))) or "<i>no message</i>",
        method=_escape(method),
        path=_escape(path),
        traceback="".join(_exceptions(error)),
        request=_table(rows),
        query=_section("Query", _query(environ)),
        headers=_section("Headers", _headers(environ)),
        plain=_escape(plain),
        why=_escape(_WHY),
    )


_WHY = (
    "Puff shows this to developers. Strangers get a bare 500: always with PUFF_ENV=production, "
    "and with the setting debug = false."
)


# ------------------------------------------------------------------------ the exception


def _kind(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return f"<a {type(error).__name__} whose text cannot be made>"


def _title(error: BaseException) -> str:
    message = _message(error).strip().split("\n", 1)[0]
    return f"{_kind(error)}: {_shortened(message)}" if message else _kind(error)


def _exceptions(error: BaseException) -> Iterator[str]:
    """The exception and those before it, the last one first, as it is what the log ends with."""
    seen: set[int] = set()
    current: BaseException | None = error
    how = ""
    while current is not None and id(current) not in seen and len(seen) < _MOST_CAUSES:
        seen.add(id(current))
        if how:
            yield (
                f'<h3 class="cause">{how} <b>{_escape(_kind(current))}</b>'
                f"<span>{_escape(_shortened(_message(current)))}</span></h3>"
            )
        yield from _frames(current)
        for note in getattr(current, "__notes__", ()):
            yield f'<p class="note">{_escape(_shortened(str(note)))}</p>'
        for index, each in enumerate(getattr(current, "exceptions", ())[:_MOST_CAUSES]):
            if isinstance(each, BaseException):
                yield (
                    f'<h3 class="cause">{index + 1}. of the group <b>{_escape(_kind(each))}</b>'
                    f"<span>{_escape(_shortened(_message(each)))}</span></h3>"
                )
                yield from _frames(each)
        if current.__cause__ is not None:
            current, how = current.__cause__, "caused by"
        elif current.__context__ is not None and not current.__suppress_context__:
            current, how = current.__context__, "raised while handling"
        else:
            current = None


def _frames(error: BaseException) -> Iterator[str]:
    """Its frames, the innermost first; those of libraries are folded."""
    frames = list(traceback.walk_tb(error.__traceback__))
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        yield _frame(error.filename, error.lineno, "", error.text or "", None, True)
    frames = [each for each in frames if each[0].f_code.co_filename != _OURS]
    left_out = max(0, len(frames) - _MOST_FRAMES)
    if left_out:
        half = _MOST_FRAMES // 2
        frames = frames[:half] + frames[-half:]
    own = [not _is_library(frame.f_code.co_filename) for frame, _ in frames]
    # Where all is of libraries, the innermost is the one to look at.
    opened = len(own) - 1 - own[::-1].index(True) if any(own) else len(own) - 1
    for index in range(len(frames) - 1, -1, -1):
        frame, line = frames[index]
        code = frame.f_code
        linecache.checkcache(code.co_filename)
        name = getattr(code, "co_qualname", code.co_name)
        is_open = index == opened or own[index]
        yield _frame(code.co_filename, line, name, "", frame.f_globals, is_open)
        if left_out and index == _MOST_FRAMES // 2:
            yield f'<p class="note">{left_out} frames are not shown</p>'


def _frame(
    filename: str, line: int, name: str, text: str, module: dict[str, Any] | None, is_open: bool
) -> str:
    source = []
    for number in range(max(1, line - _AROUND), line + _AROUND + 1):
        content = linecache.getline(filename, number, module).rstrip("\n")
        if not content and number == line:
            content = text.rstrip("\n")
        if not content and not linecache.getline(filename, number, module):
            continue
        mark = ' class="at"' if number == line else ""
        source.append(f"<span{mark}><i>{number}</i>{_escape(content)}\n</span>")
    library = " library" if _is_library(filename) else ""
    where = f"<b>{_escape(name)}</b>" if name else ""
    body = f"<pre>{''.join(source)}</pre>" if source else '<p class="note">no source</p>'
    return (
        f'<details class="frame{library}"{" open" if is_open else ""}><summary>{where}'
        f"<code>{_escape(_short_path(filename))}:{line}</code></summary>{body}</details>"
    )


_OURS = __file__.replace("_error_page.py", "_wsgi.py")
_LIBRARIES = tuple(
    {path for name in ("stdlib", "platstdlib", "purelib", "platlib") if (path := sysconfig.get_path(name))}
)


def _is_library(filename: str) -> bool:
    return filename.startswith(("<frozen", *_LIBRARIES)) or "/site-packages/" in filename


def _short_path(filename: str) -> str:
    """The path from the folder on that Python finds it in."""
    for folder in sorted((each for each in sys.path if each), key=len, reverse=True):
        if filename.startswith(folder.rstrip("/") + "/"):
            return filename[len(folder.rstrip("/")) + 1 :]
    return filename


# ------------------------------------------------------------------------ the request


def _query(environ: dict[str, Any]) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True, max_num_fields=200)
    except ValueError:
        return [("", "too many fields to show")]
    return [(name, _masked(name, value)) for name, value in pairs]


def _headers(environ: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            name = key[5:]
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            name = key
        else:
            continue
        if value:
            name = name.replace("_", "-").title()
            # What the client sent, byte by byte; most of it is UTF-8.
            text = str(value).encode("latin-1", "replace").decode("utf-8", "replace")
            found.append((name, _masked(name, _without_query(text))))
    return sorted(found)


def _without_query(text: str) -> str:
    """A URL in a header (Referer) without its query, which may hold what is masked elsewhere."""
    return re.sub(r"(https?://[^\s?#]*)\?[^\s#]+", r"\1?…", text)


def _masked(name: str, value: str) -> str:
    return _MASK if _SECRET.search(name) else _shortened(value)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


# ------------------------------------------------------------------------ HTML


def _escape(text: str) -> str:
    # Control characters have no place in HTML.
    return html.escape(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", lambda found: repr(found[0])[1:-1], text))


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th>{_escape(name)}</th><td>{_escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


def _section(title: str, rows: list[tuple[str, str]]) -> str:
    return f"<h3>{title}</h3>{_table(rows)}" if rows else ""


_STYLE = """
:root { color-scheme: light dark; --bg: #fbfaf8; --card: #fff; --text: #22252b; --soft: #656b76;
  --line: #e2e0da; --red: #b3261e; --at: #fdecea; --code: #f5f3ef; }
@media (prefers-color-scheme: dark) { :root { --bg: #16181d; --card: #1e2127; --text: #e4e6ea;
  --soft: #979eab; --line: #31353e; --red: #ff8a80; --at: #45262a; --code: #191c21; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
header { border-left: 4px solid var(--red); padding-left: 1rem; margin-bottom: 1.75rem; }
header p { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; margin: .1rem 0; color: var(--red); overflow-wrap: anywhere; }
h1 + div { font-size: 1.1rem; white-space: pre-wrap; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2rem 0 .6rem; }
h3 { font-size: .9rem; margin: 1.25rem 0 .4rem; color: var(--soft); font-weight: 600; }
h3.cause { border-top: 1px solid var(--line); padding-top: 1rem; }
h3.cause b { color: var(--red); } h3.cause span { display: block; color: var(--text); font-weight: 400; }
details.frame { background: var(--card); border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0; }
details.frame summary { cursor: pointer; padding: .4rem .75rem; overflow-wrap: anywhere; }
summary b { margin-right: .75rem; } summary code { color: var(--soft); }
.library summary b { font-weight: 400; }
code, pre { font: 13px/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
pre { margin: 0; background: var(--code); border-top: 1px solid var(--line); padding: .5rem 0;
  overflow-x: auto; }
pre span { display: block; padding: 0 .75rem; min-width: max-content; }
pre i { display: inline-block; width: 3.2rem; color: var(--soft); font-style: normal; user-select: none; }
pre .at { background: var(--at); font-weight: 600; }
details.plain pre { border: 1px solid var(--line); border-radius: 6px; padding: .75rem; margin-top: .5rem; }
p.note { color: var(--soft); margin: .4rem .75rem; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th, td { text-align: left; vertical-align: top; padding: .3rem .5rem; border-bottom: 1px solid var(--line); }
th { width: 30%; font-weight: 500; color: var(--soft); } td { overflow-wrap: anywhere; }
footer { margin-top: 2.5rem; color: var(--soft); font-size: .85rem; }
""".strip()

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<header><p><b>{method}</b> {path}</p><h1>{kind}</h1><div>{message}</div></header>
<section><h2>Traceback <small>(innermost first)</small></h2>
{traceback}
</section>
<details class="plain"><summary>As text, to copy</summary><pre>{plain}</pre></details>
<section><h2>Request</h2>
{request}
{query}
{headers}
</section>
<footer>{why}</footer>
</main>
</body>
</html>
"""
