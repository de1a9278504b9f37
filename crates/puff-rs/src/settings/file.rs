//! `puff.toml`: a flat table of settings.

use std::collections::HashMap;
use std::path::Path;

use super::keys;
use crate::errors::ConfigError;

/// The name of the file in the working directory.
pub const CONFIG_FILE: &str = "puff.toml";

/// The settings in the file, each as the text that a flag would have.
pub(super) fn read(path: &Path) -> Result<HashMap<String, String>, ConfigError> {
    let problem = |reason: String| ConfigError::File {
        file: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        problem(format!("{place}{}", error.message().replace('\n', " ")))
    })?;
    let mut settings = HashMap::with_capacity(table.len());
    for (name, value) in table {
        if keys::find(&name).is_none() {
            let similar = keys::similar(&name);
            return Err(ConfigError::UnknownKey {
                file: path.to_owned(),
                key: name,
                similar,
            });
        }
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            other => {
                return Err(ConfigError::Invalid {
                    source_name: format!("{}: {name}", path.display()),
                    value: other.type_str().to_owned(),
                    expected: "a text or a number",
                });
            }
        };
        settings.insert(name, value);
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CONFIG_FILE);
        std::fs::write(&path, text).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error.replace(&path.display().to_string(), "puff.toml")
    }

    #[test]
    fn an_unknown_key_is_named() {
        assert_eq!(
            error_of("bnd = '1'"),
            "puff.toml: unknown key \"bnd\" (did you mean \"bind\"?)"
        );
        assert_eq!(
            error_of("max-body = 1"),
            "puff.toml: unknown key \"max-body\" (did you mean \"max_body\"?)"
        );
        assert_eq!(error_of("colour = 'red'"), "puff.toml: unknown key \"colour\"");
    }

    #[test]
    fn broken_toml_names_the_line() {
        assert!(error_of("bind = '1'\nthreads = = 3\n").starts_with("puff.toml: line 2: "));
    }

    #[test]
    fn tables_are_no_values() {
        assert_eq!(
            error_of("[bind]\nhost = 1"),
            "puff.toml: bind: \"table\" is not a text or a number"
        );
    }
}
