//! A server with traces, a database, and a collector that is there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use puff_embedded::testing;
use puff_postgres::{Pool, PoolConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::settings::Settings;
use crate::web::{Application, Bind, Router, ServerConfig, listen, serve};

/// The fields of a message of protocol buffers, numbers as their bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn number(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = number(&mut bytes);
        let value = match key & 7 {
            0 => number(&mut bytes).to_le_bytes().to_vec(),
            kind => {
                let length = match kind {
                    1 => 8,
                    5 => 4,
                    2 => number(&mut bytes) as usize,
                    _ => panic!("a field of kind {kind}"),
                };
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                value.to_vec()
            }
        };
        found.push((key >> 3, value));
    }
    found
}

fn all(message: &[u8], number: u64) -> Vec<Vec<u8>> {
    let found = fields(message).into_iter().filter(|(found, _)| *found == number);
    found.map(|(_, value)| value).collect()
}

fn one(message: &[u8], number: u64) -> Vec<u8> {
    all(message, number).into_iter().next().unwrap_or_default()
}

#[derive(Debug)]
struct Span {
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
    kind: u8,
    raw: Vec<u8>,
}

impl Span {
    fn says(&self, text: &str) -> bool {
        self.raw.windows(text.len()).any(|part| part == text.as_bytes())
    }
}

/// Takes one request of an exporter; its path and body.
fn receive(listener: &TcpListener) -> (String, Vec<u8>) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        head.push(line.to_ascii_lowercase());
    }
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length:"))
        .unwrap();
    let mut body = vec![0; length.trim().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .unwrap();
    (head[0].clone(), body)
}

#[test]
fn a_request_and_its_statement_are_in_the_callers_trace() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        loop {
            if sender.send(receive(&collector)).is_err() {
                return;
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let variables = [("PUFF_OTEL_ENDPOINT".to_owned(), endpoint)];
    let settings = Settings::load(variables, None, folder.path()).unwrap();
    let log = crate::logging::init(&settings, "shop", "info").unwrap();

    let database = testing::postgres();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    tokio.block_on(async {
        let pool = Pool::new(database.url().parse().unwrap(), PoolConfig::default());
        let router = Router::new().get("/order", move || {
            let pool = pool.clone();
            async move {
                let rows = pool.get().await.unwrap().query("SELECT 42 AS answer", &[]).await;
                rows.unwrap().len().to_string()
            }
        });
        let listener = listen(&Bind::Tcp(([127, 0, 0, 1], 0).into())).unwrap();
        let address = listener.address();
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(
            vec![listener],
            Application::Router(router.into_axum()),
            None,
            ServerConfig::default(),
            stop.clone(),
        ));
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = "GET /order?secret=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
             traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        stop.cancel();
        server.await.unwrap().unwrap();
    });
    tokio.shutdown_timeout(Duration::from_secs(2));
    log.ending.end();

    // They are sent every few seconds, so that there may be two sendings.
    let mut spans: Vec<Span> = Vec::new();
    while spans.len() < 2 {
        let (path, body) = received.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(path.trim_end(), "post /v1/traces http/1.1");
        let resource = one(&body, 1);
        assert!(one(&resource, 1).windows(4).any(|part| part == b"shop"));
        spans.extend(all(&one(&resource, 2), 2).into_iter().map(|raw| Span {
            trace: one(&raw, 1),
            id: one(&raw, 2),
            parent: one(&raw, 4),
            name: String::from_utf8(one(&raw, 5)).unwrap(),
            kind: one(&raw, 6).first().copied().unwrap_or_default(),
            raw,
        }));
    }
    let request = spans
        .iter()
        .find(|span| span.name == "GET /order")
        .expect("the request's span");
    let trace: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
    assert_eq!(request.trace, trace.to_be_bytes());
    assert_eq!(request.parent, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!(request.kind, 2); // server
    assert!(request.says("http.response.status_code") && request.says("/order"));
    assert!(!request.says("secret"));
    let statement = spans
        .iter()
        .find(|span| span.says("SELECT 42 AS answer"))
        .expect("the statement's span");
    assert_eq!(statement.name, "SELECT");
    assert_eq!(statement.trace, request.trace);
    assert_eq!(statement.parent, request.id);
    assert_eq!(statement.kind, 3); // client
}
