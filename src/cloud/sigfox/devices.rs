//! Devices: their description, messages, places, and what the cloud counts about them.

use reqwest::Method;
use serde::Serialize;

use super::client::Query;
use super::report::{Kind, Report};
use super::wire;
use super::{Device, Message, Position, Sigfox, Window};
use crate::cloud::api::done;
use crate::cloud::row::{Json, Row};
use crate::cloud::{Call, Pages};
use crate::config::SigfoxApi::{V1, V2};
use crate::model::{DeviceId, Timestamp};

/// What has no counterpart in v2.
const STATE_IN_V2: &str = "`devices get --raw` tells `state` and `comState`";

/// Which devices are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceFilter {
    /// Only those of this type; v1 has no other list.
    pub device_type: Option<String>,
    /// Only those of this group (v2).
    pub group: Option<String>,
}

/// Whether a device may send (v1 `token-state`, v2 `token` of a device).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Token {
    /// 0 in order, 1 off contract, 2 not applicable, 3 invalid.
    pub state: Option<i64>,
    /// The state in the cloud's words.
    pub detail: Option<String>,
    /// When it ends.
    pub end: Option<Timestamp>,
}

/// Whether the network hears a device (v1 `networkstate`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NetworkState {
    /// The state as the cloud writes it.
    pub state: Option<String>,
}

/// How many messages a device sent (`messages/metric`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Metric {
    /// On the last day.
    pub last_day: Option<i64>,
    /// In the last week.
    pub last_week: Option<i64>,
    /// In the last month.
    pub last_month: Option<i64>,
}

/// What a device used of its contract on one day, or in one month where the cloud sums up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Consumption {
    /// Messages.
    pub frames: Option<i64>,
    /// Downlinks.
    pub downlink_frames: Option<i64>,
    /// Messages through another operator's network.
    pub roaming_frames: Option<i64>,
    /// Downlinks through another operator's network.
    pub roaming_downlink_frames: Option<i64>,
}

impl Sigfox {
    /// Devices.
    ///
    /// v2 `GET /devices`, v1 `GET /devicetypes/{id}/devices`.
    #[must_use]
    pub fn devices(&self, filter: &DeviceFilter) -> Pages<Device> {
        let of = filter.device_type.as_ref().map(|id| format!(" of device type {id}")).unwrap_or_default();
        let asked = format!("devices{of}");
        match (self.version, &filter.device_type) {
            (V1, None) => {
                let nearest = "name a device type: its devices are listed";
                self.no_list("a list of all devices", nearest, asked, wire::device)
            }
            (V1, Some(id)) => {
                self.list(&["devicetypes", id, "devices"], Vec::new(), self.unit(), asked, wire::device)
            }
            (V2, of_type) => {
                let of_type = of_type.as_ref().map(|id| ("deviceTypeId", id.clone()));
                let of_group = filter.group.as_ref().map(|id| ("groupIds", id.clone()));
                let query: Query = of_type.into_iter().chain(of_group).collect();
                self.list(&["devices"], query, self.unit(), asked, wire::device)
            }
        }
    }

    /// One device (`GET /devices/{id}`; not to be polled: older documents permit it once an hour).
    #[must_use]
    pub fn device(&self, id: DeviceId) -> Call<Device> {
        self.get(&["devices", &id.to_string()], format!("device {id}"), wire::device)
    }

    /// Whether a device may send.
    ///
    /// v2 `GET /devices/{id}` (`token`), v1 `GET /devices/{id}/token-state`.
    #[must_use]
    pub fn device_token(&self, id: DeviceId) -> Call<Token> {
        let (id, asked) = (id.to_string(), format!("device {id}"));
        match self.version {
            V2 => self.get(&["devices", &id], asked, token),
            V1 => self.get(&["devices", &id, "token-state"], asked, token),
        }
    }

    /// The messages of one device, newest first (`GET /devices/{id}/messages`; one request a second).
    #[must_use]
    pub fn device_messages(&self, id: DeviceId, window: Window) -> Pages<Message> {
        let asked = format!("messages of device {id}");
        let path = ["devices", &id.to_string(), "messages"];
        self.list(&path, self.message_query(window), self.unit(), asked, wire::message)
    }

    /// Where one device was, newest first (`GET /devices/{id}/locations`).
    #[must_use]
    pub fn device_locations(&self, id: DeviceId, window: Window) -> Pages<Position> {
        let asked = format!("locations of device {id}");
        let path = ["devices", &id.to_string(), "locations"];
        self.list(&path, window.query(self.unit()), self.unit(), asked, wire::position)
    }

