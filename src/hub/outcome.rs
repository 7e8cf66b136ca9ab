//! Answers that may have to be fetched.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::authority::Unavailable;

/// What an authority knows: at hand, or still to be fetched.
pub enum Answer<T> {
    /// It is at hand.
    Now(T),
    /// It is being fetched.
    Later(Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send>>),
}

impl<T> Answer<T> {
    /// One that is fetched.
    pub fn later(fetch: impl Future<Output = Result<T, Unavailable>> + Send + 'static) -> Self {
        Self::Later(Box::pin(fetch))
    }

    /// Waits for it.
    pub async fn get(self) -> Result<T, Unavailable> {
        match self {
            Self::Now(answer) => Ok(answer),
            Self::Later(fetch) => fetch.await,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(answer) => f.debug_tuple("Now").field(answer).finish(),
            Self::Later(_) => f.debug_tuple("Later").finish_non_exhaustive(),
        }
    }
}
