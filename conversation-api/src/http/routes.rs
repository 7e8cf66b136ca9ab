//! What is where.

use std::path::Path;

use actix_web::web::{self, QueryConfig, ServiceConfig, post, resource};
use actix_web::{Route, guard};

use super::error::Refusal;
use super::{
    broadcasting, conversations, listing, login, media, messages, page, sending, status, user,
    webhook,
};

/// All endpoints, and the inbox from the folder `page`.
pub fn routes(page: &Path, config: &mut ServiceConfig) {
    let malformed = |_, _: &_| Refusal::Malformed.into();
    config.app_data(QueryConfig::default().error_handler(malformed));
    only_get(config, "/", || get().to(status::root));
    only_get(config, "/up", || get().to(status::up));
    only_get(config, "/ready", || get().to(status::ready));
    only_post(config, "/api/auth/login", || post().to(login::login));
    only_post(config, "/api/auth/logout", || post().to(login::logout));
    only_get(config, "/api/user", || get().to(user::show));
    only_get(config, "/api/users", || get().to(user::list));
    only_get(config, "/api/departments", || get().to(user::departments));
    only_get(config, "/api/conversations", || get().to(listing::list));
    only_get(config, "/api/conversations/{id}", || {
        get().to(conversations::show)
    });
    only_get(config, "/api/conversations/{id}/messages", || {
        get().to(messages::list)
    });
    only_post(config, "/api/conversations/{id}/assign", || {
        post().to(conversations::assign)
    });
    only_post(config, "/api/conversations/{id}/take", || {
        post().to(conversations::take)
    });
    only_post(config, "/api/conversations/{id}/resolve", || {
        post().to(conversations::resolve)
    });
    only_post(config, "/api/conversations/{id}/reopen", || {
        post().to(conversations::reopen)
    });
    only_post(config, "/api/conversations/{id}/move", || {
        post().to(conversations::r#move)
    });
    only_post(config, "/api/conversations/{id}/read", || {
        post().to(conversations::read)
    });
    only_post(config, "/api/messages/send", || post().to(sending::send));
    only_get(config, "/api/templates", || get().to(sending::templates));
    only_post(config, "/api/messages/{id}/retry", || {
        post().to(sending::retry)
    });
    only_get(config, "/api/messages/{id}/media", || get().to(media::show));
    only_get(config, "/api/messages/{id}", || get().to(messages::show));
    config.service(
        resource("/api/webhooks/whatsapp")
            .route(get().to(webhook::verify))
            .route(post().to(webhook::receive))
            .default_service(web::to(async || method_not_allowed("GET, HEAD, POST"))),
    );
    only_post(config, "/broadcasting/auth", || {
        post().to(broadcasting::channel)
    });
    only_post(config, "/broadcasting/user-auth", || {
        post().to(broadcasting::user)
    });
    only_get(config, "/broadcasting/config", || {
        get().to(broadcasting::config)
    });
    page::routes(page, config);
    config.default_service(web::to(async || Err::<&str, _>(Refusal::NotFound)));
}

/// GET, and HEAD, which is answered as GET without the body.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn only_get(config: &mut ServiceConfig, path: &str, route: impl Fn() -> Route) {
    config.service(
        resource(path)
            .route(route())
            .default_service(web::to(async || method_not_allowed("GET, HEAD"))),
    );
}

fn only_post(config: &mut ServiceConfig, path: &str, route: impl Fn() -> Route) {
    config.service(
        resource(path)
            .route(route())
            .default_service(web::to(async || method_not_allowed("POST"))),
    );
}

fn method_not_allowed(allowed: &'static str) -> Result<&'static str, Refusal> {
    Err(Refusal::MethodNotAllowed(allowed))
}
