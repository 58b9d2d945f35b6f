//! A mirror that catches up: seconds and requests for so many values of so many devices, from an outbox that filled
//! while the studio was away. The simulated studio answers from the same process.
//!
//! `cargo bench --bench mirror -- [UPLINKS]`; a table on standard output.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use sigfox2mqtt::config::{Config, Environment};
use sigfox2mqtt::decode::Registry;
use sigfox2mqtt::downlink::Queues;
use sigfox2mqtt::ingest::StatusBoard;
use sigfox2mqtt::mirror::{Mirror, Parts};
use sigfox2mqtt::model::{DeviceId, Timestamp, Uplink};
use sigfox2mqtt::mqtt::topic::Topics;
use sigfox2mqtt::publish::Run;
use sigfox2mqtt::simulate::{self, Simulator, World};
use sigfox2mqtt::store::{Options, Store};
use tokio_util::sync::CancellationToken;

const DEVICES: u32 = 1_000;
/// Four fields, the payload, and the time of the newest.
const VALUES_AN_UPLINK: u32 = 5;
const START_MS: i64 = 1_789_000_000_000;
/// 1,000 devices each 10 minutes.
const STEP_MS: i64 = 600;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let uplinks: u32 = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(20_000);
    let studio = Simulator::start(World::new(1), simulate::Options::default()).await?;
    let config = config(&studio.altair_url())?;
    let mirror = config.mirrors.first().context("a mirror")?;
    let folder = tempfile::tempdir()?;
    let options = Options { dir: folder.path().to_owned(), cache: 8 << 20, flush: Duration::from_secs(5) };
    let (store, _syncer) = Store::open(options)?;
    let tenant = store.tenant(&mirror.tenant())?;
    println!("| step | devices | values | seconds | requests | values a request |");
    println!("|---|---|---|---|---|---|");
    for (step, count) in [("first Things", DEVICES), ("catching up", uplinks)] {
        let first = if count == DEVICES { 0 } else { DEVICES };
        let sweep = (first..first + count).map(uplink).collect::<anyhow::Result<Vec<_>>>()?;
        store.record_sweep(&sweep, None)?;
        let (before, begun) = (studio.requests().values().sum::<u64>(), Instant::now());
        let stop = CancellationToken::new();
        let running = new(&config, &store)?.run(stop.clone());
        let watching = async {
            while tenant.depth().is_ok_and(|(depth, _)| depth > 0) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stop.cancel();
        };
        let (ended, ()) = tokio::join!(running, watching);
        ended?;
        let seconds = begun.elapsed().as_secs_f64();
        let requests = studio.requests().values().sum::<u64>() - before;
        let values = u64::from(count * VALUES_AN_UPLINK);
        println!(
            "| {step} | {DEVICES} | {values} | {seconds:.1} | {requests} | {} |",
            values.checked_div(requests).unwrap_or(0)
        );
    }
    Ok(())
}

fn new(config: &Arc<Config>, store: &Store) -> anyhow::Result<Mirror> {
    let registry = Arc::new(Registry::new(config).map_err(|problems| anyhow!("{problems:?}"))?);
    let names = || config.sources.iter().map(|source| source.name.clone());
    Mirror::new(Parts {
        settings: config.mirrors.first().context("a mirror")?.clone(),
        config: Arc::clone(config),
        store: store.clone(),
        queues: Queues::new(store.clone(), Arc::clone(config), Arc::clone(&registry)),
        registry,
        sources: StatusBoard::new(names()),
        board: StatusBoard::new([]),
        topics: Topics::new("sigfox2mqtt", "homeassistant"),
        run: Run::default(),
    })
}

fn config(studio: &str) -> anyhow::Result<Arc<Config>> {
    let text = format!(
        "version = 1\n[sources.factory]\nkind = \"sigfox\"\nlogin = \"user\"\npassword = \"secret\"\n\
         [mirrors.studio]\nurl = \"{studio}\"\nspace = \"s\"\nclient_id = \"client-simulated\"\n\
         client_secret = \"secret-simulated\"\nrate = \"100000/1s\"\n\
         [decoders.level]\nformat = \"a::uint:8 b::uint:8 c::uint:8 d::uint:8\"\n{}",
        (0..DEVICES)
            .map(device)
            .map(|id| format!("[devices.{id}]\ndecoder = \"level\"\n"))
            .collect::<String>()
    );
    let loaded = Config::parse(&text, "bench", Path::new("."), &Environment::default());
    let problems = |problems: sigfox2mqtt::config::Problems| {
        anyhow!("{}", problems.lines().collect::<Vec<_>>().join("; "))
    };
    Ok(Arc::new(loaded.map_err(problems)?.config))
}

fn device(number: u32) -> DeviceId {
    DeviceId::new(0x0A_0000 + number % DEVICES, 6)
}

fn uplink(number: u32) -> anyhow::Result<Uplink> {
    let time = Timestamp::from_millis(START_MS + i64::from(number) * STEP_MS).context("a time")?;
    Ok(Uplink {
        device: device(number),
        time,
        seq: Some(u16::try_from(number / DEVICES % 4096)?),
        payload: format!("{number:08x}").parse()?,
        source: "factory".parse()?,
        received: time,
        replay: false,
        link_quality: None,
        rssi: None,
        snr: None,
        stations: None,
        ack: None,
        location: None,
    })
}
