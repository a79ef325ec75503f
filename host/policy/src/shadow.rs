//! A candidate beside what is in force, for the platform's policies or for what a tenant says for
//! itself: live decisions are made once more by the candidate, and every one that comes out
//! differently is written down.
//!
//! The caller never waits for it. A question is copied into a short queue and decided again by a
//! thread of its own; when the queue is full the question is left out, and that is counted.

use crate::bundle::{Bundle, Outcome, Overlay, Verdict};
use crate::gate::{Context, Revision};
use crate::source::Source;
use crate::tenant::TenantSet;
use holdfast_model::action::Resource;
use holdfast_model::{Action, Principal};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Instant;

/// Questions that wait to be decided again. Each is a copy of some hundred bytes.
const QUEUE_MAX: usize = 4_096;

/// Rows of one report: what a person can look at. What does not fit is counted.
const ROWS_MAX: usize = 1_000;

/// What is tried.
#[derive(Debug)]
pub(crate) enum Candidate {
    /// In the place of the platform's policies.
    Platform { bundle: Box<Bundle>, source: Source },
    /// In the place of a tenant's own policies, which were `instead_of` when it began; its grants
    /// stay.
    Own {
        policies: String,
        instead_of: String,
    },
}

/// A question with its live answer.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) principal: Principal,
    pub(crate) action: Action,
    pub(crate) resource: Resource,
    pub(crate) context: Context,
    pub(crate) outcome: Outcome,
    pub(crate) determined_by: Arc<[String]>,
    /// The platform's policies that were asked.
    pub(crate) bundle: Arc<Bundle>,
}

/// How a candidate compares with what is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShadowReport {
    /// The candidate's revision.
    pub revision: String,
    /// The revision that it was begun beside: the platform's, or the tenant's.
    pub beside: String,
    /// How long it has run so far.
    pub running_ms: u64,
    /// Decisions that were made by both.
    pub decisions: u64,
    /// Of these, those that came out differently.
    pub different: u64,
    /// Decisions that were left out, because more came than it could take.
    pub dropped: u64,
    /// Differences that have no row below, because there were too many.
    pub unlisted: u64,
    /// The differences.
    pub flips: Vec<Flip>,
}

/// Decisions about one principal, action and owner that would come out otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// Who.
    pub principal: String,
    /// What.
    pub action: String,
    /// To a thing of which tenant; `None` if of none.
    pub tenant: Option<String>,
    /// What is answered now: `allow`, `deny` or `error`.
    pub now: &'static str,
    /// What the candidate answers.
    pub then: &'static str,
    /// What determines the answer now.
    pub now_by: Vec<String>,
    /// What determines the candidate's.
    pub then_by: Vec<String>,
    /// How often.
    pub count: u64,
}

type Row = (String, Action, Option<String>, &'static str, &'static str);

#[derive(Debug, Default)]
struct Findings {
    decisions: u64,
    different: u64,
    unlisted: u64,
    flips: BTreeMap<Row, Flip>,
}

/// A candidate at work.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) candidate: Arc<Candidate>,
    beside: String,
    revision: String,
    since: Instant,
    dropped: AtomicU64,
    findings: Arc<Mutex<Findings>>,
    /// Dropped with the trial, which ends its thread.
    queue: SyncSender<Question>,
}

impl Trial {
    /// Begins; the thread ends when the trial is dropped.
    pub(crate) fn begin(
        candidate: Candidate,
        revision: String,
        beside: String,
    ) -> std::io::Result<Self> {
        let (queue, questions) = sync_channel(QUEUE_MAX);
        let findings = Arc::<Mutex<Findings>>::default();
        let candidate = Arc::new(candidate);
        let (tried, found) = (Arc::clone(&candidate), Arc::clone(&findings));
        std::thread::Builder::new()
            .name("policy-shadow".into())
            .spawn(move || compare_all(&tried, &questions, &found))?;
        Ok(Self {
            candidate,
            beside,
            revision,
            since: Instant::now(),
            dropped: AtomicU64::new(0),
            findings,
            queue,
        })
    }

