//! What becomes of a device's question: whose answer counts, what is transmitted, and what is reported.
//!
//! A device listens from about 20 to 45 s after it asked; four answers a day are in the contract.

use std::time::Duration;

use serde_json::Value;

use super::air::Event;
use super::{Delivery, DeviceType, Received, Uplink, World};
use crate::model::{DeviceId, DownlinkPayload, Timestamp};
use crate::simulate::callback::{CallbackKind, Variables};
use crate::simulate::variables;

/// When the device has stopped listening for an answer.
const LISTENS_FOR: Duration = Duration::from_secs(45);
/// When the backend reports what came of it.
const REPORTED_AFTER: Duration = Duration::from_secs(30);

/// How a question ended, by the `infoCode` of ACKNOWLEDGE (support.sigfox.com, acknowledge).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Info {
    Acked,
    NoAnswer,
    InvalidPayload,
    Overrun,
    NetworkError,
    NoContract,
    TooManyRequests,
    InvalidConfiguration,
}

impl Info {
    const ALL: [(u8, Self, &'static str); 8] = [
        (0, Self::Acked, "Acknowledge"),
        (1, Self::NoAnswer, "No answer"),
        (2, Self::InvalidPayload, "Invalid payload"),
        (3, Self::Overrun, "Overrun"),
        (4, Self::NetworkError, "Network error"),
        (6, Self::NoContract, "No downlink contract"),
        (7, Self::TooManyRequests, "Too many requests"),
        (8, Self::InvalidConfiguration, "Invalid configuration"),
    ];

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().find(|(known, _, _)| *known == code).map(|(_, info, _)| *info)
    }

    fn code_and_message(self) -> (u8, &'static str) {
        Self::ALL.iter().find(|(_, info, _)| *info == self).map_or((1, ""), |(code, _, text)| (*code, text))
    }
}

/// What an answer says about one device.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Nothing,
    Data(DownlinkPayload),
    Invalid,
}

/// Reads the answer to a BIDIR callback (support.sigfox.com, bidir).
fn read_answer(status: u16, body: &[u8], device: DeviceId) -> Answer {
    if status == 204 || body.is_empty() {
        return Answer::Nothing;
    }
    let Ok(Value::Object(answers)) = serde_json::from_slice(body) else { return Answer::Invalid };
    let own = answers.iter().find(|(key, _)| key.parse() == Ok(device)).map(|(_, answer)| answer);
    let Some(own) = own else { return Answer::Nothing };
    if own.get("noData").and_then(Value::as_bool) == Some(true) {
        return Answer::Nothing;
    }
    let data = own.get("downlinkData").and_then(Value::as_str).and_then(|data| data.parse().ok());
    data.map_or(Answer::Invalid, Answer::Data)
}

impl World {
    /// Takes the answer to a BIDIR callback for every message in it that asked. One that comes with a retry is
    /// too late for the device: it has stopped listening.
    pub(super) fn take_answer(
        &mut self,
        numbers: &[u64],
        status: u16,
        body: &[u8],
        late: bool,
        now: Timestamp,
    ) {
        for number in numbers {
            let waits = |uplink: &&Uplink| uplink.ack && !uplink.refused && uplink.answer.is_none();
            let Some(uplink) = self.history.uplink(*number).filter(waits) else { continue };
            if self.type_of(uplink.device).is_none_or(|device_type| device_type.downlink_mode != 1) {
                continue;
            }
            match read_answer(status, body, uplink.device) {
                Answer::Nothing => self.report(*number, Info::NoAnswer, now),
                Answer::Invalid => self.report(*number, Info::InvalidPayload, now),
                Answer::Data(_) if late => self.report(*number, Info::NetworkError, now),
                Answer::Data(data) => self.transmit(*number, data, "callback", now),
            }
        }
    }

    /// Answers a question that no callback is asked for, or that cannot be answered at all.
    pub(super) fn answer_without_asking(&mut self, number: u64, now: Timestamp) {
        let Some(uplink) = self.history.uplink_mut(number) else { return };
        let Some(device) = self.devices.get_mut(&uplink.device).filter(|device| device.in_sigfox) else {
            return;
        };
        let asked_again = device.listens_until.is_some_and(|until| until > now);
        uplink.refused = asked_again;
        device.listens_until = Some(now.plus(self.pace.real(LISTENS_FOR)));
        let Some(device_type) = self.types.get(&device.device_type) else { return };
        let asks_someone = device_type.callbacks.iter().any(|callback| {
            callback.kind == CallbackKind::Bidir && callback.downlink_hook && callback.enabled
        });
        let fixed = device_type.downlink_data.as_deref().and_then(|data| data.parse().ok());
        match device_type.downlink_mode {
            _ if asked_again => self.report(number, Info::TooManyRequests, now),
            0 => match fixed {
                Some(data) => self.transmit(number, data, "direct", now),
                None => self.report(number, Info::NoAnswer, now),
            },
            1 if asks_someone => {}
            1 => self.report(number, Info::InvalidConfiguration, now),
            _ => self.report(number, Info::NoContract, now),
        }
    }

