//! The list of conversations: which of those that a user may read, and how many there are.
//!
//! A page is found in two steps: first the ids, which indexes order, then what is shown of these
//! few. A search looks at names, numbers and the texts of the newest messages.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row as _, query};
use tokio::time::timeout;

use super::conversations::Conversation;
use super::{Database, Store, StoreError};
use crate::channels::Scope;
use crate::people::User;

/// So many of the newest messages of the desk are searched; a search takes no longer with more.
const SEARCHED: i64 = 1_000_000;
/// How long a search may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A search finds so many conversations at most, those with the newest messages.
const FOUND: i64 = 1000;

/// Which conversations are listed.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Whose.
    pub filter: Filter,
    /// Whether they are open or closed; none for both.
    pub status: Option<Status>,
    /// Only those with messages that the user has not read.
    pub unread: bool,
    /// Only those of this department.
    pub department_id: Option<i64>,
    /// Only those with this in the name or number of the contact, or in a message.
    pub search: Option<String>,
    /// Only those below this place.
    pub before: Option<Place>,
    /// How many of those are skipped.
    pub offset: i64,
    /// How many are listed.
    pub limit: i64,
}

/// Where a conversation is in the list. It stays a place when the conversation itself moves up or
/// leaves the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When something was written last, in milliseconds since 1970.
    pub last_message_at: i64,
    /// The conversation's id.
    pub id: i64,
}

/// Whose conversations are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// All that the user may read.
    #[default]
    All,
    /// Those assigned to the user.
    Mine,
    /// Those that nobody has.
    Unassigned,
}

/// Whether a conversation is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is.
    Open,
    /// It is done with.
    Closed,
}

/// A page of the list, and how long the list is.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The conversations, the one with the newest message first.
    pub conversations: Vec<Conversation>,
    /// How many there are on all pages.
    pub total: i64,
    /// The place of the last of them, if there are more below it.
    pub next_before: Option<Place>,
    /// How many the user may read.
    pub counts: Counts,
}

/// Numbers of conversations that a user may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Those assigned to the user.
    pub mine: i64,
    /// Those that nobody has.
    pub unassigned: i64,
    /// All of them.
    pub all: i64,
    /// Those with messages that the user has not read.
    pub unread: i64,
}

impl Store {
    /// A page of the conversations that `user` may read.
    pub async fn list(&self, user: &User, listing: &Listing) -> Result<Listed, StoreError> {
        let counts = self.counts(user, listing.status).await?;
        let (mut places, total) = match &listing.search {
            Some(search) => self.search(user, listing, search).await?,
            None => self.page(user, listing, counts).await?,
        };
        let has_more = places.len() > size(listing.limit);
        places.truncate(size(listing.limit));
        let ids: Vec<_> = places.iter().map(|place| place.id).collect();
        Ok(Listed {
            conversations: self.conversations(user, &ids).await?,
            total,
            next_before: places.last().copied().filter(|_| has_more),
            counts,
        })
    }

    /// Two scans of little: what nobody has written in is not unread, and what somebody has read is
    /// found by their marks.
    async fn counts(&self, user: &User, status: Option<Status>) -> Result<Counts, StoreError> {
        let mut statement = Statement::new(
            "SELECT COUNT(*) AS total,
                COUNT(CASE WHEN c.assigned_to = $1 THEN 1 END) AS mine,
                COUNT(CASE WHEN c.assigned_to IS NULL THEN 1 END) AS unassigned,
                COUNT(CASE WHEN c.last_inbound_id > 0 THEN 1 END) AS inbound
             FROM conversations c WHERE 1 = 1",
            user,
        );
        statement.within(Scope::of(user));
        statement.with_status(status);
        let numbers = self.row(&statement).await?;
        let mut statement = Statement::new(
            "SELECT COUNT(*) AS known FROM read_marks r
             JOIN conversations c ON c.id = r.conversation_id
             WHERE r.user_id = $1 AND c.last_inbound_id > 0
               AND r.last_read_message_id >= c.last_inbound_id",
            user,
        );
        statement.within(Scope::of(user));
        statement.with_status(status);
        let known: i64 = self.row(&statement).await?.try_get("known")?;
        let inbound: i64 = numbers.try_get("inbound")?;
        Ok(Counts {
            mine: numbers.try_get("mine")?,
            unassigned: numbers.try_get("unassigned")?,
            all: numbers.try_get("total")?,
            // Something may have been read between the two.
            unread: (inbound - known).max(0),
        })
    }

    async fn row(&self, statement: &Statement) -> Result<AnyRow, StoreError> {
        let mut reader = self.reader().await?;
        Ok(statement.query().fetch_one(&mut *reader).await?)
    }

