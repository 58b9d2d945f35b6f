//! Small pictures drawn into the page: the bars of a signal.

use maud::{Markup, html};

use crate::model::{LinkQuality, Uplink};

/// How well an uplink was heard: bars where the network judges it, figures where it measures.
pub(super) fn signal(uplink: Option<&Uplink>) -> Markup {
    let quality = uplink.and_then(|uplink| uplink.link_quality);
    let rssi = uplink.and_then(|uplink| uplink.rssi).filter(|rssi| rssi.is_finite());
    html! {
        @if quality.is_none() && rssi.is_none() { span.quiet { "–" } }
        @if let Some(quality) = quality { (bars(quality)) }
        @if let Some(rssi) = rssi {
            @if quality.is_some() { " " }
            span.figure { (format!("{rssi:.0}").replace('-', "−")) "\u{202f}dBm" }
        }
    }
}

fn bars(quality: LinkQuality) -> Markup {
    let (count, word) = match quality {
        LinkQuality::Limit => (1, "at the limit"),
        LinkQuality::Average => (2, "average"),
        LinkQuality::Good => (3, "good"),
        LinkQuality::Excellent => (4, "excellent"),
    };
    html! {
        svg.bars viewBox="0 0 18 14" width="18" height="14" aria-hidden="true" {
            @for bar in 0..4 {
                rect class=[(bar < count).then_some("on")] x=(bar * 5) y=(10 - 3 * bar) width="3" height=(4 + 3 * bar) rx="1" {}
            }
        }
        " " span.quality { (word) }
    }
}
