//! Redis over TLS.

use std::path::Path;

use protocol_tests::cluster::ClusterBuilder;
use protocol_tests::{Cluster, Port, PublishedEvent, RedisServer, or_skip};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::support::{app, channel_name, finish, subscriber_of_each};

/// A Redis that also speaks TLS, with a certificate of an authority that nobody else knows.
struct TlsRedis {
    server: RedisServer,
    port: Port,
    directory: TempDir,
}

impl TlsRedis {
    async fn start() -> TlsRedis {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        write_certificates(directory.path());
        let file = |name: &str| directory.path().join(name).display().to_string();
        let (certificate, key, authority) = (file("server.pem"), file("key.pem"), file("ca.pem"));
        let port = Port::hold();
        let port_text = port.address().port().to_string();
        let arguments = [
            "--tls-port",
            &port_text,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &authority,
            "--tls-auth-clients",
            "no",
        ];
        TlsRedis {
            server: RedisServer::start_with(&arguments).await,
            port,
            directory,
        }
    }

    fn nodes(&self) -> ClusterBuilder {
        let url = format!("rediss://{}/0", self.port.address());
        Cluster::builder(url).app(app()).nodes(2)
    }

    fn authority(&self) -> String {
        self.directory.path().join("ca.pem").display().to_string()
    }
}

fn write_certificates(directory: &Path) {
    let write = |name: &str, text: String| {
        std::fs::write(directory.join(name), text).expect("the directory is writable");
    };
    let authority_key = KeyPair::generate().expect("a key can be made");
    let mut authority = CertificateParams::new([]).expect("no names are good names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&authority_key);
    write("ca.pem", certificate.expect("it can be signed").pem());
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().expect("a key can be made");
    let server = CertificateParams::new(["127.0.0.1".to_owned()]).expect("it is an address");
    let certificate = server.signed_by(&key, &issuer);
    write("server.pem", certificate.expect("it can be signed").pem());
    write("key.pem", key.serialize_pem());
}

#[tokio::test]
async fn nodes_share_channels_through_a_redis_that_speaks_tls() {
    let redis = TlsRedis::start().await;
    let nodes = redis
        .nodes()
        .set("cluster.ca_certificates", redis.authority());
    let cluster = or_skip!(nodes.start().await);
    let channel = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    cluster[0]
        .publish(PublishedEvent::new(&channel, "e", "x"))
        .await;
    for client in &mut clients {
        client.expect_event_on(&channel, "e").await;
    }
    drop(clients);
    finish(cluster, &redis.server).await;
}

#[tokio::test]
async fn redis_whose_certificate_is_not_trusted_is_not_used() {
    let redis = TlsRedis::start().await;
    let cluster = or_skip!(redis.nodes().nodes(1).start_without_redis().await);
    protocol_tests::eventually("the node to log what is wrong", || async {
        let log = cluster[0].log();
        let names_it = |line: &String| line.contains("Redis cannot be reached");
        log.iter().any(names_it).then_some(())
    })
    .await;
    let ready = protocol_tests::Request::new("GET", "/ready");
    assert_eq!(cluster[0].request(&ready).await.status, 503);
    cluster.finish().await;
}
