//! The command line's side of the socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use serde::Deserialize;
use serde_json::Value;

use super::{Export, Question, socket};
use crate::config::Gateway;

/// Why a daemon gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No daemon listens: ask the store itself.
    #[error("no daemon runs on this data directory")]
    NoDaemon,
    /// The socket is kept from this user.
    #[error(
        "the daemon's control socket may not be opened (expected its own user, one of its group, or root)"
    )]
    Permission,
    /// It listens, but says no sensible answer.
    #[error("the daemon does not answer")]
    NoAnswer(#[source] io::Error),
    /// What came could not be passed on.
    #[error("the rows cannot be written")]
    NotTaken(#[source] io::Error),
    /// It answered that it cannot, in its words.
    #[error("{0}")]
    Refused(String),
}

/// A line of the daemon's.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Answer(Value),
    Row(Value),
    End(()),
    Error(String),
}

/// Asks the daemon of a gateway. Blocks.
pub fn ask(gateway: &Gateway, question: &Question) -> Result<Value, AskError> {
    match line(&mut send(gateway, question)?)? {
        Line::Answer(answer) => Ok(answer),
        Line::Row(_) | Line::End(_) => Err(nonsense("rows, where one answer was asked for")),
        Line::Error(error) => Err(AskError::Refused(error)),
    }
}

/// Asks for rows, and gives each to `take` as it comes. Blocks. That all have come is certain only where this
/// returns well.
pub fn ask_for_rows(
    gateway: &Gateway,
    export: Export,
    mut take: impl FnMut(Value) -> io::Result<()>,
) -> Result<(), AskError> {
    let mut stream = send(gateway, &Question::Export(export))?;
    loop {
        match line(&mut stream)? {
            Line::Row(row) => take(row).map_err(AskError::NotTaken)?,
            Line::End(_) => return Ok(()),
            Line::Answer(_) => return Err(nonsense("one answer, where rows were asked for")),
            Line::Error(error) => return Err(AskError::Refused(error)),
        }
    }
}

fn send(gateway: &Gateway, question: &Question) -> Result<BufReader<UnixStream>, AskError> {
    let mut stream = connect(gateway)?;
    let mut send = || {
        stream.set_read_timeout(Some(question.patience()))?;
        stream.set_write_timeout(Some(question.patience()))?;
        let line = serde_json::to_string(question)?;
        stream.write_all(format!("{line}\n").as_bytes())
    };
    send().map_err(AskError::NoAnswer)?;
    Ok(BufReader::new(stream))
}

fn connect(gateway: &Gateway) -> Result<UnixStream, AskError> {
    let mut failed = AskError::NoDaemon;
    for place in socket::places(gateway) {
        match UnixStream::connect(place) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => failed = AskError::Permission,
            Err(_nobody_listens) => {}
        }
    }
    Err(failed)
}

fn line(stream: &mut BufReader<UnixStream>) -> Result<Line, AskError> {
    let mut line = String::new();
    if stream.read_line(&mut line).map_err(AskError::NoAnswer)? == 0 {
        return Err(AskError::NoAnswer(io::ErrorKind::UnexpectedEof.into()));
    }
    serde_json::from_str(&line).map_err(|error| AskError::NoAnswer(error.into()))
}

fn nonsense(what: &'static str) -> AskError {
    AskError::NoAnswer(io::Error::new(io::ErrorKind::InvalidData, what))
}
