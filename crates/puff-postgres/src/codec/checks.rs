//! What must hold for any bytes from the network; the fuzz target and the property tests ask the same.

use bytes::BytesMut;

use super::{Decoder, Message};
use crate::rows::{Rows, RowsBuilder};

/// How much copied data is taken at once, as small as can be seen in a test.
const COPY_LIMIT: usize = 16;

/// Decodes `data` but for its first byte: as a whole, and in pieces whose size is that byte.
///
/// # Panics
/// If the decoder does, or if it matters how the bytes arrive.
pub(crate) fn decode(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else {
        return;
    };
    let whole = outcome(bytes, bytes.len());
    let pieces = outcome(bytes, usize::from(size));
    assert_eq!(whole, pieces);
}

/// What the decoder says, in words; copied data and rows included.
fn outcome(bytes: &[u8], size: usize) -> Vec<String> {
    let mut decoder = Decoder::new();
    let mut said = Vec::new();
    let mut rows: Option<RowsBuilder> = None;
    let (mut copied, mut copying) = (BytesMut::new(), false);
    let mut data = Vec::new();
    for piece in bytes.chunks(size.max(1)) {
        decoder.buffer_mut().extend_from_slice(piece);
        loop {
            let message = match copying {
                true => decoder.next_copied(&mut copied, COPY_LIMIT),
                false => decoder.next(rows.as_mut()),
            };
            let more = !copied.is_empty();
            data.extend_from_slice(&copied.split());
            match message {
                Ok(Some(message)) => {
                    said.push(describe(&message));
                    match message {
                        Message::RowDescription(columns) => rows = Some(RowsBuilder::new(Some(columns))),
                        Message::CopyOut => copying = true,
                        Message::CopyDone | Message::Error(_) => copying = false,
                        Message::CommandComplete(tag) => {
                            let all = rows.take().map(|rows| rows.finish(tag));
                            said.extend(all.iter().map(cells));
                        }
                        _ => {}
                    }
                }
                Ok(None) if more => {}
                Ok(None) => break,
                Err(violation) => {
                    said.push(format!("violation: {}", violation.0));
                    said.push(format!("{data:?}"));
                    return said;
                }
            }
        }
    }
    said.push(format!("{data:?}"));
    said
}

fn cells(rows: &Rows) -> String {
    let all: Vec<Vec<_>> = (0..rows.len())
        .map(|row| {
            (0..rows.columns().len())
                .map(|column| rows.cell(row, column))
                .collect()
        })
        .collect();
    format!("{all:?}")
}

fn describe(message: &Message) -> String {
    match message {
        Message::ParseComplete => "parsed".to_owned(),
        Message::BindComplete => "bound".to_owned(),
        Message::NoData => "no data".to_owned(),
        Message::RowDescription(columns) => format!("{columns:?}"),
        Message::CommandComplete(tag) => format!("{tag:?}"),
        Message::EmptyQuery => "empty".to_owned(),
        Message::ReadyForQuery(status) => format!("{status:?}"),
        Message::CopyIn => "copy in".to_owned(),
        Message::CopyOut => "copy out".to_owned(),
        Message::Error(error) => format!("error: {error:?}"),
        Message::Notice(notice) => format!("notice: {notice:?}"),
        Message::ParameterStatus { name, value } => format!("{name}={value}"),
        Message::KeyData {
            process_id,
            secret_key,
        } => format!("{process_id} {secret_key}"),
        Message::Notification(notification) => format!("{notification:?}"),
        Message::CopyDone => "copied".to_owned(),
        Message::Authentication(_) => "authentication".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::decode;

    /// A frame of a known type; its length is right more often than not, and so is its content.
    fn frame() -> impl Strategy<Value = Vec<u8>> {
        let tag = prop::sample::select(&b"TTDDDDCCZENSAGHHdddcRK123nstIvW\0\xff"[..]);
        let content = prop_oneof![
            3 => prop::collection::vec(prop_oneof![3 => Just(0_u8), 1 => any::<u8>()], 0..40),
            // One column named "a", one cell, a tag, a status.
            2 => Just(b"\0\x01a\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0".to_vec()),
            2 => prop::collection::vec(any::<u8>(), 0..9).prop_map(|cell| {
                [&[0, 1, 0, 0, 0, cell.len() as u8], cell.as_slice()].concat()
            }),
            1 => Just(b"\0\x01\xff\xff\xff\xff".to_vec()),
            1 => Just(b"SELECT 1\0".to_vec()),
            1 => Just(b"I".to_vec()),
            1 => Just(b"SERROR\0C42601\0Mno\0\0".to_vec()),
            1 => Just(Vec::new()),
        ];
        let lie = prop_oneof![20 => Just(None), 1 => any::<u32>().prop_map(Some)];
        (tag, content, lie).prop_map(|(tag, content, lie)| {
            let length = lie.unwrap_or(content.len() as u32 + 4);
            [&[tag], length.to_be_bytes().as_slice(), &content].concat()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn frames_arrive_in_any_pieces(size in any::<u8>(), frames in prop::collection::vec(frame(), 0..12)) {
            let mut bytes = frames.concat();
            bytes.insert(0, size);
            decode(&bytes);
        }

        #[test]
        fn bytes_arrive_in_any_pieces(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            decode(&bytes);
        }
    }
}
