//! Where the program runs: on a developer's machine or in production.

/// The environment that `PUFF_ENV` names.
///
/// It decides only defaults: production never starts private services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Environment {
    /// A developer's machine or a test run; the default.
    #[default]
    Development,
    /// `PUFF_ENV=production`: every service has to be named by its URL.
    Production,
}

impl Environment {
    /// Reads the value of `PUFF_ENV`; `None` and everything but `production` mean development.
    ///
    /// ```
    /// use puff_core::Environment;
    /// assert_eq!(Environment::parse(Some("production")), Environment::Production);
    /// assert_eq!(Environment::parse(None), Environment::Development);
    /// ```
    pub fn parse(value: Option<&str>) -> Environment {
        match value {
            Some(v) if v.eq_ignore_ascii_case("production") => Environment::Production,
            _ => Environment::Development,
        }
    }

    /// Reads `PUFF_ENV` of this process.
    pub fn from_env() -> Environment {
        Environment::parse(std::env::var("PUFF_ENV").ok().as_deref())
    }

    /// Whether this is production.
    pub fn is_production(self) -> bool {
        self == Environment::Production
    }
}
