//! What a request brings and what it wants, by its media types. Pure.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};

/// Whether the body is JSON, by its own word; one that says nothing is.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return true;
    };
    let text = value.to_str().unwrap_or("?");
    let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.split_once('/') {
        Some(("application", "json")) => true,
        Some((_, sub)) => sub.len() > "+json".len() && sub.ends_with("+json"),
        None => media.is_empty(),
    }
}

/// Whether a stream is wanted as events.
pub(super) fn wants_events(headers: &HeaderMap) -> bool {
    let values = headers
        .get_all(ACCEPT)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    let mut ranges = values.flat_map(|value| value.split(','));
    ranges.any(|range| {
        let media = range.split(';').next().unwrap_or_default().trim();
        media.eq_ignore_ascii_case("text/event-stream")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_taken_under_its_names() {
        let is_json = |media: &str| is_json(&[(CONTENT_TYPE, media.parse().unwrap())].into_iter().collect());
        for media in [
            "application/json",
            "Application/JSON; charset=latin1",
            "application/problem+json",
            "text/x+json",
            "",
        ] {
            assert!(is_json(media), "{media}");
        }
        for media in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/+json",
            "json",
            "application/jsonp",
        ] {
            assert!(!is_json(media), "{media}");
        }
        assert!(super::is_json(&HeaderMap::new()));
    }

    #[test]
    fn events_are_wanted_by_name() {
        let wants = |accept: &str| wants_events(&[(ACCEPT, accept.parse().unwrap())].into_iter().collect());
        assert!(wants("text/event-stream") && wants("application/json, Text/Event-Stream;q=0.9"));
        assert!(!wants("*/*") && !wants("text/*") && !wants_events(&HeaderMap::new()));
    }
}
