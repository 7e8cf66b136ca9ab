//! Clients that others have written.

use std::process::{Output, Stdio};

use protocol_tests::{PublishedEvent, Request, TestServer, or_skip, within};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::server::Certificates;

/// Runs a program to its end, with this on its standard input.
async fn run(command: &mut Command, input: &[u8]) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may be answered before it has sent all.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    within("a program's end", child.wait_with_output())
        .await
        .unwrap()
}

fn url(server: &TestServer, target: &str) -> String {
    format!("https://{}{target}", server.tls_authority())
}

fn curl(certificates: &Certificates, arguments: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--http2", "--cacert"])
        .arg(certificates.certificate("relay"))
        .args(["--write-out", " %{http_code} %{http_version}"])
        .args(arguments);
    command
}

async fn start() -> Result<(TestServer, Certificates), protocol_tests::Skipped> {
    let certificates = Certificates::new();
    certificates.issue("relay", &["127.0.0.1"]);
    let server = certificates.builder("relay").start().await?;
    Ok((server, certificates))
}

#[tokio::test]
async fn curl_asks_and_publishes() {
    let (server, certificates) = or_skip!(start().await);
    let channel = server.channel("http2");
    let mut subscriber = server.connect().await;
    subscriber.subscribe(&channel).await;
    let up = url(&server, "/up");
    let answer = run(&mut curl(&certificates, &[&up]), b"").await;
    let text = String::from_utf8(answer.stdout).unwrap();
    assert_eq!(text, "{\"health\":\"OK\"} 200 2");
    let event = PublishedEvent::new(&channel, "news", "x".repeat(9000).as_str());
    let request = Request::post(server.app(), "/events").json(event.body());
    let events = url(&server, &request.target(""));
    let arguments = ["--data-binary", "@-", &events];
    let answer = run(&mut curl(&certificates, &arguments), &request.body).await;
    assert_eq!(String::from_utf8(answer.stdout).unwrap(), "{} 200 2");
    subscriber.expect_event_on(&channel, "news").await;
    // The same without HTTP/2, on the same port.
    let arguments = ["--http1.1", &up];
    let answer = run(&mut curl(&certificates, &arguments), b"").await;
    let text = String::from_utf8(answer.stdout).unwrap();
    assert_eq!(text, "{\"health\":\"OK\"} 200 1.1");
    server.finish().await;
}

#[tokio::test]
async fn curl_shows_why_what_it_uploads_is_refused() {
    let (server, certificates) = or_skip!(start().await);
    let upload = vec![b'x'; 3_000_000];
    let events = url(&server, "/apps/10001/events");
    for (arguments, status) in [
        (&["--data-binary", "@-", &events][..], "413"),
        (&["--request", "POST", "--upload-file", "-", &events], "401"),
    ] {
        let answer = run(&mut curl(&certificates, arguments), &upload).await;
        let text = String::from_utf8(answer.stdout).unwrap();
        assert!(text.starts_with("{\"error\":"), "{text}");
        assert!(text.ends_with(&format!(" {status} 2")), "{text}");
        assert!(answer.status.success(), "{:?}", answer.status);
    }
    server.finish().await;
}

const NODE: &str = r#"
const http2 = require("node:http2");
const [, url, ca, target, body] = process.argv;
const session = http2.connect(url, { ca: require("node:fs").readFileSync(ca) });
function ask(headers, body) {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers);
    let status, text = "";
    stream.on("response", (head) => { status = head[":status"]; });
    stream.setEncoding("utf8");
    stream.on("data", (chunk) => { text += chunk; });
    stream.on("end", () => resolve(`${status} ${text}`));
    stream.on("error", reject);
    stream.end(body);
  });
}
(async () => {
  const up = Array.from({ length: 300 }, () => ask({ ":path": "/up" }));
  const answers = new Set(await Promise.all(up));
  console.log([...answers].join("|"));
  console.log(await ask({ ":method": "POST", ":path": target }, body));
  console.log(await ask({ ":method": "POST", ":path": "/apps/10001/events" }, Buffer.alloc(3000000)));
  console.log(await ask({ ":path": "/up" }));
  session.close();
})();
"#;

#[tokio::test]
async fn node_asks_and_publishes_and_uploads_on_one_connection() {
    let (server, certificates) = or_skip!(start().await);
    let channel = server.channel("http2");
    let mut subscriber = server.connect().await;
    subscriber.subscribe(&channel).await;
    let event = PublishedEvent::new(&channel, "news", "x".repeat(9000).as_str());
    let request = Request::post(server.app(), "/events").json(event.body());
    let node = concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/bin/node");
    let mut command = Command::new(node);
    command
        .args(["--eval", NODE, &url(&server, "")])
        .arg(certificates.certificate("relay"))
        .arg(request.target(""))
        .arg(String::from_utf8(request.body.clone()).unwrap());
    let output = run(&mut command, b"").await;
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let [many, published, refused, last] = lines[..] else {
        panic!("{text}")
    };
    assert_eq!(many, "200 {\"health\":\"OK\"}");
    assert_eq!(published, "200 {}");
    assert!(refused.starts_with("401 "), "{refused}");
    assert_eq!(last, "200 {\"health\":\"OK\"}");
    subscriber.expect_event_on(&channel, "news").await;
    let metrics = server.metrics().await;
    assert_eq!(metrics.sum("fanfare_http2_requests_total", &[]), 303.0);
    assert!(output.status.success());
    server.finish().await;
}
