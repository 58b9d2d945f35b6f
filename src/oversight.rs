//! What concerns the daemon as a whole while it runs: another log level, the configuration read again.
//!
//! Asked for by a request over MQTT, or by SIGHUP.

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::command::{Errand, Task};
use crate::config::{Fingerprint, Loaded, Problems};
use crate::publish::Replies;
use crate::shift::Handover;
use crate::{logging, systemd};

/// Does errands until told to stop.
#[derive(Default)]
pub struct Oversight {
    /// What is logged; none where somebody else decides that.
    pub log: Option<logging::Filter>,
    /// The file of the configuration; none where it came from no file.
    pub file: Option<ConfigFile>,
}

/// The file of the configuration.
pub struct ConfigFile {
    /// Reads it again.
    pub reread: Box<dyn Fn() -> Result<Loaded, Problems> + Send + Sync>,
    /// What it said at the start.
    pub at_start: Fingerprint,
}

/// The configuration that the daemon works by, and what it takes to change it.
struct InEffect {
    file: ConfigFile,
    /// What it said when it was last taken over.
    now: Fingerprint,
    handover: Handover,
    replies: Replies,
}

impl Oversight {
    /// Does errands until told to stop.
    ///
    /// # Errors
    /// SIGHUP cannot be listened for.
    pub(crate) async fn run(
        self,
        mut errands: mpsc::Receiver<Errand>,
        replies: Replies,
        handover: Handover,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut in_effect =
            self.file.map(|file| InEffect { now: file.at_start.clone(), file, handover, replies });
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = hang_up.recv() => {
                    systemd::reloading();
                    // A refusal was logged; nobody waits for the answer.
                    if let Ok((_, Some(begun))) = reload(in_effect.as_mut()).await {
                        // An error: the rooms could not begin, and the daemon ends by that.
                        stop.run_until_cancelled(begun).await;
                    }
                    systemd::ready();
                }
                Some(Errand { what, outcome }) = errands.recv() => {
                    let done = match what {
                        Task::LogLevel(filter) => log_by(self.log.as_ref(), &filter),
                        // The answer must not wait for the rooms to change: who asked is in one of them.
                        Task::Reload => reload(in_effect.as_mut()).await.map(|(answer, _)| answer),
                    };
                    // Whoever asked may have gone; what was done stays done.
                    drop(outcome.send(done));
                }
            }
        }
    }
}

fn log_by(log: Option<&logging::Filter>, filter: &str) -> Result<Value, String> {
    let log = log.ok_or("the log level cannot be changed here")?;
    log.set(filter).map_err(|error| format!("{error:#}"))?;
    tracing::info!(filter, "log level changed");
    Ok(json!({ "log_level": filter }))
}

/// The answer to who asked, and what resolves when the rooms work by the new configuration, if they need to change.
type Reloaded = (Value, Option<oneshot::Receiver<()>>);

/// Reads the configuration again; a wrong one changes nothing.
async fn reload(in_effect: Option<&mut InEffect>) -> Result<Reloaded, String> {
    let in_effect = in_effect.ok_or("there is no configuration file to read again")?;
    in_effect.reload().await.inspect_err(|problems| tracing::error!(problems, "configuration not taken over"))
}

impl InEffect {
    async fn reload(&mut self) -> Result<Reloaded, String> {
        let loaded = (self.file.reread)().and_then(Loaded::refuse_exposed);
        let loaded = loaded.map_err(|problems| problems.to_string())?;
        let fingerprint = loaded.fingerprint();
        let waiting = self.file.at_start.changes_at_restart(&fingerprint);
        let changed = self.now.changes_now(&fingerprint);
        let begun = if changed {
            let taken_over = self.handover.take_over(loaded.config).await;
            Some(taken_over.map_err(|error| format!("{error:#}"))?)
        } else {
            None
        };
        self.now = fingerprint;
        tracing::info!(changed, restart_required = ?waiting, "configuration read again");
        let answer = json!({
            "changed": changed, "restart_required": !waiting.is_empty(), "restart_keys": waiting,
        });
        self.replies.restart_required(waiting).await;
        Ok((answer, begun))
    }
}
