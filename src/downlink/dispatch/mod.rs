//! Downlinks that we bring to a cloud ourselves: into Soracom's slot, or into a Sigfox device type's fixed answer.
//!
//! One task a source; a cloud that fails is left alone for a while, and holds up nobody else.

mod direct;
mod soracom;

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use self::direct::Direct;
use self::soracom::Slots;
use super::Queues;
use crate::clock;
use crate::cloud::{self, Client};
use crate::config::{DownlinkVia, Source};
use crate::model::{Device, SourceName};
use crate::store::StoreError;

/// How often queues are looked at for something to bring.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The first pause after a failure, and the longest; each failure after another doubles it.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// Brings a source's downlinks to its cloud.
#[derive(Debug)]
pub struct Dispatcher {
    source: SourceName,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Slots(Slots),
    Direct(Direct),
}

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Cloud(#[from] cloud::Error),
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl Dispatcher {
    /// What brings this source's downlinks; none where its cloud asks for them, or it has none.
    #[must_use]
    pub fn new(source: &Source, queues: &Queues, client: Client) -> Option<Self> {
        let way = match (source.downlink, client) {
            (DownlinkVia::Soracom, Client::Soracom(cloud)) => Way::Slots(Slots::new(queues.clone(), cloud)),
            (DownlinkVia::Direct, Client::Sigfox(cloud)) => {
                Way::Direct(Direct::new(queues.clone(), source.name.clone(), cloud))
            }
            _ => return None,
        };
        Some(Self { source: source.name.clone(), way })
    }

    /// Runs until told to stop; then takes down what stands in fixed answers.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if let Err(trouble) = self.take_back().await {
            tracing::warn!(source = %self.source, error = %trouble, "downlinks stay in doubt");
        }
        let mut failures = 0;
        let mut resume = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {}
            }
            // What has expired, and how many went out today, is known by the clock alone.
            if Instant::now() < resume || !clock::is_set(clock::now()) {
                continue;
            }
            // A round that is cut off by the stop leaves what a crash would leave.
            let round = tokio::select! {
                () = stop.cancelled() => break,
                round = self.round() => round,
            };
            match round {
                Ok(()) => failures = 0,
                Err(trouble) => {
                    resume = Instant::now() + pause(failures);
                    failures = failures.saturating_add(1);
                    tracing::warn!(source = %self.source, error = %trouble, "downlinks wait for their cloud");
                }
            }
        }
        if let Way::Direct(direct) = &mut self.way {
            direct.take_down().await;
        }
        Ok(())
    }

    async fn take_back(&self) -> Result<(), Trouble> {
        match &self.way {
            Way::Slots(slots) => slots.take_back(&self.devices()?).await,
            // Reading the answer back tells what stands there.
            Way::Direct(_) => Ok(()),
        }
    }

    async fn round(&mut self) -> Result<(), Trouble> {
        let devices = self.devices()?;
        match &mut self.way {
            Way::Slots(slots) => slots.round(&devices).await,
            Way::Direct(direct) => direct.round(&devices).await,
        }
    }

    /// The source's devices that have items.
    fn devices(&self) -> Result<Vec<Device>, StoreError> {
        let queues = match &self.way {
            Way::Slots(slots) => slots.queues(),
            Way::Direct(direct) => direct.queues(),
        };
        let mut devices = Vec::new();
        for id in queues.store.queued_devices()? {
            devices.extend(queues.store.device(id)?.filter(|device| device.source == self.source));
        }
        Ok(devices)
    }
}

fn pause(failures: u32) -> Duration {
    PAUSE.0.saturating_mul(1 << failures.min(16)).min(PAUSE.1)
}

/// Whether a call that failed has certainly changed nothing: the cloud has answered that it did not.
fn changed_nothing(error: &cloud::Error) -> bool {
    use cloud::Error;
    match error {
        Error::Unauthorized { .. }
        | Error::Forbidden { .. }
        | Error::NotFound { .. }
        | Error::RateLimited { .. }
        | Error::Refused { .. }
        | Error::Unsupported { .. }
        | Error::Setup(_) => true,
        Error::Retry { .. } | Error::Malformed { .. } | Error::Circle { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let seconds: Vec<_> = (0..9).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(pause(u32::MAX), PAUSE.1);
    }
}
