//! Files, each line as it was received.
//!
//! The one rule: a batch that fails leaves nothing behind. What of it had been written is cut off again, so that trying once
//! more writes no line twice and none in part.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, IoSlice, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use flate2::{Compression as Level, write::GzEncoder};
use tokio::task::spawn_blocking;

use super::{
    Capacity, Failure, Refusal, Sink,
    template::{self, Template},
};
use crate::{
    batch::Batch,
    config::{self, Compression, Fsync},
};

/// Writes lines into files.
#[derive(Debug)]
pub(super) struct Files {
    shelf: Arc<Mutex<Shelf>>,
}

/// The files that are open.
#[derive(Debug)]
struct Shelf {
    template: Template,
    folder: PathBuf,
    rotate_bytes: Option<u64>,
    compression: Compression,
    fsync: Fsync,
    open: HashMap<PathBuf, Open>,
    uses: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
    /// When it was used last, in batches.
    used: u64,
}

/// Files that are kept open.
const OPEN: usize = 128;
/// Lines that are written together, in bytes.
const BATCH: usize = 4 << 20;

impl Files {
    pub(super) fn new(config: &config::File, folder: &Path) -> Result<Self, String> {
        let template = match (&config.path, config.rotate_daily) {
            (Some(path), _) => path.clone(),
            (None, true) => format!("{}/{{source}}-{{date}}.jsonl", escaped(&config.base_path)?),
            (None, false) => format!("{}/{{source}}.jsonl", escaped(&config.base_path)?),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a size in bytes, above 0"
        )]
        let rotate_bytes = config.rotate_size_mb.map(|size| (size * 1024.0 * 1024.0) as u64);
        let shelf = Shelf {
            template: template
                .parse()
                .map_err(|error: template::BadTemplate| error.to_string())?,
            folder: folder.to_owned(),
            rotate_bytes,
            compression: config.compression,
            fsync: config.fsync,
            open: HashMap::new(),
            uses: 0,
        };
        Ok(Self {
            shelf: Arc::new(Mutex::new(shelf)),
        })
    }
}

/// A folder's name where braces would mean something.
fn escaped(folder: &Path) -> Result<&str, String> {
    let text = folder.to_str().ok_or("the folder's name is not Unicode")?;
    if text.contains('{') {
        return Err(format!("`{text}` has a brace in it: write `path`, with its places"));
    }
    Ok(text)
}

#[async_trait]
impl Sink for Files {
    fn capacity(&self) -> Capacity {
        Capacity {
            lines: usize::MAX,
            bytes: BATCH,
        }
    }

    async fn deliver(&mut self, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        let (files, lines) = (Arc::clone(&self.shelf), batch.clone());
        let write = move || files.lock().unwrap_or_else(PoisonError::into_inner).write(&lines);
        let away = |why: String| Failure::Away { why, after: None };
        match spawn_blocking(write).await {
            Ok(Ok(())) => Ok(Vec::new()),
            Ok(Err(error)) => Err(away(error)),
            Err(error) => Err(away(error.to_string())),
        }
    }
}

impl Shelf {
    /// Writes all of a batch, or nothing.
    fn write(&mut self, batch: &Batch) -> Result<(), String> {
        self.uses += 1;
        let mut by_path: BTreeMap<String, Vec<IoSlice<'_>>> = BTreeMap::new();
        for parcel in batch.parcels() {
            if !self.template.asks_for_type() {
                let path = self.template.fill(&parcel.source, "", parcel.received);
                by_path.entry(path).or_default().push(IoSlice::new(&parcel.text));
                continue;
            }
            let mut rest = parcel.text.as_slice();
            while let Some(end) = memchr::memchr(b'\n', rest) {
                let (line, more) = rest.split_at(end + 1);
                let path = self
                    .template
                    .fill(&parcel.source, &template::kind(&line[..end]), parcel.received);
                by_path.entry(path).or_default().push(IoSlice::new(line));
                rest = more;
            }
        }
        let mut written: Vec<(PathBuf, u64)> = Vec::new();
        for (path, mut slices) in by_path {
            let path = self.folder.join(path);
            let done = self.append(&path, &mut slices, &mut written);
            if let Err(error) = done {
                let why = format!("cannot write {}: {error}", path.display());
                self.undo(&written);
                return Err(why);
            }
        }
        self.let_go();
        Ok(())
    }

