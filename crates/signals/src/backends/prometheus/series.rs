//! The series that metric lines add up to.
//!
//! The one rule: there are never more than the configuration allows, and what no line touches any more goes.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The series of one backend; shared by those who write to it and those who show it.
#[derive(Debug, Default)]
pub(crate) struct Series {
    families: Mutex<Families>,
}

#[derive(Debug, Default)]
struct Families {
    by_name: BTreeMap<String, Family>,
    /// Series in all of them, and what they take in memory, about.
    count: usize,
    bytes: usize,
    expire_after: Duration,
    most: usize,
}

/// All series of one name.
#[derive(Debug)]
struct Family {
    kind: Kind,
    unit: Option<String>,
    members: BTreeMap<Labels, Member>,
}

#[derive(Debug)]
struct Member {
    value: f64,
    touched: Instant,
    bytes: usize,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The last one counts.
    Gauge,
    /// They are added up, where they are no sums already.
    Counter,
}

/// What all series of a backend take in memory, at most.
const MOST_BYTES: usize = 8 << 20;

pub(super) type Labels = BTreeMap<String, String>;

/// What one line measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) unit: Option<String>,
    pub(super) labels: Labels,
    pub(super) value: f64,
    /// A counter's value is not what is to be added, but the sum so far.
    pub(super) is_sum: bool,
}

/// Why a sample is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// There is no room for another series.
    Full,
    /// The name is that of a counter already, or that of a gauge.
    OtherKind,
}

impl Series {
    /// Sets what may be kept.
    pub(super) fn limit(&self, most: usize, expire_after: Duration) {
        let mut families = self.lock();
        families.most = most;
        families.expire_after = expire_after;
    }

    /// Takes samples in; says which of them were left out, and why.
    pub(super) fn take(&self, samples: impl IntoIterator<Item = Sample>) -> Vec<Option<Left>> {
        let mut families = self.lock();
        families.expire();
        samples.into_iter().map(|sample| families.take(sample).err()).collect()
    }

    /// Everything in the text format of Prometheus, version 0.0.4.
    pub(super) fn text(&self) -> String {
        let mut families = self.lock();
        families.expire();
        let mut text = String::new();
        for (name, family) in &families.by_name {
            // Writing to a string does not fail.
            let _ = family.write(name, &mut text);
        }
        text
    }

    /// Everything, one by one: the labels, the name among them, and the value.
    pub(super) fn all(&self) -> Vec<(Labels, f64)> {
        let mut families = self.lock();
        families.expire();
        let mut all = Vec::with_capacity(families.count);
        for (name, family) in &families.by_name {
            for (labels, member) in &family.members {
                let mut labels = labels.clone();
                labels.insert("__name__".to_owned(), name.clone());
                all.push((labels, member.value));
            }
        }
        all
    }

