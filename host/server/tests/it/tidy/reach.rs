//! What lies outside the program (the time, the environment, files, the network), and who may
//! reach for it.

use super::Source;

/// A way to the outside: the words that take it, where it is forbidden, who is excepted, the mend.
struct Way {
    words: &'static [&'static str],
    within: &'static str,
    except: &'static [&'static str],
    mend: &'static str,
}

const WAYS: &[Way] = &[
    Way {
        words: &[
            "std::fs",
            "std::net",
            "std::env",
            "std::process",
            "tokio",
            "async fn",
        ],
        within: "host/model/src/",
        except: &[],
        mend: "the model does no I/O; take the value as an argument",
    },
    Way {
        words: &[
            "SystemTime::now",
            "Timestamp::now",
            "Zoned::now",
            "Instant::now",
        ],
        within: "host/model/src/",
        except: &[],
        mend: "the model has no clock; take the instant as an argument",
    },
    Way {
        words: &["SystemTime::now", "Timestamp::now", "Zoned::now"],
        within: "host/",
        // The audit file is named after the moment it is put aside; the CQL store's clock follows
        // the system's; keyspaces of tests are told by when they were made.
        except: &[
            "host/server/src/clock.rs",
            "host/server/src/ops/audit/file.rs",
            "host/store/src/cql/clock.rs",
            "host/store/src/contract/keyspace.rs",
        ],
        mend: "take a Clock, so that tests can set the time",
    },
    Way {
        words: &["env::var", "env::vars", "env::var_os"],
        within: "host/server/src/",
        except: &["host/server/src/config", "host/server/src/commands"],
        mend: "only the configuration and the commands read the environment; take the setting",
    },
    Way {
        words: &[
            ".create_request(",
            ".replace_request(",
            ".delete_request(",
            ".settle_request(",
            ".put_pin(",
            ".delete_pin(",
            ".allocate_pin(",
            ".put_placement(",
            ".delete_placement(",
        ],
        within: "host/server/src/",
        except: &["host/server/src/pins/"],
        mend: "only the verbs in pins/ change a pin, a request or a placement; call one",
    },
];

/// Complaints about a file that reaches out where it may not.
pub(super) fn of_file(source: &Source) -> Vec<String> {
    if !source.path.contains("/src/") {
        return Vec::new();
    }
    let path = source.path.as_str();
    let is_meant = |way: &&Way| {
        path.starts_with(way.within) && !way.except.iter().any(|except| path.starts_with(except))
    };
    let ways: Vec<_> = WAYS.iter().filter(is_meant).collect();
    source
        .lines()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .filter_map(|(n, line)| {
            let takes = |way: &&&Way| way.words.iter().any(|word| line.contains(word));
            let way = ways.iter().find(takes)?;
            Some(format!("{path}:{n}: {}", way.mend))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_reaches_for_nothing() {
        let model = |text| of_file(&Source::sample("host/model/src/pin.rs", text));
        assert_eq!(model("/// No std::fs here.\nuse std::fmt;\n"), [""; 0]);
        assert!(model("\nuse std::fs;\n")[0].starts_with("host/model/src/pin.rs:2: the model"));
        assert_eq!(model("let now = Instant::now();\n").len(), 1);
    }

    #[test]
    fn the_time_is_read_in_one_place() {
        let now = "let now = SystemTime::now();\n";
        let of = |path| of_file(&Source::sample(path, now));
        assert_eq!(of("host/server/src/clock.rs"), [""; 0]);
        assert_eq!(of("host/server/tests/it/psa.rs"), [""; 0]);
        assert!(of("host/server/src/pins/create.rs")[0].contains("take a Clock"));
    }

    #[test]
    fn the_environment_is_read_where_settings_are_made() {
        let read = "let home = std::env::var(\"HOME\");\n";
        let of = |path| of_file(&Source::sample(path, read));
        assert_eq!(of("host/server/src/config/layers.rs"), [""; 0]);
        assert_eq!(of("host/server/src/workers/kubo.rs").len(), 1);
    }
    #[test]
    fn pins_and_requests_change_in_their_verbs_alone() {
        let change = "app.store.delete_request(&account, id, now).await?;\n";
        let of = |path| of_file(&Source::sample(path, change));
        assert_eq!(of("host/server/src/pins/delete.rs"), [""; 0]);
        assert!(of("host/server/src/api/pinning.rs")[0].contains("the verbs in pins/"));
    }
}
