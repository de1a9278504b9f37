use proptest::prelude::*;

use super::*;
use crate::rows::Rows;

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("small");
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

fn row(cells: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = u16::try_from(cells.len()).expect("few").to_be_bytes().to_vec();
    for cell in cells {
        match cell {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(bytes) => {
                body.extend(i32::try_from(bytes.len()).expect("small").to_be_bytes());
                body.extend(*bytes);
            }
        }
    }
    message(b'D', &body)
}

fn description(names: &[&str]) -> Vec<u8> {
    let mut body = u16::try_from(names.len()).expect("few").to_be_bytes().to_vec();
    for name in names {
        body.extend(name.as_bytes());
        body.push(0);
        // Table 7, column 1, type 25 (text), size -1, modifier -1, format text.
        body.extend([0, 0, 0, 7, 0, 1, 0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0]);
    }
    message(b'T', &body)
}

/// The answers to two queries, the second with rows of `sizes`, between other messages.
fn conversation(sizes: &[usize]) -> Vec<u8> {
    let mut bytes = message(b'S', b"TimeZone\0UTC\0");
    bytes.extend(description(&["a", "b"]));
    bytes.extend(row(&[Some(b"1"), None]));
    bytes.extend(row(&[Some(b""), Some("\u{e9}".as_bytes())]));
    bytes.extend(message(b'C', b"SELECT 2\0"));
    bytes.extend(message(b'Z', b"T"));
    bytes.extend(message(b'N', b"SNOTICE\0C00000\0Mhello\0\0"));
    bytes.extend(description(&["long"]));
    for (number, size) in sizes.iter().enumerate() {
        bytes.extend(row(&[Some(&vec![
            b'a' + u8::try_from(number % 26)
                .expect("a letter");
            *size
        ])]));
    }
    bytes.extend(message(b'C', b"SELECT 9\0"));
    bytes.extend(message(b'E', b"SERROR\0VERROR\0C23505\0Mtwice\0P12\0\0"));
    bytes.extend(message(b'Z', b"E"));
    bytes
}

/// Decodes `pieces` as they come; the messages in words, and the answers.
fn decode(pieces: &[&[u8]]) -> Result<(Vec<String>, Vec<Rows>), Violation> {
    let (mut decoder, mut log, mut answers) = (Decoder::new(), Vec::new(), Vec::new());
    let mut current = None;
    for piece in pieces {
        decoder.buffer_mut().extend_from_slice(piece);
        while let Some(message) = decoder.next(current.as_mut())? {
            log.push(match message {
                Message::RowDescription(columns) => {
                    let names = columns
                        .iter()
                        .map(|column| column.name.to_string())
                        .collect::<Vec<_>>();
                    current = Some(RowsBuilder::new(Some(columns)));
                    names.join(" ")
                }
                Message::CommandComplete(tag) => {
                    let text = tag.to_string();
                    answers.extend(current.take().map(|rows| rows.finish(tag)));
                    text
                }
                Message::ReadyForQuery(status) => format!("{status:?}"),
                Message::Error(error) | Message::Notice(error) => error.to_string(),
                Message::ParameterStatus { name, value } => format!("{name}={value}"),
                Message::KeyData {
                    process_id,
                    secret_key,
                } => format!("{process_id} {secret_key}"),
                Message::ParseComplete => "parsed".to_owned(),
                Message::BindComplete => "bound".to_owned(),
                Message::NoData => "no data".to_owned(),
                Message::EmptyQuery => "empty".to_owned(),
                Message::CopyIn => "copy in".to_owned(),
                Message::CopyOut => "copy out".to_owned(),
                Message::Notification(notification) => format!("notification {}", notification.channel),
                Message::CopyDone => "copy done".to_owned(),
                Message::Authentication(_) => "authentication".to_owned(),
            });
        }
    }
    Ok((log, answers))
}

fn table(rows: &Rows) -> Vec<Vec<Option<Vec<u8>>>> {
    let columns = 0..rows.columns().len();
    let cells = |row| {
        columns
            .clone()
            .map(move |column| rows.cell(row, column).map(<[u8]>::to_vec))
            .collect()
    };
    (0..rows.len()).map(cells).collect()
}

