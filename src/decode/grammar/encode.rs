//! A grammar backwards: from fields to the eight bytes of a downlink.

use serde_json::Value;

use super::{Field, Grammar, Scale, Shape, bits};
use crate::model::Fields;

/// A Sigfox downlink has exactly so many bytes.
const BYTES: usize = 8;

impl Grammar {
    /// Whether it can make downlinks: all fields lie in eight bytes, and no two share a bit.
    pub fn check_downlink(&self) -> Result<(), String> {
        let mut taken: [Option<&Field>; BYTES * 8] = [None; BYTES * 8];
        for field in &self.fields {
            for bit in field.start..field.start + field.width() {
                let Some(place) = taken.get_mut(bit) else {
                    return Err(format!("`{}` lies in {field} (a downlink has bytes 0 to 7)", field.name));
                };
                if let Some(other) = place.replace(field) {
                    return Err(format!(
                        "`{}` and `{}` share byte {} bit {} (in a downlink every bit has one field)",
                        other.name,
                        field.name,
                        bit / 8,
                        7 - bit % 8
                    ));
                }
            }
        }
        Ok(())
    }

    /// The bytes of a downlink with these fields; every field of the grammar is to be given, and no other.
    /// Bits without a field are zero. All problems at once.
    pub fn write(&self, fields: &Fields) -> Result<[u8; BYTES], String> {
        let mut bytes = [0; BYTES];
        let mut problems = Vec::new();
        for field in &self.fields {
            let written = match fields.get(&field.name) {
                Some(value) => field.write(&mut bytes, value),
                None => Err("is missing".to_owned()),
            };
            if let Err(problem) = written {
                problems.push(format!("`{}` {problem}", field.name));
            }
        }
        for name in fields.keys().filter(|name| !self.fields.iter().any(|field| field.name == **name)) {
            let known: Vec<&str> = self.fields.iter().map(Field::name).collect();
            let name: String = name.chars().take(40).collect();
            problems.push(format!("there is no field `{name}` (expected {})", known.join(", ")));
        }
        if problems.is_empty() { Ok(bytes) } else { Err(problems.join("; ")) }
    }
}

impl Field {
    fn write(&self, bytes: &mut [u8; BYTES], value: &Value) -> Result<(), String> {
        match &self.shape {
            Shape::Bool => {
                let bit = match (value, value.as_u64()) {
                    (Value::Bool(bit), _) => u64::from(*bit),
                    (_, Some(bit @ 0..=1)) => bit,
                    _ => return Err("is no bool (expected true or false)".to_owned()),
                };
                self.put(bytes, 0, 1, bit)
            }
            Shape::Integer { width, signed, little_endian, scale } => {
                let raw = raw_integer(value, *width, *signed, scale.as_ref())?;
                self.put(
                    bytes,
                    0,
                    *width,
                    if *little_endian { bits::reverse_bytes(raw, *width) } else { raw },
                )
            }
            Shape::Float { width, little_endian, scale } => {
                let value = value.as_f64().ok_or("is no number")?;
                let value = scale.as_ref().map_or(value, |scale| scale.undo(value));
                let raw = if *width == 32 {
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "the nearest float of 32 bits is what is asked for"
                    )]
                    let value = value as f32;
                    value.is_finite().then_some(u64::from(value.to_bits()))
                } else {
                    value.is_finite().then_some(value.to_bits())
                };
                let raw = raw.ok_or_else(|| format!("does not fit a float of {width} bits"))?;
                self.put(
                    bytes,
                    0,
                    *width,
                    if *little_endian { bits::reverse_bytes(raw, *width) } else { raw },
                )
            }
            Shape::Text { bytes: most } => {
                let text = value.as_str().ok_or("is no text")?.as_bytes();
                if text.len() > *most {
                    return Err(format!("has {} bytes (expected at most {most})", text.len()));
                }
                // What the text does not fill stays zero.
                text.iter().zip(0..).try_for_each(|(byte, nth)| self.put(bytes, nth * 8, 8, u64::from(*byte)))
            }
            Shape::Digits { count, decimal } => {
                let (radix, wanted) = if *decimal { (10, "decimal") } else { (16, "hexadecimal") };
                let digits: Option<Vec<u32>> =
                    value.as_str().and_then(|text| text.chars().map(|digit| digit.to_digit(radix)).collect());
                let Some(digits) = digits.filter(|digits| digits.len() == *count) else {
                    return Err(format!("is no text of {count} {wanted} digits"));
                };
                digits
                    .iter()
                    .zip(0..)
                    .try_for_each(|(digit, nth)| self.put(bytes, nth * 4, 4, u64::from(*digit)))
            }
        }
    }

    /// Puts bits at an offset within the field.
    fn put(&self, bytes: &mut [u8; BYTES], offset: usize, width: u32, raw: u64) -> Result<(), String> {
        bits::write(bytes, self.start + offset, width, raw)
            .ok_or_else(|| format!("lies in {self} (a downlink has bytes 0 to 7)"))
    }
}

/// The bits of an integer; rounded to the nearest that its scale can express.
fn raw_integer(value: &Value, width: u32, signed: bool, scale: Option<&Scale>) -> Result<u64, String> {
    let (least, most) = if signed {
        let half = i128::from(bits::mask(width) >> 1);
        (-half - 1, half)
    } else {
        (0, i128::from(bits::mask(width)))
    };
    let exact = || value.as_u64().map(i128::from).or_else(|| value.as_i64().map(i128::from));
    let raw = match scale {
        None => exact().or_else(|| value.as_f64().filter(|value| value.fract() == 0.0).and_then(whole)),
        Some(scale) => value.as_f64().and_then(|value| whole(scale.undo(value).round())),
    };
    let Some(raw) = raw.filter(|raw| (least..=most).contains(raw)) else {
        let shown = |raw: i128| match scale {
            Some(scale) => scale.integer(raw).unwrap_or_default().to_string(),
            None => raw.to_string(),
        };
        let (one, other) = (shown(least), shown(most));
        let kind = if scale.is_some() { "a number" } else { "an integer" };
        return Err(format!("cannot be {} (expected {kind} from {one} to {other})", short(value)));
    };
    let bits = u64::try_from(raw & i128::from(u64::MAX)).unwrap_or_default();
    Ok(bits & bits::mask(width))
}

/// A double without a fraction as an integer; none if it is far from anything that has 64 bits.
fn whole(value: f64) -> Option<i128> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be far below 2^127")]
    (value.abs() < 1e30).then_some(value as i128)
}

/// A value as an error may quote it.
fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 40 { text.chars().take(40).chain("…".chars()).collect() } else { text }
}
