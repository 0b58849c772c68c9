//! What an unquoted YAML scalar is: the core schema of YAML 1.2.

use serde_json::Number;

use super::tree::Data;

/// Types an unquoted scalar. Numbers that JSON cannot hold (`.inf`, `.nan`) stay text.
pub(super) fn resolve(text: &str) -> Data {
    match text {
        "" => Data::Empty,
        "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" => Data::Bool(true),
        "false" | "False" | "FALSE" => Data::Bool(false),
        _ => number(text).map_or_else(|| Data::Text(text.to_owned()), Data::Number),
    }
}

/// An integer (`12`, `-3`, `0x1F`, `0o17`) or a float (`1.5`, `.5`, `1e3`).
pub(super) fn number(text: &str) -> Option<Number> {
    if let Some(hex) = text.strip_prefix("0x") {
        return plain(hex, 16);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return plain(octal, 8);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        let whole = unsigned
            .parse::<u64>()
            .map(Number::from)
            .or_else(|_| unsigned.parse::<i64>().map(Number::from));
        if let Ok(whole) = whole {
            return Some(whole);
        }
    }
    let known = digits
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    if !known || !digits.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

fn plain(digits: &str, radix: u32) -> Option<Number> {
    let unsigned = !digits.starts_with(['+', '-']);
    unsigned
        .then(|| u64::from_str_radix(digits, radix).ok())
        .flatten()
        .map(Number::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_typed_as_yaml_1_2_has_it() {
        let json = |text: &str| {
            super::super::tree::Node::new(resolve(text), super::super::tree::Place::Nowhere)
                .to_json()
                .to_string()
        };
        for (text, expected) in [
            ("", "null"),
            ("~", "null"),
            ("true", "true"),
            ("yes", "\"yes\""),
            ("12", "12"),
            ("+12", "12"),
            ("-3", "-3"),
            ("0x1F", "31"),
            ("0o17", "15"),
            ("0123", "123"),
            ("1.5", "1.5"),
            (".5", "0.5"),
            ("1e3", "1000.0"),
            (".inf", "\".inf\""),
            ("nan", "\"nan\""),
            ("1_000", "\"1_000\""),
            ("5m", "\"5m\""),
            ("1.2.3", "\"1.2.3\""),
            ("-", "\"-\""),
            (".", "\".\""),
        ] {
            assert_eq!(json(text), expected, "{text}");
        }
    }
}
