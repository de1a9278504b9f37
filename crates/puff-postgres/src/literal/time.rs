//! Dates and times, in ISO 8601 and without quotes: who calls knows which type they belong to.

/// Appends `2026-01-31`. The year has four digits, as Python's have.
pub fn date(out: &mut Vec<u8>, year: u16, month: u8, day: u8) {
    let [century, rest] = [year / 100, year % 100];
    #[expect(clippy::cast_possible_truncation, reason = "below 100, and at most 655")]
    let [century, rest] = [century as u8, rest as u8];
    two(out, century);
    two(out, rest);
    out.push(b'-');
    two(out, month);
    out.push(b'-');
    two(out, day);
}

/// Appends `23:59:58`, and `.000001` if there are microseconds.
pub fn time_of_day(out: &mut Vec<u8>, hour: u8, minute: u8, second: u8, microsecond: u32) {
    two(out, hour);
    out.push(b':');
    two(out, minute);
    out.push(b':');
    two(out, second);
    if microsecond > 0 {
        micro(out, microsecond);
    }
}

/// Appends `-1 days 2.000003 seconds`.
pub fn interval(out: &mut Vec<u8>, days: i32, seconds: u32, microseconds: u32) {
    let mut buffer = itoa::Buffer::new();
    out.extend_from_slice(buffer.format(days).as_bytes());
    out.extend_from_slice(b" days ");
    out.extend_from_slice(buffer.format(seconds).as_bytes());
    micro(out, microseconds);
    out.extend_from_slice(b" seconds");
}

fn two(out: &mut Vec<u8>, value: u8) {
    out.extend_from_slice(&[b'0' + value / 10 % 10, b'0' + value % 10]);
}

fn micro(out: &mut Vec<u8>, mut value: u32) {
    let mut digits = *b".000000";
    for digit in digits[1..].iter_mut().rev() {
        *digit = b"0123456789"[(value % 10) as usize];
        value /= 10;
    }
    out.extend_from_slice(&digits);
}
