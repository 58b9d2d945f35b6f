//! Tries a source: lets it in, lists what it has, and compares clocks.

use std::time::Duration;

use super::Finding;
use crate::clock;
use crate::cloud::sigfox::Sigfox;
use crate::cloud::soracom::Soracom;
use crate::cloud::{Access, Error, Pages};
use crate::config::{DownlinkVia, Source, SourceKind};
use crate::downlink::callback_fault;
use crate::model::{DownlinkMode, Timestamp};

/// How long a source may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// So many pages of a list are enough to know an account by.
const MOST_PAGES: usize = 10;

/// Of so many device types the callbacks are looked at.
const MOST_TYPES: usize = 20;

/// A clock that is off by more spoils signatures, schedules and the order of events.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// A device type as far as a look at it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct TypeRow {
    pub(in crate::cli) id: String,
    pub(in crate::cli) name: Option<String>,
    downlink: Option<DownlinkMode>,
    /// What keeps its callbacks from asking this gateway for downlinks.
    callback_fault: Option<String>,
}

/// What a source has.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Account {
    /// The device types of a Sigfox cloud.
    pub(in crate::cli) device_types: Vec<TypeRow>,
    /// How many devices Soracom listed.
    devices: usize,
    /// What the cloud's clock said.
    date: Option<Timestamp>,
}

pub(super) async fn try_out(source: &Source) -> Vec<Finding> {
    let check = format!("source {}", source.name);
    match account(source).await {
        Err(error) => vec![Finding::fail(check, format!("{error}: {}", advice(source, &error)))],
        Ok(account) => {
            let mut findings = vec![Finding::pass(&check, contents(source, &account))];
            findings.extend(account.date.and_then(|date| clock_of(date, clock::now())));
            findings.extend(filter(source, &account).map(|message| Finding::warn(&check, message)));
            findings.extend(
                downlink_modes(source, &account).into_iter().map(|message| Finding::warn(&check, message)),
            );
            findings
        }
    }
}

