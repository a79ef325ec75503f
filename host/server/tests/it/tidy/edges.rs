//! Who may know whom.

use super::Source;

/// Where the server's modules are.
pub(super) const SERVER: &str = "host/server/src/";

/// Each crate of the program and which of ours it may use. `store`, `policy` and `runtime` stand
/// side by side.
const CRATES: &[(&str, &[&str])] = &[
    ("host/model", &[]),
    ("host/model/fuzz", &["holdfast-model"]),
    ("host/store", &["holdfast-model"]),
    ("host/policy", &["holdfast-model"]),
    ("host/runtime", &["holdfast-model"]),
    (
        "host/server",
        &[
            "holdfast-model",
            "holdfast-store",
            "holdfast-policy",
            "holdfast-runtime",
        ],
    ),
    (
        "benches",
        &[
            "holdfast",
            "holdfast-model",
            "holdfast-store",
            "holdfast-policy",
            "holdfast-runtime",
        ],
    ),
    ("benches/cql", &["holdfast-model", "holdfast-store"]),
    ("benches/extism", &[]),
    ("benches/extism/guest", &["holdfast-plugin"]),
];

/// Each module of the server and what it may reach for in the others. `a::b` allows that part of
/// `a` alone; `*` is for the one place that wires everything up.
const MODULES: &[(&str, &[&str])] = &[
    ("main", &["commands"]),
    ("lib", &[]),
    ("aside", &[]),
    ("clock", &[]),
    ("config", &[]),
    (
        "app",
        &[
            "aside",
            "clock",
            "identity",
            "ops::audit",
            "policies",
            "workers::peers",
        ],
    ),
    ("ops", &["app", "clock", "config"]),
    ("identity", &["app", "clock", "config"]),
    ("accounts", &["app", "clock", "identity"]),
    ("pins", &["app", "clock", "ops"]),
    ("policies", &["app", "clock"]),
    ("billing", &["app", "aside", "clock"]),
    ("workers", &["app", "billing", "clock", "ops", "pins"]),
    (
        "api",
        &[
            "accounts",
            "app",
            "billing",
            "clock",
            "identity",
            "ops",
            "pins",
            "policies",
            "workers::kubo",
            "workers::metrics",
            "workers::peers",
        ],
    ),
    ("commands", &["*"]),
];

/// Complaints about a crate's manifest.
pub(super) fn of_crate(manifest: &Source) -> Vec<String> {
    let folder = manifest.path.trim_end_matches("/Cargo.toml");
    if folder.starts_with("plugins") {
        // The guest side: a workspace of its own that cannot see the host's crates by name.
        return match manifest.text.contains("host/") {
            true => vec![format!(
                "{}: a plugin uses the host; it may not",
                manifest.path
            )],
            false => Vec::new(),
        };
    }
    let Some((_, allowed)) = CRATES.iter().find(|(of, _)| *of == folder) else {
        return vec![format!(
            "{}: a new crate; say in tidy/edges.rs which of ours it may use",
            manifest.path
        )];
    };
    let table: toml::Table = toml::from_str(&manifest.text).unwrap();
    // A crate's tests may ask for more features of itself.
    let own = table
        .get("package")
        .and_then(|package| package.get("name")?.as_str());
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|kind| table.get(*kind)?.as_table())
        .flat_map(toml::Table::keys)
        .filter(|name| name.starts_with("holdfast") && own != Some(name.as_str()))
        .filter(|name| !allowed.contains(&name.as_str()))
        .map(|name| {
            let line = manifest.lines().find(|(_, line)| line.starts_with(name.as_str()));
            let line = line.map_or(1, |(n, _)| n);
            format!(
                "{}:{line}: {folder} may not use {name}; move what it needs to holdfast-model, or the use to the server",
                manifest.path
            )
        })
        .collect()
}

/// Complaints about what a module of the server reaches for.
pub(super) fn of_module(source: &Source) -> Vec<String> {
    let inside = source.path.trim_start_matches(SERVER);
    let module = inside.split(['/', '.']).next().unwrap_or(inside);
    let Some((_, allowed)) = MODULES.iter().find(|(of, _)| *of == module) else {
        return vec![format!(
            "{}:1: a new module; say in tidy/edges.rs what it may reach for",
            source.path
        )];
    };
    let mut complaints = Vec::new();
    let code = without_comments(&source.text);
    for (at, path) in paths_of(&code) {
        let line = code[..at].matches('\n').count() + 1;
        let is_own = starts_with(&path, module);
        let is_allowed = |one: &&str| *one == "*" || starts_with(&path, one);
        if !is_own && !allowed.iter().any(is_allowed) {
            complaints.push(format!(
                "{}:{line}: {module} may not use crate::{path}; it may use {}",
                source.path,
                if allowed.is_empty() {
                    "nothing".to_owned()
                } else {
                    allowed.join(", ")
                }
            ));
        }
    }
    for (n, line) in code.lines().enumerate() {
        if line.contains("super::super::") {
            complaints.push(format!(
                "{}:{}: write crate:: and not super::super::, so that the edge can be seen",
                source.path,
                n + 1
            ));
        }
    }
    complaints
}

