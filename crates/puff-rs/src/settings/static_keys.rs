//! The settings of static files and of compression, a part of the table in `keys`.

use super::keys::{Key, key};

/// Settings of the folders that a server serves by itself.
pub static STATIC_KEYS: &[Key] = &[
    key(
        "static",
        "PATH=FOLDER",
        "A folder to serve below a path, such as /static=public; several with commas, or repeat the flag",
    )
    .list(),
    key(
        "static_index",
        "NAME",
        "The file that stands for its folder, such as index.html",
    )
    .default("none"),
    key(
        "static_max_age",
        "TIME",
        "How long browsers use a file without asking; 0s asks each time",
    )
    .default("60s"),
    key(
        "static_immutable",
        "PATHS",
        "Paths below which files never change, as names with a hash in them never do; with commas",
    )
    .list(),
    key(
        "static_fallthrough",
        "BOOL",
        "Asks the application for what is no file, instead of answering 404",
    )
    .default("false, and true below /"),
];

/// Settings of compression.
pub static COMPRESSION_KEYS: &[Key] = &[
    key(
        "compression",
        "CODING",
        "How answers are compressed: off, gzip, br, zstd, or auto for the client's favourite",
    )
    .default("off"),
    key(
        "compression_min_size",
        "SIZE",
        "Shorter answers are not compressed",
    )
    .default("1KiB"),
];
