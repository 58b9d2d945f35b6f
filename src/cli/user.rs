//! Whose process this is, and which user the packaged service runs as.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

/// The user that the package makes (`systemd/sysusers.conf`).
const SERVICE: &str = "sigfox2mqtt";

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    /// The packaged service's user, where there is one.
    pub(super) fn of_service() -> Option<Self> {
        Self::find(&fs::read_to_string("/etc/passwd").ok()?, SERVICE)
    }

    /// Whether this process may do anything, so that what it can says nothing of what the service can.
    pub(super) fn is_root() -> bool {
        // A process owns its own entry there (proc(5)).
        fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
    }

    /// By the text of `/etc/passwd` (passwd(5)).
    fn find(passwd: &str, name: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut columns = line.split(':');
            let user = columns.next().filter(|user| *user == name)?;
            let uid = columns.nth(1)?.parse().ok()?;
            let gid = columns.next()?.parse().ok()?;
            Some(Self { name: user.to_owned(), uid, gid })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nsigfox2mqtt2:x:7:8::/:/bin/sh\n\
                      broken\nsigfox2mqtt:x:998:997:Sigfox:/var/lib/sigfox2mqtt:/usr/sbin/nologin\n";
        let user = User { name: SERVICE.to_owned(), uid: 998, gid: 997 };
        assert_eq!(User::find(passwd, SERVICE), Some(user));
        assert_eq!(User::find(passwd, "broken"), None);
        assert_eq!(User::find("", SERVICE), None);
    }
}
