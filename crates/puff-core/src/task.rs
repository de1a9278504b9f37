//! Supervised tasks: a future that panics is reported with its name, never lost.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::error;

/// Runs `future` on `tokio`; a panic inside it is logged with `name`.
///
/// Dropping the returned handle leaves the task running; [`JoinHandle::abort`] drops the future at its
/// next `await`.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let handle = puff_core::task::spawn(&tokio::runtime::Handle::current(), "answer", async { 42 });
/// assert_eq!(handle.await.unwrap(), Some(42));
/// # });
/// ```
pub fn spawn<F>(tokio: &Handle, name: &'static str, future: F) -> JoinHandle<Option<F::Output>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let inner = tokio.spawn(future);
    let abort = AbortOnDrop(inner.abort_handle());
    tokio.spawn(async move {
        let _abort = abort;
        match inner.await {
            Ok(value) => Some(value),
            Err(failure) => {
                if failure.is_panic() {
                    error!(
                        task = name,
                        "a task panicked: {}",
                        panic_message(&*failure.into_panic())
                    );
                }
                None
            }
        }
    })
}

/// Runs `function`, which blocks, on a thread for such work; a future of its value.
///
/// Tokio keeps up to 512 such threads; more calls wait for one. Dropping the future takes the call back if it
/// has not begun; one that has begun runs to its end, for a thread cannot be interrupted.
///
/// # Errors
/// [`BlockingError`]: a panic in `function`, or the end of Tokio before it began.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let tokio = tokio::runtime::Handle::current();
/// assert_eq!(puff_core::task::blocking(&tokio, || 6 * 7).await.unwrap(), 42);
/// let error = puff_core::task::blocking(&tokio, || panic!("no luck")).await.map(|()| 0);
/// assert_eq!(error.unwrap_err().to_string(), "the blocking work panicked: no luck");
/// # });
/// ```
pub fn blocking<F, T>(
    tokio: &Handle,
    function: F,
) -> impl Future<Output = Result<T, BlockingError>> + Send + use<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let task = tokio.spawn_blocking(function);
    let abort = AbortOnDrop(task.abort_handle());
    async move {
        let _abort = abort;
        task.await.map_err(|failure| match failure.try_into_panic() {
            Ok(payload) => BlockingError::Panicked(panic_message(&*payload).to_owned()),
            Err(_) => BlockingError::Cancelled,
        })
    }
}

/// Why [`blocking`] work gave no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockingError {
    /// It panicked, with this message.
    #[error("the blocking work panicked: {0}")]
    Panicked(String),
    /// Tokio ended before the work began.
    #[error("the runtime ended before the blocking work began")]
    Cancelled,
}

/// The text of a panic's payload, for logs and error answers.
pub fn panic_message(payload: &(dyn std::any::Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "no message"
    }
}

/// Ends the supervised task together with its supervisor.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_task_and_nothing_else() {
        let handle = spawn(&Handle::current(), "doomed", async { panic!("on purpose") });
        let value: Option<()> = handle.await.expect("the supervisor itself never panics");
        assert_eq!(value, None);
    }

    #[tokio::test]
    async fn aborting_the_supervisor_drops_the_future() {
        let (alive, mut dropped) = tokio::sync::oneshot::channel::<()>();
        let handle = spawn(&Handle::current(), "long", async move {
            let _alive = alive;
            std::future::pending::<()>().await
        });
        tokio::task::yield_now().await;
        handle.abort();
        let closed = tokio::time::timeout(std::time::Duration::from_secs(5), &mut dropped).await;
        assert!(closed.expect("dropped in time").is_err());
    }
}
