//! Calls that DIDs sign, and wallets that sign in.

use crate::support::host::{Host, Options};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use holdfast::clock::Clock;
use holdfast::identity::{Chain, Identity, Terms, Web};
use holdfast_model::{Role, UnixMillis};
use serde_json::{Value, json};
use sha3::{Digest, Keccak256};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

const NOW: u64 = 1_800_000_000;
const URL: &str = "https://pins.example";

async fn host() -> (Host, String) {
    host_of(vec![Chain { id: 1, rpc: None }]).await
}

async fn host_of(chains: Vec<Chain>) -> (Host, String) {
    let terms = Terms {
        url: Some(Url::parse(URL).unwrap()),
        chains,
        ..Terms::default()
    };
    let host = Host::start_with(Options {
        clock: Clock::manual(UnixMillis::from_seconds(NOW)),
        identity: Identity {
            terms,
            web: Some(Web::new(None).unwrap()),
            ..Identity::default()
        },
        ..Options::default()
    })
    .await;
    let admin = host.key("acme/admin", &[Role::TenantAdmin]).await;
    (host, admin)
}

async fn user(host: &Host, admin: &str, login: &str) {
    let wanted = json!({ "name": "alice", "logins": [login] });
    host.post("/v1/users", admin, wanted).await.with(201);
}

fn did(key: &SigningKey) -> String {
    let bytes = [&[0xed, 0x01], key.verifying_key().as_bytes().as_slice()].concat();
    format!("did:key:z{}", bs58::encode(bytes).into_string())
}

