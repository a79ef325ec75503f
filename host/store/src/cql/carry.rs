//! A batch of operations on one account, from its lane to its answers.
//!
//! 1. The head is read, or remembered; what another process left half done is finished.
//! 2. The requests that the operations name are read, and the operations run on a [draft].
//! 3. The effects are noted as an [intent], then the head moves if it still is what was read: from
//!    then on the batch has happened.
//! 4. The effects are applied, the callers are answered, the intent goes.
//!
//! [draft]: super::draft
//! [intent]: super::intent

use super::Shared;
use super::account::{Head, OpId};
use super::calls::{Cas, one_change, rest_of_change};
use super::draft::{Draft, Kept, RequestOp};
use super::intent::{Intent, slot_of};
use super::lane::{Call, Lanes, Reply};
use super::statement::Statement;
use super::stop::Stop;
use crate::Result;
use crate::error::StoreError;
use crate::row::decode_request;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use holdfast_model::{AccountId, PinRequest, RequestId};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

/// The lanes of the accounts.
pub(crate) type AccountLanes = Lanes<AccountId, RequestOp, Option<PinRequest>>;

/// How long a batch tries to move its head, in deadlines of one conditional write: some for other
/// processes that are faster, some for an outcome that has to be settled. Only intents that are
/// much older are swept.
const TRIES_IN_DEADLINES: u32 = 3;

/// Requests read at once for a batch.
const READS_AT_ONCE: usize = 32;

/// The pause before the first repetition, about one round of Paxos; each is up to twice the last.
const PAUSE_MIN: Duration = Duration::from_millis(5);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The longest pause of who was overtaken: others are busy with the account, and he must be there
/// when they are not.
const PAUSE_CROWD_MAX: Duration = Duration::from_millis(50);
/// The longest time for which who has moved a head leaves it to others.
const GIVE_WAY_MAX: Duration = Duration::from_secs(1);

/// What one attempt came to.
enum Attempt {
    /// Nothing had to be written.
    Idle(Vec<Result<Option<PinRequest>>>),
    /// The head has moved; the effects are to be applied.
    Moved(Box<Moved>),
    /// Others were faster.
    Overtaken,
}

/// A batch that has happened.
struct Moved {
    head: Head,
    intent: Intent,
    answers: Vec<Result<Option<PinRequest>>>,
}

impl Shared {
    /// Has an operation carried out in its account's lane.
    pub(super) async fn carry(
        self: &Arc<Self>,
        account: AccountId,
        op: RequestOp,
    ) -> Result<Option<PinRequest>> {
        let shared = Arc::clone(self);
        let carry = move |account, calls| carry(Arc::clone(&shared), account, calls);
        let late = late(&account, "it waits for the account's earlier changes");
        let answer = self.accounts.call(account, op, carry);
        // As long may the batch before it take, as long its own.
        let patience = self.patience() * 2;
        timeout(patience, answer).await.unwrap_or(Err(late))
    }

    /// How long a batch tries to move its head.
    pub(super) fn patience(&self) -> Duration {
        self.timeouts().condition * TRIES_IN_DEADLINES
    }

    /// A request and the bucket that it is listed in.
    pub(super) async fn kept(&self, id: RequestId) -> Result<Option<Kept>> {
        let home = self.params.home(id.0.as_bytes());
        let row: Option<(i32, Vec<u8>)> = self
            .calls
            .row(Statement::RequestRead, home, (id.0,))
            .await?;
        row.map(|(bucket, body)| {
            let request = decode_request(id, &body)?;
            Ok(Kept { bucket, request })
        })
        .transpose()
    }

    async fn all_kept(&self, ids: HashSet<RequestId>) -> Result<HashMap<RequestId, Kept>> {
        let rows = stream::iter(ids)
            .map(|id| async move { Ok::<_, StoreError>((id, self.kept(id).await?)) })
            .buffer_unordered(READS_AT_ONCE);
        rows.try_filter_map(|(id, kept)| async move { Ok(kept.map(|kept| (id, kept))) })
            .try_collect()
            .await
    }
}