    /// Serves Soracom's slot: at the first uplink that asks, whatever the Sigfox side of the device says.
    pub(super) fn answer_from_slot(&mut self, number: u64, now: Timestamp) {
        let Some(uplink) = self.history.uplink_mut(number) else { return };
        let Some(device) = self.devices.get_mut(&uplink.device) else { return };
        let slot = device.registration.as_mut().and_then(|registration| registration.slot.take());
        if let Some(data) = slot {
            uplink.answer = Some(data);
            device.received.push(Received { time: now, seq: uplink.seq, data, via: "soracom" });
        }
    }

    fn type_of(&self, device: DeviceId) -> Option<&DeviceType> {
        self.types.get(&self.devices.get(&device)?.device_type)
    }

    fn transmit(&mut self, number: u64, data: DownlinkPayload, via: &'static str, now: Timestamp) {
        let today = self.pace.day(now);
        let Some(uplink) = self.history.uplink_mut(number) else { return };
        let Some(device) = self.devices.get_mut(&uplink.device) else { return };
        let forced = if device.forced_info_codes.is_empty() {
            None
        } else {
            Info::from_code(device.forced_info_codes.remove(0))
        };
        if device.quota.0 != today {
            device.quota = (today, 0);
        }
        let info = match forced {
            Some(info) => info,
            None if device.quota.1 >= self.daily_downlinks => Info::Overrun,
            None => Info::Acked,
        };
        if info == Info::Acked {
            device.quota.1 += 1;
            uplink.answer = Some(data);
            device.received.push(Received { time: now, seq: uplink.seq, data, via });
        }
        self.report(number, info, now);
    }

    /// Calls the ACKNOWLEDGE callbacks; they carry the time of the question and no sequence number.
    fn report(&mut self, number: u64, info: Info, now: Timestamp) {
        let Some(uplink) = self.history.uplink(number) else { return };
        let Some(device) = self.devices.get(&uplink.device) else { return };
        let Some(device_type) = self.types.get(&device.device_type) else { return };
        let (code, message) = info.code_and_message();
        let mut values: Variables = variables::of_uplink(device_type, uplink, false);
        values.remove("seqNumber");
        values.insert("infoCode", code.to_string());
        values.insert("infoMessage", message.to_owned());
        values.insert("downlinkAck", (info == Info::Acked).to_string());
        values.insert("downlinkOverusage", (info == Info::Overrun).to_string());
        let due = uplink.time.plus(self.pace.real(REPORTED_AFTER)).max(now);
        let wanted = |kind| kind == CallbackKind::Acknowledge;
        for callback in
            device_type.callbacks.iter().filter(|callback| callback.enabled && wanted(callback.kind))
        {
            let delivery = Delivery {
                callback: callback.clone(),
                uplinks: Vec::new(),
                variables: values.clone(),
                failed: 0,
                device: uplink.device,
                device_type: device_type.id.clone(),
            };
            self.agenda.add(due, Event::Deliver(Box::new(delivery)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_the_documents_say() {
        let device: DeviceId = "4D9A83".parse().unwrap();
        let data = Answer::Data("0011223344556677".parse().unwrap());
        for (status, body, answer) in [
            (200, r#"{"4D9A83":{"downlinkData":"0011223344556677"}}"#, data),
            (204, "", Answer::Nothing),
            (200, "", Answer::Nothing),
            (200, r#"{"4D9A83":{"noData":true}}"#, Answer::Nothing),
            (200, r#"{"3068E":{"downlinkData":"0011223344556677"}}"#, Answer::Nothing),
            (200, r#"{"4D9A83":{"downlinkData":"00112233445566"}}"#, Answer::Invalid),
            (200, r#"{"4D9A83":{"downlinkData":"not hexadecimal!"}}"#, Answer::Invalid),
            (200, "<html>", Answer::Invalid),
            (200, "[]", Answer::Invalid),
        ] {
            assert_eq!(read_answer(status, body.as_bytes(), device), answer, "{status} {body}");
        }
    }
}
