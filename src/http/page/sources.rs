//! The page of the sources: how each does, what it last said, and a button that makes it poll now.

use maud::{Markup, html};

use super::frame::{Page, Tab};
use super::words;
use crate::config::{Config, DownlinkVia, SigfoxApi, Source, SourceKind};
use crate::ingest::{SourceState, SourceStatus, StatusBoard};
use crate::model::Timestamp;

/// The page.
pub(super) fn page(
    config: &Config,
    board: &StatusBoard,
    may_write: bool,
    refusal: Option<&str>,
    now: Timestamp,
) -> Page {
    let statuses = board.all();
    let body = html! {
        div.heading {
            h1 { "Sources" }
            @if may_write && config.sources.len() > 1 {
                form method="post" action="sources" data-send { button { "Sync all now" } }
            }
        }
        @if let Some(why) = refusal { p.alert role="alert" { (why) } }
        div.panels {
            @for source in &config.sources {
                (panel(source, statuses.get(&source.name).unwrap_or(&SourceStatus::default()), may_write, now))
            }
        }
    };
    Page::new("Sources", Tab::Sources, body)
}

fn panel(source: &Source, status: &SourceStatus, may_write: bool, now: Timestamp) -> Markup {
    let id = format!("source-{}", source.name);
    html! {
        section.panel aria-labelledby=(id) {
            div.bar {
                h2 id=(id) { (source.name) }
                (state(status.state))
            }
            @if let Some(error) = &status.error { p.alert { (error) } }
            dl.facts {
                dt { "Cloud" } dd { (kind(&source.kind)) br; code.address { (source.url) } }
                dt { "Last success" }
                dd { @match status.last_success { Some(time) => (words::when(time, now)), None => span.quiet { "none yet" } } }
                dt { "Lag" }
                dd {
                    @match status.lag_s.filter(|lag| lag.is_finite() && *lag >= 0.0) {
                        Some(lag) => { span.figure { (lag_in_words(lag)) } " from the newest message's time to its arrival" }
                        None => span.quiet { "no message yet" },
                    }
                }
                dt { "Next poll" }
                dd { @match status.next_poll { Some(time) => (words::when(time, now)), None => span.quiet { "not set" } } }
                dt { "Requests" } dd { span.figure { (status.requests) } " since the start" }
                dt { "Downlinks" } dd { (via(source.downlink)) }
            }
            @if may_write {
                form method="post" action="sources" data-send {
                    input type="hidden" name="source" value=(source.name);
                    button { "Sync now" span.unseen { ": " (source.name) } }
                }
            }
        }
    }
}

fn state(state: SourceState) -> Markup {
    match state {
        SourceState::Starting => words::badge("calm", "starting"),
        SourceState::Ok => words::badge("good", "ok"),
        SourceState::Degraded => words::badge("warn", "degraded"),
        SourceState::RateLimited => words::badge("warn", "rate limited"),
        SourceState::AuthFailed => words::badge("bad", "login refused"),
        SourceState::Down => words::badge("bad", "down"),
    }
}

fn kind(kind: &SourceKind) -> &'static str {
    match kind {
        SourceKind::Sigfox { api: SigfoxApi::V2, .. } => "Sigfox, API v2",
        SourceKind::Sigfox { api: SigfoxApi::V1, .. } => "Sigfox, API v1",
        SourceKind::Soracom { .. } => "Soracom Air for Sigfox",
    }
}

fn via(via: DownlinkVia) -> &'static str {
    match via {
        DownlinkVia::Callback => "by callback",
        DownlinkVia::Direct => "by the device type",
        DownlinkVia::Soracom => "by Soracom",
        DownlinkVia::None => "none",
    }
}

fn lag_in_words(seconds: f64) -> String {
    if seconds < 120.0 {
        format!("{seconds:.1}\u{202f}s")
    } else {
        format!("{:.0}\u{202f}min", seconds / 60.0)
    }
}
