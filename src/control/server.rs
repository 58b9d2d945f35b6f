//! The daemon's side of the socket.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Desk, Export, LONGEST_QUESTION, Question, View, socket};
use crate::config::Gateway;

/// How many may ask at once; others wait in the system's queue.
const MOST_CLIENTS: usize = 8;

/// How many rows of an export are read before the client has taken them.
const ROWS_AHEAD: usize = 64;

/// How long a client may take to ask, and to take a line of its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers questions on the gateway's socket.
#[derive(Debug)]
pub struct Server {
    gateway: Gateway,
    view: View,
    desk: Option<Arc<Desk>>,
}

impl Server {
    /// A server for the daemon that has this gateway's store open.
    #[must_use]
    pub fn new(gateway: Gateway, view: View) -> Self {
        Self { gateway, view, desk: None }
    }

    /// The same server, which also takes commands.
    #[must_use]
    pub fn with_desk(self, desk: Desk) -> Self {
        Self { desk: Some(Arc::new(desk)), ..self }
    }

    /// Answers until told to stop. Without a socket the daemon goes on: only the command line misses it.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let (listener, place) = match socket::bind(&self.gateway) {
            Ok(bound) => bound,
            Err(error) => {
                tracing::warn!(%error, "no control socket");
                stop.cancelled().await;
                return Ok(());
            }
        };
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = clients.join_next() => {}
                accepted = listener.accept(), if clients.len() < MOST_CLIENTS => match accepted {
                    Ok((stream, _)) => {
                        clients.spawn(serve(stream, self.view.clone(), self.desk.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "control socket cannot accept");
                        // Out of descriptors: trying again at once would only spin.
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                },
            }
        }
        clients.shutdown().await;
        socket::remove(&place)?;
        Ok(())
    }
}

/// One question, one answer. A client that goes away or dawdles is forgotten.
async fn serve(stream: UnixStream, view: View, desk: Option<Arc<Desk>>) {
    if let Err(error) = exchange(stream, view, desk.as_deref()).await {
        tracing::debug!(%error, "control client left");
    }
}

/// Gives up on a client that takes too long.
async fn in_time<T>(patience: Duration, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(patience, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn exchange(stream: UnixStream, view: View, desk: Option<&Desk>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    in_time(PATIENCE, (&mut stream).take(LONGEST_QUESTION).read_line(&mut line)).await?;
    let stream = stream.get_mut();
    let answer = match serde_json::from_str::<Question>(&line) {
        Ok(Question::Export(export)) => return answer_with_rows(stream, view, export).await,
        Ok(question) => {
            in_time(question.patience(), async { Ok(answer(question, view, desk).await) }).await?
        }
        Err(error) => Err(format!("this is no question ({error})")),
    };
    let answer = match answer {
        Ok(answer) => json!({ "answer": answer }),
        Err(error) => json!({ "error": error }),
    };
    write(stream, &answer).await?;
    stream.shutdown().await
}

async fn answer(question: Question, view: View, desk: Option<&Desk>) -> Result<Value, String> {
    match question {
        Question::Command { topic, payload } => match desk {
            Some(desk) => desk.tell(&topic, &payload).await.map_err(|refused| refused.to_string()),
            None => Err("this daemon takes no commands here".to_owned()),
        },
        question => tokio::task::spawn_blocking(move || view.answer(&question))
            .await
            .unwrap_or_else(|_panicked| Err("the question could not be answered".to_owned())),
    }
}

/// Rows are read no faster than the client takes them; when it goes away, reading ends with the next row.
async fn answer_with_rows(stream: &mut UnixStream, view: View, export: Export) -> io::Result<()> {
    let (rows, mut read) = mpsc::channel(ROWS_AHEAD);
    let reading = tokio::task::spawn_blocking(move || match view.export(&export) {
        Ok(found) => {
            for row in found {
                if rows.blocking_send(row).is_err() {
                    break;
                }
            }
        }
        // A client that is gone needs no reason.
        Err(error) => drop(rows.blocking_send(Err(error))),
    });
    while let Some(row) = read.recv().await {
        let line = match row {
            Ok(row) => json!({ "row": row }),
            Err(error) => json!({ "error": error }),
        };
        write(stream, &line).await?;
    }
    drop(read);
    let line = match reading.await {
        Ok(()) => json!({ "end": null }),
        Err(_panicked) => json!({ "error": "the history could not be read to its end" }),
    };
    write(stream, &line).await?;
    stream.shutdown().await
}

async fn write(stream: &mut UnixStream, line: &Value) -> io::Result<()> {
    in_time(PATIENCE, stream.write_all(format!("{line}\n").as_bytes())).await
}
