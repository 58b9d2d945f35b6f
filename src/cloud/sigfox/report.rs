//! What the network reports about devices beside their messages (v1 `status/error` and `status/warn`).

use serde::Serialize;

use crate::cloud::row::{Json, Row};
use crate::model::{DeviceId, Timestamp};

/// An error or warning about a device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Who; an outage of the network concerns several.
    pub devices: Vec<DeviceId>,
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

pub(super) fn report(value: &Json<'_>) -> Result<Report, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    let one = row.reference("device").or_else(|| row.name("deviceId"));
    let several = row.value("deviceIds").and_then(Json::as_array).into_iter().flatten();
    let ids = several.filter_map(Json::as_str).map(str::to_owned).chain(one);
    Ok(Report {
        devices: ids.filter_map(|id| id.parse().ok()).collect(),
        time: row.time("time").ok_or("it has no readable time")?,
        message: row.name("message").or_else(|| row.name("info")),
        severity: row.name("severity").or_else(|| row.name("type")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn an_error_is_about_one_device_and_a_warning_about_several() {
        let error = json!({ "deviceId": "0235", "time": 1_381_410_600_026_i64, "severity": "ERROR" });
        let warning = json!({ "deviceIds": ["0235", "023A", "4830"], "time": 1_381_410_600_026_i64 });
        let count = |row: Value| report(&Json::from(&row)).unwrap().devices.len();
        assert_eq!((count(error), count(warning)), (1, 3));
    }
}
