//! What concerns the daemon as a whole while it runs: another log level, the configuration read again.
//!
//! Asked for by a request over MQTT, or by SIGHUP.

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::command::{Errand, Task};
use crate::config::{Loaded, Problems};
use crate::publish::Replies;
use crate::{logging, systemd};

/// Does errands until told to stop.
#[derive(Default)]
pub struct Oversight {
    /// What is logged; none where somebody else decides that.
    pub log: Option<logging::Filter>,
    /// Reads the configuration again; none where it came from no file.
    pub reread: Option<Box<dyn Fn() -> Result<Loaded, Problems> + Send + Sync>>,
}

impl Oversight {
    /// Does errands until told to stop.
    ///
    /// # Errors
    /// SIGHUP cannot be listened for.
    pub async fn run(
        self,
        mut errands: mpsc::Receiver<Errand>,
        replies: Replies,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut hang_up = signal(SignalKind::hangup())?;
        let running = self.fingerprint();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = hang_up.recv() => {
                    systemd::reloading();
                    // Logged; nobody waits for the answer.
                    drop(self.reload(running.as_ref(), &replies).await);
                    systemd::ready();
                }
                Some(Errand { what, outcome }) = errands.recv() => {
                    let done = match what {
                        Task::LogLevel(filter) => self.log_by(&filter),
                        Task::Reload => self.reload(running.as_ref(), &replies).await,
                    };
                    // Whoever asked may have gone; what was done stays done.
                    drop(outcome.send(done));
                }
            }
        }
    }

    fn log_by(&self, filter: &str) -> Result<Value, String> {
        let log = self.log.as_ref().ok_or("the log level cannot be changed here")?;
        log.set(filter).map_err(|error| format!("{error:#}"))?;
        tracing::info!(filter, "log level changed");
        Ok(json!({ "log_level": filter }))
    }

    /// Reads the configuration again; a wrong one changes nothing.
    async fn reload(&self, running: Option<&String>, replies: &Replies) -> Result<Value, String> {
        let reread = self.reread.as_ref().ok_or("there is no configuration file to read again")?;
        let loaded = reread().and_then(Loaded::refuse_exposed).map_err(|problems| {
            tracing::error!(%problems, "configuration not taken over");
            problems.to_string()
        })?;
        let restart_required = running != Some(&fingerprint(&loaded));
        tracing::info!(restart_required, "configuration read again");
        replies.restart_required(restart_required).await;
        Ok(json!({ "restart_required": restart_required }))
    }

    fn fingerprint(&self) -> Option<String> {
        self.reread.as_ref().and_then(|reread| reread().ok()).map(|loaded| fingerprint(&loaded))
    }
}

/// What two configurations must share to be the same; secrets print as nothing, so a changed one goes unnoticed.
fn fingerprint(loaded: &Loaded) -> String {
    format!("{:?}", loaded.config)
}
