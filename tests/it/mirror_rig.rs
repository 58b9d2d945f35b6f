//! A mirror on a real store, against the simulated studio, and a client that looks at what came of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use sigfox2mqtt::cloud::Access;
use sigfox2mqtt::cloud::altair::{Action, Altair, Login, Moment, Thing, ThingFilter};
use sigfox2mqtt::config::{Config, Environment};
use sigfox2mqtt::decode::Registry;
use sigfox2mqtt::downlink::Queues;
use sigfox2mqtt::ingest::{SourceState, StatusBoard};
use sigfox2mqtt::mirror::{Mirror, Parts};
use sigfox2mqtt::model::{DeviceId, SourceName};
use sigfox2mqtt::mqtt::topic::Topics;
use sigfox2mqtt::publish::Run;
use sigfox2mqtt::simulate::{Options, Running, Simulator, World};
use sigfox2mqtt::store::{self, Store};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A store with a mirror, and the studio that it mirrors to.
pub(crate) struct Rig {
    pub(crate) studio: Running,
    pub(crate) client: Altair,
    pub(crate) store: Store,
    pub(crate) queues: Queues,
    pub(crate) sources: StatusBoard,
    pub(crate) board: StatusBoard,
    config: Arc<Config>,
    folder: TempDir,
    running: Option<(CancellationToken, JoinSet<anyhow::Result<()>>)>,
}

pub(crate) fn config(url: &str, more: &str) -> Config {
    let text = format!(
        "version = 1\n[gateway]\nid = \"gw\"\ndata_dir = \"/nowhere\"\n\
         [sources.factory]\nkind = \"sigfox\"\nlogin = \"user\"\npassword = \"secret\"\n\
         downlink = \"callback\"\ncallback_token = \"token\"\n\
         [devices.1A2B3C]\nname = \"Tank 3\"\ndecoder = \"level\"\n\
         [decoders.level]\nformat = \"level::uint:16 alarm::bool:0\"\n\
         [decoders.level.fields.level]\nunit = \"mm\"\n\
         [mirrors.studio]\nurl = \"{url}\"\nspace = \"s\"\nclient_id = \"client-simulated\"\n\
         client_secret = \"secret-simulated\"\npoll = \"1s\"\nrate = \"1000/1s\"\n{more}\n"
    );
    let loaded = Config::parse(&text, "config.toml", Path::new("."), &Environment::default());
    loaded.map_err(|problems| problems.lines().collect::<Vec<_>>()).unwrap().config
}

pub(crate) fn open(dir: &Path) -> Store {
    let options = store::Options { dir: dir.to_owned(), cache: 8 << 20, flush: Duration::from_secs(5) };
    Store::open(options).unwrap().0
}

/// A mirror of a configuration.
pub(crate) fn mirror(
    config: &Arc<Config>,
    store: &Store,
    sources: &StatusBoard,
    board: &StatusBoard,
) -> Mirror {
    let registry = Arc::new(Registry::new(config).unwrap());
    Mirror::new(Parts {
        settings: config.mirrors[0].clone(),
        config: Arc::clone(config),
        store: store.clone(),
        queues: Queues::new(store.clone(), Arc::clone(config), Arc::clone(&registry)),
        registry,
        sources: sources.clone(),
        board: board.clone(),
        topics: Topics::new("sigfox2mqtt", "homeassistant"),
        run: Run::default(),
    })
    .unwrap()
}

/// A client that looks at the space.
pub(crate) fn client(url: &str) -> Altair {
    let access = Access {
        url: url.parse().unwrap(),
        insecure: false,
        ca_file: None,
        rate: (1000, Duration::from_secs(1)),
        timeout: Duration::from_secs(10),
    };
    let login = Login {
        space: "s".to_owned(),
        client_id: "client-simulated".to_owned(),
        client_secret: SecretString::from("secret-simulated"),
        prefer: None,
    };
    Altair::new(&access, &login, "thing category").unwrap()
}

fn factory() -> SourceName {
    "factory".parse().unwrap()
}

impl Rig {
    /// A studio, and a mirror that does not run yet.
    pub(crate) async fn new(more: &str) -> Self {
        let studio = Simulator::start(World::new(1), Options::default()).await.unwrap();
        let config = Arc::new(config(&studio.altair_url(), more));
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        store.tenant(&config.mirrors[0].tenant()).unwrap();
        let registry = Arc::new(Registry::new(&config).unwrap());
        Self {
            client: client(&studio.altair_url()),
            studio,
            queues: Queues::new(store.clone(), Arc::clone(&config), registry),
            store,
            sources: StatusBoard::new([factory()]),
            board: StatusBoard::new(config.mirrors.iter().map(|mirror| mirror.name.clone())),
            config,
            folder,
            running: None,
        }
    }

    pub(crate) fn start(&mut self) {
        let mirror = mirror(&self.config, &self.store, &self.sources, &self.board);
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(mirror.run(stop.clone()));
        self.running = Some((stop, tasks));
    }

    pub(crate) async fn stop(&mut self) {
        let (stop, mut tasks) = self.running.take().unwrap();
        stop.cancel();
        tasks.join_next().await.unwrap().unwrap().unwrap();
    }

    /// The store of a gateway whose disk was lost.
    pub(crate) fn lose_the_store(&mut self) {
        self.folder = tempfile::tempdir().unwrap();
        self.store = open(self.folder.path());
        self.store.tenant(&self.config.mirrors[0].tenant()).unwrap();
    }

    /// The source answers from now on.
    pub(crate) fn source_is_well(&self) {
        self.sources.update(&factory(), |status| {
            status.state = SourceState::Ok;
            status.last_success = Some(sigfox2mqtt::clock::now());
        });
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.store.tenant_depth(&self.config.mirrors[0].tenant()).unwrap().0
    }

    pub(crate) fn state(&self) -> SourceState {
        self.board.all().into_values().next().unwrap().state
    }

    /// Waits until nothing waits.
    pub(crate) async fn told(&self) {
        crate::support::eventually("the studio has everything", || self.waiting() == 0).await;
    }

    pub(crate) async fn things(&self) -> Vec<Thing> {
        let page = self.client.things(&ThingFilter::default()).next_page().await.unwrap().unwrap();
        page.rows
    }

    /// The Thing of a device, once there is one.
    pub(crate) async fn thing(&self, device: &str) -> Thing {
        loop {
            let found = self.things().await;
            let is_it = |thing: &Thing| thing.status.get("sigfoxId") == Some(&Value::from(device));
            if let Some(thing) = found.into_iter().find(is_it) {
                return thing;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What is kept of a property, oldest first.
    pub(crate) async fn history(&self, uid: &str, property: &str) -> Vec<Moment> {
        let mut pages = self.client.history(uid, Some(property));
        let mut moments = Vec::new();
        while let Some(page) = pages.next_page().await.unwrap() {
            moments.extend(page.rows);
        }
        moments.sort_by_key(|moment| moment.at);
        moments
    }

    /// An action once it is no longer pending.
    pub(crate) async fn ended(&self, uid: &str, id: &str) -> Action {
        for _ in 0..1500 {
            let page = self.client.actions(uid, Some("downlink")).next_page().await.unwrap().unwrap();
            if let Some(action) =
                page.rows.into_iter().find(|action| action.id == id && action.status != "pending")
            {
                return action;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the action {id} never ended");
    }

    pub(crate) fn queue(&self, device: &str) -> Vec<sigfox2mqtt::model::Downlink> {
        let device: DeviceId = device.parse().unwrap();
        self.queues.list(Some(device)).unwrap()
    }
}
