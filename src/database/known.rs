//! What is known of the table: each row is looked into only when it is another one than before.

use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

use super::parts::ReadApp;
use super::place::Schema;
use super::statements::text;
use super::{own, soketi};
use crate::apps::App;

/// Characters of an id, and of what is wrong, that the log shows.
const SHOWN: usize = 200;

/// Remarks about rows that are kept of one reading: far more than the log takes.
const MOST_REMARKS: usize = 100;

/// The rows as they last were.
pub(super) struct Known {
    schema: Schema,
    read: Arc<ReadApp>,
    /// Rows are distinguished by their hashes, whose keys nobody knows.
    hashes: std::hash::RandomState,
    rows: FxHashMap<Box<str>, Entry>,
    round: u32,
    apps: Vec<Arc<App>>,
    refused: usize,
    remarks: Vec<String>,
}

struct Entry {
    hash: u64,
    round: u32,
    is_fit: bool,
    /// The record that is served: of a row that cannot be used any more, the one before it.
    app: Option<Arc<App>>,
}

/// What all rows together are.
pub(super) struct Round {
    /// The apps, in the order of their rows.
    pub(super) apps: Vec<Arc<App>>,
    /// Rows that cannot be used.
    pub(super) refused: usize,
    /// What is new of that, for the log.
    pub(super) remarks: Vec<String>,
}

impl Known {
    pub(super) fn new(schema: Schema, read: Arc<ReadApp>) -> Self {
        Self {
            schema,
            read,
            hashes: std::hash::RandomState::new(),
            rows: FxHashMap::default(),
            round: 0,
            apps: Vec::new(),
            refused: 0,
            remarks: Vec::new(),
        }
    }

    /// All rows are about to come.
    pub(super) fn begin(&mut self) {
        self.round = self.round.wrapping_add(1);
        self.apps = Vec::with_capacity(self.rows.len());
        self.refused = 0;
        self.remarks.clear();
    }