async fn carry(
    shared: Arc<Shared>,
    account: AccountId,
    calls: Vec<Call<RequestOp, Option<PinRequest>>>,
) {
    let (ops, replies): (Vec<_>, Vec<_>) = calls.into_iter().map(Call::into_parts).unzip();
    let began = Instant::now();
    let deadline = began + shared.patience();
    let size = u32::try_from(ops.len()).unwrap_or(u32::MAX);
    match one_change(decide(&shared, &account, &ops, deadline)).await {
        Ok(Attempt::Moved(moved)) => {
            shared.metrics.committed(size, began.elapsed());
            rest_of_change(finish(&shared, *moved, replies, deadline)).await;
            give_way(&shared, began.elapsed()).await;
        }
        Ok(Attempt::Idle(answers)) => {
            for (reply, answer) in replies.into_iter().zip(answers) {
                reply.answer(answer);
            }
        }
        Ok(Attempt::Overtaken) => answer_all(replies, &crowded(&account)),
        Err(error) => answer_all(replies, &error),
    }
}

/// Leaves the account to other processes for a while. Who has just moved a head knows it, and needs
/// neither to read it nor to finish what another has begun: without this he would be faster each
/// time, and two clients at two processes would be one client that is served and one that is not.
async fn give_way(shared: &Shared, took: Duration) {
    if shared.feed.is_alone() {
        return;
    }
    let longest = (took / 2).min(GIVE_WAY_MAX);
    let longest = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
    sleep(Duration::from_micros(rand::random_range(0..=longest))).await;
}

/// Tries until the head has moved, or the time is over.
async fn decide(
    shared: &Arc<Shared>,
    account: &AccountId,
    ops: &[RequestOp],
    deadline: Instant,
) -> Result<Attempt> {
    let mut pause = PAUSE_MIN;
    loop {
        match attempt(shared, account, ops, deadline).await? {
            Attempt::Overtaken if Instant::now() < deadline => {
                pace(&mut pause).await;
                pause = pause.min(PAUSE_CROWD_MAX);
            }
            decided => return Ok(decided),
        }
    }
}

async fn attempt(
    shared: &Arc<Shared>,
    account: &AccountId,
    ops: &[RequestOp],
    deadline: Instant,
) -> Result<Attempt> {
    let old = match shared.heads.take(account) {
        Some(head) => Some(head),
        None => shared.settled_head(account).await?,
    };
    let named = ops.iter().flat_map(RequestOp::names).collect();
    let found = shared.all_kept(named).await?;
    let mut draft = Draft::new(account, old, found, shared.bucket_rows());
    let answers = ops.iter().map(|op| draft.run(op.clone())).collect();
    if draft.is_empty() {
        return Ok(Attempt::Idle(answers));
    }
    let version = shared.clock.next_after(old.map_or(0, |head| head.version));
    let op = OpId {
        id: Uuid::now_v7(),
        slot: slot_of(version),
    };
    let (head, effects) = draft.into_effects(op, version)?;
    let intent = Intent {
        account: account.clone(),
        version,
        effects,
    };
    shared.put_intent(op, &intent).await?;
    shared.stop(Stop::Intended)?;
    if settle(shared, account, old.as_ref(), &head, deadline).await? {
        return Ok(Attempt::Moved(Box::new(Moved {
            head,
            intent,
            answers,
        })));
    }
    forget(shared, op, version);
    Ok(Attempt::Overtaken)
}

/// Moves the head; answers whether it has moved. What is not known is asked for until it is known.
async fn settle(
    shared: &Arc<Shared>,
    account: &AccountId,
    old: Option<&Head>,
    new: &Head,
    deadline: Instant,
) -> Result<bool> {
    let mut pause = PAUSE_MIN;
    loop {
        let tried = shared.move_head(account, old, new).await;
        if let Ok(Cas::Applied) = tried {
            return Ok(true);
        }
        let known = match shared.serial_head(account).await {
            Ok(head) => where_it_stands(shared, head, old, new).await,
            Err(error) => Err(error),
        };
        match (known, tried) {
            (Ok(Some(moved)), _) => return Ok(moved),
            (Ok(None), Ok(_)) => {}
            (Ok(None), Err(error)) | (Err(error), _) => {
                tracing::debug!(%account, %error, "a change is not settled yet");
                if Instant::now() >= deadline {
                    return Err(unsettled(account, &error));
                }
            }
        }
        if Instant::now() >= deadline {
            return Err(crowded(account));
        }
        pace(&mut pause).await;
    }
}

