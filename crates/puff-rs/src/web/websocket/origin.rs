//! Which pages may open a WebSocket.
//!
//! A browser lets any page connect to any server, and sends the server's cookies along; the one thing that tells
//! a page of somebody else's is the header `Origin`. Clients that are no browsers send none.

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

use crate::settings::SettingValue;

/// The pages that may connect. By default those of the server itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    /// All of them.
    any: bool,
    /// Those of the host that the request is for.
    same: bool,
    /// Those of these origins, in lower case: `https://shop.example`.
    listed: Vec<String>,
}

impl Default for Origins {
    fn default() -> Self {
        Origins {
            any: false,
            same: true,
            listed: Vec::new(),
        }
    }
}

impl SettingValue for Origins {
    const EXPECTED: &'static str = "same, * or origins such as https://shop.example, with commas";

    fn parse(text: &str) -> Option<Origins> {
        let mut origins = Origins {
            any: false,
            same: false,
            listed: Vec::new(),
        };
        for word in text.split(',') {
            match word.trim().to_ascii_lowercase().as_str() {
                "*" => origins.any = true,
                "same" => origins.same = true,
                origin => {
                    authority(origin)?;
                    origins.listed.push(origin.to_owned());
                }
            }
        }
        Some(origins)
    }
}

impl Origins {
    /// Whether a request with these headers may open a WebSocket.
    pub(crate) fn allow(&self, headers: &HeaderMap) -> bool {
        if self.any {
            return true;
        }
        let mut all = headers.get_all(ORIGIN).iter();
        let origin = match (all.next(), all.next()) {
            (None, _) => return true,
            (Some(origin), None) => origin.to_str().unwrap_or_default().to_ascii_lowercase(),
            (Some(_), Some(_)) => return false,
        };
        if self.listed.contains(&origin) {
            return true;
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        self.same && host.is_some_and(|host| is_same(&origin, &host.to_ascii_lowercase()))
    }
}

/// Whether a page of `origin` comes from `host`. The scheme is not compared: behind a proxy that is not a trusted
/// one the server does not know its own.
fn is_same(origin: &str, host: &str) -> bool {
    let Some((origin_host, port)) = authority(origin) else {
        return false;
    };
    let (host, host_port) = split_port(host);
    let default = if origin.starts_with("https:") { "443" } else { "80" };
    host == origin_host && host_port.unwrap_or(default) == port.unwrap_or(default)
}

/// Host and port of an origin; `None` if it is none, as `null`.
fn authority(origin: &str) -> Option<(&str, Option<&str>)> {
    let rest = origin
        .strip_prefix("https://")
        .or(origin.strip_prefix("http://"))?;
    let (host, port) = split_port(rest);
    let is_host = !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ', '*']);
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    (is_host && is_port).then_some((host, port))
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // Not within the brackets of an IPv6 address.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(setting: &str, origin: &str, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, origin.parse().unwrap());
        headers.insert(HOST, host.parse().unwrap());
        Origins::parse(setting).unwrap().allow(&headers)
    }

    #[test]
    fn by_default_only_the_servers_own_pages() {
        for (origin, host) in [
            ("https://shop.example", "shop.example"),
            ("https://Shop.example", "shop.EXAMPLE"),
            ("https://shop.example", "shop.example:443"),
            ("http://shop.example", "shop.example:80"),
            ("http://127.0.0.1:8000", "127.0.0.1:8000"),
            ("http://[::1]:8000", "[::1]:8000"),
            ("http://[::1]", "[::1]"),
        ] {
            assert!(allows("same", origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("https://evil.example", "shop.example"),
            ("https://shop.example.evil.example", "shop.example"),
            ("https://evil.example/shop.example", "shop.example"),
            ("https://shop.example:8443", "shop.example"),
            ("http://shop.example", "shop.example:443"),
            ("null", "shop.example"),
            ("null", "null"),
            ("file://", ""),
        ] {
            assert!(!allows("same", origin, host), "{origin} {host}");
        }
        assert!(Origins::default().allow(&HeaderMap::new()));
    }

    #[test]
    fn others_are_listed() {
        let setting = "https://a.example, same";
        assert!(allows(setting, "https://a.example", "b.example"));
        assert!(allows(setting, "https://b.example", "b.example"));
        assert!(!allows(setting, "http://a.example", "b.example"));
        assert!(!allows("https://a.example", "https://b.example", "b.example"));
        assert!(allows("*", "null", "b.example"));
        for wrong in [
            "",
            "a.example",
            "https://",
            "https://a/b",
            "https://*.example",
            "https://a:b",
        ] {
            assert_eq!(Origins::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn two_origins_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(ORIGIN, "https://a.example".parse().unwrap());
        headers.append(ORIGIN, "https://b.example".parse().unwrap());
        headers.insert(HOST, "a.example".parse().unwrap());
        assert!(!Origins::default().allow(&headers));
    }
}
