//! The settings of a server's processes, a part of the table in `keys`.

use super::keys::{Key, key};

/// Settings of a server's processes.
pub static PROCESS_KEYS: &[Key] = &[
    key(
        "workers",
        "N",
        "Serves with so many processes under a supervisor, which reloads and replaces them; auto: one per CPU",
    )
    .default("none, this process serves"),
    key(
        "reload",
        "BOOL",
        "For development: starts the worker anew when a module it has imported or puff.toml changes",
    )
    .default("false")
    .switch(),
    key(
        "reload_paths",
        "PATHS",
        "More files and folders that --reload watches; several with commas",
    ),
    key(
        "worker_requests",
        "N",
        "Replaces a worker that has answered so many requests, or up to a tenth less",
    ),
    key(
        "worker_lifetime",
        "TIME",
        "Replaces a worker of that age, or up to a tenth less",
    ),
    key(
        "worker_memory",
        "SIZE",
        "Replaces a worker that holds so much memory (RSS), or up to a tenth less",
    ),
    key(
        "worker_start_timeout",
        "TIME",
        "How long a worker may take until it serves",
    )
    .default("2m"),
    key(
        "pid_file",
        "FILE",
        "Where the server, or its supervisor, writes its process id",
    ),
    key(
        "user",
        "USER",
        "The user to become once the sockets are bound; for servers that root starts",
    ),
    key("group", "GROUP", "The group to become").default("the user's"),
    key("umask", "MODE", "The mask for the modes of new files"),
];
