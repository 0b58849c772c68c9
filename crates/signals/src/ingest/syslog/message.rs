//! One syslog message, read from its text.
//!
//! Pure, and never fails: a text without a header is a message of the priority that RFC 3164 (4.3.3) gives it.

use std::borrow::Cow;

use jiff::Timestamp;

use super::{rfc3164, rfc5424, time, time::Clock};

/// What a message says, borrowed from its text.
///
/// ```
/// use jiff::{Timestamp, tz::TimeZone};
/// use signals::ingest::syslog::{Clock, Message};
///
/// let clock = Clock { received: Timestamp::now(), zone: TimeZone::UTC };
/// let message = Message::read("<34>Oct 11 22:14:15 mymachine su: 'su root' failed", &clock);
/// assert_eq!((message.host, message.app), (Some("mymachine"), Some("su")));
/// assert_eq!((message.facility, message.severity, message.text), (4, 2, "'su root' failed"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    /// 0 to 23.
    pub facility: u8,
    /// 0 (the worst) to 7.
    pub severity: u8,
    /// When it was sent, where that is said.
    pub time: Option<Timestamp>,
    /// The machine that sent it.
    pub host: Option<&'a str>,
    /// The program that sent it.
    pub app: Option<&'a str>,
    /// Its process, mostly a number.
    pub process: Option<&'a str>,
    /// What kind of message it is.
    pub id: Option<&'a str>,
    /// What it says for programs.
    pub structured: Vec<Element<'a>>,
    /// What it says for people.
    pub text: &'a str,
}

/// Structured data of one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element<'a> {
    /// `NAME`, or `NAME@NUMBER OF AN ENTERPRISE`.
    pub id: &'a str,
    /// Names and values; a name may stand more than once.
    pub params: Vec<(&'a str, Cow<'a, str>)>,
}

/// `user.notice`, for a text that has none.
const NO_PRIORITY: u8 = 13;
/// `local7.debug`.
const HIGHEST_PRIORITY: u32 = 191;
/// Some senders begin with it, and RFC 5424 wants it before a text in UTF-8.
pub(super) const BOM: char = '\u{feff}';

impl<'a> Message<'a> {
    /// Reads a message.
    pub fn read(text: &'a str, clock: &Clock) -> Self {
        let text = text.strip_prefix(BOM).unwrap_or(text);
        let text = text.trim_end_matches(['\n', '\r', '\0']);
        let (priority, rest) = priority(text).unwrap_or((NO_PRIORITY, text));
        let message = Message {
            facility: priority >> 3,
            severity: priority & 7,
            time: None,
            host: None,
            app: None,
            process: None,
            id: None,
            structured: Vec::new(),
            text: rest,
        };
        rfc5424::read(&message, clock).unwrap_or_else(|| rfc3164::read(message, clock))
    }
}

fn priority(text: &str) -> Option<(u8, &str)> {
    let (number, rest) = time::digits(text.strip_prefix('<')?, 1, 3)?;
    let rest = rest.strip_prefix('>')?;
    if number > HIGHEST_PRIORITY {
        return None;
    }
    Some((u8::try_from(number).ok()?, rest))
}

#[cfg(test)]
mod tests;
