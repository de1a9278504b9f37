//! Statements, parameters and what comes back.

use puff_postgres::{Error, Param, Severity, SqlState, oid};

use crate::support::{connect, run, table};

#[test]
fn values_of_many_types_come_as_text_with_their_oids() {
    run(async {
        let connection = connect().await;
        let sql = "SELECT true AS a, 1::int2 AS b, 2::int4 AS c, 3::int8 AS d, 1.5::float8 AS e, \
             'NaN'::float4 AS f, 1.10::numeric(5,2) AS g, 'é'::text AS h, 'v'::varchar(9) AS i, \
             '{\"k\": 1}'::json AS j, '{\"k\":1}'::jsonb AS k, \
             '5b6d1b3e-93a5-4d29-9c4c-6d4e0a6d7d3f'::uuid AS l, '\\x00ff'::bytea AS m, \
             '2024-02-29'::date AS n, '2024-02-29 12:30:00.5'::timestamp AS o, \
             '{1,NULL,3}'::int4[] AS p, NULL::int4 AS q, 'x'::char(3) AS r";
        let rows = connection.query(sql, &[]).await.unwrap();
        let text = rows
            .columns()
            .iter()
            .zip(0..)
            .map(|(column, index)| (&*column.name, column.type_oid, rows.text(0, index)));
        assert_eq!(
            text.collect::<Vec<_>>(),
            [
                ("a", oid::BOOL, Some("t")),
                ("b", oid::INT2, Some("1")),
                ("c", oid::INT4, Some("2")),
                ("d", oid::INT8, Some("3")),
                ("e", oid::FLOAT8, Some("1.5")),
                ("f", oid::FLOAT4, Some("NaN")),
                ("g", oid::NUMERIC, Some("1.10")),
                ("h", oid::TEXT, Some("é")),
                ("i", oid::VARCHAR, Some("v")),
                ("j", oid::JSON, Some("{\"k\": 1}")),
                ("k", oid::JSONB, Some("{\"k\": 1}")),
                ("l", oid::UUID, Some("5b6d1b3e-93a5-4d29-9c4c-6d4e0a6d7d3f")),
                ("m", oid::BYTEA, Some("\\x00ff")),
                ("n", oid::DATE, Some("2024-02-29")),
                ("o", oid::TIMESTAMP, Some("2024-02-29 12:30:00.5")),
                ("p", oid::INT4_ARRAY, Some("{1,NULL,3}")),
                ("q", oid::INT4, None),
                ("r", oid::BPCHAR, Some("x  ")),
            ]
        );
        assert_eq!(rows.columns()[8].type_modifier, 13);
        assert_eq!((rows.tag().as_str(), rows.tag().rows()), ("SELECT 1", Some(1)));
    });
}

/// Every constant of the module against the server's own catalogue.
#[test]
fn oids_are_the_catalogues() {
    run(async {
        let connection = connect().await;
        let sql = "SELECT typname, oid, typarray FROM pg_type WHERE oid = ANY($1::oid[]) ORDER BY oid";
        let arrays = [
            oid::BOOL_ARRAY,
            oid::BYTEA_ARRAY,
            oid::CHAR_ARRAY,
            oid::NAME_ARRAY,
            oid::INT8_ARRAY,
            oid::INT2_ARRAY,
            oid::INT4_ARRAY,
            oid::TEXT_ARRAY,
            oid::OID_ARRAY,
            oid::JSON_ARRAY,
            oid::FLOAT4_ARRAY,
            oid::FLOAT8_ARRAY,
            oid::BPCHAR_ARRAY,
            oid::VARCHAR_ARRAY,
            oid::DATE_ARRAY,
            oid::TIME_ARRAY,
            oid::TIMESTAMP_ARRAY,
            oid::TIMESTAMPTZ_ARRAY,
            oid::INTERVAL_ARRAY,
            oid::TIMETZ_ARRAY,
            oid::NUMERIC_ARRAY,
            oid::UUID_ARRAY,
            oid::JSONB_ARRAY,
        ];
        let elements: Vec<i64> = arrays
            .iter()
            .map(|array| oid::array_element(*array).unwrap().into())
            .collect();
        let rows = connection
            .query(sql, &[Param::from(&elements[..])])
            .await
            .unwrap();
        assert_eq!(rows.len(), arrays.len());
        for row in 0..rows.len() {
            let array: u32 = rows.text(row, 2).unwrap().parse().unwrap();
            assert_eq!(
                oid::array_element(array).unwrap().to_string(),
                rows.text(row, 1).unwrap()
            );
        }
        let names: Vec<_> = (0..rows.len()).filter_map(|row| rows.text(row, 0)).collect();
        assert_eq!(names[..6], ["bool", "bytea", "char", "name", "int8", "int2"]);
    });
}

