//! Files that a configuration names: where they are looked for, and the secrets in them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::environment::Environment;

/// No secret is longer; a longer file is the wrong one.
const LONGEST: u64 = 64 * 1024;

/// Where systemd keeps what the unit's `LoadCredential` names, for as long as the service runs.
const CREDENTIALS_OF_THE_SERVICE: &str = "/run/credentials/sigfox2mqtt.service";

/// Where relative paths are looked up.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    /// The service manager's folder of credentials.
    pub(super) credentials: Option<PathBuf>,
    /// The folder of the configuration.
    pub(super) configuration: PathBuf,
    /// Whether files that this user may not read are taken to be right.
    pub(super) is_guest: bool,
}

impl Folders {
    /// Those of a configuration in that folder.
    pub(super) fn new(configuration: &Path, environment: &Environment) -> Self {
        // The command line works by the same files as the daemon beside it.
        let of_the_service =
            || Some(PathBuf::from(CREDENTIALS_OF_THE_SERVICE)).filter(|folder| folder.is_dir());
        let credentials = environment.folder("CREDENTIALS_DIRECTORY").or_else(of_the_service);
        Self { credentials, configuration: configuration.to_owned(), is_guest: false }
    }

    /// A path beside the configuration, unless it is absolute.
    pub(super) fn beside(&self, path: &str) -> PathBuf {
        self.configuration.join(path)
    }

    /// A file that must be there: among the credentials, else beside the configuration.
    pub(super) fn find(&self, path: &str) -> Result<PathBuf, String> {
        let credential =
            self.credentials.as_ref().map(|folder| folder.join(path)).filter(|path| path.is_file());
        let found = credential.unwrap_or_else(|| self.beside(path));
        match File::open(&found).and_then(|file| file.metadata()) {
            Ok(metadata) if metadata.is_file() => Ok(found),
            Ok(_) => Err(format!("{} is no file, expected one", found.display())),
            Err(error) if self.is_kept_from_guest(&error) => Ok(found),
            Err(error) => Err(format!("{}, expected {}", unreadable(&found, &error), self.expected(path))),
        }
    }

    /// A file whose secret others on this machine may read; the service manager sees to its own.
    pub(super) fn exposed(&self, path: &str) -> Option<PathBuf> {
        let found = self.find(path).ok()?;
        let is_credential = self.credentials.as_ref().is_some_and(|folder| found.starts_with(folder));
        let permits = |path: &Path, bits| {
            path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & bits != 0)
        };
        let folder = std::path::absolute(&found).ok()?.parent()?.to_owned();
        (!is_credential && permits(&found, 0o006) && permits(&folder, 0o001)).then_some(found)
    }

    /// The secret in a file, without the newline at its end.
    pub(super) fn secret(&self, path: &str) -> Result<SecretString, String> {
        let found = self.find(path)?;
        let bytes = match read_at_most(&found, LONGEST + 1) {
            Err(error) if self.is_kept_from_guest(&error) => return Ok(SecretString::default()),
            read => read.map_err(|error| unreadable(&found, &error))?,
        };
        let shown = found.display();
        if bytes.len() as u64 > LONGEST {
            return Err(format!("{shown} holds more than 64 KiB, expected one secret"));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_invalid| format!("{shown} is no text, expected one secret"))?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(format!("{shown} is empty, expected a secret"));
        }
        Ok(text.into())
    }

    /// Not there: the service manager may hand it to the daemon alone.
    fn is_kept_from_guest(&self, error: &io::Error) -> bool {
        self.is_guest && matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound)
    }

    fn expected(&self, path: &str) -> String {
        match &self.credentials {
            Some(folder) if Path::new(path).is_relative() => {
                format!("it there or in {}", folder.display())
            }
            _ => "a file that the gateway may read".to_owned(),
        }
    }
}

/// The beginning of a file.
pub(super) fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What keeps a file from being read, in words.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!("{path} is not there"),
        io::ErrorKind::PermissionDenied => format!("{path} may not be read"),
        _ => format!("{path} cannot be read ({error})"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_is_exposed_where_others_may_read_it_and_reach_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        fs::write(&file, "secret").unwrap();
        for (of_folder, of_file, exposed) in
            [(0o755, 0o644, true), (0o755, 0o640, false), (0o755, 0o600, false), (0o750, 0o644, false)]
        {
            fs::set_permissions(folder.path(), Permissions::from_mode(of_folder)).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(of_file)).unwrap();
            let configuration = folder.path().to_owned();
            let beside = Folders { credentials: None, configuration, is_guest: false };
            assert_eq!(beside.exposed("a").is_some(), exposed, "{of_folder:o} {of_file:o}");
            let credential = Folders { credentials: Some(folder.path().to_owned()), ..beside };
            assert_eq!(credential.exposed("a"), None);
        }
    }

    #[test]
    fn a_secret_is_looked_for_among_the_credentials_and_then_beside_the_configuration() {
        let (credentials, configuration) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(credentials.path().join("a"), "from credentials\n").unwrap();
        fs::write(configuration.path().join("a"), "hidden").unwrap();
        fs::write(configuration.path().join("b"), "  beside \r\n\n").unwrap();
        fs::write(configuration.path().join("empty"), "\n").unwrap();
        fs::write(configuration.path().join("binary"), [0xFF, 0xFE]).unwrap();
        fs::write(configuration.path().join("long"), vec![b'x'; 70_000]).unwrap();
        let folders = Folders {
            credentials: Some(credentials.path().to_owned()),
            configuration: configuration.path().to_owned(),
            is_guest: false,
        };
        let secret = |path: &str| folders.secret(path).map(|secret| secret.expose_secret().to_owned());
        assert_eq!(secret("a").as_deref(), Ok("from credentials"));
        assert_eq!(secret("b").as_deref(), Ok("  beside "));
        for (path, what) in [
            ("empty", "is empty"),
            ("binary", "is no text"),
            ("long", "more than 64 KiB"),
            ("missing", "is not there"),
            (".", "is no file"),
        ] {
            let message = secret(path).unwrap_err();
            assert!(message.contains(what), "{message}");
        }
    }
}
