//! Ids of requests: a trusted proxy's, or our own.

use http::{HeaderMap, HeaderName, HeaderValue};
use puff_core::random;

use crate::settings::SettingValue;

/// The usual name of the header.
const USUAL: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ids are not taken over: they end up in every line of the log.
const LONGEST: usize = 128;

/// The setting `request_id`.
pub(super) struct IdHeader(pub(super) Option<HeaderName>);

impl SettingValue for IdHeader {
    const EXPECTED: &'static str = "on, off or the name of a header such as X-Request-ID";

    fn parse(text: &str) -> Option<IdHeader> {
        Some(IdHeader(match bool::parse(text) {
            Some(true) => Some(USUAL),
            Some(false) => None,
            // Python's environ has no place for a name with an underscore.
            None => Some(HeaderName::from_bytes(text.trim().as_bytes()).ok())
                .filter(|name| name.as_ref().is_some_and(|name| !name.as_str().contains('_')))?,
        }))
    }
}

/// Puts the request's id into its `headers`, where applications and handlers find it; the id.
///
/// What the client sent counts only if it `is_trusted` to speak for others, and looks like an id.
pub(super) fn identify(headers: &mut HeaderMap, name: &HeaderName, is_trusted: bool) -> HeaderValue {
    let mut sent = headers.get_all(name).iter();
    if let (true, Some(id), None) = (is_trusted, sent.next(), sent.next())
        && is_id(id.as_bytes())
    {
        return id.clone();
    }
    let id = HeaderValue::from_str(&random::uuid()).expect("a UUID is plain ASCII");
    headers.insert(name.clone(), id.clone());
    id
}

/// Nothing that a log, a shell or a query would take for anything but a word.
fn is_id(text: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:=+/@".contains(byte);
    !text.is_empty() && text.len() <= LONGEST && text.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxys_id_is_taken_over() {
        let sent = HeaderValue::from_static("abc-123");
        let given = HeaderMap::from_iter([(USUAL, sent.clone())]);
        assert_eq!(identify(&mut given.clone(), &USUAL, true), sent);
        let mut headers = given;
        let made = identify(&mut headers, &USUAL, false);
        assert_ne!(made, sent);
        assert_eq!(headers.get_all(USUAL).iter().collect::<Vec<_>>(), [&made]);
    }

    #[test]
    fn what_does_not_look_like_an_id_is_replaced() {
        for wrong in ["", "a b", "a\"b", "<script>", &"x".repeat(LONGEST + 1)] {
            let mut headers = HeaderMap::from_iter([(USUAL, HeaderValue::from_str(wrong).unwrap())]);
            assert_eq!(identify(&mut headers, &USUAL, true).len(), 36, "{wrong}");
        }
        let mut two = HeaderMap::new();
        two.append(USUAL, HeaderValue::from_static("a"));
        two.append(USUAL, HeaderValue::from_static("b"));
        assert_eq!(identify(&mut two, &USUAL, true).len(), 36);
        assert_eq!(two.get_all(USUAL).iter().count(), 1);
    }

    #[test]
    fn the_setting_is_a_switch_or_a_name() {
        let parse = |text| IdHeader::parse(text).map(|header| header.0);
        assert_eq!(parse("on"), Some(Some(USUAL)));
        assert_eq!(parse("false"), Some(None));
        assert_eq!(parse("X-Trace"), Some(Some(HeaderName::from_static("x-trace"))));
        assert_eq!(parse("x_trace"), None);
        assert_eq!(parse("a b"), None);
    }
}
