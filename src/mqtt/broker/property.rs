//! The properties of MQTT 5 packets: each of its type, where it is allowed, and not twice. Pure.

use bytes::Bytes;

use super::packet::{Fields, Refusal};

pub(super) const EXPIRY: u8 = 0x02;
pub(super) const RESPONSE_TOPIC: u8 = 0x08;
pub(super) const SUBSCRIPTION_ID: u8 = 0x0b;
pub(super) const SESSION_EXPIRY: u8 = 0x11;
pub(super) const ASSIGNED_CLIENT_ID: u8 = 0x12;
pub(super) const METHOD: u8 = 0x15;
pub(super) const WILL_DELAY: u8 = 0x18;
pub(super) const REASON_TEXT: u8 = 0x1f;
pub(super) const RECEIVE_MAXIMUM: u8 = 0x21;
pub(super) const ALIAS: u8 = 0x23;
pub(super) const USER: u8 = 0x26;
pub(super) const LARGEST_PACKET: u8 = 0x27;
pub(super) const SHARED_AVAILABLE: u8 = 0x2a;

/// The properties that each packet of a client may have.
pub(super) const OF_CONNECT: &[u8] =
    &[SESSION_EXPIRY, METHOD, 0x16, 0x17, 0x19, RECEIVE_MAXIMUM, 0x22, USER, LARGEST_PACKET];
pub(super) const OF_WILL: &[u8] = &[0x01, EXPIRY, 0x03, RESPONSE_TOPIC, 0x09, WILL_DELAY, USER];
pub(super) const OF_PUBLISH: &[u8] = &[0x01, EXPIRY, 0x03, RESPONSE_TOPIC, 0x09, ALIAS, USER];
pub(super) const OF_SUBSCRIBE: &[u8] = &[SUBSCRIPTION_ID, USER];
pub(super) const OF_UNSUBSCRIBE: &[u8] = &[USER];
pub(super) const OF_ACKNOWLEDGEMENT: &[u8] = &[REASON_TEXT, USER];
pub(super) const OF_DISCONNECT: &[u8] = &[SESSION_EXPIRY, REASON_TEXT, USER];

/// A property as a number (0 for texts), and as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) id: u8,
    pub(super) number: u32,
    pub(super) raw: Bytes,
}

/// The properties that come next in a packet, with the length before them.
pub(super) fn properties(fields: &mut Fields, allowed: &[u8]) -> Result<Vec<Property>, Refusal> {
    let length = usize::try_from(fields.variable()?).ok().ok_or(Refusal::Malformed)?;
    let mut part = fields.part(length)?;
    let mut found: Vec<Property> = Vec::new();
    while !part.is_empty() {
        let before = part.clone();
        let (id, number) = property(&mut part)?;
        if !allowed.contains(&id) || id != USER && found.iter().any(|property| property.id == id) {
            return Err(Refusal::NotAllowed);
        }
        found.push(Property { id, number, raw: part.since(&before) });
    }
    Ok(found)
}

/// The number of a property, if it is among these.
pub(super) fn number(properties: &[Property], id: u8) -> Option<u32> {
    properties.iter().find(|property| property.id == id).map(|property| property.number)
}

/// One property by its type (MQTT 5, table 2-4).
fn property(part: &mut Fields) -> Result<(u8, u32), Refusal> {
    let id = part.u8()?;
    let number = match id {
        // Flags are 0 or 1.
        0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | SHARED_AVAILABLE => match part.u8()? {
            flag @ 0..=1 => u32::from(flag),
            _ => return Err(Refusal::NotAllowed),
        },
        RECEIVE_MAXIMUM => not_zero(part.u16()?.into())?,
        0x13 | 0x22 | ALIAS => part.u16()?.into(),
        LARGEST_PACKET => not_zero(part.u32()?)?,
        EXPIRY | SESSION_EXPIRY | WILL_DELAY => part.u32()?,
        SUBSCRIPTION_ID => not_zero(part.variable()?)?,
        0x03 | ASSIGNED_CLIENT_ID | METHOD | 0x1a | 0x1c | REASON_TEXT => {
            part.text()?;
            0
        }
        RESPONSE_TOPIC => match part.text()?.contains(['+', '#']) {
            true => return Err(Refusal::NotAllowed),
            false => 0,
        },
        0x09 | 0x16 => {
            part.binary()?;
            0
        }
        USER => {
            part.text()?;
            part.text()?;
            0
        }
        _ => return Err(Refusal::Malformed),
    };
    Ok((id, number))
}

fn not_zero(number: u32) -> Result<u32, Refusal> {
    if number == 0 { Err(Refusal::NotAllowed) } else { Ok(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_of_their_type_in_their_place_and_not_twice() {
        let read = |hex: &str, allowed| {
            properties(&mut Fields::from(Bytes::from(hex::decode(hex.replace(' ', "")).unwrap())), allowed)
        };
        let found = read("0e 02 00000005 26 0001 61 0001 62 01 01", OF_PUBLISH).unwrap();
        assert_eq!(number(&found, EXPIRY), Some(5));
        assert_eq!(found[1].raw.to_vec(), hex::decode("26000161000162").unwrap());
        for (hex, allowed, refusal) in [
            ("05 11 00000005", OF_PUBLISH, Refusal::NotAllowed),
            ("0a 02 00000005 02 00000005", OF_PUBLISH, Refusal::NotAllowed),
            ("03 21 0000", OF_CONNECT, Refusal::NotAllowed),
            ("02 01 02", OF_PUBLISH, Refusal::NotAllowed),
            ("04 08 0001 2b", OF_PUBLISH, Refusal::NotAllowed),
            ("02 0b 00", OF_SUBSCRIBE, Refusal::NotAllowed),
            ("05 02 000000", OF_PUBLISH, Refusal::Malformed),
            ("04 02 000000", OF_PUBLISH, Refusal::Malformed),
            ("02 77 00", OF_PUBLISH, Refusal::Malformed),
            ("04 03 0001 ff", OF_PUBLISH, Refusal::Malformed),
            ("ffffffff 01", OF_PUBLISH, Refusal::Malformed),
        ] {
            assert_eq!(read(hex, allowed), Err(refusal), "{hex}");
        }
    }
}
