//! Tries a mirror: lets it in, and looks into its space.

use std::time::Duration;

use super::Finding;
use crate::cloud::altair::{Altair, Login, ThingFilter};
use crate::cloud::{Access, Error};
use crate::config::Mirror;

/// How long the studio may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn try_out(mirror: &Mirror) -> Finding {
    let check = format!("mirror {}", mirror.name);
    match tokio::time::timeout(PATIENCE, look(mirror)).await {
        Ok(Ok(found)) => Finding::pass(check, found),
        Ok(Err(error)) => Finding::fail(check, format!("{error}: {}", advice(mirror, &error))),
        Err(_elapsed) => Finding::fail(check, format!("no answer in {} s", PATIENCE.as_secs())),
    }
}

/// What is in the space, in a few words; no more than a page is asked for.
async fn look(mirror: &Mirror) -> Result<String, Error> {
    let cloud = Altair::new(&Access::from(mirror), &Login::from(mirror), "thing")?;
    let page = cloud.things(&ThingFilter::default()).next_page().await;
    // The look counts: what is not given back ends by itself.
    cloud.revoke().await.ok();
    let things = page?.map_or(0, |page| page.rows.len());
    Ok(format!("lets us in; {things} Things in space {}", mirror.space))
}

fn advice(mirror: &Mirror, error: &Error) -> String {
    let name = &mirror.name;
    match error {
        Error::Unauthorized { .. } => format!("put right `client_id` and `client_secret` of mirrors.{name}"),
        Error::Forbidden { .. } => "give the app the scope `thing` and a policy for the space".to_owned(),
        Error::NotFound { .. } => format!("put right `space` of mirrors.{name}"),
        _ => format!("look whether this machine reaches {}", mirror.url),
    }
}
