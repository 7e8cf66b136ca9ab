//! `GET /api/conversations`.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use serde::Deserialize;
use serde_json::json;

use super::authenticated::Authenticated;
use super::conversations::number;
use super::error::Refusal;
use super::input::Input;
use crate::store::Store;
use crate::store::listing::{Filter, Listing, Place, Status};

/// Characters of a search.
const LONGEST_SEARCH: usize = 100;
/// Characters of a place in the list.
const LONGEST_PLACE: usize = 50;

/// Which conversations, and which page of them.
#[derive(Debug, Deserialize)]
pub(super) struct Fields {
    filter: Option<String>,
    status: Option<String>,
    unread: Option<String>,
    department_id: Option<String>,
    search: Option<String>,
    before: Option<String>,
    page: Option<String>,
    per_page: Option<String>,
}

/// The conversations that the user may read, the one with the newest message first.
pub(super) async fn list(
    who: Authenticated,
    fields: Query<Fields>,
    store: Data<Store>,
) -> Result<HttpResponse, Refusal> {
    let fields = fields.into_inner();
    let page = number(fields.page.as_deref(), 1, 1_000_000);
    let per_page = number(fields.per_page.as_deref(), 20, 100);
    let mut listing = Listing {
        limit: per_page,
        ..fields.listing()?
    };
    let page = listing.before.is_none().then_some(page);
    listing.offset = page.map_or(0, |page| (page - 1) * per_page);
    let listed = store.list(&who.user, &listing).await?;
    Ok(HttpResponse::Ok().json(json!({
        "data": listed.conversations,
        "meta": {
            "current_page": page,
            "last_page": pages(listed.total, per_page),
            "per_page": per_page,
            "total": listed.total,
            "next_before": listed.next_before.map(written),
            "counts": listed.counts,
        },
    })))
}

impl Fields {
    /// What is asked for, but for the page.
    fn listing(self) -> Result<Listing, Refusal> {
        let mut input = Input::of([
            ("filter", self.filter),
            ("status", self.status),
            ("unread", self.unread),
            ("department_id", self.department_id),
            ("search", self.search),
            ("before", self.before),
        ]);
        let filter = match input.optional_text("filter", 20).as_deref() {
            None | Some("all") => Filter::All,
            Some("mine") => Filter::Mine,
            Some("unassigned") => Filter::Unassigned,
            Some(_) => {
                input.unknown("filter");
                Filter::All
            }
        };
        let status = match input.optional_text("status", 20).as_deref() {
            None | Some("all") => None,
            Some("open") => Some(Status::Open),
            Some("closed") => Some(Status::Closed),
            Some(_) => {
                input.unknown("status");
                None
            }
        };
        let before = input.optional_text("before", LONGEST_PLACE);
        let place = before.as_deref().and_then(place);
        if before.is_some() && place.is_none() {
            input.unknown("before");
        }
        let listing = Listing {
            filter,
            status,
            unread: input.flag("unread"),
            department_id: input.optional_id("department_id"),
            search: input.optional_text("search", LONGEST_SEARCH),
            before: place,
            ..Listing::default()
        };
        input.check()?;
        Ok(listing)
    }
}

/// A place as clients get it, to hand it back.
fn written(place: Place) -> String {
    format!("{}.{}", place.last_message_at, place.id)
}

/// Reads what [`written`] has made.
fn place(text: &str) -> Option<Place> {
    let (last_message_at, id) = text.split_once('.')?;
    Some(Place {
        last_message_at: last_message_at.parse().ok()?,
        id: id.parse().ok()?,
    })
}

/// How many pages that is; at least one.
fn pages(total: i64, per_page: i64) -> i64 {
    ((total + per_page - 1) / per_page).max(1)
}
