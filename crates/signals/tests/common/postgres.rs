//! A `PostgreSQL` server of the tests' own, from the system's package: its data in a folder that goes with it, its port
//! on loopback alone.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use tokio_postgres::NoTls;

/// A server; it ends when this is dropped, or when this process does.
pub(crate) struct Server {
    folder: PathBuf,
    port: u16,
    /// A shell that waits for our end.
    keeper: Option<Child>,
}

/// Starts the server, says its process id, and ends it when the standard input does.
const KEEPER: &str = r#"
"$@" </dev/null >>log 2>&1 & server=$!
read -r remove
kill -QUIT $server
wait $server
[ "$remove" = keep ] || rm -rf "$PWD"
"#;

impl Server {
    /// The one that tests share, each with tables of its own.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::new)
    }

    /// Makes one and starts it. It encrypts, with the certificate in [`ca`](Self::ca).
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap().keep();
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        fs::write(folder.join("cert.pem"), certificate.cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
        let mut server = Self {
            folder,
            port: free_port(),
            keeper: None,
        };
        server.give_away();
        let made = server.command(
            "initdb",
            &["-D", "data", "-U", "tests", "-A", "trust", "-N", "-E", "UTF8"],
        );
        let made = { made }.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.start();
        server
    }

    /// Starts it where it does not run, and waits until it takes clients.
    pub(crate) fn start(&mut self) {
        let settings = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", self.folder.display()),
            "fsync=off".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", self.folder.join("cert.pem").display()),
            format!("ssl_key_file={}", self.folder.join("key.pem").display()),
        ];
        let mut keeper = self.own(Command::new("sh"));
        keeper.args(["-c", KEEPER, "sh"]).arg(binaries().join("postgres"));
        keeper.args(["-D", "data"]);
        for setting in &settings {
            keeper.args(["-c", setting]);
        }
        self.keeper = Some(keeper.stdin(Stdio::piped()).spawn().unwrap());
        let limit = Instant::now() + Duration::from_mins(1);
        let ready = |server: &Self| {
            let mut command = server.command("pg_isready", &["-q", "-h", "127.0.0.1", "-p", &server.port.to_string()]);
            command.status().unwrap().success()
        };
        while !ready(self) {
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < limit, "PostgreSQL does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it at once; its data stays.
    pub(crate) fn stop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            let mut input = keeper.stdin.take().unwrap();
            input.write_all(b"keep\n").unwrap();
            drop(input);
            keeper.wait().unwrap();
        }
    }

    /// Where clients find it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://tests@localhost:{}/postgres", self.port)
    }

    /// What its certificate is verified by.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    /// The first column of what a query gives, as texts.
    pub(crate) async fn query(&self, sql: &str) -> Vec<String> {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await.unwrap();
        let rows = async {
            let rows = client.simple_query(sql).await.unwrap();
            let text = |message: &tokio_postgres::SimpleQueryMessage| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
                _ => None,
            };
            rows.iter().filter_map(text).collect()
        };
        tokio::select! {
            rows = rows => rows,
            ended = connection => panic!("the connection ended: {ended:?}"),
        }
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = self.own(Command::new(binaries().join(program)));
        command.args(words);
        command
    }

    /// Has a command run in the folder, and not as root: the server refuses that.
    fn own(&self, mut command: Command) -> Command {
        command.current_dir(&self.folder);
        if let Some((user, group)) = user() {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes the folder that of the server's user.
    fn give_away(&self) {
        if let Some((user, group)) = user() {
            let mine = [
                self.folder.clone(),
                self.folder.join("cert.pem"),
                self.folder.join("key.pem"),
            ];
            for path in mine {
                chown(&path, Some(user), Some(group)).unwrap();
            }
        }
        let only_mine = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(self.folder.join("key.pem"), only_mine).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The user and the group that the package has made, where we are root.
fn user() -> Option<(u32, u32)> {
    let id = |words: &[&str]| -> u32 {
        let output = Command::new("id").args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    };
    (id(&["-u"]) == 0).then(|| (id(&["-u", "postgres"]), id(&["-g", "postgres"])))
}

/// Where the package has put its programs.
fn binaries() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = versions.map(|entry| entry.path().join("bin"));
    let newest = folders.filter(|folder| Path::join(folder, "postgres").exists()).max();
    newest.expect("PostgreSQL is not installed: install it with `cargo xtask setup`")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
