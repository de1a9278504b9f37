//! Which state of a file a client has (RFC 9110, 8.8 and 13).

use std::time::{Duration, SystemTime};

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};
use http::{HeaderMap, HeaderValue};
use httpdate::{fmt_http_date, parse_http_date};

/// What tells one state of a file from another.
pub(super) struct Validators {
    /// With its quotation marks, without `W/`.
    tag: String,
    /// Whether the same tag stands for the same bytes.
    strong: bool,
    /// To the second, as HTTP has it.
    modified: Option<SystemTime>,
}

/// A file that was changed a moment ago may change again without its time doing so.
const SETTLED: Duration = Duration::from_secs(2);

impl Validators {
    /// Of a file that was last `modified` then and has `length` bytes. `suffix` tells codings apart, which are
    /// different bytes of the same age.
    pub(super) fn new(modified: Option<SystemTime>, length: u64, suffix: &str) -> Validators {
        let age = modified.and_then(|time| SystemTime::now().duration_since(time).ok());
        let since = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let nanoseconds = since.map_or(0, |since| since.as_nanos());
        let seconds = since.map(|since| SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs()));
        Validators {
            tag: format!("\"{nanoseconds:x}-{length:x}{suffix}\""),
            strong: age.is_some_and(|age| age >= SETTLED),
            // A time to come is no validator; the clock of another machine may have made it.
            modified: seconds.filter(|_| age.is_some()),
        }
    }

    /// The value of `ETag`.
    pub(super) fn etag(&self) -> Option<HeaderValue> {
        let weak = if self.strong { "" } else { "W/" };
        HeaderValue::try_from(format!("{weak}{}", self.tag)).ok()
    }

    /// The value of `Last-Modified`.
    pub(super) fn last_modified(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(fmt_http_date(self.modified?)).ok()
    }

    /// Whether one of the tags in `list` is ours. If not `weakly`, both have to be strong.
    fn matches(&self, list: &HeaderValue, weakly: bool) -> bool {
        // None of our tags has a comma, so those that have need not be read right.
        list.as_bytes().split(|byte| *byte == b',').any(|tag| {
            let tag = tag.trim_ascii();
            let (tag, is_weak) = match tag.strip_prefix(b"W/") {
                Some(tag) => (tag, true),
                None => (tag, false),
            };
            tag == self.tag.as_bytes() && (weakly || self.strong && !is_weak)
        })
    }
}

/// The conditions of a request.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    matches: Vec<HeaderValue>,
    none_match: Vec<HeaderValue>,
    unmodified_since: Option<HeaderValue>,
    modified_since: Option<HeaderValue>,
    range: Option<HeaderValue>,
    if_range: Option<HeaderValue>,
}

/// What the conditions come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Send it; `range` says what is asked of it.
    Send { range: Option<HeaderValue> },
    /// The client has it.
    NotModified,
    /// The client wants another one.
    Failed,
}

impl Conditions {
    pub(super) fn of(headers: &HeaderMap) -> Conditions {
        let all = |name| headers.get_all(name).iter().cloned().collect();
        Conditions {
            matches: all(IF_MATCH),
            none_match: all(IF_NONE_MATCH),
            unmodified_since: headers.get(IF_UNMODIFIED_SINCE).cloned(),
            modified_since: headers.get(IF_MODIFIED_SINCE).cloned(),
            range: headers.get(RANGE).cloned(),
            if_range: headers.get(IF_RANGE).cloned(),
        }
    }

    /// In the order of RFC 9110, 13.2.2.
    pub(super) fn decide(self, file: &Validators) -> Outcome {
        let is_any = |list: &HeaderValue| list.as_bytes().trim_ascii() == b"*";
        if !self.matches.is_empty() {
            let passes = |list: &HeaderValue| is_any(list) || file.matches(list, false);
            if !self.matches.iter().any(passes) {
                return Outcome::Failed;
            }
        } else if let (Some(since), Some(modified)) = (date(&self.unmodified_since), file.modified)
            && modified > since
        {
            return Outcome::Failed;
        }
        if !self.none_match.is_empty() {
            let has = |list: &HeaderValue| is_any(list) || file.matches(list, true);
            if self.none_match.iter().any(has) {
                return Outcome::NotModified;
            }
        } else if let (Some(since), Some(modified)) = (date(&self.modified_since), file.modified)
            && modified <= since
        {
            return Outcome::NotModified;
        }
        let continues = match &self.if_range {
            None => true,
            Some(tag) if tag.as_bytes().contains(&b'"') => file.matches(tag, false),
            // Only a date that cannot have two states is as good as a strong tag.
            Some(_) => file.strong && file.modified.is_some() && date(&self.if_range) == file.modified,
        };
        Outcome::Send {
            range: self.range.filter(|_| continues),
        }
    }
}

