//! The Sigfox client against a scripted cloud: pages, borders, and everything that goes wrong on the way.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use sigfox2mqtt::cloud::sigfox::{Message, Sigfox, Window};
use sigfox2mqtt::cloud::{Access, Error, Page, Pages};
use sigfox2mqtt::config::SigfoxApi;

use crate::cloud_mock::{Fault, MockCloud, World, message};

const TYPE: &str = "5f0000000000000000000001";
const START: i64 = 1_789_000_000_000;

fn client(cloud: &MockCloud, password: &str) -> Sigfox {
    let access = Access {
        url: cloud.url().parse().unwrap(),
        insecure: false,
        ca_file: None,
        rate: (1000, Duration::from_secs(1)),
        timeout: Duration::from_secs(30),
    };
    Sigfox::new(&access, SigfoxApi::V2, "login", &SecretString::from(password)).unwrap()
}

async fn cloud_with(times: impl IntoIterator<Item = i64>) -> MockCloud {
    let messages = times
        .into_iter()
        .zip(0_u16..)
        .map(|(time, seq)| message("1A2B", START + time, seq % 4096, "00"))
        .collect();
    MockCloud::start(World { messages: [(TYPE.to_owned(), messages)].into(), ..World::default() }).await
}

fn messages(cloud: &MockCloud) -> Pages<Message> {
    client(cloud, "secret").device_type_messages(TYPE, Window::default())
}

async fn all(mut pages: Pages<Message>) -> (Vec<Page<Message>>, Option<Error>) {
    let mut got = Vec::new();
    loop {
        match pages.next_page().await {
            Ok(Some(page)) => got.push(page),
            Ok(None) => return (got, None),
            Err(error) => return (got, Some(error)),
        }
    }
}

fn sequence_numbers(pages: &[Page<Message>]) -> Vec<u16> {
    let mut seen: Vec<u16> = pages.iter().flat_map(|page| &page.rows).filter_map(|row| row.seq).collect();
    seen.sort_unstable();
    seen.dedup();
    seen
}

#[tokio::test]
async fn every_message_of_many_pages_comes() {
    let cloud = cloud_with((0..250).map(|n| n * 1000)).await;
    let (pages, error) = all(messages(&cloud)).await;
    assert_eq!(error, None);
    assert_eq!(sequence_numbers(&pages), (0..250).collect::<Vec<_>>());
    assert_eq!(cloud.count("/messages"), 3);
}

