//! How a command ends: exit codes, and the one place that prints errors.

use std::process::ExitCode;

use super::output;
use crate::config::Problems;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Failed; what was wrong has been printed.
    Failed,
    /// Wrong usage; what was wrong has been printed.
    Usage,
    /// The configuration is wrong; what was wrong has been printed.
    Configuration,
}

impl Exit {
    /// `Configuration` is `EX_CONFIG` of sysexits.h; systemd is told not to restart on it, nor on 2.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Configuration => 78,
        }
    }
}

/// The exit code of a command; an error is printed, the problems of a configuration line by line.
pub(super) fn of_outcome(outcome: anyhow::Result<Exit>) -> ExitCode {
    let exit = match outcome {
        Ok(exit) => exit,
        Err(error) => match error.downcast_ref::<Problems>() {
            Some(problems) => {
                output::complain(&problems.to_string());
                Exit::Configuration
            }
            None => {
                output::complain(&format!("sigfox2mqtt: {error:#}"));
                Exit::Failed
            }
        },
    };
    ExitCode::from(exit.code())
}

/// The exit code of arguments that are no command: wrong usage, unless help or the version was asked for.
pub(super) fn of_usage(usage: &clap::Error) -> ExitCode {
    // A reader that has gone away wants no more text.
    let printed = usage.print();
    let exit = if usage.use_stderr() { Exit::Usage } else { Exit::Done };
    drop(printed);
    ExitCode::from(exit.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_that_systemd_is_told_about() {
        let codes = [Exit::Done, Exit::Failed, Exit::Usage, Exit::Configuration].map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 78]);
    }
}