/// Asks a source for what it has; at most as long as is reasonable.
pub(in crate::cli) async fn account(source: &Source) -> Result<Account, Error> {
    let asked = async {
        let access = Access::from(source);
        match &source.kind {
            SourceKind::Sigfox { api, login, password } => {
                let client = Sigfox::new(&access, *api, login, password)?;
                let (types, date) = rows(client.device_types()).await?;
                let mut device_types = Vec::new();
                for of in types {
                    let taken = source.filter.takes_type(&of.id, of.name.as_deref());
                    let callback_fault = if taken && device_types.len() < MOST_TYPES {
                        callbacks(source, &client, &of.id).await
                    } else {
                        None
                    };
                    device_types.push(TypeRow {
                        id: of.id,
                        name: of.name,
                        downlink: of.downlink,
                        callback_fault,
                    });
                }
                Ok(Account { device_types, devices: 0, date })
            }
            SourceKind::Soracom { auth_key_id, auth_key } => {
                let client = Soracom::new(&access, auth_key_id, auth_key, None)?;
                let (devices, date) = rows(client.devices(None)).await?;
                Ok(Account { device_types: Vec::new(), devices: devices.len(), date })
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_elapsed| {
        Err(Error::Retry {
            asked: "what it has".to_owned(),
            why: format!("nothing within {} s", PATIENCE.as_secs()),
            after: None,
            answered: false,
        })
    })
}

/// What is wrong with a type's callbacks, where they are to ask for downlinks and may be read.
async fn callbacks(source: &Source, client: &Sigfox, device_type: &str) -> Option<String> {
    if source.downlink != DownlinkVia::Callback {
        return None;
    }
    callback_fault(&client.callbacks(device_type).send().await.ok()?, &source.name)
}

async fn rows<T>(mut pages: Pages<T>) -> Result<(Vec<T>, Option<Timestamp>), Error> {
    let (mut rows, mut date) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let Some(page) = pages.next_page().await? else { break };
        rows.extend(page.rows);
        date = page.date.or(date);
    }
    Ok((rows, date))
}

fn contents(source: &Source, account: &Account) -> String {
    match source.kind {
        SourceKind::Sigfox { .. } => {
            format!("{} answers; {} device types", source.url, account.device_types.len())
        }
        SourceKind::Soracom { .. } => format!("{} answers; {} devices", source.url, account.devices),
    }
}

fn advice(source: &Source, error: &Error) -> String {
    let name = &source.name;
    let secret = match source.kind {
        SourceKind::Sigfox { .. } => "`login` and `password`",
        SourceKind::Soracom { .. } => "`auth_key_id` and `auth_key`",
    };
    match error {
        Error::Unauthorized { .. } => format!(
            "put right {secret} of sources.{name}; in the cloud, look whether the API user still exists"
        ),
        Error::Forbidden { .. } => format!(
            "in the cloud, give the API user of sources.{name} a profile that may read devices and messages"
        ),
        Error::NotFound { .. } | Error::Refused { .. } | Error::Malformed { .. } => {
            format!("look whether `url` and `api` of sources.{name} are those of this cloud")
        }
        Error::RateLimited { .. } => {
            format!("lower `rate` of sources.{name}, or find what else uses this login")
        }
        _ => format!("look whether this machine reaches {} (network, DNS, proxy, `ca_file`)", source.url),
    }
}

fn clock_of(date: Timestamp, now: Timestamp) -> Option<Finding> {
    let (off, way) = if now > date { (now.since(date), "ahead of") } else { (date.since(now), "behind") };
    (off > CLOCK_TOLERANCE).then(|| {
        let message = format!(
            "this machine is {} s {way} the cloud: set its clock (`timedatectl set-ntp true`)",
            off.as_secs()
        );
        Finding::fail("clock", message)
    })
}

fn filter(source: &Source, account: &Account) -> Option<String> {
    let taken = |row: &TypeRow| source.filter.takes_type(&row.id, row.name.as_deref());
    let none = !account.device_types.is_empty() && !account.device_types.iter().any(taken);
    none.then(|| {
        let names: Vec<_> = account
            .device_types
            .iter()
            .take(10)
            .map(|row| row.name.as_ref().unwrap_or(&row.id).as_str())
            .collect();
        format!("`device_types` takes none of what is there: {}", names.join(", "))
    })
}

/// Device types whose way of downlinks in the cloud is not the one of the configuration, or does not lead to us.
fn downlink_modes(source: &Source, account: &Account) -> Vec<String> {
    let (wanted, word) = match source.downlink {
        DownlinkVia::Callback => (DownlinkMode::Callback, "CALLBACK"),
        DownlinkVia::Direct => (DownlinkMode::Direct, "DIRECT"),
        DownlinkVia::Soracom | DownlinkVia::None => return Vec::new(),
    };
    let taken =
        account.device_types.iter().filter(|row| source.filter.takes_type(&row.id, row.name.as_deref()));
    let said = taken.filter_map(|row| {
        let name = row.name.as_ref().unwrap_or(&row.id);
        if row.downlink.is_some_and(|mode| mode != wanted) {
            return Some(format!(
                "device type `{name}` gets no downlinks: in the cloud, set its downlink mode to {word}"
            ));
        }
        let fault = row.callback_fault.as_ref()?;
        Some(format!(
            "device type `{name}` gets no downlinks, {fault}: `sigfox2mqtt cloud sigfox callbacks new {} \
             --for-gateway URL` makes what this gateway wants",
            row.id
        ))
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_off_by_a_minute() {
        let date = Timestamp::from_cloud(1_789_000_000).unwrap();
        for (seconds, said) in
            [(0, None), (60, None), (61, Some("61 s ahead")), (-60, None), (-3600, Some("3600 s behind"))]
        {
            let now = Timestamp::from_cloud(1_789_000_000 + seconds).unwrap();
            let finding = clock_of(date, now);
            assert_eq!(finding.is_some(), said.is_some(), "{seconds}");
            assert!(said.is_none_or(|said| finding.unwrap().message.contains(said)));
        }
    }
}
