//! Undelivered events on disk, so that they outlast the process.
//!
//! An event is written down before it is sent and crossed out after it was taken. A process that
//! is killed in between leaves it behind, and the next one sends it again under the same id. The
//! operating system keeps what was written when a process dies; nothing is forced onto the disk
//! for each event, so a machine that loses its power may lose the last moments.
//!
//! The journal is a folder of segments. A segment goes when all that was written down in it, and
//! in those before it, is crossed out. Where little in the oldest ones keeps much behind it, that
//! little is copied to the end. So each event has its place in the order beside it.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::event::{Event, EventId, Moment};
use crate::protocol::ChannelName;
use crate::throttle::Throttle;

/// Bytes after which a new segment is begun.
const SEGMENT_BYTES: usize = 8 << 20;
/// Bytes on the disk that are always tolerated; beyond, several times what is still needed is.
const TOLERATED_BYTES: usize = 64 << 20;
const TOLERATED_SHARE: usize = 4;
const LOCK: &str = "lock";
const SUFFIX: &str = ".jsonl";

/// The journal of the process; no other process uses its folder meanwhile.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    /// Held as long as the journal is.
    _lock: File,
    segment: Segment,
    /// Events of each segment that are not crossed out; of segments that have any.
    open: BTreeMap<u64, usize>,
    /// Where each of them is written.
    places: HashMap<EventKey, Place>,
    /// Bytes of the segments before the one that is written.
    sealed: BTreeMap<u64, usize>,
    /// Bytes of the lines that are not crossed out.
    needed_bytes: usize,
    /// The place in the order of the next event.
    next_order: u64,
    trouble: Throttle,
}

/// A webhook, by its key, and an event's id.
type EventKey = (Arc<str>, EventId);

#[derive(Clone, Copy, Debug)]
struct Place {
    segment: u64,
    bytes: usize,
}

/// A file that is made when something is written to it.
#[derive(Debug)]
struct Segment {
    number: u64,
    path: PathBuf,
    file: Option<File>,
    bytes: usize,
}

/// Lines to be written, and the events in them.
#[derive(Default)]
struct Lines {
    text: Vec<u8>,
    /// Each with the length of its line.
    events: Vec<(EventKey, usize)>,
}

/// An event of an earlier process.
#[derive(Debug)]
pub(super) struct Left {
    /// Whose it is.
    pub(super) webhook: String,
    /// As it was.
    pub(super) id: EventId,
    pub(super) channel: ChannelName,
    pub(super) json: Box<RawValue>,
    pub(super) at: Moment,
    order: u64,
    place: Place,
}

/// A line of a segment.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    Event(#[serde(borrow)] EventLine<'a>),
    Done { webhook: String, ids: Vec<String> },
}

#[derive(Debug, Serialize, Deserialize)]
struct EventLine<'a> {
    webhook: String,
    id: String,
    channel: String,
    at_ms: u64,
    /// Those that were written down earlier have lower ones, in whatever segment they are by now. 0 if the line is of a
    /// version that had none.
    #[serde(default)]
    order: u64,
    #[serde(borrow)]
    event: &'a RawValue,
}

