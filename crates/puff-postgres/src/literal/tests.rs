use super::*;
use proptest::prelude::*;

fn quoted(value: &[u8], backslashes: Backslashes, charset: Charset) -> Result<Vec<u8>, LiteralError> {
    let mut out = Vec::new();
    text(&mut out, value, Quoting { backslashes, charset }).map(|()| out)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn floats_come_back_equal(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        let mut out = Vec::new();
        float(&mut out, value);
        if value.is_finite() {
            let text = String::from_utf8(out).unwrap();
            prop_assert_eq!(text.trim_start().parse::<f64>().unwrap().to_bits(), bits, "{}", text);
        }
    }
}

#[test]
fn literals_by_example() {
    let write = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    };
    let floats = [
        (0.0, "0.0"),
        (-0.0, " -0.0"),
        (1.5, "1.5"),
        (-12.25, " -12.25"),
        (0.000_1, "0.0001"),
        (0.000_01, "1e-05"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"),
        (1.25e17, "1.25e+17"),
        (5e-324, "5e-324"),
        (f64::NAN, "'NaN'::float"),
        (f64::NEG_INFINITY, "'-Infinity'::float"),
    ];
    for (value, literal) in floats {
        assert_eq!(write(&|out| float(out, value)), literal);
    }
    assert_eq!(write(&|out| integer(out, i64::MIN)), " -9223372036854775808");
    assert_eq!(write(&|out| date(out, 987, 1, 31)), "0987-01-31");
    assert_eq!(write(&|out| time_of_day(out, 1, 2, 3, 40)), "01:02:03.000040");
    assert_eq!(write(&|out| interval(out, -1, 2, 3)), "-1 days 2.000003 seconds");
    assert_eq!(
        write(&|out| bytea(out, b"\0\xff", Backslashes::Ordinary)),
        r"'\x00ff'::bytea"
    );
    assert_eq!(
        write(&|out| bytea(out, b"", Backslashes::Escape)),
        r"E'\\x'::bytea"
    );
}

#[test]
fn nul_and_half_characters_are_refused() {
    for charset in [Charset::AsciiSafe, Charset::Sjis] {
        assert_eq!(
            quoted(b"a\0", Backslashes::Ordinary, charset),
            Err(LiteralError::Nul)
        );
    }
    // The lead byte would take the closing quote with it.
    let half = quoted(b"a\x81", Backslashes::Ordinary, Charset::Sjis);
    assert_eq!(half, Err(LiteralError::NotACharacter { at: 1 }));
    let quote = quoted(b"\x81'", Backslashes::Ordinary, Charset::TwoBytes);
    assert_eq!(quote, Err(LiteralError::NotACharacter { at: 0 }));
    // Full-width or a true backslash, depending on the database's encoding.
    let doubtful = |backslashes| quoted(b"\x81\x5f", backslashes, Charset::ShiftJis2004);
    assert_eq!(doubtful(Backslashes::Ordinary), Ok(b"'\x81\x5f'".to_vec()));
    for backslashes in [Backslashes::Escape, Backslashes::Unknown] {
        assert_eq!(doubtful(backslashes), Err(LiteralError::NotACharacter { at: 0 }));
    }
    // Katakana "so" ends in the byte of a backslash, which is no backslash.
    assert_eq!(
        quoted(b"\x83\\", Backslashes::Escape, Charset::Sjis),
        Ok(b"E'\x83\\'".to_vec())
    );
}

#[test]
fn codecs_of_python_have_their_character_set() {
    let expected = [
        ("utf_8", Charset::AsciiSafe),
        ("iso8859_15", Charset::AsciiSafe),
        ("euc_jis_2004", Charset::AsciiSafe),
        ("cp1250", Charset::AsciiSafe),
        ("cp932", Charset::Sjis),
        ("Shift-JIS_2004", Charset::ShiftJis2004),
        ("big5", Charset::TwoBytes),
        ("cp949", Charset::TwoBytes),
        ("gbk", Charset::TwoBytes),
        ("GB18030", Charset::Gb18030),
        ("johab", Charset::Johab),
    ];
    for (codec, charset) in expected {
        assert_eq!(Charset::of_codec(codec), charset, "{codec}");
    }
}
