//! One line: what is kept of a request, and how it is written.

use std::io::Write;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use http::{HeaderValue, Method, StatusCode, Uri, Version};
use parking_lot::Mutex;
use serde::Serialize;

use super::format::{Atom, Part};

/// What the log keeps of a request while it is worked on.
pub(in crate::web) struct Entry {
    /// `None` for a request that was refused: its first line is not to be repeated.
    pub(in crate::web) target: Option<Uri>,
    pub(in crate::web) version: Version,
    pub(in crate::web) peer: Option<IpAddr>,
    pub(super) inputs: Vec<Option<HeaderValue>>,
    pub(super) outputs: Vec<Option<HeaderValue>>,
}

/// How a request ended.
pub(in crate::web) struct Outcome<'a> {
    pub(in crate::web) method: &'a Method,
    /// `None`: the client went before there was an answer.
    pub(in crate::web) status: Option<StatusCode>,
    /// Bytes of the body that were sent.
    pub(in crate::web) sent: u64,
    /// From the head of the request to the last byte of the answer.
    pub(in crate::web) duration: Duration,
    /// How much of that it waited for its turn.
    pub(in crate::web) queued: Duration,
    pub(in crate::web) id: Option<&'a HeaderValue>,
}

impl Outcome<'_> {
    /// nginx's number for a client that did not wait for an answer.
    const GONE: u16 = 499;

    fn code(&self) -> u16 {
        self.status.map_or(Self::GONE, |status| status.as_u16())
    }
}

/// The time as Apache writes it, made once a second.
#[derive(Default)]
pub(super) struct Clock(Mutex<(u64, String)>);

impl Clock {
    fn write(&self, now: SystemTime, out: &mut Vec<u8>) {
        let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut known = self.0.lock();
        if known.0 != second || known.1.is_empty() {
            *known = (
                second,
                DateTime::<Utc>::from(now)
                    .format("[%d/%b/%Y:%H:%M:%S +0000]")
                    .to_string(),
            );
        }
        out.extend_from_slice(known.1.as_bytes());
    }
}

/// An object of the access log in JSON.
#[derive(Serialize)]
struct Object<'a> {
    time: String,
    client: Option<IpAddr>,
    method: Option<&'a str>,
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    protocol: &'static str,
    status: u16,
    bytes: u64,
    seconds: f64,
    queue_seconds: f64,
    host: Option<String>,
    referer: Option<String>,
    user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

// Writing into a Vec cannot fail, so the results of `write!` below say nothing.
impl Entry {
    /// `GET /path 200 1.2 ms`.
    pub(super) fn write_dev(&self, outcome: &Outcome<'_>, colour: bool, out: &mut Vec<u8>) {
        let code = outcome.code();
        let (paint, plain) = match (colour, code) {
            (false, _) => ("", ""),
            (true, 200..=299) => ("\x1b[32m", "\x1b[0m"),
            (true, 300..=399) => ("\x1b[36m", "\x1b[0m"),
            (true, 400..=499) => ("\x1b[33m", "\x1b[0m"),
            (true, _) => ("\x1b[31m", "\x1b[0m"),
        };
        let _ = write!(out, "{paint}{code}{plain} ");
        self.write_method_and_target(outcome.method, out);
        let milliseconds = outcome.duration.as_secs_f64() * 1e3;
        let _ = match milliseconds {
            ..10.0 => write!(out, " {milliseconds:.1} ms"),
            _ => write!(out, " {milliseconds:.0} ms"),
        };
    }

