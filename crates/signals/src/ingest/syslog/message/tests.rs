//! Messages as the RFCs show them and as well-known programs write them, and what has to become of each.

use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;

use super::*;
use crate::syslog::{facility, severity};

fn clock() -> Clock {
    Clock {
        received: "2024-06-15T12:00:00Z".parse().unwrap(),
        zone: TimeZone::UTC,
    }
}

/// `priority | time | host | app | process | id | text`.
fn shown(text: &str) -> String {
    let message = Message::read(text, &clock());
    let priority = format!("{}.{}", facility(message.facility), severity(message.severity));
    let time = message.time.map_or("-".to_owned(), |time| time.to_string());
    let word = |word: Option<&str>| word.unwrap_or("-").to_owned();
    [
        priority,
        time,
        word(message.host),
        word(message.app),
        word(message.process),
        word(message.id),
        message.text.to_owned(),
    ]
    .join(" | ")
}

#[test]
fn the_examples_of_rfc_5424() {
    for (text, wanted) in [
        (
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed for lonvick on /dev/pts/8",
            "auth.crit | 2003-10-11T22:14:15.003Z | mymachine.example.com | su | - | ID47 | 'su root' failed for lonvick on /dev/pts/8",
        ),
        (
            "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
            "local4.notice | 2003-08-24T12:14:15.000003Z | 192.0.2.1 | myproc | 8710 | - | %% It's time to make the do-nuts.",
        ),
        (
            r#"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"] An application event log entry..."#,
            "local4.notice | 2003-10-11T22:14:15.003Z | mymachine.example.com | evntslog | - | ID47 | An application event log entry...",
        ),
        (
            r#"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3"][examplePriority@32473 class="high"]"#,
            "local4.notice | 2003-10-11T22:14:15.003Z | mymachine.example.com | evntslog | - | ID47 | ",
        ),
        ("<0>1 - - - - - -", "kern.emerg | - | - | - | - | - | "),
    ] {
        assert_eq!(shown(text), wanted, "{text}");
    }
}

