//! The HTTP API as a whole, asked by somebody who holds the secret: every request is rightly signed, so that what is
//! tried gets past the signature to the paths, queries and bodies.

#![no_main]

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_rt::{System, SystemRunner};
use actix_web::dev::Service;
use actix_web::http::{Method, Uri};
use actix_web::test::{self, TestRequest};
use actix_web::web::Bytes;
use fanfare::fuzzing::{
    Api, ApiSettings, App, Budget, Ceiling, Clients, Gauge, Hub, Local, Metrics, Registry, Relay,
    Requests, Signer, Tap, Webhooks, configure_api, sign,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fn api() -> Api {
    let app = App::new("1", signer());
    let registry = Registry::new(vec![app]).expect("there is only one app");
    let hub = Hub::new(&registry, &Webhooks::none(), Metrics::new(), 10);
    let requests = Requests::default();
    Api {
        requests: requests.of_worker(),
        relay: Arc::new(Relay {
            hub,
            authority: Arc::new(Local),
            tap: Tap::new(),
            requests,
            clients: Clients::default(),
            memory: Ceiling::default(),
            is_outdated: false.into(),
        }),
        bodies: Budget::new(1 << 20, Gauge::default()),
        fallback: None,
        acme: None,
        settings: ApiSettings {
            path_prefix: "/relay".into(),
        },
    }
}

fn signer() -> Signer {
    Signer::new("key", b"secret")
}

type Answer = Pin<Box<dyn Future<Output = (u16, Bytes)>>>;

/// The API, and the runtime that it needs.
struct Server {
    system: SystemRunner,
    ask: Box<dyn Fn(TestRequest) -> Answer>,
}

thread_local! {
    // Never dropped: at the end of the process the runtime's own thread locals may be gone first.
    static SERVER: ManuallyDrop<Server> = ManuallyDrop::new(Server::start());
}

impl Server {
    fn start() -> Server {
        let system = System::new();
        let app = actix_web::App::new().configure(|config| configure_api(config, api()));
        let service = Rc::new(system.block_on(test::init_service(app)));
        let ask = move |request: TestRequest| -> Answer {
            let service = Rc::clone(&service);
            Box::pin(async move {
                let response = service.call(request.to_request()).await;
                let response = response.expect("errors are answers");
                (response.status().as_u16(), test::read_body(response).await)
            })
        };
        Server {
            system,
            ask: Box::new(ask),
        }
    }

    fn ask(&self, request: TestRequest) -> (u16, Bytes) {
        self.system.block_on((self.ask)(request))
    }
}

/// The request that the input stands for: method, path behind the app, parameters and body, each but the last ended by
/// the end of its line.
fn request(input: &str) -> Option<TestRequest> {
    let mut parts = input.splitn(4, '\n');
    let mut next = || parts.next();
    let (method, path, parameters, body) = (next()?, next()?, next()?, next()?);
    let path = format!("/apps/1/{path}");
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_[]".contains(&byte);
    let parameters: Vec<(&str, &str)> = parameters
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.bytes().all(is_plain))
        .collect();
    let now = std::time::UNIX_EPOCH.elapsed().ok()?.as_secs();
    let query = sign(&signer(), method, &path, &parameters, body.as_bytes(), now);
    let uri: Uri = format!("{path}?{query}").parse().ok()?;
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    let request = TestRequest::with_uri(&uri.to_string()).method(method);
    Some(request.set_payload(body.to_owned()))
}

fuzz_target!(|input: &str| {
    let Some(request) = request(input) else {
        return;
    };
    let (status, body) = SERVER.with(|server| server.ask(request));
    // 401: one of the parameters was named like a signature's.
    assert!(
        matches!(status, 200 | 204 | 400 | 401 | 404 | 405 | 413),
        "{status}"
    );
    if status != 204 {
        let answer: Value = serde_json::from_slice(&body).expect("answers are JSON");
        assert_eq!(status != 200, answer["error"].is_string(), "{answer}");
    }
});
