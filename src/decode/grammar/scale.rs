//! Arithmetic behind a field: `+ - * /` with decimal constants, left to right (Soracom, binary parser).
//!
//! Every chain of these is one fraction (a·x + b) / d. It is made when the grammar is compiled and integers go
//! through it exactly, so that 22 `:*0.05:+2.7` is 3.8 and not 3.8000000000000003.

use serde_json::Value;

use crate::decode::number;

/// The most operations that a field may have.
pub(super) const MOST: usize = 5;

/// The most digits of a constant: with these it is exact as an integer and as a double.
pub(super) const MOST_DIGITS: usize = 15;

/// A chain of operations.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    steps: Vec<Step>,
    /// None where its numbers outgrow 128 bits.
    exact: Option<Fraction>,
    /// The same where 64 bits are enough, which cost a fifth.
    short: Option<ShortFraction>,
}

/// One operation with its constant, which is `digits / 10^decimals`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    pub(super) operator: Operator,
    /// Not zero for a division.
    pub(super) digits: i64,
    /// At most `MOST_DIGITS`.
    pub(super) decimals: u32,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// (factor·x + offset) / divisor, with a divisor above zero.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Fraction {
    factor: i128,
    offset: i128,
    divisor: i128,
}

/// A fraction of numbers that fit 64 bits: nearly every one.
#[derive(Debug, Clone, Copy, PartialEq)]
struct ShortFraction {
    factor: i64,
    offset: i64,
    divisor: i64,
}

impl Scale {
    /// The chain of these operations.
    pub(super) fn new(steps: Vec<Step>) -> Self {
        let unchanged = Fraction { factor: 1, offset: 0, divisor: 1 };
        let exact = steps.iter().try_fold(unchanged, |fraction, step| fraction.then(*step));
        Self { short: exact.and_then(Fraction::shortened), steps, exact }
    }

    /// An integer, scaled.
    pub(super) fn integer(&self, raw: i128) -> Option<Value> {
        let raw_in_short = i64::try_from(raw).ok();
        let short = self.short.zip(raw_in_short).and_then(|(fraction, raw)| fraction.of(raw));
        let exact = || self.exact.and_then(|fraction| fraction.of(raw));
        short.or_else(exact).or_else(|| number::float(self.apply(raw as f64)))
    }

    /// A double, scaled; none if that is infinite or not a number.
    pub(super) fn float(&self, raw: f64) -> Option<Value> {
        number::float(self.apply(raw))
    }

    /// The raw value that is scaled to this one; not finite after a multiplication by zero.
    pub(super) fn undo(&self, value: f64) -> f64 {
        self.steps.iter().rev().fold(value, |value, step| {
            let constant = step.constant();
            match step.operator {
                Operator::Add => value - constant,
                Operator::Subtract => value + constant,
                Operator::Multiply => value / constant,
                Operator::Divide => value * constant,
            }
        })
    }

    fn apply(&self, raw: f64) -> f64 {
        self.steps.iter().fold(raw, |value, step| {
            let constant = step.constant();
            match step.operator {
                Operator::Add => value + constant,
                Operator::Subtract => value - constant,
                Operator::Multiply => value * constant,
                Operator::Divide => value / constant,
            }
        })
    }
}

impl Step {
    fn constant(self) -> f64 {
        self.digits as f64 / self.power() as f64
    }

    fn power(self) -> i128 {
        10_i128.pow(self.decimals)
    }
}

impl Fraction {
    /// This fraction and one more operation.
    fn then(self, step: Step) -> Option<Self> {
        let (digits, power) = (i128::from(step.digits), step.power());
        let Self { factor, offset, divisor } = self;
        let moved = |by: i128| {
            let offset = offset.checked_mul(power)?.checked_add(divisor.checked_mul(by)?)?;
            Some(Self { factor: factor.checked_mul(power)?, offset, divisor: divisor.checked_mul(power)? })
        };
        let stretched = |by: i128, over: i128| {
            let (by, over) = if over < 0 { (-by, -over) } else { (by, over) };
            let (factor, offset) = (factor.checked_mul(by)?, offset.checked_mul(by)?);
            Some(Self { factor, offset, divisor: divisor.checked_mul(over)? })
        };
        match step.operator {
            Operator::Add => moved(digits),
            Operator::Subtract => moved(-digits),
            Operator::Multiply => stretched(digits, power),
            Operator::Divide => stretched(power, digits),
        }
    }

