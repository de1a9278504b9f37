//! The framing of a chunked request body (RFC 9112, 7.1), to the letter.

use super::head::{is_token, is_value};

/// How far a chunked body has come.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// Bytes of extensions and trailers so far: they carry nothing that anybody reads.
    extra: usize,
    /// The extensions, or the line of a trailer, that are coming in.
    line: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// In the size: its value and the number of its digits.
    Size(u64, u8),
    Extension(u64),
    /// The LF after the size.
    SizeEnd(u64),
    Data(u64),
    DataCr,
    DataLf,
    Trailer,
    TrailerLf,
}

/// Most bytes of extensions and trailers in one body.
const MOST_EXTRA: usize = 16 << 10;

/// The body breaks the protocol.
#[derive(Debug)]
pub(super) struct Broken;

impl Chunked {
    pub(super) fn new() -> Chunked {
        Chunked {
            state: State::Size(0, 0),
            extra: 0,
            line: Vec::new(),
        }
    }

    /// Goes through `bytes`; says how many belong to the body, and whether it has ended with them.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<(usize, bool), Broken> {
        let mut at = 0;
        while at < bytes.len() {
            if let State::Data(left) = self.state {
                let taken = left.min((bytes.len() - at) as u64);
                at += taken as usize;
                self.state = if taken == left {
                    State::DataCr
                } else {
                    State::Data(left - taken)
                };
                continue;
            }
            let byte = bytes[at];
            at += 1;
            self.state = match (self.state, byte) {
                (State::Size(value, digits @ 0..16), byte) if byte.is_ascii_hexdigit() => {
                    let digit = (byte as char).to_digit(16).unwrap_or_default();
                    State::Size(value << 4 | u64::from(digit), digits + 1)
                }
                (State::Size(value, 1..), b'\r') => State::SizeEnd(value),
                (State::Size(value, 1..), b';') => State::Extension(value),
                (State::Extension(value), b'\r') => {
                    check_extensions(&self.line)?;
                    self.line.clear();
                    State::SizeEnd(value)
                }
                (State::Extension(value), byte) if is_value(&byte) => {
                    self.count()?;
                    self.line.push(byte);
                    State::Extension(value)
                }
                (State::SizeEnd(0), b'\n') => State::Trailer,
                (State::SizeEnd(size), b'\n') => State::Data(size),
                (State::DataCr, b'\r') => State::DataLf,
                (State::DataLf, b'\n') => State::Size(0, 0),
                (State::Trailer, b'\r') => State::TrailerLf,
                (State::Trailer, byte) if is_value(&byte) => {
                    self.count()?;
                    self.line.push(byte);
                    State::Trailer
                }
                (State::TrailerLf, b'\n') if self.line.is_empty() => return Ok((at, true)),
                (State::TrailerLf, b'\n') => {
                    check_trailer(&self.line)?;
                    self.line.clear();
                    State::Trailer
                }
                _ => return Err(Broken),
            };
        }
        Ok((at, false))
    }

    fn count(&mut self) -> Result<(), Broken> {
        self.extra += 1;
        if self.extra > MOST_EXTRA {
            Err(Broken)
        } else {
            Ok(())
        }
    }
}

/// What comes after the first semicolon: `name`, `name=token` or `name="text"`, with semicolons between them. Nobody
/// reads them, but a proxy that ends them elsewhere than we do would see other chunks.
fn check_extensions(line: &[u8]) -> Result<(), Broken> {
    let mut rest = line;
    loop {
        rest = without_token(without_space(rest))?;
        let mut after = without_space(rest);
        if let Some(value) = after.strip_prefix(b"=") {
            let value = without_space(value);
            rest = match value.strip_prefix(b"\"") {
                Some(text) => without_text(text)?,
                None => without_token(value)?,
            };
            after = without_space(rest);
        }
        match after.split_first() {
            Some((b';', more)) => rest = more,
            // A space at the end belongs to nothing.
            None if rest.is_empty() => return Ok(()),
            _ => return Err(Broken),
        }
    }
}

