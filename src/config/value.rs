//! Kinds of values: what each accepts, how it is said to people, and the value that comes out.

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use toml::de::DeValue;
use url::Url;

use super::Schedule;
use super::quantity::{parse_duration, parse_rate, parse_schedule, parse_size, print_duration, print_size};

/// What a key accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Any text but the empty one.
    Text,
    /// A name: 1 to 32 of `a-z 0-9 _ -`.
    Name,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    /// A whole number between these.
    Integer(i64, i64),
    /// A duration, at least so many seconds.
    Duration(u64),
    /// A size, at least so many bytes.
    Size(u64),
    /// A duration or a cron expression.
    Schedule,
    /// So many in so long.
    Rate,
    /// A URL of one of these schemes.
    Url(&'static [&'static str]),
    /// An address and port to listen on.
    Address,
    /// Levels of a topic.
    Topic,
    /// The path of a file.
    File,
    /// A secret, which may also be in a file of its own.
    Secret,
    /// A list of texts.
    Texts,
}

/// A value of one of the kinds.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Boolean(bool),
    Integer(i64),
    Duration(Duration),
    Size(u64),
    Schedule(Schedule),
    Rate(u32, Duration),
    Url(Url),
    Address(SocketAddr),
    Secret(SecretString),
    Texts(Vec<String>),
}

impl Kind {
    /// The value that TOML holds, or what is wrong with it.
    pub(super) fn read(self, value: &DeValue<'_>) -> Result<Value, String> {
        match (self, value) {
            (Self::Boolean, DeValue::Boolean(value)) => Ok(Value::Boolean(*value)),
            (Self::Integer(..), DeValue::Integer(number)) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(value) => self.in_range(value),
                    Err(_too_long) => Err(format!("is out of range, expected {}", self.expected())),
                }
            }
            (Self::Texts, DeValue::Array(entries)) => {
                let texts = entries.iter().map(|entry| entry.get_ref().as_str().map(str::to_owned));
                texts
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| format!("holds something else than text, expected {}", self.expected()))
                    .and_then(texts_without_blanks)
            }
            (Self::Boolean | Self::Integer(..) | Self::Texts, _) => Err(self.wrong_type(value)),
            (_, DeValue::String(text)) => self.parse(text),
            _ => Err(self.wrong_type(value)),
        }
    }

    /// The value that a variable of the environment or a default spells, or what is wrong with it.
    pub(super) fn parse(self, text: &str) -> Result<Value, String> {
        let wrong = |what: &str| format!("{} {what}, expected {}", quote(text), self.expected());
        if text.is_empty() && self != Self::Texts {
            return Err(format!("is empty, expected {}", self.expected()));
        }
        match self {
            Self::Secret => Ok(Value::Secret(text.into())),
            Self::Text | Self::File => match text.chars().find(|c| c.is_control() && !c.is_whitespace()) {
                Some(_) => Err(wrong("holds a control character")),
                None => Ok(Value::Text(text.to_owned())),
            },
            Self::Name => {
                is_name(text).then(|| Value::Text(text.to_owned())).ok_or_else(|| wrong("is no name"))
            }
            Self::Choice(choices) => {
                let known = choices.contains(&text);
                known.then(|| Value::Text(text.to_owned())).ok_or_else(|| wrong("is not known"))
            }
            Self::Boolean => text.parse().map(Value::Boolean).map_err(|_neither| wrong("is no truth value")),
            Self::Integer(..) => text
                .parse()
                .map_err(|_no_number| wrong("is no number"))
                .and_then(|value| self.in_range(value)),
            Self::Duration(least) => match parse_duration(text) {
                None => Err(wrong("is no duration")),
                Some(value) if value < Duration::from_secs(least) => Err(wrong("is too short")),
                Some(value) => Ok(Value::Duration(value)),
            },
            Self::Size(least) => match parse_size(text) {
                None => Err(wrong("is no size")),
                Some(value) if value < least => Err(wrong("is too small")),
                Some(value) => Ok(Value::Size(value)),
            },
            Self::Schedule => parse_schedule(text).map(Value::Schedule).map_err(|what| wrong(&what)),
            Self::Rate => {
                parse_rate(text).map(|(n, per)| Value::Rate(n, per)).ok_or_else(|| wrong("is no rate"))
            }
            Self::Url(schemes) => self.parse_url(text, schemes),
            Self::Address => text.parse().map(Value::Address).map_err(|_no_address| wrong("is no address")),
            Self::Topic => {
                is_topic(text).then(|| Value::Text(text.to_owned())).ok_or_else(|| wrong("is no topic"))
            }
            Self::Texts => {
                let entries =
                    text.split(',').map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty());
                texts_without_blanks(entries.collect())
            }
        }
    }

    /// What would be right, in words.
    pub(super) fn expected(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Name => "1 to 32 of a-z 0-9 _ -".to_owned(),
            Self::Choice(choices) => one_of(choices),
            Self::Boolean => "true or false".to_owned(),
            Self::Integer(least, i64::MAX) => format!("a whole number from {least} on"),
            Self::Integer(least, most) if most - least == 1 => format!("{least} or {most}"),
            Self::Integer(least, most) => format!("a whole number from {least} to {most}"),
            Self::Duration(0) => "a duration such as \"30s\", \"15m\" or \"3d\"".to_owned(),
            Self::Duration(least) => format!(
                "a duration such as \"30s\", \"15m\" or \"3d\", at least {}",
                print_duration(Duration::from_secs(least))
            ),
            Self::Size(least) => format!("a size such as \"64MiB\", at least {}", print_size(least)),
            Self::Schedule => {
                "a duration such as \"30s\" or a cron expression with seconds such as \"*/30 * * * * *\""
                    .to_owned()
            }
            Self::Rate => "so many in so long, such as \"50/10s\"".to_owned(),
            Self::Url(schemes) => format!("{}://HOST", one_of(schemes)),
            Self::Address => "ADDRESS:PORT such as \"127.0.0.1:8080\"".to_owned(),
            Self::Topic => "levels of a topic such as \"a/b\", without + # and $, no level empty".to_owned(),
            Self::File => "the path of a file".to_owned(),
            Self::Secret => "text".to_owned(),
            Self::Texts => "a list of texts such as [\"a\", \"b\"]".to_owned(),
        }
    }

    fn wrong_type(self, value: &DeValue<'_>) -> String {
        let found = match value {
            DeValue::String(_) => "text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "a truth value",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let quotes = match self {
            Self::Text | Self::Name | Self::Choice(_) | Self::File | Self::Secret | Self::Topic => {
                " in quotes"
            }
            _ => "",
        };
        format!("is {found}, expected {}{quotes}", self.expected())
    }

    fn in_range(self, value: i64) -> Result<Value, String> {
        match self {
            Self::Integer(least, most) if (least..=most).contains(&value) => Ok(Value::Integer(value)),
            _ => Err(format!("{value} is out of range, expected {}", self.expected())),
        }
    }

    /// The URL itself is not printed where it holds a password.
    fn parse_url(self, text: &str, schemes: &[&str]) -> Result<Value, String> {
        let expected = self.expected();
        if text.contains('@') {
            return Err("holds a user or password, expected them in keys of their own".to_owned());
        }
        let url = Url::parse(text)
            .map_err(|error| format!("{} is no URL ({error}), expected {expected}", quote(text)))?;
        if !schemes.contains(&url.scheme()) {
            return Err(format!("{} has another scheme, expected {expected}", quote(text)));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(format!("{} names no host, expected {expected}", quote(text)));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{} has a query or fragment, expected none", quote(text)));
        }
        Ok(Value::Url(url))
    }
}