    fn shortened(self) -> Option<ShortFraction> {
        let short = |number: i128| i64::try_from(number).ok();
        Some(ShortFraction {
            factor: short(self.factor)?,
            offset: short(self.offset)?,
            divisor: short(self.divisor)?,
        })
    }

    fn of(self, raw: i128) -> Option<Value> {
        let over = raw.checked_mul(self.factor)?.checked_add(self.offset)?;
        // The parser refuses a division by zero; the checks say so again.
        match over.checked_rem(self.divisor)? {
            0 => number::integer(over.checked_div(self.divisor)?),
            _ => number::float(over as f64 / self.divisor as f64),
        }
    }
}

impl ShortFraction {
    fn of(self, raw: i64) -> Option<Value> {
        let over = raw.checked_mul(self.factor)?.checked_add(self.offset)?;
        match over.checked_rem(self.divisor)? {
            0 => Some(Value::from(over.checked_div(self.divisor)?)),
            _ => number::float(over as f64 / self.divisor as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(operator: Operator, digits: i64, decimals: u32) -> Step {
        Step { operator, digits, decimals }
    }

    #[test]
    fn decimals_come_out_as_they_would_on_paper() {
        use Operator::{Add, Divide, Multiply, Subtract};
        for (steps, raw, expected) in [
            (vec![step(Multiply, 5, 2), step(Add, 27, 1)], 22, "3.8"),
            (vec![step(Add, 100_000, 0), step(Divide, 100, 0)], 1484, "1014.84"),
            (vec![step(Divide, 10, 0)], 170, "17"),
            (vec![step(Multiply, 1, 1)], 3, "0.3"),
            (vec![step(Divide, -4, 0), step(Subtract, 1, 0)], 10, "-3.5"),
            (vec![step(Multiply, 1, 0)], i128::from(u64::MAX), "18446744073709551615"),
            (vec![step(Multiply, 0, 0)], 5, "0"),
        ] {
            let scale = Scale::new(steps);
            assert_eq!(scale.integer(raw).map(|value| value.to_string()).as_deref(), Some(expected));
        }
    }

    #[test]
    fn numbers_that_outgrow_the_fraction_go_on_as_doubles() {
        let scale = Scale::new(vec![step(Operator::Multiply, 999_999_999_999_999, 0); MOST]);
        assert_eq!(scale.exact, None);
        assert!(scale.integer(i128::from(u64::MAX)).is_some());
    }

    fn operator() -> impl Strategy<Value = Operator> {
        use Operator::{Add, Divide, Multiply, Subtract};
        prop::sample::select(vec![Add, Subtract, Multiply, Divide])
    }

    proptest! {
        #![proptest_config(crate::decode::cases(1))]

        #[test]
        fn exact_and_floating_arithmetic_agree(
            steps in prop::collection::vec((operator(), 1_i64..100_000, 0_u32..4), 0..=MOST),
            raw in -1_000_000_i64..1_000_000,
        ) {
            let steps: Vec<Step> = steps.into_iter().map(|(operator, digits, decimals)| step(operator, digits, decimals)).collect();
            // The same chain without cancellation: doubles err in proportion to it.
            let adding = |step: &Step| match step.operator {
                Operator::Subtract => Step { operator: Operator::Add, ..*step },
                _ => *step,
            };
            let magnitude = Scale::new(steps.iter().map(adding).collect()).apply((raw as f64).abs());
            let scale = Scale::new(steps);
            let exact = scale.integer(i128::from(raw)).unwrap().as_f64().unwrap();
            let floating = scale.apply(raw as f64);
            prop_assert!((exact - floating).abs() <= 1e-14 * magnitude, "{exact} {floating}");
        }
    }
}
