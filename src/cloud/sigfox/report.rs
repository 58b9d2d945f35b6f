//! What the network reports about devices beside their messages (v1 `status/error` and `status/warn`).

use serde::Serialize;
use serde_json::Value;

use crate::cloud::row::Row;
use crate::model::{DeviceId, Timestamp};

/// An error or warning about a device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Who; absent where the list is of one device.
    pub device: Option<DeviceId>,
    /// When.
    pub time: Timestamp,
    /// What the network says about it.
    pub message: Option<String>,
    /// How grave it is, as the network says it.
    pub severity: Option<String>,
}

/// Which reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Error,
    Warning,
}

impl Kind {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warn",
        }
    }

    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Error => "errors",
            Self::Warning => "warnings",
        }
    }
}

pub(super) fn report(value: &Value) -> Result<Report, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    let device = row.reference("device").or_else(|| row.name("deviceId"));
    Ok(Report {
        device: device.and_then(|device| device.parse().ok()),
        time: row.time("time").ok_or("it has no readable time")?,
        message: row.name("message").or_else(|| row.name("info")),
        severity: row.name("severity").or_else(|| row.name("type")),
    })
}