    fn lock(&self) -> MutexGuard<'_, Families> {
        // Every change leaves it whole.
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Families {
    fn take(&mut self, sample: Sample) -> Result<(), Left> {
        let touched = Instant::now();
        let bytes = sample.size();
        let is_full = self.count >= self.most || self.bytes + bytes > MOST_BYTES;
        let Some(family) = self.by_name.get_mut(&sample.name) else {
            if is_full {
                return Err(Left::Full);
            }
            let value = sample.value;
            let member = Member { value, touched, bytes };
            let family = Family {
                kind: sample.kind,
                unit: sample.unit,
                members: BTreeMap::from([(sample.labels, member)]),
            };
            self.by_name.insert(sample.name, family);
            self.count += 1;
            self.bytes += bytes;
            return Ok(());
        };
        if family.kind != sample.kind {
            return Err(Left::OtherKind);
        }
        if let Some(member) = family.members.get_mut(&sample.labels) {
            member.touched = touched;
            match sample.kind {
                Kind::Counter if !sample.is_sum => member.value += sample.value,
                Kind::Counter | Kind::Gauge => member.value = sample.value,
            }
            return Ok(());
        }
        if is_full {
            return Err(Left::Full);
        }
        let value = sample.value;
        family.members.insert(sample.labels, Member { value, touched, bytes });
        self.count += 1;
        self.bytes += bytes;
        Ok(())
    }

    fn expire(&mut self) {
        let (now, after) = (Instant::now(), self.expire_after);
        if after.is_zero() {
            return;
        }
        let (mut count, mut bytes) = (0, 0);
        self.by_name.retain(|_, family| {
            family.members.retain(|_, member| now - member.touched < after);
            count += family.members.len();
            bytes += family.members.values().map(|member| member.bytes).sum::<usize>();
            !family.members.is_empty()
        });
        (self.count, self.bytes) = (count, bytes);
    }
}

impl Sample {
    fn size(&self) -> usize {
        let labels = self.labels.iter().map(|(name, value)| name.len() + value.len() + LABEL);
        labels.sum::<usize>() + self.name.len() + self.unit.as_ref().map_or(0, String::len) + size_of::<Member>()
    }
}

/// What a label takes beside its two texts.
const LABEL: usize = 2 * size_of::<String>();

impl Family {
    fn write(&self, name: &str, text: &mut String) -> std::fmt::Result {
        if let Some(unit) = &self.unit {
            let unit = unit.replace('\\', r"\\").replace('\n', r"\n");
            writeln!(text, "# HELP {name} Unit: {unit}")?;
        }
        let kind = match self.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        writeln!(text, "# TYPE {name} {kind}")?;
        for (labels, member) in &self.members {
            text.push_str(name);
            for (index, (label, value)) in labels.iter().enumerate() {
                let value = value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
                write!(text, "{}{label}=\"{value}\"", if index == 0 { '{' } else { ',' })?;
            }
            if !labels.is_empty() {
                text.push('}');
            }
            writeln!(text, " {}", member.value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn series(most: usize) -> Series {
        let series = Series::default();
        series.limit(most, 5 * MINUTE);
        series
    }

    fn sample(name: &str, kind: Kind, label: &str, value: f64) -> Sample {
        Sample {
            name: name.into(),
            kind,
            unit: (kind == Kind::Gauge).then(|| "ms".into()),
            labels: BTreeMap::from([("l".into(), label.into())]),
            value,
            is_sum: false,
        }
    }

    #[test]
    fn a_gauge_has_the_last_value_and_a_counter_the_sum_unless_it_came_as_one() {
        let series = series(10);
        let odd = "a\"b\\c\nd";
        let sum = |label, value| Sample {
            is_sum: true,
            ..sample("c_total", Kind::Counter, label, value)
        };
        series.take([
            sample("g", Kind::Gauge, odd, 1.0),
            sample("g", Kind::Gauge, odd, -2.5),
            sample("c_total", Kind::Counter, "x", 1.0),
            sample("c_total", Kind::Counter, "x", 2.0),
            sum("y", 5.0),
            sum("y", 7.0),
        ]);
        let wanted = "# TYPE c_total counter\nc_total{l=\"x\"} 3\nc_total{l=\"y\"} 7\n# HELP g Unit: ms\n# TYPE g gauge\n\
            g{l=\"a\\\"b\\\\c\\nd\"} -2.5\n";
        assert_eq!(series.text(), wanted);
    }

    #[test]
    fn what_would_be_one_too_many_is_left_out_and_the_rest_goes_on() {
        let series = series(2);
        let left = series.take([
            sample("a", Kind::Gauge, "1", 1.0),
            sample("a", Kind::Gauge, "2", 1.0),
            sample("a", Kind::Gauge, "3", 1.0),
            sample("b", Kind::Gauge, "1", 1.0),
            sample("a", Kind::Gauge, "1", 2.0),
            sample("a", Kind::Counter, "1", 2.0),
        ]);
        assert_eq!(
            left,
            [
                None,
                None,
                Some(Left::Full),
                Some(Left::Full),
                None,
                Some(Left::OtherKind)
            ]
        );
        assert_eq!(series.all().len(), 2);
    }

    #[test]
    fn series_with_long_labels_take_no_more_than_their_bytes() {
        let series = series(1000);
        let long = "x".repeat(60_000);
        let left = series.take((0..200).map(|index| sample("a", Kind::Gauge, &format!("{index}{long}"), 1.0)));
        assert!(left[0].is_none() && left[199] == Some(Left::Full), "{left:?}");
        assert_eq!(
            series.take([sample("a", Kind::Gauge, &format!("0{long}"), 2.0)]),
            [None]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_line_touches_any_more_goes_and_makes_room() {
        let series = series(2);
        series.take([sample("a", Kind::Gauge, "1", 1.0), sample("b", Kind::Gauge, "1", 1.0)]);
        tokio::time::advance(4 * MINUTE).await;
        series.take([sample("b", Kind::Gauge, "1", 2.0)]);
        tokio::time::advance(2 * MINUTE).await;
        assert_eq!(series.take([sample("c", Kind::Gauge, "1", 3.0)]), [None]);
        let names: Vec<String> = series
            .all()
            .into_iter()
            .map(|(labels, _)| labels["__name__"].clone())
            .collect();
        assert_eq!(names, ["b", "c"]);
    }
}
