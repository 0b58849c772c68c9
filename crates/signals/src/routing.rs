//! Decides which backends a line reaches.
//!
//! Pure but for the counters of sampling. The most specific key alone decides: the source's own name, else the pattern
//! with the longest beginning, else `default`; all its rules that match fire, and a backend gets a line once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Value, value::RawValue};
use wire::signal::{Level, Line, Record};

use crate::config::{Filter, Rule, Signals};

/// Where the lines of every source go; `T` is how a backend is named.
#[derive(Debug)]
pub(crate) struct Routes<T> {
    exact: HashMap<String, Arc<Way<T>>>,
    /// The longest beginning first.
    patterns: Vec<(Pattern, Arc<Way<T>>)>,
    default: Option<Arc<Way<T>>>,
}

/// Where the lines of one source go.
#[derive(Debug)]
pub(crate) struct Way<T> {
    rules: Vec<Compiled<T>>,
}

#[derive(Debug)]
struct Compiled<T> {
    target: T,
    types: Vec<String>,
    level: Option<Level>,
    names: Vec<Pattern>,
    ctx: Vec<(String, String)>,
    tags: Vec<(String, String)>,
    sample: Option<Sample>,
}

/// Lets a share through.
#[derive(Debug)]
struct Sample {
    /// The share, of 2^32.
    share: u64,
    sum: AtomicU64,
}

/// A name in which `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(String);

/// Why no rule let a line through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missed {
    /// None matched.
    Filtered,
    /// Those that matched left it out.
    Sampled,
}

/// What becomes of a line in a test.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Reaches(Vec<String>),
    Dropped(&'static str),
}

impl<T: Clone + PartialEq> Routes<T> {
    /// Compiles rules; `target` names a rule's backend, `None` where it is not in use. `all` are the targets of every line
    /// where there are no rules at all.
    pub(crate) fn new(
        routing: &BTreeMap<String, Vec<Rule>>,
        all: Vec<T>,
        mut target: impl FnMut(&Rule) -> Option<T>,
    ) -> Self {
        let mut routes = Self {
            exact: HashMap::new(),
            patterns: Vec::new(),
            default: None,
        };
        if routing.is_empty() && !all.is_empty() {
            let open = |target| Compiled::new(target, &Rule::default(), 1.0);
            routes.default = Some(Arc::new(Way {
                rules: all.into_iter().map(open).collect(),
            }));
        }
        for (source, rules) in routing {
            let rules = rules.iter().filter(|rule| rule.enabled);
            let rules: Vec<Compiled<T>> = rules
                .filter_map(|rule| Some(Compiled::new(target(rule)?, rule, rule.sample)))
                .collect();
            let way = Arc::new(Way { rules });
            if source == "default" {
                routes.default = Some(way);
            } else if source.contains('*') {
                routes.patterns.push((Pattern(source.clone()), way));
            } else {
                routes.exact.insert(source.clone(), way);
            }
        }
        routes
            .patterns
            .sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.beginning().len()));
        routes
    }

    /// Where the lines of a source go; `None` where nothing is said of it, or nothing is in use.
    pub(crate) fn of(&self, source: &str) -> Option<Arc<Way<T>>> {
        let pattern = || {
            let found = self.patterns.iter().find(|(pattern, _)| pattern.matches(source));
            found.map(|(_, way)| way)
        };
        let way = self.exact.get(source).or_else(pattern).or(self.default.as_ref())?;
        (!way.rules.is_empty()).then(|| Arc::clone(way))
    }
}

impl Routes<String> {
    /// By the backends' names, every line that matches going through.
    pub(crate) fn named(signals: &Signals) -> Self {
        let enabled = |name: &String| signals.backends.get(name).is_some_and(|backend| backend.enabled);
        let all = signals.backends.keys().filter(|name| enabled(name)).cloned().collect();
        let mut routes = Self::new(&signals.routing, all, |rule| {
            enabled(&rule.backend).then(|| rule.backend.clone())
        });
        let patterns = routes.patterns.iter_mut().map(|(_, way)| way);
        for way in routes.exact.values_mut().chain(patterns).chain(&mut routes.default) {
            let way = Arc::get_mut(way).expect("nobody else has it yet");
            way.rules.iter_mut().for_each(|rule| rule.sample = None);
        }
        routes
    }

