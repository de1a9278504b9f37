//! What signals ask of a supervisor.

use nix::sys::signal::Signal;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wish {
    /// New workers.
    Reload,
    /// A worker more.
    More,
    /// A worker less.
    Fewer,
    /// What the greenlets of all workers do.
    Dump,
    /// The end, by the signal with this number.
    Stop(i32),
}

/// The signals that a supervisor obeys.
pub(super) struct Signals([(SignalStream, Wish); 6]);

impl Signals {
    /// Takes the signals from now on.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn new() -> std::io::Result<Signals> {
        let stream = |signum: Signal| signal(SignalKind::from_raw(signum as i32));
        let stop = |signum: Signal| Wish::Stop(signum as i32);
        Ok(Signals([
            (stream(Signal::SIGTERM)?, stop(Signal::SIGTERM)),
            (stream(Signal::SIGINT)?, stop(Signal::SIGINT)),
            (stream(Signal::SIGHUP)?, Wish::Reload),
            (stream(Signal::SIGTTIN)?, Wish::More),
            (stream(Signal::SIGTTOU)?, Wish::Fewer),
            (stream(Signal::SIGUSR1)?, Wish::Dump),
        ]))
    }

    /// The next wish.
    pub(super) async fn next(&mut self) -> Wish {
        std::future::poll_fn(|context| {
            for (stream, wish) in &mut self.0 {
                if stream.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*wish);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}
