//! PostgreSQL's messages from any bytes, in any pieces.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| puff_postgres::fuzzing::decode(data));
