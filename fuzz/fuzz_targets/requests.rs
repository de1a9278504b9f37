//! A connection of HTTP/1 from any bytes, in any pieces, up to the environs of its requests.
//!
//! `PYO3_PYTHON` names the Python to link, as for the programs.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| puff_rs::fuzzing::requests(data));
