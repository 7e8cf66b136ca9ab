//! `GET /api/messages/{id}/media`: the file of a message.

use actix_files::NamedFile;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, Charset,
    ContentDisposition, DispositionParam, DispositionType, ExtendedValue, HeaderValue,
    TryIntoHeaderValue as _, VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::authenticated::Authenticated;
use super::error::Refusal;
use super::messages::visible_message;
use super::path::Id;
use crate::media::Folder;
use crate::media::contents::{extension, is_shown};
use crate::message::MediaState;
use crate::store::Store;

/// A browser keeps it for a day, for this user.
const CACHE: HeaderValue = HeaderValue::from_static("private, max-age=86400, immutable");
/// What it keeps for one user it does not give another.
const BY_USER: HeaderValue = HeaderValue::from_static("Authorization");
/// Whatever is in it, a browser runs nothing of it.
const POLICY: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// The file, once it is here.
pub(super) async fn show(
    request: HttpRequest,
    who: Authenticated,
    Id(id): Id,
    (store, folder): (Data<Store>, Data<Folder>),
) -> Result<HttpResponse, Refusal> {
    let message = visible_message(&store, &who, id).await?;
    let media = message
        .media
        .filter(|media| media.state == MediaState::Ready);
    let media = media.ok_or(Refusal::NotFound)?;
    let file = NamedFile::open(folder.path(id));
    let file = file.map_err(|error| {
        tracing::error!(message_id = id, %error, "a file that was fetched is not there");
        Refusal::NotFound
    })?;
    let name = media
        .filename
        .unwrap_or_else(|| format!("{id}.{}", extension(&media.mime_type)));
    let disposition = disposition(&name, is_shown(&media.mime_type)).try_into_value();
    let content_type = HeaderValue::from_str(&media.mime_type);
    let (Ok(disposition), Ok(content_type)) = (disposition, content_type) else {
        return Err(Refusal::Internal);
    };
    let mut response = file.into_response(&request);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_DISPOSITION, disposition);
    headers.insert(CACHE_CONTROL, CACHE);
    headers.append(VARY, BY_USER);
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    Ok(response.map_into_boxed_body())
}

fn disposition(name: &str, is_shown: bool) -> ContentDisposition {
    let name = DispositionParam::FilenameExt(ExtendedValue {
        charset: Charset::Ext("UTF-8".into()),
        language_tag: None,
        value: name.as_bytes().to_vec(),
    });
    ContentDisposition {
        disposition: if is_shown {
            DispositionType::Inline
        } else {
            DispositionType::Attachment
        },
        parameters: vec![name],
    }
}
