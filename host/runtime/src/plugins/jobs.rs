//! Jobs at the door: collecting invoices, supplying and checking configuration.

use super::Plugins;
use crate::bindings::payment::Payment;
use crate::breaker::End;
use crate::error::PluginError;
use crate::generation::Generation;
use crate::job::{CollectError, Entry, Finding, Invoice, JobPlugin, Progress, Snapshot, Step};
use std::sync::Arc;

impl Plugins {
    /// The payment plugins that are live, by name.
    #[must_use]
    pub fn collectors(&self) -> Vec<String> {
        self.registry.serving().payments.keys().cloned().collect()
    }

    /// Has a payment plugin take the next step of collecting an invoice. Whoever stops waiting ends
    /// the attempt; what became of it is then not known, and the next one asks with the same key.
    ///
    /// # Errors
    /// The attempt came to nothing, or no such plugin is loaded. The invoice stays in the queue.
    pub async fn collect(
        &self,
        plugin: &str,
        invoice: &Invoice,
        progress: &Progress,
    ) -> Result<Step, CollectError> {
        let plugin = self.collector(plugin)?;
        let pass = plugin.enter()?;
        let step = plugin.plugin.collect(invoice, progress).await;
        plugin.leave(pass, End::of_step(&step));
        step
    }

    /// The same for a caller that is no future. It must not be called from within one.
    pub(crate) fn collect_blocking(
        &self,
        plugin: &str,
        invoice: &Invoice,
        progress: &Progress,
    ) -> Result<Step, CollectError> {
        let plugin = self.collector(plugin)?;
        let pass = plugin.enter()?;
        let step = plugin.plugin.collect_blocking(invoice, progress);
        plugin.leave(pass, End::of_step(&step));
        step
    }

    fn collector(&self, name: &str) -> Result<Arc<Generation<JobPlugin<Payment>>>, PluginError> {
        let plugin = self.registry.serving().payments.get(name).cloned();
        plugin.ok_or(PluginError::None("payment"))
    }

    /// Whether any config plugin is live.
    #[must_use]
    pub fn has_config(&self) -> bool {
        !self.registry.serving().configs.is_empty()
    }

    /// What each config plugin lays over the files, in the order of their names: by name, and its
    /// entries. It blocks, and must not be called from within a future.
    ///
    /// # Errors
    /// One fails. That is no reason to go on without it: the former configuration stays.
    pub fn supply(&self, current: &Snapshot) -> Result<Vec<(String, Vec<Entry>)>, PluginError> {
        let configs = self.registry.serving().configs.clone();
        configs
            .iter()
            .map(|plugin| {
                let entries = plugin.call(|plugin| plugin.supply(current))?;
                Ok((plugin.plugin.load.candidate.name.to_string(), entries))
            })
            .collect()
    }

    /// What the config plugins find wrong with a configuration, each with the plugin's name. It
    /// blocks likewise.
    ///
    /// # Errors
    /// One fails, which keeps the configuration out like a refusal.
    pub fn check_configuration(
        &self,
        proposed: &Snapshot,
        current: Option<&Snapshot>,
    ) -> Result<Vec<(String, Finding)>, PluginError> {
        let configs = self.registry.serving().configs.clone();
        let mut all = Vec::new();
        for plugin in configs.iter().map(Arc::as_ref) {
            let name = &plugin.plugin.load.candidate.name;
            let findings = plugin.call(|plugin| plugin.check(proposed, current))?;
            all.extend(
                findings
                    .into_iter()
                    .map(|finding| (name.to_string(), finding)),
            );
        }
        Ok(all)
    }
}

impl End {
    /// What an attempt to collect says of the plugin. A collector that has no time or declines says
    /// nothing against it.
    pub(crate) fn of_step(step: &Result<Step, CollectError>) -> Self {
        match step {
            Err(CollectError::Plugin(PluginError::Overloaded { .. })) => Self::Unasked,
            Err(CollectError::Plugin(failed)) => Self::Bad(failed.to_string()),
            Ok(_) | Err(_) => Self::Good,
        }
    }
}
