//! What happens when a device sends: the message is remembered and the callbacks of its type are called.

use std::time::Duration;

use super::{Delivery, Schedule, Uplink, World};
use crate::model::{DeviceId, Payload, Timestamp};
use crate::simulate::callback::{CallbackKind, Variables, fill_in};
use crate::simulate::variables;
use crate::simulate::world::Reception;

/// `DATA_ADVANCED` comes 25 to 30 s after the first frame (support.sigfox.com, data-advanced).
const ADVANCED_AFTER: Duration = Duration::from_secs(30);
/// How long after a message the network knows where it came from.
const LOCATED_AFTER: Duration = Duration::from_secs(90);
/// Lines of a batch are collected for a second.
const BATCH_AFTER: Duration = Duration::from_secs(1);
/// What is to happen in the world.
#[derive(Debug)]
pub(in crate::simulate) enum Event {
    /// A device's schedule comes round.
    Send(DeviceId),
    /// The lines of a batch callback, by its id, are full or old enough.
    Batch(String),
    /// A callback is to be called.
    Deliver(Box<Delivery>),
}

/// What a device sends when it is told to.
#[derive(Debug, Clone, Default)]
pub struct Telegram {
    /// The bytes; none: what its sensor measures.
    pub payload: Option<Payload>,
    /// Whether it asks for a downlink.
    pub ack: bool,
}

impl World {
    /// Starts the schedules: the devices share out their first interval, so that the first message comes soon.
    pub(in crate::simulate) fn start(&mut self, now: Timestamp) {
        let scheduled: Vec<(DeviceId, Duration)> = self
            .devices
            .values()
            .filter_map(|device| Some((device.id, device.schedule.as_ref()?.every)))
            .collect();
        let first = now.plus(self.head_start);
        let shares = u32::try_from(scheduled.len()).unwrap_or(u32::MAX).max(1);
        for (share, (id, every)) in (0..).zip(scheduled) {
            self.agenda.add(first.plus(self.pace.real(every / shares * share)), Event::Send(id));
        }
    }