fn proof(key: &SigningKey, jti: &str, method: &str, path: &str) -> String {
    let did = did(key);
    let claims = json!({
        "iss": did, "sub": did, "aud": URL, "htm": method, "htu": format!("{URL}{path}"),
        "iat": NOW, "exp": NOW + 60, "jti": jti,
    });
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let said = format!("{}.{}", encode(json!({"alg": "EdDSA"})), encode(claims));
    let signature = key.sign(said.as_bytes()).to_bytes();
    format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn a_did_signs_each_call_anew() {
    let (host, admin) = host().await;
    let key = SigningKey::from_bytes(&[9; 32]);
    let path = "/v1/whoami";
    let unknown = host
        .get(path, &proof(&key, "0", "GET", path))
        .await
        .with(401);
    assert!(
        unknown["detail"]
            .as_str()
            .unwrap()
            .contains("nobody's here"),
        "{unknown}"
    );
    user(&host, &admin, &did(&key)).await;
    let one = proof(&key, "1", "GET", path);
    let me = host.get(path, &one).await.with(200);
    assert_eq!(me["principal"], "user:acme/alice");
    let again = host.get(path, &one).await.with(401);
    assert!(
        again["detail"].as_str().unwrap().contains("used before"),
        "{again}"
    );
    // The query is no part of the address that is signed (RFC 9449, section 4.2).
    let list = proof(&key, "2", "GET", "/psa/pins");
    host.get("/psa/pins?limit=1", &list).await.with(200);
    for (jti, method, signed) in [("3", "POST", path), ("4", "GET", "/psa/pins")] {
        host.get(path, &proof(&key, jti, method, signed))
            .await
            .with(401);
    }
    // Of many at once one goes through.
    let two = proof(&key, "5", "GET", path);
    let calls = (0..8).map(|_| host.get(path, &two));
    let answers = futures_util::future::join_all(calls).await;
    let good = answers.iter().filter(|answer| answer.status.is_success());
    assert_eq!(good.count(), 1);
}

/// A wallet of its own key, as small as one can be.
struct Wallet(k256::ecdsa::SigningKey);

impl Wallet {
    fn address(&self) -> String {
        let point = self.0.verifying_key().to_encoded_point(false);
        let hash = Keccak256::digest(&point.as_bytes()[1..]);
        let digits = hash[12..].iter().map(|byte| format!("{byte:02x}"));
        format!("0x{}", digits.collect::<String>())
    }

    fn sign(&self, message: &str) -> String {
        let text = format!("\x19Ethereum Signed Message:\n{}{message}", message.len());
        let hash = Keccak256::digest(text.as_bytes());
        let (signature, id) = self.0.sign_prehash_recoverable(&hash).unwrap();
        let bytes = [&signature.to_bytes()[..], &[27 + id.to_byte()]].concat();
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        format!("0x{}", digits.collect::<String>())
    }
}

fn message(wallet: &Wallet, nonce: &str) -> String {
    message_on(1, wallet, nonce)
}

fn message_on(chain: u64, wallet: &Wallet, nonce: &str) -> String {
    format!(
        "pins.example wants you to sign in with your Ethereum account:\n{}\n\n\n\
         URI: {URL}\nVersion: 1\nChain ID: {chain}\nNonce: {nonce}\n\
         Issued At: 2027-01-15T08:00:00Z\nExpiration Time: 2027-01-15T08:05:00Z",
        wallet.address()
    )
}

#[tokio::test]
async fn a_wallet_signs_in_once_for_each_nonce() {
    let (host, admin) = host().await;
    let wallet = Wallet(k256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap());
    let nonce = async || {
        let told = host
            .call("POST", "/v1/login/nonce", None, None)
            .await
            .with(201);
        assert_eq!(told["domain"], "pins.example");
        assert_eq!(told["chains"], json!([1]));
        told["nonce"].as_str().unwrap().to_owned()
    };
    let log_in = async |message: String, signature: String| {
        let body = json!({ "message": message, "signature": signature });
        host.call("POST", "/v1/login/wallet", None, Some(body))
            .await
    };
    let text = message(&wallet, &nonce().await);
    log_in(text.clone(), wallet.sign(&text)).await.with(401);
    let login = format!("did:pkh:eip155:1:{}", wallet.address());
    user(&host, &admin, &login).await;
    let text = message(&wallet, &nonce().await);
    let session = log_in(text.clone(), wallet.sign(&text)).await.with(201);
    assert_eq!(session["principal"], "user:acme/alice");
    let token = session["token"].as_str().unwrap();
    let me = host.get("/v1/whoami", token).await.with(200);
    assert_eq!(me["account"], "acme/alice");
    // The nonce is used up, whatever becomes of the signature.
    log_in(text.clone(), wallet.sign(&text)).await.with(401);
    let text = message(&wallet, &nonce().await);
    log_in(text.clone(), wallet.sign("something else"))
        .await
        .with(401);
    log_in(text.clone(), wallet.sign(&text)).await.with(401);
    // A nonce of one's own is none.
    let text = message(&wallet, &"ab".repeat(20));
    log_in(text.clone(), wallet.sign(&text)).await.with(401);
    let other =
        message(&wallet, &nonce().await).replace("pins.example wants", "evil.example wants");
    log_in(other.clone(), wallet.sign(&other)).await.with(401);
    log_in("hello".to_owned(), "0x".to_owned()).await.with(400);
}

#[tokio::test]
async fn a_nonce_waits_for_its_message_for_five_minutes() {
    const WAITS_MILLIS: u64 = 300_000;
    let (host, admin) = host().await;
    let Clock::Manual(millis) = &host.app.clock else {
        panic!("the clock goes by itself");
    };
    let wallet = Wallet(k256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap());
    let login = format!("did:pkh:eip155:1:{}", wallet.address());
    user(&host, &admin, &login).await;
    for (passed, status) in [(WAITS_MILLIS - 1, 201), (WAITS_MILLIS, 401)] {
        millis.store(NOW * 1_000, Ordering::SeqCst);
        let told = host.call("POST", "/v1/login/nonce", None, None).await;
        let told = told.with(201);
        // The message itself is good for longer than that.
        let text = message(&wallet, told["nonce"].as_str().unwrap());
        let text = text.replace("08:05:00Z", "08:09:00Z");
        millis.fetch_add(passed, Ordering::SeqCst);
        let body = json!({ "message": text, "signature": wallet.sign(&text) });
        let said = host
            .call("POST", "/v1/login/wallet", None, Some(body))
            .await;
        let said = said.with(status);
        if status == 401 {
            assert!(said["detail"].as_str().unwrap().contains("nonce"), "{said}");
        }
    }
}

/// A contract may sign in as many bytes as it likes; it is asked about so many only.
#[tokio::test]
async fn a_signature_over_4_kib_is_not_shown_to_its_contract() {
    const YES: &str =
        r#"{"result":"0x1626ba7e00000000000000000000000000000000000000000000000000000000"}"#;
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    let node = axum::Router::new().fallback(async move |_: Bytes| {
        counted.fetch_add(1, Ordering::SeqCst);
        YES
    });
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rpc = format!("http://{}/", socket.local_addr().unwrap());
    let serving = axum::serve(socket, node).into_future();
    let _serving = AbortOnDropHandle::new(tokio::spawn(serving));
    let rpc = Some(Url::parse(&rpc).unwrap());
    let (host, admin) = host_of(vec![Chain { id: 5, rpc }]).await;
    let contract = Wallet(k256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap());
    let login = format!("did:pkh:eip155:5:{}", contract.address());
    user(&host, &admin, &login).await;
    for (bytes, status, calls) in [(4_096, 201, 1), (4_097, 401, 1), (8_193, 401, 1)] {
        let told = host.call("POST", "/v1/login/nonce", None, None).await;
        let nonce = told.with(201)["nonce"].clone();
        let text = message_on(5, &contract, nonce.as_str().unwrap());
        let body = json!({ "message": text, "signature": "ab".repeat(bytes) });
        let said = host
            .call("POST", "/v1/login/wallet", None, Some(body))
            .await;
        said.with(status);
        assert_eq!(asked.load(Ordering::SeqCst), calls, "{bytes}");
    }
}

/// Chains' nodes that do not answer as they should. Each takes whoever comes.
async fn node(answer: &'static str, is_endless: bool) -> Url {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v3/NODE-KEY", socket.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = socket.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = [0; 4_096];
                let _ = stream.read(&mut request).await;
                let mut written = stream.write_all(answer.as_bytes()).await;
                while is_endless && written.is_ok() {
                    written = stream.write_all(&[b' '; 4_096]).await;
                }
                // Held until the caller goes away.
                let _ = stream.read(&mut request).await;
            });
        }
    });
    Url::parse(&url).unwrap()
}