    /// Errors of a device, newest first (v1 `GET /devices/{id}/status/error`).
    #[must_use]
    pub fn device_errors(&self, id: DeviceId, window: Window) -> Pages<Report> {
        self.reports("devices errors", &["devices", &id.to_string()], Kind::Error, window, STATE_IN_V2)
    }

    /// Warnings of a device, newest first (v1 `GET /devices/{id}/status/warn`).
    #[must_use]
    pub fn device_warnings(&self, id: DeviceId, window: Window) -> Pages<Report> {
        self.reports("devices warnings", &["devices", &id.to_string()], Kind::Warning, window, STATE_IN_V2)
    }

    /// Whether the network hears a device (v1 `GET /devices/{id}/networkstate`).
    #[must_use]
    pub fn device_network_state(&self, id: DeviceId) -> Call<NetworkState> {
        match self.version {
            V2 => self.no_call("devices network-state", STATE_IN_V2),
            V1 => {
                let path = ["devices", &id.to_string(), "networkstate"];
                self.get(&path, format!("network state of device {id}"), network_state)
            }
        }
    }

    /// How many messages a device sent lately (`GET /devices/{id}/messages/metric`).
    #[must_use]
    pub fn device_metrics(&self, id: DeviceId) -> Call<Metric> {
        let path = ["devices", &id.to_string(), "messages", "metric"];
        self.get(&path, format!("metrics of device {id}"), metric)
    }

    /// What a device used of its contract in a year, or a month of it (v2).
    ///
    /// v2 `GET /devices/{id}/consumption/{year}[/{month}]`, v1 `GET /devices/{id}/consumptions/{year}`.
    #[must_use]
    pub fn device_consumption(&self, id: DeviceId, year: u16, month: Option<u8>) -> Call<Vec<Consumption>> {
        let (id, year) = (id.to_string(), year.to_string());
        let asked = format!("consumption of device {id} in {year}");
        let month = month.map(|month| month.to_string());
        match (self.version, &month) {
            (V2, None) => self.get(&["devices", &id, "consumption", &year], asked, consumption),
            (V2, Some(month)) => self.get(&["devices", &id, "consumption", &year, month], asked, consumption),
            (V1, None) => self.get(&["devices", &id, "consumptions", &year], asked, consumption),
            (V1, Some(_)) => self.no_call("the consumption of one month", "a year's holds every day of it"),
        }
    }

    /// Accepts a device's next message whatever its sequence number (v2 `POST /devices/{id}/disengage`).
    #[must_use]
    pub fn disengage_device(&self, id: DeviceId) -> Call<()> {
        match self.version {
            V1 => self.no_call("devices disengage", "`device-types disengage` does it for all of a type"),
            V2 => {
                let path = ["devices", &id.to_string(), "disengage"];
                self.call(Method::POST, &path, &[], None, format!("device {id}"), done)
            }
        }
    }
}

/// v2 keeps it within the device.
fn token(value: &Json<'_>) -> Result<Token, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    let row = if row.name("id").is_some() || row.value("token").is_some() {
        row.object("token").ok_or("the device has no token")?
    } else {
        row
    };
    Ok(Token {
        state: row.integer("state").or_else(|| row.integer("code")),
        detail: row.name("detailMessage"),
        end: row.time("end").or_else(|| row.time("tokenEnd")),
    })
}

fn network_state(value: &Json<'_>) -> Result<NetworkState, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    Ok(NetworkState { state: row.name("networkStatus").or_else(|| row.name("state")) })
}

fn metric(value: &Json<'_>) -> Result<Metric, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    Ok(Metric {
        last_day: row.integer("lastDay"),
        last_week: row.integer("lastWeek"),
        last_month: row.integer("lastMonth"),
    })
}

/// v2 `deviceConsumptions`, v1 `consumptions`, in a client's documents within `consumption`.
fn consumption(value: &Json<'_>) -> Result<Vec<Consumption>, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    let row = row.object("consumption").unwrap_or(row);
    let listed = ["deviceConsumptions", "consumptions"].into_iter().find(|key| row.value(key).is_some());
    let days = row.objects(listed.ok_or("it lists no consumption")?).into_iter();
    Ok(days
        .map(|day| Consumption {
            frames: day.integer("frameCount"),
            downlink_frames: day.integer("downlinkFrameCount"),
            roaming_frames: day.integer("roamingFrameCount"),
            roaming_downlink_frames: day.integer("roamingDownlinkFrameCount"),
        })
        .collect())
}
