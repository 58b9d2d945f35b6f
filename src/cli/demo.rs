//! `demo`: simulated clouds, broker and gateway in one process, and a screen that reads along like any client.

mod screen;
mod stage;

use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use self::screen::Screen;
use self::stage::Stage;
use super::run::asked_to_end;
use super::{Exit, Globals, output};
use crate::config::Mqtt;
use crate::mqtt::watch::{Seen, Watch, watch};
use crate::oversight::Oversight;
use crate::{daemon, logging};

/// Runs the whole product on this machine with simulated clouds and a built-in broker
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt demo")]
pub(crate) struct Args {
    /// Ends by itself after this time
    #[arg(long = "for", value_name = "DURATION", hide = true, value_parser = super::simulate::duration)]
    limit: Option<Duration>,
}

/// Only what needs a person is logged between the lines of the demo, unless `--log` wants more.
const LOG: &str = "error";
/// How many messages the screen may be behind; a terminal that stands still holds the subscription, not memory.
const BEHIND: usize = 1000;
/// How soon the screen tries again while the broker is not up yet.
const TRY_AGAIN: Duration = Duration::from_millis(50);
/// Longest time until the broker is up.
const UP_WITHIN: Duration = Duration::from_secs(20);

type Ended = Result<anyhow::Result<()>, JoinError>;

pub(crate) fn execute(args: &Args, globals: &Globals) -> anyhow::Result<Exit> {
    logging::start(Some(globals.log.as_deref().unwrap_or(LOG)))?;
    let runtime = tokio::runtime::Runtime::new().context("the runtime does not start")?;
    runtime.block_on(show(args))?;
    Ok(Exit::Done)
}

/// The clouds serve first: a gateway that is refused once would wait before it asks again.
async fn show(args: &Args) -> anyhow::Result<()> {
    let asked = asked_to_end()?;
    let stage = Stage::build().await?;
    output::print(&stage.program())?;
    let filters = Screen::filters(&stage.config.mqtt);
    let Stage { config, broker, simulator, folder, .. } = stage;

    let (stop_gateway, stop_clouds) = (CancellationToken::new(), CancellationToken::new());
    let (mut tasks, mut around) = (JoinSet::new(), JoinSet::new());
    around.spawn(simulator.run(stop_clouds.clone()));
    tasks.spawn(daemon::run(config, Oversight::default(), stop_gateway.clone().cancelled_owned()));
    let (sender, seen) = mpsc::channel(BEHIND);
    let subscription = tokio::select! {
        subscription = subscribe(&broker, &filters) => subscription?,
        ended = tasks.join_next() => return early(ended),
    };
    around.spawn(async move { subscription.forward(sender).await.context("the screen's subscription") });

    let limit = tokio::time::sleep(args.limit.unwrap_or(Duration::MAX));
    let outcome = tokio::select! {
        () = asked => Ok(()),
        () = limit => Ok(()),
        printed = print_lines(seen) => printed,
        ended = tasks.join_next() => early(ended),
        ended = around.join_next() => early(ended),
    };
    stop_gateway.cancel();
    let mut outcome = outcome;
    while let Some(ended) = tasks.join_next().await {
        outcome = outcome.and(ended.context("the gateway").and_then(|ended| ended));
    }
    stop_clouds.cancel();
    around.shutdown().await;
    folder.remove();
    outcome
}

/// Subscribes as soon as the broker is up.
async fn subscribe(broker: &Mqtt, filters: &[String]) -> anyhow::Result<Watch> {
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    let up = async {
        loop {
            match watch(broker, &filters).await {
                Ok(subscription) => return subscription,
                Err(_not_yet) => tokio::time::sleep(TRY_AGAIN).await,
            }
        }
    };
    tokio::time::timeout(UP_WITHIN, up).await.context("the built-in broker does not come up")
}

async fn print_lines(mut seen: mpsc::Receiver<Seen>) -> anyhow::Result<()> {
    let mut screen = Screen::default();
    while let Some(message) = seen.recv().await {
        if let Some(line) = screen.line(&message.topic, &message.payload) {
            output::print(&line)?;
        }
    }
    anyhow::bail!("the screen's subscription ended")
}

fn early(ended: Option<Ended>) -> anyhow::Result<()> {
    ended.context("nothing runs")?.context("a part of the demo broke")??;
    anyhow::bail!("a part of the demo ended by itself")
}