    /// The places of a page and of the one that follows it, and how many conversations there are on
    /// all pages.
    async fn page(
        &self,
        user: &User,
        listing: &Listing,
        counts: Counts,
    ) -> Result<(Vec<Place>, i64), StoreError> {
        let total = match listing.filter {
            _ if listing.unread || listing.department_id.is_some() => {
                let mut statement = Statement::new(
                    "SELECT COUNT(*) AS total FROM conversations c
                     LEFT JOIN read_marks r ON r.user_id = $1 AND r.conversation_id = c.id
                     WHERE 1 = 1",
                    user,
                );
                statement.listed(user, listing);
                self.row(&statement).await?.try_get("total")?
            }
            Filter::All => counts.all,
            Filter::Mine => counts.mine,
            Filter::Unassigned => counts.unassigned,
        };
        if listing.offset >= total {
            return Ok((Vec::new(), total));
        }
        let mut statement = Statement::new(
            "SELECT c.id, c.last_message_at FROM conversations c
             LEFT JOIN read_marks r ON r.user_id = $1 AND r.conversation_id = c.id
             WHERE 1 = 1",
            user,
        );
        statement.listed(user, listing);
        if let Some(place) = listing.before {
            statement.below(place);
        }
        statement.newest_first(listing.limit + 1, listing.offset);
        Ok((self.places(statement).await?, total))
    }

    /// As [`Store::page`], of what is found.
    async fn search(
        &self,
        user: &User,
        listing: &Listing,
        search: &str,
    ) -> Result<(Vec<Place>, i64), StoreError> {
        let mut statement = Statement::new(
            "SELECT c.id, c.last_message_at FROM conversations c
             JOIN contacts ct ON ct.id = c.contact_id
             LEFT JOIN read_marks r ON r.user_id = $1 AND r.conversation_id = c.id
             WHERE 1 = 1",
            user,
        );
        statement.listed(user, listing);
        statement.containing(self.database, search);
        statement.newest_first(FOUND, 0);
        let turn = timeout(self.patience, self.searches.acquire()).await;
        let _turn = turn.map_err(|_| StoreError::Busy)?;
        let found = self.within(PATIENCE).places(statement).await?;
        let total = i64::try_from(found.len()).unwrap_or(FOUND);
        let is_below = |place: &Place| listing.before.is_none_or(|before| *place < before);
        let below = found.into_iter().filter(is_below);
        let (skipped, taken) = (size(listing.offset), size(listing.limit) + 1);
        Ok((below.skip(skipped).take(taken).collect(), total))
    }

    async fn places(&self, statement: Statement) -> Result<Vec<Place>, StoreError> {
        let rows = statement
            .query()
            .fetch_all(&mut *self.reader().await?)
            .await?;
        let place = |row: &AnyRow| {
            Ok::<_, sqlx::Error>(Place {
                last_message_at: row.try_get("last_message_at")?,
                id: row.try_get("id")?,
            })
        };
        let places: Result<_, _> = rows.iter().map(place).collect();
        Ok(places?)
    }
}

fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// A statement that is put together of fixed parts, and its parameters. `$1` is the user.
struct Statement {
    sql: String,
    values: Vec<Value>,
}

enum Value {
    Number(i64),
    Text(String),
}

impl Statement {
    fn new(sql: &str, user: &User) -> Self {
        Self {
            sql: sql.into(),
            values: vec![Value::Number(user.id)],
        }
    }

    /// Adds a part, in which `?` stands for the value.
    fn add(&mut self, part: &str, value: Value) {
        self.values.push(value);
        let parameter = format!("${}", self.values.len());
        self.sql.push_str(&part.replace('?', &parameter));
    }

    /// What `scope` holds.
    fn within(&mut self, scope: Scope) {
        match scope {
            Scope::All => {}
            Scope::Department(id) => self.add(" AND c.department_id = ?", Value::Number(id)),
            Scope::Agent {
                department_id: Some(id),
                ..
            } => self.add(
                " AND (c.assigned_to = $1 OR (c.assigned_to IS NULL AND c.department_id = ?))",
                Value::Number(id),
            ),
            Scope::Agent { .. } => self.sql.push_str(" AND c.assigned_to = $1"),
            Scope::Nothing => self.sql.push_str(" AND 1 = 0"),
        }
    }

    fn with_status(&mut self, status: Option<Status>) {
        self.sql.push_str(match status {
            Some(Status::Open) => " AND c.status = 'open'",
            Some(Status::Closed) => " AND c.status = 'closed'",
            None => "",
        });
    }