#[test]
fn messages_and_rows_come_out_in_order() {
    let (log, answers) = decode(&[&conversation(&[3, 0])]).expect("well-formed");
    assert_eq!(
        log,
        [
            "TimeZone=UTC",
            "a b",
            "SELECT 2",
            "InTransaction",
            "NOTICE: hello (SQLSTATE 00000)",
            "long",
            "SELECT 9",
            "ERROR: twice (SQLSTATE 23505)",
            "Failed",
        ]
    );
    let cell = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(
        table(&answers[0]),
        [[cell("1"), None], [cell(""), cell("\u{e9}")]]
    );
    assert_eq!(table(&answers[1]), [[cell("aaa")], [cell("")]]);
    assert_eq!(answers[0].find_column("b"), Some(1));
    assert_eq!(
        (
            answers[0].columns()[0].type_oid,
            answers[0].columns()[0].table_oid
        ),
        (25, 7)
    );
}

#[test]
fn large_rows_stay_where_they_arrived() {
    let stream = conversation(&[300_000, 10, 70_000, 1]);
    let (_, whole) = decode(&[&stream]).expect("well-formed");
    let (_, pieces) = decode(&stream.chunks(8192).collect::<Vec<_>>()).expect("well-formed");
    assert_eq!(table(&whole[1]), table(&pieces[1]));
    assert_eq!(pieces[1].cell(0, 0).map(<[u8]>::len), Some(300_000));
}

#[test]
fn unwanted_rows_are_skipped() {
    let mut decoder = Decoder::new();
    let bytes = [
        row(&[Some(b"1")]),
        row(&[None, None]),
        message(b'C', b"SELECT 2\0"),
    ]
    .concat();
    decoder.buffer_mut().extend_from_slice(&bytes);
    assert!(matches!(
        decoder.next(None),
        Ok(Some(Message::CommandComplete(_)))
    ));
}

#[test]
fn violations_are_errors() {
    let described = |after: &[u8]| decode(&[&description(&["a"]), after]).map(|(log, _)| log);
    for broken in [
        row(&[]),
        row(&[None, None]),
        message(b'D', &[0, 1, 0, 0, 0, 9, b'x']),
        message(b'D', &[0, 1, 0, 0, 0, 0, b'x']),
        message(b'D', &[0]),
        message(b'Z', b"X"),
        message(b'Z', b""),
        message(b'C', b"no end"),
        message(b'?', b""),
        message(b'2', b"extra"),
        vec![b'D', 0, 0, 0, 3],
        b"HTTP/1.1 400 Bad Request\r\n".to_vec(),
    ] {
        assert!(described(&broken).is_err(), "{broken:?}");
    }
}

proptest! {
    #[test]
    fn the_way_bytes_are_split_does_not_matter(
        sizes in prop::collection::vec(prop_oneof![0_usize..50, 5_000_usize..40_000], 0..12),
        mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let stream = conversation(&sizes);
        let mut positions: Vec<_> = cuts.drain(..).map(|cut| cut.index(stream.len())).collect();
        positions.extend([0, stream.len()]);
        positions.sort_unstable();
        let pieces: Vec<_> = positions.windows(2).map(|ends| &stream[ends[0]..ends[1]]).collect();
        let (log, answers) = decode(&pieces).expect("well-formed");
        let (whole_log, whole_answers) = decode(&[&stream]).expect("well-formed");
        prop_assert_eq!(log, whole_log);
        for (rows, whole) in answers.iter().zip(&whole_answers) {
            prop_assert_eq!(table(rows), table(whole));
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&[&bytes]);
    }

    #[test]
    fn damaged_streams_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut stream = conversation(&[10, 2000, 5]);
        for (position, byte) in damage {
            let position = position.index(stream.len());
            stream[position] = byte;
        }
        let _ = decode(&stream.chunks(97).collect::<Vec<_>>()).map(|(_, answers)| {
            answers.iter().map(table).count()
        });
    }
}
