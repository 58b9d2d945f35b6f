//! From a file to a `Config`: reads the text within its bounds and runs the stages in their order.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Config;
use super::build;
use super::check::check;
use super::environment::Environment;
use super::path::KeyPath;
use super::problem::{Place, Problems};
use super::reader::Reader;
use super::secret::{Folders, unreadable};
use super::settings::Settings;
use super::text::{LONGEST, Text};

/// A configuration that may be used, and what is still to be said about it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What works, but is hardly meant.
    pub warnings: Problems,
    /// Secrets that stand in a file which others on this machine may read; the daemon refuses to run with them.
    pub exposed: Problems,
    /// Every key that holds, for printing.
    pub(super) settings: Settings,
}

impl Config {
    /// Reads a file and lays the environment over it; all that is wrong comes out at once.
    pub fn load(path: &Path, environment: &Environment) -> Result<Loaded, Problems> {
        Self::read(path, environment, false)
    }

    /// Reads a file as `load` does, for work that needs no secret: files that this user may not read, or that the service
    /// manager hands to the daemon alone, are taken to be right.
    pub fn load_as_guest(path: &Path, environment: &Environment) -> Result<Loaded, Problems> {
        Self::read(path, environment, true)
    }

    fn read(path: &Path, environment: &Environment, is_guest: bool) -> Result<Loaded, Problems> {
        let file = path.display().to_string();
        let refuse = |message: String| {
            let mut problems = Problems::new(file.clone());
            problems.add(Place::File, "", message);
            problems
        };
        let (bytes, mode) = bytes_of(path).map_err(|error| refuse(said_of(path, &error)))?;
        if bytes.len() > LONGEST {
            return Err(refuse(
                "is larger than 1 MiB, expected a configuration written by a person".to_owned(),
            ));
        }
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(fault) => {
                let (good, _) = bytes.split_at_checked(fault.valid_up_to()).unwrap_or_default();
                let place =
                    Text::new(std::str::from_utf8(good).unwrap_or_default()).place(&(good.len()..good.len()));
                let mut problems = Problems::new(file);
                problems.add(place, "syntax", "this is no UTF-8, expected text in UTF-8");
                return Err(problems);
            }
        };
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let folders = Folders { is_guest, ..Folders::new(&folder, environment) };
        let mut loaded = Self::of_text(text, &file, &folders, environment)?;
        if mode & 0o006 == 0 {
            loaded.exposed.problems.clear();
        }
        Ok(loaded)
    }

    /// Reads a text as `load` reads the file of that name in that folder; it counts as readable by others.
    pub fn parse(
        text: &str,
        file: &str,
        folder: &Path,
        environment: &Environment,
    ) -> Result<Loaded, Problems> {
        Self::of_text(text, file, &Folders::new(folder, environment), environment)
    }

    fn of_text(
        text: &str,
        file: &str,
        folders: &Folders,
        environment: &Environment,
    ) -> Result<Loaded, Problems> {
        let mut problems = Problems::new(file);
        let mut warnings = Problems::new(file);
        let mut settings = Settings::default();
        let text = Text::new(text);
        let (table, faults) = text.parse(&mut problems);
        let of_syntax = problems.problems.clone();
        check(&text, &table, &mut settings, &mut problems);
        environment.overlay(&mut settings, &mut problems);
        settings.fill_in();
        let mut clear = Vec::new();
        let mut reader = Reader {
            settings: &mut settings,
            folders,
            problems: &mut problems,
            warnings: &mut warnings,
            clear: &mut clear,
            is_whole: !faults.any,
        };
        if !build::check_version(&mut reader) {
            problems.problems.retain(|problem| problem.key == "version");
            return Err(problems);
        }
        let config = build::build(&mut reader, environment);
        if let Some(config) = &config {
            build::check_decoders(config, &settings, &mut problems);
        }
        if let Some(displaced) = faults.displaced {
            problems.problems.retain(|problem| problem.place < displaced || of_syntax.contains(problem));
        }
        problems.sort();
        warnings.sort();
        match config {
            Some(config) if problems.is_empty() => {
                let mut loaded = Loaded { config, warnings, exposed: exposed(file, &clear), settings };
                loaded.config.in_effect = loaded.to_json();
                Ok(loaded)
            }
            _ => Err(problems),
        }
    }
}

impl Loaded {
    /// What the daemon demands beyond a right configuration: that nobody else can read its secrets.
    pub fn refuse_exposed(self) -> Result<Self, Problems> {
        if self.exposed.is_empty() { Ok(self) } else { Err(self.exposed) }
    }
}

fn exposed(file: &str, clear: &[(KeyPath, Place)]) -> Problems {
    let mut exposed = Problems::new(file);
    for (path, place) in clear {
        let message = format!(
            "is a secret in a file that others may read, expected mode 0600 or `{}_file`",
            path.last()
        );
        exposed.add(place.clone(), path, message);
    }
    exposed.sort();
    exposed
}

/// At most one byte more than is allowed, and the mode of the file.
fn bytes_of(path: &Path) -> io::Result<(Vec<u8>, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut bytes = Vec::new();
    file.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes, mode))
}

/// The file's name stands before the message already.
fn said_of(path: &Path, error: &io::Error) -> String {
    let message = unreadable(path, error);
    let message =
        message.strip_prefix(&path.display().to_string()).unwrap_or(&message).trim_start().to_owned();
    format!("{message}, expected a configuration (`sigfox2mqtt init` writes one)")
}
