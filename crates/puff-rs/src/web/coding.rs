//! Content codings: which of them a client takes, which types of content gain by them.

use std::cmp::Reverse;

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, HeaderValue, VARY};

/// A way to compress the content of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    /// All there are. Where a client likes several as much, the first is taken: Zstandard is the quickest of
    /// them, and at that speed no larger than Brotli.
    pub(super) const ALL: &'static [Coding] = &[Coding::Zstd, Coding::Brotli, Coding::Gzip];

    /// As `Content-Encoding` has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }

    /// What the name of a file ends with whose content is coded.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Coding::Zstd => ".zst",
            Coding::Brotli => ".br",
            Coding::Gzip => ".gz",
        }
    }
}

/// What a client's `Accept-Encoding` says; weights in thousandths.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted {
    weights: [(Coding, u16); Coding::ALL.len()],
    /// Of content as it is; 0 where the client does not say, so that anything it names goes before.
    plain: u16,
}

impl Accepted {
    pub(super) fn by(headers: &HeaderMap) -> Accepted {
        let (mut named, mut plain, mut others) = ([None; Coding::ALL.len()], None, None);
        for element in headers
            .get_all(ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
        {
            let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
            let name = name.trim();
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            let weight = Some(weight(parameters));
            if is("identity") {
                plain = weight;
            } else if is("*") {
                others = weight;
            } else if let Some(index) = Coding::ALL
                .iter()
                .position(|coding| is(coding.name()) || *coding == Coding::Gzip && is("x-gzip"))
            {
                named[index] = weight;
            }
        }
        let mut weights = [(Coding::Gzip, 0); Coding::ALL.len()];
        for (index, coding) in Coding::ALL.iter().enumerate() {
            weights[index] = (*coding, named[index].or(others).unwrap_or(0));
        }
        weights.sort_by_key(|(_, weight)| Reverse(*weight));
        Accepted {
            weights,
            plain: plain.unwrap_or(0),
        }
    }

    /// The codings that the client likes as much as plain content or better, best first.
    pub(super) fn preferred(&self) -> impl Iterator<Item = Coding> {
        let plain = self.plain;
        self.weights
            .into_iter()
            .filter(move |(_, weight)| *weight > 0 && *weight >= plain)
            .map(|(coding, _)| coding)
    }
}

/// The weight among the parameters of an element; one that cannot be read is 0.
fn weight(parameters: &str) -> u16 {
    let Some((name, value)) = parameters.split_once('=') else {
        return 1000;
    };
    if !name.trim().eq_ignore_ascii_case("q") {
        return 1000;
    }
    match value.trim().parse::<f32>() {
        Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * 1000.0) as u16,
        _ => 0,
    }
}

/// Whether content of this type becomes smaller. Pictures, films, fonts for the web and archives are compressed.
pub(super) fn is_compressible(content_type: &[u8]) -> bool {
    const TYPES: &[&str] = &[
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "application/rtf",
        "application/vnd.ms-fontobject",
        "application/wasm",
        "application/x-javascript",
        "application/x-ndjson",
        "application/x-yaml",
        "application/xml",
        "application/yaml",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/svg+xml",
        "image/vnd.microsoft.icon",
        "image/x-icon",
    ];
    let essence = content_type
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    let essence = essence.trim_ascii();
    let starts =
        |start: &[u8]| essence.len() > start.len() && essence[..start.len()].eq_ignore_ascii_case(start);
    let ends = |end: &[u8]| {
        essence.len() > end.len() && essence[essence.len() - end.len()..].eq_ignore_ascii_case(end)
    };
    starts(b"text/")
        || ends(b"+json")
        || ends(b"+xml")
        || TYPES
            .iter()
            .any(|known| essence.eq_ignore_ascii_case(known.as_bytes()))
}

/// Tells caches that the answer depends on `Accept-Encoding`.
pub(super) fn vary(headers: &mut HeaderMap) {
    let said = headers.get_all(VARY).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding"))
    });
    if !said {
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preferred(header: &'static str) -> Vec<&'static str> {
        let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(header))]);
        Accepted::by(&headers).preferred().map(Coding::name).collect()
    }

    #[test]
    fn clients_say_what_they_take() {
        assert_eq!(Accepted::by(&HeaderMap::new()).preferred().count(), 0);
        assert_eq!(preferred("gzip, deflate, br, zstd"), ["zstd", "br", "gzip"]);
        assert_eq!(preferred("gzip, br;q=0.9 , zstd; q=0.95"), ["gzip", "zstd", "br"]);
        assert_eq!(preferred("X-GZIP"), ["gzip"]);
        assert_eq!(preferred("*"), ["zstd", "br", "gzip"]);
        assert_eq!(preferred("zstd;q=0, *;q=0.5"), ["br", "gzip"]);
        assert_eq!(preferred("gzip;q=0"), [""; 0]);
        assert_eq!(preferred("identity, gzip;q=0.5"), [""; 0]);
        assert_eq!(preferred("identity;q=0.2, gzip;q=0.5"), ["gzip"]);
        assert_eq!(preferred("gzip;q=2, br;q=x, zstd;level=3"), ["zstd"]);
    }

    #[test]
    fn types_that_gain() {
        for gains in [
            "text/html; charset=utf-8",
            "Application/JSON",
            "application/problem+json",
            "image/svg+xml",
        ] {
            assert!(is_compressible(gains.as_bytes()), "{gains}");
        }
        for not in ["image/png", "application/zip", "font/woff2", "text/", "", "+json"] {
            assert!(!is_compressible(not.as_bytes()), "{not}");
        }
    }

    #[test]
    fn vary_is_said_once() {
        for (before, after) in [
            (None, vec!["Accept-Encoding"]),
            (Some("Cookie"), vec!["Cookie", "Accept-Encoding"]),
            (Some("Cookie, accept-encoding"), vec!["Cookie, accept-encoding"]),
            (Some("*"), vec!["*"]),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(before) = before {
                headers.insert(VARY, HeaderValue::from_static(before));
            }
            vary(&mut headers);
            let found: Vec<_> = headers.get_all(VARY).iter().collect();
            assert_eq!(found, after);
        }
    }
}
