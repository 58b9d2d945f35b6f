//! Borders of pages, whichever way a cloud names its next page: what happened at one instant lies on both sides of one,
//! and none of it is lost.

use std::time::Duration;

use secrecy::SecretString;
use sigfox2mqtt::clock;
use sigfox2mqtt::config::{Schedule, SigfoxApi, SourceKind};
use sigfox2mqtt::ingest::SourceState;
use sigfox2mqtt::model::{DeviceId, Timestamp};
use sigfox2mqtt::simulate::{Cursor, Device, DeviceType, Options, Running, Simulator, Uplink, World};

use crate::ingest_rig::{self, Rig};

const TYPE: &str = "5f0000000000000000000001";
const COUNT: u16 = 250;
/// From the newest on, the rows of these numbers are of one instant: the first page ends among them.
const SIBLINGS: std::ops::Range<u16> = 95..106;

fn uplink(number: u16, time: Timestamp) -> Uplink {
    let device: DeviceId = format!("{:X}", 0xA0 + number % 16).parse().unwrap();
    Uplink::new(device, time, number, format!("{number:04x}").parse().unwrap())
}

fn kind(api: SigfoxApi) -> SourceKind {
    let login = "5f0000000000000000000a91".to_owned();
    SourceKind::Sigfox { api, login, password: SecretString::from("simulated") }
}

/// Sixteen devices.
fn world() -> World {
    let mut world = World::new(5).with_type(DeviceType::new(TYPE, "tank"));
    for number in 0..16 {
        world.add_device(Device::new(format!("{:X}", 0xA0 + number).parse().unwrap(), TYPE));
    }
    world
}

/// Messages of a few seconds' distance, the newest a minute old.
async fn cloud(cursor: Cursor) -> Running {
    let mut world = world();
    let second = clock::now().as_seconds();
    for number in 0..COUNT {
        let from_newest = COUNT - 1 - number;
        let place = if SIBLINGS.contains(&from_newest) { SIBLINGS.start } else { from_newest };
        let time = Timestamp::from_cloud(second - 60 - 5 * i64::from(place)).unwrap();
        world.record(uplink(number, time));
    }
    let options = Options { rate_limits: false, cursor, ..Options::default() };
    Simulator::start(world, options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn siblings_of_one_instant_arrive_over_a_border_by_every_kind_of_cursor() {
    for (api, cursor) in [
        (SigfoxApi::V2, Cursor::Included),
        (SigfoxApi::V2, Cursor::Excluded),
        (SigfoxApi::V2, Cursor::Offset),
        (SigfoxApi::V1, Cursor::Included),
    ] {
        let cloud = cloud(cursor).await;
        let url = if api == SigfoxApi::V2 { cloud.sigfox_v2_url() } else { cloud.sigfox_v1_url() };
        let rig = Rig::start(cloud, ingest_rig::config(&url, kind(api)));
        rig.has(usize::from(COUNT)).await;
        // One more of an instant that was read already.
        let instant = clock::now().minus(Duration::from_secs(60));
        rig.cloud.record(uplink(COUNT, instant));
        rig.has(usize::from(COUNT) + 1).await;
        rig.cloud.record(uplink(COUNT + 1, instant));
        rig.has(usize::from(COUNT) + 2).await;
        let mut seen = rig.sequence_numbers();
        seen.sort_unstable();
        assert_eq!(seen, (0..COUNT + 2).collect::<Vec<_>>(), "{api:?} {cursor:?}");
        rig.is(SourceState::Ok).await;
        rig.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_that_is_read_in_pieces_is_whole_in_order_and_asks_for_little_twice() {
    let (many, pages) = (4_000_u16, 40_u64);
    let mut world = world();
    let newest = clock::now().as_seconds() - 60;
    for number in 0..many {
        // Ever closer to each other.
        let from_newest = i64::from(many - number);
        world.record(uplink(number, Timestamp::from_cloud(newest - from_newest * from_newest / 65).unwrap()));
    }
    let options = Options { rate_limits: false, ..Options::default() };
    let cloud = Simulator::start(world, options).await.unwrap();
    let mut config = ingest_rig::config(&cloud.sigfox_v2_url(), kind(SigfoxApi::V2));
    config.poll = Schedule::Every(Duration::from_secs(3600));
    let rig = Rig::start(cloud, config);
    rig.has(usize::from(many)).await;
    assert_eq!(rig.sequence_numbers(), (0..many).collect::<Vec<_>>());
    let told = rig.outbox().into_iter().filter_map(|event| event.strip_prefix("uplink ")?.parse().ok());
    assert_eq!(told.collect::<Vec<u16>>(), (0..many).collect::<Vec<_>>());
    let asked = rig.cloud.requests_with("/messages");
    assert!(asked >= pages && asked <= pages + pages / 4, "{asked} requests for {pages} pages");
    rig.end().await;
}
