//! Writes the manual pages and the shell completions into the folder given; see `cross/manual`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap_complete::Shell;

fn main() -> anyhow::Result<()> {
    let folder: PathBuf = std::env::args_os().nth(1).context("usage: manual FOLDER")?.into();
    let command = sigfox2mqtt::cli::command();
    clap_mangen::generate_to(command.clone(), &folder).context("manual pages")?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        let mut command = command.clone();
        clap_complete::generate_to(shell, &mut command, "sigfox2mqtt", &folder)
            .with_context(|| format!("completions of {shell}"))?;
    }
    Ok(())
}