fn without_space(bytes: &[u8]) -> &[u8] {
    let space = bytes
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    &bytes[space..]
}

fn without_token(bytes: &[u8]) -> Result<&[u8], Broken> {
    match bytes.iter().take_while(|byte| is_token(**byte)).count() {
        0 => Err(Broken),
        length => Ok(&bytes[length..]),
    }
}

/// What follows the closing quotation mark.
fn without_text(bytes: &[u8]) -> Result<&[u8], Broken> {
    let mut at = 0;
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok(&bytes[at + 1..]),
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return Err(Broken),
        }
    }
}

/// A trailer must not say what the server has had to know before: how long the body is, whom it is for.
fn check_trailer(line: &[u8]) -> Result<(), Broken> {
    const FORBIDDEN: [&[u8]; 7] = [
        b"content-length",
        b"transfer-encoding",
        b"host",
        b"connection",
        b"authorization",
        b"content-encoding",
        b"trailer",
    ];
    let colon = memchr::memchr(b':', line).ok_or(Broken)?;
    let name = &line[..colon];
    let forbidden = FORBIDDEN.iter().any(|known| name.eq_ignore_ascii_case(known));
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) || forbidden {
        return Err(Broken);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same in one piece and byte by byte.
    fn end(body: &[u8]) -> Result<Option<usize>, ()> {
        let whole = Chunked::new()
            .advance(body)
            .map(|(at, end)| end.then_some(at))
            .map_err(|_| ());
        let mut chunked = Chunked::new();
        let mut by_bytes = Ok(None);
        for (at, byte) in body.iter().enumerate() {
            match chunked.advance(&[*byte]) {
                Ok((_, false)) => {}
                Ok((_, true)) => {
                    by_bytes = Ok(Some(at + 1));
                    break;
                }
                Err(Broken) => {
                    by_bytes = Err(());
                    break;
                }
            }
        }
        assert_eq!(whole, by_bytes);
        whole
    }

    #[test]
    fn bodies_end_where_they_end() {
        assert_eq!(end(b"5\r\nhello\r\n000\r\n\r\nGET"), Ok(Some(17)));
        assert_eq!(
            end(b"A; a=\"b c\"\r\n0123456789\r\n0\r\nVary: *\r\n\r\n"),
            Ok(Some(38))
        );
        assert_eq!(end(b"0;a;b=c ; d = \"\\\"e;\"\r\n\r\n"), Ok(Some(24)));
        assert_eq!(end(b"5\r\nhel"), Ok(None));
        assert_eq!(end(b"0\r\n"), Ok(None));
    }

    #[test]
    fn nothing_else_is_a_body() {
        for body in [
            "6_0\r\n",
            "-5\r\n",
            "+5\r\n",
            "0 \r\n",
            " 0\r\n",
            "5\n",
            "\r\n",
            ";a\r\n",
            "5;a\rb\r\n",
            "5;\r\n",
            "5;a=\r\n",
            "5;=a\r\n",
            "5;a;\r\n",
            "5;a \r\n",
            "5;a b\r\n",
            "5;a=\"b\r\n",
            "5;a=\"b\\\"\r\n",
            "5;a=\"b\"c\r\n",
            "g\r\n",
            "5\r\nhello0\r\n",
            "5\r\nhelloXX",
            "0\r\nHost: a\r\n\r\n",
            "0\r\ncontent-length: 9\r\n\r\n",
            "0\r\nnone\r\n\r\n",
            "00000000000000005\r\n",
            "0\r\nA\x01: b\r\n\r\n",
        ] {
            assert_eq!(end(body.as_bytes()), Err(()), "{body:?}");
        }
        let long = format!("5;{}\r\n", "a".repeat(MOST_EXTRA + 1));
        assert_eq!(end(long.as_bytes()), Err(()));
    }
}
