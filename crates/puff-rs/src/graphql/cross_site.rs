//! Requests that a page of another site makes a browser send.
//!
//! A browser asks the server first (a preflight) before it sends a cross-site request with a header or a media type
//! that forms cannot have; without an answer that allows it, it does not send it. Other requests it sends at once,
//! with the user's cookies. Those must show that they are none of these.

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderName};

/// Headers that no form can send: a page of another site needs a preflight for them.
const NEEDS_PREFLIGHT: [HeaderName; 5] = [
    HeaderName::from_static("graphql-require-preflight"),
    HeaderName::from_static("apollo-require-preflight"),
    HeaderName::from_static("x-apollo-operation-name"),
    HeaderName::from_static("x-requested-with"),
    HeaderName::from_static("puff-trace"),
];

/// Whether the request has a header for which a browser asks first.
pub(super) fn has_preflight(headers: &HeaderMap) -> bool {
    NEEDS_PREFLIGHT.iter().any(|name| headers.contains_key(name)) || has_token(headers)
}

/// Whether there is an `Authorization` that a script has set. `Basic`, `Digest` and `Negotiate` a browser sends by
/// itself, with forms of other sites too.
fn has_token(headers: &HeaderMap) -> bool {
    headers.get(AUTHORIZATION).is_some_and(|value| {
        let scheme = value.as_bytes().get(..7);
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
    })
}

/// Whether a POST that a form could send shows that it is none of another site's: it has a header for which a browser
/// asks first, or the browser says that it is a page of this site.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    has_preflight(headers)
        || headers
            .get("sec-fetch-site")
            .is_some_and(|site| site == "same-origin")
}

/// Whether a GET may come from a page of another site.
///
/// All browsers of today say so in `Sec-Fetch-Site`; for those before them there is `Origin`. A GET changes nothing,
/// so what has neither is no browser's, or an image's of an old browser, whose page cannot read the answer.
pub(super) fn may_be_foreign(headers: &HeaderMap) -> bool {
    if has_preflight(headers)
        || headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value == "application/json")
    {
        return false;
    }
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    let host = headers.get(HOST).map(|host| host.as_bytes());
    let origin = origin.as_bytes();
    let authority = origin
        .strip_prefix(b"https://")
        .or(origin.strip_prefix(b"http://"));
    authority.is_none() || authority != host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_get_of_another_site_is_told_by_its_headers() {
        let foreign = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs.iter().map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    http::HeaderValue::from_static(value),
                )
            });
            may_be_foreign(&headers.collect())
        };
        for fine in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[
                ("sec-fetch-site", "cross-site"),
                ("graphql-require-preflight", "1"),
            ],
            &[
                ("sec-fetch-site", "cross-site"),
                ("content-type", "application/json"),
            ],
            &[
                ("origin", "http://shop.example:8000"),
                ("host", "shop.example:8000"),
            ],
        ] {
            assert!(!foreign(fine), "{fine:?}");
        }
        for bad in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site"), ("content-type", "text/plain")],
            &[("origin", "https://evil.example"), ("host", "shop.example")],
            &[("origin", "null"), ("host", "shop.example")],
        ] {
            assert!(foreign(bad), "{bad:?}");
        }
    }
}