impl Value {
    /// The value for people and programs; secrets as `***`.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Boolean(value) => json!(value),
            Self::Integer(value) => json!(value),
            Self::Duration(value) => json!(print_duration(*value)),
            Self::Size(bytes) => json!(print_size(*bytes)),
            Self::Schedule(schedule) => json!(schedule.to_string()),
            Self::Rate(count, period) => json!(format!("{count}/{}", print_duration(*period))),
            Self::Url(url) => json!(url.as_str()),
            Self::Address(address) => json!(address.to_string()),
            Self::Secret(_) => json!("***"),
            Self::Texts(texts) => json!(texts),
        }
    }
}

/// A text in a message: short, in backquotes, without control characters.
pub(super) fn quote(text: &str) -> String {
    let short: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    let short = short.replace("\\\"", "\"").replace("\\'", "'");
    if text.chars().nth(60).is_some() { format!("`{short}…`") } else { format!("`{short}`") }
}

/// Words as `a, b or c`.
pub(super) fn one_of(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Whether a text can name a gateway, a source or a mirror.
pub(super) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    (1..=32).contains(&text.len()) && text.bytes().all(plain)
}

fn is_topic(text: &str) -> bool {
    text.len() <= 128
        && !text.starts_with('$')
        && !text.contains(['+', '#'])
        && !text.chars().any(char::is_control)
        && text.split('/').all(|level| !level.is_empty())
}

fn texts_without_blanks(texts: Vec<String>) -> Result<Value, String> {
    if texts.iter().any(|text| text.trim().is_empty()) {
        return Err("holds an empty text, expected none".to_owned());
    }
    Ok(Value::Texts(texts))
}
