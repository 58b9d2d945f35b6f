//! What systemd is told: ready, reloading, stopping, and that we live. Without systemd, nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

/// Tells that the gateway works.
pub fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("running")]);
}

/// Tells that the configuration is being read again; `ready` tells that it has been.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "systemd could not be told"),
    }
}

/// Tells that the gateway ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Feeds the watchdog, where there is one: a runtime that stands still feeds it no more. A task that ends takes the
/// process with it, so it needs no watching here.
///
/// # Errors
/// None; the signature is that of every task.
pub async fn watchdog(stop: CancellationToken) -> anyhow::Result<()> {
    let Some(timeout) = sd_notify::watchdog_enabled() else {
        stop.cancelled().await;
        return Ok(());
    };
    // Twice a period, so that one late tick of a loaded machine does not end the process.
    let mut tick = tokio::time::interval((timeout / 2).max(Duration::from_millis(100)));
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        tell(&[NotifyState::Watchdog]);
    }
    Ok(())
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
