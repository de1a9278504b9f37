//! The settings of a server, a part of the table in `keys`.

use super::keys::{Key, key};

/// Settings of a server.
pub static SERVER_KEYS: &[Key] = &[
    key(
        "bind",
        "PLACES",
        "Where to listen: HOST:PORT, PORT or unix:/path; several with commas",
    )
    .default("127.0.0.1:8000"),
    key("unix_mode", "MODE", "Permissions of a Unix socket's file").default("666"),
    key(
        "tls_cert",
        "FILE",
        "The certificate, with those above it (PEM): the server then speaks TLS. Read again when it changes",
    ),
    key("tls_key", "FILE", "The certificate's private key (PEM)"),
    key(
        "tls_client_ca",
        "FILE",
        "Lets only clients in whose certificate is by an authority in this file",
    ),
    key(
        "trusted_proxies",
        "NETWORKS",
        "Proxies that are believed what they say about clients: addresses, networks, unix; with commas",
    )
    .default("none"),
    key(
        "proxy_headers",
        "KIND",
        "The headers in which trusted proxies speak: x-forwarded or forwarded; the other kind is removed",
    )
    .default("x-forwarded"),
    key(
        "proxy_protocol",
        "BOOL",
        "Connections begin with the PROXY protocol, and come from trusted proxies only",
    )
    .default("false"),
    key(
        "mount",
        "PATH",
        "The path that the WSGI application is below, its SCRIPT_NAME",
    )
    .default("/"),
    key(
        "http2_streams",
        "N",
        "Most requests at a time on one connection of HTTP/2",
    )
    .default("128"),
    key(
        "max_requests",
        "N",
        "Most requests worked on at a time; more wait",
    )
    .default("4096"),
    key(
        "max_queue",
        "N",
        "Most requests that wait for their turn; more get a 503 at once",
    )
    .default("16384"),
    key(
        "queue_timeout",
        "TIME",
        "How long a request waits for its turn before it gets a 503",
    )
    .default("10s"),
    key(
        "header_timeout",
        "TIME",
        "How long a client may take for the head of a request",
    )
    .default("30s"),
    key(
        "body_timeout",
        "TIME",
        "How long a client may take for the body of a request",
    )
    .default("30s"),
    key(
        "idle_timeout",
        "TIME",
        "How long a connection may idle between two requests",
    )
    .default("75s"),
    key(
        "write_timeout",
        "TIME",
        "How long a client may take nothing of its answer",
    )
    .default("60s"),
    key(
        "request_timeout",
        "TIME",
        "How long the program may take until an answer begins: it is ended then, the answer is a 504",
    )
    .default("0s, which is never"),
    key("max_uri", "SIZE", "Longest path and query; longer ones get a 414").default("4KiB"),
    key(
        "max_header",
        "SIZE",
        "Longest header, name and value; a longer one gets a 431",
    )
    .default("8000"),
    key("max_headers", "N", "Most headers of a request; more get a 431").default("100"),
    key(
        "max_head",
        "SIZE",
        "Largest head of a request; larger ones get a 431",
    )
    .default("64KiB"),
    key(
        "max_body",
        "SIZE",
        "Largest body of a request to Python or GraphQL; larger ones get a 413",
    )
    .default("16MiB"),
    key(
        "kill_gone",
        "BOOL",
        "Ends a WSGI request when its client goes: GreenletExit where it waits",
    )
    .default("false"),
    key(
        "shutdown_timeout",
        "TIME",
        "How long running requests may take to finish after Ctrl-C",
    )
    .default("10s"),
];
