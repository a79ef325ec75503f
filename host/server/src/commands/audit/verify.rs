//! `holdfast audit verify`.

use super::lines::Lines;
use super::verifier::{Report, Verified, Verifier};
use super::{chains, open};
use crate::commands::client::Target;
use crate::commands::host::{cluster_of, inspect};
use crate::commands::sources::Where;
use crate::commands::{Failure, dial, terminal};
use crate::config::{self, StoreKind};
use crate::ops::audit::{CloudEvent, Exported, HOST_CHAIN};
use anyhow::{Context, anyhow, bail};
use axum::body::Body;
use clap::Args;
use holdfast_model::Cid;
use holdfast_runtime::PublicKey;
use holdfast_store::Store;
use http_body_util::{BodyExt, Limited};
use hyper::Request;
use hyper::header::HOST;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::process::ExitCode;
use url::Url;

/// Rows that are read of the store at once.
const PAGE_ROWS: u32 = 1_000;

/// Bytes of a note: a few hundred, and room for more signatures.
const NOTE_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Args)]
pub(in crate::commands) struct Verify {
    #[command(flatten)]
    target: Target,
    /// Verify what was exported into this file (`-` for standard input); no host is asked.
    #[arg(long, value_name = "FILE", conflicts_with = "store")]
    file: Option<PathBuf>,
    /// Verify the store that the configuration names, while no host runs on it if it is an
    /// embedded one.
    #[arg(long)]
    store: bool,
    #[command(flatten)]
    place: Where,
    /// Only this chain: a tenant, or `@host`. All of them if it is not said.
    #[arg(long)]
    tenant: Option<String>,
    /// A checkpoint that you have kept: its file, or the CID that it is pinned as.
    #[arg(long, value_name = "FILE|CID")]
    checkpoint: Vec<String>,
    /// Whose signatures over checkpoints are good, as the host logs it at its start:
    /// `ed25519:…`. Without one, signatures are not checked.
    #[arg(long, value_name = "KEY", value_parser = PublicKey::parse)]
    signer: Vec<PublicKey>,
    /// A Kubo node's RPC API, to get checkpoints by their CIDs from.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5001")]
    kubo: Url,
    /// A chain's beginning may be missing, because only a part was exported or entries have left by
    /// age: take the first entry that is there as it is.
    #[arg(long)]
    part: bool,
}

