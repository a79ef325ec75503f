//! What is remembered of the nodes, and what clients are told of them.

use super::*;

const PEER: &str = "12D3KooWGHTKzeT4KaLGLrbKKyT8zKrBPXAUBRzCAN6ZMDMo4M6M";
const API: &str = "http://127.0.0.1:5001";

fn id(addresses: &[&str]) -> NodeId {
    NodeId {
        peer: PeerId::parse(PEER).unwrap(),
        addresses: addresses
            .iter()
            .map(|address| Origin::parse(&format!("{address}/p2p/{PEER}")).unwrap())
            .collect(),
        agent: "kubo/0.39.0/".into(),
    }
}

fn shown(peers: &Peers) -> Vec<String> {
    let tail = format!("/p2p/{PEER}");
    let short = |origin: &Origin| origin.to_string().strip_suffix(&tail).unwrap().to_owned();
    peers.delegates().iter().map(short).collect()
}

async fn with(addresses: &[&str]) -> Peers {
    let peers = Peers::open(&[API.into()], Vec::new(), None);
    peers.seen(API, id(addresses), UnixMillis::new(1)).await;
    peers
}

#[tokio::test]
async fn what_everybody_can_dial_comes_first() {
    let peers = with(&[
        "/ip4/127.0.0.1/tcp/4001",
        "/ip4/10.0.0.7/tcp/4001",
        "/ip6/::1/tcp/4001",
        "/ip4/203.0.113.7/tcp/4001",
        "/dns4/pin.example/tcp/4001",
    ])
    .await;
    assert_eq!(
        shown(&peers),
        [
            "/ip4/203.0.113.7/tcp/4001",
            "/dns4/pin.example/tcp/4001",
            "/ip4/10.0.0.7/tcp/4001"
        ]
    );
}

#[tokio::test]
async fn this_machine_is_better_than_nothing_and_the_id_better_than_neither() {
    assert_eq!(
        shown(&with(&["/ip4/127.0.0.1/tcp/4001"]).await),
        ["/ip4/127.0.0.1/tcp/4001"]
    );
    assert_eq!(shown(&with(&[]).await), [""]);
    assert!(Peers::default().delegates().is_empty());
}

#[tokio::test]
async fn a_restart_remembers_the_node_and_another_configuration_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = Some(dir.path().join("peers.json"));
    let peers = Peers::open(&[API.into()], Vec::new(), file.clone());
    assert!(!peers.is_complete());
    peers
        .seen(API, id(&["/ip4/203.0.113.7/tcp/4001"]), UnixMillis::new(1))
        .await;

    let again = Peers::open(&[API.into()], Vec::new(), file.clone());
    assert_eq!(again.delegates(), peers.delegates());
    assert_eq!(again.ids(), peers.ids());
    assert!(again.is_complete() && !again.nodes()[0].healthy);

    let other = Peers::open(&["http://other:5001".into()], Vec::new(), file.clone());
    assert!(other.ids().is_empty());

    std::fs::write(file.as_deref().unwrap(), "[{").unwrap();
    assert!(
        Peers::open(&[API.into()], Vec::new(), file)
            .ids()
            .is_empty()
    );
}

#[tokio::test]
async fn only_what_matters_wakes_those_who_wait() {
    let peers = with(&[]).await;
    let mut changes = peers.changes();
    changes.borrow_and_update();
    peers.seen(API, id(&[]), UnixMillis::new(2)).await;
    assert!(!changes.has_changed().unwrap());
    peers.lost(API, &"refused");
    assert!(changes.has_changed().unwrap());
    changes.borrow_and_update();
    peers.lost(API, &"refused");
    assert!(!changes.has_changed().unwrap());
    peers.seen(API, id(&[]), UnixMillis::new(3)).await;
    assert!(changes.has_changed().unwrap());
}

#[test]
fn the_operators_word_goes_before_the_nodes() {
    let named = Origin::parse(&format!("/dns4/pin.example/tcp/4001/p2p/{PEER}")).unwrap();
    let peers = Peers::open(&[API.into()], vec![named.clone()], None);
    assert_eq!(peers.delegates(), [named]);
}
