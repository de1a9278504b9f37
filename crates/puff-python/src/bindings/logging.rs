//! Records of Python's `logging` as events of `tracing`.

use std::sync::OnceLock;

use parking_lot::RwLock;
use pyo3::prelude::*;
use pyo3::types::PyString;
use rustc_hash::FxHashMap;
use tracing::callsite::{Callsite, Identifier, register};
use tracing::dispatcher::get_default;
use tracing::field::{Field, FieldSet, Value};
use tracing::level_filters::LevelFilter;
use tracing::metadata::Kind;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata};

/// The fields of an event, in the order in which they are written.
const FIELDS: [&str; 6] = ["message", "request_id", "method", "path", "greenlet", "exception"];

/// How many loggers keep their names as targets: what is made for one lives for ever, as Python's logger does.
const MAX_LOGGERS: usize = 4096;

/// The target of the loggers beyond those.
const OTHERS: &str = "python";

/// One logger on one level: to `tracing`, whose targets are static, a place in the source.
struct Site {
    metadata: OnceLock<Metadata<'static>>,
}

impl Site {
    fn make(target: &'static str, level: Level) -> &'static Site {
        let site: &'static Site = Box::leak(Box::new(Site {
            metadata: OnceLock::new(),
        }));
        let fields = FieldSet::new(&FIELDS, Identifier(site));
        let metadata = Metadata::new(
            "Python's logging",
            target,
            level,
            None,
            None,
            None,
            fields,
            Kind::EVENT,
        );
        site.metadata.get_or_init(|| metadata);
        register(site);
        site
    }

    fn known(&self) -> &Metadata<'static> {
        self.metadata
            .get()
            .expect("`make` sets it before anybody sees the site")
    }
}

impl Callsite for Site {
    /// Not kept: whether a record is wanted is asked each time. Python's levels keep most away before.
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.known()
    }
}

/// The sites of one logger, by level.
struct Logger {
    target: &'static str,
    sites: [OnceLock<&'static Site>; 5],
}

impl Logger {
    fn make(target: &'static str) -> &'static Logger {
        Box::leak(Box::new(Logger {
            target,
            sites: Default::default(),
        }))
    }

    fn site(&self, level: i64) -> &'static Site {
        let (index, level) = match level {
            40.. => (0, Level::ERROR),
            30.. => (1, Level::WARN),
            20.. => (2, Level::INFO),
            10.. => (3, Level::DEBUG),
            _ => (4, Level::TRACE),
        };
        self.sites[index].get_or_init(|| Site::make(self.target, level))
    }
}

/// Where `puff._logging` leaves records: the subscriber of the program, whichever that is.
///
/// Usable from any thread, before the runtime starts and after it has ended.
#[pyclass(frozen, module = "puff")]
pub(super) struct LogSink {
    loggers: RwLock<FxHashMap<String, &'static Logger>>,
    others: &'static Logger,
}

impl LogSink {
    fn site(&self, level: i64, name: &str) -> &'static Site {
        let known = self.loggers.read().get(name).copied();
        known.unwrap_or_else(|| self.add(name)).site(level)
    }

    fn add(&self, name: &str) -> &'static Logger {
        let mut loggers = self.loggers.write();
        if let Some(logger) = loggers.get(name) {
            return logger;
        }
        if loggers.len() >= MAX_LOGGERS {
            return self.others;
        }
        let logger = Logger::make(Box::leak(Box::from(name)));
        loggers.insert(name.to_owned(), logger);
        logger
    }
}

#[pymethods]
impl LogSink {
    #[new]
    fn new() -> LogSink {
        LogSink {
            loggers: RwLock::default(),
            others: Logger::make(OTHERS),
        }
    }

    /// Whether a record of Python's numeric `level` would be written.
    fn enabled(&self, py: Python<'_>, level: i64, logger: &Bound<'_, PyString>) -> bool {
        if LevelFilter::current() == LevelFilter::OFF {
            return false;
        }
        let name = logger.to_string_lossy();
        // Detached here and below: a subscriber may hold locks of its own, and one that formats objects of
        // Python's needs the interpreter to give them back.
        py.detach(|| {
            let site = self.site(level, &name);
            get_default(|dispatch| dispatch.enabled(site.known()))
        })
    }

    /// Writes a record that `enabled` let through; `texts` are its `FIELDS`, with None for what it has not.
    fn emit(
        &self,
        py: Python<'_>,
        level: i64,
        logger: &Bound<'_, PyString>,
        texts: [Option<Bound<'_, PyString>>; FIELDS.len()],
    ) {
        // Python's text may hold what is no Unicode; a log shows it as far as it can.
        let name = logger.to_string_lossy();
        let texts = texts
            .each_ref()
            .map(|text| text.as_ref().map(|text| text.to_string_lossy()));
        py.detach(|| {
            let texts = texts.each_ref().map(|text| text.as_deref());
            write(self.site(level, &name).known(), &texts);
        });
    }
}

/// Sends an event with the texts as `FIELDS`.
fn write(metadata: &'static Metadata<'static>, texts: &[Option<&str>; FIELDS.len()]) {
    let fields = metadata.fields();
    let names: Vec<Field> = fields.iter().collect();
    let Ok(names) = <[Field; FIELDS.len()]>::try_from(names) else {
        return;
    };
    let values: [(&Field, Option<&dyn Value>); FIELDS.len()] = std::array::from_fn(|index| {
        (
            &names[index],
            texts[index].as_ref().map(|text| text as &dyn Value),
        )
    });
    Event::dispatch(metadata, &fields.value_set(&values));
}

pub(super) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LogSink>()
}
