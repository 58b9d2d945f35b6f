//! Digital Matter Oyster (support.digitalmatter.com, "Oyster Sigfox integration", and its examples).

use serde_json::Value;

use super::{Builtin, Known, Layout, wrong_length};
use crate::decode::{Decoded, number};

const STATISTICS_COUNT_BY: u64 = 32;
const SECONDS_A_WEEK: u64 = 7 * 86_400;

/// Positions, the acknowledgement of a downlink, and statistics.
pub(super) const OYSTER: Builtin = Builtin {
    name: "oyster",
    device: "Digital Matter Oyster, a GPS tracker",
    fields: &[
        Known::bool("in_trip").class("moving"),
        Known::bool("fix_failed").class("problem").diagnostic(),
        Known::degrees("latitude"),
        Known::degrees("longitude"),
        Known::degrees("heading"),
        Known::number("speed", "km/h", "speed"),
        Known::battery(),
        Known::bool("downlink_accepted").diagnostic(),
        Known::text("downlink_data").diagnostic(),
        Known::text("firmware_version").diagnostic(),
        Known::number("uptime", "s", "duration").diagnostic(),
        Known::counter("messages_sent").diagnostic(),
        Known::counter("messages_received").diagnostic(),
        Known::counter("trips").diagnostic(),
        Known::counter("fixes").diagnostic(),
        Known::counter("failed_fixes").diagnostic(),
        Known::number("average_fix_time", "s", "duration").diagnostic(),
        Known::number("average_fail_time", "s", "duration").diagnostic(),
        Known::number("average_freshen_time", "s", "duration").diagnostic(),
        Known::count("wakeups_per_trip").diagnostic(),
    ],
    layout: Layout::Function(decode),
    encode: None,
};

fn decode(payload: &[u8]) -> Decoded {
    let &[kind, ref rest @ ..] = payload else {
        return wrong_length(payload, "12 bytes");
    };
    let Ok(rest) = <&[u8; 11]>::try_from(rest) else {
        return wrong_length(payload, "12 bytes");
    };
    match kind & 0x0F {
        0 => position(kind, rest),
        1 => acknowledgement(kind, rest),
        2 => statistics(kind, rest),
        other => Decoded::nothing(format!("message type {other} is not known (expected 0, 1 or 2)")),
    }
}

fn position(flags: u8, &[a, b, c, d, e, f, g, h, heading, speed, battery]: &[u8; 11]) -> Decoded {
    let degrees = |bytes| number::float(f64::from(i32::from_le_bytes(bytes)) / 1e7).unwrap_or_default();
    Decoded::of([
        ("in_trip", (flags & 0x10 != 0).into()),
        // The coordinates are then those of the last fix.
        ("fix_failed", (flags & 0x20 != 0).into()),
        ("latitude", degrees([a, b, c, d])),
        ("longitude", degrees([e, f, g, h])),
        ("heading", (u16::from(heading) * 2).into()),
        ("speed", speed.into()),
        ("battery_voltage", number::float(f64::from(battery) * 25.0 / 1000.0).unwrap_or_default()),
    ])
}

fn acknowledgement(flags: u8, &[_, major, minor, ref data @ ..]: &[u8; 11]) -> Decoded {
    let accepted = flags & 0x10 != 0;
    let fields = Decoded::of([
        ("downlink_accepted", accepted.into()),
        ("firmware_version", format!("{major}.{minor}").into()),
        ("downlink_data", hex::encode(data).into()),
    ]);
    Decoded { acknowledges: accepted, ..fields }
}

/// Counters of odd widths, packed from the lowest bit of the first byte on.
fn statistics(first: u8, rest: &[u8; 11]) -> Decoded {
    let all =
        rest.iter().rev().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte)) << 8 | u128::from(first);
    let number = |from: u32, bits: u32| u64::try_from(all >> from & ((1 << bits) - 1)).unwrap_or_default();
    let times = |by: u64, count: u64| Value::from(by * count);
    Decoded::of([
        ("uptime", times(SECONDS_A_WEEK, number(4, 9))),
        ("messages_sent", times(STATISTICS_COUNT_BY, number(13, 11))),
        ("messages_received", times(STATISTICS_COUNT_BY, number(24, 8))),
        ("trips", number(32, 13).into()),
        ("fixes", times(STATISTICS_COUNT_BY, number(45, 10))),
        ("failed_fixes", times(STATISTICS_COUNT_BY, number(55, 8))),
        ("average_fix_time", number(63, 9).into()),
        ("average_fail_time", number(72, 9).into()),
        ("average_freshen_time", number(81, 8).into()),
        ("wakeups_per_trip", number(89, 7).into()),
    ])
}
