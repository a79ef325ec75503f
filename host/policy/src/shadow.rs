//! A candidate for the platform's policies beside those in force: live decisions are made once more
//! by the candidate, and every one that comes out differently is written down.
//!
//! The caller never waits for it. A question is copied into a short queue and decided again by a
//! thread of its own; when the queue is full the question is left out, and that is counted.

use crate::bundle::{Bundle, Outcome};
use crate::gate::Context;
use crate::source::Source;
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

/// A question with its live answer.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) principal: Principal,
    pub(crate) action: Action,
    pub(crate) resource: Resource,
    pub(crate) context: Context,
    pub(crate) outcome: Outcome,
    pub(crate) determined_by: Arc<[String]>,
}

/// How a candidate compares with what is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShadowReport {
    /// The candidate's revision.
    pub revision: String,
    /// The revision that it was begun beside.
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
    pub(crate) source: Source,
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
        candidate: Bundle,
        source: Source,
        beside: String,
    ) -> std::io::Result<Self> {
        let (queue, questions) = sync_channel(QUEUE_MAX);
        let findings = Arc::<Mutex<Findings>>::default();
        let revision = candidate.revision.0.to_string();
        let found = Arc::clone(&findings);
        std::thread::Builder::new()
            .name("policy-shadow".into())
            .spawn(move || compare_all(&candidate, &questions, &found))?;
        Ok(Self {
            source,
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

fn compare_all(candidate: &Bundle, questions: &Receiver<Question>, findings: &Mutex<Findings>) {
    for question in questions {
        let own = question
            .context
            .own
            .as_ref()
            .map(|own| own.above(candidate));
        let own = own
            .as_deref()
            .and_then(|own| own.overlay.as_ref().ok()?.as_ref());
        let Question {
            principal,
            action,
            resource,
            context,
            ..
        } = &question;
        let is_own = resource.tenant() == Some(principal.tenant());
        let view = candidate.view(own.filter(|_| is_own));
        let then = view.decide(*action, principal, resource, context);
        let mut findings = findings.lock();
        findings.decisions += 1;
        if then.outcome != question.outcome {
            findings.differs(&question, then.outcome, &then.determined_by);
        }
    }
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
