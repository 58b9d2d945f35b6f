//! What stands around every page: head, navigation, foot. Addresses are relative, so that the pages also work behind a
//! proxy that shows them below a path of its own.

use maud::{DOCTYPE, Markup, html};

/// What the frame must know of the gateway.
#[derive(Debug)]
pub(super) struct Frame {
    /// The gateway's id.
    pub(super) gateway: String,
    /// The folder of the assets.
    pub(super) folder: String,
    /// Whether one logs in here.
    pub(super) has_login: bool,
}

/// A page without its frame.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) title: String,
    /// Which entry of the navigation it belongs to.
    pub(super) tab: Option<Tab>,
    /// How many folders deep its address is.
    pub(super) depth: usize,
    pub(super) body: Markup,
    /// Whether it has charts.
    pub(super) has_charts: bool,
    /// Whether what it shows changes while one looks.
    pub(super) is_live: bool,
}

/// An entry of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Devices,
    Map,
    Sources,
    Gateway,
}

const TABS: [(Tab, &str, &str); 4] = [
    (Tab::Devices, "./", "Devices"),
    (Tab::Map, "map", "Map"),
    (Tab::Sources, "sources", "Sources"),
    (Tab::Gateway, "gateway", "Gateway"),
];

impl Page {
    /// A live page of the first level.
    pub(super) fn new(title: impl Into<String>, tab: Tab, body: Markup) -> Self {
        let title = title.into();
        Self { title, tab: Some(tab), depth: 0, body, has_charts: false, is_live: true }
    }
}

impl Frame {
    /// The whole document.
    pub(super) fn around(&self, page: &Page) -> Markup {
        let root = "../".repeat(page.depth);
        let assets = format!("{root}assets/{}", self.folder);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (page.title) " · " (self.gateway) }
                    link rel="icon" type="image/svg+xml" href={ (assets) "/icon.svg" };
                    link rel="stylesheet" href={ (assets) "/style.css" };
                    @if page.has_charts {
                        link rel="stylesheet" href={ (assets) "/uplot.css" };
                        script defer src={ (assets) "/uplot.js" } {}
                    }
                    script type="module" src={ (assets) "/page.js" } {}
                }
                body data-root=(if root.is_empty() { "./" } else { root.as_str() }) data-live[page.is_live] {
                    a.skip href="#main" { "Skip to content" }
                    (self.top(page, &root))
                    main #main tabindex="-1" { (page.body) }
                    footer {
                        span { "sigfox2mqtt " (env!("CARGO_PKG_VERSION")) }
                        @if self.has_login && page.tab.is_some() {
                            form method="post" action={ (root) "logout" } {
                                button.plain { "Log out" }
                            }
                        }
                    }
                }
            }
        }
    }

    fn top(&self, page: &Page, root: &str) -> Markup {
        html! {
            header.top {
                a.brand href=(home(root)) { img src={ (root) "assets/" (self.folder) "/icon.svg" } alt="" width="28" height="28"; (self.gateway) }
                @if page.tab.is_some() {
                    nav aria-label="Pages" {
                        @for (tab, path, name) in TABS {
                            @let href = if tab == Tab::Devices { home(root) } else { format!("{root}{path}") };
                            a href=(href) aria-current=[(page.tab == Some(tab)).then_some("page")] { (name) }
                        }
                    }
                }
                @if page.is_live { p #live role="status" hidden {} }
            }
        }
    }
}

fn home(root: &str) -> String {
    if root.is_empty() { "./".to_owned() } else { root.to_owned() }
}
