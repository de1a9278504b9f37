//! Text literals and statement templates from any bytes.

#![no_main]

#[path = "../../crates/puff-postgres/tests/literal/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::text_stays_within_its_quotes(data);
    checks::template_is_taken_apart_without_loss(data);
});
