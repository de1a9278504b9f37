//! JSON strings, fast.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// For each byte: 0 if it stands for itself in a JSON string, else the letter after the backslash, or `u`.
const ESCAPE: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// Whether one of eight bytes needs an escape. May only err towards yes.
fn suspicious(word: u64) -> bool {
    let has_zero = |x: u64| x.wrapping_sub(LOW) & !x & HIGH;
    let control = word.wrapping_sub(LOW * 0x20) & !word & HIGH;
    let quote = has_zero(word ^ (LOW * b'"' as u64));
    let backslash = has_zero(word ^ (LOW * b'\\' as u64));
    control | quote | backslash != 0
}

/// Appends `text` as a JSON string, quotes included. `text` is UTF-8.
pub(crate) fn json_string(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    // Bytes that stand for themselves are copied in runs as long as possible.
    let mut run = 0;
    let mut at = 0;
    loop {
        while let Some(chunk) = text[at..].first_chunk::<8>()
            && !suspicious(u64::from_le_bytes(*chunk))
        {
            at += 8;
        }
        while at < text.len() && ESCAPE[text[at] as usize] == 0 {
            at += 1;
        }
        out.extend_from_slice(&text[run..at]);
        let Some(&byte) = text.get(at) else { break };
        escape(out, byte);
        at += 1;
        run = at;
    }
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    match ESCAPE[byte as usize] {
        b'u' => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.extend([HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]]);
        }
        letter => out.extend([b'\\', letter]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::json_string;

    fn ours(text: &str) -> String {
        let mut out = Vec::new();
        json_string(&mut out, text.as_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_what_json_asks_for() {
        assert_eq!(
            ours("a\"b\\c\nd\u{1}é\u{7f}"),
            "\"a\\\"b\\\\c\\nd\\u0001é\u{7f}\""
        );
        assert_eq!(ours("0123456\t89abcdef"), "\"0123456\\t89abcdef\"");
    }

    proptest! {
        #[test]
        fn equals_serde_json(text in "(?s)[\\x00-\\x30\\\\\"a-dé€😀]{0,40}|.{0,40}") {
            prop_assert_eq!(ours(&text), serde_json::to_string(&text).unwrap());
        }
    }
}
