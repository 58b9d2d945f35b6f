//! What a host asks for, by NCMD and DCMD: bytes in, a command out, or in words why it is none. Pure.

use prost::Message as _;

use super::catalogue::PUSH;
use super::declared::{Declared, Subject};
use super::node::REBIRTH;
use super::payload::{Metric, Payload, Value};
use crate::model::{DeviceId, DownlinkPayload};

/// No command has more metrics that are looked at.
const MOST_METRICS: usize = 64;

/// What a host asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// All births again.
    Rebirth,
    /// A downlink; the reason where its text stands for none, so that the host learns of it by the item's state.
    Push(DeviceId, Result<DownlinkPayload, String>),
}

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ignored {
    /// Not a payload.
    #[error("malformed: not a Sparkplug B payload")]
    Malformed,
    /// A metric that nobody can write.
    #[error("unknown_metric: {0} cannot be written")]
    Unknown(String),
    /// A value of another type.
    #[error("wrong_type: {name} takes {expected}")]
    WrongType {
        /// The metric.
        name: &'static str,
        /// What would be right.
        expected: &'static str,
    },
}

/// Reads the commands of a payload for a subject.
///
/// # Errors
/// Bytes that are no payload; each metric that is no command has its own.
pub(super) fn read(
    bytes: &[u8],
    subject: Subject,
    declared: &Declared,
) -> Result<Vec<Result<Command, Ignored>>, Ignored> {
    let payload = Payload::decode(bytes).ok().ok_or(Ignored::Malformed)?;
    Ok(payload.metrics.iter().take(MOST_METRICS).map(|metric| command(metric, subject, declared)).collect())
}

fn command(metric: &Metric, subject: Subject, declared: &Declared) -> Result<Command, Ignored> {
    match subject {
        Subject::Node if metric.name.as_deref() == Some(REBIRTH) => match metric.value {
            Some(Value::Boolean(true)) => Ok(Command::Rebirth),
            _ => Err(Ignored::WrongType { name: REBIRTH, expected: "the Boolean true" }),
        },
        Subject::Device(device) if declared.name_of(subject, metric) == Some(PUSH.name) => {
            match &metric.value {
                Some(Value::String(text)) => Ok(Command::Push(device, downlink(text))),
                _ => Err(Ignored::WrongType { name: PUSH.name, expected: "a String of 16 hex digits" }),
            }
        }
        _ => Err(Ignored::Unknown(printed(metric))),
    }
}

fn downlink(text: &str) -> Result<DownlinkPayload, String> {
    text.trim().parse().map_err(|error| format!("invalid_data: {error}"))
}

/// What the host called the metric, short enough for a log.
fn printed(metric: &Metric) -> String {
    match (&metric.name, metric.alias) {
        (Some(name), _) => format!("`{}`", name.chars().take(80).collect::<String>()),
        (None, Some(alias)) => format!("alias {alias}"),
        (None, None) => "a metric without a name".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::publish::sparkplug::metric::DataType;

    fn device() -> DeviceId {
        "1A2B3C".parse().unwrap()
    }

    fn declared() -> (Declared, u64) {
        let mut declared = Declared::default();
        declared.declare(Subject::Node, REBIRTH, DataType::Boolean);
        let push = declared.declare(Subject::Device(device()), PUSH.name, DataType::String).unwrap();
        (declared, push.alias)
    }

    fn metric(name: Option<&str>, alias: Option<u64>, value: Value) -> Metric {
        Metric { name: name.map(str::to_owned), alias, value: Some(value), ..Metric::default() }
    }

    #[test]
    fn commands_are_told_from_what_is_none() {
        let (declared, push) = declared();
        let wrong = |name, expected| Err(Ignored::WrongType { name, expected });
        let text = |text: &str| Value::String(text.to_owned());
        let data = "0123456789abcdef".parse().unwrap();
        let of_device = Subject::Device(device());
        for (subject, given, read) in [
            (Subject::Node, metric(Some(REBIRTH), None, Value::Boolean(true)), Ok(Command::Rebirth)),
            (
                Subject::Node,
                metric(Some(REBIRTH), None, Value::Boolean(false)),
                wrong(REBIRTH, "the Boolean true"),
            ),
            (Subject::Node, metric(Some(REBIRTH), None, Value::Int(1)), wrong(REBIRTH, "the Boolean true")),
            (
                Subject::Node,
                metric(Some("Gateway/Version"), None, text("2")),
                Err(Ignored::Unknown("`Gateway/Version`".to_owned())),
            ),
            (
                of_device,
                metric(None, Some(push), text("0123456789ABCDEF")),
                Ok(Command::Push(device(), Ok(data))),
            ),
            (
                of_device,
                metric(Some(PUSH.name), None, text("0123456789abcdef")),
                Ok(Command::Push(device(), Ok(data))),
            ),
            (
                of_device,
                metric(Some(PUSH.name), None, Value::Long(7)),
                wrong(PUSH.name, "a String of 16 hex digits"),
            ),
            (
                of_device,
                metric(None, Some(push + 1), text("00")),
                Err(Ignored::Unknown(format!("alias {}", push + 1))),
            ),
            (of_device, Metric::default(), Err(Ignored::Unknown("a metric without a name".to_owned()))),
        ] {
            let payload = Payload { metrics: vec![given.clone()], ..Payload::default() };
            assert_eq!(
                super::read(&payload.encode_to_vec(), subject, &declared),
                Ok(vec![read]),
                "{given:?}"
            );
        }
    }

    #[test]
    fn a_text_that_is_no_downlink_says_what_would_be_right() {
        let (declared, push) = declared();
        let given = metric(None, Some(push), Value::String("0123".to_owned()));
        let payload = Payload { metrics: vec![given], ..Payload::default() };
        let read = read(&payload.encode_to_vec(), Subject::Device(device()), &declared).unwrap();
        let Some(Ok(Command::Push(_, Err(reason)))) = read.first() else { panic!("{read:?}") };
        assert_eq!(reason, "invalid_data: 2 bytes (expected exactly 8, as 16 hex digits)");
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_command_by_chance(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (declared, _) = declared();
            if let Ok(commands) = read(&bytes, Subject::Node, &declared) {
                prop_assert!(commands.iter().all(Result::is_err));
            }
        }
    }
}
