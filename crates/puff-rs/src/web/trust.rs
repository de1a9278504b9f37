//! Proxies in front, and what they may say about a client: `Forwarded`, `X-Forwarded-*`.

use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HOST, VIA};
use http::{HeaderMap, HeaderName, HeaderValue};
use puff_python::wsgi::ConnectionInfo;

use super::inspect::is_host;
use crate::settings::SettingValue;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Headers that only a proxy has a say in.
const SPOKEN_FOR: [HeaderName; 4] = [FORWARDED, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO];

/// Removes what only a proxy has a say in.
pub(super) fn silence(headers: &mut HeaderMap) {
    for name in &SPOKEN_FOR {
        headers.remove(name);
    }
}

/// The headers in which proxies speak. Never both kinds: proxies set or remove one, and pass on what a client says in
/// the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProxyHeaders {
    /// `X-Forwarded-For`, `-Host` and `-Proto`, as most proxies have them.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl SettingValue for ProxyHeaders {
    const EXPECTED: &'static str = "x-forwarded or forwarded";

    fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "x-forwarded" => Some(ProxyHeaders::XForwarded),
            "forwarded" => Some(ProxyHeaders::Forwarded),
            _ => None,
        }
    }
}

/// Further headers by which proxies can be told.
const PROXIED: [HeaderName; 2] = [VIA, HeaderName::from_static("x-real-ip")];

/// Whether a client is on this machine. One that a proxy speaks for may be anybody.
pub(crate) fn is_local(headers: &HeaderMap, info: &ConnectionInfo) -> bool {
    let has = |names: &[HeaderName]| names.iter().any(|name| headers.contains_key(name));
    !has(&SPOKEN_FOR)
        && !has(&PROXIED)
        && info
            .peer
            .is_none_or(|peer| peer.ip().to_canonical().is_loopback())
}

/// Who may speak for clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<Network>,
    /// Whoever reaches a Unix socket of the server.
    unix: bool,
    headers: ProxyHeaders,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: u128,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Network> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (most, shift) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let bits = bits.unwrap_or(most);
        (bits <= most).then(|| Network {
            address: number(address),
            bits: bits + shift,
        })
    }

    fn contains(self, address: IpAddr) -> bool {
        let differing = 128 - (number(address) ^ self.address).leading_zeros();
        differing <= 128 - self.bits
    }
}

/// IPv4 as it is within IPv6, so that `::ffff:10.0.0.1` is `10.0.0.1`.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl SettingValue for TrustedProxies {
    const EXPECTED: &'static str = "a list of addresses and networks such as 127.0.0.1, 10.0.0.0/8, unix";

    fn parse(text: &str) -> Option<Self> {
        let mut trusted = TrustedProxies::default();
        for word in text.split(',').map(str::trim) {
            match word {
                "unix" => trusted.unix = true,
                _ => trusted.networks.push(Network::parse(word)?),
            }
        }
        Some(trusted)
    }
}

impl TrustedProxies {
    /// Whether nobody is trusted, and nobody's word counts for less than another's.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// The same proxies, which speak in these headers.
    #[must_use]
    pub fn speaking_in(self, headers: ProxyHeaders) -> Self {
        TrustedProxies { headers, ..self }
    }

    /// Whether the peer of a connection is one of them; `None` is the peer of a Unix socket.
    pub fn contains(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            Some(address) => self.networks.iter().any(|network| network.contains(address)),
            None => self.unix,
        }
    }

    /// The connection as the client has it, by the word of a trusted proxy. From anybody else the headers are
    /// removed, so that an application that looks at them itself is not lied to.
    pub(super) fn settle(&self, headers: &mut HeaderMap, info: ConnectionInfo) -> ConnectionInfo {
        if self.is_empty() {
            return info;
        }
        if !self.contains(info.peer.map(|peer| peer.ip())) {
            silence(headers);
            return info;
        }
        let (hops, others) = match self.headers {
            ProxyHeaders::XForwarded => (x_forwarded(headers), &SPOKEN_FOR[..1]),
            ProxyHeaders::Forwarded => (forwarded(headers), &SPOKEN_FOR[1..]),
        };
        for name in others {
            headers.remove(name);
        }
        // The last hop that is not a proxy of ours is the client; who comes before it, it may have made up.
        let hop = hops
            .iter()
            .rev()
            .find(|hop| hop.from.is_none_or(|from| !self.contains(Some(from.ip()))))
            .or(hops.first());
        let Some(hop) = hop else { return info };
        if let Some(host) = hop.host.as_ref().filter(|host| is_host(host.as_bytes()))
            && let Ok(host) = HeaderValue::try_from(host)
        {
            headers.insert(HOST, host);
        }
        ConnectionInfo {
            peer: hop.from.or(info.peer),
            tls: hop.tls.unwrap_or(info.tls),
            ..info
        }
    }
}