    fn append(&mut self, path: &Path, slices: &mut [IoSlice<'_>], written: &mut Vec<(PathBuf, u64)>) -> io::Result<()> {
        let size: u64 = slices.iter().map(|slice| slice.len() as u64).sum();
        if let Some(most) = self.rotate_bytes
            && let bytes = self.open(path)?.bytes
            && bytes > 0
            && bytes + size > most
        {
            self.rotate(path)?;
        }
        let fsync = self.fsync;
        let open = self.open(path)?;
        written.push((path.to_owned(), open.bytes));
        write_all(&open.file, slices)?;
        open.bytes += size;
        if fsync == Fsync::Batch {
            open.file.sync_data()?;
        }
        Ok(())
    }

    /// The file, opened where it is not; one that was moved away meanwhile is made anew.
    fn open(&mut self, path: &Path) -> io::Result<&mut Open> {
        let is_there = self.open.contains_key(path) && path.exists();
        if !is_there {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = File::options().create(true).append(true).open(path)?;
            let mut bytes = file.metadata()?.len();
            if ends_within_a_line(path, bytes) {
                file.write_all(b"\n")?;
                bytes += 1;
            }
            self.open.insert(path.to_owned(), Open { file, bytes, used: 0 });
        }
        let open = self.open.get_mut(path).expect("it was just put there");
        open.used = self.uses;
        Ok(open)
    }

    /// Renames a full file to the first free number, and compresses it where that is asked for.
    fn rotate(&mut self, path: &Path) -> io::Result<()> {
        self.open.remove(path);
        let numbered = |number: u32| -> PathBuf {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy()));
            path.with_file_name(format!("{stem}.{number}{}", ending.unwrap_or_default()))
        };
        let compressed = |full: &Path| -> PathBuf {
            let mut name = full.as_os_str().to_owned();
            name.push(".gz");
            name.into()
        };
        let free = |number: &u32| {
            let full = numbered(*number);
            !full.exists() && !compressed(&full).exists()
        };
        let number = (1..=u32::MAX)
            .find(free)
            .ok_or_else(|| io::Error::other("no free number is left"))?;
        let full = numbered(number);
        fs::rename(path, &full)?;
        if self.compression == Compression::Gzip {
            // A file that cannot be compressed stays as it is.
            let packed = compressed(&full);
            let unfinished = packed.with_extension("gz.tmp");
            let mut gzip = GzEncoder::new(File::create(&unfinished)?, Level::default());
            let done = io::copy(&mut File::open(&full)?, &mut gzip).and_then(|_| gzip.finish()?.sync_all());
            match done.and_then(|()| fs::rename(&unfinished, &packed)) {
                Ok(()) => fs::remove_file(&full)?,
                Err(error) => {
                    tracing::warn!(file = %full.display(), %error, "a file cannot be compressed, it stays as it is");
                    let _ = fs::remove_file(&unfinished);
                }
            }
        }
        Ok(())
    }

    /// Cuts off what of a failed batch had been written.
    fn undo(&mut self, written: &[(PathBuf, u64)]) {
        for (path, bytes) in written {
            if let Some(open) = self.open.get_mut(path) {
                if let Err(error) = open.file.set_len(*bytes) {
                    tracing::error!(file = %path.display(), %error, "what was written in part cannot be cut off again");
                }
                open.bytes = *bytes;
            }
        }
        // Whatever is wrong with them, they are opened anew.
        self.open.clear();
    }

    /// Closes what has not been used for longest.
    fn let_go(&mut self) {
        while self.open.len() > OPEN {
            let oldest = self.open.iter().min_by_key(|(_, open)| open.used);
            let Some(path) = oldest.map(|(path, _)| path.clone()) else {
                return;
            };
            self.open.remove(&path);
        }
    }
}

