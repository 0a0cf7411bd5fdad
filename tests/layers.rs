//! A module of `src` imports only from modules below it, and `unsafe` stays where it must be.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the lowest layer to the highest. Layer by layer: where coroutines run and what goes wrong (0), the
/// switch and what surrounds one body (1), generators and coroutines (2), fibers and pipelines (3), ready-made stages, tasks, input
/// and output (4).
const MODULES: &[&str] = &[
    // 0
    "stack/size",
    "stack/error",
    "stack/region",
    "stack/limits_unknown",
    "stack/limits",
    "stack/overflow",
    "stack/depot",
    "stack/pool",
    "stack",
    "frames",
    "unwind",
    "cancelled",
    "exception",
    "unraisable",
    // 1
    "switch",
    "channel",
    "frame",
    // 2
    "builder",
    "generator",
    "scoped",
    "co",
    "protocol",
    "coroutine",
    "shared",
    // 3
    "interrupt",
    "scope",
    "wait",
    "fiber",
    "await_",
    "stream",
    "pipe/target",
    "pipe/stats",
    "pipe/pull",
    "pipe/receiver",
    "pipe/sink",
    "pipe/sender",
    "pipe/stage",
    "pipe/source",
    // 4
    "pipe/stages/split",
    "pipe/stages/line",
    "pipe/stages/block",
    "pipe/stages/span",
    "pipe/stages/read_error",
    "pipe/stages/scan",
    "pipe/stages/text",
    "pipe/stages/files",
    "pipe/stages/follow",
    "pipe/stages/grep",
    "pipe/stages/regex",
    "pipe/stages/adapt",
    "pipe/stages/hold",
    "pipe/stages/fan",
    "pipe/stages/merge",
    "pipe/stages/sinks",
    "pipe/stages/reader",
    "pipe/stages/parallel",
    "pipe/stages",
    "pipe",
    "task/clock",
    "task/timers",
    "task/alarm",
    "task/inbox",
    "task/remote",
    "task/signals",
    "task/no_signals",
    "task/cancel",
    "task/entry",
    "task/callback",
    "task/turn",
    "task/scheduler",
    "task/waiter",
    "task/waiters",
    "task/base",
    "task/error",
    "task/state",
    "task/body",
    "task/cell",
    "task/join",
    "task/share",
    "task/future",
    "task/task_ref",
    "task/task",
    "task/awaitable",
    "task/spawn",
    "task/call",
    "task/sleep",
    "task/timeout",
    "task/catch_cancel",
    "task/wait_for",
    "task/shield",
    "task/gather",
    "task/wait",
    "task/group",
    "task/sync/lock",
    "task/sync/event",
    "task/sync/condition",
    "task/sync/semaphore",
    "task/sync/barrier",
    "task/sync/store",
    "task/sync/queue",
    "task/sync",
    "task/as_completed",
    "task/unblock",
    "task/remote_task",
    "task/loop_handle",
    "task/dump",
    "task/event_loop",
    "task/run",
    "task/loop_thread",
    "task",
    "io/wait",
    "io/adapter",
    "io/address",
    "io/socket",
    "io/stream",
    "io/listener",
    "io/retry",
    "io/blocking",
    "io/standard",
    "io/file",
    "io/child",
    "io",
];

/// The modules that may contain `unsafe`; every other one forbids it.
const UNSAFE: &[&str] = &[
    "stack/region",
    "stack/limits",
    "stack/overflow",
    "stack/depot",
    "stack",
    "frames",
    "unwind",
    "switch",
    "channel",
    "frame",
    "generator",
    "scoped",
    "co",
    "coroutine",
    "interrupt",
    "scope",
    "wait",
    "fiber",
    "pipe/pull",
    "pipe/receiver",
    "pipe/sink",
    "pipe/stages/split",
    "task/signals",
    "task/turn",
    "task/body",
    "task/spawn",
    "task/group",
];

fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    let name = |path: &Path| {
        let relative = path
            .strip_prefix(&root)
            .expect("below the root")
            .with_extension("");
        let name = relative
            .to_str()
            .expect("names are ASCII")
            .replace('\\', "/");
        name.strip_suffix("/mod").unwrap_or(&name).to_owned()
    };
    found
        .iter()
        .map(|path| (name(path), fs::read_to_string(path).expect("a source")))
        .collect()
}

/// The module that a path after `crate::` is in.
fn module(path: &str) -> &'static str {
    let path = path.replace("::", "/");
    MODULES
        .iter()
        .filter(|module| {
            path.strip_prefix(*module)
                .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        })
        .max_by_key(|module| module.len())
        .unwrap_or_else(|| panic!("{path:?} is in no module of the table"))
}

#[test]
fn every_module_is_in_the_table() {
    for (name, _) in sources() {
        assert!(
            name == "lib" || MODULES.contains(&name.as_str()),
            "src/{name}.rs has no layer"
        );
    }
}

#[test]
fn modules_import_from_below_only() {
    let height = |name: &str| MODULES.iter().position(|module| *module == name);
    let mut imports = 0;
    for (name, text) in sources().iter().filter(|(name, _)| name != "lib") {
        for line in text.lines().map(str::trim) {
            let Some(path) = line.strip_prefix("use crate::") else {
                continue;
            };
            imports += 1;
            let from = module(path);
            assert!(
                height(from) < height(name),
                "src/{name}.rs imports from {from}: {line}"
            );
        }
    }
    assert!(imports > 40, "the test has found only {imports} imports");
}

#[test]
fn only_the_switch_names_the_switch_library() {
    for (name, text) in sources() {
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let names = code.filter(|line| line.contains("corosensei")).count();
        let may = [
            "switch",
            "stack",
            "stack/region",
            "stack/depot",
            "stack/pool",
            // The names of its functions, where frames are shown.
            "task/dump",
        ]
        .contains(&name.as_str());
        assert!(names == 0 || may, "src/{name}.rs names corosensei");
        assert!(
            name != "switch" || names > 0,
            "the test looks at the wrong thing"
        );
    }
}

#[test]
fn unsafe_code_stays_where_it_must_be() {
    for (name, text) in sources().iter().filter(|(name, _)| {
        !["lib", "pipe", "pipe/stages", "task", "task/sync"].contains(&name.as_str())
    }) {
        let forbids = text.contains("#![forbid(unsafe_code)]");
        assert_eq!(forbids, !UNSAFE.contains(&name.as_str()), "src/{name}.rs");
    }
}
