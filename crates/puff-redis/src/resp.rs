//! The server's answers as they come off a dedicated connection: RESP3, or RESP2 before the log-in.
//!
//! redis-rs reads answers too, but only together with the connection that it drives, which answers commands
//! and nothing else. On a dedicated connection come messages that nobody asked for, and `MONITOR`'s lines.

use bytes::{Bytes, BytesMut};

use crate::Reply;

/// What the server sent.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Incoming {
    /// The answer to a command; [`Reply::Failed`] if it is an error.
    Reply(Reply),
    /// A message that is no answer: of a subscription, or an invalidation of a tracked key.
    Push(Vec<Reply>),
}

/// The bytes are no RESP.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Deeper than any server nests its answers; each level is a call.
const DEPTH: usize = 64;
/// What a server may send as one string: its own limit, `proto-max-bulk-len`, is 512 MB by default.
const LONGEST: usize = 1 << 32;
/// A line that is longer is no number and no status.
const LINE: usize = 1 << 16;

/// Finds where an answer ends, however it is cut into pieces. What it has looked at it does not look at again.
#[derive(Debug)]
pub(crate) struct Frames {
    /// How far it is.
    at: usize,
    /// How many values are still to come.
    left: usize,
}

impl Default for Frames {
    fn default() -> Self {
        Self { at: 0, left: 1 }
    }
}

impl Frames {
    /// Takes the next answer out of `buffer`; `None` if it is not complete.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Incoming>, Malformed> {
        while self.left > 0 {
            let Some(line) = line(buffer, self.at)? else {
                return Ok(None);
            };
            let (kind, rest) = (buffer[self.at], &buffer[self.at + 1..line]);
            let mut next = line + 2;
            let more = match kind {
                b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => 0,
                b'$' | b'=' | b'!' => {
                    if let Some(length) = length(rest)? {
                        next += length + 2;
                        if buffer.len() < next {
                            return Ok(None);
                        }
                    }
                    0
                }
                b'*' | b'~' | b'>' => length(rest)?.unwrap_or(0),
                b'%' => length(rest)?.unwrap_or(0) * 2,
                // Its pairs, and then what it annotates.
                b'|' => length(rest)?.unwrap_or(0) * 2 + 1,
                _ => return Err(Malformed),
            };
            self.left = self.left - 1 + more;
            self.at = next;
        }
        let frame = buffer.split_to(self.at).freeze();
        *self = Self::default();
        let mut parser = Parser { frame, at: 0 };
        if parser.frame[0] == b'>' {
            return match parser.value(DEPTH)? {
                Reply::Array(items) => Ok(Some(Incoming::Push(items))),
                _ => Err(Malformed),
            };
        }
        Ok(Some(Incoming::Reply(parser.value(DEPTH)?)))
    }
}

/// Where the line that begins at `from` ends; `None` if its end has not come.
fn line(buffer: &[u8], from: usize) -> Result<Option<usize>, Malformed> {
    let rest = buffer.get(from..).unwrap_or_default();
    match rest.windows(2).position(|pair| pair == b"\r\n") {
        Some(0) => Err(Malformed),
        Some(length) => Ok(Some(from + length)),
        None if rest.len() > LINE => Err(Malformed),
        None => Ok(None),
    }
}

/// `None` is RESP2's null.
fn length(digits: &[u8]) -> Result<Option<usize>, Malformed> {
    match digits {
        b"-1" => Ok(None),
        digits => match number::<usize>(digits)? {
            length if length <= LONGEST => Ok(Some(length)),
            _ => Err(Malformed),
        },
    }
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Result<T, Malformed> {
    let digits = std::str::from_utf8(digits).map_err(|_| Malformed)?;
    digits.parse().map_err(|_| Malformed)
}

/// Reads an answer that is complete.
struct Parser {
    frame: Bytes,
    at: usize,
}

impl Parser {
    fn value(&mut self, depth: usize) -> Result<Reply, Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed)?;
        let end = line(&self.frame, self.at)?.ok_or(Malformed)?;
        let (kind, rest) = (self.frame[self.at], self.frame.slice(self.at + 1..end));
        self.at = end + 2;
        Ok(match kind {
            b'+' => Reply::Status(String::from_utf8_lossy(&rest).into_owned()),
            b'-' => failed(&rest),
            b':' => Reply::Int(number(&rest)?),
            b'_' => Reply::Nil,
            b'#' => Reply::Bool(&*rest == b"t"),
            b',' => Reply::Double(number(&rest)?),
            b'(' => Reply::BigNumber(rest),
            b'$' => match self.bytes(&rest)? {
                Some(bytes) => Reply::Bulk(bytes),
                None => Reply::Nil,
            },
            // Three letters and a colon say what kind of text it is.
            b'=' => Reply::Bulk(
                self.bytes(&rest)?
                    .filter(|text| text.len() >= 4)
                    .ok_or(Malformed)?
                    .slice(4..),
            ),
            b'!' => failed(&self.bytes(&rest)?.ok_or(Malformed)?),
            b'*' => match length(&rest)? {
                Some(count) => Reply::Array(self.values(count, depth)?),
                None => Reply::Nil,
            },
            b'>' => Reply::Array(self.values(length(&rest)?.unwrap_or(0), depth)?),
            b'~' => Reply::Set(self.values(length(&rest)?.unwrap_or(0), depth)?),
            b'%' => Reply::Map(self.pairs(length(&rest)?.unwrap_or(0), depth)?),
            b'|' => {
                self.pairs(length(&rest)?.unwrap_or(0), depth)?;
                self.value(depth)?
            }
            _ => return Err(Malformed),
        })
    }

    fn values(&mut self, count: usize, depth: usize) -> Result<Vec<Reply>, Malformed> {
        (0..count).map(|_| self.value(depth)).collect()
    }

    fn pairs(&mut self, count: usize, depth: usize) -> Result<Vec<(Reply, Reply)>, Malformed> {
        (0..count)
            .map(|_| Ok((self.value(depth)?, self.value(depth)?)))
            .collect()
    }

    fn bytes(&mut self, digits: &[u8]) -> Result<Option<Bytes>, Malformed> {
        let Some(length) = length(digits)? else {
            return Ok(None);
        };
        let end = self.at + length;
        if self.frame.get(end..end + 2) != Some(b"\r\n") {
            return Err(Malformed);
        }
        let bytes = self.frame.slice(self.at..end);
        self.at = end + 2;
        Ok(Some(bytes))
    }
}