/// Whether a head has moved as was wanted, judged by the row itself; `None` if it still may.
async fn where_it_stands(
    shared: &Shared,
    found: Option<Head>,
    old: Option<&Head>,
    new: &Head,
) -> Result<Option<bool>> {
    let version = found.map(|head| head.version);
    if found.is_some_and(|head| head.op.id == new.op.id) {
        return Ok(Some(true));
    }
    if version == old.map(|head| head.version) {
        return Ok(None);
    }
    // Others have moved on. Whoever passes an operation applies it first and takes its intent away;
    // the sweep takes those away that came to nothing, but only when they are much older.
    let passed = shared.intent(new.op).await?.is_none();
    Ok(Some(passed))
}

/// Applies what has happened, however long it takes, and answers: when it is applied, or when the
/// callers' time is over.
async fn finish(
    shared: &Arc<Shared>,
    moved: Moved,
    replies: Vec<Reply<Option<PinRequest>>>,
    deadline: Instant,
) {
    let Moved {
        head,
        intent,
        answers,
    } = moved;
    let account = intent.account.clone();
    let mut applying = Box::pin(apply(shared, &intent));
    let applied = match timeout_at(deadline, &mut applying).await {
        Ok(applied) => {
            for (reply, answer) in replies.into_iter().zip(answers) {
                reply.answer(match &applied {
                    Ok(()) => answer,
                    Err(error) => answer.and(Err(error.again())),
                });
            }
            applied
        }
        Err(_) => {
            let late = late(&account, "it is decided and is still being written");
            for (reply, answer) in replies.into_iter().zip(answers) {
                reply.answer(answer.and(Err(late.again())));
            }
            applying.await
        }
    };
    if applied.is_ok() {
        shared.heads.keep(&account, head);
        forget(shared, head.op, head.version);
    }
}

/// Applies until it is done, or the store ends.
async fn apply(shared: &Arc<Shared>, intent: &Intent) -> Result<()> {
    let mut pause = PAUSE_MIN;
    loop {
        match shared.apply(intent).await {
            Ok(()) => return Ok(()),
            Err(error) if shared.is_ended() => return Err(error),
            Err(error) => {
                tracing::warn!(account = %intent.account, %error, "applying a change again");
            }
        }
        pace(&mut pause).await;
    }
}

/// Takes an intent away without waiting for it: what stays behind, the sweep finds.
fn forget(shared: &Arc<Shared>, op: OpId, version: u64) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let removed = rest_of_change(shared.remove_intent(op, version));
        if let Err(error) = removed.await {
            tracing::debug!(op = %op.id, %error, "an intent is left to the sweep");
        }
    });
}

async fn pace(pause: &mut Duration) {
    let longest = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
    let micros = rand::random_range(longest / 2..=longest);
    sleep(Duration::from_micros(micros)).await;
    *pause = (*pause * 2).min(PAUSE_MAX);
}

fn answer_all(replies: Vec<Reply<Option<PinRequest>>>, error: &StoreError) {
    for reply in replies {
        reply.answer(Err(error.again()));
    }
}

fn crowded(account: &AccountId) -> StoreError {
    StoreError::Unavailable {
        doing: format!("change account {account}"),
        source: std::io::Error::other("other processes were faster each time; try again"),
    }
}

fn unsettled(account: &AccountId, error: &StoreError) -> StoreError {
    StoreError::Unsettled {
        doing: format!("change account {account}"),
        why: error.to_string(),
    }
}

fn late(account: &AccountId, why: &str) -> StoreError {
    StoreError::Unsettled {
        doing: format!("change account {account}"),
        why: why.to_owned(),
    }
}