impl Journal {
    /// Opens the folder, which is made if it is not there, and hands out what an earlier process
    /// has left, in order. That stays written down until it is crossed out.
    ///
    /// # Errors
    /// When the folder cannot be used, or what is in it cannot be read. That it cannot be written is complained of.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, Vec<Left>)> {
        let (mut journal, old, left) = Self::read(folder)?;
        journal.take_over(&old, &left);
        Ok((journal, left))
    }

    /// A journal that has written nothing yet, the segments that there were before, and what is left in them.
    fn read(folder: &Path) -> io::Result<(Self, Vec<u64>, Vec<Left>)> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let lock = lock(folder)?;
        let old = segments(folder)?;
        let left = read(folder, &old)?;
        let number = old.last().map_or(1, |last| last + 1);
        let journal = Self {
            segment: Segment::new(folder, number),
            folder: folder.to_owned(),
            _lock: lock,
            open: BTreeMap::new(),
            places: HashMap::new(),
            sealed: BTreeMap::new(),
            needed_bytes: 0,
            next_order: left.last().map_or(1, |last| last.order.saturating_add(1)),
            trouble: Throttle::default(),
        };
        Ok((journal, old, left))
    }

    /// Begins with what is left in old segments.
    fn take_over(&mut self, old: &[u64], left: &[Left]) {
        let size = |number| fs::metadata(path(&self.folder, number)).map_or(0, |file| file.len());
        self.sealed = old
            .iter()
            .map(|&number| (number, size(number) as usize))
            .collect();
        if let Err(error) = self.carry_over(left) {
            // The old segments still have all of it.
            for left in left {
                self.note(left.key(), left.place);
            }
            self.complain(&error);
        }
        self.remove_finished();
    }

    fn carry_over(&mut self, left: &[Left]) -> io::Result<()> {
        let mut lines = Lines::default();
        for left in left {
            lines.push(left.key(), left.line());
        }
        self.append(lines)?;
        self.segment.sync()
    }

    /// Writes events down that are about to be sent to the webhook.
    pub(super) fn record(&mut self, webhook: &Arc<str>, events: &[Event]) {
        let mut lines = Lines::default();
        for event in events {
            // An event is JSON that the relay has written itself.
            let Ok(json) = serde_json::from_str(&event.json) else {
                continue;
            };
            let line = EventLine {
                webhook: (**webhook).into(),
                id: event.id.to_string(),
                channel: event.channel.as_str().into(),
                at_ms: milliseconds(event.at.wall),
                order: self.next_order,
                event: json,
            };
            self.next_order = self.next_order.saturating_add(1);
            lines.push((Arc::clone(webhook), event.id), line);
        }
        self.write(lines);
    }

    /// Crosses events out that the webhook has taken, or that were given up.
    pub(super) fn settle(&mut self, webhook: &Arc<str>, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let line = Line::Done {
            webhook: (**webhook).into(),
            ids: events.iter().map(|event| event.id.to_string()).collect(),
        };
        let mut lines = Lines::default();
        write_line(&mut lines.text, &line);
        self.write(lines);
        for event in events {
            let key = (Arc::clone(webhook), event.id);
            if let Some(place) = self.places.remove(&key) {
                self.forget(place);
            }
        }
        self.remove_finished();
    }

    /// An event is written at this place, and no longer where it was before.
    fn note(&mut self, key: EventKey, place: Place) {
        *self.open.entry(place.segment).or_default() += 1;
        self.needed_bytes += place.bytes;
        if let Some(before) = self.places.insert(key, place) {
            self.forget(before);
        }
    }

    fn forget(&mut self, place: Place) {
        self.needed_bytes -= place.bytes;
        if let Some(open) = self.open.get_mut(&place.segment) {
            *open -= 1;
        }
    }

    /// What cannot be written is sent all the same: a full disk is no reason to stop.
    fn write(&mut self, lines: Lines) {
        let written = self.append(lines).and_then(|()| {
            if self.segment.bytes < SEGMENT_BYTES {
                return Ok(());
            }
            self.begin_segment();
            self.compact()
        });
        if let Err(error) = written {
            self.complain(&error);
        }
    }

    /// Events are where they were until they are written: a place that was noted before may have the only copy removed.
    fn append(&mut self, lines: Lines) -> io::Result<()> {
        self.segment.write(&lines.text)?;
        let segment = self.segment.number;
        for (key, bytes) in lines.events {
            self.note(key, Place { segment, bytes });
        }
        Ok(())
    }

    fn complain(&mut self, error: &io::Error) {
        if self.trouble.lets_through(Instant::now()) {
            let folder = self.folder.display();
            tracing::error!(
                %folder, %error,
                "the webhook journal cannot be written: events would not outlast the process"
            );
        }
    }

    fn begin_segment(&mut self) {
        let next = Segment::new(&self.folder, self.segment.number + 1);
        let sealed = std::mem::replace(&mut self.segment, next);
        self.sealed.insert(sealed.number, sealed.bytes);
    }

    /// Copies what is needed of the oldest segments to the end, as long as too much is kept for
    /// too little.
    fn compact(&mut self) -> io::Result<()> {
        let tolerated = TOLERATED_BYTES.max(TOLERATED_SHARE * self.needed_bytes);
        while self.sealed.values().sum::<usize>() > tolerated
            && let Some((&oldest, _)) = self.sealed.first_key_value()
        {
            let mut lines = Lines::default();
            for left in read(&self.folder, &[oldest])? {
                let is_here = |place: &Place| place.segment == oldest;
                if self.places.get(&left.key()).is_some_and(is_here) {
                    lines.push(left.key(), left.line());
                }
            }
            self.append(lines)?;
            self.remove(oldest);
        }
        Ok(())
    }

    /// Oldest first: a later segment may be what crosses out an event of an earlier one.
    fn remove_finished(&mut self) {
        while let Some((&oldest, _)) = self.sealed.first_key_value()
            && self.open.get(&oldest).is_none_or(|open| *open == 0)
        {
            self.remove(oldest);
        }
    }

    fn remove(&mut self, number: u64) {
        self.sealed.remove(&number);
        self.open.remove(&number);
        if let Err(error) = fs::remove_file(path(&self.folder, number)) {
            tracing::debug!(%error, number, "a segment of the webhook journal stays");
        }
    }
}

