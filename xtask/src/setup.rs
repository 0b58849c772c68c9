//! What the tests need besides Rust, installed where it is missing. Nothing that it brings is left running.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::SystemTime,
};

use anyhow::{bail, ensure};
use rabbit_node::{Installed, PACKAGE};

use crate::shell::{command, root, run};

/// Programs that the tests run, and the Debian packages that have them.
const PROGRAMS: &[(&str, &str)] = &[
    ("python3", "python3"),
    ("strace", "strace"),
    ("cc", "gcc"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("javac", "default-jdk-headless"),
    ("g++", "g++"),
    ("promtool", "prometheus"),
    ("logger", "bsdutils"),
    ("openssl", "openssl"),
];

/// The database that the tests run servers of their own of, and where its package puts its programs.
const DATABASE: &str = "postgresql";
pub(crate) const DATABASES: &str = "/usr/lib/postgresql";

/// Modules of Python that Debian has in packages of their own.
const MODULES: &[(&str, &str)] = &[("ensurepip", "python3-venv")];

/// Languages that a runtime needs in a version of its own: a program, words that fail on an older one, and what to say.
const VERSIONS: &[(&str, &[&str], &str)] = &[
    (
        "python3",
        &["-c", "import sys; sys.exit(sys.version_info < (3, 9))"],
        "python3 is older than 3.9, which the Python runtime needs",
    ),
    (
        "node",
        &[
            "-e",
            "const [a, b] = process.versions.node.split('.'); process.exit(a > 20 || (a == 20 && b > 5) ? 0 : 1)",
        ],
        "node is older than 20.6, which the TypeScript runtime needs: nodejs.org says how to get a newer one",
    ),
];

/// The compiler that checks the TypeScript runtime's types; npm puts it into a folder that only the tests look into.
const TYPESCRIPT: &str = "typescript@5.9.3";
const NPM_FOLDER: &str = "target/npm";

/// The frameworks that the client for Node is tested with, installed beside its tests, in the versions of the lock file.
const CLIENT_TEST: &str = "sdks/typescript/client-test";

/// Where the tests find a Python with OpenTelemetry's protobuf definitions.
const OTLP: &str = "target/otlp";
/// And one with the libraries that send it.
const OTLP_SDK: &str = "target/otlp-sdk";

/// Where a bench finds the logging daemons of Debian, and what they need that Debian does not have anyway.
const SYSLOGS: &str = "target/peers/syslog";
const SYSLOG_PACKAGES: &str = "rsyslog syslog-ng-core libestr0 libfastjson4 liblognorm5 libivykis0 libjson-c5 libnet1 libwrap0 \
                               libpcre3 libglib2.0-0";

/// The same for proxies.
const PROXIES: &str = "target/peers/proxies";
const PROXY_PACKAGES: &str = "nginx haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1";

/// Proxies for Node, the last versions that run on Node 20; npm puts them into a folder that only the bench looks into.
const NODE_PROXIES: &str = "target/peers/node";
const NODE_PACKAGES: &str = "http-proxy-middleware@3.0.5 fastify@5.12.8 @fastify/http-proxy@11.6.3";

/// Downloads its arguments, packages, and unpacks them into the folder that it is called after, installing nothing.
const UNPACK: &str = r#"
set -e
exec >&2
apt-get update -qq
mkdir -p "$0/debs"
cd "$0/debs"
apt-get download -qq "$@"
for package in *.deb; do dpkg -x "$package" ..; done
"#;
/// Where the tests find a Python with an S3 server.
const MOTO: &str = "target/moto";

/// Where the tests find requests, right and wrong ones, of a public suite.
const VECTORS: &str = "target/http-vectors";

/// Installs its arguments, with all words on standard error. Debian's way to say that no package may start a service is a policy: where the machine has none
/// there is one meanwhile.
const INSTALL: &str = r#"
set -e
exec >&2
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
for server in rabbitmq-server prometheus postgresql; do
    case " $* " in *" $server "*) ! command -v systemctl >/dev/null || systemctl --quiet disable "$server" ;; esac
done
"#;

