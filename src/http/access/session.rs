//! Who has logged in: random names in cookies, in memory only. A restart asks everybody again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

use super::Grant;

/// So many may be logged in at once; one more ends the session that was idle longest.
const MOST: usize = 64;

/// A session that is not used for so long ends.
pub(super) const IDLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Who has logged in.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: BTreeMap<String, Session>,
}

#[derive(Debug)]
struct Session {
    grant: Grant,
    used: Instant,
}

impl Sessions {
    /// Begins a session under a name that nobody can guess.
    pub(super) fn begin(&mut self, id: String, grant: Grant, now: Instant) {
        self.open.retain(|_, session| !session.is_over(now));
        while self.open.len() >= MOST {
            let idle = self.open.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| id.clone());
            let Some(idle) = idle else { break };
            self.open.remove(&idle);
        }
        self.open.insert(id, Session { grant, used: now });
    }

    /// What a session is good for; being asked keeps it open.
    pub(super) fn grant(&mut self, id: &str, now: Instant) -> Option<Grant> {
        let session = self.open.get_mut(id).filter(|session| !session.is_over(now))?;
        session.used = now;
        Some(session.grant)
    }

    pub(super) fn end(&mut self, id: &str) {
        self.open.remove(id);
    }
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) >= IDLE
    }
}

/// The name of a request's session (RFC 6265, section 4.2.1).
pub(super) fn id<'a>(headers: &'a HeaderMap, cookie: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
    pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == cookie).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_it_is_idle_for_a_week_or_closed() {
        let start = Instant::now();
        let mut sessions = Sessions::default();
        sessions.begin("a".to_owned(), Grant::Read, start);
        assert_eq!(sessions.grant("b", start), None);
        assert_eq!(sessions.grant("a", start + IDLE / 2), Some(Grant::Read));
        assert_eq!(sessions.grant("a", start + IDLE), Some(Grant::Read), "it was used in between");
        assert_eq!(sessions.grant("a", start + IDLE * 2), None);
        sessions.begin("c".to_owned(), Grant::Write, start);
        sessions.end("c");
        assert_eq!(sessions.grant("c", start), None);
    }

    #[test]
    fn a_thousand_logins_leave_the_newest_sixty_four() {
        let start = Instant::now();
        let mut sessions = Sessions::default();
        let at = |number: u64| start + Duration::from_secs(number);
        for number in 0..1000 {
            sessions.begin(number.to_string(), Grant::Write, at(number));
        }
        assert_eq!(sessions.open.len(), MOST);
        assert_eq!(sessions.grant("999", at(1000)), Some(Grant::Write));
        assert_eq!(sessions.grant("1", at(1000)), None);
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        for (cookies, found) in
            [("s=1", Some("1")), ("other=x; s=1; more=y", Some("1")), ("ss=1", None), ("s", None), ("", None)]
        {
            let headers = HeaderMap::from_iter([(COOKIE, cookies.parse().unwrap())]);
            assert_eq!(id(&headers, "s"), found, "{cookies}");
        }
    }
}
