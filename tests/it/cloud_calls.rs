//! The tables of `docs/cloud-api.md`: every verb is called, and makes the request that stands there; and every verb that
//! the program has stands there.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use tokio::net::TcpListener;

use crate::support::daemon::{Gateway, command};

/// What the identifiers of the tables stand for.
pub(crate) const IDENTIFIERS: [(&str, &str); 9] = [
    ("TYPE", "5f0000000000000000000001"),
    ("CALLBACK", "5f00000000000000000000c1"),
    ("GROUP", "5f00000000000000000000a1"),
    ("ID", "1A2B3C"),
    ("TAG", "site"),
    ("THING", "01JQTH1"),
    ("ACTION", "01JQAC1"),
    ("CATEGORY", "sigfox"),
    ("JSON", r#"{"channel":"URL"}"#),
];

/// An answer that every reader finds its keys in.
const ANSWER: &str = r#"{"data":[],"id":"1A2B3C","device_id":"1A2B3C","redundancy":3,"deviceConsumptions":[],
    "token":{"state":0},"uid":"TH1","name":"sigfox","access_token":"t","apiKey":"k","operatorId":"OP0","networkStatus":"OK"}"#;

type Requests = Arc<Mutex<Vec<String>>>;

async fn answer(State(requests): State<Requests>, request: Request) -> Response<Body> {
    let (method, uri) = (request.method().as_str(), request.uri());
    requests.lock().unwrap().push(format!("{method} {uri}"));
    let is_list = method == "GET" && (uri.path() == "/s/sigfox_devices" || uri.path().ends_with("/data"));
    let body = match uri.path() {
        path if method == "POST" && (path.contains("/actions/") || path.contains("/events/")) => {
            r#"{"downlink":{"status":"pending","href":"/actions/downlink/AC1"}}"#
        }
        "/s/auth" => r#"{"apiKey":"k","operatorId":"OP0","token":"t"}"#,
        _ if is_list => "[]",
        _ => ANSWER,
    };
    Response::new(Body::from(body))
}

/// The rows of the table whose head begins with `verb` and has this second column.
pub(crate) fn table(second: &str) -> Vec<Vec<String>> {
    let page = include_str!("../../docs/cloud-api.md");
    let head = format!("| verb | {second} |");
    let lines = page.lines().skip_while(|line| !line.starts_with(&head)).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|'));
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    rows.map(cells).collect()
}

fn with_identifiers(text: &str) -> String {
    IDENTIFIERS.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_makes_the_request_that_is_documented() {
    let requests = Requests::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(Arc::clone(&requests));
    #[expect(clippy::disallowed_methods, reason = "a test's server, which ends with its runtime")]
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let gateway = Gateway::new(&format!(
        "version = 1\n[gateway]\ndata_dir = \"{{data}}\"\n\
         [sources.new]\nkind = \"sigfox\"\nurl = \"http://{address}/2\"\nlogin = \"l\"\npassword = \"p\"\n\
         [sources.old]\nkind = \"sigfox\"\napi = \"v1\"\nurl = \"http://{address}/1\"\nlogin = \"l\"\npassword = \"p\"\n\
         [sources.japan]\nkind = \"soracom\"\nurl = \"http://{address}/s\"\nauth_key_id = \"k\"\nauth_key = \"p\"\n\
         [mirrors.studio]\nurl = \"http://{address}/a\"\nspace = \"s\"\nclient_id = \"c\"\nclient_secret = \"p\"\n"
    ));
    let secret = gateway.data().parent().unwrap().join("secret");
    std::fs::write(&secret, "PAC").unwrap();
    let run = |line: String| {
        let mut command = command(&gateway.configuration());
        let line = with_identifiers(&line).replace("FILE", secret.to_str().unwrap());
        command.arg("cloud").args(line.split(' ')).arg("--yes");
        async move { tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap() }
    };

    let sigfox = table("API v2");
    let soracom = table("request");
    let altair = table("call");
    assert!(sigfox.len() > 30 && soracom.len() > 10 && altair.len() > 20, "the tables are not found");
    let of_sigfox = sigfox.iter().flat_map(|row| {
        let line = |source| format!("sigfox {} --source {source}", row[0]);
        [(line("new"), "/2", row[1].clone()), (line("old"), "/1", row[2].clone())]
    });
    let of_soracom = soracom.iter().map(|row| (format!("soracom {}", row[0]), "/s", row[1].clone()));
    let of_altair = altair.iter().map(|row| {
        let prefix = if row[1].contains("/oauth2/") { "/a" } else { "/a/spaces/s" };
        (format!("altair {}", row[0]), prefix, row[1].clone())
    });
    for (line, prefix, documented) in of_sigfox.chain(of_soracom).chain(of_altair) {
        requests.lock().unwrap().clear();
        let output = run(line.clone()).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let counts = |made: &&String| documented.contains("/oauth2/") || !made.contains("/oauth2/");
        let made = requests.lock().unwrap().iter().rfind(counts).cloned();
        if documented == "–" {
            assert!(said.contains("does not exist in the Sigfox API"), "{line}: {said}");
            assert_eq!((output.status.code(), made), (Some(1), None), "{line}");
        } else {
            let (method, path) = documented.split_once(' ').unwrap();
            let expected = with_identifiers(&format!("{method} {prefix}{path}"));
            assert_eq!(made.as_ref(), Some(&expected), "{line}: {said}");
            assert!(output.status.success(), "{line}: {said}");
        }
    }
    server.abort();
}

/// The methods of the Python client (its repository's `sigfoxapi.py`).
const SIGFOXAPI: [&str; 29] = [
    "group_info",
    "group_list",
    "devicetype_edit",
    "devicetype_list",
    "devicetype_errors",
    "devicetype_warnings",
    "devicetype_messages",
    "devicetype_disengage",
    "callback_new",
    "callback_list",
    "callback_delete",
    "callback_enable",
    "callback_disable",
    "callback_downlink",
    "callback_errors",
    "device_list",
    "device_info",
    "device_tokenstate",
    "device_messages",
    "device_locations",
    "device_errors",
    "device_warnings",
    "device_networkstate",
    "device_messagemetrics",
    "device_consumptions",
    "coverage_redundancy",
    "coverage_predictions",
    "user_list",
    "devicetype_info",
];

#[test]
fn every_method_of_the_python_client_has_its_verb() {
    let rows = table("API v2");
    for method in SIGFOXAPI {
        assert!(rows.iter().any(|row| row[3] == method), "{method} stands in no row");
    }
}

/// The commands below these words, as `--help` names them.
fn commands(words: &[&str]) -> Vec<String> {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_sigfox2mqtt"));
    let help = program.arg("cloud").args(words).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let named =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description that goes on in the next line is indented further.
    let named = named.filter(|line| !line.starts_with("   "));
    let first = named.filter_map(|line| line.split_whitespace().next());
    first.filter(|command| *command != "help").map(str::to_owned).collect()
}

#[test]
fn every_verb_of_the_program_stands_in_the_tables() {
    for (kind, second) in [("sigfox", "API v2"), ("soracom", "request"), ("altair", "call")] {
        let rows = table(second);
        let nouns = commands(&[kind]);
        assert!(!nouns.is_empty(), "{kind}");
        for noun in nouns {
            for verb in commands(&[kind, &noun]) {
                let call = format!("{noun} {verb}");
                let is_told =
                    rows.iter().any(|row| row[0] == call || row[0].starts_with(&format!("{call} ")));
                assert!(is_told, "cloud {kind} {call} stands in no row");
            }
        }
    }
}