fn date(header: &Option<HeaderValue>) -> Option<SystemTime> {
    parse_http_date(header.as_ref()?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(file: &Validators, headers: &[(http::HeaderName, &str)]) -> Outcome {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
        Conditions::of(&headers.collect()).decide(file)
    }

    const SENT: Outcome = Outcome::Send { range: None };

    #[test]
    fn conditions_as_the_rfc_has_them() {
        let old = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500_000_000_500);
        let file = Validators::new(Some(old), 10, "");
        let tag = file.etag().unwrap();
        let tag = tag.to_str().unwrap();
        let weak = &format!("W/{tag}");
        let same = "Fri, 14 Jul 2017 02:40:00 GMT";
        let before = "Fri, 14 Jul 2017 02:39:59 GMT";
        assert_eq!(file.last_modified().unwrap(), same);
        let list = &format!("\"a,b\", {weak}");
        for (headers, outcome) in [
            (vec![], SENT),
            (vec![(IF_NONE_MATCH, tag)], Outcome::NotModified),
            (vec![(IF_NONE_MATCH, weak)], Outcome::NotModified),
            (vec![(IF_NONE_MATCH, list)], Outcome::NotModified),
            (vec![(IF_NONE_MATCH, "*")], Outcome::NotModified),
            (vec![(IF_NONE_MATCH, "\"other\"")], SENT),
            (
                vec![(IF_NONE_MATCH, "\"a\""), (IF_NONE_MATCH, tag)],
                Outcome::NotModified,
            ),
            // The tag counts, the date does not.
            (
                vec![(IF_NONE_MATCH, "\"other\""), (IF_MODIFIED_SINCE, same)],
                SENT,
            ),
            (vec![(IF_MODIFIED_SINCE, same)], Outcome::NotModified),
            (vec![(IF_MODIFIED_SINCE, before)], SENT),
            (vec![(IF_MODIFIED_SINCE, "yesterday")], SENT),
            (vec![(IF_MATCH, tag)], SENT),
            (vec![(IF_MATCH, "*")], SENT),
            (vec![(IF_MATCH, weak)], Outcome::Failed),
            (vec![(IF_MATCH, "\"other\"")], Outcome::Failed),
            (vec![(IF_MATCH, tag), (IF_UNMODIFIED_SINCE, before)], SENT),
            (vec![(IF_UNMODIFIED_SINCE, same)], SENT),
            (vec![(IF_UNMODIFIED_SINCE, before)], Outcome::Failed),
        ] {
            assert_eq!(decide(&file, &headers), outcome, "{headers:?}");
        }
    }

    #[test]
    fn a_range_goes_on_only_with_the_same_file() {
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000);
        let file = Validators::new(Some(old), 10, "");
        let tag = file.etag().unwrap();
        let tag = tag.to_str().unwrap();
        let weak = &format!("W/{tag}");
        let same = "Fri, 14 Jul 2017 02:40:00 GMT";
        for (if_range, goes_on) in [
            (tag, true),
            (same, true),
            (weak, false),
            ("\"other\"", false),
            ("Fri, 14 Jul 2017 02:40:01 GMT", false),
            ("nonsense", false),
        ] {
            let found = decide(&file, &[(RANGE, "bytes=0-1"), (IF_RANGE, if_range)]);
            let range = goes_on.then(|| HeaderValue::from_static("bytes=0-1"));
            assert_eq!(found, Outcome::Send { range }, "{if_range}");
        }
        let fresh = Validators::new(Some(SystemTime::now()), 10, "");
        let tag = fresh.etag().unwrap();
        assert!(tag.to_str().unwrap().starts_with("W/"));
        assert_eq!(
            decide(&fresh, &[(RANGE, "bytes=0-1"), (IF_RANGE, tag.to_str().unwrap())]),
            SENT
        );
        assert_eq!(
            decide(&fresh, &[(IF_NONE_MATCH, tag.to_str().unwrap())]),
            Outcome::NotModified
        );
    }
}
