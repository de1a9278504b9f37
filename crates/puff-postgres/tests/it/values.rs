//! Rust's values as parameters and back, through the server.

use std::fmt::Debug;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use puff_postgres::{Connection, Error, FromSql, Param};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{connect, run};

/// Sends a value and reads it again.
async fn same<T>(connection: &Connection, cast: &str, value: T)
where
    T: Clone + Debug + PartialEq + Into<Param> + for<'a> FromSql<'a>,
{
    let sql = format!("SELECT $1::{cast} AS value, NULL::{cast} AS nothing");
    let row = connection.query_one(&sql, &[value.clone().into()]).await.unwrap();
    assert_eq!(row.get::<T>("value").unwrap(), value, "{cast}");
    assert_eq!(row.get::<Option<T>>("value").unwrap(), Some(value), "{cast}");
    assert_eq!(row.get::<Option<T>>("nothing").unwrap(), None, "{cast}");
    let error = row.get::<T>("nothing").unwrap_err().to_string();
    assert!(error.starts_with("column \"nothing\": it is null"), "{error}");
}

#[test]
fn values_come_back_as_they_went() {
    run(async {
        let connection = connect().await;
        let c = &connection;
        for value in [i64::MIN, -1, 0, i64::MAX] {
            same(c, "int8", value).await;
        }
        same(c, "int2", i16::MIN).await;
        same(c, "int4", i32::MAX).await;
        same(c, "oid", u32::MAX).await;
        same(c, "int8", 7_u64).await;
        same(c, "int8", 7_usize).await;
        for value in [0.1, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY] {
            same(c, "float8", value).await;
        }
        same(c, "float4", f32::MIN).await;
        same(c, "bool", true).await;
        for value in ["", "NULL", "ü\"\\\u{10ffff}\n'"] {
            same(c, "text", value.to_owned()).await;
        }
        same(c, "bytea", (0..=255).collect::<Vec<u8>>()).await;
        same(c, "bytea", Vec::<u8>::new()).await;
        let (now, day) = (
            SystemTime::UNIX_EPOCH + Duration::from_micros(1_709_206_200_123_456),
            86_400,
        );
        same(c, "timestamptz", now).await;
        same(
            c,
            "timestamptz",
            SystemTime::UNIX_EPOCH - Duration::from_secs(800_000 * day),
        )
        .await;
        for address in ["192.168.0.1", "::1"] {
            same(c, "inet", address.parse::<IpAddr>().unwrap()).await;
        }
        same(c, "uuid", Uuid::from_u128(0x1234_5678)).await;
        same(c, "jsonb", json!({"a": [1, null, "ü\""], "b": {"c": 1.5}})).await;
        same(c, "int4[]", vec![1, -2, 3]).await;
        same(c, "int8[]", Vec::<i64>::new()).await;
        same(c, "bool[]", vec![true, false]).await;
        same(
            c,
            "text[]",
            ["", "NULL", "a,b", "\"\\ {}"].map(str::to_owned).to_vec(),
        )
        .await;
        same(c, "uuid[]", vec![Uuid::nil(), Uuid::max()]).await;
    });
}

#[test]
fn dates_and_times_of_chrono() {
    run(async {
        let connection = connect().await;
        let c = &connection;
        // The server's answers come in the session's time zone.
        for zone in ["UTC", "Europe/Berlin", "America/St_Johns"] {
            c.simple_query(&format!("SET TIME ZONE '{zone}'")).await.unwrap();
            for text in [
                "2024-02-29T13:30:00.123456Z",
                "1800-01-01T00:00:00Z",
                "9999-12-31T23:59:59Z",
            ] {
                let value: DateTime<Utc> = text.parse().unwrap();
                same(c, "timestamptz", value).await;
                same(c, "timestamp", value.naive_utc()).await;
                same(c, "date", value.date_naive()).await;
                same(c, "time", value.time()).await;
                let value: DateTime<FixedOffset> =
                    value.with_timezone(&FixedOffset::east_opt(-12_600).unwrap());
                same(c, "timestamptz", value).await;
            }
        }
        let ancient = NaiveDate::from_ymd_opt(-43, 3, 15).unwrap();
        same(c, "date", ancient).await;
        same(c, "timestamp", ancient.and_hms_opt(12, 0, 0).unwrap()).await;
        let rows = c
            .query(
                "SELECT 'infinity'::date, 'infinity'::timestamp, '24:00'::time",
                &[],
            )
            .await
            .unwrap();
        assert!(rows.get::<NaiveDate>(0, 0).is_err());
        assert!(rows.get::<NaiveDateTime>(0, 1).is_err());
        assert!(rows.get::<SystemTime>(0, 1).is_err());
        assert!(rows.get::<NaiveTime>(0, 2).is_err());
    });
}