    /// Has a decision made once more, if there is room.
    pub(crate) fn offer(&self, question: Question) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(question) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was found so far.
    pub(crate) fn report(&self) -> ShadowReport {
        let findings = self.findings.lock();
        let mut flips: Vec<Flip> = findings.flips.values().cloned().collect();
        flips.sort_by_key(|flip| std::cmp::Reverse(flip.count));
        ShadowReport {
            revision: self.revision.clone(),
            beside: self.beside.clone(),
            running_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            decisions: findings.decisions,
            different: findings.different,
            dropped: self.dropped.load(Ordering::Relaxed),
            unlisted: findings.unlisted,
            flips,
        }
    }
}

fn compare_all(candidate: &Candidate, questions: &Receiver<Question>, findings: &Mutex<Findings>) {
    let mut tried = None;
    for question in questions {
        let then = match candidate {
            Candidate::Platform { bundle, .. } => Some(by_platform(bundle, &question)),
            Candidate::Own { policies, .. } => by_own(&mut tried, policies, &question),
        };
        let Some(then) = then else { continue };
        let mut findings = findings.lock();
        findings.decisions += 1;
        if then.outcome != question.outcome {
            findings.differs(&question, then.outcome, &then.determined_by);
        }
    }
}

fn by_platform(candidate: &Bundle, question: &Question) -> Arc<Verdict> {
    let own = question.context.own.as_ref();
    let own = own.map(|own| own.above(candidate));
    let own = own
        .as_deref()
        .and_then(|own| own.overlay.as_ref().ok()?.as_ref());
    let (who, what) = (&question.principal, &question.resource);
    let is_own = what.tenant() == Some(who.tenant());
    let view = candidate.view(own.filter(|_| is_own));
    view.decide(question.action, who, what, &question.context)
}

/// A tenant's candidate, with the grants of one state of the tenant and above one set of the
/// platform's policies.
#[derive(Debug)]
struct Tried {
    live: Revision,
    platform: Revision,
    /// Nothing where the candidate would not fit the platform's policies any more.
    overlay: Option<Option<Overlay>>,
}

impl Tried {
    /// The candidate's policies with the grants that the tenant has now.
    fn new(policies: &str, live: &TenantSet, bundle: &Bundle) -> Self {
        let set = TenantSet::new(
            live.tenant().clone(),
            policies.to_owned(),
            live.grants().to_vec(),
        );
        Self {
            live: live.revision().clone(),
            platform: bundle.revision.clone(),
            overlay: set.compile(bundle).ok(),
        }
    }

    fn is_of(&self, live: &TenantSet, bundle: &Bundle) -> bool {
        self.live == *live.revision() && self.platform == bundle.revision
    }
}

/// `None` for a call that says nothing of its tenant, which is never offered.
fn by_own(kept: &mut Option<Tried>, policies: &str, question: &Question) -> Option<Arc<Verdict>> {
    let live = question.context.own.as_deref()?;
    let bundle = &*question.bundle;
    let tried = match kept.take().filter(|tried| tried.is_of(live, bundle)) {
        Some(tried) => kept.insert(tried),
        None => kept.insert(Tried::new(policies, live, bundle)),
    };
    let Some(own) = &tried.overlay else {
        return Some(Arc::new(Verdict::unknown()));
    };
    let (who, what) = (&question.principal, &question.resource);
    let view = bundle.view(own.as_ref());
    Some(view.decide(question.action, who, what, &question.context))
}

impl Findings {
    fn differs(&mut self, question: &Question, then: Outcome, by: &[String]) {
        self.different += 1;
        let tenant = question.resource.tenant().map(ToString::to_string);
        let (now, then) = (question.outcome.as_str(), then.as_str());
        let principal = question.principal.id.as_str().to_owned();
        let row = (
            principal.clone(),
            question.action,
            tenant.clone(),
            now,
            then,
        );
        if let Some(flip) = self.flips.get_mut(&row) {
            flip.count += 1;
        } else if self.flips.len() < ROWS_MAX {
            let flip = Flip {
                principal,
                action: question.action.to_string(),
                tenant,
                now,
                then,
                now_by: question.determined_by.to_vec(),
                then_by: by.to_vec(),
                count: 1,
            };
            self.flips.insert(row, flip);
        } else {
            self.unlisted += 1;
        }
    }
}