#[test]
fn parameters_arrive_as_they_were() {
    run(async {
        let connection = connect().await;
        let words = ["NULL", "", "a\"b\\c,{}", "é"];
        let rows = connection
            .query(
                "SELECT $1::int8, $2::text, $3::text, $4::float8, $5::bytea, $6::bool, \
                 (SELECT array_agg(x) FROM unnest($7::text[]) x) = $7::text[], ($7::text[])[3], \
                 7 = ANY($8::int4[]), pg_typeof($9), $10::int4",
                &[
                    i64::MIN.into(),
                    "it's \\ 'quoted' $1".into(),
                    None::<&str>.into(),
                    f64::NEG_INFINITY.into(),
                    Param::from(&b"\x00\xff"[..]),
                    true.into(),
                    Param::from(&words[..]),
                    Param::from(&[6_i32, 7][..]),
                    Param::from("x").with_oid(oid::VARCHAR),
                    Param::from(5),
                ],
            )
            .await
            .unwrap();
        let expected = [
            Some("-9223372036854775808"),
            Some("it's \\ 'quoted' $1"),
            None,
            Some("-Infinity"),
            Some("\\x00ff"),
            Some("t"),
            Some("t"),
            Some("a\"b\\c,{}"),
            Some("t"),
            Some("character varying"),
            Some("5"),
        ];
        assert_eq!(table(&rows), [expected]);
    });
}

#[test]
fn a_hundred_thousand_rows() {
    run(async {
        let connection = connect().await;
        let sql = "SELECT n, repeat('x', n % 50), CASE WHEN n % 3 = 0 THEN NULL ELSE n * 2 END \
             FROM generate_series(1, $1::int) n";
        let rows = connection.query(sql, &[100_000.into()]).await.unwrap();
        assert_eq!(rows.len(), 100_000);
        for row in 0..rows.len() {
            let n = row + 1;
            assert_eq!(rows.text(row, 0), Some(n.to_string().as_str()));
            assert_eq!(rows.cell(row, 1).map(<[u8]>::len), Some(n % 50));
            assert_eq!(rows.text(row, 2).is_none(), n % 3 == 0);
        }
    });
}

#[test]
fn a_very_large_cell_both_ways() {
    run(async {
        let connection = connect().await;
        let text = "é".repeat(5_000_000);
        let rows = connection
            .query("SELECT $1::text, 1", &[text.as_str().into()])
            .await
            .unwrap();
        assert_eq!(rows.text(0, 0), Some(text.as_str()));
        assert_eq!(rows.text(0, 1), Some("1"));
    });
}

#[test]
fn several_statements_in_one_text() {
    run(async {
        let connection = connect().await;
        let sql = "CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1), (2), (3); SELECT a FROM t WHERE a > 5; \
             SELECT a FROM t; UPDATE t SET a = 0";
        let answers = connection.simple_query(sql).await.unwrap();
        let tags: Vec<_> = answers.iter().map(|rows| rows.tag().as_str()).collect();
        assert_eq!(
            tags,
            ["CREATE TABLE", "INSERT 0 3", "SELECT 0", "SELECT 3", "UPDATE 3"]
        );
        let sets: Vec<_> = answers.iter().map(|rows| rows.has_result_set()).collect();
        assert_eq!(sets, [false, false, true, true, false]);
        assert_eq!(table(&answers[3]), [[Some("1")], [Some("2")], [Some("3")]]);
        assert_ne!(answers[3].columns()[0].table_oid, 0);
        assert_eq!(answers[3].columns()[0].column_id, 1);

        let nothing = connection.simple_query("").await.unwrap();
        assert_eq!((nothing.len(), nothing[0].tag().as_str()), (1, ""));
        let nothing = connection.query("-- only a comment", &[]).await.unwrap();
        assert!(!nothing.has_result_set() && nothing.is_empty());
        let no_columns = connection
            .query("SELECT FROM generate_series(1, 4)", &[])
            .await
            .unwrap();
        assert!(no_columns.has_result_set());
        assert_eq!((no_columns.len(), no_columns.columns().len()), (4, 0));
    });
}

#[test]
fn a_violated_constraint_tells_everything() {
    run(async {
        let connection = connect().await;
        connection
            .simple_query("CREATE TEMP TABLE people (id int CONSTRAINT one_each UNIQUE)")
            .await
            .unwrap();
        connection
            .query("INSERT INTO people VALUES ($1)", &[1.into()])
            .await
            .unwrap();
        let error = connection
            .query("INSERT INTO people VALUES ($1)", &[1.into()])
            .await
            .unwrap_err();
        assert_eq!(error.code(), Some(SqlState::UNIQUE_VIOLATION));
        let db = error.as_db().unwrap();
        assert_eq!(
            (db.severity, db.severity_text.as_str()),
            (Severity::Error, "ERROR")
        );
        assert_eq!(
            db.message,
            "duplicate key value violates unique constraint \"one_each\""
        );
        assert_eq!(db.detail.as_deref(), Some("Key (id)=(1) already exists."));
        assert_eq!(db.table.as_deref(), Some("people"));
        assert_eq!(db.constraint.as_deref(), Some("one_each"));
        assert!(db.schema.is_some() && db.file.is_some() && db.line.is_some() && db.routine.is_some());
        assert!(!error.is_connection_lost());
        assert!(error.to_string().contains("DETAIL: Key (id)=(1)"));
    });
}

