//! The inbox: a folder of files that were built beforehand.

use std::path::{Path, PathBuf};

use actix_files::Files;
use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, web};

/// Where the page is served.
const MOUNT: &str = "/inbox";
/// Where it is built.
const BUILT: &str = "conversation-api/web/dist";

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
        config
            .service(redirect)
            .service(Files::new(MOUNT, folder).index_file("index.html"));
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
