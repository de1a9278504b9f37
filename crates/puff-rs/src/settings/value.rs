//! How the text of a setting becomes a value.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

/// A type that a setting can have.
///
/// The same text means the same value as a flag, as an environment variable and in `puff.toml`.
pub trait SettingValue: Sized {
    /// What a right value is, for the error message: "a whole number".
    const EXPECTED: &'static str;

    /// The value that `text` stands for.
    fn parse(text: &str) -> Option<Self>;
}

impl SettingValue for String {
    const EXPECTED: &'static str = "a text that is not empty";

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

impl SettingValue for usize {
    const EXPECTED: &'static str = "a whole number above 0";

    fn parse(text: &str) -> Option<Self> {
        text.trim().replace('_', "").parse().ok().filter(|n| *n > 0)
    }
}

/// A whole number that may be 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub usize);

impl SettingValue for Count {
    const EXPECTED: &'static str = "a whole number";

    fn parse(text: &str) -> Option<Self> {
        text.trim().replace('_', "").parse().ok().map(Count)
    }
}

impl SettingValue for bool {
    const EXPECTED: &'static str = "true or false";

    fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        }
    }
}

impl SettingValue for Duration {
    const EXPECTED: &'static str = "a duration such as 30s, 500ms or 2m";

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split_unit(text);
        let number: f64 = number.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0)?;
        let seconds = match unit {
            "ms" => number / 1000.0,
            "" | "s" => number,
            "m" | "min" => number * 60.0,
            "h" => number * 3600.0,
            _ => return None,
        };
        // A year is "never" for every wait there is; the bound keeps sums of instants from overflowing.
        Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|d| d.as_secs() <= 31_536_000)
    }
}

/// A number of bytes; written `16MiB`, `16m`, `4096`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub usize);

impl SettingValue for ByteSize {
    const EXPECTED: &'static str = "a size such as 16MiB, 512KiB or 4096";

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split_unit(text);
        let number: usize = number.replace('_', "").parse().ok()?;
        let factor = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" | "kib" => 1 << 10,
            "m" | "mb" | "mib" => 1 << 20,
            "g" | "gb" | "gib" => 1 << 30,
            _ => return None,
        };
        number.checked_mul(factor).map(ByteSize)
    }
}

/// The digits (with sign, point and `_`) in front, and the rest.
fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '_' | '-')))
        .unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

/// Where a server listens: `HOST:PORT`, or a port alone, which means this machine only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindAddress(SocketAddr);

impl BindAddress {
    /// The address behind the name.
    pub fn socket_addr(&self) -> SocketAddr {
        self.0
    }
}

impl SettingValue for BindAddress {
    const EXPECTED: &'static str = "an address such as 127.0.0.1:8000, [::1]:8000 or localhost:8000";

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(port) = text.parse::<u16>() {
            return Some(BindAddress(SocketAddr::from(([127, 0, 0, 1], port))));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Some(BindAddress(address));
        }
        let (host, port) = text.rsplit_once(':')?;
        let port: u16 = port.parse().ok()?;
        if host.is_empty() {
            return Some(BindAddress(SocketAddr::from(([0, 0, 0, 0], port))));
        }
        // A name: IPv4 first, since a client that tries `localhost` falls back to it everywhere.
        let addresses: Vec<_> = (host, port).to_socket_addrs().ok()?.collect();
        addresses
            .iter()
            .find(|a| a.is_ipv4())
            .or(addresses.first())
            .copied()
            .map(BindAddress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(Duration::parse("30"), Some(Duration::from_secs(30)));
        assert_eq!(Duration::parse("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(Duration::parse("1.5 m"), Some(Duration::from_secs(90)));
        for wrong in ["", "soon", "-1s", "5 parsecs", "inf", "1e400", "99999h"] {
            assert_eq!(Duration::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(ByteSize::parse("16MiB"), Some(ByteSize(16 << 20)));
        assert_eq!(ByteSize::parse("4_096"), Some(ByteSize(4096)));
        assert_eq!(ByteSize::parse("-1"), None);
        assert_eq!(ByteSize::parse("99999999999999g"), None);
    }

    #[test]
    fn addresses_may_be_a_port_alone() {
        let parse = |text: &str| BindAddress::parse(text).map(|bind| bind.socket_addr().to_string());
        assert_eq!(parse("8000").as_deref(), Some("127.0.0.1:8000"));
        assert_eq!(parse(":80").as_deref(), Some("0.0.0.0:80"));
        assert_eq!(parse("[::1]:8000").as_deref(), Some("[::1]:8000"));
        assert_eq!(parse("localhost:8000").as_deref(), Some("127.0.0.1:8000"));
        for wrong in ["", "host", "127.0.0.1", "127.0.0.1:99999", "a b:1"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