/// Whether a path is `prefix` or within it.
fn starts_with(path: &str, prefix: &str) -> bool {
    path == prefix
        || path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with("::"))
}

/// The text with comments blanked out, every line and byte in its place.
fn without_comments(text: &str) -> String {
    let line = |line: &str| match line.trim_start().starts_with("//") {
        true => " ".repeat(line.len()),
        false => line.to_owned(),
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Every path within the crate that the code names, and where: `crate::{a::B, c}` names two.
fn paths_of(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if !before.is_some_and(|c| c == '$' || c == '_' || c.is_alphanumeric()) {
            expand("", &code[at + "crate::".len()..], &mut |path| {
                found.push((at, path))
            });
        }
    }
    found
}

/// Follows one `use` tree and names each path at its ends. Gives back how many bytes it took.
fn expand(outer: &str, tree: &str, name: &mut dyn FnMut(String)) -> usize {
    let is_path = |c: char| c == ':' || c == '_' || c == '*' || c.is_alphanumeric();
    let length = tree.find(|c| !is_path(c)).unwrap_or(tree.len());
    let (head, rest) = tree.split_at(length);
    let head = head.trim_end_matches(':');
    let path = match outer {
        "" => head.to_owned(),
        _ => format!("{outer}::{head}"),
    };
    let path = path.trim_end_matches("::").to_owned();
    if !rest.starts_with('{') {
        name(path);
        return length;
    }
    let mut at = 1;
    while let Some(next) = rest[at..].find(|c: char| c == '}' || is_path(c)) {
        at += next;
        if rest[at..].starts_with('}') {
            return length + at + 1;
        }
        at += expand(&path, &rest[at..], name);
    }
    tree.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(code: &str) -> Vec<String> {
        paths_of(code).into_iter().map(|(_, path)| path).collect()
    }

    #[test]
    fn use_trees_are_followed_to_their_ends() {
        assert_eq!(paths("use crate::app::App;"), ["app::App"]);
        assert_eq!(
            paths("use crate::{\n    pins::{create, read::{self, One}},\n    app::*,\n};"),
            [
                "pins::create",
                "pins::read::self",
                "pins::read::One",
                "app::*"
            ]
        );
        assert_eq!(
            paths("pub(in crate::pins) fn f() { crate::ops::go() }"),
            ["pins", "ops::go"]
        );
        assert_eq!(paths("my_crate::x; $crate::y"), [""; 0]);
    }

    #[test]
    fn a_forbidden_edge_is_told_with_its_line() {
        let pins = |text| of_module(&Source::sample("host/server/src/pins/create.rs", text));
        assert_eq!(
            pins("use crate::app::App;\nuse crate::pins::read;\n"),
            [""; 0]
        );
        assert_eq!(
            pins("/// See crate::api, or\n// crate::commands.\n"),
            [""; 0]
        );
        let upward = pins("//! Verbs.\nuse crate::{app::App, api::reply};\n");
        assert_eq!(upward.len(), 1);
        assert!(upward[0].contains("create.rs:2: pins may not use crate::api::reply"));
        assert_eq!(pins("use super::super::api;\n").len(), 1);
    }

    #[test]
    fn a_part_of_a_module_can_be_allowed_alone() {
        let app = |text| of_module(&Source::sample("host/server/src/app.rs", text));
        assert_eq!(app("use crate::workers::peers::Peers;\n"), [""; 0]);
        assert_eq!(app("use crate::workers::peers_of;\n").len(), 1);
        assert_eq!(app("use crate::workers::spawn;\n").len(), 1);
    }

    #[test]
    fn crates_that_stand_side_by_side_may_not_meet() {
        let store = |text| of_crate(&Source::sample("host/store/Cargo.toml", text));
        assert_eq!(
            store("[dependencies]\nholdfast-model.workspace = true\n"),
            [""; 0]
        );
        let itself =
            "[package]\nname = \"holdfast-store\"\n[dev-dependencies]\nholdfast-store = {}\n";
        assert_eq!(store(itself), [""; 0]);
        let met = store("[dev-dependencies]\nholdfast-policy.workspace = true\n");
        assert!(met[0].contains("Cargo.toml:2: host/store may not use holdfast-policy"));
        assert_eq!(
            of_crate(&Source::sample("host/new/Cargo.toml", "")).len(),
            1
        );
    }
}
