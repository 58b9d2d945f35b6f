//! What polling costs: requests and CPU a poll for accounts at rest of many sizes, and uplinks a second in
//! backfill. The cloud is another process, so that only the gateway's CPU is counted.
//!
//! `cargo bench --bench sync -- [UPLINKS]`; tables on standard output.
#![expect(clippy::print_stdout, reason = "a benchmark prints its tables")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Value, json};
use sigfox2mqtt::config::{DownlinkVia, Filter, Schedule, SigfoxApi, Source, SourceKind};
use sigfox2mqtt::ingest::{self, SourceState, SourceStatus, StatusBoard};
use sigfox2mqtt::model::SourceName;
use sigfox2mqtt::store::{Options, Store};
use tokio_util::sync::CancellationToken;

/// Device types, devices, messages of one type.
type Size = (usize, usize, usize);

const AT_REST: [Size; 6] =
    [(1, 10, 0), (1, 1_000, 0), (50, 1_000, 0), (50, 10_000, 0), (500, 10_000, 0), (500, 100_000, 0)];
const POLLS: u64 = 5;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--serve", types, devices, messages] => {
            return runtime.block_on(serve_cloud((types.parse()?, devices.parse()?, messages.parse()?)));
        }
        ["--at-rest", types, devices] => {
            println!("{}", runtime.block_on(at_rest((types.parse()?, devices.parse()?, 0)))?);
            return Ok(());
        }
        ["--backfill", uplinks] => {
            println!("{}", runtime.block_on(backfill(uplinks.parse()?))?);
            return Ok(());
        }
        _ => {}
    }
    println!(
        "| device types | devices | requests of an inventory | requests a poll | CPU ms a poll | MB of memory |"
    );
    println!("|---|---|---|---|---|---|");
    for (types, devices, _) in AT_REST {
        alone(&["--at-rest", &types.to_string(), &devices.to_string()])?;
    }
    println!("\n| uplinks in backfill | seconds | uplinks a second | CPU s | MB of memory at most |");
    println!("|---|---|---|---|---|");
    alone(&["--backfill", words.first().map_or("100000", String::as_str)])
}

/// Measures in a process of its own: what one measurement has left in memory is not the next one's.
fn alone(words: &[&str]) -> anyhow::Result<()> {
    let status = Command::new(std::env::current_exe()?).args(words).status()?;
    anyhow::ensure!(status.success(), "{}", words.join(" "));
    Ok(())
}

async fn at_rest(size: Size) -> anyhow::Result<String> {
    let gateway = Gateway::start(size)?;
    let board = gateway.board.clone();
    let polls = async {
        wait_for(&board, |status| status.state == SourceState::Ok).await;
        let (first, cpu) = (status(&board).requests, cpu_ms()?);
        wait_for(&board, |status| status.requests >= first + POLLS * size.0 as u64).await;
        let each = cpu_ms()?.saturating_sub(cpu) / POLLS;
        let requests = (status(&board).requests - first) / POLLS;
        let inventory = first.saturating_sub(size.0 as u64);
        let (types, devices, memory) = (size.0, size.1, memory_mb("VmRSS")?);
        anyhow::Ok(format!("| {types} | {devices} | {inventory} | {requests} | {each} | {memory} |"))
    };
    gateway.run(polls).await
}

async fn backfill(uplinks: usize) -> anyhow::Result<String> {
    let gateway = Gateway::start((1, 100, uplinks))?;
    let (board, store) = (gateway.board.clone(), gateway.store.clone());
    let work = async {
        let (start, cpu) = (Instant::now(), cpu_ms()?);
        while store.outbox_depth()?.0 < uplinks as u64 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let seconds = start.elapsed().as_secs_f64();
        wait_for(&board, |status| status.state == SourceState::Ok).await;
        let cpu = cpu_ms()?.saturating_sub(cpu) as f64 / 1000.0;
        let rate = uplinks as f64 / seconds;
        anyhow::Ok(format!("| {uplinks} | {seconds:.1} | {rate:.0} | {cpu:.1} | {} |", memory_mb("VmHWM")?))
    };
    gateway.run(work).await
}

/// A source with a store of its own, and the cloud that it polls.
struct Gateway {
    source: ingest::Source,
    store: Store,
    board: StatusBoard,
    cloud: Child,
    _folder: tempfile::TempDir,
}

