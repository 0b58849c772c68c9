//! Traces, lines and figures of the telemetry plane, as the commands `trace`, `tail` and `top` show them.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, ExitStatus},
    time::Duration,
};

use crate::harness::{Field, Sidecar, Signal, Value, json, signal, wait_until, within};

/// A plane whose lines go to nobody but for those of `kept`.
const CONFIG: &str = r#"signals: { tcp: { host: 127.0.0.1, port: 0 }, backends: { none: { type: blackhole, flush_interval: 0 } }, routing: { "kept*": [{ backend: none }] } }"#;

/// A running sidecar, and a connection that lines are sent on.
struct Scene {
    field: Field,
    run: Sidecar,
    sender: TcpStream,
}

impl Scene {
    #[track_caller]
    fn new() -> Self {
        let field = Field::new(CONFIG);
        let run = field.run();
        let sender = TcpStream::connect(signals(&run)).expect("the listener accepts");
        Self { field, run, sender }
    }

    fn send(&mut self, line: &Value) {
        self.send_text(&line.to_string());
    }

    fn send_text(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.sender.write_all(line.as_bytes()).expect("the line is sent");
    }

    /// Sends lines and waits until they have been taken.
    #[track_caller]
    fn take(&mut self, source: &str, lines: &[Value]) {
        let before = self.received(source);
        for line in lines {
            self.send(line);
        }
        wait_until("the lines are taken", || {
            (self.received(source) >= before + lines.len()).then_some(())
        });
    }

    #[track_caller]
    fn received(&self, source: &str) -> usize {
        figure(
            &self.run,
            &format!("sidecar_messages_received_total{{source=\"{source}\"}} "),
        )
    }

    fn admin(&self) -> String {
        self.run.admin().to_string()
    }

