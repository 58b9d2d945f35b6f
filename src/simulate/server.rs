//! The simulator as a server: its address, its tasks, and what a test can ask it directly.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer::Refusal;
use super::connection::{Cuttable, Cutter};
use super::fault::Fault;
use super::intercept::intercept;
use super::pace::{Pace, WorldClock};
use super::shared::{Cursor, Logins, Shared};
use super::world::{Received, Telegram, Uplink, World};
use super::{altair, control, courier, sigfox_v1, sigfox_v2, soracom};
use crate::clock;
use crate::model::DeviceId;

/// How a world is served.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who may ask.
    pub logins: Logins,
    /// Which way the next page of messages is named.
    pub cursor: Cursor,
    /// Whether the documented ceilings on requests are enforced.
    pub rate_limits: bool,
    /// What goes wrong from the start.
    pub faults: Vec<Fault>,
    /// How fast the world's clock runs; it is right when the simulator starts.
    pub clock: Pace,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            logins: Logins::default(),
            cursor: Cursor::default(),
            rate_limits: true,
            faults: Vec::new(),
            clock: Pace::default(),
        }
    }
}

/// A world with an address, not yet served.
#[derive(Debug)]
pub struct Simulator {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Simulator {
    /// Takes the address.
    ///
    /// # Errors
    /// An address that is taken or not ours.
    pub async fn bind(world: World, options: Options) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("the simulator cannot listen on {}", options.listen))?;
        let address = listener.local_addr().context("the simulator's address")?;
        let Options { logins, cursor, rate_limits, faults, clock, .. } = options;
        let clock = WorldClock::new(clock::now(), clock);
        let shared = Arc::new(Shared::new(world, clock, logins, cursor, rate_limits, faults));
        Ok(Self { listener, address, shared })
    }

    /// Takes the address and serves in tasks of its own, until the returned value is shut down or dropped.
    ///
    /// # Errors
    /// As [`Simulator::bind`].
    pub async fn start(world: World, options: Options) -> anyhow::Result<Running> {
        let simulator = Self::bind(world, options).await?;
        let (address, shared) = (simulator.address, Arc::clone(&simulator.shared));
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(simulator.run(stop.clone()));
        Ok(Running { address, shared, stop, tasks })
    }

    /// Where it serves.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until told to stop.
    ///
    /// # Errors
    /// The listener's or the courier's end.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let router = Router::new()
            .merge(sigfox_v2::router(&self.shared))
            .merge(sigfox_v1::router(&self.shared))
            .merge(soracom::router(&self.shared))
            .merge(altair::router(&self.shared))
            .nest("/sim", control::router())
            .fallback(|| async { Refusal::not_found() })
            .layer(from_fn_with_state(Arc::clone(&self.shared), intercept))
            .with_state(Arc::clone(&self.shared));
        let service = router.into_make_service_with_connect_info::<Cutter>();
        // Without waiting for open connections: a fault may be holding one for minutes.
        let serve = async {
            tokio::select! {
                served = axum::serve(Cuttable(self.listener), service) => served.context("the simulator's listener"),
                () = stop.cancelled() => Ok(()),
            }
        };
        tokio::try_join!(serve, courier::run(Arc::clone(&self.shared), stop.clone())).map(|_both| ())
    }
}

/// A simulator that serves.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Running {
    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The `url` of a Sigfox v2 source.
    #[must_use]
    pub fn sigfox_v2_url(&self) -> String {
        format!("http://{}/v2", self.address)
    }

    /// The `url` of a Sigfox v1 source.
    #[must_use]
    pub fn sigfox_v1_url(&self) -> String {
        format!("http://{}/api", self.address)
    }

    /// The `url` of a Soracom source.
    #[must_use]
    pub fn soracom_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The `url` of an Altair IoT Studio mirror.
    #[must_use]
    pub fn altair_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Looks into the world, or changes it.
    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        let looked = look(&mut self.shared.world());
        self.shared.changed.notify_one();
        looked
    }

    /// Makes a device send now; its callbacks are called. None if there is no such device.
    pub fn send(&self, device: DeviceId, telegram: Telegram) -> Option<Uplink> {
        let now = self.shared.now();
        self.world(|world| world.send(device, telegram, now))
    }

    /// Puts a message into the history that only a poll finds.
    pub fn record(&self, uplink: Uplink) {
        self.world(|world| world.record(uplink));
    }

    /// What a device received, oldest first.
    #[must_use]
    pub fn received(&self, device: DeviceId) -> Vec<Received> {
        self.world(|world| world.received(device).to_vec())
    }

    /// Adds a fault to the script.
    pub fn fault(&self, fault: Fault) {
        self.shared.add_fault(fault);
    }

    /// How many lines of the script still strike.
    #[must_use]
    pub fn faults_left(&self) -> usize {
        self.shared.faults_left()
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.shared.set_faults(Vec::new());
    }

    /// Ends every Soracom token, as a change of the account does.
    pub fn end_tokens(&self) {
        self.shared.sessions().end_all();
    }

    /// How often each method and path was asked for, such as `GET /v2/devices`.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.shared.requests()
    }

    /// How many requests had this in their method and path.
    #[must_use]
    pub fn requests_with(&self, part: &str) -> u64 {
        self.requests().iter().filter(|(path, _)| path.contains(part)).map(|(_, count)| count).sum()
    }

    /// Stops serving and waits for the end.
    ///
    /// # Errors
    /// What the tasks ended with.
    pub async fn shut_down(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("the simulator's task")??;
        }
        Ok(())
    }
}
