//! Dates and times of the crate `chrono`.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};

use super::{DecodeReason, FromSql, out_of_range, utf8};
use crate::calendar::{self, Timestamp};
use crate::oid::{self, Oid};

macro_rules! read {
    ($($type:ty: $oid:ident, $read:expr;)*) => {$(
        impl FromSql<'_> for $type {
            fn accepts(oid: Oid) -> bool {
                oid == oid::$oid
            }

            fn from_sql(_: Oid, text: &[u8]) -> Result<Self, DecodeReason> {
                let read: fn(&str) -> Option<$type> = $read;
                read(utf8(text)?).ok_or_else(|| out_of_range(text))
            }
        }
    )*};
}

read! {
    NaiveDate: DATE, |text| date(calendar::Date::parse(text)?);
    NaiveTime: TIME, |text| time(calendar::parse_time(text)?);
    NaiveDateTime: TIMESTAMP, |text| naive(&Timestamp::parse(text)?);
    DateTime<FixedOffset>: TIMESTAMPTZ, zoned;
    DateTime<Utc>: TIMESTAMPTZ, |text| Some(zoned(text)?.to_utc());
}

fn date(date: calendar::Date) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(date.year, date.month, date.day)
}

fn time(micros: u64) -> Option<NaiveTime> {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    NaiveTime::from_num_seconds_from_midnight_opt(seconds.try_into().ok()?, micros as u32 * 1000)
}

fn naive(timestamp: &Timestamp) -> Option<NaiveDateTime> {
    Some(date(timestamp.date)?.and_time(time(timestamp.micros)?))
}

fn zoned(text: &str) -> Option<DateTime<FixedOffset>> {
    let timestamp = Timestamp::parse(text)?;
    let offset = FixedOffset::east_opt(timestamp.offset)?;
    naive(&timestamp)?.and_local_timezone(offset).single()
}
