//! The simulator over real HTTP, held against the clouds' documents.

mod altair;
mod callback;
mod clock;
mod downlink;
mod fault;
mod fixture;
mod retry;
mod sigfox_v1;
mod sigfox_v2;
mod soracom;

use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::model::{DeviceId, Payload, Timestamp};

/// A client that shows the simulator's login.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    pub(super) fn of(running: &Running) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        Self { http, base: format!("http://{}", running.address()) }
    }

    pub(super) fn ask(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let logins = Logins::default();
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, url).basic_auth(logins.login, Some(logins.password))
    }

    /// The status and body of a GET; null where the body is no JSON.
    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.ask("GET", path).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
    }
}

pub(super) const TYPE: &str = "5f0000000000000000000009";

pub(super) fn id(text: &str) -> DeviceId {
    text.parse().unwrap()
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_cloud(seconds).unwrap()
}

pub(super) fn uplink(device: &str, seconds: i64, seq: u16) -> Uplink {
    Uplink::new(id(device), at(seconds), seq, Payload::new(seq.to_be_bytes().to_vec()).unwrap())
}

/// One type, three devices, and so many messages of each in turn, one a second.
pub(super) fn world_of(messages: u16) -> World {
    let devices = ["1A2B3C", "3068E", "002C"];
    let mut world = World::new(1).with_type(DeviceType::new(TYPE, "tank level").grammar("level::uint:16"));
    for device in devices {
        world.add_device(Device::new(id(device), TYPE).name(format!("tank {device}")));
    }
    for (number, device) in (0..messages).zip(devices.iter().cycle()) {
        world.record(uplink(device, 1_789_000_000 + i64::from(number), number));
    }
    world
}
