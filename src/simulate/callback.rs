//! Callbacks of the simulated Sigfox cloud: what is called for a message, and how a template is filled in.
//!
//! Variables and templates as support.sigfox.com documents them; most public samples quote every value.

use std::collections::BTreeMap;
use std::str::FromStr;

use url::Url;

/// The service that a callback belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallbackKind {
    /// SERVICE/STATUS.
    Status,
    /// SERVICE/GEOLOC.
    Geoloc,
    /// DATA/UPLINK.
    Uplink,
    /// DATA/BIDIR.
    Bidir,
    /// SERVICE/ACKNOWLEDGE.
    Acknowledge,
    /// `SERVICE/DATA_ADVANCED`.
    Advanced,
    /// ERROR.
    Error,
}

impl CallbackKind {
    const ALL: [Self; 7] = [
        Self::Status,
        Self::Geoloc,
        Self::Uplink,
        Self::Bidir,
        Self::Acknowledge,
        Self::Advanced,
        Self::Error,
    ];

    /// `callbackType` and `callbackSubtype` of the API.
    #[must_use]
    pub fn codes(self) -> (u8, u8) {
        match self {
            Self::Uplink => (0, 2),
            Self::Bidir => (0, 3),
            Self::Status => (1, 0),
            Self::Geoloc => (1, 1),
            Self::Acknowledge => (1, 4),
            Self::Advanced => (1, 6),
            Self::Error => (2, 2),
        }
    }

    /// The kind with these codes.
    #[must_use]
    pub fn from_codes(callback_type: u64, subtype: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| {
            let (own_type, own_subtype) = kind.codes();
            u64::from(own_type) == callback_type && (u64::from(own_subtype) == subtype || own_type == 2)
        })
    }

    /// The last level of the address that a gateway of ours takes it at.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Geoloc => "geoloc",
            Self::Uplink => "uplink",
            Self::Bidir => "bidir",
            Self::Acknowledge => "ack",
            Self::Advanced => "advanced",
            Self::Error => "error",
        }
    }

    /// A body with every documented variable of this kind, every value quoted except objects, which the cloud
    /// injects as they are.
    #[must_use]
    pub fn template(self) -> String {
        let quoted: &[&str] = match self {
            Self::Bidir => &[
                "device",
                "deviceTypeId",
                "time",
                "data",
                "seqNumber",
                "rssi",
                "station",
                "longPolling",
                "ack",
            ],
            Self::Uplink => &[
                "device",
                "data",
                "time",
                "duplicate",
                "snr",
                "station",
                "avgSnr",
                "lat",
                "lng",
                "rssi",
                "seqNumber",
            ],
            Self::Advanced => &[
                "device",
                "deviceTypeId",
                "time",
                "data",
                "seqNumber",
                "lqi",
                "linkQuality",
                "fixedLat",
                "fixedLng",
                "operatorName",
                "countryCode",
            ],
            Self::Acknowledge => {
                &["device", "time", "infoCode", "infoMessage", "downlinkAck", "downlinkOverusage"]
            }
            Self::Status => &[
                "device",
                "time",
                "temp",
                "batt",
                "duplicate",
                "seqNumber",
                "snr",
                "rssi",
                "lat",
                "lng",
                "station",
                "avgSnr",
            ],
            Self::Geoloc => &[
                "device",
                "time",
                "duplicate",
                "snr",
                "rssi",
                "station",
                "avgSnr",
                "lat",
                "lng",
                "radius",
                "geolocSource",
                "seqNumber",
            ],
            Self::Error => &["device", "time", "severity", "info"],
        };
        let injected: &[&str] =
            if self == Self::Advanced { &["duplicates", "computedLocation"] } else { &[] };
        let quoted = quoted.iter().map(|name| format!("\"{name}\":\"{{{name}}}\""));
        let injected = injected.iter().map(|name| format!("\"{name}\":{{{name}}}"));
        format!("{{{}}}", quoted.chain(injected).collect::<Vec<_>>().join(","))
    }
}

/// One callback of a device type.
#[derive(Debug, Clone, PartialEq)]
pub struct Callback {
    /// 24 hex digits.
    pub id: String,
    /// Its service.
    pub kind: CallbackKind,
    /// Whether messages are collected and sent as lines (`BATCH_URL`).
    pub line_pattern: Option<String>,
    /// Where to; may hold variables.
    pub url: String,
    /// `GET`, `POST` or `PUT`.
    pub method: String,
    /// Headers of the request.
    pub headers: BTreeMap<String, String>,
    /// The body; may hold variables.
    pub body: Option<String>,
    /// Its content type.
    pub content_type: String,
    /// Whether it is called at all.
    pub enabled: bool,
    /// Whether the cloud has given it up after too many failures.
    pub dead: bool,
    /// Whether its answer is the downlink.
    pub downlink_hook: bool,
}

