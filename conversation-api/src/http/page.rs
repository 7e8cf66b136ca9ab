//! The inbox: a folder of files that were built beforehand, some of them compressed beforehand, too.

use std::path::{Path, PathBuf};

use actix_files::Files;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType, HeaderMap, HeaderValue, REFERRER_POLICY,
};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, HttpResponse, web};

/// Where the page is served.
const MOUNT: &str = "/inbox";
/// Where it is built.
const BUILT: &str = "conversation-api/web/dist";

/// Where the files are whose names change with their contents.
const HASHED: &str = "/inbox/assets/";

/// What the page may load and do: scripts and styles of its own and none within the page, and in
/// nobody's frame. Pictures come from wherever users have them, and from what was fetched with the
/// token (`blob:`).
///
/// The relay is wherever `config.json` or the build says, which may be another name than that by which
/// this service reaches it: so WebSockets may lead anywhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; \
    img-src 'self' blob: data: https:; media-src 'self' blob:; connect-src 'self' ws: wss:; \
    manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The folder to serve when none is named: the built page below the working directory, or below
/// any folder around the program.
pub fn default_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let around = program.ancestors().skip(1);
    let found = std::iter::once(Path::new("."))
        .chain(around)
        .map(|folder| folder.join(BUILT))
        .find(|folder| folder.is_dir());
    found.unwrap_or_else(|| BUILT.into())
}

/// Serves the folder below `/inbox/`, or explains why there is nothing to serve.
pub(super) fn routes(folder: &Path, config: &mut web::ServiceConfig) {
    if folder.join("index.html").is_file() {
        let redirect = web::redirect(MOUNT, format!("{MOUNT}/"));
        let files = Files::new("/", folder)
            .index_file("index.html")
            .try_compressed();
        let page = web::scope(MOUNT).wrap(from_fn(guarded)).service(files);
        config.service(redirect).service(page);
        return;
    }
    let text = format!(
        "The inbox is not built: there is no index.html in {}. Build it, or name another folder with --web.\n",
        folder.display()
    );
    let missing = move || {
        let text = text.clone();
        async {
            HttpResponse::NotFound()
                .content_type(ContentType::plaintext())
                .body(text)
        }
    };
    config.service(web::resource([MOUNT, "/inbox/{tail:.*}"]).to(missing));
}

/// Adds what browsers are to know of each file.
async fn guarded(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let is_hashed = request.path().starts_with(HASHED);
    let mut response = next.call(request).await?;
    let is_there = !response.status().is_client_error() && !response.status().is_server_error();
    let headers: &mut HeaderMap = response.headers_mut();
    let cached = if is_hashed && is_there {
        "public, max-age=31536000, immutable"
    } else {
        // Kept, and asked about each time.
        "no-cache"
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cached));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}
