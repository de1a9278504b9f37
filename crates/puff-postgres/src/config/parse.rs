//! Reading libpq's two forms of connection strings.

use std::path::PathBuf;
use std::time::Duration;

use super::{Config, ConfigError, Host};

pub(super) fn parse(text: &str) -> Result<Config, ConfigError> {
    let text = text.trim();
    let mut settings = Settings::default();
    match text.split_once("://") {
        Some(("postgres" | "postgresql", rest)) => read_url(rest, &mut settings)?,
        Some((scheme, _)) if !scheme.contains('=') => {
            return Err(ConfigError::Url(format!("the scheme is \"{scheme}\"")));
        }
        _ => read_pairs(text, &mut settings)?,
    }
    settings.finish()
}

/// What has been read; defaults depend on the whole.
#[derive(Default)]
struct Settings {
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    application_name: Option<String>,
    options: Option<String>,
    time_zone: Option<String>,
    connect_timeout: Option<Duration>,
    statement_cache_size: Option<usize>,
}

impl Settings {
    fn set(&mut self, key: &str, value: String) -> Result<(), ConfigError> {
        let bad = |reason: &str| ConfigError::Value {
            key: key.to_owned(),
            value: value.clone(),
            reason: reason.to_owned(),
        };
        if value.contains('\0') {
            // The value is not repeated: it may be the password.
            let (key, value) = (key.to_owned(), "...".to_owned());
            return Err(ConfigError::Value {
                key,
                value,
                reason: "it contains a NUL character".to_owned(),
            });
        }
        let unsupported = |advice| {
            Err(ConfigError::Unsupported {
                key: key.to_owned(),
                value: value.clone(),
                advice,
            })
        };
        match key {
            "host" if value.contains(',') => return unsupported("; name one host"),
            "host" => self.host = Some(value),
            "port" => match value.parse() {
                Ok(port) if port > 0 => self.port = Some(port),
                _ => return Err(bad("a port is a number from 1 to 65535")),
            },
            "user" => self.user = Some(value),
            "password" => self.password = Some(value),
            "dbname" | "database" => self.database = Some(value),
            "application_name" | "fallback_application_name" => self.application_name = Some(value),
            "options" => self.options = Some(value),
            "timezone" => self.time_zone = Some(value),
            "connect_timeout" => match value.parse::<u32>() {
                Ok(seconds) if seconds > 0 => {
                    self.connect_timeout = Some(Duration::from_secs(seconds.into()));
                }
                _ => {
                    return Err(bad(
                        "it is a number of seconds, at least 1: every wait has an end",
                    ));
                }
            },
            "statement_cache_size" => {
                let size = value.parse().map_err(|_| bad("it is a number of statements"))?;
                self.statement_cache_size = Some(size);
            }
            "client_encoding" => match value.to_ascii_lowercase().as_str() {
                "utf8" | "utf-8" | "auto" => {}
                _ => return Err(bad("only UTF8 is spoken here")),
            },
            "sslmode" => match value.as_str() {
                "disable" | "allow" | "prefer" => {}
                "require" | "verify-ca" | "verify-full" => {
                    return unsupported(": connections are not encrypted; use a socket or a private network");
                }
                _ => return Err(bad("the modes are disable, allow, prefer")),
            },
            "channel_binding" | "gssencmode" => match value.as_str() {
                "disable" | "prefer" => {}
                _ => return unsupported(""),
            },
            "target_session_attrs" => match value.as_str() {
                "any" => {}
                _ => return unsupported(""),
            },
            _ => return Err(ConfigError::UnknownKey(key.to_owned())),
        }
        Ok(())
    }

    fn finish(self) -> Result<Config, ConfigError> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let user = given(self.user).or_else(system_user).ok_or(ConfigError::NoUser)?;
        let mut config = Config::new(user);
        if let Some(host) = given(self.host) {
            config.host = if host.starts_with('/') {
                Host::Unix(PathBuf::from(host))
            } else {
                Host::Tcp(host)
            };
        }
        config.port = self.port.unwrap_or(config.port);
        config.password = given(self.password);
        config.database = given(self.database).unwrap_or(config.database);
        config.application_name = given(self.application_name);
        config.options = given(self.options);
        config.time_zone = given(self.time_zone);
        config.connect_timeout = self.connect_timeout.unwrap_or(config.connect_timeout);
        config.statement_cache_size = self.statement_cache_size.unwrap_or(config.statement_cache_size);
        Ok(config)
    }
}

/// As libpq does: without a user it is whoever runs the program.
fn system_user() -> Option<String> {
    nix::unistd::User::from_uid(nix::unistd::geteuid())
        .ok()
        .flatten()
        .map(|user| user.name)
}

/// Reads what follows `postgres://`.
///
/// Not by the `url` crate: libpq allows what web URLs do not, such as an empty host after a user, and its
/// errors would have to be kept from printing passwords.
fn read_url(rest: &str, settings: &mut Settings) -> Result<(), ConfigError> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (credentials, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = match credentials.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (credentials, None),
    };
    let (host, port) = match address.strip_prefix('[') {
        Some(v6) => match v6.split_once(']') {
            Some((host, "")) => (host, ""),
            Some((host, port)) if port.starts_with(':') => (host, &port[1..]),
            _ => return Err(ConfigError::Url("the address in brackets has no end".to_owned())),
        },
        None => address.split_once(':').unwrap_or((address, "")),
    };
    for (key, value) in [("user", user), ("host", host), ("port", port), ("dbname", path)] {
        if !value.is_empty() {
            settings.set(key, decode(key, value)?)?;
        }
    }
    if let Some(password) = password {
        settings.set("password", decode("password", password)?)?;
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(ConfigError::Url(format!(
                "\"{pair}\" after the question mark has no value"
            )));
        };
        settings.set(&decode("a key", key)?, decode(key, value)?)?;
    }
    Ok(())
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
fn read_pairs(text: &str, settings: &mut Settings) -> Result<(), ConfigError> {
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
        settings.set(&key, value)?;
    }
}
