//! Times and rates as the commands show them.

use std::time::Duration;

use crate::human;

/// A number of milliseconds.
pub fn millis(millis: f64) -> String {
    if millis >= 60_000.0 {
        return human::duration(Duration::try_from_secs_f64(millis / 1000.0).unwrap_or(Duration::MAX));
    }
    match millis.abs() {
        0.0 => "0ms".to_owned(),
        size if size < 0.01 => "<0.01ms".to_owned(),
        size if size < 10.0 => format!("{millis:.2}ms"),
        size if size < 1000.0 => format!("{millis:.1}ms"),
        _ => format!("{:.2}s", millis / 1000.0),
    }
}

/// A rate.
pub fn rate(per_second: f64) -> String {
    if per_second == 0.0 || per_second >= 100.0 {
        format!("{per_second:.0}")
    } else {
        format!("{per_second:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_that_fits_it() {
        for (time, text) in [
            (0.0, "0ms"),
            (0.001, "<0.01ms"),
            (0.25, "0.25ms"),
            (12.345, "12.3ms"),
            (999.0, "999.0ms"),
            (1250.0, "1.25s"),
            (61_000.0, "1m 1s"),
            (-5.0, "-5.00ms"),
            (1e300, "213503982334601d 7h"),
        ] {
            assert_eq!(millis(time), text);
        }
    }
}
