//! The command line's side of the socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{Question, SOCKET};

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
    /// It answered that it cannot, in its words.
    #[error("{0}")]
    Refused(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Answer(Value),
    Error(String),
}

/// Asks the daemon that runs on a data directory. Blocks.
pub fn ask(data_dir: &Path, question: &Question) -> Result<Value, AskError> {
    let stream = UnixStream::connect(data_dir.join(SOCKET)).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => AskError::Permission,
        _ => AskError::NoDaemon,
    })?;
    let line = exchange(stream, question).map_err(AskError::NoAnswer)?;
    match serde_json::from_str(&line) {
        Ok(Reply::Answer(answer)) => Ok(answer),
        Ok(Reply::Error(error)) => Err(AskError::Refused(error)),
        Err(error) => Err(AskError::NoAnswer(error.into())),
    }
}

fn exchange(mut stream: UnixStream, question: &Question) -> io::Result<String> {
    stream.set_read_timeout(Some(question.patience()))?;
    stream.set_write_timeout(Some(question.patience()))?;
    let mut line = serde_json::to_string(question)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer)
}
