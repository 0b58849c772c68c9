//! What syslog calls things, on the way in and on the way out (RFC 5424, tables 1 and 2).

use wire::signal::Level;

/// Facilities by their numbers.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
/// Severities by their numbers.
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// The name of a facility.
pub(crate) fn facility(number: u8) -> &'static str {
    FACILITIES.get(usize::from(number)).copied().unwrap_or("unknown")
}

/// The name of a severity.
pub(crate) fn severity(number: u8) -> &'static str {
    SEVERITIES[usize::from(number & 7)]
}

/// The level that a severity is.
pub(crate) fn level(severity: u8) -> &'static str {
    match severity {
        0..=2 => "fatal",
        3 => "error",
        4 => "warn",
        5 | 6 => "info",
        _ => "debug",
    }
}

/// The severity that a level is.
pub(crate) fn severity_of(level: Level) -> u8 {
    match level {
        Level::Fatal => 2,
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Facility;

    #[test]
    fn a_level_comes_back_as_it_went() {
        for name in ["debug", "info", "warn", "error", "fatal"] {
            assert_eq!(level(severity_of(Level::named(name).unwrap())), name);
        }
    }

    #[test]
    fn facilities_have_the_numbers_of_the_standard() {
        for (number, name) in FACILITIES.iter().enumerate() {
            let known: Facility = serde_json::from_value((*name).into()).unwrap();
            assert_eq!(known as usize, number);
        }
        assert_eq!((facility(4), severity(1)), ("auth", "alert"));
    }
}
