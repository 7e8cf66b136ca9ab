//! `POST /broadcasting/auth` and `/broadcasting/user-auth`: what Laravel Echo asks before a
//! subscription or a sign-in.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use publisher::{Authorizer, Channel as WireChannel, Member, SocketId, User as RelayUser};
use serde::Serialize;
use serde_json::json;

use super::authenticated::Authenticated;
use super::error::Refusal;
use super::input::Input;
use crate::auth::sessions::Sessions;
use crate::channels::{self, Channel, may_watch_department};
use crate::people::{Role, User};
use crate::store::{Store, StoreError};

/// Signs for the relay's clients, if the relay's app is known.
#[derive(Clone, Debug)]
pub struct Signing(Option<App>);

/// The relay's app.
#[derive(Clone, Debug)]
struct App {
    key: String,
    authorizer: Authorizer,
}

/// What others see of a user.
#[derive(Serialize)]
struct UserInfo<'u> {
    name: &'u str,
    role: Role,
}

/// Lets the user's connection subscribe to a channel, if the user may listen to it.
pub(super) async fn channel(
    request: HttpRequest,
    who: Authenticated,
    body: Payload,
    signing: Data<Signing>,
    (store, sessions): (Data<Store>, Data<Sessions>),
) -> Result<HttpResponse, Refusal> {
    let mut input = Input::read(&request, body).await?;
    let socket_id = socket_id(&mut input);
    let name = input.text("channel_name", 200);
    input.check()?;
    let channel = Channel::parse(&name).ok_or(Refusal::Forbidden)?;
    let user = current(&sessions, &who).await?;
    if !may_listen(&store, &user, channel).await? {
        return Err(Refusal::Forbidden);
    }
    let authorizer = signing.authorizer()?;
    let socket_id = socket_id.ok_or(Refusal::Forbidden)?;
    // The name as it was sent: it is what the relay checks the signature with.
    let wire = WireChannel::named(&name);
    // The connection is the user's by every subscription, so that the relay can end it when
    // something is taken away from the user. It need not sign in by itself.
    let member = Member::new(user.id).sign_in();
    let auth = match channel {
        Channel::ConversationPresence(_) => {
            let member = member.info(&info(&user));
            member.and_then(|member| authorizer.presence(&socket_id, &wire, &member))
        }
        Channel::User(_) | Channel::Conversation(_) | Channel::Department(_) => {
            authorizer.private_as(&socket_id, &wire, &member)
        }
    };
    Ok(HttpResponse::Ok().json(auth.map_err(|_| Refusal::Forbidden)?))
}

/// Signs the user's connection in to the relay.
pub(super) async fn user(
    request: HttpRequest,
    who: Authenticated,
    body: Payload,
    signing: Data<Signing>,
    sessions: Data<Sessions>,
) -> Result<HttpResponse, Refusal> {
    let mut input = Input::read(&request, body).await?;
    let socket_id = socket_id(&mut input);
    input.check()?;
    let authorizer = signing.authorizer()?;
    let socket_id = socket_id.ok_or(Refusal::Forbidden)?;
    let user = current(&sessions, &who).await?;
    let user = RelayUser::new(user.id).info(&info(&user));
    let auth = user.and_then(|user| authorizer.user(&socket_id, &user));
    Ok(HttpResponse::Ok().json(auth.map_err(|_| Refusal::Forbidden)?))
}

/// What a page needs to know to connect to the relay: `{"broadcaster": "pusher", "key": …}`.
pub(super) async fn config(signing: Data<Signing>) -> Result<HttpResponse, Refusal> {
    let key = &signing.app()?.key;
    Ok(HttpResponse::Ok().json(json!({"broadcaster": "pusher", "key": key})))
}

impl Signing {
    /// With the keys of this app.
    pub fn new(relay: Option<&publisher::Config>) -> Self {
        Self(relay.map(|relay| App {
            key: relay.key_pair().key().into(),
            authorizer: relay.authorizer(),
        }))
    }

    fn app(&self) -> Result<&App, Refusal> {
        self.0.as_ref().ok_or(Refusal::NotSetUp(
            "Broadcasting is not set up: PUSHER_APP_KEY is not set.",
        ))
    }

    fn authorizer(&self) -> Result<&Authorizer, Refusal> {
        Ok(&self.app()?.authorizer)
    }
}

/// The user as of now. What is remembered of a token would give back what was just taken away.
async fn current(sessions: &Sessions, who: &Authenticated) -> Result<User, Refusal> {
    let user = sessions.user_now(&who.token).await?;
    user.ok_or(Refusal::Unauthenticated)
}

/// Whether `user` may listen to `channel`. What does not exist nobody may listen to.
async fn may_listen(store: &Store, user: &User, channel: Channel) -> Result<bool, StoreError> {
    Ok(match channel {
        Channel::User(id) => user.id == id,
        Channel::Conversation(id) | Channel::ConversationPresence(id) => {
            let ownership = store.ownership(id).await?;
            ownership.is_some_and(|ownership| channels::may_listen(user, ownership))
        }
        Channel::Department(id) => {
            may_watch_department(user, id) && store.department_exists(id).await?
        }
    })
}

/// The socket id, which must be there; `None` once something has been found wrong with it.
fn socket_id(input: &mut Input) -> Option<SocketId> {
    let text = input.text("socket_id", 100);
    let id = SocketId::parse(&text).ok();
    if id.is_none() && !text.is_empty() {
        input.unknown("socket_id");
    }
    id
}

fn info(user: &User) -> UserInfo<'_> {
    UserInfo {
        name: &user.name,
        role: user.role,
    }
}
