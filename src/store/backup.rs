//! A backup: every record in one file, made while the store goes on, and read back into a new database.
//!
//! The file is a line of text with the version, then frames: length u32, CRC-32 u32, and a postcard of the tree's
//! name and its writes; of a key that comes twice, the later counts. The last frame has no name and says how many
//! frames there were, so that a file that was cut short is told from a whole one.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crc::{CRC_32_ISO_HDLC, Crc};

use super::Store;
use super::commit::{Commit, Place, Writes};
use super::copy::{Copied, Target, copy, copy_touched};
use super::database::Database;
use super::error::{OpenError, StoreError};
use super::folder::{Folder, refused};
use super::layout::{LARGEST_COMMIT, LARGEST_VALUE, SCHEMA};

const FIRST_LINE: &[u8] = b"sigfox2mqtt store backup 1\n";
/// Bytes of sled's cache while a store is restored.
const RESTORE_CACHE: u64 = 8 << 20;
/// A frame holds one commit.
const LARGEST_FRAME: usize = LARGEST_COMMIT * (LARGEST_VALUE + 1024);

/// Why a backup cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file is none, is cut short, or was changed.
    #[error("{} is not a whole backup: {reason}", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What was found.
        reason: &'static str,
    },
    /// The file cannot be read.
    #[error("cannot read {}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Directory(#[from] OpenError),
    /// The store takes no records.
    #[error("cannot write the restored store")]
    Store(#[from] StoreError),
}

impl Store {
    /// Writes everything into a file and gives the number of records. Blocks; the store goes on meanwhile. The
    /// file gets its name when it is whole and on the disk.
    pub fn backup(&self, file: &Path) -> Result<u64, StoreError> {
        in_full(file, |unfinished| {
            let mut frames = Frames::begin(unfinished)?;
            let _moving = self.moving();
            let database = self.database();
            database.begin_copy()?;
            let copied = copy(&database, &mut frames);
            let memory = self.memory();
            let touched = database.end_copy();
            let copied = whole(copied?)?;
            copy_touched(&database, touched?, &mut frames)?;
            drop(memory);
            frames.end()?;
            Ok(copied.records)
        })
    }

    /// Puts a backup in the place of a data directory's store; no daemon may run on it. What was there before is
    /// removed only when the restored store is on the disk.
    pub fn restore(dir: &Path, file: &Path) -> Result<u64, RestoreError> {
        let folder = Folder::take(dir)?;
        let io_refused = |source| RestoreError::Directory(refused(dir, source));
        let path = folder.next().map_err(io_refused)?;
        let database = Database::open(&path, RESTORE_CACHE, Some(SCHEMA)).map_err(StoreError::from)?;
        let restored = read_into(file, &database);
        let records = match restored {
            Ok(records) => records,
            Err(error) => {
                drop(database);
                fs::remove_dir_all(&path).map_err(io_refused)?;
                return Err(error);
            }
        };
        database.sync_blocking()?;
        drop(database);
        folder.switch(&path).map_err(io_refused)?;
        folder.remove_leftovers().map_err(io_refused)?;
        Ok(records)
    }
}

/// Writes everything of a database that nobody else has into a file.
pub(super) fn write(database: &Database, file: &Path) -> Result<u64, StoreError> {
    in_full(file, |unfinished| {
        let mut frames = Frames::begin(unfinished)?;
        let copied = whole(copy(database, &mut frames)?)?;
        frames.end()?;
        Ok(copied.records)
    })
}

/// Gives a file its name when it is whole and on the disk; a part of one is removed.
fn in_full(file: &Path, write: impl FnOnce(&Path) -> Result<u64, StoreError>) -> Result<u64, StoreError> {
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    let written = write(&unfinished);
    if written.is_err() {
        fs::remove_file(&unfinished).ok();
    }
    let records = written?;
    fs::rename(&unfinished, file)?;
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all()?,
        _ => {}
    }
    Ok(records)
}

fn whole(copied: Copied) -> Result<Copied, StoreError> {
    match copied.unread {
        0 => Ok(copied),
        unread => Err(StoreError::Damaged(format!("{unread} trees cannot be read"))),
    }
}

/// What devices send is nobody else's business.
fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().create(true).truncate(true).write(true).mode(0o600).open(path)
}

struct Frames {
    file: BufWriter<File>,
    count: u64,
}

impl Target for Frames {
    fn take(&mut self, records: Commit) -> Result<(), StoreError> {
        for (place, writes) in records.writes() {
            self.frame(&(place.name(), writes))?;
        }
        Ok(())
    }
}

impl Frames {
    fn begin(file: &Path) -> Result<Self, StoreError> {
        let mut file = BufWriter::new(create_private(file)?);
        file.write_all(FIRST_LINE)?;
        Ok(Self { file, count: 0 })
    }

    fn frame(&mut self, content: &(String, &Writes)) -> Result<(), StoreError> {
        let bytes = postcard::to_stdvec(content).map_err(|error| StoreError::Damaged(error.to_string()))?;
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.file.write_all(&length.to_be_bytes())?;
        self.file.write_all(&crc32(&bytes).to_be_bytes())?;
        self.file.write_all(&bytes)?;
        self.count += 1;
        Ok(())
    }

    fn end(mut self) -> Result<(), StoreError> {
        let count = Writes::from([(self.count.to_be_bytes().to_vec(), None)]);
        self.frame(&(String::new(), &count))?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(file.sync_all()?)
    }
}

/// Reads a whole backup into a new database.
pub(super) fn read_into(file: &Path, database: &Database) -> Result<u64, RestoreError> {
    let damaged = |reason| RestoreError::Damaged { file: file.to_owned(), reason };
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::UnexpectedEof => damaged("it ends too soon"),
        _ => RestoreError::Unreadable { file: file.to_owned(), source },
    };
    let mut reader = BufReader::new(File::open(file).map_err(unreadable)?);
    let mut first_line = vec![0; FIRST_LINE.len()];
    reader.read_exact(&mut first_line).map_err(unreadable)?;
    if first_line != FIRST_LINE {
        return Err(damaged("it does not begin as one"));
    }
    let (mut frames, mut records) = (0_u64, 0_u64);
    loop {
        let bytes = read_frame(&mut reader).map_err(unreadable)?.map_err(damaged)?;
        let (name, writes): (String, Writes) =
            postcard::from_bytes(&bytes).ok().ok_or_else(|| damaged("a part of it cannot be read"))?;
        if name.is_empty() {
            let whole = writes.contains_key(frames.to_be_bytes().as_slice());
            return if whole { Ok(records) } else { Err(damaged("a part of it is missing")) };
        }
        let place = Place::of_name(name.as_bytes()).ok_or_else(|| damaged("it is of a newer program"))?;
        let mut commit = Commit::default();
        for (key, value) in writes {
            records += u64::from(value.is_some());
            commit.write(place, key, value);
        }
        database.apply(&commit)?;
        frames += 1;
    }
}

fn read_frame(reader: &mut impl Read) -> io::Result<Result<Vec<u8>, &'static str>> {
    let mut head = [0; 8];
    reader.read_exact(&mut head)?;
    let [a, b, c, d, e, f, g, h] = head;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if length > LARGEST_FRAME {
        return Ok(Err("a part of it is too large"));
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    if crc32(&bytes) != u32::from_be_bytes([e, f, g, h]) {
        return Ok(Err("a part of it was changed"));
    }
    Ok(Ok(bytes))
}

fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    TABLE.checksum(bytes)
}
