//! The world of `simulate` and `demo`: weather monitors outdoors and Sens'its indoors, reproducible by seed.
//! Every sixth device is a Sens'it at Soracom, too or alone.

use std::time::Duration;

use super::callback::{Callback, CallbackKind, CallbackTarget};
use super::pace::Pace;
use super::sensor::{Sensor, WEATHER_GRAMMAR};
use super::world::{Device, DeviceType, Schedule, Telegram, World};
use crate::model::{DeviceId, Timestamp};

/// The device type of the weather monitors; the cloud holds its grammar.
pub const WEATHER_TYPE: &str = "5f0000000000000000000001";
/// The device type of the Sens'its; its payloads are raw to the cloud.
pub const SENSIT_TYPE: &str = "5f0000000000000000000002";

/// The shortest interval that 140 messages a day allow, rounded down to what people expect.
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// Where the weather monitors stand: a walk along the Loire.
const NAMES: [&str; 10] =
    ["Orchard", "Weir", "Quay", "Vineyard", "Mill", "Meadow", "Ferry", "Bridge", "Island", "Harbour"];

/// What the world is made of.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The same seed gives the same devices and measurements.
    pub seed: u64,
    /// How many devices there are.
    pub devices: u16,
    /// How often each device sends; at least a second.
    pub every: Duration,
    /// How fast the world lives.
    pub pace: Pace,
    /// How much history there is at the start.
    pub history: Duration,
    /// Who is called, and with which token.
    pub callbacks: Option<(CallbackTarget, Option<String>)>,
    /// How many downlinks a device is sent a day.
    pub daily_downlinks: u32,
    /// Whether the devices that Soracom has, every sixth, are unknown to the Sigfox cloud.
    pub soracom_alone: bool,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 1,
            devices: 20,
            every: TEN_MINUTES,
            pace: Pace::default(),
            history: Duration::ZERO,
            callbacks: None,
            daily_downlinks: 4,
            soracom_alone: false,
        }
    }
}

impl Scenario {
    /// The world as it is at this moment.
    #[must_use]
    pub fn build(&self, now: Timestamp) -> World {
        let mut rng = fastrand::Rng::with_seed(self.seed);
        let weather = DeviceType { keep_alive_s: 3600, ..DeviceType::new(WEATHER_TYPE, "Weather monitor") };
        let sensit = DeviceType { network_metadata: false, ..DeviceType::new(SENSIT_TYPE, "Sens'it v3") };
        let mut world = World::new(self.seed)
            .pace(self.pace)
            .daily_downlinks(self.daily_downlinks)
            .with_type(self.called(weather.grammar(WEATHER_GRAMMAR), 0xc0))
            .with_type(self.called(sensit, 0xd0));
        for index in 0..self.devices {
            let device = device(index, self.every, &mut rng);
            world.add_device(match (index % 6 == 5, self.soracom_alone) {
                (false, _) => device,
                (true, false) => device.soracom(),
                (true, true) => device.soracom_only(),
            });
        }
        self.remember(&mut world, now);
        world
    }

    fn called(&self, mut kind: DeviceType, first_id: u32) -> DeviceType {
        let Some((target, token)) = &self.callbacks else { return kind };
        let services =
            [CallbackKind::Bidir, CallbackKind::Acknowledge, CallbackKind::Advanced, CallbackKind::Status];
        for (id, service) in (first_id..).zip(services) {
            if let Some(address) = target.address(service) {
                kind =
                    kind.callback(Callback::post(format!("5f{id:022x}"), service, address, token.as_deref()));
            }
        }
        kind
    }

    fn remember(&self, world: &mut World, now: Timestamp) {
        let sent = u32::try_from(self.history.as_secs() / self.every.as_secs().max(1)).unwrap_or(u32::MAX);
        let ids: Vec<DeviceId> = world.devices().map(|device| device.id).collect();
        for (index, id) in (0_u32..).zip(ids) {
            for back in (1..=sent).rev() {
                // The devices are spread over the interval, as they are later by their schedules.
                let time = now
                    .minus(self.every * back)
                    .plus(Duration::from_secs(u64::from(index) % self.every.as_secs().max(1)));
                if let Some(uplink) = world.emit(id, Telegram::default(), time) {
                    world.record(uplink);
                }
            }
        }
    }
}

/// The first device of each ten asks for downlinks with every uplink, the others seldom.
fn device(index: u16, every: Duration, rng: &mut fastrand::Rng) -> Device {
    let outdoors = index % 2 == 0;
    let nth = usize::from(index / 2);
    let name = NAMES.get(nth % NAMES.len()).copied().unwrap_or_default();
    let round = nth / NAMES.len();
    let suffix = if round == 0 { String::new() } else { format!(" {}", round + 1) };
    // Live ids have four to eight digits and are not padded.
    let width = if index % 10 == 3 { 5 } else { 6 };
    let number = if width == 5 { 0x3_0000 } else { 0x1A_0000 } + u32::from(index) * 0x11D + rng.u32(0..0x100);
    let (kind, name, sensor) = if outdoors {
        (WEATHER_TYPE, format!("Weather {name}{suffix}"), Sensor::weather(rng))
    } else {
        (SENSIT_TYPE, format!("Room {name}{suffix}"), Sensor::sensit(rng))
    };
    let schedule = Schedule {
        every,
        sensor,
        asks_every: if index % 10 == 0 { 1 } else { 6 },
        located_every: if outdoors { 2 } else { 0 },
    };
    let along = f64::from(index) / 50.0;
    let mut device = Device::new(DeviceId::new(number, width), kind)
        .name(name)
        .place(47.3 + along / 4.0, 0.7 - along)
        .schedule(schedule);
    // Some are about to wrap their sequence numbers.
    device.seq = if index % 7 == 0 { 4090 } else { rng.u16(0..4000) };
    device
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_world() {
        let now = Timestamp::from_cloud(1_789_000_000).unwrap();
        let ids = |seed| {
            let world = Scenario { seed, ..Scenario::default() }.build(now);
            world.devices().map(|device| device.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(ids(3), ids(3));
        assert_ne!(ids(3), ids(4));
        assert_eq!(ids(3).len(), 20);
    }

    #[test]
    fn a_world_of_many_devices_has_that_many_and_its_history() {
        let now = Timestamp::from_cloud(1_789_000_000).unwrap();
        let scenario = Scenario { devices: 500, history: Duration::from_secs(3600), ..Scenario::default() };
        let world = scenario.build(now);
        assert_eq!((world.devices().count(), world.remembered()), (500, 3000));
        assert!(world.devices().all(|device| world.history().last(device.id).unwrap().time < now));
    }
}
