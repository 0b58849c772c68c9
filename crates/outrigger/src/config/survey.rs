//! What a configuration would meet on this machine: warnings for those that are about to start something.

use std::{collections::BTreeMap, env, path::Path};

use chassis::config::{Findings, Loaded, Report};
use handlers::HttpAddress;

use super::Root;

/// Looks whether the programs that handlers name can be found, and the sockets be reached.
pub fn survey(loaded: &Loaded<Root>, environment: &BTreeMap<String, String>) -> Report {
    let mut findings = Findings::default();
    if loaded.value.actors.is_empty() && loaded.value.signals().is_none() && loaded.value.calls.is_none() {
        findings.warning(
            "actors",
            "no actor is declared",
            "`outrigger init DIR` makes a folder with one that runs",
        );
    }
    for (name, config) in &loaded.value.actors {
        let key = |rest| ["actors", name.as_str(), "handler", rest];
        if let Some(program) = config.handler.run.as_deref().and_then(program)
            && !is_found(
                &program,
                &loaded.folder,
                environment.get("PATH").map_or("", String::as_str),
            )
        {
            let help = "install it, or name it by its path, relative to this file's folder";
            findings.warning(key("run"), format!("program `{program}` is not found"), help);
        }
        let address: Option<HttpAddress> = config.handler.http.as_ref().and_then(|http| http.parse().ok());
        let sockets = [
            ("socket", config.handler.socket.as_deref()),
            ("http", address.as_ref().and_then(HttpAddress::socket)),
        ];
        for (rest, socket) in sockets {
            let is_long = |socket: &Path| loaded.folder.join(socket).as_os_str().len() > LONGEST_SOCKET;
            if !socket.is_some_and(is_long) {
                continue;
            }
            let message = format!("the path of the socket is longer than {LONGEST_SOCKET} bytes");
            findings.warning(
                key(rest),
                message,
                "Unix sockets need a shorter path: move it, as to /run",
            );
        }
    }
    loaded.report(findings)
}

fn program(run: &str) -> Option<String> {
    shlex::split(run)?.into_iter().next()
}

fn is_found(program: &str, folder: &Path, path: &str) -> bool {
    if program.contains('/') {
        return is_program(&folder.join(program));
    }
    env::split_paths(path).any(|place| is_program(&place.join(program)))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// The system's limit, without the zero byte at the end.
const LONGEST_SOCKET: usize = 107;
