//! The console: a page, and the modules and the style sheet that it is made of. They are part of the binary, and nothing is
//! loaded from elsewhere.

use std::sync::LazyLock;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH,
};
use actix_web::{HttpResponse, HttpResponseBuilder};
use sha2::{Digest as _, Sha256};

use super::refusal::Refusal;

/// The page runs what this listener serves, asks nobody else, and stands in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Under this name the page is kept.
const PAGE: &str = "index.html";

struct File {
    name: &'static str,
    text: &'static str,
}

macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$( File { name: $name, text: include_str!($name) } ),*] };
}

/// All that there is.
static FILES: &[File] = files![
    "index.html",
    "console.css",
    "main.mjs",
    "api.mjs",
    "dom.mjs",
    "format.mjs",
    "icons.mjs",
    "charts.mjs",
    "list.mjs",
    "dialog.mjs",
    "picker.mjs",
    "stream.mjs",
    "lines.mjs",
    "overview.mjs",
    "events.mjs",
    "channels.mjs",
    "connections.mjs",
    "trace.mjs",
    "sender.mjs",
    "settings.mjs",
    "snippets.mjs",
    "appform.mjs",
    "appactions.mjs",
    "fields.mjs",
    "webhookfields.mjs",
    "webhooks.mjs",
    "doctor.mjs",
];

/// Of each file, what tells it from that of another version.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let tag = |file: &File| {
        let hash = Sha256::digest(file.text);
        let hash: String = hash[..12]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("\"{hash}\"")
    };
    FILES.iter().map(tag).collect()
});

impl File {
    fn content_type(&self) -> &'static str {
        match self.name.rsplit_once('.') {
            Some((_, "html")) => "text/html; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            _ => "text/javascript; charset=utf-8",
        }
    }
}

/// The page itself.
pub(super) fn page(headers: &HeaderMap) -> Result<HttpResponse, Refusal> {
    file(PAGE, headers)
}

/// One of its files; a browser that has it already is sent nothing.
pub(super) fn file(name: &str, headers: &HeaderMap) -> Result<HttpResponse, Refusal> {
    let found = FILES.iter().zip(&*TAGS).find(|(file, _)| file.name == name);
    let (file, tag) =
        found.ok_or_else(|| Refusal::NotFound(format!("the console has no file {name:?}")))?;
    let known = headers.get_all(IF_NONE_MATCH);
    let mut known = known.filter_map(|value| value.to_str().ok());
    if known.any(|tags| tags.split(',').any(|known| known.trim() == tag)) {
        return Ok(begin(&mut HttpResponse::NotModified(), tag).finish());
    }
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, file.content_type()));
    Ok(begin(&mut response, tag).body(file.text))
}

fn begin<'r>(response: &'r mut HttpResponseBuilder, tag: &str) -> &'r mut HttpResponseBuilder {
    response
        .insert_header((ETAG, tag))
        // Asked for again each time, so that a relay that was replaced has no old page.
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// What is not listed above is not served, and nobody would notice before they open the page.
    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/console");
        let names = std::fs::read_dir(folder).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let there: BTreeSet<String> = names
            .filter(|name| !name.ends_with(".rs") && !name.ends_with(".json"))
            .collect();
        let served: BTreeSet<String> = FILES.iter().map(|file| file.name.to_owned()).collect();
        assert_eq!(there, served);
    }

    #[test]
    fn whoever_has_a_file_already_is_sent_nothing() {
        let response = page(&HeaderMap::new()).unwrap();
        assert_eq!(response.status(), 200);
        let tag = response.headers().get(ETAG).unwrap().clone();
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, tag);
        assert_eq!(page(&headers).unwrap().status(), 304);
        assert!(matches!(
            file("../mod.rs", &headers),
            Err(Refusal::NotFound(_))
        ));
    }
}
