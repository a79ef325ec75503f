//! Connections are few: a plugin holds no more than it may, and all of them together no more than
//! the host lets them.

use super::{Act, HELLO, OPEN, Scene, Server, outside, rule};
use crate::egress::Waits;
use crate::egress::error::EgressError;
use crate::egress::metrics::EgressMetrics;
use crate::job::JobsConfig;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Sends a request that waits for a connection only for a moment; the answer is why it got none.
async fn turned_away(scene: &Scene, uri: &str) -> String {
    let empty = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let waits = Waits {
        connect: Duration::from_millis(100),
        ..scene.waits
    };
    let request = Request::get(uri).body(empty).unwrap();
    let allowance = Arc::clone(&scene.allowance);
    let sent = scene.guard.send(request, waits, allowance).await;
    let error = sent.err().unwrap();
    assert!(matches!(error, EgressError::Timeout(_)), "{error}");
    error.to_string()
}

/// So many connections to a server that never answers.
async fn hold(scene: &Arc<Scene>, count: usize, server: &Server) -> Vec<JoinHandle<()>> {
    let before = server.heads.lock().len();
    let uri = format!("http://127.0.0.1:{}/v1", server.port());
    let hanging = (0..count).map(|_| {
        let (scene, uri) = (Arc::clone(scene), uri.clone());
        tokio::spawn(async move { drop(scene.get(&uri).await) })
    });
    let hanging = hanging.collect();
    while server.heads.lock().len() < before + count {
        tokio::task::yield_now().await;
    }
    hanging
}

/// Whoever is no longer waited for gives his place back.
async fn hang_up(hanging: Vec<JoinHandle<()>>) {
    for one in &hanging {
        one.abort();
    }
    for one in hanging {
        assert!(one.await.unwrap_err().is_cancelled());
    }
}

fn patient(mut scene: Scene) -> Arc<Scene> {
    scene.waits.first_byte = Duration::from_secs(60);
    Arc::new(scene)
}

#[tokio::test]
async fn a_plugin_holds_only_so_many_connections() {
    let (server, hello) = (Server::new(&[Act::Hang]).await, Server::new(&[HELLO]).await);
    let metrics = EgressMetrics::new().unwrap();
    let outside = outside(None, None, JobsConfig::CONNECTIONS, &metrics);
    for (plugin, most) in [("one", 1), ("three", 3)] {
        let of = |port: u16| rule("127.0.0.1", port, OPEN);
        let own = of(server.port());
        let scene = Scene::of(plugin, &own, most, Arc::clone(&outside), metrics.clone());
        let scene = patient(scene);
        let uri = format!("http://127.0.0.1:{}/v1", server.port());
        let hanging = hold(&scene, most, &server).await;
        let told = turned_away(&scene, &uri).await;
        assert!(told.contains("within 100 ms"), "{told}");
        hang_up(hanging).await;
        let hanging = hold(&scene, most, &server).await;
        // Others have their own.
        let its = of(hello.port());
        let other = Scene::of("other", &its, 1, Arc::clone(&outside), metrics.clone());
        let uri = format!("http://127.0.0.1:{}/v1", hello.port());
        assert_eq!(other.get(&uri).await.unwrap().2, "hello");
        hang_up(hanging).await;
    }
}

#[tokio::test]
async fn all_plugins_together_hold_only_so_many_connections() {
    let (server, hello) = (Server::new(&[Act::Hang]).await, Server::new(&[HELLO]).await);
    let metrics = EgressMetrics::new().unwrap();
    let outside = outside(None, None, 2, &metrics);
    let scene = |plugin: &str, port: u16| {
        let rule = rule("127.0.0.1", port, OPEN);
        Scene::of(plugin, &rule, 4, Arc::clone(&outside), metrics.clone())
    };
    let (one, other) = (
        patient(scene("one", server.port())),
        scene("other", hello.port()),
    );
    let hanging = hold(&one, 2, &server).await;
    let uri = format!("http://127.0.0.1:{}/v1", hello.port());
    turned_away(&other, &uri).await;
    hang_up(hanging).await;
    assert_eq!(other.get(&uri).await.unwrap().2, "hello");
}