    /// What becomes of a line.
    pub(crate) fn try_line(&self, line: &[u8]) -> Decision {
        let record = match Line::read(line) {
            Ok(Line::Data(record)) => record,
            Ok(Line::Control(_)) => return Decision::Dropped("it is about the connection"),
            Err(wrong) => return Decision::Dropped(wrong.reason()),
        };
        let Some(way) = self.of(&record.source) else {
            return Decision::Dropped("no_route");
        };
        let mut reached = Vec::new();
        match way.decide(&record, &mut reached) {
            Ok(()) => Decision::Reaches(reached),
            Err(Missed::Filtered) => Decision::Dropped("filtered"),
            Err(Missed::Sampled) => Decision::Dropped("sampled"),
        }
    }
}

impl<T: Clone + PartialEq> Way<T> {
    /// Adds the backends that a line reaches to `reached`.
    ///
    /// # Errors
    /// It reaches none.
    pub(crate) fn decide(&self, record: &Record<'_>, reached: &mut Vec<T>) -> Result<(), Missed> {
        let before = reached.len();
        let mut data = None;
        let mut missed = Missed::Filtered;
        for rule in &self.rules {
            if !rule.types.is_empty() && !rule.types.iter().any(|kind| *kind == record.kind) {
                continue;
            }
            if rule.looks_into_data() && !rule.allows(data.get_or_insert_with(|| record.data())) {
                continue;
            }
            if rule
                .sample
                .as_ref()
                .is_some_and(|sample| !sample.lets(record.trace.as_deref()))
            {
                missed = Missed::Sampled;
                continue;
            }
            if !reached[before..].contains(&rule.target) {
                reached.push(rule.target.clone());
            }
        }
        if reached.len() > before { Ok(()) } else { Err(missed) }
    }
}

impl<T> Compiled<T> {
    fn new(target: T, rule: &Rule, share: f64) -> Self {
        let Filter {
            types,
            level,
            names,
            ctx,
            tags,
        } = &rule.filter;
        let members = |wanted: &BTreeMap<String, Value>| -> Vec<(String, String)> {
            wanted.iter().map(|(key, value)| (key.clone(), plain(value))).collect()
        };
        Self {
            target,
            types: types.clone(),
            level: level.map(crate::config::Level::wire),
            names: names.iter().cloned().map(Pattern).collect(),
            ctx: members(ctx),
            tags: members(tags),
            sample: (share < 1.0).then(|| Sample::new(share)),
        }
    }

    fn looks_into_data(&self) -> bool {
        self.level.is_some() || !self.names.is_empty() || !self.ctx.is_empty() || !self.tags.is_empty()
    }

    fn allows(&self, data: &wire::signal::Data<'_>) -> bool {
        let level = || data.level.as_deref().and_then(Level::named);
        self.level
            .is_none_or(|least| level().is_some_and(|level| level >= least))
            && (self.names.is_empty()
                || data
                    .name
                    .as_deref()
                    .is_some_and(|name| self.names.iter().any(|pattern| pattern.matches(name))))
            && has(data.context, &self.ctx)
            && has(data.tags, &self.tags)
    }
}

/// Whether an object has all the members that are wanted.
fn has(object: Option<&str>, wanted: &[(String, String)]) -> bool {
    if wanted.is_empty() {
        return true;
    }
    let Some(members) = object.and_then(|text| serde_json::from_str::<HashMap<&str, &RawValue>>(text).ok()) else {
        return false;
    };
    wanted.iter().all(|(key, value)| {
        let member = members.get(key.as_str());
        let found = member.and_then(|member| serde_json::from_str::<Value>(member.get()).ok());
        found.is_some_and(|found| plain(&found) == *value)
    })
}

/// A value as a text, so that `5` and `"5"` are the same.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Sample {
    fn new(share: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a share is from 0 to 1"
        )]
        let share = (share.clamp(0.0, 1.0) * ONE as f64) as u64;
        Self {
            share,
            // So that the first line of a half goes through.
            sum: AtomicU64::new(ONE - 1),
        }
    }

    /// A trace goes through whole or not at all; of other lines, each so-manieth does.
    fn lets(&self, trace: Option<&str>) -> bool {
        if let Some(trace) = trace {
            return hash(trace.as_bytes()) % ONE < self.share;
        }
        let before = self.sum.fetch_add(self.share, Ordering::Relaxed);
        before.wrapping_add(self.share) / ONE > before / ONE
    }
}

impl Pattern {
    pub(crate) fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else {
            return false;
        };
        let mut parts: Vec<&str> = parts.collect();
        let Some(last) = parts.pop() else {
            return rest.is_empty();
        };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }

    fn beginning(&self) -> &str {
        self.0.split('*').next().unwrap_or_default()
    }
}

/// FNV-1a with its bits mixed: the same on every machine, so that several sidecars keep the same traces.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (sum ^ (sum >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

