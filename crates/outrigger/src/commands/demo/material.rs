//! What the demo needs, carried in the binary: the example's handlers, its configuration and its images.

use std::{fs, path::Path};

use anyhow::Context;

macro_rules! carried {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../../examples/digits/", $name)))),*]
    };
}

const FILES: &[(&str, &str)] = carried![
    "outrigger.yaml",
    "normalise.py",
    "classify.py",
    "judge.py",
    "digits.jsonl",
    "corrupt.json",
    "LICENSE-digits.txt",
];

/// One payload a line: the images.
pub const IMAGES: &str = include_str!("../../../../../examples/digits/digits.jsonl");

/// The payload of the image that lost a pixel.
pub const CORRUPT: &str = include_str!("../../../../../examples/digits/corrupt.json");

/// Writes the example into a folder.
pub fn unpack(folder: &Path) -> anyhow::Result<()> {
    for (name, text) in FILES {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
