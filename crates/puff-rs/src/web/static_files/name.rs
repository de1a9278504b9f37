//! From the path of a URL to that of a file, and what a file's name tells.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use http::HeaderValue;
use percent_encoding::percent_decode_str;

/// What a request names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Below the mount's folder; empty for the folder itself. Its parts are plain names.
    pub(super) path: PathBuf,
    /// Whether the URL ends with a slash, as that of a folder does.
    pub(super) slash: bool,
}

/// Reads the part of a URL's path that is below the mount: empty, or `/` and names. `None` for what no file is
/// served by: `..`, names that begin with a dot, slashes in disguise.
pub(super) fn parse(rest: &str) -> Option<Wanted> {
    let mut path = PathBuf::new();
    let Some(names) = rest.strip_prefix('/') else {
        return Some(Wanted { path, slash: false });
    };
    let (names, slash) = match names.strip_suffix('/') {
        Some(names) => (names, true),
        None => (names, names.is_empty()),
    };
    if names.is_empty() {
        return (rest == "/").then_some(Wanted { path, slash });
    }
    for (index, name) in names.split('/').enumerate() {
        let name = percent_decode_str(name).collect::<Vec<u8>>();
        // What programs such as those for certificates publish (RFC 8615).
        let is_well_known = index == 0 && name == b".well-known";
        if name.is_empty()
            || name[0] == b'.' && !is_well_known
            || name.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0))
        {
            return None;
        }
        path.push(OsStr::from_bytes(&name));
    }
    Some(Wanted { path, slash })
}

/// The type of a file's content, by its extension.
pub(crate) fn content_type(path: &Path) -> HeaderValue {
    const UNKNOWN: &str = "application/octet-stream";
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    let known = match extension {
        // What the list has otherwise, or not at all.
        "js" | "mjs" => "text/javascript",
        "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "ico" => "image/x-icon",
        _ => mime_guess::from_ext(extension).first_raw().unwrap_or(UNKNOWN),
    };
    let value = if known.starts_with("text/") {
        HeaderValue::try_from(format!("{known}; charset=utf-8"))
    } else {
        Ok(HeaderValue::from_static(known))
    };
    value.unwrap_or(HeaderValue::from_static(UNKNOWN))
}

/// Whether the name has a hash of the content, so that it never means anything else: `app.5af2b8c1d0e3.css`,
/// `app-5af2b8c1.js`. Only hexadecimal ones are told from words for certain, if they have digits and letters.
pub(super) fn has_hash(path: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let Some((stem, _extension)) = name.rsplit_once('.') else {
        return false;
    };
    let is_hash = |part: &str| {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (8..=64).contains(&part.len())
            && part.bytes().all(hex)
            && part.bytes().any(|byte| byte.is_ascii_digit())
            && part.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    stem.split(['.', '-']).skip(1).any(is_hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_files() {
        for (rest, path, slash) in [
            ("", "", false),
            ("/", "", true),
            ("/a.css", "a.css", false),
            ("/a/b%20c.txt", "a/b c.txt", false),
            ("/a/", "a", true),
            ("/.well-known/acme", ".well-known/acme", false),
            ("/%zz", "%zz", false),
        ] {
            let path = path.into();
            assert_eq!(parse(rest), Some(Wanted { path, slash }), "{rest}");
        }
        assert_eq!(parse("/%ff").unwrap().path.as_os_str().as_bytes(), b"\xff");
    }

    #[test]
    fn nothing_leads_out() {
        for rest in [
            "/..",
            "/../a",
            "/a/../../b",
            "/%2e%2e/a",
            "/.%2e/a",
            "/..%2fa",
            "/a%2f..%2fb",
            "/..%5ca",
            "/a%00.css",
            "//etc/passwd",
            "/a//b",
            "//",
            "/.",
            "/.env",
            "/%2eenv",
            "/a/.git/config",
            "/a/.well-known/b",
        ] {
            assert_eq!(parse(rest), None, "{rest}");
        }
    }

    #[test]
    fn types_by_extension() {
        for (name, expected) in [
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.HTML", "text/html; charset=utf-8"),
            ("a.svg", "image/svg+xml"),
            ("a.woff2", "font/woff2"),
            ("a.wasm", "application/wasm"),
            ("a.json", "application/json"),
            ("a.js.map", "application/json"),
            ("a.webmanifest", "application/manifest+json"),
            ("a.tar.gz", "application/gzip"),
            ("a.xyzzy", "application/octet-stream"),
            ("a", "application/octet-stream"),
        ] {
            assert_eq!(content_type(Path::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn hashes_are_not_words_nor_dates() {
        for hashed in [
            "/s/app.5af2b8c1d0e3.css",
            "a-5af2b8c1.js",
            "a.5af2b8c1d0e3.min.js.map",
        ] {
            assert!(has_hash(hashed), "{hashed}");
        }
        for not in [
            "app.css",
            "jquery-3.7.1.min.js",
            "report-20261122.pdf",
            "a-facade.css",
            "5af2b8c1d0e3.css",
            "a-5af2b8c1",
            "/5af2.b8c1d0e3/app.css",
            "a-deadbeefs1.css",
        ] {
            assert!(!has_hash(not), "{not}");
        }
    }
}
