//! How content is to be added, as the query parameters of IPFS Cluster (`api.AddParams`).

use crate::api::cluster::options::{self, number, switch};
use crate::api::query::Query;
use holdfast_model::pin::MaxDepth;
use holdfast_model::{Invalid, PinOptions, UnixMillis};

/// What is uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Files and directories.
    UnixFs,
    /// One CAR archive.
    Car,
}

/// How to add.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) format: Format,
    pub(super) max_depth: MaxDepth,
    pub(super) options: PinOptions,
    /// Whether what was added is pinned.
    pub(super) pins: bool,
    /// Whether there is a directory around it all.
    pub(super) wraps: bool,
    /// Whether each step is told as it comes, rather than all in one array.
    pub(super) streams: bool,
    trickle: bool,
    progress: bool,
    no_copy: bool,
    raw_leaves: Option<bool>,
    cid_version: u64,
    chunker: Option<String>,
    hash: Option<String>,
}

impl Plan {
    pub(super) fn read(query: &Query, now: UnixMillis) -> Result<Self, Invalid> {
        let (max_depth, mut options) = options::read(query, now)?;
        if options.expire_at.is_some_and(|at| at <= now) {
            return Err(Invalid::new("expire-at", "lies before current time"));
        }
        // What is added is no update of anything.
        options.pin_update = None;
        let on = |name| Ok::<_, Invalid>(switch(query, name)?.unwrap_or(false));
        if on("shard")? {
            let why = "cannot be done here; add content whole, of any size";
            return Err(Invalid::new("shard", why));
        }
        let word = |name| query.first(name).filter(|word| !word.is_empty());
        let format = match word("format") {
            None | Some("unixfs") => Format::UnixFs,
            Some("car") => Format::Car,
            Some(_) => return Err(Invalid::new("format", "is invalid; send unixfs or car")),
        };
        let wraps = on("wrap-with-directory")?;
        if wraps && format == Format::Car {
            let why = "and format=car do not go together: a CAR file has its root in it";
            return Err(Invalid::new("wrap-with-directory", why));
        }
        let trickle = match word("layout") {
            None | Some("balanced") => false,
            Some("trickle") => true,
            Some(_) => {
                return Err(Invalid::new(
                    "layout",
                    "is invalid; send balanced or trickle",
                ));
            }
        };
        // They mean something to whoever reads the files, and are checked all the same.
        for name in ["local", "recursive", "hidden"] {
            on(name)?;
        }
        Ok(Self {
            format,
            max_depth,
            options,
            pins: !on("no-pin")?,
            wraps,
            streams: switch(query, "stream-channels")?.unwrap_or(true),
            trickle,
            progress: on("progress")?,
            no_copy: on("nocopy")?,
            raw_leaves: switch(query, "raw-leaves")?,
            cid_version: number(query, "cid-version")?.unwrap_or(0),
            chunker: word("chunker").map(ToOwned::to_owned),
            hash: word("hash").map(ToOwned::to_owned),
        })
    }

    /// The options of Kubo's own `add`.
    pub(super) fn of_kubo(&self) -> Vec<(&'static str, String)> {
        let raw_leaves = self.raw_leaves.unwrap_or(self.cid_version > 0);
        let mut options = vec![
            ("cid-version", self.cid_version.to_string()),
            ("raw-leaves", raw_leaves.to_string()),
            ("wrap-with-directory", self.wraps.to_string()),
            ("trickle", self.trickle.to_string()),
            ("progress", self.progress.to_string()),
        ];
        if self.no_copy {
            options.push(("nocopy", true.to_string()));
        }
        options.extend(self.chunker.clone().map(|chunker| ("chunker", chunker)));
        options.extend(self.hash.clone().map(|hash| ("hash", hash)));
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Result<Plan, Invalid> {
        Plan::read(&Query::all(Some(query)), UnixMillis::from_seconds(1_000))
    }

    #[test]
    fn what_ctl_sends_is_understood() {
        let plan = of(
            "chunker=size-262144&cid-version=0&format=unixfs&hash=sha2-256&hidden=false&layout=\
             &local=false&mode=recursive&name=&no-pin=false&nocopy=false&progress=false\
             &raw-leaves=false&recursive=true&replication-max=0&replication-min=0&shard=false\
             &shard-size=104857600&stream-channels=true&user-allocations=&wrap-with-directory=true",
        )
        .unwrap();
        assert!(plan.pins && plan.wraps && plan.streams);
        let options = plan.of_kubo();
        assert!(options.contains(&("chunker", "size-262144".to_owned())));
        assert!(options.contains(&("raw-leaves", "false".to_owned())));
    }

    #[test]
    fn newer_cids_have_raw_leaves_unless_told_otherwise() {
        let raw = |query| {
            of(query)
                .unwrap()
                .of_kubo()
                .contains(&("raw-leaves", "true".to_owned()))
        };
        assert!(raw("cid-version=1") && !raw("cid-version=1&raw-leaves=0") && !raw(""));
    }

    #[test]
    fn what_cannot_be_done_is_named_before_anything_is_uploaded() {
        for (query, named) in [
            ("shard=true", "shard"),
            ("format=tar", "format"),
            ("layout=flat", "layout"),
            ("progress=maybe", "progress"),
            ("cid-version=one", "cid-version"),
            ("format=car&wrap-with-directory=true", "wrap-with-directory"),
            ("expire-at=1970-01-01T00:00:01Z", "expire-at"),
            ("hidden=x", "hidden"),
        ] {
            assert_eq!(of(query).unwrap_err().what, named, "{query}");
        }
    }
}
