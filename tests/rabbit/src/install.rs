//! What the system's package has put where.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// The broker that is installed on this machine.
#[derive(Debug, Clone)]
pub struct Installed {
    home: PathBuf,
}

/// The Debian package that has it.
pub const PACKAGE: &str = "rabbitmq-server";

const LIBRARIES: &str = "/usr/lib/rabbitmq/lib";
/// The package's commands as they are: those in the path change to a user of their own.
const COMMANDS: &str = "/usr/lib/rabbitmq/bin";
/// Applications that are needed and that no other one lists.
const UNLISTED: &[&str] = &["rabbit", "cuttlefish", "getopt", "enough", "jsx"];

impl Installed {
    /// Finds it.
    ///
    /// # Errors
    /// Where it is not installed; the error names the command that installs it.
    pub fn find() -> anyhow::Result<Self> {
        let versions = fs::read_dir(LIBRARIES).into_iter().flatten().flatten();
        let homes = versions.map(|entry| entry.path());
        let newest = homes.filter(|home| home.join("plugins").is_dir()).max();
        let home = newest.context("RabbitMQ is not installed: install it with `cargo xtask services start`")?;
        Ok(Self { home })
    }

    /// Its version, such as `3.10.8`.
    pub fn version(&self) -> String {
        let name = self.home.file_name().unwrap_or_default().to_string_lossy();
        name.rsplit_once('-').map_or("", |(_, version)| version).to_owned()
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// One of the package's commands.
    pub(crate) fn command(name: &str) -> PathBuf {
        Path::new(COMMANDS).join(name)
    }

    /// The folders of the applications that a node without plugins is made of.
    ///
    /// A node looks through every module of every application in its path when it starts: with these alone it is up in
    /// half the time.
    pub(crate) fn applications(&self) -> anyhow::Result<Vec<PathBuf>> {
        let folder = self.home.join("plugins");
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        let all: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        let folder_of = |name: &str| all.iter().find(|path| application(path) == Some(name));
        let mut wanted: Vec<String> = UNLISTED.iter().map(|name| (*name).to_owned()).collect();
        let mut found = BTreeSet::new();
        while let Some(name) = wanted.pop() {
            // Those of Erlang itself are elsewhere.
            let Some(path) = folder_of(&name) else { continue };
            if found.insert(path.clone()) {
                let description = path.join("ebin").join(format!("{name}.app"));
                let text = fs::read_to_string(&description);
                wanted.extend(listed(
                    &text.with_context(|| format!("cannot read {}", description.display()))?,
                ));
            }
        }
        Ok(found.into_iter().collect())
    }
}

/// The application's name, of a folder such as `ra-2.2.0`.
fn application(folder: &Path) -> Option<&str> {
    let name = folder.file_name()?.to_str()?;
    Some(name.rsplit_once('-').map_or(name, |(name, _)| name))
}

/// The names in `{applications, [..]}` of an application's description.
fn listed(description: &str) -> Vec<String> {
    let after = description
        .split_once("{applications")
        .and_then(|(_, rest)| rest.split_once('['));
    let names = after
        .and_then(|(_, rest)| rest.split_once(']'))
        .map_or("", |(names, _)| names);
    let trimmed = names.split(',').map(|name| name.trim().trim_matches('\'').to_owned());
    trimmed.filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_lists_what_it_needs() {
        let text =
            "{application, 'ra', [\n{vsn, \"2\"},\n{applications, [kernel,\n 'aten' ,gen_batch_server]},\n{env, []}]}.";
        assert_eq!(listed(text), ["kernel", "aten", "gen_batch_server"]);
        assert_eq!(
            application(Path::new("/x/gen_batch_server-0.8.8")),
            Some("gen_batch_server")
        );
    }
}