/// Whether a process was killed while it wrote there: the half of a line is to harm no other.
fn ends_within_a_line(path: &Path, bytes: u64) -> bool {
    let Some(last) = bytes.checked_sub(1) else { return false };
    let mut byte = [b'\n'];
    // What cannot be read is left as it is.
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut byte, last));
    read.is_ok() && byte != [b'\n']
}

fn write_all(mut file: &File, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match file.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut slices, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::testing::batch;

    fn files(folder: &Path, config: serde_json::Value) -> Shelf {
        let config: config::File = serde_json::from_value(config).unwrap();
        let files = Files::new(&config, folder).unwrap();
        Arc::try_unwrap(files.shelf).unwrap().into_inner().unwrap()
    }

    fn read(path: impl AsRef<Path>) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn each_source_and_type_has_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(folder.path(), serde_json::json!({ "path": "x/{source}/{type}.log" }));
        let event = r#"{"src":"a","ts":1,"type":"event"}"#;
        let metric = r#"{"src":"a","ts":1,"type":"metric"}"#;
        files.write(&batch("a", &[event, metric, event])).unwrap();
        assert_eq!(read(folder.path().join("x/a/event.log")), format!("{event}\n{event}\n"));
        assert_eq!(read(folder.path().join("x/a/metric.log")), format!("{metric}\n"));
    }

    #[test]
    fn a_full_file_is_numbered_and_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let size = 10.0 / 1024.0 / 1024.0;
        let config = serde_json::json!({ "path": "a.jsonl", "rotate_size_mb": size, "compression": "gzip" });
        let mut files = files(folder.path(), config);
        for line in ["11111", "22222", "33333"] {
            files.write(&batch("a", &[line])).unwrap();
        }
        assert_eq!(read(folder.path().join("a.jsonl")), "33333\n");
        let unpacked = |number: u32| {
            let file = File::open(folder.path().join(format!("a.{number}.jsonl.gz"))).unwrap();
            io::read_to_string(flate2::read::GzDecoder::new(file)).unwrap()
        };
        assert_eq!((unpacked(1), unpacked(2)), ("11111\n".to_owned(), "22222\n".to_owned()));
    }

    #[test]
    fn a_batch_that_fails_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(folder.path(), serde_json::json!({ "path": "{type}.log" }));
        let of = |kind: &str| format!(r#"{{"src":"a","ts":1,"type":"{kind}"}}"#);
        files.write(&batch("a", &[&of("a")])).unwrap();
        fs::create_dir(folder.path().join("b.log")).unwrap();
        let both = batch("a", &[&of("a"), &of("b")]);
        let why = files.write(&both).unwrap_err();
        assert!(why.contains("b.log"), "{why}");
        assert_eq!(read(folder.path().join("a.log")), format!("{}\n", of("a")));
        fs::remove_dir(folder.path().join("b.log")).unwrap();
        files.write(&both).unwrap();
        assert_eq!(read(folder.path().join("a.log")).lines().count(), 2);
    }

    #[test]
    fn the_half_of_a_line_that_a_killed_process_left_harms_no_other() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.log"), "1\nhal").unwrap();
        let mut files = files(folder.path(), serde_json::json!({ "path": "a.log" }));
        files.write(&batch("a", &["2"])).unwrap();
        assert_eq!(read(folder.path().join("a.log")), "1\nhal\n2\n");
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(folder.path(), serde_json::json!({ "path": "a.log" }));
        files.write(&batch("a", &["1"])).unwrap();
        fs::rename(folder.path().join("a.log"), folder.path().join("b.log")).unwrap();
        files.write(&batch("a", &["2"])).unwrap();
        assert_eq!(read(folder.path().join("a.log")), "2\n");
    }
}