/// What one proxy says about who came to it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hop {
    from: Option<SocketAddr>,
    host: Option<String>,
    tls: Option<bool>,
}

/// `Forwarded: for="[::1]:5";proto=https, for=10.0.0.1` (RFC 7239).
fn forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let elements = all(headers, &FORWARDED, |text| split(text, ','));
    elements
        .iter()
        .map(|element| {
            let mut hop = Hop::default();
            for pair in split(element, ';') {
                let Some((name, value)) = pair.split_once('=') else {
                    continue;
                };
                let value = value.trim().trim_matches('"');
                match name.trim().to_ascii_lowercase().as_str() {
                    "for" => hop.from = address(value),
                    "host" => hop.host = Some(value.to_owned()),
                    "proto" => hop.tls = Some(value.eq_ignore_ascii_case("https")),
                    _ => {}
                }
            }
            hop
        })
        .collect()
}

/// The older headers: a list of addresses, and one host and protocol, those of the last proxy's client.
fn x_forwarded(headers: &HeaderMap) -> Vec<Hop> {
    // Quotes mean nothing here.
    let list = |name| all(headers, &name, |text| text.split(',').collect());
    let last = |name| list(name).pop();
    let host = last(X_FORWARDED_HOST);
    let tls = last(X_FORWARDED_PROTO).map(|proto| proto.eq_ignore_ascii_case("https"));
    let mut hops: Vec<Hop> = list(X_FORWARDED_FOR)
        .iter()
        .map(|text| Hop {
            from: address(text),
            host: host.clone(),
            tls,
        })
        .collect();
    if hops.is_empty() && (host.is_some() || tls.is_some()) {
        hops.push(Hop {
            from: None,
            host,
            tls,
        });
    }
    hops
}

/// The elements of a list that may be in several headers. What a client said stands before what its proxy has added, and
/// must not hide that: neither by bytes that are no text nor by a quote without an end.
fn all(headers: &HeaderMap, name: &HeaderName, split: fn(&str) -> Vec<&str>) -> Vec<String> {
    let mut elements = Vec::new();
    for value in headers.get_all(name) {
        let text = String::from_utf8_lossy(value.as_bytes());
        let found = split(&text).into_iter().map(str::trim);
        elements.extend(found.filter(|element| !element.is_empty()).map(str::to_owned));
    }
    elements
}

/// Splits outside of quotes; those that nothing ends are none.
fn split(text: &str, separator: char) -> Vec<&str> {
    let balanced = text.bytes().filter(|byte| *byte == b'"').count() % 2 == 0;
    let mut quoted = false;
    text.split(|character: char| {
        quoted ^= character == '"' && balanced;
        character == separator && !quoted
    })
    .collect()
}

