//! How the other proxies are started: each with one worker, without an access log, and with connections that stay open on both
//! sides.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};
use benches::{
    peer::{self, Killed},
    pin::Cpu,
    run::program,
};

/// The folder that nginx and `HAProxy` were unpacked into, and that of the packages for Node.
const SERVERS: &str = "proxies";
const PACKAGES: &str = "node";
/// What each of them says.
const LOG: &str = "log";

/// The bare one, and its port.
pub(crate) fn hyper(upstream: u16, cpu: Cpu) -> anyhow::Result<(Killed, u16)> {
    let mut command = Command::new(program("calls-hyper")?);
    let (process, line) = Killed::announced(command.arg(upstream.to_string()), cpu)?;
    Ok((process, line.parse().context("calls-hyper named no port")?))
}

pub(crate) fn nginx(folder: &Path, port: u16, upstream: u16, cpu: Cpu) -> anyhow::Result<Killed> {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {kind};\n"))
        .concat();
    let config = format!(
        "daemon off;\nworker_processes 1;\npid nginx.pid;\nerror_log stderr;\nevents {{ worker_connections 4096; }}\nhttp {{\n\
         {temporary}  access_log off;\n  keepalive_requests 1000000000;\n\
         \x20 upstream all {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000000; }}\n\
         \x20 server {{\n    listen 127.0.0.1:{port};\n    location / {{\n\
         \x20     proxy_pass http://all;\n      proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n\
         \x20     proxy_set_header Host $host;\n      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         \x20     proxy_set_header X-Forwarded-Proto $scheme;\n    }}\n  }}\n}}\n"
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, config)?;
    let mut command = peer::unpacked(&peer::folder(SERVERS)?, "nginx")?;
    command.args(["-e", "stderr", "-p"]).arg(folder).arg("-c").arg(path);
    Killed::start(quiet(&mut command, folder)?, cpu)
}

pub(crate) fn haproxy(folder: &Path, port: u16, upstream: u16, cpu: Cpu) -> anyhow::Result<Killed> {
    let config = format!(
        "global\n  nbthread 1\n  maxconn 4096\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 60s\n  \
         timeout server 60s\n  option forwardfor\n  http-reuse always\nfrontend in\n  bind 127.0.0.1:{port}\n  \
         default_backend all\nbackend all\n  server one 127.0.0.1:{upstream}\n"
    );
    let path = folder.join("haproxy.cfg");
    fs::write(&path, config)?;
    let mut command = peer::unpacked(&peer::folder(SERVERS)?, "haproxy")?;
    command.arg("-db").arg("-f").arg(path);
    Killed::start(quiet(&mut command, folder)?, cpu)
}

/// One of the programs in `peers/proxies`.
pub(crate) fn node(script: &str, folder: &Path, port: u16, upstream: u16, cpu: Cpu) -> anyhow::Result<Killed> {
    let mut command = Command::new("node");
    command
        .arg(programs().join("proxies").join(script))
        .args([port.to_string(), upstream.to_string()])
        .env("NODE_PATH", modules()?);
    Killed::start(quiet(&mut command, folder)?, cpu)
}

/// Waits until it listens; fails with what it said.
pub(crate) fn listens(process: &mut Killed, name: &str, port: u16, folder: &Path) -> anyhow::Result<()> {
    process.listens(port).with_context(|| {
        let log = fs::read_to_string(folder.join(LOG)).unwrap_or_default();
        format!("{name} does not listen: {}", log.trim())
    })
}

/// Where the programs of peers that are interpreted are.
pub(crate) fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// Of the peers.
pub(crate) fn versions() -> anyhow::Result<String> {
    let servers = peer::folder(SERVERS)?;
    let nginx = said(peer::unpacked(&servers, "nginx")?.arg("-v"))?;
    let nginx = nginx.trim_start_matches("nginx version: ");
    let haproxy = said(peer::unpacked(&servers, "haproxy")?.arg("-v"))?;
    let haproxy: Vec<&str> = haproxy.split(' ').filter(|word| *word != "version").take(2).collect();
    let mut all = vec![
        nginx.to_owned(),
        haproxy.join(" "),
        format!("node {}", said(Command::new("node").arg("-v"))?),
    ];
    for package in ["http-proxy-middleware", "@fastify/http-proxy"] {
        let about = fs::read_to_string(modules()?.join(package).join("package.json"))?;
        let about: serde_json::Value = serde_json::from_str(&about)?;
        all.push(format!(
            "{package} {}",
            about["version"].as_str().unwrap_or("of no version")
        ));
    }
    Ok(all.join(", "))
}

/// The first line that a program prints, wherever it does.
fn said(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn modules() -> anyhow::Result<PathBuf> {
    let modules = peer::folder(PACKAGES)?.join("node_modules");
    ensure!(
        modules.is_dir(),
        "{} is not there: `cargo xtask bench calls` puts it there",
        modules.display()
    );
    Ok(modules)
}

/// Its words go to a file.
fn quiet<'a>(command: &'a mut Command, folder: &Path) -> anyhow::Result<&'a mut Command> {
    let log = fs::File::create(folder.join(LOG))?;
    Ok(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))
}