impl Verify {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let mut verifier = Verifier::new(self.signer.clone(), self.part);
        for named in &self.checkpoint {
            let note = match Cid::parse(named) {
                Ok(cid) => self.fetch(&cid).await?,
                Err(_) => std::fs::read_to_string(named)
                    .with_context(|| format!("{named} is no CID, and no file that can be read"))?,
            };
            verifier.note(None, &note);
        }
        match &self.file {
            Some(file) => self.of_lines(&mut verifier, Lines::of_file(file)?).await?,
            None if self.store => self.of_store(&mut verifier).await?,
            None => self.of_host(&mut verifier).await?,
        }
        self.tell(&verifier.finish())
    }

    fn wants(&self, tenant: &str) -> bool {
        let wanted = self.tenant.as_deref().map(|wanted| match wanted {
            HOST_CHAIN => "",
            tenant => tenant,
        });
        wanted.is_none_or(|wanted| wanted == tenant)
    }

    async fn of_lines(&self, verifier: &mut Verifier, mut lines: Lines) -> Result<(), Failure> {
        let mut number = 0;
        while let Some(line) = lines.next().await? {
            number += 1;
            match CloudEvent::parse(&line).map_err(|why| anyhow!("line {number}: {why}"))? {
                Exported::Entry { tenant, entry } if self.wants(&tenant) => {
                    verifier.entry(&tenant, entry);
                }
                Exported::Note { tenant, note } if self.wants(&tenant) => {
                    verifier.note(Some(&tenant), &note);
                }
                Exported::Entry { .. } | Exported::Note { .. } => {}
            }
        }
        Ok(())
    }

    async fn of_host(&self, verifier: &mut Verifier) -> Result<(), Failure> {
        let all = match &self.tenant {
            Some(tenant) => vec![tenant.clone()],
            None => chains(&self.target).await?,
        };
        for tenant in all {
            let lines = open(&self.target, Some(&tenant), None).await?;
            self.of_lines(verifier, lines).await?;
        }
        Ok(())
    }

    async fn of_store(&self, verifier: &mut Verifier) -> Result<(), Failure> {
        let store = self.open_store().await?;
        let read = self.read_store(&store, verifier).await;
        store.close().await?;
        read
    }

    async fn read_store(&self, store: &Store, verifier: &mut Verifier) -> Result<(), Failure> {
        let mut after: Option<String> = None;
        loop {
            let tenants = store.audit_tenants(after.as_deref(), PAGE_ROWS).await?;
            let Some(last) = tenants.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            for tenant in tenants.iter().filter(|tenant| self.wants(tenant)) {
                read_chain(store, tenant, verifier).await?;
            }
        }
    }

    async fn open_store(&self) -> Result<Store, Failure> {
        let loaded = match config::load(&self.place.sources(Vec::new()), inspect) {
            Ok(loaded) => loaded,
            Err(problems) => bail!("the configuration cannot be used\n{problems}"),
        };
        let cluster = cluster_of(&loaded.config)
            .map_err(|complaint| anyhow!("{}: {}", complaint.key, complaint.wrong))?;
        Ok(match (cluster, loaded.config.store.kind) {
            (Some(settings), _) => Store::cql(settings).await?,
            (None, StoreKind::Memory) => {
                bail!("store.kind is `memory`: nothing is kept there; verify a running host")
            }
            (None, _) => Store::embedded(&loaded.config.store_dir()).await?,
        })
    }

    /// Gets a checkpoint by its CID; bytes that are not its are refused, whoever sent them.
    async fn fetch(&self, cid: &Cid) -> Result<String, Failure> {
        let request = Request::post(format!("/api/v0/block/get?arg={cid}"))
            .header(HOST, self.kubo.authority())
            .body(Body::empty())?;
        let answer = dial::send(&self.kubo, None, request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), NOTE_BYTES_MAX).collect();
        let body = body
            .await
            .map_err(|e| anyhow!("{cid} cannot be read: {e}"))?;
        let bytes = body.to_bytes();
        if !status.is_success() {
            bail!("{} does not have {cid}: {status}", self.kubo);
        }
        if cid.digest() != Sha256::digest(&bytes).as_slice() {
            bail!("{} answers other bytes than those of {cid}", self.kubo);
        }
        String::from_utf8(bytes.to_vec()).context("the block is no signed note")
    }

    fn tell(&self, report: &Report) -> Result<ExitCode, Failure> {
        if self.target.json {
            terminal::json(report)?;
            return Ok(terminal::code(report.ok));
        }
        let rows: Vec<[String; 5]> = report.chains.iter().map(row).collect();
        terminal::table(["CHAIN", "FROM", "ENTRIES", "UP TO", "CHECKPOINTS"], &rows)?;
        for fault in &report.faults {
            terminal::complain(&format!("{} {}: {}", fault.tenant, fault.seq, fault.why));
        }
        if !report.signatures_checked {
            terminal::note(
                "signatures were not checked; name the host's key with --signer, and keep a \
                 checkpoint elsewhere to compare with",
            );
        }
        Ok(terminal::code(report.ok))
    }
}

fn row(chain: &Verified) -> [String; 5] {
    [
        chain.tenant.clone(),
        chain.first.to_string(),
        chain.entries.to_string(),
        chain.seq.to_string(),
        chain.checkpoints.to_string(),
    ]
}

/// A chain of the store: its checkpoints, then its entries.
async fn read_chain(store: &Store, tenant: &str, verifier: &mut Verifier) -> Result<(), Failure> {
    verifier.expect(tenant);
    let mut before = None;
    loop {
        let page = store.audit_checkpoints(tenant, before, PAGE_ROWS).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.value.segment);
        for kept in &page {
            let note = String::from_utf8_lossy(&kept.value.signature);
            verifier.note(Some(tenant), &note);
        }
    }
    let mut from = 1;
    loop {
        let page = store.audit_entries(tenant, from, PAGE_ROWS).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        from = last.seq + 1;
        for entry in page {
            verifier.entry(tenant, entry);
        }
    }
}
