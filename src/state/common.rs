//! What the nodes of a cluster keep together: small values that each of them sees, and may lose at any time.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;

/// The nodes' common store cannot be asked, or what it answers cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the nodes of the cluster keep together cannot be reached")]
pub struct OutOfReach;

/// What the store answers.
pub type Answered<T> = BoxFuture<'static, Result<T, OutOfReach>>;

/// A store that all nodes of a cluster have in common. Whoever has access to it sees what is in it.
pub trait Common: fmt::Debug + Send + Sync {
    /// The value of this name, if there is one that is not empty. Whoever can write to the store can put there
    /// what he likes: of a value of more than `longest` bytes this is the beginning, and a little longer than that.
    fn get(&self, name: &str, longest: usize) -> Answered<Option<Vec<u8>>>;

    /// Keeps a value for so long, in place of the one that may be there.
    fn put(&self, name: &str, value: Vec<u8>, lasts: Duration) -> Answered<()>;

    /// Removes a value, if there is one.
    fn remove(&self, name: &str) -> Answered<()>;

    /// Whether the name is this holder's for so long from now, two days at most: it was nobody's, or the same holder's.
    /// Another holder keeps it for as long as he asked for.
    fn lease(&self, name: &str, holder: &str, lasts: Duration) -> Answered<bool>;

    /// For how long a name that was leased is still its holder's; nothing if it is nobody's.
    fn leased_for(&self, name: &str) -> Answered<Duration>;
}
