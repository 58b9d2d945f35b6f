//! What the simulated devices measure, packed by public payload formats.
//!
//! Knows nothing of our decoders: the layouts come from the vendors' documents.

/// The custom grammar of Arduino's MKRFOX1200 weather monitor.
pub const WEATHER_GRAMMAR: &str = "status::uint:8 temp1::int:16:little-endian temp2::int:16:little-endian \
     press::uint:16:little-endian hum::uint:16:little-endian light::uint:16:little-endian lastMsg::uint:8";

/// A sensor and what it measured last; values wander so that charts have something to show.
#[derive(Debug, Clone, PartialEq)]
pub enum Sensor {
    /// Arduino's MKRFOX1200 weather monitor, by [`WEATHER_GRAMMAR`].
    Weather {
        /// Hundredths of a degree Celsius.
        temperature_centi: i16,
        /// Tenths of a hectopascal.
        pressure_deci: u16,
        /// Hundredths of a percent.
        humidity_centi: u16,
        /// Lux.
        light: u16,
    },
    /// Sens'it v3 in mode temperature (sigfox/sensit-payload).
    SensitV3 {
        /// Steps of an eighth of a degree Celsius above -25.
        temperature_eighths: u16,
        /// Halves of a percent.
        humidity_halves: u8,
        /// Steps of 50 mV above 2700.
        battery: u8,
    },
    /// Digital Matter's Oyster, message type 0.
    Oyster {
        /// 1e-7 degrees north.
        latitude: i32,
        /// 1e-7 degrees east.
        longitude: i32,
        /// Steps of two degrees.
        heading: u8,
    },
}

impl Sensor {
    /// A weather monitor somewhere in spring.
    #[must_use]
    pub fn weather(rng: &mut fastrand::Rng) -> Self {
        Self::Weather {
            temperature_centi: rng.i16(800..2400),
            pressure_deci: rng.u16(10_050..10_250),
            humidity_centi: rng.u16(3_500..7_500),
            light: rng.u16(100..5_000),
        }
    }

    /// A Sens'it in a room.
    #[must_use]
    pub fn sensit(rng: &mut fastrand::Rng) -> Self {
        Self::SensitV3 {
            temperature_eighths: rng.u16(344..392),
            humidity_halves: rng.u8(70..110),
            battery: rng.u8(20..31),
        }
    }

    /// An Oyster at a place, in degrees.
    #[must_use]
    pub fn oyster(latitude_deg: i16, longitude_deg: i16, rng: &mut fastrand::Rng) -> Self {
        Self::Oyster {
            latitude: i32::from(latitude_deg) * 10_000_000 + rng.i32(0..9_000_000),
            longitude: i32::from(longitude_deg) * 10_000_000 + rng.i32(0..9_000_000),
            heading: rng.u8(0..180),
        }
    }

    /// Measures again and packs what was found: at most 12 bytes.
    pub fn measure(&mut self, rng: &mut fastrand::Rng) -> Vec<u8> {
        match self {
            Self::Weather { temperature_centi, pressure_deci, humidity_centi, light } => {
                *temperature_centi = (*temperature_centi + rng.i16(-15..=15)).clamp(-2_000, 4_000);
                *pressure_deci = (*pressure_deci + rng.u16(0..=4) - 2).clamp(9_500, 10_500);
                *humidity_centi = (*humidity_centi + rng.u16(0..=80) - 40).clamp(1_000, 9_900);
                *light = (*light + rng.u16(0..=60)).saturating_sub(30).min(20_000);
                let mut bytes = vec![1];
                bytes.extend(temperature_centi.to_le_bytes());
                // The second thermometer sits in the sun: half a degree more.
                bytes.extend((*temperature_centi + 50).to_le_bytes());
                for value in [*pressure_deci, *humidity_centi, *light] {
                    bytes.extend(value.to_le_bytes());
                }
                bytes.push(0);
                bytes
            }
            Self::SensitV3 { temperature_eighths, humidity_halves, battery } => {
                *temperature_eighths = (*temperature_eighths + rng.u16(0..=4) - 2).clamp(200, 600);
                *humidity_halves = (*humidity_halves + rng.u8(0..=4) - 2).clamp(20, 180);
                let [high, low] = temperature_eighths.to_be_bytes();
                // Byte 0: battery in bits 7-3, version 110. Byte 1: mode 1 in bits 7-3, temperature's bits 9-8.
                vec![(*battery << 3) | 0b110, (1 << 3) | (high & 0b11), low, *humidity_halves]
            }
            Self::Oyster { latitude, longitude, heading } => {
                *latitude += rng.i32(-20_000..=20_000);
                *longitude += rng.i32(-20_000..=20_000);
                *heading = (*heading + rng.u8(0..=10)) % 180;
                // Byte 0: type 0 in the low nibble, bit 4 in trip.
                let mut bytes = vec![0x10];
                bytes.extend(latitude.to_le_bytes());
                bytes.extend(longitude.to_le_bytes());
                bytes.extend([*heading, rng.u8(0..=60), 168]);
                bytes
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sensor_packs_what_its_vendor_says() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut weather = Sensor::weather(&mut rng);
        let mut sensit = Sensor::sensit(&mut rng);
        let mut oyster = Sensor::oyster(48, 2, &mut rng);
        for _ in 0..10_000 {
            let bytes = weather.measure(&mut rng);
            assert_eq!(bytes.len(), 12);
            let temperature = i16::from_le_bytes([bytes[1], bytes[2]]);
            assert_eq!(i16::from_le_bytes([bytes[3], bytes[4]]), temperature + 50);

            let bytes = sensit.measure(&mut rng);
            assert_eq!((bytes.len(), bytes[0] & 0b111, bytes[1] >> 3), (4, 0b110, 1));
            let raw = u16::from_be_bytes([bytes[1] & 0b11, bytes[2]]);
            assert!((200..=600).contains(&raw), "{raw}");

            let bytes = oyster.measure(&mut rng);
            assert_eq!((bytes.len(), bytes[0] & 0x0f), (12, 0));
        }
    }

    #[test]
    fn the_same_seed_measures_the_same() {
        let measure = |seed| {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut sensor = Sensor::weather(&mut rng);
            (0..5).map(|_| sensor.measure(&mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(measure(1), measure(1));
        assert_ne!(measure(1), measure(2));
    }
}
