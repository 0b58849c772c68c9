//! Data points as `metric` lines. Pure.
//!
//! A number is one line. A histogram is several, named as Prometheus names them: `.._count`, `.._sum`, `.._min`, `.._max`,
//! and a `.._bucket` for each bound, with the tag `le` and the count of all values up to it. A summary has a line for each
//! quantile, with the tag `quantile`.

use std::borrow::Cow;

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::KeyValue,
    metrics::v1::{
        AggregationTemporality, DataPointFlags, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint,
        SummaryDataPoint, metric, number_data_point,
    },
};
use serde_json::{Map, Number, Value};

use super::origin::{Each, Origin, add, attributes, double, scope, time};
use crate::ingest::Draft;

/// Gives each data point's lines to `each`; `now` is the time of points that have none.
pub(super) fn lines(request: ExportMetricsServiceRequest, now: &Number, each: Each<'_>) {
    for resource in request.resource_metrics {
        let origin = Origin::new(resource.resource);
        for scoped in resource.scope_metrics {
            let scope = scope(scoped.scope);
            for metric in scoped.metrics {
                let series = Series {
                    origin: &origin,
                    scope: &scope,
                    name: &metric.name,
                    unit: metric.unit,
                    now,
                };
                match metric.data {
                    None => {}
                    Some(metric::Data::Gauge(gauge)) => {
                        for point in gauge.data_points {
                            give(each, series.number(point, "gauge", None));
                        }
                    }
                    Some(metric::Data::Sum(sum)) => {
                        let kind = if sum.is_monotonic { "counter" } else { "sum" };
                        for point in sum.data_points {
                            give(each, series.number(point, kind, Some(sum.aggregation_temporality)));
                        }
                    }
                    Some(metric::Data::Histogram(histogram)) => {
                        for point in histogram.data_points {
                            give(each, series.histogram(point, histogram.aggregation_temporality));
                        }
                    }
                    Some(metric::Data::ExponentialHistogram(histogram)) => {
                        for point in histogram.data_points {
                            give(each, series.exponential(point, histogram.aggregation_temporality));
                        }
                    }
                    Some(metric::Data::Summary(summary)) => {
                        for point in summary.data_points {
                            give(each, series.summary(point));
                        }
                    }
                }
            }
        }
    }
}

/// Has the lines of a data point made, or tells why there are none.
fn give<'a>(each: Each<'_>, lines: Result<impl Iterator<Item = Draft<'a>>, &'static str>) {
    match lines {
        Ok(mut lines) => each(Ok(&mut lines)),
        Err(why) => each(Err(why)),
    }
}

/// One metric of one program.
struct Series<'a> {
    origin: &'a Origin,
    scope: &'a str,
    name: &'a str,
    unit: String,
    now: &'a Number,
}

/// What the lines of one data point share.
struct Point {
    time: Number,
    tags: Map<String, Value>,
    kind: &'static str,
    temporality: Option<i32>,
}

/// What one line of a data point says: the end of its name, its value, and a tag of its own.
type Reading = (&'static str, Value, Option<(&'static str, f64)>);

/// A value that JSON has no number for.
const NOT_FINITE: &str = "a value is not a finite number";
const BUCKETS: &str = "a histogram has not one more bucket than bounds";

impl<'a> Series<'a> {
    fn number(
        &self,
        point: NumberDataPoint,
        kind: &'static str,
        temporality: Option<i32>,
    ) -> Result<impl Iterator<Item = Draft<'a>>, &'static str> {
        let value = match point.value {
            _ if is_absent(point.flags) => None,
            None => return Err("a data point has no value"),
            Some(number_data_point::Value::AsInt(number)) => Some(number.into()),
            Some(number_data_point::Value::AsDouble(number)) => Some(finite(number)?),
        };
        let own = self.point(point.time_unix_nano, point.attributes, kind, temporality);
        let readings = value.map(|value| ("", value, None));
        Ok(self.lines(own, readings.into_iter()))
    }

    fn histogram(
        &self,
        point: HistogramDataPoint,
        temporality: i32,
    ) -> Result<impl Iterator<Item = Draft<'a>>, &'static str> {
        let (counts, bounds) = (point.bucket_counts, point.explicit_bounds);
        if !counts.is_empty() && counts.len() != bounds.len() + 1 {
            return Err(BUCKETS);
        }
        let totals = totals(point.count, [point.sum, point.min, point.max])?;
        let buckets = bounds.into_iter().chain([f64::INFINITY]).zip(counts);
        let readings = totals.into_iter().chain(cumulated(buckets));
        let shown = !is_absent(point.flags);
        let own = self.point(point.time_unix_nano, point.attributes, "histogram", Some(temporality));
        Ok(self.lines(own, readings.filter(move |_| shown)))
    }

