//! Dates and times as PostgreSQL writes them in the style ISO, which every session here is started with.

use std::fmt;
use std::time::{Duration, SystemTime};

const DAY: i64 = 86_400;

/// A day; the year before 1 is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i32,
    pub(crate) month: u32,
    pub(crate) day: u32,
}

/// A day and a time of it, with or without an offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timestamp {
    pub(crate) date: Date,
    /// Since midnight, up to and including 24 o'clock.
    pub(crate) micros: u64,
    /// Seconds east of UTC.
    pub(crate) offset: i32,
}

impl Date {
    /// Reads `2024-02-29` or `0044-03-15 BC`; `None` for `infinity` and for what is no date.
    #[cfg(any(test, feature = "chrono"))]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (text, is_bc) = before_christ(text);
        Self::parse_numbers(text, is_bc)
    }

    fn parse_numbers(text: &str, is_bc: bool) -> Option<Self> {
        let mut numbers = text.split('-');
        let (year, month, day) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let year = number(year)?;
        let date = Self {
            year: if is_bc { 1 - year } else { year },
            month: number(month)?,
            day: number(day)?,
        };
        let valid = (1..=12).contains(&date.month) && (1..=31).contains(&date.day);
        (valid && numbers.next().is_none()).then_some(date)
    }

    /// Days since the first of 1970, in the Gregorian calendar. Years begin in March here, so that the leap
    /// day is their last.
    fn days(self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
        let month = i64::from((self.month + 9) % 12);
        let day = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + year * 365 + year / 4 - year / 100 + day - 719_468
    }

    fn from_days(days: i64) -> Option<Self> {
        let days = days + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let january = month >= 10;
        let month = if january { month - 9 } else { month + 3 };
        Some(Self {
            year: (era * 400 + year + i64::from(january)).try_into().ok()?,
            month: month as u32,
            day: day as u32,
        })
    }
}

impl Timestamp {
    /// Reads `2024-02-29 13:30:00.5+02`; `None` for `infinity` and for what is no timestamp.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (text, is_bc) = before_christ(text);
        let (date, rest) = text.split_once(' ')?;
        let zone = rest.find(['+', '-']).unwrap_or(rest.len());
        let (time, zone) = rest.split_at(zone);
        Some(Self {
            date: Date::parse_numbers(date, is_bc)?,
            micros: parse_time(time)?,
            offset: parse_offset(zone)?,
        })
    }

    pub(crate) fn to_system_time(self) -> Option<SystemTime> {
        let seconds = self.date.days() * DAY - i64::from(self.offset);
        let (start, micros) = (SystemTime::UNIX_EPOCH, Duration::from_micros(self.micros));
        let whole = Duration::from_secs(seconds.unsigned_abs());
        match seconds < 0 {
            true => start.checked_sub(whole)?.checked_add(micros),
            false => start.checked_add(whole)?.checked_add(micros),
        }
    }

    /// The time in UTC, in whole microseconds; `None` beyond the years of 32 bits.
    pub(crate) fn from_system_time(time: SystemTime) -> Option<Self> {
        let micros = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).ok()?,
            // Down to the microsecond before, as above.
            Err(before) => -i64::try_from(before.duration().as_nanos().div_ceil(1000)).ok()?,
        };
        let day = DAY * 1_000_000;
        Some(Self {
            date: Date::from_days(micros.div_euclid(day))?,
            micros: micros.rem_euclid(day) as u64,
            offset: 0,
        })
    }
}

/// Writes what the server reads, with the offset.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Date { year, month, day } = self.date;
        let (seconds, micros) = (self.micros / 1_000_000, self.micros % 1_000_000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let shown = if year < 1 { 1 - year } else { year };
        write!(
            f,
            "{shown:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}"
        )?;
        let sign = if self.offset < 0 { '-' } else { '+' };
        let offset = self.offset.unsigned_abs();
        let (hours, minutes, seconds) = (offset / 3600, offset / 60 % 60, offset % 60);
        write!(f, "{sign}{hours:02}:{minutes:02}:{seconds:02}")?;
        f.write_str(if year < 1 { " BC" } else { "" })
    }
}

/// Reads `13:30:00.5` to microseconds.
pub(crate) fn parse_time(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds = clock(whole)?;
    if fraction.len() > 6 {
        return None;
    }
    let micros = match fraction {
        "" => 0,
        digits => number::<u64>(digits)? * 10_u64.pow(6 - digits.len() as u32),
    };
    let micros = u64::from(seconds) * 1_000_000 + micros;
    (micros <= DAY as u64 * 1_000_000).then_some(micros)
}

/// Reads `+02`, `-03:30` or nothing, in seconds east of UTC.
fn parse_offset(text: &str) -> Option<i32> {
    let seconds = match text.get(1..) {
        None => 0,
        Some(clock_text) => clock(clock_text)?,
    };
    let seconds = i32::try_from(seconds).ok()?;
    Some(if text.starts_with('-') { -seconds } else { seconds })
}

/// Reads hours, and perhaps minutes and seconds, to seconds.
fn clock(text: &str) -> Option<u32> {
    let mut parts = text.split(':');
    let hours: u32 = number(parts.next()?)?;
    let minutes: u32 = parts.next().map_or(Some(0), number)?;
    let seconds: u32 = parts.next().map_or(Some(0), number)?;
    let valid = hours <= 24 && minutes < 60 && seconds <= 60 && parts.next().is_none();
    valid.then_some(hours * 3600 + minutes * 60 + seconds)
}

/// Digits only: a sign would be read by Rust's parser.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn before_christ(text: &str) -> (&str, bool) {
    match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments() {
        let seconds = |text: &str| {
            let time = Timestamp::parse(text).and_then(Timestamp::to_system_time);
            time.map(|time| match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => after.as_secs_f64(),
                Err(before) => -before.duration().as_secs_f64(),
            })
        };
        assert_eq!(seconds("1970-01-01 00:00:00+00"), Some(0.0));
        assert_eq!(seconds("2024-02-29 13:30:00.5+02"), Some(1_709_206_200.5));
        assert_eq!(seconds("1969-12-31 23:59:59.75+00"), Some(-0.25));
        assert_eq!(seconds("1900-01-01 00:00:00-03:30:10"), Some(-2_208_976_190.0));
        assert_eq!(seconds("0044-03-15 12:00:00+00 BC"), Some(-63_517_780_800.0));
        for bad in [
            "infinity",
            "",
            "2024-13-01 00:00:00",
            "2024-01-01",
            "2024-01-01 1:2:3:4",
            "2024-01-01 00:00:00+x",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_moment_is_read_as_it_was_written(micros in -200_000_000_000_000_000_i64..200_000_000_000_000_000) {
            let size = Duration::from_micros(micros.unsigned_abs());
            let time = match micros < 0 {
                true => SystemTime::UNIX_EPOCH - size,
                false => SystemTime::UNIX_EPOCH + size,
            };
            let written = Timestamp::from_system_time(time).expect("in range").to_string();
            let read = Timestamp::parse(&written).and_then(Timestamp::to_system_time);
            prop_assert_eq!(read, Some(time), "{}", written);
        }

        #[test]
        fn nothing_makes_it_panic(text in "[0-9:. +\\-BCT]{0,40}|.{0,20}") {
            let _ = Timestamp::parse(&text).and_then(Timestamp::to_system_time);
            let _ = Date::parse(&text);
        }
    }
}
