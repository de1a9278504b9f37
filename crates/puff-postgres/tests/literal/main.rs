//! Literals and templates of any bytes at all. `fuzz/` drives the same checks with coverage.

mod checks;

use proptest::prelude::*;

/// Bytes among which those with a meaning are frequent.
fn bytes(frequent: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![prop::sample::select(frequent), any::<u8>()], 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_text_stays_within_its_quotes(text in bytes(b"'\\E \x81\x8f\x5f\x300\xe3")) {
        checks::text_stays_within_its_quotes(&text);
    }

    #[test]
    fn unicode_stays_within_its_quotes(text in r#"([^\x00]|['\\])*"#) {
        checks::text_stays_within_its_quotes(text.as_bytes());
    }

    #[test]
    fn a_template_is_taken_apart_without_loss(template in bytes(b"%%()sd ")) {
        checks::template_is_taken_apart_without_loss(&template);
    }
}
