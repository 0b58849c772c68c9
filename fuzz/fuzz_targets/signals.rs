//! Any bytes, torn anywhere, are lines that agree with a reader of trees, or have their one reason.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use signals::ingest::{Piece, Splitter};
use wire::signal::{LONGEST_LINE, Line, Record, Wrong};

fuzz_target!(|data: &[u8]| {
    let (cut, stream) = data.split_first().unwrap_or((&0, &[]));
    let whole = pieces([stream]);
    assert_eq!(pieces(stream.chunks(usize::from(*cut) + 1)), whole, "it does not matter where it is torn");
    for piece in whole.into_iter().flatten() {
        line(&piece);
    }
});

/// `None` for a line that is too long.
fn pieces<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Option<Vec<u8>>> {
    let (mut splitter, mut all) = (Splitter::default(), Vec::new());
    let mut note = |piece: Piece<'_>| {
        all.push(match piece {
            Piece::Line(line) => Some(line.to_vec()),
            Piece::TooLong => None,
        });
    };
    for chunk in chunks {
        splitter.split(chunk, &mut note);
    }
    splitter.end(&mut note);
    all
}

/// What must hold of a line.
fn line(bytes: &[u8]) {
    assert!(bytes.len() <= LONGEST_LINE && !bytes.contains(&b'\n'));
    let tree = serde_json::from_slice::<Value>(bytes).ok().filter(Value::is_object);
    match Line::read(bytes) {
        Ok(Line::Data(record)) => {
            // A tree is more particular: it wants every text in it to be one, and every number to be finite.
            if let Some(tree) = tree {
                data(&record, &tree);
            }
        }
        Ok(Line::Control(control)) => {
            let _ = control.greeting();
        }
        Err(Wrong::TooLong) => panic!("the splitter lets none through"),
        Err(Wrong::NotJson) => assert!(tree.is_none(), "an object is a line"),
        Err(Wrong::MissingSource | Wrong::MissingTime | Wrong::MissingType) => {}
    }
}

fn data(record: &Record<'_>, tree: &Value) {
    assert_eq!(tree["src"].as_str(), Some(&*record.source));
    assert_eq!(tree["type"].as_str(), Some(&*record.kind));
    assert_eq!(tree["ts"].as_f64(), Some(record.time));
    let text = |key: &str| tree[key].as_str().filter(|text| !text.is_empty());
    assert_eq!(
        [text("tid"), text("sid"), text("pid")],
        [record.trace.as_deref(), record.span.as_deref(), record.parent.as_deref()]
    );
    let inside = record.data();
    if tree["data"].is_object() {
        let text = |key: &str| tree["data"][key].as_str().filter(|text| !text.is_empty());
        assert_eq!([text("level"), text("name")], [inside.level.as_deref(), inside.name.as_deref()]);
    }
}
