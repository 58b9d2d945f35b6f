//! Owns every task of the daemon: each has a name, and the first that ends unasked ends all.
//!
//! Knows nothing of what the tasks do.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// The tasks of the daemon, in the order in which they are to end.
///
/// Tasks are spawned in stages: when the daemon stops, the stage spawned first is told first, and the next one
/// only when it has ended. So what feeds a queue ends before what empties it. All of them begin with `run`.
#[derive(Default)]
pub struct Supervisor {
    stages: Vec<Stage>,
}

type Task = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

#[derive(Default)]
struct Stage {
    stop: CancellationToken,
    waiting: Vec<(String, Task)>,
    tasks: JoinSet<anyhow::Result<()>>,
    names: Vec<(Id, String)>,
}

impl Supervisor {
    /// No tasks yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the next stage and gives the token that tells its tasks to stop.
    pub fn stage(&mut self) -> CancellationToken {
        let stage = Stage::default();
        let stop = stage.stop.clone();
        self.stages.push(stage);
        stop
    }

    /// Takes a task into the stage begun last.
    pub fn spawn(
        &mut self,
        name: impl Into<String>,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        if self.stages.is_empty() {
            self.stages.push(Stage::default());
        }
        if let Some(stage) = self.stages.last_mut() {
            stage.waiting.push((name.into(), Box::pin(task)));
        }
    }

    /// Runs until `stop` resolves or a task ends unasked, then ends stage after stage, each within `grace`.
    ///
    /// # Errors
    /// The first task that failed or ended unasked, by name; tasks that had to be cut off after the grace period.
    pub async fn run(mut self, stop: impl Future<Output = ()>, grace: Duration) -> anyhow::Result<()> {
        for stage in &mut self.stages {
            stage.begin();
        }
        let mut outcome = tokio::select! {
            () = stop => Ok(()),
            ended = first_end(&mut self.stages) => Err(ended),
        };
        for stage in &mut self.stages {
            stage.stop.cancel();
            if let Err(error) = stage.end(grace).await {
                tracing::error!(error = format!("{error:#}"), "task did not end in order");
                outcome = outcome.and(Err(error));
            }
        }
        outcome
    }
}

/// Waits for any task of any stage to end, which none should before it is told to.
async fn first_end(stages: &mut [Stage]) -> anyhow::Error {
    let ends = stages.iter_mut().filter(|stage| !stage.tasks.is_empty()).map(|stage| {
        Box::pin(async move {
            match stage.tasks.join_next_with_id().await {
                Some(ended) => stage.verdict(ended, true).err(),
                None => None,
            }
        })
    });
    let ends: Vec<_> = ends.collect();
    if ends.is_empty() {
        return std::future::pending().await;
    }
    let (first, _, _) = futures_util::future::select_all(ends).await;
    first.unwrap_or_else(|| anyhow!("a task ended unasked"))
}

impl Stage {
    fn begin(&mut self) {
        for (name, task) in self.waiting.drain(..) {
            let id = self.tasks.spawn(task).id();
            self.names.push((id, name));
        }
    }

    async fn end(&mut self, grace: Duration) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        let all = async {
            while let Some(ended) = self.tasks.join_next_with_id().await {
                outcome = std::mem::replace(&mut outcome, Ok(())).and(verdict(&self.names, ended, false));
            }
        };
        if tokio::time::timeout(grace, all).await.is_err() {
            self.tasks.abort_all();
            outcome = outcome.and(Err(anyhow!("{} task(s) did not end within {grace:?}", self.tasks.len())));
        }
        outcome
    }

    fn verdict(&self, ended: Ended, unasked: bool) -> anyhow::Result<()> {
        verdict(&self.names, ended, unasked)
    }
}

type Ended = Result<(Id, anyhow::Result<()>), JoinError>;

fn verdict(names: &[(Id, String)], ended: Ended, unasked: bool) -> anyhow::Result<()> {
    let name = |id: Id| {
        names.iter().find(|(known, _)| *known == id).map_or("without a name", |(_, name)| name.as_str())
    };
    match ended {
        Ok((id, Ok(()))) if unasked => Err(anyhow!("task {} ended unasked", name(id))),
        Ok((_, Ok(()))) => Ok(()),
        Ok((id, Err(error))) => Err(error).with_context(|| format!("task {}", name(id))),
        Err(error) if error.is_cancelled() => Ok(()),
        Err(error) => Err(anyhow!("task {} broke off: {error}", name(error.id()))),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::{Arc, Mutex};

    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn stages_end_one_after_the_other() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut supervisor = Supervisor::new();
        for name in ["sources", "publisher", "store"] {
            let (stop, order) = (supervisor.stage(), Arc::clone(&order));
            supervisor.spawn(name, async move {
                stop.cancelled().await;
                tokio::task::yield_now().await;
                order.lock().unwrap().push(name);
                Ok(())
            });
        }
        supervisor.run(async {}, GRACE).await.unwrap();
        assert_eq!(*order.lock().unwrap(), ["sources", "publisher", "store"]);
    }

    #[tokio::test]
    async fn a_task_that_ends_unasked_ends_all_by_name() {
        let mut supervisor = Supervisor::new();
        let stop = supervisor.stage();
        supervisor.spawn("patient", async move {
            stop.cancelled().await;
            Ok(())
        });
        supervisor.spawn("hasty", async { Ok(()) });
        let error = supervisor.run(pending(), GRACE).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "task hasty ended unasked");
    }

    #[tokio::test]
    async fn the_error_of_a_task_keeps_its_causes() {
        let mut supervisor = Supervisor::new();
        supervisor.stage();
        supervisor.spawn("store", async { Err(anyhow!("no room").context("cannot flush")) });
        let error = supervisor.run(pending(), GRACE).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "task store: cannot flush: no room");
    }

    #[tokio::test]
    async fn a_task_that_does_not_listen_is_cut_off_after_the_grace_period() {
        let mut supervisor = Supervisor::new();
        supervisor.stage();
        supervisor.spawn("deaf", pending());
        let error = supervisor.run(async {}, Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "1 task(s) did not end within 20ms");
    }
}