impl Segment {
    fn new(folder: &Path, number: u64) -> Self {
        Self {
            number,
            path: path(folder, number),
            file: None,
            bytes: 0,
        }
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(create(&self.path)?),
        };
        match file.write_all(lines) {
            Ok(()) => self.bytes += lines.len(),
            Err(error) => {
                // What follows half a line could not be read.
                file.set_len(self.bytes as u64)?;
                return Err(error);
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_all)
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create_new(true).mode(0o600);
    options.open(path)
}

impl Lines {
    fn push(&mut self, key: EventKey, line: EventLine<'_>) {
        let bytes = write_line(&mut self.text, &Line::Event(line));
        self.events.push((key, bytes));
    }
}

impl Left {
    fn key(&self) -> EventKey {
        (Arc::from(&*self.webhook), self.id)
    }

    fn line(&self) -> EventLine<'_> {
        EventLine {
            webhook: self.webhook.clone(),
            id: self.id.to_string(),
            channel: self.channel.as_str().into(),
            at_ms: milliseconds(self.at.wall),
            order: self.order,
            event: &self.json,
        }
    }

    /// The event, to be sent again.
    pub(super) fn event(&self, number: u64) -> Event {
        Event {
            number,
            id: self.id,
            channel: self.channel.clone(),
            json: self.json.get().to_owned().into(),
            at: self.at,
        }
    }
}

fn lock(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(folder.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another process uses it",
        )),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The numbers of the segments, in order.
fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}{SUFFIX}"))
}

/// What is written down in the segments and not crossed out, in order.
fn read(folder: &Path, numbers: &[u64]) -> io::Result<Vec<Left>> {
    let mut left: HashMap<(String, String), Left> = HashMap::new();
    let mut unreadable = 0;
    for &segment in numbers {
        let file = File::open(path(folder, segment))?;
        for line in BufReader::new(file).split(b'\n') {
            let line = line?;
            let bytes = line.len() + 1;
            // The last line of a process that was killed may be cut off.
            match serde_json::from_slice(&line) {
                Ok(Line::Event(line)) => {
                    let key = (line.webhook.clone(), line.id.clone());
                    match line.left(Place { segment, bytes }) {
                        Some(event) => drop(left.insert(key, event)),
                        None => unreadable += 1,
                    }
                }
                Ok(Line::Done { webhook, ids }) => {
                    for id in ids {
                        left.remove(&(webhook.clone(), id));
                    }
                }
                Err(_) => unreadable += 1,
            }
        }
    }
    if unreadable > 0 {
        tracing::warn!(unreadable, "lines of the webhook journal cannot be read");
    }
    let mut left: Vec<Left> = left.into_values().collect();
    // Those without a place in the order are of one process or of several, one after the other.
    left.sort_unstable_by_key(|left| (left.order, left.at.wall, left.id.number));
    Ok(left)
}

impl EventLine<'_> {
    /// What it stands for; None if its channel is none, or its id.
    fn left(self, place: Place) -> Option<Left> {
        let at = UNIX_EPOCH + Duration::from_millis(self.at_ms);
        Some(Left {
            webhook: self.webhook,
            id: self.id.parse().ok()?,
            channel: ChannelName::parse(&self.channel, usize::MAX).ok()?,
            json: self.event.to_owned(),
            at: Moment::of_wall(at),
            order: self.order,
            place,
        })
    }
}

/// Returns the length of the line.
fn write_line(out: &mut Vec<u8>, line: &Line<'_>) -> usize {
    let before = out.len();
    serde_json::to_writer(&mut *out, line).expect("writing text to a Vec cannot fail");
    out.push(b'\n');
    out.len() - before
}

fn milliseconds(at: SystemTime) -> u64 {
    let since_1970 = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
