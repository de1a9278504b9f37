//! The header `Range` (RFC 9110, 14).

/// What of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// From a position on, so many bytes; at least one.
    Piece(u64, u64),
    /// Nothing that the file has.
    Unsatisfiable,
}

/// More ranges than this in one request are no use to anybody.
const MOST: usize = 32;

/// What `header` asks of a file of `length` bytes.
///
/// Several ranges that do not join into one are answered with the whole file, as a server may: what uses them gets
/// by without, and they make it possible to ask for a file many times over.
pub(super) fn parse(header: &[u8], length: u64) -> Part {
    // What is not as it should be counts as not there.
    let Some(mut ranges) = specs(header) else {
        return Part::Whole;
    };
    ranges.retain_mut(|range| match range {
        Spec::From(first, last) => {
            *last = (*last).min(length.saturating_sub(1));
            *first < length
        }
        Spec::Last(0) => false,
        Spec::Last(count) => {
            let first = length.saturating_sub(*count);
            *range = Spec::From(first, length.saturating_sub(1));
            true
        }
    });
    if ranges.is_empty() {
        return Part::Unsatisfiable;
    }
    if length == 0 {
        return Part::Whole; // there is no way to say "nothing of nothing"
    }
    let mut ranges: Vec<(u64, u64)> = ranges
        .into_iter()
        .filter_map(|range| match range {
            Spec::From(first, last) => Some((first, last)),
            Spec::Last(_) => None,
        })
        .collect();
    ranges.sort_unstable();
    let (first, mut last) = ranges[0];
    for (next, end) in &ranges[1..] {
        if *next > last + 1 {
            return Part::Whole;
        }
        last = last.max(*end);
    }
    Part::Piece(first, last - first + 1)
}

enum Spec {
    From(u64, u64),
    Last(u64),
}

fn specs(header: &[u8]) -> Option<Vec<Spec>> {
    let text = std::str::from_utf8(header).ok()?;
    let (unit, set) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut found = Vec::new();
    for spec in set.split(',').map(str::trim).filter(|spec| !spec.is_empty()) {
        let (first, last) = spec.split_once('-')?;
        found.push(match (first, last) {
            ("", count) => Spec::Last(number(count)?),
            (first, "") => Spec::From(number(first)?, u64::MAX),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                Spec::From(first, last)
            }
        });
        if found.len() > MOST {
            return None;
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Digits; more than fit are as good as the greatest number.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_the_rfc_has_them() {
        for (header, part) in [
            ("bytes=0-0", Part::Piece(0, 1)),
            ("bytes=0-499", Part::Piece(0, 500)),
            ("bytes=500-", Part::Piece(500, 500)),
            ("bytes=-1", Part::Piece(999, 1)),
            ("bytes=-5000", Part::Piece(0, 1000)),
            ("bytes=999-99999999999999999999999", Part::Piece(999, 1)),
            ("Bytes = 5-6", Part::Piece(5, 2)),
            ("bytes=0-4, 5-9", Part::Piece(0, 10)),
            ("bytes=5-9,0-6", Part::Piece(0, 10)),
            ("bytes=0-1,2000-", Part::Piece(0, 2)),
            ("bytes=0-0,-1", Part::Whole),
            ("bytes=1000-", Part::Unsatisfiable),
            ("bytes=1000-,-0", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=5-4", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=0-1,x", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=1", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(parse(header.as_bytes(), 1000), part, "{header}");
        }
        assert_eq!(parse(b"bytes=0-", 0), Part::Unsatisfiable);
        assert_eq!(parse(b"bytes=-1", 0), Part::Whole);
        let many = format!("bytes={}", "0-1,".repeat(1000));
        assert_eq!(parse(many.as_bytes(), 1000), Part::Whole);
    }
}
