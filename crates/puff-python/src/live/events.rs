//! Channels whose messages are the events of an HTTP answer, `text/event-stream`.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use puff_redis::{Error, Event, Message, Position, PubSub, PubSubConnection, SubscribeOptions};

use super::frame::{Format, Frame, gap_object, gap_of};

/// How an event stream begins, and what its events are.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct EventOptions {
    /// What `data` is.
    pub format: Format,
    /// Where the messages begin, for each channel; from now on if it is empty.
    pub since: Vec<Position>,
    /// What the client sent as `Last-Event-ID`. It comes before `since`: the client knows what it has seen. One that is
    /// none of these channels' ids is answered with a gap.
    pub last_event_id: Option<String>,
    /// The events' type; without one browsers have them as `message`.
    pub event: Option<String>,
    /// How long the client is to wait before it connects again.
    pub retry: Option<Duration>,
}

/// The messages of channels as server-sent events.
///
/// Each event's id is the position in its channel, of several channels their positions with commas between, so that
/// a browser's `EventSource` that connects again goes on where it was. A gap is an event of the type `gap`; a body
/// that is not UTF-8, with [`Format::Body`], one of the type `base64`.
pub struct EventStream {
    connection: PubSubConnection,
    /// In the order of the ids.
    channels: Vec<(Arc<str>, Position)>,
    format: Format,
    /// `event: …` with its line's end, or nothing.
    kind: String,
    /// What waits to be sent.
    pieces: VecDeque<Bytes>,
    buffer: BytesMut,
    events: Vec<Event>,
}

/// How many events are written at once.
const BATCH: usize = 64;

/// Bodies that are longer are sent as they are instead of being copied.
const SHORT: usize = 4 << 10;

/// An id has a position of each, and comes back in a header.
const MOST_CHANNELS: usize = 100;

impl EventStream {
    /// Subscribes to `channels`; returns when that is confirmed.
    ///
    /// # Errors
    /// As [`PubSubConnection::subscribe_with`]; [`Error::Invalid`] for no channels, more than 100 of them, or one that is
    /// named twice, and for options that are not possible.
    pub async fn open<S: AsRef<str>>(
        pubsub: &PubSub,
        channels: &[S],
        options: EventOptions,
    ) -> Result<EventStream, Error> {
        check(channels, &options)?;
        let EventOptions {
            format,
            mut since,
            last_event_id,
            event,
            retry,
        } = options;
        let mut lost = false;
        if let Some(id) = last_event_id.filter(|id| !id.is_empty()) {
            match parse(&id, channels.len()) {
                Some(positions) => since = positions,
                None => (lost, since) = (true, Vec::new()),
            }
        }
        let connection = pubsub.connection();
        let mut found = Vec::with_capacity(channels.len());
        let mut buffer = BytesMut::new();
        if let Some(retry) = retry {
            buffer.put_slice(format!("retry: {}\n", retry.as_millis()).as_bytes());
        }
        for (number, channel) in channels.iter().enumerate() {
            let channel = channel.as_ref();
            let mut subscribe = SubscribeOptions::default();
            subscribe.since = since.get(number).copied();
            let base = connection.subscribe_with(channel, subscribe).await?;
            found.push((Arc::from(channel), base));
        }
        // So that the client sees at once that it is heard; and where it stands, for the case that it is cut off
        // before the first message.
        write_id(&mut buffer, &found);
        buffer.put_slice(b"\n");
        if lost {
            for (channel, _) in &found {
                write_gap(&mut buffer, &gap_of(channel, None, None));
            }
        }
        Ok(EventStream {
            connection,
            channels: found,
            format,
            kind: event.map(|name| format!("event: {name}\n")).unwrap_or_default(),
            pieces: VecDeque::from([buffer.split().freeze()]),
            buffer,
            events: Vec::new(),
        })
    }

