//! What every request of the simulator sees: the world, its faults, and what was asked so far.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::altair::Studio;
use super::fault::{Fault, FaultKind};
use super::pace::WorldClock;
use super::soracom::Sessions;
use super::world::World;
use crate::clock;
use crate::model::Timestamp;

/// So many different paths are counted apart.
const MOST_PATHS: usize = 10_000;

/// Who may ask. Whatever is simulated, the same for everyone.
#[derive(Debug, Clone)]
pub struct Logins {
    /// Sigfox: login of the API user.
    pub login: String,
    /// Sigfox: its password.
    pub password: String,
    /// Soracom: `keyId-…`.
    pub auth_key_id: String,
    /// Soracom: the key.
    pub auth_key: String,
    /// Altair: the client.
    pub client_id: String,
    /// Altair: its secret.
    pub client_secret: String,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            login: "5f0000000000000000000a91".to_owned(),
            password: "simulated".to_owned(),
            auth_key_id: "keyId-simulated".to_owned(),
            auth_key: "secret-simulated".to_owned(),
            client_id: "client-simulated".to_owned(),
            client_secret: "secret-simulated".to_owned(),
        }
    }
}

/// Which way the next page of messages is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cursor {
    /// `before` the first message that is not shown, included: messages of one instant are never lost.
    #[default]
    Included,
    /// `before` the last message that is shown, excluded: the rest of its instant is lost to who only follows.
    Excluded,
    /// `offset`: the window shifts when messages come in between.
    Offset,
}

/// The state of a running simulator.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: WorldClock,
    pub(super) logins: Logins,
    pub(super) cursor: Cursor,
    pub(super) rate_limits: bool,
    /// Told whenever the world has something new to do.
    pub(super) changed: Notify,
    world: Mutex<World>,
    sessions: Mutex<Sessions>,
    studio: Mutex<Studio>,
    faults: Mutex<Vec<Fault>>,
    requests: Mutex<BTreeMap<String, u64>>,
    recent: Mutex<HashMap<String, VecDeque<Instant>>>,
}

impl Shared {
    pub(super) fn new(
        world: World,
        clock: WorldClock,
        logins: Logins,
        cursor: Cursor,
        rate_limits: bool,
        faults: Vec<Fault>,
    ) -> Self {
        Self {
            clock,
            logins,
            cursor,
            rate_limits,
            changed: Notify::new(),
            world: Mutex::new(world),
            sessions: Mutex::default(),
            studio: Mutex::default(),
            faults: Mutex::new(faults),
            requests: Mutex::default(),
            recent: Mutex::default(),
        }
    }

    /// What time it is in the world.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.at(clock::now())
    }

    /// The world, for as long as the guard lives; never across an await.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// Soracom's tokens; never across an await.
    pub(super) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        lock(&self.sessions)
    }

    /// Altair IoT Studio; never across an await.
    pub(super) fn studio(&self) -> MutexGuard<'_, Studio> {
        lock(&self.studio)
    }

    pub(super) fn set_faults(&self, faults: Vec<Fault>) {
        *lock(&self.faults) = faults;
    }

    pub(super) fn add_fault(&self, fault: Fault) {
        lock(&self.faults).push(fault);
    }

    /// How many lines of the script still strike.
    pub(super) fn faults_left(&self) -> usize {
        lock(&self.faults).len()
    }

    /// What goes wrong with this request, by the first line of the script that still strikes.
    pub(super) fn strike(&self, path_and_query: &str) -> Option<FaultKind> {
        let mut faults = lock(&self.faults);
        let struck = faults.iter_mut().find_map(|fault| fault.strike(path_and_query));
        faults.retain(|fault| !fault.is_spent());
        struck
    }

    pub(super) fn count(&self, method_and_path: String) {
        let mut requests = lock(&self.requests);
        if requests.len() < MOST_PATHS || requests.contains_key(&method_and_path) {
            *requests.entry(method_and_path).or_default() += 1;
        }
    }

    /// How often each method and path was asked for.
    pub(super) fn requests(&self) -> BTreeMap<String, u64> {
        lock(&self.requests).clone()
    }

    /// Whether one more request under this name still fits into `most` in `span`.
    pub(super) fn within_limit(&self, name: &str, most: usize, span: Duration) -> bool {
        if !self.rate_limits {
            return true;
        }
        let mut recent = lock(&self.recent);
        if recent.len() > MOST_PATHS {
            recent.clear();
        }
        let now = Instant::now();
        let times = recent.entry(name.to_owned()).or_default();
        while times.front().is_some_and(|time| now.duration_since(*time) >= span) {
            times.pop_front();
        }
        let fits = times.len() < most;
        if fits {
            times.push_back(now);
        }
        fits
    }
}

/// A panic elsewhere does not make the simulated world unusable.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
