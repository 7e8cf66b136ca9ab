use super::super::event::Numbers;
use super::*;

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("fanfare-journal-{:016x}", rand::random::<u64>());
        Self(std::env::temp_dir().join(name))
    }

    fn open(&self) -> (Journal, Vec<String>) {
        let (journal, left) = Journal::open(&self.0).unwrap();
        (
            journal,
            left.iter().map(|left| left.id.to_string()).collect(),
        )
    }

    /// Opens it where there is no room for anything more.
    fn open_on_a_full_disk(&self) -> (Journal, Vec<String>) {
        let (mut journal, old, left) = Journal::read(&self.0).unwrap();
        fill_up_the_disk(&mut journal);
        journal.take_over(&old, &left);
        (
            journal,
            left.iter().map(|left| left.id.to_string()).collect(),
        )
    }

    fn files(&self) -> usize {
        segments(&self.0).unwrap().len()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn events(count: usize, size: usize) -> Vec<Event> {
    let numbers = Numbers::new();
    let channel = ChannelName::parse("presence-a", 164).unwrap();
    let json = format!(r#"{{"x":"{}"}}"#, "x".repeat(size));
    (0..count)
        .map(|_| numbers.event(&channel, json.clone().into()))
        .collect()
}

fn ids(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.id.to_string()).collect()
}

#[test]
fn what_is_not_crossed_out_is_left_to_the_next_process() {
    let (folder, events) = (Folder::new(), events(3, 9));
    let (one, other) = (Arc::from("one"), Arc::from("other"));
    let (mut journal, left) = folder.open();
    assert!(left.is_empty());
    journal.record(&one, &events);
    journal.record(&other, &events[..1]);
    journal.settle(&one, &events[1..2]);
    drop(journal);

    let (mut journal, left) = Journal::open(&folder.0).unwrap();
    let found: Vec<_> = left.iter().map(|left| (&*left.webhook, left.id)).collect();
    assert_eq!(
        found,
        [
            ("one", events[0].id),
            ("one", events[2].id),
            ("other", events[0].id)
        ]
    );
    let again = left[0].event(7);
    assert_eq!((again.number, &again.json), (7, &events[0].json));
    assert_eq!(again.channel, events[0].channel);
    journal.settle(&one, &events);
    drop(journal);
    assert_eq!(folder.open().1, ids(&events[..1]));
}

#[test]
fn a_line_that_was_cut_off_costs_nothing_else() {
    let (folder, events) = (Folder::new(), events(2, 9));
    let (mut journal, _) = folder.open();
    journal.record(&Arc::from("w"), &events);
    journal
        .segment
        .write(b"{\"event\":{\"webhook\":\"w\",\"i")
        .unwrap();
    drop(journal);
    assert_eq!(folder.open().1, ids(&events));
}

#[test]
fn segments_go_when_all_in_them_and_before_is_done() {
    let (folder, events) = (Folder::new(), events(5, SEGMENT_BYTES));
    let (mut journal, _) = folder.open();
    let webhook = Arc::from("w");
    for event in &events {
        journal.record(&webhook, std::slice::from_ref(event));
    }
    assert_eq!(folder.files(), 5);
    journal.settle(&webhook, &events[1..3]);
    assert_eq!(folder.files(), 6);
    journal.settle(&webhook, &events[..1]);
    assert_eq!(folder.files(), 3);
    journal.settle(&webhook, &events[3..]);
    assert_eq!(folder.files(), 1);
    drop(journal);
    assert!(folder.open().1.is_empty());
}

#[test]
fn little_that_is_needed_does_not_keep_much() {
    let (folder, webhook) = (Folder::new(), Arc::from("w"));
    let (mut journal, _) = folder.open();
    let stuck = events(3, 9);
    journal.record(&webhook, &stuck);
    for event in events(20, SEGMENT_BYTES) {
        journal.record(&webhook, std::slice::from_ref(&event));
        journal.settle(&webhook, std::slice::from_ref(&event));
    }
    assert!(folder.files() <= 1 + TOLERATED_BYTES / SEGMENT_BYTES);
    assert_eq!(journal.open.values().sum::<usize>(), 3);
    drop(journal);
    let (mut journal, left) = Journal::open(&folder.0).unwrap();
    let left: Vec<String> = left.iter().map(|left| left.id.to_string()).collect();
    assert_eq!(left, ids(&stuck));
    journal.settle(&webhook, &stuck);
    assert_eq!((journal.needed_bytes, journal.places.len()), (0, 0));
}

/// Has the journal go on in as many segments, of which nothing is needed.
fn fill(journal: &mut Journal, webhook: &Arc<str>, segments: usize) {
    for event in events(segments, SEGMENT_BYTES) {
        journal.record(webhook, std::slice::from_ref(&event));
        journal.settle(webhook, std::slice::from_ref(&event));
    }
}

/// What is written from now on finds no room.
fn fill_up_the_disk(journal: &mut Journal) {
    let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
    journal.segment.file = Some(full);
}

#[test]
fn what_was_copied_to_the_end_keeps_its_place_in_the_order() {
    let (folder, webhook, filler) = (Folder::new(), Arc::from("w"), Arc::from("filler"));
    let (mut journal, _) = folder.open();
    let events = events(2, 9);
    journal.record(&webhook, &events[..1]);
    fill(&mut journal, &filler, 4);
    journal.record(&webhook, &events[1..]);
    fill(&mut journal, &filler, 5);
    let segment = |event: &Event| journal.places[&(Arc::clone(&webhook), event.id)].segment;
    assert!(segment(&events[0]) > segment(&events[1]));
    drop(journal);
    let (mut journal, left) = folder.open();
    assert_eq!(left, ids(&events));

    // What is written after that is behind it.
    let later = self::events(1, 9);
    journal.record(&webhook, &later);
    drop(journal);
    assert_eq!(folder.open().1, [ids(&events), ids(&later)].concat());
}

#[test]
fn lines_without_a_place_in_the_order_are_sorted_by_their_time() {
    let folder = Folder::new();
    drop(folder.open());
    let line = |id: &str, at_ms: u64| {
        format!(
            "{{\"event\":{{\"webhook\":\"w\",\"id\":\"{id}\",\"channel\":\"a\",\"at_ms\":{at_ms},\"event\":{{}}}}}}\n"
        )
    };
    let younger = line("00000000000000ab-10", 2000) + &line("00000000000000cd-1", 3000);
    let older = line("00000000000000ab-9", 2000) + &line("00000000000000ab-8", 1000);
    fs::write(path(&folder.0, 8), younger).unwrap();
    fs::write(path(&folder.0, 19), older).unwrap();
    let (mut journal, left) = folder.open();
    let expected = ["ab-8", "ab-9", "ab-10", "cd-1"].map(|id| format!("00000000000000{id}"));
    assert_eq!(left, expected);
    let later = events(1, 9);
    journal.record(&Arc::from("w"), &later);
    drop(journal);
    assert_eq!(folder.open().1, [expected.to_vec(), ids(&later)].concat());
}

#[test]
fn what_is_crossed_out_costs_no_more_the_more_is_left() {
    let (folder, webhook, events) = (Folder::new(), Arc::from("w"), events(20_000, 9));
    let (mut journal, _) = folder.open();
    journal.record(&webhook, &events);
    // Other work of the machine may delay one or the other.
    let read_in = |left: usize| {
        let times = (0..3).map(|_| {
            let start = Instant::now();
            assert_eq!(read(&folder.0, &[1]).unwrap().len(), left);
            start.elapsed()
        });
        times.min().unwrap()
    };
    let before = read_in(events.len());
    for done in events[..10_000].chunks(100) {
        journal.settle(&webhook, done);
    }
    let after = read_in(10_000);
    // It was more than twenty times as long.
    assert!(after < before * 5, "{after:?}, and {before:?} before");
}

#[test]
fn what_finds_no_room_at_the_end_stays_where_it_is() {
    let (folder, webhook) = (Folder::new(), Arc::from("w"));
    let (mut journal, _) = folder.open();
    let stuck = events(3, 9);
    journal.record(&webhook, &stuck);
    fill(&mut journal, &Arc::from("filler"), 1);
    journal.sealed.insert(1, TOLERATED_BYTES + 1);
    fill_up_the_disk(&mut journal);
    journal.compact().unwrap_err();
    journal.settle(&webhook, &stuck[..1]);
    drop(journal);
    // It could not be crossed out either.
    assert_eq!(folder.open().1, ids(&stuck));
}

#[test]
fn what_is_left_is_handed_out_though_the_disk_is_full() {
    let (folder, webhook, stuck) = (Folder::new(), Arc::from("w"), events(3, 9));
    let (mut journal, _) = folder.open();
    journal.record(&webhook, &stuck);
    drop(journal);
    let (mut journal, left) = folder.open_on_a_full_disk();
    assert_eq!(left, ids(&stuck));
    journal.settle(&webhook, &stuck[..1]);
    assert_eq!(folder.files(), 1);
    drop(journal);

    let (mut journal, left) = folder.open_on_a_full_disk();
    assert_eq!(left, ids(&stuck));
    // There is room again.
    journal.begin_segment();
    journal.settle(&webhook, &stuck[..2]);
    let later = events(1, 9);
    journal.record(&webhook, &later);
    drop(journal);
    let (mut journal, left) = folder.open_on_a_full_disk();
    assert_eq!(left, [ids(&stuck[2..]), ids(&later)].concat());
    journal.settle(&webhook, &stuck[2..]);
    assert_eq!(folder.files(), 1);
    journal.settle(&webhook, &later);
    assert_eq!(folder.files(), 0);
    assert_eq!((journal.needed_bytes, journal.places.len()), (0, 0));
}

#[test]
fn a_folder_belongs_to_one_process_at_a_time() {
    let folder = Folder::new();
    let (journal, _) = folder.open();
    let error = Journal::open(&folder.0).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    drop(journal);
    folder.open();
}
