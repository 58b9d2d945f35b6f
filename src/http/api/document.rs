//! The OpenAPI document (`docs/openapi.json`), made from the handlers.
//!
//! Test code: the program itself serves the file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{IntoResponses, Modify, OpenApi};

use super::*;

/// Set to write the file instead of comparing it.
const WRITE: &str = "WRITE_OPENAPI";

/// Every refusal that any path may give, and when.
const REFUSALS: [(&str, &str); 11] = [
    ("400", "malformed: what was sent cannot be read, in words"),
    ("401", "unauthorized: no token, or a wrong one"),
    ("403", "read_only, foreign or not_allowed: the token is for reading, or another site's page asks"),
    ("404", "not_found or unknown_item: there is no such path, device or item"),
    ("405", "method_not_allowed: `Allow` says which methods there are"),
    ("409", "in_flight or ended: the downlink cannot be taken back any more"),
    ("413", "too_large: the body is over 64 KiB"),
    ("415", "unsupported_media_type: the body is not JSON"),
    ("422", "rejected: no item was taken, with each one's reason"),
    ("500", "internal: a fault of the gateway's own"),
    ("503", "unavailable: the store does not answer, or too many listen"),
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "sigfox2mqtt",
        version = "1",
        description = "What a gateway knows, and what it can be told. Documents are those of MQTT (docs/mqtt.md). \
                       Where `http.token` is set, every path asks for it; one that changes something takes no \
                       `http.read_token`, and no request of another site's page."
    ),
    servers((url = "/api/v1", description = "This gateway")),
    paths(
        device::list, device::one, device::uplinks, device::locations, device::decode, series::series,
        downlink::list, downlink::push, downlink::replace, downlink::cancel_all, downlink::cancel,
        gateway::locations, gateway::sources, gateway::sync, gateway::health, gateway::settings, gateway::log,
        gateway::outbox, event::events, openapi,
    ),
    modifiers(&Shared),
)]
struct Document;

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "gateway",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"), Refusal),
)]
#[expect(dead_code, reason = "the route answers with a constant")]
fn openapi() {}

/// What all paths have in common: how a caller shows the token, and the refusals.
struct Shared;

impl Modify for Shared {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, scheme) in [("bearer", HttpAuthScheme::Bearer), ("basic", HttpAuthScheme::Basic)] {
            components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
        }
        components
            .responses
            .extend(REFUSALS.iter().map(|(status, when)| ((*status).to_owned(), RefOr::T(refusal(when)))));
        let either = ["bearer", "basic"].map(|name| SecurityRequirement::new(name, Vec::<String>::new()));
        document.security = Some([SecurityRequirement::default()].into_iter().chain(either).collect());
    }
}

fn refusal(when: &str) -> Response {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let error = ObjectBuilder::new()
        .property("code", text().description(Some("For programs.")))
        .property("message", text().description(Some("For people.")))
        .required("code")
        .required("message");
    let schema = ObjectBuilder::new().property("error", error).required("error").build();
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(when).content("application/json", content).build()
}

impl IntoResponses for Refusal {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let shared = |status: &str| (status.to_owned(), RefOr::Ref(Ref::from_response_name(status)));
        REFUSALS.iter().map(|(status, _)| shared(status)).collect()
    }
}

fn document() -> Value {
    serde_json::to_value(Document::openapi()).unwrap()
}

#[test]
fn the_file_is_what_the_handlers_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let made = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    if std::env::var_os(WRITE).is_some() {
        fs::write(&file, &made).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        made,
        "to write it anew: {WRITE}=1 cargo test the_file_is"
    );
}

#[test]
fn it_lists_every_route_and_no_other() {
    let routes = include_str!("mod.rs").split(".route(").skip(1).filter_map(|route| {
        let (_, rest) = route.split_once('"')?;
        let (path, handlers) = rest.split_once('"')?;
        let handlers = handlers.split(".fallback(").next()?;
        let methods = ["get", "post", "put", "delete"].into_iter();
        let methods = methods.filter(|method| handlers.contains(&format!("{method}(")));
        Some(methods.map(|method| format!("{method} {path}")).collect::<Vec<_>>())
    });
    let routes: BTreeSet<String> = routes.flatten().collect();
    let document = document();
    let paths = document["paths"].as_object().unwrap().iter();
    let described = paths.flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
    });
    assert_eq!(described.collect::<BTreeSet<_>>(), routes);
    assert_eq!(document["openapi"], "3.1.0");
    assert!(routes.len() > 15, "{routes:?}");
}

#[test]
fn every_answer_has_the_refusals() {
    let document = document();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for status in ["200", "401", "403", "404", "405", "503"] {
                assert!(operation["responses"].get(status).is_some(), "{method} {path}: {status}");
            }
        }
    }
}