/// `10.0.0.1`, `10.0.0.1:5`, `::1`, `[::1]:5`; the port is 0 where none is given.
fn address(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    text.parse()
        .ok()
        .or_else(|| Some(SocketAddr::new(bare.parse().ok()?, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Given<'a> = &'a [(&'static str, &'a str)];

    fn settled(peer: &str, given: Given<'_>) -> (String, bool, Option<String>, usize) {
        settled_in(ProxyHeaders::XForwarded, peer, given)
    }

    fn settled_in(kind: ProxyHeaders, peer: &str, given: Given<'_>) -> (String, bool, Option<String>, usize) {
        let trusted = TrustedProxies::parse("10.0.0.0/8, ::1")
            .unwrap()
            .speaking_in(kind);
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        let info = ConnectionInfo {
            local: None,
            peer: Some(peer.parse().unwrap()),
            tls: false,
        };
        let info = trusted.settle(&mut headers, info);
        let host = headers.get(HOST).map(|host| host.to_str().unwrap().to_owned());
        (info.peer.unwrap().to_string(), info.tls, host, headers.len())
    }

    #[test]
    fn the_client_is_the_last_whom_no_proxy_of_ours_is() {
        let list = [
            ("x-forwarded-for", "6.6.6.6, 1.2.3.4"),
            ("x-forwarded-for", "10.1.1.1"),
        ];
        assert_eq!(settled("10.0.0.1:5", &list).0, "1.2.3.4:0");
        let all_ours = [("x-forwarded-for", "10.2.2.2, 10.1.1.1")];
        assert_eq!(settled("[::1]:5", &all_ours).0, "10.2.2.2:0");
        let standard = [(
            "forwarded",
            "for=6.6.6.6, for=\"[2001:db8::1]:7\";proto=https;host=shop, for=10.3.0.1",
        )];
        assert_eq!(
            settled_in(ProxyHeaders::Forwarded, "10.0.0.1:5", &standard),
            ("[2001:db8::1]:7".into(), true, Some("shop".into()), 2)
        );
        let hidden = [("forwarded", "for=_hidden;proto=https")];
        assert_eq!(
            settled_in(ProxyHeaders::Forwarded, "10.0.0.1:5", &hidden),
            ("10.0.0.1:5".into(), true, None, 1)
        );
        assert!(settled("10.0.0.1:5", &[("x-forwarded-proto", "https")]).1);
    }

    #[test]
    fn a_client_neither_speaks_in_the_other_headers_nor_hides_what_its_proxy_adds() {
        let both = [
            ("forwarded", "for=6.6.6.6;proto=https;host=evil"),
            ("x-forwarded-for", "1.2.3.4"),
        ];
        assert_eq!(settled("10.0.0.1:5", &both), ("1.2.3.4:0".into(), false, None, 1));
        let other = settled_in(ProxyHeaders::Forwarded, "10.0.0.1:5", &both);
        assert_eq!(other, ("6.6.6.6:0".into(), true, Some("evil".into()), 2));
        for lie in ["\"", "\u{ff}\u{fe}", "6.6.6.6;\"", "\"6.6.6.6"] {
            let list = format!("{lie}, 1.2.3.4");
            assert_eq!(
                settled("10.0.0.1:5", &[("x-forwarded-for", &list)]).0,
                "1.2.3.4:0",
                "{lie}"
            );
            let list = format!("for={lie}, for=1.2.3.4");
            let found = settled_in(ProxyHeaders::Forwarded, "10.0.0.1:5", &[("forwarded", &list)]);
            assert_eq!(found.0, "1.2.3.4:0", "{lie}");
        }
    }

    #[test]
    fn others_are_not_believed() {
        let lies = [
            ("x-forwarded-for", "10.9.9.9"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=1.1.1.1"),
        ];
        assert_eq!(
            settled("11.0.0.1:5", &lies),
            ("11.0.0.1:5".into(), false, None, 0)
        );
        let bad_host = [("x-forwarded-host", "a/b"), ("x-forwarded-for", "1.1.1.1")];
        assert_eq!(settled("10.0.0.1:5", &bad_host).2, None);
    }

    #[test]
    fn networks_are_addresses_with_bits() {
        for right in ["127.0.0.1", "0.0.0.0/0", "fd00::/8,unix", "::/0"] {
            assert!(TrustedProxies::parse(right).is_some(), "{right}");
        }
        for wrong in [
            "",
            "10.0.0.0/33",
            "10/8",
            "proxy",
            "::/129",
            "10.0.0.0/-1",
            "unix,",
        ] {
            assert!(TrustedProxies::parse(wrong).is_none(), "{wrong}");
        }
        let four = TrustedProxies::parse("0.0.0.0/0").unwrap();
        assert!(four.contains(Some("9.9.9.9".parse().unwrap())));
        assert!(four.contains(Some("::ffff:9.9.9.9".parse().unwrap())));
        assert!(!four.contains(Some("2001::1".parse().unwrap())) && !four.contains(None));
    }
}
