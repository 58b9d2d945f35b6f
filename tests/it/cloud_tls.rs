//! A private endpoint of a cloud, whose certificate no public authority signed.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::cloud_mock::{MockCloud, World};
use crate::support::daemon::{Gateway, command};

const TYPE: &str = "5f0000000000000000000001";

fn certificates() -> String {
    format!("{}/tests/fixtures/tls", env!("CARGO_MANIFEST_DIR"))
}

/// A cloud behind TLS.
struct Private {
    _cloud: MockCloud,
    port: u16,
    front: JoinHandle<()>,
}

impl Drop for Private {
    fn drop(&mut self) {
        self.front.abort();
    }
}

impl Private {
    async fn start() -> Self {
        let types = vec![json!({ "id": TYPE, "name": "tank" })];
        let cloud = MockCloud::start(World { types, ..World::default() }).await;
        let folder = certificates();
        let chain = CertificateDer::pem_file_iter(format!("{folder}/server.pem")).unwrap();
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(format!("{folder}/server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, address) = (listener.local_addr().unwrap().port(), cloud.address);
        #[expect(clippy::disallowed_methods, reason = "a test's server, aborted when its handle is dropped")]
        let front = tokio::spawn(async move {
            // One connection after the other: each run of the program makes one.
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut outside) = acceptor.accept(stream).await else { continue };
                let mut inside = TcpStream::connect(address).await.unwrap();
                // A client that goes away without a word ends its connection only.
                drop(tokio::io::copy_bidirectional(&mut outside, &mut inside).await);
            }
        });
        Self { _cloud: cloud, port, front }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_endpoint_is_trusted_by_its_authority_or_by_nobody_unless_told_not_to_look() {
    let cloud = Private::start().await;
    let folder = certificates();
    for (keys, option, is_let_in) in [
        ("", None, false),
        ("", Some("--insecure"), true),
        ("insecure = true", None, true),
        (&format!("ca_file = \"{folder}/ca.pem\""), None, true),
        (&format!("ca_file = \"{folder}/other-ca.pem\""), None, false),
    ] {
        let gateway = Gateway::new(&format!(
            "version = 1\n[gateway]\ndata_dir = \"{{data}}\"\n[sources.private]\nkind = \"sigfox\"\n\
             url = \"https://127.0.0.1:{}/v2\"\nlogin = \"login\"\npassword = \"secret\"\n{keys}\n",
            cloud.port
        ));
        let mut command = command(&gateway.configuration());
        command.args(["cloud", "sigfox", "device-types", "list"]).args(option);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), is_let_in, "{keys} {option:?}: {said}");
        if is_let_in {
            assert!(String::from_utf8_lossy(&output.stdout).contains("tank"), "{keys} {option:?}");
        } else {
            assert!(said.contains("certificate") && said.contains("`ca_file`"), "{said}");
        }
    }
}
