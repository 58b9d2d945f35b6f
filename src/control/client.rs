//! The command line's side of the socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{Export, Question, SOCKET};

/// Why a daemon gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No daemon listens: ask the store itself.
    #[error("no daemon runs on this data directory")]
    NoDaemon,
    /// The socket is another user's.
    #[error("the daemon's control socket may not be opened (expected its own user, or root)")]
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

/// Asks the daemon that runs on a data directory. Blocks.
pub fn ask(data_dir: &Path, question: &Question) -> Result<Value, AskError> {
    match line(&mut send(data_dir, question)?)? {
        Line::Answer(answer) => Ok(answer),
        Line::Row(_) | Line::End(_) => Err(nonsense("rows, where one answer was asked for")),
        Line::Error(error) => Err(AskError::Refused(error)),
    }
}

/// Asks for rows, and gives each to `take` as it comes. Blocks. That all have come is certain only where this
/// returns well.
pub fn ask_for_rows(
    data_dir: &Path,
    export: Export,
    mut take: impl FnMut(Value) -> io::Result<()>,
) -> Result<(), AskError> {
    let mut stream = send(data_dir, &Question::Export(export))?;
    loop {
        match line(&mut stream)? {
            Line::Row(row) => take(row).map_err(AskError::NotTaken)?,
            Line::End(_) => return Ok(()),
            Line::Answer(_) => return Err(nonsense("one answer, where rows were asked for")),
            Line::Error(error) => return Err(AskError::Refused(error)),
        }
    }
}

fn send(data_dir: &Path, question: &Question) -> Result<BufReader<UnixStream>, AskError> {
    let mut stream = UnixStream::connect(data_dir.join(SOCKET)).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => AskError::Permission,
        _ => AskError::NoDaemon,
    })?;
    let mut send = || {
        stream.set_read_timeout(Some(question.patience()))?;
        stream.set_write_timeout(Some(question.patience()))?;
        let line = serde_json::to_string(question)?;
        stream.write_all(format!("{line}\n").as_bytes())
    };
    send().map_err(AskError::NoAnswer)?;
    Ok(BufReader::new(stream))
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