fn failed(text: &[u8]) -> Reply {
    let text = String::from_utf8_lossy(text);
    let (code, message) = text.split_once(' ').unwrap_or((&text, ""));
    Reply::Failed {
        code: code.to_owned(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All answers in `bytes`, which come in pieces of so many bytes.
    fn read(bytes: &[u8], piece: usize) -> Result<Vec<Incoming>, Malformed> {
        let (mut frames, mut buffer, mut found) = (Frames::default(), BytesMut::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            buffer.extend_from_slice(piece);
            while let Some(each) = frames.next(&mut buffer)? {
                found.push(each);
            }
        }
        assert!(buffer.is_empty(), "something is left: {buffer:?}");
        Ok(found)
    }

    #[test]
    fn every_kind_however_it_is_cut() {
        let bytes = b"+OK\r\n:-7\r\n$3\r\na\r\n\r\n_\r\n$-1\r\n*-1\r\n#t\r\n,1.5\r\n,inf\r\n(12345678901234567890\r\n\
            =7\r\ntxt:abc\r\n-WRONGTYPE of a key\r\n-LOADING\r\n!5\r\nERR x\r\n*2\r\n:1\r\n*1\r\n-MINE no\r\n\
            ~1\r\n+a\r\n%1\r\n$1\r\nk\r\n:2\r\n|1\r\n+ttl\r\n:3\r\n+annotated\r\n*0\r\n$0\r\n\r\n";
        let failed = |code: &str, message: &str| Reply::Failed {
            code: code.into(),
            message: message.into(),
        };
        let expected = [
            Reply::Status("OK".into()),
            Reply::Int(-7),
            Reply::Bulk("a\r\n".into()),
            Reply::Nil,
            Reply::Nil,
            Reply::Nil,
            Reply::Bool(true),
            Reply::Double(1.5),
            Reply::Double(f64::INFINITY),
            Reply::BigNumber("12345678901234567890".into()),
            Reply::Bulk("abc".into()),
            failed("WRONGTYPE", "of a key"),
            failed("LOADING", ""),
            failed("ERR", "x"),
            Reply::Array(vec![Reply::Int(1), Reply::Array(vec![failed("MINE", "no")])]),
            Reply::Set(vec![Reply::Status("a".into())]),
            Reply::Map(vec![(Reply::Bulk("k".into()), Reply::Int(2))]),
            Reply::Status("annotated".into()),
            Reply::Array(vec![]),
            Reply::Bulk("".into()),
        ]
        .map(Incoming::Reply);
        for piece in [1, 2, 3, 7, 1000] {
            assert_eq!(
                read(bytes, piece).as_deref(),
                Ok(&expected[..]),
                "in pieces of {piece}"
            );
        }
    }

    #[test]
    fn pushes_are_told_from_answers() {
        let bytes = b">2\r\n$7\r\nmessage\r\n+x\r\n:1\r\n";
        let push = Incoming::Push(vec![Reply::Bulk("message".into()), Reply::Status("x".into())]);
        assert_eq!(read(bytes, 4), Ok(vec![push, Incoming::Reply(Reply::Int(1))]));
    }

    #[test]
    fn nonsense_is_refused() {
        let deep = "*1\r\n".repeat(DEPTH + 1) + ":1\r\n";
        let long = "+".repeat(LINE + 2);
        for bytes in [
            "HTTP/1.1 400\r\n",
            ":x\r\n",
            "$x\r\n",
            "$-2\r\n",
            "$99999999999\r\n",
            "$1\r\nab\r\n",
            "=1\r\na\r\n",
            "\r\n",
            &deep,
            &long,
        ] {
            assert_eq!(read(bytes.as_bytes(), 500), Err(Malformed), "{bytes:.20?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            let mut frames = Frames::default();
            while let Ok(Some(_)) = frames.next(&mut buffer) {}
        }

        #[test]
        fn what_looks_like_resp_too(bytes in "([*$:+~%|>=!#,_(-][0-9tf-]{0,3}\r\n|[a-c]{1,3}\r\n){0,12}") {
            let mut buffer = BytesMut::from(bytes.as_bytes());
            let mut frames = Frames::default();
            while let Ok(Some(_)) = frames.next(&mut buffer) {}
        }
    }
}
