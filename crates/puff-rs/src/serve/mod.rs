//! The processes that serve: one alone, or a supervisor and its workers.
//!
//! ```text
//! puff runserver --workers 2
//!   puff: supervisor     binds the sockets, starts and replaces workers; runs none of the program's code
//!     puff: worker 1     the same command once more, with the sockets inherited
//!     puff: worker 2
//! ```
//!
//! Workers are fresh processes and no forks: Python, Tokio and their threads do not survive a `fork`, and a
//! fresh one sees new code, new packages and new settings. The sockets stay open in the supervisor whatever
//! happens to workers, so that the system keeps the connections that nobody accepts at the moment.
//!
//! [`Crew`](crew::Crew) decides what happens to whom and knows no process; [`Supervisor`] does it.

mod account;
mod config;
mod crew;
mod excuse;
mod pid_file;
mod seat;
mod signals;
mod sockets;
mod supervisor;
mod title;
mod watch;
mod worker;

pub(crate) use config::ProcessConfig;
pub(crate) use pid_file::PidFile;
pub(crate) use seat::{Seat, VARIABLE as WORKER_VARIABLE};
pub(crate) use sockets::Sockets;
pub(crate) use supervisor::Supervisor;
