//! Who takes what is found.

use std::ops::ControlFlow;

use super::finding::Finding;

/// Takes what is found as it is found, and says whether to go on.
pub trait Observer {
    /// Something was found.
    fn found(&mut self, finding: Finding) -> ControlFlow<()>;

    /// Whether to go on with what takes long.
    fn goes_on(&mut self) -> ControlFlow<()>;

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