#[tokio::test]
async fn siblings_of_one_instant_survive_the_border_of_a_page() {
    // Messages 95 to 104 from the newest on share one instant; the first page ends between them.
    let cloud = cloud_with((0..200).map(|n| if (96..=105).contains(&n) { 100_000 } else { n * 1000 })).await;
    let (pages, error) = all(messages(&cloud)).await;
    assert_eq!(error, None);
    assert_eq!(sequence_numbers(&pages), (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn more_siblings_than_a_page_holds_end_no_later_than_the_clouds_own_cursor() {
    let cloud = cloud_with((0..300).map(|n| if n < 150 { 0 } else { n * 1000 })).await;
    let (pages, error) = all(messages(&cloud)).await;
    assert_eq!(error, None);
    assert!(sequence_numbers(&pages).len() >= 250);
    assert!(pages.len() < 10);
}

#[tokio::test]
async fn a_loop_of_pages_gives_what_it_holds_and_says_so() {
    let cloud = cloud_with((0..50).map(|n| n * 1000)).await;
    cloud.change(|world| world.faults = vec![("/messages", Fault::Loop); 1000]);
    let (pages, error) = all(messages(&cloud)).await;
    assert_eq!(error, Some(Error::Circle { asked: format!("messages of device type {TYPE}") }));
    assert_eq!(sequence_numbers(&pages).len(), 50);
    assert!(cloud.count("/messages") <= 3);
}

#[tokio::test]
async fn a_loop_whose_every_page_has_an_address_of_its_own_ends_too() {
    let cloud = cloud_with((0..300).map(|n| n * 1000)).await;
    cloud.change(|world| world.faults = vec![("/messages", Fault::EverOn); 1000]);
    let (pages, error) = all(messages(&cloud)).await;
    assert_eq!(error, Some(Error::Circle { asked: format!("messages of device type {TYPE}") }));
    // The second page begins with the last row of the first.
    assert_eq!(sequence_numbers(&pages).len(), 199);
    assert_eq!(cloud.count("/messages"), 3);
}

#[tokio::test]
async fn a_next_page_on_another_host_is_never_asked_and_the_rest_comes_all_the_same() {
    let cloud = cloud_with((0..150).map(|n| n * 1000)).await;
    cloud.change(|world| world.faults = vec![("/messages", Fault::Foreign("attacker.example"))]);
    let (pages, error) = all(messages(&cloud)).await;
    assert_eq!(error, None);
    assert_eq!(pages[0].foreign.as_deref(), Some("attacker.example"));
    assert_eq!(sequence_numbers(&pages).len(), 150);
}

#[tokio::test]
async fn links_to_another_host_on_every_page_still_have_an_end() {
    let cloud = cloud_with((0..150).map(|n| n * 1000)).await;
    cloud.change(|world| world.faults = vec![("/messages", Fault::Foreign("attacker.example")); 10]);
    let (pages, error) = all(messages(&cloud)).await;
    assert_eq!((error, sequence_numbers(&pages).len()), (None, 150));
    assert!(cloud.count("/messages") <= 4);
}

#[tokio::test]
async fn one_bad_row_costs_itself() {
    let cloud = cloud_with((0..3).map(|n| n * 1000)).await;
    let bad = json!({ "device": { "id": "1A2B" }, "time": START + 500, "data": "hello" });
    cloud.change(|world| world.messages.get_mut(TYPE).unwrap().push(bad));
    let (pages, error) = all(messages(&cloud)).await;
    assert_eq!((error, sequence_numbers(&pages)), (None, vec![0, 1, 2]));
    assert_eq!(pages[0].skipped.len(), 1);
    assert!(pages[0].skipped[0].why.contains("`hello` is not hexadecimal"), "{:?}", pages[0].skipped);
}

#[tokio::test]
async fn every_fault_is_a_decision_and_the_next_request_is_fine() {
    let cloud = cloud_with([0]).await;
    let asked = || format!("messages of device type {TYPE}");
    for (fault, is_right) in [
        (Fault::Status(403), (|error| matches!(error, Error::Forbidden { .. })) as fn(&Error) -> bool),
        (Fault::Status(404), |error| matches!(error, Error::NotFound { .. })),
        (Fault::Status(429), |error| matches!(error, Error::RateLimited { after: None, .. })),
        (Fault::Status(400), |error| matches!(error, Error::Refused { status: 400, .. })),
        (Fault::Status(503), |error| matches!(error, Error::Retry { answered: true, .. })),
        (Fault::Html, |error| matches!(error, Error::Malformed { .. })),
        (Fault::Truncated, |error| matches!(error, Error::Malformed { .. })),
        (Fault::Huge, |error| matches!(error, Error::Malformed { .. })),
        (Fault::Dropped, |error| matches!(error, Error::Retry { answered: false, .. })),
        (Fault::Redirect("http://attacker.example/".to_owned()), |error| {
            matches!(error, Error::Refused { status: 302, .. })
        }),
    ] {
        cloud.change(|world| world.faults = vec![("/messages", fault.clone())]);
        let mut pages = messages(&cloud);
        let error = pages.next_page().await.unwrap_err();
        assert!(is_right(&error), "{fault:?}: {error:?}");
        assert!(error.to_string().contains(&asked()), "{error}");
        assert_eq!(
            pages.next_page().await.unwrap().unwrap().rows.len(),
            1,
            "the page can be asked for again"
        );
    }
}

#[tokio::test]
async fn a_collection_that_is_known_only_with_a_slash_is_found() {
    let cloud = cloud_with([0]).await;
    cloud.change(|world| {
        world.types = vec![json!({ "id": TYPE })];
        world.faults = vec![("/device-types", Fault::Status(404))];
    });
    let page = client(&cloud, "secret").device_types().next_page().await.unwrap().unwrap();
    assert_eq!(page.rows.len(), 1);
    assert_eq!(cloud.count("/device-types/?limit=100"), 1);
}

#[tokio::test]
async fn a_redirect_within_the_host_is_followed_with_the_credentials() {
    let cloud = cloud_with([0]).await;
    let to = format!("/v2/device-types/{TYPE}/messages/");
    cloud.change(|world| world.faults = vec![("/messages", Fault::Redirect(to))]);
    let (pages, error) = all(messages(&cloud)).await;
    assert_eq!((error, pages[0].rows.len()), (None, 1));
}

#[tokio::test]
async fn after_a_429_nothing_is_asked_until_the_cloud_permits_it() {
    let cloud = cloud_with([0]).await;
    cloud.change(|world| world.faults = vec![("/messages", Fault::RetryAfter(60))]);
    let sigfox = client(&cloud, "secret");
    for _ in 0..3 {
        let error = sigfox.device_type_messages(TYPE, Window::default()).next_page().await.unwrap_err();
        assert!(matches!(error, Error::RateLimited { after: Some(_), .. }), "{error:?}");
    }
    assert_eq!(cloud.count("/messages"), 1);
}

#[tokio::test]
async fn a_wrong_password_is_told_without_the_password() {
    let cloud = cloud_with([0]).await;
    let error = client(&cloud, "hunter2").device_types().next_page().await.unwrap_err();
    assert_eq!(error, Error::Unauthorized { asked: "device types".to_owned() });
    assert!(!format!("{error} {error:?} {:?}", client(&cloud, "hunter2")).contains("hunter2"));
}

#[tokio::test]
async fn nobody_there_is_told_in_words() {
    let cloud = cloud_with([0]).await;
    let sigfox = client(&cloud, "secret");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    drop(sigfox);
    let access = Access {
        url: format!("http://{free}/v2").parse().unwrap(),
        insecure: false,
        ca_file: None,
        rate: (1000, Duration::from_secs(1)),
        timeout: Duration::from_secs(30),
    };
    let sigfox = Sigfox::new(&access, SigfoxApi::V2, "login", &SecretString::from("secret")).unwrap();
    let error = sigfox.device_types().next_page().await.unwrap_err();
    assert!(error.to_string().contains("Connection refused"), "{error}");
}
