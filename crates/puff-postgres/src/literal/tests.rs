use super::*;
use proptest::prelude::*;

const SETTINGS: [Backslashes; 2] = [Backslashes::Ordinary, Backslashes::Escape];

fn quoted(value: &[u8], backslashes: Backslashes, charset: Charset) -> Result<Vec<u8>, LiteralError> {
    let mut out = Vec::new();
    text(&mut out, value, Quoting { backslashes, charset }).map(|()| out)
}

/// Reads a text literal as a server does whose setting is `setting`, which is never `Unknown`: what it stands
/// for, and what follows it. Characters, not bytes, as the server converts a statement before it reads it.
fn read(literal: &[char], setting: Backslashes) -> Option<(String, &[char])> {
    let mut rest = literal;
    while let [' ', ..] = rest {
        rest = &rest[1..];
    }
    let mut escape = setting == Backslashes::Escape;
    if let ['E', ..] = rest {
        escape = true;
        rest = &rest[1..];
    }
    rest = rest.strip_prefix(&['\''])?;
    let mut value = String::new();
    loop {
        rest = match rest {
            ['\'', '\'', rest @ ..] => {
                value.push('\'');
                rest
            }
            ['\'', rest @ ..] => return Some((value, rest)),
            ['\\', escaped, rest @ ..] if escape => {
                value.push(*escaped);
                rest
            }
            [character, rest @ ..] => {
                value.push(*character);
                rest
            }
            [] => return None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever the text, one literal comes out, and it stands for the text.
    #[test]
    fn a_text_stays_within_its_quotes(value in r#"([^\x00]|['\\"%]|\PC)*"#) {
        for backslashes in [Backslashes::Ordinary, Backslashes::Escape, Backslashes::Unknown] {
            let literal = quoted(value.as_bytes(), backslashes, Charset::AsciiSafe).unwrap();
            let literal: Vec<char> = String::from_utf8(literal).unwrap().chars().collect();
            let settings = SETTINGS.into_iter().filter(|&one| backslashes == Backslashes::Unknown || one == backslashes);
            for setting in settings {
                let (read, rest) = read(&literal, setting).expect("a whole literal");
                prop_assert_eq!(&read, &value);
                prop_assert!(rest.is_empty());
            }
        }
    }

    /// Random bytes in the encodings with backslashes inside characters: an error, or a literal whose quotes
    /// and backslashes, read character by character, close it at its very end.
    #[test]
    fn characters_of_several_bytes_swallow_no_quote(
        value in prop::collection::vec(prop_oneof![
            Just(b'\''), Just(b'\\'), Just(0x8f), Just(0x81), b'0'..=b'9', any::<u8>(),
        ], 0..24),
    ) {
        for charset in [Charset::Sjis, Charset::TwoBytes, Charset::Gb18030, Charset::Johab] {
            for setting in SETTINGS {
                let Ok(literal) = quoted(&value, setting, charset) else { continue };
                // A character of several bytes as one that is neither quote nor backslash.
                let mut characters = Vec::new();
                let mut rest = &literal[..];
                while let [lead, ..] = rest {
                    let width = charset.width(*lead, rest.get(1).copied());
                    prop_assert!(width <= rest.len(), "a quote was swallowed");
                    characters.push(if width == 1 { char::from(*lead) } else { 'x' });
                    rest = &rest[width..];
                }
                let (_, rest) = read(&characters, setting).expect("a whole literal");
                prop_assert!(rest.is_empty());
            }
        }
    }

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

    /// Any bytes at all: no panic, nothing lost, and what is literal text stays as it is.
    #[test]
    fn a_template_is_taken_apart_without_loss(
        template in prop::collection::vec(prop_oneof![
            Just(b'%'), Just(b'('), Just(b')'), Just(b's'), any::<u8>(),
        ], 0..40),
    ) {
        let mut again = Vec::new();
        let mut faulty = false;
        for piece in Template::new(&template) {
            match piece {
                Piece::Text(b"%") => again.extend_from_slice(b"%%"),
                Piece::Text(text) => {
                    prop_assert!(!text.is_empty() && !text.contains(&b'%'));
                    again.extend_from_slice(text);
                }
                Piece::Value { name, fault } => {
                    again.push(b'%');
                    if let Some(name) = name {
                        again.push(b'(');
                        again.extend_from_slice(name);
                        again.push(b')');
                    }
                    if fault.is_none() {
                        again.push(b's');
                    }
                }
                Piece::Unclosed => faulty = true,
            }
        }
        let whole = if faulty { template.starts_with(&again) } else { template == again };
        prop_assert!(whole, "{:?} became {:?}", template, again);
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
        ("Shift-JIS_2004", Charset::Sjis),
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