    /// Runs a command against the sidecar; its exit code, stdout and stderr.
    fn ask(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let admin = self.admin();
        let output = self.field.output(&[words, &["--admin", &admin]].concat());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

/// Where a sidecar takes lines.
#[track_caller]
fn signals(run: &Sidecar) -> SocketAddr {
    wait_until("the log names the listener", || {
        let lines = run.lines();
        let line = lines.iter().find(|line| line["message"] == "taking signals")?;
        line["address"].as_str()?.parse().ok()
    })
}

/// A sample of `/metrics` by what stands in front of its value; 0 where it is not there.
#[track_caller]
fn figure(run: &Sidecar, name: &str) -> usize {
    let (_, text) = run.get("/metrics");
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.map_or(0, |value| value.parse().expect("a number"))
}

/// A line about a span of trace `t`.
fn span(source: &str, id: &str, parent: Option<&str>, data: &Value) -> Value {
    let mut line = json!({ "v": 1, "src": source, "ts": 1_700_000_000_000_u64, "type": "span", "tid": "t", "sid": id, "data": data });
    if let Some(parent) = parent {
        line["pid"] = json!(parent);
    }
    line
}

fn event(source: &str, level: &str, message: &str) -> Value {
    json!({ "src": source, "ts": 1_700_000_000_000_u64, "type": "event", "data": { "level": level, "msg": message } })
}

/// A command that runs beside the test; killed where the test ends before it.
struct Beside {
    child: Child,
    out: std::path::PathBuf,
    err: std::path::PathBuf,
}

impl Beside {
    fn start(scene: &Scene, name: &str, words: &[&str]) -> Self {
        let (out, err) = (
            scene.field.path(&format!("{name}.out")),
            scene.field.path(&format!("{name}.err")),
        );
        let admin = scene.admin();
        let mut command: Command = scene.field.command(&[words, &["--admin", &admin]].concat());
        command.stdout(File::create(&out).expect("a file"));
        command.stderr(File::create(&err).expect("a file"));
        let child = command.spawn().expect("the binary starts");
        Self { child, out, err }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.out).expect("its output")
    }

    #[track_caller]
    fn ended(&mut self) -> ExitStatus {
        within(Duration::from_mins(1), "the command has ended", || {
            self.child.try_wait().expect("its state")
        })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Begins to watch without the command, and reads nothing but the head of the answer.
#[track_caller]
fn watch(run: &Sidecar) -> (u16, BufReader<TcpStream>) {
    let mut stream = TcpStream::connect(run.admin()).expect("the admin server accepts");
    stream
        .set_read_timeout(Some(Duration::from_mins(1)))
        .expect("a timeout");
    stream
        .write_all(b"GET /tail HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("the request is written");
    let mut reader = BufReader::new(stream);
    let mut status = String::new();
    reader.read_line(&mut status).expect("a status");
    let mut line = status.clone();
    while !line.trim_end().is_empty() {
        line.clear();
        reader.read_line(&mut line).expect("a head");
    }
    let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), reader)
}

#[test]
fn spans_of_several_senders_become_one_tree_wherever_their_lines_are_routed() {
    let mut scene = Scene::new();
    scene.take(
        "api",
        &[span(
            "api",
            "a",
            None,
            &json!({ "name": "GET /orders", "start": 1000, "status": "running" }),
        )],
    );
    let other = TcpStream::connect(signals(&scene.run)).expect("the listener accepts");
    scene.sender = other;
    scene.take(
        "kept",
        &[
            span(
                "kept",
                "c",
                Some("b"),
                &json!({ "name": "parse", "start": 1060, "end": 1070.5, "tags": { "rows": 3 } }),
            ),
            span(
                "kept",
                "b",
                Some("a"),
                &json!({ "name": "select", "start": 1050, "end": 1300, "status": "error" }),
            ),
        ],
    );
    scene.take(
        "api",
        &[span("api", "a", None, &json!({ "end": 1500, "status": "ok" }))],
    );

    let (code, printed, _) = scene.ask(&["trace", "t", "--output", "json"]);
    assert_eq!(code, Some(0));
    let node = |id: &str,
                parent: Value,
                source: &str,
                name: &str,
                times: [Value; 3],
                status: Value,
                tags: Value,
                children: Value| {
        let [start, end, duration] = times;
        json!({ "span_id": id, "parent_span_id": parent, "source": source, "name": name, "start": start, "end": end,
            "duration_ms": duration, "status": status, "tags": tags, "children": children })
    };
    let parse = node(
        "c",
        json!("b"),
        "kept",
        "parse",
        [json!(1060), json!(1070.5), json!(10.5)],
        json!(null),
        json!({ "rows": 3 }),
        json!([]),
    );
    let select = node(
        "b",
        json!("a"),
        "kept",
        "select",
        [json!(1050), json!(1300), json!(250)],
        json!("error"),
        json!(null),
        json!([parse]),
    );
    let root = node(
        "a",
        json!(null),
        "api",
        "GET /orders",
        [json!(1000), json!(1500), json!(500)],
        json!("ok"),
        json!(null),
        json!([select]),
    );
    let wanted = json!({ "trace_id": "t", "spans": 3, "roots": [root] });
    assert_eq!(serde_json::from_str::<Value>(&printed).expect("JSON"), wanted);
    assert_eq!(scene.run.get("/traces/t"), (200, printed.trim_end().to_owned()));

    let (code, printed, _) = scene.ask(&["trace", "t"]);
    assert_eq!(code, Some(0));
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 4, "{printed}");
    for (line, label, duration, status) in [
        (lines[1], "api GET /orders ", " 500.0ms ", " ok"),
        (lines[2], "└ kept select ", " 250.0ms ", " error"),
        (lines[3], "  └ kept parse ", " 10.5ms", ""),
    ] {
        assert!(
            line.starts_with(label) && line.contains(duration) && line.ends_with(status),
            "{printed}"
        );
    }
    let cells = |line: &str| line.chars().filter(|c| *c == '█').count();
    assert!(
        cells(lines[1]) > cells(lines[2]) && cells(lines[2]) > cells(lines[3]),
        "{printed}"
    );
    assert!(!printed.contains('\u{1b}'), "no colours where nobody looks");
}

#[test]
fn a_trace_that_is_very_deep_is_served_and_drawn() {
    const DEEP: usize = 10_000;
    let mut scene = Scene::new();
    let lines: Vec<Value> = (0..DEEP)
        .map(|number| {
            let parent = number.checked_sub(1).map(|above| above.to_string());
            span(
                "deep",
                &number.to_string(),
                parent.as_deref(),
                &json!({ "start": number, "end": DEEP }),
            )
        })
        .collect();
    scene.take("deep", &lines);
    let (code, printed, said) = scene.ask(&["trace", "t"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(printed.lines().count(), DEEP + 1);
    assert!(printed.contains("⋯9999 deep"), "the last one is there");
    assert!(scene.run.stop().success());
}

#[test]
fn what_is_not_there_is_said_with_its_own_exit_code() {
    let scene = Scene::new();
    let (code, printed, said) = scene.ask(&["trace", "un/known"]);
    assert_eq!((code, printed.as_str()), (Some(66), ""));
    assert!(said.contains("`un/known`"), "{said}");
    let (status, body) = scene.run.get("/traces/unknown");
    let problem: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &problem["code"]), (404, &json!("unknown_trace")));

    let admin = scene.admin();
    let Scene { field, run, .. } = scene;
    assert!(run.stop().success());
    for words in [&["trace", "t"][..], &["tail"], &["top", "--once"]] {
        let output = field.output(&[words, &["--admin", &admin]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{said}");
        assert!(said.contains(&admin) && said.contains("outrigger run"), "{said}");
    }
}

#[test]
fn a_process_without_signals_is_told_from_one_that_does_not_know_the_trace() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
    let up = field.start(&["up"], &[]);
    let admin = up.admin().to_string();
    for words in [&["trace", "t"][..], &["tail"], &["top", "--once"]] {
        let output = field.output(&[words, &["--admin", &admin]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{said}");
        assert!(said.contains("takes no signals"), "{said}");
    }
}

#[test]
fn tail_shows_the_lines_that_are_wanted_as_they_came() {
    let mut scene = Scene::new();
    let words = [
        "tail", "--source", "a*", "--type", "event", "--level", "warn", "--output", "json",
    ];
    let raw = Beside::start(&scene, "raw", &words);
    let text = Beside::start(&scene, "text", &["tail"]);
    wait_until("both watch", || {
        scene.send(&event("a1", "error", "begin"));
        (!raw.said().is_empty() && !text.said().is_empty()).then_some(())
    });
    for line in [
        event("a1", "info", "no"),
        event("b", "error", "no"),
        span("a1", "s", None, &json!({ "name": "no" })),
    ] {
        scene.send(&line);
    }
    let odd = r#"{ "src" : "a\u0031", "ts": 1700000000123, "type": "event",  "data": {"level":"FATAL","msg":"last\u001b[2J"} }"#;
    scene.send_text(odd);
    wait_until("the last line is shown", || {
        raw.said().ends_with(&format!("{odd}\n")).then_some(())
    });
    let said = raw.said();
    assert!(!said.contains("\"no\""), "{said}");
    wait_until("the last line is shown to people too", || {
        text.said().contains("last").then_some(())
    });
    let said = text.said();
    assert!(said.contains("22:13:20.123 FATAL  a1 last [2J\n"), "{said}");
    assert!(said.contains(" span   a1 no begins trace=t span=s\n"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
}

#[test]
fn tail_ends_well_with_a_signal_and_says_when_the_process_has_ended() {
    let mut scene = Scene::new();
    let mut left = Beside::start(&scene, "left", &["tail"]);
    let mut stays = Beside::start(&scene, "stays", &["tail"]);
    wait_until("both watch", || {
        scene.send(&event("a", "info", "begin"));
        (!left.said().is_empty() && !stays.said().is_empty()).then_some(())
    });
    signal(left.child.id(), Signal::SIGINT);
    assert_eq!(left.ended().code(), Some(0));
    assert!(scene.run.stop().success());
    assert_eq!(stays.ended().code(), Some(69));
    let said = fs::read_to_string(&stays.err).expect("its errors");
    assert!(said.contains("has ended"), "{said}");
}

#[test]
fn one_who_does_not_read_loses_lines_and_holds_nobody_up() {
    const LINES: usize = 40_000;
    let mut scene = Scene::new();
    let (status, mut reader) = watch(&scene.run);
    assert_eq!(status, 200);
    // Far more than the plane and the system together keep for a reader.
    let line = format!("{}\n", event("kept", "info", &"x".repeat(1000)));
    for _ in 0..LINES {
        scene
            .sender
            .write_all(line.as_bytes())
            .expect("nothing holds the sender up for good");
    }
    wait_until("all lines are taken while nobody reads them", || {
        (scene.received("kept") == LINES).then_some(())
    });
    let (mut got, mut lost) = (0, 0);
    let mut line = String::new();
    while got + lost < LINES {
        line.clear();
        assert!(
            reader.read_line(&mut line).expect("the stream goes on") > 0,
            "{got} {lost}"
        );
        match line.strip_prefix("data: ") {
            Some(data) if data.starts_with("{\"lost\"") => {
                let told: Value = serde_json::from_str(data).expect("JSON");
                lost += usize::try_from(told["lost"].as_u64().expect("a number")).expect("a small one");
            }
            Some(_) => got += 1,
            None => {}
        }
    }
    assert!(lost > 0, "it lost nothing of {LINES}");
    assert_eq!(got + lost, LINES);
}

#[test]
fn sixteen_may_watch_and_one_that_leaves_makes_room() {
    let scene = Scene::new();
    let mut watches: Vec<_> = (0..16).map(|_| watch(&scene.run)).collect();
    assert!(watches.iter().all(|(status, _)| *status == 200));
    let (status, body) = scene.run.get("/tail");
    let problem: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &problem["code"]), (503, &json!("too_many_watchers")));
    let (code, _, said) = scene.ask(&["tail"]);
    assert_eq!(code, Some(69), "{said}");
    watches.pop();
    wait_until("there is room", || (watch(&scene.run).0 == 200).then_some(()));
    let (status, body) = scene.run.get("/tail?levle=warn");
    let problem: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &problem["code"]), (400, &json!("bad_filter")));
    assert!(body.contains("levle"), "{body}");
}

#[test]
fn top_shows_what_came_and_went() {
    let mut scene = Scene::new();
    scene.take("kept", &vec![event("kept", "info", "x"); 30]);
    scene.take("other", &vec![event("other", "info", "x"); 5]);
    wait_until("all are carried out", || {
        let name = "sidecar_backend_latency_seconds_count{backend=\"none\"} ";
        (figure(&scene.run, name) > 0).then_some(())
    });
    let (code, printed, said) = scene.ask(&["top", "--once"]);
    assert_eq!(code, Some(0), "{said}");
    let row = |name: &str| -> Vec<&str> {
        let line = printed.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("no {name} in\n{printed}"))
            .split_whitespace()
            .collect()
    };
    assert_eq!(row("kept"), ["kept", "0", "30", "0"]);
    assert_eq!(row("other"), ["other", "0", "5", "0"]);
    let backend = row("none");
    assert_eq!(
        (&backend[..4], backend[5]),
        (&["none", "0", "30", "0"][..], "ok"),
        "{printed}"
    );
    assert!(backend[4].ends_with("ms"), "{printed}");
    assert!(!printed.contains('\u{1b}'), "{printed}");

    // What comes meanwhile has a rate.
    let mut top = Beside::start(&scene, "top", &["top", "--once", "--output", "json"]);
    let ended = wait_until("it has measured", || {
        scene.send(&event("kept", "info", "x"));
        top.child.try_wait().expect("its state")
    });
    assert!(ended.success());
    let view: Value = serde_json::from_str(&top.said()).expect("JSON");
    assert_eq!(view["sources"][0]["source"], "kept", "{view}");
    assert!(view["sources"][0]["received_per_s"].as_f64() > Some(0.0), "{view}");
    assert!(view["backends"][0]["routed_per_s"].as_f64() > Some(0.0), "{view}");
    assert!(top.ended().success());
}

#[test]
fn top_goes_on_until_a_signal() {
    let scene = Scene::new();
    let mut top = Beside::start(&scene, "top", &["top"]);
    wait_until("two seconds are shown", || {
        (top.said().matches("connection").count() >= 2).then_some(())
    });
    signal(top.child.id(), Signal::SIGINT);
    assert_eq!(top.ended().code(), Some(0));
}
