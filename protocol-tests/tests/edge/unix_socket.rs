//! Listening on Unix sockets.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use protocol_tests::cluster::wait_until_ready;
use protocol_tests::connection::Connection;
use protocol_tests::http::read_response;
use protocol_tests::{
    Frame, PublishedEvent, RedisServer, Request, Signal, TestServerBuilder, WebSocket, or_skip,
};
use tempfile::TempDir;

use crate::support::{addresses, establish, get_up, talkative, upgrade};

/// A directory, and a socket in it.
fn socket() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("the temporary directory is writable");
    let path = directory.path().join("relay.sock");
    (directory, path)
}

/// A server that listens there, too.
fn listening(path: &Path) -> TestServerBuilder {
    let listen = vec!["127.0.0.1:0".to_owned(), format!("unix:{}", path.display())];
    talkative().set("server.listen", listen)
}

#[tokio::test]
async fn web_sockets_and_the_http_api_are_served_over_a_unix_socket() {
    let (_directory, path) = socket();
    let server = listening(&path).set("server.trusted_proxies", vec!["unix"]);
    let server = or_skip!(server.start().await);
    let channel = server.channel("news-");
    let upgrade = upgrade(&server).header("X-Forwarded-For", "203.0.113.7");
    let connection = Connection::open_unix(&path).await;
    let mut socket = establish(&server, connection, &upgrade).await;
    let subscribe = format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{channel}"}}}}"#);
    socket.send(Frame::text(&subscribe)).await;
    let answer = socket.read_text().await;
    assert!(answer.contains("subscription_succeeded"), "{answer}");
    assert_eq!(addresses(&server, "connected", 1).await, ["203.0.113.7"]);
    // More than a socket takes at once, several times.
    let data = "x".repeat(9000);
    let mut publisher = Connection::open_unix(&path).await;
    for _ in 0..50 {
        let event = PublishedEvent::new(&channel, "greeting", data.as_str());
        let request = Request::post(server.app(), "/events").json(event.body());
        publisher.send(&request.encode("relay", "")).await;
        let answer = read_response(&mut publisher, "POST").await;
        answer.expect("an answer comes").expect_status(200);
    }
    for _ in 0..50 {
        let event = socket.read_text().await;
        assert!(
            event.contains("greeting") && event.contains(&data),
            "{event}"
        );
    }
    drop(socket);
    drop(publisher);
    server.finish().await;
    assert!(!path.exists(), "the file is removed at the end");
}

#[tokio::test]
async fn clients_without_a_proxy_that_is_believed_have_no_address() {
    let (_directory, path) = socket();
    let server = or_skip!(listening(&path).start().await);
    let upgrade = upgrade(&server).header("X-Forwarded-For", "203.0.113.7");
    let socket = establish(&server, Connection::open_unix(&path).await, &upgrade).await;
    assert_eq!(addresses(&server, "connected", 1).await, ["none"]);
    drop(socket);
    server.finish().await;
}

#[tokio::test]
async fn the_file_has_the_permissions_that_are_configured() {
    let (_directory, path) = socket();
    let server = listening(&path).set("server.socket_mode", "0640");
    let server = or_skip!(server.start().await);
    let mode = fs::metadata(&path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    get_up(&mut Connection::open_unix(&path).await)
        .await
        .expect_status(200);
    server.finish().await;
}

/// A group that this user may give files to, by name and number: another one than files have anyway, if there is one.
fn group() -> (String, u32) {
    // SAFETY: they have no preconditions; the second writes no more than fits.
    let (own, is_root, mine) = unsafe {
        let mut mine = vec![0; 65_536];
        let count = libc::getgroups(65_536, mine.as_mut_ptr());
        mine.truncate(usize::try_from(count).expect("they can be read"));
        (libc::getegid(), libc::geteuid() == 0, mine)
    };
    let groups = fs::read_to_string("/etc/group").expect("there are groups");
    let groups = groups.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?.parse().ok()?);
        (is_root || mine.contains(&number) || number == own).then(|| (name.to_owned(), number))
    });
    // One that has no name is named by its number.
    let none = (own.to_string(), own);
    groups
        .min_by_key(|(_, number)| *number == own)
        .unwrap_or(none)
}

