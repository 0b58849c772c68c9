//! Whether a value is what a vector asks for.
//!
//! Pure, but for the numbers that a vector keeps. A pattern is JSON that is met by the same JSON; objects with one
//! member that begins with `$` say more than that.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Number, Value, json};

use super::value::expand;
use crate::human::shorten;

/// The numbers that a vector has kept, by their names.
pub type Kept = HashMap<String, f64>;

/// Where a value is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The place in the frame, as in `$.result.a[1]`.
    pub place: String,
    /// What has to stand there.
    pub expected: String,
    /// What stands there.
    pub seen: String,
}

/// Judges a whole frame, which may have more members than the pattern.
pub fn judge_frame(pattern: &Value, frame: &Value, kept: &mut Kept) -> Result<(), Mismatch> {
    let mut judge = Judge { kept };
    match pattern {
        Value::Object(members) if special(members).is_none() => judge.object(members, frame, "$", Others::Allowed),
        _ => judge.value(pattern, Some(frame), "$"),
    }
}

/// Whether an object may have members that its pattern has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    Allowed,
    Refused,
}

struct Judge<'a> {
    kept: &'a mut Kept,
}

impl Judge<'_> {
    /// `seen` is `None` where the member is missing.
    fn value(&mut self, pattern: &Value, seen: Option<&Value>, place: &str) -> Result<(), Mismatch> {
        if let Value::Object(members) = pattern
            && let Some((name, of)) = special(members)
        {
            return self.special(name, of, seen, place);
        }
        let Some(seen) = seen else {
            return Err(differs(place, pattern, None));
        };
        match (pattern, seen) {
            (Value::Object(members), _) => self.object(members, seen, place, Others::Refused),
            (Value::Array(patterns), Value::Array(elements)) if patterns.len() == elements.len() => patterns
                .iter()
                .zip(elements)
                .enumerate()
                .try_for_each(|(index, (pattern, seen))| self.value(pattern, Some(seen), &format!("{place}[{index}]"))),
            (Value::Number(pattern), Value::Number(seen)) if same_number(pattern, seen) => Ok(()),
            _ if pattern == seen => Ok(()),
            _ => Err(differs(place, pattern, Some(seen))),
        }
    }

    fn object(
        &mut self,
        patterns: &Map<String, Value>,
        seen: &Value,
        place: &str,
        others: Others,
    ) -> Result<(), Mismatch> {
        let Value::Object(members) = seen else {
            return Err(differs(place, &Value::Object(patterns.clone()), Some(seen)));
        };
        for (name, pattern) in patterns {
            self.value(pattern, members.get(name), &member(place, name))?;
        }
        let other = members.iter().find(|(name, _)| !patterns.contains_key(*name));
        match other {
            Some((name, seen)) if others == Others::Refused => Err(Mismatch {
                place: member(place, name),
                expected: "no such member".to_owned(),
                seen: show(seen),
            }),
            _ => Ok(()),
        }
    }

    fn special(&mut self, name: &str, of: &Value, seen: Option<&Value>, place: &str) -> Result<(), Mismatch> {
        let otherwise = |expected: String| Mismatch {
            place: place.to_owned(),
            expected,
            seen: shown(seen),
        };
        let nothing = seen.is_none_or(Value::is_null);
        match (name, of) {
            ("$repeat" | "$nest", _) => self.value(&expand(&json!({ name: of })), seen, place),
            ("$absent" | "$optional" | "$empty", _) if nothing => Ok(()),
            ("$absent", _) => Err(otherwise("no such member".to_owned())),
            ("$optional", of) => self.value(of, seen, place),
            ("$empty", _) if seen == Some(&json!([])) => Ok(()),
            ("$empty", _) => Err(otherwise("nothing: no such member, null or []".to_owned())),
            ("$one", of) => match seen {
                Some(Value::Array(_)) | None => self.value(&json!([of]), seen, place),
                _ if nothing => Err(otherwise(format!("{} as one value", show(of)))),
                _ => self.value(of, seen, place),
            },
            ("$members", Value::Object(members)) => match seen {
                Some(seen) => self.object(members, seen, place, Others::Allowed),
                None => Err(otherwise(show(of))),
            },
            ("$includes", Value::Array(patterns)) => self.includes(patterns, seen, place),
            ("$type", Value::String(kind)) if seen.map(kind_of) == Some(kind) => Ok(()),
            ("$type", Value::String(kind)) => Err(otherwise(format!("any {kind}"))),
            ("$contains", Value::String(part)) => match seen.and_then(Value::as_str) {
                Some(text) if text.contains(part) => Ok(()),
                _ => Err(otherwise(format!("a string with `{part}` in it"))),
            },
            ("$time", Value::String(time)) => {
                // Some languages count milliseconds and no less.
                let moment = |text: &str| text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
                let same = seen.and_then(Value::as_str).and_then(moment) == moment(time);
                same.then_some(())
                    .ok_or_else(|| otherwise(format!("the moment {time}")))
            }
            ("$keep", Value::String(name)) => {
                let number = seen.and_then(Value::as_f64);
                let number = number.ok_or_else(|| otherwise("a number".to_owned()))?;
                self.kept.insert(name.clone(), number);
                Ok(())
            }
            ("$above", Value::String(name)) => {
                let floor = self.kept.get(name).copied().unwrap_or(f64::INFINITY);
                let above = seen.and_then(Value::as_f64).is_some_and(|number| number > floor);
                above
                    .then_some(())
                    .ok_or_else(|| otherwise(format!("a number above {floor}")))
            }
            _ => Err(otherwise(format!("`{name}`, which no vector may ask for"))),
        }
    }

    fn includes(&mut self, patterns: &[Value], seen: Option<&Value>, place: &str) -> Result<(), Mismatch> {
        let elements = seen.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for pattern in patterns {
            let found = elements
                .iter()
                .any(|element| self.value(pattern, Some(element), place).is_ok());
            if !found {
                return Err(Mismatch {
                    place: place.to_owned(),
                    expected: format!("a list with {} in it", show(pattern)),
                    seen: shown(seen),
                });
            }
        }
        Ok(())
    }
}

