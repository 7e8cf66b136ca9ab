use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::Folder;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_written_is_read_again_and_only_by_its_owner() {
    let outer = tempfile::tempdir().unwrap();
    let folder = Folder::new(outer.path().join("state")).folder("acme");
    assert_eq!(folder.read("key", 10).unwrap(), None);
    assert!(!folder.path().exists(), "reading makes nothing");
    folder.write("key", b"first").unwrap();
    folder.write("key", b"second").unwrap();
    assert_eq!(
        folder.read("key", 10).unwrap().as_deref(),
        Some(&b"second"[..])
    );
    assert_eq!(mode(folder.path()), 0o700);
    assert_eq!(mode(folder.path().parent().unwrap()), 0o700);
    assert_eq!(mode(&folder.path().join("key")), 0o600);
    let files = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 1, "no temporary file stays");
    folder.remove("key").unwrap();
    folder.remove("key").unwrap();
    assert_eq!(folder.read("key", 10).unwrap(), None);
}

#[test]
fn more_than_was_ever_written_is_not_read() {
    let outer = tempfile::tempdir().unwrap();
    let folder = Folder::new(outer.path());
    folder.write("key", &[0; 11]).unwrap();
    assert_eq!(
        folder.read("key", 10).unwrap_err().kind(),
        ErrorKind::InvalidData
    );
    assert_eq!(folder.read("key", 11).unwrap().unwrap().len(), 11);
}

#[test]
fn a_file_that_cannot_be_replaced_stays_as_it_is() {
    let outer = tempfile::tempdir().unwrap();
    let folder = Folder::new(outer.path());
    fs::create_dir(outer.path().join("key")).unwrap();
    folder.write("key", b"text").unwrap_err();
    let files = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 1, "no temporary file stays");
}

#[test]
fn preparing_shows_that_the_folder_can_be_written() {
    let outer = tempfile::tempdir().unwrap();
    let folder = Folder::new(outer.path()).folder("state");
    folder.prepare().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    fs::write(outer.path().join("file"), "").unwrap();
    Folder::new(outer.path().join("file"))
        .folder("state")
        .prepare()
        .unwrap_err();
}
