//! The metrics that there are: names without the prefix and the suffixes of their types, and what they mean.

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// One metric as it is described.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metric {
    /// Without `sigfox2mqtt_`, the unit and `_total`.
    pub(super) name: &'static str,
    pub(super) kind: MetricType,
    pub(super) unit: Option<&'static Unit>,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

static SECONDS: Unit = Unit::Seconds;
static BYTES: Unit = Unit::Bytes;

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricType::Counter, unit: None, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricType::Gauge, unit: None, labels, help }
}

const fn seconds(metric: Metric) -> Metric {
    Metric { unit: Some(&SECONDS), ..metric }
}

const fn bytes(metric: Metric) -> Metric {
    Metric { unit: Some(&BYTES), ..metric }
}

macro_rules! metrics {
    ($($id:ident = $metric:expr;)*) => {
        $(pub(super) static $id: Metric = $metric;)*
        /// All of them, in the order in which they are shown.
        pub(super) static ALL: &[&Metric] = &[$(&$id),*];
    };
}

metrics! {
    BUILD_INFO = gauge("build_info", &["version"], "Always 1; the label says which version runs");
    UPLINKS = counter("uplinks", &["source"], "Uplinks that were new, by the source that brought them");
    UPLINKS_KNOWN = counter("uplinks_known", &["source"], "Uplinks that a source brought once more");
    UPLINKS_PUBLISHED = counter("uplinks_published", &[], "Uplinks that the broker acknowledged");
    DECODE_ERRORS = counter("decode_errors", &[], "Uplinks whose decoder could not read all of them");
    DEVICES = gauge("devices", &[], "Devices that are known");
    DEVICES_JUDGED = gauge("devices_judged", &["state"], "Devices by their availability as last published");
    OUTBOX = gauge("outbox_events", &[], "Events that wait for the broker");
    OUTBOX_AGE = seconds(gauge("outbox_oldest_age", &[], "Age of the oldest event that waits; 0 where none does"));
    PUBLISHED = counter("messages_published", &[], "Messages that the broker acknowledged");
    REPEATED = counter("messages_repeated", &[], "Messages that were under way when a connection ended");
    REFUSED = counter("messages_refused", &[], "Messages that the broker will never take");
    CONNECTED = gauge("broker_connected", &[], "1 while the broker is connected, else 0");
    CONNECTIONS = counter("broker_connections", &[], "Connections to the broker");
    SOURCE_STATE = gauge("source_state", &["source", "state"], "1 for the state that a source is in, 0 for others");
    SOURCE_LAG = seconds(gauge("source_lag", &["source"], "From the newest uplink's time to its arrival here"));
    SOURCE_SUCCESS = seconds(gauge(
        "source_last_success_timestamp", &["source"], "When a source last answered a whole poll"
    ));
    SOURCE_JOBS = counter("source_jobs", &["source", "job", "outcome"], "Polls and other jobs that ended");
    SOURCE_REQUESTS = counter(
        "source_requests", &["source", "status"], "Requests to a cloud by the status of its answer, or none"
    );
    SOURCE_LIMITED = counter("source_rate_limited", &["source"], "Requests that a cloud refused as too many (429)");
    COMMANDS = counter("commands", &["command", "outcome"], "Commands from wherever, by what became of them");
    DOWNLINKS = counter("downlinks_ended", &["state"], "Downlinks by the state that they ended in");
    ASKS = counter("downlink_asks", &[], "Callbacks that asked for a downlink");
    ANSWERED = counter("downlink_answers", &[], "Asks that were answered with a downlink");
    CALLBACKS = counter("callbacks", &["outcome"], "Callbacks by what became of them");
    UNAUTHORIZED = counter("http_unauthorized", &[], "Requests with a wrong token");
    REQUESTS = counter("http_requests", &["status"], "Answered requests by their status");
    STORE_SIZE = bytes(gauge("store_size", &[], "Size of the store on disk"));
    STORE_FAILING = gauge("store_failing", &[], "1 while the store cannot keep anything, else 0");
    STORE_COMMITS = counter("store_commits", &[], "Commits to the store");
    STORE_SYNCS = counter("store_syncs", &[], "How often commits were made durable");
    STORE_SYNC_TIME = seconds(counter("store_sync", &[], "Time for which the disk was waited for"));
    CPU = seconds(counter("process_cpu", &[], "Processor time that was spent"));
    MEMORY = bytes(gauge("process_resident_memory", &[], "Resident memory"));
    FILES = gauge("process_open_fds", &[], "Open files and sockets");
    START = seconds(gauge("process_start_time", &[], "When the process began"));
}

impl Metric {
    /// Its name as it stands before its type and its help.
    pub(super) fn family(&self) -> String {
        let unit = self.unit.map(|unit| format!("_{}", unit.as_str())).unwrap_or_default();
        format!("sigfox2mqtt_{}{unit}", self.name)
    }

    /// Its name as it stands before every sample.
    pub(super) fn full_name(&self) -> String {
        let total = if matches!(self.kind, MetricType::Counter) { "_total" } else { "" };
        format!("{}{total}", self.family())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn documentation(file: &str) -> String {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file)).unwrap()
    }

    #[test]
    fn the_page_lists_every_metric_and_no_other() {
        let row = |metric: &&Metric| {
            let kind = if matches!(metric.kind, MetricType::Counter) { "counter" } else { "gauge" };
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{}` | {kind} | {} | {} |", metric.full_name(), labels.join(", "), metric.help)
        };
        let expected: Vec<_> = ALL.iter().map(row).collect();
        let page = documentation("metrics.md");
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| `sigfox2mqtt_")).collect();
        assert_eq!(rows, expected, "the table of docs/metrics.md should be:\n{}\n", expected.join("\n"));
    }

    #[test]
    fn the_dashboard_and_the_alerts_name_metrics_that_there_are() {
        for file in ["monitoring/grafana-dashboard.json", "monitoring/alerts.yml"] {
            let text = documentation(file);
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let words = text.split(|c| !is_name(c)).filter(|word| word.starts_with("sigfox2mqtt_"));
            let mut names = 0;
            for word in words {
                names += 1;
                assert!(ALL.iter().any(|metric| metric.full_name() == word), "{file}: there is no {word}");
            }
            assert!(names > 5, "{file} is about something else");
        }
    }
}
