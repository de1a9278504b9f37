//! Dates, times and points in time, in the date style `ISO`.

use std::cell::RefCell;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDate, PyDateTime, PyDelta, PyTime, PyType, PyTzInfo};

use super::Fault;

/// Makes time zones of offsets, with the cursor's `tzinfo_factory`.
///
/// The zone of the last offset is kept: a result has few of them, so the factory is not called per cell.
pub(super) struct Zones<'py> {
    /// What the user set; Python's `None` for naive times.
    factory: Bound<'py, PyAny>,
    last: RefCell<Option<(i32, Option<Bound<'py, PyTzInfo>>)>>,
}

/// `datetime.timezone`, what `tzinfo_factory` is unless set.
pub(in crate::driver) fn default_factory(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static TIMEZONE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    Ok(TIMEZONE.import(py, "datetime", "timezone")?.as_any())
}

impl<'py> Zones<'py> {
    pub(super) fn new(factory: Bound<'py, PyAny>) -> Self {
        Zones {
            factory,
            last: RefCell::new(None),
        }
    }

    fn of(&self, offset: i32) -> PyResult<Option<Bound<'py, PyTzInfo>>> {
        let py = self.factory.py();
        if self.factory.is_none() {
            return Ok(None);
        }
        if let Some((last, zone)) = &*self.last.borrow()
            && *last == offset
        {
            return Ok(zone.clone());
        }
        let zone = if offset == 0 && self.factory.is(default_factory(py)?) {
            Some(PyTzInfo::utc(py)?.to_owned())
        } else {
            let made = self.factory.call1((PyDelta::new(py, 0, offset, 0, true)?,))?;
            match made.cast_into::<PyTzInfo>() {
                Ok(zone) => Some(zone),
                Err(other) => {
                    let other = other.into_inner();
                    if !other.is_none() {
                        let name = other.get_type().name()?.to_string();
                        return Err(PyTypeError::new_err(format!(
                            "tzinfo argument must be None or of a tzinfo subclass, not type '{name}'"
                        )));
                    }
                    None
                }
            }
        };
        *self.last.borrow_mut() = Some((offset, zone.clone()));
        Ok(zone)
    }
}

/// A day, not yet checked: the year may be beyond Python's.
#[derive(Debug, PartialEq, Eq)]
struct Day {
    year: i32,
    month: u8,
    day: u8,
}

#[derive(Debug, PartialEq, Eq)]
struct Clock {
    hour: u8,
    minute: u8,
    second: u8,
    microsecond: u32,
    /// Seconds east of Greenwich.
    offset: Option<i32>,
}

pub(super) fn date<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let date = match bytes {
        b"infinity" => PyDate::new(py, 9999, 12, 31)?,
        b"-infinity" => PyDate::new(py, 1, 1, 1)?,
        text => {
            let (text, before_christ) = split_era(text);
            let parsed = parse_day(text).filter(|(_, rest)| matches!(rest, [] | [b' ' | b'T', ..]));
            let (day, _) = parsed.ok_or_else(|| no_date(py))?;
            PyDate::new(py, day.signed_year(before_christ), day.month, day.day)?
        }
    };
    Ok(date.into_any())
}

pub(super) fn time<'py>(py: Python<'py>, bytes: &[u8], zones: &Zones<'py>) -> PyResult<Bound<'py, PyAny>> {
    let clock = parse_clock(bytes).ok_or_else(|| no_time(py))?;
    let zone = clock.offset.map_or(Ok(None), |offset| zones.of(offset))?;
    let Clock {
        hour,
        minute,
        second,
        microsecond,
        ..
    } = clock;
    Ok(PyTime::new(py, hour, minute, second, microsecond, zone.as_ref())?.into_any())
}

/// A `timestamp` or, if the text has an offset, a `timestamptz`.
///
/// The two infinities become the ends of Python's time. psycopg2 makes those of a `timestamptz` aware of UTC,
/// but the text does not tell the type; see [`infinite`].
pub(super) fn timestamp<'py>(
    py: Python<'py>,
    bytes: &[u8],
    zones: &Zones<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    if let Some(end) = infinite(py, bytes, None)? {
        return Ok(end);
    }
    let (text, before_christ) = split_era(bytes);
    let (day, rest) = parse_day(text).ok_or_else(|| no_date(py))?;
    let clock = match rest {
        [] if !before_christ => Clock {
            hour: 0,
            minute: 0,
            second: 0,
            microsecond: 0,
            offset: None,
        },
        [b' ' | b'T', rest @ ..] => parse_clock(rest).ok_or_else(|| no_time(py))?,
        [] => return Err(no_time(py)),
        _ => return Err(no_date(py)),
    };
    let zone = clock.offset.map_or(Ok(None), |offset| zones.of(offset))?;
    let Clock {
        hour,
        minute,
        second,
        microsecond,
        ..
    } = clock;
    let year = day.signed_year(before_christ);
    let (month, day) = (day.month, day.day);
    Ok(PyDateTime::new(
        py,
        year,
        month,
        day,
        hour,
        minute,
        second,
        microsecond,
        zone.as_ref(),
    )?
    .into_any())
}

/// The same for a column of type `timestamptz`: its infinities are aware, in UTC, unless the cursor wants
/// naive times.
pub(super) fn timestamp_tz<'py>(
    py: Python<'py>,
    bytes: &[u8],
    zones: &Zones<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    if matches!(bytes, b"infinity" | b"-infinity") && !zones.factory.is_none() {
        let utc = PyTzInfo::utc(py)?.to_owned();
        if let Some(end) = infinite(py, bytes, Some(&utc))? {
            return Ok(end);
        }
    }
    timestamp(py, bytes, zones)
}

