//! The form that asks for the token.

use maud::html;
use serde::Deserialize;

use super::frame::Page;

/// Where one comes from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Arrival {
    /// The page to go on with, below the root.
    next: String,
    /// Set where the token was wrong.
    wrong: Option<String>,
}

/// The page.
pub(super) fn page(arrival: &Arrival) -> Page {
    let is_wrong = arrival.wrong.is_some();
    let body = html! {
        section.panel.login {
            h1 { "Log in" }
            @if is_wrong { p.alert #wrong role="alert" { "This is not the token." } }
            form method="post" action="login" {
                input type="hidden" name="next" value=(arrival.next);
                label { span { "Token" }
                    input type="password" name="token" required autofocus autocomplete="current-password"
                        aria-describedby=(if is_wrong { "wrong hint" } else { "hint" });
                }
                p.hint #hint { "The one of " code { "http.token" } " in the configuration, or the read-only one." }
                button.main { "Log in" }
            }
        }
    };
    Page { title: "Log in".to_owned(), tab: None, depth: 0, body, has_charts: false, is_live: false }
}
