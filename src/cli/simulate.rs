//! `simulate`: the simulated clouds on loopback, until they are told to end.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::run::asked_to_end;
use super::{Exit, Globals, output};
use crate::config::{parse_duration, print_duration};
use crate::simulate::{CallbackTarget, Fault, Logins, Options, Pace, Scenario, Simulator};
use crate::{clock, logging};

/// Serves the simulated clouds on loopback
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sigfox2mqtt simulate --speed 60 --fault 429:/messages:3 \\\n    \
                  --callback-url http://127.0.0.1:8080/callback/simulated --callback-token secret\n\n\
                  What it prints are sources for a configuration. docs/simulate.md tells the rest.")]
pub(crate) struct Args {
    /// Where to serve; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090", value_parser = loopback)]
    listen: SocketAddr,
    /// How many times faster than the wall clock the clouds' clock runs, with all times in their answers
    #[arg(long, value_name = "N", default_value = "1", value_parser = pace)]
    speed: Pace,
    /// The same seed makes the same devices and measurements
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many devices there are
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    devices: u16,
    /// How often each device sends, by the clouds' clock
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = interval)]
    every: Duration,
    /// How much history there is at the start
    #[arg(long, value_name = "DURATION", default_value = "6h", value_parser = duration)]
    history: Duration,
    /// What goes wrong: KIND[=N]:PATH[:COUNT]; may be given several times
    #[arg(long, value_name = "SPEC")]
    fault: Vec<Fault>,
    /// Who is called for every message: a gateway's `…/callback/SOURCE`, or any address for BIDIR alone
    #[arg(long, value_name = "URL")]
    callback_url: Option<CallbackTarget>,
    /// The Bearer token that callbacks show
    #[arg(long, value_name = "TOKEN", requires = "callback_url")]
    callback_token: Option<String>,
    /// Lets clients ask as often as they like
    #[arg(long)]
    no_rate_limits: bool,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().ok().ok_or_else(|| "expected ADDRESS:PORT, such as 127.0.0.1:8090".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("the simulated clouds have well-known passwords: they serve on loopback only".to_owned())
    }
}

fn pace(text: &str) -> Result<Pace, String> {
    let speed: f64 = text.parse().ok().ok_or_else(|| "expected a number".to_owned())?;
    Pace::new(speed).map_err(|error| error.to_string())
}

fn interval(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|every| {
        if every < Duration::from_secs(1) { Err("expected at least 1s".to_owned()) } else { Ok(every) }
    })
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "expected a duration, such as 30s, 15m or 2h".to_owned())
}

pub(crate) fn execute(args: Args, globals: &Globals) -> anyhow::Result<Exit> {
    logging::start(globals.log.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(args))
}

async fn serve(args: Args) -> anyhow::Result<Exit> {
    let scenario = Scenario {
        seed: args.seed,
        devices: args.devices,
        every: args.every,
        history: args.history,
        callbacks: args.callback_url.map(|target| (target, args.callback_token.clone())),
        ..Scenario::default()
    };
    let logins = Logins::default();
    let options = Options {
        listen: args.listen,
        logins: logins.clone(),
        rate_limits: !args.no_rate_limits,
        faults: args.fault,
        clock: args.speed,
        ..Options::default()
    };
    let simulator = Simulator::bind(scenario.build(clock::now()), options).await?;
    let summary = format!(
        "# {} devices with {} of history, seed {}; what happened is told by http://{}/sim/state",
        args.devices,
        print_duration(args.history),
        args.seed,
        simulator.local_addr(),
    );
    output::print(&format!(
        "{summary}\n\n{}",
        sources(simulator.local_addr(), &logins, args.callback_token.as_deref())
    ))?;
    let asked = asked_to_end()?;
    let stop = CancellationToken::new();
    let told = async {
        asked.await;
        stop.cancel();
        Ok(())
    };
    tokio::try_join!(simulator.run(stop.clone()), told).context("the simulated clouds")?;
    Ok(Exit::Done)
}

/// The sources that a configuration needs to read from here.
fn sources(address: SocketAddr, logins: &Logins, callback_token: Option<&str>) -> String {
    let Logins { login, password, auth_key_id, auth_key, client_id, client_secret } = logins;
    let token = callback_token.map(|token| format!("callback_token = {}\n", toml::Value::from(token)));
    format!(
        "# With api = \"v1\" the url is http://{address}/api\n[sources.simulated]\nkind = \"sigfox\"\nurl = \"http://{address}/v2\"\nlogin = \"{login}\"\n\
         password = \"{password}\"\n{token}\n\
         [sources.soracom]\nkind = \"soracom\"\nurl = \"http://{address}/v1\"\n\
         auth_key_id = \"{auth_key_id}\"\nauth_key = \"{auth_key}\"\n\n\
         [mirrors.studio]\nkind = \"altair\"\nurl = \"http://{address}\"\nspace = \"simulated\"\n\
         client_id = \"{client_id}\"\nclient_secret = \"{client_secret}\"\n",
        token = token.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Environment};

    #[test]
    fn what_is_printed_are_sources_for_a_configuration() {
        let address = "127.0.0.1:8090".parse().unwrap();
        let text = format!("version = 1\n{}", sources(address, &Logins::default(), Some("with \"quotes\"")));
        let environment = Environment { variables: BTreeMap::new(), host_name: "here".to_owned() };
        let loaded = Config::parse(&text, "printed.toml", Path::new("/"), &environment);
        assert_eq!(
            loaded.map(|loaded| loaded.config.sources.len()).unwrap_or_else(|wrong| panic!("{wrong}")),
            2
        );
    }

    #[test]
    fn it_serves_on_loopback_only() {
        assert!(loopback("127.0.0.1:0").is_ok() && loopback("[::1]:8090").is_ok());
        for text in ["0.0.0.0:8090", "192.168.1.1:8090", "8090", "localhost"] {
            assert!(loopback(text).is_err(), "{text}");
        }
    }
}