fn infinite<'py>(
    py: Python<'py>,
    bytes: &[u8],
    zone: Option<&Bound<'py, PyTzInfo>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let end = match bytes {
        b"infinity" => PyDateTime::new(py, 9999, 12, 31, 23, 59, 59, 999_999, zone)?,
        b"-infinity" => PyDateTime::new(py, 1, 1, 1, 0, 0, 0, 0, zone)?,
        _ => return Ok(None),
    };
    Ok(Some(end.into_any()))
}

fn no_date(py: Python<'_>) -> PyErr {
    Fault::Data.raise(py, "unable to parse date")
}

fn no_time(py: Python<'_>) -> PyErr {
    Fault::Data.raise(py, "unable to parse time")
}

impl Day {
    /// The year as psycopg2 hands it to Python, which refuses those before Christ.
    fn signed_year(&self, before_christ: bool) -> i32 {
        if before_christ { -self.year } else { self.year }
    }
}

fn split_era(text: &[u8]) -> (&[u8], bool) {
    match text.strip_suffix(b" BC") {
        Some(rest) => (rest, true),
        None => (text, false),
    }
}

/// `2024-05-06` and what follows it.
fn parse_day(text: &[u8]) -> Option<(Day, &[u8])> {
    let (year, rest) = parse_number(text)?;
    let (month, rest) = parse_number(rest.strip_prefix(b"-")?)?;
    let (day, rest) = parse_number(rest.strip_prefix(b"-")?)?;
    let (year, month, day) = (
        i32::try_from(year).ok()?,
        u8::try_from(month).ok()?,
        u8::try_from(day).ok()?,
    );
    Some((Day { year, month, day }, rest))
}

/// `07:08:09.1`, with an optional offset.
fn parse_clock(text: &[u8]) -> Option<Clock> {
    let (hour, rest) = parse_number(text)?;
    let (minute, rest) = parse_number(rest.strip_prefix(b":")?)?;
    let (second, rest) = parse_number(rest.strip_prefix(b":")?)?;
    let (microsecond, rest) = match rest.strip_prefix(b".") {
        Some(rest) => parse_fraction(rest)?,
        None => (0, rest),
    };
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let offset = match rest {
        [] => None,
        [sign @ (b'+' | b'-'), rest @ ..] => Some(parse_offset(*sign, rest)?),
        _ => return None,
    };
    let (mut hour, mut minute, mut second) = (
        u8::try_from(hour).ok()?,
        u8::try_from(minute).ok()?,
        u8::try_from(second).ok()?,
    );
    // Midnight at the end of a day, and leap seconds: psycopg2's rule.
    if second == 60 {
        second = 0;
        minute = minute.checked_add(1)?;
        if minute == 60 {
            minute = 0;
            hour = hour.checked_add(1)?;
        }
    }
    if hour == 24 {
        hour = 0;
    }
    Some(Clock {
        hour,
        minute,
        second,
        microsecond,
        offset,
    })
}

/// `05`, `05:30` or `05:53:28`, as seconds.
fn parse_offset(sign: u8, text: &[u8]) -> Option<i32> {
    let (hours, mut rest) = parse_number(text)?;
    let mut seconds = i32::try_from(hours).ok()?.checked_mul(3600)?;
    for unit in [60, 1] {
        if rest.is_empty() {
            break;
        }
        let (part, after) = parse_number(rest.strip_prefix(b":")?)?;
        seconds = seconds.checked_add(i32::try_from(part).ok()?.checked_mul(unit)?)?;
        rest = after;
    }
    rest.is_empty()
        .then_some(if sign == b'-' { -seconds } else { seconds })
}

/// At least one and at most nine digits.
fn parse_number(text: &[u8]) -> Option<(u32, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 || length > 9 {
        return None;
    }
    let (digits, rest) = text.split_at(length);
    Some((
        digits
            .iter()
            .fold(0, |number, digit| number * 10 + u32::from(digit - b'0')),
        rest,
    ))
}

/// Up to six digits after the point, as microseconds.
pub(super) fn parse_fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let digits = text.get(..length).filter(|digits| digits.len() <= 6)?;
    let number = digits
        .iter()
        .fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    Some((number * 10_u32.pow(6 - length as u32), &text[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_and_offsets() {
        let clock = parse_clock(b"07:08:09.12-05:53:28").unwrap();
        assert_eq!(
            (clock.hour, clock.minute, clock.second, clock.microsecond),
            (7, 8, 9, 120_000)
        );
        assert_eq!(clock.offset, Some(-(5 * 3600 + 53 * 60 + 28)));
        assert_eq!(parse_clock(b"24:00:00").unwrap().hour, 0);
        assert_eq!(parse_clock(b"23:59:60").unwrap().hour, 0);
        for broken in [
            "",
            "7",
            "7:8",
            "7:8:",
            "7:8:9x",
            "7:8:9.1234567",
            "7:8:9+",
            "7:8:9+1:2:3:4",
            "7:-8:9",
        ] {
            assert_eq!(parse_clock(broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn days() {
        assert_eq!(
            parse_day(b"294276-12-31").unwrap().0,
            Day {
                year: 294_276,
                month: 12,
                day: 31
            }
        );
        for broken in [
            "",
            "2020",
            "2020-01",
            "x-1-1",
            "2020-300-1",
            "99999999999-01-01",
            "-1-01-01",
        ] {
            assert_eq!(parse_day(broken.as_bytes()), None, "{broken}");
        }
    }
}
