//! The Python runtime that the binary carries, so that a handler needs no installation.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

macro_rules! carried {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../sdks/python/src/outrigger/", $name)))),*]
    };
}

/// The package's files.
const FILES: &[(&str, &str)] = carried![
    "__init__.py",
    "__main__.py",
    "calls.py",
    "connection.py",
    "context.py",
    "errors.py",
    "eventloop.py",
    "frames.py",
    "functions.py",
    "jsontext.py",
    "lifeline.py",
    "load.py",
    "py.typed",
    "replies.py",
    "server.py",
    "slots.py",
    "socketfile.py",
    "values.py",
];

/// Writes the package into a folder of this version's own below `parent`, and gives that folder for the path.
///
/// The folder is complete or not there: it is written beside and renamed.
pub fn unpack(parent: &Path) -> io::Result<PathBuf> {
    let folder = parent.join(format!("python-{}-{:08x}", env!("CARGO_PKG_VERSION"), checksum()));
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(parent)?;
    let draft = tempfile::Builder::new().prefix("python-").tempdir_in(parent)?;
    let package = draft.path().join("outrigger");
    fs::create_dir(&package)?;
    for (name, text) in FILES {
        fs::write(package.join(name), text)?;
    }
    match fs::rename(draft.path(), &folder) {
        Ok(()) => {
            let _gone = draft.keep();
            Ok(folder)
        }
        // Another process was first; what it wrote is the same.
        Err(_) if folder.is_dir() => Ok(folder),
        Err(error) => Err(error),
    }
}

/// `PYTHONPATH` with the folder in front of what stood there.
pub fn path(folder: &Path, inherited: Option<&OsStr>) -> OsString {
    let mut path = folder.as_os_str().to_owned();
    if let Some(inherited) = inherited.filter(|inherited| !inherited.is_empty()) {
        path.push(":");
        path.push(inherited);
    }
    path
}

/// FNV-1a over all files: a changed runtime gets a folder of its own.
fn checksum() -> u32 {
    let bytes = FILES.iter().flat_map(|(name, text)| name.bytes().chain(text.bytes()));
    bytes.fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_package_is_carried() {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdks/python/src/outrigger");
        let mut there: Vec<_> = fs::read_dir(source)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "__pycache__")
            .collect();
        there.sort();
        let carried: Vec<_> = FILES.iter().map(|(name, _)| *name).collect();
        assert_eq!(carried, there);
    }

    #[test]
    fn the_package_is_unpacked_once_and_found_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = unpack(parent.path()).unwrap();
        assert!(folder.join("outrigger/__main__.py").is_file());
        assert_eq!(unpack(parent.path()).unwrap(), folder);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}
