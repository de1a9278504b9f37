//! The form of a line: gunicorn's atoms, compiled once.

use http::header::{AUTHORIZATION, HOST, REFERER, USER_AGENT};
use http::{HeaderName, HeaderValue};

/// Apache's common log format.
const COMMON: &str = r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s"#;
/// With the page before and the browser.
const COMBINED: &str = r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s""#;

/// How a line of the access log is written, and which headers have to be kept for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) style: Style,
    /// Headers of the request that lines show.
    pub(super) inputs: Vec<HeaderName>,
    /// Headers of the answer that lines show.
    pub(super) outputs: Vec<HeaderName>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Style {
    /// A short line for the person who looks on.
    Dev,
    /// An object per line. Its headers are those of `JSON_INPUTS`.
    Json,
    /// Text and values in turn.
    Parts(Vec<Part>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Atom(Atom),
}

/// The headers of a request in an object of JSON, in this order.
pub(super) const JSON_INPUTS: [HeaderName; 3] = [HOST, REFERER, USER_AGENT];

/// A value in a line; numbers are places in `Format::inputs` and `outputs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Atom {
    Client,
    /// What nobody knows, such as the name by identd.
    Unknown,
    /// The user's name of basic authentication, in that header.
    User(usize),
    Time,
    RequestLine,
    Status,
    Method,
    Path,
    Query,
    Protocol,
    /// The body's length; 0, or `-`, if there is none.
    Bytes,
    BytesOrDash,
    Seconds,
    DecimalSeconds,
    Milliseconds,
    Microseconds,
    Process,
    Input(usize),
    Output(usize),
}

impl Format {
    /// The format that `text` names or spells out; `None` for none.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub(super) fn parse(text: &str) -> Result<Option<Format>, String> {
        let plain = |style, inputs: &[HeaderName]| Format {
            style,
            inputs: inputs.to_vec(),
            outputs: Vec::new(),
        };
        Ok(Some(match text.trim().to_ascii_lowercase().as_str() {
            "off" | "none" | "false" | "no" | "0" => return Ok(None),
            "dev" => plain(Style::Dev, &[]),
            "json" => plain(Style::Json, &JSON_INPUTS),
            "common" => Format::compile(COMMON)?,
            "combined" => Format::compile(COMBINED)?,
            _ if text.contains('%') => Format::compile(text.trim())?,
            _ => {
                return Err(format!(
                    "{text:?} is none of off, dev, common, combined and json, and has no values such as %(r)s"
                ));
            }
        }))
    }

    fn compile(text: &str) -> Result<Format, String> {
        let mut format = Format {
            style: Style::Json,
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            literal.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                literal.push('%');
                rest = after;
                continue;
            }
            let (name, after) = rest
                .strip_prefix('(')
                .and_then(|rest| rest.split_once(")s"))
                .ok_or_else(|| format!("a % in {text:?} begins nothing like %(r)s; write %% for the sign"))?;
            rest = after;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Atom(format.atom(name)?));
        }
        literal.push_str(rest);
        if literal.contains(char::is_control) {
            return Err("a line of the access log cannot have control characters of its own".to_owned());
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        format.style = Style::Parts(parts);
        Ok(format)
    }

    fn atom(&mut self, name: &str) -> Result<Atom, String> {
        if let Some((header, kind)) = name.strip_prefix('{').and_then(|name| name.split_once('}')) {
            let wrong = |_| format!("{header:?} in %({name})s is no name of a header");
            let header = HeaderName::from_bytes(header.as_bytes()).map_err(wrong)?;
            return match kind {
                "i" => Ok(Atom::Input(index(&mut self.inputs, header))),
                "o" => Ok(Atom::Output(index(&mut self.outputs, header))),
                _ => Err(format!(
                    "%({name})s is not known: {{NAME}}i is a header of the request, {{NAME}}o one of the answer"
                )),
            };
        }
        Ok(match name {
            "h" => Atom::Client,
            "l" => Atom::Unknown,
            "u" => Atom::User(index(&mut self.inputs, AUTHORIZATION)),
            "t" => Atom::Time,
            "r" => Atom::RequestLine,
            "s" => Atom::Status,
            "m" => Atom::Method,
            "U" => Atom::Path,
            "q" => Atom::Query,
            "H" => Atom::Protocol,
            "b" => Atom::BytesOrDash,
            "B" => Atom::Bytes,
            "f" => Atom::Input(index(&mut self.inputs, REFERER)),
            "a" => Atom::Input(index(&mut self.inputs, USER_AGENT)),
            "T" => Atom::Seconds,
            "L" => Atom::DecimalSeconds,
            "M" => Atom::Milliseconds,
            "D" => Atom::Microseconds,
            "p" => Atom::Process,
            _ => {
                return Err(format!(
                    "%({name})s is not known; there are h l u t r s m U q H b B f a T L M D p, {{NAME}}i and {{NAME}}o"
                ));
            }
        })
    }
}

/// The place of `header` in `headers`, where it is put if it is new.
fn index(headers: &mut Vec<HeaderName>, header: HeaderName) -> usize {
    match headers.iter().position(|known| *known == header) {
        Some(index) => index,
        None => {
            headers.push(header);
            headers.len() - 1
        }
    }
}

/// The values of `names` among `headers`; a header that was sent more than once counts with its first value.
pub(super) fn pick(names: &[HeaderName], headers: &http::HeaderMap) -> Vec<Option<HeaderValue>> {
    names.iter().map(|name| headers.get(name).cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atoms_are_compiled() {
        let format = Format::parse("100%% %(r)s %({X-A}i)s%({x-a}i)s %({etag}o)s")
            .unwrap()
            .unwrap();
        let text = |text: &str| Part::Text(text.to_owned());
        let expected = vec![
            text("100% "),
            Part::Atom(Atom::RequestLine),
            text(" "),
            Part::Atom(Atom::Input(0)),
            Part::Atom(Atom::Input(0)),
            text(" "),
            Part::Atom(Atom::Output(0)),
        ];
        assert_eq!(format.style, Style::Parts(expected));
        assert_eq!((format.inputs.len(), format.outputs.len()), (1, 1));
        assert_eq!(Format::parse("off"), Ok(None));
        assert!(Format::parse(COMBINED).unwrap() == Format::parse("combined").unwrap());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("often", "none of off, dev"),
            ("%(z)s", "%(z)s is not known; there are h l"),
            ("%r", "begins nothing like %(r)s"),
            ("%(r)", "begins nothing like"),
            ("%({a b}i)s", "no name of a header"),
            ("%({PATH}e)s", "{NAME}i is a header"),
            ("%(r)s\n", "control characters"),
        ] {
            let error = Format::parse(text)
                .and_then(|_| Format::compile(text))
                .unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
