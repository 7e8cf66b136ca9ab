//! Whose token a request carries.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

use super::token::Token;
use crate::clock::Timestamp;
use crate::people::User;
use crate::store::tokens::{CreateToken, PruneTokens, RevokeToken};
use crate::store::{Store, StoreError};

/// How long an answer of the database is believed. A user who is changed there, or a token that
/// another process revoked, is seen after that; a token that this process revokes ends at once.
const BELIEVED_FOR: Duration = Duration::from_secs(5);

/// Tokens that are remembered.
const MOST_REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).expect("it is not zero");

/// Those who are logged in.
#[derive(Clone, Debug)]
pub struct Sessions {
    store: Store,
    lifetime: Duration,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug)]
struct Known {
    by_hash: LruCache<String, Session>,
    /// Counts revocations: a look-up that was under way during one is not remembered.
    revocations: u64,
}

#[derive(Clone, Debug)]
struct Session {
    user: User,
    expires_at: Timestamp,
    looked_up: Instant,
}

impl Sessions {
    /// Tokens that are given out end after `lifetime`.
    pub fn new(store: Store, lifetime: Duration) -> Self {
        let known = Known {
            by_hash: LruCache::new(MOST_REMEMBERED),
            revocations: 0,
        };
        Self {
            store,
            lifetime,
            known: Arc::new(Mutex::new(known)),
        }
    }

    /// Logs a user in.
    pub async fn begin(&self, user_id: i64) -> Result<Token, StoreError> {
        let token = Token::random();
        let expires_at = Timestamp::now().after(self.lifetime);
        let create = CreateToken {
            hash: token.hash(),
            user_id,
            expires_at,
        };
        self.store.write(create).await?;
        Ok(token)
    }

    /// Whose token this is; `None` when it is unknown, revoked or expired.
    pub async fn user(&self, token: &Token) -> Result<Option<User>, StoreError> {
        let hash = token.hash();
        let revocations = {
            let mut known = self.known.lock();
            if let Some(session) = known.by_hash.get(&hash)
                && session.looked_up.elapsed() < BELIEVED_FOR
            {
                let is_valid = Timestamp::now() < session.expires_at;
                return Ok(is_valid.then(|| session.user.clone()));
            }
            known.revocations
        };
        let Some((user, expires_at)) = self.store.token(&hash).await? else {
            self.known.lock().by_hash.pop(&hash);
            return Ok(None);
        };
        let session = Session {
            user: user.clone(),
            expires_at,
            looked_up: Instant::now(),
        };
        let mut known = self.known.lock();
        if known.revocations == revocations {
            known.by_hash.put(hash, session);
        }
        Ok(Some(user))
    }

    /// As [`Sessions::user`], from the database itself: what was just taken away is seen.
    pub async fn user_now(&self, token: &Token) -> Result<Option<User>, StoreError> {
        let found = self.store.token(&token.hash()).await?;
        Ok(found.map(|(user, _)| user))
    }

    /// Logs out: the token is worth nothing from here on.
    pub async fn end(&self, token: &Token) -> Result<(), StoreError> {
        let hash = token.hash();
        let revoke = RevokeToken { hash: hash.clone() };
        self.store.write(revoke).await?;
        let mut known = self.known.lock();
        known.revocations += 1;
        known.by_hash.pop(&hash);
        Ok(())
    }

    /// Forgets the tokens that have ended.
    pub async fn prune(&self) -> Result<(), StoreError> {
        self.store.write(PruneTokens).await
    }
}
