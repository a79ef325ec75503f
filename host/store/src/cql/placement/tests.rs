use crate::contract::{keys, placements};
use crate::cql::trial::case;

#[tokio::test]
async fn contract() {
    case(placements::a_placement_gets_a_version).await;
    case(placements::expectations_guard_placements).await;
    case(placements::placements_by_pin_and_by_peer).await;
    case(placements::due_placements_come_soonest_first).await;
}
#[tokio::test]
async fn contract_keys() {
    case(keys::a_key_is_found_by_hash_and_id).await;
    case(keys::a_key_brings_its_tenant).await;
    case(keys::ids_and_hashes_are_taken_once).await;
    case(keys::the_first_key_is_added_once).await;
    case(keys::keys_of_a_tenant_by_id).await;
    case(keys::revoking_is_final).await;
    case(keys::tenants_by_name).await;
}
