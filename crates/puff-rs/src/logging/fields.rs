//! The fields of a line of text: the message, `name=value`, and a traceback on lines of its own.

use std::fmt::{self, Debug, Write};

use tracing_subscriber::field::{RecordFields, Visit};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// tracing-subscriber's own would write a traceback as one quoted line.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextFields;

impl<'writer> FormatFields<'writer> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Visitor {
            writer: Clean(writer),
            is_empty: true,
            result: Ok(()),
        };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct Visitor<'writer> {
    writer: Clean<'writer>,
    is_empty: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    fn write(&mut self, separator: char, text: fmt::Arguments<'_>) {
        if self.result.is_err() {
            return;
        }
        let separated = match self.is_empty {
            true => Ok(()),
            false => self.writer.write_char(separator),
        };
        self.is_empty = false;
        self.result = separated.and_then(|()| self.writer.write_fmt(text));
    }
}

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        match field.name() {
            "message" => self.write(' ', format_args!("{value}")),
            "exception" => self.write('\n', format_args!("{value}")),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.write(' ', format_args!("{value:?}")),
            // Of crates that log by `log`: which line of which file it was.
            name if name.starts_with("log.") => {}
            name => self.write(' ', format_args!("{}={value:?}", name.trim_start_matches("r#"))),
        }
    }
}

/// Writes what would steer a terminal as text: a log shows what clients sent.
struct Clean<'writer>(Writer<'writer>);

impl Write for Clean<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
        let mut rest = text;
        while let Some((index, c)) = rest.char_indices().find(|(_, c)| steers(*c)) {
            self.0.write_str(&rest[..index])?;
            write!(self.0, "{}", c.escape_default())?;
            rest = &rest[index + c.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}