    /// The next row, of these columns.
    pub(super) fn take(&mut self, names: &[&'static str], values: &[Option<&[u8]>]) {
        let hash = self.hash(values);
        let id = values.first().copied().flatten().unwrap_or_default();
        let id = shown(&String::from_utf8_lossy(id));
        let before = self.rows.remove(&*id);
        let entry = match before {
            Some(same) if same.hash == hash && same.round != self.round => Entry {
                round: self.round,
                ..same
            },
            Some(twice) if twice.round == self.round => {
                self.refused += 1;
                self.rows.insert(id.into(), twice);
                return;
            }
            before => self.look_into(&id, hash, before, names, values),
        };
        self.refused += usize::from(!entry.is_fit);
        self.apps.extend(entry.app.clone());
        self.rows.insert(id.into(), entry);
    }

    fn look_into(
        &mut self,
        id: &str,
        hash: u64,
        before: Option<Entry>,
        names: &[&'static str],
        values: &[Option<&[u8]>],
    ) -> Entry {
        let before = before.and_then(|before| before.app);
        let (app, notes, is_fit) = match self.app(names, values) {
            Ok((app, notes)) => {
                // What means the same is kept once.
                let same = before.filter(|before| **before == app);
                (Some(same.unwrap_or_else(|| Arc::new(app))), notes, true)
            }
            Err(reason) => (turned(before, names, values), vec![reason], false),
        };
        let holds = match (is_fit, &app) {
            (true, _) => "",
            (false, Some(_)) => "; what was read before holds",
            (false, None) => "; it is not served",
        };
        for note in notes {
            if self.remarks.len() >= MOST_REMARKS {
                break;
            }
            let note = shown(&note);
            self.remarks.push(format!("app `{id}`: {note}{holds}"));
        }
        Entry {
            hash,
            round: self.round,
            is_fit,
            app,
        }
    }

    fn app(
        &self,
        names: &[&'static str],
        values: &[Option<&[u8]>],
    ) -> Result<(App, Vec<String>), String> {
        let columns = names.iter().zip(values);
        let texts = columns.map(|(name, value)| text(name, *value));
        let texts: Vec<Option<&str>> = texts.collect::<Result<_, _>>()?;
        let (settings, notes): (Map<String, Value>, _) = match self.schema {
            Schema::Fanfare => (own::settings(&texts)?, Vec::new()),
            Schema::Soketi(_) => {
                let meaning = soketi::meaning(names, &texts)?;
                (meaning.settings, meaning.notes)
            }
        };
        Ok(((self.read)(&settings)?, notes))
    }

    /// All rows have come.
    pub(super) fn end(&mut self) -> Round {
        let round = self.round;
        self.rows.retain(|_, entry| entry.round == round);
        Round {
            apps: std::mem::take(&mut self.apps),
            refused: self.refused,
            remarks: std::mem::take(&mut self.remarks),
        }
    }

    fn hash(&self, values: &[Option<&[u8]>]) -> u64 {
        let mut hasher = self.hashes.build_hasher();
        for value in values {
            // Lengths keep values apart; no value has this one.
            hasher.write_usize(value.map_or(usize::MAX, <[u8]>::len));
            hasher.write(value.unwrap_or_default());
        }
        hasher.finish()
    }
}

/// A row may be wrong in all but whether its app is enabled.
fn turned(
    before: Option<Arc<App>>,
    names: &[&'static str],
    values: &[Option<&[u8]>],
) -> Option<Arc<App>> {
    let before = before?;
    let at = names.iter().position(|name| *name == "enabled");
    let enabled = at.and_then(|at| values.get(at).copied().flatten());
    let text = enabled.and_then(|bytes| std::str::from_utf8(bytes).ok());
    match text.map(own::is_on) {
        Some(enabled) if enabled != before.enabled => Some(Arc::new(App {
            enabled,
            ..(*before).clone()
        })),
        _ => Some(before),
    }
}

/// A text that fits in a line of the log: a row may have anything in it.
fn shown(text: &str) -> String {
    let mut escaped: String = text.chars().take(SHOWN).collect();
    if escaped.len() < text.len() {
        escaped.push('…');
    }
    if escaped.contains(char::is_control) {
        return escaped.escape_debug().to_string();
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::statements::MOST_BYTES;
    use super::*;
    use crate::auth::Signer;

    fn known() -> Known {
        let read: Arc<ReadApp> = Arc::new(|settings: &Map<String, Value>| {
            let text = |name: &str| settings.get(name).and_then(Value::as_str);
            let id = text("id").ok_or("no id")?;
            let secret = text("secret").filter(|secret| *secret != "bad");
            let secret = secret.ok_or("a bad secret")?;
            let key = text("key").ok_or("no key")?;
            Ok(App {
                enabled: settings["enabled"] == Value::Bool(true),
                ..App::new(id, Signer::new(key, secret.as_bytes()))
            })
        });
        Known::new(Schema::Fanfare, read)
    }

    type Plain<'a> = [&'a str; 4];

    fn round(known: &mut Known, rows: &[Plain<'_>]) -> Round {
        known.begin();
        for [id, key, secret, enabled] in rows {
            let values = [id, key, secret, enabled, ""].map(|text| Some(text.as_bytes()));
            known.take(&own::COLUMNS, &values);
        }
        known.end()
    }

    #[test]
    fn a_row_that_is_the_same_is_the_same_app() {
        let mut known = known();
        let rows = [["1", "k", "s", "1"], ["2", "l", "s", "1"]];
        let first = round(&mut known, &rows);
        let second = round(&mut known, &rows);
        assert_eq!(first.apps.len(), 2);
        let pairs = || first.apps.iter().zip(&second.apps);
        assert!(pairs().all(|(one, other)| Arc::ptr_eq(one, other)));
        let third = round(&mut known, &rows[1..]);
        assert_eq!(third.apps.len(), 1);
        assert_eq!(known.rows.len(), 1);
    }

    #[test]
    fn a_bad_row_is_reported_once_and_takes_nothing_down() {
        let mut known = known();
        let bad = [["1", "k", "s", "1"], ["2", "l", "bad", "1"]];
        let first = round(&mut known, &bad);
        assert_eq!((first.apps.len(), first.refused), (1, 1));
        assert_eq!(first.remarks, ["app `2`: a bad secret; it is not served"]);
        let again = round(&mut known, &bad);
        assert_eq!((again.apps.len(), again.refused), (1, 1));
        assert!(again.remarks.is_empty());
        let mended = round(&mut known, &[["1", "k", "s", "1"], ["2", "l", "t", "1"]]);
        assert_eq!((mended.apps.len(), mended.refused), (2, 0));
        // What was good before is kept, but for whether it is enabled.
        let worse = round(&mut known, &bad);
        assert_eq!((worse.apps.len(), worse.refused), (2, 1));
        assert_eq!(worse.apps[1], mended.apps[1]);
        let off = round(&mut known, &[["2", "l", "bad", "0"]]);
        assert!(!off.apps[0].enabled);
        let on = round(&mut known, &[["2", "l", "bad", "1"]]);
        assert!(on.apps[0].enabled);
    }

    #[test]
    fn a_row_may_have_anything_in_it() {
        let mut known = known();
        known.begin();
        let huge = vec![b'x'; MOST_BYTES + 1];
        let rows: [[Option<&[u8]>; 5]; 5] = [
            [None; 5],
            [Some(b"1"), Some(b"k"), Some(&huge), None, None],
            [Some(b"2"), Some(b"k"), Some(b"s"), None, Some(b"{\xff")],
            [Some(b"a\n\x1b[31m"), Some(b"k"), Some(b"bad"), None, None],
            [Some(&huge), Some(b"k"), Some(b"bad"), None, None],
        ];
        for row in &rows {
            known.take(&own::COLUMNS, row);
        }
        let round = known.end();
        assert_eq!((round.apps.len(), round.refused), (0, 5));
        for remark in &round.remarks {
            assert!(
                remark.len() < 1000 && !remark.contains(char::is_control),
                "{remark}"
            );
        }
    }

    #[test]
    fn an_id_that_comes_twice_is_the_first_row_s() {
        let mut known = known();
        let rows = [["1", "k", "s", "1"], ["1", "l", "s", "1"]];
        for _ in 0..2 {
            let round = round(&mut known, &rows);
            assert_eq!((round.apps.len(), round.refused), (1, 1));
            assert_eq!(round.apps[0].keys.signing().key(), "k");
        }
    }
}
