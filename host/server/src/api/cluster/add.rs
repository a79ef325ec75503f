//! Adding content: `POST /add` hands what is uploaded to a Kubo node, tells what the node tells,
//! and pins the roots.
//!
//! IPFS Cluster takes the content apart itself and sends the blocks to every allocated peer. Here
//! one node takes it in, and its peers fetch it from there; so it is among those that the pin is
//! allocated to, unless the caller names others.

mod plan;

use super::lines::{self, Ended, Lines};
use super::roster::Roster;
use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::clock::Clock;
use crate::pins::cluster::{self, Defaults, Wish};
use crate::workers::kubo::{AddedFile, Broken, Imported, Kubo, Upload};
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use holdfast_model::action::{Host, WritePins};
use holdfast_model::{Cid, Invalid, Origin, PeerId};
use holdfast_policy::Permit;
use holdfast_store::Store;
use http_body_util::BodyExt;
use plan::{Format, Plan};
use serde::Serialize;
use std::time::Duration;

/// How long who uploads may send nothing: files come from disks and lines that hesitate.
const SENDER_PATIENCE: Duration = Duration::from_secs(60);

/// Roots that one call may pin: what is added without a directory around it.
const ROOTS_MAX: usize = 1_000;

/// Rows of an answer that is one array. They are held in memory until all is well.
const ROWS_MAX: usize = 100_000;

/// Tells that the answer comes in pieces; some clients look for it.
const CHUNKED: HeaderName = HeaderName::from_static("x-chunked-output");

/// A step of adding (`api.AddedOutput`).
#[derive(Debug, Serialize)]
struct Added {
    name: String,
    cid: Option<Cid>,
    #[serde(skip_serializing_if = "is_zero")]
    bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    size: u64,
    /// Who has it so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    allocations: Option<[PeerId; 1]>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Added {
    fn of(file: AddedFile, peer: PeerId) -> Self {
        Self {
            name: file.name,
            allocations: file.cid.map(|_| [peer]),
            cid: file.cid,
            bytes: file.bytes,
            size: file.size,
        }
    }
}

/// Adds what is uploaded.
pub(super) async fn add(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<WritePins>(Host)?;
    let content_type = multipart(call)?;
    let plan = Plan::read(&call.any_query(), call.app().clock.now())?;
    let streams = plan.streams;
    let roster = Roster::of(call)?;
    let body = call.body.take().unwrap_or_default();
    let adding = Adding::new(call, permit, plan, roster)?;
    let upload = Upload {
        content_type,
        body: patient(body),
    };
    call.note("content is added".to_owned());
    if !streams {
        return lines::carry_through(call, |mut lines| async move {
            let outcome = adding.array(upload, &mut lines).await;
            (lines, outcome)
        })
        .await;
    }
    let reply = lines::carry_through(call, |mut lines| async move {
        // The sender reads along while it sends, and waits for the head of the answer.
        lines.begin();
        let mut told = Told::Lines(&mut lines);
        let outcome = adding.run(upload, &mut told).await;
        (lines, outcome)
    })
    .await?;
    Ok(reply
        .with_header(CHUNKED, HeaderValue::from_static("1"))
        .with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))
        .with_header(header::CONNECTION, HeaderValue::from_static("close")))
}

/// The body's type, which must be a form of several parts.
fn multipart(call: &Call) -> Result<HeaderValue, Problem> {
    let declared = call.parts.headers.get(header::CONTENT_TYPE);
    let is_form = |value: &&HeaderValue| {
        let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
        text.starts_with("multipart/form-data") && text.contains("boundary=")
    };
    let wrong = || {
        Invalid::new(
            "Content-Type",
            "is not multipart/form-data with a boundary; send the files as parts of a form",
        )
    };
    Ok(declared.filter(is_form).cloned().ok_or_else(wrong)?)
}

/// The body, which breaks off if its sender pauses for too long.
fn patient(body: Body) -> crate::workers::kubo::Content {
    let frames = futures_util::stream::unfold(Some(body), |body| async {
        let mut body = body?;
        let paused = || Broken::from("the sender paused for too long");
        match tokio::time::timeout(SENDER_PATIENCE, body.frame()).await {
            Ok(None) => None,
            Ok(Some(Ok(frame))) => Some((Ok(frame), Some(body))),
            Ok(Some(Err(error))) => Some((Err(Broken::from(error)), None)),
            Err(_elapsed) => Some((Err(paused()), None)),
        }
    });
    http_body_util::StreamBody::new(frames).boxed_unsync()
}

/// Who is told of each step.
enum Told<'a> {
    /// The client, as it comes.
    Lines(&'a mut Lines),
    /// The client, once all is well.
    Rows(Vec<Added>),
}

impl Told<'_> {
    async fn step(&mut self, added: Added) -> Result<(), Ended> {
        match self {
            // Who has sent everything and does not listen still wants it pinned.
            Self::Lines(lines) => match lines.line_now(&added).await {
                Err(Ended::Gone) => Ok(()),
                other => other,
            },
            Self::Rows(rows) if rows.len() >= ROWS_MAX => {
                let why = format!("more than {ROWS_MAX} files fit no array; leave it out");
                Err(Invalid::new("stream-channels", why).into())
            }
            Self::Rows(rows) => {
                rows.push(added);
                Ok(())
            }
        }
    }
}

/// What adding takes.
struct Adding {
    store: Store,
    clock: Clock,
    permit: Permit<WritePins>,
    defaults: Defaults,
    plan: Plan,
    roster: Roster,
    peer: PeerId,
    kubo: Kubo,
    /// Where the others find the content.
    addresses: Vec<Origin>,
}

