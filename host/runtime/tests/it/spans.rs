//! Spans of calls: whose, of which generation and digest, within which call of the host, and what
//! happens within them.

use crate::house::{Ask, House, invoice, passes_in_a_process_of_its_own, progress, told, variant};
use holdfast_runtime::{PluginInfo, Verdict};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Instrument, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// A name, and the fields beside it.
type Named = (String, BTreeMap<String, String>);

/// What happened, and within which spans, the outermost first.
#[derive(Debug, Clone)]
struct Seen {
    what: Named,
    within: Vec<Named>,
}

/// Writes down what happens.
#[derive(Clone, Default)]
struct Watcher(Arc<Mutex<Vec<Seen>>>);

#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Watcher {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let span = context.span(id).unwrap();
        let name = attributes.metadata().name().to_owned();
        let within = named(span.parent().into_iter().flat_map(|span| span.scope()));
        let what: Named = (name, fields.0);
        span.extensions_mut().insert(what.clone());
        self.0.lock().unwrap().push(Seen { what, within });
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.0.remove("message").unwrap_or_default();
        let within = named(context.event_scope(event).into_iter().flatten());
        let what = (message, fields.0);
        self.0.lock().unwrap().push(Seen { what, within });
    }
}

/// The spans, the outermost first.
fn named<'a, S: LookupSpan<'a> + 'a>(
    scope: impl Iterator<Item = tracing_subscriber::registry::SpanRef<'a, S>>,
) -> Vec<Named> {
    let names = scope.map(|span| span.extensions().get::<Named>().unwrap().clone());
    let mut names: Vec<Named> = names.collect();
    names.reverse();
    names
}

impl Watcher {
    /// What has this name, and lies within spans of which one is a plugin's.
    fn of_plugin(&self, what: &str, plugin: &str) -> Vec<Seen> {
        let seen = self.0.lock().unwrap();
        let is_of = |fields: &BTreeMap<String, String>| {
            fields.get("plugin").is_some_and(|name| name == plugin)
        };
        let wanted = |one: &&Seen| one.what.0 == what && is_of(&one.what.1);
        seen.iter().filter(wanted).cloned().collect()
    }
}

/// Others of this process would be watched too, and what they log is theirs.
#[test]
fn calls_are_seen_with_generation_and_digest_and_within_who_calls() {
    passes_in_a_process_of_its_own("spans::seen_in_a_process_of_its_own");
}

#[tokio::test]
#[ignore = "run by calls_are_seen_with_generation_and_digest_and_within_who_calls"]
async fn seen_in_a_process_of_its_own() {
    let watcher = Watcher::default();
    let subscriber = tracing_subscriber::registry().with(watcher.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let house = House::new();
    hot(&house, &watcher);
    job(&house, &watcher).await;
}

/// What a span of a call must say.
fn expected(info: &PluginInfo) -> BTreeMap<String, String> {
    [
        ("plugin", info.name.clone()),
        ("generation", info.generation.to_string()),
        ("digest", info.digest.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn names(within: &[Named]) -> Vec<&str> {
    within.iter().map(|(name, _)| name.as_str()).collect()
}

fn hot(house: &House, watcher: &Watcher) {
    let manifest = format!("{}[promote]\nwatch_ms = 0\n", told("log-lines"));
    for mark in 1..=2 {
        crate::house::put_bytes(
            house.dir.path(),
            &variant("hostile-authorizer", mark),
            "ask",
            &manifest,
        );
        house.plugins.rescan();
        let info = house.last("ask");
        assert_eq!(info.state, "live", "{info:?}");
        let caller = tracing::info_span!("request", mark).entered();
        let verdict = Ask::new(&[]).of(&house.plugins).unwrap();
        drop(caller);
        assert_eq!(verdict, Verdict::Allow);
        let calls = watcher.of_plugin("plugin_call", "ask");
        assert_eq!(calls.len(), usize::from(mark), "{calls:?}");
        let call = calls.last().unwrap();
        assert_eq!(call.what.1, expected(&info));
        assert_eq!(names(&call.within), ["request"]);
        let caller = call.within.first().unwrap();
        assert_eq!(caller.1.get("mark"), Some(&mark.to_string()));
        // What it logs is within its call.
        let says = watcher.of_plugin("plugin says", "ask");
        let says = says.last().unwrap();
        assert_eq!(names(&says.within), ["request", "plugin_call"]);
        assert_eq!(says.within.last(), Some(&call.what));
    }
}

async fn job(house: &House, watcher: &Watcher) {
    for (deed, what) in [
        ("log-flood", "plugin says"),
        // It is sent by a task of its own, on a thread of jobs.
        (
            "call-out",
            "a plugin's request was not sent or not answered",
        ),
    ] {
        let info = house.install("hostile-payment", deed, &told(deed));
        assert_eq!(info.state, "live", "{info:?}");
        let caller = tracing::info_span!("request");
        let (invoice, progress) = (invoice(), progress());
        let asked = house.plugins.collect(deed, &invoice, &progress);
        drop(asked.instrument(caller).await);
        let calls = watcher.of_plugin("plugin_call", deed);
        let [call] = calls.as_slice() else {
            panic!("{calls:?}");
        };
        assert_eq!(call.what.1, expected(&info));
        assert_eq!(names(&call.within), ["request"]);
        let seen = watcher.of_plugin(what, deed);
        assert!(!seen.is_empty(), "{deed}");
        for one in seen {
            let mut within = one.within.iter();
            let caller = within.next().map(|(name, _)| name.as_str());
            assert_eq!(caller, Some("request"), "{deed}: {one:?}");
            assert_eq!(within.next(), Some(&call.what), "{deed}: {one:?}");
        }
    }
}
