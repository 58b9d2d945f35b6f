//! Devices whose payload is one fixed row of numbers: their layouts are grammars.

use super::{Builtin, Known, Layout};

/// HARDWARIO climate monitor (forum.hardwario.com, topic 342).
pub(super) const HARDWARIO_CLIMATE: Builtin = Builtin {
    name: "hardwario-climate",
    device: "HARDWARIO climate monitor",
    fields: &[
        Known::count("header").diagnostic(),
        Known::number("temperature", "°C", "temperature"),
        Known::number("humidity", "%", "humidity"),
        Known::number("illuminance", "lx", "illuminance"),
        Known::number("pressure", "Pa", "pressure"),
    ],
    layout: Layout::Grammar(
        "header::uint:8 temperature::int:16:little-endian:/2 humidity::uint:8:/2 \
         illuminance::uint:16:little-endian:*2 pressure::uint:16:little-endian:*2",
    ),
    encode: None,
};

/// Quorum Precision A1QX: four thermometers (docs.quorumprecision.com, "A1QX Sigfox packet format").
pub(super) const QUORUM_A1QX: Builtin = Builtin {
    name: "quorum-a1qx",
    device: "Quorum Precision A1QX, four thermometers",
    fields: &[
        Known::number("temperature_1", "°C", "temperature"),
        Known::number("temperature_2", "°C", "temperature"),
        Known::number("temperature_3", "°C", "temperature"),
        Known::number("temperature_4", "°C", "temperature"),
    ],
    layout: Layout::Grammar(
        "temperature_1::int:16:/16 temperature_2::int:16:/16 temperature_3::int:16:/16 temperature_4::int:16:/16",
    ),
    encode: None,
};

/// Trackers that send two floats, metres since the last fix and failed fixes (GPS-tracker, README).
pub(super) const GPS_FLOATS: Builtin = Builtin {
    name: "gps-floats",
    device: "GPS trackers that send two little-endian floats",
    fields: &[
        Known::degrees("latitude"),
        Known::degrees("longitude"),
        Known::number("distance", "m", "distance"),
        Known::count("failed_fixes").diagnostic(),
    ],
    layout: Layout::Grammar(
        "latitude::float:32:little-endian longitude::float:32:little-endian \
         distance::uint:16:little-endian failed_fixes::uint:16:little-endian",
    ),
    encode: None,
};