    /// What is to be sent next: one event or several. `None` when the connection to pub-sub is closed; its client may
    /// come again, and goes on where it was. Cancel safe.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Some(piece);
            }
            self.connection.receive_many(&mut self.events, BATCH).await.ok()?;
            let mut events = std::mem::take(&mut self.events);
            for event in events.drain(..) {
                self.write(&event);
            }
            self.events = events;
            self.cut();
        }
    }

    fn write(&mut self, event: &Event) {
        match event {
            Event::Message(message) => self.write_message(message),
            Event::Gap(gap) => {
                write_gap(&mut self.buffer, &gap_object(gap));
            }
            // Nobody has asked for others.
            _ => {}
        }
    }

    fn write_message(&mut self, message: &Message) {
        if let Some(position) = message.position {
            let own = self
                .channels
                .iter_mut()
                .find(|(name, _)| *name == message.channel);
            if let Some((_, at)) = own {
                *at = position;
            }
            write_id(&mut self.buffer, &self.channels);
        }
        self.buffer.put_slice(self.kind.as_bytes());
        let data = match self.format.frame(message) {
            Frame::Text(data) => data,
            Frame::Binary(data) => {
                // The last type that an event has counts.
                self.buffer.put_slice(b"event: base64\n");
                STANDARD.encode(&data).into()
            }
        };
        self.write_data(data);
        self.buffer.put_slice(b"\n");
    }

    /// The lines of `data`.
    fn write_data(&mut self, data: Bytes) {
        if self.format != Format::Body || !data.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            self.buffer.put_slice(b"data: ");
            match data.len() > SHORT {
                true => {
                    self.cut();
                    self.pieces.push_back(data);
                }
                false => self.buffer.put_slice(&data),
            }
            return self.buffer.put_slice(b"\n");
        }
        let mut rest = &data[..];
        loop {
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            self.buffer.put_slice(b"data: ");
            self.buffer.put_slice(&rest[..end.unwrap_or(rest.len())]);
            self.buffer.put_slice(b"\n");
            let Some(end) = end else { return };
            let length = if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
            rest = &rest[end + length..];
        }
    }

    /// What was written becomes a piece.
    fn cut(&mut self) {
        if !self.buffer.is_empty() {
            self.pieces.push_back(self.buffer.split().freeze());
        }
    }
}

fn check<S: AsRef<str>>(channels: &[S], options: &EventOptions) -> Result<(), Error> {
    let invalid = |what: &str, reason: String| {
        Err(Error::Invalid {
            what: what.to_owned(),
            reason,
        })
    };
    if !(1..=MOST_CHANNELS).contains(&channels.len()) {
        let reason = format!("there are {}, 1 to {MOST_CHANNELS} are possible", channels.len());
        return invalid("the channels", reason);
    }
    for (number, channel) in channels.iter().enumerate() {
        let channel = channel.as_ref();
        if channels[..number].iter().any(|other| other.as_ref() == channel) {
            return invalid("the channels", format!("{channel:?} is among them twice"));
        }
    }
    if !options.since.is_empty() && options.since.len() != channels.len() {
        let reason = format!(
            "there are {} for {} channels",
            options.since.len(),
            channels.len()
        );
        return invalid("the positions", reason);
    }
    if options
        .event
        .as_ref()
        .is_some_and(|name| name.contains(['\n', '\r']))
    {
        return invalid("the type of the events", "it has a line break".to_owned());
    }
    Ok(())
}

/// The positions of an event's id.
pub(super) fn parse(id: &str, channels: usize) -> Option<Vec<Position>> {
    let positions: Option<Vec<Position>> = id.split(',').map(|text| text.trim().parse().ok()).collect();
    positions.filter(|positions| positions.len() == channels)
}

fn write_gap(buffer: &mut BytesMut, gap: &[u8]) {
    buffer.put_slice(b"event: gap\ndata: ");
    buffer.put_slice(gap);
    buffer.put_slice(b"\n\n");
}

fn write_id(buffer: &mut BytesMut, channels: &[(Arc<str>, Position)]) {
    buffer.put_slice(b"id: ");
    for (number, (_, position)) in channels.iter().enumerate() {
        if number > 0 {
            buffer.put_slice(b",");
        }
        // It grows as it needs to.
        let _ = write!(buffer, "{position}");
    }
    buffer.put_slice(b"\n");
}
