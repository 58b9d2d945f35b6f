//! Faults by script: `KIND[=N]:PATH[:COUNT]` says what goes wrong, in which requests, and how often.

use std::str::FromStr;
use std::time::Duration;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// An answer with this status and the cloud's usual error body; 429 and 503 may say when to come again.
    Status(u16, Option<u32>),
    /// No answer for so long, then none at all: the client's patience ends first.
    Timeout(Duration),
    /// The right answer, so much later.
    Slow(Duration),
    /// JSON that ends in the middle, with status 200.
    Truncate,
    /// A page for people, with status 200.
    Html,
    /// The connection ends without an answer.
    Drop,
    /// A page whose next page is itself.
    Loop,
    /// A page whose next page is at another host.
    Elsewhere,
    /// One row that makes no sense among good ones.
    BadRow,
    /// A body of so many MiB.
    Huge(u32),
}

/// One line of the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    kind: FaultKind,
    path: String,
    /// How often it still happens; none is for ever.
    left: Option<u32>,
}

/// Why a text is no fault.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a fault (expected KIND[=N]:PATH[:COUNT], KIND one of 400 to 599, timeout, slow, truncate, \
     html, drop, loop, elsewhere, badrow, huge; PATH a part of the request's path; COUNT a number or *)"
)]
pub struct ParseFaultError(String);

impl Fault {
    /// This fault in the next `count` requests whose path and query contain `path`.
    #[must_use]
    pub fn new(kind: FaultKind, path: impl Into<String>, count: u32) -> Self {
        Self { kind, path: path.into(), left: Some(count) }
    }

    /// Whether it is spent.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.left == Some(0)
    }

    /// What goes wrong with a request for this path and query; each answer counts.
    pub fn strike(&mut self, path_and_query: &str) -> Option<FaultKind> {
        if self.is_spent() || !path_and_query.contains(&self.path) {
            return None;
        }
        self.left = self.left.map(|left| left - 1);
        Some(self.kind)
    }
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseFaultError(text.chars().take(80).collect()))
    }
}

fn parse(text: &str) -> Option<Fault> {
    let (kind, rest) = text.split_once(':')?;
    let (path, left) = match rest.rsplit_once(':') {
        Some((path, "*")) => (path, None),
        Some((path, count)) => (path, Some(count.parse().ok()?)),
        None => (rest, Some(1)),
    };
    let (word, number) = match kind.split_once('=') {
        Some((word, number)) => (word, Some(number.parse::<u32>().ok()?)),
        None => (kind, None),
    };
    let seconds = |default: u32| Duration::from_secs(u64::from(number.unwrap_or(default)));
    let kind = match word {
        "timeout" => FaultKind::Timeout(seconds(120)),
        "slow" => FaultKind::Slow(seconds(3)),
        "truncate" => FaultKind::Truncate,
        "html" => FaultKind::Html,
        "drop" => FaultKind::Drop,
        "loop" => FaultKind::Loop,
        "elsewhere" => FaultKind::Elsewhere,
        "badrow" => FaultKind::BadRow,
        "huge" => FaultKind::Huge(number.unwrap_or(50)),
        status => {
            FaultKind::Status(status.parse().ok().filter(|status| (400..600).contains(status))?, number)
        }
    };
    (!path.is_empty()).then(|| Fault { kind, path: path.to_owned(), left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read() {
        let cases = [
            ("429:/messages:3", FaultKind::Status(429, None), "/messages", Some(3)),
            ("429=5:/messages:3", FaultKind::Status(429, Some(5)), "/messages", Some(3)),
            ("500:/v2/devices", FaultKind::Status(500, None), "/v2/devices", Some(1)),
            ("drop:/:*", FaultKind::Drop, "/", None),
            ("slow=1:/auth:2", FaultKind::Slow(Duration::from_secs(1)), "/auth", Some(2)),
            ("huge:limit=100:1", FaultKind::Huge(50), "limit=100", Some(1)),
        ];
        for (text, kind, path, left) in cases {
            assert_eq!(text.parse(), Ok(Fault { kind, path: path.to_owned(), left }), "{text}");
        }
        for text in ["", "429", "200:/x", "boom:/x", "429:/x:many", "slow=x:/y", "429::1"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_says_and_only_where_it_says() {
        let mut fault: Fault = "500:/messages:2".parse().unwrap();
        let struck: Vec<bool> = ["/v2/devices", "/v2/devices/1/messages", "/messages?x", "/messages"]
            .iter()
            .map(|path| fault.strike(path).is_some())
            .collect();
        assert_eq!(struck, [false, true, true, false]);
        assert!(fault.is_spent());
    }
}
