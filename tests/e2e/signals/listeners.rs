//! Who may send, how many at once, and for how long.

use std::{
    fs,
    io::{BufReader, Read, Write},
    net::TcpStream,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    process::Command,
    time::Duration,
};

use super::{TO_A_FILE, dropped, event, health, lines_of, port, run, send, wait_for_lines};
use crate::harness::{Field, interpreter, wait_until};

/// Everything that the other side says until it ends.
fn until_its_end(stream: &mut TcpStream) -> String {
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    let mut said = String::new();
    // A reset is an end too.
    let _ = stream.read_to_string(&mut said);
    said
}

const WITH_A_SECRET: &str = "signals:
  tcp: { port: 0, auth: { type: shared_secret, secret: open sesame } }
  buffers: { flush_interval: 0 }
  backends: { out: { type: file, path: out.jsonl } }
";

fn hello(secret: &str) -> String {
    format!("{{\"v\":1,\"type\":\"hello\",\"src\":\"a\",\"data\":{{\"secret\":\"{secret}\"}}}}")
}

#[test]
fn who_does_not_know_the_secret_is_not_heard() {
    let (field, sidecar) = run(WITH_A_SECRET);
    for first in [event("a", 1), hello("open"), hello(""), "rubbish".to_owned()] {
        let mut stream = TcpStream::connect(port(&sidecar)).unwrap();
        stream
            .write_all(format!("{first}\n{}\n", event("a", 2)).as_bytes())
            .unwrap();
        assert_eq!(until_its_end(&mut stream), "");
    }
    assert_eq!(dropped(&sidecar), [("auth_failed".to_owned(), 4)].into());
    send(port(&sidecar), &[hello("open sesame"), event("a", 3)]);
    assert_eq!(wait_for_lines(&field.path("out.jsonl"), 1), [event("a", 3)]);
    let shown = sidecar.get("/config").1;
    assert!(
        shown.contains("\"secret\":\"***\"") && !shown.contains("sesame"),
        "{shown}"
    );
}

#[test]
fn a_listener_that_others_reach_needs_a_secret() {
    let field = Field::new("signals: { tcp: { host: 0.0.0.0, port: 0 } }");
    let output = field.output(&["run"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(
        said.contains("others could send to `0.0.0.0`") && said.contains("shared_secret"),
        "{said}"
    );
}

#[test]
fn a_connection_too_many_is_closed_at_once() {
    let (field, sidecar) = run(&TO_A_FILE.replace("port: 0", "port: 0, max_connections: 1"));
    let mut first = TcpStream::connect(port(&sidecar)).unwrap();
    first.write_all(format!("{}\n", event("a", 1)).as_bytes()).unwrap();
    wait_for_lines(&field.path("out.jsonl"), 1);
    let mut second = TcpStream::connect(port(&sidecar)).unwrap();
    assert_eq!(until_its_end(&mut second), "");
    assert_eq!(dropped(&sidecar), [("too_many_connections".to_owned(), 1)].into());
    assert_eq!(sidecar.metric("sidecar_active_connections"), 1);
    drop(first);
    wait_until("there is room again", || {
        (sidecar.metric("sidecar_active_connections") == 0).then_some(())
    });
    send(port(&sidecar), &[event("a", 2)]);
    wait_for_lines(&field.path("out.jsonl"), 2);
}

#[test]
fn a_connection_without_a_whole_line_is_closed_in_time() {
    let (_field, sidecar) = run(&TO_A_FILE.replace("port: 0", "port: 0, read_timeout: 200ms"));
    let mut stream = TcpStream::connect(port(&sidecar)).unwrap();
    let mut dripping = stream.try_clone().unwrap();
    let drip = std::thread::spawn(move || {
        // A byte now and then is no line.
        while dripping.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(until_its_end(&mut stream), "");
    drip.join().unwrap();
    assert_eq!(dropped(&sidecar), [("not_json".to_owned(), 1)].into());
}

#[test]
fn a_unix_socket_is_for_this_user_alone_and_goes_with_its_process() {
    let field = Field::new(&TO_A_FILE.replace("tcp: { port: 0 }", "unix: { path: run/s.sock }"));
    let path = field.path("run/s.sock");
    fs::create_dir(field.path("run")).unwrap();
    // One that somebody left behind.
    drop(UnixListener::bind(&path).unwrap());
    let sidecar = field.run();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(format!("{}\n", event("a", 1)).as_bytes()).unwrap();
    wait_for_lines(&field.path("out.jsonl"), 1);
    let other = field.output(&["run"]);
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(
        !other.status.success() && said.contains("cannot take signals"),
        "{said}"
    );
    assert!(sidecar.stop().success());
    assert!(!path.exists());
}

/// Sends a line over TLS with the certificate of the folder as the only authority, as any program would.
const OVER_TLS: &str = "
import socket, ssl, sys
context = ssl.create_default_context(cafile='cert.pem')
with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as plain:
    with context.wrap_socket(plain, server_hostname='localhost') as stream:
        stream.sendall(sys.argv[2].encode() + b'\\n')
";

#[test]
fn tls_takes_a_changed_certificate_without_a_restart() {
    let field = Field::new(
        "signals:
  tcp: { port: 0, tls: { enabled: true, cert: cert.pem, key: key.pem }, auth: { type: shared_secret, secret: s } }
  buffers: { flush_interval: 0 }
  backends: { out: { type: file, path: out.jsonl } }
",
    );
    let certify = || {
        let mut openssl = Command::new("openssl");
        field.prepare(openssl.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ]));
        openssl.args([
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ]);
        openssl.args(["-addext", "subjectAltName=DNS:localhost"]);
        assert!(openssl.output().unwrap().status.success());
    };
    certify();
    let sidecar = field.run();
    let port = port(&sidecar).port().to_string();
    let send = |number: usize| {
        let mut python = Command::new(interpreter());
        let lines = format!("{}\n{}", hello("s"), event("a", number));
        field.prepare(python.args(["-c", OVER_TLS, &port, &lines]));
        python.output().unwrap().status.success()
    };
    assert!(send(1));
    wait_for_lines(&field.path("out.jsonl"), 1);
    certify();
    wait_until("the new certificate is in use", || send(2).then_some(()));
    let lines = wait_for_lines(&field.path("out.jsonl"), 2);
    assert_eq!(lines.len(), 2);
    let mut plain = BufReader::new(TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap());
    plain
        .get_mut()
        .write_all(format!("{}\n", event("a", 3)).as_bytes())
        .unwrap();
    until_its_end(plain.get_mut());
    assert_eq!(lines_of(&field.path("out.jsonl")).len(), 2);
    assert_eq!(health(&sidecar)["status"], "healthy");
}