#[test]
fn structured_data_is_read_with_its_escapes() {
    let of = |text: &str| {
        let text = format!("<13>1 - - - - - {text}");
        let message = Message::read(&text, &clock());
        let pairs = message.structured.iter().map(|element| {
            let params = element.params.iter().map(|(name, value)| format!("{name}={value}"));
            format!("{}({})", element.id, params.collect::<Vec<_>>().join(","))
        });
        (pairs.collect::<String>(), message.text.to_owned())
    };
    let is = |data: &str, text: &str| (data.to_owned(), text.to_owned());
    assert_eq!(of(r#"[a@1 b="c" d="e f"][g] h"#), is("a@1(b=c,d=e f)g()", "h"));
    assert_eq!(of(r#"[a b="\"\\\]\n]"] c"#), is(r#"a(b="\]\n])"#, "c"));
    assert_eq!(of(r#"[a b="x" b="y"]"#), is("a(b=x,b=y)", ""));
    // What is none is text.
    assert_eq!(of("[broken text"), is("", "[broken text"));
    assert_eq!(of(r#"[a b="never ends"#), is("", r#"[a b="never ends"#));
    assert_eq!(of(r#"[a b="c"][error] d"#), is("a(b=c)error()", "d"));
    assert_eq!(of("text without any"), is("", "text without any"));
}

#[test]
fn the_examples_of_rfc_3164() {
    for (text, wanted) in [
        (
            "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
            "auth.crit | 2023-10-11T22:14:15Z | mymachine | su | - | - | 'su root' failed for lonvick on /dev/pts/8",
        ),
        ("Use the BFG!", "user.notice | - | - | - | - | - | Use the BFG!"),
        (
            "<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!",
            "user.notice | 2024-02-05T17:32:18Z | 10.0.0.99 | - | - | - | Use the BFG!",
        ),
        (
            "<165>Aug 24 05:34:00 CST 1987 mymachine myproc[10]: %% It's time to make the do-nuts. %%",
            "local4.notice | 2023-08-24T05:34:00Z | CST | - | - | - | 1987 mymachine myproc[10]: %% It's time to make the do-nuts. %%",
        ),
        (
            "<0>1990 Oct 22 10:52:01 TZ-6 scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All Folks!",
            "kern.emerg | 1990-10-22T10:52:01Z | TZ-6 | - | - | - | scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All Folks!",
        ),
    ] {
        assert_eq!(shown(text), wanted, "{text}");
    }
}

#[test]
fn what_well_known_programs_write() {
    for (text, wanted) in [
        // The C library, to a local socket: no host.
        (
            "<38>Jun 15 11:59:58 sshd[812]: Accepted publickey for root from 10.0.0.1 port 50022 ssh2",
            "auth.info | 2024-06-15T11:59:58Z | - | sshd | 812 | - | Accepted publickey for root from 10.0.0.1 port 50022 ssh2",
        ),
        // The same, forwarded by rsyslog in its older and its newer form.
        (
            "<38>Jun 15 11:59:58 web-1 sshd[812]: Connection closed by 10.0.0.1",
            "auth.info | 2024-06-15T11:59:58Z | web-1 | sshd | 812 | - | Connection closed by 10.0.0.1",
        ),
        (
            "<38>2024-06-15T13:59:58.123456+02:00 web-1 sshd[812]: Connection closed by 10.0.0.1",
            "auth.info | 2024-06-15T11:59:58.123456Z | web-1 | sshd | 812 | - | Connection closed by 10.0.0.1",
        ),
        (
            "<6>Jun 15 11:00:00 web-1 kernel: [12345.678901] eth0: link up",
            "kern.info | 2024-06-15T11:00:00Z | web-1 | kernel | - | - | [12345.678901] eth0: link up",
        ),
        (
            "<22>Jun 15 11:00:00 mx postfix/smtpd[2712]: connect from unknown[192.0.2.7]",
            "mail.info | 2024-06-15T11:00:00Z | mx | postfix/smtpd | 2712 | - | connect from unknown[192.0.2.7]",
        ),
        (
            "<78>Jun 15 11:17:01 host CRON[3312]: (root) CMD (cd / && run-parts --report /etc/cron.hourly)",
            "cron.info | 2024-06-15T11:17:01Z | host | CRON | 3312 | - | (root) CMD (cd / && run-parts --report /etc/cron.hourly)",
        ),
        (
            "<30>Jun  5 09:00:00 host systemd[1]: Started Session 3 of user root.",
            "daemon.info | 2024-06-05T09:00:00Z | host | systemd | 1 | - | Started Session 3 of user root.",
        ),
        (
            "<85>Jun  5 09:00:00 host sudo:     root : TTY=pts/0 ; PWD=/root ; USER=root ; COMMAND=/bin/ls",
            "authpriv.notice | 2024-06-05T09:00:00Z | host | sudo | - | - |     root : TTY=pts/0 ; PWD=/root ; USER=root ; COMMAND=/bin/ls",
        ),
        (
            "<87>Jun  5 09:00:00 host sshd(pam_unix)[1122]: session opened for user root",
            "authpriv.debug | 2024-06-05T09:00:00Z | host | sshd(pam_unix) | 1122 | - | session opened for user root",
        ),
        (
            "<46>Jun  5 09:00:00 host rsyslogd: [origin software=\"rsyslogd\" x-pid=\"1\"] start",
            "syslog.info | 2024-06-05T09:00:00Z | host | rsyslogd | - | - | [origin software=\"rsyslogd\" x-pid=\"1\"] start",
        ),
        (
            "<13>Jun  5 09:00:00 host last message repeated 2 times",
            "user.notice | 2024-06-05T09:00:00Z | host | - | - | - | last message repeated 2 times",
        ),
        // HAProxy and nginx, which may leave the host out.
        (
            "<134>Jun 15 11:00:01 haproxy[14389]: 10.0.1.2:33317 [15/Jun/2024:11:00:01.655] http-in static/srv1 10/0/30/69/109 200 2750",
            "local0.info | 2024-06-15T11:00:01Z | - | haproxy | 14389 | - | 10.0.1.2:33317 [15/Jun/2024:11:00:01.655] http-in static/srv1 10/0/30/69/109 200 2750",
        ),
        (
            "<190>Jun 15 11:00:01 edge nginx: 10.0.0.1 - - [15/Jun/2024:11:00:01 +0000] \"GET / HTTP/1.1\" 200 612",
            "local7.info | 2024-06-15T11:00:01Z | edge | nginx | - | - | 10.0.0.1 - - [15/Jun/2024:11:00:01 +0000] \"GET / HTTP/1.1\" 200 612",
        ),
        // Docker, in both of its formats.
        (
            "<30>Jun 15 11:00:01 docker/web/3fa1[1203]: hello from a container",
            "daemon.info | 2024-06-15T11:00:01Z | - | docker/web/3fa1 | 1203 | - | hello from a container",
        ),
        (
            "<30>1 2024-06-15T11:00:01Z moby web 1203 web - hello",
            "daemon.info | 2024-06-15T11:00:01Z | moby | web | 1203 | web | hello",
        ),
        // Routers and firewalls.
        (
            "<189>29: *Mar  1 00:00:29.123 UTC: %SYS-5-CONFIG_I: Configured from console by vty0",
            "local7.notice | 2024-03-01T00:00:29.123Z | - | %SYS-5-CONFIG_I | - | - | Configured from console by vty0",
        ),
        (
            "<166>Jun 15 2024 11:00:01: %ASA-6-302013: Built outbound TCP connection",
            "local4.info | 2024-06-15T11:00:01Z | - | %ASA-6-302013 | - | - | Built outbound TCP connection",
        ),
        (
            "<166>Jun 15 2024 11:00:01 fw-1 : %ASA-6-302014: Teardown TCP connection",
            "local4.info | 2024-06-15T11:00:01Z | fw-1 | - | - | - | : %ASA-6-302014: Teardown TCP connection",
        ),
        (
            r#"<14>1 2024-06-15T11:00:01.003Z fw RT_FLOW - RT_FLOW_SESSION_CREATE [junos@2636.1.1.1.2.40 source-address="192.0.2.1" service-name="None"] session created"#,
            "user.info | 2024-06-15T11:00:01.003Z | fw | RT_FLOW | - | RT_FLOW_SESSION_CREATE | session created",
        ),
        // AIX, passing on.
        (
            "<38>Jun 15 11:00:01 Message forwarded from aix1: sshd[123]: Accepted password",
            "auth.info | 2024-06-15T11:00:01Z | aix1 | sshd | 123 | - | Accepted password",
        ),
        // IPv6 as a host, and a text with colons that is no tag.
        (
            "<13>Jun 15 11:00:01 fe80::1 app: up",
            "user.notice | 2024-06-15T11:00:01Z | fe80::1 | app | - | - | up",
        ),
        (
            "<13>http://example.org/ is down at 10:20",
            "user.notice | - | - | - | - | - | http://example.org/ is down at 10:20",
        ),
        // Python's `SysLogHandler`, with and without a name; it ends with a NUL.
        ("<12>plain text\0", "user.warning | - | - | - | - | - | plain text"),
        ("<12>app[9]: text\0", "user.warning | - | - | app | 9 | - | text"),
        // Heroku's drain, which leaves structured data out.
        (
            "<40>1 2024-06-15T11:00:01+00:00 host app web.3 - State changed from starting to up",
            "syslog.emerg | 2024-06-15T11:00:01Z | host | app | web.3 | - | State changed from starting to up",
        ),
    ] {
        assert_eq!(shown(text), wanted, "{text}");
    }
}

#[test]
fn a_form_that_is_wrong_is_text() {
    for (text, wanted) in [
        ("\u{feff}<13>a: b", "user.notice | - | - | a | - | - | b"),
        ("<192>a: b", "user.notice | - | - | <192>a | - | - | b"),
        ("<>x", "user.notice | - | - | - | - | - | <>x"),
        ("<13", "user.notice | - | - | - | - | - | <13"),
        ("<13>", "user.notice | - | - | - | - | - | "),
        ("<013>x y", "user.notice | - | - | - | - | - | x y"),
        (
            "<13>1 yesterday host app - - - x",
            "user.notice | - | - | - | - | - | 1 yesterday host app - - - x",
        ),
        ("<13>1 - host", "user.notice | - | host | - | - | - | "),
        (
            "<13>Feb 30 11:00:00 host app: x",
            "user.notice | - | - | - | - | - | Feb 30 11:00:00 host app: x",
        ),
        (
            "Jun 15 11:00:00 host app: from a file",
            "user.notice | 2024-06-15T11:00:00Z | host | app | - | - | from a file",
        ),
    ] {
        assert_eq!(shown(text), wanted, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_message_whose_end_is_kept(head in "(<[0-9]{0,4}>)?(1 )?\\PC{0,40}", word in "[a-z]{8}") {
        let text = format!("{head} {word}");
        let message = Message::read(&text, &clock());
        prop_assert!(message.facility < 24 && message.severity < 8);
        let said = [message.host, message.app, message.process, message.id, Some(message.text)];
        let kept = said.iter().flatten().any(|said| said.ends_with(&word));
        prop_assert!(kept, "{:?}", message);
    }

    #[test]
    fn what_rfc_5424_can_say_is_read(
        priority in 0_u8..192, second in 0_i64..4_000_000_000, micro in 0_i32..1_000_000,
        words in proptest::collection::vec("[!-~]{2,20}", 4), value in "[^\u{0}\u{feff}]{0,20}", text in "[a-z][ -~]{0,20}[a-z]",
    ) {
        let time = Timestamp::new(second, micro * 1000).unwrap();
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
        let line = format!("<{priority}>1 {time:.6} {} [id@1 key=\"{escaped}\"] {text}", words.join(" "));
        let message = Message::read(&line, &clock());
        prop_assert_eq!((message.facility, message.severity, message.time), (priority >> 3, priority & 7, Some(time)));
        let read = [message.host, message.app, message.process, message.id];
        prop_assert_eq!(read.map(Option::unwrap).to_vec(), words);
        prop_assert_eq!(message.structured[0].params[0].1.as_ref(), value.as_str());
        prop_assert_eq!(message.text, text);
    }
}
