//! The opening handshake: RFC 6455 on HTTP/1.1, RFC 8441 on HTTP/2.

use axum::body::Body;
use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::super::text_response;

/// A request that is a right handshake.
pub(crate) struct Valid {
    /// What answers the client's key, on HTTP/1.1.
    accept: Option<String>,
    /// The subprotocols that the client offers.
    pub(crate) subprotocols: Vec<String>,
}

/// What is wrong with a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is not what RFC 6455 says, or has a body.
    Malformed(&'static str),
    /// It speaks another version of the protocol.
    Version,
}

impl Wrong {
    pub(crate) fn answer(self) -> Response<Body> {
        match self {
            Wrong::Malformed(text) => text_response(StatusCode::BAD_REQUEST, text),
            Wrong::Version => {
                let mut response = text_response(
                    StatusCode::UPGRADE_REQUIRED,
                    "this server speaks version 13 of WebSocket",
                );
                let headers = response.headers_mut();
                headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                response
            }
        }
    }
}

/// Whether the request asks for a WebSocket, rightly or not.
pub(crate) fn asks_for_websocket(
    version: Version,
    method: &Method,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> bool {
    if version == Version::HTTP_2 {
        let protocol = extensions.get::<hyper::ext::Protocol>();
        return method == Method::CONNECT
            && protocol.is_some_and(|protocol| protocol.as_str() == "websocket");
    }
    has_token(headers, &UPGRADE, "websocket")
}

/// Checks a handshake that [`asks_for_websocket`].
pub(super) fn check(parts: &Parts, has_body: bool) -> Result<Valid, Wrong> {
    let headers = &parts.headers;
    let http2 = parts.version == Version::HTTP_2;
    if !http2 {
        if parts.method != Method::GET || parts.version != Version::HTTP_11 {
            return Err(Wrong::Malformed("a WebSocket begins with GET of HTTP/1.1"));
        }
        if !has_token(headers, &CONNECTION, "upgrade") {
            return Err(Wrong::Malformed(
                "a WebSocket needs the header Connection: Upgrade",
            ));
        }
        if has_body {
            return Err(Wrong::Malformed("the handshake of a WebSocket has no body"));
        }
    }
    if only(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version.as_bytes() != b"13") {
        return Err(Wrong::Version);
    }
    let accept = match http2 {
        true => None,
        false => {
            let key = only(headers, &SEC_WEBSOCKET_KEY).filter(|key| is_key(key.as_bytes()));
            let key = key.ok_or(Wrong::Malformed(
                "the header Sec-WebSocket-Key is missing or wrong",
            ))?;
            Some(derive_accept_key(key.as_bytes()))
        }
    };
    Ok(Valid {
        accept,
        subprotocols: tokens(headers, &SEC_WEBSOCKET_PROTOCOL)
            .map(str::to_owned)
            .collect(),
    })
}

impl Valid {
    /// The answer that begins the conversation.
    pub(super) fn switch(self, subprotocol: Option<String>, mut headers: HeaderMap) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        if let Some(chosen) = subprotocol
            // It is among those that the client offered.
            && let Ok(chosen) = HeaderValue::try_from(chosen)
        {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, chosen);
        }
        if let Some(accept) = self.accept
            && let Ok(accept) = HeaderValue::try_from(accept)
        {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        *response.headers_mut() = headers;
        response
    }
}

/// The value of a header that comes once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// The elements of a header that is a list.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

/// Whether it is 16 bytes in base64.
fn is_key(key: &[u8]) -> bool {
    let (digits, padding) = key.split_at(key.len().saturating_sub(2));
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    digits.len() == 22 && digits.iter().all(is_digit) && padding == b"=="
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let request = headers
            .iter()
            .fold(http::Request::get("/"), |request, (name, value)| {
                request.header(*name, *value)
            });
        request.body(()).unwrap().into_parts().0
    }

    fn asks(parts: &Parts) -> bool {
        asks_for_websocket(parts.version, &parts.method, &parts.headers, &parts.extensions)
    }

    const RIGHT: [(&str, &str); 4] = [
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[test]
    fn the_example_of_the_rfc() {
        let parts = parts(&RIGHT);
        assert!(asks(&parts));
        let valid = check(&parts, false).ok().unwrap();
        let response = valid.switch(Some("chat".to_owned()), HeaderMap::new());
        assert_eq!(response.status(), 101);
        assert_eq!(
            response.headers()["sec-websocket-accept"],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    }

    #[test]
    fn what_is_wrong_is_told() {
        let without = |name: &str| {
            let rest: Vec<_> = RIGHT
                .iter()
                .filter(|(other, _)| *other != name)
                .copied()
                .collect();
            rest
        };
        assert!(!asks(&parts(&without("upgrade"))));
        let wrong = |headers: &[(&str, &str)]| check(&parts(headers), false).err().unwrap();
        assert!(matches!(wrong(&without("connection")), Wrong::Malformed(_)));
        assert!(matches!(
            wrong(&without("sec-websocket-key")),
            Wrong::Malformed(_)
        ));
        assert_eq!(wrong(&without("sec-websocket-version")), Wrong::Version);
        for key in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=a",
            "dGhlIHNhbXBs ZSBub25jZQ===",
        ] {
            let mut headers = without("sec-websocket-key");
            headers.push(("sec-websocket-key", key));
            assert!(matches!(wrong(&headers), Wrong::Malformed(_)), "{key}");
        }
        let mut twice = RIGHT.to_vec();
        twice.push(RIGHT[2]);
        assert_eq!(wrong(&twice), Wrong::Version);
        assert!(check(&parts(&RIGHT), true).is_err());
    }

    #[test]
    fn subprotocols_are_a_list() {
        let mut headers = RIGHT.to_vec();
        headers.push(("sec-websocket-protocol", "a, b"));
        headers.push(("sec-websocket-protocol", "c"));
        assert_eq!(
            check(&parts(&headers), false).ok().unwrap().subprotocols,
            ["a", "b", "c"]
        );
    }
}