    /// What a listing has, but for the search.
    fn listed(&mut self, user: &User, listing: &Listing) {
        self.within(Scope::of(user));
        self.with_status(listing.status);
        self.sql.push_str(match listing.filter {
            Filter::All => "",
            Filter::Mine => " AND c.assigned_to = $1",
            Filter::Unassigned => " AND c.assigned_to IS NULL",
        });
        if listing.unread {
            let unread = " AND c.last_inbound_id > COALESCE(r.last_read_message_id, 0)";
            self.sql.push_str(unread);
        }
        if let Some(id) = listing.department_id {
            self.add(" AND c.department_id = ?", Value::Number(id));
        }
    }

    /// What has a text in its contact's name or number, or in a message.
    fn containing(&mut self, database: Database, search: &str) {
        let like = match database {
            Database::Sqlite => "LIKE",
            Database::Postgres => "ILIKE",
        };
        let spellings = spellings(database, search);
        self.sql.push_str(" AND (");
        for (number, spelling) in spellings.iter().enumerate() {
            if number > 0 {
                self.sql.push_str(" OR ");
            }
            self.add(
                &format!("ct.name {like} ? ESCAPE '\\'"),
                Value::Text(pattern(spelling)),
            );
        }
        if let Some(digits) = digits(search) {
            self.add(" OR ct.phone LIKE ?", Value::Text(format!("%{digits}%")));
        }
        let newest = " OR c.id IN (SELECT t.conversation_id FROM messages t
            WHERE t.id > (SELECT MAX(id) FROM messages) - ? AND (";
        self.add(newest, Value::Number(SEARCHED));
        for (number, spelling) in spellings.iter().enumerate() {
            if number > 0 {
                self.sql.push_str(" OR ");
            }
            self.add(
                &format!("t.content {like} ? ESCAPE '\\'"),
                Value::Text(pattern(spelling)),
            );
        }
        self.sql.push_str(")))");
    }

    /// What is further down than a place.
    fn below(&mut self, place: Place) {
        self.add(
            " AND (c.last_message_at, c.id) < (?",
            Value::Number(place.last_message_at),
        );
        self.add(", ?)", Value::Number(place.id));
    }

    fn newest_first(&mut self, limit: i64, offset: i64) {
        self.add(
            " ORDER BY c.last_message_at DESC, c.id DESC LIMIT ?",
            Value::Number(limit),
        );
        self.add(" OFFSET ?", Value::Number(offset));
    }

    fn query(&self) -> Query<'static, Any, AnyArguments> {
        let mut query = query(AssertSqlSafe(self.sql.clone()));
        for value in &self.values {
            query = match value {
                Value::Number(number) => query.bind(*number),
                Value::Text(text) => query.bind(text.clone()),
            };
        }
        query
    }
}

/// The pattern of whatever contains a text; no character of it means anything else.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// The spellings by which a text is found whatever its case. PostgreSQL knows by itself; SQLite
/// knows the letters of ASCII, and is given the others in lower and upper case and capitalised.
fn spellings(database: Database, text: &str) -> Vec<String> {
    let mut spellings = vec![text.to_owned()];
    if database == Database::Sqlite && !text.is_ascii() {
        let lower = text.to_lowercase();
        let mut rest = lower.chars();
        let capitalised = rest.next().map(|first| {
            let mut capitalised: String = first.to_uppercase().collect();
            let _ = capitalised.write_str(rest.as_str());
            capitalised
        });
        for spelling in [Some(lower.clone()), Some(text.to_uppercase()), capitalised] {
            spellings.extend(spelling.filter(|spelling| !spellings.contains(spelling)));
        }
    }
    spellings
}

/// The digits of what may be part of a telephone number.
fn digits(text: &str) -> Option<String> {
    let is_part = |character: char| character.is_ascii_digit() || " +-()/.".contains(character);
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (text.chars().all(is_part) && !digits.is_empty()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_search_is_a_wildcard() {
        assert_eq!(pattern("50%_a\\b"), r"%50\%\_a\\b%");
    }

    #[test]
    fn case_does_not_matter_beyond_ascii_either() {
        let of = |text| spellings(Database::Sqlite, text);
        assert_eq!(of("Grace"), ["Grace"]);
        assert_eq!(of("öl"), ["öl", "ÖL", "Öl"]);
        assert_eq!(of("GRÖßE"), ["GRÖßE", "größe", "GRÖSSE", "Größe"]);
        assert_eq!(spellings(Database::Postgres, "öl"), ["öl"]);
    }

    #[test]
    fn numbers_are_found_however_they_are_written() {
        assert_eq!(digits("+49 (170) 10-00").as_deref(), Some("491701000"));
        assert_eq!(digits("()"), None);
        assert_eq!(digits("170a"), None);
    }
}
