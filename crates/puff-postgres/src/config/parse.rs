//! Reading libpq's two forms of connection strings into keys and values, without judging the values.

use super::ConfigError;
use super::parameter::Parameter;

/// The pairs that `text` writes, in its order; of a key that is written twice, the last.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let text = text.trim();
    let mut pairs = Pairs::default();
    match text.split_once("://") {
        Some(("postgres" | "postgresql", rest)) => read_url(rest, &mut pairs)?,
        Some((scheme, _)) if !scheme.contains(|c: char| c == '=' || c.is_whitespace()) => {
            return Err(ConfigError::Url(format!("the scheme is \"{scheme}\"")));
        }
        _ => read_pairs(text, &mut pairs)?,
    }
    Ok(pairs.0)
}

/// Writes pairs as a key-value string.
pub(super) fn write(pairs: &[(String, String)]) -> String {
    let mut text = String::new();
    for (key, value) in pairs {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(key);
        text.push('=');
        let plain =
            !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '\'' || c == '\\');
        if plain {
            text.push_str(value);
            continue;
        }
        text.push('\'');
        for character in value.chars() {
            if matches!(character, '\'' | '\\') {
                text.push('\\');
            }
            text.push(character);
        }
        text.push('\'');
    }
    text
}

#[derive(Default)]
struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn set(&mut self, key: &str, value: String) -> Result<(), ConfigError> {
        let key = match key {
            // The word of many other clients.
            "database" => "dbname",
            "TimeZone" => "timezone",
            key => key,
        };
        if Parameter::find(key).is_none() {
            return Err(ConfigError::UnknownKey {
                key: key.to_owned(),
                nearest: Parameter::nearest(key),
            });
        }
        if value.contains('\0') {
            // The value is not repeated: it may be the password.
            return Err(ConfigError::Value {
                key: key.to_owned(),
                value: "...".to_owned(),
                reason: "it contains a NUL character".to_owned(),
            });
        }
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, earlier)) => *earlier = value,
            None => self.0.push((key.to_owned(), value)),
        }
        Ok(())
    }
}

/// Reads what follows `postgres://`.
///
/// Not by the `url` crate: libpq allows what web URLs do not, such as an empty host after a user or several
/// hosts, and its errors would have to be kept from printing passwords.
fn read_url(rest: &str, pairs: &mut Pairs) -> Result<(), ConfigError> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (credentials, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = match credentials.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (credentials, None),
    };
    let (hosts, ports) = read_hosts(address)?;
    for (key, value) in [
        ("user", user),
        ("host", &hosts),
        ("port", &ports),
        ("dbname", path),
    ] {
        if !value.is_empty() {
            pairs.set(key, decode(key, value)?)?;
        }
    }
    if let Some(password) = password {
        pairs.set("password", decode("password", password)?)?;
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            // Not repeated: it may be the end of a password with a question mark in it.
            return Err(ConfigError::Url(
                "a word after the question mark has no value".to_owned(),
            ));
        };
        let (key, value) = (decode("a key", key)?, decode(key, value)?);
        match (key.as_str(), value.as_str()) {
            // JDBC's spelling, which libpq reads as well.
            ("ssl", "true") => pairs.set("sslmode", "require".to_owned())?,
            _ => pairs.set(&key, value)?,
        }
    }
    Ok(())
}

/// Takes `a:1,[::1]:2,c` apart into two lists, still encoded; ports are empty if none is written.
fn read_hosts(text: &str) -> Result<(String, String), ConfigError> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for address in text.split(',') {
        let (host, port) = match address.strip_prefix('[') {
            Some(v6) => match v6.split_once(']') {
                Some((host, "")) => (host, ""),
                Some((host, port)) if port.starts_with(':') => (host, &port[1..]),
                _ => return Err(ConfigError::Url("the address in brackets has no end".to_owned())),
            },
            None => address.split_once(':').unwrap_or((address, "")),
        };
        hosts.push(host);
        ports.push(port);
    }
    let ports = match ports.iter().all(|port| port.is_empty()) {
        true => String::new(),
        false => ports.join(","),
    };
    Ok((hosts.join(","), ports))
}

/// Resolves `%XX`.
fn decode(key: &str, text: &str) -> Result<String, ConfigError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let decoded = match byte {
            b'%' => match (rest.next().and_then(hex_digit), rest.next().and_then(hex_digit)) {
                (Some(high), Some(low)) => high * 16 + low,
                _ => return Err(ConfigError::Url(format!("{key} has a % without two hex digits"))),
            },
            byte => byte,
        };
        bytes.push(decoded);
    }
    String::from_utf8(bytes).map_err(|_| ConfigError::Url(format!("{key} is not UTF-8")))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Reads `key = 'value' key=value ...`; a backslash takes the next character as it is.
fn read_pairs(text: &str, pairs: &mut Pairs) -> Result<(), ConfigError> {
    let mut characters = text.chars().peekable();
    loop {
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        if characters.peek().is_none() {
            return Ok(());
        }
        let mut key = String::new();
        while let Some(character) = characters.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(character);
        }
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        if characters.next() != Some('=') {
            // The word may be a piece of a password with a space in it: it is not repeated.
            return Err(ConfigError::Pairs("a word is not followed by =".to_owned()));
        }
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = characters.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match characters.next() {
                Some('\'') if quoted => break,
                None if quoted => return Err(ConfigError::Pairs(format!("the quote of {key} has no end"))),
                Some('\\') => value.extend(characters.next()),
                Some(character) if quoted || !character.is_whitespace() => value.push(character),
                _ => break,
            }
        }
        pairs.set(&key, value)?;
    }
}