#[tokio::test]
async fn the_file_is_of_the_group_that_is_configured() {
    let (name, number) = group();
    for configured in [name, number.to_string()] {
        let (_directory, path) = socket();
        let server = listening(&path).set("server.socket_group", configured.as_str());
        let server = or_skip!(server.start().await);
        let file = fs::metadata(&path).expect("it is there");
        assert_eq!(file.gid(), number, "{configured}");
        get_up(&mut Connection::open_unix(&path).await)
            .await
            .expect_status(200);
        server.finish().await;
    }
}

#[tokio::test]
async fn a_group_that_is_not_there_is_named_at_the_start() {
    let (_directory, path) = socket();
    let server = listening(&path).set("server.socket_group", "no-such-group");
    let exit = or_skip!(server.start_and_exit().await);
    assert_eq!(exit.code, Some(1));
    let said = exit.log.join("\n");
    let expected = "there is no group no-such-group (server.socket_group)";
    assert!(said.contains(expected), "{said}");
    assert!(!path.exists(), "nothing is left behind");
}

#[tokio::test]
async fn what_a_dead_relay_left_is_replaced_and_a_live_one_is_not() {
    let (_directory, path) = socket();
    let dead = or_skip!(listening(&path).start().await);
    dead.signal(Signal::Kill);
    dead.exited().await;
    assert!(path.exists());
    let server = or_skip!(listening(&path).start().await);
    let second = or_skip!(listening(&path).start_and_exit().await);
    assert_eq!(second.code, Some(1));
    let said = second.log.join("\n");
    let expected = format!("cannot listen on unix:{} (server.listen)", path.display());
    assert!(said.contains(&expected), "{said}");
    assert!(said.contains("another process listens there"), "{said}");
    get_up(&mut Connection::open_unix(&path).await)
        .await
        .expect_status(200);
    server.finish().await;
}

#[tokio::test]
async fn other_files_are_left_alone() {
    let (_directory, path) = socket();
    fs::write(&path, "precious").expect("the directory is writable");
    let exit = or_skip!(listening(&path).start_and_exit().await);
    assert_eq!(exit.code, Some(1));
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "precious");
    let (_directory, path) = socket();
    drop(UnixListener::bind(&path).expect("the directory is writable"));
    let server = or_skip!(listening(&path).start().await);
    server.finish().await;
}

#[tokio::test]
async fn a_node_for_publishes_alone_listens_on_one_too() {
    let (_directory, path) = socket();
    let redis = RedisServer::start().await;
    let server = listening(&path)
        .set("server.role", "api")
        .set("cluster.driver", "redis")
        .set("cluster.url", redis.url());
    let server = or_skip!(server.start().await);
    wait_until_ready(&server).await;
    let mut connection = Connection::open_unix(&path).await;
    get_up(&mut connection).await.expect_status(200);
    let upgrade = upgrade(&server).encode("relay", "");
    let refused = WebSocket::open(connection, &upgrade).await;
    assert_eq!(refused.expect_err("it takes publishes only").status, 421);
    server.finish().await;
}

#[tokio::test]
async fn the_proxy_protocol_is_spoken_over_a_unix_socket() {
    let (_directory, path) = socket();
    let proxied = vec![format!("unix:{}", path.display())];
    let server = listening(&path).set("server.proxy_protocol", proxied);
    let server = or_skip!(server.start().await);
    let mut connection = Connection::open_unix(&path).await;
    connection
        .send(b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n")
        .await;
    let socket = establish(&server, connection, &upgrade(&server)).await;
    assert_eq!(addresses(&server, "connected", 1).await, ["203.0.113.7"]);
    let mut plain = server.connection().await;
    get_up(&mut plain).await.expect_status(200);
    drop((socket, plain));
    server.finish().await;
}
