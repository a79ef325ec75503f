use crate::contract::{Backend, Outcome, placements};
use crate::cql::trial;
use crate::{Cql, Store};

struct Here(Store);

impl Backend for Here {
    async fn start() -> Self {
        Self(Store::Cql(trial::open().await))
    }
    fn store(&self) -> &Store {
        &self.0
    }
    async fn reopen(self) -> Self {
        self
    }
}

#[tokio::test]
async fn contract1() -> Outcome {
    placements::a_placement_gets_a_version(Here::start().await).await
}
#[tokio::test]
async fn contract2() -> Outcome {
    placements::expectations_guard_placements(Here::start().await).await
}
#[tokio::test]
async fn contract3() -> Outcome {
    placements::placements_by_pin_and_by_peer(Here::start().await).await
}
#[tokio::test]
async fn contract4() -> Outcome {
    placements::due_placements_come_soonest_first(Here::start().await).await
}
