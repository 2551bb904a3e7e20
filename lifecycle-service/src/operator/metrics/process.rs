//! What this process uses.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// CPU time and memory of this process, from Linux' /proc; elsewhere they are not there.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let read = |name| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        if let Some(seconds) = cpu_seconds(&read("stat")) {
            let counter = ConstCounter::new(seconds);
            let help = "User and system CPU time";
            let (name, unit) = ("process_cpu", Unit::Seconds);
            counter.encode(encoder.encode_descriptor(name, help, Some(&unit), counter.metric_type())?)?;
        }
        if let Some(bytes) = resident_bytes(&read("status")) {
            let gauge = ConstGauge::new(bytes);
            let (name, help, unit) = ("process_resident_memory", "Resident memory", Unit::Bytes);
            gauge.encode(encoder.encode_descriptor(name, help, Some(&unit), gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// Fields 14 and 15 of proc_pid_stat(5): user and system time in ticks. Programs see 100 ticks a second on every
/// machine that this is built for, whatever the kernel's own rate.
fn cpu_seconds(stat: &str) -> Option<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    // The second field, a name in parentheses, may have spaces and parentheses in it.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

/// The line `VmRSS` of proc_pid_status(5), which is in KiB.
fn resident_bytes(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<i64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_measured() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 250 75 0 0 20 0 4 0 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(3.25));
        assert_eq!(resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
        assert_eq!((cpu_seconds("nonsense"), resident_bytes("")), (None, None));
        let text = crate::operator::metrics::Metrics::new().text().unwrap();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse::<f64>().ok())
                .unwrap_or_else(|| panic!("no {name} in {text}"))
        };
        assert!(value("process_cpu_seconds_total ") >= 0.0);
        assert!(value("process_resident_memory_bytes ") > 1e6);
    }
}