#[tokio::test]
async fn a_chain_whose_node_hangs_or_raves_costs_its_own_log_in_a_few_seconds() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n{";
    const REFUSED: &str = "HTTP/1.1 429 No\r\ncontent-length: 0\r\n\r\n";
    const GARBAGE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n<>";
    let nodes = [
        ("says nothing", node("", false).await),
        ("stops midway", node(HEAD, false).await),
        ("never ends", node(HEAD, true).await),
        ("refuses", node(REFUSED, false).await),
        ("sends no JSON", node(GARBAGE, false).await),
        (
            "is not there",
            Url::parse("http://127.0.0.1:1/v3/NODE-KEY").unwrap(),
        ),
    ];
    let chain = |(id, (_, rpc)): (usize, &(_, Url))| Chain {
        id: id as u64,
        rpc: Some(rpc.clone()),
    };
    let (host, admin) = host_of(nodes.iter().enumerate().map(chain).collect()).await;
    let contract = Wallet(k256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap());
    let begun = Instant::now();
    let log_in = async |id: usize| {
        let told = host
            .call("POST", "/v1/login/nonce", None, None)
            .await
            .with(201);
        let text = message_on(id as u64, &contract, told["nonce"].as_str().unwrap());
        // Not its key's signature, so the contract must be asked.
        let body = json!({ "message": text, "signature": contract.sign("something else") });
        host.call("POST", "/v1/login/wallet", None, Some(body))
            .await
    };
    let answers = futures_util::future::join_all((0..nodes.len()).map(log_in));
    let meanwhile = async {
        host.get("/v1/whoami", &admin).await.with(200);
        begun.elapsed()
    };
    let (answers, quick) = tokio::join!(answers, meanwhile);
    for (answer, (name, _)) in answers.iter().zip(&nodes) {
        let problem = answer.with(503);
        let text = problem.to_string();
        assert!(
            !text.contains("NODE-KEY") && !text.contains("127.0.0.1"),
            "{name}: {text}"
        );
    }
    // Five seconds, and what a loaded machine adds.
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        quick < Duration::from_secs(4),
        "others waited for {quick:?}"
    );
}

#[tokio::test]
async fn neither_is_taken_where_no_address_is_configured() {
    let host = Host::start().await;
    let key = SigningKey::from_bytes(&[9; 32]);
    let path = "/v1/whoami";
    let refused = host
        .get(path, &proof(&key, "0", "GET", path))
        .await
        .with(401);
    assert!(
        refused["detail"].as_str().unwrap().contains("auth.url"),
        "{refused}"
    );
    host.call("POST", "/v1/login/nonce", None, None)
        .await
        .with(403);
}
