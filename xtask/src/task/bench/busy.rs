//! Whether the machine is quiet enough to measure on.

use std::fs;
use std::thread::available_parallelism;

use anyhow::{Context as _, Result};

/// The share of all cores that other processes may use while a program is measured.
const OTHERS: f64 = 0.25;

/// How far the ratios of the rounds may lie apart, as a share of their median.
pub(super) const SPREAD: f64 = 0.35;

/// The load before anything was started.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Load {
    /// Processes that ran or waited for a core, on average over the last minute.
    pub(super) average: f64,
    pub(super) cores: f64,
}

impl Load {
    /// # Errors
    /// When the kernel does not say.
    pub(super) fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/loadavg").context("could not read the load average")?;
        let average = text.split(' ').next().and_then(|number| number.parse().ok());
        let cores = u32::try_from(available_parallelism()?.get()).context("the cores cannot be counted")?;
        Ok(Self { average: average.context("the load average is no number")?, cores: f64::from(cores) })
    }

    /// Why nothing measured now is worth a verdict.
    pub(super) fn too_busy(&self) -> Option<String> {
        let busy = self.average > self.cores;
        busy.then(|| format!("the load average was {:.1} on {} cores before the start", self.average, self.cores))
    }

    /// Why what was measured while other processes used `cores` cores is worth no verdict.
    pub(super) fn disturbed(&self, cores: f64) -> Option<String> {
        let disturbed = cores > OTHERS * self.cores;
        disturbed.then(|| format!("other processes used {cores:.1} of {} cores", self.cores))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_too_busy_when_more_wants_to_run_than_it_has_cores() {
        assert_eq!(Load { average: 2.0, cores: 2.0 }.too_busy(), None);
        let reason = Load { average: 2.3, cores: 2.0 }.too_busy().unwrap();
        assert_eq!(reason, "the load average was 2.3 on 2 cores before the start");
    }

    #[test]
    fn a_quarter_of_the_cores_may_be_used_by_others() {
        let load = Load { average: 0.0, cores: 4.0 };
        assert_eq!(load.disturbed(1.0), None);
        assert_eq!(load.disturbed(1.1).unwrap(), "other processes used 1.1 of 4 cores");
    }
}
