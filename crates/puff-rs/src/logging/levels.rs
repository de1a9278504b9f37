//! The setting `log` as levels of Python's loggers, so that a record nobody wants costs Python a comparison.

use tracing_subscriber::filter::LevelFilter;

/// Names of loggers (the root's is empty) and Python's numbers for levels.
pub(crate) type LoggerLevels = Vec<(String, u8)>;

/// What the directives of a filter that has been parsed by `EnvFilter` mean for Python's loggers.
///
/// Directives with spans mean nothing there. Without a directive for all targets nothing else is logged.
pub(super) fn of_filter(text: &str) -> LoggerLevels {
    let mut levels = vec![(String::new(), number(LevelFilter::OFF))];
    for directive in text.split(',').map(str::trim) {
        if directive.is_empty() || directive.contains(['[', ']', '{', '}', ':']) {
            continue;
        }
        let (target, level) = match directive.split_once('=') {
            Some((target, level)) => (target, level.parse().unwrap_or(LevelFilter::TRACE)),
            None => match directive.parse() {
                Ok(level) => ("", level),
                Err(_) => (directive, LevelFilter::TRACE),
            },
        };
        levels.retain(|(known, _)| known != target);
        levels.push((target.to_owned(), number(level)));
    }
    levels
}

/// One level for all loggers.
pub(super) fn of_root(level: LevelFilter) -> LoggerLevels {
    vec![(String::new(), number(level))]
}

fn number(level: LevelFilter) -> u8 {
    match level {
        LevelFilter::OFF => 60,
        LevelFilter::ERROR => 40,
        LevelFilter::WARN => 30,
        LevelFilter::INFO => 20,
        LevelFilter::DEBUG => 10,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(text: &str) -> Vec<(String, u8)> {
        let mut levels = of_filter(text);
        levels.sort();
        levels
    }

    fn pairs(pairs: &[(&str, u8)]) -> Vec<(String, u8)> {
        pairs
            .iter()
            .map(|(name, level)| ((*name).to_owned(), *level))
            .collect()
    }

    #[test]
    fn directives_are_levels_of_loggers() {
        assert_eq!(levels("warn"), pairs(&[("", 30)]));
        assert_eq!(levels("off"), pairs(&[("", 60)]));
        assert_eq!(
            levels("info, blog.views=debug,hyper::proto=trace,shop"),
            pairs(&[("", 20), ("blog.views", 10), ("shop", 5)])
        );
        assert_eq!(levels("debug,error"), pairs(&[("", 40)]));
        assert_eq!(levels("blog=warn"), pairs(&[("", 60), ("blog", 30)]));
        assert_eq!(
            levels("[operation{greenlet=\"a\"}]=debug,info"),
            pairs(&[("", 20)])
        );
    }
}
