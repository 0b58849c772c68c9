//! `${VAR}`, `${VAR:-default}` and `$$` in scalar values, after parsing: what a variable holds can never become YAML
//! structure.

use super::findings::Note;
use super::tree::{Data, Node, Place};
use super::{Path, scalar};

/// Replaces the variables in a scalar. An unquoted one is typed anew from what came out.
pub(super) fn apply(
    node: &mut Node,
    value: &str,
    plain: bool,
    source: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    path: &Path,
    notes: &mut Vec<Note>,
) {
    let mut faults = Vec::new();
    let replaced = replace(value, lookup, &mut faults);
    for fault in faults {
        let place = narrow(&node.place, source, &fault);
        notes.push(Note::error(&place, path, fault.message).help(fault.help));
    }
    if plain {
        node.data = scalar::resolve(&replaced);
        node.spelling = Some(replaced);
    } else {
        node.data = Data::Text(replaced);
    }
}

/// Something in a scalar that could not be replaced.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    /// The text that is at fault, as it is written.
    text: String,
    /// How many texts like it stand before it in the scalar.
    skip: usize,
    message: String,
    help: String,
}

fn replace(value: &str, lookup: &dyn Fn(&str) -> Option<String>, faults: &mut Vec<Fault>) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        if let Some(next) = after.strip_prefix('$') {
            out.push('$');
            rest = next;
        } else if after.starts_with('{') {
            let begin = value.len() - after.len() - 1;
            let Some(length) = closing(after) else {
                faults.push(fault(
                    value,
                    begin,
                    &rest[dollar..],
                    "`${` is never closed",
                    "add `}`, or write `$$` for a dollar sign",
                ));
                return out;
            };
            let whole = &rest[dollar..=dollar + length];
            variable(value, begin, whole, &after[1..length - 1], lookup, faults, &mut out);
            rest = &after[length..];
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

fn variable(
    value: &str,
    begin: usize,
    whole: &str,
    inside: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    faults: &mut Vec<Fault>,
    out: &mut String,
) {
    let end = inside
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(inside.len());
    let (name, default) = inside.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        let help = "write `${NAME}` or `${NAME:-default}`, and `$$` for a dollar sign";
        faults.push(fault(
            value,
            begin,
            whole,
            &format!("`{whole}` names no variable"),
            help,
        ));
    } else if let Some(default) = default.strip_prefix(":-") {
        match lookup(name).filter(|found| !found.is_empty()) {
            Some(found) => out.push_str(&found),
            None => out.push_str(&replace(default, lookup, faults)),
        }
    } else if !default.is_empty() {
        let help = format!("write `${{{name}}}` or `${{{name}:-default}}`");
        faults.push(fault(
            value,
            begin,
            whole,
            &format!("`{whole}` is not understood"),
            &help,
        ));
    } else if let Some(found) = lookup(name) {
        out.push_str(&found);
    } else {
        let help = format!("set {name}, or give a default: `${{{name}:-default}}`");
        faults.push(fault(
            value,
            begin,
            whole,
            &format!("variable {name} is not set"),
            &help,
        ));
    }
}

fn fault(value: &str, begin: usize, text: &str, message: &str, help: &str) -> Fault {
    let skip = value[..begin.min(value.len())].matches(text).count();
    Fault {
        text: text.to_owned(),
        skip,
        message: message.to_owned(),
        help: help.to_owned(),
    }
}

/// The length of `{..}` at the front of `text`, inner pairs included.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut before = ' ';
    for (index, c) in text.char_indices() {
        match c {
            '{' if index == 0 || before == '$' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index + 1);
        }
        before = c;
    }
    None
}

/// Where the faulty text stands inside its scalar; the whole scalar where escapes hide it.
fn narrow(place: &Place, source: &str, fault: &Fault) -> Place {
    let Place::File(range) = place else {
        return place.clone();
    };
    let written: String = source.chars().skip(range.start).take(range.len()).collect();
    let Some((byte, _)) = written.match_indices(&fault.text).nth(fault.skip) else {
        return place.clone();
    };
    let start = range.start + written[..byte].chars().count();
    Place::File(start..start + fault.text.chars().count())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(value: &str) -> (String, Vec<String>) {
        let lookup = |name: &str| match name {
            "PORT" => Some("8080".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let mut faults = Vec::new();
        let out = replace(value, &lookup, &mut faults);
        (out, faults.into_iter().map(|fault| fault.message).collect())
    }

    #[test]
    fn every_form_is_replaced() {
        for (value, expected) in [
            ("${PORT}", "8080"),
            ("http://h:${PORT}/", "http://h:8080/"),
            ("${NONE:-x}", "x"),
            ("${EMPTY:-x}", "x"),
            ("[${EMPTY}]", "[]"),
            ("${NONE:-}", ""),
            ("${NONE:-http://${PORT}}", "http://8080"),
            ("${NONE:-{a}", "{a"),
            ("$${PORT}", "${PORT}"),
            ("$$$$", "$$"),
            ("cost $5 $", "cost $5 $"),
            ("${PORT}${PORT}", "80808080"),
        ] {
            assert_eq!(run(value), (expected.to_owned(), vec![]), "{value}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_named() {
        let faults = |value: &str| run(value).1;
        assert_eq!(
            faults("${NONE} ${ALSO}"),
            ["variable NONE is not set", "variable ALSO is not set"]
        );
        assert_eq!(faults("a ${PORT"), ["`${` is never closed"]);
        assert_eq!(faults("${}"), ["`${}` names no variable"]);
        assert_eq!(faults("${1A}"), ["`${1A}` names no variable"]);
        assert_eq!(faults("${A-b}"), ["`${A-b}` is not understood"]);
    }

    proptest! {
        #[test]
        fn a_text_with_its_dollars_doubled_comes_back_the_same(text in ".*") {
            let (out, faults) = run(&text.replace('$', "$$"));
            prop_assert_eq!(out, text);
            prop_assert!(faults.is_empty());
        }

        #[test]
        fn what_a_variable_holds_is_never_replaced_again(held in ".*", before in "[a-z ]*") {
            let lookup = |_: &str| Some(held.clone());
            let mut faults = Vec::new();
            let out = replace(&format!("{before}${{X}}"), &lookup, &mut faults);
            prop_assert_eq!(out, format!("{before}{held}"));
            prop_assert!(faults.is_empty());
        }

        #[test]
        fn any_text_is_answered_without_a_panic(text in "[${}:A-Za-z0-9é-]*") {
            let _either = run(&text);
        }
    }
}