#[test]
fn what_does_not_fit_is_named() {
    run(async {
        let connection = connect().await;
        let sql = "SELECT 40000 AS n, 'x' AS t, '{{1},{2}}'::int[] AS a, '(1,2)'::point AS p, \
             '10.0.0.0/8'::inet AS net, '{\"a\": 1}'::json AS j";
        let row = connection.query_one(sql, &[]).await.unwrap();
        let said = |error: Error| match error {
            Error::Decode { column, reason } => format!("{column}: {reason}"),
            other => panic!("{other}"),
        };
        assert!(said(row.get::<i16>("n").unwrap_err()).contains("n: 40000: number too large"));
        assert_eq!(
            said(row.get::<i32>("t").unwrap_err()),
            "t: its type text is not read as i32"
        );
        assert!(said(row.get::<f64>("p").unwrap_err()).contains("of OID 600"));
        assert!(said(row.get::<Vec<i32>>("a").unwrap_err()).contains("several dimensions"));
        assert!(row.get::<IpAddr>("net").is_err());
        assert_eq!(row.get::<&str>("net").unwrap(), "10.0.0.0/8");
        assert_eq!(row.get::<Value>("j").unwrap(), json!({"a": 1}));
        assert_eq!(row.get::<String>("p").unwrap(), "(1,2)");
        assert_eq!(
            said(row.get::<i32>("m").unwrap_err()),
            "m: the statement returns no such column"
        );
        assert_eq!(
            said(row.get::<i32>(6).unwrap_err()),
            "6: the statement returns no such column"
        );
        assert_eq!(row.len(), 6);
        assert!(format!("{row:?}").contains("\"n\": Some(\"40000\")"));
        let rows = connection
            .query("SELECT generate_series(1, 3) AS n", &[])
            .await
            .unwrap();
        let all: Result<Vec<i32>, _> = rows.iter().map(|row| row.get("n")).collect();
        assert_eq!(all.unwrap(), [1, 2, 3]);
        assert!(rows.get::<i32>(3, 0).is_err());
    });
}

#[test]
fn one_row_or_none() {
    run(async {
        let connection = connect().await;
        let sql = "SELECT n FROM generate_series(1, $1::int) n";
        for (count, one, opt) in [(0, false, true), (1, true, true), (2, false, false)] {
            let params = [count.into()];
            let row = connection.query_one(sql, &params).await;
            assert_eq!(row.is_ok(), one);
            if let Err(error) = row {
                assert!(
                    matches!(error, Error::RowCount { found, .. } if found == usize::try_from(count).unwrap())
                );
            }
            let row = connection.query_opt(sql, &params).await;
            assert_eq!(row.is_ok(), opt);
            assert_eq!(row.ok().flatten().is_some(), count == 1);
        }
        let create = "CREATE TEMP TABLE t AS SELECT generate_series(1, 5) AS n";
        assert_eq!(connection.execute(create, &[]).await.unwrap(), 5);
        let update = "UPDATE t SET n = 0 WHERE n > $1";
        assert_eq!(connection.execute(update, &[3.into()]).await.unwrap(), 2);
        assert_eq!(
            connection
                .execute("CREATE TEMP TABLE u (a int)", &[])
                .await
                .unwrap(),
            0
        );
    });
}
