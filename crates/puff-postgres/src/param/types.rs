//! Parameters of further types, the same that cells are read as.

use std::net::IpAddr;
use std::time::SystemTime;

use super::{Param, array};
use crate::calendar::Timestamp;

/// A `timestamptz` in whole microseconds; a time that no calendar can show becomes an infinity.
impl From<SystemTime> for Param {
    fn from(value: SystemTime) -> Self {
        match Timestamp::from_system_time(value) {
            Some(timestamp) => Self::display(timestamp),
            None if value < SystemTime::UNIX_EPOCH => Self::text("-infinity"),
            None => Self::text("infinity"),
        }
    }
}

impl From<IpAddr> for Param {
    fn from(value: IpAddr) -> Self {
        Self::display(value)
    }
}

impl From<&String> for Param {
    fn from(value: &String) -> Self {
        value.as_str().into()
    }
}

/// A `bytea` value.
impl From<Vec<u8>> for Param {
    fn from(value: Vec<u8>) -> Self {
        value.as_slice().into()
    }
}

impl From<&[bool]> for Param {
    fn from(values: &[bool]) -> Self {
        Self::text(array(values.iter(), |array, value| {
            array.bare(if *value { "t" } else { "f" });
        }))
    }
}

macro_rules! from_vec {
    ($($type:ty)*) => {$(
        impl From<Vec<$type>> for Param {
            fn from(values: Vec<$type>) -> Self {
                values.as_slice().into()
            }
        }
    )*};
}

from_vec!(i16 i32 i64 f64 bool String &str);

#[cfg(feature = "uuid")]
mod uuid_types {
    use super::{Param, array};

    impl From<uuid::Uuid> for Param {
        fn from(value: uuid::Uuid) -> Self {
            Self::display(value.hyphenated())
        }
    }

    impl From<&[uuid::Uuid]> for Param {
        fn from(values: &[uuid::Uuid]) -> Self {
            Self::text(array(values.iter(), |array, value| {
                array.bare(&value.hyphenated().to_string());
            }))
        }
    }

    from_vec!(uuid::Uuid);
}

/// A `json` or `jsonb` value.
#[cfg(feature = "serde_json")]
impl From<&serde_json::Value> for Param {
    fn from(value: &serde_json::Value) -> Self {
        Self::display(value)
    }
}

/// A `json` or `jsonb` value.
#[cfg(feature = "serde_json")]
impl From<serde_json::Value> for Param {
    fn from(value: serde_json::Value) -> Self {
        Self::display(value)
    }
}

#[cfg(feature = "chrono")]
mod chrono_types {
    use chrono::{
        DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Timelike,
    };

    use super::Param;
    use crate::calendar::{Date, Timestamp};

    impl From<NaiveDate> for Param {
        fn from(value: NaiveDate) -> Self {
            let (year, era) = match value.year() {
                year if year < 1 => (1 - year, " BC"),
                year => (year, ""),
            };
            Self::display(format_args!(
                "{year:04}-{:02}-{:02}{era}",
                value.month(),
                value.day()
            ))
        }
    }

    /// A `time`, in whole microseconds.
    impl From<NaiveTime> for Param {
        fn from(value: NaiveTime) -> Self {
            Self::display(value.format("%H:%M:%S%.6f"))
        }
    }

    /// A `timestamp`, in whole microseconds.
    impl From<NaiveDateTime> for Param {
        fn from(value: NaiveDateTime) -> Self {
            // The server ignores the offset for a type without one.
            Self::display(timestamp(value, 0))
        }
    }

    /// A `timestamptz`, in whole microseconds.
    impl<Z: TimeZone> From<DateTime<Z>> for Param {
        fn from(value: DateTime<Z>) -> Self {
            let offset: FixedOffset = value.offset().fix();
            Self::display(timestamp(value.naive_local(), offset.local_minus_utc()))
        }
    }

    fn timestamp(value: NaiveDateTime, offset: i32) -> Timestamp {
        // A leap second is the second after the 59th in PostgreSQL as well.
        let nanos = u64::from(value.nanosecond());
        Timestamp {
            date: Date {
                year: value.year(),
                month: value.month(),
                day: value.day(),
            },
            micros: u64::from(value.num_seconds_from_midnight()) * 1_000_000 + nanos / 1000,
            offset,
        }
    }
}
