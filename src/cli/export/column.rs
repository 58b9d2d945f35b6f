//! The columns of an export: where each value is in a document, and of which kind it is.

use serde_json::Value;

use crate::control::Rows;

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    /// Its head.
    pub(super) name: &'static str,
    /// Where its value is in a document.
    pub(super) pointer: &'static str,
    /// What kind of values it has.
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "only typed formats ask for it"))]
    pub(super) kind: Kind,
}

/// What kind of values a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// RFC 3339 in the document.
    Time,
    Text,
    Integer,
    Number,
    Boolean,
    /// Any JSON.
    Json,
}

impl Column {
    /// Its value in a document, if there is one.
    pub(super) fn value<'d>(&self, document: &'d Value) -> Option<&'d Value> {
        document.pointer(self.pointer).filter(|value| !value.is_null())
    }
}

/// The columns of a kind of rows.
pub(super) fn of(what: Rows) -> &'static [Column] {
    match what {
        Rows::Messages => MESSAGES,
        Rows::Locations => LOCATIONS,
    }
}

const fn column(name: &'static str, pointer: &'static str, kind: Kind) -> Column {
    Column { name, pointer, kind }
}

const MESSAGES: &[Column] = &[
    column("time", "/time", Kind::Time),
    column("device", "/device", Kind::Text),
    column("name", "/name", Kind::Text),
    column("source", "/source", Kind::Text),
    column("seq", "/seq", Kind::Integer),
    column("data", "/data", Kind::Text),
    column("fields", "/fields", Kind::Json),
    column("decoder", "/decoder", Kind::Text),
    column("errors", "/errors", Kind::Json),
    column("lqi", "/lqi", Kind::Text),
    column("rssi", "/rssi", Kind::Number),
    column("snr", "/snr", Kind::Number),
    column("stations", "/stations", Kind::Integer),
    column("ack", "/ack", Kind::Boolean),
    column("latitude", "/location/latitude", Kind::Number),
    column("longitude", "/location/longitude", Kind::Number),
    column("gps_accuracy", "/location/gps_accuracy", Kind::Number),
    column("received", "/received", Kind::Time),
    column("replay", "/replay", Kind::Boolean),
    column("id", "/id", Kind::Text),
];

const LOCATIONS: &[Column] = &[
    column("time", "/time", Kind::Time),
    column("device", "/device", Kind::Text),
    column("latitude", "/latitude", Kind::Number),
    column("longitude", "/longitude", Kind::Number),
    column("gps_accuracy", "/gps_accuracy", Kind::Number),
    column("source", "/source", Kind::Text),
    column("uplink", "/uplink", Kind::Text),
];