/// Installs what is missing; says how where it cannot.
pub(crate) fn setup() -> anyhow::Result<()> {
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_there(program))
        .chain(MODULES.iter().filter(|(module, _)| !imports(module)))
        .map(|(_, package)| *package)
        .chain((!has_database()).then_some(DATABASE))
        .collect();
    if !missing.is_empty() {
        install(&missing)?;
    }
    broker()?;
    for (program, words, complaint) in VERSIONS {
        ensure!(command(program, words).status()?.success(), "{complaint}");
    }
    if !root().join(NPM_FOLDER).join("node_modules/typescript").exists() {
        let line = format!("npm install --prefix {NPM_FOLDER} --no-save --no-audit --no-fund {TYPESCRIPT}");
        run("install TypeScript's compiler", command("sh", &["-c", &line]))?;
    }
    let client_test = root().join(CLIENT_TEST);
    // npm keeps what it has installed beside it; a lock file that is newer names other versions.
    let installed = modified(&client_test.join("node_modules/.package-lock.json"));
    if installed.is_none_or(|installed| modified(&client_test.join("package-lock.json")) > Some(installed)) {
        let line = format!("cd {CLIENT_TEST} && npm ci");
        run(
            "install what the client for Node is tested with",
            command("sh", &["-c", &line]),
        )?;
    }
    if !root().join(OTLP).exists() {
        let make = command("python3", &["tests/harness/otlp.py", "setup", OTLP]);
        run("install opentelemetry-proto from PyPI", make)?;
    }
    if !root().join(OTLP_SDK).exists() {
        let make = command("python3", &["tests/harness/otlp.py", "setup", OTLP_SDK, "sdk"]);
        run("install opentelemetry-exporter-otlp-proto-http from PyPI", make)?;
    }
    if !root().join(MOTO).exists() {
        let make = command("python3", &["tests/harness/s3.py", "setup", MOTO]);
        run("install moto from PyPI", make)?;
    }
    if !root().join(VECTORS).exists() {
        let make = command("python3", &["tests/faults/calls/vectors.py", "setup", VECTORS]);
        run("fetch the requests of gunicorn's tests from PyPI", make)?;
    }
    Ok(())
}

/// Installs the broker where it is missing.
///
/// The package would start a node of the system's own, now and whenever the machine starts: it is kept from both.
pub(crate) fn broker() -> anyhow::Result<()> {
    if Installed::find().is_err() {
        install(&[PACKAGE])?;
    }
    Installed::find().map(drop)
}

/// Installs the database where it is missing.
pub(crate) fn database() -> anyhow::Result<()> {
    if has_database() {
        return Ok(());
    }
    install(&[DATABASE])
}

/// Unpacks rsyslog and syslog-ng, which cannot both be installed, and should not be: a bench that stands beside them finds them in a
/// folder of the build.
pub(crate) fn syslogs() -> anyhow::Result<()> {
    unpack(SYSLOGS, "syslog-ng", SYSLOG_PACKAGES)
}

/// Unpacks nginx and `HAProxy`, and installs the proxies for Node, in folders of the build.
pub(crate) fn proxies() -> anyhow::Result<()> {
    unpack(PROXIES, "haproxy", PROXY_PACKAGES)?;
    if root()
        .join(NODE_PROXIES)
        .join("node_modules/@fastify/http-proxy")
        .exists()
    {
        return Ok(());
    }
    ensure!(
        is_there("node") && is_there("npm"),
        "node and npm are missing: `cargo xtask setup` installs them"
    );
    // What a bench prints may be read by a program.
    let line = format!("exec >&2; npm install --prefix {NODE_PROXIES} --no-save --no-audit --no-fund {NODE_PACKAGES}");
    run("install proxies for Node", command("sh", &["-c", &line]))
}

/// Installs what virtual environments of Python need where it is missing.
pub(crate) fn environments() -> anyhow::Result<()> {
    if imports("ensurepip, venv") {
        return Ok(());
    }
    install(&["python3-venv"])
}

/// When a file was written; none where there is no file.
fn modified(file: &Path) -> Option<SystemTime> {
    file.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// Unpacks packages of Debian into a folder where this program of theirs is not there yet.
fn unpack(folder: &str, program: &str, packages: &str) -> anyhow::Result<()> {
    if root().join(folder).join("usr/sbin").join(program).exists() {
        return Ok(());
    }
    let mut words = vec!["-c", UNPACK, folder];
    words.extend(packages.split(' '));
    run(&format!("unpack {packages}"), command("sh", &words))
}

/// Whether Python has these modules; without Python they come with it.
fn imports(modules: &str) -> bool {
    Command::new("python3")
        .args(["-c", &format!("import {modules}")])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|it| it.success())
}

/// Whether the server is installed; its programs are in no path.
fn has_database() -> bool {
    let versions = std::fs::read_dir(DATABASES).into_iter().flatten().flatten();
    versions
        .map(|entry| entry.path())
        .any(|version| version.join("bin/postgres").exists())
}

fn is_there(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program} >/dev/null")])
        .status()
        .is_ok_and(|it| it.success())
}

fn install(packages: &[&str]) -> anyhow::Result<()> {
    let names = packages.join(" ");
    if !is_there("apt-get") {
        bail!("missing programs: install these with your system's package manager: {names}");
    }
    let words = ["sh", "-c", INSTALL, "sh"].into_iter().chain(packages.iter().copied());
    let words: Vec<&str> = if is_root() {
        words.collect()
    } else {
        ["sudo"].into_iter().chain(words).collect()
    };
    run(&format!("install {names}"), command(words[0], &words[1..]))
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
