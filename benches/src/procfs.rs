//! What the system knows of a process: memory, processor time.

use std::{fs, time::Duration};

use anyhow::{Context, ensure};

/// Resident memory at this moment, in KiB.
pub fn resident(pid: u32) -> anyhow::Result<u64> {
    status(pid, "VmRSS:")
}

/// The most resident memory since the process began, or since [`reset_peak`], in KiB.
pub fn peak(pid: u32) -> anyhow::Result<u64> {
    status(pid, "VmHWM:")
}

/// Lets this process's [`peak`] begin at what is resident now.
pub fn reset_peak() -> anyhow::Result<()> {
    fs::write("/proc/self/clear_refs", "5").context("cannot reset the peak of resident memory")
}

/// A process and all that it has started, and they in turn.
pub fn tree(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut looked = 0;
    while looked < all.len() {
        let threads = fs::read_dir(format!("/proc/{}/task", all[looked]));
        for thread in threads.into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            all.extend(
                children
                    .split_ascii_whitespace()
                    .filter_map(|child| child.parse::<u32>().ok()),
            );
        }
        looked += 1;
    }
    all
}

/// The processor time that all threads of a process have taken, ended ones too, in steps of 10 ms.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    // The name, in brackets, may hold anything; user and system time are fields 14 and 15, counted from 1.
    let (_, fields) = stat.rsplit_once(')').with_context(|| format!("no name in {path}"))?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let mut ticks = || -> anyhow::Result<u64> { Ok(times.next().context("a time is missing")?.parse()?) };
    Ok(Duration::from_millis((ticks()? + ticks()?) * 10))
}

/// The processor time that the threads which live now have taken, to the nanosecond.
pub fn cpu_of_threads(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/task");
    let mut total = 0;
    for thread in fs::read_dir(&path).with_context(|| format!("cannot list {path}"))? {
        let schedstat = thread?.path().join("schedstat");
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(&schedstat) else {
            continue;
        };
        let taken = text.split_ascii_whitespace().next().context("an empty schedstat")?;
        total += taken.parse::<u64>()?;
    }
    ensure!(total > 0, "this kernel does not say what threads take: no schedstat");
    Ok(Duration::from_nanos(total))
}

/// How long this thread has been ready to run while others ran.
pub fn thread_waited() -> anyhow::Result<Duration> {
    let path = "/proc/thread-self/schedstat";
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let waited = text.split_ascii_whitespace().nth(1).context("an empty schedstat")?;
    Ok(Duration::from_nanos(waited.parse()?))
}

fn status(pid: u32, field: &str) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
    let kib = kib.with_context(|| format!("no {field} in {path}"))?;
    Ok(kib.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use std::process;

    use super::*;

    #[test]
    fn a_process_knows_its_memory_and_its_time() {
        let me = process::id();
        let before = cpu_of_threads(me).unwrap();
        let held = vec![1_u8; 32 << 20];
        let resident = resident(me).unwrap();
        assert!(resident > 32 << 10, "{} bytes are held", held.len());
        assert!(peak(me).unwrap() >= resident);
        assert!(cpu_of_threads(me).unwrap() > before);
        assert_eq!(tree(me), [me]);
        assert!(cpu(me).is_ok() && thread_waited().is_ok());
    }
}