    pub(super) fn write_json(&self, outcome: &Outcome<'_>, out: &mut Vec<u8>) {
        let text = |value: &HeaderValue| value.as_bytes().iter().map(|byte| *byte as char).collect();
        let input = |index: usize| self.inputs.get(index).and_then(Option::as_ref).map(text);
        let object = Object {
            time: DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Millis, true),
            client: self.peer,
            method: self.target.as_ref().map(|_| outcome.method.as_str()),
            path: self.target.as_ref().map(Uri::path),
            query: self.target.as_ref().and_then(Uri::query),
            protocol: protocol(self.version),
            status: outcome.code(),
            bytes: outcome.sent,
            seconds: microseconds(outcome.duration),
            queue_seconds: microseconds(outcome.queued),
            host: input(0),
            referer: input(1),
            user_agent: input(2),
            request_id: outcome.id.map(text),
        };
        let _ = serde_json::to_writer(out, &object);
    }

    pub(super) fn write_parts(
        &self,
        parts: &[Part],
        outcome: &Outcome<'_>,
        clock: &Clock,
        out: &mut Vec<u8>,
    ) {
        for part in parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Atom(atom) => self.write_atom(*atom, outcome, clock, out),
            }
        }
    }

    fn write_atom(&self, atom: Atom, outcome: &Outcome<'_>, clock: &Clock, out: &mut Vec<u8>) {
        let target = self.target.as_ref();
        let duration = outcome.duration;
        let _ = match atom {
            Atom::Client => match self.peer {
                Some(peer) => write!(out, "{peer}"),
                None => write!(out, "-"),
            },
            Atom::Unknown => write!(out, "-"),
            Atom::User(index) => {
                match self.inputs.get(index).and_then(Option::as_ref).and_then(user_of) {
                    Some(user) => write_escaped(&user, out),
                    None => out.push(b'-'),
                }
                Ok(())
            }
            Atom::Time => {
                clock.write(SystemTime::now(), out);
                Ok(())
            }
            Atom::RequestLine => {
                self.write_method_and_target(outcome.method, out);
                match target {
                    Some(_) => write!(out, " {}", protocol(self.version)),
                    None => Ok(()),
                }
            }
            Atom::Status => write!(out, "{}", outcome.code()),
            Atom::Method => write!(out, "{}", target.map_or("-", |_| outcome.method.as_str())),
            Atom::Path => {
                write_escaped(target.map_or("-", Uri::path).as_bytes(), out);
                Ok(())
            }
            Atom::Query => {
                write_escaped(target.and_then(Uri::query).unwrap_or_default().as_bytes(), out);
                Ok(())
            }
            Atom::Protocol => write!(out, "{}", protocol(self.version)),
            Atom::BytesOrDash if outcome.sent == 0 => write!(out, "-"),
            Atom::Bytes | Atom::BytesOrDash => write!(out, "{}", outcome.sent),
            Atom::Seconds => write!(out, "{}", duration.as_secs()),
            Atom::DecimalSeconds => write!(out, "{:.6}", duration.as_secs_f64()),
            Atom::Milliseconds => write!(out, "{}", duration.as_millis()),
            Atom::Microseconds => write!(out, "{}", duration.as_micros()),
            Atom::Process => write!(out, "<{}>", std::process::id()),
            Atom::Input(index) => write_header(self.inputs.get(index), out),
            Atom::Output(index) => write_header(self.outputs.get(index), out),
        };
    }

    fn write_method_and_target(&self, method: &Method, out: &mut Vec<u8>) {
        let Some(target) = &self.target else {
            out.push(b'-');
            return;
        };
        let _ = write!(out, "{method} ");
        match target.path_and_query() {
            Some(target) => write_escaped(target.as_str().as_bytes(), out),
            None => write_escaped(target.to_string().as_bytes(), out),
        }
    }
}

fn write_header(value: Option<&Option<HeaderValue>>, out: &mut Vec<u8>) -> std::io::Result<()> {
    match value {
        Some(Some(value)) => write_escaped(value.as_bytes(), out),
        _ => out.push(b'-'),
    }
    Ok(())
}

/// What a client sent, so that it can neither end the line, nor its field, nor steer a terminal: as Apache does.
fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            0x20..=0x7e => out.push(*byte),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
}

