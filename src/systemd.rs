//! What systemd is told: ready, reloading, stopping, and that we live. Without systemd, nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::vitals::Vitals;

/// No part gives signs of life more often than every two seconds.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(5);

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

/// Tells that the gateway works when every part does, then feeds the watchdog, where there is one, while none of
/// them stands still. A part that ends takes the process with it, so it needs no watching here.
///
/// # Errors
/// None; the signature is that of every task.
pub async fn attend(vitals: Vitals, stop: CancellationToken) -> anyhow::Result<()> {
    if stop.run_until_cancelled(vitals.all_alive()).await.is_none() {
        return Ok(());
    }
    tracing::info!("gateway ready");
    ready();
    let Some(timeout) = sd_notify::watchdog_enabled() else {
        stop.cancelled().await;
        return Ok(());
    };
    // Twice a period, so that one late tick of a loaded machine does not end the process.
    let mut tick = tokio::time::interval((timeout / 2).max(Duration::from_millis(100)));
    let patience = (timeout / 2).max(SHORTEST_PATIENCE);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        match vitals.still(Instant::now(), patience).as_slice() {
            [] => tell(&[NotifyState::Watchdog]),
            still => tracing::error!(parts = still.join(", "), "stands still; systemd will start it again"),
        }
    }
    Ok(())
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
