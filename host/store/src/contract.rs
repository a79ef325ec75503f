//! What every backend keeps: one suite, written once against [`Store`] and run on
//! each.
//!
//! A backend's tests implement [`Backend`] and call [`contract_suite!`](crate::contract_suite),
//! which makes one test of each case.

pub mod audit;
pub mod cassandra;
pub mod feed;
pub mod keys;
pub mod keyspace;
pub mod listing;
pub mod pins;
pub mod placements;
pub mod records;
pub mod requests;
pub mod sample;
pub mod usage;

use crate::{Result, Store};
use holdfast_model::ErrorKind;

/// How to get at a store of one kind.
#[expect(
    async_fn_in_trait,
    reason = "used by generic tests only, which need no Send"
)]
pub trait Backend: Sized {
    /// An empty store of its own.
    async fn start() -> Self;

    /// The store.
    fn store(&self) -> &Store;

    /// Closes the store and opens the same data again, if the backend keeps any.
    async fn reopen(self) -> Self;
}

/// What a case answers: an error of any kind fails it.
pub type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

/// The kind of a refusal; `None` if the call went through.
pub fn refusal<T>(answer: Result<T>) -> Option<ErrorKind> {
    answer.err().map(|e| e.kind())
}

/// Makes a test of every case for one [`Backend`].
#[macro_export]
macro_rules! contract_suite {
    ($backend:ty) => {
        $crate::contract_suite! { $backend;
            requests:
                a_request_begins_queued,
                an_id_is_used_once,
                created_is_unique_and_grows,
                created_grows_past_deleted_requests,
                the_same_cid_twice_is_two_requests_and_one_pin,
                a_pin_goes_with_its_last_wish,
                a_cluster_wish_keeps_a_pin,
                an_existing_pin_keeps_what_it_has,
                deleting_needs_the_owner,
                replacing_is_one_step,
                replacing_with_the_same_cid_keeps_the_pin,
                replacing_what_is_not_there_changes_nothing,
                settling_needs_the_version,
                settling_keeps_the_size_and_clears_details,
                expired_requests_come_soonest_first;
            listing:
                a_page_is_newest_first,
                before_and_after_are_strict,
                paging_by_created_meets_each_request_once,
                filters_by_status,
                filters_by_cid,
                filters_by_name_and_meta,
                counts_follow_every_filter,
                counts_by_status_follow_every_change,
                accounts_see_their_own,
                requests_of_a_pin_are_each_met_once;
            pins:
                putting_a_pin_answers_its_stored_form,
                expectations_guard_a_put,
                expectations_guard_a_delete,
                deleting_what_is_not_there,
                many_change_at_once_and_each_by_itself,
                a_large_call_takes_effect_in_its_order,
                versions_are_never_used_again,
                allocating_needs_the_version,
                pins_are_each_met_once,
                a_scan_goes_on_from_its_mark,
                only_cluster_pins_expire;
            placements:
                a_placement_gets_a_version,
                expectations_guard_placements,
                placements_by_pin_and_by_peer,
                due_placements_come_soonest_first;
            feed:
                every_change_of_a_pin_is_announced,
                settling_and_placing_are_not_announced,
                the_feed_resumes_after_a_cursor,
                the_head_moves_with_the_feed,
                a_trimmed_cursor_is_too_old,
                a_future_cursor_is_refused,
                followers_keep_their_place;
            usage:
                usage_is_exact_over_a_pins_life,
                usage_survives_reopening,
                operations_are_counted,
                a_clock_that_goes_back_is_taken_to_stand_still,
                accounts_that_ever_made_a_request;
            keys:
                a_key_is_found_by_hash_and_id,
                a_key_brings_its_tenant,
                ids_and_hashes_are_taken_once,
                the_first_key_is_added_once,
                keys_of_a_tenant_by_id,
                revoking_is_final,
                a_retired_key_names_the_one_in_its_place,
                scopes_and_makers_are_kept,
                tenants_by_name,
                everything_survives_reopening,
                a_closed_store_says_so;
            records:
                a_record_comes_back_as_it_was,
                kinds_and_owners_keep_apart,
                expectations_guard_records,
                only_one_of_many_puts_a_record_once,
                records_of_an_owner_by_id,
                what_is_over_is_not_there,
                sweeping_removes_what_is_over_alone,
                records_have_bounds,
                records_survive_reopening;
            audit:
                a_chain_begins_and_grows,
                chains_keep_apart,
                one_of_two_appenders_wins,
                an_append_that_happened_may_be_repeated,
                a_repeat_is_told_from_another_append,
                a_crowd_enters_everything_once,
                pages_go_both_ways,
                a_thousand_in_one_append,
                appends_have_bounds,
                segments_follow_one_another,
                checkpoints_come_newest_first,
                expectations_guard_checkpoints,
                tenants_with_a_chain_by_name,
                sweeping_takes_whole_old_segments,
                chains_survive_reopening;
        }
    };
    ($backend:ty; $($module:ident: $($case:ident),+;)+) => {
        $(mod $module {
            #[allow(unused_imports, reason = "the backend may be named by a path")]
            use super::*;
            $(#[tokio::test]
            async fn $case() -> $crate::contract::Outcome {
                let backend = <$backend as $crate::contract::Backend>::start().await;
                $crate::contract::$module::$case(backend).await
            })+
        })+
    };
}