/// The user of basic authentication; not the password.
fn user_of(header: &HeaderValue) -> Option<Vec<u8>> {
    let (scheme, rest) = header.as_bytes().split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let both = STANDARD.decode(rest.trim_ascii()).ok()?;
    let user = both.split(|byte| *byte == b':').next()?;
    (!user.is_empty()).then(|| user.to_vec())
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e6
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::{Format, Style, pick};
    use super::*;

    fn line(format: &str, entry: Entry, outcome: &Outcome<'_>) -> String {
        let Style::Parts(parts) = Format::parse(format).unwrap().unwrap().style else {
            panic!("{format} has no parts");
        };
        let mut out = Vec::new();
        entry.write_parts(&parts, outcome, &Clock::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn outcome(method: &Method) -> Outcome<'_> {
        Outcome {
            method,
            status: Some(StatusCode::OK),
            sent: 12,
            duration: Duration::from_micros(1_234_567),
            queued: Duration::ZERO,
            id: None,
        }
    }

    fn entry(format: &str, headers: &[(&str, &[u8])]) -> Entry {
        let map = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_bytes(value).unwrap()))
            .collect();
        Entry {
            target: Some(Uri::from_static("/a%20b?c=d")),
            version: Version::HTTP_11,
            peer: Some(IpAddr::from([192, 0, 2, 1])),
            inputs: pick(&Format::parse(format).unwrap().unwrap().inputs, &map),
            outputs: Vec::new(),
        }
    }

    #[test]
    fn every_atom_has_its_value() {
        let format = "%(h)s|%(l)s|%(u)s|%(r)s|%(s)s|%(m)s|%(U)s|%(q)s|%(H)s|%(b)s|%(B)s|%(f)s|%(a)s|%(T)s|%(L)s|%(M)s|%(D)s|%({host}i)s|%({etag}o)s";
        let entry = entry(
            format,
            &[
                ("authorization", b"Basic YWRhOnNlY3JldA=="),
                ("referer", b"http://a/"),
                ("user-agent", b"curl"),
                ("host", b"shop"),
            ],
        );
        assert_eq!(
            line(format, entry, &outcome(&Method::GET)),
            "192.0.2.1|-|ada|GET /a%20b?c=d HTTP/1.1|200|GET|/a%20b|c=d|HTTP/1.1|12|12|http://a/|curl|1|1.234567|1234|1234567|shop|-"
        );
    }

    #[test]
    fn the_time_is_apaches() {
        let mut out = Vec::new();
        Clock::default().write(UNIX_EPOCH + Duration::from_secs(1_795_339_770), &mut out);
        assert_eq!(out, b"[22/Nov/2026:09:29:30 +0000]");
    }

    #[test]
    fn what_clients_send_stays_in_its_field() {
        let format = "\"%(a)s\" %(u)s";
        let hostile = entry(
            format,
            &[
                ("user-agent", b"a\" \\ \xff\t"),
                // "a\nb:c"
                ("authorization", b"Basic YQpiOmM="),
            ],
        );
        assert_eq!(
            line(format, hostile, &outcome(&Method::GET)),
            r#""a\" \\ \xff\x09" a\x0ab"#
        );
    }

    #[test]
    fn who_went_and_who_was_refused() {
        let gone = Outcome {
            status: None,
            sent: 0,
            ..outcome(&Method::GET)
        };
        let refused = Entry {
            target: None,
            ..entry("common", &[])
        };
        assert_eq!(line("%(r)s %(s)s %(b)s %(m)s", refused, &gone), "- 499 - -");
    }

    #[test]
    fn json_has_plain_values() {
        let entry = entry("json", &[("host", b"shop"), ("user-agent", b"\xe9\"")]);
        let mut out = Vec::new();
        entry.write_json(&outcome(&Method::GET), &mut out);
        let found: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(found["path"], "/a%20b");
        assert_eq!(found["query"], "c=d");
        assert_eq!(found["status"], 200);
        assert_eq!(found["seconds"], 1.234567);
        assert_eq!(found["user_agent"], "\u{e9}\"");
        assert_eq!(found["referer"], serde_json::Value::Null);
    }
}
