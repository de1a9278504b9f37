//! Which of the two response formats of GraphQL over HTTP a client wants.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};

/// The format of an answer; it decides the status of requests that never ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `application/json`: well-formed requests are always 200, as clients from before the standard expect.
    Json,
    /// `application/graphql-response+json`: refused documents are 4xx.
    GraphQl,
}

impl Format {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json; charset=utf-8",
            Format::GraphQl => "application/graphql-response+json; charset=utf-8",
        }
    }

    /// The format that `Accept` prefers; `None` if it takes neither.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Format> {
        let mut named = false;
        let (mut json, mut graphql) = (0.0_f32, 0.0_f32);
        // The quality of a wildcard holds for what is not named.
        let (mut any_json, mut any_graphql) = (None, None);
        let values = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok());
        for range in values.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or("").to_ascii_lowercase();
            if name.is_empty() {
                continue;
            }
            named = true;
            let quality = parts
                .find_map(|p| p.strip_prefix("q=")?.trim().parse().ok())
                .unwrap_or(1.0);
            match name.as_str() {
                "application/json" => any_json = Some(quality),
                "application/graphql-response+json" => any_graphql = Some(quality),
                "*/*" | "application/*" => {
                    json = f32::max(json, quality);
                    // A client that takes anything gets what every client understands.
                    graphql = f32::max(graphql, quality / 2.0);
                }
                _ => {}
            }
        }
        if !named {
            return Some(Format::Json);
        }
        let (json, graphql) = (any_json.unwrap_or(json), any_graphql.unwrap_or(graphql));
        match (json > 0.0, graphql > 0.0) {
            (_, true) if graphql >= json => Some(Format::GraphQl),
            (true, _) => Some(Format::Json),
            _ => None,
        }
    }
}

/// Whether `Accept` names event streams. Clients that take anything do not mean them.
pub(super) fn takes_events(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case("text/event-stream"));
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.trim().parse::<f32>().ok());
            named && quality.is_none_or(|quality| quality > 0.0)
        })
}

/// Whether the body of a POST is declared as JSON (in UTF-8).
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let json = parts
        .next()
        .is_some_and(|name| name.eq_ignore_ascii_case("application/json"));
    json && parts.all(|parameter| match parameter.split_once('=') {
        Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
            let charset = charset.trim().trim_matches('"');
            charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
        }
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn accepted(value: &'static str) -> Option<Format> {
        Format::accepted(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))]))
    }

    #[test]
    fn the_preferred_format_wins() {
        assert_eq!(Format::accepted(&HeaderMap::new()), Some(Format::Json));
        assert_eq!(accepted("*/*"), Some(Format::Json));
        assert_eq!(
            accepted("application/graphql-response+json, application/json;q=0.9"),
            Some(Format::GraphQl)
        );
        assert_eq!(
            accepted("application/json, application/graphql-response+json;q=0.5"),
            Some(Format::Json)
        );
        assert_eq!(accepted("application/json, multipart/mixed"), Some(Format::Json));
        assert_eq!(
            accepted("application/graphql-response+json; charset=utf-8, application/json"),
            Some(Format::GraphQl)
        );
        assert_eq!(accepted("text/html"), None);
        assert_eq!(accepted("application/json;q=0"), None);
    }

    #[test]
    fn only_utf8_json_is_json() {
        let json = |value: &'static str| {
            is_json(&HeaderMap::from_iter([(
                CONTENT_TYPE,
                HeaderValue::from_static(value),
            )]))
        };
        assert!(json("application/json"));
        assert!(json("Application/JSON; charset=UTF-8"));
        assert!(!json("application/json; charset=latin1"));
        assert!(!json("text/plain"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
