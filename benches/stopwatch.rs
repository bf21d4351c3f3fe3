//! Measures wall-clock time and processor time, which other work on the machine affects less.

use std::time::Instant;

/// A measurement.
#[derive(Clone, Copy)]
pub struct Took {
    /// By the clock.
    pub wall_s: f64,
    /// Processor time of this process, of the children that it has waited for, and of the processes named.
    pub cpu_s: f64,
}

/// Starts a measurement; the result measures up to its reading. `others` are processes that work for this one.
pub fn stopwatch(others: &[u32]) -> impl Fn() -> Took + use<> {
    let others = others.to_vec();
    let cpu_s = move || cpu_s("self") + others.iter().map(|pid| cpu_s(&pid.to_string())).sum::<f64>();
    let (started, cpu_before) = (Instant::now(), cpu_s());
    move || Took { wall_s: started.elapsed().as_secs_f64(), cpu_s: cpu_s() - cpu_before }
}

fn cpu_s(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // after the name, which may hold blanks: utime, stime, cutime and cstime are fields 14 to 17, in hundredths
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(4);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Description of the machine.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores", name.trim_start_matches([' ', '\t', ':']))
}
