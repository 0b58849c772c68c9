//! What the system knows of this process, read from `/proc` at each scrape and at no other time.

use std::{fs, time::SystemTime};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// The metrics of the process; those that the system does not tell are left out.
#[derive(Debug)]
pub(super) struct Process {
    started: f64,
}

impl Process {
    pub(super) fn new() -> Self {
        let started = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started: started.as_secs_f64(),
        }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let started = "When the process started, in seconds since 1970.";
        gauge(
            &mut encoder,
            "process_start_time",
            started,
            Some(&Unit::Seconds),
            self.started,
        )?;
        if let Some(bytes) = read("status").and_then(|status| resident(&status)) {
            gauge(
                &mut encoder,
                "process_resident_memory",
                "Memory that is resident.",
                Some(&Unit::Bytes),
                bytes,
            )?;
        }
        if let Some(files) = fs::read_dir("/proc/self/fd")
            .ok()
            .and_then(|files| u32::try_from(files.count()).ok())
        {
            gauge(
                &mut encoder,
                "process_open_fds",
                "Files and sockets that are open.",
                None,
                f64::from(files),
            )?;
        }
        if let Some(seconds) = read("stat").and_then(|stat| on_cpu(&stat)) {
            let cpu = ConstCounter::new(seconds);
            let help = "Processor time of all threads, in user and system.";
            cpu.encode(encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), cpu.metric_type())?)?;
        }
        Ok(())
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: f64,
) -> Result<(), std::fmt::Error> {
    let gauge = ConstGauge::new(value);
    gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
}

/// A file about this process.
fn read(name: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/self/{name}")).ok()
}

/// Bytes, of the line `VmRSS:  406 kB`.
fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u32 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(f64::from(kibibytes) * 1024.0)
}

/// Seconds: fields 14 and 15, counted behind the name, which may hold anything.
fn on_cpu(stat: &str) -> Option<f64> {
    let (_, behind) = stat.rsplit_once(") ")?;
    let mut ticks = behind.split(' ').skip(11).map(str::parse::<u32>);
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

/// What Linux counts processor time in, on every architecture that we build for.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::super::{Exposition, Metrics};
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(resident("VmPeak:\t    9 kB\nVmRSS:\t     406 kB\n"), Some(415_744.0));
        assert_eq!(resident("VmPeak:\t    9 kB\n"), None);
    }

    #[test]
    fn processor_time_is_user_and_system_whatever_the_program_is_called() {
        let stat = "7 (a ) R 9) S 1 7 7 0 -1 4194304 104 0 0 0 250 50 0 0 20 0 1 0 156825";
        assert_eq!(on_cpu(stat), Some(3.0));
    }

    #[test]
    fn this_process_has_all_of_them() {
        let text = Metrics::with_process().encode(Exposition::Prometheus);
        for name in [
            "start_time_seconds",
            "resident_memory_bytes",
            "open_fds",
            "cpu_seconds_total",
        ] {
            let sample = format!("\nsidecar_process_{name} ");
            assert!(text.contains(&sample), "{name} in {text}");
        }
    }
}