impl Callback {
    /// A POST of the usual template to this address, with a Bearer token where one is given.
    #[must_use]
    pub fn post(
        id: impl Into<String>,
        kind: CallbackKind,
        url: impl Into<String>,
        token: Option<&str>,
    ) -> Self {
        let bearer = token.map(|token| ("Authorization".to_owned(), format!("Bearer {token}")));
        Self {
            id: id.into(),
            kind,
            line_pattern: None,
            url: url.into(),
            method: "POST".to_owned(),
            headers: bearer.into_iter().collect(),
            body: Some(kind.template()),
            content_type: "application/json".to_owned(),
            enabled: true,
            dead: false,
            downlink_hook: kind == CallbackKind::Bidir,
        }
    }
}

/// The values that a template can name.
pub(super) type Variables = BTreeMap<&'static str, String>;

/// A template with its variables filled in; one that has no value stays as it is written, as the cloud does.
pub(super) fn fill_in(template: &str, variables: &Variables) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let value = after.split_once('}').and_then(|(name, tail)| Some((variables.get(name)?, tail)));
        if let Some((value, tail)) = value {
            filled.push_str(value);
            rest = tail;
        } else {
            filled.push('{');
            rest = after;
        }
    }
    filled.push_str(rest);
    filled
}

/// Where a gateway takes callbacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallbackTarget {
    /// One address a kind: this one and the kind as its last level.
    EachKind(Url),
    /// BIDIR at exactly this address, and nothing else.
    BidirOnly(Url),
}

impl CallbackTarget {
    /// The address of one kind; none where it is not called.
    #[must_use]
    pub fn address(&self, kind: CallbackKind) -> Option<String> {
        match self {
            Self::EachKind(base) => Some(format!("{}/{}", base.as_str().trim_end_matches('/'), kind.path())),
            Self::BidirOnly(url) => (kind == CallbackKind::Bidir).then(|| url.to_string()),
        }
    }
}

impl FromStr for CallbackTarget {
    type Err = url::ParseError;

    /// `…/callback/SOURCE` and `…/callback/SOURCE/KIND` name a gateway that takes every kind; any other address
    /// takes BIDIR.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut url: Url = text.parse()?;
        let levels: Vec<String> = url
            .path_segments()
            .into_iter()
            .flatten()
            .map(ToOwned::to_owned)
            .filter(|level| !level.is_empty())
            .collect();
        let is_kind = |level: &String| CallbackKind::ALL.iter().any(|kind| kind.path() == level);
        let base = match levels.as_slice() {
            [base @ .., last] if base.iter().any(|level| level == "callback") && is_kind(last) => base,
            [.., callback, _source] if callback == "callback" => &levels,
            _ => return Ok(Self::BidirOnly(url)),
        };
        url.set_path(&base.join("/"));
        Ok(Self::EachKind(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_keeps_what_has_no_value() {
        let variables = Variables::from([("device", "1A2B3C".to_owned()), ("time", "1".to_owned())]);
        for (template, filled) in [
            ("{device} at {time}", "1A2B3C at 1"),
            ("{\"device\":\"{device}\"}", "{\"device\":\"1A2B3C\"}"),
            ("{customData#Type}", "{customData#Type}"),
            ("{", "{"),
            ("{{device}", "{1A2B3C"),
        ] {
            assert_eq!(fill_in(template, &variables), filled, "{template}");
        }
    }

    #[test]
    fn the_templates_are_json_once_filled_in() {
        for kind in CallbackKind::ALL {
            let variables =
                Variables::from([("duplicates", "[]".into()), ("computedLocation", "null".into())]);
            let body = fill_in(&kind.template(), &variables);
            assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok(), "{body}");
            let (callback_type, subtype) = kind.codes();
            assert_eq!(CallbackKind::from_codes(callback_type.into(), subtype.into()), Some(kind));
        }
    }

    #[test]
    fn an_address_of_a_gateway_takes_every_kind_and_any_other_takes_bidir() {
        let address = |text: &str, kind| text.parse::<CallbackTarget>().unwrap().address(kind);
        for text in [
            "http://h:1/callback/factory",
            "http://h:1/callback/factory/",
            "http://h:1/callback/factory/bidir",
        ] {
            assert_eq!(
                address(text, CallbackKind::Acknowledge).as_deref(),
                Some("http://h:1/callback/factory/ack")
            );
        }
        assert_eq!(
            address("http://h:1/hook?x=1", CallbackKind::Bidir).as_deref(),
            Some("http://h:1/hook?x=1")
        );
        assert_eq!(address("http://h:1/hook", CallbackKind::Acknowledge), None);
    }
}
