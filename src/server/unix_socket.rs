//! Listening on Unix sockets.

use std::ffi::CString;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::ptr;

use socket2::{Domain, SockAddr, Socket, Type};

use super::listener::BACKLOG;
use crate::config::UnixAccess;

/// Bytes that a group may take in the system's list: one with thousands of members.
const LARGEST_GROUP: usize = 1 << 20;

/// The file of a socket that is listened on, removed when this is dropped unless it is
/// another's by then.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and number of the file.
    identity: (u64, u64),
}

/// Listens on a path. What a dead process has left there is replaced; whoever is there finds the
/// file complete, with its permissions, or not at all.
pub(super) fn bind(path: &Path, access: &UnixAccess) -> io::Result<(UnixListener, SocketFile)> {
    refuse_taken(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let unfinished = path.with_added_extension(std::process::id().to_string());
    // A process with the same id has died in the middle of this.
    remove_if_there(&unfinished)?;
    socket.bind(&SockAddr::unix(&unfinished)?)?;
    let finished = finish(&socket, &unfinished, path, access);
    if finished.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&unfinished);
    }
    let file = finished?;
    Ok((UnixListener::from(std::os::fd::OwnedFd::from(socket)), file))
}

fn finish(
    socket: &Socket,
    unfinished: &Path,
    path: &Path,
    access: &UnixAccess,
) -> io::Result<SocketFile> {
    if let Some(group) = &access.group {
        chown(unfinished, None, Some(group_id(group)?))?;
    }
    fs::set_permissions(unfinished, fs::Permissions::from_mode(access.mode))?;
    socket.listen(BACKLOG)?;
    let identity = identity(unfinished)?;
    fs::rename(unfinished, path)?;
    Ok(SocketFile {
        path: path.into(),
        identity,
    })
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // Whoever comes next replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Fails if somebody listens there, or if it is another kind of file.
fn refuse_taken(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(file) if !file.file_type().is_socket() => {
            let text = "there is a file that is no socket";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Ok(_) => {}
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Whoever listens may be too busy to accept.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
            ) =>
        {
            Ok(())
        }
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process listens there",
        )),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The number of a group, by its name or as it is.
fn group_id(name: &str) -> io::Result<u32> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let text = CString::new(name).map_err(|_| unknown_group(name))?;
    let mut buffer = vec![0; 4096];
    loop {
        let mut group = MaybeUninit::<libc::group>::uninit();
        let mut found = ptr::null_mut();
        // SAFETY: all pointers are to what lives longer than the call, and the length is the buffer's.
        let error = unsafe {
            libc::getgrnam_r(
                text.as_ptr(),
                group.as_mut_ptr(),
                buffer.as_mut_ptr(),
                buffer.len(),
                &mut found,
            )
        };
        if error == libc::ERANGE && buffer.len() < LARGEST_GROUP {
            buffer.resize(buffer.len() * 2, 0);
        } else if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        } else if found.is_null() {
            return Err(unknown_group(name));
        } else {
            // SAFETY: it is initialised when it was found.
            return Ok(unsafe { group.assume_init() }.gr_gid);
        }
    }
}

fn unknown_group(name: &str) -> io::Error {
    let text = format!("there is no group {name} (server.socket_group)");
    io::Error::new(io::ErrorKind::NotFound, text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn socket_in(directory: &Path) -> PathBuf {
        directory.join("relay.sock")
    }

    #[test]
    fn the_file_has_its_permissions_and_goes_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = socket_in(directory.path());
        let access = UnixAccess {
            mode: 0o640,
            group: None,
        };
        let (_listener, file) = bind(&path, &access).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert!(UnixStream::connect(&path).is_ok());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        drop(file);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_dead_process_left_is_replaced_and_what_is_alive_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = socket_in(directory.path());
        drop(UnixListener::bind(&path).unwrap());
        let access = UnixAccess::default();
        let (listener, file) = bind(&path, &access).unwrap();
        let error = bind(&path, &access).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        let (_later, other_file) = bind(&path, &access).unwrap();
        drop(file);
        assert!(path.exists(), "it is the later one's");
        drop(other_file);
        assert!(!path.exists());
    }

    #[test]
    fn other_files_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = socket_in(directory.path());
        fs::write(&path, "precious").unwrap();
        let error = bind(&path, &UnixAccess::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn groups_are_known_by_name_and_number() {
        assert_eq!(group_id("root").unwrap(), 0);
        assert_eq!(group_id("4711").unwrap(), 4711);
        let error = group_id("no-such-group").unwrap_err();
        assert!(error.to_string().contains("no-such-group"), "{error}");
        let directory = tempfile::tempdir().unwrap();
        let access = UnixAccess {
            group: Some("no-such-group".into()),
            ..UnixAccess::default()
        };
        assert!(bind(&socket_in(directory.path()), &access).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