impl Adding {
    fn new(
        call: &Call,
        permit: Permit<WritePins>,
        mut plan: Plan,
        roster: Roster,
    ) -> Result<Self, Problem> {
        let app = call.app();
        let answering = roster.answering();
        let asked_for = &plan.options.user_allocations;
        let named = answering
            .iter()
            .find(|(node, _)| asked_for.contains(&node.peer));
        let (node, kubo) = match named {
            Some((node, kubo)) => (*node, *kubo),
            None => roster.any()?,
        };
        if plan.options.user_allocations.is_empty() {
            plan.options.user_allocations.push(node.peer);
        }
        Ok(Self {
            store: app.store.clone(),
            clock: app.clock.clone(),
            permit,
            defaults: call.cluster()?.defaults,
            plan,
            peer: node.peer,
            kubo: kubo.clone(),
            addresses: node.addresses.clone(),
            roster: roster.clone(),
        })
    }

    async fn array(self, upload: Upload, lines: &mut Lines) -> Result<(), Ended> {
        let mut told = Told::Rows(Vec::new());
        self.run(upload, &mut told).await?;
        match told {
            Told::Rows(rows) => lines.line(&rows).await,
            Told::Lines(_) => Ok(()),
        }
    }

    async fn run(&self, upload: Upload, told: &mut Told<'_>) -> Result<(), Ended> {
        let roots = match self.plan.format {
            Format::UnixFs => self.files(upload, told).await?,
            Format::Car => vec![self.archive(upload, told).await?],
        };
        if self.plan.pins {
            self.introduce();
            for cid in roots {
                self.pin(cid).await?;
            }
        }
        Ok(())
    }

    /// Has the node add files; answers the roots.
    async fn files(&self, upload: Upload, told: &mut Told<'_>) -> Result<Vec<Cid>, Ended> {
        let options = self.plan.of_kubo();
        let options: Vec<(&str, &str)> = options.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let mut steps = self.kubo.add(&options, upload).await?;
        let mut roots = Vec::new();
        while let Some(step) = steps.next().await? {
            if let Some(cid) = step.cid {
                // The directory around it all comes last; without one, what has no directory in
                // its name is a root of its own.
                if self.plan.wraps {
                    roots.clear();
                }
                if self.plan.wraps || !step.name.contains('/') {
                    roots.push(cid);
                }
                if roots.len() > ROOTS_MAX {
                    let why = format!(
                        "there are more than {ROOTS_MAX} files; send wrap-with-directory=true"
                    );
                    return Err(Invalid::new("body", why).into());
                }
            }
            told.step(Added::of(step, self.peer)).await?;
        }
        if roots.is_empty() {
            return Err(Invalid::new("body", "has no file in it").into());
        }
        Ok(roots)
    }

    /// Has the node import an archive; answers its root.
    async fn archive(&self, upload: Upload, told: &mut Told<'_>) -> Result<Cid, Ended> {
        let steps = self.kubo.import(upload).await?;
        let mut roots = Vec::new();
        let mut bytes = 0;
        for step in steps {
            match step {
                Imported::Root(cid) => roots.push(cid),
                Imported::Blocks(count) => bytes = count,
            }
        }
        let is_kept = self.plan.pins && !self.plan.max_depth.is_direct();
        let ([_], true) = (roots.as_slice(), is_kept) else {
            // The import has pinned them, and they are not to be, or not so.
            for cid in &roots {
                self.kubo.pin_rm(cid).await?;
            }
            return match roots.as_slice() {
                [root] => self.told_root(*root, bytes, told).await,
                _ => Err(
                    Invalid::new("body", "only CAR files with a single root are supported").into(),
                ),
            };
        };
        match roots.pop() {
            Some(root) => self.told_root(root, bytes, told).await,
            None => Err(Invalid::new("body", "is no CAR file with a root").into()),
        }
    }

    async fn told_root(&self, root: Cid, bytes: u64, told: &mut Told<'_>) -> Result<Cid, Ended> {
        let added = Added {
            name: root.to_string(),
            cid: Some(root),
            bytes,
            size: 0,
            allocations: Some([self.peer]),
        };
        told.step(added).await?;
        Ok(root)
    }

    async fn pin(&self, cid: Cid) -> Result<(), Ended> {
        let wish = Wish {
            cid,
            max_depth: self.plan.max_depth,
            options: self.plan.options.clone(),
        };
        let candidates = self.roster.candidates();
        let now = self.clock.now();
        cluster::pin(
            &self.store,
            &self.permit,
            &wish,
            self.defaults,
            &candidates,
            now,
        )
        .await?;
        Ok(())
    }

    /// Has the other nodes dial the one that has the content. Best effort, and nobody waits: they
    /// may find it by themselves.
    fn introduce(&self) {
        let Some(address) = self.addresses.first().cloned() else {
            return;
        };
        let others = self.roster.answering().into_iter();
        let others: Vec<Kubo> = others
            .filter(|(node, _)| node.addresses != self.addresses)
            .map(|(_, kubo)| kubo.clone())
            .collect();
        tokio::spawn(async move {
            for kubo in others {
                if let Err(error) = kubo.connect(&address).await {
                    tracing::debug!(%address, %error, "a node cannot dial the one that has new content");
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_the_shape_that_clients_know() {
        let step = |cid, bytes, size| Added {
            name: "a".to_owned(),
            cid,
            bytes,
            size,
            allocations: None,
        };
        let text = |added: &Added| serde_json::to_string(added).unwrap();
        assert_eq!(
            text(&step(None, 7, 0)),
            r#"{"name":"a","cid":null,"bytes":7}"#
        );
        let cid = Cid::parse("bafkqaaa").unwrap();
        assert_eq!(
            text(&step(Some(cid), 0, 9)),
            r#"{"name":"a","cid":"bafkqaaa","size":9}"#
        );
    }
}
