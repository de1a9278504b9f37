//! Intervals in the styles `postgres` (the server's default) and `postgres_verbose`, as `timedelta`.

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyDelta, PyDeltaAccess};

use super::Fault;
use super::moment::parse_fraction;

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

/// A `timedelta`: a month counts 30 days and a year 365, as in psycopg2.
///
/// The infinities become `timedelta.max` and `timedelta.min`, as those of dates become `date.max` and
/// `date.min`. (psycopg2 does not know them and gives 0.)
pub(super) fn cast<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let delta = match bytes {
        b"infinity" => PyDelta::new(py, 999_999_999, 86_399, 999_999, false)?,
        b"-infinity" => PyDelta::new(py, -999_999_999, 0, 0, false)?,
        [b'P', ..] => {
            return Err(Fault::NotSupported.raise(py, "iso_8601 intervalstyle currently not supported"));
        }
        text => {
            let (days, microseconds) = parse(text).map_err(|problem| match problem {
                Problem::Malformed => Fault::Data.raise(py, "unable to parse interval"),
                Problem::TooBig => PyOverflowError::new_err("interval component too big"),
            })?;
            let days = i32::try_from(days)
                .map_err(|_| PyOverflowError::new_err("Python int too large to convert to C int"))?;
            // Less than a day: both parts fit.
            let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
            PyDelta::new(py, days, seconds as i32, rest as i32, true)?
        }
    };
    debug_assert!(delta.get_seconds() < 86_400);
    Ok(delta.into_any())
}

#[derive(Debug, PartialEq, Eq)]
enum Problem {
    Malformed,
    TooBig,
}

/// Days, and the microseconds of the rest, from 0 to those of a day.
fn parse(text: &[u8]) -> Result<(i64, i64), Problem> {
    let mut days = 0_i64;
    let mut microseconds = 0_i64;
    let text = std::str::from_utf8(text).map_err(|_| Problem::Malformed)?;
    let mut words = text
        .split(' ')
        .filter(|word| !matches!(*word, "" | "@"))
        .peekable();
    if words.peek().is_none() {
        return Err(Problem::Malformed);
    }
    while let Some(word) = words.next() {
        if word == "ago" {
            (days, microseconds) = (-days, -microseconds);
            continue;
        }
        if word.contains(':') {
            let clock = parse_clock(word.as_bytes())?;
            microseconds = microseconds.checked_add(clock).ok_or(Problem::TooBig)?;
            continue;
        }
        let Some(unit) = words.next() else {
            // `0` alone: the verbose style for nothing at all.
            if word == "0" {
                break;
            }
            return Err(Problem::Malformed);
        };
        let target = match unit.strip_suffix('s').unwrap_or(unit) {
            "year" => (365, &mut days),
            "mon" => (30, &mut days),
            "day" => (1, &mut days),
            "hour" => (3_600_000_000, &mut microseconds),
            "min" => (60_000_000, &mut microseconds),
            "sec" => {
                let part = parse_seconds(word.as_bytes())?;
                microseconds = microseconds.checked_add(part).ok_or(Problem::TooBig)?;
                continue;
            }
            _ => return Err(Problem::Malformed),
        };
        let number = parse_integer(word)?;
        let part = number.checked_mul(target.0).ok_or(Problem::TooBig)?;
        *target.1 = target.1.checked_add(part).ok_or(Problem::TooBig)?;
    }
    let carried = days.checked_add(microseconds.div_euclid(MICROSECONDS_PER_DAY));
    Ok((
        carried.ok_or(Problem::TooBig)?,
        microseconds.rem_euclid(MICROSECONDS_PER_DAY),
    ))
}

fn parse_integer(word: &str) -> Result<i64, Problem> {
    let number = word.parse::<i64>();
    number.map_err(|error| match error.kind() {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => Problem::TooBig,
        _ => Problem::Malformed,
    })
}

fn split_sign(text: &[u8]) -> (i64, &[u8]) {
    match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        rest => (1, rest),
    }
}

/// `-04:05:06.789` or `04:05`, as microseconds. The sign counts for all parts.
fn parse_clock(text: &[u8]) -> Result<i64, Problem> {
    let (sign, text) = split_sign(text);
    let mut parts = text.splitn(3, |byte| *byte == b':');
    let mut whole = |unit: i64| -> Result<i64, Problem> {
        let part = parts
            .next()
            .filter(|part| part.first().is_some_and(u8::is_ascii_digit));
        let part = part
            .and_then(|part| std::str::from_utf8(part).ok())
            .ok_or(Problem::Malformed)?;
        parse_integer(part)?.checked_mul(unit).ok_or(Problem::TooBig)
    };
    let hours = whole(3_600_000_000)?;
    let minutes = whole(60_000_000)?;
    let seconds = match parts.next() {
        Some([b'+' | b'-', ..]) => return Err(Problem::Malformed),
        Some(seconds) => parse_seconds(seconds)?,
        None => 0,
    };
    let total = hours
        .checked_add(minutes)
        .and_then(|sum| sum.checked_add(seconds));
    total
        .and_then(|total| total.checked_mul(sign))
        .ok_or(Problem::TooBig)
}

/// `-6.789`, as microseconds.
fn parse_seconds(text: &[u8]) -> Result<i64, Problem> {
    let (sign, text) = split_sign(text);
    let point = text.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (
            &text[..at],
            parse_fraction(&text[at + 1..]).ok_or(Problem::Malformed)?,
        ),
        None => (text, (0, &[][..])),
    };
    let digits = std::str::from_utf8(whole).map_err(|_| Problem::Malformed)?;
    if !fraction.1.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::Malformed);
    }
    let whole = parse_integer(digits)?
        .checked_mul(1_000_000)
        .ok_or(Problem::TooBig)?;
    whole
        .checked_add(i64::from(fraction.0))
        .and_then(|total| total.checked_mul(sign))
        .ok_or(Problem::TooBig)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn both_styles_give_the_same() {
        let expected = (
            365 + 60 + 3 - 1,
            MICROSECONDS_PER_DAY - (4 * HOUR + 5 * 60_000_000 + 6_789_000),
        );
        assert_eq!(parse(b"1 year 2 mons 3 days -04:05:06.789"), Ok(expected));
        assert_eq!(
            parse(b"@ 1 year 2 mons 3 days -4 hours -5 mins -6.789 secs"),
            Ok(expected)
        );
        assert_eq!(parse(b"@ 1 day 2 hours ago"), Ok((-2, 22 * HOUR)));
        assert_eq!(parse(b"@ 0"), Ok((0, 0)));
        assert_eq!(parse(b"00:00:00"), Ok((0, 0)));
        assert_eq!(
            parse(b"2562047788:00:54.775807"),
            Ok((106_751_991, 4 * HOUR + 54_775_807))
        );
    }

    #[test]
    fn broken_text_is_refused() {
        for broken in [
            "",
            " ",
            "@",
            "x",
            "1",
            "1-2",
            "1 foo",
            "1 day 2",
            "1:2:3:4",
            "1:",
            ":1",
            "1:2:3.1234567",
            "-",
        ] {
            assert_eq!(parse(broken.as_bytes()), Err(Problem::Malformed), "{broken}");
        }
        assert_eq!(parse(b"9999999999999999999 days"), Err(Problem::TooBig));
        assert_eq!(parse(b"9223372036854775807 years"), Err(Problem::TooBig));
    }
}
