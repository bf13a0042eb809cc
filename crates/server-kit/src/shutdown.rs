//! When to stop: SIGINT (Ctrl-C) and SIGTERM (what orchestrators send).

use std::future::pending;

use tokio::signal::unix::{SignalKind, signal};

/// Completes when the process is asked to stop, with the signal's name. Must be polled inside a tokio runtime.
pub async fn shutdown_signal() -> &'static str {
    tokio::select! {
        () = arrival(SignalKind::interrupt(), "SIGINT") => "SIGINT",
        () = arrival(SignalKind::terminate(), "SIGTERM") => "SIGTERM",
    }
}

async fn arrival(kind: SignalKind, name: &str) {
    match signal(kind) {
        Ok(mut signals) => {
            if signals.recv().await.is_none() {
                pending::<()>().await;
            }
        }
        Err(error) => {
            // The other signal still works; a server that stopped here would be worse.
            log::error!("{name} cannot be waited for: {error}");
            pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    // One test for both, since a signal reaches every waiter in the process.
    #[tokio::test]
    async fn each_signal_is_told_by_name() {
        for (sent, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
            let mut stop = pin!(shutdown_signal());
            // The handler must stand before the signal is sent, or it would end the test process.
            let early =
                poll_fn(|context| Poll::Ready(stop.as_mut().poll(context).is_ready())).await;
            assert!(!early);
            kill_process(getpid(), sent).unwrap();
            assert_eq!(stop.await, name);
        }
    }
}
