//! Numbers as JSON: integers of 64 bits are exact, and a value without a fraction is written without one (17).

use serde_json::{Number, Value};

/// Below this every whole double is that integer and no other.
const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

/// A double as JSON; none if it is infinite or not a number.
pub(super) fn float(value: f64) -> Option<Value> {
    if value.fract() == 0.0 && value.abs() < EXACT_BELOW {
        #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is far below 2^63")]
        let whole = value as i64;
        return Some(Value::from(whole));
    }
    Number::from_f64(value).map(Value::Number)
}

/// An integer as JSON; a double where it has more than 64 bits.
pub(super) fn integer(value: i128) -> Option<Value> {
    if let Ok(value) = u64::try_from(value) {
        return Some(Value::from(value));
    }
    if let Ok(value) = i64::try_from(value) {
        return Some(Value::from(value));
    }
    float(value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_people_write_it() {
        for (value, written) in [
            (17.0, "17"),
            (-0.0, "0"),
            (25.5, "25.5"),
            (1e15, "1000000000000000"),
            (9_007_199_254_740_992.0, "9007199254740992.0"),
            (-21.25, "-21.25"),
        ] {
            assert_eq!(float(value).map(|value| value.to_string()).as_deref(), Some(written));
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(float(value), None);
        }
        assert_eq!(
            integer(i128::from(u64::MAX)).map(|value| value.to_string()).as_deref(),
            Some("18446744073709551615")
        );
        assert_eq!(
            integer(i128::from(i64::MIN)).map(|value| value.to_string()).as_deref(),
            Some("-9223372036854775808")
        );
        assert_eq!(
            integer(1 << 70).map(|value| value.to_string()).as_deref(),
            Some("1.1805916207174113e+21")
        );
    }
}
