//! Medians and percentiles.

/// The middle one; of an even number the mean of the two in the middle. 0 of none.
pub fn median(figures: &[f64]) -> f64 {
    let sorted = sorted(figures);
    let middle = sorted.len() / 2;
    match sorted[..] {
        [] => 0.0,
        _ if sorted.len() % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The figure that `percent` of all stay within. 0 of none.
pub fn percentile(figures: &[f64], percent: usize) -> f64 {
    let sorted = sorted(figures);
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "a bench counts less than a float can")]
pub fn float(count: u64) -> f64 {
    count as f64
}

fn sorted(figures: &[f64]) -> Vec<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(figures: &[f64]) -> String {
        figures.iter().map(f64::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_median_is_the_middle() {
        let medians = [median(&[]), median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0])];
        assert_eq!(shown(&medians), "0 2 2.5");
    }

    #[test]
    fn a_percentile_is_one_of_the_figures() {
        let figures: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(shown(&[50, 99].map(|percent| percentile(&figures, percent))), "100 198");
        assert_eq!(shown(&[percentile(&[7.0], 1), percentile(&[], 50)]), "7 0");
    }
}
