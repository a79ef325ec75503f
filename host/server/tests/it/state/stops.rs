//! What a stop of the host is to those who read streams.

use super::{Node, pin};

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_the_host_and_say_so() {
    let node = Node::start().await;
    node.put(&pin(1)).await;
    let mut feed = node.lines("/v1/state/changes?after=0").await;
    feed.next().await;
    node.host.stop.cancel();
    let last = feed.next().await;
    assert_eq!(last["error"]["status"], 503, "{last}");
    assert_eq!(feed.try_next().await.unwrap(), None);
}