    /// Lets everything happen whose time has come; the callbacks that are to be called now come back.
    pub(in crate::simulate) fn advance(&mut self, now: Timestamp) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        while let Some(event) = self.agenda.take_due(now) {
            match event {
                Event::Send(id) => self.send_by_schedule(id, now),
                Event::Batch(callback) => deliveries.extend(self.close_batch(&callback)),
                Event::Deliver(delivery) => deliveries.push(*delivery),
            }
        }
        deliveries
    }

    fn send_by_schedule(&mut self, id: DeviceId, now: Timestamp) {
        let Some(device) = self.devices.get_mut(&id) else { return };
        let Some(Schedule { every, asks_every, .. }) = device.schedule else { return };
        device.sent += 1;
        let ack = asks_every > 0 && device.sent % asks_every == 0;
        // Clocks of devices drift: up to a tenth either way.
        let jitter = self.rng.u32(90..=110);
        // Never at once again, or a fast world would not get past this moment.
        let next = now.plus(self.pace.real(every * jitter / 100).max(Duration::from_millis(1)));
        self.send(id, Telegram { payload: None, ack }, now);
        self.agenda.add(next, Event::Send(id));
    }

    /// Makes a device send now. None if there is no such device.
    pub fn send(&mut self, id: DeviceId, telegram: Telegram, now: Timestamp) -> Option<Uplink> {
        let uplink = self.emit(id, telegram, now)?;
        let number = self.remember(uplink.clone());
        self.call_for(number, now);
        if uplink.ack {
            self.answer_from_slot(number, now);
            self.answer_without_asking(number, now);
        }
        Some(uplink)
    }

    /// A message of a device's own making, with the next sequence number, not yet remembered.
    pub(in crate::simulate) fn emit(
        &mut self,
        id: DeviceId,
        telegram: Telegram,
        now: Timestamp,
    ) -> Option<Uplink> {
        let receptions = self.receptions(id)?;
        let device = self.devices.get_mut(&id)?;
        let payload = match (telegram.payload, &mut device.schedule) {
            (Some(payload), _) => payload,
            (None, Some(schedule)) => {
                Payload::new(schedule.sensor.measure(&mut self.rng)).unwrap_or_default()
            }
            (None, None) => Payload::default(),
        };
        let seq = device.next_seq();
        let located = device.schedule.as_ref().is_some_and(|schedule| {
            schedule.located_every > 0 && u32::from(seq) % schedule.located_every == 0
        });
        let place = device.place;
        let mut uplink = Uplink {
            rollover: device.rollover,
            ack: telegram.ack,
            lqi: u8::try_from(receptions.len()).unwrap_or(3).min(3),
            receptions,
            ..Uplink::new(id, now, seq, payload)
        };
        if located {
            let radius = self.rng.u32(300..3_000);
            // The network is off by up to a hundredth of a degree, a kilometre.
            let off = |rng: &mut fastrand::Rng| (rng.f64() - 0.5) / 50.0;
            let (north, east) = (off(&mut self.rng), off(&mut self.rng));
            let after = self.pace.real(LOCATED_AFTER);
            let (latitude, longitude) = (place.latitude + north, place.longitude + east);
            uplink = uplink.located(metres(latitude), metres(longitude), radius, after);
        }
        Some(uplink)
    }

    fn receptions(&mut self, id: DeviceId) -> Option<Vec<Reception>> {
        let device = self.devices.get(&id)?;
        let metadata = self.types.get(&device.device_type).is_none_or(|kind| kind.network_metadata);
        let stations = if metadata { self.rng.usize(1..=4) } else { 0 };
        let place = device.place;
        let degrees = (variables::whole_degrees(place.latitude), variables::whole_degrees(place.longitude));
        let rng = &mut self.rng;
        let mut receptions: Vec<Reception> = (0..stations)
            .map(|station| Reception {
                station: format!("{:X}", 0x1A2B + station * 0x1111),
                rssi_centi: -rng.i32(9_000..13_800),
                snr_centi: rng.i32(600..3_200),
                repetitions: rng.u8(1..=3),
                degrees,
                delay_ms: rng.u32(900..4_500),
            })
            .collect();
        receptions.sort_by_key(|reception| -reception.rssi_centi);
        Some(receptions)
    }

    /// Writes down every callback that a new message causes.
    fn call_for(&mut self, number: u64, now: Timestamp) {
        let Some(uplink) = self.history.uplink(number).cloned() else { return };
        let Some(device) = self.devices.get(&uplink.device).filter(|device| device.in_sigfox) else { return };
        let Some(device_type) = self.types.get(&device.device_type).cloned() else { return };
        let tenth = uplink.seq.is_some_and(|seq| seq % 10 == 0);
        for callback in device_type.callbacks.iter().filter(|callback| callback.enabled) {
            let due = match callback.kind {
                CallbackKind::Uplink | CallbackKind::Bidir => now,
                CallbackKind::Advanced => now.plus(self.pace.real(ADVANCED_AFTER)),
                CallbackKind::Geoloc => match &uplink.position {
                    Some(position) => position.known,
                    None => continue,
                },
                // Every tenth message carries the device's temperature and battery along.
                CallbackKind::Status if tenth => now,
                CallbackKind::Status | CallbackKind::Acknowledge | CallbackKind::Error => continue,
            };
            if callback.line_pattern.is_some() {
                let lines = self.batches.entry(callback.id.clone()).or_default();
                lines.push(number);
                if lines.len() == 1 {
                    self.agenda.add(due.plus(BATCH_AFTER), Event::Batch(callback.id.clone()));
                }
                continue;
            }
            let shown = callback.kind != CallbackKind::Advanced || uplink.position.is_some();
            let delivery = Delivery {
                callback: callback.clone(),
                uplinks: vec![number],
                variables: variables::of_uplink(&device_type, &uplink, shown),
                failed: 0,
                device: uplink.device,
                device_type: device_type.id.clone(),
            };
            self.agenda.add(due, Event::Deliver(Box::new(delivery)));
        }
    }

    fn close_batch(&mut self, callback_id: &str) -> Option<Delivery> {
        let numbers = self.batches.remove(callback_id)?;
        let (device_type, callback) = self.types.values().find_map(|device_type| {
            let callback = device_type.callbacks.iter().find(|callback| callback.id == callback_id)?;
            Some((device_type, callback))
        })?;
        let pattern = callback.line_pattern.as_deref()?;
        let uplinks: Vec<&Uplink> =
            numbers.iter().filter_map(|number| self.history.uplink(*number)).collect();
        let lines: Vec<String> = uplinks
            .iter()
            .map(|uplink| fill_in(pattern, &variables::of_uplink(device_type, uplink, false)))
            .collect();
        Some(Delivery {
            callback: callback.clone(),
            device: uplinks.first()?.device,
            device_type: device_type.id.clone(),
            variables: Variables::from([("batch", variables::query_encoded(&lines.join("\n")))]),
            uplinks: numbers,
            failed: 0,
        })
    }
}

/// Degrees with five digits, a metre; more would be noise.
fn metres(degrees: f64) -> f64 {
    (degrees * 1e5).round() / 1e5
}
