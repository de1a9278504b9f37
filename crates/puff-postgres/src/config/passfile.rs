//! `.pgpass`: passwords by host, port, database and user.

use std::path::Path;

use super::{Config, Host, Server};

/// What a password file has to say.
pub(crate) enum Found {
    Password(String),
    /// No line fits, or there is no such file.
    Nothing,
    /// The file is not used, for this reason.
    Ignored(String),
}

/// Looks up the password for `server`. Blocks on the file system.
pub(crate) fn look_up(file: &Path, config: &Config, server: &Server) -> Found {
    use std::os::unix::fs::MetadataExt;

    let metadata = match std::fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Found::Nothing,
        Err(error) => return Found::Ignored(error.to_string()),
    };
    if !metadata.is_file() {
        return Found::Ignored("it is not a plain file".to_owned());
    }
    if metadata.mode() & 0o077 != 0 {
        return Found::Ignored("others may read it; chmod 600 helps".to_owned());
    }
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return Found::Ignored(error.to_string()),
    };
    let host = match &server.host {
        Host::Tcp(host) => host.clone(),
        // libpq's default directories go by this name.
        Host::Unix(path) if path == Path::new("/tmp") || path.ends_with("run/postgresql") => {
            "localhost".to_owned()
        }
        Host::Unix(path) => path.to_string_lossy().into_owned(),
    };
    let port = server.port.to_string();
    let wanted = [&host, &port, &config.database, &config.user];
    match text.lines().find_map(|line| password_of(line, wanted)) {
        Some(password) => Found::Password(password),
        None => Found::Nothing,
    }
}

/// The password of a line that fits.
pub(super) fn password_of(line: &str, wanted: [&String; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line;
    for wanted in wanted {
        let (field, literal, after) = field(rest);
        if literal != "*" && field != *wanted {
            return None;
        }
        rest = after?;
    }
    // The last field has no end but the line's.
    let mut password = String::with_capacity(rest.len());
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => password.extend(characters.next()),
            character => password.push(character),
        }
    }
    (!password.is_empty()).then_some(password)
}

/// The first field without its escapes, the same as written, and what follows its colon.
fn field(text: &str) -> (String, &str, Option<&str>) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((position, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            ':' => return (value, &text[..position], Some(&text[position + 1..])),
            character => value.push(character),
        }
    }
    (value, text, None)
}