impl Gateway {
    fn start((types, devices, messages): Size) -> anyhow::Result<Self> {
        let mut cloud = Command::new(std::env::current_exe()?)
            .args(["--serve", &types.to_string(), &devices.to_string(), &messages.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        BufReader::new(cloud.stdout.take().context("the cloud's output")?).read_line(&mut url)?;
        let folder = tempfile::tempdir()?;
        let dir = folder.path().to_owned();
        let (store, _syncer) = Store::open(Options { dir, cache: 8 << 20, flush: Duration::from_secs(5) })?;
        let name: SourceName = "bench".parse()?;
        let board = StatusBoard::new([name.clone()]);
        let source = ingest::Source::new(source(name, url.trim())?, store.clone(), board.clone())?;
        Ok(Self { source, store, board, cloud, _folder: folder })
    }

    async fn run<T>(mut self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let stop = CancellationToken::new();
        let work = async {
            let result = work.await;
            stop.cancel();
            result
        };
        let (polled, result) = tokio::join!(self.source.run(stop.clone()), work);
        self.cloud.kill()?;
        self.cloud.wait()?;
        polled.and(result)
    }
}

fn source(name: SourceName, url: &str) -> anyhow::Result<Source> {
    let daily = Schedule::Every(Duration::from_secs(86_400));
    Ok(Source {
        name,
        kind: SourceKind::Sigfox {
            api: SigfoxApi::V2,
            login: "l".to_owned(),
            password: "p".to_owned().into(),
        },
        url: url.parse()?,
        insecure: false,
        ca_file: None,
        poll: Schedule::Every(Duration::from_millis(1)),
        locations: daily.clone(),
        inventory: daily.clone(),
        resync: daily,
        backfill: Duration::from_secs(30 * 86_400),
        overlap: Duration::from_secs(900),
        filter: Filter { device_types: vec!["*".to_owned()], ..Filter::default() },
        rate: (1_000_000, Duration::from_secs(1)),
        timeout: Duration::from_secs(30),
        downlink: DownlinkVia::None,
        direct_group: false,
        callback_token: None,
        callback_batch: None,
    })
}

async fn wait_for(board: &StatusBoard, holds: impl Fn(&SourceStatus) -> bool) {
    let mut changes = board.watch();
    while !holds(&status(board)) {
        // The board outlives its watchers.
        drop(changes.changed().await);
    }
}

fn status(board: &StatusBoard) -> SourceStatus {
    board.all().into_values().next().unwrap_or_default()
}

/// CPU that this process used, in milliseconds (Linux counts 100 ticks a second).
fn cpu_ms() -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    Ok(ticks.map(|field| field.parse::<u64>().unwrap_or(0)).sum::<u64>() * 10)
}

fn memory_mb(key: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(key)).context("/proc/self/status")?;
    let kilobytes: u64 = line.split_whitespace().nth(1).context("a number of kilobytes")?.parse()?;
    Ok(kilobytes / 1024)
}

/// Serves an account whose devices sent so many messages, a second apart, until killed.
async fn serve_cloud(size: Size) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("http://{address}/v2");
    let newest = sigfox2mqtt::clock::now().as_millis() - 60_000;
    let world = Arc::new((size, newest, address.to_string()));
    let router = Router::new().fallback(answer).with_state(world);
    Ok(axum::serve(listener, router).await?)
}

async fn answer(State(world): State<Arc<(Size, i64, String)>>, uri: Uri) -> axum::Json<Value> {
    let ((types, devices, messages), newest, address) = &*world;
    let query = |key: &str| {
        let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        pairs.into_iter().find(|(name, _)| name == key).map(|(_, value)| value.into_owned())
    };
    let offset: usize = query("offset").and_then(|text| text.parse().ok()).unwrap_or(0);
    let parts: Vec<&str> = uri.path().trim_start_matches("/v2/").split('/').collect();
    let (rows, next): (Vec<Value>, Option<String>) = match parts.as_slice() {
        ["device-types"] => {
            let ids =
                (offset..*types).take(100).map(|n| json!({ "id": format!("{n:024x}"), "payloadType": 2 }));
            (ids.collect(), (offset + 100 < *types).then(|| format!("offset={}", offset + 100)))
        }
        ["devices"] => {
            let of_type = query("deviceTypeId").unwrap_or_default();
            let each = devices / types;
            let first = usize::from_str_radix(&of_type, 16).unwrap_or(0) * each;
            let ids = (offset..each).take(100).map(
                |n| json!({ "id": format!("{:X}", 0x10_0000 + first + n), "deviceType": { "id": of_type }, "state": 0 }),
            );
            let next =
                (offset + 100 < each).then(|| format!("deviceTypeId={of_type}&offset={}", offset + 100));
            (ids.collect(), next)
        }
        ["device-types", _, "messages"] => {
            let time = |key: &str| query(key).and_then(|text| text.parse::<i64>().ok());
            let (since, before) = (time("since").unwrap_or(0), time("before").unwrap_or(i64::MAX));
            let skip = usize::try_from((newest - before).max(-1000) / 1000 + 1).unwrap_or(0);
            let rows: Vec<Value> = (skip..*messages)
                .map(|n| (n, newest - i64::try_from(n).unwrap_or(0) * 1000))
                .take_while(|(_, time)| *time >= since)
                .take(100)
                .map(|(n, time)| json!({
                    "device": { "id": format!("{:X}", 0x10_0000 + n % devices) }, "time": time, "seqNumber": n % 4096,
                    "data": "0123456789abcdef01234567", "lqi": 2, "computedLocation": [],
                    "rinfos": [{ "baseStation": { "id": "5859" }, "rssi": "-133.00", "snr": "12.48", "rep": 3 }]
                }))
                .collect();
            let last = rows.last().and_then(|row| row.get("time")).and_then(Value::as_i64);
            let next = last.filter(|_| rows.len() == 100).map(|last| format!("since={since}&before={last}"));
            (rows, next)
        }
        _ => (Vec::new(), None),
    };
    let next = next.map(|query| format!("http://{address}{}?limit=100&{query}", uri.path()));
    axum::Json(json!({ "data": rows, "paging": next.map_or(json!({}), |next| json!({ "next": next })) }))
}
