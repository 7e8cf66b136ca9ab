//! The tokens that hold now. Others may take their place while the listener runs.

use tokio::sync::watch;

use super::tokens::{Token, Tokens};
use super::who::Who;

/// The tokens that hold now.
#[derive(Debug, Default)]
pub struct Keyring(watch::Sender<Tokens>);

impl Keyring {
    /// With these tokens.
    pub fn new(tokens: Tokens) -> Self {
        Self(watch::Sender::new(tokens))
    }

    /// From now on these tokens hold, and no others. Returns whether they are others than before.
    pub fn replace(&self, tokens: Tokens) -> bool {
        self.0.send_if_modified(|known| {
            let differ = *known != tokens;
            if differ {
                *known = tokens;
            }
            differ
        })
    }

    /// Those that hold now. They are not to be kept.
    pub fn tokens(&self) -> watch::Ref<'_, Tokens> {
        self.0.borrow()
    }

    /// Whether somebody who was let in would be let in now.
    pub(super) fn lets_in(&self, who: &Who) -> bool {
        holds(&self.0.borrow(), who.token.as_ref())
    }

    /// Waits until somebody who was let in would not be let in any more.
    pub(super) fn withdrawn(&self, who: &Who) -> impl Future<Output = ()> + use<> {
        let mut tokens = self.0.subscribe();
        let token = who.token.clone();
        async move {
            let is_out = |tokens: &Tokens| !holds(tokens, token.as_ref());
            if tokens.wait_for(is_out).await.is_err() {
                // Nobody changes them any more.
                std::future::pending::<()>().await;
            }
        }
    }
}

fn holds(tokens: &Tokens, token: Option<&Token>) -> bool {
    match token {
        Some(token) => tokens.iter().any(|known| known == token),
        None => tokens.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::super::tokens::Role;
    use super::*;

    fn token(name: &str, text: &str) -> Token {
        Token::new(Role::Read, name, text).unwrap()
    }

    fn who(token: Option<Token>) -> Who {
        Who {
            token,
            role: Role::Read,
            address: None,
        }
    }

    #[test]
    fn whose_token_is_replaced_is_let_in_no_more() {
        let (one, other) = (token("a", &"a".repeat(20)), token("b", &"b".repeat(20)));
        let keyring = Keyring::new(vec![one.clone()].into());
        let (ada, nobody) = (who(Some(one.clone())), who(None));
        let withdrawn = keyring.withdrawn(&ada);
        tokio::pin!(withdrawn);
        assert!(keyring.lets_in(&ada) && !keyring.lets_in(&nobody));
        assert!(!keyring.replace(vec![one.clone()].into()), "the same");
        assert!(keyring.replace(vec![one, other.clone()].into()));
        assert!(withdrawn.as_mut().now_or_never().is_none());
        assert!(keyring.replace(vec![other, token("a", &"c".repeat(20))].into()));
        assert!(
            withdrawn.now_or_never().is_some(),
            "of the same name, but another"
        );
        assert!(!keyring.lets_in(&ada));
        assert!(keyring.replace(Tokens::default()));
        assert!(!keyring.lets_in(&ada) && keyring.lets_in(&nobody));
    }
}
