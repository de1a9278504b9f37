use proptest::prelude::*;

use super::*;

fn leaves(sql: &str) -> bool {
    left_by_text(sql.as_bytes())
}

#[test]
fn functions_and_tables_that_outlive_their_statement() {
    for sql in [
        "SELECT set_config('app.tenant', '7', false)",
        "select Set_Config ( $1, $2, $3 )",
        "SELECT set_config('app.tenant', 'a, true)', false)",
        "SELECT set_config('app.tenant', concat('(', $1), not true)",
        "SELECT set_config('app.tenant', $1, $2 = true)",
        r"SELECT set_config('app.tenant', E'\', true)', false)",
        "SELECT set_config('app.tenant', $$a', true)$$, false)",
        "SELECT set_config('app.tenant', $1 /*, true)*/, false)",
        "SELECT set_config('app.tenant', $1 --, true)\n, false)",
        "SELECT set_config('app.tenant', $1, true), set_config('app.user', $2, false)",
        r#"SELECT "set_config"('app.tenant', '7', false)"#,
        "SELECT pg_catalog.set_config('search_path', 'tenant', false)",
        "DO $$ BEGIN PERFORM set_config('app.tenant', '7', false); END $$",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_lock(1, 2)",
        "SELECT PG_ADVISORY_LOCK_SHARED(1)",
        "CREATE TEMP TABLE t (n int)",
        "create  temporary\ttable t (n int)",
        "CREATE LOCAL TEMP TABLE t (n int)",
        "CREATE OR REPLACE TEMP VIEW v AS SELECT 1",
        "CREATE TEMP SEQUENCE s",
        "SELECT 1; CREATE TEMP TABLE t AS SELECT 1",
        "SELECT * INTO TEMP t FROM weather",
        "SELECT 1 AS n INTO TEMPORARY TABLE t",
        "SELECT set_config",
        "SELECT set_config(",
    ] {
        assert!(leaves(sql), "{sql}");
    }
}

#[test]
fn what_ends_with_its_transaction_or_is_something_else() {
    for sql in [
        "",
        "SELECT set_config('app.tenant', '7', true)",
        "SELECT set_config('app.tenant', '7', TRUE ), 1",
        "SELECT set_config('app.tenant', lower('A)'), is_local => true)",
        "SELECT pg_advisory_xact_lock(1)",
        "SELECT pg_advisory_unlock(1)",
        "CREATE TEMP TABLE t (n int) ON COMMIT DROP",
        "SELECT temp FROM weather",
        "SELECT a.temp , temperature FROM weather",
        "SELECT create_temp () FROM weather",
        "INSERT INTO weather (temp) VALUES (1)",
        "INSERT INTO temp VALUES (1)",
        "MERGE INTO temp USING weather ON true WHEN MATCHED THEN DELETE",
        "SELECT attempt FROM jobs",
        "CREATE TABLE template (n int)",
        "temp",
        "create temp",
    ] {
        assert!(!leaves(sql), "{sql}");
    }
}

#[test]
fn what_the_server_says_goes_both_ways() {
    assert_eq!(left_by_command("SET"), Some(true));
    assert_eq!(left_by_command("DISCARD ALL"), Some(false));
    assert_eq!(left_by_command("SELECT 1"), None);
}

proptest! {
    #[test]
    fn any_bytes_are_a_text(before: Vec<u8>, after: Vec<u8>) {
        for word in ["temp", "create temp", "set_config", "set_config("] {
            left_by_text(&[&before[..], word.as_bytes(), &after].concat());
        }
    }

    #[test]
    fn values_hide_nothing(name in "[a-z.]{1,9}", value in "([',()]| true|\\PC){0,30}") {
        let value = value.replace('\'', "''");
        let call = format!("SELECT set_config('{name}', '{value}', false)");
        prop_assert!(leaves(&call));
    }
}