    /// Buckets that hold nothing are left out, as there may be very many.
    fn exponential(
        &self,
        point: ExponentialHistogramDataPoint,
        temporality: i32,
    ) -> Result<impl Iterator<Item = Draft<'a>>, &'static str> {
        let totals = totals(point.count, [point.sum, point.min, point.max])?;
        let (scale, count) = (point.scale, point.count);
        // The bound of a bucket away from zero.
        let bound = move |index: i64| 2_f64.powf(exponent(index, scale));
        let (negative, positive) = (point.negative.unwrap_or_default(), point.positive.unwrap_or_default());
        let below = negative.bucket_counts.into_iter().enumerate().rev();
        let below = below.map(move |(at, count)| (-bound(i64::from(negative.offset) + place(at)), count));
        let above = positive.bucket_counts.into_iter().enumerate();
        let above = above.map(move |(at, count)| (bound(i64::from(positive.offset) + place(at) + 1), count));
        let buckets = below.chain([(point.zero_threshold, point.zero_count)]).chain(above);
        let buckets = buckets.filter(|(bound, count)| *count > 0 && bound.is_finite());
        let all = ("_bucket", Value::from(count), Some(("le", f64::INFINITY)));
        let readings = totals.into_iter().chain(cumulated(buckets)).chain([all]);
        let shown = !is_absent(point.flags);
        let own = self.point(point.time_unix_nano, point.attributes, "histogram", Some(temporality));
        Ok(self.lines(own, readings.filter(move |_| shown)))
    }

    fn summary(&self, point: SummaryDataPoint) -> Result<impl Iterator<Item = Draft<'a>>, &'static str> {
        let totals = totals(point.count, [Some(point.sum), None, None])?;
        let quantiles = point.quantile_values.into_iter().filter_map(|at| {
            // Where nothing was observed there is no such value.
            let value = finite(at.value).ok()?;
            Some(("", value, Some(("quantile", at.quantile))))
        });
        let shown = !is_absent(point.flags);
        let own = self.point(point.time_unix_nano, point.attributes, "summary", None);
        Ok(self.lines(own, totals.into_iter().chain(quantiles).filter(move |_| shown)))
    }

    fn point(
        &self,
        nanoseconds: u64,
        attributes: Vec<KeyValue>,
        kind: &'static str,
        temporality: Option<i32>,
    ) -> Point {
        Point {
            time: time(nanoseconds).unwrap_or_else(|| self.now.clone()),
            tags: self::attributes(attributes),
            kind,
            temporality,
        }
    }

    fn lines(&self, point: Point, readings: impl Iterator<Item = Reading>) -> impl Iterator<Item = Draft<'a>> {
        readings.map(move |(suffix, value, tag)| self.line(suffix, value, &point, tag))
    }

    fn line(&self, suffix: &str, value: Value, point: &Point, tag: Option<(&str, f64)>) -> Draft<'a> {
        let mut data = Map::new();
        data.insert("name".to_owned(), format!("{}{suffix}", self.name).into());
        data.insert("value".to_owned(), value);
        let has_unit = !matches!(suffix, "_count" | "_bucket");
        add(
            &mut data,
            "unit",
            if has_unit { self.unit.clone() } else { String::new() },
        );
        add(&mut data, "kind", point.kind.to_owned());
        let temporality = point
            .temporality
            .and_then(|number| AggregationTemporality::try_from(number).ok());
        let temporality = match temporality {
            Some(AggregationTemporality::Delta) => "delta",
            Some(AggregationTemporality::Cumulative) => "cumulative",
            Some(AggregationTemporality::Unspecified) | None => "",
        };
        add(&mut data, "temporality", temporality.to_owned());
        let mut tags = point.tags.clone();
        if let Some((key, number)) = tag {
            let text = match double(number) {
                Value::String(text) if text == "Infinity" => "+Inf".to_owned(),
                other => other.to_string(),
            };
            tags.insert(key.to_owned(), text.into());
        }
        if !tags.is_empty() {
            data.insert("tags".to_owned(), tags.into());
        }
        Draft {
            resource: Cow::Borrowed(&self.origin.resource),
            scope: self.scope,
            ..Draft::new(&self.origin.source, point.time.clone(), "metric", data)
        }
    }
}

/// The count; the sum, the least and the most where they are known.
fn totals(count: u64, [sum, min, max]: [Option<f64>; 3]) -> Result<Vec<Reading>, &'static str> {
    let mut readings = vec![("_count", count.into(), None)];
    for (suffix, value) in [("_sum", sum), ("_min", min), ("_max", max)] {
        if let Some(value) = value {
            readings.push((suffix, finite(value)?, None));
        }
    }
    Ok(readings)
}

/// Buckets, each with all that were below.
fn cumulated(buckets: impl Iterator<Item = (f64, u64)>) -> impl Iterator<Item = Reading> {
    let mut sum = 0_u64;
    buckets.map(move |(bound, count)| {
        sum = sum.saturating_add(count);
        ("_bucket", sum.into(), Some(("le", bound)))
    })
}

fn finite(number: f64) -> Result<Value, &'static str> {
    Number::from_f64(number).map(Value::Number).ok_or(NOT_FINITE)
}

/// The sender says that there is no value.
fn is_absent(flags: u32) -> bool {
    flags & DataPointFlags::NoRecordedValueMask as u32 != 0
}

fn place(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}

/// `index` steps of 2^-`scale`, as an exponent of 2.
#[expect(
    clippy::cast_precision_loss,
    reason = "indices that are no exact numbers are beyond all values"
)]
fn exponent(index: i64, scale: i32) -> f64 {
    index as f64 * 2_f64.powi(-scale.clamp(-1000, 1000))
}
