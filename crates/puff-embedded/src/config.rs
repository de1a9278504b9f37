//! What a program says about the private services that it wants.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How to find, start and keep the private services of one project.
///
/// ```
/// use puff_embedded::EmbeddedConfig;
/// let config = EmbeddedConfig {
///     search_dirs: vec![".venv/lib/python3.12/site-packages".into()],
///     ..EmbeddedConfig::new(".", ["puff", "supervise"])
/// };
/// assert_eq!(config.linger.as_secs(), 5);
/// ```
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// The project; its services live in `.puff/` inside, which ignores itself in git.
    pub project_dir: PathBuf,
    /// The command that runs [`crate::supervisor::main`] with the arguments after these.
    pub supervisor: Vec<OsString>,
    /// Folders of Python packages (`site-packages`) where the wheels' programs may lie; the system comes after them.
    pub search_dirs: Vec<PathBuf>,
    /// How long a service outlives its last user, so that a restart finds it running.
    pub linger: Duration,
    /// How long a service may take until it answers, waiting for other processes that start or stop it included.
    pub start_timeout: Duration,
    /// The program runs in production, where private services are refused.
    pub production: bool,
}

impl EmbeddedConfig {
    /// The usual configuration: no search folders, five seconds of lingering, thirty to start, not production.
    pub fn new(
        project_dir: impl Into<PathBuf>,
        supervisor: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            project_dir: project_dir.into(),
            supervisor: supervisor.into_iter().map(Into::into).collect(),
            search_dirs: Vec::new(),
            linger: Duration::from_secs(5),
            start_timeout: Duration::from_secs(30),
            production: false,
        }
    }
}
