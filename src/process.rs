//! What the system says of this process.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Resident memory in bytes, where the system tells (proc(5), `VmRSS`).
#[must_use]
pub fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The time that processors have worked for it.
#[must_use]
pub fn processor_time() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(spent.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(spent.tv_nsec).unwrap_or_default())
}

/// How many files and sockets it has open, where the system tells (proc(5), `fd`).
#[must_use]
pub fn open_files() -> Option<u64> {
    let files = std::fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the folder that is being read.
    u64::try_from(files).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself() {
        assert!(resident_memory().is_some_and(|bytes| bytes > 1 << 20));
        assert!(processor_time() > Duration::ZERO);
        assert!(open_files().is_some_and(|files| files >= 3));
    }
}
