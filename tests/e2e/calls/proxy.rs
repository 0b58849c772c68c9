//! Services behind the proxy: whose request it is, what goes on and comes back, and what is said where that cannot be.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::Arc,
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use super::{Reply, ask, begin, reply};
use crate::harness::{Answer, Field, Plain, Said, Sidecar, Web, wait_until};

/// Everything below `/api` goes to this upstream; `more` is a part of `calls`.
pub(super) fn config(upstream: &str, more: &str) -> String {
    format!(
        "calls:
  listen: [ \"http://127.0.0.1:0\" ]
  upstreams: {{ api: {{ urls: [ \"{upstream}\" ] }} }}
  routes: [ {{ prefix: /api, upstream: api }} ]
{more}"
    )
}

fn ok() -> Web {
    Web::on_port(|_| Said::with(200, &["X-Said: yes"], "ok"))
}

/// Reads up to and with `end`.
#[track_caller]
fn until(stream: &mut impl Read, end: &str) -> String {
    let mut all = Vec::new();
    while !all.ends_with(end.as_bytes()) {
        let mut byte = [0];
        let count = stream.read(&mut byte).expect("it can be read");
        assert_eq!(count, 1, "ended after {:?}", String::from_utf8_lossy(&all));
        all.push(byte[0]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn both_bodies_stream_through_at_once() {
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", upstream.local_addr().expect("an address"));
    let field = Field::new(&config(&address, ""));
    let sidecar = field.run();
    let mut client = begin(&sidecar, "POST", "/api", &["Content-Length: 11"], "");
    client.write_all(b"first").expect("it takes them");
    let (mut server, _) = upstream.accept().expect("it is asked");
    until(&mut server, "\r\n\r\nfirst");
    server
        .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        .expect("it takes them");
    let mut whole = until(&mut client, "one\r\n");
    client.write_all(b"second").expect("it takes them");
    until(&mut server, "second");
    server.write_all(b"3\r\ntwo\r\n0\r\n\r\n").expect("it takes them");
    client.read_to_string(&mut whole).expect("an end");
    let reply = reply(whole.as_bytes());
    assert_eq!((reply.status, reply.body.as_str()), (200, "onetwo"));
    assert!(reply.header("x-forst-contract-version").is_none(), "{reply:?}");
}

/// What of a process is in memory, in KiB; the most of it since the last [`forget_peak`].
fn memory(sidecar: &Sidecar, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", sidecar.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(which));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.expect("a number of KiB").parse().expect("a number")
}

/// The most starts anew.
fn forget_peak(sidecar: &Sidecar) {
    fs::write(format!("/proc/{}/clear_refs", sidecar.pid()), "5").expect("it is ours");
}

/// Sends so many bytes one way and as many back.
#[track_caller]
fn pour(sidecar: &Sidecar, upstream: &TcpListener, length: usize) {
    let mut client = begin(sidecar, "POST", "/api", &[&format!("Content-Length: {length}")], "");
    let part = vec![b'x'; 1 << 20];
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut server, _) = upstream.accept().expect("it is asked");
            until(&mut server, "\r\n\r\n");
            let taken = io::copy(&mut (&mut server).take(length as u64), &mut io::sink());
            assert_eq!(taken.expect("all of it"), length as u64);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            server.write_all(head.as_bytes()).expect("it takes them");
            for _ in 0..length / part.len() {
                server.write_all(&part).expect("it takes them");
            }
        });
        for _ in 0..length / part.len() {
            client.write_all(&part).expect("it takes them");
        }
        until(&mut client, "\r\n\r\n");
        let came = io::copy(&mut client, &mut io::sink()).expect("all of it");
        assert_eq!(came, length as u64);
    });
}

#[test]
fn a_gigabyte_each_way_leaves_little_in_memory() {
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", upstream.local_addr().expect("an address"));
    let field = Field::new(&config(&address, ""));
    let sidecar = field.run();
    // What is loaded with the first call is the program.
    pour(&sidecar, &upstream, 1 << 20);
    forget_peak(&sidecar);
    let before = memory(&sidecar, "VmRSS:");
    pour(&sidecar, &upstream, 1 << 30);
    let grown = memory(&sidecar, "VmHWM:").saturating_sub(before);
    assert!(grown < 8 << 10, "{grown} KiB more at most");
}

#[test]
fn a_request_goes_on_as_it_came_and_is_counted() {
    let web = ok();
    let cors = "  cors: { origins: [ \"*\" ] }\n";
    let field = Field::new(&config(web.address(), cors));
    let sidecar = field.run();
    let reply = ask(
        &sidecar,
        "PATCH",
        "/api/a%2Fb//c?d=%20&e",
        &["X-Own: 1", "Authorization: Basic abc"],
        "hello",
    );
    assert_eq!(
        (reply.status, reply.header("x-said"), &*reply.body),
        (200, Some("yes"), "ok")
    );
    let asked = &web.asked()[0];
    assert!(
        asked.head.starts_with("PATCH /api/a%2Fb//c?d=%20&e HTTP/1.1\r\n"),
        "{asked:?}"
    );
    assert_eq!(asked.text(), "hello");
    for (name, value) in [
        ("host", "x"),
        ("x-own", "1"),
        ("authorization", "Basic abc"),
        ("x-forst-sidecar", "true"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
    ] {
        assert_eq!(asked.header(name), Some(value), "{asked:?}");
    }
    // What a browser asks beforehand is the upstream's to answer.
    let asks = ["Origin: https://a.example", "Access-Control-Request-Method: PUT"];
    let reply = ask(&sidecar, "OPTIONS", "/api", &asks, "");
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, None));
    let answered = r#"sidecar_proxy_requests_total{route="/api",upstream="api",status="2xx"}"#;
    wait_until("both are counted", || (sidecar.metric(answered) == 2).then_some(()));
    let unknown = ask(&sidecar, "GET", "/apix", &[], "");
    assert_eq!((unknown.status, &unknown.json()["code"]), (404, &"not_found".into()));
}

#[test]
fn a_path_that_is_named_is_first_then_our_own_then_functions_then_prefixes() {
    let (named, all) = (ok(), ok());
    let field = Field::new(&format!(
        "calls:
  listen: [ \"http://127.0.0.1:0\" ]
  functions: [ {{ name: addUp, handler: {{ socket: f.sock, dialect: plain }} }} ]
  upstreams: {{ named: {{ urls: [ \"{}\" ] }}, all: {{ urls: [ \"{}\" ] }} }}
  routes:
    - {{ prefix: /, upstream: all, rewrite: /v1 }}
    - {{ path: /health, upstream: named }}
    - {{ path: /sum, methods: [ POST ], function: main/addUp }}
    - {{ path: /only, methods: [ POST ], upstream: named }}
",
        named.address(),
        all.address()
    ));
    let _handler = Plain::at(&field.path("f.sock"), |_| Answer::text("3"));
    let sidecar = field.run();
    assert_eq!(ask(&sidecar, "GET", "/health", &[], "").body, "ok");
    assert_eq!(named.asked().len(), 1);
    assert_eq!(ask(&sidecar, "GET", "/version", &[], "").json()["success"], true);
    for path in ["/add-up", "/sum", "/x/../add-up"] {
        assert_eq!(ask(&sidecar, "POST", path, &[], "[1,2]").body, "3\n", "{path}");
    }
    assert_eq!(all.asked().len(), 0);
    assert_eq!(ask(&sidecar, "GET", "/add-up/x?y", &[], "").body, "ok");
    assert!(all.asked()[0].head.starts_with("GET /v1/add-up/x?y HTTP/1.1"));
    // Another method of a path that is named goes where the prefix leads.
    assert_eq!(ask(&sidecar, "GET", "/only", &[], "").body, "ok");
    assert_eq!((named.asked().len(), all.asked().len()), (1, 2));
}

#[test]
fn what_two_could_take_differently_is_refused_and_methods_are_told() {
    let web = ok();
    let field = Field::new(&config(web.address(), "").replace("prefix: /api,", "prefix: /api, methods: [ GET ],"));
    let sidecar = field.run();
    let odd = ask(&sidecar, "GET", "/api/%2e%2e/x", &[], "");
    assert_eq!((odd.status, &odd.json()["code"]), (400, &"bad_request".into()));
    let other = ask(&sidecar, "POST", "/api/x", &[], "");
    assert_eq!((other.status, other.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(web.asked().len(), 0);
}

#[test]
fn our_own_token_lets_in_and_does_not_go_on() {
    let web = ok();
    let auth = "  auth: { token: sesame }\n  cors: { origins: [ \"*\" ] }\n";
    let field = Field::new(&config(web.address(), auth));
    let sidecar = field.run();
    for shown in ["X: 1", "Authorization: Bearer other", "Origin: https://a.example"] {
        let refused = ask(&sidecar, "GET", "/api/x", &[shown], "");
        assert_eq!(
            (refused.status, refused.header("www-authenticate")),
            (401, Some("Bearer")),
            "{shown}"
        );
        assert_eq!(refused.header("access-control-allow-origin"), None);
        assert_eq!(refused.json()["code"], "unauthorized");
    }
    assert_eq!(web.asked().len(), 0);
    let right = ["Authorization: Bearer sesame", "X-Own: 1"];
    assert_eq!(ask(&sidecar, "GET", "/api/x", &right, "").status, 200);
    let asked = &web.asked()[0];
    assert_eq!(
        (asked.header("authorization"), asked.header("x-own")),
        (None, Some("1"))
    );
    assert_eq!(ask(&sidecar, "GET", "/health", &[], "").status, 200);
}

#[test]
fn an_upstream_that_is_away_is_503_and_then_left_alone() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    let config = config(&address, "").replace("] } }", "], breaker: { failures: 1, open: 30s } } }");
    let field = Field::new(&config);
    let sidecar = field.run();
    let away = ask(&sidecar, "GET", "/api", &[], "");
    assert_eq!(
        (away.status, away.header("content-type"), &*away.body),
        (503, Some("application/json"), r#"{"error":"Sidecar unavailable"}"#)
    );
    let open = ask(&sidecar, "GET", "/api", &[], "");
    assert_eq!(
        (open.status, &*open.body),
        (503, r#"{"error":"Service temporarily unavailable"}"#)
    );
    let wait: u32 = open.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(
        sidecar.metric(&format!(
            r#"sidecar_proxy_breaker_state{{upstream="api",url="{address}"}}"#
        )),
        2
    );
}

#[test]
fn a_client_that_leaves_ends_the_upstreams_work() {
    let web = Web::on_port(|_| Said::Silence);
    let field = Field::new(&config(web.address(), ""));
    let sidecar = field.run();
    let client = begin(&sidecar, "GET", "/api", &[], "");
    web.wait_for(1);
    client.shutdown(Shutdown::Both).expect("it closes");
    drop(client);
    web.wait_for_the_end();
}

#[test]
fn listeners_and_upstreams_may_be_unix_sockets_of_the_configurations_folder() {
    let config = config("http+unix://up.sock:/base", "").replace("http://127.0.0.1:0", "http+unix://web.sock");
    let field = Field::new(&config);
    let web = Web::on_socket(&field.path("up.sock"), |_| Said::with(200, &[], "ok"));
    let checked = field.ok(&["check"]);
    assert!(
        checked.contains("1 upstream `api` on `http+unix://web.sock`"),
        "{checked}"
    );
    let _sidecar = field.run();
    let mut stream = UnixStream::connect(field.path("web.sock")).expect("it listens");
    stream
        .write_all(b"GET /api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("it takes them");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer");
    assert_eq!(reply(&bytes).body, "ok");
    assert!(web.asked()[0].head.starts_with("GET /base/api HTTP/1.1\r\n"));
}

/// Where it takes calls over TLS.
#[track_caller]
fn encrypted(sidecar: &Sidecar) -> SocketAddr {
    wait_until("the log names the address", || {
        let lines = sidecar.lines();
        let mut addresses = lines.iter().filter_map(|line| line["address"].as_str());
        addresses.find_map(|address| address.strip_prefix("https://")?.parse().ok())
    })
}

/// Files of an authority, and of two certificates that it has signed.
struct Certificates {
    field: Field,
}

impl Certificates {
    fn new(config: &str) -> Self {
        let field = Field::new(config);
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        field.write("ca.pem", params.self_signed(&key).expect("a certificate").pem());
        let issuer = Issuer::new(params, key);
        for name in ["localhost", "caller"] {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
            let certificate = params.signed_by(&key, &issuer).expect("a certificate");
            field.write(&format!("{name}.pem"), certificate.pem());
            field.write(&format!("{name}.key"), key.serialize_pem());
        }
        Self { field }
    }

    /// Asks over TLS, showing this certificate.
    fn ask(&self, sidecar: &Sidecar, path: &str, shown: Option<&str>) -> Reply {
        let file = |name: String| -> PathBuf { self.field.path(&name) };
        let certificate = |name: &str| CertificateDer::from_pem_file(file(format!("{name}.pem"))).expect("PEM");
        let mut roots = RootCertStore::empty();
        roots.add(certificate("ca")).expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let config = match shown {
            None => config.with_no_client_auth(),
            Some(name) => {
                let key = PrivateKeyDer::from_pem_file(file(format!("{name}.key"))).expect("PEM");
                config
                    .with_client_auth_cert(vec![certificate(name)], key)
                    .expect("a certificate")
            }
        };
        let address = encrypted(sidecar);
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
        let mut stream = StreamOwned::new(connection, TcpStream::connect(address).expect("it listens"));
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it takes them");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        reply(&bytes)
    }
}

#[test]
fn an_encrypted_listener_shows_its_certificate_and_asks_for_one() {
    let web = ok();
    let tls = "  tls: { cert: localhost.pem, key: localhost.key }\n  auth: { client_ca: ca.pem }\n";
    let config = config(web.address(), tls).replace("http://127.0.0.1:0", "https://127.0.0.1:0");
    let certificates = Certificates::new(&config);
    let sidecar = certificates.field.run();
    assert_eq!(certificates.ask(&sidecar, "/version", Some("caller")).status, 200);
    assert_eq!(certificates.ask(&sidecar, "/api", Some("caller")).body, "ok");
    assert_eq!(web.asked()[0].header("x-forwarded-proto"), Some("https"));
    for path in ["/version", "/api"] {
        assert_eq!(certificates.ask(&sidecar, path, None).status, 401, "{path}");
    }
    assert_eq!(certificates.ask(&sidecar, "/health", None).status, 200);
    assert_eq!(web.asked().len(), 1);
}

/// The upstream is a sidecar as well.
#[test]
fn an_encrypted_upstream_is_trusted_for_its_authority_and_its_name() {
    let web = ok();
    let tls = "  tls: { cert: localhost.pem, key: localhost.key }\n";
    let config = config(web.address(), tls).replace("http://127.0.0.1:0", "https://127.0.0.1:0");
    let [ours, others] = [(); 2].map(|()| Certificates::new(&config));
    let upstream = ours.field.run();
    let port = encrypted(&upstream).port();
    for (host, trusted, status) in [
        ("localhost", &ours, 200),
        ("localhost", &others, 503),
        ("127.0.0.1", &ours, 503),
    ] {
        let field = Field::new(&self::config(&format!("https://{host}:{port}"), ""));
        let authority = trusted.field.path("ca.pem");
        let sidecar = field.start(&["run"], &[("SSL_CERT_FILE", authority.to_str().expect("text"))]);
        sidecar.ready();
        let answer = ask(&sidecar, "GET", "/api", &[], "");
        assert_eq!(answer.status, status, "{host}: {}", answer.body);
    }
    let asked = web.asked();
    assert_eq!(asked.len(), 1, "nobody else has come in");
    assert_eq!(asked[0].header("x-forwarded-proto"), Some("https"));
}

#[test]
fn a_certificate_that_is_none_ends_the_start() {
    let config = config("http://127.0.0.1:1", "  tls: { cert: none.pem, key: none.key }\n");
    let field = Field::new(&config.replace("http://127.0.0.1:0", "https://127.0.0.1:0"));
    let output = field.output(&["run"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("none.pem") && said.contains("calls.tls.cert"), "{said}");
    assert!(fs::metadata(field.path("none.pem")).is_err());
}

#[test]
fn routes_that_lead_nowhere_are_told_before_anything_starts() {
    let field = Field::new(
        "calls:
  listen: [ \"http://127.0.0.1:0\" ]
  functions: [ { name: f, handler: { socket: f.sock, dialect: plain } } ]
  upstreams: { api: { urls: [ \"http://127.0.0.1:1\" ] }, nowhere: { urls: [] } }
  routes:
    - { prefix: /a, upstream: apo }
    - { path: /b, function: other/f }
    - { path: /c }
    - { path: /d, function: f }
    - { path: /d, upstream: api }
",
    );
    let output = field.output(&["check"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    for word in [
        "there is no upstream `apo`",
        "did you mean `api`",
        "there is no function `other/f`",
        "the route leads nowhere",
        "the upstream is nowhere",
        "no route leads to `nowhere`",
        "an earlier route is for the same requests",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    field.configure("calls: { trusted_proxies: [ 10.0.0.0/33 ], upstreams: { a: { urls: [ \"ftp://x\" ], retry: { budget: 2 } } } }");
    let said = field.output(&["check"]);
    let said = String::from_utf8_lossy(&said.stderr);
    for word in ["trusted_proxies", "urls", "budget"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}
