//! Who takes what is found.

use std::ops::ControlFlow;
use std::time::Duration;

use super::finding::Finding;

/// Takes what is found as it is found, and says whether to go on.
pub trait Observer {
    /// Something was found.
    fn found(&mut self, finding: Finding) -> ControlFlow<()>;

    /// Whether to go on with what takes long.
    fn goes_on(&mut self) -> ControlFlow<()>;

    /// What is still to be looked at if nothing wrong keeps it from that: the ids of findings, in their order.
    fn planned(&mut self, _ids: Vec<&'static str>) {}

    /// What is looked at next takes so long, as was asked for.
    fn takes(&mut self, _time: Duration) {}

    /// Several things were found.
    fn all(&mut self, findings: Vec<Finding>) -> ControlFlow<()> {
        findings
            .into_iter()
            .try_for_each(|finding| self.found(finding))
    }
}

/// Keeps all of it.
impl Observer for Vec<Finding> {
    fn found(&mut self, finding: Finding) -> ControlFlow<()> {
        self.push(finding);
        ControlFlow::Continue(())
    }

    fn goes_on(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
