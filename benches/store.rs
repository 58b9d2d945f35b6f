//! Bytes that reach the disk and memory that is held for each uplink, from the store's own verbs: a backfill in
//! sweeps with its outbox emptied behind it, the packing of what is over, single durable uplinks, and polls that bring
//! nothing new.
//!
//! `cargo bench --bench store -- [UPLINKS] [FOLDER]`; a table on standard output. Needs a file system that counts what
//! is written (not tmpfs) by small pages: on ext4 Linux from 6.16 on counts a folio, up to 512 KiB, for each small
//! write, unless the file system was made with `mkfs.ext4 -O verity`. Without a folder one is made in the current
//! directory. A folder is left as it is at the end, and one that has a store is only opened and read.

#![expect(clippy::print_stdout, reason = "a benchmark is read on a terminal")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sigfox2mqtt::model::{DeviceId, Fields, SourceName, Timestamp, Uplink};
use sigfox2mqtt::store::{DeviceState, Options, Store, UplinkQuery};
use tokio_util::sync::CancellationToken;

const DEVICES: u32 = 500;
/// As many as a sweep holds that goes back for a day or so.
const SWEEP: u32 = 2_000;
const START_MS: i64 = 1_789_000_000_000;
/// Packing begins when a week was quiet for 20 s.
const TIDYING: Duration = Duration::from_secs(60);
/// 500 devices at 20 uplinks a day: one each 8.64 s.
const STEP_MS: i64 = 8_640;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let uplinks = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(100_000);
    let given = std::env::args().skip(1).map(PathBuf::from).find(|word| word.is_dir());
    let made = tempfile::tempdir_in(".").context("a folder on a real file system")?;
    let dir = given.unwrap_or_else(|| made.path().to_owned());
    let options = Options { dir, cache: 8 << 20, flush: Duration::from_secs(5) };
    println!("| step | uplinks | seconds | bytes written an uplink | MB on disk | MB of memory |");
    println!("|---|---|---|---|---|---|");
    if !Store::exists(&options.dir) {
        fill(&options, uplinks).await?;
    }
    let row = Row::begin()?;
    let (store, _syncer) = Store::open(options)?;
    let row = row.print("opened again", 1, &store)?;
    let kept = store.history(&UplinkQuery::default()).count();
    row.print("read from end to end", u32::try_from(kept)?, &store)?;
    Ok(())
}

async fn fill(options: &Options, uplinks: u32) -> anyhow::Result<()> {
    let (store, syncer) = Store::open(options.clone())?;
    let stop = CancellationToken::new();
    let work = async {
        let result = measure(&store, uplinks).await;
        stop.cancel();
        result
    };
    let (synced, measured) = tokio::join!(syncer.run(stop.clone()), work);
    synced.and(measured)
}

async fn measure(store: &Store, uplinks: u32) -> anyhow::Result<()> {
    let source: SourceName = "factory".parse()?;
    let mut row = Row::begin()?;
    for first in (0..uplinks).step_by(usize::try_from(SWEEP)?) {
        let sweep: Vec<Uplink> =
            (first..uplinks.min(first + SWEEP)).map(|number| uplink(number, &source)).collect();
        let cursor = sweep.last().map_or_else(Timestamp::default, |uplink| uplink.time);
        store.record_sweep(&sweep, Some((&source, "type", cursor)))?;
        empty_outbox(store)?;
        tokio::task::yield_now().await;
    }
    store.flush().await?;
    row = row.print("backfill, outbox included", uplinks, store)?;
    tokio::time::sleep(TIDYING).await;
    store.flush().await?;
    row = row.print("packed to the end", uplinks, store)?;
    store.compact()?;
    row = row.print("copied", uplinks, store)?;
    // The first ones of all devices write pages of the copy anew, the later ones what is theirs.
    let mut next = uplinks;
    for (step, many) in [("single, each durable", 2 * DEVICES), ("single, each durable, later", 4 * DEVICES)]
    {
        for number in next..next + many {
            store.record_uplink(&uplink(number, &source)).await?;
            empty_outbox(store)?;
        }
        next += many;
        store.flush().await?;
        row = row.print(step, many, store)?;
    }
    let known: Vec<Uplink> = (uplinks..uplinks + 100).map(|number| uplink(number, &source)).collect();
    for _ in 0..100 {
        store.record_sweep(&known, None)?;
        store.flush().await?;
    }
    row.print("100 polls, nothing new", 1, store)?;
    Ok(())
}

fn empty_outbox(store: &Store) -> anyhow::Result<()> {
    loop {
        let head = store.outbox_head(&BTreeSet::new(), 100)?;
        if head.is_empty() {
            return Ok(());
        }
        let states: Vec<_> = head.iter().filter_map(|entry| state(&entry.event)).collect();
        let keys: Vec<_> = head.into_iter().map(|entry| entry.key).collect();
        store.outbox_done(&keys, states)?;
    }
}

fn state(event: &sigfox2mqtt::model::Event) -> Option<(DeviceId, DeviceState)> {
    let sigfox2mqtt::model::Event::Uplink(uplink) = event else { return None };
    let mut fields = Fields::new();
    fields.insert("level".to_owned(), 1.23.into());
    fields.insert("battery".to_owned(), 3540.into());
    let fields = fields.into();
    let state = DeviceState { newest: uplink.id(), time: uplink.time, fields, location: uplink.location };
    Some((uplink.device, state))
}

fn uplink(number: u32, source: &SourceName) -> Uplink {
    let time = Timestamp::from_millis(START_MS + i64::from(number) * STEP_MS).unwrap_or_default();
    let [a, b, c, d] = number.to_be_bytes();
    Uplink {
        seq: u16::try_from(number / DEVICES % 4096).ok(),
        received: time.plus(Duration::from_secs(30)),
        replay: true,
        rssi: Some(-118.0),
        snr: Some(12.1),
        stations: Some(3),
        ack: Some(false),
        ..Uplink::new(
            DeviceId::new(0x0010_0000 + number % DEVICES * 7, 6),
            time,
            sigfox2mqtt::model::Payload::new(vec![a, b, c, d, 1, 2, 3, 4, 5, 6, 7, 8]).unwrap_or_default(),
            source.clone(),
        )
    }
}

/// What the kernel counted at the beginning of a step.
struct Row {
    written: u64,
    begun: Instant,
}

impl Row {
    fn begin() -> anyhow::Result<Self> {
        Ok(Self { written: number_in("/proc/self/io", "write_bytes:")?, begun: Instant::now() })
    }

    fn print(self, step: &str, uplinks: u32, store: &Store) -> anyhow::Result<Self> {
        let next = Self::begin()?;
        println!(
            "| {step} | {uplinks} | {:.1} | {} | {} | {} |",
            (next.begun - self.begun).as_secs_f64(),
            (next.written - self.written) / u64::from(uplinks),
            store.size_on_disk()? / 1_000_000,
            number_in("/proc/self/status", "VmRSS:")? / 1000,
        );
        Ok(next)
    }
}

fn number_in(file: &str, label: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(file).with_context(|| file.to_owned())?;
    let line =
        text.lines().find_map(|line| line.strip_prefix(label)).with_context(|| format!("no {label}"))?;
    let number = line.split_whitespace().next().with_context(|| format!("no number after {label}"))?;
    Ok(number.parse()?)
}
