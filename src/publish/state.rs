//! What a device's uplinks have told so far, merged over time. Pure.

use std::sync::Arc;

use crate::decode::Decoded;
use crate::model::{DeviceId, Location, LocationSource, Timestamp, Uplink, UplinkId, UplinkTail};
use crate::store::DeviceState;

/// Takes over an uplink; says whether it did, and was not older than what is known.
pub(super) fn take_uplink(known: &mut Option<DeviceState>, uplink: &Uplink, decoded: Decoded) -> bool {
    if known.as_ref().is_some_and(|known| is_late(known, uplink)) {
        return false;
    }
    let state = known.get_or_insert_with(|| nothing_yet(uplink.device));
    state.newest = uplink.id();
    state.time = uplink.time;
    state.location = newer(state.location, place_of(uplink, &decoded));
    if state.fields.keys().eq(decoded.fields.keys()) {
        state.fields = Arc::new(decoded.fields);
    } else if !decoded.fields.is_empty() {
        Arc::make_mut(&mut state.fields).extend(decoded.fields);
    }
    true
}

fn nothing_yet(device: DeviceId) -> DeviceState {
    DeviceState {
        newest: UplinkId { device, seconds: 0, tail: UplinkTail::Crc(0) },
        time: Timestamp::default(),
        fields: Arc::default(),
        location: None,
    }
}

/// Whether an uplink was sent before the newest that is known. Within one second, which is all that some sources say, the
/// sequence number decides; it has 12 bits and starts again at 0.
fn is_late(before: &DeviceState, uplink: &Uplink) -> bool {
    match (before.newest.tail, uplink.seq) {
        (UplinkTail::Seq(known), Some(seq)) if uplink.time.as_seconds() == before.newest.seconds => {
            let ahead = known.wrapping_sub(seq) & 0xFFF;
            (1..0x800).contains(&ahead)
        }
        _ => uplink.time < before.time,
    }
}

/// Takes over that a device was located; says whether that is new.
pub(super) fn take_location(known: &mut Option<DeviceState>, device: DeviceId, location: Location) -> bool {
    let before = known.as_ref().and_then(|known| known.location);
    let after = newer(before, Some(location));
    if after == before {
        return false;
    }
    known.get_or_insert_with(|| nothing_yet(device)).location = after;
    true
}

/// Where an uplink says its device was: a fix in its payload is better than what the network computed.
#[must_use]
pub(crate) fn place_of(uplink: &Uplink, decoded: &Decoded) -> Option<Location> {
    let fix = decoded.position.and_then(|(latitude, longitude, accuracy_m)| {
        Location { latitude, longitude, accuracy_m, source: LocationSource::Gps, time: uplink.time }.checked()
    });
    fix.or_else(|| uplink.location.and_then(Location::checked))
}

fn newer(known: Option<Location>, found: Option<Location>) -> Option<Location> {
    match (known, found) {
        (Some(known), Some(found)) if found.time < known.time => Some(known),
        // The network's guess about the message whose payload held the fix.
        (Some(known), Some(found))
            if found.time == known.time
                && known.source == LocationSource::Gps
                && found.source != LocationSource::Gps =>
        {
            Some(known)
        }
        (known, found) => found.or(known),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn uplink(seconds: i64, location: Option<Location>) -> Uplink {
        Uplink {
            seq: Some(u16::try_from(seconds % 4096).unwrap()),
            location,
            ..Uplink::new(
                "1A2B3C".parse().unwrap(),
                Timestamp::from_cloud(seconds).unwrap(),
                "00".parse().unwrap(),
                "s".parse().unwrap(),
            )
        }
    }

    /// The state after an uplink, if that changed it.
    fn after_uplink(before: Option<&DeviceState>, uplink: &Uplink, decoded: &Decoded) -> Option<DeviceState> {
        let mut state = before.cloned();
        take_uplink(&mut state, uplink, decoded.clone()).then_some(state).flatten()
    }

    fn after_location(before: Option<&DeviceState>, location: Location) -> Option<DeviceState> {
        let mut state = before.cloned();
        take_location(&mut state, "1A2B3C".parse().unwrap(), location).then_some(state).flatten()
    }

    fn decoded(fields: &serde_json::Value) -> Decoded {
        Decoded { fields: fields.as_object().unwrap().clone(), ..Decoded::default() }
    }

    #[test]
    fn fields_are_merged_and_a_late_uplink_changes_nothing() {
        let first = after_uplink(None, &uplink(100, None), &decoded(&json!({"a": 1, "b": 1}))).unwrap();
        let second = after_uplink(Some(&first), &uplink(200, None), &decoded(&json!({"b": 2}))).unwrap();
        assert_eq!(serde_json::Value::Object((*second.fields).clone()), json!({"a": 1, "b": 2}));
        assert_eq!(second.newest, uplink(200, None).id());
        assert_eq!(after_uplink(Some(&second), &uplink(150, None), &decoded(&json!({"a": 9}))), None);
    }

    #[test]
    fn of_uplinks_of_one_second_the_sequence_number_tells_which_is_newer() {
        let numbered = |seq, millis: i64| Uplink {
            seq: Some(seq),
            time: Timestamp::from_millis(100_000 + millis).unwrap(),
            ..uplink(100, None)
        };
        // A callback gives whole seconds, a poll milliseconds.
        for (known, then, is_newer) in [
            (numbered(6, 0), numbered(5, 0), false),
            (numbered(5, 0), numbered(6, 0), true),
            (numbered(5, 0), numbered(5, 0), true),
            (numbered(6, 0), numbered(5, 300), false),
            (numbered(5, 300), numbered(6, 0), true),
            (numbered(0, 0), numbered(4095, 0), false),
            (numbered(4095, 0), numbered(0, 0), true),
        ] {
            let before = after_uplink(None, &known, &Decoded::default()).unwrap();
            let after = after_uplink(Some(&before), &then, &Decoded::default());
            assert_eq!(after.is_some(), is_newer, "{} then {}", known.id(), then.id());
        }
    }

    #[test]
    fn the_newest_place_stays_and_a_fix_is_better_than_a_guess() {
        let at = |seconds, source| Location {
            latitude: 1.0,
            longitude: 2.0,
            accuracy_m: None,
            source,
            time: Timestamp::from_cloud(seconds).unwrap(),
        };
        let fix = after_location(None, at(100, LocationSource::Gps)).unwrap();
        assert_eq!(after_location(Some(&fix), at(100, LocationSource::Network)), None);
        assert_eq!(after_location(Some(&fix), at(99, LocationSource::Gps)), None);
        let moved = after_location(Some(&fix), at(101, LocationSource::Network)).unwrap();
        assert_eq!(moved.location, Some(at(101, LocationSource::Network)));
        let with_both = uplink(100, Some(at(100, LocationSource::Network)));
        let found = Decoded { position: Some((3.0, 4.0, Some(5.0))), ..Decoded::default() };
        assert_eq!(place_of(&with_both, &found).map(|place| place.latitude), Some(3.0));
    }

    proptest! {
        #[test]
        fn state_never_goes_back_in_time(times in proptest::collection::vec(1..1000_i64, 1..50)) {
            let mut state: Option<DeviceState> = None;
            for seconds in times {
                let before = state.as_ref().map(|state| state.time);
                if let Some(after) = after_uplink(state.as_ref(), &uplink(seconds, None), &Decoded::default()) {
                    state = Some(after);
                }
                let after = state.as_ref().map(|state| state.time);
                prop_assert!(after >= before);
                prop_assert!(after >= Timestamp::from_cloud(seconds));
            }
        }
    }
}
