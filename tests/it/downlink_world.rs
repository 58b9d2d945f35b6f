//! The clouds, the devices and the gateway's configuration of a day of downlinks.

use sigfox2mqtt::model::DeviceId;
use sigfox2mqtt::simulate::{Callback, CallbackKind, Device, DeviceType, Pace, Running, World};

use crate::support::mosquitto::Mosquitto;

const TYPE: &str = "5f0000000000000000000001";
const BATCH_TYPE: &str = "5f0000000000000000000002";
/// The line of a batch, in the simulator's words and in the gateway's.
const LINE: &str = "{device};{time};{data};{seqNumber};{ack};";
/// What stands in the fixed answer of a direct device's type before the gateway comes.
pub(crate) const FORMER: &str = "3c06000000000000";
/// A minute of the world lasts 0.6 s: a callback that failed is tried again after 0.6, 1.8 and 4.2 s.
const SPEED: f64 = 100.0;

/// So many downlinks a device may have in a day, by its contract and by the gateway's configuration: fewer than it asks
/// for, so that the gateway's count is put to the test.
pub(crate) const DAILY_LIMIT: u32 = 24;

/// How a device gets its downlinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Callback,
    /// By callbacks, and it shows by its next message that a downlink arrived.
    Acknowledged,
    Batch,
    Direct,
    Soracom,
}

/// A device of the day, by its number.
pub(crate) fn way(number: usize) -> Way {
    [Way::Callback, Way::Batch, Way::Soracom, Way::Acknowledged, Way::Direct, Way::Soracom][number % 6]
}

/// Each device with a fixed answer has a type of its own.
pub(crate) fn direct_type(number: usize) -> String {
    format!("5f00000000000000000d{number:04x}")
}

/// Each hears nothing that it did not ask for.
pub(crate) fn world(devices: &[DeviceId], port: u16, seed: u64) -> World {
    let callback = |source: &str, kind: CallbackKind| {
        let url = format!("http://127.0.0.1:{port}/callback/{source}/{}", kind.path());
        Callback::post(format!("{source}-{}", kind.path()), kind, url, Some("callback-token"))
    };
    let batch = callback("batch", CallbackKind::Bidir);
    let batch = Callback {
        url: format!("{}?batch={{batch}}", batch.url),
        line_pattern: Some(LINE.to_owned()),
        body: None,
        ..batch
    };
    let kind = DeviceType::new(TYPE, "tank")
        .callback(callback("factory", CallbackKind::Bidir))
        .callback(callback("factory", CallbackKind::Acknowledge));
    let batched = DeviceType::new(BATCH_TYPE, "valve")
        .callback(batch)
        .callback(callback("batch", CallbackKind::Acknowledge));
    let pace = Pace::new(SPEED).unwrap();
    let mut world =
        World::new(seed).pace(pace).daily_downlinks(DAILY_LIMIT).with_type(kind).with_type(batched);
    for (number, id) in devices.iter().enumerate() {
        let device = match way(number) {
            Way::Callback | Way::Acknowledged => Device::new(*id, TYPE),
            Way::Batch => Device::new(*id, BATCH_TYPE),
            Way::Soracom => Device::new(*id, TYPE).soracom_only(),
            Way::Direct => {
                let kind = DeviceType::new(direct_type(number), format!("pump {number}"));
                let (mode, answer) = (0, Some(FORMER.to_owned()));
                world.add_type(DeviceType { downlink_mode: mode, downlink_data: answer, ..kind });
                Device::new(*id, direct_type(number))
            }
        };
        world.add_device(device);
    }
    world
}

pub(crate) fn configuration(devices: &[DeviceId], broker: &Mosquitto, cloud: &Running, port: u16) -> String {
    let sigfox = |name: &str, types: &str, rest: &str| {
        format!(
            r#"
            [sources.{name}]
            kind = "sigfox"
            url = "{url}"
            login = "5f0000000000000000000a91"
            password = "simulated"
            device_types = ["{types}"]
            rate = "1000/1s"
            {rest}
            "#,
            url = cloud.sigfox_v2_url(),
        )
    };
    let called = "poll = \"5s\"\ncallback_token = \"callback-token\"";
    let acknowledged: String = devices
        .iter()
        .enumerate()
        .filter(|(number, _)| way(*number) == Way::Acknowledged)
        .map(|(_, id)| format!("[devices.{id}]\ndecoder = \"confirming\"\n"))
        .collect();
    format!(
        r#"
        version = 1
        [gateway]
        id = "day"
        data_dir = "{{data}}"
        [mqtt]
        url = "{broker}"
        [http]
        listen = "127.0.0.1:{port}"
        [downlink]
        daily_limit = {DAILY_LIMIT}
        {factory}
        {batch}
        {fixed}
        [sources.japan]
        kind = "soracom"
        url = "{soracom}"
        auth_key_id = "keyId-simulated"
        auth_key = "secret-simulated"
        poll = "1s"
        rate = "1000/1s"
        [decoders.confirming]
        format = "confirmed::bool:7"
        acknowledged_by = "confirmed"
        {acknowledged}
        "#,
        broker = broker.url(),
        factory = sigfox("factory", TYPE, called),
        batch = sigfox("batch", BATCH_TYPE, &format!("{called}\ncallback_batch = \"{LINE}\"")),
        fixed = sigfox("fixed", "5f00000000000000000d*", "poll = \"1s\"\ndownlink = \"direct\""),
        soracom = cloud.soracom_url(),
    )
}
