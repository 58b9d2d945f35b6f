//! Marks: what a process leaves for the one after it when it is killed, in the system's memory only. Each costs one
//! write and no wait for the disk; a loss of power may take it, and whoever reads it is told whether there was one.

use std::fs;

use super::Store;
use super::error::StoreError;

/// What a mark says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// This, or nothing, and the machine has run ever since.
    Certain(String),
    /// The machine was started since: whatever there was may be lost.
    Lost,
}

/// Which run of the machine a mark is of; it is kept, durable, beside what the mark is about.
#[must_use]
pub fn run_of_machine() -> Option<String> {
    // proc(5): made anew at each start of the machine.
    let run = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(run.trim().to_owned()).filter(|run| !run.is_empty())
}

impl Store {
    /// Leaves a mark of this name, of `a-z A-Z 0-9 _ -`; a kill on any later line finds it.
    pub fn mark(&self, name: &str, text: &str) -> Result<(), StoreError> {
        let folder = self.folder().marks();
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join(name), text)?)
    }

    /// The mark of this name, if it was left in this run of the machine.
    #[must_use]
    pub fn marked(&self, name: &str, run: Option<&str>) -> Mark {
        if run.is_none() || run != run_of_machine().as_deref() {
            return Mark::Lost;
        }
        Mark::Certain(fs::read_to_string(self.folder().marks().join(name)).unwrap_or_default())
    }
}
