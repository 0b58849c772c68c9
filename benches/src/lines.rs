//! The signal lines that go through.

/// Bytes of a line, its end counted.
pub const LENGTH: usize = 200;

/// An event of a source, as long as every other one; `number` stands in it.
pub fn event(source: &str, number: u64) -> String {
    let head = format!(
        r#"{{"v":1,"src":"{source}","ts":1697821234567,"type":"event","tid":"4bf92f3577b34da6a3ce929d0e0e4736","data":{{"level":"info","msg":"job {number:010} is done","ctx":{{"job":"{number}","fill":""#
    );
    let tail = "\"}}}\n";
    let fill = LENGTH.saturating_sub(head.len() + tail.len());
    format!("{head}{}{tail}", "x".repeat(fill))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_objects_of_one_length() {
        for number in [0, 7, 12_345_678] {
            let line = event("bench", number);
            assert_eq!(line.len(), LENGTH);
            serde_json::from_str::<serde_json::Value>(&line).unwrap();
        }
    }
}
