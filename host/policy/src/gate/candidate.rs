//! A candidate for the platform's policies: tried on live decisions, then promoted or dropped.

use super::{Gate, Revision, one};
use crate::bundle::compile;
use crate::error::{Finding, PolicyError};
use crate::shadow::{ShadowReport, Trial};
use crate::source::Source;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Gate {
    /// Tries a candidate, in the place of one that is tried already: file names with their text, as
    /// they would lie in the folder. It has to pass all that the folder has to pass.
    ///
    /// # Errors
    /// Files that could not be used: everything that is wrong with them.
    pub fn shadow(&self, files: BTreeMap<String, String>) -> Result<Revision, PolicyError> {
        let source = Source::of_files(files).map_err(one)?;
        if let Some(seal) = &self.settings.seal {
            seal.check(&source)?;
        }
        let bundle = compile(&source).map_err(one)?;
        let revision = bundle.revision.clone();
        let beside = self.revision().0.to_string();
        let trial = Trial::begin(bundle, source, beside)
            .map_err(|e| PolicyError::Setup(format!("no thread for a candidate: {e}")))?;
        self.trial.store(Some(Arc::new(trial)));
        Ok(revision)
    }

    /// How the candidate differs; `None` if there is none.
    #[must_use]
    pub fn shadow_report(&self) -> Option<ShadowReport> {
        self.trial.load().as_ref().map(|trial| trial.report())
    }

    /// Drops the candidate; whether there was one.
    pub fn drop_shadow(&self) -> bool {
        self.trial.swap(None).is_some()
    }

    /// Puts the candidate's files into the folder and has them decide from now on.
    ///
    /// # Errors
    /// There is no candidate or no folder, or it cannot be written; what was in force stays.
    pub fn promote_shadow(&self) -> Result<Revision, PolicyError> {
        let refused = |why: &str, mend: &str| Finding::whole("the candidate", why, mend).into();
        let Some(trial) = self.trial.load_full() else {
            return Err(refused(
                "is not there",
                "begin with `holdfast policy shadow start`",
            ));
        };
        let Some(dir) = &self.settings.dir else {
            let mend = "set policies.dir to a folder that the host may write";
            return Err(refused(
                "cannot be kept, for the policies are built in",
                mend,
            ));
        };
        let _one_at_a_time = self.reloading.lock();
        trial.source.write(dir)?;
        self.swap(&trial.source)?;
        self.trial.store(None);
        Ok(self.revision())
    }
}
