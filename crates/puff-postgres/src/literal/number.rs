//! Numbers. A negative one is preceded by a space: `1 -%s` with `-1` must not become a comment.

use std::io::Write;

/// Appends an integer: `42`, ` -1`.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b' ');
    }
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a float with as few digits as bring the same float back, in the form of Python's `repr`: `0.5`,
/// ` -1e+16`, `'NaN'::float`, `'-Infinity'::float`.
pub fn float(out: &mut Vec<u8>, value: f64) {
    /// From here on, whole numbers are written with an exponent.
    const LARGE: f64 = 1e16;

    if value.is_nan() {
        return out.extend_from_slice(b"'NaN'::float");
    }
    if value.is_infinite() {
        let literal: &[u8] = if value > 0.0 {
            b"'Infinity'::float"
        } else {
            b"'-Infinity'::float"
        };
        return out.extend_from_slice(literal);
    }
    if value.is_sign_negative() {
        out.extend_from_slice(b" -");
    }
    let value = value.abs();
    if value < LARGE && value.trunc() == value {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, and below LARGE"
        )]
        let whole = value as u64;
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        return out.extend_from_slice(b".0");
    }
    fraction(out, value);
}

/// A positive number as Rust's shortest digits and exponent, written the way Python does.
fn fraction(out: &mut Vec<u8>, value: f64) {
    // At most 17 digits, a point, "e-324".
    let mut buffer = [0_u8; 32];
    let mut free = &mut buffer[..];
    let written = write!(free, "{value:e}").map(|()| free.len());
    let length = buffer.len() - written.expect("the shortest form of a float has at most 24 characters");
    let (mantissa, exponent) = split_exponent(&buffer[..length]);
    let mut digits = [0_u8; 32];
    let mut count = 0;
    for &digit in mantissa.iter().filter(|&&byte| byte != b'.') {
        digits[count] = digit;
        count += 1;
    }
    let digits = &digits[..count];

    if (-4..0).contains(&exponent) {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + exponent.unsigned_abs() as usize - 1, b'0');
        out.extend_from_slice(digits);
    } else if (0..16).contains(&exponent) {
        // Whole numbers below 1e16 do not come here, so digits are left for behind the point.
        let (whole, rest) = digits.split_at((exponent.unsigned_abs() as usize + 1).min(count));
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(rest);
    } else {
        out.push(digits[0]);
        if count > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.push(b'e');
        out.push(if exponent < 0 { b'-' } else { b'+' });
        let exponent = exponent.unsigned_abs();
        if exponent < 10 {
            out.push(b'0');
        }
        out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
    }
}

/// `1.5e-7` as (`1.5`, -7).
fn split_exponent(text: &[u8]) -> (&[u8], i32) {
    let at = text.iter().position(|&byte| byte == b'e').unwrap_or(text.len());
    let exponent = std::str::from_utf8(text.get(at + 1..).unwrap_or_default());
    let exponent = exponent.ok().and_then(|text| text.parse().ok());
    (&text[..at], exponent.unwrap_or_default())
}
