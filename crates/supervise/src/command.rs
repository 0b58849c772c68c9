//! What a handler process is started with: its words, its folder, its environment.
//!
//! Pure: the environment comes in as a map and goes out as one.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

/// A handler that `up` starts, in as many copies as it has replicas.
#[derive(Debug, Clone)]
pub struct ProcessSpec {
    /// The actor whose work it does.
    pub actor: String,
    /// The program and its arguments, as the shell would split them; no shell is involved.
    pub words: Vec<String>,
    /// The folder it runs in: the config file's.
    pub folder: PathBuf,
    /// Its whole environment, before the variables of its own socket are added; see [`clean_environment`].
    pub environment: BTreeMap<OsString, OsString>,
    /// How many processes.
    pub replicas: NonZeroUsize,
    /// Exchanges at once, over all processes.
    pub concurrency: NonZeroUsize,
    /// How long a process has between SIGTERM and SIGKILL.
    pub stop_grace: Duration,
    /// By which variables it is told where its socket is.
    pub told: Told,
}

/// By which variables a process is told where its socket is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Told {
    /// By ours.
    #[default]
    Ours,
    /// By those that the runtimes of Asya read, too.
    AsyaToo,
}

impl ProcessSpec {
    /// Exchanges at once in each process: `ceil(concurrency / replicas)`.
    pub fn share(&self) -> usize {
        self.concurrency.get().div_ceil(self.replicas.get())
    }

    /// The environment of one process: the common one and the variables that name its socket.
    pub(crate) fn environment_for(&self, socket: &Path) -> BTreeMap<OsString, OsString> {
        let mut environment = self.environment.clone();
        environment.insert("OUTRIGGER_HANDLER_SOCKET".into(), socket.into());
        environment.insert("OUTRIGGER_HANDLER_CONCURRENCY".into(), self.share().to_string().into());
        environment.insert("OUTRIGGER_ACTOR".into(), self.actor.clone().into());
        // Standard input is a pipe whose other end ends with us; runtimes leave when it does.
        environment.insert("OUTRIGGER_HANDLER_LIFELINE".into(), "0".into());
        if let (Told::AsyaToo, Some(folder), Some(name)) = (self.told, socket.parent(), socket.file_name()) {
            environment.insert("ASYA_SOCKET_DIR".into(), folder.into());
            environment.insert("ASYA_SOCKET_NAME".into(), name.into());
            environment.insert("ASYA_SOCKET_PATH".into(), socket.into());
        }
        environment
    }
}

/// The environment that a handler inherits: ours, without our own settings and without the queue's secrets.
///
/// Removed are `OUTRIGGER_*`, `ASYA_*_URL`, `ASYA_*_PASSWORD` and the `_FILE` forms of those.
pub fn clean_environment(ours: impl IntoIterator<Item = (OsString, OsString)>) -> BTreeMap<OsString, OsString> {
    ours.into_iter()
        .filter(|(name, _)| !is_ours(&name.to_string_lossy()))
        .collect()
}

fn is_ours(name: &str) -> bool {
    let secret = |name: &str| name.starts_with("ASYA_") && (name.ends_with("_URL") || name.ends_with("_PASSWORD"));
    name.starts_with("OUTRIGGER_") || secret(name) || name.strip_suffix("_FILE").is_some_and(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(names: &[&str]) -> Vec<(OsString, OsString)> {
        names.iter().map(|name| ((*name).into(), "x".into())).collect()
    }

    #[test]
    fn settings_and_secrets_are_not_inherited_and_the_rest_is() {
        let clean = clean_environment(environment(&[
            "PATH",
            "HOME",
            "ASYA_LOG_LEVEL",
            "OUTRIGGER_QUEUE",
            "OUTRIGGER__ACTORS__A__TIMEOUT",
            "OUTRIGGER_HANDLER_SOCKET",
            "ASYA_RABBITMQ_URL",
            "ASYA_RABBITMQ_PASSWORD",
            "ASYA_RABBITMQ_PASSWORD_FILE",
            "ASYA_RABBITMQ_URL_FILE",
            "MY_URL",
        ]));
        let names: Vec<_> = clean.keys().map(|name| name.to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["ASYA_LOG_LEVEL", "HOME", "MY_URL", "PATH"]);
    }

    #[test]
    fn the_share_of_each_process_covers_the_whole_concurrency() {
        let spec = |replicas, concurrency| ProcessSpec {
            actor: "a".into(),
            words: vec!["true".into()],
            folder: ".".into(),
            environment: BTreeMap::new(),
            replicas: NonZeroUsize::new(replicas).expect("not zero"),
            concurrency: NonZeroUsize::new(concurrency).expect("not zero"),
            stop_grace: Duration::from_secs(1),
            told: Told::default(),
        };
        assert_eq!(spec(1, 1).share(), 1);
        assert_eq!(spec(3, 4).share(), 2);
        assert_eq!(spec(4, 4).share(), 1);
        assert_eq!(
            spec(2, 5).environment_for(Path::new("/s/a.0"))[&OsString::from("OUTRIGGER_HANDLER_CONCURRENCY")],
            OsString::from("3")
        );
    }

    #[test]
    fn a_runtime_of_asya_is_told_its_socket_by_the_names_that_it_reads() {
        let mut spec = ProcessSpec {
            actor: "a".into(),
            words: vec!["true".into()],
            folder: ".".into(),
            environment: BTreeMap::new(),
            replicas: NonZeroUsize::MIN,
            concurrency: NonZeroUsize::MIN,
            stop_grace: Duration::from_secs(1),
            told: Told::Ours,
        };
        let asya = |spec: &ProcessSpec| -> Vec<String> {
            let environment = spec.environment_for(Path::new("/s/7.sock"));
            let text = |text: &OsString| text.to_string_lossy().into_owned();
            let pairs = environment
                .iter()
                .map(|(name, value)| format!("{}={}", text(name), text(value)));
            pairs.filter(|pair| pair.starts_with("ASYA_")).collect()
        };
        assert_eq!(asya(&spec), Vec::<String>::new());
        spec.told = Told::AsyaToo;
        assert_eq!(
            asya(&spec),
            [
                "ASYA_SOCKET_DIR=/s",
                "ASYA_SOCKET_NAME=7.sock",
                "ASYA_SOCKET_PATH=/s/7.sock"
            ]
        );
    }
}