#[test]
fn errors_point_to_their_place() {
    run(async {
        let connection = connect().await;
        let error = connection
            .query("SELECT é FROM nowhere WHERE", &[])
            .await
            .unwrap_err();
        let db = error.as_db().unwrap();
        assert_eq!((db.code, db.position), (SqlState::SYNTAX_ERROR, Some(28)));
        let error = connection
            .simple_query("SELECT 1; SELECT nothing")
            .await
            .unwrap_err();
        assert_eq!(error.code(), Some(SqlState::UNDEFINED_COLUMN));

        let sql = "DO $$ BEGIN EXECUTE 'SELECT 1 +'; END $$";
        let error = connection.query(sql, &[]).await.unwrap_err();
        let db = error.as_db().unwrap();
        assert_eq!(db.internal_query.as_deref(), Some("SELECT 1 +"));
        assert!(db.internal_position.is_some() && db.where_.as_deref().unwrap().contains("PL/pgSQL"));

        let sql = "DO $$ BEGIN RAISE EXCEPTION 'no' USING HINT = 'ask', COLUMN = 'c', DATATYPE = 'd', \
             ERRCODE = 'ZZ123'; END $$";
        let error = connection.query(sql, &[]).await.unwrap_err();
        let db = error.as_db().unwrap();
        assert_eq!((db.code.as_str(), db.hint.as_deref()), ("ZZ123", Some("ask")));
        assert_eq!(
            (db.column.as_deref(), db.datatype.as_deref()),
            (Some("c"), Some("d"))
        );

        // An error in the middle of the rows.
        let sql = "SELECT 1 / (1000 - n) FROM generate_series(1, 2000) n";
        let error = connection.query(sql, &[]).await.unwrap_err();
        assert_eq!(error.code().unwrap().class(), "22");
        assert_eq!(connection.query("SELECT 1", &[]).await.unwrap().len(), 1);
    });
}

#[test]
fn what_cannot_be_sent_is_refused_before() {
    run(async {
        let connection = connect().await;
        for error in [
            connection.query("SELECT '\0'", &[]).await.unwrap_err(),
            connection.simple_query("SELECT '\0'").await.unwrap_err(),
            connection
                .query("SELECT $1::text", &["a\0b".into()])
                .await
                .unwrap_err(),
            connection
                .query("SELECT 1", &vec![Param::NULL; 65_536])
                .await
                .unwrap_err(),
        ] {
            assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
        }
        // Too few and too many are the server's business.
        assert!(
            connection
                .query("SELECT $1::int", &[])
                .await
                .unwrap_err()
                .code()
                .is_some()
        );
        assert!(
            connection
                .query("SELECT 1", &[1.into()])
                .await
                .unwrap_err()
                .code()
                .is_some()
        );
        let most = vec![Param::from(1); 65_535];
        let list: Vec<_> = (1..=65_535).map(|n| format!("${n}::int")).collect();
        let rows = connection
            .query(&format!("SELECT ARRAY[{}]", list.join(",")), &most)
            .await
            .unwrap();
        assert_eq!(rows.len(), 1);
    });
}

#[test]
fn copy_is_refused_and_the_connection_stays() {
    run(async {
        let connection = connect().await;
        connection
            .simple_query("CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1), (2)")
            .await
            .unwrap();
        for sql in ["COPY t FROM STDIN", "COPY t TO STDOUT"] {
            let simple = connection.simple_query(sql).await.unwrap_err();
            let extended = connection.query(sql, &[]).await.unwrap_err();
            for error in [simple, extended] {
                assert!(matches!(error, Error::Unsupported(_)), "{sql}: {error:?}");
            }
            let rows = connection.query("SELECT count(*) FROM t", &[]).await.unwrap();
            assert_eq!(table(&rows), [[Some("2")]]);
        }
    });
}

#[test]
fn parameters_of_the_session_are_known() {
    run(async {
        let connection = connect().await;
        assert_eq!(connection.parameter("client_encoding").as_deref(), Some("UTF8"));
        assert!(connection.parameter("server_version").is_some());
        assert_eq!(connection.parameter("nonsense"), None);
        connection
            .simple_query("SET TimeZone = 'Asia/Tokyo'")
            .await
            .unwrap();
        assert_eq!(connection.parameter("TimeZone").as_deref(), Some("Asia/Tokyo"));
        let rows = connection.query("SELECT pg_backend_pid()", &[]).await.unwrap();
        assert_eq!(
            rows.text(0, 0),
            Some(connection.process_id().to_string().as_str())
        );
    });
}