/// The one member of an object that says more than itself.
fn special(members: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, of) = members.iter().next().filter(|_| members.len() == 1)?;
    name.starts_with('$').then_some((name, of))
}

/// Equal as whole numbers, else within the rounding of a double that was read from decimal digits.
fn same_number(a: &Number, b: &Number) -> bool {
    let whole = |number: &Number| number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
    match (whole(a), whole(b), a.as_f64(), b.as_f64()) {
        (Some(a), Some(b), ..) => a == b,
        (.., Some(a), Some(b)) => (a - b).abs() <= f64::EPSILON * a.abs(),
        _ => false,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn member(place: &str, name: &str) -> String {
    format!("{place}.{name}")
}

fn differs(place: &str, expected: &Value, seen: Option<&Value>) -> Mismatch {
    let mut mismatch = Mismatch {
        place: place.to_owned(),
        expected: show(expected),
        seen: shown(seen),
    };
    if let (Value::String(expected), Some(Value::String(seen))) = (expected, seen)
        && (mismatch.expected == mismatch.seen || expected.len().max(seen.len()) > SHOWN)
    {
        let same = expected.chars().zip(seen.chars()).take_while(|(a, b)| a == b).count();
        let count = |text: &str| text.chars().count();
        mismatch.expected = format!(
            "{} characters, from number {same} on {}",
            count(expected),
            excerpt(expected, same)
        );
        mismatch.seen = format!(
            "{} characters, from number {same} on {}",
            count(seen),
            excerpt(seen, same)
        );
    }
    mismatch
}

/// A long text from where it is of interest.
fn excerpt(text: &str, from: usize) -> String {
    let rest: String = text.chars().skip(from).take(EXCERPT).collect();
    show(&Value::String(rest))
}

/// A value on one line that is not too long.
pub fn show(value: &Value) -> String {
    shorten(&value.to_string(), SHOWN)
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing there".to_owned(), show)
}

const SHOWN: usize = 160;
const EXCERPT: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(pattern: &Value, frame: &Value) -> Result<(), String> {
        judge_frame(pattern, frame, &mut Kept::new())
            .map_err(|mismatch| format!("{}: {} / {}", mismatch.place, mismatch.expected, mismatch.seen))
    }

    #[test]
    fn a_frame_may_have_more_members_and_what_is_inside_may_not() {
        let pattern = json!({"status": "ok", "result": {"a": 1}});
        assert_eq!(
            judge(&pattern, &json!({"result": {"a": 1.0}, "status": "ok", "x": 1})),
            Ok(())
        );
        assert_eq!(
            judge(&pattern, &json!({"status": "ok", "result": {"a": 1, "b": 2}})).unwrap_err(),
            "$.result.b: no such member / 2"
        );
        assert_eq!(
            judge(&pattern, &json!({"status": "ok", "result": {}})).unwrap_err(),
            "$.result.a: 1 / nothing there"
        );
    }

    #[test]
    fn the_first_difference_is_named_by_its_place() {
        let differs = |a: Value, b: Value| judge(&json!({"r": a}), &json!({"r": b})).unwrap_err();
        assert_eq!(differs(json!([1, [2, 3]]), json!([1, [2, 4]])), "$.r[1][1]: 3 / 4");
        assert_eq!(differs(json!([1]), json!([1, 2])), "$.r: [1] / [1,2]");
        assert_eq!(differs(json!("a"), json!(null)), "$.r: \"a\" / null");
        assert_eq!(
            differs(json!({"$repeat": ["ab", 1000]}), json!("ab".repeat(999) + "aX")),
            "$.r: 2000 characters, from number 1999 on \"b\" / 2000 characters, from number 1999 on \"X\""
        );
    }

    #[test]
    fn numbers_are_the_same_when_their_values_are() {
        for (a, b) in [("1", "1.0"), ("1e3", "1000"), ("0.1", "1e-1"), ("1e-7", "0.0000001")] {
            let number = |text: &str| json!({"n": serde_json::from_str::<Value>(text).unwrap()});
            assert_eq!(judge(&number(a), &number(b)), Ok(()), "{a} {b}");
        }
        let whole = [9_007_199_254_740_993_i64, 9_007_199_254_740_992].map(|n| json!({ "n": n }));
        assert!(judge(&whole[0], &whole[1]).is_err());
        assert!(judge(&json!({"n": 0.1}), &json!({"n": 0.100_001})).is_err());
    }

    #[test]
    fn patterns_say_more_than_values() {
        for (pattern, met, not_met) in [
            (json!({"$type": "string"}), json!("x"), json!(1)),
            (json!({"$contains": "oo"}), json!("boom"), json!("bam")),
            (json!({"$absent": true}), json!(null), json!(false)),
            (json!({"$optional": {"$type": "array"}}), json!(null), json!(1)),
            (json!({"$empty": true}), json!([]), json!([null])),
            (json!({"$one": {"a": 1}}), json!([{"a": 1}]), json!([{"a": 1}, 2])),
            (json!({"$one": "x"}), json!("x"), json!(null)),
            (json!({"$members": {"a": 1}}), json!({"a": 1, "b": 2}), json!({"b": 2})),
            (json!({"$includes": [2, 1]}), json!([1, 2, 3]), json!([1, 3])),
            (
                json!({"$time": "2031-01-01T00:00:00Z"}),
                json!("2031-01-01T01:00:00.000+01:00"),
                json!("2031-01-01T01:00:00Z"),
            ),
        ] {
            assert_eq!(judge(&json!({"r": pattern}), &json!({"r": met})), Ok(()), "{pattern}");
            assert!(
                judge(&json!({"r": pattern}), &json!({"r": not_met})).is_err(),
                "{pattern}"
            );
        }
        for pattern in ["$absent", "$empty", "$optional"] {
            assert_eq!(judge(&json!({"r": {pattern: true}}), &json!({})), Ok(()));
        }
    }

    #[test]
    fn a_kept_number_is_a_floor_for_later_ones() {
        let mut kept = Kept::new();
        let above = json!({"r": {"$above": "n"}});
        assert!(
            judge_frame(&above, &json!({"r": 4}), &mut kept).is_err(),
            "nothing was kept"
        );
        judge_frame(&json!({"r": {"$keep": "n"}}), &json!({"r": 3}), &mut kept).unwrap();
        assert!(judge_frame(&above, &json!({"r": 3}), &mut kept).is_err());
        assert!(judge_frame(&above, &json!({"r": 4}), &mut kept).is_ok());
    }
}