const ONE: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn routes(signals: Value) -> Routes<String> {
        Routes::named(&serde_json::from_value(signals).unwrap())
    }

    fn reaches(routes: &Routes<String>, line: &Value) -> Decision {
        routes.try_line(line.to_string().as_bytes())
    }

    fn to(names: &[&str]) -> Decision {
        Decision::Reaches(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn event(source: &str, data: &Value) -> Value {
        json!({ "src": source, "ts": 1, "type": "event", "data": data })
    }

    #[test]
    fn the_most_specific_key_alone_decides() {
        let routes = routes(json!({
            "backends": { "a": { "type": "blackhole" }, "b": { "type": "blackhole" }, "c": { "type": "blackhole" }, "d": { "type": "blackhole" } },
            "routing": {
                "default": [{ "backend": "a" }], "db*": [{ "backend": "b" }], "db-load*": [{ "backend": "c" }],
                "db-loader": [{ "backend": "d" }, { "backend": "a" }, { "backend": "d" }],
            },
        }));
        for (source, names) in [
            ("x", &["a"][..]),
            ("db", &["b"]),
            ("db-loads", &["c"]),
            ("db-loader", &["d", "a"]),
        ] {
            assert_eq!(reaches(&routes, &event(source, &json!({}))), to(names), "{source}");
        }
    }

    #[test]
    fn without_rules_all_goes_everywhere_and_with_rules_only_where_they_say() {
        let backends = json!({ "a": { "type": "blackhole" }, "b": { "type": "blackhole", "enabled": false } });
        let open = routes(json!({ "backends": backends }));
        assert_eq!(reaches(&open, &event("x", &json!({}))), to(&["a"]));
        let closed = routes(
            json!({ "backends": backends, "routing": { "y": [{ "backend": "a" }], "z": [{ "backend": "b" }] } }),
        );
        assert_eq!(reaches(&closed, &event("x", &json!({}))), Decision::Dropped("no_route"));
        assert_eq!(reaches(&closed, &event("z", &json!({}))), Decision::Dropped("no_route"));
    }

    #[test]
    fn filters_hold_together() {
        let routes = routes(json!({
            "backends": { "a": { "type": "blackhole" } },
            "routing": { "default": [{ "backend": "a", "filter": {
                "types": ["event"], "level": "warn", "ctx": { "job": "5", "ok": true } } }] },
        }));
        let fits = json!({ "level": "error", "ctx": { "job": 5, "ok": true, "more": [] } });
        assert_eq!(reaches(&routes, &event("x", &fits)), to(&["a"]));
        for data in [
            json!({ "level": "info", "ctx": { "job": 5, "ok": true } }),
            json!({ "ctx": { "job": 5, "ok": true } }),
            json!({ "level": "error", "ctx": { "job": 5 } }),
            json!({ "level": "error" }),
            json!([]),
        ] {
            assert_eq!(reaches(&routes, &event("x", &data)), Decision::Dropped("filtered"));
        }
    }

    #[test]
    fn names_are_patterns() {
        let fits = |pattern: &str, name: &str| Pattern(pattern.to_owned()).matches(name);
        assert!(fits("*", "") && fits("a*", "a") && fits("a*c*e", "abcde") && fits("abc", "abc"));
        assert!(
            !fits("a*", "ba") && !fits("a*c", "ab") && !fits("abc", "abcd") && !fits("a*b*a", "aba".get(..2).unwrap())
        );
    }

    #[test]
    fn a_sample_is_as_large_as_it_should_be_and_keeps_traces_whole() {
        let sample = Sample::new(0.25);
        let kept = (0..1000).filter(|_| sample.lets(None)).count();
        assert_eq!(kept, 250);
        let traces: Vec<bool> = (0..1000).map(|number| sample.lets(Some(&number.to_string()))).collect();
        let again: Vec<bool> = (0..1000).map(|number| sample.lets(Some(&number.to_string()))).collect();
        assert_eq!(traces, again);
        let kept = traces.iter().filter(|kept| **kept).count();
        assert!((200..300).contains(&kept), "{kept}");
        assert!(!Sample::new(0.0).lets(None) && !Sample::new(0.0).lets(Some("a")));
    }

    proptest! {
        #[test]
        fn a_pattern_made_of_a_name_matches_it(name in "[a-z]{0,12}", cuts in proptest::collection::vec(0_usize..12, 0..3)) {
            let mut pattern = name.clone();
            for cut in cuts {
                let at = cut.min(pattern.len());
                pattern.insert(at, '*');
            }
            prop_assert!(Pattern(pattern).matches(&name));
        }
    }
}
