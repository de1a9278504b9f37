//! Times, intervals and bytes as PostgreSQL prints them, as JSON strings in the formats that scalars promise.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::string::json_string;

/// `2024-02-29 12:30:00+00` as `"2024-02-29T12:30:00+00:00"`. What ISO 8601 cannot say (`infinity`, years BC)
/// stays as it is.
pub(super) fn moment(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 5);
    out.push(b'"');
    let is_iso = text.first().is_some_and(u8::is_ascii_digit) && !text.ends_with(b"BC");
    match text.iter().position(|&byte| byte == b' ') {
        Some(space) if is_iso => {
            out.extend_from_slice(&text[..space]);
            out.push(b'T');
            out.extend_from_slice(&text[space + 1..]);
        }
        _ => out.extend_from_slice(text),
    }
    // PostgreSQL leaves out the minutes of most offsets.
    if is_iso && matches!(text, [.., b'+' | b'-', _, _]) {
        out.extend_from_slice(b":00");
    }
    out.push(b'"');
}

/// `1 year 2 mons 3 days -04:05:06.7` as `"P1Y2M3DT-4H-5M-6.7S"`. Any other style of intervals stays as it is.
pub(super) fn duration(out: &mut Vec<u8>, text: &[u8]) {
    let start = out.len();
    out.extend_from_slice(b"\"P");
    if str::from_utf8(text)
        .ok()
        .and_then(|text| parts(out, text))
        .is_none()
    {
        out.truncate(start);
        return json_string(out, text);
    }
    if out.len() == start + 2 {
        out.extend_from_slice(b"T0S");
    }
    out.push(b'"');
}

/// Appends what stands behind the `P`; `None` if the text is not in PostgreSQL's own style.
fn parts(out: &mut Vec<u8>, text: &str) -> Option<()> {
    let mut words = text.split_ascii_whitespace();
    while let Some(word) = words.next() {
        if word.contains(':') {
            return words.next().is_none().then(|| clock(out, word)).flatten();
        }
        let number: i64 = word.parse().ok()?;
        let unit = match words.next()? {
            "year" | "years" => b'Y',
            "mon" | "mons" => b'M',
            "day" | "days" => b'D',
            _ => return None,
        };
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        out.push(unit);
    }
    Some(())
}

/// `-04:05:06.7` as `T-4H-5M-6.7S`.
fn clock(out: &mut Vec<u8>, text: &str) -> Option<()> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let mut fields = digits.split(':');
    let hours: u64 = fields.next()?.parse().ok()?;
    let minutes: u64 = fields.next()?.parse().ok()?;
    let (seconds, fraction) = match fields.next()?.split_once('.') {
        Some((seconds, fraction)) => (seconds.parse::<u64>().ok()?, fraction),
        None => (digits.rsplit(':').next()?.parse().ok()?, ""),
    };
    let is_plain = fields.next().is_none() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| {
        if hours > 0 || minutes > 0 || seconds > 0 || !fraction.is_empty() {
            out.push(b'T');
        }
        let mut part = |number: u64, fraction: &str, unit: &[u8]| {
            if number > 0 || !fraction.is_empty() {
                out.extend_from_slice(sign.as_bytes());
                out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
                if !fraction.is_empty() {
                    out.push(b'.');
                    out.extend_from_slice(fraction.as_bytes());
                }
                out.extend_from_slice(unit);
            }
        };
        part(hours, "", b"H");
        part(minutes, "", b"M");
        part(seconds, fraction, b"S");
    })
}

/// `\x6869` as `"aGk="`; `None` if that is not how the bytes are printed.
pub(super) fn base64(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    let digits = text.strip_prefix(b"\\x")?;
    let nibble = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(*pair.get(1)?)?))
        .collect::<Option<_>>()?;
    out.push(b'"');
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    out.push(b'"');
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn moments_are_iso_8601() {
        for (text, expected) in [
            ("2024-02-29 12:30:00+00", "2024-02-29T12:30:00+00:00"),
            ("2024-02-29 12:30:00.25-03", "2024-02-29T12:30:00.25-03:00"),
            ("2024-02-29 12:30:00+05:30", "2024-02-29T12:30:00+05:30"),
            ("2024-02-29 12:30:00", "2024-02-29T12:30:00"),
            ("12:30:00", "12:30:00"),
            ("12:30:00+01", "12:30:00+01:00"),
            ("infinity", "infinity"),
            ("-infinity", "-infinity"),
            ("0044-03-15 12:00:00 BC", "0044-03-15 12:00:00 BC"),
        ] {
            assert_eq!(
                written(|out| moment(out, text.as_bytes())),
                format!("\"{expected}\"")
            );
        }
    }

    #[test]
    fn durations_are_iso_8601() {
        for (text, expected) in [
            ("00:00:00", "PT0S"),
            ("1 year 2 mons 3 days 04:05:06.789", "P1Y2M3DT4H5M6.789S"),
            ("-1 years -2 mons +3 days -04:05:06", "P-1Y-2M3DT-4H-5M-6S"),
            ("1 mon", "P1M"),
            ("3 days", "P3D"),
            ("-00:00:00.5", "PT-0.5S"),
            ("1 day 00:00:01", "P1DT1S"),
            ("100:00:00", "PT100H"),
            ("P1DT2H", "P1DT2H"),
            ("@ 1 day", "@ 1 day"),
            ("1 day 2", "1 day 2"),
            ("1:2:x", "1:2:x"),
            ("1:2:3 4", "1:2:3 4"),
        ] {
            assert_eq!(
                written(|out| duration(out, text.as_bytes())),
                format!("\"{expected}\"")
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_json_string_as_a_duration(text in "[-+0-9.: a-z\"\\\\]{0,24}") {
            let json = written(|out| duration(out, text.as_bytes()));
            prop_assert!(serde_json::from_str::<String>(&json).is_ok(), "{json}");
        }

        #[test]
        fn bytes_survive(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let json = written(|out| base64(out, format!("\\x{hex}").as_bytes()).unwrap());
            let text: String = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(STANDARD.decode(text).unwrap(), bytes);
        }
    }
}
