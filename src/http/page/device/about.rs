//! What a device is: its type, decoder, fields and where it comes from.

use maud::{Markup, html};

use crate::decode::FieldKind;
use crate::http::page::roster::catalogue;
use crate::model::{CloudState, Device};
use crate::publish::Profile;

/// The section.
pub(super) fn section(device: &Device, profile: &Profile) -> Markup {
    let type_name = profile.device_type.as_ref().and_then(|kind| kind.name.as_deref());
    let resolved = &profile.resolved;
    html! {
        section aria-labelledby="about" {
            h2 #about { "About" }
            dl.facts {
                dt { "Source" } dd { a href="../sources" { (device.source) } }
                dt { "Type" }
                dd {
                    @match (type_name, device.device_type.as_deref()) {
                        (Some(name), Some(id)) => { (name) " " code { (id) } }
                        (_, Some(id)) => code { (id) },
                        _ => span.quiet { "none known" },
                    }
                }
                dt { "In its cloud" } dd { (cloud_state(device.state)) }
                dt { "Decoder" }
                dd {
                    @match &resolved.name {
                        Some(name) => (name),
                        None => span.quiet { "none: name one under " code { "devices." (device.id) } " in the configuration" },
                    }
                    @if let Some(problem) = &resolved.problem { span.fault { (problem) } }
                }
                @if !device.tags.is_empty() {
                    dt { "Tags" }
                    dd { @for (key, value) in &device.tags { span.tag { (key) " = " (value) } } }
                }
                @if !catalogue(profile).is_empty() {
                    dt { "Fields" }
                    dd { @for field in catalogue(profile) {
                        span.tag { (field.key) ": " (kind(field.kind)) @if let Some(unit) = &field.settings.unit { " in " (unit) } }
                    } }
                }
            }
        }
    }
}

fn kind(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Number => "number",
        FieldKind::Bool => "yes or no",
        FieldKind::Text => "text",
    }
}

fn cloud_state(state: Option<CloudState>) -> &'static str {
    match state {
        None => "not said",
        Some(CloudState::Ok) => "in order",
        Some(CloudState::Dead) => "silent for longer than its keep-alive",
        Some(CloudState::OffContract) => "without a contract",
        Some(CloudState::Disabled) => "switched off",
        Some(CloudState::Warn) => "in order, with a warning",
        Some(CloudState::Deleted) => "deleted",
        Some(CloudState::Suspended) => "suspended",
        Some(CloudState::NotActivable) => "cannot be activated",
        Some(CloudState::Unknown) => "unknown",
    }
}
