//! The process as the system sees it, under the names that Prometheus' clients have for it.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// What `/proc` says of this process at one moment.
#[derive(Debug)]
pub(super) struct Process {
    /// Seconds of CPU, in the program and in the system for it.
    cpu: f64,
    /// Bytes in memory.
    resident: u64,
    files: u64,
    /// Seconds since 1970.
    started: f64,
}

impl Process {
    /// Looks; `None` without a `/proc` as Linux has it.
    pub(super) fn look() -> Option<Process> {
        /// What the kernel counts time in for programs (`USER_HZ`), on all architectures there are.
        const TICKS: f64 = 100.0;
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name before it is in parentheses and may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let boot = std::fs::read_to_string("/proc/stat").ok()?;
        let boot: f64 = boot
            .lines()
            .find_map(|line| line.strip_prefix("btime "))?
            .trim()
            .parse()
            .ok()?;
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let resident: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?
            .trim()
            .trim_end_matches("kB")
            .trim()
            .parse()
            .ok()?;
        Some(Process {
            cpu: (field(14)? + field(15)?) / TICKS,
            resident: resident * 1024,
            files: std::fs::read_dir("/proc/self/fd").ok()?.count() as u64,
            started: boot + field(22)? / TICKS,
        })
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        encoder
            .encode_descriptor(
                "process_cpu_seconds",
                "CPU time of the process",
                None,
                MetricType::Counter,
            )?
            .encode_counter::<NoLabelSet, _, f64>(&self.cpu, None)?;
        let mut gauge = |name: &str, help: &str, value: f64| {
            encoder
                .encode_descriptor(name, help, None, MetricType::Gauge)?
                .encode_gauge(&value)
        };
        gauge(
            "process_resident_memory_bytes",
            "Memory of the process",
            self.resident as f64,
        )?;
        gauge("process_open_fds", "Open files of the process", self.files as f64)?;
        gauge(
            "process_start_time_seconds",
            "When the process started, since 1970",
            self.started,
        )
    }
}
