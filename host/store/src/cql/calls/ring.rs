//! How the cluster's keys are spread over its nodes.

use super::Calls;
use crate::cql::home::Home;
use crate::cql::statement::Statement;
use scylla::serialize::row::SerializeRow;

/// The ring of tokens, as the driver knows it now.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Where one node's range ends and the next one's begins, in ascending order.
    pub(crate) tokens: Vec<i64>,
    /// Workers of all nodes: the shards of ScyllaDB, one for each node of Cassandra.
    pub(crate) shards: usize,
}

impl Calls {
    /// The ring as it is now. Keys move to other nodes, not to other tokens, so what was planned by
    /// an older one is still whole.
    pub(crate) fn ring(&self) -> Ring {
        let connected = self.connected();
        let state = connected.session.get_cluster_state();
        let tokens = state.replica_locator().ring().iter();
        let shards = |sharder: Option<scylla::routing::Sharder>| {
            sharder.map_or(1, |sharder| usize::from(sharder.nr_shards.get()))
        };
        Ring {
            tokens: tokens.map(|(token, _)| token.value()).collect(),
            shards: state
                .get_nodes_info()
                .iter()
                .map(|node| shards(node.sharder()))
                .sum(),
        }
    }
}

impl Calls {
    /// Where on the ring the partition lies that a statement is about, if the driver can tell.
    pub(crate) fn token(
        &self,
        statement: Statement,
        home: Home,
        values: impl SerializeRow,
    ) -> Option<i64> {
        let connected = self.connected();
        let prepared = connected.statement(home, statement).ok()?;
        let token = prepared.calculate_token(&values).ok()??;
        Some(token.value())
    }
}

#[cfg(test)]
impl Calls {
    /// Runs a statement that only a test needs.
    pub(crate) async fn plainly(&self, text: &str, values: impl SerializeRow) {
        let connected = self.connected();
        connected.session.query_unpaged(text, values).await.unwrap();
    }
}
