//! `holdfast policy …`: on files without a running host, and on what a running host decides by.

mod candidate;
mod files;
mod tenants;

use super::Failure;
use clap::Subcommand;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Name everything that is wrong with the policies of a folder.
    Check(files::Check),
    /// Run the cases of a file (as `cedar run-tests` has them) against the policies of a folder.
    Test(files::Test),
    /// Print who may do what to whose as a table, or compare it with the one that was agreed.
    Matrix(files::Matrix),
    /// Prove that policies never fail and keep tenants apart, and that they grant nothing new.
    Prove(files::Prove),
    /// Sign a folder of policies.
    Sign(files::Sign),
    /// Show what a tenant says for itself.
    Show(tenants::Show),
    /// Set a tenant's own policies.
    Set(tenants::Set),
    /// Drop a tenant's own policies.
    Drop(tenants::Drop),
    /// List a tenant's grants, and what can be granted.
    Grants(tenants::Show),
    /// Grant something to somebody.
    Grant(tenants::Grant),
    /// Revoke a grant.
    Revoke(tenants::Revoke),
    /// Tell why a running host decided something.
    Explain(tenants::Explain),
    /// Try other policies, the platform's or a tenant's, on a running host's live decisions.
    #[command(subcommand)]
    Shadow(candidate::Shadow),
}

impl Command {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Check(check) => check.run(),
            Self::Test(test) => test.run(),
            Self::Matrix(matrix) => matrix.run(),
            Self::Prove(prove) => prove.run().await,
            Self::Sign(sign) => sign.run(),
            Self::Show(show) => show.policies().await,
            Self::Set(set) => set.run().await,
            Self::Drop(drop) => drop.run().await,
            Self::Grants(show) => show.grants().await,
            Self::Grant(grant) => grant.run().await,
            Self::Revoke(revoke) => revoke.run().await,
            Self::Explain(explain) => explain.run().await,
            Self::Shadow(shadow) => shadow.run().await,
        }
    }
}

fn code(is_good: bool) -> ExitCode {
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
