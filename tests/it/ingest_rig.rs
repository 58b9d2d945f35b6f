//! A source that polls twenty times a second into a store of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::SecretString;
use sigfox2mqtt::config::{self, DownlinkVia, Filter, Schedule, SigfoxApi, SourceKind};
use sigfox2mqtt::ingest::{Nudge, Source, SourceState, SourceStatus, StatusBoard};
use sigfox2mqtt::model::{Event, SourceName};
use sigfox2mqtt::store::{Store, UplinkQuery};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{eventually, open_store};

/// A running source with the cloud that it polls; it ends with its test.
pub(crate) struct Rig<C> {
    pub(crate) cloud: C,
    pub(crate) store: Store,
    pub(crate) board: StatusBoard,
    pub(crate) nudge: Nudge,
    stop: CancellationToken,
    task: Task,
    _folder: TempDir,
}

impl<C> Drop for Rig<C> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<C> Rig<C> {
    pub(crate) fn start(cloud: C, config: config::Source) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, _syncer) = open_store(folder.path());
        let (board, nudge, stop, task) = begin(config, &store);
        Self { cloud, store, board, nudge, stop, task, _folder: folder }
    }

    /// Ends the source in order, and starts another with the same store.
    pub(crate) async fn restart(&mut self, config: config::Source) {
        self.stop.cancel();
        (&mut self.task).await.unwrap().unwrap();
        (self.board, self.nudge, self.stop, self.task) = begin(config, &self.store);
    }

    pub(crate) fn status(&self) -> SourceStatus {
        self.board.all().remove(&name()).unwrap()
    }

    pub(crate) fn sequence_numbers(&self) -> Vec<u16> {
        let uplinks = self.store.uplinks(&UplinkQuery::default()).unwrap();
        uplinks.iter().map(|uplink| uplink.seq.unwrap()).collect()
    }

    /// The outbox, uplinks as their sequence numbers and everything else by its kind.
    pub(crate) fn outbox(&self) -> Vec<String> {
        let entries = self.store.outbox_head(&BTreeSet::new(), 10_000).unwrap();
        let printed = entries.into_iter().map(|entry| match entry.event {
            Event::Uplink(uplink) => format!("uplink {}", uplink.seq.unwrap()),
            Event::Location { uplink, .. } => format!("location {}", uplink.is_some()),
            Event::Bridge { kind, .. } => kind,
            Event::Service { kind, detail, .. } => format!("{kind} {detail}"),
            other => format!("{other:?}"),
        });
        printed.collect()
    }

    pub(crate) fn told(&self, what: &str) -> usize {
        self.outbox().iter().filter(|event| event.starts_with(what)).count()
    }

    /// Waits for so many uplinks.
    pub(crate) async fn has(&self, count: usize) {
        // What else waits in the outbox (new devices, states) comes before the uplinks or is little.
        let depth = u64::try_from(count).unwrap();
        eventually("uplinks in the store", || {
            self.store.outbox_depth().unwrap().0 > depth && self.sequence_numbers().len() >= count
        })
        .await;
    }

    pub(crate) async fn is(&self, state: SourceState) {
        eventually("a state of the source", || self.status().state == state).await;
    }

    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap().unwrap();
    }
}

type Task = JoinHandle<anyhow::Result<()>>;

fn begin(config: config::Source, store: &Store) -> (StatusBoard, Nudge, CancellationToken, Task) {
    let board = StatusBoard::new([name()]);
    let source = Source::new(config, store.clone(), board.clone()).unwrap();
    let (nudge, stop) = (source.nudge(), CancellationToken::new());
    #[expect(clippy::disallowed_methods, reason = "the rig owns and ends it")]
    let task = tokio::spawn(source.run(stop.clone()));
    (board, nudge, stop, task)
}

pub(crate) fn name() -> SourceName {
    "factory".parse().unwrap()
}

pub(crate) fn sigfox(api: SigfoxApi) -> SourceKind {
    SourceKind::Sigfox { api, login: "login".to_owned(), password: SecretString::from("secret") }
}

pub(crate) fn config(url: &str, kind: SourceKind) -> config::Source {
    let daily = Schedule::Every(Duration::from_secs(86_400));
    config::Source {
        name: name(),
        kind,
        url: url.parse().unwrap(),
        insecure: false,
        ca_file: None,
        poll: Schedule::Every(Duration::from_millis(50)),
        locations: daily.clone(),
        inventory: daily.clone(),
        resync: daily,
        backfill: Duration::from_secs(3 * 86_400),
        overlap: Duration::from_secs(900),
        filter: Filter { device_types: vec!["*".to_owned()], ..Filter::default() },
        rate: (10_000, Duration::from_secs(1)),
        timeout: Duration::from_secs(30),
        downlink: DownlinkVia::None,
        direct_group: false,
        callback_token: None,
        callback_batch: None,
    }
}

pub(crate) fn now_ms() -> i64 {
    sigfox2mqtt::clock::now().as_millis()
}
